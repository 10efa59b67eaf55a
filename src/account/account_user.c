/*
 * account_user.c - users made and changed: add, set, delete, restore. Each function checks everything, then
 * writes.
 */
#include "account_priv.h"

#include "ms/base/clock.h"
#include "ms/base/codec.h"
#include "ms/base/unicode.h"

/* One change of a user: what is read and made for it lives here. */
struct user_change {
    struct account *a;
    struct db_txn *txn;
    struct ms_errinfo *why;
    struct arena arena;
    struct str forwards, grants;
    char login[ACCOUNT_LOGIN_MAX + 1];
    struct account_user user, old;
};

static enum ms_err change_begin(struct user_change *ch, struct account *a, struct ms_errinfo *why)
{
    memset(ch, 0, sizeof *ch);
    ch->a = a;
    ch->why = why;
    arena_init(&ch->arena, 0);
    str_init(&ch->forwards, 0);
    str_init(&ch->grants, 0);
    return account__write_begin(a, &ch->txn, why);
}

/* Storage trouble comes without a sentence. */
static enum ms_err change_end(struct user_change *ch, enum ms_err err)
{
    account__user_wipe(&ch->user);
    account__user_wipe(&ch->old);
    str_fini(&ch->forwards);
    str_fini(&ch->grants);
    arena_fini(&ch->arena);
    return ch->txn ? account__write_end(ch->a, &ch->txn, err, ch->why) : err;
}

static enum ms_err change_load(struct user_change *ch, struct slice login)
{
    enum ms_err err = account__login_load(ch->a, ch->txn, login, &ch->old, ch->why);
    if (err)
        return err;
    account__user_hold(&ch->old, &ch->arena);
    memcpy(ch->login, ch->old.entry.login, sizeof ch->login);
    ch->user = ch->old;
    return MS_OK;
}

enum ms_err account__login_load(struct account *a, struct db_txn *txn, struct slice login,
                                struct account_user *out, struct ms_errinfo *why_out)
{
    char name[ACCOUNT_LOGIN_MAX + 1];
    MS_TRY(account__home_name(a, txn, login, false, name, why_out));
    enum ms_err err = account__get_login(txn, slice_cstr(name), out);
    if (err == MS_ENOTFOUND)
        return ms_fail(why_out, err, "there is no user %s", name);
    return err ? ms_fail(why_out, err, "%s: %s", name, ms_err_text(err)) : MS_OK;
}

/* -- the fields of a spec */

static enum ms_err set_text(struct slice in, char *out, size_t max, const char *what, struct ms_errinfo *why)
{
    if (in.len > max)
        return ms_fail(why, MS_ELIMIT, "the %s is longer than %zu octets", what, max);
    if (in.len && memchr(in.ptr, 0, in.len))
        return ms_fail(why, MS_EINVAL, "the %s has a NUL", what);
    memcpy(out, in.len ? (const char *)in.ptr : "", in.len);
    out[in.len] = '\0';
    return MS_OK;
}

static enum ms_err set_display(struct user_change *ch, struct slice name)
{
    if (name.len > ACCOUNT_DISPLAY_MAX)
        return ms_fail(ch->why, MS_ELIMIT, "the display name is longer than %d octets", ACCOUNT_DISPLAY_MAX);
    if (!unicode_is_plain(name))
        return ms_fail(ch->why, MS_EINVAL, "the display name has characters that cannot be shown");
    ch->user.display = name;
    return MS_OK;
}

static enum ms_err set_status(struct user_change *ch, const struct account_user_spec *spec)
{
    bool general = spec->set & ACCOUNT_SET_STATUS, mail = spec->set & ACCOUNT_SET_MAIL_STATUS;
    if ((general && (unsigned)spec->status >= ACCOUNT_STATUS_COUNT) ||
        (mail && (unsigned)spec->mail_status >= ACCOUNT_STATUS_COUNT))
        return ms_fail(ch->why, MS_EINVAL, "unknown status");
    if (general && spec->status == ACCOUNT_REMOVED)
        return ms_fail(ch->why, MS_EINVAL, "a user is removed by deleting him");
    if (general)
        ch->user.status = spec->status;
    if (mail)
        ch->user.mail_status = spec->mail_status;
    return MS_OK;
}

