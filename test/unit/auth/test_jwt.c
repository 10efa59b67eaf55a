/* Tokens: what is taken, and every reason why one is not. The tokens are made by jwt_tokens.py. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../../src/auth/auth_jwt.h"

#include "jwt_tokens.h"

static struct auth_jwt_keys *set;

static int setup(void **state)
{
    struct ms_errinfo why;
    return auth_jwt_keys_parse(slice_cstr(JWT_JWKS), &set, &why) != MS_OK;
}

static int teardown(void **state)
{
    auth_jwt_keys_destroy(&set);
    return 0;
}

static struct auth_jwt_expect expect(void)
{
    return (struct auth_jwt_expect){
        .issuer = "https://id.example.org", .audience = "mail", .login_claim = "sub", .now_s = JWT_NOW};
}

static const struct {
    const char *token;
    enum auth_jwt_verdict want;
    const char *login;
} rows[] = {
    {JWT_RS256, AUTH_JWT_OK, "anna"},
    {JWT_ES256, AUTH_JWT_OK, "anna"},
    {JWT_EDDSA, AUTH_JWT_OK, "anna"},
    {JWT_AT_JWT, AUTH_JWT_OK, "anna"},
    {JWT_NO_KID, AUTH_JWT_OK, "anna"},
    {JWT_AUD_LIST, AUTH_JWT_OK, "anna"},
    {JWT_EXP_REAL, AUTH_JWT_OK, "anna"},
    {JWT_NBF_BEHIND, AUTH_JWT_OK, "anna"},
    {JWT_UTF8, AUTH_JWT_OK, "j\xc3\xb6rg"},
    {JWT_UNVERIFIED, AUTH_JWT_OK, "anna"}, /* the address is not what is asked for */
    {JWT_OTHER_KEY, AUTH_JWT_SIGNATURE, NULL},
    {JWT_WRONG_KID, AUTH_JWT_KEY, NULL},
    {JWT_KID_OF_OTHER_KIND, AUTH_JWT_KEY, NULL},
    {JWT_ALG_ES_SIG_ED, AUTH_JWT_SIGNATURE, NULL},
    {JWT_NONE, AUTH_JWT_ALGORITHM, NULL},
    {JWT_NONE_SIGNED, AUTH_JWT_ALGORITHM, NULL},
    {JWT_NONE_CASE, AUTH_JWT_ALGORITHM, NULL},
    {JWT_HS256, AUTH_JWT_ALGORITHM, NULL},
    {JWT_RS512, AUTH_JWT_ALGORITHM, NULL},
    {JWT_ALG_LOWER, AUTH_JWT_ALGORITHM, NULL},
    {JWT_NO_ALG, AUTH_JWT_MALFORMED, NULL},
    {JWT_ALG_NUMBER, AUTH_JWT_MALFORMED, NULL},
    {JWT_CRIT, AUTH_JWT_MALFORMED, NULL},
    {JWT_TYP_OTHER, AUTH_JWT_MALFORMED, NULL},
    {JWT_TYP_NUMBER, AUTH_JWT_MALFORMED, NULL},
    {JWT_KID_NUMBER, AUTH_JWT_MALFORMED, NULL},
    {JWT_ALG_TWICE, AUTH_JWT_MALFORMED, NULL},
    {JWT_HEADER_LIST, AUTH_JWT_MALFORMED, NULL},
    {JWT_HEADER_TEXT, AUTH_JWT_MALFORMED, NULL},
    {JWT_HEADER_DEEP, AUTH_JWT_MALFORMED, NULL},
    {JWT_CLAIMS_LIST, AUTH_JWT_MALFORMED, NULL},
    {JWT_CLAIMS_BROKEN, AUTH_JWT_MALFORMED, NULL},
    {JWT_CLAIMS_TWICE, AUTH_JWT_MALFORMED, NULL},
    {JWT_CLAIMS_NUL, AUTH_JWT_MALFORMED, NULL},
    {JWT_CLAIMS_DEEP, AUTH_JWT_MALFORMED, NULL},
    {JWT_EXPIRED, AUTH_JWT_EXPIRED, NULL},
    {JWT_NO_EXP, AUTH_JWT_EXPIRED, NULL},
    {JWT_EXP_TEXT, AUTH_JWT_MALFORMED, NULL},
    {JWT_EXP_NEGATIVE, AUTH_JWT_MALFORMED, NULL},
    {JWT_EXP_HUGE, AUTH_JWT_MALFORMED, NULL},
    {JWT_NBF_AHEAD, AUTH_JWT_EARLY, NULL},
    {JWT_NBF_TEXT, AUTH_JWT_MALFORMED, NULL},
    {JWT_IAT_AHEAD, AUTH_JWT_EARLY, NULL},
    {JWT_NO_ISS, AUTH_JWT_ISSUER, NULL},
    {JWT_ISS_OTHER, AUTH_JWT_ISSUER, NULL},
    {JWT_ISS_LIST, AUTH_JWT_ISSUER, NULL},
    {JWT_NO_AUD, AUTH_JWT_AUDIENCE, NULL},
    {JWT_AUD_OTHER, AUTH_JWT_AUDIENCE, NULL},
    {JWT_AUD_LIST_OTHER, AUTH_JWT_AUDIENCE, NULL},
    {JWT_AUD_NUMBER, AUTH_JWT_AUDIENCE, NULL},
    {JWT_NO_SUB, AUTH_JWT_LOGIN, NULL},
    {JWT_SUB_EMPTY, AUTH_JWT_LOGIN, NULL},
    {JWT_SUB_NUMBER, AUTH_JWT_LOGIN, NULL},
    {JWT_SUB_CONTROL, AUTH_JWT_LOGIN, NULL},
    {JWT_SUB_LONG, AUTH_JWT_LOGIN, NULL},
    /* no JWT at all */
    {"", AUTH_JWT_MALFORMED, NULL},
    {".", AUTH_JWT_MALFORMED, NULL},
    {"..", AUTH_JWT_MALFORMED, NULL},
    {"a.b", AUTH_JWT_MALFORMED, NULL},
    {"e30.e30.", AUTH_JWT_MALFORMED, NULL},
    {"e30.e30.e30.e30", AUTH_JWT_MALFORMED, NULL},
    {"ya29.opaque-token-of-somebody-else", AUTH_JWT_MALFORMED, NULL},
    {JWT_EDDSA ".", AUTH_JWT_MALFORMED, NULL},
    {JWT_EDDSA "=", AUTH_JWT_MALFORMED, NULL},
    {JWT_EDDSA "AA", AUTH_JWT_SIGNATURE, NULL},
    {JWT_EDDSA "AAA", AUTH_JWT_MALFORMED, NULL},
    {" " JWT_EDDSA, AUTH_JWT_MALFORMED, NULL},
};

