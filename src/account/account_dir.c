/*
 * account_dir.c - the directory's LMDB environment: open, format, transactions, single rows written.
 *
 * Every change is one transaction with a full flush, or part of the one that account_dir_begin opened. A
 * change checks everything before it writes its first row: one that is refused has done nothing, and an
 * import may go on behind it. Only trouble with the storage leaves a change half made, and then the
 * transaction cannot be committed any more.
 */
#include "account_priv.h"

#include <errno.h>
#include <unistd.h>

#define KEY_NEXT_ID SLICE_LIT("next_account")
#define KEY_FORMAT  SLICE_LIT("format")
#define KEY_FAKE    SLICE_LIT("scram_secret")
#define KEY_REMOVED "removed"

static const char *const dir_names[ACCOUNT_DB_COUNT] = {"meta",    "user",   "name", "domain",
                                                        "address", "target", "app"};

static enum ms_err read_format(struct db_txn *txn, uint8_t *out)
{
    struct slice value;
    MS_TRY(db_get(txn, ACCOUNT_DB_META, KEY_FORMAT, &value));
    *out = value.len == 1 ? value.ptr[0] : 0;
    return *out >= 1 && *out <= ACCOUNT_FORMAT ? MS_OK : MS_EVERSION;
}

/* The first change makes the directory one of our format: programs that do not know all row versions then keep
 * away. */
static enum ms_err raise_format(struct db_txn *txn)
{
    uint8_t format = 0;
    enum ms_err err = read_format(txn, &format);
    if (format == ACCOUNT_FORMAT || (err && err != MS_ENOTFOUND))
        return err;
    format = ACCOUNT_FORMAT;
    return db_put(txn, ACCOUNT_DB_META, KEY_FORMAT, slice_make(&format, 1));
}

/* The secret of fake SCRAM keys comes with the first change, too. */
static enum ms_err make_secret(struct db_txn *txn)
{
    uint8_t secret[ACCOUNT_FAKE_BYTES];
    struct slice value;
    enum ms_err err = db_get(txn, ACCOUNT_DB_META, KEY_FAKE, &value);
    if (err != MS_ENOTFOUND)
        return err;
    crypt_random(secret, sizeof secret);
    return db_put(txn, ACCOUNT_DB_META, KEY_FAKE, slice_make(secret, sizeof secret));
}

void account__fake_secret(struct db_txn *txn, uint8_t out[ACCOUNT_FAKE_BYTES], size_t *len_out)
{
    struct slice value;
    *len_out = 0;
    if (db_get(txn, ACCOUNT_DB_META, KEY_FAKE, &value) != MS_OK || value.len != ACCOUNT_FAKE_BYTES)
        return;
    memcpy(out, value.ptr, value.len);
    *len_out = value.len;
}

static enum ms_err check_format(struct account *a, struct ms_errinfo *why_out)
{
    struct db_txn *txn;
    uint8_t format;
    MS_TRY(db_read_begin(a->db, &txn));
    enum ms_err err = read_format(txn, &format);
    db_read_end(&txn);
    if (err && err != MS_ENOTFOUND)
        return ms_fail(why_out, err, "the directory has a format this version does not know");
    return err;
}

enum ms_err account__dir_open(struct account *a, const char *path, bool create, struct ms_errinfo *why_out)
{
    struct db_conf conf = {.path = path,
                           .map_bytes = (uint64_t)64 << 30,
                           .sync = DB_SYNC_FULL,
                           .names = dir_names,
                           .name_count = ACCOUNT_DB_COUNT};
    if (!create && access(path, F_OK) != 0 && errno == ENOENT) /* LMDB would make an empty one */
        return ms_fail(why_out, MS_ENOTFOUND, "%s holds no directory", path);
    MS_TRY(db_open(&conf, &a->db, why_out));
    enum ms_err err = check_format(a, why_out);
    if (err == MS_ENOTFOUND && create) {
        MS_TRY(account_dir_begin(a, why_out)); /* writes the format */
        return account_dir_commit(a, why_out);
    }
    if (err == MS_ENOTFOUND)
        return ms_fail(why_out, err, "%s holds no directory", path);
    return err;
}

