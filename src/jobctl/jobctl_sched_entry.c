/*
 * jobctl_sched_entry.c - the scheduler's entries: what the queue and the operator say of them.
 *
 * What is said of an assigned or taken entry counts when that ends. Every change of a ready entry changes its
 * host and its channel with it; jobctl__host_settle brings their numbers and heaps along.
 */
#include "jobctl_sched.h"

static void channel_busy(struct jobctl_sched *s, struct sched_channel *c)
{
    if (!list_is_linked(&c->busy))
        list_push_back(&s->busy, &c->busy);
}

/* -- deferral (semantics 5): a waiting entry is ready, but no job is started for it */
/* Rule 4. 0: none. */
static uint64_t deferred_until(const struct sched_entry *e)
{
    const struct jobctl_after *after = &e->host->channel->limits.after[e->class_];
    if (e->is_retry || e->is_first || after->us == 0) /* rule 8 */
        return 0;
    if (after->absolute)
        return MS_MAX(e->arrival_us, after->us);
    return after->us < UINT64_MAX - e->arrival_us ? e->arrival_us + after->us : UINT64_MAX;
}

uint64_t jobctl__entry_due(const struct sched_entry *e)
{
    if (e->is_first)
        return e->arrival_us;
    return MS_MAX(MS_MAX(e->arrival_us, e->due_us), deferred_until(e));
}

static void wait_begin(struct sched_entry *e, uint64_t now_us)
{
    struct sched_channel *c = e->host->channel;
    uint64_t until_us = deferred_until(e);
    if (until_us <= now_us)
        return;
    e->is_waiting = true;
    e->defer.key = until_us;
    e->defer.tie = e->arrival_us;
    heap_insert(&c->deferred, &e->defer);
    c->waiting++;
    c->recipients -= e->recipients;
    e->host->waiting++;
}

static void wait_end(struct sched_entry *e)
{
    struct sched_channel *c = e->host->channel;
    if (!e->is_waiting)
        return;
    e->is_waiting = false;
    heap_remove(&c->deferred, &e->defer);
    c->waiting--;
    c->recipients += e->recipients;
    e->host->waiting--;
}

/* Rule 5: the first deferral that ends asks for jobs for all that wait. */
static void deferrals_end(struct jobctl_sched *s, struct sched_channel *c)
{
    while (c->deferred.count > 0) {
        struct sched_entry *e =
            MS_CONTAINER_OF(c->deferred.nodes[c->deferred.count - 1], struct sched_entry, defer);
        wait_end(e);
        jobctl__host_settle(e->host);
    }
    s->look_for_open = true;
}

void jobctl__deferred_again(struct jobctl_sched *s, struct sched_channel *c, uint64_t now_us)
{
    size_t count = c->deferred.count;
    struct sched_entry **all = ms_alloc_array(MS_MAX(count, 1), sizeof *all);
    for (size_t i = 0; i < count; i++)
        all[i] = MS_CONTAINER_OF(c->deferred.nodes[i], struct sched_entry, defer);
    for (size_t i = 0; i < count; i++) {
        wait_end(all[i]);
        wait_begin(all[i], now_us);
        jobctl__host_settle(all[i]->host);
    }
    ms_free(all);
    s->look_for_open = true;
}

/* -- places */
void jobctl__channel_time(struct jobctl_sched *s, struct sched_channel *c)
{
    const struct heap_node *due = heap_min(&c->delayed), *defer = heap_min(&c->deferred);
    uint64_t next_us = MS_MIN(due ? due->key : UINT64_MAX, defer ? defer->key : UINT64_MAX);
    if (next_us == UINT64_MAX && c->time.index != HEAP_NOT_IN) {
        heap_remove(&s->times, &c->time);
    } else if (next_us != UINT64_MAX && c->time.index != HEAP_NOT_IN) {
        if (c->time.key != next_us)
            heap_update(&s->times, &c->time, next_us, 0);
    } else if (next_us != UINT64_MAX) {
        c->time.key = next_us;
        heap_insert(&s->times, &c->time);
    }
}

static void place_delayed(struct sched_entry *e)
{
    e->state = ENTRY_DELAYED;
    e->place.heap = (struct heap_node){.key = e->due_us, .tie = e->arrival_us, .index = HEAP_NOT_IN};
    heap_insert(&e->host->channel->delayed, &e->place.heap);
}

