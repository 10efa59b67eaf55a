/*
 * list.h - intrusive doubly linked list.
 * Layer 0 (base).   Threads: the owner's.
 */
#ifndef MS_BASE_LIST_H
#define MS_BASE_LIST_H

#include "ms/base/err.h"

struct list {
    struct list *prev;
    struct list *next;
};

#define LIST_ENTRY(node, type, member) MS_CONTAINER_OF(node, type, member)
#define LIST_FOREACH(head, it)         for (struct list *it = (head)->next; it != (head); it = it->next)
/* The current node may be removed (and freed) in the body. */
#define LIST_FOREACH_SAFE(head, it)                                                                          \
    for (struct list *it = (head)->next, *it##_next_ = it->next; it != (head);                               \
         it = it##_next_, it##_next_ = it->next)

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}
static inline bool list_is_empty(const struct list *l)
{
    return l->next == l;
}
/* true when the node is on some list; a node must have been list_init'ed or removed before it is asked. */
static inline bool list_is_linked(const struct list *node)
{
    return node->next != node;
}
static inline void list_insert_after(struct list *at, struct list *node)
{
    node->prev = at;
    node->next = at->next;
    at->next->prev = node;
    at->next = node;
}
static inline void list_push_front(struct list *head, struct list *node)
{
    list_insert_after(head, node);
}
static inline void list_push_back(struct list *head, struct list *node)
{
    list_insert_after(head->prev, node);
}
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}
static inline struct list *list_pop_front(struct list *head)
{
    struct list *node = head->next;
    if (node == head)
        return NULL;
    list_remove(node);
    return node;
}

#endif
