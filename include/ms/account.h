/*
 * account.h - who has an account here: the directory as the rest of the server sees it.
 * Layer 5 (account).   Uses: base, obs, conf, crypt, loop, sasl, bus, net, db.
 *
 * Two faces. Sessions and delivery ask through a client of their loop (account_resolve, account_verify, account_may_send...): every
 * question is answered at once, or MS_EMORE and later by callback on the same loop. Commands change the embedded directory through
 * account_dir_* on their own thread; LMDB's own lock keeps writers of several processes apart, and the running server sees what was
 * committed with its next look-up. No restart, no message to the server is needed.
 *
 * Behind the client stands a back end (struct account_backend): the embedded directory answers at once from an LMDB environment of its
 * own (default sync mode). For one that answers later the client keeps a cache: equal questions in flight are one question (single
 * flight), answers live for directory.cache_time, "no such entry" for directory.negative_time, and temporary trouble (MS_EBUSY, MS_EIO,
 * MS_ETIMEOUT, MS_EDAMAGED) is never cached and never "unknown user".
 *
 * Names:     an address is local part and domain, "@" between. Both are compared without regard to case: ASCII letters, and beyond
 *            ASCII by NFC and full case folding of the local part (RFC 6531) and IDNA of the domain (kept as A-labels, RFC 5891).
 *            "user+detail@domain" finds user@domain when no entry has the longer name. A bare name is in the default domain.
 * Passwords: verified by libcrypt on work threads (bounded queue: MS_EBUSY past it). A short-lived cache remembers proven logins as
 *            HMAC-SHA-256 of login and password under a per-process random key, bound to the hash that proved it; negative results are
 *            not cached. A login that does not exist costs the same time as a wrong password.
 *
 *            App passwords are secrets that we make (ACCOUNT_APP_SECRET_BITS of chance), so nobody can try them all and a slow hash would
 *            protect nothing: they are kept as HMAC-SHA-256 under a salt of their own, and checked at once on the loop. What does not look
 *            like one (account_app.c) is never compared with them, and what does costs ACCOUNT_APPS_MAX HMACs whoever the login is.
 * SCRAM:     keys are made when a password is set from its text, and for older entries when their password is first proven
 *            (directory.scram); never from a ready-made hash, and a new password takes the old ones away.
 *
 * On disk: file directory.mdb, databases meta, domain, user, name, address, target, app; each row: version byte ... CRC-32C of key and
 * row. Byte by byte in src/account/account_row.c and mailserverd-formats(5).
 *   user     be64 account id -> login, password hash, SCRAM keys, limits, partition, status, forwards, grants, times
 *   app      be64 account id + name -> scope, salted hash, created, last use
 *   name     canonical address, or "@domain" for a catch-all -> kind, and: user: account id; alias: targets and status
 *   address  be64 account id + canonical address -> nothing: the aliases that lead to this account alone
 *   target   canonical address, NUL, name of an alias or login -> nothing: who has the address among his targets or forwards
 *   domain   A-label domain -> status, canonical domain when it is only another name, created
 *
 * Threads:  clients: their loop. account_dir_*: any one thread at a time.
 */
#ifndef MS_ACCOUNT_H
#define MS_ACCOUNT_H

#include "ms/base/arena.h"
#include "ms/base/str.h"
#include "ms/conf.h"
#include "ms/crypt.h"
#include "ms/loop.h"
#include "ms/sasl.h"

#define ACCOUNT_LOGIN_MAX     255
#define ACCOUNT_PARTITION_MAX 64
#define ACCOUNT_DOMAIN_MAX    255
#define ACCOUNT_PENDING_MAX   1024 /* password checks waiting; more: MS_EBUSY */
#define ACCOUNT_PROVEN_MAX    16384
#define ACCOUNT_TARGETS_MAX   1000 /* of one alias; forwards of a user: ACCOUNT_FORWARDS_MAX */
#define ACCOUNT_FORWARDS_MAX  32
#define ACCOUNT_GRANTS_MAX    64   /* further addresses a user may send as */
#define ACCOUNT_CACHE_MAX     100000 /* answers of one loop's cache */

