/*
 * map.c - hash table with linear probing.
 *
 * Invariants: cap is 0 or a power of two; `used` counts live entries and tombstones and stays at most 3/4 of
 * cap, so a probe always meets an empty slot; a removed entry becomes a tombstone unless the slot behind it
 * is empty. Byte keys and id keys are different keys even when their bytes agree.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include "ms/base/map.h"

#define MAP_CAP_MIN 16

enum map_kind { MAP_EMPTY, MAP_GONE, MAP_BYTES, MAP_ID };

struct map_entry {
    uint64_t hash;
    void *value;
    union {
        uint8_t *bytes;
        uint64_t id;
    } key;
    uint32_t len;
    enum map_kind kind;
};

static pthread_once_t map_seed_once = PTHREAD_ONCE_INIT;
static uint64_t map_seed;

static void map_seed_init(void)
{
    ssize_t got;

    do {
        got = getrandom(&map_seed, sizeof(map_seed), 0);
    } while (got < 0 && errno == EINTR);
    MS_ASSERT(got == sizeof(map_seed));
}

void map_init(struct map *m)
{
    pthread_once(&map_seed_once, map_seed_init);
    *m = (struct map){0};
}

static void entry_release_key(struct map_entry *e)
{
    if (e->kind == MAP_BYTES)
        ms_free(e->key.bytes);
}

void map_fini(struct map *m)
{
    for (size_t i = 0; i < m->cap; i++)
        entry_release_key(&m->entries[i]);
    ms_free(m->entries);
    *m = (struct map){0};
}

static bool entry_matches(const struct map_entry *e, uint64_t hash, enum map_kind kind, struct slice key)
{
    if (e->kind != kind || e->hash != hash)
        return false;
    if (kind == MAP_ID)
        return ms_get_le64(key.ptr) == e->key.id;
    return e->len == key.len && (key.len == 0 || memcmp(e->key.bytes, key.ptr, key.len) == 0);
}

static struct map_entry *map_lookup(const struct map *m, uint64_t hash, enum map_kind kind, struct slice key)
{
    if (m->count == 0)
        return NULL;
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct map_entry *e = &m->entries[i];

        if (e->kind == MAP_EMPTY)
            return NULL;
        if (entry_matches(e, hash, kind, key))
            return e;
    }
}

static struct map_entry *map_free_slot(const struct map *m, uint64_t hash)
{
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1))
        if (m->entries[i].kind <= MAP_GONE)
            return &m->entries[i];
}

/* Doubles when live entries need it; else only sweeps the tombstones out. */
static void map_rehash(struct map *m)
{
    struct map_entry *old = m->entries;
    size_t old_cap = m->cap;

    MS_ASSERT(m->count < MAP_ENTRIES_MAX);
    if (old_cap == 0)
        m->cap = MAP_CAP_MIN;
    else if (m->count >= old_cap / 2)
        m->cap = old_cap * 2;
    m->entries = ms_alloc_array(m->cap, sizeof(*m->entries));
    for (size_t i = 0; i < old_cap; i++)
        if (old[i].kind > MAP_GONE)
            *map_free_slot(m, old[i].hash) = old[i];
    m->used = m->count;
    ms_free(old);
}

static void *map_insert(struct map *m, enum map_kind kind, struct slice key, void *value)
{
    uint64_t hash = slice_hash(key, map_seed);
    struct map_entry *e = map_lookup(m, hash, kind, key);

    MS_ASSERT(value != NULL && key.len <= UINT32_MAX);
    if (e) {
        void *old = e->value;

        e->value = value;
        return old;
    }
    if (m->used + 1 > m->cap / 4 * 3)
        map_rehash(m);
    e = map_free_slot(m, hash);
    if (e->kind == MAP_EMPTY)
        m->used++;
    m->count++;
    *e = (struct map_entry){.hash = hash, .value = value, .len = (uint32_t)key.len, .kind = kind};
    if (kind == MAP_ID)
        e->key.id = ms_get_le64(key.ptr);
    else
        e->key.bytes = ms_memdup(key.ptr, key.len);
    return NULL;
}

static void *map_take(struct map *m, enum map_kind kind, struct slice key)
{
    struct map_entry *e = map_lookup(m, slice_hash(key, map_seed), kind, key);
    struct map_entry *behind;
    void *value;

    if (!e)
        return NULL;
    value = e->value;
    entry_release_key(e);
    behind = &m->entries[((size_t)(e - m->entries) + 1) & (m->cap - 1)];
    *e = (struct map_entry){.kind = behind->kind == MAP_EMPTY ? MAP_EMPTY : MAP_GONE};
    if (e->kind == MAP_EMPTY)
        m->used--;
    m->count--;
    return value;
}

static void *map_get_value(const struct map *m, enum map_kind kind, struct slice key)
{
    struct map_entry *e;

    if (m->count == 0)
        return NULL;
    e = map_lookup(m, slice_hash(key, map_seed), kind, key);
    return e ? e->value : NULL;
}

void *map_put(struct map *m, struct slice key, void *value)
{
    return map_insert(m, MAP_BYTES, key, value);
}

void *map_put_u64(struct map *m, uint64_t key, void *value)
{
    return map_insert(m, MAP_ID, slice_make(&key, sizeof(key)), value);
}

void *map_find(const struct map *m, struct slice key)
{
    return map_get_value(m, MAP_BYTES, key);
}

void *map_find_u64(const struct map *m, uint64_t key)
{
    return map_get_value(m, MAP_ID, slice_make(&key, sizeof(key)));
}

void *map_remove(struct map *m, struct slice key)
{
    return map_take(m, MAP_BYTES, key);
}

void *map_remove_u64(struct map *m, uint64_t key)
{
    return map_take(m, MAP_ID, slice_make(&key, sizeof(key)));
}

bool map_next(const struct map *m, size_t *cursor, struct slice *key_out, void **value_out)
{
    while (*cursor < m->cap) {
        const struct map_entry *e = &m->entries[(*cursor)++];

        if (e->kind <= MAP_GONE)
            continue;
        if (key_out)
            *key_out = e->kind == MAP_ID ? slice_make(&e->key.id, sizeof(e->key.id))
                                         : slice_make(e->key.bytes, e->len);
        if (value_out)
            *value_out = e->value;
        return true;
    }
    return false;
}
