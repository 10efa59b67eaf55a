/* SEARCH: RFC 3501 6.4.4, RFC 4731, RFC 5032, RFC 7162. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "imap_check.h"

static void test_good(void **state)
{
    static const struct described rows[] = {
        {"a SEARCH ALL", "AND(ALL)"},
        {"a SEARCH seen", "AND(FLAG 8)"},
        {"a SEARCH ANSWERED DELETED DRAFT FLAGGED RECENT", "AND(FLAG 1,FLAG 4,FLAG 10,FLAG 2,FLAG 20)"},
        {"a SEARCH UNANSWERED UNDELETED UNDRAFT UNFLAGGED UNSEEN",
         "AND(NOT(FLAG 1),NOT(FLAG 4),NOT(FLAG 10),NOT(FLAG 2),NOT(FLAG 8))"},
        {"a SEARCH NEW OLD", "AND(AND(FLAG 20,NOT(FLAG 8)),NOT(FLAG 20))"},
        {"a SEARCH KEYWORD Work UNKEYWORD $Junk", "AND(KEYW <Work>,NOT(KEYW <$Junk>))"},
        {"a SEARCH 1:3,5", "AND(SEQ 1:3,5)"},
        {"a SEARCH *", "AND(SEQ *)"},
        {"a SEARCH UID 1:* 2", "AND(UID 1:*,SEQ 2)"},
        {"a SEARCH BEFORE 1-Feb-1994 ON \"02-Feb-1994\" SINCE 3-feb-1994",
         "AND(BEFORE 8797,ON 8798,SINCE 8799)"},
        {"a SEARCH SENTBEFORE 1-Jan-1970 SENTON 2-Jan-1970 SENTSINCE 31-Dec-1969",
         "AND(SENTBEFORE 0,SENTON 1,SENTSINCE -1)"},
        {"a SEARCH LARGER 0 SMALLER 4294967295", "AND(LARGER 0,SMALLER 4294967295)"},
        {"a SEARCH OLDER 60 YOUNGER 3600", "AND(OLDER 60,YOUNGER 3600)"},
        {"a SEARCH MODSEQ 620162338", "AND(MODSEQ 620162338) modseq"},
        {"a SEARCH MODSEQ \"/flags/\\\\draft\" all 5", "AND(MODSEQ 5) modseq"},
        {"a SEARCH NOT MODSEQ \"/FLAGS/work\" PRIV 0", "AND(NOT(MODSEQ 0)) modseq"},
        {"a SEARCH SAVEDBEFORE 1-Feb-1994 SAVEDON \"02-Feb-1994\" NOT SAVEDSINCE 3-feb-1994 "
         "SAVEDATESUPPORTED",
         "AND(SAVEDBEFORE 8797,SAVEDON 8798,NOT(SAVEDSINCE 8799),SAVEDATESUPPORTED)"},
        {"a SEARCH EMAILID M0-_a threadid T1", "AND(EMAILID <M0-_a>,THREADID <T1>)"},
        {"a SEARCH BCC a CC b FROM c TO d SUBJECT e BODY f TEXT g",
         "AND(BCC <a>,CC <b>,FROM <c>,TO <d>,SUBJECT <e>,BODY <f>,TEXT <g>) text"},
        {"a SEARCH HEADER Message-ID \"<x@y>\"", "AND(HEADER <Message-ID> <<x@y>>) text"},
        {"a SEARCH HEADER X-A \"\"", "AND(HEADER <X-A> <>) text"},
        {"a SEARCH SUBJECT {3}\r\na\r\n SEEN", "AND(SUBJECT <a\r\n>,FLAG 8) text"},
        {"a SEARCH NOT SEEN", "AND(NOT(FLAG 8))"},
        {"a SEARCH OR SEEN FLAGGED", "AND(OR(FLAG 8,FLAG 2))"},
        {"a SEARCH OR NOT SEEN OR 1 (2 3)", "AND(OR(NOT(FLAG 8),OR(SEQ 1,AND(SEQ 2,SEQ 3))))"},
        {"a SEARCH (SEEN (DRAFT))", "AND(AND(FLAG 8,AND(FLAG 10)))"},
        {"a SEARCH CHARSET UTF-8 SUBJECT {2}\r\n\xc3\xa4", "charset=UTF-8 AND(SUBJECT <\xc3\xa4>) text"},
        {"a SEARCH RETURN () SEEN", "return=4 AND(FLAG 8)"}, /* RFC 4731 3.1: ALL */
        {"a SEARCH RETURN (MIN max COUNT) CHARSET us-ascii ALL", "return=b charset=us-ascii AND(ALL)"},
        {"a UID SEARCH RETURN (SAVE ALL) ALL", "return=14 AND(ALL)"},
    };
    check_described(rows, MS_ARRAY_LEN(rows));
}