/* Values of semantics 10.4, with the effect of each. Missing = active, unknown value = inactive. */
enum account_status {
    ACCOUNT_ACTIVE,
    ACCOUNT_INACTIVE,  /* mail: 4xx, the sender keeps trying */
    ACCOUNT_DISABLED,  /* 5xx */
    ACCOUNT_DELETED,   /* 5xx 5.1.6 */
    ACCOUNT_REMOVED,   /* no such user; mailboxes are kept for store.user_keep */
    ACCOUNT_HOLD,      /* mail is taken and held */
    ACCOUNT_OVERQUOTA, /* 4xx 4.2.2 */
    ACCOUNT_UNUSED,    /* as removed */
    ACCOUNT_DEFER,     /* 4xx */
    ACCOUNT_STATUS_COUNT
};
const char *account_status_name(enum account_status s);      /* "active" */
enum account_status account_status_parse(struct slice text); /* empty: active; unknown: inactive */
bool account_status_is_known(struct slice text);

struct account_entry {
    uint64_t id;
    char login[ACCOUNT_LOGIN_MAX + 1]; /* user@domain, canonical */
    char partition[ACCOUNT_PARTITION_MAX + 1];
    uint64_t quota_bytes;     /* 0 = none */
    uint64_t quota_messages;  /* 0 = none */
    uint64_t message_max;     /* largest message this user receives or submits, bytes; 0 = the service's limit */
    uint32_t recipients_max;  /* of one message he submits; 0 = the service's limit */
    enum account_status status;  /* the one that decides: domain, mail domain, user, mail user; the first that is not active */
    bool is_admin;               /* may log in as any user (proxy authorisation) */
};

struct account_conf { /* option section "directory" and the keys it needs of "auth" */
    const char *path;
    uint64_t proven_ms; /* 0 = no cache */
    uint64_t threads;   /* for password checks */
    uint64_t cache_ms, negative_ms; /* of back ends that answer later */
    bool scram; /* SCRAM keys are kept beside the hash */
};
extern const struct conf_table account_table;

struct account;        /* the directory */
struct account_client; /* one per loop */

MS_MUST_USE enum ms_err account_open(const struct account_conf *conf, const char *default_domain, bool create,
                                     struct account **out, struct ms_errinfo *why_out);
void account_close(struct account **a); /* clients destroyed, loops stopped */
struct account_client *account_client_create(struct account *a, struct loop *loop);
void account_client_destroy(struct account_client **c);
/* The loop is short of memory: what is only kept to be faster goes. */
void account_client_shed(struct account_client *c);
struct account *account_of_client(struct account_client *c);

/* -- look-ups (loop) ------------------------------------------------------------------------------------------- */

enum account_kind { ACCOUNT_USER, ACCOUNT_ALIAS };

struct account_answer {
    enum account_kind kind;
    struct account_entry entry;    /* USER */
    enum account_status status;    /* USER: as entry.status; ALIAS: of domain and alias */
    struct slice name;             /* canonical name of the entry that was found: login, alias, or "@domain" (catch-all) */
    struct slice detail;           /* behind the separator, as written; empty when there is none or an entry has the whole name */
    struct slice *targets;         /* USER: forwards; ALIAS: targets; canonical addresses */
    size_t target_count;
    bool keep;                     /* USER: deliver to the mailbox too (always when there are no forwards) */
};
typedef void account_answer_fn(void *owner, uint64_t request, enum ms_err err, const struct account_answer *answer);
/* Mail address to entry. Order: exact name, name without detail, "@domain" (catch-all). Texts of *out live in arena (the caller's; it
 * must live until the answer). MS_OK; MS_ENOTFOUND: our domain, nobody there; MS_EDENIED: not our domain; MS_EMORE: done later; else
 * temporary. Status is reported, not judged: REMOVED and UNUSED users are found as such. */
MS_MUST_USE enum ms_err account_resolve(struct account_client *c, struct slice address, struct arena *arena,
                                        struct account_answer *out, account_answer_fn *done, void *owner, uint64_t *request_out);

/* Outputs are filled when the answer comes at once (MS_OK); a later one has the entry in its callback. */
typedef void account_done_fn(void *owner, uint64_t request, enum ms_err err, const struct account_entry *entry);
/* The account behind an address: as account_resolve, but aliases with one target are followed (to ACCOUNT_FOLLOW_MAX), forwards are
 * ignored, and a list, a catch-all of several, REMOVED and UNUSED give MS_ENOTFOUND. detail_out (may be NULL) points into address. */
#define ACCOUNT_FOLLOW_MAX 10
MS_MUST_USE enum ms_err account_find(struct account_client *c, struct slice address, struct account_entry *out,
                                     struct slice *detail_out, account_done_fn *done, void *owner, uint64_t *request_out);
MS_MUST_USE enum ms_err account_find_id(struct account_client *c, uint64_t id, struct account_entry *out,
                                        account_done_fn *done, void *owner, uint64_t *request_out);
