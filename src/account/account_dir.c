/*
 * account_dir.c - the directory's LMDB environment: look-ups and the one write there is so far.
 * A row that fails its checksum is damage of that one entry: the look-up says MS_EDAMAGED, never "unknown
 * user".
 */
#include "account_priv.h"

#include "ms/base/clock.h"

#define KEY_NEXT_ID SLICE_LIT("next_account")
#define KEY_FORMAT  SLICE_LIT("format")

static const char *const dir_names[ACCOUNT_DB_COUNT] = {"meta", "user", "name", "domain"};

static enum ms_err dir_check_format(struct account *a, struct ms_errinfo *why_out)
{
    struct db_txn *txn;
    MS_TRY(db_read_begin(a->db, &txn));
    struct slice value;
    enum ms_err err = db_get(txn, ACCOUNT_DB_META, KEY_FORMAT, &value);
    bool known = !err && value.len == 1 && value.ptr[0] == ACCOUNT_ROW_VERSION;
    db_read_end(&txn);
    if (err == MS_ENOTFOUND)
        return MS_ENOTFOUND;
    if (!known)
        return ms_fail(why_out, err ? err : MS_EVERSION,
                       "the directory has a format this version does not know");
    return MS_OK;
}

static enum ms_err dir_write_format(struct account *a, struct ms_errinfo *why_out)
{
    struct db_txn *txn;
    uint8_t version = ACCOUNT_ROW_VERSION;
    db_writer_claim(a->db);
    MS_TRY(db_write_begin(a->db, &txn, why_out));
    enum ms_err err = db_put(txn, ACCOUNT_DB_META, KEY_FORMAT, slice_make(&version, 1));
    if (err) {
        db_write_abort(&txn);
        return ms_fail(why_out, err, "cannot write the directory's format: %s", ms_err_text(err));
    }
    return db_write_commit(&txn, why_out);
}

enum ms_err account__dir_open(struct account *a, const char *path, bool create, struct ms_errinfo *why_out)
{
    struct db_conf conf = {.path = path,
                           .map_bytes = (uint64_t)64 << 30,
                           .sync = DB_SYNC_FULL,
                           .names = dir_names,
                           .name_count = ACCOUNT_DB_COUNT};
    MS_TRY(db_open(&conf, &a->db, why_out));
    enum ms_err err = dir_check_format(a, why_out);
    if (err == MS_ENOTFOUND && create)
        return dir_write_format(a, why_out);
    if (err == MS_ENOTFOUND)
        return ms_fail(why_out, err, "%s holds no directory", path);
    return err;
}

static enum ms_err find_id(struct db_txn *txn, uint64_t id, struct account_user *out)
{
    uint8_t key[8];
    struct slice row;
    ms_put_be64(key, id);
    MS_TRY(db_get(txn, ACCOUNT_DB_USER, slice_make(key, 8), &row));
    return account__user_parse(slice_make(key, 8), row, out);
}

enum ms_err account__dir_find_id(struct account *a, uint64_t id, struct account_user *out)
{
    struct db_txn *txn;
    MS_TRY(db_read_begin(a->db, &txn));
    enum ms_err err = find_id(txn, id, out);
    db_read_end(&txn);
    return err;
}

enum ms_err account__dir_find_name(struct account *a, const char *name, struct account_user *out)
{
    struct db_txn *txn;
    struct slice row;
    uint64_t id = 0;
    MS_TRY(db_read_begin(a->db, &txn));
    enum ms_err err = db_get(txn, ACCOUNT_DB_NAME, slice_cstr(name), &row);
    if (!err)
        err = account__name_parse(slice_cstr(name), row, &id);
    if (!err) {
        err = find_id(txn, id, out);
        if (err == MS_ENOTFOUND) /* a name without its user is damage, not an unknown user */
            err = MS_EDAMAGED;
    }
    db_read_end(&txn);
    return err;
}

enum ms_err account_domain_find(struct account_client *c, struct slice domain)
{
    char lower[ACCOUNT_DOMAIN_MAX + 1];
    struct db_txn *txn;
    struct slice row;
    if (domain.len == 0 || domain.len > ACCOUNT_DOMAIN_MAX)
        return MS_ENOTFOUND;
    for (size_t i = 0; i < domain.len; i++)
        lower[i] = (char)ms_ascii_lower(domain.ptr[i]);
    struct slice key = slice_make(lower, domain.len);
    MS_TRY(db_read_begin(c->account->db, &txn));
    enum ms_err err = db_get(txn, ACCOUNT_DB_DOMAIN, key, &row);
    if (!err)
        err = account__domain_parse(key, row);
    db_read_end(&txn);
    return err;
}

