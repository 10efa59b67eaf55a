/*
 * simulate_record.c - what is kept of a run over time: looks at equal distances. Without a distance that
 * was asked for it is fine at first and grows whenever there are too many, so that a run of a second and
 * one of a year both have some hundreds.
 */
#include "simulate.h"

#define MS   1000ull
#define SEC  (1000 * MS)
#define MIN  (60 * SEC)
#define HOUR (60 * MIN)
#define DAY  (24 * HOUR)

/* Of a channel, when the step is ours: a multiple of each factor from one step to the next. */
#define FREE_POINTS 2520

/* Each divides the next. */
static const uint64_t steps[] = {10 * MS,  20 * MS,  100 * MS, 200 * MS,  SEC,      2 * SEC,
                                 10 * SEC, 30 * SEC, MIN,      2 * MIN,   10 * MIN, 30 * MIN,
                                 HOUR,     2 * HOUR, 6 * HOUR, 12 * HOUR, DAY,      7 * DAY};
/* What people like to read. */
static const uint64_t liked[] = {10 * MS,  20 * MS,  50 * MS,  100 * MS, 200 * MS,  500 * MS, SEC,
                                 2 * SEC,  5 * SEC,  10 * SEC, 15 * SEC, 20 * SEC,  30 * SEC, MIN,
                                 2 * MIN,  5 * MIN,  10 * MIN, 15 * MIN, 20 * MIN,  30 * MIN, HOUR,
                                 2 * HOUR, 3 * HOUR, 4 * HOUR, 6 * HOUR, 12 * HOUR, DAY,      2 * DAY,
                                 7 * DAY,  14 * DAY, 28 * DAY};

static struct sim_point *at(const struct sim_record *r, size_t channel, size_t i)
{
    return &r->points[channel * r->room + i];
}

const struct sim_point *sim_record_at(const struct sim_record *r, size_t channel, size_t i)
{
    MS_ASSERT(channel < r->channels && i < r->count);
    return at(r, channel, i);
}

uint64_t sim_record_wait_max(const struct sim_record *r, size_t channel, size_t from, size_t to)
{
    uint64_t max_us = 0;
    for (size_t i = from + 1; i <= to; i++)
        max_us = MS_MAX(max_us, at(r, channel, i)->wait_max_us);
    return max_us;
}

/* Every factor-th one stays. The longest wait of those that go counts for the one behind them. */
static void thin(struct sim_record *r, size_t factor)
{
    size_t count = (r->count - 1) / factor + 1;
    for (size_t c = 0; c < r->channels; c++)
        for (size_t i = 1; i < count; i++) {
            uint64_t max_us = sim_record_wait_max(r, c, (i - 1) * factor, i * factor);
            *at(r, c, i) = *at(r, c, i * factor);
            at(r, c, i)->wait_max_us = max_us;
        }
    r->count = count;
}

/* There are FREE_POINTS and one: the last one stays. */
static void coarser(struct sim_record *r)
{
    for (size_t i = 0; i + 1 < MS_ARRAY_LEN(steps); i++)
        if (steps[i] == r->step_us) {
            thin(r, steps[i + 1] / steps[i]);
            r->step_us = steps[i + 1];
            return;
        }
    MS_UNREACHABLE(); /* 2520 weeks are more than a run may have */
}

static void look(struct sim_record *r, struct sim *s)
{
    for (size_t i = 0; i < r->channels; i++)
        sim_look(s, i, at(r, i, r->count));
    r->count++;
}

bool sim_record_run(struct sim_record *r, struct sim *s, uint64_t until_us, uint64_t step_us)
{
    *r = (struct sim_record){.channels = sim_channels(s), .room = SIM_POINTS_MAX + 1};
    r->step_us = step_us ? step_us : steps[0];
    r->points = ms_alloc_array(r->channels * r->room, sizeof *r->points);
    uint64_t at_us = 0;
    for (;;) {
        sim_run(s, at_us);
        look(r, s);
        if (sim_is_over(s))
            return true;
        if (at_us >= until_us || r->count == r->room)
            return false;
        if (!step_us && r->count > FREE_POINTS)
            coarser(r);
        at_us = MS_MIN(at_us + r->step_us, until_us);
    }
}

void sim_record_fini(struct sim_record *r)
{
    ms_free(r->points);
    *r = (struct sim_record){0};
}

size_t sim_record_stride(const struct sim_record *r, size_t rows_max)
{
    size_t stride = 1;
    if (r->count <= rows_max)
        return 1;
    for (size_t i = 0; i < MS_ARRAY_LEN(liked); i++) {
        stride = (size_t)(liked[i] / r->step_us);
        if (liked[i] % r->step_us == 0 && stride && r->count / stride < rows_max)
            return stride;
    }
    return (r->count + rows_max - 1) / rows_max;
}
