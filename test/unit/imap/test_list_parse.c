/* LIST and LSUB arguments (RFC 3501 6.3.8, RFC 5258, RFC 5819, RFC 6154) and the wildcard match. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "imap_check.h"

static void test_good(void **state)
{
    static const struct described rows[] = {
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
        /* RFC 9051 6.3.9: a pattern that cannot be is ignored */
        {"a LIST \"\" &bad", "<> opts=0 status=0"},
        {"a LIST \"\" (&bad x \"a\x01\")", "<> <x> opts=100 status=0"},
        {"a LIST \"\" * RETURN (STATUS (MAILBOXID APPENDLIMIT))", "<> <*> opts=180 status=300"},
    };
    check_described(rows, MS_ARRAY_LEN(rows));
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
    check_syntax_refused(rows, MS_ARRAY_LEN(rows));
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

/* The obvious match, to be compared with. */
static bool plain_match(struct slice p, struct slice n, uint8_t sep)
{
    if (!p.len)
        return !n.len;
    if (p.ptr[0] == '*' || p.ptr[0] == '%')
        return plain_match(slice_sub(p, 1, SIZE_MAX), n, sep) ||
               (n.len && (p.ptr[0] == '*' || n.ptr[0] != sep) &&
                plain_match(p, slice_sub(n, 1, SIZE_MAX), sep));
    return n.len && n.ptr[0] == p.ptr[0] &&
           plain_match(slice_sub(p, 1, SIZE_MAX), slice_sub(n, 1, SIZE_MAX), sep);
}

/* Every pattern of up to five characters against every name of up to five. */
static void test_match_all(void **state)
{
    static const char pattern_chars[] = "ab/*%", name_chars[] = "ab/";
    uint8_t pattern[5], name[6];
    struct arena arena;

    arena_init(&arena, 0);
    for (unsigned p = 0; p < 5 * 3125; p++) {
        struct slice pat = slice_make(pattern, p / 3125 + 1);
        struct imap_pattern *made;

        for (unsigned i = 0, v = p % 3125; i < 5; i++, v /= 5)
            pattern[i] = (uint8_t)pattern_chars[v % 5];
        arena_reset(&arena);
        assert_int_equal(imap_pattern_create(&arena, pat, '/', &made), MS_OK);
        for (unsigned n = 0; n < 6 * 243; n++) {
            struct slice nam = slice_make(name, n / 243);
            bool want;

            for (unsigned i = 0, v = n % 243; i < 5; i++, v /= 3)
                name[i] = (uint8_t)name_chars[v % 3];
            want = plain_match(pat, nam, '/');
            if (imap_pattern_match(made, nam) != want)
                fail_msg(SLICE_FMT " " SLICE_FMT ": not %d", SLICE_ARG(pat), SLICE_ARG(nam), want);
            if (!want || !imap_pattern_ends_in_star(made))
                continue;
            name[nam.len] = '/'; /* all that is below it, too */
            assert_true(imap_pattern_match(made, slice_make(name, nam.len + 1)));
        }
    }
    arena_fini(&arena);
}

/* Patterns that need more than one word of bits, and the bounds. */
static void test_match_long(void **state)
{
    struct str pattern, name;
    struct imap_pattern *p;
    struct arena arena;

    arena_init(&arena, 0);
    str_init(&pattern, 0);
    str_init(&name, 0);
    for (unsigned i = 0; i < 200; i++) {
        str_add_cstr(&pattern, i % 2 ? "%b" : "a");
        str_add_cstr(&name, i % 2 ? "xyb" : "a");
        assert_true(imap_list_match(str_slice(&pattern), str_slice(&name), '/'));
        assert_false(imap_list_match(str_slice(&pattern), slice_sub(str_slice(&name), 1, SIZE_MAX), '/'));
        assert_false(imap_list_match(str_slice(&pattern), slice_sub(str_slice(&name), 0, name.len - 1), '/'));
    }
    str_reset(&pattern);
    str_reset(&name);
    for (unsigned i = 0; i < IMAP_MAILBOX_MAX; i++)
        str_add_byte(&pattern, (uint8_t)(i % 2 ? '*' : i % 200 + 33 == '*' ? 'x' : i % 200 + 33));
    assert_int_equal(imap_pattern_create(&arena, str_slice(&pattern), '/', &p), MS_OK);
    assert_true(imap_pattern_ends_in_star(p));
    for (unsigned i = 0; i < IMAP_MAILBOX_MAX; i += 2)
        str_add_byte(&name, pattern.ptr[i]);
    assert_true(imap_pattern_match(p, str_slice(&name)));
    assert_false(imap_pattern_match(p, slice_sub(str_slice(&name), 0, name.len - 1)));
    str_add_byte(&pattern, 'x');
    assert_int_equal(imap_pattern_create(&arena, str_slice(&pattern), '/', &p), MS_ELIMIT);
    str_fini(&pattern);
    str_fini(&name);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_match),      cmocka_unit_test(test_match_all),
        cmocka_unit_test(test_match_long), cmocka_unit_test(test_match_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