static void place_ready(struct jobctl_sched *s, struct sched_entry *e, uint64_t now_us)
{
    struct sched_channel *c = e->host->channel;
    e->state = ENTRY_READY;
    jobctl__host_add(e->host, e);
    c->ready++;
    c->recipients += e->recipients;
    wait_begin(e, now_us);
    jobctl__host_settle(e->host);
    channel_busy(s, c);
    if (!e->is_waiting)
        s->look_for_open = true;
}

void jobctl__entry_place(struct jobctl_sched *s, struct sched_entry *e, uint64_t now_us)
{
    struct sched_channel *c = e->host->channel;
    if (e->due_us > now_us && !e->is_first)
        place_delayed(e);
    else
        place_ready(s, e, now_us);
    jobctl__rank_add(s, e);
    jobctl__channel_time(s, c);
}

static void unplace_ready(struct sched_entry *e)
{
    struct sched_channel *c = e->host->channel;
    wait_end(e);
    jobctl__host_remove(e->host, e);
    c->ready--;
    c->recipients -= e->recipients;
}

void jobctl__entry_unplace(struct jobctl_sched *s, struct sched_entry *e)
{
    struct sched_channel *c = e->host->channel;
    jobctl__rank_remove(s, e);
    if (e->state == ENTRY_DELAYED) {
        heap_remove(&c->delayed, &e->place.heap);
    } else {
        MS_ASSERT(e->state == ENTRY_READY);
        unplace_ready(e);
        jobctl__host_settle(e->host);
    }
    jobctl__channel_time(s, c);
}

static void assigned_count(struct sched_entry *e)
{
    struct sched_channel *c = e->host->channel;
    c->assigned++;
    c->recipients += e->recipients;
    e->host->assigned++;
    jobctl__host_settle(e->host);
}

void jobctl__entry_assign(struct jobctl_sched *s, struct sched_entry *e, uint32_t job)
{
    jobctl__rank_remove(s, e);
    unplace_ready(e);
    e->state = ENTRY_ASSIGNED;
    e->is_first = false;
    e->job = job;
    assigned_count(e);
    jobctl__channel_time(s, e->host->channel);
}

void jobctl__entry_unassign(struct jobctl_sched *s, struct sched_entry *e)
{
    struct sched_channel *c = e->host->channel;
    c->assigned--;
    c->recipients -= e->recipients;
    e->host->assigned--;
    jobctl__host_settle(e->host);
    channel_busy(s, c);
}

void jobctl__entry_free(struct jobctl_sched *s, struct sched_entry *e)
{
    if (e->host) {
        jobctl__age_remove(e->host->channel, e->arrival_us);
        jobctl__host_put(e->host);
    }
    jobctl__entry_delete(s, e);
}

static void channel_settle(struct jobctl_sched *s, struct sched_channel *c, uint64_t now_us)
{
    struct heap_node *node;
    while ((node = heap_min(&c->delayed)) && node->key <= now_us) {
        struct sched_entry *e = MS_CONTAINER_OF(node, struct sched_entry, place.heap);
        heap_remove(&c->delayed, node);
        place_ready(s, e, now_us);
        jobctl__rank_again(s, e);
    }
    node = heap_min(&c->deferred);
    if (node && node->key <= now_us)
        deferrals_end(s, c);
    jobctl__channel_time(s, c);
}

void jobctl__entries_settle(struct jobctl_sched *s, uint64_t now_us)
{
    struct heap_node *node;
    while ((node = heap_min(&s->times)) && node->key <= now_us)
        channel_settle(s, MS_CONTAINER_OF(node, struct sched_channel, time), now_us);
}

/* -- what the queue says */
static bool is_idle(const struct sched_entry *e)
{
    return e->state != ENTRY_ASSIGNED && e->state != ENTRY_TAKEN;
}

static void entry_drop(struct jobctl_sched *s, struct sched_entry *e)
{
    if (!is_idle(e)) {
        e->is_dropped = true;
        return;
    }
    jobctl__entry_unplace(s, e);
    jobctl__entry_free(s, e);
}

/* semantics 4.6: room for a better one at the expense of the worst that no job has. */
static bool make_room(struct jobctl_sched *s, const struct sched_channel *c, const struct jobctl_entry *new,
                      uint64_t now_us)
{
    bool waits = (new->due_us > now_us && !new->is_first) || c->is_stopped;
    uint64_t key = jobctl__rank_key(new->is_first, new->class_, waits, new->arrival_us);
    jobctl__entries_settle(s, now_us); /* what is due now does not wait */
    struct sched_entry *worst = jobctl__rank_worse_than(s, key, &new->id);
    if (!worst)
        return false;
    worst->host->channel->has_overflowed = true;
    s->has_put_out = true;
    s->put_out = worst->id;
    entry_drop(s, worst);
    return true;
}

