#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ms/sasl.h"

static const struct {
    const char *bytes;
    size_t len;
    enum ms_err want;
} rows[] = {
#define R(text, err)                                                                                         \
    {                                                                                                        \
        text, sizeof(text) - 1, err                                                                          \
    }
    R("", MS_OK), /* RFC 4422 A.1: from the credentials */
    R("fred@example.com", MS_OK),
    R("j\xc3\xb6rg", MS_OK),
    R("fr\0ed", MS_ESYNTAX),
    R("\0", MS_ESYNTAX),
    R("\xff", MS_ESYNTAX),
    R("j\xc3", MS_ESYNTAX),
#undef R
};

static void check(struct slice message, enum ms_err want)
{
    struct sasl s;

    sasl_init(&s, sasl_mech_external());
    assert_int_equal(s.challenge.len, 0);
    assert_int_equal(sasl_step(&s, message), want);
    assert_int_equal(s.state, want ? SASL_FAILED : SASL_HAVE_EXTERNAL);
    assert_true(slice_eq(str_slice(&s.authzid), want ? SLICE_LIT("") : message));
    assert_int_equal(s.password.len, 0);
    sasl_fini(&s);
}

static void test_rows(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        check(slice_make(rows[i].bytes, rows[i].len), rows[i].want);
}

static void test_limits(void **state)
{
    uint8_t big[SASL_NAME_MAX + 1];

    memset(big, 'a', sizeof big);
    check(slice_make(big, SASL_NAME_MAX), MS_OK);
    check(slice_make(big, SASL_NAME_MAX + 1), MS_ELIMIT);
}

/* Whoever looks for a mechanism by name does not get it. */
static void test_not_offered(void **state)
{
    assert_null(sasl_mech_find(SLICE_LIT("EXTERNAL")));
    assert_null(sasl_mech_find(SLICE_LIT("external")));
    assert_string_equal(sasl_mech_name(sasl_mech_external()), "EXTERNAL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_limits),
                                       cmocka_unit_test(test_not_offered)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
