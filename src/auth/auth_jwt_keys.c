/*
 * auth_jwt_keys.c - the keys that tokens may be signed with: a JWK set (RFC 7517, 7518 6, RFC 8037) or PEM.
 */
#include "auth_jwt.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "ms/base/codec.h"
#include "ms/crypt.h"

#define KID_MAX   255
#define PEM_BEGIN SLICE_LIT("-----BEGIN ")
#define PEM_KIND  SLICE_LIT("PUBLIC KEY-----")
#define PEM_END   SLICE_LIT("-----END PUBLIC KEY-----")

void auth_jwt_keys_destroy(struct auth_jwt_keys **keys)
{
    if (!*keys)
        return;
    for (size_t i = 0; i < (*keys)->count; i++) {
        crypt_key_destroy(&(*keys)->keys[i].key);
        ms_free((*keys)->keys[i].kid);
    }
    ms_free(*keys);
    *keys = NULL;
}

size_t auth_jwt_keys_count(const struct auth_jwt_keys *keys)
{
    return keys->count;
}

/* A number of a key; false when it is not there or not base64url. */
static bool number(const json_t *jwk, const char *name, struct str *out)
{
    struct slice text;
    str_init(out, CRYPT_PEM_MAX);
    return auth__json_text(jwk, name, &text) && base64url_parse(text, out) == MS_OK;
}

static enum ms_err rsa_key(const json_t *jwk, struct crypt_key **out)
{
    struct str n, e = {0};
    enum ms_err err = number(jwk, "n", &n) && number(jwk, "e", &e)
                          ? crypt_key_from_rsa(str_slice(&n), str_slice(&e), out)
                          : MS_EINVAL;
    str_fini(&n);
    str_fini(&e);
    return err;
}

static enum ms_err p256_key(const json_t *jwk, struct crypt_key **out)
{
    struct str x, y = {0};
    enum ms_err err = number(jwk, "x", &x) && number(jwk, "y", &y)
                          ? crypt_key_from_p256(str_slice(&x), str_slice(&y), out)
                          : MS_EINVAL;
    str_fini(&x);
    str_fini(&y);
    return err;
}

static enum ms_err ed25519_key(const json_t *jwk, struct crypt_key **out)
{
    struct str x;
    enum ms_err err = number(jwk, "x", &x) ? crypt_key_from_ed25519(str_slice(&x), out) : MS_EINVAL;
    str_fini(&x);
    return err;
}

static const struct {
    const char *kty, *crv; /* crv "": has none */
    const char *alg;
    enum ms_err (*make)(const json_t *jwk, struct crypt_key **out);
} kinds[] = {
    {"RSA", "", "RS256", rsa_key},
    {"EC", "P-256", "ES256", p256_key},
    {"OKP", "Ed25519", "EdDSA", ed25519_key},
};

static bool may_verify(const json_t *jwk)
{
    const json_t *use = json_object_get(jwk, "use"), *ops = json_object_get(jwk, "key_ops"), *op;
    size_t i;
    if (use && (!json_is_string(use) || strcmp(json_string_value(use), "sig") != 0)) /* RFC 7517 4.2 */
        return false;
    if (!ops)
        return true;
    json_array_foreach(ops, i, op) if (json_is_string(op) &&
                                       strcmp(json_string_value(op), "verify") == 0) return true;
    return false;
}

/* -1: of a kind that is not taken, or for something else. */
static int kind_of(const json_t *jwk)
{
    struct slice kty = {0}, crv = {0}, alg = {0};
    if (!auth__json_text(jwk, "kty", &kty) || !may_verify(jwk))
        return -1;
    (void)auth__json_text(jwk, "crv", &crv);
    bool has_alg = auth__json_text(jwk, "alg", &alg);
    for (size_t i = 0; i < MS_ARRAY_LEN(kinds); i++)
        if (slice_eq_cstr(kty, kinds[i].kty) && (!kinds[i].crv[0] || slice_eq_cstr(crv, kinds[i].crv)))
            return has_alg && !slice_eq_cstr(alg, kinds[i].alg) ? -1 : (int)i;
    return -1;
}

static enum ms_err add_key(struct auth_jwt_keys *keys, struct crypt_key *key, struct slice kid,
                           struct ms_errinfo *why)
{
    if (keys->count == AUTH_JWT_KEYS_MAX || kid.len > KID_MAX) {
        crypt_key_destroy(&key);
        return ms_fail(why, MS_ELIMIT,
                       kid.len > KID_MAX ? "a \"kid\" is longer than %d octets"
                                         : "there are more than %d keys",
                       kid.len > KID_MAX ? KID_MAX : AUTH_JWT_KEYS_MAX);
    }
    keys->keys[keys->count++] =
        (struct auth_jwt_key){.key = key, .kid = kid.ptr ? slice_dup_cstr(kid) : NULL};
    return MS_OK;
}