static void test_rows(void **state)
{
    struct auth_jwt_expect want = expect();
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        char login[AUTH_JWT_LOGIN_MAX + 1] = "?";
        enum auth_jwt_verdict got = auth_jwt_check(set, slice_cstr(rows[i].token), &want, login);
        if (got != rows[i].want || strcmp(login, rows[i].login ? rows[i].login : "?") != 0)
            fail_msg("row %zu: %s, login %s, token %s", i, auth_jwt_word(got), login, rows[i].token);
    }
}

/* One bit of each character: never again OK. */
static void test_flipped(void **state)
{
    struct auth_jwt_expect want = expect();
    static const char *const tokens[] = {JWT_RS256, JWT_ES256, JWT_EDDSA};
    for (size_t i = 0; i < MS_ARRAY_LEN(tokens); i++) {
        char token[4096], login[AUTH_JWT_LOGIN_MAX + 1];
        size_t len = strlen(tokens[i]);
        memcpy(token, tokens[i], len + 1);
        for (size_t at = 0; at < len; at++) {
            token[at] ^= 1;
            assert_int_not_equal(auth_jwt_check(set, slice_make(token, len), &want, login), AUTH_JWT_OK);
            token[at] ^= 1;
            assert_int_not_equal(auth_jwt_check(set, slice_make(token, at), &want, login), AUTH_JWT_OK);
        }
        assert_int_equal(auth_jwt_check(set, slice_make(token, len), &want, login), AUTH_JWT_OK);
    }
}

static enum auth_jwt_verdict check(const char *token, struct auth_jwt_expect want, const char *login_want)
{
    char login[AUTH_JWT_LOGIN_MAX + 1] = "";
    enum auth_jwt_verdict got = auth_jwt_check(set, slice_cstr(token), &want, login);
    assert_string_equal(login, got == AUTH_JWT_OK ? login_want : "");
    return got;
}

static void test_times(void **state)
{
    struct auth_jwt_expect e = expect();
    e.now_s = JWT_NOW + 300; /* exp */
    assert_int_equal(check(JWT_EDDSA, e, ""), AUTH_JWT_EXPIRED);
    e.now_s--;
    assert_int_equal(check(JWT_EDDSA, e, "anna"), AUTH_JWT_OK);
    e.now_s += 60;
    e.leeway_s = 60;
    assert_int_equal(check(JWT_EDDSA, e, "anna"), AUTH_JWT_OK);
    e.now_s++;
    assert_int_equal(check(JWT_EDDSA, e, ""), AUTH_JWT_EXPIRED);
    e.now_s = JWT_NOW - 60;
    assert_int_equal(check(JWT_NBF_BEHIND, e, "anna"), AUTH_JWT_OK);
    e.now_s--;
    assert_int_equal(check(JWT_NBF_BEHIND, e, ""), AUTH_JWT_EARLY);
    e = expect();
    e.now_s = 0;
    assert_int_equal(check(JWT_EDDSA, e, ""), AUTH_JWT_EARLY);
}