static void test_refused(void **state)
{
    static const char *const rows[] = {
        "a SEARCH",
        "a SEARCH ",
        "a SEARCH FOO",
        "a SEARCH SEEN ",
        "a SEARCH SEEN  DRAFT",
        "a SEARCH \"SEEN\"",
        "a SEARCH ()",
        "a SEARCH (SEEN",
        "a SEARCH SEEN)",
        "a SEARCH (SEEN )",
        "a SEARCH ( SEEN)",
        "a SEARCH NOT",
        "a SEARCH NOT ",
        "a SEARCH OR SEEN",
        "a SEARCH OR SEEN ",
        "a SEARCH OR (SEEN DRAFT)",
        "a SEARCH KEYWORD",
        "a SEARCH KEYWORD \"x\"",
        "a SEARCH KEYWORD \\Seen",
        "a SEARCH FROM",
        "a SEARCH FROM ",
        "a SEARCH FROM (a)",
        "a SEARCH HEADER a",
        "a SEARCH HEADER a ",
        "a SEARCH BEFORE x",
        "a SEARCH BEFORE 1994-02-01",
        "a SEARCH BEFORE 32-Jan-1994",
        "a SEARCH BEFORE 001-Jan-1994",
        "a SEARCH BEFORE \"1-Feb-1994",
        "a SEARCH BEFORE 1-Feb-94",
        "a SEARCH LARGER x",
        "a SEARCH LARGER -1",
        "a SEARCH LARGER 9223372036854775808",
        "a SEARCH OLDER 0",
        "a SEARCH UID",
        "a SEARCH UID x",
        "a SEARCH UID 0",
        "a SEARCH 1:",
        "a SEARCH 1,",
        "a SEARCH MODSEQ x",
        "a SEARCH MODSEQ \"x\" foo 1",
        "a SEARCH MODSEQ \"x\" all 1",
        "a SEARCH MODSEQ \"/flags/\" all 1",
        "a SEARCH MODSEQ \"/flags/a\" 1",
        "a SEARCH MODSEQ \"/flags/a\" all",
        "a SEARCH MODSEQ",
        "a SEARCH MODSEQ 9223372036854775808",
        "a SEARCH YOUNGER",
        "a SEARCH YOUNGER 0",
        "a SEARCH OLDER -1",
        "a SEARCH SAVEDBEFORE",
        "a SEARCH SAVEDON 1-Feb",
        "a SEARCH SAVEDSINCE 30-Feb-20x0",
        "a SEARCH SAVEDATESUPPORTED x",
        "a SEARCH EMAILID",
        "a SEARCH EMAILID \"M1\"",
        "a SEARCH EMAILID M.1",
        "a SEARCH THREADID",
        "a SEARCH THREADID T$",
        "a SEARCH CHARSET",
        "a SEARCH CHARSET UTF-8",
        "a SEARCH CHARSET UTF-8 ",
        "a SEARCH RETURN SEEN",
        "a SEARCH RETURN (FOO) SEEN",
        "a SEARCH RETURN (MIN SEEN",
        "a SEARCH RETURN (MIN)SEEN",
        "a SEARCH RETURN (MIN)",
        "a SEARCH RETURN ( ) SEEN",
        "a SEARCH ALL RETURN (MIN)",
    };
    struct str out;

    str_init(&out, 0);
    check_syntax_refused(rows, MS_ARRAY_LEN(rows));
    describe(&out, "a SEARCH $,1");
    assert_true(slice_has_prefix(str_slice(&out), SLICE_LIT("!MS_ESYNTAX")));
    str_fini(&out);
}

static void test_limits(void **state)
{
    struct str text;
    struct str out;

    str_init(&text, 0);
    str_init(&out, 0);
    for (int over = 0; over <= 1; over++) {
        const char *want = over ? "!MS_ELIMIT" : "AND(";

        str_reset(&text);
        str_add_cstr(&text, "a SEARCH");
        for (int i = 1; i < IMAP_SEARCH_DEPTH_MAX + over; i++)
            str_add_cstr(&text, " NOT");
        str_add_cstr(&text, " ALL");
        describe(&out, str_cstr(&text));
        assert_true(slice_has_prefix(str_slice(&out), slice_cstr(want)));
        /* the root counts too */
        str_reset(&text);
        str_add_cstr(&text, "a SEARCH");
        for (int i = 1; i < IMAP_SEARCH_KEYS_MAX + over; i++)
            str_add_cstr(&text, " ALL");
        describe(&out, str_cstr(&text));
        assert_true(slice_has_prefix(str_slice(&out), slice_cstr(want)));
    }
    str_fini(&text);
    str_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