/* A new password takes the SCRAM keys of the old one away. */
static enum ms_err set_password(struct user_change *ch, const struct account_user_spec *spec)
{
    MS_TRY(set_text(spec->password_hash, ch->user.hash, sizeof ch->user.hash - 1, "password hash", ch->why));
    MS_ASSERT(spec->key_count <= ACCOUNT_KEYS_MAX);
    ch->user.key_count = spec->key_count;
    for (size_t i = 0; i < spec->key_count; i++)
        ch->user.keys[i] = spec->keys[i];
    return MS_OK;
}

static enum ms_err set_fields(struct user_change *ch, const struct account_user_spec *spec)
{
    struct account_entry *e = &ch->user.entry;
    if (spec->set & ACCOUNT_SET_PASSWORD)
        MS_TRY(set_password(ch, spec));
    if (spec->set & ACCOUNT_SET_PARTITION)
        MS_TRY(set_text(spec->partition, e->partition, ACCOUNT_PARTITION_MAX, "partition name", ch->why));
    if (spec->set & ACCOUNT_SET_NAME)
        MS_TRY(set_display(ch, spec->display_name));
    MS_TRY(set_status(ch, spec));
    if (spec->set & ACCOUNT_SET_QUOTA)
        e->quota_bytes = spec->quota_bytes;
    if (spec->set & ACCOUNT_SET_QUOTA_MESSAGES)
        e->quota_messages = spec->quota_messages;
    if (spec->set & ACCOUNT_SET_MESSAGE_MAX)
        e->message_max = spec->message_max;
    if (spec->set & ACCOUNT_SET_RECIPIENTS_MAX)
        e->recipients_max = spec->recipients_max;
    if (spec->set & ACCOUNT_SET_ADMIN)
        e->is_admin = spec->admin;
    if (spec->set & ACCOUNT_SET_KEEP)
        ch->user.keep = spec->keep;
    if (spec->set & ACCOUNT_SET_FORWARDS)
        MS_TRY(account__targets_make(ch->a, ch->txn, slice_cstr(ch->login), spec->forwards,
                                     spec->forward_count, ACCOUNT_FORWARDS_MAX, &ch->forwards,
                                     &ch->user.forwards, ch->why));
    if (spec->set & ACCOUNT_SET_GRANTS)
        MS_TRY(account__grants_make(ch->a, spec->grants, spec->grant_count, &ch->grants, &ch->user.grants,
                                    ch->why));
    return MS_OK;
}

/* -- add */

enum ms_err account__name_is_free(struct db_txn *txn, const char *name, struct ms_errinfo *why_out)
{
    struct account_name row;
    struct account_user user;
    enum ms_err err = account__get_name(txn, slice_cstr(name), &row);
    if (err == MS_ENOTFOUND)
        return MS_OK;
    if (!err && row.kind == ACCOUNT_ALIAS)
        return ms_fail(why_out, MS_EEXIST, "%s exists already, as an alias", name);
    if (!err)
        err = account__get_user(txn, row.id, &user);
    if (err)
        return ms_fail(why_out, err == MS_ENOTFOUND ? MS_EDAMAGED : err, "%s: %s", name, ms_err_text(err));
    return ms_fail(why_out, MS_EEXIST,
                   user.removed_us ? "%s exists already: a removed user keeps his name until he is purged"
                                   : "%s exists already",
                   name);
}

/* The login in canonical form. *make_out: its domain is to be made. */
static enum ms_err add_login(struct user_change *ch, struct slice login, bool make_domain, bool *make_out)
{
    struct account_address parts;
    enum ms_err err = account_login_check(login);
    if (!err)
        err = account__address_parse(ch->a, login, &parts);
    if (err)
        return ms_fail(ch->why, err, "\"" SLICE_FMT "\" is not a usable login", SLICE_ARG(login));
    struct account_domain domain;
    err = account__get_domain(ch->txn, slice_make(parts.domain, parts.domain_len), &domain);
    *make_out = err == MS_ENOTFOUND && make_domain;
    if (!*make_out)
        return account__home_name(ch->a, ch->txn, login, false, ch->login, ch->why);
    account__join(slice_make(parts.local, parts.local_len), slice_make(parts.domain, parts.domain_len),
                  ch->login);
    return MS_OK;
}

static enum ms_err add_write(struct user_change *ch, bool make_domain)
{
    static const struct account_list none;
    struct slice login = slice_cstr(ch->login);
    if (make_domain) {
        struct account_domain domain = {.created_us = ch->user.created_us, .changed_us = ch->user.created_us};
        MS_TRY(account__put_domain(ch->txn, account__domain_of(login), &domain));
    }
    MS_TRY(account__take_id(ch->txn, &ch->user.entry.id));
    MS_TRY(account__put_user(ch->txn, &ch->user));
    struct account_name name = {.kind = ACCOUNT_USER, .id = ch->user.entry.id};
    MS_TRY(account__put_name(ch->txn, login, &name));
    MS_TRY(account__targets_write(ch->txn, login, &none, &ch->user.forwards));
    return account__name_changed(ch->txn, login);
}

