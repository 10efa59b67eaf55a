/* Commands and their arguments: RFC 3501 9 and the extensions named in the rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "imap_describe.h"

struct row {
    const char *text;
    const char *want;
};

static void check(const struct row *rows, size_t count, bool utf8)
{
    for (size_t i = 0; i < count; i++) {
        struct arena arena;
        struct str out;
        char *copy = ms_memdup(rows[i].text, strlen(rows[i].text) + 1);

        arena_init(&arena, 0);
        str_init(&out, 0);
        describe_command(&out, slice_cstr(copy), utf8, &arena);
        if (!slice_eq_cstr(str_slice(&out), rows[i].want))
            fail_msg("%s\n  gives %s\n  not   %s", rows[i].text, str_cstr(&out), rows[i].want);
        str_fini(&out);
        arena_fini(&arena);
        ms_free(copy);
    }
}

/* In the tables of refused input only the class is given: the text is for people. */
static void check_refused(const char *const *rows, size_t count, const char *class)
{
    for (size_t i = 0; i < count; i++) {
        struct arena arena;
        struct str out;

        arena_init(&arena, 0);
        str_init(&out, 0);
        describe_command(&out, slice_cstr(rows[i]), false, &arena);
        if (!slice_has_prefix(str_slice(&out), slice_cstr(class)))
            fail_msg("%s\n  gives %s", rows[i], str_cstr(&out));
        str_fini(&out);
        arena_fini(&arena);
    }
}

static void test_head(void **state)
{
    static const struct {
        const char *text;
        const char *tag;
        const char *name;
        bool uid;
        const char *args; /* NULL: none */
    } good[] = {
        {"a NOOP", "a", "NOOP", false, NULL},
        {"A1.b-c noop ", "A1.b-c", "noop", false, ""},
        {"] X y", "]", "X", false, "y"},
        {"a UID FETCH 1 FLAGS", "a", "FETCH", true, "1 FLAGS"},
        {"a uid copy 1 x", "a", "copy", true, "1 x"},
    };
    static const struct {
        const char *text;
        const char *tag;
    } bad[] = {
        {"", ""},
        {" ", ""},
        {"a+ NOOP", ""}, /* RFC 3501 9: no "+" in a tag */
        {"+ NOOP", ""},
        {"(a NOOP", ""},
        {"a\\ NOOP", ""},
        {"\xc3\xa4 NOOP", ""},
        {"\x01 NOOP", ""},
        {"a", "a"},
        {"a ", "a"},
        {"a  NOOP", "a"},
        {"a NO(P", "a"},
        {"a {4}", "a"},
        {"a \"NOOP\"", "a"},
        {"a UID", "a"},
        {"a UID ", "a"},
        {"a NAME-LONGER-THAN-THIRTY-TWO-BYTES", "a"},
    };
    struct arena arena;
    struct imap_cmd cmd;
    const char *reason;
    char tag[IMAP_TAG_MAX + 8];

    arena_init(&arena, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(good); i++) {
        assert_int_equal(imap_cmd_parse(slice_cstr(good[i].text), &arena, &cmd, &reason), MS_OK);
        assert_true(slice_eq_cstr(cmd.tag, good[i].tag) && slice_eq_cstr(cmd.name, good[i].name));
        assert_int_equal(cmd.uid, good[i].uid);
        assert_int_equal(cmd.has_args, good[i].args != NULL);
        assert_true(!good[i].args || slice_eq_cstr(cmd.args, good[i].args));
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        assert_int_equal(imap_cmd_parse(slice_cstr(bad[i].text), &arena, &cmd, &reason), MS_ESYNTAX);
        assert_true(slice_eq_cstr(cmd.tag, bad[i].tag));
        assert_non_null(reason);
    }
    memset(tag, 'a', sizeof tag);
    memcpy(tag + IMAP_TAG_MAX, " NOOP", 5);
    assert_int_equal(imap_cmd_parse(slice_make(tag, IMAP_TAG_MAX + 5), &arena, &cmd, &reason), MS_OK);
    memcpy(tag + IMAP_TAG_MAX, "a NOOP", 6);
    assert_int_equal(imap_cmd_parse(slice_make(tag, IMAP_TAG_MAX + 6), &arena, &cmd, &reason), MS_ESYNTAX);
    arena_fini(&arena);
}

