/*
 * account.h - who has an account here: the directory as the rest of the server sees it.
 * Layer 5 (account).   Uses: base, obs, conf, crypt, loop, bus, net, db.
 *
 * The interface is asynchronous: a look-up gives its answer at once (MS_OK, MS_ENOTFOUND) or says MS_EMORE and calls back on
 * the same loop. The embedded directory (an LMDB environment of its own, default sync mode) answers look-ups at once and
 * password checks from a work thread; an LDAP back end fits behind the same calls. Temporary trouble is MS_EBUSY, MS_EIO or
 * MS_ETIMEOUT, never MS_ENOTFOUND.
 *
 * Passwords: verified by libcrypt on work threads (bounded queue: MS_EBUSY past it). A short-lived cache remembers proven
 * logins as HMAC-SHA-256 of login and password under a per-process random key, bound to the hash that proved it; negative
 * results are not cached. A login that does not exist costs the same time as a wrong password.
 *
 * On disk: file directory.mdb, databases meta, domain, user, name; each row version byte ... CRC-32C of key and row at its end.
 *   user   be64 account id -> login, password hash, quota bytes, quota messages, partition, created
 *   name   lower-case login or address "user@domain" -> u8 kind (1 user), u64 account id
 *   domain lower-case domain -> created
 *
 * Threads:  clients: their loop. Writes: one work thread of the directory's own, in order; the callback on the loop.
 *           account_dir_* (tools, server not running): the calling thread.
 */
#ifndef MS_ACCOUNT_H
#define MS_ACCOUNT_H

#include "ms/base/str.h"
#include "ms/conf.h"
#include "ms/loop.h"

#define ACCOUNT_LOGIN_MAX     255
#define ACCOUNT_PARTITION_MAX 64
#define ACCOUNT_DOMAIN_MAX    255
#define ACCOUNT_PENDING_MAX   1024 /* password checks waiting; more: MS_EBUSY */
#define ACCOUNT_PROVEN_MAX    16384

struct account_entry {
    uint64_t id;
    char login[ACCOUNT_LOGIN_MAX + 1]; /* user@domain, lower case */
    char partition[ACCOUNT_PARTITION_MAX + 1];
    uint64_t quota_bytes;    /* 0 = none */
    uint64_t quota_messages; /* 0 = none */
};

struct account_conf { /* option section "directory" and the keys it needs of "auth" */
    const char *path;
    uint64_t proven_ms; /* 0 = no cache */
    uint64_t threads;   /* for password checks */
};
extern const struct conf_table account_table;

struct account;        /* the directory */
struct account_client; /* one per loop */

MS_MUST_USE enum ms_err account_open(const struct account_conf *conf, const char *default_domain, bool create,
                                     struct account **out, struct ms_errinfo *why_out);
void account_close(struct account **a); /* clients destroyed, loops stopped */
struct account_client *account_client_create(struct account *a, struct loop *loop);
void account_client_destroy(struct account_client **c);

/* entry is filled before the callback / return. */
typedef void account_done_fn(void *owner, uint64_t request, enum ms_err err, const struct account_entry *entry);
/* address: as in RCPT, without <>; case of the domain and of the local part does not matter; "user+detail@domain" finds user,
 * detail_out (may be NULL) is the part behind the separator. A bare name is in the default domain. */
MS_MUST_USE enum ms_err account_find(struct account_client *c, struct slice address, struct account_entry *out,
                                     struct slice *detail_out, account_done_fn *done, void *owner, uint64_t *request_out);
MS_MUST_USE enum ms_err account_find_id(struct account_client *c, uint64_t id, struct account_entry *out,
                                        account_done_fn *done, void *owner, uint64_t *request_out);
/* MS_OK: ours. MS_ENOTFOUND: not a local domain. */
MS_MUST_USE enum ms_err account_domain_find(struct account_client *c, struct slice domain);
/* MS_OK (proven before), MS_EDENIED comes by callback only; MS_EMORE: callback later; MS_EBUSY. */
MS_MUST_USE enum ms_err account_verify(struct account_client *c, struct slice login, struct slice password,
                                       struct account_entry *out, account_done_fn *done, void *owner, uint64_t *request_out);
void account_forget(struct account_client *c, uint64_t request);
struct account *account_of_client(struct account_client *c);

/* Writing. Passwords are hashed on a work thread. */
struct account_new {
    struct slice login;         /* user@domain or bare */
    struct slice password;      /* or */
    struct slice password_hash; /* ready-made, crypt(5) */
    uint64_t quota_bytes, quota_messages;
    struct slice partition;
};
/* MS_EEXIST, MS_EINVAL (bad login), by callback. The domain is made when it is missing. */
MS_MUST_USE enum ms_err account_add(struct account_client *c, const struct account_new *user, account_done_fn *done,
                                    void *owner, uint64_t *request_out);
/* In login order behind `after` ("" = first). MS_ENOTFOUND: no more. */
MS_MUST_USE enum ms_err account_next(struct account *a, const char *after, struct account_entry *out);

/* The same without loops: tools while the server is down (the environment's own lock keeps two writers apart). */
MS_MUST_USE enum ms_err account_dir_add(struct account *a, const struct account_new *user, struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err account_login_check(struct slice login); /* MS_EINVAL, MS_ELIMIT */

#endif
