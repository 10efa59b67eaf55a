/*
 * auth_exchange.c - one authentication from its first message to its outcome.
 *
 *   begin ──▶ message ──▶ sasl_step ─┬─ more ──▶ CHALLENGE
 *                                    ├─ SCRAM wants keys ──▶ directory ──▶ CHALLENGE; the client's answer: gate
 *                                    ├─ a password ──▶ gate ──▶ (wait) ──▶ directory ──▶ proven
 *                                    ├─ a proof ──▶ proven
 *                                    └─ EXTERNAL ──▶ the peer's certificate, or the local socket ──▶ proven
 *   proven ──▶ himself: OK ── somebody else, an administrator: directory ──▶ OK
 *
 * The gate (auth_gate.c) asks the guard before a proof is looked at. A try that is refused there waits as
 * long as a look would have taken. A guess that the gate has let ends when it is known to be right or wrong,
 * and at the latest with the exchange: who hangs up before the answer has guessed wrong.
 *
 * Functions that give an enum auth_state are steps: the last one's result is the caller's answer, or goes to
 * the callback when the step was begun by a timer or the directory.
 */
#include "auth_priv.h"

#include "ms/crypt.h"
#include "ms/obs.h"

/* -- the end of it */

enum auth_state auth__finish(struct auth_exchange *x, enum auth_outcome outcome)
{
    auth__guess_wrong(x); /* nothing, when it has ended otherwise */
    x->result.outcome = outcome;
    return AUTH_DONE;
}

void auth__resume(struct auth_exchange *x, enum auth_state state)
{
    if (state != AUTH_WAIT)
        x->done(x->owner, state); /* may end it */
}

enum auth_state auth__temporary(struct auth_exchange *x, enum ms_err err)
{
    auth__guess_unsure(x);
    auth__log_unavailable(x, err);
    return auth__finish(x, AUTH_TEMPORARY);
}

bool auth__is_denial(enum ms_err err)
{
    return err == MS_EDENIED || err == MS_ENOTFOUND || err == MS_EINVAL || err == MS_ELIMIT;
}

/* For the operator only: the peer never hears which it was. A directory that answers later is not asked. */
const char *auth__reason_of(struct auth_exchange *x)
{
    struct account_entry entry;
    uint64_t request = 0;
    enum ms_err err = account_login_find(x->client->accounts, x->name, false, &entry, NULL, NULL, &request);
    if (err == MS_EMORE)
        account_forget(x->client->accounts, request);
    if (auth__is_denial(err))
        return "unknown_user";
    if (!err && entry.status != ACCOUNT_ACTIVE && entry.status != ACCOUNT_OVERQUOTA)
        return "status";
    return "wrong_proof";
}

enum auth_state auth__denied(struct auth_exchange *x)
{
    if (!x->is_logged)
        auth__log_failed(x, auth__reason_of(x));
    return auth__finish(x, AUTH_DENIED);
}

enum auth_state auth__not_permitted(struct auth_exchange *x, const char *reason)
{
    auth__log_failed(x, reason);
    return auth__finish(x, AUTH_NOT_PERMITTED);
}

static enum auth_state granted(struct auth_exchange *x, const struct account_entry *entry)
{
    x->result.entry = *entry;
    memcpy(x->result.login, x->entry.login, sizeof x->result.login);
    auth__log_login(x);
    return auth__finish(x, AUTH_OK);
}

/* -- who may act as whom */

static enum auth_state on_target(struct auth_exchange *x, enum ms_err err, const struct account_entry *entry)
{
    if (!err)
        return granted(x, entry);
    return auth__is_denial(err) ? auth__not_permitted(x, "no_such_target") : auth__temporary(x, err);
}

static void target_found(void *owner, uint64_t request, enum ms_err err, const struct account_entry *entry)
{
    struct auth_exchange *x = owner;
    x->request = 0;
    auth__resume(x, on_target(x, err, entry));
}

static bool is_himself(const struct auth_exchange *x)
{
    char canonical[ACCOUNT_LOGIN_MAX + 1];
    if (x->act_as.len == 0)
        return true;
    return account_canonical(account_of_client(x->client->accounts), x->act_as, canonical) == MS_OK &&
           strcmp(canonical, x->entry.login) == 0;
}

enum auth_state auth__find_target(struct auth_exchange *x)
{
    struct account_entry entry;
    enum ms_err err =
        account_login_find(x->client->accounts, x->act_as, false, &entry, target_found, x, &x->request);
    return err == MS_EMORE ? AUTH_WAIT : on_target(x, err, &entry);
}

