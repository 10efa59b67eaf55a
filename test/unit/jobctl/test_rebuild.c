/*
 * A crash at any moment: a scheduler made anew from what the queue says of its entries - arrival, due time, attempts, class, hold -
 * against the one that went on, after each of many random events in three channels.
 *
 *   due times, windows of deferral (those of the arrival; none after an attempt) and holds are the same
 *   what was in work is eligible at once
 *   the same entries go out in the same order (priorities)
 *
 * JOBCTL_ROUNDS: how many runs (60). A failure names its seed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "jobctl_check.h"

#define ROWS     90
#define STEPS    400
#define CHANNELS 3

struct row { /* what the queue keeps */
    bool is_there, held;
    uint32_t chan;
    uint64_t arrival, due;
    unsigned attempts;
    enum queue_class class_;
    char host[8];
    int job;     /* not kept: who has it */
    bool wanted; /* not kept: the operator wants it now */
};
struct world {
    struct jobctl_sched *s;
    const struct jobctl_limits *limits; /* of each channel */
    struct row rows[ROWS];
    uint64_t now;
    unsigned seed;
};

/* Jobs by host and not, with deferrals by wait and by instant, and without. */
static const struct jobctl_limits mixed[CHANNELS] = {
    {.maxjobs = 3,
     .filesperjob = 5,
     .threaddepth = 2,
     .max_client_threads = 2,
     .by_host = true,
     .idle_us = 10 * SECOND_US,
     .life_entries = 7,
     .after = {[QUEUE_URGENT] = {.us = SECOND_US},
               [QUEUE_NORMAL] = {.us = 20 * SECOND_US},
               [QUEUE_NONURGENT] = {.absolute = true, .us = 1100 * SECOND_US}}},
    {.maxjobs = 2, .threaddepth = 3, .max_client_threads = 1, .idle_us = SECOND_US, .minjobs = 1},
    {.maxjobs = 1,
     .threaddepth = 1,
     .max_client_threads = 3,
     .after = {[QUEUE_NORMAL] = {.us = 7 * SECOND_US}, [QUEUE_THIRDCLASS] = {.us = 90 * SECOND_US}}}};

/* One job with one thread, no deferral: all that is there goes out in its order. */
#define ONE_BY_ONE                                                                                           \
    {                                                                                                        \
        .maxjobs = 1, .threaddepth = UNSET, .max_client_threads = 1, .idle_us = 10 * SECOND_US               \
    }
static const struct jobctl_limits one_by_one[CHANNELS] = {ONE_BY_ONE, ONE_BY_ONE, ONE_BY_ONE};

static unsigned pick(struct world *w, unsigned n)
{
    return (unsigned)rand_r(&w->seed) % n;
}

static struct jobctl_sched *sched_new(const struct jobctl_limits *limits)
{
    static const char *const names[CHANNELS] = {"a", "b", "c"};
    struct jobctl_sched *s = jobctl_sched_create(1000);
    uint32_t index;
    jobctl_sched_set_pool(s, "P", 4);
    for (uint32_t i = 0; i < CHANNELS; i++) {
        assert_int_equal(jobctl_sched_set_channel(s, names[i], "P", &limits[i], 0, &index), MS_OK);
        assert_int_equal(index, i);
    }
    return s;
}

static void tell(struct jobctl_sched *s, const struct row *row, uint64_t n, uint64_t now)
{
    struct jobctl_entry e = {.id = id_of(n),
                             .arrival_us = row->arrival,
                             .due_us = row->due,
                             .class_ = row->class_,
                             .recipients = 1,
                             .held = row->held,
                             .is_retry = row->attempts > 0,
                             .host = slice_cstr(row->host)};
    assert_int_equal(jobctl_sched_put(s, row->chan, &e, now), MS_OK);
}

static struct jobctl_sched *rebuild(const struct world *w)
{
    struct jobctl_sched *s = sched_new(w->limits);
    for (unsigned n = 0; n < ROWS; n++)
        if (w->rows[n].is_there)
            tell(s, &w->rows[n], n, w->now);
    return s;
}

