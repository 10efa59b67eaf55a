/*
 * account_priv.h - the directory from inside: its databases, rows, look-ups and requests.
 */
#ifndef ACCOUNT_PRIV_H
#define ACCOUNT_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "ms/account.h"
#include "ms/base/idtab.h"
#include "ms/base/map.h"
#include "ms/crypt.h"
#include "ms/db.h"
#include "ms/obs.h"

#define ACCOUNT_FORMAT    3 /* of the highest row version; an older directory becomes one with its first change */
#define ACCOUNT_ROW_MAX   ((size_t)1 << 19) /* an alias of ACCOUNT_TARGETS_MAX targets */
#define ACCOUNT_LOCAL_MAX 64                /* RFC 5321 4.5.3.1.1 */
#define ACCOUNT_PAIR_MAX  DB_KEY_MAX        /* two canonical names and a NUL */
#define ACCOUNT_SEPARATOR '+'

enum account_dbi {
    ACCOUNT_DB_META,
    ACCOUNT_DB_USER,
    ACCOUNT_DB_NAME,
    ACCOUNT_DB_DOMAIN,
    ACCOUNT_DB_ADDRESS, /* be64 id + name of an alias that leads to it alone */
    ACCOUNT_DB_TARGET,  /* target, NUL, name of the alias or login whose forward it is */
    ACCOUNT_DB_APP,     /* be64 id + name of an app password */
    ACCOUNT_DB_COUNT
};

struct account {
    struct db *db;
    char default_domain[ACCOUNT_DOMAIN_MAX + 1]; /* A-labels */
    uint64_t proven_ms, cache_ms, negative_ms;
    uint64_t threads;
    struct db_txn *txn;                    /* between account_dir_begin and commit */
    pthread_mutex_t write_lock;            /* held while a write transaction is open: threads of this process */
    bool scram;                            /* SCRAM keys are made */
    struct loop_pool *check_pool;          /* password checks */
    struct loop_pool *later_pool;          /* one thread: what a login leaves to be written */
    pthread_mutex_t later_lock;
    struct list laters; /* posted, and not back on their loop */
    uint8_t key[CRYPT_SHA256_BYTES];       /* of the proven cache; never leaves memory */
    const struct account_backend *backend; /* NULL: the embedded directory */
    void *backend_self;
    atomic_uint clients;
};

/* What the embedded back end is given as `self`: look-ups of one question share a snapshot. */
struct account_reader {
    struct account *account;
    struct db_txn *txn; /* NULL: each look-up opens one of its own */
};
extern const struct account_backend account__embedded;

struct account_cache;

struct account_client {
    struct account *account;
    struct loop *loop;
    const struct account_backend *backend;
    void *backend_self;
    struct account_reader reader;
    struct account_cache *cache; /* of a back end that answers later; else NULL */
    struct idtab requests;       /* struct account_request, until its answer or account_forget */
    struct arena scratch;        /* of one look-up that is answered at once */
    struct map proven;           /* HMAC of login and password -> struct account_proof */
    struct list proofs;          /* oldest first */
};

/* What an id of account_client.requests stands for: embedded as first member. */
enum account_request_kind { ACCOUNT_REQUEST_WORK, ACCOUNT_REQUEST_ASK };
struct account_request {
    enum account_request_kind kind;
};

/* -- account_list.c: texts behind each other as a row has them (u16 length, bytes)
 * ------------------------------- */
struct account_list {
    struct slice raw;
    size_t count;
};
bool account__list_next(struct rd *r, struct slice *out); /* r = rd_make(list.raw) */
bool account__list_has(const struct account_list *list, struct slice text);
struct slice *account__list_copy(const struct account_list *list, struct arena *arena);
/* What points into a row is good until the next write only: the same in the arena. */
void account__list_hold(struct account_list *list, struct arena *arena);

/* -- account_row.c
 * ------------------------------------------------------------------------------------------------- */
/* A stored user, parsed. display, forwards and grants point into the row. */
struct account_user {
    struct account_entry
        entry; /* entry.status: of the user alone; account__entry_status joins the domain's */
    char hash[CRYPT_HASH_TEXT_MAX];
    struct sasl_keys keys[ACCOUNT_KEYS_MAX];
    size_t key_count;
    enum account_status status,
        mail_status; /* as stored; a removed user's is that which restore gives back */
    bool keep;
    uint64_t created_us, changed_us, removed_us;
    struct slice display;
    struct account_list forwards, grants;
};

