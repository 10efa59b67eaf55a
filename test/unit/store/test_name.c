/* test_name.c - mailbox names: what is one, and its canonical form. */
#include "store_fixture.h"

static void repeat(struct str *out, const char *what, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        str_add_cstr(out, what);
}

static void test_table(void **state)
{
    static const struct {
        const char *in, *out; /* out NULL: err */
        enum ms_err err;
    } rows[] = {
        {"INBOX", "INBOX", MS_OK},
        {"inbox", "INBOX", MS_OK},
        {"InBoX/Sub", "INBOX/Sub", MS_OK},
        {"inboxes", "inboxes", MS_OK},
        {"Work/inbox", "Work/inbox", MS_OK},
        {"Entw\xc3\xbcrfe", "Entw\xc3\xbcrfe", MS_OK},
        {"a b.c&d", "a b.c&d", MS_OK},
        /* RFC 9051 5.1: one name, however it is composed */
        {"Entwu\xcc\x88rfe", "Entw\xc3\xbcrfe", MS_OK},
        {"\xe2\x84\xab", "\xc3\x85", MS_OK},                 /* ANGSTROM SIGN */
        {"\xe1\x84\x80\xe1\x85\xa1", "\xea\xb0\x80", MS_OK}, /* Hangul jamo */
        {"q\xcc\x87\xcc\xa3", "q\xcc\xa3\xcc\x87", MS_OK},   /* marks get their order */
        {"\xef\xac\x81", "\xef\xac\x81", MS_OK},             /* a ligature is no spelling of two letters */
        {"i\xcc\x87nbox", "i\xcc\x87nbox", MS_OK},           /* not INBOX */
        {"\xd7\xa9\xe2\x80\x8f", "\xd7\xa9\xe2\x80\x8f", MS_OK}, /* a mark of direction may be needed */
        {"\xf0\x9f\x93\xa7/x", "\xf0\x9f\x93\xa7/x", MS_OK},
        /* RFC 5198 2 */
        {"a\xc2\x85", NULL, MS_EINVAL},
        {"\xc2\x9f", NULL, MS_EINVAL},
        {"a\xe2\x80\xa8z", NULL, MS_EINVAL},
        {"a\xe2\x80\xa9z", NULL, MS_EINVAL},
        {"\xef\xbb\xbfz", NULL, MS_EINVAL},
        {"\xef\xbf\xbe", NULL, MS_EINVAL},
        {"\xef\xb7\x90", NULL, MS_EINVAL},
        {"\xf4\x8f\xbf\xbf", NULL, MS_EINVAL},
        {"a/b/c", "a/b/c", MS_OK},
        {"", NULL, MS_EINVAL},
        {"/", NULL, MS_EINVAL},
        {"/a", NULL, MS_EINVAL},
        {"a/", NULL, MS_EINVAL},
        {"a//b", NULL, MS_EINVAL},
        {"a*", NULL, MS_EINVAL},
        {"a%b", NULL, MS_EINVAL},
        {"a\nb", NULL, MS_EINVAL},
        {"a\x7f", NULL, MS_EINVAL},
        {"\x01", NULL, MS_EINVAL},
        {"\xff", NULL, MS_EINVAL},
        {"\xc3", NULL, MS_EINVAL},
        {"\xc0\xaf", NULL, MS_EINVAL},
        {"\xed\xa0\x80", NULL, MS_EINVAL},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct str out;

        str_init(&out, 0);
        str_add_cstr(&out, "kept:");
        IS(store_name_canonical(slice_cstr(rows[i].in), &out), rows[i].err);
        if (rows[i].out)
            assert_string_equal(str_cstr(&out) + 5, rows[i].out);
        assert_memory_equal(out.ptr, "kept:", 5);
        assert_true(rows[i].out || out.len == 5);
        str_fini(&out);
    }
    IS(store_name_check(SLICE_LIT("inbox")), MS_EINVAL); /* not canonical */
    IS(store_name_check(SLICE_LIT("Inbox/x")), MS_EINVAL);
    OK(store_name_check(SLICE_LIT("INBOX/x")));
}

static void test_limits(void **state)
{
    struct str name;

    str_init(&name, 0);
    repeat(&name, "x", STORE_NAME_MAX);
    OK(store_name_check(str_slice(&name)));
    repeat(&name, "x", 1);
    IS(store_name_check(str_slice(&name)), MS_ELIMIT);
    /* the bound is that of the name that is kept, not of the one that is given */
    str_reset(&name);
    repeat(&name, "u\xcc\x88", STORE_NAME_MAX / 2);
    {
        struct str out;

        str_init(&out, 0);
        OK(store_name_canonical(str_slice(&name), &out));
        assert_int_equal(out.len, STORE_NAME_MAX);
        repeat(&name, "x", 1);
        IS(store_name_canonical(str_slice(&name), &out), MS_ELIMIT);
        assert_int_equal(out.len, STORE_NAME_MAX);
        str_fini(&out);
    }
    str_reset(&name);
    repeat(&name, "a/", STORE_LEVELS_MAX - 1);
    repeat(&name, "a", 1);
    OK(store_name_check(str_slice(&name)));
    repeat(&name, "/a", 1);
    IS(store_name_check(str_slice(&name)), MS_ELIMIT);
    str_fini(&name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_limits)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
