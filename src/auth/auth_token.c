/*
 * auth_token.c - OAUTHBEARER (RFC 7628) and XOAUTH2: a bearer token that is a JSON Web Token, checked on
 * the spot.
 *
 * A bad signature is a guess; a token that was good once, or is for somebody else, is not: mail programs
 * try the one they have, hear that it is refused, and fetch another.
 */
#include "auth_jwt.h"
#include "auth_priv.h"

#include "ms/base/clock.h"

/* RFC 7628 3.2.3: the refusal is told in a challenge, and the client's answer to it ends the exchange. */
static enum auth_state refuse(struct auth_exchange *x, const char *reason, bool is_guess)
{
    if (is_guess)
        auth__guess_wrong(x);
    else
        auth__guess_unsure(x);
    auth__log_failed(x, reason);
    x->is_logged = true;
    sasl_refuse_token(&x->sasl, "invalid_token");
    return AUTH_CHALLENGE;
}

static enum auth_state on_login(struct auth_exchange *x, enum ms_err err, const struct account_entry *entry)
{
    if (auth__is_denial(err))
        return refuse(x, auth__reason_of(x), false);
    if (err)
        return auth__temporary(x, err);
    x->entry = *entry;
    return auth__proven(x);
}

static void login_found(void *owner, uint64_t request, enum ms_err err, const struct account_entry *entry)
{
    struct auth_exchange *x = owner;
    x->request = 0;
    auth__resume(x, on_login(x, err, entry));
}

static bool is_guess(enum auth_jwt_verdict verdict)
{
    return verdict == AUTH_JWT_MALFORMED || verdict == AUTH_JWT_ALGORITHM || verdict == AUTH_JWT_KEY ||
           verdict == AUTH_JWT_SIGNATURE;
}

static enum auth_state look_at_token(struct auth_exchange *x)
{
    struct auth_client *c = x->client;
    struct account_entry entry;
    const struct auth_jwt_expect expect = {.issuer = c->oauth->issuer,
                                           .audience = c->oauth->audience,
                                           .login_claim = c->oauth->login_claim,
                                           .now_s = clock_wall_us() / 1000000,
                                           .leeway_s = c->oauth->leeway_ms / 1000};
    struct slice token = str_slice(&x->sasl.password);
    if (token.len == 0) /* RFC 7628 4.3: a client that asks what is wanted */
        return refuse(x, "no_token", false);
    enum auth_jwt_verdict verdict = auth_jwt_check(c->keys, token, &expect, x->token_login);
    if (verdict != AUTH_JWT_OK)
        return refuse(x, auth_jwt_word(verdict), is_guess(verdict));
    /* No guess, whatever comes of it; and what is remembered is of whom it names, not of whom it asks for. */
    auth__guess_unsure(x);
    x->name = slice_cstr(x->token_login);
    auth__guess_key(x);
    enum ms_err err = account_login_find(c->accounts, x->name, true, &entry, login_found, x, &x->request);
    return err == MS_EMORE ? AUTH_WAIT : on_login(x, err, &entry);
}

/* Until the token says who it is, who he wants to be is all that is known. */
enum auth_state auth__have_token(struct auth_exchange *x)
{
    x->name = x->act_as = str_slice(&x->sasl.authzid);
    return auth__gate(x, 0, look_at_token);
}