static void test_expectations(void **state)
{
    struct auth_jwt_expect e = expect();
    e.issuer = "";
    e.audience = NULL;
    assert_int_equal(check(JWT_NO_ISS, e, "anna"), AUTH_JWT_OK);
    assert_int_equal(check(JWT_AUD_NUMBER, e, "anna"), AUTH_JWT_OK);
    e.login_claim = "email";
    assert_int_equal(check(JWT_EDDSA, e, "anna@example.org"), AUTH_JWT_OK);
    assert_int_equal(check(JWT_VERIFIED, e, "anna@example.org"), AUTH_JWT_OK);
    assert_int_equal(check(JWT_UNVERIFIED, e, ""), AUTH_JWT_LOGIN);
    assert_int_equal(check(JWT_VERIFIED_TEXT, e, ""), AUTH_JWT_LOGIN);
    e.login_claim = "preferred_username";
    assert_int_equal(check(JWT_EDDSA, e, ""), AUTH_JWT_LOGIN);
    e.login_claim = "";
    assert_int_equal(check(JWT_EDDSA, e, ""), AUTH_JWT_LOGIN);
    e = expect();
    char login[AUTH_JWT_LOGIN_MAX + 1];
    assert_int_equal(auth_jwt_check(set, slice_cstr(JWT_SUB_LONGEST), &e, login), AUTH_JWT_OK);
    assert_int_equal(strlen(login), 255);
}

static void test_words(void **state)
{
    for (int i = 0; i < AUTH_JWT_COUNT; i++)
        assert_true(auth_jwt_word((enum auth_jwt_verdict)i)[0]);
    assert_string_equal(auth_jwt_word(AUTH_JWT_EXPIRED), "token_expired");
}

/* -- keys */

#define ED_JWK "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" JWT_ED_X "\""

