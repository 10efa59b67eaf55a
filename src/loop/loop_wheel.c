/*
 * loop_wheel.c - see loop_wheel.h for the idea.
 *
 * Invariants:
 *   1. Bit s of occupied[l] is set exactly when slots[l * 64 + s] is not empty.
 *   2. A timer in slot s of level l: the digits of its due tick above l are those of `tick`, and s > digit l
 * of tick.
 */
#include "loop_wheel.h"

static void wheel_put(struct loop_wheel *w, struct loop_timer *timer)
{
    unsigned level = (unsigned)(63 - __builtin_clzll(timer->due_tick ^ w->tick)) / LOOP_WHEEL_BITS;
    unsigned slot = (unsigned)(timer->due_tick >> (level * LOOP_WHEEL_BITS)) & (LOOP_WHEEL_SLOTS - 1);

    list_push_back(&w->slots[level * LOOP_WHEEL_SLOTS + slot], &timer->node);
    w->occupied[level] |= (uint64_t)1 << slot;
}

void loop_wheel_init(struct loop_wheel *w, uint64_t tick)
{
    *w = (struct loop_wheel){.tick = tick};
    for (size_t i = 0; i < MS_ARRAY_LEN(w->slots); i++)
        list_init(&w->slots[i]);
}

void loop_wheel_add(struct loop_wheel *w, struct loop_timer *timer, uint64_t due_tick)
{
    timer->due_tick = MS_MAX(due_tick, w->tick + 1);
    wheel_put(w, timer);
    w->count++;
}

void loop_wheel_remove(struct loop_wheel *w, struct loop_timer *timer)
{
    struct list *head = timer->node.next;

    list_remove(&timer->node);
    w->count--;
    /* The neighbour of a node that was alone is the head of its list; only slots have a bit. */
    if (list_is_empty(head) && head >= w->slots && head < w->slots + MS_ARRAY_LEN(w->slots)) {
        size_t i = (size_t)(head - w->slots);
        w->occupied[i / LOOP_WHEEL_SLOTS] &= ~((uint64_t)1 << (i % LOOP_WHEEL_SLOTS));
    }
}

/* Level of what comes next, or LOOP_WHEEL_LEVELS. */
static unsigned wheel_first_level(const struct loop_wheel *w)
{
    unsigned level = 0;
    while (level < LOOP_WHEEL_LEVELS && w->occupied[level] == 0)
        level++;
    return level;
}

/* First tick of the first occupied slot of the level. */
static uint64_t wheel_slot_tick(const struct loop_wheel *w, unsigned level)
{
    uint64_t slot = (uint64_t)__builtin_ctzll(w->occupied[level]);
    unsigned above = (level + 1) * LOOP_WHEEL_BITS;
    uint64_t base = above >= 64 ? 0 : w->tick >> above << above;

    return base | slot << (level * LOOP_WHEEL_BITS);
}

uint64_t loop_wheel_next(const struct loop_wheel *w)
{
    unsigned level = wheel_first_level(w);
    return level == LOOP_WHEEL_LEVELS ? LOOP_WHEEL_NEVER : wheel_slot_tick(w, level);
}

bool loop_wheel_next_due(struct loop_wheel *w, uint64_t until, struct list *due)
{
    for (;;) {
        unsigned level = wheel_first_level(w);
        uint64_t tick = level == LOOP_WHEEL_LEVELS ? LOOP_WHEEL_NEVER : wheel_slot_tick(w, level);
        if (tick > until) {
            w->tick = MS_MAX(w->tick, until);
            return false;
        }
        struct list *head =
            &w->slots[level * LOOP_WHEEL_SLOTS + (unsigned)__builtin_ctzll(w->occupied[level])];
        w->occupied[level] &= w->occupied[level] - 1;
        w->tick = tick;
        bool any = false;
        struct list *node;
        while ((node = list_pop_front(head))) {
            struct loop_timer *timer = LIST_ENTRY(node, struct loop_timer, node);
            if (timer->due_tick > tick) {
                wheel_put(w, timer); /* to a lower level, never back into this slot */
                continue;
            }
            list_push_back(due, node);
            any = true;
        }
        if (any)
            return true;
    }
}
