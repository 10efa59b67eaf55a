/*
 * heap.c - binary min-heap of pointers; each node knows its place.
 */
#include "ms/base/heap.h"

#define HEAP_CAP_MIN 16

void heap_init(struct heap *h)
{
    *h = (struct heap){0};
}

void heap_fini(struct heap *h)
{
    for (size_t i = 0; i < h->count; i++)
        h->nodes[i]->index = HEAP_NOT_IN;
    ms_free(h->nodes);
    *h = (struct heap){0};
}

static bool node_before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->tie < b->tie;
}

static void heap_place(struct heap *h, struct heap_node *node, size_t index)
{
    h->nodes[index] = node;
    node->index = index;
}

static void heap_up(struct heap *h, struct heap_node *node, size_t index)
{
    while (index > 0 && node_before(node, h->nodes[(index - 1) / 2])) {
        heap_place(h, h->nodes[(index - 1) / 2], index);
        index = (index - 1) / 2;
    }
    heap_place(h, node, index);
}

static void heap_down(struct heap *h, struct heap_node *node, size_t index)
{
    for (;;) {
        size_t child = 2 * index + 1;

        if (child >= h->count)
            break;
        if (child + 1 < h->count && node_before(h->nodes[child + 1], h->nodes[child]))
            child++;
        if (!node_before(h->nodes[child], node))
            break;
        heap_place(h, h->nodes[child], index);
        index = child;
    }
    heap_place(h, node, index);
}

/* The hole at `index` gets `node`, which may have to go either way. */
static void heap_settle(struct heap *h, struct heap_node *node, size_t index)
{
    if (index > 0 && node_before(node, h->nodes[(index - 1) / 2]))
        heap_up(h, node, index);
    else
        heap_down(h, node, index);
}

static void heap_check_in(const struct heap *h, const struct heap_node *node)
{
    MS_ASSERT(node->index < h->count && h->nodes[node->index] == node);
}

void heap_insert(struct heap *h, struct heap_node *node)
{
    MS_ASSERT(node->index == HEAP_NOT_IN);
    if (h->count == h->cap) {
        h->cap = h->cap ? h->cap * 2 : HEAP_CAP_MIN;
        h->nodes = ms_realloc_array(h->nodes, h->cap, sizeof(*h->nodes));
    }
    h->count++;
    heap_up(h, node, h->count - 1);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    size_t index = node->index;
    struct heap_node *last;

    heap_check_in(h, node);
    last = h->nodes[--h->count];
    node->index = HEAP_NOT_IN;
    if (last != node)
        heap_settle(h, last, index);
}

void heap_update(struct heap *h, struct heap_node *node, uint64_t key, uint64_t tie)
{
    heap_check_in(h, node);
    node->key = key;
    node->tie = tie;
    heap_settle(h, node, node->index);
}

struct heap_node *heap_min(const struct heap *h)
{
    return h->count ? h->nodes[0] : NULL;
}

struct heap_node *heap_pop(struct heap *h)
{
    struct heap_node *node = heap_min(h);

    if (node)
        heap_remove(h, node);
    return node;
}
