/* LIST and LSUB arguments (RFC 3501 6.3.8, RFC 5258, RFC 5819, RFC 6154) and the wildcard match. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "imap_describe.h"

static void describe(struct str *out, const char *text)
{
    struct arena arena;

    arena_init(&arena, 0);
    str_reset(out);
    describe_command(out, slice_cstr(text), false, &arena);
    arena_fini(&arena);
}

static void test_good(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } rows[] = {
        {"a LIST \"\" *", "<> <*> opts=0 status=0"},
        {"a LIST \"\" \"\"", "<> <> opts=0 status=0"},
        {"a LIST \"\" %/%", "<> <%/%> opts=0 status=0"},
        {"a LIST x {1}\r\n%", "<x> <%> opts=0 status=0"},
        {"a LIST \"\" &ZeVnLIqe-/*", "<> <\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e/*> opts=0 status=0"},
        {"a LIST \"\" (INBOX %)", "<> <INBOX> <%> opts=100 status=0"},
        {"a LIST () \"\" *", "<> <*> opts=100 status=0"},
        {"a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" *", "<> <*> opts=105 status=0"},
        {"a LIST (SPECIAL-USE) \"\" *", "<> <*> opts=108 status=0"},
        {"a LIST (REMOTE) \"\" *", "<> <*> opts=102 status=0"},
        {"a LIST \"\" * RETURN ()", "<> <*> opts=100 status=0"},
        {"a LIST \"\" * RETURN (SUBSCRIBED children SPECIAL-USE)", "<> <*> opts=170 status=0"},
        {"a LIST \"\" * RETURN (STATUS (MESSAGES UNSEEN) CHILDREN)", "<> <*> opts=1a0 status=11"},
        {"a LSUB \"\" %", "<> <%> opts=0 status=0"},
    };
    struct str out;

    str_init(&out, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        describe(&out, rows[i].text);
        if (!slice_eq_cstr(str_slice(&out), rows[i].want))
            fail_msg("%s\n  gives %s\n  not   %s", rows[i].text, str_cstr(&out), rows[i].want);
    }
    str_fini(&out);
}

static void test_refused(void **state)
{
    static const char *const rows[] = {
        "a LIST",
        "a LIST \"\"",
        "a LIST \"\" ",
        "a LIST \"\" * ",
        "a LIST \"\" * x",
        "a LIST % *",
        "a LIST \"\" ()",
        "a LIST \"\" (a",
        "a LIST \"\" (a  b)",
        "a LIST (FOO) \"\" *",
        "a LIST (SUBSCRIBED \"\" *",
        "a LIST (SUBSCRIBED)\"\" *",
        "a LIST (RECURSIVEMATCH) \"\" *", /* RFC 5258 3.1 */
        "a LIST (RECURSIVEMATCH REMOTE) \"\" *",
        "a LIST (CHILDREN) \"\" *",
        "a LIST \"\" * RETURN",
        "a LIST \"\" * RETURN FOO",
        "a LIST \"\" * RETURN (FOO)",
        "a LIST \"\" * RETURN (STATUS)",
        "a LIST \"\" * RETURN (STATUS ())",
        "a LIST \"\" * RETURN (CHILDREN",
        "a LIST \"\" * RETURNS ()",
        "a LSUB \"\" (a b)",
        "a LSUB (SUBSCRIBED) \"\" *",
        "a LSUB \"\" * RETURN ()",
    };
    struct str text;
    struct str out;

    str_init(&out, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        describe(&out, rows[i]);
        if (!slice_has_prefix(str_slice(&out), SLICE_LIT("!MS_ESYNTAX")))
            fail_msg("%s\n  gives %s", rows[i], str_cstr(&out));
    }
    str_init(&text, 0);
    str_add_cstr(&text, "a LIST \"\" (x");
    for (int i = 0; i < IMAP_LIST_PATTERNS_MAX; i++)
        str_add_cstr(&text, " x");
    str_add_byte(&text, ')');
    describe(&out, str_cstr(&text));
    assert_true(slice_has_prefix(str_slice(&out), SLICE_LIT("!MS_ELIMIT")));
    str_fini(&text);
    str_fini(&out);
}

static void test_match(void **state)
{
    static const struct {
        const char *pattern;
        const char *name;
        bool want;
    } rows[] = {
        {"*", "a", true},
        {"*", "a/b/c", true},
        {"*", "", true},
        {"%", "a", true},
        {"%", "a/b", false},
        {"%", "", true},
        {"", "", true},
        {"", "a", false},
        {"a", "", false},
        {"a", "a", true},
        {"a", "A", false},
        {"a", "ab", false},
        {"%/%", "a/b", true},
        {"%/%", "a/b/c", false},
        {"%/%", "a", false},
        {"a/%", "a/", true},
        {"a*", "a/b", true},
        {"a%", "a/b", false},
        {"*b", "a/b", true},
        {"*/b", "a/x/b", true},
        {"%b", "a/b", false},
        {"*%", "a/b/c", true},
        {"%*", "a/b/c", true},
        {"%%", "ab", true},
        {"%%", "a/b", false},
        {"*a%", "ba/xa", true},
        {"*a%c", "a/ab/c", false},
        {"*a%c", "a/abc", true},
        {"%a%/b", "xay/b", true},
        {"%a%/b", "xy/b", false},
        {"a%c*e", "abc/de", true},
        {"a%c*e", "ab/cde", false},
        /* RFC 3501 5.1: INBOX in any case, alone and as a parent */
        {"inbox", "INBOX", true},
        {"InB%", "INBOX", true},
        {"inbox/%", "INBOX/a", true},
        {"inbox/A", "INBOX/a", false},
        {"inboxes", "INBOXES", false},
        {"x/inbox", "x/INBOX", false},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        if (imap_list_match(slice_cstr(rows[i].pattern), slice_cstr(rows[i].name), '/') != rows[i].want)
            fail_msg("%s %s", rows[i].pattern, rows[i].name);
    assert_true(imap_list_match(SLICE_LIT("%"), SLICE_LIT("a/b"), '.'));
    assert_false(imap_list_match(SLICE_LIT("%"), SLICE_LIT("a.b"), '.'));
}

/* No pattern may take more than pattern x name: this one would never end with naive backtracking. */
static void test_match_is_bounded(void **state)
{
    char pattern[IMAP_MAILBOX_MAX];
    char name[IMAP_MAILBOX_MAX];
    clock_t start = clock();

    memset(name, 'a', sizeof name);
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = "*a%a"[i % 4];
    pattern[sizeof pattern - 1] = 'b';
    for (int i = 0; i < 10; i++)
        assert_false(
            imap_list_match(slice_make(pattern, sizeof pattern), slice_make(name, sizeof name), '/'));
    assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
    assert_false(imap_list_match(slice_make(name, IMAP_MAILBOX_MAX + 1), slice_make(name, 1), '/'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_match_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
