/* LOGIN: two steps, the name may come first. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ms/sasl.h"

static const struct {
    const char *name;
    size_t name_len;
    enum ms_err after_name;
    const char *password;
    size_t password_len;
    enum ms_err after_password;
} rows[] = {
#define R(name, err1, pass, err2)                                                                            \
    {                                                                                                        \
        name, sizeof(name) - 1, err1, pass, sizeof(pass) - 1, err2                                           \
    }
    R("tim", MS_OK, "secret", MS_OK),
    R("tim@example.org", MS_OK, " with blanks ", MS_OK),
    R("j\xc3\xb6rg", MS_OK, "gr\xc3\xbc\xc3\x9f", MS_OK),
    R("", MS_ESYNTAX, "", MS_OK),
    R("ti\0m", MS_ESYNTAX, "", MS_OK),
    R("\0tim\0secret", MS_ESYNTAX, "", MS_OK), /* PLAIN by mistake */
    R("t\xff", MS_ESYNTAX, "", MS_OK),
    R("tim", MS_OK, "", MS_ESYNTAX),
    R("tim", MS_OK, "sec\0ret", MS_ESYNTAX),
    R("tim", MS_OK, "\xc3", MS_ESYNTAX),
#undef R
};

static void test_rows(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct sasl s;
        sasl_init(&s, sasl_mech_find(SLICE_LIT("login")));
        assert_string_equal(str_cstr(&s.challenge), "Username:");
        assert_int_equal(sasl_step(&s, slice_make(rows[i].name, rows[i].name_len)), rows[i].after_name);
        if (rows[i].after_name == MS_OK) {
            assert_int_equal(s.state, SASL_WANT_CLIENT);
            assert_string_equal(str_cstr(&s.challenge), "Password:");
            assert_int_equal(sasl_step(&s, slice_make(rows[i].password, rows[i].password_len)),
                             rows[i].after_password);
        }
        if (rows[i].after_name || rows[i].after_password) {
            assert_int_equal(s.state, SASL_FAILED);
        } else {
            assert_int_equal(s.state, SASL_HAVE_PASSWORD);
            assert_string_equal(str_cstr(&s.authcid), rows[i].name);
            assert_string_equal(str_cstr(&s.password), rows[i].password);
            assert_int_equal(s.authzid.len, 0);
        }
        sasl_fini(&s);
    }
}

static void test_limits(void **state)
{
    uint8_t big[SASL_MESSAGE_MAX + 1];
    struct sasl s;
    memset(big, 'a', sizeof big);
    sasl_init(&s, sasl_mech_find(SLICE_LIT("LOGIN")));
    assert_int_equal(sasl_step(&s, slice_make(big, SASL_NAME_MAX + 1)), MS_ELIMIT);
    assert_int_equal(s.state, SASL_FAILED);
    sasl_fini(&s);
    sasl_init(&s, sasl_mech_find(SLICE_LIT("LOGIN")));
    assert_int_equal(sasl_step(&s, slice_make(big, SASL_NAME_MAX)), MS_OK);
    assert_int_equal(sasl_step(&s, slice_make(big, sizeof big)), MS_ELIMIT);
    assert_int_equal(s.state, SASL_FAILED);
    sasl_fini(&s);
    sasl_init(&s, sasl_mech_find(SLICE_LIT("LOGIN")));
    assert_int_equal(sasl_step(&s, slice_make(big, SASL_NAME_MAX)), MS_OK);
    assert_int_equal(sasl_step(&s, slice_make(big, SASL_MESSAGE_MAX)), MS_OK);
    assert_int_equal(s.password.len, SASL_MESSAGE_MAX);
    sasl_fini(&s);
}

static void test_names(void **state)
{
    assert_string_equal(sasl_mech_name(sasl_mech_find(SLICE_LIT("Login"))), "LOGIN");
    assert_null(sasl_mech_find(SLICE_LIT("LOGINX")));
    assert_null(sasl_mech_find(SLICE_LIT("")));
    assert_string_equal(sasl_mech_name(sasl_mech_find(SLICE_LIT("PLAIN"))), "PLAIN");
    assert_string_equal(sasl_mech_name(sasl_mech_find(SLICE_LIT("LOGIN"))), "LOGIN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_limits),
                                       cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