static void test_good(void **state)
{
    static const struct row rows[] = {
        {"a NOOP", "none"},
        {"a LOGIN joe secret", "<joe> <secret>"},
        {"a LOGIN \"jo e\" \"a\\\"b\\\\c\"", "<jo e> <a\"b\\c>"},
        {"a LOGIN {3}\r\njoe {4+}\r\na\r\nb", "<joe> <a\r\nb>"}, /* RFC 7888 3 */
        {"a LOGIN {0}\r\n \"\"", "<> <>"},
        {"a LOGIN joe \"p\xc3\xa4ss\"", "<joe> <p\xc3\xa4ss>"}, /* RFC 9051 4.3 */
        {"a LOGIN joe {1}\r\n\xe4", "<joe> <\xe4>"},
        {"a LOGIN a]b c", "<a]b> <c>"},
        {"a AUTHENTICATE PLAIN", "PLAIN"},
        {"a AUTHENTICATE PLAIN AGEAYg==", "PLAIN ir=AGEAYg=="}, /* RFC 4959 3 */
        {"a AUTHENTICATE EXTERNAL =", "EXTERNAL ir=="},
        {"a SELECT inbox", "<INBOX>"}, /* RFC 3501 5.1 */
        {"a SELECT \"InBoX\"", "<INBOX>"},
        {"a EXAMINE Sent&-Kept", "<Sent&Kept>"}, /* RFC 3501 5.1.3 */
        {"a SELECT \"&ZeVnLIqe-\"", "<\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e>"},
        {"a SELECT x (CONDSTORE)", "<x> condstore"}, /* RFC 7162 3.1.8 */
        {"a SELECT x (QRESYNC (67890007 20050715194045000 41,43:211,214:541))",
         "<x> qresync 67890007 20050715194045000 41,43:211,214:541"},
        {"a SELECT x (QRESYNC (1 2))", "<x> qresync 1 2 "},
        {"a SELECT x (QRESYNC (1 2 3 (1:2 3:4)) CONDSTORE)", "<x> condstore qresync 1 2 3"},
        {"a CREATE \"a b/c\"", "<a b/c>"},
        {"a CREATE x (USE (\\Sent \\Drafts))", "<x> use=\\Sent \\Drafts"}, /* RFC 6154 3 */
        {"a CREATE x (USE ())", "<x>"},
        {"a DELETE x", "<x>"},
        {"a SUBSCRIBE {1}\r\nx", "<x>"},
        {"a UNSUBSCRIBE x", "<x>"},
        {"a RENAME a {1}\r\nb", "<a> <b>"},
        {"a RENAME inbox old", "<INBOX> <old>"},
        {"a STATUS x (MESSAGES unseen UIDNEXT)", "<x> 15"},
        {"a STATUS x (RECENT UIDVALIDITY DELETED SIZE HIGHESTMODSEQ)", "<x> ea"},
        {"a APPEND inbox ", "<INBOX> ()"},
        {"a APPEND x (\\Seen \\Draft Work) ", "<x> (\\Seen \\Draft Work)"},
        {"a APPEND x () ", "<x> ()"},
        {"a APPEND x \" 7-Feb-1994 21:52:25 -0800\" ", "<x> () \" 7-Feb-1994 21:52:25 -0800\""},
        {"a APPEND {1}\r\nx (\\Seen) \"17-Jul-1996 02:44:25 +0530\" ",
         "<x> (\\Seen) \"17-Jul-1996 02:44:25 +0530\""},
        {"a COPY 1:3,* x", "1:3,* <x>"},
        {"a UID MOVE 5:2 x", "5:2 <x>"},
        {"a UID EXPUNGE 1:*", "1:*"}, /* RFC 4315 2.1 */
        {"a ID NIL", "NIL"},
        {"a ID ()", ""},
        {"a ID (\"name\" \"x\" \"version\" NIL)", "<name>=<x><version>=<NIL>"}, /* RFC 2971 */
        {"a ENABLE CONDSTORE X-Y", "<CONDSTORE><X-Y>"},                         /* RFC 5161 */
    };

    check(rows, MS_ARRAY_LEN(rows), false);
}

static void test_utf8_names(void **state)
{
    static const struct row rows[] = {
        {"a SELECT \"\xc3\xa4\"", "<\xc3\xa4>"}, /* RFC 6855 3 */
        {"a SELECT a&b", "<a&b>"},
        {"a SELECT \"&ZeVnLIqe-\"", "<&ZeVnLIqe->"},
        {"a SELECT {1}\r\n\xe4", "!MS_EINVAL Mailbox name is not UTF-8"},
        {"a SELECT \xc3\xa4", "!MS_ESYNTAX String or atom expected"}, /* only quoted */
    };

    check(rows, MS_ARRAY_LEN(rows), true);
}