static enum ms_err write_commit(struct account *a, struct db_txn **txn, struct ms_errinfo *why_out)
{
    enum ms_err err = db_write_commit(txn, why_out);
    pthread_mutex_unlock(&a->write_lock);
    return err;
}

static void write_abort(struct account *a, struct db_txn **txn)
{
    db_write_abort(txn);
    pthread_mutex_unlock(&a->write_lock);
}

static enum ms_err write_open(struct account *a, struct db_txn **out, struct ms_errinfo *why_out)
{
    pthread_mutex_lock(&a->write_lock); /* threads of this process; LMDB's own lock keeps the others apart */
    db_writer_claim(a->db);
    enum ms_err err = db_write_begin(a->db, out, why_out);
    if (err) {
        pthread_mutex_unlock(&a->write_lock);
        return err;
    }
    err = raise_format(*out);
    if (!err)
        err = make_secret(*out);
    if (err) {
        write_abort(a, out);
        return ms_fail(why_out, err, "cannot write the directory's format: %s", ms_err_text(err));
    }
    return MS_OK;
}

enum ms_err account_dir_begin(struct account *a, struct ms_errinfo *why_out)
{
    MS_ASSERT(!a->txn);
    return write_open(a, &a->txn, why_out);
}

enum ms_err account_dir_commit(struct account *a, struct ms_errinfo *why_out)
{
    MS_ASSERT(a->txn);
    return write_commit(a, &a->txn, why_out);
}

void account_dir_abort(struct account *a)
{
    if (a->txn)
        write_abort(a, &a->txn);
}

enum ms_err account__write_begin(struct account *a, struct db_txn **out, struct ms_errinfo *why_out)
{
    *out = a->txn;
    return a->txn ? MS_OK : write_open(a, out, why_out);
}

enum ms_err account__write_end(struct account *a, struct db_txn **txn, enum ms_err err,
                               struct ms_errinfo *why_out)
{
    if (*txn == a->txn)
        return err;
    if (!err)
        return write_commit(a, txn, why_out);
    write_abort(a, txn);
    return err;
}

enum ms_err account__read_begin(struct account *a, struct db_txn **out)
{
    *out = a->txn;
    return a->txn ? MS_OK : db_read_begin(a->db, out);
}

void account__read_end(struct account *a, struct db_txn **txn)
{
    if (*txn != a->txn)
        db_read_end(txn);
}

enum ms_err account__take_id(struct db_txn *txn, uint64_t *id_out)
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

static enum ms_err put(struct db_txn *txn, enum account_dbi dbi, struct slice key, struct str *row)
{
    enum ms_err err = db_put(txn, dbi, key, str_slice(row));
    str_fini(row);
    return err;
}

enum ms_err account__put_user(struct db_txn *txn, const struct account_user *user)
{
    struct str row;
    uint8_t key[8];
    ms_put_be64(key, user->entry.id);
    str_init(&row, ACCOUNT_ROW_MAX);
    account__user_emit(&row, slice_make(key, 8), user);
    return put(txn, ACCOUNT_DB_USER, slice_make(key, 8), &row);
}

enum ms_err account__put_name(struct db_txn *txn, struct slice name, const struct account_name *value)
{
    struct str row;
    str_init(&row, ACCOUNT_ROW_MAX);
    account__name_emit(&row, name, value);
    return put(txn, ACCOUNT_DB_NAME, name, &row);
}

enum ms_err account__put_domain(struct db_txn *txn, struct slice domain, const struct account_domain *value)
{
    struct str row;
    str_init(&row, ACCOUNT_ROW_MAX);
    account__domain_emit(&row, domain, value);
    return put(txn, ACCOUNT_DB_DOMAIN, domain, &row);
}

enum ms_err account__put_mark(struct db_txn *txn, enum account_dbi dbi, struct slice key)
{
    struct str row;
    str_init(&row, ACCOUNT_ROW_MAX);
    account__mark_emit(&row, key);
    return put(txn, dbi, key, &row);
}

