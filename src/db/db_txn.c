/* db_txn.c - snapshots and write transactions, single rows. */
#include "db_priv.h"

enum ms_err db_read_begin(struct db *db, struct db_txn **out)
{
    atomic_fetch_add(&db->snapshots, 1);
    if (MS_UNLIKELY(atomic_load(&db->reopening))) {
        atomic_fetch_sub(&db->snapshots, 1);
        return MS_EBUSY;
    }
    MDB_txn *txn;
    int rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);
    if (rc) {
        atomic_fetch_sub(&db->snapshots, 1);
        return db__err(rc);
    }
    struct db_txn *t = ms_new(struct db_txn);
    t->db = db;
    t->txn = txn;
    *out = t;
    return MS_OK;
}

void db_read_end(struct db_txn **txn)
{
    struct db_txn *t = *txn;
    if (!t)
        return;
    MS_ASSERT(!t->write && t->cursors == 0);
    mdb_txn_abort(t->txn);
    atomic_fetch_sub(&t->db->snapshots, 1);
    ms_free(t);
    *txn = NULL;
}

enum ms_err db_write_begin(struct db *db, struct db_txn **out, struct ms_errinfo *why_out)
{
    db__assert_writer(db);
    if (!db->env)
        MS_TRY(db__reopen(db, why_out));
    MDB_txn *txn;
    int rc = mdb_txn_begin(db->env, NULL, 0, &txn);
    if (rc == MDB_PANIC) {
        MS_TRY(db__reopen(db, why_out));
        rc = mdb_txn_begin(db->env, NULL, 0, &txn);
    }
    if (rc)
        return db__fail(why_out, rc, db, "begin");
    struct db_txn *t = ms_new(struct db_txn);
    t->db = db;
    t->txn = txn;
    t->write = true;
    *out = t;
    return MS_OK;
}

enum ms_err db_write_commit(struct db_txn **txn, struct ms_errinfo *why_out)
{
    struct db_txn *t = *txn;
    db__assert_writer(t->db);
    MS_ASSERT(t->write && t->cursors == 0);
    enum ms_err err = t->failed;
    if (err) {
        mdb_txn_abort(t->txn);
        ms_fail(why_out, err, "%s: a write of the transaction failed", t->db->path);
    } else if (db__fault_hit(&db__fault.commits_left)) {
        mdb_txn_abort(t->txn);
        err = ms_fail(why_out, db__fault.err, "%s: injected", t->db->path);
    } else {
        int rc = mdb_txn_commit(t->txn); /* gone, whatever it returns */
        if (rc)
            err = db__fail(why_out, rc, t->db, "commit");
    }
    ms_free(t);
    *txn = NULL;
    return err;
}

void db_write_abort(struct db_txn **txn)
{
    struct db_txn *t = *txn;
    if (!t)
        return;
    MS_ASSERT(t->write && t->cursors == 0);
    mdb_txn_abort(t->txn);
    ms_free(t);
    *txn = NULL;
}

enum ms_err db_sync_now(struct db *db, struct ms_errinfo *why_out)
{
    if (db__fault_hit(&db__fault.syncs_left))
        return ms_fail(why_out, db__fault.err, "%s: injected", db->path);
    /* As a reader: keeps the environment open meanwhile. */
    atomic_fetch_add(&db->snapshots, 1);
    enum ms_err err = MS_OK;
    if (atomic_load(&db->reopening)) {
        err = ms_fail(why_out, MS_EBUSY, "%s: is being opened again", db->path);
    } else {
        int rc = mdb_env_sync(db->env, 1);
        if (rc)
            err = db__fail(why_out, rc, db, "sync");
    }
    atomic_fetch_sub(&db->snapshots, 1);
    return err;
}

size_t db_write_pages(const struct db_txn *txn)
{
    return (size_t)(txn->dirty_bytes / txn->db->page_bytes);
}

enum ms_err db__write_result(struct db_txn *txn, int rc)
{
    enum ms_err err = db__err(rc);
    if (err && err != MS_ENOTFOUND && err != MS_EEXIST)
        txn->failed = err;
    return err;
}

enum ms_err db_get(struct db_txn *txn, unsigned dbi, struct slice key, struct slice *value_out)
{
    MS_ASSERT(key.len >= 1 && key.len <= DB_KEY_MAX && dbi < txn->db->name_count);
    MDB_val k = db__val(key), v;
    int rc = mdb_get(txn->txn, txn->db->dbi[dbi], &k, &v);
    if (rc)
        return db__err(rc);
    *value_out = db__slice(v);
    return MS_OK;
}

/* cost: estimate of what the write dirties. A row at a random place costs a page, one behind the last only
 * its bytes. */
static enum ms_err put(struct db_txn *txn, unsigned dbi, struct slice key, MDB_val *v, unsigned flags,
                       uint64_t cost)
{
    MS_ASSERT(txn->write && key.len >= 1 && key.len <= DB_KEY_MAX && dbi < txn->db->name_count);
    if (MS_UNLIKELY(txn->failed))
        return txn->failed;
    if (MS_UNLIKELY(db__fault_hit(&db__fault.puts_left)))
        return txn->failed = db__fault.err;
    MDB_val k = db__val(key);
    int rc = mdb_put(txn->txn, txn->db->dbi[dbi], &k, v, flags);
    txn->dirty_bytes += cost;
    return db__write_result(txn, rc);
}

enum ms_err db_put(struct db_txn *txn, unsigned dbi, struct slice key, struct slice value)
{
    MDB_val v = db__val(value);
    return put(txn, dbi, key, &v, 0, txn->db->page_bytes + value.len);
}

enum ms_err db_append(struct db_txn *txn, unsigned dbi, struct slice key, struct slice value)
{
    MDB_val v = db__val(value);
    enum ms_err err = put(txn, dbi, key, &v, MDB_APPEND, key.len + value.len + 16);
    if (err == MS_EEXIST) /* not behind the last one */
        return db_put(txn, dbi, key, value);
    return err;
}

enum ms_err db_reserve(struct db_txn *txn, unsigned dbi, struct slice key, size_t bytes, uint8_t **room_out)
{
    MDB_val v = {.mv_size = bytes};
    MS_TRY(put(txn, dbi, key, &v, MDB_RESERVE, txn->db->page_bytes + bytes));
    *room_out = v.mv_data;
    return MS_OK;
}

enum ms_err db_insert(struct db_txn *txn, unsigned dbi, struct slice key, struct slice value)
{
    MDB_val v = db__val(value);
    return put(txn, dbi, key, &v, MDB_NOOVERWRITE, txn->db->page_bytes + value.len);
}

enum ms_err db_del(struct db_txn *txn, unsigned dbi, struct slice key)
{
    MS_ASSERT(txn->write && key.len >= 1 && key.len <= DB_KEY_MAX && dbi < txn->db->name_count);
    if (MS_UNLIKELY(txn->failed))
        return txn->failed;
    MDB_val k = db__val(key);
    int rc = mdb_del(txn->txn, txn->db->dbi[dbi], &k, NULL);
    txn->dirty_bytes += txn->db->page_bytes;
    return db__write_result(txn, rc);
}

uint64_t db_count(struct db_txn *txn, unsigned dbi)
{
    MDB_stat st;
    return mdb_stat(txn->txn, txn->db->dbi[dbi], &st) ? 0 : st.ms_entries;
}
