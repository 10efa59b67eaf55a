#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "jobctl_check.h"

/* effect: pool DEFAULT; class first, then arrival; a retry keeps its arrival; held entries are passed over.
 */
static void test_order(void **state)
{
    struct jobctl_sched *s = jobctl_sched_create(1000000);
    struct jobctl_limits conf = channel(1, 0, 1000000, 1);
    static const uint64_t want[] = {5, 3, 1, 2, 4};
    uint32_t chan;
    jobctl_sched_set_pool(s, "P", 1);
    assert_int_equal(jobctl_sched_set_channel(s, "c", "P", &conf, 0, &chan), MS_OK);
    put(s, chan, 1, QUEUE_NORMAL, 10, 0);
    put(s, chan, 2, QUEUE_NORMAL, 20, 0);
    put(s, chan, 3, QUEUE_URGENT, 40, 0);
    put(s, chan, 4, QUEUE_NONURGENT, 1, 0);
    put(s, chan, 5, QUEUE_URGENT, 30, 0);
    struct jobctl_entry held = {.id = id_of(6), .class_ = QUEUE_URGENT, .recipients = 1, .held = true};
    assert_int_equal(jobctl_sched_put(s, chan, &held, 0), MS_OK);
    for (size_t i = 0; i < MS_ARRAY_LEN(want);) {
        struct jobctl_decision d = jobctl_sched_next(s, 1000);
        assert_int_not_equal(d.act, JOBCTL_ACT_WAIT);
        if (d.act == JOBCTL_ACT_OPEN_JOB) {
            jobctl_sched_job_opened(s, d.job, 1000);
            continue;
        }
        struct queue_id id = id_of(want[i++]);
        assert_memory_equal(d.id.b, id.b, sizeof id.b);
        jobctl_sched_done(s, d.job, &id, false, 0, 1000);
    }
    assert_int_equal(jobctl_sched_next(s, 1000).act, JOBCTL_ACT_WAIT);
    held.held = false; /* released */
    assert_int_equal(jobctl_sched_put(s, chan, &held, 1000), MS_OK);
    assert_int_equal(jobctl_sched_next(s, 1000).act, JOBCTL_ACT_ASSIGN);
    jobctl_sched_destroy(&s);
}

static void test_retry_and_linger(void **state)
{
    struct jobctl_sched *s = jobctl_sched_create(1000000);
    struct jobctl_limits conf = channel(1, 0, 10, 1);
    struct queue_id id = id_of(1);
    uint32_t chan;
    jobctl_sched_set_pool(s, "P", 1);
    assert_int_equal(jobctl_sched_set_channel(s, "c", "P", &conf, 0, &chan), MS_OK);
    put(s, chan, 1, QUEUE_NORMAL, 1, 0);
    settle(s, 1000, NULL);
    jobctl_sched_done(s, 0, &id, true, 5000000, 2000);
    struct jobctl_decision d = jobctl_sched_next(s, 2000);
    assert_int_equal(d.act, JOBCTL_ACT_WAIT);
    assert_int_equal(d.wake_us, 5000000);
    unsigned assigned = 0;
    assert_int_equal(settle(s, 5000000, &assigned), 0); /* the job that lingers takes it */
    assert_int_equal(assigned, 1);
    jobctl_sched_gone(s, &id); /* deleted by the operator while in work */
    jobctl_sched_done(s, 0, &id, true, 6000000, 5000000);
    assert_int_equal(jobctl_sched_count(s), 0);
    d = jobctl_sched_next(s, 6000000);
    assert_int_equal(d.act, JOBCTL_ACT_WAIT);
    d = jobctl_sched_next(s, d.wake_us);
    assert_int_equal(d.act, JOBCTL_ACT_CLOSE_JOB);
    jobctl_sched_job_closed(s, d.job);
    assert_int_equal(jobctl_sched_jobs(s, chan), 0);
    assert_int_equal(jobctl_sched_next(s, UINT64_MAX - 1).wake_us, UINT64_MAX);
    jobctl_sched_gone(s, &id); /* nothing there: nothing happens */
    jobctl_sched_destroy(&s);
}

/* Opens jobs; the next entry that is assigned, 0: none. */
static uint64_t next_assigned(struct jobctl_sched *s, uint64_t now, uint32_t *job_out)
{
    for (;;) {
        struct jobctl_decision d = jobctl_sched_next(s, now);
        if (d.act == JOBCTL_ACT_WAIT)
            return 0;
        if (d.act == JOBCTL_ACT_OPEN_JOB) {
            jobctl_sched_job_opened(s, d.job, now);
        } else if (d.act == JOBCTL_ACT_CLOSE_JOB) {
            jobctl_sched_job_closed(s, d.job);
        } else {
            *job_out = d.job;
            return ms_get_be64(d.id.b + 8);
        }
    }
}

