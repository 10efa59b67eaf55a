/*
 * part_recover.c - from what is on disk to an index that is where the log ends (rules 4.1 - 4.4).
 *
 *   1. the log: journal_recover, with the greatest position that index and checkpoints know to have been
 * durable
 *   2. the index fits when it is of this partition and timeline and the log has exactly the record it names:
 * replay the rest
 *   3. else rebuild beside it (index.new): newest good checkpoint that fits, else everything from position 0
 *   4. and when the log does not begin at 0: salvage
 *
 * A damaged index is never a reason to stop: it is thrown away. What does stop: an op that crashed the server
 * twice (MS_EOFFLINE), a record of a kind or version this program does not know (MS_EVERSION), no space
 * (MS_ENOSPC).
 */
#include "part_priv.h"

#include "ms/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static void unlink_index(const struct partition *p, const char *name)
{
    char path[PART_PATH_MAX], lock[PART_PATH_MAX + 8];
    part__path(p, name, path);
    snprintf(lock, sizeof(lock), "%s-lock", path);
    unlink(path);
    unlink(lock);
}

/* -- the log -------------------------------------------------------------------------------------- */

/* Of this partition and timeline? Then what it knows to be durable was. */
static bool is_ours(const struct partition *p, const struct part__meta *meta)
{
    struct journal_info info;
    journal_info(p->journal, &info);
    return !meta->fresh && memcmp(meta->id, info.partition_id, 16) == 0 && meta->timeline == info.timeline;
}

/* A missing or unusable index leaves p->db NULL. */
static void open_index(struct partition *p, struct part__meta *meta, struct part_report *report)
{
    char path[PART_PATH_MAX];
    struct ms_errinfo why;
    part__path(p, "index.mdb", path);
    *meta = (struct part__meta){.fresh = true};
    if (access(path, F_OK))
        return;
    enum ms_err err = part__index_open(p, path, false, false, &p->db, &why);
    if (!err)
        err = part__meta_read(p->db, meta, &why);
    if (!err && !meta->fresh && !is_ours(p, meta))
        err = ms_fail(&why, MS_EDAMAGED, "index: of another partition or timeline");
    if (!err)
        return;
    part__report_line(report, "%s", why.text);
    db_close(&p->db);
    *meta = (struct part__meta){.fresh = true};
}

static uint64_t checkpoints_durable(const struct partition *p)
{
    struct part__checkpoint list[PART_CHECKPOINTS_MAX];
    struct part__meta meta;
    size_t n = part__checkpoint_list(p, list, PART_CHECKPOINTS_MAX);
    for (size_t i = 0; i < n; i++)
        if (part__checkpoint_meta(p, &list[i], &meta, NULL) == MS_OK && is_ours(p, &meta))
            return list[i].position;
    return 0;
}

struct damage {
    struct partition *p;
    struct part_report *report;
};

static void on_log_damage(void *owner, uint64_t from, uint64_t to, const char *what)
{
    const struct damage *d = owner;
    if (d->report)
        d->report->damaged++;
    part__report_line(d->report, "log %016llx-%016llx: %s", (unsigned long long)from, (unsigned long long)to,
                      what);
    OBS_EVENT(OBS_PART_DAMAGE, 0, OBS_C("partition", d->p->conf.name), OBS_X("begin", from), OBS_X("end", to),
              OBS_C("what", what));
}

enum ms_err part__recover_log(struct partition *p, struct part_report *report, struct ms_errinfo *why)
{
    if (part__state(p) != PART_ST_OPEN)
        return MS_OK;
    struct part__meta meta;
    part__crash_count(&p->crash);
    open_index(p, &meta, report);
    uint64_t durable = MS_MAX(meta.fresh ? 0 : meta.applied.position, checkpoints_durable(p));
    struct damage damage = {p, report};
    MS_TRY(journal_recover(p->journal, durable, on_log_damage, &damage, why));
    struct journal_info info;
    journal_info(p->journal, &info);
    memcpy(p->id, info.partition_id, 16);
    p->epoch = info.epoch;
    part__enter(p, PART_ST_LOG_READY);
    return MS_OK;
}

