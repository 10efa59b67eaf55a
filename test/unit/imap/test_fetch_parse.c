/* FETCH and STORE: RFC 3501 6.4.5, 6.4.6, RFC 9051, RFC 7162. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "imap_check.h"

static void test_good(void **state)
{
    static const struct described rows[] = {
        {"a FETCH 1 FAST", "1 items=d"},
        {"a FETCH 1 ALL", "1 items=1d"},
        {"a FETCH 1 full", "1 items=3d"},
        {"a FETCH 1:* FLAGS", "1:* items=1"},
        {"a FETCH 1 (FLAGS UID INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE MODSEQ)", "1 items=ff"},
        {"a FETCH 1 RFC822", "1 items=0 RFC822"},
        {"a FETCH 1 (RFC822.HEADER rfc822.text)", "1 items=0 RFC822.HEADER/peek RFC822.TEXT"},
        {"a FETCH 1 BODY[]", "1 items=0 BODY[]"},
        {"a FETCH 1 body.peek[]", "1 items=0 BODY[]/peek"},
        {"a FETCH 1 BODY[TEXT]", "1 items=0 BODY[TEXT]"},
        {"a FETCH 1 BODY[HEADER]", "1 items=0 BODY[HEADER]"},
        {"a FETCH 1 BODY[1]", "1 items=0 BODY[1]"},
        {"a FETCH 1 BODY[1.2.3]", "1 items=0 BODY[1.2.3]"},
        {"a FETCH 1 BODY[1.MIME]", "1 items=0 BODY[1.MIME]"},
        {"a FETCH 1 BODY[4.1.TEXT]", "1 items=0 BODY[4.1.TEXT]"},
        {"a FETCH 1 BODY[4.HEADER]", "1 items=0 BODY[4.HEADER]"},
        {"a FETCH 1 BODY.PEEK[HEADER.FIELDS (To \"Cc\")]", "1 items=0 BODY[HEADER.FIELDS (To Cc)]/peek"},
        {"a FETCH 1 BODY[HEADER.FIELDS.NOT (Received)]", "1 items=0 BODY[HEADER.FIELDS.NOT (Received)]"},
        {"a FETCH 1 BODY[3.HEADER.FIELDS ({2}\r\nTo)]<0.100>", "1 items=0 BODY[3.HEADER.FIELDS (To)]<0>+100"},
        {"a FETCH 1 BODY[]<10.1>", "1 items=0 BODY[]<10>+1"},
        {"a FETCH 1 BODY[]<4294967296.9223372036854775807>",
         "1 items=0 BODY[]<4294967296>+9223372036854775807"}, /* RFC 9051 */
        {"a FETCH 1 (UID BODY[1] BODY.PEEK[2]<0.5> FLAGS)", "1 items=3 BODY[1] BODY[2]<0>+5/peek"},
        {"a FETCH 1 BINARY.PEEK[1.2]<0.9>", "1 items=0 BINARY[1.2]<0>+9/peek"}, /* RFC 3516 */
        {"a FETCH 1 BINARY.SIZE[1]", "1 items=0 BINARY.SIZE[1]/peek"},
        {"a FETCH 1 BINARY[]", "1 items=0 BINARY[]"},
        {"a FETCH 1 (EMAILID threadid SaveDate)", "1 items=700"}, /* RFC 8474, RFC 8514 */
        {"a UID FETCH 1,3:5 (FLAGS) (CHANGEDSINCE 12345)", "1,3:5 items=1 since=12345"},
        {"a UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)", "1 items=1 since=1 vanished"},
        {"a STORE 1 FLAGS (\\Seen)", "1 = (\\Seen)"},
        {"a STORE 1:2 +FLAGS \\Seen \\Deleted x", "1:2 + (\\Deleted \\Seen x)"},
        {"a STORE 1 -flags.silent ($Junk Work)", "1 - silent ($Junk Work)"},
        {"a STORE 1 FLAGS ()", "1 = ()"},
        {"a STORE 1 FLAGS (x X x \\seen \\SEEN)", "1 = (\\Seen x)"}, /* no doubles */
        {"a UID STORE 1 (UNCHANGEDSINCE 9) +FLAGS (\\Answered)", "1 + (\\Answered) unchanged=9"},
    };
    check_described(rows, MS_ARRAY_LEN(rows));
}