/* MS_OK: ours. MS_ENOTFOUND: not a local domain. MS_EMORE: done later (entry NULL). */
MS_MUST_USE enum ms_err account_domain_ask(struct account_client *c, struct slice domain, account_done_fn *done,
                                           void *owner, uint64_t *request_out);
/* The same, without waiting: MS_EBUSY when the answer is not known at once (never with the embedded directory). */
MS_MUST_USE enum ms_err account_domain_find(struct account_client *c, struct slice domain);
/* May this account use the address as a sender? Its own login and addresses that lead to it alone, with or without a detail, and what
 * it was granted ("a@d", "@d" for a whole domain). MS_OK, MS_EDENIED, MS_EMORE (done later, entry NULL), or temporary. */
MS_MUST_USE enum ms_err account_may_send(struct account_client *c, uint64_t id, struct slice address, account_done_fn *done,
                                         void *owner, uint64_t *request_out);
/* MS_OK (proven before), MS_EDENIED comes by callback only; MS_EMORE: callback later; MS_EBUSY. Only ACTIVE and OVERQUOTA log in; any
 * other status is MS_EDENIED, at the price of a password check. */
MS_MUST_USE enum ms_err account_verify(struct account_client *c, struct slice login, struct slice password,
                                       struct account_entry *out, account_done_fn *done, void *owner, uint64_t *request_out);
/* The same for a service ("imap", "submission", ...; "" = any): app passwords whose scope has it are tried too, before the main one and at
 * once (MS_OK). app_out (ACCOUNT_APP_NAME_MAX + 1): the name of the one that fitted, "" = the main password; filled when this returns. Its
 * last use is kept, at most once per ACCOUNT_APP_USE_MS, and written off the loop. A user without a main password may have app passwords. */
#define ACCOUNT_APP_NAME_MAX    63
#define ACCOUNT_APP_SCOPE_MAX   8    /* services of one */
#define ACCOUNT_APPS_MAX        32   /* app passwords of a user */
#define ACCOUNT_APP_USE_MS      (3600u * 1000)
#define ACCOUNT_APP_SECRET_BITS 140
#define ACCOUNT_APP_SECRET_LEN  34   /* seven groups of four letters and digits, "-" between */
MS_MUST_USE enum ms_err account_verify_for(struct account_client *c, struct slice login, struct slice password, const char *service,
                                           char *app_out, struct account_entry *out, account_done_fn *done, void *owner, uint64_t *request_out);
/* SCRAM keys of a login. MS_OK always has keys and an answer in *state_out: MS_OK: of an account that may log in; MS_EDENIED: there is none,
 * it has no keys of this hash, or its status forbids: keys are faked, and whatever the proof, the login fails. Else temporary. MS_EMORE
 * never with the embedded directory. The caller wipes the keys. */
MS_MUST_USE enum ms_err account_scram_keys(struct account_client *c, struct slice login, int hash /* enum sasl_hash */, struct sasl_keys *keys_out,
                                           struct account_entry *entry_out, enum ms_err *state_out);
/* A login known by other means (certificate, token, administrator): found and permitted to log in? It needs no password.
 * judge_status false: administrators, who may see to any user but a REMOVED or UNUSED one. MS_OK, MS_EDENIED, MS_EMORE (never with the
 * embedded directory), or temporary. */
MS_MUST_USE enum ms_err account_login_find(struct account_client *c, struct slice login, bool judge_status, struct account_entry *out,
                                           account_done_fn *done, void *owner, uint64_t *request_out);
void account_forget(struct account_client *c, uint64_t request); /* of any of these */

/* -- the back end ---------------------------------------------------------------------------------------------- */
/* What a source of entries does; account_* above is built on it. Callbacks and requests are the back end's own; texts as above. */
struct account_backend {
    const char *name; /* "embedded" */
    bool answers_later; /* its answers go through the client's cache */
    /* One name (canonical address or "@domain"), as it stands in the directory: no detail, no catch-all. */
    enum ms_err (*lookup)(void *self, struct loop *loop, struct slice name, struct arena *arena, struct account_answer *out,
                          account_answer_fn *done, void *owner, uint64_t *request_out);
    /* MS_OK; MS_ENOTFOUND; MS_EMORE. canonical_out: another domain this one is only a name of, or itself. */
    enum ms_err (*domain)(void *self, struct loop *loop, struct slice domain, struct arena *arena, struct slice *canonical_out,
                          account_answer_fn *done, void *owner, uint64_t *request_out);
    void (*cancel)(void *self, struct loop *loop, uint64_t request);
};
/* Another back end than the embedded one, for look-ups only; before the first client. Borrowed. */
void account_set_backend(struct account *a, const struct account_backend *backend, void *self);