/* -- rebuild -------------------------------------------------------------------------------------- */

static enum ms_err replay(struct partition *p, struct db *db, const struct part__meta *meta,
                          struct part_report *report, struct ms_errinfo *why)
{
    const struct part__replay r = {.p = p, .db = db, .report = report};
    return part__replay_run(&r, meta, why);
}

static enum ms_err install(struct partition *p, struct ms_errinfo *why)
{
    char from[PART_PATH_MAX], to[PART_PATH_MAX];
    part__path(p, "index.new", from);
    part__path(p, "index.mdb", to);
    unlink_index(p, "index.mdb");
    if (rename(from, to))
        return ms_fail_errno(why, errno, "%s", to);
    MS_TRY(part__sync_dir(p->conf.dir, why));
    unlink_index(p, "index.new"); /* its lock file */
    return part__index_open(p, to, false, false, &p->db, why);
}

/* index.new is the start of a rebuild: a checkpoint's copy, or nothing. */
static enum ms_err rebuild_from(struct partition *p, struct part_report *report, struct ms_errinfo *why)
{
    char path[PART_PATH_MAX];
    struct part__meta meta;
    struct db *db;
    struct db_txn *txn;
    part__path(p, "index.new", path);
    MS_TRY(part__index_open(p, path, false, false, &db, why));
    enum ms_err err = part__meta_read(db, &meta, why);
    if (!err && meta.fresh) {
        db_writer_claim(db);
        err = db_write_begin(db, &txn, why);
        if (!err && (err = part__meta_put_first(txn, p)))
            db_write_abort(&txn);
        else if (!err)
            err = db_write_commit(&txn, why);
    }
    if (!err)
        err = replay(p, db, &meta, report, why);
    db_close(&db);
    return err ? err : install(p, why);
}

static bool stops(enum ms_err err)
{
    return err == MS_EOFFLINE || err == MS_EVERSION || err == MS_ENOSPC;
}

static enum ms_err rebuild_from_checkpoints(struct partition *p, struct part_report *report,
                                            struct ms_errinfo *why)
{
    struct part__checkpoint list[PART_CHECKPOINTS_MAX];
    char path[PART_PATH_MAX];
    part__path(p, "index.new", path);
    size_t n = part__checkpoint_list(p, list, PART_CHECKPOINTS_MAX);
    bool op_failed = false;
    for (size_t i = 0; i < n; i++) {
        struct part__meta meta;
        struct ms_errinfo reason = {0};
        enum ms_err err = part__checkpoint_meta(p, &list[i], &meta, &reason);
        if (!err && !(is_ours(p, &meta) && journal_has_mark(p->journal, &meta.applied)))
            err = ms_fail(&reason, MS_EDAMAGED, "checkpoint %s: the log has not the record it ends with",
                          list[i].name);
        unlink_index(p, "index.new");
        if (!err)
            err = part__copy_checkpoint(p, &list[i], path, &reason);
        if (!err) {
            part__report_line(report, "index: rebuilding from checkpoint %s", list[i].name);
            err = rebuild_from(p, report, &reason);
            op_failed |= err == MS_EDAMAGED;
        }
        if (!err)
            return MS_OK;
        if (stops(err))
            return ms_fail(why, err, "%s", reason.text);
        part__report_line(report, "%s", reason.text);
        ms_fail(why, err, "%s", reason.text);
    }
    return op_failed ? MS_EDAMAGED
                     : MS_ENOTFOUND; /* a good checkpoint and a bad op: salvage would only lose more */
}

/* The op that a good index cannot take: as if it had crashed twice, so that skip-op finds it. */
static enum ms_err blame(struct partition *p, struct ms_errinfo *why)
{
    uint64_t position = p->failed_at;
    struct ms_errinfo reason = *why;
    part__crash_blame(&p->crash, position);
    return ms_fail(why, MS_EOFFLINE, "an op cannot be applied (%s): skip it with `store skip-op`",
                   reason.text);
}