static void decide(struct world *w)
{
    for (;;) {
        struct jobctl_decision d = jobctl_sched_next(w->s, w->now);
        if (d.act == JOBCTL_ACT_WAIT)
            return;
        if (d.act == JOBCTL_ACT_OPEN_JOB) {
            jobctl_sched_job_opened(w->s, d.job, w->now);
        } else if (d.act == JOBCTL_ACT_CLOSE_JOB) {
            jobctl_sched_job_closed(w->s, d.job);
        } else {
            struct row *row = &w->rows[ms_get_be64(d.id.b + 8)];
            row->job = (int)d.job;
            row->wanted = false;
        }
    }
}

static void end_work(struct world *w, unsigned n, bool retry)
{
    struct row *row = &w->rows[n];
    struct queue_id id = id_of(n);
    row->attempts += retry;
    row->due = w->now + pick(w, 30) * SECOND_US;
    row->is_there &= retry;
    jobctl_sched_done(w->s, (uint32_t)row->job, &id, retry, row->due, w->now);
    row->job = -1;
}

static void comes(struct world *w, unsigned n)
{
    struct row *row = &w->rows[n];
    *row = (struct row){.is_there = true,
                        .chan = pick(w, CHANNELS),
                        .arrival = w->now,
                        .class_ = (enum queue_class)pick(w, QUEUE_CLASS_COUNT),
                        .job = -1};
    snprintf(row->host, sizeof row->host, "h%u", pick(w, 4));
    tell(w->s, row, n, w->now);
}

static void forget(struct world *w, unsigned n)
{
    struct queue_id id = id_of(n);
    jobctl_sched_gone(w->s, &id);
    w->rows[n].is_there = false;
}

static void something_happens(struct world *w)
{
    unsigned n = pick(w, ROWS);
    struct row *row = &w->rows[n];
    struct queue_id id = id_of(n);
    w->now += pick(w, 3) * SECOND_US + 1;
    if (!row->is_there && row->job < 0) {
        comes(w, n);
    } else if (pick(w, 4) == 0) { /* in work or not */
        row->held = !row->held && row->is_there;
        row->wanted = false;
        if (row->is_there)
            tell(w->s, row, n, w->now);
    } else if (row->job >= 0) {
        end_work(w, n, pick(w, 3) == 0);
    } else if (pick(w, 10) == 0) {
        forget(w, n);
    } else if (pick(w, 10) == 0 && !row->held) {
        assert_int_equal(jobctl_sched_run(w->s, &id, w->now), MS_OK);
        row->wanted = true;
    }
    decide(w);
}

static bool is_tracked(const struct row *row)
{
    return row->is_there && !row->held;
}

/* The end of its deferral, 0: it has none. */
static uint64_t window_of(const struct world *w, const struct row *row)
{
    const struct jobctl_after *after = &w->limits[row->chan].after[row->class_];
    if (!is_tracked(row) || row->attempts || !after->us || row->due > w->now)
        return 0;
    uint64_t end = after->absolute ? MS_MAX(after->us, row->arrival) : row->arrival + after->us;
    return end > w->now ? end : 0;
}

static uint64_t first_window(const struct world *w, uint32_t chan)
{
    uint64_t first = UINT64_MAX;
    for (unsigned n = 0; n < ROWS; n++)
        if (w->rows[n].chan == chan && window_of(w, &w->rows[n]))
            first = MS_MIN(first, window_of(w, &w->rows[n]));
    return first;
}

static void compare_row(const struct world *w, const struct row *row, const struct jobctl_reason *before,
                        const struct jobctl_reason *after)
{
    if (!is_tracked(row)) {
        assert_int_equal(after->why, JOBCTL_WHY_UNKNOWN);
        assert_int_equal(before->why, row->job >= 0 ? JOBCTL_WHY_IN_WORK : JOBCTL_WHY_UNKNOWN);
        return;
    }
    assert_int_equal(before->why == JOBCTL_WHY_IN_WORK, row->job >= 0);
    assert_int_equal(after->why == JOBCTL_WHY_DUE, row->due > w->now);
    assert_int_equal(after->why == JOBCTL_WHY_DEFERRED, window_of(w, row) > 0);
    if (row->job < 0 && !row->wanted)
        assert_int_equal(before->why == JOBCTL_WHY_DUE, row->due > w->now);
    if (before->why == JOBCTL_WHY_DUE)
        assert_true(before->until_us == row->due && after->until_us == row->due);
    if (before->why == JOBCTL_WHY_DEFERRED) /* rule 9; and what waited no longer (rule 5) waits again */
        assert_true(window_of(w, row) > 0 && before->until_us >= after->until_us);
    if (after->why == JOBCTL_WHY_DEFERRED)
        assert_int_equal(after->until_us, first_window(w, row->chan));
}

