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
    const char *authzid, *authcid, *password;
} rows[] = {
#define R(text, err, zid, cid, pass)                                                                         \
    {                                                                                                        \
        text, sizeof(text) - 1, err, zid, cid, pass                                                          \
    }
    R("\0tim\0tanstaaftanstaaf", MS_OK, "", "tim", "tanstaaftanstaaf"), /* RFC 4616 4, first example */
    R("Ursel\0Kurt\0xipj3plmq", MS_OK, "Ursel", "Kurt", "xipj3plmq"),   /* RFC 4616 4, last example */
    R("\0j\xc3\xb6rg\0gr\xc3\xbc\xc3\x9f", MS_OK, "", "j\xc3\xb6rg", "gr\xc3\xbc\xc3\x9f"),
    R("\0u\0p w", MS_OK, "", "u", "p w"),
    R("", MS_ESYNTAX, 0, 0, 0),
    R("\0", MS_ESYNTAX, 0, 0, 0),
    R("\0\0", MS_ESYNTAX, 0, 0, 0),
    R("\0user", MS_ESYNTAX, 0, 0, 0),
    R("\0user\0", MS_ESYNTAX, 0, 0, 0),
    R("\0\0secret", MS_ESYNTAX, 0, 0, 0),
    R("\0user\0sec\0ret", MS_ESYNTAX, 0, 0, 0),
    R("user secret", MS_ESYNTAX, 0, 0, 0),
    R("\0us\xff"
      "er\0secret",
      MS_ESYNTAX, 0, 0, 0),
#undef R
};

static void test_rows(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct sasl s;
        sasl_init(&s, sasl_mech_find(SLICE_LIT("plain")));
        assert_int_equal(sasl_step(&s, slice_make(rows[i].bytes, rows[i].len)), rows[i].want);
        if (rows[i].want == MS_OK) {
            assert_int_equal(s.state, SASL_HAVE_PASSWORD);
            assert_string_equal(str_cstr(&s.authzid), rows[i].authzid);
            assert_string_equal(str_cstr(&s.authcid), rows[i].authcid);
            assert_string_equal(str_cstr(&s.password), rows[i].password);
        } else {
            assert_int_equal(s.state, SASL_FAILED);
        }
        sasl_fini(&s);
    }
}

static void test_limits(void **state)
{
    uint8_t big[SASL_MESSAGE_MAX + 1];
    struct sasl s;
    memset(big, 'a', sizeof big);
    sasl_init(&s, sasl_mech_find(SLICE_LIT("PLAIN")));
    assert_int_equal(sasl_step(&s, slice_make(big, sizeof big)), MS_ELIMIT);
    assert_int_equal(s.state, SASL_FAILED);
    sasl_fini(&s);
    big[0] = 0;
    big[SASL_NAME_MAX + 2] = 0; /* a name one octet too long */
    sasl_init(&s, sasl_mech_find(SLICE_LIT("PLAIN")));
    assert_int_equal(sasl_step(&s, slice_make(big, SASL_NAME_MAX + 10)), MS_ELIMIT);
    sasl_fini(&s);
}

static void test_find(void **state)
{
    assert_non_null(sasl_mech_find(SLICE_LIT("PLAIN")));
    assert_null(sasl_mech_find(SLICE_LIT("")));
    assert_null(sasl_mech_find(SLICE_LIT("PLAINX")));
    assert_null(sasl_mech_find(SLICE_LIT("GSSAPI")));
    assert_non_null(strstr(sasl_mech_name(sasl_mech_find(SLICE_LIT("plain"))), "PLAIN"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
