/*
 * account_alias.c - aliases and catch-alls made, changed and taken away.
 */
#include "account_priv.h"

#include "ms/base/clock.h"
#include "ms/base/unicode.h"

struct alias_change {
    struct account *a;
    struct db_txn *txn;
    struct ms_errinfo *why;
    struct arena arena;
    struct str targets;
    char name[ACCOUNT_LOGIN_MAX + 1];
    struct account_name row, old;
};

static enum ms_err change_begin(struct alias_change *ch, struct account *a, struct slice address,
                                struct ms_errinfo *why)
{
    memset(ch, 0, sizeof *ch);
    ch->a = a;
    ch->why = why;
    arena_init(&ch->arena, 0);
    str_init(&ch->targets, 0);
    MS_TRY(account__write_begin(a, &ch->txn, why));
    MS_TRY(account__home_name(a, ch->txn, address, true, ch->name, why));
    if (ch->name[0] == '"' || !unicode_is_plain(slice_cstr(ch->name)))
        return ms_fail(why, MS_EINVAL, "\"" SLICE_FMT "\" is not a usable alias", SLICE_ARG(address));
    return MS_OK;
}

static enum ms_err change_end(struct alias_change *ch, enum ms_err err)
{
    str_fini(&ch->targets);
    arena_fini(&ch->arena);
    return ch->txn ? account__write_end(ch->a, &ch->txn, err, ch->why) : err;
}

static enum ms_err set_targets(struct alias_change *ch, const struct slice *targets, size_t count)
{
    if (count == 0)
        return ms_fail(ch->why, MS_EINVAL, "%s has no target", ch->name);
    MS_TRY(account__targets_make(ch->a, ch->txn, slice_cstr(ch->name), targets, count, ACCOUNT_TARGETS_MAX,
                                 &ch->targets, &ch->row.targets, ch->why));
    return account__loop_check(ch->txn, slice_cstr(ch->name), &ch->row.targets, ch->why);
}

static enum ms_err write_row(struct alias_change *ch, const struct account_name *old)
{
    enum ms_err err = account__alias_write(ch->txn, slice_cstr(ch->name), &ch->row, old);
    if (!err)
        err = account__name_changed(ch->txn, slice_cstr(ch->name));
    return err ? ms_fail(ch->why, err, "%s: %s", ch->name, ms_err_text(err)) : MS_OK;
}

enum ms_err account_dir_alias_add(struct account *a, struct slice address, const struct slice *targets,
                                  size_t count, struct ms_errinfo *why_out)
{
    struct alias_change ch;
    enum ms_err err = change_begin(&ch, a, address, why_out);
    if (!err)
        err = account__name_is_free(ch.txn, ch.name, why_out);
    if (!err) {
        ch.row = (struct account_name){.kind = ACCOUNT_ALIAS, .created_us = clock_wall_us()};
        ch.row.changed_us = ch.row.created_us;
        err = set_targets(&ch, targets, count);
    }
    if (!err)
        err = write_row(&ch, NULL);
    return change_end(&ch, err);
}

static enum ms_err load(struct alias_change *ch)
{
    enum ms_err err = account__get_name(ch->txn, slice_cstr(ch->name), &ch->old);
    if (err == MS_ENOTFOUND || (!err && ch->old.kind != ACCOUNT_ALIAS))
        return ms_fail(ch->why, MS_ENOTFOUND, "there is no alias %s", ch->name);
    if (err)
        return ms_fail(ch->why, err, "%s: %s", ch->name, ms_err_text(err));
    account__list_hold(&ch->old.targets, &ch->arena);
    ch->row = ch->old;
    return MS_OK;
}

static enum ms_err set(struct alias_change *ch, const struct account_alias_info *alias, unsigned fields)
{
    MS_TRY(load(ch));
    if (fields & ACCOUNT_SET_STATUS) {
        if ((unsigned)alias->status >= ACCOUNT_STATUS_COUNT)
            return ms_fail(ch->why, MS_EINVAL, "unknown status");
        ch->row.status = alias->status;
    }
    if (fields & ACCOUNT_SET_FORWARDS)
        MS_TRY(set_targets(ch, alias->targets, alias->target_count));
    ch->row.changed_us = clock_wall_us();
    return write_row(ch, &ch->old);
}

enum ms_err account_dir_alias_set(struct account *a, const struct account_alias_info *alias, unsigned fields,
                                  struct ms_errinfo *why_out)
{
    struct alias_change ch;
    enum ms_err err = change_begin(&ch, a, alias->address, why_out);
    if (!err)
        err = set(&ch, alias, fields);
    return change_end(&ch, err);
}

enum ms_err account_dir_alias_delete(struct account *a, struct slice address, struct ms_errinfo *why_out)
{
    struct alias_change ch;
    enum ms_err err = change_begin(&ch, a, address, why_out);
    if (!err)
        err = load(&ch);
    if (!err) {
        err = account__alias_delete(ch.txn, slice_cstr(ch.name), &ch.old);
        if (!err)
            err = account__name_changed(ch.txn, slice_cstr(ch.name));
        if (err)
            err = ms_fail(why_out, err, "%s: %s", ch.name, ms_err_text(err));
    }
    return change_end(&ch, err);
}
