/*
 * crypt.h - digests, random bytes, password hashes, signatures, wiping.
 * Layer 1 (crypt).   Uses: base.   Owns mbedTLS (digests), libcrypto (PBKDF2, signatures) and libcrypt.
 * Threads:  pure, any thread; crypt_password_* cost 10-100 ms of CPU, crypt_pbkdf2 milliseconds: work threads only, never a loop. A
 *           crypt_key may be used by any number of threads; crypt_verify costs 0.03-0.2 ms.
 */
#ifndef MS_CRYPT_H
#define MS_CRYPT_H

#include "ms/base/slice.h"

#define CRYPT_SHA256_BYTES   32
#define CRYPT_HASH_TEXT_MAX  384 /* CRYPT_OUTPUT_SIZE of libcrypt */
#define CRYPT_PASSWORD_MAX   255 /* octets of a password; longer is refused, never cut */

/* Names as in SCRAM; SHA-1 is for old clients' SCRAM only (RFC 5802), never for anything new. */
enum crypt_hash { CRYPT_SHA1, CRYPT_SHA256 };
#define CRYPT_SHA1_BYTES 20
#define CRYPT_HASH_BYTES_MAX CRYPT_SHA256_BYTES
size_t crypt_hash_bytes(enum crypt_hash hash);
/* out: crypt_hash_bytes octets. */
void crypt_digest(enum crypt_hash hash, struct slice in, uint8_t *out);
void crypt_hmac(enum crypt_hash hash, struct slice key, struct slice in, uint8_t *out);
/* RFC 8018 5.2 with HMAC, one block of output: crypt_hash_bytes octets. iterations >= 1. */
void crypt_pbkdf2(enum crypt_hash hash, struct slice password, struct slice salt, uint32_t iterations, uint8_t *out);
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

/* -- signatures: a public key of one algorithm, which the key alone decides ------------------------------------- */
enum crypt_key_kind {
    CRYPT_KEY_RSA,     /* PKCS #1 v1.5 with SHA-256: RS256 */
    CRYPT_KEY_P256,    /* ECDSA with SHA-256, r and s in 32 octets each: ES256 */
    CRYPT_KEY_ED25519, /* EdDSA */
};
#define CRYPT_RSA_BITS_MIN 2048
#define CRYPT_RSA_BITS_MAX 8192
#define CRYPT_PEM_MAX      16384
struct crypt_key;
/* "BEGIN PUBLIC KEY" (RFC 7468 13), the first of the text. All: MS_EINVAL: no key; MS_EUNSUPPORTED: of a kind, curve or size (RSA
 * under CRYPT_RSA_BITS_MIN) that is not taken; MS_ELIMIT. */
MS_MUST_USE enum ms_err crypt_key_from_pem(struct slice pem, struct crypt_key **out);
/* Big-endian numbers, as a JWK has them behind base64url. */
MS_MUST_USE enum ms_err crypt_key_from_rsa(struct slice modulus, struct slice exponent, struct crypt_key **out);
MS_MUST_USE enum ms_err crypt_key_from_p256(struct slice x, struct slice y, struct crypt_key **out);
MS_MUST_USE enum ms_err crypt_key_from_ed25519(struct slice x, struct crypt_key **out);
enum crypt_key_kind crypt_key_kind(const struct crypt_key *key);
void crypt_key_destroy(struct crypt_key **key);
/* MS_OK: signature is message's, by this key. MS_EDENIED: anything else. */
MS_MUST_USE enum ms_err crypt_verify(const struct crypt_key *key, struct slice message, struct slice signature);

#endif
