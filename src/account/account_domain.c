/*
 * account_domain.c - domains made, changed and taken away.
 */
#include "account_priv.h"

#include <stdio.h>

#include "ms/base/clock.h"
#include "ms/base/unicode.h"

static enum ms_err canonical_of(struct db_txn *txn, struct slice canonical, char out[ACCOUNT_DOMAIN_MAX + 1],
                                struct ms_errinfo *why_out)
{
    struct account_domain row;
    out[0] = '\0';
    if (canonical.len == 0)
        return MS_OK;
    MS_TRY(account__domain_get(txn, canonical, out, &row, why_out));
    if (row.canonical.len) { /* a name of a name: of what that is a name of */
        memcpy(out, row.canonical.ptr, row.canonical.len);
        out[row.canonical.len] = '\0';
    }
    return MS_OK;
}

static enum ms_err add(struct db_txn *txn, struct slice domain, struct slice canonical,
                       struct ms_errinfo *why_out)
{
    char name[ACCOUNT_DOMAIN_MAX + 1], of[ACCOUNT_DOMAIN_MAX + 1];
    struct account_domain row;
    enum ms_err err = unicode_domain_to_ascii(domain, name);
    if (err || strlen(name) > ACCOUNT_LOGIN_MAX - 2) /* room for "x@" */
        return ms_fail(why_out, err ? err : MS_ELIMIT, "\"" SLICE_FMT "\" is not a usable domain name",
                       SLICE_ARG(domain));
    err = account__get_domain(txn, slice_cstr(name), &row);
    if (err != MS_ENOTFOUND)
        return ms_fail(why_out, err ? err : MS_EEXIST, "%s: %s", name, ms_err_text(err ? err : MS_EEXIST));
    MS_TRY(canonical_of(txn, canonical, of, why_out));
    row = (struct account_domain){.created_us = clock_wall_us(), .canonical = slice_cstr(of)};
    row.changed_us = row.created_us;
    err = account__put_domain(txn, slice_cstr(name), &row);
    return err ? ms_fail(why_out, err, "%s: %s", name, ms_err_text(err)) : MS_OK;
}

enum ms_err account_dir_domain_add(struct account *a, struct slice domain, struct slice canonical,
                                   struct ms_errinfo *why_out)
{
    struct db_txn *txn;
    MS_TRY(account__write_begin(a, &txn, why_out));
    return account__write_end(a, &txn, add(txn, domain, canonical, why_out), why_out);
}

static enum ms_err set(struct db_txn *txn, struct slice domain, unsigned set, enum account_status status,
                       enum account_status mail_status, struct ms_errinfo *why_out)
{
    char name[ACCOUNT_DOMAIN_MAX + 1], of[ACCOUNT_DOMAIN_MAX + 1];
    struct account_domain row;
    MS_TRY(account__domain_get(txn, domain, name, &row, why_out));
    if ((unsigned)status >= ACCOUNT_STATUS_COUNT || (unsigned)mail_status >= ACCOUNT_STATUS_COUNT)
        return ms_fail(why_out, MS_EINVAL, "unknown status");
    if (row.canonical.len)
        return ms_fail(why_out, MS_EINVAL,
                       "%s is only another name of " SLICE_FMT " and has that domain's status", name,
                       SLICE_ARG(row.canonical));
    if (set & ACCOUNT_SET_STATUS)
        row.status = status;
    if (set & ACCOUNT_SET_MAIL_STATUS)
        row.mail_status = mail_status;
    row.changed_us = clock_wall_us();
    of[0] = '\0';
    row.canonical = slice_cstr(of);
    enum ms_err err = account__put_domain(txn, slice_cstr(name), &row);
    return err ? ms_fail(why_out, err, "%s: %s", name, ms_err_text(err)) : MS_OK;
}

enum ms_err account_dir_domain_set(struct account *a, struct slice domain, unsigned fields,
                                   enum account_status status, enum account_status mail_status,
                                   struct ms_errinfo *why_out)
{
    struct db_txn *txn;
    MS_TRY(account__write_begin(a, &txn, why_out));
    return account__write_end(a, &txn, set(txn, domain, fields, status, mail_status, why_out), why_out);
}

/* Looks through a whole database: a domain goes rarely. found gives true for a row that keeps the domain. */
typedef bool domain_use_fn(struct slice domain, struct slice key, struct slice row, char *what,
                           size_t what_max);

static bool name_uses(struct slice domain, struct slice key, struct slice row, char *what, size_t what_max)
{
    if (!slice_eq(account__domain_of(key), domain))
        return false;
    snprintf(what, what_max, SLICE_FMT " is in it", SLICE_ARG(key));
    return true;
}

static bool target_uses(struct slice domain, struct slice key, struct slice row, char *what, size_t what_max)
{
    struct slice owner = key, target;
    if (!slice_cut(&owner, 0, &target) || !slice_eq(account__domain_of(target), domain))
        return false;
    snprintf(what, what_max, SLICE_FMT " leads to " SLICE_FMT, SLICE_ARG(owner), SLICE_ARG(target));
    return true;
}

static bool domain_uses(struct slice domain, struct slice key, struct slice row, char *what, size_t what_max)
{
    struct account_domain parsed;
    if (account__domain_parse(key, row, &parsed) || !slice_eq(parsed.canonical, domain))
        return false;
    snprintf(what, what_max, SLICE_FMT " is another name of it", SLICE_ARG(key));
    return true;
}

static enum ms_err find_use(struct db_txn *txn, enum account_dbi dbi, domain_use_fn *uses,
                            struct slice domain, struct ms_errinfo *why_out)
{
    struct db_cur *cur;
    struct slice key, row;
    char what[2 * ACCOUNT_LOGIN_MAX + 32];
    MS_TRY(db_cur_open(txn, dbi, &cur));
    enum ms_err err = db_cur_seek(cur, (struct slice){0}, &key, &row);
    for (; !err; err = db_cur_next(cur, &key, &row))
        if (uses(domain, key, row, what, sizeof what)) {
            err = ms_fail(why_out, MS_EBUSY, SLICE_FMT " is in use: %s", SLICE_ARG(domain), what);
            break;
        }
    db_cur_close(&cur);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

static enum ms_err del(struct db_txn *txn, struct slice domain, struct ms_errinfo *why_out)
{
    char name[ACCOUNT_DOMAIN_MAX + 1];
    struct account_domain row;
    MS_TRY(account__domain_get(txn, domain, name, &row, why_out));
    MS_TRY(find_use(txn, ACCOUNT_DB_NAME, name_uses, slice_cstr(name), why_out));
    MS_TRY(find_use(txn, ACCOUNT_DB_TARGET, target_uses, slice_cstr(name), why_out));
    MS_TRY(find_use(txn, ACCOUNT_DB_DOMAIN, domain_uses, slice_cstr(name), why_out));
    enum ms_err err = account__del(txn, ACCOUNT_DB_DOMAIN, slice_cstr(name));
    return err ? ms_fail(why_out, err, "%s: %s", name, ms_err_text(err)) : MS_OK;
}

enum ms_err account_dir_domain_delete(struct account *a, struct slice domain, struct ms_errinfo *why_out)
{
    struct db_txn *txn;
    MS_TRY(account__write_begin(a, &txn, why_out));
    return account__write_end(a, &txn, del(txn, domain, why_out), why_out);
}
