/* The worked examples of the reference for the deferral of jobs, A1-A10 (semantics 5), and its rules. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "jobctl_check.h"
#include "ms/jobctl.h"

/* -- semantics 5: channel normalafter +60 urgentafter +5 nonurgentafter 4000 */
struct defer {
    struct jobctl_sched *s;
    uint32_t chan;
    uint64_t next, removed;
};

static struct defer defer_start(void)
{
    struct defer d = {.s = jobctl_sched_create(1000000)};
    struct jobctl_limits limits = channel(10, 100, 10, 10);
    limits.after[QUEUE_NORMAL] = (struct jobctl_after){.us = 60 * SECOND_US};
    limits.after[QUEUE_URGENT] = (struct jobctl_after){.us = 5 * SECOND_US};
    limits.after[QUEUE_NONURGENT] = (struct jobctl_after){.absolute = true, .us = 4000 * SECOND_US};
    jobctl_sched_set_pool(d.s, "P", 100);
    assert_int_equal(jobctl_sched_set_channel(d.s, "c", "P", &limits, 0, &d.chan), MS_OK);
    return d;
}

static void arrive(struct defer *d, enum queue_class class_, uint64_t second)
{
    struct jobctl_entry e = {
        .id = id_of(++d->next), .arrival_us = second * SECOND_US, .class_ = class_, .recipients = 1};
    assert_int_equal(jobctl_sched_put(d->s, d->chan, &e, second * SECOND_US), MS_OK);
    settle(d->s, second * SECOND_US, NULL);
}

/* All entries that are in work end; how many. */
static unsigned end_all(struct defer *d, uint64_t second)
{
    unsigned ended = 0;
    for (uint64_t n = 1; n <= d->next; n++) {
        struct queue_id id = id_of(n);
        struct jobctl_reason why;
        jobctl_sched_explain(d->s, &id, second * SECOND_US, &why);
        if (why.why != JOBCTL_WHY_IN_WORK)
            continue;
        jobctl_sched_done(d->s, why.job, &id, false, 0, second * SECOND_US);
        ended++;
    }
    return ended;
}

/* Nothing starts a moment before; at the time so many jobs have started, with so many threads, and take all entries. */
static void starts(struct defer *d, uint64_t second, unsigned jobs, unsigned threads)
{
    unsigned assigned = 0, more = 0;
    if (jobctl_sched_jobs(d->s, d->chan) == 0 && jobctl_sched_count(d->s)) {
        struct jobctl_decision w = jobctl_sched_next(d->s, second * SECOND_US - 1);
        assert_int_equal(w.act, JOBCTL_ACT_WAIT);
        assert_int_equal(w.wake_us, second * SECOND_US);
    }
    assert_int_equal(settle(d->s, second * SECOND_US, &assigned), jobs);
    assert_int_equal(assigned, threads);
    while (end_all(d, second))
        assert_int_equal(settle(d->s, second * SECOND_US, &more), 0);
    assert_int_equal(assigned + more, d->next - d->removed);
    assert_int_equal(jobctl_sched_count(d->s), 0);
    jobctl_sched_destroy(&d->s);
}

/* effect: channels.*.after, channels.*.urgentafter, channels.*.normalafter, channels.*.nonurgentafter,
 * channels.*.secondclassafter, channels.*.thirdclassafter */
static void test_deferral(void **state)
{
    struct defer d = defer_start();
    /* now = 1000; channel `normalafter +60 urgentafter +5 nonurgentafter 4000` */
    arrive(&d, QUEUE_NORMAL, 1000); /* A1 | normal at 1000 | 1060 */
    starts(&d, 1060, 1, 1);

    d = defer_start();
    arrive(&d, QUEUE_NORMAL, 1000); /* A2 | normal at 1000, normal at 1050 | 1060, takes both */
    arrive(&d, QUEUE_NORMAL, 1050);
    starts(&d, 1060, 1, 1);

    d = defer_start();
    arrive(&d, QUEUE_NORMAL, 1000); /* A3 | normal at 1000, urgent at 1010 | 1015, takes both (rule 5) */
    arrive(&d, QUEUE_URGENT, 1010);
    starts(&d, 1015, 1, 1);

    d = defer_start();
    arrive(&d, QUEUE_NONURGENT, 1000); /* A4 | nonurgent at 1000 | 4000 */
    starts(&d, 4000, 1, 1);
}

static unsigned jobs_now(struct defer *d)
{
    return jobctl_sched_jobs(d->s, d->chan);
}