/* A stored name, parsed. */
struct account_name {
    enum account_kind kind;
    uint64_t id; /* USER: the account. ALIAS: the account it leads to alone, or 0 */
    enum account_status status;
    uint64_t created_us, changed_us;
    struct account_list targets; /* into the row */
};

struct account_domain {
    enum account_status status, mail_status;
    uint64_t created_us, changed_us;
    struct slice canonical; /* into the row; empty: itself */
};

/* A stored app password, parsed. name points into the key, scope into the row. */
#define ACCOUNT_APP_SALT_BYTES 16
struct account_app {
    struct slice name;
    uint64_t created_us, used_us;
    uint8_t salt[ACCOUNT_APP_SALT_BYTES], hash[CRYPT_SHA256_BYTES];
    struct account_list scope;
};

void account__user_wipe(struct account_user *user); /* what proves its login */
void account__user_hold(struct account_user *user, struct arena *arena); /* as account__list_hold */
void account__user_emit(struct str *out, struct slice key, const struct account_user *user);
MS_MUST_USE enum ms_err account__user_parse(struct slice key, struct slice row, struct account_user *out);
void account__name_emit(struct str *out, struct slice key, const struct account_name *name);
MS_MUST_USE enum ms_err account__name_parse(struct slice key, struct slice row, struct account_name *out);
void account__domain_emit(struct str *out, struct slice key, const struct account_domain *domain);
MS_MUST_USE enum ms_err account__domain_parse(struct slice key, struct slice row, struct account_domain *out);
void account__app_emit(struct str *out, struct slice key, const struct account_app *app);
MS_MUST_USE enum ms_err account__app_parse(struct slice key, struct slice row, struct account_app *out);
/* Rows of address and target say all with their key: version and checksum. */
void account__mark_emit(struct str *out, struct slice key);
MS_MUST_USE enum ms_err account__mark_parse(struct slice key, struct slice row);

/* -- account_name.c
 * ------------------------------------------------------------------------------------------------ */
/* A mail address in parts. */
struct account_address {
    char local[ACCOUNT_LOGIN_MAX + 1]; /* canonical; empty for "@domain" */
    size_t local_len;
    char domain[ACCOUNT_DOMAIN_MAX + 1];
    size_t domain_len;
    size_t bare_len;     /* of local without its detail; local_len when there is none */
    struct slice detail; /* into the address as given */
};
/* MS_EINVAL, MS_ELIMIT. A bare name gets the default domain. */
MS_MUST_USE enum ms_err account__address_parse(const struct account *a, struct slice address,
                                               struct account_address *out);
/* As address_parse, and "@domain" too. */
MS_MUST_USE enum ms_err account__pattern_parse(const struct account *a, struct slice text,
                                               struct account_address *out);
/* local@domain; false when it is longer than a name may be. */
bool account__join(struct slice local, struct slice domain, char out[ACCOUNT_LOGIN_MAX + 1]);
struct slice account__domain_of(struct slice name);
/* Canonical "user+detail@domain" -> "user@domain"; false when there is no detail. */
bool account__bare(struct slice name, char out[ACCOUNT_LOGIN_MAX + 1]);

/* -- account_get.c: single rows of a transaction
 * -------------------------------------------------------------------- */
MS_MUST_USE enum ms_err account__get_user(struct db_txn *txn, uint64_t id, struct account_user *out);
MS_MUST_USE enum ms_err account__get_name(struct db_txn *txn, struct slice name, struct account_name *out);
MS_MUST_USE enum ms_err account__get_domain(struct db_txn *txn, struct slice domain,
                                            struct account_domain *out);
/* The user whose login this is; MS_ENOTFOUND for aliases too. A name without its user is damage. */
MS_MUST_USE enum ms_err account__get_login(struct db_txn *txn, struct slice login, struct account_user *out);
/* semantics 10.4: domain, mail domain, user, mail user: the first that is not active. */
MS_MUST_USE enum ms_err account__entry_status(struct db_txn *txn, struct account_user *user);
enum account_status account__first_inactive(enum account_status general, enum account_status mail);
/* The account behind an address that may log in as it: no alias, no detail. status joined. */
MS_MUST_USE enum ms_err account__find_login(struct account *a, struct slice login, struct account_user *out);

/* -- account_ask.c, account_cache.c
 * ---------------------------------------------------------------------------------- */
