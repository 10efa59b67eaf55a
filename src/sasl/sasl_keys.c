/*
 * sasl_keys.c - what the directory keeps of a password for SCRAM (RFC 5802 3), and what stands in for it.
 */
#include "sasl_priv.h"

#include <pthread.h>

#include "ms/base/unicode.h"
#include "ms/crypt.h"

_Static_assert(SASL_KEY_MAX >= CRYPT_HASH_BYTES_MAX, "room for a key");

static enum crypt_hash keys_hash(enum sasl_hash hash)
{
    return hash == SASL_SHA1 ? CRYPT_SHA1 : CRYPT_SHA256;
}

/* RFC 5802 3: StoredKey and ServerKey from the SaltedPassword. */
static void derive(const uint8_t *salted, struct sasl_keys *keys)
{
    enum crypt_hash hash = keys_hash(keys->hash);
    size_t len = crypt_hash_bytes(hash);
    uint8_t client[CRYPT_HASH_BYTES_MAX];
    crypt_hmac(hash, slice_make(salted, len), SLICE_LIT("Client Key"), client);
    crypt_digest(hash, slice_make(client, len), keys->stored);
    crypt_hmac(hash, slice_make(salted, len), SLICE_LIT("Server Key"), keys->server);
    crypt_wipe(client, sizeof client);
}

enum ms_err sasl_keys_from(enum sasl_hash hash, struct slice password, uint32_t iterations, struct slice salt,
                           struct sasl_keys *out)
{
    uint8_t salted[CRYPT_HASH_BYTES_MAX];
    struct str prepared;
    if (iterations == 0 || iterations > SASL_ITERATIONS_MAX || salt.len == 0 || salt.len > SASL_SALT_BYTES)
        return MS_ELIMIT;
    str_init(&prepared, 0);
    enum ms_err err = unicode_saslprep(password, &prepared);
    if (!err) {
        *out = (struct sasl_keys){.hash = hash, .iterations = iterations, .salt_len = (uint8_t)salt.len};
        memcpy(out->salt, salt.ptr, salt.len);
        crypt_pbkdf2(keys_hash(hash), str_slice(&prepared), salt, iterations, salted);
        derive(salted, out);
        crypt_wipe(salted, sizeof salted);
    }
    if (prepared.ptr)
        crypt_wipe(prepared.ptr, prepared.cap);
    str_fini(&prepared);
    return err;
}

enum ms_err sasl_keys_make(enum sasl_hash hash, struct slice password, struct sasl_keys *out)
{
    uint8_t salt[SASL_SALT_BYTES];
    crypt_random(salt, sizeof salt);
    return sasl_keys_from(hash, password, SASL_ITERATIONS, slice_make(salt, sizeof salt), out);
}

static uint8_t fake_secret[CRYPT_SHA256_BYTES];
static pthread_once_t fake_once = PTHREAD_ONCE_INIT;

static void fake_secret_make(void)
{
    crypt_random(fake_secret, sizeof fake_secret);
}

/* The what-th 32 octets that belong to a name and hash. */
static void fake_octets(enum sasl_hash hash, uint8_t what, struct slice secret, struct slice name,
                        uint8_t out[CRYPT_SHA256_BYTES])
{
    struct str text;
    str_init(&text, 0);
    str_add_byte(&text, (uint8_t)hash);
    str_add_byte(&text, what);
    str_add_slice(&text, name);
    crypt_hmac_sha256(secret, str_slice(&text), out);
    str_fini(&text);
}

void sasl_keys_fake(enum sasl_hash hash, struct slice secret, struct slice name, struct sasl_keys *out)
{
    uint8_t octets[CRYPT_SHA256_BYTES];
    size_t len = crypt_hash_bytes(keys_hash(hash));
    if (secret.len == 0) {
        pthread_once(&fake_once, fake_secret_make);
        secret = slice_make(fake_secret, sizeof fake_secret);
    }
    *out = (struct sasl_keys){.hash = hash, .iterations = SASL_ITERATIONS, .salt_len = SASL_SALT_BYTES};
    fake_octets(hash, 0, secret, name, octets);
    memcpy(out->salt, octets, sizeof out->salt);
    /* A proof for these would be a preimage of `stored`. */
    fake_octets(hash, 1, secret, name, octets);
    memcpy(out->stored, octets, len);
    fake_octets(hash, 2, secret, name, octets);
    memcpy(out->server, octets, len);
}
