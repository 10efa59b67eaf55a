/*
 * crypt_sign.c - public keys and the signatures made with their private ones, by libcrypto.
 *
 * A key knows its algorithm: whoever verifies cannot choose it, so a signature of one kind is never tried as another.
 */
#include "ms/crypt.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#define EC_HALF       32 /* octets of a coordinate, and of r and s */
#define EC_DER_MAX    80 /* a P-256 signature in DER has 72 at most */
#define ED25519_BYTES 32

struct crypt_key {
    enum crypt_key_kind kind;
    EVP_PKEY *pkey;
};

/* Only keys that are worth it: RSA of 2048 bits and more (RFC 7518 3.3), P-256, Ed25519. Takes pkey. */
static enum ms_err key_wrap(EVP_PKEY *pkey, struct crypt_key **out)
{
    char group[32] = "";
    enum ms_err err = MS_EUNSUPPORTED;
    enum crypt_key_kind kind = CRYPT_KEY_ED25519;
    int bits = EVP_PKEY_get_bits(pkey);
    if (EVP_PKEY_is_a(pkey, "RSA")) {
        kind = CRYPT_KEY_RSA;
        err = bits < CRYPT_RSA_BITS_MIN ? MS_EUNSUPPORTED : bits > CRYPT_RSA_BITS_MAX ? MS_ELIMIT : MS_OK;
    } else if (EVP_PKEY_is_a(pkey, "EC")) {
        kind = CRYPT_KEY_P256;
        if (EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) &&
            slice_eq_cstr(slice_cstr(group), "prime256v1"))
            err = MS_OK;
    } else if (EVP_PKEY_is_a(pkey, "ED25519")) {
        err = MS_OK;
    }
    if (err) {
        EVP_PKEY_free(pkey);
        return err;
    }
    *out = ms_new(struct crypt_key);
    (*out)->kind = kind;
    (*out)->pkey = pkey;
    return MS_OK;
}

enum ms_err crypt_key_from_pem(struct slice pem, struct crypt_key **out)
{
    if (pem.len == 0 || pem.len > CRYPT_PEM_MAX)
        return pem.len ? MS_ELIMIT : MS_EINVAL;
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    MS_ASSERT(bio);
    /* No passphrase is ever asked for. */
    EVP_PKEY *pkey = PEM_read_bio_PUBKEY(bio, NULL, NULL, (void *)"");
    BIO_free(bio);
    ERR_clear_error();
    return pkey ? key_wrap(pkey, out) : MS_EINVAL;
}

/* A key of a type from its numbers. */
static enum ms_err key_from_params(const char *type, OSSL_PARAM_BLD *bld, struct crypt_key **out)
{
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    MS_ASSERT(params && ctx);
    bool made =
        EVP_PKEY_fromdata_init(ctx) == 1 && EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) == 1;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    ERR_clear_error();
    return made ? key_wrap(pkey, out) : MS_EINVAL;
}

enum ms_err crypt_key_from_rsa(struct slice modulus, struct slice exponent, struct crypt_key **out)
{
    if (modulus.len == 0 || exponent.len == 0)
        return MS_EINVAL;
    if (modulus.len > CRYPT_RSA_BITS_MAX / 8 + 1 || exponent.len > 8)
        return MS_ELIMIT;
    BIGNUM *n = BN_bin2bn(modulus.ptr, (int)modulus.len, NULL),
           *e = BN_bin2bn(exponent.ptr, (int)exponent.len, NULL);
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    MS_ASSERT(n && e && bld);
    enum ms_err err = MS_EINVAL;
    if (BN_is_odd(n) && BN_is_odd(e) && !BN_is_one(e) &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e))
        err = key_from_params("RSA", bld, out);
    OSSL_PARAM_BLD_free(bld);
    BN_free(n);
    BN_free(e);
    return err;
}

enum ms_err crypt_key_from_p256(struct slice x, struct slice y, struct crypt_key **out)
{
    uint8_t point[1 + 2 * EC_HALF] = {POINT_CONVERSION_UNCOMPRESSED};
    if (x.len != EC_HALF || y.len != EC_HALF) /* RFC 7518 6.2.1.2: the full size of a coordinate */
        return MS_EINVAL;
    memcpy(point + 1, x.ptr, EC_HALF);
    memcpy(point + 1 + EC_HALF, y.ptr, EC_HALF);
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    MS_ASSERT(bld);
    enum ms_err err = MS_EINVAL;
    if (OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) &&
        OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point))
        err = key_from_params("EC", bld, out); /* a point off the curve is refused there */
    OSSL_PARAM_BLD_free(bld);
    return err;
}

enum ms_err crypt_key_from_ed25519(struct slice x, struct crypt_key **out)
{
    if (x.len != ED25519_BYTES)
        return MS_EINVAL;
    EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x.ptr, x.len);
    ERR_clear_error();
    return pkey ? key_wrap(pkey, out) : MS_EINVAL;
}

enum crypt_key_kind crypt_key_kind(const struct crypt_key *key)
{
    return key->kind;
}

void crypt_key_destroy(struct crypt_key **key)
{
    if (!*key)
        return;
    EVP_PKEY_free((*key)->pkey);
    ms_free(*key);
    *key = NULL;
}

/* RFC 7518 3.4: r and s, 32 octets each, behind each other; libcrypto wants DER. False: no such numbers. */
static bool ec_to_der(struct slice raw, uint8_t der[EC_DER_MAX], size_t *len_out)
{
    if (raw.len != 2 * EC_HALF)
        return false;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw.ptr, EC_HALF, NULL), *s = BN_bin2bn(raw.ptr + EC_HALF, EC_HALF, NULL);
    MS_ASSERT(sig && r && s);
    int rc = ECDSA_SIG_set0(sig, r, s); /* takes them */
    MS_ASSERT(rc == 1);
    uint8_t *at = der;
    int len = i2d_ECDSA_SIG(sig, NULL);
    bool fits = len > 0 && len <= EC_DER_MAX;
    if (fits)
        *len_out = (size_t)i2d_ECDSA_SIG(sig, &at);
    ECDSA_SIG_free(sig);
    return fits;
}

enum ms_err crypt_verify(const struct crypt_key *key, struct slice message, struct slice signature)
{
    uint8_t der[EC_DER_MAX];
    size_t der_len = 0;
    if (key->kind == CRYPT_KEY_P256) {
        if (!ec_to_der(signature, der, &der_len))
            return MS_EDENIED;
        signature = slice_make(der, der_len);
    }
    if (signature.len == 0)
        return MS_EDENIED;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    MS_ASSERT(ctx);
    /* RSA: PKCS #1 v1.5, the padding that is chosen when none is (RFC 7518 3.3). Ed25519 has its hash inside. */
    const EVP_MD *md = key->kind == CRYPT_KEY_ED25519 ? NULL : EVP_sha256();
    bool good = EVP_DigestVerifyInit(ctx, NULL, md, NULL, key->pkey) == 1 &&
                EVP_DigestVerify(ctx, signature.ptr, signature.len,
                                 message.ptr ? message.ptr : (const uint8_t *)"", message.len) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return good ? MS_OK : MS_EDENIED;
}