static void test_refused(void **state)
{
    static const char *const syntax[] = {
        "a NOOP x",
        "a LOGIN",
        "a LOGIN ",
        "a LOGIN joe",
        "a LOGIN joe ",
        "a LOGIN joe secret ",
        "a LOGIN joe  secret",
        "a LOGIN joe secret x",
        "a LOGIN (joe) x",
        "a LOGIN jo\"e x",
        "a LOGIN \"joe x",
        "a LOGIN \"joe\"x y",
        "a LOGIN \"j\\oe\" x",
        "a LOGIN \"joe\\",
        "a LOGIN \"j\roe\" x",
        "a LOGIN \"j\noe\" x",
        "a LOGIN \"\xff\" x",
        "a LOGIN j\xc3\xa4 x",
        "a LOGIN {3}\r\njo",
        "a LOGIN {3}\njoe x",
        "a LOGIN {3joe x",
        "a LOGIN {}\r\njoe x",
        "a LOGIN {-1}\r\njoe x",
        "a LOGIN {3-}\r\njoe x",
        "a LOGIN {99999999999999999999999}\r\njoe x",
        "a LOGIN {18446744073709551615}\r\njoe x",
        "a LOGIN ~{3}\r\njoe x",
        "a AUTHENTICATE",
        "a AUTHENTICATE ",
        "a AUTHENTICATE PLAIN ",
        "a AUTHENTICATE PLAIN a*b",
        "a AUTHENTICATE PLAIN AAAA AAAA",
        "a AUTHENTICATE \"PLAIN\"",
        "a SELECT",
        "a SELECT ",
        "a SELECT a b",
        "a SELECT %",
        "a SELECT a*",
        "a SELECT x ()",
        "a SELECT x (FOO)",
        "a SELECT x (CONDSTORE",
        "a SELECT x CONDSTORE",
        "a SELECT x (QRESYNC)",
        "a SELECT x (QRESYNC 1 2)",
        "a SELECT x (QRESYNC (0 2))",
        "a SELECT x (QRESYNC (1))",
        "a SELECT x (QRESYNC (1 2 3 (4)))",
        "a SELECT x (QRESYNC (1 2 3 (4 5))",
        "a CREATE x (USE \\Sent)",
        "a CREATE x (USE (Sent))",
        "a CREATE x (USE (\\Sent)",
        "a CREATE x (USE (\\Sent  \\Junk))",
        "a CREATE x USE",
        "a RENAME a",
        "a RENAME a ",
        "a RENAME a b c",
        "a STATUS x",
        "a STATUS x ()",
        "a STATUS x MESSAGES",
        "a STATUS x (FOO)",
        "a STATUS x (MESSAGES)x",
        "a STATUS x (MESSAGES UNSEEN",
        "a APPEND",
        "a APPEND x",
        "a APPEND x y ",
        "a APPEND x (\\Seen)",
        "a APPEND x (\\Seen ) ",
        "a APPEND x ( \\Seen) ",
        "a APPEND x (a\"b) ",
        "a APPEND x \\Seen ",
        "a APPEND x \"7-Feb-1994 21:52:25 -0800\" ",
        "a APPEND x \"07-Feb-1994 21:52:25\" ",
        "a APPEND x \"30-Feb-1994 21:52:25 +0000\" ",
        "a APPEND x \"29-Feb-1900 21:52:25 +0000\" ",
        "a APPEND x \"00-Feb-1994 21:52:25 +0000\" ",
        "a APPEND x \"01-Feb-94 21:52:25 +0000\" ",
        "a APPEND x \"01-Foo-1994 21:52:25 +0000\" ",
        "a APPEND x \"01-Feb-1994 24:52:25 +0000\" ",
        "a APPEND x \"01-Feb-1994 21:60:25 +0000\" ",
        "a APPEND x \"01-Feb-1994 21:52:61 +0000\" ",
        "a APPEND x \"01-Feb-1994 21:52:25 0000\" ",
        "a APPEND x \"01-Feb-1994 21:52:25 +2400\" ",
        "a APPEND x \"01-Feb-1994 21:52:25 +0060\" ",
        "a APPEND x \"01-Feb-1994 21:52:25 UT\" ",
        "a APPEND x \"01-Feb-1994 21:52:25 +0000 ",
        "a APPEND x \"01-Feb-1994 21:52:25 +0000\" (\\Seen) ",
        "a COPY x",
        "a COPY 1",
        "a COPY 1 ",
        "a COPY 0 x",
        "a COPY 1: x",
        "a COPY 1,,2 x",
        "a COPY 1:2:3 x",
        "a COPY 4294967296 x",
        "a UID EXPUNGE",
        "a UID EXPUNGE x",
        "a ID",
        "a ID x",
        "a ID (\"name\")",
        "a ID (\"name\" x)",
        "a ID (name \"x\")",
        "a ID (NIL \"x\")",
        "a ID (\"name\" NIL",
        "a ID NIL x",
        "a ENABLE",
        "a ENABLE ",
        "a ENABLE a  b",
        "a ENABLE \"a\"",
    };
    /* In the grammar, but not to be had: NO. */
    static const char *const invalid[] = {
        "a SELECT \"\"",          "a SELECT a&b", /* RFC 3501 5.1.3: unfinished shift */
        "a SELECT \"&AGEAYg-\"",                  /* shifted ASCII */
        "a SELECT \"&ZeVnLIqe\"", "a SELECT \"\xc3\xa4\"",
        "a SELECT \"a\x01\"",     "a SELECT \"&AAA-\"", /* U+0000 */
        "a RENAME a \"&\"",       "a APPEND \"a&b\" (\\Seen) ",
        "a APPEND x (\\Recent) ", "a APPEND x (\\Foo) ",
    };
    static const char *const unsupported[] = {"a CREATE x (PARTITION y)"};

    check_refused(syntax, MS_ARRAY_LEN(syntax), "!MS_ESYNTAX");
    check_refused(invalid, MS_ARRAY_LEN(invalid), "!MS_EINVAL");
    check_refused(unsupported, MS_ARRAY_LEN(unsupported), "!MS_EUNSUPPORTED");
}

