/*
 * journal_stream.c - streams with parts in the log and no applied end yet.
 *
 * A stream pins its segments from its first part until its op was applied or it was given up (storage
 * rule 5.2). First positions ascend in order of arrival, so the oldest is the head of a list.
 *
 * Aborts are notes and come on another ring than parts: one may overtake the first part of its stream. Such
 * an id is kept as a tombstone, and a part whose stream is not known is refused instead of being written
 * without a pin. Threads: the lane's, but `floor`.
 */
#include "journal_priv.h"

#include "ms/obs.h"

static unsigned bucket_of(uint64_t id)
{
    return (unsigned)((id * 0x9E3779B97F4A7C15u) >> 51) % JOURNAL_STREAM_BUCKETS;
}

static struct journal_stream *find(const struct journal_streams *t, uint64_t id)
{
    struct journal_stream *st = t->buckets[bucket_of(id)];
    while (st != NULL && st->id != id)
        st = st->next_in_bucket;
    return st;
}

static void set_floor(struct journal_streams *t)
{
    uint64_t floor = UINT64_MAX;
    if (!list_is_empty(&t->order))
        floor = LIST_ENTRY(t->order.next, struct journal_stream, node)->first;
    atomic_store(&t->floor, floor);
}

static void drop(struct journal_streams *t, struct journal_stream *st)
{
    struct journal_stream **link = &t->buckets[bucket_of(st->id)];
    while (*link != st)
        link = &(*link)->next_in_bucket;
    *link = st->next_in_bucket;
    list_remove(&st->node);
    list_push_back(&t->free, &st->node);
    set_floor(t);
}

void journal__streams_init(struct journal_streams *t)
{
    list_init(&t->order);
    list_init(&t->free);
    for (unsigned i = 0; i < JOURNAL_STREAMS_MAX; i++)
        list_push_back(&t->free, &t->nodes[i].node);
    atomic_init(&t->floor, UINT64_MAX);
}

static bool take_tomb(struct journal_streams *t, uint64_t id)
{
    for (unsigned i = 0; i < JOURNAL_TOMBS; i++) {
        if (t->tombs[i] == id) {
            t->tombs[i] = 0;
            return true;
        }
    }
    return false;
}

enum ms_err journal__stream_check_part(struct journal_streams *t, uint64_t id, uint32_t number)
{
    const struct journal_stream *st = find(t, id);
    if (id == 0)
        return MS_EINVAL;
    if (st != NULL)
        return st->ending ? MS_EINVAL : MS_OK;
    if (number != 0 || take_tomb(t, id))
        return MS_EGONE;
    return list_is_empty(&t->free) ? MS_ELIMIT : MS_OK;
}

enum ms_err journal__stream_check_end(struct journal_streams *t, uint64_t id)
{
    const struct journal_stream *st = find(t, id);
    return st != NULL && !st->ending ? MS_OK : MS_EGONE;
}

void journal__stream_add_part(struct journal_streams *t, uint64_t id, uint64_t position)
{
    if (find(t, id) != NULL)
        return;
    struct journal_stream *st = LIST_ENTRY(list_pop_front(&t->free), struct journal_stream, node);
    st->id = id;
    st->first = position;
    st->ending = false;
    st->next_in_bucket = t->buckets[bucket_of(id)];
    t->buckets[bucket_of(id)] = st;
    list_push_back(&t->order, &st->node);
    set_floor(t);
}

void journal__stream_set_ending(struct journal_streams *t, uint64_t id)
{
    struct journal_stream *st = find(t, id);
    MS_ASSERT(st != NULL);
    st->ending = true;
}

void journal__stream_applied(struct journal_streams *t, uint64_t id)
{
    struct journal_stream *st = find(t, id);
    if (st != NULL && st->ending)
        drop(t, st);
}

/* An abort of a stream whose op is on its way changes nothing: the op may be applied. */
void journal__stream_abort(struct journal_streams *t, uint64_t id)
{
    struct journal_stream *st = find(t, id);
    if (st != NULL && !st->ending) {
        drop(t, st);
    } else if (st == NULL && id != 0) {
        t->tombs[t->tomb_next] = id;
        t->tomb_next = (t->tomb_next + 1) % JOURNAL_TOMBS;
    }
}