/* -- the embedded directory, changed by commands --------------------------------------------------------------- */
/* All: MS_OK only when it is durable. MS_EEXIST, MS_ENOTFOUND, MS_EINVAL, MS_ELIMIT with a sentence in why_out. A target, forward or
 * grant outside the local domains is refused (MS_EUNSUPPORTED: no way out of the house yet), grants may be anything. */

enum account_field { /* bits of account_user_spec.set */
    ACCOUNT_SET_PASSWORD = 1, ACCOUNT_SET_QUOTA = 2, ACCOUNT_SET_QUOTA_MESSAGES = 4, ACCOUNT_SET_MESSAGE_MAX = 8,
    ACCOUNT_SET_RECIPIENTS_MAX = 16, ACCOUNT_SET_PARTITION = 32, ACCOUNT_SET_STATUS = 64, ACCOUNT_SET_MAIL_STATUS = 128,
    ACCOUNT_SET_FORWARDS = 256, ACCOUNT_SET_KEEP = 512, ACCOUNT_SET_GRANTS = 1024, ACCOUNT_SET_NAME = 2048,
    ACCOUNT_SET_ADMIN = 4096,
};
#define ACCOUNT_DISPLAY_MAX 128
struct account_user_spec {
    unsigned set;              /* fields that are given */
    struct slice login;        /* user@domain or bare */
    struct slice password_hash; /* ready-made, crypt(5); a user without one has no main password */
    const struct sasl_keys *keys; size_t key_count; /* PASSWORD: what SCRAM has of it, one a hash at most; 0: none, old ones go */
    struct slice display_name;
    uint64_t quota_bytes, quota_messages, message_max;
    uint32_t recipients_max;
    struct slice partition;
    enum account_status status, mail_status;
    const struct slice *forwards; size_t forward_count;
    bool keep;
    bool admin; /* may log in as any user */
    const struct slice *grants; size_t grant_count;
};
/* A password from its text: the hash, and SCRAM keys when directory.scram has them and SASLprep takes the password. 50 ms of CPU and more.
 * MS_EINVAL, MS_ELIMIT: as crypt_password_hash. Wipe it. */
#define ACCOUNT_KEYS_MAX 2
struct account_password {
    char hash[CRYPT_HASH_TEXT_MAX];
    struct sasl_keys keys[ACCOUNT_KEYS_MAX];
    size_t key_count;
};
MS_MUST_USE enum ms_err account_password_make(const struct account *a, struct slice password, struct account_password *out);
void account_password_set(struct account_user_spec *spec, const struct account_password *password); /* borrowed */

