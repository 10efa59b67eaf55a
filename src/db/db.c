/*
 * db.c - the environment: open, close, translation of results.
 *
 * The file is opened with MDB_NOSUBDIR | MDB_NOTLS. NOTLS ties a snapshot to its transaction object, so several
 * partitions may be read on one thread. The named databases are opened once, before any other transaction.
 *
 * Read-ahead: a file that is small beside the memory is asked for at once and mapped with the kernel's
 * read-ahead, for a fresh start would otherwise wait for its pages one by one. A large one is not
 * (MDB_NORDAHEAD): what is read around a page would drive out pages that are in use.
 *
 * When LMDB fails to write a meta page it declares the environment dead (MDB_PANIC) for good. The writer then
 * closes and opens it again: it shuts the gate for new snapshots, waits for those that are open (they last
 * one callback) and goes on.
 */
#include "db_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct db__fault db__fault;

bool db__fault_hit(atomic_int *left)
{
    if (MS_LIKELY(atomic_load_explicit(left, memory_order_relaxed) == 0))
        return false;
    return atomic_fetch_sub(left, 1) > 0;
}

enum ms_err db__err(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return MS_OK;
    case MDB_NOTFOUND:
        return MS_ENOTFOUND;
    case MDB_KEYEXIST:
        return MS_EEXIST;
    case MDB_MAP_FULL:
        return MS_ENOSPC;
    case MDB_TXN_FULL:
        return MS_ELIMIT;
    case MDB_READERS_FULL:
        return MS_EBUSY;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
        return MS_EDAMAGED;
    case MDB_VERSION_MISMATCH:
        return MS_EVERSION;
    case MDB_BAD_VALSIZE:
        return MS_EINVAL;
    default: /* MDB_PANIC and the rest of LMDB's own (negative), or an errno */
        return rc > 0 ? ms_err_from_errno(rc) : MS_EIO;
    }
}

enum ms_err db__fail(struct ms_errinfo *why, int rc, const struct db *db, const char *what)
{
    return ms_fail(why, db__err(rc), "%s: %s: %s", db->path, what, mdb_strerror(rc));
}

void db__assert_writer(const struct db *db)
{
    MS_ASSERT(db->writer_claimed && pthread_equal(db->writer, pthread_self()));
}

/* Handles become valid for everybody when the transaction that opened them ends with a commit. */
static int open_names(struct db *db, bool create)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(db->env, NULL, create ? 0 : MDB_RDONLY, &txn);
    if (rc)
        return rc;
    for (unsigned i = 0; i < db->name_count && !rc; i++)
        rc = mdb_dbi_open(txn, db->names[i], create ? MDB_CREATE : 0, &db->dbi[i]);
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

/* Whether the file is to be in memory from the beginning. */
static bool is_small(const struct db *db)
{
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    struct stat st;
    return stat(db->path, &st) == 0 &&
           (uint64_t)st.st_size <= MS_MIN(DB_READ_AHEAD_MAX, memory / DB_READ_AHEAD_SHARE);
}

static void read_ahead(struct db *db)
{
    int fd;
    if (mdb_env_get_fd(db->env, &fd) == 0)
        (void)posix_fadvise(fd, 0, 0,
                            POSIX_FADV_WILLNEED); /* advice: without it pages come when they are needed */
}

enum ms_err db__env_open(struct db *db, struct ms_errinfo *why)
{
    int rc = mdb_env_create(&db->env);
    if (rc)
        return db__fail(why, rc, db, "mdb_env_create");
    bool small = is_small(db);
    unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | (small ? 0 : MDB_NORDAHEAD);
    if (db->sync == DB_SYNC_NO_META)
        flags |= MDB_NOMETASYNC;
    if (db->read_only)
        flags |= MDB_RDONLY;
    if (db->no_lock)
        flags |= MDB_NOLOCK;
    const char *what = "settings";
    if (!(rc = mdb_env_set_maxdbs(db->env, DB_NAMES_MAX)) &&
        !(rc = mdb_env_set_maxreaders(db->env, DB_READERS_MAX)) &&
        !(rc = mdb_env_set_mapsize(db->env, (size_t)db->map_bytes))) {
        what = "open";
        rc = mdb_env_open(db->env, db->path, flags, 0600);
    }
    if (!rc) {
        what = "named databases";
        rc = open_names(db, false);
        if (rc == MDB_NOTFOUND && !db->read_only)
            rc = open_names(db, true);
        else if (rc == MDB_NOTFOUND)
            rc = MDB_INVALID; /* not one of ours */
    }
    if (rc) {
        enum ms_err err = db__fail(why, rc, db, what);
        mdb_env_close(db->env);
        db->env = NULL;
        return err;
    }
    if (small)
        read_ahead(db);
    MDB_stat st;
    rc = mdb_env_stat(db->env, &st);
    MS_ASSERT(rc == 0 && mdb_env_get_maxkeysize(db->env) >= DB_KEY_MAX);
    db->page_bytes = st.ms_psize;
    int dead;
    (void)mdb_reader_check(db->env, &dead); /* slots of processes that died; nothing to do when it fails */
    return MS_OK;
}

enum ms_err db_open(const struct db_conf *conf, struct db **out, struct ms_errinfo *why_out)
{
    MS_ASSERT(conf->name_count <= DB_NAMES_MAX && (!conf->no_lock || conf->read_only));
    struct stat st;
    if (conf->read_only && stat(conf->path, &st))
        return ms_fail_errno(why_out, errno, "%s", conf->path);
    struct db *db = ms_new(struct db);
    db->path = ms_strdup(conf->path);
    db->map_bytes = conf->map_bytes ? conf->map_bytes : DB_MAP_BYTES;
    db->sync = conf->sync;
    db->read_only = conf->read_only;
    db->no_lock = conf->no_lock;
    db->name_count = conf->name_count;
    for (unsigned i = 0; i < conf->name_count; i++)
        db->names[i] = ms_strdup(conf->names[i]);
    enum ms_err err = db__env_open(db, why_out);
    if (err) {
        db_close(&db);
        return err;
    }
    *out = db;
    return MS_OK;
}

/* Writer thread, no write transaction open. */
enum ms_err db__reopen(struct db *db, struct ms_errinfo *why)
{
    atomic_store(&db->reopening, true);
    while (atomic_load(&db->snapshots))
        sched_yield();
    if (db->env)
        mdb_env_close(db->env);
    db->env = NULL;
    enum ms_err err = db__env_open(db, why);
    if (!err) /* else the gate stays shut: there is nothing to read from; the next write tries again */
        atomic_store(&db->reopening, false);
    return err;
}

void db_close(struct db **db)
{
    struct db *d = *db;
    if (!d)
        return;
    MS_ASSERT(atomic_load(&d->snapshots) == 0);
    if (d->env)
        mdb_env_close(d->env);
    for (unsigned i = 0; i < d->name_count; i++)
        ms_free(d->names[i]);
    ms_free(d->path);
    ms_free(d);
    *db = NULL;
}

void db_writer_claim(struct db *db)
{
    db->writer = pthread_self();
    db->writer_claimed = true;
}
