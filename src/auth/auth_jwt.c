/*
 * auth_jwt.c - one token against keys and expectations.
 *
 * Order: form, algorithm, key, signature; only then what it claims: times, issuer, audience, login. What is refused is
 * refused by the first of these that does not fit.
 */
#include "auth_jwt.h"

#include <jansson.h>

#include "ms/base/codec.h"
#include "ms/base/unicode.h"
#include "ms/crypt.h"

#define SECONDS_MAX 253402300799.0 /* the end of the year 9999 */

struct token { /* in parts, decoded */
    struct slice signed_part;
    struct str header, claims, signature;
};

const char *auth_jwt_word(enum auth_jwt_verdict verdict)
{
    static const char *const words[AUTH_JWT_COUNT] = {
#define X(name, word) [AUTH_JWT_##name] = word,
        AUTH_JWT_VERDICTS(X)
#undef X
    };
    return words[verdict];
}

static void token_fini(struct token *t)
{
    str_fini(&t->header);
    str_fini(&t->claims);
    str_fini(&t->signature);
}

/* RFC 7515 7.1: three parts, each in base64url. */
static bool token_parse(struct slice text, struct token *out)
{
    struct slice rest = text, header, claims;
    str_init(&out->header, AUTH_JWT_TOKEN_MAX);
    str_init(&out->claims, AUTH_JWT_TOKEN_MAX);
    str_init(&out->signature, AUTH_JWT_TOKEN_MAX);
    if (text.len > AUTH_JWT_TOKEN_MAX || !slice_cut(&rest, '.', &header) || !slice_cut(&rest, '.', &claims))
        return false;
    out->signed_part = slice_sub(text, 0, header.len + 1 + claims.len);
    return base64url_parse(header, &out->header) == MS_OK && base64url_parse(claims, &out->claims) == MS_OK &&
           base64url_parse(rest, &out->signature) == MS_OK;
}

/* -- header: which key */

/* RFC 8725 3.11: when it says what it is, it is an access token or just a JWT. */
static bool is_typ(const json_t *header)
{
    static const struct slice prefix = SLICE_LIT("application/"); /* RFC 7515 4.1.9: may be left out */
    struct slice typ;
    if (!json_object_get(header, "typ"))
        return true;
    if (!auth__json_text(header, "typ", &typ))
        return false;
    if (slice_has_iprefix(typ, prefix))
        typ = slice_sub(typ, prefix.len, SIZE_MAX);
    return slice_ieq_cstr(typ, "JWT") || slice_ieq_cstr(typ, "at+jwt");
}

static bool kind_of_alg(struct slice alg, enum crypt_key_kind *out)
{
    static const struct {
        const char *alg;
        enum crypt_key_kind kind;
    } algs[] = {{"RS256", CRYPT_KEY_RSA}, {"ES256", CRYPT_KEY_P256}, {"EdDSA", CRYPT_KEY_ED25519}};
    for (size_t i = 0; i < MS_ARRAY_LEN(algs); i++)
        if (slice_eq_cstr(alg, algs[i].alg)) {
            *out = algs[i].kind;
            return true;
        }
    return false;
}

/* By the keys of this kind whose name is the token's; keys or tokens without a name fit all. */
static enum auth_jwt_verdict check_signature(const struct auth_jwt_keys *keys, const struct token *t,
                                             enum crypt_key_kind kind, const struct slice *kid)
{
    enum auth_jwt_verdict verdict = AUTH_JWT_KEY;
    for (size_t i = 0; i < keys->count; i++) {
        const struct auth_jwt_key *k = &keys->keys[i];
        if (crypt_key_kind(k->key) != kind || (kid && k->kid && !slice_eq_cstr(*kid, k->kid)))
            continue;
        if (crypt_verify(k->key, t->signed_part, str_slice(&t->signature)) == MS_OK)
            return AUTH_JWT_OK;
        verdict = AUTH_JWT_SIGNATURE;
    }
    return verdict;
}

static enum auth_jwt_verdict check_header(const struct auth_jwt_keys *keys, const struct token *t)
{
    struct slice alg, kid;
    enum crypt_key_kind kind;
    enum auth_jwt_verdict verdict = AUTH_JWT_MALFORMED;
    json_t *header = auth__json_object(str_slice(&t->header));
    bool has_kid = header && json_object_get(header, "kid");
    /* RFC 7515 4.1.11: extensions that must be understood, of which there are none. */
    bool is_form = header && is_typ(header) && !json_object_get(header, "crit") &&
                   auth__json_text(header, "alg", &alg) && (!has_kid || auth__json_text(header, "kid", &kid));
    if (is_form)
        verdict = kind_of_alg(alg, &kind) ? check_signature(keys, t, kind, has_kid ? &kid : NULL)
                                          : AUTH_JWT_ALGORITHM;
    json_decref(header);
    return verdict;
}

