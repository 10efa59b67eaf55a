/*
 * jobctl_sched_entry.c - the scheduler's entries: what the queue and the operator say of them.
 *
 * delayed -> ready -> assigned -> delayed ...; the operator takes a waiting one out and gives it back. What
 * is said of an assigned or taken entry meanwhile counts when that ends.
 */
#include "jobctl_sched.h"

struct sched_entry *jobctl__entry_find(struct jobctl_sched *s, const struct queue_id *id)
{
    return map_find(&s->entries, slice_make(id->b, sizeof id->b));
}

/* Takes a waiting entry out of its heap. */
static void entry_unplace(struct jobctl_sched *s, struct sched_entry *e)
{
    struct sched_channel *c = &s->channels[e->channel];
    if (e->state == ENTRY_DELAYED) {
        heap_remove(&c->delayed, &e->node);
    } else if (e->state == ENTRY_READY) {
        heap_remove(&c->ready, &e->node);
        c->recipients -= e->e.recipients;
    }
}

/* Puts an entry that is in no heap where its times say. */
void jobctl__entry_place(struct jobctl_sched *s, struct sched_entry *e, uint64_t now_us)
{
    struct sched_channel *c = &s->channels[e->channel];
    if (e->e.due_us > now_us && !e->first) {
        e->state = ENTRY_DELAYED;
        e->node.key = e->e.due_us;
        e->node.tie = e->e.arrival_us;
        heap_insert(&c->delayed, &e->node);
    } else {
        /* semantics 4.7: effective priority, then enqueue time; a retry keeps its own. */
        e->state = ENTRY_READY;
        uint64_t rank = e->first ? 0 : 1 + (uint64_t)e->e.class_;
        e->node.key = rank << 60 | (e->e.arrival_us & ~(UINT64_MAX << 60));
        e->node.tie = e->e.due_us;
        heap_insert(&c->ready, &e->node);
        c->recipients += e->e.recipients;
    }
}

void jobctl__entry_free(struct jobctl_sched *s, struct sched_entry *e)
{
    map_remove(&s->entries, slice_make(e->e.id.b, sizeof e->e.id.b));
    ms_free(e);
}

static struct sched_entry *entry_add(struct jobctl_sched *s, const struct queue_id *id)
{
    struct sched_entry *e = ms_new(struct sched_entry);
    e->node.index = HEAP_NOT_IN;
    e->e.id = *id;
    map_put(&s->entries, slice_make(id->b, sizeof id->b), e);
    return e;
}

static void entry_drop(struct jobctl_sched *s, struct sched_entry *e)
{
    if (e->state == ENTRY_ASSIGNED || e->state == ENTRY_TAKEN) {
        e->dropped = true;
        return;
    }
    entry_unplace(s, e);
    jobctl__entry_free(s, e);
}

enum ms_err jobctl_sched_put(struct jobctl_sched *s, uint32_t channel, const struct jobctl_entry *e,
                             uint64_t now_us)
{
    struct sched_entry *old = jobctl__entry_find(s, &e->id);
    MS_ASSERT(channel < s->channel_count);
    if (e->held) {
        jobctl_sched_gone(s, &e->id);
        return MS_OK;
    }
    if (old && old->state == ENTRY_ASSIGNED) {
        old->dropped = false; /* its job is at it; the rest is read again when the job reports */
        return MS_OK;
    }
    if (!old) {
        if (s->entries.count >= JOBCTL_ENTRIES_MAX) {
            s->overflow = true;
            return MS_ELIMIT;
        }
        old = entry_add(s, &e->id);
    } else if (old->state != ENTRY_TAKEN) {
        entry_unplace(s, old);
    }
    old->e = *e;
    old->channel = channel;
    old->dropped = false;
    if (old->state != ENTRY_TAKEN)
        jobctl__entry_place(s, old, now_us);
    return MS_OK;
}

void jobctl_sched_gone(struct jobctl_sched *s, const struct queue_id *id)
{
    struct sched_entry *e = jobctl__entry_find(s, id);
    if (e)
        entry_drop(s, e);
}

enum ms_err jobctl_sched_take(struct jobctl_sched *s, const struct queue_id *id)
{
    struct sched_entry *e = jobctl__entry_find(s, id);
    if (e && (e->state == ENTRY_ASSIGNED || e->state == ENTRY_TAKEN))
        return MS_EBUSY;
    if (e) {
        entry_unplace(s, e);
    } else {
        e = entry_add(s, id);
        e->dropped = true;
    }
    e->state = ENTRY_TAKEN;
    return MS_OK;
}

void jobctl_sched_give_back(struct jobctl_sched *s, const struct queue_id *id, uint64_t now_us)
{
    struct sched_entry *e = jobctl__entry_find(s, id);
    MS_ASSERT(e && e->state == ENTRY_TAKEN);
    if (e->dropped)
        jobctl__entry_free(s, e);
    else
        jobctl__entry_place(s, e, now_us);
}

enum ms_err jobctl_sched_run(struct jobctl_sched *s, const struct queue_id *id)
{
    struct sched_entry *e = jobctl__entry_find(s, id);
    if (!e)
        return MS_ENOTFOUND;
    if (e->state == ENTRY_ASSIGNED || e->state == ENTRY_TAKEN)
        return MS_EBUSY;
    entry_unplace(s, e);
    e->first = true;
    jobctl__entry_place(s, e, 0);
    return MS_OK;
}

bool jobctl_sched_is_assigned(const struct jobctl_sched *s, const struct queue_id *id)
{
    const struct sched_entry *e = map_find(&s->entries, slice_make(id->b, sizeof id->b));
    return e && e->state == ENTRY_ASSIGNED;
}