struct account_ask; /* a look-up */
struct account_flight;
struct account_waiter { /* of a question in flight; embedded in struct account_ask */
    struct list node;
    struct account_flight *flight; /* NULL: does not wait */
};
struct account_ask *account__waiter_ask(struct account_waiter *waiter);
/* One question to the back end, through the cache when it answers later. MS_EMORE: account__ask_on_answer
 * comes. Texts of the answer live in arena. */
MS_MUST_USE enum ms_err account__question_name(struct account_client *c, struct slice name,
                                               struct account_waiter *waiter, struct arena *arena,
                                               struct account_answer *out);
MS_MUST_USE enum ms_err account__question_domain(struct account_client *c, struct slice domain,
                                                 struct account_waiter *waiter, struct arena *arena,
                                                 struct slice *canonical_out);
void account__ask_on_answer(struct account_ask *ask, enum ms_err err, const struct account_answer *answer);
void account__ask_drop(struct account_ask *ask); /* nobody waits for it any more */
struct account_cache *account__cache_create(struct account_client *c);
void account__cache_destroy(struct account_cache **cache);
void account__cache_leave(struct account_client *c, struct account_waiter *waiter);
void account__answer_copy(struct arena *arena, const struct account_answer *in, struct account_answer *out);

/* -- account_dir.c
 * --------------------------------------------------------------------------------------------------- */
MS_MUST_USE enum ms_err account__dir_open(struct account *a, const char *path, bool create,
                                          struct ms_errinfo *why_out);