enum ms_err account__del(struct db_txn *txn, enum account_dbi dbi, struct slice key)
{
    enum ms_err err = db_del(txn, dbi, key);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

struct slice account__key_address(uint64_t id, struct slice name, uint8_t out[ACCOUNT_PAIR_MAX])
{
    ms_put_be64(out, id);
    memcpy(out + 8, name.ptr, name.len);
    return slice_make(out, 8 + name.len);
}

struct slice account__key_target(struct slice target, struct slice owner, uint8_t out[ACCOUNT_PAIR_MAX])
{
    memcpy(out, target.ptr, target.len);
    out[target.len] = 0;
    if (owner.len)
        memcpy(out + target.len + 1, owner.ptr, owner.len);
    return slice_make(out, target.len + 1 + owner.len);
}

static struct slice key_removed(uint64_t id, uint8_t out[sizeof KEY_REMOVED + 8])
{
    memcpy(out, KEY_REMOVED, sizeof KEY_REMOVED);
    ms_put_be64(out + sizeof KEY_REMOVED, id);
    return slice_make(out, sizeof KEY_REMOVED + 8);
}

enum ms_err account__put_removed(struct db_txn *txn, uint64_t id, uint64_t removed_us)
{
    uint8_t key[sizeof KEY_REMOVED + 8], value[8];
    if (!removed_us)
        return account__del(txn, ACCOUNT_DB_META, key_removed(id, key));
    ms_put_le64(value, removed_us);
    return db_put(txn, ACCOUNT_DB_META, key_removed(id, key), slice_make(value, 8));
}

uint64_t account__get_removed(struct db_txn *txn, uint64_t id)
{
    uint8_t key[sizeof KEY_REMOVED + 8];
    struct slice value;
    bool there = db_get(txn, ACCOUNT_DB_META, key_removed(id, key), &value) == MS_OK && value.len == 8;
    return there ? ms_get_le64(value.ptr) : 0;
}

enum ms_err account__get_meta(struct db_txn *txn, uint64_t *next_out, uint64_t *removed_out)
{
    struct slice value, key;
    struct db_cur *cur;
    enum ms_err err = db_get(txn, ACCOUNT_DB_META, KEY_NEXT_ID, &value);
    if (err && err != MS_ENOTFOUND)
        return err;
    *next_out = err ? 1 : value.len == 8 ? ms_get_le64(value.ptr) : 0;
    *removed_out = 0;
    MS_TRY(db_cur_open(txn, ACCOUNT_DB_META, &cur));
    err = db_cur_seek(cur, slice_make(KEY_REMOVED, sizeof KEY_REMOVED), &key, &value);
    for (; !err && slice_has_prefix(key, slice_make(KEY_REMOVED, sizeof KEY_REMOVED));
         err = db_cur_next(cur, &key, &value))
        ++*removed_out;
    db_cur_close(&cur);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

static enum ms_err removed_next(struct db_cur *cur, uint64_t before_us, uint64_t after_id, uint64_t *id_out)
{
    uint8_t from[sizeof KEY_REMOVED + 8];
    struct slice key, value;
    enum ms_err err = after_id == UINT64_MAX
                          ? MS_ENOTFOUND
                          : db_cur_seek(cur, key_removed(after_id + 1, from), &key, &value);
    for (; !err; err = db_cur_next(cur, &key, &value)) {
        if (key.len != sizeof from || memcmp(key.ptr, KEY_REMOVED, sizeof KEY_REMOVED) != 0)
            return MS_ENOTFOUND;
        if (value.len != 8)
            return MS_EDAMAGED;
        if (ms_get_le64(value.ptr) < before_us) {
            *id_out = ms_get_be64(key.ptr + sizeof KEY_REMOVED);
            return MS_OK;
        }
    }
    return err;
}

enum ms_err account_dir_removed_next(struct account *a, uint64_t before_us, uint64_t after_id,
                                     uint64_t *id_out)
{
    struct db_txn *txn;
    struct db_cur *cur;
    MS_TRY(account__read_begin(a, &txn));
    enum ms_err err = db_cur_open(txn, ACCOUNT_DB_META, &cur);
    if (!err) {
        err = removed_next(cur, before_us, after_id, id_out);
        db_cur_close(&cur);
    }
    account__read_end(a, &txn);
    return err;
}
