/*
 * simulate_dice.c - numbers by chance: splitmix64, and what is made of it.
 */
#include "simulate_dice.h"

static uint64_t mixed(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

uint64_t sim_dice_next(struct sim_dice *d)
{
    d->state += 0x9e3779b97f4a7c15;
    return mixed(d->state);
}

struct sim_dice sim_dice_make(uint64_t seed, uint64_t a, uint64_t b)
{
    struct sim_dice d = {.state = seed};
    d.state = sim_dice_next(&d) ^ a;
    d.state = sim_dice_next(&d) ^ b;
    d.state = sim_dice_next(&d);
    return d;
}

/* The upper half of a product: the small part that one number is likelier than another is below 2^-24 for
 * what is asked here. */
uint64_t sim_dice_between(struct sim_dice *d, uint64_t min, uint64_t max)
{
    MS_ASSERT(min <= max && max - min < UINT64_MAX);
    return min + (uint64_t)(((unsigned __int128)sim_dice_next(d) * (max - min + 1)) >> 64);
}

/*
 * Von Neumann's way, by comparisons alone: how long a series of numbers falls says whether its first one is
 * taken; each series that is not adds a unit.
 */
uint64_t sim_dice_gap(struct sim_dice *d)
{
    for (uint64_t units = 0;; units += SIM_DICE_ONE) {
        uint64_t first = sim_dice_next(d) >> 32, last = first, next;
        unsigned length = 1;
        while ((next = sim_dice_next(d) >> 32) < last) {
            last = next;
            length++;
        }
        if (length % 2)
            return units + first;
    }
}
