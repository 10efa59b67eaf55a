/*
 * account_move.c - what changes other entries too: a user's new name, and his end.
 *
 * Both go over the index of targets: every list that has the old name (or the old name with a detail) is
 * written anew in the same transaction.
 */
#include "account_priv.h"

#include "ms/base/clock.h"

/* Names whose lists changed: whether they lead to one account alone is looked at when all are written. */
struct names {
    struct arena *arena;
    struct slice *list;
    size_t count, cap;
};

static void names_add(struct names *n, struct slice name)
{
    if (n->count == n->cap) {
        n->cap = n->cap ? n->cap * 2 : 16;
        n->list = ms_realloc_array(n->list, n->cap, sizeof *n->list);
    }
    n->list[n->count++] = arena_dup(n->arena, name);
}

struct move {
    struct account *a;
    struct db_txn *txn;
    struct arena arena;
    struct str text;
    struct names changed;
    struct names dead; /* purge: aliases that have no target left */
};

static enum ms_err move_begin(struct move *m, struct account *a, struct ms_errinfo *why_out)
{
    memset(m, 0, sizeof *m);
    m->a = a;
    arena_init(&m->arena, 0);
    str_init(&m->text, 0);
    m->changed.arena = m->dead.arena = &m->arena;
    return account__write_begin(a, &m->txn, why_out);
}

static enum ms_err move_end(struct move *m, enum ms_err err, struct ms_errinfo *why_out)
{
    arena_fini(&m->arena);
    str_fini(&m->text);
    ms_free(m->changed.list);
    ms_free(m->dead.list);
    return m->txn ? account__write_end(m->a, &m->txn, err, why_out) : err;
}

static enum ms_err refresh_changed(struct move *m)
{
    for (size_t i = 0; i < m->changed.count; i++)
        MS_TRY(account__name_changed(m->txn, m->changed.list[i]));
    return MS_OK;
}

/* One forward of a user: taken out (to empty) or replaced. */
static enum ms_err replace_forward(struct move *m, uint64_t id, struct slice owner, struct slice from,
                                   struct slice to)
{
    struct account_user user;
    MS_TRY(account__get_user(m->txn, id, &user));
    account__user_hold(&user, &m->arena);
    struct account_list old = user.forwards;
    account__list_replace(&old, from, to, &m->text, &user.forwards);
    MS_TRY(account__targets_write(m->txn, owner, &old, &user.forwards));
    return account__put_user(m->txn, &user);
}

/* One target of an alias or a user's forward. An alias left without any is put down for deletion, as it
 * stands. */
static enum ms_err replace_target(struct move *m, const struct account_referrer *ref, struct slice to)
{
    struct account_name old, row;
    enum ms_err err = account__get_name(m->txn, ref->owner, &old);
    if (err)
        return err == MS_ENOTFOUND ? MS_EDAMAGED : err;
    if (old.kind == ACCOUNT_USER)
        return replace_forward(m, old.id, ref->owner, ref->target, to);
    account__list_hold(&old.targets, &m->arena);
    row = old;
    account__list_replace(&old.targets, ref->target, to, &m->text, &row.targets);
    if (row.targets.count == 0) {
        names_add(&m->dead, ref->owner);
        return MS_OK;
    }
    names_add(&m->changed, ref->owner);
    return account__alias_write(m->txn, ref->owner, &row, &old);
}

/* -- purge */

/* Takes a name away, and out of every list. */
static enum ms_err forget_name(struct move *m, struct slice name)
{
    struct account_referrer *refs;
    size_t count;
    MS_TRY(account__referrers(m->txn, name, &m->arena, &refs, &count));
    for (size_t i = 0; i < count; i++)
        MS_TRY(replace_target(m, &refs[i], (struct slice){0}));
    return account__del(m->txn, ACCOUNT_DB_NAME, name);
}

static enum ms_err purge_dead(struct move *m)
{
    for (size_t i = 0; i < m->dead.count; i++) { /* the list grows meanwhile */
        struct slice name = m->dead.list[i];
        struct account_name row;
        enum ms_err err = account__get_name(m->txn, name, &row);
        if (err == MS_ENOTFOUND) /* twice in the list */
            continue;
        MS_TRY(err);
        account__list_hold(&row.targets, &m->arena);
        MS_TRY(account__alias_delete(m->txn, name, &row));
        MS_TRY(forget_name(m, name));
    }
    return MS_OK;
}

