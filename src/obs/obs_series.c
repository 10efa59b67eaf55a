/*
 * obs_series.c - metrics with labels: which cells of every thread's slot belong to which set of label values.
 *
 * A series is the number of its first cell. Cells are given out in order and never taken back, so a number that
 * somebody keeps stays good. Histogram: OBS_BOUNDS cells of values up to each bound (not cumulative here), one of
 * larger ones, one with their sum. The first cells are a series that nobody sees, long enough for a histogram.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "obs_series.h"

#define HIST_CELLS   (OBS_BOUNDS + 2)
#define SECONDS_BITS 4  /* the first bound is 2^4 microseconds */
#define BYTES_BITS   10 /* 2^10 bytes */
#define SERIES_MAX   1024

static struct {
    pthread_mutex_t lock;
    size_t cells;
    size_t count;
    struct obs_series rows[SERIES_MAX];
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .cells = HIST_CELLS};

static unsigned char
    kind_of[OBS_CELLS_MAX]; /* of the series that begins there; written before its number is known */

static bool is_hist(enum obs_family_kind kind)
{
    return kind == OBS_SECONDS || kind == OBS_BYTES;
}

static struct obs_series *row_find(enum obs_family f, const struct obs_series *want)
{
    for (size_t i = 0; i < table.count; i++) {
        struct obs_series *row = &table.rows[i];
        if (row->family == f && memcmp(row->values, want->values, sizeof row->values) == 0)
            return row;
    }
    return NULL;
}

static unsigned row_make(const struct obs_series *want)
{
    enum obs_family_kind kind = obs_family_kind(want->family);
    size_t cells = is_hist(kind) ? HIST_CELLS : 1;
    if (table.count == SERIES_MAX || table.cells + cells > OBS_CELLS_MAX) {
        obs_count(MET_SERIES_LOST, 1);
        return 0;
    }
    struct obs_series *row = &table.rows[table.count++];
    *row = *want;
    row->cell = (unsigned)table.cells;
    table.cells += cells;
    kind_of[row->cell] = (unsigned char)kind;
    return row->cell;
}

unsigned obs_series(enum obs_family f, const char *a, const char *b, const char *c)
{
    const char *const values[OBS_LABELS_MAX] = {a, a ? b : NULL, a && b ? c : NULL};
    struct obs_series want = {.family = f};
    MS_ASSERT(obs_family_kind(f) < OBS_AT_SCRAPE);
    for (size_t i = 0; i < OBS_LABELS_MAX && values[i]; i++)
        snprintf(want.values[i], sizeof want.values[i], "%s", values[i]);
    pthread_mutex_lock(&table.lock);
    const struct obs_series *row = row_find(f, &want);
    unsigned cell = row ? row->cell : row_make(&want);
    pthread_mutex_unlock(&table.lock);
    return cell;
}

unsigned obs_series_keep(_Atomic unsigned *at, enum obs_family f, const char *a, const char *b, const char *c)
{
    unsigned series = atomic_load_explicit(at, memory_order_relaxed);
    if (MS_LIKELY(series != 0))
        return series;
    series = obs_series(f, a, b, c); /* every thread finds the same one */
    atomic_store_explicit(at, series, memory_order_relaxed);
    return series;
}

size_t obs__series_count(void)
{
    pthread_mutex_lock(&table.lock);
    size_t count = table.count;
    pthread_mutex_unlock(&table.lock);
    return count;
}

const struct obs_series *obs__series_at(size_t i)
{
    return &table.rows[i]; /* rows below the count are never changed */
}

void obs_series_add(unsigned series, int64_t n)
{
    MS_ASSERT(series < OBS_CELLS_MAX);
    obs__cell_add(series, (uint64_t)n);
}

void obs_series_observe(unsigned series, uint64_t value)
{
    MS_ASSERT(series + HIST_CELLS <= OBS_CELLS_MAX);
    unsigned base = kind_of[series] == OBS_BYTES ? BYTES_BITS : SECONDS_BITS;
    unsigned bits = value > 1 ? 64 - (unsigned)__builtin_clzll(value - 1) : 0; /* value <= 2^bits */
    unsigned at = bits <= base ? 0 : (bits - base + 1) / 2;
    obs__cell_add(series + MS_MIN(at, (unsigned)OBS_BOUNDS), 1);
    obs__cell_add(series + OBS_BOUNDS + 1, value);
}

int64_t obs_series_get(unsigned series)
{
    uint64_t sum;
    MS_ASSERT(series < OBS_CELLS_MAX);
    bool hist = is_hist((enum obs_family_kind)kind_of[series]);
    obs__cells_sum(hist ? series + OBS_BOUNDS + 1 : series, 1, &sum);
    return (int64_t)sum;
}

uint64_t obs_series_count(unsigned series)
{
    uint64_t cells[OBS_BOUNDS + 1], count = 0;
    MS_ASSERT(series + HIST_CELLS <= OBS_CELLS_MAX);
    obs__cells_sum(series, OBS_BOUNDS + 1, cells);
    for (size_t i = 0; i <= OBS_BOUNDS; i++)
        count += cells[i];
    return count;
}

double obs__bound(enum obs_family_kind kind, unsigned i)
{
    if (kind == OBS_BYTES)
        return (double)((uint64_t)1 << (BYTES_BITS + 2 * i));
    return (double)((uint64_t)1 << (SECONDS_BITS + 2 * i)) / 1e6;
}
