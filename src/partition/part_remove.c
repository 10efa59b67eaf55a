/*
 * part_remove.c - which segments nothing needs any more (rules 3.2 and 5.2).
 *
 * The log loses whole segments from its beginning, up to the least of: what both newest checkpoints cover,
 * the oldest part of an unfinished stream, the first segment that holds a live byte. That is seen in a
 * snapshot; the transaction it shows may not be durable yet and a loop may still be about to open what it has
 * just looked up, so the index is flushed and every loop completes a turn before anything is unlinked.
 */
#include "part_priv.h"

#include <time.h>

#define SEGMENTS_MAX 4096
#define TURN_WAIT_MS 2000

static bool any_key_between(struct db_txn *txn, unsigned dbi, uint64_t from, uint64_t to, bool skip_moved,
                            enum ms_err *err)
{
    struct db_cur *cur;
    struct slice key, value;
    uint8_t first[8];
    bool found = false;
    part__blob_key(from, first);
    if ((*err = db_cur_open(txn, dbi, &cur)))
        return true;
    enum ms_err e = db_cur_seek(cur, slice_make(first, 8), &key, &value);
    for (; !e && !found && key.len == 8 && ms_get_be64(key.ptr) < to; e = db_cur_next(cur, &key, &value))
        found = !(skip_moved && value.len > 1 && value.ptr[1] & PART_BLOB_MOVED);
    if (e && e != MS_ENOTFOUND)
        *err = e;
    db_cur_close(&cur);
    return found;
}

/* The position before which everything is dead, at a segment's start. */
static enum ms_err dead_before(struct partition *p, struct db_txn *txn, uint64_t limit, uint64_t *out)
{
    struct journal_seg_info *segs = ms_alloc_array(SEGMENTS_MAX, sizeof(segs[0]));
    size_t n = MS_MIN(journal_segments(p->journal, segs, SEGMENTS_MAX), SEGMENTS_MAX);
    enum ms_err err = MS_OK;
    *out = 0;
    for (size_t i = 0; i < n && !segs[i].current && segs[i].end <= limit && !err; i++) {
        bool live = any_key_between(txn, PART_DB_BLOB, segs[i].start, segs[i].end, true, &err) ||
                    any_key_between(txn, PART_DB_BLOBEXT, segs[i].start, segs[i].end, false, &err);
        if (live)
            break;
        *out = segs[i].end;
    }
    ms_free(segs);
    return err;
}

static bool all_turned(const struct partition *p, const uint64_t *turns)
{
    for (unsigned i = 0; i < p->client_count; i++)
        if (loop_turns(p->clients[i]->loop) == turns[i])
            return false;
    return true;
}

/* MS_ETIMEOUT: a loop does not turn; then nothing is removed, and it is tried again another time. */
static enum ms_err wait_for_turns(struct partition *p)
{
    uint64_t turns[PART_LOOPS_MAX];
    for (unsigned i = 0; i < p->client_count; i++) {
        turns[i] = loop_turns(p->clients[i]->loop);
        loop_nudge(p->clients[i]->loop);
    }
    for (unsigned waited = 0; waited < TURN_WAIT_MS && !atomic_load(&p->keep.stopping); waited++) {
        if (all_turned(p, turns))
            return MS_OK;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return MS_ETIMEOUT;
}

enum ms_err part__segments_remove(struct partition *p, unsigned *removed_out, struct ms_errinfo *why)
{
    uint64_t older = atomic_load(&p->keep.older), before = 0;
    uint64_t limit = MS_MIN(older, journal_stream_floor(p->journal));
    struct journal_info info;
    struct db_txn *txn;
    *removed_out = 0;
    journal_info(p->journal, &info);
    if (older == 0 || limit <= info.first)
        return MS_OK;
    enum ms_err err = db_read_begin(p->db, &txn);
    if (err)
        return ms_fail(why, err, "index: no snapshot");
    err = dead_before(p, txn, limit, &before);
    db_read_end(&txn);
    if (err)
        return ms_fail(why, err, "index: %s", ms_err_text(err));
    if (before <= info.first)
        return MS_OK;
    MS_TRY(db_sync_now(p->db, why));
    if (wait_for_turns(p))
        return MS_OK;
    return journal_remove_before(p->journal, before, removed_out, why);
}