static enum ms_err rebuild(struct partition *p, struct part_report *report, struct ms_errinfo *why)
{
    db_close(&p->db);
    if (p->epoch > 1) /* else it is new */
        OBS_EVENT(OBS_PART_REBUILD, 0, OBS_C("partition", p->conf.name));
    enum ms_err err = rebuild_from_checkpoints(p, report, why);
    if (err != MS_ENOTFOUND)
        return err;
    struct journal_info info;
    journal_info(p->journal, &info);
    unlink_index(p, "index.new");
    if (!info.complete) {
        report->salvaged = true;
        part__report_line(
            report,
            "SALVAGE: no checkpoint fits and the log begins at %016llx: what stood before is made "
            "from hints as far as they go",
            (unsigned long long)info.first);
        OBS_EVENT(OBS_PART_SALVAGE, 0, OBS_C("partition", p->conf.name), OBS_X("first", info.first));
    }
    return rebuild_from(p, report, why);
}

/* -- all of it ------------------------------------------------------------------------------------ */

static enum ms_err bring_up(struct partition *p, enum part_recover_mode mode, struct part_report *report,
                            struct ms_errinfo *why)
{
    struct part__meta meta = {.fresh = true};
    bool fits = mode == PART_RECOVER_NORMAL && p->db && !part__crash_is_rebuild(&p->crash) &&
                part__meta_read(p->db, &meta, why) == MS_OK && !meta.fresh;
    if (fits && !journal_has_mark(p->journal, &meta.applied)) {
        part__report_line(report, "index: the log has not the record it ends with (%016llx)",
                          (unsigned long long)meta.applied.position);
        fits = false;
    }
    if (fits) {
        enum ms_err err = replay(p, p->db, &meta, report, why);
        if (err != MS_EDAMAGED)
            return err;
        part__report_line(report, "%s", why->text);
    }
    return rebuild(p, report, why);
}

enum ms_err partition_recover(struct partition *p, enum part_recover_mode mode, struct part_report *report,
                              struct ms_errinfo *why_out)
{
    struct ms_errinfo local = {0}, *why = why_out ? why_out : &local;
    uint64_t started = clock_mono_ms();
    MS_ASSERT(part__state(p) == PART_ST_OPEN || part__state(p) == PART_ST_LOG_READY);
    MS_TRY(part__recover_log(p, report, why));
    enum ms_err err = bring_up(p, mode, report, why);
    if (err == MS_ENOSPC) { /* rule 1.6: the ballast is for this */
        part__ballast_release(p);
        err = bring_up(p, mode, report, why);
    }
    if (err == MS_EDAMAGED)
        err = blame(p, why);
    if (err)
        return err;
    part__crash_set_rebuild(&p->crash, false);
    MS_TRY(part__checkpoint_prune(p, why));
    part__enter(p, PART_ST_RECOVERED);
    OBS_EVENT(OBS_PART_RECOVERED, 0, OBS_C("partition", p->conf.name), OBS_U("replayed", report->replayed),
              OBS_U("damaged", report->damaged), OBS_U("ms", clock_mono_ms() - started));
    return MS_OK;
}

enum ms_err partition_skip_op(struct partition *p, uint64_t position, struct ms_errinfo *why_out)
{
    MS_ASSERT(part__state(p) < PART_ST_SERVING);
    MS_TRY(part__recover_log(p, NULL, why_out));
    if (position == 0 && !part__crash_is_fatal(&p->crash, &position))
        return ms_fail(why_out, MS_ENOTFOUND, "no op has stopped this partition");
    uint8_t payload[8];
    ms_put_le64(payload, position);
    MS_TRY(journal_append_sync(p->journal, JOURNAL_REC_SKIP, 1, slice_make(payload, 8), NULL, why_out));
    part__crash_clear(&p->crash);
    OBS_EVENT(OBS_PART_SKIPPED, 0, OBS_C("partition", p->conf.name), OBS_X("position", position));
    return MS_OK;
}
