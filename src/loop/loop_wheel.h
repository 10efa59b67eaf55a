/*
 * loop_wheel.h - hierarchical timer wheel: which timers are due at a tick. Pure, no clock, no thread.
 *
 * Eleven levels of 64 slots, so that every 64-bit tick has a place. A timer stands on the level of the
 * highest 6-bit digit in which its due tick differs from the wheel's tick, in the slot named by that digit of
 * the due tick. Hence everything on a level is due before anything on a higher level, and the first occupied
 * slot of the lowest occupied level is what comes next: on level 0 its timers are due, above it they move
 * down. Few levels are ever in use: a wait of an hour is three digits.
 */
#ifndef MS_LOOP_WHEEL_H
#define MS_LOOP_WHEEL_H

#include "ms/loop.h"

#define LOOP_WHEEL_BITS   6
#define LOOP_WHEEL_SLOTS  64
#define LOOP_WHEEL_LEVELS 11
#define LOOP_WHEEL_NEVER  UINT64_MAX

struct loop_wheel {
    uint64_t tick; /* every timer due at or before this tick was handed out */
    size_t count;
    uint64_t occupied[LOOP_WHEEL_LEVELS];
    struct list slots[LOOP_WHEEL_LEVELS * LOOP_WHEEL_SLOTS];
};

void loop_wheel_init(struct loop_wheel *w, uint64_t tick);
/* The timer is stopped. due_tick is moved behind the wheel's tick if it is not already. */
void loop_wheel_add(struct loop_wheel *w, struct loop_timer *timer, uint64_t due_tick);
/* Takes a timer out of the wheel, or out of a list that loop_wheel_next_due filled. */
void loop_wheel_remove(struct loop_wheel *w, struct loop_timer *timer);
/* Tick of the next thing to do (a timer due, or timers moving down); LOOP_WHEEL_NEVER when empty. */
uint64_t loop_wheel_next(const struct loop_wheel *w);
/* Moves on to the first tick <= until that has due timers and appends those to `due`; true when there were
 * any. false: the wheel stands at `until`. They count as in the wheel until loop_wheel_remove. */
bool loop_wheel_next_due(struct loop_wheel *w, uint64_t until, struct list *due);

#endif
