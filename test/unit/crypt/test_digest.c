#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ms/base/codec.h"
#include "ms/crypt.h"

/* FIPS 180-4 examples and RFC 4231 test cases 1, 2, 6. */
static const struct {
    const char *key; /* NULL: plain digest */
    size_t key_len;
    const char *text;
    const char *want;
} digest_rows[] = {
    {NULL, 0, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {NULL, 0, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b", 20, "Hi There",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"Jefe", 4, "what do ya want for nothing?",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
};

static void test_digest_vectors(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(digest_rows); i++) {
        uint8_t out[CRYPT_SHA256_BYTES];
        if (digest_rows[i].key)
            crypt_hmac_sha256(slice_make(digest_rows[i].key, digest_rows[i].key_len),
                              slice_cstr(digest_rows[i].text), out);
        else
            crypt_sha256(slice_cstr(digest_rows[i].text), out);
        struct str hex;
        str_init(&hex, 0);
        hex_emit(&hex, slice_make(out, sizeof out));
        assert_string_equal(str_cstr(&hex), digest_rows[i].want);
        str_fini(&hex);
    }
}

/* SHA-1: FIPS 180-4 examples and RFC 2202 test cases 1, 2, 6. */
static const struct {
    const char *key;
    size_t key_len;
    const char *text;
    const char *want;
} sha1_rows[] = {
    {NULL, 0, "", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
    {NULL, 0, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b", 20, "Hi There",
     "b617318655057264e28bc0b6fb378c8ef146be00"},
    {"Jefe", 4, "what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
};

static void test_sha1_vectors(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(sha1_rows); i++) {
        uint8_t out[CRYPT_SHA1_BYTES];
        struct str hex;
        if (sha1_rows[i].key)
            crypt_hmac(CRYPT_SHA1, slice_make(sha1_rows[i].key, sha1_rows[i].key_len),
                       slice_cstr(sha1_rows[i].text), out);
        else
            crypt_digest(CRYPT_SHA1, slice_cstr(sha1_rows[i].text), out);
        str_init(&hex, 0);
        hex_emit(&hex, slice_make(out, sizeof out));
        assert_string_equal(str_cstr(&hex), sha1_rows[i].want);
        str_fini(&hex);
    }
}

/* RFC 6070 for SHA-1, RFC 7914 11 for SHA-256 (its first 32 octets). */
static const struct {
    enum crypt_hash hash;
    const char *password, *salt;
    size_t password_len, salt_len;
    uint32_t iterations;
    const char *want;
} pbkdf2_rows[] = {
    {CRYPT_SHA1, "password", "salt", 8, 4, 1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"},
    {CRYPT_SHA1, "password", "salt", 8, 4, 2, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"},
    {CRYPT_SHA1, "password", "salt", 8, 4, 4096, "4b007901b765489abead49d926f721d065a429c1"},
    {CRYPT_SHA256, "passwd", "salt", 6, 4, 1,
     "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"},
    {CRYPT_SHA256, "Password", "NaCl", 8, 4, 80000,
     "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"},
};

static void test_pbkdf2_vectors(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(pbkdf2_rows); i++) {
        uint8_t out[CRYPT_HASH_BYTES_MAX];
        struct str hex;
        crypt_pbkdf2(pbkdf2_rows[i].hash, slice_make(pbkdf2_rows[i].password, pbkdf2_rows[i].password_len),
                     slice_make(pbkdf2_rows[i].salt, pbkdf2_rows[i].salt_len), pbkdf2_rows[i].iterations,
                     out);
        str_init(&hex, 0);
        hex_emit(&hex, slice_make(out, crypt_hash_bytes(pbkdf2_rows[i].hash)));
        assert_string_equal(str_cstr(&hex), pbkdf2_rows[i].want);
        str_fini(&hex);
    }
}

static void test_random_differs(void **state)
{
    uint8_t a[32] = {0}, b[32] = {0};
    crypt_random(a, sizeof a);
    crypt_random(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

static void test_equal_and_wipe(void **state)
{
    uint8_t a[8] = "abcdefg", b[8] = "abcdefg", zero[8] = {0};
    assert_true(crypt_equal(a, b, sizeof a));
    b[7] = 1;
    assert_false(crypt_equal(a, b, sizeof a));
    assert_true(crypt_equal(a, b, 0));
    crypt_wipe(a, sizeof a);
    assert_memory_equal(a, zero, sizeof a);
    crypt_wipe(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digest_vectors), cmocka_unit_test(test_sha1_vectors),
        cmocka_unit_test(test_pbkdf2_vectors), cmocka_unit_test(test_random_differs),
        cmocka_unit_test(test_equal_and_wipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
