/*
 * A crash at any moment: a scheduler made anew from what the queue says of its entries has the same due times, windows of deferral,
 * priorities and holds as the one that went on, hands out the same entries in the same order, and what was in work is eligible at once.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "jobctl_check.h"

#define ROWS  60
#define STEPS 400

struct row { /* what the queue keeps */
    bool is_there, held;
    uint64_t arrival, due;
    unsigned attempts;
    enum queue_class class_;
    char host[8];
    int job; /* not kept: who has it */
};
struct world {
    struct jobctl_sched *s;
    uint32_t channel;
    struct row rows[ROWS];
    uint64_t now;
    unsigned seed;
};

static const struct jobctl_limits limits = {
    .maxjobs = 3,
    .filesperjob = 5,
    .threaddepth = 2,
    .max_client_threads = 2,
    .by_host = true,
    .idle_us = 10 * SECOND_US,
    .life_entries = 7,
    .after = {[QUEUE_URGENT] = {.us = SECOND_US},
              [QUEUE_NORMAL] = {.us = 20 * SECOND_US},
              [QUEUE_NONURGENT] = {.absolute = true, .us = 1100 * SECOND_US}}};

static unsigned pick(struct world *w, unsigned n)
{
    return (unsigned)rand_r(&w->seed) % n;
}

static struct jobctl_sched *sched_new(const struct jobctl_limits *l, uint32_t *channel_out)
{
    struct jobctl_sched *s = jobctl_sched_create(1000);
    jobctl_sched_set_pool(s, "P", 4);
    assert_int_equal(jobctl_sched_set_channel(s, "c", "P", l, 0, channel_out), MS_OK);
    return s;
}

static void tell(struct jobctl_sched *s, uint32_t channel, const struct row *row, uint64_t n, uint64_t now)
{
    struct jobctl_entry e = {.id = id_of(n),
                             .arrival_us = row->arrival,
                             .due_us = row->due,
                             .class_ = row->class_,
                             .recipients = 1,
                             .held = row->held,
                             .is_retry = row->attempts > 0,
                             .host = slice_cstr(row->host)};
    assert_int_equal(jobctl_sched_put(s, channel, &e, now), MS_OK);
}

static struct jobctl_sched *rebuild(const struct world *w, const struct jobctl_limits *l)
{
    uint32_t channel;
    struct jobctl_sched *s = sched_new(l, &channel);
    for (unsigned n = 0; n < ROWS; n++)
        if (w->rows[n].is_there)
            tell(s, channel, &w->rows[n], n, w->now);
    return s;
}

static void decide(struct world *w)
{
    for (;;) {
        struct jobctl_decision d = jobctl_sched_next(w->s, w->now);
        if (d.act == JOBCTL_ACT_WAIT)
            return;
        if (d.act == JOBCTL_ACT_OPEN_JOB)
            jobctl_sched_job_opened(w->s, d.job, w->now);
        else if (d.act == JOBCTL_ACT_CLOSE_JOB)
            jobctl_sched_job_closed(w->s, d.job);
        else
            w->rows[ms_get_be64(d.id.b + 8)].job = (int)d.job;
    }
}

static void end_work(struct world *w, unsigned n, bool retry)
{
    struct row *row = &w->rows[n];
    struct queue_id id = id_of(n);
    row->attempts += retry;
    row->due = w->now + pick(w, 30) * SECOND_US;
    row->is_there = retry;
    jobctl_sched_done(w->s, (uint32_t)row->job, &id, retry && !row->held, row->due, w->now);
    row->job = -1;
}

static void something_happens(struct world *w)
{
    unsigned n = pick(w, ROWS);
    struct row *row = &w->rows[n];
    w->now += pick(w, 3) * SECOND_US + 1;
    if (!row->is_there) {
        *row = (struct row){.is_there = true,
                            .arrival = w->now,
                            .class_ = (enum queue_class)pick(w, QUEUE_CLASS_COUNT),
                            .job = -1};
        snprintf(row->host, sizeof row->host, "h%u", pick(w, 4));
        tell(w->s, w->channel, row, n, w->now);
    } else if (row->job >= 0) {
        end_work(w, n, pick(w, 3) == 0);
    } else if (pick(w, 4) == 0) {
        row->held = !row->held;
        tell(w->s, w->channel, row, n, w->now);
    } else if (pick(w, 10) == 0) {
        struct queue_id id = id_of(n);
        row->is_there = false;
        jobctl_sched_gone(w->s, &id);
    }
    decide(w);
}

