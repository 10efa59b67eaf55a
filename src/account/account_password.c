/*
 * account_password.c - what the directory keeps of a password that it was told: a hash, and keys for SCRAM.
 */
#include "account_priv.h"

void account__keys_make(struct slice password, struct account_password *out)
{
    static const enum sasl_hash hashes[ACCOUNT_KEYS_MAX] = {SASL_SHA1, SASL_SHA256}; /* the order of a row */
    out->key_count = 0;
    for (size_t i = 0; i < ACCOUNT_KEYS_MAX; i++)
        if (sasl_keys_make(hashes[i], password, &out->keys[out->key_count]) == MS_OK)
            out->key_count++;
}

enum ms_err account_password_make(const struct account *a, struct slice password,
                                  struct account_password *out)
{
    *out = (struct account_password){0};
    MS_TRY(crypt_password_hash(password, out->hash));
    if (a->scram)
        account__keys_make(password, out);
    return MS_OK;
}

void account_password_set(struct account_user_spec *spec, const struct account_password *password)
{
    spec->set |= ACCOUNT_SET_PASSWORD;
    spec->password_hash = slice_cstr(password->hash);
    spec->keys = password->keys;
    spec->key_count = password->key_count;
}

void account__user_wipe(struct account_user *user)
{
    crypt_wipe(user->hash, sizeof user->hash);
    crypt_wipe(user->keys, sizeof user->keys);
    user->key_count = 0;
}