enum ms_err account_next(struct account *a, const char *after, struct account_entry *out)
{
    struct db_txn *txn;
    struct db_cur *cur;
    struct slice key, row;
    struct account_user user;
    uint64_t id = 0;
    MS_TRY(db_read_begin(a->db, &txn));
    enum ms_err err = db_cur_open(txn, ACCOUNT_DB_NAME, &cur);
    if (!err) {
        err = db_cur_seek(cur, slice_cstr(after), &key, &row);
        if (!err && after[0] && slice_eq_cstr(key, after))
            err = db_cur_next(cur, &key, &row);
        if (!err)
            err = account__name_parse(key, row, &id);
        db_cur_close(&cur);
    }
    if (!err)
        err = find_id(txn, id, &user);
    if (!err)
        *out = user.entry;
    db_read_end(&txn);
    return err;
}

/* The next account id; ids are never given twice. */
static enum ms_err take_id(struct db_txn *txn, uint64_t *id_out)
{
    struct slice value;
    uint8_t next[8];
    enum ms_err err = db_get(txn, ACCOUNT_DB_META, KEY_NEXT_ID, &value);
    if (err && err != MS_ENOTFOUND)
        return err;
    if (!err && value.len != 8)
        return MS_EDAMAGED;
    *id_out = err ? 1 : ms_get_le64(value.ptr);
    ms_put_le64(next, *id_out + 1);
    return db_put(txn, ACCOUNT_DB_META, KEY_NEXT_ID, slice_make(next, 8));
}

static enum ms_err put_domain(struct db_txn *txn, struct slice domain, uint64_t now_us)
{
    struct slice row;
    enum ms_err err = db_get(txn, ACCOUNT_DB_DOMAIN, domain, &row);
    if (err != MS_ENOTFOUND)
        return err;
    struct str out;
    str_init(&out, ACCOUNT_ROW_MAX);
    account__domain_emit(&out, domain, now_us);
    err = db_put(txn, ACCOUNT_DB_DOMAIN, domain, str_slice(&out));
    str_fini(&out);
    return err;
}

static enum ms_err put_user(struct db_txn *txn, struct account_user *user)
{
    struct str row;
    uint8_t key[8];
    struct slice login = slice_cstr(user->entry.login);
    MS_TRY(take_id(txn, &user->entry.id));
    str_init(&row, ACCOUNT_ROW_MAX);
    account__name_emit(&row, login, user->entry.id);
    enum ms_err err = db_insert(txn, ACCOUNT_DB_NAME, login, str_slice(&row));
    if (!err) {
        str_reset(&row);
        ms_put_be64(key, user->entry.id);
        account__user_emit(&row, slice_make(key, 8), user);
        err = db_insert(txn, ACCOUNT_DB_USER, slice_make(key, 8), str_slice(&row));
    }
    if (!err)
        err = put_domain(txn, slice_sub(login, (size_t)slice_rfind_byte(login, '@') + 1, SIZE_MAX),
                         user->created_us);
    str_fini(&row);
    return err;
}

enum ms_err account__dir_add(struct account *a, const char *login, const char *hash, uint64_t quota_bytes,
                             uint64_t quota_messages, const char *partition, struct account_entry *out,
                             struct ms_errinfo *why_out)
{
    struct account_user user = {.created_us = clock_wall_us()};
    struct db_txn *txn;
    user.entry.quota_bytes = quota_bytes;
    user.entry.quota_messages = quota_messages;
    memcpy(user.entry.login, login, strlen(login) + 1);
    memcpy(user.entry.partition, partition, strlen(partition) + 1);
    memcpy(user.hash, hash, strlen(hash) + 1);
    db_writer_claim(a->db);
    MS_TRY(db_write_begin(a->db, &txn, why_out));
    enum ms_err err = put_user(txn, &user);
    if (err) {
        db_write_abort(&txn);
        return ms_fail(why_out, err, "%s: %s", login, ms_err_text(err));
    }
    MS_TRY(db_write_commit(&txn, why_out));
    *out = user.entry;
    return MS_OK;
}