static const struct {
    const char *text;
    size_t count; /* 0: refused */
    enum ms_err want;
} key_rows[] = {
    {JWT_JWKS, 3, MS_OK}, /* the rest is for something else */
    {JWT_PEM_RSA, 1, MS_OK},
    {"comment\n" JWT_PEM_EC "\n" JWT_PEM_ED JWT_PEM_RSA, 3, MS_OK},
    {ED_JWK "}", 1, MS_OK},
    {"\n {\"keys\":[" ED_JWK "}]} \n", 1, MS_OK},
    {"{\"keys\":[" ED_JWK "}," ED_JWK ",\"kid\":\"a\"}]}", 2, MS_OK},
    {"", 0, MS_EINVAL},
    {"not a key", 0, MS_EINVAL},
    {"{}", 0, MS_EINVAL},
    {"{", 0, MS_EINVAL},
    {"[]", 0, MS_EINVAL},
    {"{\"keys\":{}}", 0, MS_EINVAL},
    {"{\"keys\":[]}", 0, MS_EINVAL},
    {"{\"keys\":[1]}", 0, MS_EINVAL},
    {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}", 0, MS_EINVAL},
    {ED_JWK ",\"use\":\"enc\"}", 0, MS_EINVAL},
    {ED_JWK ",\"use\":1}", 0, MS_EINVAL},
    {ED_JWK ",\"key_ops\":[\"sign\"]}", 0, MS_EINVAL},
    {ED_JWK ",\"alg\":\"ES256\"}", 0, MS_EINVAL},
    {ED_JWK ",\"d\":\"AAAA\"}", 0, MS_EINVAL}, /* a private key */
    {ED_JWK ",\"x\":\"AA\"}", 0, MS_EINVAL},   /* twice */
    {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}", 0, MS_EINVAL},
    {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" JWT_ED_X "=\"}", 0, MS_EINVAL},
    {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}", 0, MS_EINVAL},
    {"{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", 0, MS_EUNSUPPORTED}, /* 17 bits */
    {"{\"kty\":\"RSA\",\"n\":\"AQAB\"}", 0, MS_EINVAL},
    {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}", 0, MS_EINVAL},
    {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", 0, MS_EINVAL},
    {"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2Vw", 0, MS_EINVAL},
    {JWT_PEM_ED "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0, MS_EINVAL},
    {JWT_PEM_ED "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0, MS_EINVAL},
};

static void test_keys(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(key_rows); i++) {
        struct auth_jwt_keys *keys = NULL;
        struct ms_errinfo why = {.text = ""};
        enum ms_err err = auth_jwt_keys_parse(slice_cstr(key_rows[i].text), &keys, &why);
        if (err != key_rows[i].want || (err && (!why.text[0] || keys)) ||
            (!err && auth_jwt_keys_count(keys) != key_rows[i].count))
            fail_msg("row %zu: %d %s", i, err, why.text);
        auth_jwt_keys_destroy(&keys);
    }
}

static void test_key_limits(void **state)
{
    struct auth_jwt_keys *keys = NULL;
    struct ms_errinfo why;
    struct str text;
    str_init(&text, 0);
    str_add_cstr(&text, "{\"keys\":[" ED_JWK "}");
    for (int i = 1; i < AUTH_JWT_KEYS_MAX; i++)
        str_add_cstr(&text, "," ED_JWK "}");
    size_t len = text.len;
    str_add_cstr(&text, "]}");
    assert_int_equal(auth_jwt_keys_parse(str_slice(&text), &keys, &why), MS_OK);
    assert_int_equal(auth_jwt_keys_count(keys), AUTH_JWT_KEYS_MAX);
    auth_jwt_keys_destroy(&keys);
    str_cut(&text, len);
    str_add_cstr(&text, "," ED_JWK "}]}");
    assert_int_equal(auth_jwt_keys_parse(str_slice(&text), &keys, &why), MS_ELIMIT);
    str_reset(&text);
    str_add_cstr(&text, JWT_PEM_ED);
    while (text.len <= AUTH_JWT_FILE_MAX)
        str_add_byte(&text, ' ');
    assert_int_equal(auth_jwt_keys_parse(str_slice(&text), &keys, &why), MS_ELIMIT);
    str_cut(&text, AUTH_JWT_FILE_MAX);
    assert_int_equal(auth_jwt_keys_parse(str_slice(&text), &keys, &why), MS_OK);
    auth_jwt_keys_destroy(&keys);
    str_fini(&text);
}

/* Keys without a name fit every token of their kind, PEM ones too. */
static void test_pem(void **state)
{
    struct auth_jwt_expect want = expect();
    struct auth_jwt_keys *keys;
    struct ms_errinfo why;
    char login[AUTH_JWT_LOGIN_MAX + 1];
    assert_int_equal(auth_jwt_keys_parse(slice_cstr(JWT_PEM_RSA JWT_PEM_ED), &keys, &why), MS_OK);
    assert_int_equal(auth_jwt_check(keys, slice_cstr(JWT_RS256), &want, login), AUTH_JWT_OK);
    assert_int_equal(auth_jwt_check(keys, slice_cstr(JWT_EDDSA), &want, login), AUTH_JWT_OK);
    assert_int_equal(auth_jwt_check(keys, slice_cstr(JWT_WRONG_KID), &want, login), AUTH_JWT_OK);
    assert_int_equal(auth_jwt_check(keys, slice_cstr(JWT_ES256), &want, login), AUTH_JWT_KEY);
    auth_jwt_keys_destroy(&keys);
}

static void test_load(void **state)
{
    char path[] = "/tmp/test-jwt-XXXXXX";
    struct auth_jwt_keys *keys = NULL;
    struct ms_errinfo why;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, JWT_JWKS, strlen(JWT_JWKS)), (ssize_t)strlen(JWT_JWKS));
    close(fd);
    assert_int_equal(auth_jwt_keys_load(path, &keys, &why), MS_OK);
    assert_int_equal(auth_jwt_keys_count(keys), 3);
    auth_jwt_keys_destroy(&keys);
    assert_int_equal(truncate(path, 10), 0);
    assert_int_equal(auth_jwt_keys_load(path, &keys, &why), MS_EINVAL);
    assert_non_null(strstr(why.text, path));
    unlink(path);
    assert_int_equal(auth_jwt_keys_load(path, &keys, &why), MS_ENOTFOUND);
    assert_int_equal(auth_jwt_keys_load("/tmp", &keys, &why), MS_EIO);
    assert_null(keys);
}

static void test_token_limit(void **state)
{
    static char big[AUTH_JWT_TOKEN_MAX + 2];
    struct auth_jwt_expect want = expect();
    char login[AUTH_JWT_LOGIN_MAX + 1];
    memset(big, 'A', sizeof big - 1);
    memcpy(big, JWT_EDDSA, strlen(JWT_EDDSA));
    assert_int_equal(auth_jwt_check(set, slice_make(big, AUTH_JWT_TOKEN_MAX + 1), &want, login),
                     AUTH_JWT_MALFORMED);
    assert_int_not_equal(auth_jwt_check(set, slice_make(big, AUTH_JWT_TOKEN_MAX), &want, login), AUTH_JWT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),         cmocka_unit_test(test_flipped), cmocka_unit_test(test_times),
        cmocka_unit_test(test_expectations), cmocka_unit_test(test_words),   cmocka_unit_test(test_keys),
        cmocka_unit_test(test_key_limits),   cmocka_unit_test(test_pem),     cmocka_unit_test(test_load),
        cmocka_unit_test(test_token_limit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
