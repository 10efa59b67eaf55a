/*
 * crypt.h - digests, random bytes, password hashes, wiping.
 * Layer 1 (crypt).   Uses: base.   Owns mbedTLS (digests) and libcrypt.
 * Threads:  pure, any thread; crypt_password_* cost 10-100 ms of CPU: work threads only, never a loop.
 */
#ifndef MS_CRYPT_H
#define MS_CRYPT_H

#include "ms/base/slice.h"

#define CRYPT_SHA256_BYTES   32
#define CRYPT_HASH_TEXT_MAX  384 /* CRYPT_OUTPUT_SIZE of libcrypt */
#define CRYPT_PASSWORD_MAX   255 /* octets of a password; longer is refused, never cut */

void crypt_sha256(struct slice in, uint8_t out[CRYPT_SHA256_BYTES]);
void crypt_hmac_sha256(struct slice key, struct slice in, uint8_t out[CRYPT_SHA256_BYTES]);
/* getrandom(2); stops the process when the kernel refuses. */
void crypt_random(void *out, size_t len);
/* The compiler may not drop it. */
void crypt_wipe(void *ptr, size_t len);
/* Same time for equal and different bytes; lengths must be equal. */
bool crypt_equal(const void *a, const void *b, size_t len);

/* New hash of a password in crypt(5) form: yescrypt ("$y$"). MS_ELIMIT: too long; MS_EINVAL: empty or has a NUL. */
MS_MUST_USE enum ms_err crypt_password_hash(struct slice password, char out[CRYPT_HASH_TEXT_MAX]);
/* Against any hash libcrypt knows. MS_OK, MS_EDENIED, MS_EUNSUPPORTED (hash form unknown or unsafe). */
MS_MUST_USE enum ms_err crypt_password_verify(struct slice password, const char *hash);
/* Is a ready-made hash of a form that crypt_password_verify takes? Cheap. MS_OK, MS_EUNSUPPORTED. */
MS_MUST_USE enum ms_err crypt_password_hash_check(const char *hash);
/* Spends the time of one verification: for logins that do not exist. */
void crypt_password_burn(struct slice password);

#endif
