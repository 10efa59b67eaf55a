/*
 * dns_cache.c - answers by name and type, bounded in bytes; what was not asked for the longest time goes
 * first.
 */
#include "dns_priv.h"

#include <stdio.h>

struct cached {
    struct list node;
    struct dns__answer *answer;
    size_t bytes;
    size_t key_len;
    char key[];
};

void dns__cache_init(struct dns__cache *c, size_t bytes_max)
{
    *c = (struct dns__cache){.bytes_max = bytes_max};
    map_init(&c->by_key);
    list_init(&c->recent);
}

static void cached_remove(struct dns__cache *c, struct cached *e)
{
    map_remove(&c->by_key, slice_make(e->key, e->key_len));
    list_remove(&e->node);
    c->bytes -= e->bytes;
    dns__answer_unref(&e->answer);
    ms_free(e);
}

static void cache_shrink(struct dns__cache *c, size_t bytes)
{
    while (c->bytes > bytes && !list_is_empty(&c->recent))
        cached_remove(c, LIST_ENTRY(c->recent.prev, struct cached, node));
}

void dns__cache_fini(struct dns__cache *c)
{
    cache_shrink(c, 0);
    map_fini(&c->by_key);
}

void dns__cache_resize(struct dns__cache *c, size_t bytes_max)
{
    c->bytes_max = bytes_max;
    cache_shrink(c, bytes_max);
}

struct slice dns__cache_key(const char *name, enum dns_type type, char out[DNS__KEY_MAX])
{
    int len = snprintf(out, DNS__KEY_MAX, "%s/%u", name, (unsigned)type);

    MS_ASSERT(len > 0 && len < DNS__KEY_MAX);
    return slice_make(out, (size_t)len);
}

struct dns__answer *dns__cache_find(struct dns__cache *c, struct slice key)
{
    struct cached *e = map_find(&c->by_key, key);

    if (!e)
        return NULL;
    list_remove(&e->node);
    list_push_front(&c->recent, &e->node);
    return e->answer;
}

void dns__cache_put(struct dns__cache *c, struct slice key, struct dns__answer *a)
{
    struct cached *old = map_find(&c->by_key, key);
    size_t bytes = sizeof(struct cached) + 2 * key.len + 64 + dns__answer_bytes(a); /* with the map's share */

    if (old)
        cached_remove(c, old);
    if (bytes > c->bytes_max)
        return;
    cache_shrink(c, c->bytes_max - bytes);
    struct cached *e = ms_alloc(sizeof(*e) + key.len);
    e->answer = dns__answer_ref(a);
    e->bytes = bytes;
    e->key_len = key.len;
    memcpy(e->key, key.ptr, key.len);
    list_push_front(&c->recent, &e->node);
    map_put(&c->by_key, key, e);
    c->bytes += bytes;
}
