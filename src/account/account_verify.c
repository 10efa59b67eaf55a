/*
 * account_verify.c - the whole directory against itself: every row's checksum, every reference in both
 * directions.
 */
#include "account_priv.h"

#include <stdarg.h>
#include <stdio.h>

#include "ms/base/unicode.h"

#define LINE_MAX_ 768

struct verify {
    struct account *a;
    struct db_txn *txn;
    void (*line)(void *, const char *);
    void *owner;
    uint64_t id_max, removed;
    bool bad;
};

static void problem(struct verify *v, const char *fmt, ...) MS_PRINTF(2, 3);
static void problem(struct verify *v, const char *fmt, ...)
{
    char text[LINE_MAX_];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    v->bad = true;
    v->line(v->owner, text);
}

static bool has_mark(struct verify *v, enum account_dbi dbi, struct slice key)
{
    struct slice row;
    return db_get(v->txn, dbi, key, &row) == MS_OK && account__mark_parse(key, row) == MS_OK;
}

/* A name of an entry stands in its domain, in canonical form. */
static void check_name_form(struct verify *v, struct slice name)
{
    struct account_address parts;
    struct account_domain domain;
    char again[ACCOUNT_LOGIN_MAX + 1];
    if (name.len > ACCOUNT_LOGIN_MAX || account__pattern_parse(v->a, name, &parts) ||
        !account__join(slice_make(parts.local, parts.local_len), slice_make(parts.domain, parts.domain_len),
                       again) ||
        !slice_eq_cstr(name, again)) {
        problem(v, "name " SLICE_FMT ": not in canonical form", SLICE_ARG(name));
        return;
    }
    enum ms_err err = account__get_domain(v->txn, account__domain_of(name), &domain);
    if (err)
        problem(v, "name " SLICE_FMT ": its domain: %s", SLICE_ARG(name), ms_err_text(err));
    else if (domain.canonical.len)
        problem(v, "name " SLICE_FMT ": its domain is only another name", SLICE_ARG(name));
}

static void check_targets(struct verify *v, struct slice owner, const struct account_list *list)
{
    uint8_t key[ACCOUNT_PAIR_MAX];
    struct account_domain domain;
    struct rd r = rd_make(list->raw);
    struct slice target;
    while (account__list_next(&r, &target)) {
        if (!has_mark(v, ACCOUNT_DB_TARGET, account__key_target(target, owner, key)))
            problem(v, SLICE_FMT ": target " SLICE_FMT " is not in the index", SLICE_ARG(owner),
                    SLICE_ARG(target));
        if (account__get_domain(v->txn, account__domain_of(target), &domain))
            problem(v, SLICE_FMT ": target " SLICE_FMT " is in no local domain", SLICE_ARG(owner),
                    SLICE_ARG(target));
    }
}

static void check_user(struct verify *v, struct slice key, struct slice row)
{
    struct account_user user;
    struct account_name name;
    enum ms_err err = account__user_parse(key, row, &user);
    if (err) {
        problem(v, "user %llu: %s", key.len == 8 ? (unsigned long long)ms_get_be64(key.ptr) : 0,
                ms_err_text(err));
        return;
    }
    v->id_max = MS_MAX(v->id_max, user.entry.id);
    v->removed += user.removed_us != 0;
    struct slice login = slice_cstr(user.entry.login);
    err = login.len ? account__get_name(v->txn, login, &name) : MS_ENOTFOUND;
    if (err || name.kind != ACCOUNT_USER || name.id != user.entry.id)
        problem(v, "user %llu: the name %s does not lead to it", (unsigned long long)user.entry.id,
                user.entry.login);
    if (user.removed_us && account__get_removed(v->txn, user.entry.id) != user.removed_us)
        problem(v, "user %s: removed, and not in the index of removed users", user.entry.login);
    check_targets(v, login, &user.forwards);
    account__user_wipe(&user);
}

static void check_alias(struct verify *v, struct slice key, const struct account_name *name)
{
    uint8_t mark[ACCOUNT_PAIR_MAX];
    uint64_t id = 0;
    enum ms_err err = account__sole(v->txn, &name->targets, &id);
    if (err)
        problem(v, "alias " SLICE_FMT ": its target: %s", SLICE_ARG(key), ms_err_text(err));
    else if (id != name->id)
        problem(v, "alias " SLICE_FMT ": says it leads to account %llu alone, which is %llu", SLICE_ARG(key),
                (unsigned long long)name->id, (unsigned long long)id);
    if (name->id && !has_mark(v, ACCOUNT_DB_ADDRESS, account__key_address(name->id, key, mark)))
        problem(v, "alias " SLICE_FMT ": not among the addresses of its account", SLICE_ARG(key));
    check_targets(v, key, &name->targets);
}

static void check_name(struct verify *v, struct slice key, struct slice row)
{
    struct account_name name;
    struct account_user user;
    enum ms_err err = account__name_parse(key, row, &name);
    if (err) {
        problem(v, "name " SLICE_FMT ": %s", SLICE_ARG(key), ms_err_text(err));
        return;
    }
    check_name_form(v, key);
    if (name.kind == ACCOUNT_ALIAS) {
        if (key.len <= ACCOUNT_LOGIN_MAX)
            check_alias(v, key, &name);
        return;
    }
    err = account__get_user(v->txn, name.id, &user);
    if (err)
        problem(v, "name " SLICE_FMT ": its user: %s", SLICE_ARG(key), ms_err_text(err));
    else if (!slice_eq_cstr(key, user.entry.login))
        problem(v, "name " SLICE_FMT ": its user is called %s", SLICE_ARG(key), user.entry.login);
}

