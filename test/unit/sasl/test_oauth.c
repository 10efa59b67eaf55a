/* OAUTHBEARER (RFC 7628) and XOAUTH2. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ms/sasl.h"

#define A "\001"

static const struct {
    const char *mech, *text;
    enum ms_err want;
    const char *authzid, *token;
} rows[] = {
    /* RFC 7628 4.1 and 4.3 */
    {"OAUTHBEARER",
     "n,a=user@example.com," A "host=server.example.com" A "port=143" A
     "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==" A A,
     MS_OK, "user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="},
    {"OAUTHBEARER", "n,a=user@example.com," A "host=server.example.com" A "port=143" A "auth=" A A, MS_OK,
     "user@example.com", ""},
    {"oauthbearer", "n,," A "auth=bearer  a-b.c_d~e+f/g=" A A, MS_OK, "", "a-b.c_d~e+f/g="},
    {"OAUTHBEARER", "y,a=a=2Cb=3Dc," A "auth=Bearer x" A "what=ever" A A, MS_OK, "a,b=c", "x"},
    {"OAUTHBEARER", "", MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", A, MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "n,,", MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "n,," A A, MS_ESYNTAX, 0, 0}, /* auth is required */
    {"OAUTHBEARER", "n,," A "host=x" A A, MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "n,," A "auth=Bearer x" A, MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "n,," A "auth=Bearer x", MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "n,,auth=Bearer x" A A, MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "n,," A "auth=Bearer x" A A "y", MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "n,," A "auth=Bearer x" A "auth=Bearer y" A A, MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "n,," A "auth=Bearer " A A, MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "n,," A "auth=Bearer =" A A, MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "n,," A "auth=Bearer a b" A A, MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "n,," A "auth=Bearer a=b" A A, MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "n,," A "auth=Basic dXNlcjpwYXNz" A A, MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "n,," A "auth=Bearer" A A, MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "n,," A "h1=x" A "auth=Bearer x" A A, MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "n,," A "=x" A "auth=Bearer x" A A, MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "n,," A "host" A "auth=Bearer x" A A, MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "n,," A "host=\xc3\xa4" A "auth=Bearer x" A A, MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "p=tls-exporter,," A "auth=Bearer x" A A, MS_EUNSUPPORTED, 0, 0},
    {"OAUTHBEARER", "x,," A "auth=Bearer x" A A, MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "n,a=\xff," A "auth=Bearer x" A A, MS_ESYNTAX, 0, 0},
    {"OAUTHBEARER", "user=me" A "auth=Bearer x" A A, MS_ESYNTAX, 0, 0},
    {"XOAUTH2", "user=someuser@example.com" A "auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg" A A,
     MS_OK, "someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"},
    {"xoauth2", "user=j\xc3\xb6rg" A "auth=Bearer x" A A, MS_OK, "j\xc3\xb6rg", "x"},
    {"XOAUTH2", "", MS_ESYNTAX, 0, 0},
    {"XOAUTH2", "user=" A "auth=Bearer x" A A, MS_ESYNTAX, 0, 0},
    {"XOAUTH2", "user=\xff" A "auth=Bearer x" A A, MS_ESYNTAX, 0, 0},
    {"XOAUTH2", "auth=Bearer x" A "user=me" A A, MS_ESYNTAX, 0, 0},
    {"XOAUTH2", "user=me" A A, MS_ESYNTAX, 0, 0},
    {"XOAUTH2", "user=me" A "auth=Bearer x", MS_ESYNTAX, 0, 0},
    {"XOAUTH2", "n,a=me," A "auth=Bearer x" A A, MS_ESYNTAX, 0, 0},
};

static void test_rows(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct sasl s;
        sasl_init(&s, sasl_mech_find(slice_cstr(rows[i].mech)));
        assert_int_equal(s.challenge.len, 0);
        enum ms_err err = sasl_step(&s, slice_cstr(rows[i].text));
        if (err != rows[i].want || s.state != (err ? SASL_FAILED : SASL_HAVE_TOKEN))
            fail_msg("row %zu %s: %d", i, rows[i].text, err);
        if (!err) {
            assert_string_equal(str_cstr(&s.authzid), rows[i].authzid);
            assert_string_equal(str_cstr(&s.password), rows[i].token);
            assert_int_equal(s.authcid.len, 0);
        }
        sasl_fini(&s);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *mech, *text, *want;
    } refusals[] = {
        {"OAUTHBEARER", "n,," A "auth=Bearer x" A A, "{\"status\":\"invalid_token\"}"},
        {"XOAUTH2", "user=me" A "auth=Bearer x" A A, "{\"status\":\"401\",\"schemes\":\"Bearer\"}"},
    };
    static const char *const answers[] = {A, "", "n,," A "auth=Bearer y" A A};
    for (size_t i = 0; i < MS_ARRAY_LEN(refusals); i++)
        for (size_t k = 0; k < MS_ARRAY_LEN(answers); k++) {
            struct sasl s;
            sasl_init(&s, sasl_mech_find(slice_cstr(refusals[i].mech)));
            assert_int_equal(sasl_step(&s, slice_cstr(refusals[i].text)), MS_OK);
            sasl_refuse_token(&s, "invalid_token");
            assert_int_equal(s.state, SASL_WANT_CLIENT);
            assert_string_equal(str_cstr(&s.challenge), refusals[i].want);
            assert_int_equal(sasl_step(&s, slice_cstr(answers[k])), MS_EDENIED); /* whatever comes */
            assert_int_equal(s.state, SASL_FAILED);
            assert_int_equal(s.challenge.len, 0);
            sasl_fini(&s);
        }
}

static void test_limits(void **state)
{
    static const char head[] = "n,," A "auth=Bearer ";
    static uint8_t big[SASL_MESSAGE_MAX + 1];
    struct sasl s;
    memset(big, 'a', sizeof big);
    memcpy(big, head, sizeof head - 1);
    memcpy(big + SASL_MESSAGE_MAX - 2, A A, 2);
    sasl_init(&s, sasl_mech_find(SLICE_LIT("OAUTHBEARER")));
    assert_int_equal(sasl_step(&s, slice_make(big, SASL_MESSAGE_MAX)), MS_OK);
    assert_int_equal(s.password.len, SASL_MESSAGE_MAX - 2 - (sizeof head - 1));
    sasl_fini(&s);
    sasl_init(&s, sasl_mech_find(SLICE_LIT("OAUTHBEARER")));
    assert_int_equal(sasl_step(&s, slice_make(big, sizeof big)), MS_ELIMIT);
    sasl_fini(&s);
    memset(big, 'a', sizeof big);
    memcpy(big, "user=", 5);
    memcpy(big + 5 + SASL_NAME_MAX + 1, A "auth=Bearer x" A A, 16);
    sasl_init(&s, sasl_mech_find(SLICE_LIT("XOAUTH2")));
    assert_int_equal(sasl_step(&s, slice_make(big, 5 + SASL_NAME_MAX + 1 + 16)), MS_ELIMIT);
    sasl_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
