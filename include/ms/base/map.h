/*
 * map.h - hash table from bytes or 64-bit ids to pointers.
 * Layer 0 (base).
 * Threads:  the owner's.
 *           Byte keys and id keys never match each other.
 * Memory:   open addressing, power-of-two, grows at 3/4; byte keys are copied in. Values are not owned.
 * Limits:   MAP_ENTRIES_MAX. Hash seeded per process, so a peer cannot choose collisions.
 */
#ifndef MS_BASE_MAP_H
#define MS_BASE_MAP_H

#include "ms/base/slice.h"

#define MAP_ENTRIES_MAX ((size_t)1 << 28)

struct map_entry;

struct map {
    struct map_entry *entries;
    size_t count;
    size_t used; /* with tombstones */
    size_t cap;
};

void map_init(struct map *m);
void map_fini(struct map *m);
/* Returns the value replaced, or NULL. value must not be NULL. */
void *map_put(struct map *m, struct slice key, void *value);
void *map_put_u64(struct map *m, uint64_t key, void *value);
void *map_find(const struct map *m, struct slice key);
void *map_find_u64(const struct map *m, uint64_t key);
void *map_remove(struct map *m, struct slice key); /* the value, or NULL */
void *map_remove_u64(struct map *m, uint64_t key);
/* Walk in no order: start with *cursor = 0; false at the end. The map must not change meanwhile, except
 * removal of the entry just given. key_out of an id entry is its 8 bytes. */
bool map_next(const struct map *m, size_t *cursor, struct slice *key_out, void **value_out);

#endif
