/* jobctl_model.h - a small world around the scheduler, and the model's own idea of what is to be done in it (semantics 4.5, 5). */
#ifndef TEST_JOBCTL_MODEL_H
#define TEST_JOBCTL_MODEL_H

#include "jobctl_check.h"

#define ENTRIES  4
#define CHANNELS 2
#define LIMIT    2
#define STEP_US  (5 * SECOND_US)

static const struct {
    unsigned channel, host;
    enum queue_class class_;
} entries[ENTRIES] = {{0, 0, QUEUE_NORMAL}, {0, 1, QUEUE_NORMAL}, {0, 0, QUEUE_URGENT}, {1, 0, QUEUE_NORMAL}};

struct world {
    struct jobctl_sched *s;
    struct jobctl_limits limits[CHANNELS];
    uint64_t job_limit, now, wake;
    struct {
        bool is_put, is_alive, retried, wanted;
        bool waiting; /* for its deferral */
        uint64_t arrival, due;
        int job; /* -1: none */
    } e[ENTRIES];
    struct {
        bool opening, open, closing;
        unsigned in_work, entries;
        uint32_t channel;
    } j[LIMIT + 1];
    bool stopped;
};

static const struct jobctl_limits first_limits[CHANNELS] = {
    {.maxjobs = 1,
     .threaddepth = 1,
     .max_client_threads = 2,
     .by_host = true,
     .idle_us = STEP_US,
     .after = {[QUEUE_NORMAL] = {.us = 2 * STEP_US}}},
    {.maxjobs = 2, .threaddepth = 1, .max_client_threads = 1, .idle_us = 0, .life_entries = 1},
};

static inline void set_channel(struct world *w, unsigned i)
{
    uint32_t index;
    assert_int_equal(jobctl_sched_set_channel(w->s, i ? "one" : "nil", "P", &w->limits[i], w->now, &index),
                     MS_OK);
    assert_int_equal(index, i);
}

static inline void world_start(struct world *w)
{
    *w = (struct world){.s = jobctl_sched_create(10), .now = 1000 * SECOND_US, .job_limit = LIMIT};
    jobctl_sched_set_pool(w->s, "P", LIMIT);
    for (unsigned i = 0; i < CHANNELS; i++) {
        w->limits[i] = first_limits[i];
        set_channel(w, i);
    }
    for (unsigned i = 0; i < ENTRIES; i++)
        w->e[i].job = -1;
}

/* -- the model's own idea of what is to be done */
static inline uint64_t window_of(const struct world *w, unsigned n)
{
    return w->e[n].arrival + w->limits[entries[n].channel].after[entries[n].class_].us;
}

static inline bool is_ready(const struct world *w, unsigned n)
{
    return w->e[n].is_alive && w->e[n].job < 0 && (w->e[n].wanted || w->e[n].due <= w->now);
}

/* Rule 5: the first deferral that ends is for all that wait. */
static inline void deferrals_pass(struct world *w)
{
    for (unsigned n = 0; n < ENTRIES; n++)
        if (w->e[n].waiting && window_of(w, n) <= w->now)
            for (unsigned k = 0; k < ENTRIES; k++)
                w->e[k].waiting &= entries[k].channel != entries[n].channel;
}

static inline uint64_t first_window(const struct world *w, unsigned channel)
{
    uint64_t first = UINT64_MAX;
    for (unsigned n = 0; n < ENTRIES; n++)
        if (w->e[n].waiting && entries[n].channel == channel)
            first = MS_MIN(first, window_of(w, n));
    return first;
}

struct backlog {
    unsigned ready, waiting, assigned;
};
static inline struct backlog backlog_of(const struct world *w, unsigned channel, int host) /* host -1: all */
{
    struct backlog b = {0};
    for (unsigned n = 0; n < ENTRIES; n++)
        if (entries[n].channel == channel && (host < 0 || (int)entries[n].host == host)) {
            b.ready += is_ready(w, n);
            b.waiting += is_ready(w, n) && w->e[n].waiting;
            b.assigned += w->e[n].job >= 0;
        }
    return b;
}

static inline bool takes_work(const struct world *w, unsigned j)
{
    uint64_t life = w->limits[w->j[j].channel].life_entries;
    return (w->j[j].opening || w->j[j].open) && (!life || w->j[j].entries < life);
}

/* semantics 4.5, with threaddepth 1: no job would be started now. */
static inline void check_jobs(const struct world *w, unsigned channel)
{
    struct backlog b = backlog_of(w, channel, -1);
    unsigned taking = 0, here = 0, running = 0;
    for (unsigned i = 0; i <= LIMIT; i++) {
        bool is_there = w->j[i].opening || w->j[i].open || w->j[i].closing;
        running += is_there;
        here += is_there && w->j[i].channel == channel;
        taking += is_there && w->j[i].channel == channel && takes_work(w, i);
    }
    uint64_t threads = w->limits[channel].max_client_threads;
    uint64_t want = (b.ready - b.waiting + b.assigned + threads - 1) / threads;
    if (b.ready > b.waiting && want > taking)
        assert_true(here >= w->limits[channel].maxjobs || running >= w->job_limit);
    for (unsigned i = 0; i <= LIMIT && b.ready > b.waiting && here == 0;
         i++) /* who has no work lets it have the place */
        assert_false(w->j[i].open && w->j[i].in_work == 0);
}

/* No open job has a thread free for an entry that may have one: threaddepth 1, so that is each. */
static inline void check_threads(const struct world *w, unsigned n)
{
    unsigned channel = entries[n].channel;
    for (unsigned i = 0; i <= LIMIT; i++)
        if (w->j[i].open && w->j[i].channel == channel && takes_work(w, i))
            assert_true(w->j[i].in_work >= w->limits[channel].max_client_threads);
}

static inline void check_entry(const struct world *w, unsigned n)
{
    struct queue_id id = id_of(n);
    struct jobctl_reason why;
    bool is_stopped = w->stopped && entries[n].channel == 0;
    jobctl_sched_explain(w->s, &id, w->now, &why);
    if (!w->e[n].is_alive) {
        assert_int_equal(why.why, JOBCTL_WHY_UNKNOWN);
    } else if (w->e[n].job >= 0) {
        assert_int_equal(why.why, JOBCTL_WHY_IN_WORK);
    } else if (!is_ready(w, n)) {
        assert_int_equal(why.why, JOBCTL_WHY_DUE);
        assert_int_equal(why.until_us, w->e[n].due);
        assert_true(w->wake <= w->e[n].due);
    } else if (is_stopped) {
        assert_int_equal(why.why, JOBCTL_WHY_STOPPED);
    } else {
        check_threads(w, n);
        assert_int_equal(why.why == JOBCTL_WHY_DEFERRED, w->e[n].waiting);
        if (w->e[n].waiting)
            assert_int_equal(why.until_us, first_window(w, entries[n].channel));
    }
    if (w->e[n].waiting)
        assert_true(w->wake <= first_window(w, entries[n].channel));
}

static inline void check_state(const struct world *w)
{
    for (unsigned n = 0; n < ENTRIES; n++)
        check_entry(w, n);
    for (unsigned i = 0; i < CHANNELS; i++)
        if (i > 0 || !w->stopped)
            check_jobs(w, i);
}

#endif