/* -- claims */

/* A NumericDate (RFC 7519 2), or `missing`. */
static bool claim_time(const json_t *claims, const char *name, double missing, double *out)
{
    const json_t *value = json_object_get(claims, name);
    *out = missing;
    if (!value)
        return true;
    if (!json_is_number(value))
        return false;
    *out = json_number_value(value);
    return *out >= 0 && *out <= SECONDS_MAX;
}

static enum auth_jwt_verdict check_times(const json_t *claims, const struct auth_jwt_expect *expect)
{
    double now = (double)expect->now_s, leeway = (double)expect->leeway_s, exp, nbf, iat;
    if (!claim_time(claims, "exp", -SECONDS_MAX, &exp) || !claim_time(claims, "nbf", 0, &nbf) ||
        !claim_time(claims, "iat", 0, &iat))
        return AUTH_JWT_MALFORMED;
    if (exp + leeway <= now) /* RFC 7519 4.1.4: on or after it is over */
        return AUTH_JWT_EXPIRED;
    return nbf > now + leeway || iat > now + leeway ? AUTH_JWT_EARLY : AUTH_JWT_OK;
}

/* RFC 7519 4.1.3: one text, or a list of them. */
static bool is_audience(const json_t *claims, const char *audience)
{
    const json_t *aud = json_object_get(claims, "aud"), *it;
    struct slice one;
    size_t i;
    if (auth__json_text(claims, "aud", &one))
        return slice_eq_cstr(one, audience);
    json_array_foreach(aud, i, it) if (json_is_string(it) &&
                                       strcmp(json_string_value(it), audience) == 0) return true;
    return false;
}

static bool take_login(const json_t *claims, const char *claim, char out[AUTH_JWT_LOGIN_MAX + 1])
{
    struct slice login;
    if (!auth__json_text(claims, claim, &login) || login.len == 0 || login.len > AUTH_JWT_LOGIN_MAX ||
        !unicode_is_plain(login))
        return false;
    /* OpenID Connect 5.1: an address that its user only says is his. */
    const json_t *verified = json_object_get(claims, "email_verified");
    if (strcmp(claim, "email") == 0 && verified && !json_is_true(verified))
        return false;
    memcpy(out, login.ptr, login.len);
    out[login.len] = '\0';
    return true;
}

static enum auth_jwt_verdict check_claims(const struct token *t, const struct auth_jwt_expect *expect,
                                          char login_out[AUTH_JWT_LOGIN_MAX + 1])
{
    struct slice issuer;
    json_t *claims = auth__json_object(str_slice(&t->claims));
    enum auth_jwt_verdict verdict = claims ? check_times(claims, expect) : AUTH_JWT_MALFORMED;
    if (verdict == AUTH_JWT_OK && expect->issuer && expect->issuer[0] &&
        !(auth__json_text(claims, "iss", &issuer) && slice_eq_cstr(issuer, expect->issuer)))
        verdict = AUTH_JWT_ISSUER;
    if (verdict == AUTH_JWT_OK && expect->audience && expect->audience[0] &&
        !is_audience(claims, expect->audience))
        verdict = AUTH_JWT_AUDIENCE;
    if (verdict == AUTH_JWT_OK && !take_login(claims, expect->login_claim, login_out))
        verdict = AUTH_JWT_LOGIN;
    json_decref(claims);
    return verdict;
}

enum auth_jwt_verdict auth_jwt_check(const struct auth_jwt_keys *keys, struct slice token,
                                     const struct auth_jwt_expect *expect,
                                     char login_out[AUTH_JWT_LOGIN_MAX + 1])
{
    struct token t;
    enum auth_jwt_verdict verdict = AUTH_JWT_MALFORMED;
    if (token_parse(token, &t))
        verdict = check_header(keys, &t);
    if (verdict == AUTH_JWT_OK)
        verdict = check_claims(&t, expect, login_out);
    token_fini(&t);
    return verdict;
}

enum auth_jwt_verdict auth__jwt_claims(struct slice token, const struct auth_jwt_expect *expect,
                                       char login_out[AUTH_JWT_LOGIN_MAX + 1])
{
    struct token t;
    enum auth_jwt_verdict verdict =
        token_parse(token, &t) ? check_claims(&t, expect, login_out) : AUTH_JWT_MALFORMED;
    token_fini(&t);
    return verdict;
}
