/*
 * auth.h - one authentication, from the name of a mechanism to an account: what SMTP AUTH, IMAP LOGIN and AUTHENTICATE share.
 * Layer 6 (auth).   Uses: base, obs, conf, crypt, loop, sasl, net, account.
 *
 * It drives the mechanism (sasl.h), asks the directory (account.h), checks tokens, delays and refuses those who guess, and decides
 * who may act as whom. The session only moves messages:
 *
 *   auth_begin --> AUTH_CHALLENGE: send it, auth_step with what the client says --> ...
 *              --> AUTH_DONE (outcome) | AUTH_WAIT: the same later, by callback
 *
 * Every refusal for good looks the same to the peer and takes the same time: unknown user, wrong password, status, scope, back-off.
 * The log tells them apart (auth.failed reason=).
 *
 * What is offered: nothing without TLS, but on the machine's own socket, or with auth.allow_plaintext. That holds for SCRAM too: it
 * does not show the password, but what was overheard can be tried off-line, and the mail itself would go in clear behind it.
 *
 * Back-off (struct auth_guard, one for the process, any thread, no lock: a fixed table of atomics; the rules are in
 * src/auth/auth_guard.h): failures are counted per address (IPv4 /32, IPv6 /64), per account and per pair of both; past
 * auth.failures_free each try waits before its proof is looked at, doubling to auth.delay_max, and past auth.failures_max within
 * auth.failure_time nothing is looked at. No more guesses are looked at in one moment than may still fail: who comes with more right
 * passwords at once queues (30 s at most, then AUTH_TEMPORARY), and is never refused for it. An address from which the account has logged in lately is judged by the pair alone, so
 * strangers cannot lock its owner out. Addresses in auth.trusted_networks (webmail, multiplexor) are not counted themselves.
 *
 * Acting as somebody else (RFC 4422 3.4.1): an administrator (account_entry.is_admin) may, with an authorisation identity (PLAIN,
 * SCRAM, EXTERNAL) or the login "user*admin" (auth.master_separator) of LOGIN and PLAIN; not with an app password. Others are told
 * AUTH_NOT_PERMITTED only behind a right proof.
 *
 * Threads:  an exchange: its session's loop.   Memory: secrets are wiped by auth_end.
 */
#ifndef MS_AUTH_H
#define MS_AUTH_H

#include "ms/account.h"
#include "ms/base/slice.h"
#include "ms/conf.h"
#include "ms/loop.h"
#include "ms/sasl.h"

struct auth_conf { /* section "auth" */
    bool allow_plaintext;
    struct conf_strlist mechanisms;
    int64_t failures_free, failures_max; /* failures_max 0: nothing is refused unseen */
    uint64_t failure_ms, delay_max_ms;
    struct conf_strlist trusted_networks;
    const char *master_separator;
};
struct auth_oauth_conf { /* section "auth.oauth": tokens of OAUTHBEARER and XOAUTH2 */
    const char *keys; /* text of the file; NULL: no tokens */
    const char *issuer, *audience, *login_claim;
    uint64_t leeway_ms;
};
extern const struct conf_table auth_table, auth_oauth_table;

struct auth_guard;  /* one for the process */
struct auth_client; /* one per loop */
struct auth_exchange;

struct auth_peer {
    const char *service;     /* name of the dispatcher's service, for the log */
    const char *protocol;    /* "imap", "submission", "smtp", "pop3": app passwords have scopes of these */
    const char *rip;         /* address of the peer (behind PROXY: the real one), net_addr.host */
    const char *lip;
    const char *tls;         /* version, "" = none: PLAIN, LOGIN, tokens are refused without unless auth.allow_plaintext or is_local */
    const char *certificate; /* name shown by a verified client certificate, NULL = none; for EXTERNAL */
    bool is_local;           /* the machine's own socket: EXTERNAL by SO_PEERCRED, as anybody */
    uint32_t uid;            /* is_local: of the process, for the log */
    uint64_t session;        /* for the log */
};

enum auth_outcome {
    AUTH_OK,
    AUTH_DENIED,        /* for good; SMTP 535 5.7.8, IMAP [AUTHENTICATIONFAILED] */
    AUTH_TEMPORARY,     /* SMTP 454 4.7.0, IMAP [UNAVAILABLE] */
    AUTH_NO_MECHANISM,  /* SMTP 504 5.5.4; also a mechanism that is switched off or not permitted here */
    AUTH_NEEDS_TLS,     /* SMTP 538 5.7.11, IMAP [PRIVACYREQUIRED] */
    AUTH_MALFORMED,     /* SMTP 501 5.5.2, IMAP BAD */
    AUTH_NOT_PERMITTED, /* authenticated, but may not act as authzid; SMTP 535, IMAP [AUTHORIZATIONFAILED] */
};
struct auth_result {
    enum auth_outcome outcome;
    struct account_entry entry;  /* OK: whom the session acts as */
    char login[ACCOUNT_LOGIN_MAX + 1]; /* OK: who proved it (another one: an administrator; "": the local socket) */
    const char *method;          /* "SCRAM-SHA-256", "LOGIN" */
    char app_password[ACCOUNT_APP_NAME_MAX + 1]; /* its name, "" = none was used */
};
enum auth_state { AUTH_WAIT, AUTH_CHALLENGE, AUTH_DONE };
/* AUTH_CHALLENGE: auth_challenge has the bytes (before base64). AUTH_DONE: auth_result_of; a last message of the server that must go out with success
 * (SCRAM's) is a challenge before it, to be answered by an empty message (RFC 4954 4, RFC 9051 6.2.2). */
typedef void auth_done_fn(void *owner, enum auth_state state);

struct auth_guard *auth_guard_create(void); /* 4.5 MiB, and never more */
void auth_guard_destroy(struct auth_guard **g);
/* conf: holds section "auth"; auth_client_reconf on the loop when it was loaded anew. */
struct auth_client *auth_client_create(struct loop *loop, struct account_client *accounts, struct auth_guard *guard, struct conf *conf);
void auth_client_reconf(struct auth_client *c, struct conf *conf);
void auth_client_destroy(struct auth_client **c);

/* May a name and a password be sent now (auth_begin_password)? */
bool auth_password_is_permitted(const struct auth_client *c, const struct auth_peer *peer);
/* Mechanisms to offer to this peer now, blank-separated: "PLAIN LOGIN SCRAM-SHA-256 ..."; "" = none. */
void auth_mechanisms(const struct auth_client *c, const struct auth_peer *peer, struct str *out);
/* A mechanism by name; initial: its decoded initial response. peer's texts live until auth_end. */
enum auth_state auth_begin(struct auth_client *c, const struct auth_peer *peer, struct slice mechanism, bool has_initial, struct slice initial,
                           auth_done_fn *done, void *owner, struct auth_exchange **out);
/* A name and a password at once: IMAP LOGIN, POP3 PASS, "user*admin" too. */
enum auth_state auth_begin_password(struct auth_client *c, const struct auth_peer *peer, struct slice user, struct slice password,
                                    auth_done_fn *done, void *owner, struct auth_exchange **out);
enum auth_state auth_step(struct auth_exchange *x, struct slice message);
struct slice auth_challenge(const struct auth_exchange *x);
const struct auth_result *auth_result_of(const struct auth_exchange *x);
/* At any time: callbacks do not come any more; secrets are wiped. */
void auth_end(struct auth_exchange **x);

#endif
