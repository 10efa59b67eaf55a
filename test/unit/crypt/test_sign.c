/* Signatures: the examples of RFC 7515 (A.2, A.3) and RFC 8037 (A.4), then everything beside them. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ms/base/codec.h"
#include "ms/base/str.h"
#include "ms/crypt.h"

#define RSA_N                                                                                                \
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-" \
    "SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-"        \
    "KXBdQOS-"                                                                                               \
    "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"            \
    "h9iaGNj8q2ethFkMLs9"                                                                                    \
    "1kzk2PAcDTW9gb54h4FRWyuXpoQ"
#define RSA_SIG                                                                                              \
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"                  \
    "O8W2Fp5jujGbds9uJdbF9C"                                                                                 \
    "UAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_"         \
    "eSN9383LcOLn6_"                                                                                         \
    "dO--xi12jzDwusC-"                                                                                       \
    "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0i"           \
    "gcN_IoypGlUPQGe77Rw"
#define CLAIMS                                                                                               \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

static const struct {
    enum crypt_key_kind kind;
    const char *a, *b; /* base64url: modulus and exponent, x and y, x */
    const char *message, *signature;
} vectors[] = {
    {CRYPT_KEY_RSA, RSA_N, "AQAB", "eyJhbGciOiJSUzI1NiJ9." CLAIMS, RSA_SIG},
    {CRYPT_KEY_P256, "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
     "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "eyJhbGciOiJFUzI1NiJ9." CLAIMS,
     "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
    {CRYPT_KEY_ED25519, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "",
     "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
     "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
};

/* base64url without padding (RFC 7515 2) */
static void url64(struct str *out, const char *text)
{
    struct str plain;
    str_init(&plain, 0);
    for (const char *c = text; *c; c++)
        str_add_byte(&plain, *c == '-' ? '+' : *c == '_' ? '/' : (uint8_t)*c);
    while (plain.len % 4)
        str_add_byte(&plain, '=');
    str_init(out, 0);
    assert_int_equal(base64_parse(str_slice(&plain), out), MS_OK);
    str_fini(&plain);
}

static enum ms_err key_of(enum crypt_key_kind kind, struct slice a, struct slice b, struct crypt_key **out)
{
    switch (kind) {
    case CRYPT_KEY_RSA:
        return crypt_key_from_rsa(a, b, out);
    case CRYPT_KEY_P256:
        return crypt_key_from_p256(a, b, out);
    case CRYPT_KEY_ED25519:
        return crypt_key_from_ed25519(a, out);
    }
    return MS_EINVAL;
}

static void test_vectors(void **state)
{
    struct crypt_key *keys[MS_ARRAY_LEN(vectors)];
    for (size_t i = 0; i < MS_ARRAY_LEN(vectors); i++) {
        struct str a, b, sig;
        url64(&a, vectors[i].a);
        url64(&b, vectors[i].b);
        url64(&sig, vectors[i].signature);
        assert_int_equal(key_of(vectors[i].kind, str_slice(&a), str_slice(&b), &keys[i]), MS_OK);
        assert_int_equal(crypt_key_kind(keys[i]), vectors[i].kind);
        assert_int_equal(crypt_verify(keys[i], slice_cstr(vectors[i].message), str_slice(&sig)), MS_OK);
        /* One bit of the message, then one of each octet of the signature. */
        struct str other;
        str_init(&other, 0);
        str_add_cstr(&other, vectors[i].message);
        other.ptr[5] ^= 1;
        assert_int_equal(crypt_verify(keys[i], str_slice(&other), str_slice(&sig)), MS_EDENIED);
        assert_int_equal(crypt_verify(keys[i], slice_make(NULL, 0), str_slice(&sig)), MS_EDENIED);
        for (size_t k = 0; k < sig.len; k++) {
            sig.ptr[k] ^= 1;
            assert_int_equal(crypt_verify(keys[i], slice_cstr(vectors[i].message), str_slice(&sig)),
                             MS_EDENIED);
            sig.ptr[k] ^= 1;
        }
        for (size_t k = 0; k < sig.len; k++)
            assert_int_equal(crypt_verify(keys[i], slice_cstr(vectors[i].message), slice_make(sig.ptr, k)),
                             MS_EDENIED);
        str_add_byte(&sig, 0);
        assert_int_equal(crypt_verify(keys[i], slice_cstr(vectors[i].message), str_slice(&sig)), MS_EDENIED);
        str_fini(&a);
        str_fini(&b);
        str_fini(&sig);
        str_fini(&other);
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(vectors); i++) /* no key takes another's signature */
        for (size_t k = 0; k < MS_ARRAY_LEN(vectors); k++) {
            struct str sig;
            url64(&sig, vectors[k].signature);
            if (i != k)
                assert_int_equal(crypt_verify(keys[i], slice_cstr(vectors[k].message), str_slice(&sig)),
                                 MS_EDENIED);
            str_fini(&sig);
        }
    for (size_t i = 0; i < MS_ARRAY_LEN(vectors); i++)
        crypt_key_destroy(&keys[i]);
    assert_null(keys[0]);
    crypt_key_destroy(&keys[0]);
}

static const struct {
    const char *pem;
    enum ms_err want;
    enum crypt_key_kind kind;
} pem_rows[] = {
    {"-----BEGIN PUBLIC KEY-----\n"
     "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvTKTieTRaXcYk56BtuEk\n"
     "YWTOlUfLr7JZMEU+8xUAkZIqaZwNCtixzxGHqVsI9zhCI5BicZ5Tlc26WE/d+smE\n"
     "etEQRiUU+2R089UB6S7NB8CCgGd9BMXIofbWbvbJQm8iJMqATMhREPSM6+w3IDvU\n"
     "cvBm+e/nNpww93wGaOBekHiyoRfNnHI1iRoHLNHlRDgpeC/HZwvo7zPiouXdQgoE\n"
     "GeVhFKToGcBO5yJ0yO6g7sT72FqWYmPhXU+J6/yCAiUW8Y/d4HxYbEeRb1YyLhcp\n"
     "NaXqlM3awGYJPnFj1yKt5qPDPYZVcrEDus0HwF7AZlUe3Jy0RasueuEx4XEknYOH\n"
     "3wIDAQAB\n"
     "-----END PUBLIC KEY-----\n",
     MS_OK, CRYPT_KEY_RSA}, /* RSA, 2048 bits */
    {"-----BEGIN PUBLIC KEY-----\n"
     "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqjTuHMQ2b1QlJtmCf7bwkvPHfne/\n"
     "U16T/CvbPf+u8EsaOaOfeEQDUit3bfUd39FzNPfRZ0FZsphJ37yKyjVZMg==\n"
     "-----END PUBLIC KEY-----\n",
     MS_OK, CRYPT_KEY_P256}, /* P-256 */
    {"-----BEGIN PUBLIC KEY-----\n"
     "MCowBQYDK2VwAyEAVCbPoye6/URK9lEQb5dDibp/rDt62QLF4dspdKBWGoI=\n"
     "-----END PUBLIC KEY-----\n",
     MS_OK, CRYPT_KEY_ED25519}, /* Ed25519 */
    {"-----BEGIN PUBLIC KEY-----\n"
     "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQClO3aZaPtC2ubuATx0YAg6l0Gi\n"
     "T7BISz5i5c3bZ+VZXXa9Ut2RRbJ3qCSbHk3BWxy9cuFWGzrBTs/elKurq5BOqWZY\n"
     "d3f0vupz4sy/CurKgDz37TMcDscYlfOPTzkelzxS+Vc68TVqyOtHetInzl4Hhkm/\n"
     "/wUQqMl9C3ohtX8WUQIDAQAB\n"
     "-----END PUBLIC KEY-----\n",
     MS_EUNSUPPORTED, 0}, /* RSA, 1024 bits */
    {"-----BEGIN PUBLIC KEY-----\n"
     "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEHTFzHJd+E2ZVdRd6MTsrxKb8937lVbbq\n"
     "zvuI0TBirXW8z0+hDGuxYBRRXuEalBP/kZgCJvXtnQWXetoF9BiTOFENFBND9b+H\n"
     "8w/RkfftXWmiQtCQ3p0MfV8m6RGdPyEE\n"
     "-----END PUBLIC KEY-----\n",
     MS_EUNSUPPORTED, 0}, /* P-384 */
    {"-----BEGIN PUBLIC KEY-----\n"
     "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEEx9a69e6+3SLWi5V/qKDwS3lvfe4RBNe\n"
     "eueFj3dxpEcGD2/urU/TJ5j32qRuxRlpyqBhD2nOfKdhvrnNsep9NQ==\n"
     "-----END PUBLIC KEY-----\n",
     MS_EUNSUPPORTED, 0}, /* secp256k1 */
    {"-----BEGIN PUBLIC KEY-----\n"
     "MCowBQYDK2VuAyEAMVWXiP/gHNJgoaHsIzIhwF7za583YEhKuz4n9Q36rz0=\n"
     "-----END PUBLIC KEY-----\n",
     MS_EUNSUPPORTED, 0}, /* X25519 */
    {"-----BEGIN PUBLIC KEY-----\n"
     "MEMwBQYDK2VxAzoAX/SDeJpHq4XDfWuF0rpkyaucabCda3WJERrP9D6sjQfLMv4i\n"
     "71wgVN7UqudFCi1IWgG7bPU6X+4A\n"
     "-----END PUBLIC KEY-----\n",
     MS_EUNSUPPORTED, 0}, /* Ed448 */
    {"-----BEGIN PRIVATE KEY-----\n"
     "MC4CAQAwBQYDK2VwBCIEIIy+59UKQONUHweWCdx7IWNNaaqhvblwVjKM3e1SvnLT\n"
     "-----END PRIVATE KEY-----\n",
     MS_EINVAL, 0}, /* a private key */
    {"", MS_EINVAL, 0},
    {"no key", MS_EINVAL, 0},
    {"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", MS_EINVAL, 0},
    {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", MS_EINVAL, 0},
    {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", MS_EINVAL, 0},
};

static void test_pem(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(pem_rows); i++) {
        struct crypt_key *key = NULL;
        enum ms_err err = crypt_key_from_pem(slice_cstr(pem_rows[i].pem), &key);
        if (err != pem_rows[i].want)
            fail_msg("row %zu: %d", i, err);
        if (!err)
            assert_int_equal(crypt_key_kind(key), pem_rows[i].kind);
        crypt_key_destroy(&key);
    }
    static char longest[CRYPT_PEM_MAX + 1];
    struct crypt_key *key = NULL;
    memset(longest, 'a', sizeof longest);
    assert_int_equal(crypt_key_from_pem(slice_make(longest, sizeof longest), &key), MS_ELIMIT);
}

/* Numbers that make no key worth having. */
static void test_bad_numbers(void **state)
{
    static uint8_t n[CRYPT_RSA_BITS_MAX / 8 + 2];
    struct crypt_key *key = NULL;
    memset(n, 0xff, sizeof n);
    struct slice e = slice_make("\1\0\1", 3);
    assert_int_equal(crypt_key_from_rsa(slice_make(n, 128), e, &key), MS_EUNSUPPORTED); /* 1024 bits */
    assert_int_equal(crypt_key_from_rsa(slice_make(n, 255), e, &key), MS_EUNSUPPORTED);
    assert_int_equal(crypt_key_from_rsa(slice_make(n, sizeof n), e, &key), MS_ELIMIT);
    assert_int_equal(crypt_key_from_rsa(slice_make(n, CRYPT_RSA_BITS_MAX / 8 + 1), e, &key), MS_ELIMIT);
    assert_int_equal(crypt_key_from_rsa(slice_make(n, 0), e, &key), MS_EINVAL);
    assert_int_equal(crypt_key_from_rsa(slice_make(n, 256), slice_make(n, 0), &key), MS_EINVAL);
    assert_int_equal(crypt_key_from_rsa(slice_make(n, 256), slice_make("\1", 1), &key), MS_EINVAL);
    assert_int_equal(crypt_key_from_rsa(slice_make(n, 256), slice_make("\4", 1), &key), MS_EINVAL);
    assert_int_equal(crypt_key_from_rsa(slice_make(n, 256), slice_make(n, 9), &key), MS_ELIMIT);
    n[255] = 0xfe;
    assert_int_equal(crypt_key_from_rsa(slice_make(n, 256), e, &key), MS_EINVAL); /* even */
    memset(n, 1, sizeof n);
    assert_int_equal(crypt_key_from_p256(slice_make(n, 32), slice_make(n, 32), &key),
                     MS_EINVAL); /* not on the curve */
    assert_int_equal(crypt_key_from_p256(slice_make(n, 31), slice_make(n, 32), &key), MS_EINVAL);
    assert_int_equal(crypt_key_from_p256(slice_make(n, 32), slice_make(n, 33), &key), MS_EINVAL);
    assert_int_equal(crypt_key_from_p256(slice_make(n, 0), slice_make(n, 0), &key), MS_EINVAL);
    memset(n, 0, sizeof n);
    assert_int_equal(crypt_key_from_p256(slice_make(n, 32), slice_make(n, 32), &key), MS_EINVAL);
    assert_int_equal(crypt_key_from_ed25519(slice_make(n, 31), &key), MS_EINVAL);
    assert_int_equal(crypt_key_from_ed25519(slice_make(n, 33), &key), MS_EINVAL);
    assert_null(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_pem),
                                       cmocka_unit_test(test_bad_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
