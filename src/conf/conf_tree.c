/*
 * conf_tree.c - the node tree between YAML and the tables: build, find, merge.
 * Layer 2 (conf).
 * Children are a singly linked list in file order. Finding is linear; merging, which would be quadratic for
 * large maps, builds a table of the keys once per mapping.
 */
#include "conf_priv.h"

struct conf__node *conf__node_new(struct arena *a, enum conf__kind kind, struct conf__place at)
{
    struct conf__node *node = arena_new(a, struct conf__node);
    node->kind = kind;
    node->at = at;
    node->key_at = at;
    return node;
}

void conf__node_add(struct conf__node *parent, struct conf__node *child)
{
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->count++;
}

struct conf__node *conf__node_find(const struct conf__node *map, struct slice key)
{
    for (struct conf__node *it = map->first; it; it = it->next) {
        if (slice_eq(it->key, key))
            return it;
    }
    return NULL;
}

bool conf__node_is_empty(const struct conf__node *node)
{
    return node->kind == CONF__SCALAR && node->plain && node->text.len == 0 && !node->file_tag &&
           !node->broken;
}

/* base takes over the value of over but keeps its place among its siblings. */
static void node_replace(struct conf__node *base, const struct conf__node *over)
{
    struct conf__node *next = base->next;

    *base = *over;
    base->next = next;
}

void conf__node_merge(struct conf__node *base, struct conf__node *over)
{
    struct map keys;

    if (base->kind == CONF__MAP && conf__node_is_empty(over))
        return;
    if (base->kind != CONF__MAP || over->kind != CONF__MAP) {
        node_replace(base, over);
        return;
    }
    map_init(&keys);
    for (struct conf__node *it = base->first; it; it = it->next)
        map_put(&keys, it->key, it);
    for (struct conf__node *it = over->first, *next; it; it = next) {
        struct conf__node *old = map_find(&keys, it->key);

        next = it->next;
        it->next = NULL;
        if (old)
            conf__node_merge(old, it);
        else
            conf__node_add(base, it);
    }
    map_fini(&keys);
}
