/*
 * obs_hist.c - histograms, and the limiter of repeated lines.
 *
 * Bucket b > 0 holds values of b bits, that is up to 2^b - 1; bucket 0 holds zero; the last one all that are
 * larger. The owner alone adds; loads and stores are relaxed and whole, so another thread may read a
 * histogram that is in use.
 */
#include "obs_priv.h"

static uint64_t word_get(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void word_add(uint64_t *word, uint64_t n)
{
    __atomic_store_n(word, word_get(word) + n, __ATOMIC_RELAXED);
}

void obs_hist_add(struct obs_hist *h, uint64_t value)
{
    unsigned bits = value ? 64 - (unsigned)__builtin_clzll(value) : 0;

    word_add(&h->buckets[MS_MIN(bits, OBS_HIST_BUCKETS - 1u)], 1);
    word_add(&h->sum, value);
    word_add(&h->count, 1);
}

uint64_t obs_hist_quantile(const struct obs_hist *h, double q)
{
    uint64_t total = 0, seen = 0, rank;

    /* The buckets' own total: `count` may be ahead or behind while the owner adds. */
    for (size_t b = 0; b < OBS_HIST_BUCKETS; b++)
        total += word_get(&h->buckets[b]);
    if (total == 0)
        return 0;
    q = MS_MAX(0.0, MS_MIN(q, 1.0));
    rank = (uint64_t)(q * (double)total);
    if ((double)rank < q * (double)total || rank == 0)
        rank++; /* the smallest value with at least q of all values at or below it */
    for (size_t b = 0; b < OBS_HIST_BUCKETS - 1; b++) {
        seen += word_get(&h->buckets[b]);
        if (seen >= rank)
            return ((uint64_t)1 << b) - 1;
    }
    return UINT64_MAX;
}

bool obs_limit_pass(struct obs_limit *l, uint64_t now_ms, uint64_t interval_ms, uint64_t *suppressed_out)
{
    if (now_ms < l->next_ms) {
        l->suppressed++;
        *suppressed_out = 0;
        return false;
    }
    *suppressed_out = l->suppressed;
    l->suppressed = 0;
    l->next_ms = now_ms + interval_ms;
    return true;
}
