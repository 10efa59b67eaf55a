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

static const struct {
    const char *hash;
    enum ms_err want;
} form_rows[] = {
    {"$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
     MS_OK},
    {"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", MS_OK},
    {"$1$salt$qJH7.N4xYta3aEG/dfqo/0", MS_OK},
    {"", MS_EUNSUPPORTED},
    {"*", MS_EUNSUPPORTED},
    {"!$6$saltstring$abc", MS_EUNSUPPORTED},
    {"$6$saltstring$", MS_EUNSUPPORTED},
    {"$6$salt string$abc", MS_EUNSUPPORTED},
    {"$6$saltstring$abc:1000", MS_EUNSUPPORTED},
    {"$6$saltstring$abc\n", MS_EUNSUPPORTED},
    {"$6$saltstring$ab\xc3\xa4", MS_EUNSUPPORTED},
    {"{SSHA}abcdef", MS_EUNSUPPORTED},
    {"plaintext-is-no-hash", MS_EUNSUPPORTED},
    {"$99$unknown$form", MS_EUNSUPPORTED},
    {"$", MS_EUNSUPPORTED},
};

static void test_hash_forms(void **state)
{
    char longest[CRYPT_HASH_TEXT_MAX + 1] = "$6$salt$";
    for (size_t i = 0; i < MS_ARRAY_LEN(form_rows); i++)
        if (crypt_password_hash_check(form_rows[i].hash) != form_rows[i].want)
            fail_msg("%s", form_rows[i].hash);
    memset(longest + 8, 'a', CRYPT_HASH_TEXT_MAX - 8);
    assert_int_equal(crypt_password_hash_check(longest), MS_EUNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_verifies),
        cmocka_unit_test(test_verify_table),
        cmocka_unit_test(test_refused_passwords),
        cmocka_unit_test(test_hash_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
