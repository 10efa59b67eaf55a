/*
 * simulate_entries.c - slots in chunks that never move; an id is the number of arrival, then the slot.
 */
#include "simulate_entries.h"

#define CHUNK 4096

static struct sim_entry *slot_get(const struct sim_entries *a, uint64_t slot)
{
    MS_ASSERT(slot / CHUNK < a->chunk_count);
    return &a->chunks[slot / CHUNK][slot % CHUNK];
}

static void chunk_add(struct sim_entries *a)
{
    if (a->chunk_count == a->chunk_room) {
        a->chunk_room = MS_MAX(2 * a->chunk_room, (size_t)64);
        a->chunks = ms_realloc_array(a->chunks, a->chunk_room, sizeof *a->chunks);
    }
    a->chunks[a->chunk_count++] = ms_alloc_array(CHUNK, sizeof **a->chunks);
    for (uint64_t slot = a->chunk_count * CHUNK;
         slot-- > (a->chunk_count - 1) * CHUNK;) { /* the lowest is first */
        slot_get(a, slot)->end.key = a->free;
        a->free = slot + 1;
    }
}

static struct queue_id id_of(const struct sim_entry *e, uint64_t slot)
{
    struct queue_id id = {{0}};
    ms_put_be64(id.b, e->number);
    ms_put_be64(id.b + 8, slot);
    return id;
}

void sim_entries_fini(struct sim_entries *a)
{
    for (size_t i = 0; i < a->chunk_count; i++)
        ms_free(a->chunks[i]);
    ms_free(a->chunks);
    *a = (struct sim_entries){0};
}

struct sim_entry *sim_entries_new(struct sim_entries *a, struct queue_id *id_out)
{
    if (!a->free)
        chunk_add(a);
    uint64_t slot = a->free - 1;
    struct sim_entry *e = slot_get(a, slot);
    a->free = e->end.key;
    *e = (struct sim_entry){.number = ++a->numbers, .end.index = HEAP_NOT_IN};
    a->count++;
    *id_out = id_of(e, slot);
    return e;
}

void sim_entries_free(struct sim_entries *a, const struct queue_id *id)
{
    struct sim_entry *e = sim_entries_get(a, id);
    MS_ASSERT(e->end.index == HEAP_NOT_IN);
    e->number = 0;
    e->end.key = a->free;
    a->free = ms_get_be64(id->b + 8) + 1;
    a->count--;
}

struct sim_entry *sim_entries_get(const struct sim_entries *a, const struct queue_id *id)
{
    struct sim_entry *e = slot_get(a, ms_get_be64(id->b + 8));
    MS_ASSERT(e->number == ms_get_be64(id->b));
    return e;
}

/* -- lines */
void sim_line_add(struct sim_entries *a, struct sim_line *line, const struct queue_id *id)
{
    struct sim_entry *e = sim_entries_get(a, id);
    uint64_t slot = ms_get_be64(id->b + 8);
    MS_ASSERT(e->end.index == HEAP_NOT_IN);
    e->end.key = 0;
    if (line->last)
        slot_get(a, line->last - 1)->end.key = slot + 1;
    else
        line->first = slot + 1;
    line->last = slot + 1;
}

void sim_line_add_first(struct sim_entries *a, struct sim_line *line, const struct queue_id *id)
{
    struct sim_entry *e = sim_entries_get(a, id);
    MS_ASSERT(e->end.index == HEAP_NOT_IN);
    e->end.key = line->first;
    line->first = ms_get_be64(id->b + 8) + 1;
    if (!line->last)
        line->last = line->first;
}

struct sim_entry *sim_line_first(const struct sim_entries *a, const struct sim_line *line,
                                 struct queue_id *id_out)
{
    if (!line->first)
        return NULL;
    struct sim_entry *e = slot_get(a, line->first - 1);
    *id_out = id_of(e, line->first - 1);
    return e;
}

void sim_line_remove_first(struct sim_entries *a, struct sim_line *line)
{
    line->first = slot_get(a, line->first - 1)->end.key;
    if (!line->first)
        line->last = 0;
}
