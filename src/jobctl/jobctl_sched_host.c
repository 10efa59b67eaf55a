/*
 * jobctl_sched_host.c - the queue of one destination host: its ready entries in order, and its share of its channel.
 *
 * Most entries become ready in the order they arrived: they are appended to a list, one for each class. What
 * would go elsewhere than to the end (a retry keeps its arrival) goes into a heap. The first of both is the
 * host's best.
 */
#include "jobctl_sched.h"

#define ARRIVAL_MASK (~(UINT64_MAX << 60))

static unsigned rank_of(const struct sched_entry *e)
{
    return e->is_first ? 0 : 1 + (unsigned)e->class_;
}

uint64_t jobctl__key(bool is_first, unsigned class_, uint64_t arrival_us)
{
    return (uint64_t)(is_first ? 0 : 1 + class_) << 60 | (arrival_us & ARRIVAL_MASK);
}

uint64_t jobctl__entry_key(const struct sched_entry *e)
{
    return jobctl__key(e->is_first, e->class_, e->arrival_us);
}

bool jobctl__has_hosts(const struct jobctl_limits *limits)
{
    return limits->by_host && limits->max_client_threads > 1;
}

static uint64_t bytes_of(const struct sched_host *h)
{
    return sizeof *h + h->name_len + 1 + h->late.cap * sizeof *h->late.nodes;
}

struct sched_host *jobctl__host_get(struct sched_channel *c, struct slice name)
{
    if (!jobctl__has_hosts(&c->limits))
        name = slice_make(NULL, 0);
    struct sched_host *h = map_find(&c->hosts, name);
    if (!h) {
        h = ms_alloc(sizeof *h + name.len + 1);
        *h = (struct sched_host){.channel = c, .node = {.index = HEAP_NOT_IN}, .name_len = name.len};
        for (unsigned i = 0; i < SCHED_RANKS; i++)
            list_init(&h->ready[i]);
        heap_init(&h->late);
        if (name.len)
            memcpy(h->name, name.ptr, name.len);
        h->name[name.len] = '\0';
        map_put(&c->hosts, name, h);
        c->host_bytes += bytes_of(h);
    }
    h->entries++;
    return h;
}

void jobctl__host_put(struct sched_host *h)
{
    MS_ASSERT(h->entries > 0);
    if (--h->entries > 0)
        return;
    MS_ASSERT(h->ready_count == 0 && h->assigned == 0 && h->node.index == HEAP_NOT_IN);
    map_remove(&h->channel->hosts, slice_make(h->name, h->name_len));
    h->channel->host_bytes -= bytes_of(h);
    heap_fini(&h->late);
    ms_free(h);
}

void jobctl__host_add(struct sched_host *h, struct sched_entry *e)
{
    struct list *list = &h->ready[rank_of(e)];
    const struct sched_entry *last =
        list_is_empty(list) ? NULL : LIST_ENTRY(list->prev, struct sched_entry, place.list);
    e->in_list = !last || last->arrival_us <= e->arrival_us;
    if (e->in_list) {
        list_push_back(list, &e->place.list);
    } else {
        e->place.heap =
            (struct heap_node){.key = jobctl__entry_key(e), .tie = e->due_us, .index = HEAP_NOT_IN};
        h->channel->host_bytes -= bytes_of(h);
        heap_insert(&h->late, &e->place.heap);
        h->channel->host_bytes += bytes_of(h);
    }
    h->ready_count++;
}

void jobctl__host_remove(struct sched_host *h, struct sched_entry *e)
{
    if (e->in_list)
        list_remove(&e->place.list);
    else
        heap_remove(&h->late, &e->place.heap);
    h->ready_count--;
}

struct sched_entry *jobctl__host_best(const struct sched_host *h)
{
    const struct heap_node *late = heap_min(&h->late);
    struct sched_entry *other = late ? MS_CONTAINER_OF(late, struct sched_entry, place.heap) : NULL;
    for (unsigned i = 0; i < SCHED_RANKS; i++)
        if (!list_is_empty(&h->ready[i])) {
            struct sched_entry *first = LIST_ENTRY(h->ready[i].next, struct sched_entry, place.list);
            return other && late->key < jobctl__entry_key(first) ? other : first;
        }
    return other;
}

static uint64_t threads_for(const struct sched_host *h, uint64_t backlog)
{
    uint64_t depth = h->channel->limits.threaddepth;
    return (backlog + depth - 1) / depth;
}

/* Its share of its channel's numbers. */
static void numbers_settle(struct sched_host *h, bool is_full)
{
    struct sched_channel *c = h->channel;
    uint64_t asked = threads_for(h, h->ready_count + h->assigned - h->waiting);
    uint64_t ready = is_full ? h->ready_count : 0, waiting = is_full ? h->waiting : 0;
    c->threads_asked += asked - h->threads_asked;
    c->full_ready += ready - h->full_ready;
    c->full_waiting += waiting - h->full_waiting;
    h->threads_asked = asked;
    h->full_ready = ready;
    h->full_waiting = waiting;
}

void jobctl__host_settle(struct sched_host *h)
{
    struct sched_channel *c = h->channel;
    struct sched_entry *best = jobctl__host_best(h);
    /* What the operator wants now has a thread of its own. */
    bool is_open = h->assigned < threads_for(h, h->ready_count + h->assigned) || (best && best->is_first);
    numbers_settle(h, !is_open);
    if (h->node.index != HEAP_NOT_IN && (!best || is_open != h->is_open))
        heap_remove(h->is_open ? &c->open : &c->full, &h->node);
    if (!best)
        return;
    h->is_open = is_open;
    if (h->node.index != HEAP_NOT_IN) {
        heap_update(is_open ? &c->open : &c->full, &h->node, jobctl__entry_key(best),
                    jobctl__entry_due(best));
        return;
    }
    h->node.key = jobctl__entry_key(best);
    h->node.tie = jobctl__entry_due(best);
    heap_insert(is_open ? &c->open : &c->full, &h->node);
}
