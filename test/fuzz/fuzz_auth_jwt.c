/*
 * fuzz_auth_jwt.c - hostile tokens and key sets. First byte: 0 a token against the keys of the corpus (whose claims and
 * header are looked at even where no signature fits), 1 a file of keys. Needs: libms_auth. Corpus: corpus/auth_jwt.
 */
#include "../../src/auth/auth_jwt.h"

#include "../unit/auth/jwt_tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void token(struct slice text)
{
    static struct auth_jwt_keys *keys;
    char login[AUTH_JWT_LOGIN_MAX + 1] = "";
    struct ms_errinfo why;
    if (!keys)
        MS_ASSERT(auth_jwt_keys_parse(slice_cstr(JWT_JWKS), &keys, &why) == MS_OK);
    struct auth_jwt_expect expect = {
        .issuer = "https://id.example.org", .audience = "mail", .login_claim = "sub", .now_s = JWT_NOW};
    enum auth_jwt_verdict verdict = auth_jwt_check(keys, text, &expect, login);
    MS_ASSERT((verdict == AUTH_JWT_OK) == (login[0] != '\0'));
    /* What no signature vouches for is read by the same functions: look at it as if one did. */
    verdict = auth__jwt_claims(text, &expect, login);
    MS_ASSERT(verdict != AUTH_JWT_OK || (login[0] && strlen(login) <= AUTH_JWT_LOGIN_MAX));
}

static void key_file(struct slice text)
{
    struct auth_jwt_keys *keys = NULL;
    struct ms_errinfo why;
    enum ms_err err = auth_jwt_keys_parse(text, &keys, &why);
    MS_ASSERT((err == MS_OK) == (keys != NULL));
    MS_ASSERT(err || (auth_jwt_keys_count(keys) > 0 && auth_jwt_keys_count(keys) <= AUTH_JWT_KEYS_MAX));
    auth_jwt_keys_destroy(&keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] & 1)
        key_file(slice_make(data + 1, size - 1));
    else
        token(slice_make(data + 1, size - 1));
    return 0;
}
