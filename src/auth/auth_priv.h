/*
 * auth_priv.h - clients and exchanges, inside the module.
 */
#ifndef AUTH_PRIV_H
#define AUTH_PRIV_H

#include "ms/auth.h"
#include "ms/base/list.h"
#include "ms/net.h"

#include "auth_guard.h"

#define AUTH_MECHANISMS_ALL "PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-1 EXTERNAL OAUTHBEARER XOAUTH2"
#define AUTH_NETWORKS_MAX   64
#define AUTH_NAMED_SLOTS    1024  /* of a loop: addresses whose refusals were logged lately */
#define AUTH_NAMED_MS       10000 /* an address that is backed off is named so often */
#define AUTH_QUEUE_MS       30000 /* longest wait for a place among the tries that are looked at */
#define AUTH_QUEUE_TICK_MS  20
#define AUTH_QUEUE_PER_MS   50 /* a longer queue is asked less often: a millisecond more for so many */

/* Refusals without a look come as fast as a client can send: one line an address in AUTH_NAMED_MS, with the
 * number of tries. An address that meets another in its slot is named more often, never less. */
struct auth_named {
    uint64_t address;
    uint64_t next_ms;
    uint64_t silent; /* tries since the last line */
};

struct auth_jwt_keys;

struct auth_client {
    struct loop *loop;
    struct account_client *accounts;
    struct auth_guard *guard;
    struct conf *conf; /* a reference */
    const struct auth_conf *options;
    const struct auth_oauth_conf *oauth;
    struct auth_jwt_keys *keys; /* NULL: no tokens */
    unsigned mechanisms;        /* bits by auth__mech_find */
    struct auth_guard_limits limits;
    struct net_network networks[AUTH_NETWORKS_MAX];
    size_t network_count;
    uint64_t check_ms; /* what a wrong password takes here, lately */
    struct auth_named named[AUTH_NAMED_SLOTS];
    struct list queue; /* of exchanges that wait for a place, the first one first */
    size_t queued;
    struct loop_timer tick; /* while there are any */
};

/* An exchange: begin -> [message ->]... gate -> (wait) -> look at the proof -> (directory) -> proven ->
 * (directory) -> done. */
struct auth_exchange {
    struct auth_client *client;
    const struct auth_peer *peer;
    auth_done_fn *done;
    void *owner;
    struct sasl sasl;
    struct slice name;                                /* who proves himself, in sasl's texts or the peer's */
    struct slice act_as;                              /* whom he wants to be; empty: himself */
    enum auth_state (*next)(struct auth_exchange *x); /* behind the gate */
    uint64_t gate_ms, queued_ms;                      /* there since; in the queue first, 0: never */
    uint64_t look_ms;                                 /* what next takes, about */
    struct loop_timer timer;                          /* of a delay, or of a refusal */
    struct list in_queue;
    bool is_delayed, is_refused;
    uint64_t request; /* of the directory; 0: none */
    struct auth_guard_try guess;
    struct str held; /* SCRAM: the client's last message, until it may be looked at */
    bool has_keys, has_guessed;
    enum ms_err keys_state; /* has_keys: MS_EDENIED: they are not real */
    uint64_t asked_ms;
    bool is_logged; /* the denial that is still to come */
    char token_login[SASL_NAME_MAX + 1];
    struct account_entry entry; /* who proved himself */
    struct auth_result result;
};

/* auth_mech.c: index of a mechanism, -1 when there is none of the name */
int auth__mech_find(struct slice name);
enum auth_mech_flag { AUTH_SHOWS_PASSWORD = 1, AUTH_IS_SCRAM = 2, AUTH_IS_EXTERNAL = 4, AUTH_IS_TOKEN = 8 };
unsigned auth__mech_flags(int mech);
/* MS_OK, or why not: MS_EUNSUPPORTED, MS_EDENIED (without TLS). */
enum ms_err auth__mech_permitted(const struct auth_client *c, const struct auth_peer *peer, int mech);

/* auth_exchange.c: steps that the others end in */
enum auth_state auth__finish(struct auth_exchange *x, enum auth_outcome outcome);
void auth__resume(struct auth_exchange *x, enum auth_state state); /* from a timer or the directory */
enum auth_state auth__temporary(struct auth_exchange *x, enum ms_err err);
bool auth__is_denial(enum ms_err err);
const char *auth__reason_of(struct auth_exchange *x);
enum auth_state auth__denied(struct auth_exchange *x);
enum auth_state auth__not_permitted(struct auth_exchange *x, const char *reason);
enum auth_state auth__find_target(struct auth_exchange *x);
enum auth_state auth__proven(struct auth_exchange *x); /* x->entry has proved himself */
enum auth_state auth__backed_off(struct auth_exchange *x);

/* auth_gate.c */
void auth__guess_key(struct auth_exchange *x);
void auth__guess_wrong(struct auth_exchange *x); /* these end a guess; nothing when it has ended */
void auth__guess_right(struct auth_exchange *x); /* and is remembered */
void auth__guess_unsure(struct auth_exchange *x);
void auth__queue_leave(struct auth_exchange *x);
/* look_ms: what next takes, about. */
enum auth_state auth__gate(struct auth_exchange *x, uint64_t look_ms,
                           enum auth_state (*next)(struct auth_exchange *x));

/* auth_external.c, auth_token.c */
enum auth_state auth__have_external(struct auth_exchange *x);
enum auth_state auth__have_token(struct auth_exchange *x);

/* auth_log.c */
void auth__log_login(const struct auth_exchange *x);
void auth__log_failed(struct auth_exchange *x, const char *reason);
void auth__log_backed_off(struct auth_exchange *x);
void auth__log_unavailable(const struct auth_exchange *x, enum ms_err err);

#endif
