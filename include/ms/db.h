/*
 * db.h - an LMDB environment: read snapshots for everybody, one writer.
 * Layer 4 (db).   Uses: base, obs, conf, loop.   Owns LMDB.
 *
 * Threads:  db_read_* from any thread; a snapshot belongs to the callback that opened it and is closed before it
 *           returns (a reader that stays open makes the file grow). db_write_* by one thread at a time (asserted: the
 *           thread that called db_writer_claim).
 * Memory:   slices given out point into the map and die with the transaction, or at the next write of it.
 * Limits:   keys 1..DB_KEY_MAX bytes; named databases DB_NAMES_MAX. The map is reserved once (map_bytes) and never resized.
 *           A dead environment (LMDB could not write its meta page) is opened again by db_write_begin; meanwhile
 *           db_read_begin gives MS_EBUSY.
 * Errors:   MS_ENOTFOUND, MS_ENOSPC (map or disk full), MS_EIO, MS_EDAMAGED. After a failed write every further write of
 *           that transaction fails too: db_write_abort and begin again.
 */
#ifndef MS_DB_H
#define MS_DB_H

#include "ms/base/slice.h"
#include "ms/base/str.h"

#define DB_KEY_MAX     511
#define DB_NAMES_MAX   32
#define DB_READERS_MAX 1024
#define DB_MAP_BYTES   ((uint64_t)1 << 40)
#define DB_READ_AHEAD_MAX   ((uint64_t)1 << 30) /* a file of at most so many bytes ... */
#define DB_READ_AHEAD_SHARE 8                   /* ... and this share of the memory is read ahead */

struct db;     /* the environment */
struct db_txn; /* read snapshot or write transaction */
struct db_cur;

enum db_sync { DB_SYNC_FULL /* default mode: the directory */, DB_SYNC_NO_META /* MDB_NOMETASYNC: replay repairs */ };

struct db_conf {
    const char *path; /* a FILE (MDB_NOSUBDIR); its folder exists. lock file: path + "-lock" */
    uint64_t map_bytes;
    enum db_sync sync;
    bool read_only;
    bool no_lock; /* read_only, of a file that nobody writes (a checkpoint): makes no lock file */
    const char *const *names; /* named databases, index = dbi number */
    unsigned name_count;
};

MS_MUST_USE enum ms_err db_open(const struct db_conf *conf, struct db **out, struct ms_errinfo *why_out);
void db_close(struct db **db); /* no transaction open */

MS_MUST_USE enum ms_err db_read_begin(struct db *db, struct db_txn **out);
void db_read_end(struct db_txn **txn);

void db_writer_claim(struct db *db); /* the calling thread is the writer from now on */
MS_MUST_USE enum ms_err db_write_begin(struct db *db, struct db_txn **out, struct ms_errinfo *why_out);
/* The txn is gone after both. */
MS_MUST_USE enum ms_err db_write_commit(struct db_txn **txn, struct ms_errinfo *why_out);
void db_write_abort(struct db_txn **txn);
MS_MUST_USE enum ms_err db_sync_now(struct db *db, struct ms_errinfo *why_out); /* any thread; forced */
/* Dirty pages of the transaction so far (estimate by puts): the applier splits commits by it. */
size_t db_write_pages(const struct db_txn *txn);

MS_MUST_USE enum ms_err db_get(struct db_txn *txn, unsigned dbi, struct slice key, struct slice *value_out);
MS_MUST_USE enum ms_err db_put(struct db_txn *txn, unsigned dbi, struct slice key, struct slice value);
/* Key is greater than every key of the database (sequential load): MDB_APPEND; falls back to db_put when it is not. */
MS_MUST_USE enum ms_err db_append(struct db_txn *txn, unsigned dbi, struct slice key, struct slice value);
/* Room for `bytes` at key, to be filled before the next call: saves a copy. */
MS_MUST_USE enum ms_err db_reserve(struct db_txn *txn, unsigned dbi, struct slice key, size_t bytes, uint8_t **room_out);
MS_MUST_USE enum ms_err db_insert(struct db_txn *txn, unsigned dbi, struct slice key, struct slice value); /* MS_EEXIST */
MS_MUST_USE enum ms_err db_del(struct db_txn *txn, unsigned dbi, struct slice key);
uint64_t db_count(struct db_txn *txn, unsigned dbi);

/* Cursor on a read or write transaction; closed before the transaction ends. */
MS_MUST_USE enum ms_err db_cur_open(struct db_txn *txn, unsigned dbi, struct db_cur **out);
void db_cur_close(struct db_cur **cur);
/* First entry with key >= `key` (empty key: the first of all). MS_ENOTFOUND at the end. */
MS_MUST_USE enum ms_err db_cur_seek(struct db_cur *cur, struct slice key, struct slice *key_out, struct slice *value_out);
MS_MUST_USE enum ms_err db_cur_next(struct db_cur *cur, struct slice *key_out, struct slice *value_out);
MS_MUST_USE enum ms_err db_cur_prev(struct db_cur *cur, struct slice *key_out, struct slice *value_out);
/* Last entry with key < `key` (empty key: the last of all). */
MS_MUST_USE enum ms_err db_cur_before(struct db_cur *cur, struct slice key, struct slice *key_out, struct slice *value_out);
/* In place, same size (asserted): flags and counters. */
MS_MUST_USE enum ms_err db_cur_update(struct db_cur *cur, struct slice value);
MS_MUST_USE enum ms_err db_cur_del(struct db_cur *cur); /* the cursor then stands before the next entry */
/* As db_reserve; the cursor then stands on the row, and a row that follows in key order is put without a search from the top. */
MS_MUST_USE enum ms_err db_cur_reserve(struct db_cur *cur, struct slice key, size_t bytes, uint8_t **room_out);

/* A complete, compacted copy at path (must not exist), flushed with its folder. Long reader: quiet times. */
MS_MUST_USE enum ms_err db_copy(struct db *db, const char *path, struct ms_errinfo *why_out);

struct db_stats {
    uint64_t pages_used, pages_free, page_bytes, map_bytes, entries, readers, oldest_reader_lag;
};
void db_stats(struct db *db, struct db_stats *out);

#endif
