/* db_priv.h - shared inside db: the environment, its transactions, translation of LMDB results. */
#ifndef MS_DB_PRIV_H
#define MS_DB_PRIV_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "ms/db.h"

struct db {
    MDB_env *env;
    MDB_dbi dbi[DB_NAMES_MAX];
    char *names[DB_NAMES_MAX];
    unsigned name_count;
    char *path;
    uint64_t map_bytes;
    enum db_sync sync;
    bool read_only;
    bool no_lock;
    unsigned page_bytes;
    bool writer_claimed;
    pthread_t writer;
    /* Snapshots open now, and the gate that keeps new ones out while the environment is opened again. */
    atomic_uint snapshots;
    atomic_bool reopening;
};

struct db_txn {
    struct db *db;
    MDB_txn *txn;
    bool write;
    enum ms_err failed; /* sticky: the first failed write */
    unsigned cursors;
    uint64_t dirty_bytes; /* estimate, see db_write_pages */
};

struct db_cur {
    struct db_txn *txn;
    MDB_cursor *cursor;
};

/* Fault injection for the tests of db and partition: the next `left` calls fail with err instead of reaching
 * LMDB. */
struct db__fault {
    atomic_int commits_left;
    atomic_int puts_left;
    atomic_int syncs_left;
    enum ms_err err;
};
extern struct db__fault db__fault;
bool db__fault_hit(atomic_int *left);

enum ms_err db__err(int rc);
enum ms_err db__fail(struct ms_errinfo *why, int rc, const struct db *db, const char *what);
enum ms_err db__env_open(struct db *db, struct ms_errinfo *why);
enum ms_err db__reopen(struct db *db, struct ms_errinfo *why);
void db__assert_writer(const struct db *db);

static inline MDB_val db__val(struct slice s)
{
    return (MDB_val){.mv_size = s.len, .mv_data = (void *)(uintptr_t)s.ptr};
}
static inline struct slice db__slice(MDB_val v)
{
    return slice_make(v.mv_data, v.mv_size);
}
enum ms_err db__write_result(struct db_txn *txn, int rc);

#endif