static struct jobctl_sched *one_at_a_time(struct jobctl_limits *conf, uint32_t *chan_out)
{
    struct jobctl_sched *s = jobctl_sched_create(1000000);
    *conf = channel(1, 0, 1000000, 1);
    jobctl_sched_set_pool(s, "P", 1);
    assert_int_equal(jobctl_sched_set_channel(s, "c", "P", conf, 0, chan_out), MS_OK);
    return s;
}

/* semantics 7: what the operator wants to go goes at once, ahead of all others; only this once. */
static void test_run(void **state)
{
    static const uint64_t order[] = {4, 3, 1, 2};
    struct jobctl_limits conf;
    uint32_t chan, job = 0;
    struct jobctl_sched *s = one_at_a_time(&conf, &chan);
    struct queue_id id = id_of(4), none = id_of(99);
    put(s, chan, 1, QUEUE_URGENT, 10, 0);
    put(s, chan, 2, QUEUE_NORMAL, 20, 0);
    put(s, chan, 3, QUEUE_NORMAL, 30, 0);
    put(s, chan, 4, QUEUE_THIRDCLASS, 5, 900000000); /* backs off for long */
    assert_int_equal(jobctl_sched_run(s, &none, 1000), MS_ENOTFOUND);
    assert_int_equal(jobctl_sched_run(s, &id, 1000), MS_OK);
    id = id_of(3);
    assert_int_equal(jobctl_sched_run(s, &id, 1000), MS_OK);
    put(s, chan, 4, QUEUE_THIRDCLASS, 5, 900000000); /* a late note of the queue does not undo it */
    for (size_t i = 0; i < MS_ARRAY_LEN(order); i++) {
        assert_int_equal(next_assigned(s, 1000, &job), order[i]);
        id = id_of(order[i]);
        assert_true(jobctl_sched_is_assigned(s, &id));
        assert_int_equal(jobctl_sched_run(s, &id, 1000), MS_EBUSY);
        jobctl_sched_done(s, job, &id, order[i] == 4, 800000000, 1000);
        assert_false(jobctl_sched_is_assigned(s, &id));
    }
    assert_int_equal(next_assigned(s, 1000, &job), 0); /* 4 waits for its new time like any other */
    assert_int_equal(next_assigned(s, 800000000, &job), 4);
    jobctl_sched_destroy(&s);
}

static void test_take(void **state)
{
    struct jobctl_limits conf;
    uint32_t chan, job = 0;
    struct jobctl_sched *s = one_at_a_time(&conf, &chan);
    struct queue_id one = id_of(1), two = id_of(2), held = id_of(3);
    put(s, chan, 1, QUEUE_NORMAL, 10, 0);
    put(s, chan, 2, QUEUE_NORMAL, 20, 5000000);
    assert_int_equal(jobctl_sched_take(s, &one), MS_OK);
    assert_int_equal(jobctl_sched_take(s, &one), MS_EBUSY);
    assert_int_equal(jobctl_sched_run(s, &one, 1000), MS_EBUSY);
    assert_int_equal(jobctl_sched_take(s, &two), MS_OK);
    assert_int_equal(next_assigned(s, 6000000, &job), 0);
    jobctl_sched_give_back(s, &two, 1000); /* waits for its time again */
    assert_int_equal(next_assigned(s, 1000, &job), 0);
    assert_int_equal(next_assigned(s, 6000000, &job), 2);
    assert_int_equal(jobctl_sched_take(s, &two), MS_EBUSY); /* a job has it */
    jobctl_sched_done(s, job, &two, false, 0, 6000000);
    jobctl_sched_give_back(s, &one, 6000000);
    assert_int_equal(next_assigned(s, 6000000, &job), 1);
    jobctl_sched_done(s, job, &one, true, 0, 6000000);
    /* Gone, or held, while it was taken. */
    assert_int_equal(jobctl_sched_take(s, &one), MS_OK);
    jobctl_sched_gone(s, &one);
    jobctl_sched_give_back(s, &one, 6000000);
    assert_int_equal(jobctl_sched_count(s), 0);
    /* One that is not there: held ones are reserved as well. */
    assert_int_equal(jobctl_sched_take(s, &held), MS_OK);
    put(s, chan, 3, QUEUE_URGENT, 1, 0); /* released meanwhile */
    assert_int_equal(next_assigned(s, 6000000, &job), 0);
    jobctl_sched_give_back(s, &held, 6000000);
    assert_int_equal(next_assigned(s, 6000000, &job), 3);
    jobctl_sched_done(s, job, &held, false, 0, 6000000);
    assert_int_equal(jobctl_sched_take(s, &held), MS_OK);
    jobctl_sched_give_back(s, &held, 6000000);
    assert_int_equal(jobctl_sched_count(s), 0);
    jobctl_sched_destroy(&s);
}