/* x->entry has proved himself. RFC 4422 3.4.1, RFC 4616 2 */
enum auth_state auth__proven(struct auth_exchange *x)
{
    auth__guess_right(x);
    if (is_himself(x))
        return granted(x, &x->entry);
    if (!x->entry.is_admin || x->result.app_password[0])
        return auth__not_permitted(x, "not_admin");
    return auth__find_target(x);
}

/* Refused by the gate, unseen. */
enum auth_state auth__backed_off(struct auth_exchange *x)
{
    auth__log_backed_off(x);
    x->is_logged = true;
    if (x->sasl.state != SASL_HAVE_TOKEN)
        return auth__finish(x, AUTH_DENIED);
    sasl_refuse_token(&x->sasl, "invalid_token"); /* as any other token that is refused */
    return AUTH_CHALLENGE;
}

/* -- a password */

static enum auth_state verified(struct auth_exchange *x, enum ms_err err, const struct account_entry *entry)
{
    struct auth_client *c = x->client;
    uint64_t took = loop_now_ms(c->loop) - x->asked_ms;
    if (!err) {
        x->entry = *entry;
        return auth__proven(x);
    }
    if (!auth__is_denial(err))
        return auth__temporary(x, err);
    c->check_ms = c->check_ms ? (7 * c->check_ms + took) / 8 : took;
    return auth__denied(x);
}

static void on_verified(void *owner, uint64_t request, enum ms_err err, const struct account_entry *entry)
{
    struct auth_exchange *x = owner;
    x->request = 0;
    auth__resume(x, verified(x, err, entry));
}

static enum auth_state look_at_password(struct auth_exchange *x)
{
    struct account_entry entry;
    x->asked_ms = loop_now_ms(x->client->loop);
    enum ms_err err =
        account_verify_for(x->client->accounts, x->name, str_slice(&x->sasl.password), x->peer->protocol,
                           x->result.app_password, &entry, on_verified, x, &x->request);
    return err == MS_EMORE ? AUTH_WAIT : verified(x, err, &entry);
}

/* "user*admin": only where no other way says whom to act as. */
static void split_master(struct auth_exchange *x)
{
    const char *separator = x->client->options->master_separator;
    if (x->act_as.len || !separator || !separator[0])
        return;
    for (size_t at = x->name.len; at-- > 1;) {
        if (x->name.ptr[at] == (uint8_t)separator[0] && at + 1 < x->name.len) {
            x->act_as = slice_sub(x->name, 0, at);
            x->name = slice_sub(x->name, at + 1, SIZE_MAX);
            return;
        }
    }
}

static enum auth_state have_password(struct auth_exchange *x)
{
    x->name = str_slice(&x->sasl.authcid);
    x->act_as = str_slice(&x->sasl.authzid);
    split_master(x);
    return auth__gate(x, x->client->check_ms, look_at_password);
}

/* -- SCRAM */

static enum auth_state give_keys(struct auth_exchange *x)
{
    struct sasl_keys keys;
    enum sasl_hash hash = strcmp(x->result.method, "SCRAM-SHA-1") == 0 ? SASL_SHA1 : SASL_SHA256;
    x->name = str_slice(&x->sasl.authcid);
    x->act_as = str_slice(&x->sasl.authzid);
    enum ms_err err =
        account_scram_keys(x->client->accounts, x->name, hash, &keys, &x->entry, &x->keys_state);
    if (err)
        return auth__temporary(x, err);
    x->has_keys = true;
    sasl_give_keys(&x->sasl, &keys);
    crypt_wipe(&keys, sizeof keys);
    return AUTH_CHALLENGE;
}

/* -- messages */

static enum auth_state on_sasl(struct auth_exchange *x)
{
    switch (x->sasl.state) {
    case SASL_WANT_CLIENT:
        return AUTH_CHALLENGE;
    case SASL_HAVE_PASSWORD:
        return have_password(x);
    case SASL_HAVE_EXTERNAL:
        return auth__have_external(x);
    case SASL_WANT_KEYS:
        return give_keys(x);
    case SASL_HAVE_PROOF:
        return x->keys_state == MS_OK ? auth__proven(x) : auth__denied(x);
    case SASL_HAVE_TOKEN:
        return auth__have_token(x);
    case SASL_FAILED:
        return auth__denied(x);
    }
    MS_UNREACHABLE();
}