static enum ms_err add_jwk(struct auth_jwt_keys *keys, const json_t *jwk, size_t at, struct ms_errinfo *why)
{
    struct slice kid = {0};
    struct crypt_key *key;
    if (!json_is_object(jwk))
        return ms_fail(why, MS_EINVAL, "key %zu is no object", at + 1);
    if (json_object_get(jwk, "d"))
        return ms_fail(why, MS_EINVAL, "key %zu is a private key: only the public part belongs here", at + 1);
    int kind = kind_of(jwk);
    if (kind < 0)
        return MS_OK;
    enum ms_err err = kinds[kind].make(jwk, &key);
    if (err == MS_EUNSUPPORTED) /* an RSA key that is too short */
        return ms_fail(why, err, "key %zu is too weak", at + 1);
    if (err)
        return ms_fail(why, err, "key %zu is no %s key", at + 1, kinds[kind].alg);
    (void)auth__json_text(jwk, "kid", &kid);
    return add_key(keys, key, kid, why);
}

static enum ms_err parse_set(struct slice text, struct auth_jwt_keys *keys, struct ms_errinfo *why)
{
    enum ms_err err = MS_OK;
    json_t *set = auth__json_object(text);
    if (!set)
        return ms_fail(why, MS_EINVAL, "this is not a JSON object");
    const json_t *list = json_object_get(set, "keys");
    if (!list)
        err = add_jwk(keys, set, 0, why);
    else if (!json_is_array(list))
        err = ms_fail(why, MS_EINVAL, "\"keys\" is no list");
    for (size_t i = 0; !err && i < json_array_size(list); i++)
        err = add_jwk(keys, json_array_get(list, i), i, why);
    json_decref(set);
    return err;
}

static enum ms_err parse_pem(struct slice text, struct auth_jwt_keys *keys, struct ms_errinfo *why)
{
    ssize_t at;
    while ((at = slice_find(text, PEM_BEGIN)) >= 0) {
        struct crypt_key *key;
        text = slice_sub(text, (size_t)at, SIZE_MAX);
        if (!slice_has_prefix(slice_sub(text, PEM_BEGIN.len, SIZE_MAX), PEM_KIND))
            return ms_fail(why, MS_EINVAL, "block %zu is not \"PUBLIC KEY\"", keys->count + 1);
        ssize_t end = slice_find(text, PEM_END);
        size_t len = end < 0 ? text.len : (size_t)end + PEM_END.len;
        enum ms_err err = crypt_key_from_pem(slice_sub(text, 0, len), &key);
        if (err)
            return ms_fail(why, err, "block %zu: %s", keys->count + 1,
                           err == MS_EUNSUPPORTED ? "a key must be RSA from 2048 bits, P-256 or Ed25519"
                                                  : "this is no key");
        MS_TRY(add_key(keys, key, (struct slice){0}, why));
        text = slice_sub(text, len, SIZE_MAX);
    }
    return MS_OK;
}

enum ms_err auth_jwt_keys_parse(struct slice text, struct auth_jwt_keys **out, struct ms_errinfo *why_out)
{
    struct slice trimmed = slice_trim(text);
    if (text.len > AUTH_JWT_FILE_MAX)
        return ms_fail(why_out, MS_ELIMIT, "more than %zu octets", AUTH_JWT_FILE_MAX);
    struct auth_jwt_keys *keys = ms_new(struct auth_jwt_keys);
    bool is_json = trimmed.len && trimmed.ptr[0] == '{';
    enum ms_err err = is_json ? parse_set(trimmed, keys, why_out) : parse_pem(trimmed, keys, why_out);
    if (!err && keys->count == 0)
        err = ms_fail(why_out, MS_EINVAL, "there is no key for RS256, ES256 or EdDSA");
    if (err)
        auth_jwt_keys_destroy(&keys);
    else
        *out = keys;
    return err;
}

enum ms_err auth_jwt_keys_load(const char *path, struct auth_jwt_keys **out, struct ms_errinfo *why_out)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return ms_fail(why_out, errno == ENOENT ? MS_ENOTFOUND : MS_EIO, "%s: %s", path, strerror(errno));
    char *text = ms_alloc(AUTH_JWT_FILE_MAX + 1);
    size_t len = fread(text, 1, AUTH_JWT_FILE_MAX + 1, f);
    bool failed = ferror(f);
    int saved = errno;
    fclose(f);
    struct ms_errinfo why;
    enum ms_err err = failed ? ms_fail(&why, MS_EIO, "%s", strerror(saved))
                             : auth_jwt_keys_parse(slice_make(text, len), out, &why);
    ms_free(text);
    return err ? ms_fail(why_out, err, "%s: %s", path, why.text) : MS_OK;
}