static enum ms_err purge(struct move *m, uint64_t id, struct ms_errinfo *why_out)
{
    static const struct account_list none;
    struct account_user user;
    uint8_t key[8];
    enum ms_err err = account__get_user(m->txn, id, &user);
    if (err)
        return ms_fail(why_out, err, "account %llu: %s", (unsigned long long)id, ms_err_text(err));
    if (!user.removed_us)
        return ms_fail(why_out, MS_EBUSY, "%s is not removed", user.entry.login);
    account__user_hold(&user, &m->arena);
    struct slice login = slice_cstr(user.entry.login);
    ms_put_be64(key, id);
    err = account__targets_write(m->txn, login, &user.forwards, &none);
    if (!err)
        err = forget_name(m, login);
    if (!err)
        err = purge_dead(m);
    if (!err)
        err = account__del(m->txn, ACCOUNT_DB_USER, slice_make(key, 8));
    if (!err)
        err = account__apps_delete(m->txn, id);
    if (!err)
        err = account__put_removed(m->txn, id, 0);
    if (!err)
        err = refresh_changed(m);
    return err ? ms_fail(why_out, err, "%s: %s", user.entry.login, ms_err_text(err)) : MS_OK;
}

enum ms_err account_dir_user_purge(struct account *a, uint64_t id, struct ms_errinfo *why_out)
{
    struct move m;
    enum ms_err err = move_begin(&m, a, why_out);
    if (!err)
        err = purge(&m, id, why_out);
    return move_end(&m, err, why_out);
}

/* -- rename */

struct rename {
    struct account_user user;
    char to[ACCOUNT_LOGIN_MAX + 1];
    struct account_referrer *refs; /* to the old login */
    size_t ref_count;
    bool over_alias; /* the new login is an alias of the user until now */
    struct account_name alias;
};

/* The new form of a target that was the old login, perhaps with a detail. */
static bool new_target(const struct rename *r, struct slice target, char out[ACCOUNT_LOGIN_MAX + 1])
{
    struct slice to = slice_cstr(r->to);
    size_t to_local = (size_t)slice_rfind_byte(to, '@'), local = (size_t)slice_rfind_byte(target, '@');
    size_t old_local = (size_t)slice_rfind_byte(slice_cstr(r->user.entry.login), '@');
    if (local == old_local) {
        memcpy(out, r->to, sizeof r->to);
        return true;
    }
    char text[2 * ACCOUNT_LOGIN_MAX];
    memcpy(text, r->to, to_local);
    memcpy(text + to_local, target.ptr + old_local, local - old_local); /* "+detail" */
    return account__join(slice_make(text, to_local + local - old_local),
                         slice_sub(to, to_local + 1, SIZE_MAX), out);
}

static bool forwards_to(const struct account_user *user, const char *name)
{
    struct rd r = rd_make(user->forwards.raw);
    struct slice it;
    char bare[ACCOUNT_LOGIN_MAX + 1];
    while (account__list_next(&r, &it))
        if (slice_eq_cstr(it, name) || (account__bare(it, bare) && strcmp(bare, name) == 0))
            return true;
    return false;
}

/* The new name must be free, or an alias that leads to this user alone. */
static enum ms_err check_new_name(struct move *m, struct rename *r, struct ms_errinfo *why_out)
{
    enum ms_err err = account__get_name(m->txn, slice_cstr(r->to), &r->alias);
    r->over_alias = !err && r->alias.kind == ACCOUNT_ALIAS && r->alias.id == r->user.entry.id;
    if (r->over_alias)
        account__list_hold(&r->alias.targets, &m->arena);
    else
        MS_TRY(account__name_is_free(m->txn, r->to, why_out));
    if (forwards_to(&r->user, r->to))
        return ms_fail(why_out, MS_EINVAL, "%s forwards to %s: that would lead to itself",
                       r->user.entry.login, r->to);
    return MS_OK;
}