static enum auth_state take(struct auth_exchange *x, struct slice message)
{
    enum ms_err err = sasl_step(&x->sasl, message);
    if (err && err != MS_EDENIED)
        return auth__finish(x, AUTH_MALFORMED);
    return err ? auth__denied(x) : on_sasl(x);
}

/* Whether the proof fits is known before the client has answered the server's last word; he may never. */
static enum auth_state look_at_held(struct auth_exchange *x)
{
    enum auth_state state = take(x, str_slice(&x->held));
    if (state == AUTH_CHALLENGE && x->keys_state == MS_OK)
        auth__guess_right(x);
    return state;
}

enum auth_state auth_step(struct auth_exchange *x, struct slice message)
{
    MS_ASSERT(loop_is_home(x->client->loop));
    if (!x->has_keys || x->has_guessed)
        return take(x, message);
    /* The client's proof of SCRAM: from here on it is a guess. */
    if (message.len > SASL_MESSAGE_MAX)
        return auth__finish(x, AUTH_MALFORMED);
    x->has_guessed = true;
    str_add_slice(&x->held, message);
    return auth__gate(x, 0, look_at_held);
}

static struct auth_exchange *exchange_create(struct auth_client *c, const struct auth_peer *peer,
                                             auth_done_fn *done, void *owner)
{
    struct auth_exchange *x = ms_new(struct auth_exchange);
    MS_ASSERT(loop_is_home(c->loop));
    x->client = c;
    x->peer = peer;
    x->done = done;
    x->owner = owner;
    x->result.method = "";
    list_init(&x->in_queue);
    str_init(&x->held, SASL_MESSAGE_MAX);
    sasl_init(&x->sasl, sasl_mech_external());
    return x;
}

/* false: the outcome is there already. */
static bool may_begin(struct auth_exchange *x, int mech)
{
    enum ms_err err = mech < 0 ? MS_EUNSUPPORTED : auth__mech_permitted(x->client, x->peer, mech);
    if (err)
        auth__finish(x, err == MS_EDENIED ? AUTH_NEEDS_TLS : AUTH_NO_MECHANISM);
    return !err;
}

enum auth_state auth_begin(struct auth_client *c, const struct auth_peer *peer, struct slice mechanism,
                           bool has_initial, struct slice initial, auth_done_fn *done, void *owner,
                           struct auth_exchange **out)
{
    struct auth_exchange *x = *out = exchange_create(c, peer, done, owner);
    int mech = auth__mech_find(mechanism);
    if (!may_begin(x, mech))
        return AUTH_DONE;
    const struct sasl_mech *sasl =
        auth__mech_flags(mech) & AUTH_IS_EXTERNAL ? sasl_mech_external() : sasl_mech_find(mechanism);
    sasl_fini(&x->sasl);
    sasl_init(&x->sasl, sasl);
    x->result.method = sasl_mech_name(sasl);
    return has_initial ? auth_step(x, initial) : AUTH_CHALLENGE;
}

enum auth_state auth_begin_password(struct auth_client *c, const struct auth_peer *peer, struct slice user,
                                    struct slice password, auth_done_fn *done, void *owner,
                                    struct auth_exchange **out)
{
    struct auth_exchange *x = *out = exchange_create(c, peer, done, owner);
    x->result.method = "LOGIN";
    if (!may_begin(x, auth__mech_find(SLICE_LIT("PLAIN"))))
        return AUTH_DONE;
    /* What is too long belongs to nobody, at the price of a look. */
    if (user.len <= SASL_NAME_MAX)
        str_add_slice(&x->sasl.authcid, user);
    str_add_slice(&x->sasl.password, slice_sub(password, 0, SASL_MESSAGE_MAX));
    return have_password(x);
}

struct slice auth_challenge(const struct auth_exchange *x)
{
    return str_slice(&x->sasl.challenge);
}

const struct auth_result *auth_result_of(const struct auth_exchange *x)
{
    return &x->result;
}

void auth_end(struct auth_exchange **xp)
{
    struct auth_exchange *x = *xp;
    if (!x)
        return;
    if (x->request)
        account_forget(x->client->accounts, x->request);
    auth__guess_wrong(x);
    auth__queue_leave(x);
    loop_timer_stop(x->client->loop, &x->timer);
    if (x->held.ptr)
        crypt_wipe(x->held.ptr, x->held.cap);
    str_fini(&x->held);
    sasl_fini(&x->sasl);
    ms_free(x);
    *xp = NULL;
}