static void compare(const struct world *w)
{
    struct jobctl_sched *again = rebuild(w);
    for (unsigned n = 0; n < ROWS; n++) {
        struct queue_id id = id_of(n);
        struct jobctl_reason before, after;
        jobctl_sched_explain(w->s, &id, w->now, &before);
        jobctl_sched_explain(again, &id, w->now, &after);
        compare_row(w, &w->rows[n], &before, &after);
    }
    jobctl_sched_destroy(&again);
}

static struct world world_new(unsigned seed, const struct jobctl_limits *limits)
{
    struct world w = {.s = sched_new(limits), .limits = limits, .now = 1000 * SECOND_US, .seed = seed};
    for (unsigned n = 0; n < ROWS; n++)
        w.rows[n].job = -1;
    seed_now = seed;
    return w;
}

static void test_same_times(void **state)
{
    for (unsigned seed = 1; seed <= rounds(60); seed++) {
        struct world w = world_new(seed, mixed);
        for (unsigned i = 0; i < STEPS; i++) {
            something_happens(&w);
            compare(&w);
        }
        jobctl_sched_destroy(&w.s);
    }
    seed_now = 0;
}

/* The order in which all that there is goes out, channel by channel. */
static void order_of(struct jobctl_sched *s, uint64_t now, struct str out[CHANNELS])
{
    for (unsigned i = 0; i < CHANNELS; i++)
        str_reset(&out[i]);
    for (unsigned i = 0; i < 10000; i++) {
        struct jobctl_decision d = jobctl_sched_next(s, now);
        if (d.act == JOBCTL_ACT_WAIT && (d.wake_us == UINT64_MAX || jobctl_sched_count(s) == 0))
            return;
        if (d.act == JOBCTL_ACT_WAIT) {
            now = d.wake_us;
        } else if (d.act == JOBCTL_ACT_OPEN_JOB) {
            jobctl_sched_job_opened(s, d.job, now);
        } else if (d.act == JOBCTL_ACT_CLOSE_JOB) {
            jobctl_sched_job_closed(s, d.job);
        } else {
            str_addf(&out[d.channel], "%llu ", (unsigned long long)ms_get_be64(d.id.b + 8));
            jobctl_sched_done(s, d.job, &d.id, false, 0, now);
        }
    }
}

static void test_same_order(void **state)
{
    struct str before[CHANNELS], after[CHANNELS];
    for (unsigned i = 0; i < CHANNELS; i++) {
        str_init(&before[i], 0);
        str_init(&after[i], 0);
    }
    for (unsigned seed = 1; seed <= rounds(60); seed++) {
        struct world w = world_new(seed, one_by_one);
        for (unsigned i = 0; i < STEPS; i++)
            something_happens(&w);
        for (unsigned n = 0; n < ROWS; n++) /* a wish of the operator is not kept */
            if (w.rows[n].job >= 0)
                end_work(&w, n, false);
            else if (is_tracked(&w.rows[n]) && w.rows[n].wanted)
                forget(&w, n);
        struct jobctl_sched *again = rebuild(&w);
        order_of(w.s, w.now, before);
        order_of(again, w.now, after);
        for (unsigned i = 0; i < CHANNELS; i++) {
            assert_true(before[i].len > 0);
            assert_string_equal(str_cstr(&before[i]), str_cstr(&after[i]));
        }
        jobctl_sched_destroy(&again);
        jobctl_sched_destroy(&w.s);
    }
    for (unsigned i = 0; i < CHANNELS; i++) {
        str_fini(&before[i]);
        str_fini(&after[i]);
    }
    seed_now = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_same_times, seed_tell),
        cmocka_unit_test_teardown(test_same_order, seed_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
