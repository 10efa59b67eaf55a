/*
 * directory.h - what the commands of the embedded directory share. They write its environment in their own process, whether the server
 * runs or not: LMDB's lock keeps writers apart, and the server sees what was committed with its next look-up.
 */
#ifndef APP_DIRECTORY_H
#define APP_DIRECTORY_H

#include "app.h"
#include "import.h"
#include "ms/base/clock.h"

struct directory {
    struct conf *conf;
    struct account *account;
};
/* Prints what is wrong and gives the exit code. The directory must be there. */
int directory_open(const struct app_args *args, struct directory *out);
void directory_close(struct directory *d);
/* Prints the sentence of why and gives the exit code; not_found: the one of MS_ENOTFOUND. */
int directory_fail(enum ms_err err, const struct ms_errinfo *why, int not_found);

/* A domain as it stands in the directory (A-labels, lower case). MS_EINVAL, MS_ELIMIT. */
MS_MUST_USE enum ms_err directory_domain(const struct directory *d, struct slice domain,
                                         char out[ACCOUNT_DOMAIN_MAX + 1]);
/* One argument of the command line as status; prints what is wrong. */
int directory_status(const char *option, const char *text, enum account_status *out);
/* RFC 3339; "" for 0. */
const char *directory_time(uint64_t wall_us, char out[CLOCK_RFC3339_MAX]);

/* -- user_field.c: texts to what account_dir_user_* takes */
struct user_fields {
    struct account_user_spec spec; /* texts and lists are the row's */
    struct slice password;         /* plain; empty when there is none */
    struct import_value aliases;
};
/* MS_EINVAL, MS_ELIMIT, with the field's name in why_out. conf: its partitions are known. */
MS_MUST_USE enum ms_err user_fields_parse(const struct import_row *row, const struct conf *conf,
                                          struct user_fields *out, struct ms_errinfo *why_out);

/* -- import_hash.c */
struct import_hash_job {
    struct slice password; /* wiped when it is done */
    struct account_password *out;
    enum ms_err err;
};
/* All of them on one thread per core; tick is called about every second, on the calling thread. */
void import_hash(const struct account *a, struct import_hash_job *jobs, size_t count, void (*tick)(void *owner, size_t done),
                 void *owner);

/* -- import_apply.c: one row in the transaction */
enum import_existing { IMPORT_REFUSE, IMPORT_SKIP, IMPORT_UPDATE };
enum import_outcome { IMPORT_ADDED, IMPORT_UPDATED, IMPORT_SKIPPED, IMPORT_OUTCOME_COUNT };
bool import_is_user(struct account *a, struct slice login);
/* Errors are those of account_dir_*. A new user whose aliases cannot be had is not added at all. */
MS_MUST_USE enum ms_err import_apply(struct account *a, const struct user_fields *f,
                                     enum import_existing existing, enum import_outcome *outcome_out,
                                     struct ms_errinfo *why_out);

#endif