static void check_domain(struct verify *v, struct slice key, struct slice row)
{
    struct account_domain domain, canonical;
    char name[ACCOUNT_DOMAIN_MAX + 1];
    enum ms_err err = account__domain_parse(key, row, &domain);
    if (err) {
        problem(v, "domain " SLICE_FMT ": %s", SLICE_ARG(key), ms_err_text(err));
        return;
    }
    if (unicode_domain_to_ascii(key, name) || !slice_eq_cstr(key, name))
        problem(v, "domain " SLICE_FMT ": not in canonical form", SLICE_ARG(key));
    if (domain.canonical.len &&
        (account__get_domain(v->txn, domain.canonical, &canonical) || canonical.canonical.len))
        problem(v, "domain " SLICE_FMT ": " SLICE_FMT ", whose name it is, is no domain", SLICE_ARG(key),
                SLICE_ARG(domain.canonical));
}

static void check_address(struct verify *v, struct slice key, struct slice row)
{
    struct account_name name;
    enum ms_err err = account__mark_parse(key, row);
    if (key.len < 9 || err) {
        problem(v, "address of account %llu: %s", key.len < 8 ? 0 : (unsigned long long)ms_get_be64(key.ptr),
                ms_err_text(err ? err : MS_EDAMAGED));
        return;
    }
    struct slice text = slice_sub(key, 8, SIZE_MAX);
    err = account__get_name(v->txn, text, &name);
    if (err || name.kind != ACCOUNT_ALIAS || name.id != ms_get_be64(key.ptr))
        problem(v, "address " SLICE_FMT " of account %llu: no alias leads there", SLICE_ARG(text),
                (unsigned long long)ms_get_be64(key.ptr));
}

static void check_app(struct verify *v, struct slice key, struct slice row)
{
    struct account_app app;
    struct account_user user;
    unsigned long long id = key.len < 8 ? 0 : ms_get_be64(key.ptr);
    enum ms_err err = account__app_parse(key, row, &app);
    if (err) {
        problem(v, "app password of account %llu: %s", id, ms_err_text(err));
        return;
    }
    err = account__get_user(v->txn, id, &user);
    if (err)
        problem(v, "app password " SLICE_FMT " of account %llu: its user: %s", SLICE_ARG(app.name), id,
                ms_err_text(err));
    else
        account__user_wipe(&user);
}

static void check_target(struct verify *v, struct slice key, struct slice row)
{
    struct slice owner = key, target;
    struct account_name name;
    struct account_user user;
    enum ms_err err = account__mark_parse(key, row);
    if (err || !slice_cut(&owner, 0, &target) || owner.len == 0) {
        problem(v, "target " SLICE_FMT ": %s", SLICE_ARG(key), ms_err_text(err ? err : MS_EDAMAGED));
        return;
    }
    err = account__get_name(v->txn, owner, &name);
    if (!err && name.kind == ACCOUNT_USER)
        err = account__get_user(v->txn, name.id, &user);
    if (err || !account__list_has(name.kind == ACCOUNT_USER ? &user.forwards : &name.targets, target))
        problem(v, "target " SLICE_FMT ": " SLICE_FMT " does not have it", SLICE_ARG(target),
                SLICE_ARG(owner));
}

static enum ms_err check_rows(struct verify *v, enum account_dbi dbi,
                              void (*check)(struct verify *v, struct slice key, struct slice row))
{
    struct db_cur *cur;
    struct slice key, row;
    MS_TRY(db_cur_open(v->txn, dbi, &cur));
    enum ms_err err = db_cur_seek(cur, (struct slice){0}, &key, &row);
    for (; !err; err = db_cur_next(cur, &key, &row))
        check(v, key, row);
    db_cur_close(&cur);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

static enum ms_err check_meta(struct verify *v)
{
    uint64_t next, removed;
    MS_TRY(account__get_meta(v->txn, &next, &removed));
    if (v->id_max >= next)
        problem(v, "the next account is %llu, and there is account %llu", (unsigned long long)next,
                (unsigned long long)v->id_max);
    if (removed != v->removed)
        problem(v, "%llu users are removed, the index has %llu", (unsigned long long)v->removed,
                (unsigned long long)removed);
    return MS_OK;
}

static enum ms_err verify(struct verify *v)
{
    MS_TRY(check_rows(v, ACCOUNT_DB_DOMAIN, check_domain));
    MS_TRY(check_rows(v, ACCOUNT_DB_USER, check_user));
    MS_TRY(check_rows(v, ACCOUNT_DB_NAME, check_name));
    MS_TRY(check_rows(v, ACCOUNT_DB_ADDRESS, check_address));
    MS_TRY(check_rows(v, ACCOUNT_DB_TARGET, check_target));
    MS_TRY(check_rows(v, ACCOUNT_DB_APP, check_app));
    return check_meta(v);
}

enum ms_err account_dir_verify(struct account *a, void (*line)(void *, const char *), void *owner)
{
    struct verify v = {.a = a, .line = line, .owner = owner};
    MS_TRY(account__read_begin(a, &v.txn));
    enum ms_err err = verify(&v);
    account__read_end(a, &v.txn);
    return err ? err : v.bad ? MS_EDAMAGED : MS_OK;
}
