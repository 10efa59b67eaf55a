/*
 * auth_guard.h - who has guessed too often: the counting behind struct auth_guard.
 *
 * Who waits and who is refused is judged by decided failures alone. A try takes a place before its proof is
 * looked at, in each counter it is judged by, and there are as many places as failures are left until
 * refusal: so in no moment more guesses are looked at than would have been one after the other, and a crowd
 * of right passwords is never refused; at worst it queues (auth_places.h). Three counters and one memory take
 * part:
 *
 *   pair     this account from this address. Success clears it.
 *   address  all accounts from this address; not of a trusted network.
 *   account  this account from everywhere.
 *   known    this account has logged in from this address within AUTH_KNOWN_MS; not of a trusted network.
 *
 * An address that is known for the account is judged by the pair alone: whatever strangers do to the
 * account, and others behind the same address to other accounts, its owner gets in. For everybody else the
 * strictest of the three counts; the account refuses only at AUTH_ACCOUNT_FACTOR times what an address is
 * granted, so that its owner can still come from a new place while strangers guess a little.
 *
 * A try that has its place ends as a success, as a failure, or as neither when nobody can say which it was.
 *
 * Counts are buckets that leak one failure in each failure_time / failures_max, and a refused try is not
 * counted: nobody is kept out for ever, and who goes on guessing gets failures_max tries in a failure_time,
 * not more.
 */
#ifndef AUTH_GUARD_H
#define AUTH_GUARD_H

#include "ms/base/slice.h"

#define AUTH_ACCOUNT_FACTOR 10
#define AUTH_DELAY_FIRST_MS 500
#define AUTH_KNOWN_MS       ((uint64_t)30 * 24 * 3600 * 1000)
#define AUTH_FAILURES_MOST                                                                                   \
    100 /* upper end of failures_max: a counter holds AUTH_ACCOUNT_FACTOR times as many */
#define AUTH_GUARD_SETS 16384
#define AUTH_GUARD_WAYS 8

struct auth_guard;

struct auth_guard_limits {
    uint64_t free,
        max; /* failures without a delay; failures past which nothing is looked at; max 0 = never */
    uint64_t window_ms, delay_max_ms;
};

/* Where a try is counted. */
struct auth_guard_try {
    uint64_t address, account, pair;
    bool is_trusted;
    bool is_open;    /* auth__guard_begin has let it: it must end */
    unsigned places; /* bits: the counters in which it holds one */
};

enum auth_guard_answer {
    AUTH_GUARD_GO,      /* the proof may be looked at; ends with one of the three below */
    AUTH_GUARD_DELAY,   /* so many failures: to be asked again in delay_ms */
    AUTH_GUARD_QUEUE,   /* as many as are granted are being looked at: to be asked again soon */
    AUTH_GUARD_REFUSED, /* in delay_ms: for good */
};
struct auth_guard_verdict {
    enum auth_guard_answer answer;
    uint64_t delay_ms;
};

struct auth_guard *auth__guard_create(unsigned sets);
/* login: canonical; empty: no account is named. */
void auth__guard_key(const struct auth_guard *g, const char *rip, struct slice login, bool is_trusted,
                     struct auth_guard_try *out);
/* waited_ms: what it has waited so far, for whatever reason. is_behind: others were here first and still
 * queue; who is known does not mind. */
struct auth_guard_verdict auth__guard_begin(struct auth_guard *g, const struct auth_guard_limits *l,
                                            struct auth_guard_try *t, uint64_t waited_ms, bool is_behind,
                                            uint64_t now_ms);
/* The ends; nothing happens to a try that is not open, but that a success is remembered. */
/* The proof was wrong, or has been looked at and nobody waited for the answer. */
void auth__guard_failure(struct auth_guard *g, const struct auth_guard_limits *l, struct auth_guard_try *t,
                         uint64_t now_ms);
/* The proof was right. */
void auth__guard_success(struct auth_guard *g, const struct auth_guard_limits *l, struct auth_guard_try *t,
                         uint64_t now_ms);
/* Nobody can say whether it was (the directory is away). */
void auth__guard_refund(struct auth_guard *g, struct auth_guard_try *t, uint64_t now_ms);
/* Bytes it takes, whatever happens. */
size_t auth__guard_bytes(const struct auth_guard *g);

#endif
