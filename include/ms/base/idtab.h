/*
 * idtab.h - id table: 64-bit ids for objects whose answers may come late.
 * Layer 0 (base).
 * Threads:  the owner's.
 * An id is slot + generation; after idtab_remove the same id never finds anything again (generation is 40
 * bits). Limits:   IDTAB_SLOTS_MAX objects at once; idtab_add gives 0 past it. 0 is never a valid id.
 */
#ifndef MS_BASE_IDTAB_H
#define MS_BASE_IDTAB_H

#include "ms/base/err.h"

#define IDTAB_SLOTS_MAX ((uint32_t)1 << 24)

struct idtab_slot;

struct idtab {
    struct idtab_slot *slots;
    uint32_t cap;
    uint32_t count;
    uint32_t free_head;
    uint32_t limit;
};

void idtab_init(struct idtab *t, uint32_t limit); /* 0 = IDTAB_SLOTS_MAX */
void idtab_fini(struct idtab *t);
uint64_t idtab_add(struct idtab *t, void *object);
void *idtab_find(const struct idtab *t, uint64_t id); /* NULL when gone */
void *idtab_remove(struct idtab *t, uint64_t id);
/* Start with *cursor = 0; false at the end; removal of the entry just given is allowed. */
bool idtab_next(const struct idtab *t, uint32_t *cursor, uint64_t *id_out, void **object_out);

#endif
