/*
 * crypt_password.c - password hashes by libcrypt (crypt(5)).
 * New hashes are yescrypt with libcrypt's default cost. crypt_rn works in memory of the caller, so any number
 * of work threads may verify at once; that memory is wiped, it holds key material.
 */
#include "ms/crypt.h"

#include <crypt.h>
#include <string.h>

_Static_assert(CRYPT_HASH_TEXT_MAX >= CRYPT_OUTPUT_SIZE, "room for every hash of libcrypt");

/* A valid hash that no password matches in practice: made once for crypt_password_burn, same method and cost
 * as ours. */
static const char burn_setting[] = "$y$j9T$mAilSeRvErDbUrNsAlT0$";

static enum ms_err password_cstr(struct slice password, char out[CRYPT_PASSWORD_MAX + 1])
{
    if (password.len == 0)
        return MS_EINVAL;
    if (password.len > CRYPT_PASSWORD_MAX)
        return MS_ELIMIT;
    if (memchr(password.ptr, 0, password.len))
        return MS_EINVAL;
    memcpy(out, password.ptr, password.len);
    out[password.len] = '\0';
    return MS_OK;
}

/* hash_out gets the result of hashing with `setting` (a salt or a whole hash). */
static enum ms_err hash_with(struct slice password, const char *setting, char hash_out[CRYPT_HASH_TEXT_MAX])
{
    char text[CRYPT_PASSWORD_MAX + 1];
    enum ms_err err = password_cstr(password, text);
    if (err)
        return err;
    struct crypt_data *data = ms_new(struct crypt_data);
    const char *hash = crypt_rn(text, setting, data, sizeof *data);
    if (hash && hash[0] != '*')
        memcpy(hash_out, hash, strlen(hash) + 1);
    else
        err = MS_EUNSUPPORTED;
    crypt_wipe(data, sizeof *data);
    crypt_wipe(text, sizeof text);
    ms_free(data);
    return err;
}

enum ms_err crypt_password_hash(struct slice password, char out[CRYPT_HASH_TEXT_MAX])
{
    uint8_t salt[16];
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    crypt_random(salt, sizeof salt);
    if (!crypt_gensalt_rn("$y$", 0, (const char *)salt, sizeof salt, setting, sizeof setting))
        return MS_EUNSUPPORTED;
    return hash_with(password, setting, out);
}

enum ms_err crypt_password_verify(struct slice password, const char *hash)
{
    char got[CRYPT_HASH_TEXT_MAX] = "";
    size_t hash_len = strlen(hash);
    /* Only the "$method$" forms: what else crypt would take is DES, which is no protection; "!" and "*" are
     * locked accounts. */
    if (hash_len >= sizeof got || hash[0] != '$')
        return MS_EUNSUPPORTED;
    enum ms_err err = hash_with(password, hash, got);
    if (err == MS_EINVAL || err == MS_ELIMIT)
        return MS_EDENIED;
    if (err)
        return err;
    bool same = strlen(got) == hash_len && crypt_equal(got, hash, hash_len);
    crypt_wipe(got, sizeof got);
    return same ? MS_OK : MS_EDENIED;
}

enum ms_err crypt_password_hash_check(const char *hash)
{
    size_t len = strlen(hash);
    if (len >= CRYPT_HASH_TEXT_MAX || hash[0] != '$')
        return MS_EUNSUPPORTED;
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)hash[i] <= ' ' || (uint8_t)hash[i] > '~' ||
            strchr(":;*!\\", hash[i])) /* crypt(5): no hash has these */
            return MS_EUNSUPPORTED;
    int form = crypt_checksalt(hash);
    bool known = form == CRYPT_SALT_OK || form == CRYPT_SALT_METHOD_LEGACY;
    return known && strrchr(hash, '$')[1] ? MS_OK : MS_EUNSUPPORTED; /* a setting alone ends in "$" */
}

void crypt_password_burn(struct slice password)
{
    char got[CRYPT_HASH_TEXT_MAX];
    struct slice some = password.len > 0 && password.len <= CRYPT_PASSWORD_MAX ? password : SLICE_LIT("x");
    if (hash_with(some, burn_setting, got) == MS_OK)
        crypt_wipe(got, sizeof got);
}
