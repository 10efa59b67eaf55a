/* db_stats.c - figures for the operator; reads the free list, so not for a hot path. */
#include "db_priv.h"

#include <stdlib.h>

struct oldest {
    uint64_t txnid;
};

/* LMDB tells about its readers as text only: "pid thread txnid", '-' for an idle slot, headings in the first
 * line. */
static int on_reader_line(const char *line, void *ctx)
{
    struct oldest *o = ctx;
    char *end;
    (void)strtoull(line, &end, 10);
    if (end == line)
        return 0;
    const char *p = end;
    (void)strtoull(p, &end, 16);
    if (end == p)
        return 0;
    p = end;
    unsigned long long id = strtoull(p, &end, 10);
    if (end != p && id < o->txnid)
        o->txnid = id;
    return 0;
}

static uint64_t free_pages(MDB_txn *txn)
{
    MDB_cursor *cur;
    MDB_val k, v;
    uint64_t sum = 0;
    if (mdb_cursor_open(txn, 0, &cur)) /* database 0 is the free list: transaction -> count, page numbers */
        return 0;
    while (mdb_cursor_get(cur, &k, &v, MDB_NEXT) == 0) {
        size_t n;
        memcpy(&n, v.mv_data, sizeof(n));
        sum += n;
    }
    mdb_cursor_close(cur);
    return sum;
}

void db_stats(struct db *db, struct db_stats *out)
{
    *out = (struct db_stats){.page_bytes = db->page_bytes, .map_bytes = db->map_bytes};
    struct db_txn *t;
    if (db_read_begin(db, &t))
        return;
    MDB_envinfo info;
    if (mdb_env_info(db->env, &info) == 0) {
        struct oldest oldest = {info.me_last_txnid};
        if (!db->no_lock)
            mdb_reader_list(db->env, on_reader_line, &oldest);
        out->oldest_reader_lag = info.me_last_txnid - oldest.txnid;
        out->pages_free = free_pages(t->txn);
        out->pages_used = info.me_last_pgno + 1 - MS_MIN(out->pages_free, info.me_last_pgno + 1);
    }
    for (unsigned i = 0; i < db->name_count; i++)
        out->entries += db_count(t, i);
    db_read_end(&t);
    out->readers = atomic_load(&db->snapshots);
}
