/*
 * account_priv.h - the directory from inside: its databases, rows and requests.
 */
#ifndef ACCOUNT_PRIV_H
#define ACCOUNT_PRIV_H

#include <stdatomic.h>

#include "ms/account.h"
#include "ms/base/idtab.h"
#include "ms/base/map.h"
#include "ms/crypt.h"
#include "ms/db.h"
#include "ms/obs.h"

#define ACCOUNT_ROW_VERSION 1
#define ACCOUNT_ROW_MAX     2048

enum account_dbi { ACCOUNT_DB_META, ACCOUNT_DB_USER, ACCOUNT_DB_NAME, ACCOUNT_DB_DOMAIN, ACCOUNT_DB_COUNT };

struct account {
    struct db *db;
    char default_domain[ACCOUNT_DOMAIN_MAX + 1];
    uint64_t proven_ms;
    uint64_t threads;
    struct loop_pool *check_pool;    /* password checks */
    struct loop_pool *write_pool;    /* one thread: every write, in order */
    uint8_t key[CRYPT_SHA256_BYTES]; /* of the proven cache; never leaves memory */
    atomic_uint clients;
};

struct account_client {
    struct account *account;
    struct loop *loop;
    struct idtab requests; /* struct account_request, until its answer or account_forget */
    struct map proven;     /* HMAC of login and password -> struct account_proof */
    struct list proofs;    /* oldest first */
};

/* A stored user, parsed. */
struct account_user {
    struct account_entry entry;
    char hash[CRYPT_HASH_TEXT_MAX];
    uint64_t created_us;
};

/* -- account_row.c */
void account__user_emit(struct str *out, struct slice key, const struct account_user *user);
MS_MUST_USE enum ms_err account__user_parse(struct slice key, struct slice row, struct account_user *out);
void account__name_emit(struct str *out, struct slice key, uint64_t id);
MS_MUST_USE enum ms_err account__name_parse(struct slice key, struct slice row, uint64_t *id_out);
void account__domain_emit(struct str *out, struct slice key, uint64_t created_us);
MS_MUST_USE enum ms_err account__domain_parse(struct slice key, struct slice row);

/* -- account_name.c: canonical names. Lower case, default domain added. MS_EINVAL, MS_ELIMIT. */
MS_MUST_USE enum ms_err account__canonical(const struct account *a, struct slice address,
                                           char out[ACCOUNT_LOGIN_MAX + 1]);
/* "user+detail@domain" -> "user@domain"; false when there is no detail. detail_out points into address. */
bool account__strip_detail(struct slice address, char out[ACCOUNT_LOGIN_MAX + 1], struct slice *detail_out);

/* -- account_dir.c: the database, on any thread */
MS_MUST_USE enum ms_err account__dir_open(struct account *a, const char *path, bool create,
                                          struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err account__dir_find_name(struct account *a, const char *name, struct account_user *out);
MS_MUST_USE enum ms_err account__dir_find_id(struct account *a, uint64_t id, struct account_user *out);
/* The writer thread. hash is ready-made. */
MS_MUST_USE enum ms_err account__dir_add(struct account *a, const char *login, const char *hash,
                                         uint64_t quota_bytes, uint64_t quota_messages, const char *partition,
                                         struct account_entry *out, struct ms_errinfo *why_out);

/* -- account_proven.c */
bool account__proven_has(struct account_client *c, const struct account_user *user, struct slice password);
void account__proven_add(struct account_client *c, const struct account_user *user, struct slice password);
void account__proven_clear(struct account_client *c);

#endif
