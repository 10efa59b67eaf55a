/*
 * journal.c - start, stop, close, and what other threads may ask.
 *
 *   journal_open      journal_recover     journal_start       journal_stop
 *   CLOSED ---------> RECOVERING -------> RECOVERING -------> SERVING -------> CLOSED
 *                          |                                    |
 *                          +----- a write or flush failed ------+--> FAILED (until restart)
 */
#include "journal_priv.h"

#include <unistd.h>

enum ms_err journal_start(struct journal *j, struct bus *bus, struct bus_ep *ep, journal_batch_fn *on_batch,
                          void *owner, struct ms_errinfo *why_out)
{
    (void)bus; /* all traffic goes through the endpoint */
    if (atomic_load(&j->state) != JOURNAL_RECOVERING || j->current == NULL || j->lane != NULL)
        return ms_fail(why_out, MS_EOFFLINE, "%s: the journal was not recovered", j->dir);
    MS_TRY(journal__keeper_start(j, why_out));
    atomic_store(&j->state, JOURNAL_SERVING);
    return journal__lane_start(j, ep, on_batch, owner, why_out);
}

void journal_stop(struct journal *j)
{
    int serving = JOURNAL_SERVING;
    journal__lane_stop(j);
    journal__keeper_stop(j);
    atomic_compare_exchange_strong(&j->state, &serving, JOURNAL_CLOSED);
}

void journal_close(struct journal **j_ptr)
{
    struct journal *j = *j_ptr;
    if (j == NULL)
        return;
    journal_stop(j); /* the applier may look at *j_ptr until here */
    *j_ptr = NULL;
    journal__lane_fini(j);
    if (j->write_fd >= 0)
        close(j->write_fd);
    if (j->next.fd >= 0)
        close(j->next.fd); /* stays: a failed write may have reached it */
    journal__pool_fini(j);
    journal__segs_fini(j);
    pthread_mutex_destroy(&j->seg_lock);
    if (j->dirfd >= 0)
        close(j->dirfd);
    ms_free(j->files);
    ms_free(j->streams);
    ms_free(j->out);
    ms_free(j->dir);
    ms_free(j);
}

void journal_info(const struct journal *j_const, struct journal_info *out)
{
    struct journal *j = (struct journal *)(uintptr_t)j_const; /* the lock is not part of the value */
    pthread_mutex_lock(&j->seg_lock);
    *out = (struct journal_info){
        .timeline = j->timeline,
        .epoch = j->epoch,
        .first = j->seg_count > 0 ? j->segs[0]->head.start : 0,
        .end = atomic_load(&j->end),
        .damaged = j->damaged,
        .torn_bytes = j->torn_bytes,
        .complete = j->complete,
    };
    pthread_mutex_unlock(&j->seg_lock);
    memcpy(out->partition_id, j->partition_id, sizeof(out->partition_id));
}

enum journal_state journal_state(const struct journal *j)
{
    return (enum journal_state)atomic_load(&j->state);
}

uint64_t journal_end_pos(const struct journal *j)
{
    return atomic_load(&j->end);
}

uint64_t journal_stream_floor(const struct journal *j)
{
    return atomic_load(&j->streams->floor);
}

static uint64_t read_count(const _Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

void journal_stats(const struct journal *j, struct journal_stats *out)
{
    *out = (struct journal_stats){
        .batches = read_count(&j->counts.batches),
        .records = read_count(&j->counts.records),
        .bytes = read_count(&j->counts.bytes),
        .flush_ns = read_count(&j->counts.flush_ns),
        .write_ns = read_count(&j->counts.write_ns),
        .extended = read_count(&j->counts.extended),
        .prepared_ready = atomic_load(&j->pool.ready_count),
        .lag_waits = read_count(&j->counts.lag_waits),
        .refused = read_count(&j->counts.refused),
    };
}
