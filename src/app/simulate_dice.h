/*
 * simulate_dice.h - chance in the simulator: the same numbers on every machine, from integers alone.
 *
 * A throw depends on the seed, the load, the message and what it is for, and on nothing else: with other
 * settings the same messages are as large, as slow and as unlucky as before, so that runs can be compared.
 */
#ifndef APP_SIMULATE_DICE_H
#define APP_SIMULATE_DICE_H

#include "ms/base/err.h"

#define SIM_DICE_ONE ((uint64_t)1 << 32)

struct sim_dice {
    uint64_t state;
};
/* A stream of its own for each three numbers. */
struct sim_dice sim_dice_make(uint64_t seed, uint64_t a, uint64_t b);
uint64_t sim_dice_next(struct sim_dice *d);                                /* all 64 bits */
uint64_t sim_dice_between(struct sim_dice *d, uint64_t min, uint64_t max); /* both possible */
/* The time to the next event of a stream that has one a unit in the mean (exponential); SIM_DICE_ONE is
 * the unit. */
uint64_t sim_dice_gap(struct sim_dice *d);

#endif
