/*
 * crypt_digest.c - SHA-1, SHA-256 and their HMACs by mbedTLS, PBKDF2 by libcrypto, which has the processor's SHA
 * instructions.
 * The calls fail only for bad arguments or a hardware engine; both are our mistake, so they are asserted.
 */
#include "ms/crypt.h"

#include <limits.h>
#include <mbedtls/md.h>
#include <openssl/evp.h>

static const mbedtls_md_info_t *digest_info(enum crypt_hash hash)
{
    const mbedtls_md_info_t *info =
        mbedtls_md_info_from_type(hash == CRYPT_SHA1 ? MBEDTLS_MD_SHA1 : MBEDTLS_MD_SHA256);
    MS_ASSERT(info);
    return info;
}

static const uint8_t *digest_ptr(struct slice s)
{
    return s.ptr ? s.ptr : (const uint8_t *)"";
}

size_t crypt_hash_bytes(enum crypt_hash hash)
{
    return hash == CRYPT_SHA1 ? CRYPT_SHA1_BYTES : CRYPT_SHA256_BYTES;
}

void crypt_digest(enum crypt_hash hash, struct slice in, uint8_t *out)
{
    int rc = mbedtls_md(digest_info(hash), digest_ptr(in), in.len, out);
    MS_ASSERT(rc == 0);
}

void crypt_hmac(enum crypt_hash hash, struct slice key, struct slice in, uint8_t *out)
{
    int rc = mbedtls_md_hmac(digest_info(hash), digest_ptr(key), key.len, digest_ptr(in), in.len, out);
    MS_ASSERT(rc == 0);
}

void crypt_sha256(struct slice in, uint8_t out[CRYPT_SHA256_BYTES])
{
    crypt_digest(CRYPT_SHA256, in, out);
}

void crypt_hmac_sha256(struct slice key, struct slice in, uint8_t out[CRYPT_SHA256_BYTES])
{
    crypt_hmac(CRYPT_SHA256, key, in, out);
}

void crypt_pbkdf2(enum crypt_hash hash, struct slice password, struct slice salt, uint32_t iterations,
                  uint8_t *out)
{
    MS_ASSERT(iterations > 0 && iterations <= INT_MAX && password.len <= INT_MAX && salt.len <= INT_MAX);
    int rc = PKCS5_PBKDF2_HMAC((const char *)digest_ptr(password), (int)password.len, digest_ptr(salt),
                               (int)salt.len, (int)iterations, hash == CRYPT_SHA1 ? EVP_sha1() : EVP_sha256(),
                               (int)crypt_hash_bytes(hash), out);
    MS_ASSERT(rc == 1);
}
