/*
 * crypt_digest.c - SHA-256 and its HMAC by mbedTLS.
 * The mbedTLS calls fail only for bad arguments or a hardware engine; both are our mistake, so they are
 * asserted.
 */
#include "ms/crypt.h"

#include <mbedtls/md.h>

void crypt_sha256(struct slice in, uint8_t out[CRYPT_SHA256_BYTES])
{
    const mbedtls_md_info_t *info = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
    MS_ASSERT(info);
    int rc = mbedtls_md(info, in.ptr ? in.ptr : (const uint8_t *)"", in.len, out);
    MS_ASSERT(rc == 0);
}

void crypt_hmac_sha256(struct slice key, struct slice in, uint8_t out[CRYPT_SHA256_BYTES])
{
    const mbedtls_md_info_t *info = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
    MS_ASSERT(info);
    int rc = mbedtls_md_hmac(info, key.ptr ? key.ptr : (const uint8_t *)"", key.len,
                             in.ptr ? in.ptr : (const uint8_t *)"", in.len, out);
    MS_ASSERT(rc == 0);
}