static void test_refused(void **state)
{
    static const char *const rows[] = {
        "a FETCH",
        "a FETCH 1",
        "a FETCH 1 ",
        "a FETCH 1 ()",
        "a FETCH 1 (FLAGS",
        "a FETCH 1 FLAGS)",
        "a FETCH 1 (FLAGS) x",
        "a FETCH 1 (FLAGS  UID)",
        "a FETCH 1 ( FLAGS)",
        "a FETCH 1 FLAGS UID",
        "a FETCH 1 (ALL)", /* macros stand alone */
        "a FETCH 1 (FLAGS FAST)",
        "a FETCH 1 FOO",
        "a FETCH 1 (FLAGS FOO)",
        "a FETCH x FLAGS",
        "a FETCH 0 FLAGS",
        "a FETCH 1: FLAGS",
        "a FETCH 1 BODY[",
        "a FETCH 1 BODY]",
        "a FETCH 1 BODY[FOO]",
        "a FETCH 1 BODY[MIME]", /* needs numbers */
        "a FETCH 1 BODY[0]",
        "a FETCH 1 BODY[1.0]",
        "a FETCH 1 BODY[1.]",
        "a FETCH 1 BODY[.1]",
        "a FETCH 1 BODY[1..2]",
        "a FETCH 1 BODY[1 TEXT]",
        "a FETCH 1 BODY[1TEXT]",
        "a FETCH 1 BODY[TEXT.1]",
        "a FETCH 1 BODY[HEADER.FIELDS]",
        "a FETCH 1 BODY[HEADER.FIELDS ()]",
        "a FETCH 1 BODY[HEADER.FIELDS(To)]",
        "a FETCH 1 BODY[HEADER.FIELDS To]",
        "a FETCH 1 BODY[HEADER.FIELDS (To]",
        "a FETCH 1 BODY[HEADER.FIELDS (To ]",
        "a FETCH 1 BODY[]<0>",
        "a FETCH 1 BODY[]<0.0>",
        "a FETCH 1 BODY[]<.1>",
        "a FETCH 1 BODY[]<1.>",
        "a FETCH 1 BODY[]<1.2",
        "a FETCH 1 BODY[]<-1.2>",
        "a FETCH 1 BODY[]<9223372036854775808.1>",
        "a FETCH 1 BODY[] <0.1>",
        "a FETCH 1 BODY.PEEK",
        "a FETCH 1 RFC822[]",
        "a FETCH 1 FLAGS[]",
        "a FETCH 1 BINARY[TEXT]",
        "a FETCH 1 BINARY",
        "a FETCH 1 BINARY.SIZE",
        "a FETCH 1 BINARY[1.]",
        "a FETCH 1 BINARY[0]",
        "a FETCH 1 EMAILID[]",
        "a FETCH 1 THREADID.PEEK",
        "a FETCH 1 SAVEDATE<0.1>",
        "a FETCH 1 FLAGS (CHANGEDSINCE -1)",
        "a FETCH 1 FLAGS (CHANGEDSINCE 1 )",
        "a FETCH 1 BINARY[1.MIME]",
        "a FETCH 1 BINARY.SIZE[1]<0.1>",
        "a FETCH 1 FLAGS (FOO)",
        "a FETCH 1 FLAGS ()",
        "a FETCH 1 FLAGS (CHANGEDSINCE)",
        "a FETCH 1 FLAGS (VANISHED)", /* RFC 7162 3.2.6 */
        "a STORE",
        "a STORE 1",
        "a STORE 1 FLAGS",
        "a STORE 1 FLAGS ",
        "a STORE 1 FLAG (\\Seen)",
        "a STORE 1 *FLAGS (\\Seen)",
        "a STORE 1 ++FLAGS (\\Seen)",
        "a STORE 1 + FLAGS (\\Seen)",
        "a STORE 1 FLAGS.LOUD (\\Seen)",
        "a STORE 1 FLAGS (\\Seen",
        "a STORE 1 FLAGS \\Seen)",
        "a STORE 1 FLAGS (\\Seen) x",
        "a STORE 1 FLAGS \\Seen ",
        "a STORE 1 FLAGS (\\)",
        "a STORE 1 FLAGS (a%b)",
        "a STORE 1 (UNCHANGEDSINCE) FLAGS ()",
        "a STORE 1 (FOO 1) FLAGS ()",
        "a STORE 1 (UNCHANGEDSINCE 1)FLAGS ()",
    };
    struct str out;

    str_init(&out, 0);
    check_syntax_refused(rows, MS_ARRAY_LEN(rows));
    /* RFC 3501 2.3.2: \Recent cannot be altered */
    describe(&out, "a STORE 1 +FLAGS (\\Recent)");
    assert_true(slice_has_prefix(str_slice(&out), SLICE_LIT("!MS_EINVAL")));
    describe(&out, "a FETCH $,1 FLAGS"); /* RFC 5182 2.1: alone */
    assert_true(slice_has_prefix(str_slice(&out), SLICE_LIT("!MS_ESYNTAX")));
    str_fini(&out);
}

static void repeat(struct str *text, const char *head, const char *first, const char *more, int count,
                   const char *tail)
{
    str_reset(text);
    str_add_cstr(text, head);
    for (int i = 0; i < count; i++)
        str_add_cstr(text, i ? more : first);
    str_add_cstr(text, tail);
}

static void test_limits(void **state)
{
    struct str text;
    struct str out;

    str_init(&text, 0);
    str_init(&out, 0);
    for (int over = 0; over <= 1; over++) {
        const char *want = over ? "!MS_ELIMIT" : "1 items=0";

        repeat(&text, "a FETCH 1 (", "BODY[]", " BODY[]", IMAP_SECTIONS_MAX + over, ")");
        describe(&out, str_cstr(&text));
        assert_true(slice_has_prefix(str_slice(&out), slice_cstr(want)));
        repeat(&text, "a FETCH 1 BODY[", "1", ".1", IMAP_PARTS_MAX + over, "]");
        describe(&out, str_cstr(&text));
        assert_true(slice_has_prefix(str_slice(&out), slice_cstr(want)));
        repeat(&text, "a FETCH 1 BODY[HEADER.FIELDS (", "x", " x", IMAP_FIELDS_MAX + over, ")]");
        describe(&out, str_cstr(&text));
        assert_true(slice_has_prefix(str_slice(&out), slice_cstr(want)));
        repeat(&text, "a FETCH ", "1", ",1", IMAP_RANGES_MAX + over, " FLAGS");
        describe(&out, str_cstr(&text));
        assert_true(slice_has_prefix(str_slice(&out), slice_cstr(over ? "!MS_ELIMIT" : "1,1")));
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
