/*
 * loop_wheel.c - see loop_wheel.h for the idea.
 *
 * Invariants:
 *   1. Bit s of occupied[l] is set exactly when slots[l * 64 + s] is not empty.
 *   2. A timer in slot s of level l: due_tick > tick, and s > digit l of tick. (Digits above l are equal, but for
 *      timers on the rim, which are looked at again when the rim is reached.)
 */
#include "loop_wheel.h"

static unsigned wheel_digit(uint64_t tick, unsigned level)
{
    return (unsigned)(tick >> (level * LOOP_WHEEL_BITS)) & (LOOP_WHEEL_SLOTS - 1);
}

void loop_wheel_init(struct loop_wheel *w, uint64_t tick)
{
    *w = (struct loop_wheel){.tick = tick};
    for (size_t i = 0; i < MS_ARRAY_LEN(w->slots); i++)
        list_init(&w->slots[i]);
}

static void wheel_put(struct loop_wheel *w, struct loop_timer *timer)
{
    /* The rim is the last tick of the present turn of the whole wheel. */
    uint64_t rim = w->tick | (LOOP_WHEEL_SPAN - 1);
    uint64_t at = MS_MIN(timer->due_tick, rim);

    /* On the rim itself and the timer lies beyond: the wheel begins its next turn at the next tick. */
    if (at == w->tick)
        at = w->tick + 1;
    unsigned level = (unsigned)(63 - __builtin_clzll(at ^ w->tick)) / LOOP_WHEEL_BITS;
    if (level >= LOOP_WHEEL_LEVELS)
        level = LOOP_WHEEL_LEVELS - 1;
    unsigned slot = wheel_digit(at, level);
    list_push_back(&w->slots[level * LOOP_WHEEL_SLOTS + slot], &timer->node);
    w->occupied[level] |= (uint64_t)1 << slot;
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
