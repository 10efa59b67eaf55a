/*
 * auth_jwt.h - bearer tokens that are JSON Web Tokens, checked on the spot: nobody is asked (RFC 7519, 7515, 8725, 9068).
 *
 *   keys = auth_jwt_keys_load(file)            when the configuration is loaded; it reads a file, so never on a loop
 *   auth_jwt_check(keys, token, expect, login) -> AUTH_JWT_OK and the login, or why not
 *
 * A token is header "." claims "." signature, each in base64url. The algorithm is the key's: RS256 (RSA from 2048 bits), ES256 (P-256),
 * EdDSA (Ed25519). The header's "alg" can only fail to name it; "none" and shared secrets (HS256) are no algorithms here, and what the
 * header says of other keys (jwk, jku, x5c, x5u) is not looked at.
 *
 * Threads:  keys do not change once they are made: any number of threads may check. A check costs one to AUTH_JWT_KEYS_MAX signatures
 *           (0.03-0.2 ms each; one when the token names its key), so a loop may do it.
 * Limits:   AUTH_JWT_*; more is refused before a library sees it.
 */
#ifndef AUTH_JWT_H
#define AUTH_JWT_H

#include "ms/base/slice.h"
#include "ms/sasl.h"

#define AUTH_JWT_TOKEN_MAX SASL_MESSAGE_MAX
#define AUTH_JWT_FILE_MAX  ((size_t)256 << 10) /* a file of keys */
#define AUTH_JWT_KEYS_MAX  16
#define AUTH_JWT_DEPTH_MAX 16 /* of objects and lists in each other */
#define AUTH_JWT_LOGIN_MAX SASL_NAME_MAX

struct auth_jwt_keys;
/* A key set (RFC 7517: {"keys": [...]}, or one key alone), or "BEGIN PUBLIC KEY" blocks behind each other. Keys of a set that are for
 * something else (use, key_ops), of another algorithm, or shared secrets are passed over. MS_EINVAL, MS_ELIMIT, MS_EUNSUPPORTED (a PEM key of a
 * kind that is not taken) with a sentence: no key is left, one is broken, or is a private key, which has no business there. */
MS_MUST_USE enum ms_err auth_jwt_keys_parse(struct slice text, struct auth_jwt_keys **out,
                                            struct ms_errinfo *why_out);
/* From a file; its trouble too. Blocks. */
MS_MUST_USE enum ms_err auth_jwt_keys_load(const char *path, struct auth_jwt_keys **out,
                                           struct ms_errinfo *why_out);
void auth_jwt_keys_destroy(struct auth_jwt_keys **keys);
size_t auth_jwt_keys_count(const struct auth_jwt_keys *keys);

struct auth_jwt_expect {  /* borrowed texts */
    const char *issuer;   /* "iss" must be this; NULL or "": it is not looked at */
    const char *audience; /* "aud" must have this; NULL or "": it is not looked at */
    const char *
        login_claim; /* whose text is the login: "sub", "email", "preferred_username"; an "email" that the token says is not
                              * verified is none */
    uint64_t now_s;    /* wall clock, seconds since 1970 */
    uint64_t leeway_s; /* by which clocks may differ */
};

#define AUTH_JWT_VERDICTS(X) /* name, word for the log */                                                    \
    X(OK, "ok")                                                                                              \
    X(MALFORMED, "token_malformed") /* no JWT, JSON that is none, a "crit" header, claims of a wrong type */ \
    X(ALGORITHM, "token_algorithm") /* none, HS256, or none of ours */                                       \
    X(KEY, "token_key")             /* no key of that algorithm and "kid" */                                 \
    X(SIGNATURE, "token_signature")                                                                          \
    X(EXPIRED, "token_expired") /* or no "exp": a token for ever is none */                                  \
    X(EARLY, "token_early")     /* "nbf" or "iat" ahead of us */                                             \
    X(ISSUER, "token_issuer")                                                                                \
    X(AUDIENCE, "token_audience")                                                                            \
    X(LOGIN, "token_login") /* the claim is not there, empty, too long, or not verified */
enum auth_jwt_verdict {
#define X(name, word) AUTH_JWT_##name,
    AUTH_JWT_VERDICTS(X)
#undef X
        AUTH_JWT_COUNT
};
const char *auth_jwt_word(enum auth_jwt_verdict verdict);
/* Nothing of a token is believed before its signature fits. login_out: filled when OK, UTF-8 without controls, as it stands in the token. */
enum auth_jwt_verdict auth_jwt_check(const struct auth_jwt_keys *keys, struct slice token,
                                     const struct auth_jwt_expect *expect,
                                     char login_out[AUTH_JWT_LOGIN_MAX + 1]);

/* -- inside: auth_jwt.c, auth_jwt_json.c, auth_jwt_keys.c */
struct json_t;
/* An object, within AUTH_JWT_DEPTH_MAX, no name twice. NULL: none. json_decref it. */
struct json_t *auth__json_object(struct slice text);
/* Texts of a member: false when it is not there or is none. */
bool auth__json_text(const struct json_t *object, const char *name, struct slice *out);

/* Only what a token claims, whoever signed it: for fuzzing. */
enum auth_jwt_verdict auth__jwt_claims(struct slice token, const struct auth_jwt_expect *expect,
                                       char login_out[AUTH_JWT_LOGIN_MAX + 1]);

struct crypt_key;
struct auth_jwt_key {
    struct crypt_key *key;
    char *kid; /* NULL: it has none */
};
struct auth_jwt_keys {
    struct auth_jwt_key keys[AUTH_JWT_KEYS_MAX];
    size_t count;
};

#endif