static uint64_t own_window(const struct row *row)
{
    const struct jobctl_after *after = &limits.after[row->class_];
    if (row->attempts || !after->us)
        return 0;
    return after->absolute ? MS_MAX(after->us, row->arrival) : row->arrival + after->us;
}

static void compare(const struct world *w)
{
    struct jobctl_sched *again = rebuild(w, &limits);
    for (unsigned n = 0; n < ROWS; n++) {
        const struct row *row = &w->rows[n];
        struct queue_id id = id_of(n);
        struct jobctl_reason before, after;
        jobctl_sched_explain(w->s, &id, w->now, &before);
        jobctl_sched_explain(again, &id, w->now, &after);
        if (!row->is_there || row->held) {
            assert_int_equal(after.why, JOBCTL_WHY_UNKNOWN);
            assert_true(before.why == JOBCTL_WHY_UNKNOWN || row->job >= 0);
            continue;
        }
        assert_int_equal(after.why == JOBCTL_WHY_DUE, row->due > w->now);
        if (before.why == JOBCTL_WHY_DUE)
            assert_int_equal(after.until_us, before.until_us);
        if (before.why == JOBCTL_WHY_DEFERRED) /* rule 9: windows are those of the arrival */
            assert_true(after.why == JOBCTL_WHY_DEFERRED && after.until_us > w->now);
        if (after.why == JOBCTL_WHY_DEFERRED)
            assert_true(own_window(row) > w->now && after.until_us <= own_window(row));
        if (row->job >= 0 && own_window(row) <= w->now && row->due <= w->now)
            assert_true(after.why != JOBCTL_WHY_DUE && after.why != JOBCTL_WHY_DEFERRED);
    }
    jobctl_sched_destroy(&again);
}

static void run(unsigned seed)
{
    struct world w = {.now = 1000 * SECOND_US, .seed = seed};
    w.s = sched_new(&limits, &w.channel);
    for (unsigned i = 0; i < STEPS; i++) {
        something_happens(&w);
        compare(&w);
    }
    jobctl_sched_destroy(&w.s);
}

static void test_same_times(void **state)
{
    for (unsigned seed = 1; seed <= 60; seed++)
        run(seed);
}

/* One job with one thread, no deferral: the order in which all that is there now goes out. */
static void order_of(struct jobctl_sched *s, uint64_t now, struct str *out)
{
    str_reset(out);
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
            str_addf(out, "%llu ", (unsigned long long)ms_get_be64(d.id.b + 8));
            jobctl_sched_done(s, d.job, &d.id, false, 0, now);
        }
    }
}

static void test_same_order(void **state)
{
    static const struct jobctl_limits one = {
        .maxjobs = 1, .threaddepth = UNSET, .max_client_threads = 1, .idle_us = 10 * SECOND_US};
    struct str before, after;
    str_init(&before, 0);
    str_init(&after, 0);
    for (unsigned seed = 1; seed <= 60; seed++) {
        struct world w = {.now = 1000 * SECOND_US, .seed = seed};
        w.s = sched_new(&one, &w.channel);
        for (unsigned i = 0; i < STEPS; i++)
            something_happens(&w);
        for (unsigned n = 0; n < ROWS; n++)
            if (w.rows[n].is_there && w.rows[n].job >= 0)
                end_work(&w, n, false);
        struct jobctl_sched *again = rebuild(&w, &one);
        order_of(w.s, w.now, &before);
        order_of(again, w.now, &after);
        assert_string_equal(str_cstr(&before), str_cstr(&after));
        jobctl_sched_destroy(&again);
        jobctl_sched_destroy(&w.s);
    }
    str_fini(&after);
    str_fini(&before);
}