static enum ms_err rename_check(struct move *m, struct rename *r, struct slice from, struct slice to,
                                struct ms_errinfo *why_out)
{
    char target[ACCOUNT_LOGIN_MAX + 1];
    MS_TRY(account__login_load(m->a, m->txn, from, &r->user, why_out));
    account__user_hold(&r->user, &m->arena);
    if (r->user.removed_us)
        return ms_fail(why_out, MS_EINVAL, "%s is removed: restore it first", r->user.entry.login);
    enum ms_err err = account_login_check(to);
    if (err)
        return ms_fail(why_out, err, "\"" SLICE_FMT "\" is not a usable login", SLICE_ARG(to));
    MS_TRY(account__home_name(m->a, m->txn, to, false, r->to, why_out));
    if (strcmp(r->to, r->user.entry.login) == 0)
        return ms_fail(why_out, MS_EEXIST, "%s has that name", r->to);
    MS_TRY(check_new_name(m, r, why_out));
    err = account__referrers(m->txn, slice_cstr(r->user.entry.login), &m->arena, &r->refs, &r->ref_count);
    if (err)
        return ms_fail(why_out, err, "%s: %s", r->user.entry.login, ms_err_text(err));
    for (size_t i = 0; i < r->ref_count; i++)
        if (!new_target(r, r->refs[i].target, target))
            return ms_fail(why_out, MS_ELIMIT, SLICE_FMT " would be too long with the new name",
                           SLICE_ARG(r->refs[i].target));
    return MS_OK;
}

/* The user's own rows under the new login. */
static enum ms_err rename_user(struct move *m, struct rename *r, const char *old)
{
    static const struct account_list none;
    struct account_name name = {.kind = ACCOUNT_USER, .id = r->user.entry.id};
    MS_TRY(account__targets_write(m->txn, slice_cstr(old), &r->user.forwards, &none));
    MS_TRY(account__targets_write(m->txn, slice_cstr(r->to), &none, &r->user.forwards));
    MS_TRY(account__del(m->txn, ACCOUNT_DB_NAME, slice_cstr(old)));
    if (r->over_alias)
        MS_TRY(account__alias_delete(m->txn, slice_cstr(r->to), &r->alias));
    memcpy(r->user.entry.login, r->to, sizeof r->to);
    r->user.changed_us = clock_wall_us();
    MS_TRY(account__put_name(m->txn, slice_cstr(r->to), &name));
    return account__put_user(m->txn, &r->user);
}

static enum ms_err rename_write(struct move *m, struct rename *r, bool keep_alias)
{
    char old[ACCOUNT_LOGIN_MAX + 1], target[ACCOUNT_LOGIN_MAX + 1];
    struct slice *targets = r->ref_count ? arena_new_array(&m->arena, struct slice, r->ref_count) : NULL;
    for (size_t i = 0; i < r->ref_count; i++)
        if (new_target(r, r->refs[i].target, target)) /* rename_check has seen that it fits */
            targets[i] = arena_dup(&m->arena, slice_cstr(target));
    memcpy(old, r->user.entry.login, sizeof old);
    MS_TRY(rename_user(m, r, old));
    for (size_t i = 0; i < r->ref_count; i++)
        if (!r->over_alias || !slice_eq_cstr(r->refs[i].owner, r->to))
            MS_TRY(replace_target(m, &r->refs[i], targets[i]));
    if (keep_alias) {
        str_reset(&m->text);
        str_add_bytes16(&m->text, slice_cstr(r->to));
        struct account_name alias = {.kind = ACCOUNT_ALIAS,
                                     .created_us = r->user.changed_us,
                                     .changed_us = r->user.changed_us,
                                     .targets = {str_slice(&m->text), 1}};
        MS_TRY(account__alias_write(m->txn, slice_cstr(old), &alias, NULL));
    }
    MS_TRY(account__name_changed(m->txn, slice_cstr(old)));
    MS_TRY(account__name_changed(m->txn, slice_cstr(r->to)));
    return refresh_changed(m);
}

enum ms_err account_dir_user_rename(struct account *a, struct slice from, struct slice to, bool keep_alias,
                                    struct ms_errinfo *why_out)
{
    struct move m;
    struct rename *r = ms_new(struct rename);
    enum ms_err err = move_begin(&m, a, why_out);
    if (!err)
        err = rename_check(&m, r, from, to, why_out);
    if (!err) {
        err = rename_write(&m, r, keep_alias);
        if (err)
            ms_fail(why_out, err, "%s: %s", r->to, ms_err_text(err));
    }
    crypt_wipe(r, sizeof *r);
    ms_free(r);
    return move_end(&m, err, why_out);
}
