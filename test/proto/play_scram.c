/* play_scram.c - see play_scram.h */
#include "play_scram.h"

#include <stdio.h>
#include <string.h>

#include "ms/base/codec.h"

#define NONCE "rOprNGfwEbeRWgbNEkqO" /* a script's client needs no chance */

void play_scram_first(struct play_scram *s, enum crypt_hash hash, const char *user, const char *authzid,
                      struct str *out)
{
    struct str text;
    *s = (struct play_scram){.hash = hash};
    str_init(&text, 0);
    str_init(&s->header, 0);
    str_init(&s->signed_text, 0);
    str_addf(&s->header, "n,%s%s,", authzid[0] ? "a=" : "", authzid);
    str_addf(&s->signed_text, "n=%s,r=%s", user, NONCE);
    str_addf(&text, "%s%s", str_cstr(&s->header), str_cstr(&s->signed_text));
    base64_emit(out, str_slice(&text));
    str_fini(&text);
}

bool play_scram_last(struct play_scram *s, struct slice server_first, const char *password, struct str *out)
{
    char nonce[256], salt64[64];
    uint8_t key[CRYPT_HASH_BYTES_MAX], stored[CRYPT_HASH_BYTES_MAX], signature[CRYPT_HASH_BYTES_MAX];
    unsigned iterations;
    struct str text, salt;
    size_t bytes = crypt_hash_bytes(s->hash);
    str_init(&text, 0);
    str_init(&salt, 0);
    bool ok = base64_parse(server_first, &text) == MS_OK &&
              sscanf(str_cstr(&text), "r=%255[^,],s=%63[^,],i=%u", nonce, salt64, &iterations) == 3 &&
              strncmp(nonce, NONCE, strlen(NONCE)) == 0 && base64_parse(slice_cstr(salt64), &salt) == MS_OK;
    if (ok) {
        crypt_pbkdf2(s->hash, slice_cstr(password), str_slice(&salt), iterations, s->salted);
        str_addf(&s->signed_text, ",%s,", str_cstr(&text));
        str_reset(&text);
        str_add_cstr(&text, "c=");
        base64_emit(&text, str_slice(&s->header));
        str_addf(&text, ",r=%s", nonce);
        str_add_slice(&s->signed_text, str_slice(&text));
        crypt_hmac(s->hash, slice_make(s->salted, bytes), SLICE_LIT("Client Key"), key);
        crypt_digest(s->hash, slice_make(key, bytes), stored);
        crypt_hmac(s->hash, slice_make(stored, bytes), str_slice(&s->signed_text), signature);
        for (size_t i = 0; i < bytes; i++)
            key[i] ^= signature[i];
        str_add_cstr(&text, ",p=");
        base64_emit(&text, slice_make(key, bytes));
        base64_emit(out, str_slice(&text));
    }
    str_fini(&salt);
    str_fini(&text);
    return ok;
}

bool play_scram_is_server(struct play_scram *s, struct slice server_last)
{
    uint8_t key[CRYPT_HASH_BYTES_MAX], signature[CRYPT_HASH_BYTES_MAX];
    size_t bytes = crypt_hash_bytes(s->hash);
    struct str want, got;
    str_init(&want, 0);
    str_init(&got, 0);
    crypt_hmac(s->hash, slice_make(s->salted, bytes), SLICE_LIT("Server Key"), key);
    crypt_hmac(s->hash, slice_make(key, bytes), str_slice(&s->signed_text), signature);
    str_add_cstr(&want, "v=");
    base64_emit(&want, slice_make(signature, bytes));
    bool ok = base64_parse(server_last, &got) == MS_OK && slice_eq(str_slice(&want), str_slice(&got));
    str_fini(&want);
    str_fini(&got);
    return ok;
}

void play_scram_fini(struct play_scram *s)
{
    str_fini(&s->header);
    str_fini(&s->signed_text);
}
