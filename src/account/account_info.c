/*
 * account_info.c - what is in the directory, for commands: one entry, or the next in order.
 */
#include "account_priv.h"

/* The account's further names, from the index. */
static enum ms_err fill_addresses(struct db_txn *txn, uint64_t id, struct arena *arena,
                                  struct account_user_info *out)
{
    struct db_cur *cur;
    struct slice key, value;
    uint8_t prefix[8];
    size_t cap = 0;
    ms_put_be64(prefix, id);
    MS_TRY(db_cur_open(txn, ACCOUNT_DB_ADDRESS, &cur));
    enum ms_err err = db_cur_seek(cur, slice_make(prefix, 8), &key, &value);
    for (; !err && slice_has_prefix(key, slice_make(prefix, 8)); err = db_cur_next(cur, &key, &value)) {
        if (out->address_count == cap) {
            cap = cap ? cap * 2 : 8;
            struct slice *list = arena_new_array(arena, struct slice, cap);
            if (out->address_count)
                memcpy(list, out->addresses, out->address_count * sizeof *list);
            out->addresses = list;
        }
        out->addresses[out->address_count++] = arena_dup(arena, slice_sub(key, 8, SIZE_MAX));
    }
    db_cur_close(&cur);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

static enum ms_err fill_user(struct db_txn *txn, struct account_user *user, struct arena *arena,
                             struct account_user_info *out)
{
    MS_TRY(account__entry_status(txn, user));
    *out = (struct account_user_info){.entry = user->entry,
                                      .display_name = arena_dup(arena, user->display),
                                      .status = user->removed_us ? ACCOUNT_REMOVED : user->status,
                                      .mail_status = user->mail_status,
                                      .has_password = user->hash[0] != '\0',
                                      .keep = user->keep || user->forwards.count == 0,
                                      .created_us = user->created_us,
                                      .changed_us = user->changed_us,
                                      .removed_us = user->removed_us,
                                      .forwards = account__list_copy(&user->forwards, arena),
                                      .forward_count = user->forwards.count,
                                      .grants = account__list_copy(&user->grants, arena),
                                      .grant_count = user->grants.count};
    for (size_t i = 0; i < user->key_count; i++)
        out->has_keys[user->keys[i].hash] = true;
    account__user_wipe(user);
    return fill_addresses(txn, user->entry.id, arena, out);
}

enum ms_err account_dir_user_info(struct account *a, struct slice login, struct arena *arena,
                                  struct account_user_info *out)
{
    struct account_user user;
    struct db_txn *txn;
    MS_TRY(account__read_begin(a, &txn));
    enum ms_err err = account__login_load(a, txn, login, &user, NULL);
    if (!err)
        err = fill_user(txn, &user, arena, out);
    account__read_end(a, &txn);
    return err;
}

/* The next row of a database behind `after`. */
static enum ms_err seek_behind(struct db_cur *cur, const char *after, struct slice *key, struct slice *row)
{
    MS_TRY(db_cur_seek(cur, slice_cstr(after), key, row));
    return after[0] && slice_eq_cstr(*key, after) ? db_cur_next(cur, key, row) : MS_OK;
}

/* The next name of a kind; key and row live until the next write. */
static enum ms_err next_name(struct db_txn *txn, const char *after, enum account_kind kind, struct slice *key,
                             struct account_name *out)
{
    struct db_cur *cur;
    struct slice row;
    if (strlen(after) > DB_KEY_MAX)
        return MS_ELIMIT;
    MS_TRY(db_cur_open(txn, ACCOUNT_DB_NAME, &cur));
    enum ms_err err = seek_behind(cur, after, key, &row);
    for (; !err; err = db_cur_next(cur, key, &row)) {
        err = account__name_parse(*key, row, out);
        if (err || out->kind == kind)
            break;
    }
    db_cur_close(&cur);
    return err;
}

static enum ms_err next_user(struct db_txn *txn, const char *after, struct account_user *out)
{
    struct account_name name;
    struct slice key;
    MS_TRY(next_name(txn, after, ACCOUNT_USER, &key, &name));
    enum ms_err err = account__get_user(txn, name.id, out);
    return err == MS_ENOTFOUND ? MS_EDAMAGED : err;
}

enum ms_err account_dir_user_next(struct account *a, const char *after, struct arena *arena,
                                  struct account_user_info *out)
{
    struct account_user user;
    struct db_txn *txn;
    MS_TRY(account__read_begin(a, &txn));
    enum ms_err err = next_user(txn, after, &user);
    if (!err)
        err = fill_user(txn, &user, arena, out);
    account__read_end(a, &txn);
    return err;
}

enum ms_err account_dir_alias_next(struct account *a, const char *after, struct arena *arena,
                                   struct account_alias_info *out)
{
    struct account_name name;
    struct db_txn *txn;
    struct slice key;
    MS_TRY(account__read_begin(a, &txn));
    enum ms_err err = next_name(txn, after, ACCOUNT_ALIAS, &key, &name);
    if (!err)
        *out = (struct account_alias_info){.address = arena_dup(arena, key),
                                           .status = name.status,
                                           .targets = account__list_copy(&name.targets, arena),
                                           .target_count = name.targets.count};
    account__read_end(a, &txn);
    return err;
}

static enum ms_err next_domain(struct db_txn *txn, const char *after, struct account_domain_info *out)
{
    struct account_domain row;
    struct db_cur *cur;
    struct slice key, value;
    if (strlen(after) > DB_KEY_MAX)
        return MS_ELIMIT;
    MS_TRY(db_cur_open(txn, ACCOUNT_DB_DOMAIN, &cur));
    enum ms_err err = seek_behind(cur, after, &key, &value);
    if (!err)
        err = account__domain_parse(key, value, &row);
    if (!err && key.len > ACCOUNT_DOMAIN_MAX)
        err = MS_EDAMAGED;
    if (!err) {
        *out = (struct account_domain_info){
            .status = row.status, .mail_status = row.mail_status, .created_us = row.created_us};
        memcpy(out->name, key.ptr, key.len);
        if (row.canonical.len)
            memcpy(out->canonical, row.canonical.ptr, row.canonical.len);
    }
    db_cur_close(&cur);
    return err;
}

enum ms_err account_dir_domain_next(struct account *a, const char *after, struct account_domain_info *out)
{
    struct db_txn *txn;
    MS_TRY(account__read_begin(a, &txn));
    enum ms_err err = next_domain(txn, after, out);
    account__read_end(a, &txn);
    return err;
}