/* effect: channels.*.minjobs, channels.*.idle_timeout, channels.*.max_life_time, channels.*.max_life_entries */
static void test_life(void **state)
{
    uint32_t chan;
    struct jobctl_sched *s = jobctl_sched_create(100);
    struct jobctl_limits l = channel(5, 1, UNSET, 1);
    struct jobctl_job_view job;
    l.minjobs = 2;
    l.life_us = 100 * SECOND_US;
    l.life_entries = 3;
    jobctl_sched_set_pool(s, "P", 10);
    assert_int_equal(jobctl_sched_set_channel(s, "c", "P", &l, 0, &chan), MS_OK);
    assert_int_equal(settle(s, SECOND_US, NULL), 2); /* without work */
    for (unsigned n = 1; n <= 5; n++)
        put(s, chan, n, QUEUE_NORMAL, n, 0);
    assert_int_equal(settle(s, 2 * SECOND_US, NULL), 3);
    for (uint32_t i = 0; i < 5; i++) {
        assert_true(jobctl_sched_job_view(s, i, &job));
        assert_int_equal(job.in_work, 1);
    }
    for (unsigned n = 1; n <= 5; n++)
        for (uint32_t i = 0; i < 5; i++) {
            struct queue_id id = id_of(n);
            struct jobctl_reason why;
            jobctl_sched_explain(s, &id, 0, &why);
            if (why.why == JOBCTL_WHY_IN_WORK && why.job == i)
                jobctl_sched_done(s, i, &id, false, 0, 3 * SECOND_US);
        }
    settle(s, 62 * SECOND_US, NULL);
    assert_int_equal(jobctl_sched_jobs(s, chan), 5);
    settle(s, 63 * SECOND_US, NULL); /* the lingering ends; two stay */
    assert_int_equal(jobctl_sched_jobs(s, chan), 2);
    assert_int_equal(settle(s, 102 * SECOND_US, NULL), 2); /* too old: replaced */
    assert_int_equal(jobctl_sched_jobs(s, chan), 2);
    l.minjobs = 0;
    assert_int_equal(jobctl_sched_set_channel(s, "c", "P", &l, 103 * SECOND_US, &chan), MS_OK);
    settle(s, 170 * SECOND_US, NULL);
    assert_int_equal(jobctl_sched_jobs(s, chan), 0);
    for (unsigned n = 11; n <= 14; n++) { /* one after the other: the third is the job's last */
        struct queue_id id = id_of(n);
        unsigned assigned = 0;
        put(s, chan, n, QUEUE_NORMAL, n, 0);
        assert_int_equal(settle(s, 180 * SECOND_US, &assigned), n == 11 || n == 14);
        assert_int_equal(assigned, 1);
        struct jobctl_reason why;
        jobctl_sched_explain(s, &id, 0, &why);
        jobctl_sched_done(s, why.job, &id, false, 0, 180 * SECOND_US);
    }
    jobctl_sched_destroy(&s);
}

/* A stopped channel starts nothing, and loses nothing. */
static void test_stop(void **state)
{
    uint32_t chan;
    unsigned assigned = 0;
    struct jobctl_sched *s = jobctl_sched_create(100);
    struct jobctl_limits l = channel(5, 1, UNSET, 1);
    jobctl_sched_set_pool(s, "P", 10);
    assert_int_equal(jobctl_sched_set_channel(s, "c", "P", &l, 0, &chan), MS_OK);
    jobctl_sched_stop_channel(s, chan, true);
    put(s, chan, 1, QUEUE_NORMAL, 1, 0);
    assert_int_equal(settle(s, SECOND_US, &assigned), 0);
    struct queue_id id = id_of(1);
    struct jobctl_reason why;
    jobctl_sched_explain(s, &id, SECOND_US, &why);
    assert_int_equal(why.why, JOBCTL_WHY_STOPPED);
    jobctl_sched_stop_channel(s, chan, false);
    assert_int_equal(settle(s, SECOND_US, &assigned), 1);
    assert_int_equal(assigned, 1);
    jobctl_sched_destroy(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_times),
        cmocka_unit_test(test_same_order),
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