static void assert_limit(struct str *text, const char *want)
{
    struct arena arena;
    struct str out;

    arena_init(&arena, 0);
    str_init(&out, 0);
    describe_command(&out, str_slice(text), false, &arena);
    if (!slice_has_prefix(str_slice(&out), slice_cstr(want)))
        fail_msg("%.60s gives %.80s", str_cstr(text), str_cstr(&out));
    str_fini(&out);
    arena_fini(&arena);
    str_reset(text);
}

static void test_limits(void **state)
{
    struct str text;

    str_init(&text, 0);
    for (int over = 0; over <= 1; over++) {
        str_addf(&text, "a SELECT %0*d", IMAP_MAILBOX_MAX + over, 0);
        assert_limit(&text, over ? "!MS_ELIMIT" : "<0");
        str_addf(&text, "a STORE 1 FLAGS (%0*d)", IMAP_FLAG_BYTES_MAX + over, 0);
        assert_limit(&text, over ? "!MS_ELIMIT" : "1 = (0");
        str_add_cstr(&text, "a STORE 1 FLAGS (x");
        for (int i = 1; i < IMAP_FLAGS_MAX + over; i++)
            str_addf(&text, " k%d", i);
        str_add_byte(&text, ')');
        assert_limit(&text, over ? "!MS_ELIMIT" : "1 = (x");
        str_add_cstr(&text, "a ID (\"a\" NIL");
        for (int i = 1; i < IMAP_ID_PAIRS_MAX + over; i++)
            str_add_cstr(&text, " \"a\" NIL");
        str_add_byte(&text, ')');
        assert_limit(&text, over ? "!MS_ESYNTAX" : "<a>"); /* RFC 2971 3.3: no more than 30 */
        str_add_cstr(&text, "a ENABLE x");
        for (int i = 1; i < IMAP_ENABLE_MAX + over; i++)
            str_add_cstr(&text, " x");
        assert_limit(&text, over ? "!MS_ELIMIT" : "<x>");
    }
    str_fini(&text);
}

/* An arena without room is an answer at every allocation, not the end of the process. */
static void test_memory(void **state)
{
    static const char *const rows[] = {
        "a LOGIN {3}\r\njoe \"x\"",
        "a SELECT \"&ZeVnLIqe-\"",
        "a FETCH 1,3 (BODY[1.2.HEADER.FIELDS (A)])",
        "a STORE 1 FLAGS (x y)",
        "a SEARCH NEW NOT OR KEYWORD x HEADER a b",
        "a ID (\"a\" \"b\")",
        "a LIST \"\" (a b)",
        "a ENABLE x",
        "a CREATE x (USE (\\Sent))",
        "a AUTHENTICATE PLAIN AAAA",
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        bool ok = false;
        for (size_t max = 1; !ok && max < 65536; max += max < 2000 ? 64 : 1024) {
            struct arena arena;
            struct str out;

            arena_init(&arena, max);
            str_init(&out, 0);
            describe_command(&out, slice_cstr(rows[i]), false, &arena);
            ok = out.ptr[0] != '!';
            assert_true(ok || slice_has_prefix(str_slice(&out), SLICE_LIT("!MS_ELIMIT")));
            str_fini(&out);
            arena_fini(&arena);
        }
        assert_true(ok);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),    cmocka_unit_test(test_good),   cmocka_unit_test(test_utf8_names),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_limits), cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