/* Held entries are not tracked, wherever they were when the hold came. */
static void test_hold(void **state)
{
    struct jobctl_limits conf;
    uint32_t chan, job = 0;
    struct jobctl_sched *s = one_at_a_time(&conf, &chan);
    for (uint64_t due = 0; due < 20000000; due += 10000000) {
        struct jobctl_entry e = {
            .id = id_of(1), .due_us = due, .class_ = QUEUE_NORMAL, .recipients = 1, .held = true};
        put(s, chan, 1, QUEUE_NORMAL, 1, due);
        assert_int_equal(jobctl_sched_put(s, chan, &e, 0), MS_OK);
        assert_int_equal(jobctl_sched_count(s), 0);
        assert_int_equal(jobctl_sched_run(s, &e.id, 1000), MS_ENOTFOUND);
        put(s, chan, 1, QUEUE_NORMAL, 1, due); /* released */
        assert_int_equal(next_assigned(s, 30000000, &job), 1);
        assert_int_equal(jobctl_sched_put(s, chan, &e, 0), MS_OK);
        jobctl_sched_done(s, job, &e.id, true, 0, 30000000);
        assert_int_equal(jobctl_sched_count(s), 0);
        put(s, chan, 1, QUEUE_NORMAL, 1, due);
        assert_int_equal(next_assigned(s, 30000000, &job), 1);
        assert_int_equal(jobctl_sched_put(s, chan, &e, 0), MS_OK);
        put(s, chan, 1, QUEUE_NORMAL, 1, due); /* held and released while a job had it */
        jobctl_sched_done(s, job, &e.id, true, 0, 30000000);
        assert_int_equal(next_assigned(s, 30000000, &job), 1);
        jobctl_sched_done(s, job, &e.id, false, 0, 30000000);
    }
    jobctl_sched_destroy(&s);
}

/* Random events: never more jobs than the caps, nothing assigned twice, nothing left over, nothing starves.
 */
struct work {
    uint64_t n;
    uint32_t job;
};

static void run_random(unsigned seed)
{
    struct jobctl_sched *s = jobctl_sched_create(1000000);
    struct jobctl_limits conf[2] = {
        channel(1 + rand_r(&seed) % 4, rand_r(&seed) % 5, 1 + rand_r(&seed) % 9, 1 + rand_r(&seed) % 3),
        channel(1 + rand_r(&seed) % 4, rand_r(&seed) % 5, 1 + rand_r(&seed) % 9, 1 + rand_r(&seed) % 3)};
    uint64_t limit = 1 + rand_r(&seed) % 5, now = 1, next = 1, alive = 0;
    struct work work[64];
    size_t working = 0;
    uint32_t chan[2];
    jobctl_sched_set_pool(s, "P", limit);
    for (int i = 0; i < 2; i++)
        assert_int_equal(jobctl_sched_set_channel(s, i ? "b" : "a", "P", &conf[i], 0, &chan[i]), MS_OK);
    for (int step = 0; step < 2000 || alive; step++) {
        now += (uint64_t)rand_r(&seed) % 1000000;
        if (step < 2000 && rand_r(&seed) % 3 == 0) {
            put(s, chan[rand_r(&seed) % 2], next++, (enum queue_class)(rand_r(&seed) % QUEUE_CLASS_COUNT),
                now, now + (uint64_t)rand_r(&seed) % 3000000);
            alive++;
        } else if (working && rand_r(&seed) % 2) {
            size_t at = (size_t)rand_r(&seed) % working;
            bool retry = step < 2000 && rand_r(&seed) % 4 == 0;
            struct queue_id id = id_of(work[at].n);
            jobctl_sched_done(s, work[at].job, &id, retry, now + 100000, now);
            alive -= !retry;
            work[at] = work[--working];
        }
        for (;;) {
            struct jobctl_decision d = jobctl_sched_next(s, now);
            if (d.act == JOBCTL_ACT_WAIT) {
                if (!working && step >= 2000 && alive) {
                    assert_int_not_equal(d.wake_us, UINT64_MAX); /* something is left: it must have a time */
                    now = d.wake_us;
                    continue;
                }
                break;
            }
            if (d.act == JOBCTL_ACT_OPEN_JOB) {
                jobctl_sched_job_opened(s, d.job, now);
                assert_true(jobctl_sched_jobs(s, 0) + jobctl_sched_jobs(s, 1) <= limit);
                assert_true(jobctl_sched_jobs(s, d.channel) <= conf[d.channel].maxjobs);
            } else if (d.act == JOBCTL_ACT_CLOSE_JOB) {
                jobctl_sched_job_closed(s, d.job);
            } else {
                uint64_t n = ms_get_be64(d.id.b + 8);
                for (size_t i = 0; i < working; i++)
                    assert_int_not_equal(work[i].n, n);
                assert_true(working < MS_ARRAY_LEN(work));
                work[working++] = (struct work){n, d.job};
            }
        }
    }
    assert_int_equal(jobctl_sched_count(s), 0);
    jobctl_sched_destroy(&s);
}

static void test_random(void **state)
{
    for (unsigned seed = 1; seed <= 40; seed++)
        run_random(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order), cmocka_unit_test(test_retry_and_linger),
        cmocka_unit_test(test_run),   cmocka_unit_test(test_take),
        cmocka_unit_test(test_hold),  cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
