/*
 * jobctl_sched_rank.c - which of the entries that no job has is the worst, when room is needed for a better one
 * (semantics 4.6): by class, then arrival, then id; one that the operator wants now is the best. Within a class
 * those that nobody may work on now come last: not due yet, or of a stopped channel. Else a dead destination with
 * more entries than there is room for would keep out all mail that could go.
 *
 * A heap, the worst first, that is there only while the table is nearly full: from seven eighths on, each event
 * takes over a few entries, so that all are in it when it is first asked. An entry's place in it may be left from
 * an earlier heap, or be the number of a job: it counts only when the entry is there.
 */
#include "jobctl_sched.h"

#define RANK_LOOKS 16 /* entries looked at by one event: twice the table in the last eighth */

#define WAITS        (UINT64_C(1) << 59)
#define ARRIVAL_MASK (WAITS - 1)

uint64_t jobctl__rank_key(bool is_first, unsigned class_, bool waits, uint64_t arrival_us)
{
    return (uint64_t)(is_first ? 0 : 1 + class_) << 60 | (waits ? WAITS : 0) | (arrival_us & ARRIVAL_MASK);
}

static uint64_t key_of(const struct sched_entry *e)
{
    bool waits = e->state == ENTRY_DELAYED || e->host->channel->is_stopped;
    return jobctl__rank_key(e->is_first, e->class_, waits, e->arrival_us);
}

static bool is_worse(uint64_t key, const struct queue_id *id, const struct sched_entry *than)
{
    uint64_t other = key_of(than);
    return key != other ? key > other : memcmp(id->b, than->id.b, sizeof id->b) > 0;
}

static bool is_in(const struct sched_rank *r, const struct sched_entry *e)
{
    return e->rank < r->count && r->nodes[e->rank] == e;
}

static void place(struct sched_rank *r, struct sched_entry *e, size_t index)
{
    r->nodes[index] = e;
    e->rank = (uint32_t)index;
}

static void settle(struct sched_rank *r, struct sched_entry *e, size_t index)
{
    uint64_t key = key_of(e);
    while (index > 0 && is_worse(key, &e->id, r->nodes[(index - 1) / 2])) {
        place(r, r->nodes[(index - 1) / 2], index);
        index = (index - 1) / 2;
    }
    for (size_t child; (child = 2 * index + 1) < r->count; index = child) {
        const struct sched_entry *left = r->nodes[child];
        if (child + 1 < r->count && !is_worse(key_of(left), &left->id, r->nodes[child + 1]))
            child++;
        if (is_worse(key, &e->id, r->nodes[child]))
            break;
        place(r, r->nodes[child], index);
    }
    place(r, e, index);
}

void jobctl__rank_add(struct jobctl_sched *s, struct sched_entry *e)
{
    struct sched_rank *r = &s->rank;
    if (!r->is_on || is_in(r, e))
        return;
    if (r->count == r->cap) {
        r->cap = MS_MAX(r->cap + r->cap / 2, (size_t)s->max_entries + 1);
        r->nodes = ms_realloc_array(r->nodes, r->cap, sizeof *r->nodes);
    }
    MS_ASSERT(r->count < UINT32_MAX);
    r->nodes[r->count] = e;
    settle(r, e, r->count++);
}

void jobctl__rank_remove(struct jobctl_sched *s, struct sched_entry *e)
{
    struct sched_rank *r = &s->rank;
    if (!is_in(r, e))
        return;
    size_t index = e->rank;
    struct sched_entry *last = r->nodes[--r->count];
    if (last != e)
        settle(r, last, index);
}

void jobctl__rank_again(struct jobctl_sched *s, struct sched_entry *e)
{
    if (is_in(&s->rank, e))
        settle(&s->rank, e, e->rank);
}

static void look(struct jobctl_sched *s, size_t most)
{
    struct sched_rank *r = &s->rank;
    struct sched_entry *e;
    for (; most > 0 && (e = jobctl__entry_at(s, r->looked)); most--, r->looked++)
        if (e->state == ENTRY_DELAYED || e->state == ENTRY_READY)
            jobctl__rank_add(s, e);
}

void jobctl__rank_step(struct jobctl_sched *s)
{
    size_t count = s->table.count;
    if (count < s->max_entries - s->max_entries / 4) {
        if (s->rank.is_on)
            jobctl__rank_fini(s);
    } else if (s->rank.is_on || count >= s->max_entries - s->max_entries / 8) {
        s->rank.is_on = true;
        look(s, RANK_LOOKS);
    }
}

struct sched_entry *jobctl__rank_worse_than(struct jobctl_sched *s, uint64_t key, const struct queue_id *id)
{
    s->rank.is_on = true;
    look(s, SIZE_MAX); /* nothing is left, but after a change of the limit */
    struct sched_entry *worst = s->rank.count ? s->rank.nodes[0] : NULL;
    return worst && !is_worse(key, id, worst) ? worst : NULL;
}

void jobctl__rank_fini(struct jobctl_sched *s)
{
    ms_free(s->rank.nodes);
    s->rank = (struct sched_rank){0};
}