static enum ms_err add(struct user_change *ch, const struct account_user_spec *spec, bool may_make_domain)
{
    bool make_domain;
    MS_TRY(add_login(ch, spec->login, may_make_domain, &make_domain));
    MS_TRY(account__name_is_free(ch->txn, ch->login, ch->why));
    memcpy(ch->user.entry.login, ch->login, sizeof ch->login);
    ch->user.keep = true;
    ch->user.created_us = ch->user.changed_us = clock_wall_us();
    MS_TRY(set_fields(ch, spec));
    enum ms_err err = add_write(ch, make_domain);
    return err ? ms_fail(ch->why, err, "%s: %s", ch->login, ms_err_text(err)) : MS_OK;
}

enum ms_err account_dir_user_add(struct account *a, const struct account_user_spec *spec, bool make_domain,
                                 uint64_t *id_out, struct ms_errinfo *why_out)
{
    struct user_change ch;
    enum ms_err err = change_begin(&ch, a, why_out);
    if (!err)
        err = add(&ch, spec, make_domain);
    uint64_t id = ch.user.entry.id;
    err = change_end(&ch, err);
    if (!err && id_out)
        *id_out = id;
    return err;
}

/* -- set, delete, restore */

static enum ms_err set(struct user_change *ch, const struct account_user_spec *spec)
{
    MS_TRY(change_load(ch, spec->login));
    if (ch->old.removed_us)
        return ms_fail(ch->why, MS_EINVAL, "%s is removed: restore it first", ch->login);
    MS_TRY(set_fields(ch, spec));
    ch->user.changed_us = clock_wall_us();
    enum ms_err err =
        account__targets_write(ch->txn, slice_cstr(ch->login), &ch->old.forwards, &ch->user.forwards);
    if (!err)
        err = account__put_user(ch->txn, &ch->user);
    return err ? ms_fail(ch->why, err, "%s: %s", ch->login, ms_err_text(err)) : MS_OK;
}

enum ms_err account_dir_user_set(struct account *a, const struct account_user_spec *spec,
                                 struct ms_errinfo *why_out)
{
    struct user_change ch;
    enum ms_err err = change_begin(&ch, a, why_out);
    if (!err)
        err = set(&ch, spec);
    return change_end(&ch, err);
}

static enum ms_err write_removed(struct user_change *ch, uint64_t removed_us)
{
    ch->user.removed_us = removed_us;
    ch->user.changed_us = clock_wall_us();
    enum ms_err err = account__put_user(ch->txn, &ch->user);
    if (!err)
        err = account__put_removed(ch->txn, ch->user.entry.id, removed_us);
    return err ? ms_fail(ch->why, err, "%s: %s", ch->login, ms_err_text(err)) : MS_OK;
}

enum ms_err account_dir_user_delete(struct account *a, struct slice login, struct ms_errinfo *why_out)
{
    struct user_change ch;
    enum ms_err err = change_begin(&ch, a, why_out);
    if (!err)
        err = change_load(&ch, login);
    if (!err && ch.old.removed_us)
        err = ms_fail(why_out, MS_ENOTFOUND, "%s is removed already", ch.login);
    if (!err)
        err = write_removed(&ch, clock_wall_us());
    return change_end(&ch, err);
}

enum ms_err account_dir_user_delete_now(struct account *a, struct slice login, struct ms_errinfo *why_out)
{
    struct user_change ch;
    enum ms_err err = change_begin(&ch, a, why_out);
    if (!err)
        err = change_load(&ch, login);
    if (!err)
        err = write_removed(&ch, 1);
    return change_end(&ch, err);
}

enum ms_err account_dir_user_restore(struct account *a, struct slice login, struct ms_errinfo *why_out)
{
    struct user_change ch;
    enum ms_err err = change_begin(&ch, a, why_out);
    if (!err)
        err = change_load(&ch, login);
    if (!err && !ch.old.removed_us)
        err = ms_fail(why_out, MS_EINVAL, "%s is not removed", ch.login);
    if (!err)
        err = write_removed(&ch, 0);
    return change_end(&ch, err);
}
