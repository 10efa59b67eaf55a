/*
 * heap.h - intrusive binary min-heap on a 64-bit key with a second key for ties.
 * Layer 0 (base).   Threads: the owner's.   Memory: an array of node pointers that grows by doubling.
 */
#ifndef MS_BASE_HEAP_H
#define MS_BASE_HEAP_H

#include "ms/base/err.h"

#define HEAP_NOT_IN SIZE_MAX

struct heap_node {
    uint64_t key;
    uint64_t tie;
    size_t index; /* HEAP_NOT_IN when not in a heap: set it before first use */
};

struct heap {
    struct heap_node **nodes;
    size_t count;
    size_t cap;
};

void heap_init(struct heap *h);
void heap_fini(struct heap *h);
/* Asserted: insert takes a node that is in no heap, remove and update one that is in this heap. */
void heap_insert(struct heap *h, struct heap_node *node);
void heap_remove(struct heap *h, struct heap_node *node);
void heap_update(struct heap *h, struct heap_node *node, uint64_t key, uint64_t tie);
struct heap_node *heap_min(const struct heap *h); /* NULL when empty */
struct heap_node *heap_pop(struct heap *h);

#endif
