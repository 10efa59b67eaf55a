/*
 * part_replay.c - bringing an index to the end of the log: at start, in a rebuild, in a salvage.
 *
 * Two passes: the first looks for what stands behind the records it concerns (skips by an operator's order,
 * hole ops), the second applies, in commits of bounded size, each with its mark. What is done behind damage:
 * part_hole.c.
 */
#include "part_priv.h"

#define REPLAY_RECORDS_MAX 20000

struct run {
    const struct part__replay *r;
    struct part_tx tx;
    struct map skips; /* position + 1 */
    struct part__hole_notes notes;
    struct part__streams streams;
    struct journal_mark mark;
    struct part__holes holes;
    bool holes_changed; /* since the row was written */
    unsigned records;   /* in the transaction */
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
    if (!err && run->holes_changed)
        err = part__meta_put_holes(run->tx.txn, &run->holes);
    if (err) {
        db_write_abort(&run->tx.txn);
        return ms_fail(run->why, err, "index: %s", ms_err_text(err));
    }
    MS_TRY(db_write_commit(&run->tx.txn, run->why));
    run->holes_changed = false;
    atomic_store_explicit(&run->r->p->applied, run->mark.position, memory_order_relaxed);
    return MS_OK;
}

/* -- holes ---------------------------------------------------------------------------------------- */

static void on_damage(void *owner, uint64_t from, uint64_t to, const char *what)
{
    struct run *run = owner;
    part__holes_add(&run->holes, from, to, part__hole_notes_until(&run->notes, from, to));
    run->holes_changed = true;
    if (run->r->report)
        run->r->report->damaged++;
    part__report_line(run->r->report, "log %016llx-%016llx: %s", (unsigned long long)from,
                      (unsigned long long)to, what);
    OBS_EVENT(OBS_PART_DAMAGE, 0, OBS_C("partition", run->r->p->conf.name), OBS_X("begin", from),
              OBS_X("end", to), OBS_C("what", what));
}

static void on_filler(struct run *run, const struct journal_record *rec)
{
    if (run->holes.state == PART_HOLE_NONE) {
        run->holes.state = PART_HOLE_TAIL;
        run->holes_changed = true;
    }
    part__report_line(run->r->report, "record %016llx: stands for a damaged one",
                      (unsigned long long)rec->position);
}

static void streams_reset(struct run *run)
{
    part__streams_fini(&run->streams);
    part__streams_init(&run->streams);
}

/* Here the server that wrote what follows was through with the hole. */
static enum ms_err hole_end(struct run *run)
{
    run->holes = (struct part__holes){0};
    run->holes_changed = true;
    run->tx.salvage = true;
    enum ms_err err = part__streams_orphans(&run->streams, &run->tx, run->why);
    streams_reset(run);
    return err;
}

/* -- records -------------------------------------------------------------------------------------- */

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
    if (run->r->last_result)
        str_reset(&run->tx.results);
    run->tx.salvage = run->holes.state != PART_HOLE_NONE;
    run->tx.hole_noted = false;
    MS_TRY(part__tx_apply(&run->tx, rec, run->why));
    if (run->tx.hole_noted && run->holes.state == PART_HOLE_DAMAGE && rec->position >= run->holes.until)
        return hole_end(run);
    return MS_OK;
}

static enum ms_err visit_one(struct run *run, const struct journal_record *rec)
{
    switch (rec->kind) {
    case JOURNAL_REC_FILLER:
        if (rec->version != JOURNAL_FILLER_OLD_END)
            on_filler(run, rec);
        return MS_OK;
    case JOURNAL_REC_RECOVERED:
        if (run->holes.state == PART_HOLE_TAIL)
            return hole_end(run);
        if (run->holes.state == PART_HOLE_NONE)
            streams_reset(run); /* a stream does not outlive the start that wrote it */
        return MS_OK;
    case JOURNAL_REC_PART:
        part__streams_part(&run->streams, rec);
        return MS_OK;
    default:
        return apply(run, rec);
    }
}

static enum ms_err visit(void *owner, const struct journal_record *rec)
{
    struct run *run = owner;
    MS_TRY(begin(run));
    MS_TRY(visit_one(run, rec));
    run->mark = (struct journal_mark){.position = rec->end, .epoch = rec->epoch, .crc = rec->crc};
    if (run->r->report)
        run->r->report->replayed++;
    if (++run->records >= REPLAY_RECORDS_MAX || db_write_pages(run->tx.txn) >= PART_COMMIT_PAGES)
        return commit(run);
    return MS_OK;
}

static enum ms_err collect(void *owner, const struct journal_record *rec)
{
    struct run *run = owner;
    if (rec->kind == JOURNAL_REC_SKIP && rec->payload.len >= 8)
        map_put_u64(&run->skips, ms_get_le64(rec->payload.ptr) + 1, run);
    else if (rec->kind == JOURNAL_REC_USER)
        part__hole_notes_collect(&run->notes, rec);
    return MS_OK;
}

static void ignore_damage(void *owner, uint64_t from, uint64_t to, const char *what)
{
}

/* -- all of it ------------------------------------------------------------------------------------ */

static enum ms_err both_passes(struct run *run)
{
    struct journal *j = run->r->p->journal;
    MS_TRY(journal_replay(j, run->mark.position, false, collect, ignore_damage, run, run->why));
    MS_TRY(journal_replay(j, run->mark.position, true, visit, on_damage, run, run->why));
    if (run->holes.state == PART_HOLE_TAIL) { /* its end was applied by nobody: cannot be, a tail has one */
        MS_TRY(begin(run));
        MS_TRY(hole_end(run));
    } else if (run->holes.state == PART_HOLE_DAMAGE) {
        MS_TRY(commit(run));
        MS_TRY(part__hole_append(run->r->p, &run->holes, run->why));
        run->holes.until = 0; /* this op ends it */
        MS_TRY(journal_replay(j, run->mark.position, true, visit, ignore_damage, run, run->why));
    }
    MS_TRY(commit(run));
    return db_sync_now(run->r->db, run->why);
}

enum ms_err part__replay_run(const struct part__replay *r, const struct part__meta *from,
                             struct ms_errinfo *why)
{
    struct run run = {.r = r, .mark = from->applied, .holes = from->holes, .why = why};
    part__tx_init(&run.tx, r->p);
    map_init(&run.skips);
    part__streams_init(&run.streams);
    run.tx.report = r->report;
    run.tx.named = &run.streams.named;
    db_writer_claim(r->db);
    enum ms_err err = both_passes(&run);
    if (!err && r->last_result)
        str_add_slice(r->last_result, str_slice(&run.tx.results));
    if (run.tx.txn)
        db_write_abort(&run.tx.txn);
    part__streams_fini(&run.streams);
    map_fini(&run.skips);
    ms_free(run.notes.list);
    part__tx_fini(&run.tx);
    return err;
}
