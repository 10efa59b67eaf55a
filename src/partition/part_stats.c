/* part_stats.c - figures for the operator. */
#include "part_priv.h"

#define SEGMENTS_MAX 4096

static uint64_t blob_count(struct partition *p)
{
    struct part_snap snap;
    if (part_snap_begin(p, &snap))
        return 0;
    uint64_t n = db_count(snap.txn, PART_DB_BLOB);
    part_snap_end(&snap);
    return n;
}

static void segment_stats(struct partition *p, struct part_stats *out)
{
    struct journal_seg_info *segs = ms_alloc_array(SEGMENTS_MAX, sizeof(segs[0]));
    size_t n = journal_segments(p->journal, segs, SEGMENTS_MAX);
    out->segments = n;
    for (size_t i = 0; i < MS_MIN(n, SEGMENTS_MAX); i++)
        out->segment_bytes += segs[i].file_bytes;
    ms_free(segs);
}

void partition_stats(struct partition *p, struct part_stats *out)
{
    *out = (struct part_stats){0};
    journal_stats(p->journal, &out->journal);
    journal_info(p->journal, &out->info);
    if (p->db)
        db_stats(p->db, &out->index);
    out->applied_position = atomic_load_explicit(&p->applied, memory_order_relaxed);
    out->commits = atomic_load_explicit(&p->commits, memory_order_relaxed);
    out->ops = atomic_load_explicit(&p->op_total, memory_order_relaxed);
    out->commit_ns = atomic_load_explicit(&p->commit_ns, memory_order_relaxed);
    out->inflight_bytes = atomic_load_explicit(&p->inflight, memory_order_relaxed);
    uint64_t end = journal_end_pos(p->journal);
    out->lag_bytes = end > out->applied_position ? end - out->applied_position : 0;
    out->checkpoint_newest = atomic_load(&p->keep.newest);
    out->checkpoint_older = atomic_load(&p->keep.older);
    out->blobs = blob_count(p);
    segment_stats(p, out);
}
