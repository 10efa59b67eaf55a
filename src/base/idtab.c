/*
 * idtab.c - ids that die with their object.
 *
 * id = generation << 24 | slot. A slot's generation starts at 1, so 0 is no id; it grows at every removal,
 * and a slot whose 40 bits are used up is never used again. Removal does not shrink the table: slots are
 * found by index.
 */
#include "ms/base/idtab.h"

#define IDTAB_SLOT_BITS 24
#define IDTAB_GEN_MAX   (((uint64_t)1 << 40) - 1)
#define IDTAB_CAP_MIN   64
#define IDTAB_NONE      UINT32_MAX

struct idtab_slot {
    void *object; /* NULL: free */
    uint64_t gen;
    uint32_t next_free;
};

void idtab_init(struct idtab *t, uint32_t limit)
{
    MS_ASSERT(limit <= IDTAB_SLOTS_MAX);
    *t = (struct idtab){.free_head = IDTAB_NONE, .limit = limit ? limit : IDTAB_SLOTS_MAX};
}

void idtab_fini(struct idtab *t)
{
    ms_free(t->slots);
    idtab_init(t, t->limit);
}

static bool idtab_grow(struct idtab *t)
{
    uint32_t cap = t->cap ? t->cap * 2 : IDTAB_CAP_MIN;

    cap = MS_MIN(cap, t->limit);
    if (cap == t->cap)
        return false;
    t->slots = ms_realloc_array(t->slots, cap, sizeof(*t->slots));
    for (uint32_t i = cap; i-- > t->cap;) {
        t->slots[i] = (struct idtab_slot){.gen = 1, .next_free = t->free_head};
        t->free_head = i;
    }
    t->cap = cap;
    return true;
}

uint64_t idtab_add(struct idtab *t, void *object)
{
    struct idtab_slot *slot;
    uint32_t index;

    MS_ASSERT(object != NULL);
    if (t->free_head == IDTAB_NONE && !idtab_grow(t))
        return 0;
    index = t->free_head;
    slot = &t->slots[index];
    t->free_head = slot->next_free;
    slot->object = object;
    t->count++;
    return slot->gen << IDTAB_SLOT_BITS | index;
}

static struct idtab_slot *idtab_slot_of(const struct idtab *t, uint64_t id)
{
    uint32_t index = (uint32_t)(id & (IDTAB_SLOTS_MAX - 1));

    if (index >= t->cap || !t->slots[index].object || t->slots[index].gen != id >> IDTAB_SLOT_BITS)
        return NULL;
    return &t->slots[index];
}

void *idtab_find(const struct idtab *t, uint64_t id)
{
    struct idtab_slot *slot = idtab_slot_of(t, id);

    return slot ? slot->object : NULL;
}

void *idtab_remove(struct idtab *t, uint64_t id)
{
    struct idtab_slot *slot = idtab_slot_of(t, id);
    void *object;

    if (!slot)
        return NULL;
    object = slot->object;
    slot->object = NULL;
    t->count--;
    if (slot->gen < IDTAB_GEN_MAX) {
        slot->gen++;
        slot->next_free = t->free_head;
        t->free_head = (uint32_t)(slot - t->slots);
    }
    return object;
}

bool idtab_next(const struct idtab *t, uint32_t *cursor, uint64_t *id_out, void **object_out)
{
    while (*cursor < t->cap) {
        uint32_t index = (*cursor)++;
        const struct idtab_slot *slot = &t->slots[index];

        if (!slot->object)
            continue;
        if (id_out)
            *id_out = slot->gen << IDTAB_SLOT_BITS | index;
        if (object_out)
            *object_out = slot->object;
        return true;
    }
    return false;
}