static void test_no_deferral(void **state)
{
    struct defer d = defer_start();
    arrive(&d, QUEUE_NONURGENT, 5000); /* A5 | nonurgent at 5000 | 5000 at once (T in the past) */
    assert_int_equal(jobs_now(&d), 1);
    jobctl_sched_destroy(&d.s);

    d = defer_start();
    arrive(&d, QUEUE_SECONDCLASS, 1000); /* A6 | secondclass at 1000 (no setting) | 1000 */
    assert_int_equal(jobs_now(&d), 1);
    jobctl_sched_destroy(&d.s);

    d = defer_start(); /* A7 | job idle-lingering at 1000, normal arrives at 1001 | 1001, no new job (rule 6) */
    struct queue_id id = id_of(1);
    arrive(&d, QUEUE_SECONDCLASS, 999);
    jobctl_sched_done(d.s, 0, &id, false, 0, 999 * SECOND_US);
    arrive(&d, QUEUE_NORMAL, 1001);
    id = id_of(2);
    assert_true(jobctl_sched_is_assigned(d.s, &id));
    assert_int_equal(jobs_now(&d), 1);
    jobctl_sched_destroy(&d.s);
}

/* A8: 400 normal messages arrive from 1000 to 1059: at 1060 4 jobs with 10 threads each. */
static void test_deferred_crowd(void **state)
{
    struct defer d = defer_start();
    for (unsigned i = 0; i < 400; i++)
        arrive(&d, QUEUE_NORMAL, 1000 + i * 59 / 399);
    assert_int_equal(jobs_now(&d), 0);
    starts(&d, 1060, 4, 40);
}

/* A9: `after 60` copied from PMDF: T=60 is 1970 -> no deferral (the warning: test/system/jobs.py). */
static void test_after_of_1970(void **state)
{
    struct defer d = defer_start();
    struct jobctl_limits limits = channel(1, 0, 10, 1);
    for (unsigned i = 0; i < QUEUE_CLASS_COUNT; i++)
        limits.after[i] = (struct jobctl_after){.absolute = true, .us = 60 * SECOND_US};
    assert_int_equal(jobctl_sched_set_channel(d.s, "c", "P", &limits, 0, &d.chan), MS_OK);
    arrive(&d, QUEUE_NORMAL, 1000);
    assert_int_equal(jobs_now(&d), 1);
    jobctl_sched_destroy(&d.s);
}

/* A10: urgent message of 2 MB, `urgentblocklimit 1024`: treated as normal -> 1060 (rule 10). */
static void test_large_urgent(void **state)
{
    const struct channel_conf conf = {.urgent_bytes = 1024 << 10};
    const struct channel_queue_conf queue = {0};
    struct defer d = defer_start();
    arrive(&d, channel_class_of(&conf, &queue, QUEUE_URGENT, 2 << 20), 1000);
    starts(&d, 1060, 1, 1);
}

/* Rules 2, 7-9: a later message never makes an earlier one wait longer; not for retries, nor what the operator wants now;
 * when the one with the shortest wait goes, the others keep theirs; a change of limits moves no window that has begun. */
static void test_deferral_rules(void **state)
{
    struct defer d = defer_start();
    for (unsigned i = 0; i < 60; i++)
        arrive(&d, QUEUE_NORMAL, 1000 + i);
    starts(&d, 1060, 1, 6);

    d = defer_start();
    struct jobctl_entry retry = {.id = id_of(7),
                                 .arrival_us = 1000 * SECOND_US,
                                 .class_ = QUEUE_NORMAL,
                                 .recipients = 1,
                                 .is_retry = true};
    assert_int_equal(jobctl_sched_put(d.s, d.chan, &retry, 1000 * SECOND_US), MS_OK);
    assert_int_equal(settle(d.s, 1000 * SECOND_US, NULL), 1);
    jobctl_sched_destroy(&d.s);

    d = defer_start();
    struct queue_id one = id_of(1), two = id_of(2);
    arrive(&d, QUEUE_NORMAL, 1000);
    assert_int_equal(jobctl_sched_run(d.s, &one, 1001 * SECOND_US), MS_OK);
    assert_int_equal(settle(d.s, 1001 * SECOND_US, NULL), 1);
    jobctl_sched_destroy(&d.s);

    d = defer_start();
    arrive(&d, QUEUE_NORMAL, 1000);
    arrive(&d, QUEUE_URGENT, 1010);
    jobctl_sched_gone(d.s, &two);
    d.removed++;
    starts(&d, 1060, 1, 1);

    d = defer_start();
    arrive(&d, QUEUE_NORMAL, 1000);
    struct jobctl_channel_view view;
    assert_true(jobctl_sched_channel_view(d.s, d.chan, &view));
    assert_int_equal(view.waiting, 1);
    assert_int_equal(view.next_us, 1060 * SECOND_US);
    view.limits.after[QUEUE_NORMAL].us = 30 * SECOND_US;
    assert_int_equal(jobctl_sched_set_channel(d.s, "c", "P", &view.limits, 1010 * SECOND_US, &d.chan), MS_OK);
    starts(&d, 1030, 1, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deferral),       cmocka_unit_test(test_no_deferral),
        cmocka_unit_test(test_deferred_crowd), cmocka_unit_test(test_after_of_1970),
        cmocka_unit_test(test_large_urgent),   cmocka_unit_test(test_deferral_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