static void entry_fill(struct sched_entry *e, struct sched_channel *c, const struct jobctl_entry *from)
{
    struct sched_host *old = e->host;
    if (old)
        jobctl__age_remove(old->channel, e->arrival_us);
    e->arrival_us = from->arrival_us;
    e->due_us = from->due_us;
    e->class_ = (uint8_t)from->class_;
    e->recipients = from->recipients;
    e->is_retry = from->is_retry;
    e->is_first |= from->is_first && e->state != ENTRY_ASSIGNED;
    e->is_dropped = false;
    e->host = jobctl__host_get(c, from->host);
    jobctl__age_add(c, e->arrival_us);
    if (old)
        jobctl__host_put(old);
}

/* Out of the numbers, to be filled anew; in again, in the state that it has. */
static void entry_leave(struct jobctl_sched *s, struct sched_entry *e)
{
    if (e->state == ENTRY_ASSIGNED)
        jobctl__entry_unassign(s, e);
    else if (e->state != ENTRY_TAKEN)
        jobctl__entry_unplace(s, e);
    else if (e->host)
        e->host->channel->taken--;
}

static void entry_return(struct jobctl_sched *s, struct sched_entry *e, uint64_t now_us)
{
    if (e->state == ENTRY_ASSIGNED)
        assigned_count(e);
    else if (e->state != ENTRY_TAKEN)
        jobctl__entry_place(s, e, now_us);
    else
        e->host->channel->taken++;
}

enum ms_err jobctl_sched_put(struct jobctl_sched *s, uint32_t channel, const struct jobctl_entry *from,
                             uint64_t now_us)
{
    struct sched_entry *e = jobctl__entry_find(s, &from->id);
    MS_ASSERT(channel < s->channel_count && from->class_ < QUEUE_CLASS_COUNT);
    struct sched_channel *c = &s->channels[channel];
    s->has_put_out = false;
    if (from->held) {
        jobctl_sched_gone(s, &from->id);
        return MS_OK;
    }
    jobctl__rank_step(s);
    if (!e && s->table.count >= s->max_entries) {
        s->has_overflowed = true;
        if (!make_room(s, c, from, now_us)) {
            c->has_overflowed = true;
            return MS_ELIMIT;
        }
    }
    if (e)
        entry_leave(s, e);
    else
        e = jobctl__entry_new(s, &from->id);
    entry_fill(e, c, from);
    e->round = s->round;
    entry_return(s, e, now_us);
    return MS_OK;
}

bool jobctl_sched_put_out(const struct jobctl_sched *s, struct queue_id *id_out)
{
    if (s->has_put_out)
        *id_out = s->put_out;
    return s->has_put_out;
}

void jobctl_sched_gone(struct jobctl_sched *s, const struct queue_id *id)
{
    struct sched_entry *e = jobctl__entry_find(s, id);
    if (e)
        entry_drop(s, e);
}

/* -- the operator */
enum ms_err jobctl_sched_take(struct jobctl_sched *s, const struct queue_id *id)
{
    struct sched_entry *e = jobctl__entry_find(s, id);
    if (e && !is_idle(e))
        return MS_EBUSY;
    if (e) {
        jobctl__entry_unplace(s, e);
        e->host->channel->taken++;
    } else {
        e = jobctl__entry_new(s, id);
        e->is_dropped = true;
    }
    e->state = ENTRY_TAKEN;
    return MS_OK;
}

void jobctl_sched_give_back(struct jobctl_sched *s, const struct queue_id *id, uint64_t now_us)
{
    struct sched_entry *e = jobctl__entry_find(s, id);
    MS_ASSERT(e && e->state == ENTRY_TAKEN);
    if (e->host)
        e->host->channel->taken--;
    if (e->is_dropped)
        jobctl__entry_free(s, e);
    else
        jobctl__entry_place(s, e, now_us);
}

enum ms_err jobctl_sched_run(struct jobctl_sched *s, const struct queue_id *id, uint64_t now_us)
{
    struct sched_entry *e = jobctl__entry_find(s, id);
    if (!e)
        return MS_ENOTFOUND;
    if (!is_idle(e))
        return MS_EBUSY;
    jobctl__entry_unplace(s, e);
    e->is_first = true;
    jobctl__entry_place(s, e, now_us);
    return MS_OK;
}

bool jobctl_sched_is_assigned(const struct jobctl_sched *s, const struct queue_id *id)
{
    const struct sched_entry *e = jobctl__entry_find(s, id);
    return e && e->state == ENTRY_ASSIGNED;
}
