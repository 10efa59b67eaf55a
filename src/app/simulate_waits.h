/*
 * simulate_waits.h - many waits in little memory: how many, their mean, the longest, and percentiles that
 * are right to 0.4 %.
 */
#ifndef APP_SIMULATE_WAITS_H
#define APP_SIMULATE_WAITS_H

#include "ms/base/err.h"

#define SIM_WAITS_FINE 512 /* counters for each doubling */
#define SIM_WAITS_ROWS 28  /* doublings: beyond ten years in milliseconds */

struct sim_waits { /* all zero: none */
    uint64_t count, sum_us, max_us;
    uint32_t *by_ms; /* the first FINE exactly, then FINE / 2 for each doubling */
};
void sim_waits_fini(struct sim_waits *w);
void sim_waits_add(struct sim_waits *w, uint64_t wait_us);
void sim_waits_merge(struct sim_waits *into, const struct sim_waits *from);
/* The wait that so many percent do not exceed; 0 without any. */
uint64_t sim_waits_percentile(const struct sim_waits *w, unsigned percent);
uint64_t sim_waits_mean(const struct sim_waits *w);

#endif
