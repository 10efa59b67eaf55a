/* Jobs that stay, and jobs that go: the least number, lingering, the end of their life, channels that are stopped. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "jobctl_check.h"

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

/* Jobs of the least number: gone when the channel is stopped, after their lingering, and back when it starts; one that reaches the end
 * of its life is replaced; when the pool is full they wait for a place like others. */
static void test_least_number(void **state)
{
    struct jobctl_limits limits = channel(3, 0, UNSET, 1), other = channel(2, 1, UNSET, 1);
    struct jobctl_sched *s = jobctl_sched_create(1000);
    limits.minjobs = 2;
    limits.life_entries = 1;
    jobctl_sched_set_pool(s, "P", 2);
    uint32_t chan = add(s, "a", "P", &limits), b = add(s, "b", "P", &other);
    assert_int_equal(settle(s, 0, NULL), 2);
    settle(s, 1000 * SECOND_US, NULL);
    assert_int_equal(jobctl_sched_jobs(s, chan), 2); /* they linger for ever */
    jobctl_sched_stop_channel(s, chan, true);
    settle(s, 1001 * SECOND_US, NULL);
    assert_int_equal(jobctl_sched_jobs(s, chan), 0);
    put(s, b, 1, QUEUE_NORMAL, 1, 0);
    put(s, b, 2, QUEUE_NORMAL, 2, 0);
    assert_int_equal(settle(s, 1001 * SECOND_US, NULL), 2);
    jobctl_sched_stop_channel(s, chan, false);
    assert_int_equal(settle(s, 1001 * SECOND_US, NULL), 0); /* the pool is full */
    end(s, 1, 1001 * SECOND_US);
    assert_int_equal(settle(s, 1061 * SECOND_US, NULL), 1);
    end(s, 2, 1061 * SECOND_US);
    assert_int_equal(settle(s, 1121 * SECOND_US, NULL), 1);
    assert_int_equal(jobctl_sched_jobs(s, chan), 2);
    put(s, chan, 3, QUEUE_NORMAL, 3, 0);
    assert_int_equal(settle(s, 1122 * SECOND_US, NULL),
                     0); /* its last work; no place for another until it has gone */
    end(s, 3, 1122 * SECOND_US);
    assert_int_equal(settle(s, 1122 * SECOND_US, NULL), 1);
    assert_int_equal(jobctl_sched_jobs(s, chan), 2);
    jobctl_sched_destroy(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_life), cmocka_unit_test(test_stop),
                                       cmocka_unit_test(test_least_number)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
