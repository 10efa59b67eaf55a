/*
 * jobctl_sched_table.c - memory of the scheduler's entries, and the table that finds them by id.
 *
 * Entries come from chunks, so that a million of them cost no allocator's heads; the chunks go when the last entry
 * of a queue that was large has gone. The table doubles while it is used: each event moves a few buckets of the old
 * one.
 */
#include "jobctl_sched.h"

#define TABLE_MIN   1024
#define TABLE_MOVES 4  /* old buckets moved by one event */
#define CHUNKS_KEPT 64 /* of a queue that is empty */

/* Ids are made here: epoch, loop and counter need no seed, only to be spread. */
static size_t hash_of(const struct queue_id *id)
{
    uint64_t x = ms_get_be64(id->b) * 0x9e3779b97f4a7c15ull ^ ms_get_be64(id->b + 8);
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93ull;
    return (size_t)(x ^ x >> 32);
}

static void bucket_move(struct sched_table *t)
{
    struct sched_entry *e = t->old[t->moved++], *next;
    for (; e; e = next) {
        struct sched_entry **to = &t->buckets[hash_of(&e->id) & (t->size - 1)];
        next = e->chain;
        e->chain = *to;
        *to = e;
    }
    if (t->moved == t->old_size) {
        ms_free(t->old);
        t->old = NULL;
    }
}

static void table_grow(struct sched_table *t)
{
    for (unsigned i = 0; t->old && i < TABLE_MOVES; i++)
        bucket_move(t);
    if (t->old || t->count < t->size)
        return;
    t->old = t->buckets;
    t->old_size = t->size;
    t->moved = 0;
    t->size = MS_MAX(t->size * 2, (size_t)TABLE_MIN);
    t->buckets = ms_alloc_array(t->size, sizeof *t->buckets);
    if (t->old_size == 0)
        t->old = NULL;
}

/* The place that points to the entry, in the table that has it now. */
static struct sched_entry **place_of(const struct sched_table *t, const struct queue_id *id)
{
    size_t hash = hash_of(id);
    struct sched_entry **at = NULL;
    if (t->old && (hash & (t->old_size - 1)) >= t->moved)
        at = &t->old[hash & (t->old_size - 1)];
    else if (t->size)
        at = &t->buckets[hash & (t->size - 1)];
    while (at && *at && memcmp((*at)->id.b, id->b, sizeof id->b) != 0)
        at = &(*at)->chain;
    return at;
}

struct sched_entry *jobctl__entry_find(const struct jobctl_sched *s, const struct queue_id *id)
{
    struct sched_entry **at = place_of(&s->table, id);
    return at ? *at : NULL;
}

struct sched_entry *jobctl__entry_at(const struct jobctl_sched *s, size_t n)
{
    size_t chunk = n / JOBCTL__CHUNK_ENTRIES;
    struct sched_entry *entries = chunk < s->chunk_count ? s->chunks[chunk] : NULL;
    return entries ? &entries[n % JOBCTL__CHUNK_ENTRIES] : NULL;
}

static void chunk_add(struct jobctl_sched *s)
{
    struct sched_entry *entries = ms_alloc_array(JOBCTL__CHUNK_ENTRIES, sizeof *entries);
    if ((s->chunk_count & (s->chunk_count - 1)) == 0) /* doubles */
        s->chunks = ms_realloc_array(s->chunks, MS_MAX(s->chunk_count * 2, 1), sizeof *s->chunks);
    s->chunks[s->chunk_count++] = entries;
    for (size_t i = 0; i < JOBCTL__CHUNK_ENTRIES; i++) {
        entries[i].state = ENTRY_NONE;
        entries[i].chain = s->spare;
        s->spare = &entries[i];
    }
}

struct sched_entry *jobctl__entry_new(struct jobctl_sched *s, const struct queue_id *id)
{
    struct sched_table *t = &s->table;
    table_grow(t);
    if (!s->spare)
        chunk_add(s);
    struct sched_entry *e = s->spare, **at;
    s->spare = e->chain;
    *e = (struct sched_entry){.id = *id, .round = s->round, .defer = {.index = HEAP_NOT_IN}};
    at = place_of(t, id);
    MS_ASSERT(at && !*at);
    *at = e;
    t->count++;
    return e;
}

void jobctl__entry_delete(struct jobctl_sched *s, struct sched_entry *e)
{
    struct sched_entry **at = place_of(&s->table, &e->id);
    MS_ASSERT(at && *at == e);
    *at = e->chain;
    e->state = ENTRY_NONE;
    s->table.count--;
    e->chain = s->spare;
    s->spare = e;
    if (s->table.count == 0 && s->chunk_count > CHUNKS_KEPT)
        jobctl__table_fini(s);
}

void jobctl__table_fini(struct jobctl_sched *s)
{
    for (size_t i = 0; i < s->chunk_count; i++)
        ms_free(s->chunks[i]);
    ms_free(s->chunks);
    ms_free(s->table.buckets);
    ms_free(s->table.old);
    s->table = (struct sched_table){0};
    s->chunks = NULL;
    s->chunk_count = 0;
    s->spare = NULL;
}
