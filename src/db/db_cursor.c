/* db_cursor.c - ordered scans and updates in place. */
#include "db_priv.h"

#include <errno.h>

enum ms_err db_cur_open(struct db_txn *txn, unsigned dbi, struct db_cur **out)
{
    MS_ASSERT(dbi < txn->db->name_count);
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn->txn, txn->db->dbi[dbi], &cursor);
    if (rc)
        return db__err(rc);
    struct db_cur *cur = ms_new(struct db_cur);
    cur->txn = txn;
    cur->cursor = cursor;
    txn->cursors++;
    *out = cur;
    return MS_OK;
}

void db_cur_close(struct db_cur **cur)
{
    if (!*cur)
        return;
    mdb_cursor_close((*cur)->cursor);
    (*cur)->txn->cursors--;
    ms_free(*cur);
    *cur = NULL;
}

static enum ms_err move(struct db_cur *cur, MDB_val *k, MDB_cursor_op op, struct slice *key_out,
                        struct slice *value_out)
{
    MDB_val v;
    int rc = mdb_cursor_get(cur->cursor, k, &v, op);
    if (rc)
        return rc == EINVAL ? MS_ENOTFOUND
                            : db__err(rc); /* EINVAL: not on an entry, for instance of an empty database */
    *key_out = db__slice(*k);
    *value_out = db__slice(v);
    return MS_OK;
}

enum ms_err db_cur_seek(struct db_cur *cur, struct slice key, struct slice *key_out, struct slice *value_out)
{
    MS_ASSERT(key.len <= DB_KEY_MAX);
    MDB_val k = db__val(key);
    return move(cur, &k, key.len ? MDB_SET_RANGE : MDB_FIRST, key_out, value_out);
}

enum ms_err db_cur_next(struct db_cur *cur, struct slice *key_out, struct slice *value_out)
{
    MDB_val k = {0};
    return move(cur, &k, MDB_NEXT, key_out, value_out);
}

enum ms_err db_cur_prev(struct db_cur *cur, struct slice *key_out, struct slice *value_out)
{
    MDB_val k = {0};
    return move(cur, &k, MDB_PREV, key_out, value_out);
}

enum ms_err db_cur_before(struct db_cur *cur, struct slice key, struct slice *key_out,
                          struct slice *value_out)
{
    if (key.len) {
        enum ms_err err = db_cur_seek(cur, key, key_out, value_out);
        if (err == MS_OK)
            return db_cur_prev(cur, key_out, value_out);
        if (err != MS_ENOTFOUND)
            return err;
    }
    MDB_val k = {0};
    return move(cur, &k, MDB_LAST, key_out, value_out);
}

enum ms_err db_cur_update(struct db_cur *cur, struct slice value)
{
    struct db_txn *txn = cur->txn;
    MS_ASSERT(txn->write);
    if (MS_UNLIKELY(txn->failed))
        return txn->failed;
    MDB_val k, old;
    int rc = mdb_cursor_get(cur->cursor, &k, &old, MDB_GET_CURRENT);
    MS_ASSERT(rc == 0 && old.mv_size == value.len);
    /* A row on overflow pages is taken out of its leaf and put in again, which moves the bytes k points at. */
    uint8_t key[DB_KEY_MAX];
    memcpy(key, k.mv_data, k.mv_size);
    k.mv_data = key;
    MDB_val v = db__val(value);
    txn->dirty_bytes += txn->db->page_bytes;
    return db__write_result(txn, mdb_cursor_put(cur->cursor, &k, &v, MDB_CURRENT));
}

enum ms_err db_cur_del(struct db_cur *cur)
{
    struct db_txn *txn = cur->txn;
    MS_ASSERT(txn->write);
    if (MS_UNLIKELY(txn->failed))
        return txn->failed;
    txn->dirty_bytes += txn->db->page_bytes;
    return db__write_result(txn, mdb_cursor_del(cur->cursor, 0));
}

enum ms_err db_cur_reserve(struct db_cur *cur, struct slice key, size_t bytes, uint8_t **room_out)
{
    struct db_txn *txn = cur->txn;
    MS_ASSERT(txn->write && key.len >= 1 && key.len <= DB_KEY_MAX);
    if (MS_UNLIKELY(txn->failed))
        return txn->failed;
    if (MS_UNLIKELY(db__fault_hit(&db__fault.puts_left)))
        return txn->failed = db__fault.err;
    MDB_val k = db__val(key), v = {.mv_size = bytes};
    txn->dirty_bytes += key.len + bytes + 16;
    MS_TRY(db__write_result(txn, mdb_cursor_put(cur->cursor, &k, &v, MDB_RESERVE)));
    *room_out = v.mv_data;
    return MS_OK;
}
