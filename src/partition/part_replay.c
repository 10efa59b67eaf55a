/*
 * part_replay.c - bringing an index to the end of the log: at start, in a rebuild, in a salvage.
 *
 * Two passes: the first looks for skips (an operator's order stands behind the op it concerns), the second
 * applies, in commits of bounded size, each with its mark.
 *
 * Holes. Behind damage an op may find its parents missing (the record that made the mailbox was in the hole),
 * so apply functions are told (part_tx_is_salvage) and make them from hints. For how long: a filler stands in
 * a tail that recovery has rewritten, and ops behind that tail were applied by a server that had done the
 * same, so the salvage ends with the tail's "recovered" record. Damage found now, at rest, was not known to
 * anybody: salvage until the end. The "hole" row carries the state over a crash in between.
 */
#include "part_priv.h"

#define REPLAY_RECORDS_MAX 20000

struct run {
    const struct part__replay *r;
    struct part_tx tx;
    struct map skips; /* position + 1 */
    struct part__streams streams;
    struct journal_mark mark;
    uint8_t hole, hole_written;
    bool hole_seen;
    unsigned records; /* in the transaction */
    struct ms_errinfo *why;
};

static enum ms_err begin(struct run *run)
{
    if (run->tx.txn)
        return MS_OK;
    struct db_txn *txn;
    MS_TRY(db_write_begin(run->r->db, &txn, run->why));
    part__tx_begin(&run->tx, txn);
    run->records = 0;
    return MS_OK;
}

static enum ms_err commit(struct run *run)
{
    if (!run->tx.txn)
        return MS_OK;
    enum ms_err err = part__meta_put_applied(run->tx.txn, &run->mark);
    if (!err && run->hole != run->hole_written)
        err = part__meta_put_hole(run->tx.txn, run->hole);
    if (err) {
        db_write_abort(&run->tx.txn);
        return ms_fail(run->why, err, "index: %s", ms_err_text(err));
    }
    MS_TRY(db_write_commit(&run->tx.txn, run->why));
    run->hole_written = run->hole;
    atomic_store_explicit(&run->r->p->applied, run->mark.position, memory_order_relaxed);
    return MS_OK;
}

/* An op that crashed the process twice, or that cannot be applied to a good index, keeps the partition
 * closed. */
static enum ms_err stop_at(struct run *run, uint64_t position)
{
    enum ms_err err = commit(run);
    if (err)
        return err;
    return ms_fail(
        run->why, MS_EOFFLINE,
        "the op at position %llu (0x%llx) stopped the server twice: skip it with `store skip-op` or use "
        "another version",
        (unsigned long long)position, (unsigned long long)position);
}

static enum ms_err apply(struct run *run, const struct journal_record *rec)
{
    uint64_t fatal;
    if (map_find_u64(&run->skips, rec->position + 1)) {
        part__report_line(run->r->report, "record %016llx: skipped, by an operator's order",
                          (unsigned long long)rec->position);
        return MS_OK;
    }
    if (part__crash_is_fatal(&run->r->p->crash, &fatal) && fatal == rec->position)
        return stop_at(run, fatal);
    run->tx.salvage = run->r->salvage || run->hole != PART_HOLE_NONE;
    if (run->r->last_result)
        str_reset(&run->tx.results);
    return part__tx_apply(&run->tx, rec, run->why);
}

static enum ms_err visit(void *owner, const struct journal_record *rec)
{
    struct run *run = owner;
    enum ms_err err = begin(run);
    if (!err && rec->kind == JOURNAL_REC_FILLER) {
        run->hole = MS_MAX(run->hole, PART_HOLE_TAIL);
        run->hole_seen = true;
        part__report_line(run->r->report, "record %016llx: stands for a damaged one",
                          (unsigned long long)rec->position);
    } else if (!err && rec->kind == JOURNAL_REC_RECOVERED && run->hole == PART_HOLE_TAIL) {
        run->hole = PART_HOLE_NONE;
    } else if (!err && rec->kind == JOURNAL_REC_PART) {
        part__streams_part(&run->streams, rec);
    } else if (!err) {
        err = apply(run, rec);
    }
    if (err)
        return err;
    run->mark = (struct journal_mark){.position = rec->end, .epoch = rec->epoch, .crc = rec->crc};
    if (run->r->report)
        run->r->report->replayed++;
    if (++run->records >= REPLAY_RECORDS_MAX || db_write_pages(run->tx.txn) >= PART_COMMIT_PAGES)
        return commit(run);
    return MS_OK;
}

static void on_damage(void *owner, uint64_t from, uint64_t to, const char *what)
{
    struct run *run = owner;
    run->hole = PART_HOLE_DAMAGE;
    run->hole_seen = true;
    if (run->r->report)
        run->r->report->damaged++;
    part__report_line(run->r->report, "log %016llx-%016llx: %s", (unsigned long long)from,
                      (unsigned long long)to, what);
    OBS_EVENT(OBS_PART_DAMAGE, 0, OBS_C("partition", run->r->p->conf.name), OBS_X("from", from),
              OBS_X("to", to), OBS_C("what", what));
}

static enum ms_err collect_skip(void *owner, const struct journal_record *rec)
{
    struct run *run = owner;
    if (rec->kind == JOURNAL_REC_SKIP && rec->payload.len >= 8)
        map_put_u64(&run->skips, ms_get_le64(rec->payload.ptr) + 1, run);
    return MS_OK;
}

static void ignore_damage(void *owner, uint64_t from, uint64_t to, const char *what)
{
}

/* Bodies without an op, and the end of the hole, in one last transaction. */
static enum ms_err finish(struct run *run)
{
    MS_TRY(begin(run));
    if (run->hole_seen || run->r->salvage) {
        enum ms_err err = part__streams_orphans(&run->streams, &run->tx, run->why);
        if (err) {
            db_write_abort(&run->tx.txn);
            return err;
        }
    }
    run->hole = PART_HOLE_NONE;
    MS_TRY(commit(run));
    return db_sync_now(run->r->db, run->why);
}

enum ms_err part__replay_run(const struct part__replay *r, const struct journal_mark *from, uint8_t hole,
                             struct ms_errinfo *why)
{
    struct run run = {
        .r = r, .mark = *from, .hole = hole, .hole_written = hole, .hole_seen = hole != 0, .why = why};
    part__tx_init(&run.tx, r->p);
    map_init(&run.skips);
    part__streams_init(&run.streams);
    run.tx.report = r->report;
    run.tx.named = &run.streams.named;
    db_writer_claim(r->db);
    enum ms_err err =
        journal_replay(r->p->journal, from->position, false, collect_skip, ignore_damage, &run, why);
    if (!err)
        err = journal_replay(r->p->journal, from->position, true, visit, on_damage, &run, why);
    if (!err && r->last_result)
        str_add_slice(r->last_result, str_slice(&run.tx.results));
    if (!err)
        err = finish(&run);
    if (run.tx.txn)
        db_write_abort(&run.tx.txn);
    part__streams_fini(&run.streams);
    map_fini(&run.skips);
    part__tx_fini(&run.tx);
    return err;
}
