#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../../src/account/account_priv.h"

static const struct {
    const char *login;
    enum ms_err want;
} login_rows[] = {
    {"anna", MS_OK},
    {"anna@example.org", MS_OK},
    {"a.b-c_d@sub.example.org", MS_OK},
    {"j\xc3\xb6rg@example.org", MS_OK},
    {"", MS_EINVAL},
    {"@example.org", MS_EINVAL},
    {"anna@", MS_EINVAL},
    {"an na@example.org", MS_EINVAL},
    {"anna+x@example.org", MS_EINVAL}, /* the separator is for sub-addresses */
    {".anna@example.org", MS_EINVAL},
    {"anna.@example.org", MS_EINVAL},
    {"an..na@example.org", MS_EINVAL},
    {"anna@.example.org", MS_EINVAL},
    {"anna@example..org", MS_EINVAL},
    {"anna@exa mple.org", MS_EINVAL},
    {"\xff@example.org", MS_EINVAL},
    {"\"quoted\"@example.org", MS_EINVAL},
    {"a@b@example.org", MS_EINVAL},
};

static void test_login_check(void **state)
{
    uint8_t longest[ACCOUNT_LOGIN_MAX + 1];
    for (size_t i = 0; i < MS_ARRAY_LEN(login_rows); i++)
        assert_int_equal(account_login_check(slice_cstr(login_rows[i].login)), login_rows[i].want);
    memset(longest, 'a', sizeof longest);
    assert_int_equal(account_login_check(slice_make(longest, 64)), MS_OK);
    assert_int_equal(account_login_check(slice_make(longest, 65)), MS_EINVAL);
    assert_int_equal(account_login_check(slice_make(longest, sizeof longest)), MS_ELIMIT);
}

static void test_canonical(void **state)
{
    struct account a = {.default_domain = "example.org"};
    char out[ACCOUNT_LOGIN_MAX + 1];
    assert_int_equal(account__canonical(&a, SLICE_LIT("Anna"), out), MS_OK);
    assert_string_equal(out, "anna@example.org");
    assert_int_equal(account__canonical(&a, SLICE_LIT("Anna@Example.NET"), out), MS_OK);
    assert_string_equal(out, "anna@example.net");
    assert_int_equal(account__canonical(&a, SLICE_LIT(""), out), MS_EINVAL);
    assert_int_equal(account__canonical(&a, slice_make("a\0b", 3), out), MS_EINVAL);
}

static void test_strip_detail(void **state)
{
    char out[ACCOUNT_LOGIN_MAX + 1];
    struct slice detail;
    assert_true(account__strip_detail(SLICE_LIT("anna+Lists@example.org"), out, &detail));
    assert_string_equal(out, "anna@example.org");
    assert_true(slice_eq_cstr(detail, "Lists"));
    assert_true(account__strip_detail(SLICE_LIT("anna+a+b"), out, &detail));
    assert_string_equal(out, "anna");
    assert_true(slice_eq_cstr(detail, "a+b"));
    assert_true(account__strip_detail(SLICE_LIT("anna+@example.org"), out, &detail));
    assert_int_equal(detail.len, 0);
    assert_false(account__strip_detail(SLICE_LIT("anna@example.org"), out, &detail));
    assert_false(account__strip_detail(SLICE_LIT("+x@example.org"), out, &detail));
    assert_false(account__strip_detail(SLICE_LIT("anna@ex+ample.org"), out, &detail));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_login_check),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_strip_detail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