/* A transaction over many changes, for imports: everything between begin and commit is one. Without one each call is its own. */
MS_MUST_USE enum ms_err account_dir_begin(struct account *a, struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err account_dir_commit(struct account *a, struct ms_errinfo *why_out);
void account_dir_abort(struct account *a);

/* The domain is made when it is missing (make_domain), else MS_ENOTFOUND. id_out may be NULL. */
MS_MUST_USE enum ms_err account_dir_user_add(struct account *a, const struct account_user_spec *spec, bool make_domain,
                                             uint64_t *id_out, struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err account_dir_user_set(struct account *a, const struct account_user_spec *spec, struct ms_errinfo *why_out);
/* The account keeps its id and mailboxes. keep_alias: the old login goes on as an alias of it. */
MS_MUST_USE enum ms_err account_dir_user_rename(struct account *a, struct slice from, struct slice to, bool keep_alias,
                                                struct ms_errinfo *why_out);
/* Status REMOVED from now on; names stay taken until the purge. restore undoes it. */
MS_MUST_USE enum ms_err account_dir_user_delete(struct account *a, struct slice login, struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err account_dir_user_restore(struct account *a, struct slice login, struct ms_errinfo *why_out);
/* Entry, login, and every name that leads to it alone; also out of aliases with more targets. For the server's janitor (and
 * `user delete --now`, which sets removed_us to 1 first). Only a REMOVED user; MS_EBUSY else. */
MS_MUST_USE enum ms_err account_dir_user_purge(struct account *a, uint64_t id, struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err account_dir_user_delete_now(struct account *a, struct slice login, struct ms_errinfo *why_out);

struct account_user_info { /* everything but the password; texts live in arena */
    struct account_entry entry;
    struct slice display_name;
    enum account_status status, mail_status; /* as stored */
    bool has_password, keep;
    bool has_keys[ACCOUNT_KEYS_MAX]; /* of SCRAM, by enum sasl_hash */
    uint64_t created_us, changed_us, removed_us; /* 0 = not removed */
    struct slice *forwards; size_t forward_count;
    struct slice *grants; size_t grant_count;
    struct slice *addresses; size_t address_count; /* further names that lead to it alone */
};
MS_MUST_USE enum ms_err account_dir_user_info(struct account *a, struct slice login, struct arena *arena,
                                              struct account_user_info *out);
/* In login order behind `after` ("" = first), REMOVED ones too. MS_ENOTFOUND: no more. */
MS_MUST_USE enum ms_err account_dir_user_next(struct account *a, const char *after, struct arena *arena,
                                              struct account_user_info *out);
/* Users removed before before_us, in id order behind after_id. MS_ENOTFOUND: no more. Cheap when there are none. */
MS_MUST_USE enum ms_err account_dir_removed_next(struct account *a, uint64_t before_us, uint64_t after_id, uint64_t *id_out);

struct account_app_info {
    char name[ACCOUNT_APP_NAME_MAX + 1];
    struct slice *scope; size_t scope_count; /* services; none: all */
    uint64_t created_us, used_us;            /* 0: never used */
};
/* scope: words of a-z, 0-9, "-"; none: every service. secret_out is told once and kept nowhere; wipe it. Not for REMOVED users. */
MS_MUST_USE enum ms_err account_dir_app_add(struct account *a, struct slice login, struct slice name, const struct slice *scope,
                                            size_t scope_count, char secret_out[ACCOUNT_APP_SECRET_LEN + 1], struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err account_dir_app_delete(struct account *a, struct slice login, struct slice name, struct ms_errinfo *why_out);
/* In name order behind `after` ("" = first); texts live in arena. MS_ENOTFOUND with a sentence: no such user; without: no more. */
MS_MUST_USE enum ms_err account_dir_app_next(struct account *a, struct slice login, const char *after, struct arena *arena,
                                             struct account_app_info *out, struct ms_errinfo *why_out);

struct account_domain_info {
    char name[ACCOUNT_DOMAIN_MAX + 1];      /* A-labels */
    char canonical[ACCOUNT_DOMAIN_MAX + 1]; /* of which it is another name; "" = none */
    enum account_status status, mail_status;
    uint64_t created_us;
};
MS_MUST_USE enum ms_err account_dir_domain_add(struct account *a, struct slice domain, struct slice canonical,
                                               struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err account_dir_domain_set(struct account *a, struct slice domain, unsigned set /* STATUS, MAIL_STATUS */,
                                               enum account_status status, enum account_status mail_status,
                                               struct ms_errinfo *why_out);
/* MS_EBUSY while users or aliases are in it. */
MS_MUST_USE enum ms_err account_dir_domain_delete(struct account *a, struct slice domain, struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err account_dir_domain_next(struct account *a, const char *after, struct account_domain_info *out);

struct account_alias_info { /* texts live in arena */
    struct slice address; /* or "@domain": catch-all */
    enum account_status status;
    struct slice *targets; size_t target_count;
};
/* The domain must be there. A loop of aliases is refused (MS_EINVAL). */
MS_MUST_USE enum ms_err account_dir_alias_add(struct account *a, struct slice address, const struct slice *targets, size_t count,
                                              struct ms_errinfo *why_out);
/* set: ACCOUNT_SET_STATUS and / or ACCOUNT_SET_FORWARDS (the targets). */
MS_MUST_USE enum ms_err account_dir_alias_set(struct account *a, const struct account_alias_info *alias, unsigned set,
                                              struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err account_dir_alias_delete(struct account *a, struct slice address, struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err account_dir_alias_next(struct account *a, const char *after, struct arena *arena,
                                               struct account_alias_info *out);
/* Every row's checksum, every reference in both directions; problems to line. MS_EDAMAGED when there are any. */
MS_MUST_USE enum ms_err account_dir_verify(struct account *a, void (*line)(void *, const char *), void *owner);

/* Canonical form of an address or login: MS_EINVAL, MS_ELIMIT. */
MS_MUST_USE enum ms_err account_canonical(const struct account *a, struct slice address, char out[ACCOUNT_LOGIN_MAX + 1]);
MS_MUST_USE enum ms_err account_login_check(struct slice login); /* MS_EINVAL, MS_ELIMIT */

#endif