/* The transaction of account_dir_begin, or one of this call: begin, then end with what came out. */
MS_MUST_USE enum ms_err account__write_begin(struct account *a, struct db_txn **out,
                                             struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err account__write_end(struct account *a, struct db_txn **txn, enum ms_err err,
                                           struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err account__read_begin(struct account *a, struct db_txn **out);
void account__read_end(struct account *a, struct db_txn **txn);
/* The next account id; ids are never given twice. */
MS_MUST_USE enum ms_err account__take_id(struct db_txn *txn, uint64_t *id_out);
MS_MUST_USE enum ms_err account__put_user(struct db_txn *txn, const struct account_user *user);
MS_MUST_USE enum ms_err account__put_name(struct db_txn *txn, struct slice name,
                                          const struct account_name *row);
MS_MUST_USE enum ms_err account__put_domain(struct db_txn *txn, struct slice domain,
                                            const struct account_domain *row);
MS_MUST_USE enum ms_err account__put_mark(struct db_txn *txn, enum account_dbi dbi, struct slice key);
/* A row that is not there is none to delete: MS_OK. */
MS_MUST_USE enum ms_err account__del(struct db_txn *txn, enum account_dbi dbi, struct slice key);
struct slice account__key_address(uint64_t id, struct slice name, uint8_t out[ACCOUNT_PAIR_MAX]);
/* Empty owner: the prefix of all owners. */
struct slice account__key_target(struct slice target, struct slice owner, uint8_t out[ACCOUNT_PAIR_MAX]);
/* The index of removed users: meta rows "removed" + be64 id -> time of removal. 0: takes it out. */
MS_MUST_USE enum ms_err account__put_removed(struct db_txn *txn, uint64_t id, uint64_t removed_us);

uint64_t account__get_removed(struct db_txn *txn, uint64_t id); /* 0: not in the index */
/* What fake SCRAM keys of this directory are made from, so that they stay the same over a restart. 0 octets: there is none before the first
 * change of an older directory. */
#define ACCOUNT_FAKE_BYTES 32
void account__fake_secret(struct db_txn *txn, uint8_t out[ACCOUNT_FAKE_BYTES], size_t *len_out);
/* The next account id, and how many are in the index of removed users. */
MS_MUST_USE enum ms_err account__get_meta(struct db_txn *txn, uint64_t *next_out, uint64_t *removed_out);

/* -- account_ref.c: what names refer to, and who refers to them
 * --------------------------------------------------------- */
/* The row of a domain of ours by any spelling; canonical name (A-labels) to name_out. MS_ENOTFOUND,
 * MS_EINVAL, MS_ELIMIT. */
MS_MUST_USE enum ms_err account__domain_get(struct db_txn *txn, struct slice domain,
                                            char name_out[ACCOUNT_DOMAIN_MAX + 1], struct account_domain *out,
                                            struct ms_errinfo *why_out);
/* Canonical name of an address (pattern: or "@domain") in a domain of ours that is no other domain's second
 * name: where users and aliases are. */
MS_MUST_USE enum ms_err account__home_name(struct account *a, struct db_txn *txn, struct slice address,
                                           bool pattern, char out[ACCOUNT_LOGIN_MAX + 1],
                                           struct ms_errinfo *why_out);
/* The list that a row keeps: canonical names of local addresses, each once, none of them `owner`. text holds
 * it. */
MS_MUST_USE enum ms_err account__targets_make(struct account *a, struct db_txn *txn, struct slice owner,
                                              const struct slice *items, size_t count, size_t count_max,
                                              struct str *text, struct account_list *out,
                                              struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err account__grants_make(struct account *a, const struct slice *items, size_t count,
                                             struct str *text, struct account_list *out,
                                             struct ms_errinfo *why_out);
/* list without one text, or with another in its place (once). */
void account__list_replace(const struct account_list *list, struct slice from, struct slice to,
                           struct str *text, struct account_list *out);
/* MS_EINVAL: mail to `name` with these targets would come back to it. */
MS_MUST_USE enum ms_err account__loop_check(struct db_txn *txn, struct slice name,
                                            const struct account_list *targets, struct ms_errinfo *why_out);
/* Rows of `target` of one owner, from one list to another. */
MS_MUST_USE enum ms_err account__targets_write(struct db_txn *txn, struct slice owner,
                                               const struct account_list *from,
                                               const struct account_list *to);
/* The account these targets lead to alone, or 0: one target that is a login, a login with detail, or an alias
 * that leads to one account alone. */
MS_MUST_USE enum ms_err account__sole(struct db_txn *txn, const struct account_list *targets,
                                      uint64_t *id_out);
/* Writes an alias with its sole account and its row of `address`; old: as it was, NULL: new. */
MS_MUST_USE enum ms_err account__alias_write(struct db_txn *txn, struct slice name, struct account_name *row,
                                             const struct account_name *old);
/* The alias's rows; not what others have of it. old must not point into its row. */
MS_MUST_USE enum ms_err account__alias_delete(struct db_txn *txn, struct slice name,
                                              const struct account_name *old);
/* A name was made, changed or taken away: aliases that lead to it may lead to another account alone now. */
MS_MUST_USE enum ms_err account__name_changed(struct db_txn *txn, struct slice name);

/* -- account_user.c */
MS_MUST_USE enum ms_err account__login_load(struct account *a, struct db_txn *txn, struct slice login,
                                            struct account_user *out, struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err account__name_is_free(struct db_txn *txn, const char *name,
                                              struct ms_errinfo *why_out);

struct account_referrer { /* texts in the arena given */
    struct slice target, owner;
};
/* Who has this name, or it with a detail that is no entry of its own, among his targets. */
MS_MUST_USE enum ms_err account__referrers(struct db_txn *txn, struct slice name, struct arena *arena,
                                           struct account_referrer **out, size_t *count_out);

/* -- account_proven.c
 * ------------------------------------------------------------------------------------------------- */
bool account__proven_has(struct account_client *c, const char *login, const char *hash,
                         struct slice password);
void account__proven_add(struct account_client *c, const char *login, const char *hash,
                         struct slice password);
void account__proven_clear(struct account_client *c);

/* -- account_app.c */
bool account__app_is_secret(struct slice password); /* of the form that ours have */
/* The app password of a user that this secret is of, with the service in its scope. MS_ENOTFOUND: none. Costs the same for each id, 0 (nobody)
 * too. Texts point into the transaction. */
MS_MUST_USE enum ms_err account__app_match(struct db_txn *txn, uint64_t id, struct slice secret, struct slice service,
                                           struct account_app *out);
MS_MUST_USE enum ms_err account__app_used(struct account *a, uint64_t id, struct slice name, uint64_t now_us);
MS_MUST_USE enum ms_err account__apps_delete(struct db_txn *txn, uint64_t id);

/* -- account_later.c: written behind a login, by a thread of its own; what finds the queue full is done by the next login */
void account__later_use(struct account_client *c, uint64_t id, struct slice app);
void account__later_init(struct account *a);
void account__later_fini(struct account *a); /* writes what waits; the loops have stopped */
void account__later_keys(struct account_client *c, uint64_t id, const char *hash, struct slice password);

/* -- account_password.c */
/* Those that SASLprep lets be made, in the order of a row. Milliseconds. */
void account__keys_make(struct slice password, struct account_password *out);

#endif
