#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ms/crypt.h"

static void test_hash_verifies(void **state)
{
    char hash[CRYPT_HASH_TEXT_MAX], other[CRYPT_HASH_TEXT_MAX];
    assert_int_equal(crypt_password_hash(SLICE_LIT("correct horse"), hash), MS_OK);
    assert_memory_equal(hash, "$y$", 3);
    assert_int_equal(crypt_password_hash(SLICE_LIT("correct horse"), other), MS_OK);
    assert_string_not_equal(hash, other); /* salted */
    assert_int_equal(crypt_password_verify(SLICE_LIT("correct horse"), hash), MS_OK);
    assert_int_equal(crypt_password_verify(SLICE_LIT("correct Horse"), hash), MS_EDENIED);
}

static const struct {
    const char *password;
    const char *hash;
    enum ms_err want;
} verify_rows[] = {
    /* SHA-512 crypt, from its public specification */
    {"Hello world!",
     "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
     MS_OK},
    {"Hello world",
     "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
     MS_EDENIED},
    {"x", "", MS_EUNSUPPORTED},
    {"x", "*", MS_EUNSUPPORTED},
    {"x", "!$6$saltstring$abc", MS_EUNSUPPORTED},
    {"x", "plaintext-is-no-hash", MS_EUNSUPPORTED},
    {"x", "$99$unknown$form", MS_EUNSUPPORTED},
    {"",
     "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
     MS_EDENIED},
};

static void test_verify_table(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(verify_rows); i++)
        assert_int_equal(crypt_password_verify(slice_cstr(verify_rows[i].password), verify_rows[i].hash),
                         verify_rows[i].want);
}

static void test_refused_passwords(void **state)
{
    char hash[CRYPT_HASH_TEXT_MAX];
    uint8_t longest[CRYPT_PASSWORD_MAX + 1];
    memset(longest, 'a', sizeof longest);
    assert_int_equal(crypt_password_hash(slice_make(longest, 0), hash), MS_EINVAL);
    assert_int_equal(crypt_password_hash(slice_make("a\0b", 3), hash), MS_EINVAL);
    assert_int_equal(crypt_password_hash(slice_make(longest, CRYPT_PASSWORD_MAX + 1), hash), MS_ELIMIT);
    assert_int_equal(crypt_password_hash(slice_make(longest, CRYPT_PASSWORD_MAX), hash), MS_OK);
    /* Longer than the maximum is not cut to a prefix that matches. */
    assert_int_equal(crypt_password_verify(slice_make(longest, CRYPT_PASSWORD_MAX + 1), hash), MS_EDENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_verifies),
        cmocka_unit_test(test_verify_table),
        cmocka_unit_test(test_refused_passwords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
