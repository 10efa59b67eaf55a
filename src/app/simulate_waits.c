/*
 * simulate_waits.c - waits counted by milliseconds: exactly below 512, then in steps that double each time
 * the value does.
 */
#include "simulate_waits.h"

#define HALF    (SIM_WAITS_FINE / 2)
#define BUCKETS (SIM_WAITS_FINE + HALF * SIM_WAITS_ROWS)

static unsigned bucket_of(uint64_t ms)
{
    unsigned row = 0;
    while (ms >= SIM_WAITS_FINE && row < SIM_WAITS_ROWS) {
        ms >>= 1;
        row++;
    }
    ms = MS_MIN(ms, (uint64_t)SIM_WAITS_FINE - 1);
    return row * HALF + (unsigned)ms;
}

/* The largest wait of a bucket. */
static uint64_t edge_us(unsigned bucket)
{
    unsigned row = bucket < SIM_WAITS_FINE ? 0 : bucket / HALF - 1;
    uint64_t ms = bucket - row * HALF;
    return (((ms + 1) << row) - 1) * 1000;
}

void sim_waits_fini(struct sim_waits *w)
{
    ms_free(w->by_ms);
    *w = (struct sim_waits){0};
}

void sim_waits_add(struct sim_waits *w, uint64_t wait_us)
{
    if (!w->by_ms)
        w->by_ms = ms_alloc_array(BUCKETS, sizeof *w->by_ms);
    w->count++;
    w->sum_us += wait_us;
    w->max_us = MS_MAX(w->max_us, wait_us);
    w->by_ms[bucket_of((wait_us + 500) / 1000)]++;
}

void sim_waits_merge(struct sim_waits *into, const struct sim_waits *from)
{
    if (from->count == 0)
        return;
    if (!into->by_ms)
        into->by_ms = ms_alloc_array(BUCKETS, sizeof *into->by_ms);
    into->count += from->count;
    into->sum_us += from->sum_us;
    into->max_us = MS_MAX(into->max_us, from->max_us);
    for (unsigned i = 0; i < BUCKETS; i++)
        into->by_ms[i] += from->by_ms[i];
}

uint64_t sim_waits_percentile(const struct sim_waits *w, unsigned percent)
{
    uint64_t rank = (w->count * percent + 99) / 100, seen = 0; /* the nearest rank */
    MS_ASSERT(percent >= 1 && percent <= 100);
    if (w->count == 0)
        return 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        if ((seen += w->by_ms[i]) >= rank)
            return MS_MIN(edge_us(i), w->max_us);
    return w->max_us;
}

uint64_t sim_waits_mean(const struct sim_waits *w)
{
    return w->count ? w->sum_us / w->count : 0;
}
