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
        cmocka_unit_test(test_digest_vectors),
        cmocka_unit_test(test_random_differs),
        cmocka_unit_test(test_equal_and_wipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
