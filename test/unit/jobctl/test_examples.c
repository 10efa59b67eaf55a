/* The worked examples of the reference: J1-J15 (semantics 4.8), A1-A10 (semantics 5). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "jobctl_check.h"

/* Backlog of a channel: so many entries for each of so many hosts, so many recipients in all (0: one each). */
struct host_load {
    unsigned hosts;
    unsigned each;
};
static const struct example {
    const char *name;
    uint64_t maxjobs, filesperjob, addrsperjob, threaddepth, threads, job_limit;
    bool by_host;
    struct host_load load[3];
    uint64_t recipients;
    uint64_t jobs;
    uint64_t in_work; /* 0: not looked at */
} examples[] = {
    {"J1", 4, 10, 0, UNSET, 1, 10, .load = {{1, 35}}, .jobs = 4},
    {"J2", 4, 10, 0, UNSET, 1, 10, .load = {{1, 100}}, .jobs = 4},
    {"J3", 100, 10, 0, UNSET, 1, 10, .load = {{1, 100}}, .jobs = 10},
    {"J3, JOB_LIMIT 6", 100, 10, 0, UNSET, 1, 6, .load = {{1, 100}}, .jobs = 6},
    {"J4", 100, 0, 0, 1000, 1, 10, .load = {{1, 900}}, .jobs = 1},
    {"J5", 100, 0, 0, UNSET, 1, 10, .load = {{1, 5000}}, .jobs = 1},
    {"J6, 10", 100, 10, 0, UNSET, 1, 10, .load = {{1, 10}}, .jobs = 1},
    {"J6, 11", 100, 10, 0, UNSET, 1, 10, .load = {{1, 11}}, .jobs = 2},
    {"J6, 20", 100, 10, 0, UNSET, 1, 10, .load = {{1, 20}}, .jobs = 2},
    {"J6, 21", 100, 10, 0, UNSET, 1, 10, .load = {{1, 21}}, .jobs = 3},
    {"J7", 100, 10, 100, UNSET, 1, 20, .load = {{1, 12}}, .recipients = 950, .jobs = 10},
    {"J10", 7, 0, 0, 10, 10, 10, true, {{1, 128}}, .jobs = 2, .in_work = 13},
    {"J11, 10", 7, 0, 0, 10, 10, 10, true, {{1, 10}}, .jobs = 1, .in_work = 1},
    {"J11, 11", 7, 0, 0, 10, 10, 10, true, {{1, 11}}, .jobs = 1, .in_work = 2},
    {"J11, 100", 7, 0, 0, 10, 10, 10, true, {{1, 100}}, .jobs = 1, .in_work = 10},
    {"J11, 101", 7, 0, 0, 10, 10, 10, true, {{1, 101}}, .jobs = 2, .in_work = 11},
    {"J12", 7, 0, 0, 10, 10, 10, true, {{1, 25}, {1, 3}, {1, 1}}, .jobs = 1, .in_work = 5},
    {"J13", 7, 0, 0, 128, 10, 10, true, {{1, 100}}, .jobs = 1, .in_work = 1},
    {"J14", 7, 0, 0, 10, 10, 10, true, {{15, 1}}, .jobs = 2, .in_work = 15},
    {"J15, 100 threads", 100, 100, 0, 10, 100, 10, true, {{400, 1}}, .jobs = 4, .in_work = 400},
    {"J15, 10 threads", 100, 100, 0, 10, 10, 10, true, {{400, 1}}, .jobs = 10, .in_work = 100},
};

static void load(struct jobctl_sched *s, uint32_t chan, const struct example *x)
{
    uint64_t n = 0, total = 0, left;
    char host[32];
    for (size_t i = 0; i < MS_ARRAY_LEN(x->load); i++)
        total += (uint64_t)x->load[i].hosts * x->load[i].each;
    left = x->recipients ? x->recipients : total;
    for (size_t i = 0; i < MS_ARRAY_LEN(x->load); i++)
        for (unsigned h = 0; h < x->load[i].hosts; h++)
            for (unsigned k = 0; k < x->load[i].each; k++) {
                n++;
                struct jobctl_entry e = {.id = id_of(n), .arrival_us = n, .class_ = QUEUE_NORMAL};
                e.recipients = (uint32_t)(left / (total - n + 1));
                left -= e.recipients;
                snprintf(host, sizeof host, "h%zu.%u", i, h);
                e.host = slice_cstr(host);
                assert_int_equal(jobctl_sched_put(s, chan, &e, 1000), MS_OK);
            }
    assert_int_equal(left, 0);
}

/* effect: channels.*.maxjobs, channels.*.filesperjob, channels.*.addrsperjob, channels.*.threaddepth,
 * channels.*.max_client_threads, job_controller.pools.*.job_limit, channels.*.pool */
static void test_jobs(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(examples); i++) {
        const struct example *x = &examples[i];
        struct jobctl_sched *s = jobctl_sched_create(1000000);
        struct jobctl_limits limits = channel(x->maxjobs, x->filesperjob, x->threaddepth, x->threads);
        unsigned assigned = 0;
        uint32_t chan;
        limits.addrsperjob = x->addrsperjob;
        limits.by_host = x->by_host;
        jobctl_sched_set_pool(s, "P", x->job_limit);
        assert_int_equal(jobctl_sched_set_channel(s, "c", "P", &limits, 0, &chan), MS_OK);
        load(s, chan, x);
        settle(s, 1000, &assigned);
        if (jobctl_sched_jobs(s, chan) != x->jobs || (x->in_work && assigned != x->in_work))
            fail_msg("%s: %u jobs, %u in work", x->name, jobctl_sched_jobs(s, chan), assigned);
        jobctl_sched_destroy(&s);
    }
}

static void fill(struct jobctl_sched *s, uint32_t chan, uint64_t from, uint64_t count)
{
    for (uint64_t n = from; n < from + count; n++)
        put(s, chan, n, QUEUE_NORMAL, n, 0);
}

/* J8: two channels in a pool of 10; A runs 7, B wants 5: B starts 3, the others as jobs exit. */
static void test_shared_pool(void **state)
{
    struct jobctl_sched *s = jobctl_sched_create(1000000);
    struct jobctl_limits a = channel(7, 1, UNSET, 1), b = channel(100, 1, UNSET, 1);
    struct queue_id id;
    uint32_t ca, cb;
    assert_int_equal(jobctl_sched_set_channel(s, "a", "P", &a, 0, &ca), MS_ENOTFOUND);
    jobctl_sched_set_pool(s, "P", 10);
    assert_int_equal(jobctl_sched_set_channel(s, "a", "P", &a, 0, &ca), MS_OK);
    assert_int_equal(jobctl_sched_set_channel(s, "b", "P", &b, 0, &cb), MS_OK);
    fill(s, ca, 1, 7);
    settle(s, 1000, NULL);
    assert_int_equal(jobctl_sched_jobs(s, ca), 7);
    fill(s, cb, 101, 5);
    settle(s, 1000, NULL);
    assert_int_equal(jobctl_sched_jobs(s, cb), 3);
    for (unsigned i = 1; i <= 2; i++) { /* A's jobs have nothing left; their lingering ends */
        struct jobctl_job_view job;
        id = id_of(i);
        for (uint32_t k = 0; jobctl_sched_job_view(s, k, &job); k++)
            if (k == i - 1)
                jobctl_sched_done(s, k, &id, false, 0, 1000);
    }
    settle(s, 61 * SECOND_US, NULL);
    assert_int_equal(jobctl_sched_jobs(s, ca), 5);
    assert_int_equal(jobctl_sched_jobs(s, cb), 5);
    jobctl_sched_destroy(&s);
}

/* J9: ten loaded channels in a pool of 10: possibly one job each. Ours: each one exactly, when they are alike. */
static void test_ten_channels(void **state)
{
    struct jobctl_sched *s = jobctl_sched_create(1000000);
    struct jobctl_limits limits = channel(100, 10, UNSET, 1);
    uint32_t chan[10];
    jobctl_sched_set_pool(s, "SMTP_POOL", 10);
    for (unsigned i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "tcp_%u", i);
        assert_int_equal(jobctl_sched_set_channel(s, name, "SMTP_POOL", &limits, 0, &chan[i]), MS_OK);
        for (uint64_t n = 0; n < 100; n++) {
            struct jobctl_entry e = {
                .id = id_of(1000 * (i + 1) + n), .arrival_us = n, .class_ = QUEUE_NORMAL, .recipients = 1};
            assert_int_equal(jobctl_sched_put(s, chan[i], &e, 0), MS_OK);
        }
    }
    settle(s, 1000, NULL);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(jobctl_sched_jobs(s, chan[i]), 1);
    jobctl_sched_destroy(&s);
}

/* -- semantics 5: channel normalafter +60 urgentafter +5 nonurgentafter 4000 */
struct defer {
    struct jobctl_sched *s;
    uint32_t chan;
    uint64_t next;
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

/* Nothing starts a moment before; at the time so many jobs have started and taken so many entries. */
static void starts(struct defer *d, uint64_t second, unsigned jobs, unsigned taken)
{
    unsigned assigned = 0;
    if (jobctl_sched_jobs(d->s, d->chan) == 0 && jobctl_sched_count(d->s)) {
        struct jobctl_decision w = jobctl_sched_next(d->s, second * SECOND_US - 1);
        assert_int_equal(w.act, JOBCTL_ACT_WAIT);
        assert_int_equal(w.wake_us, second * SECOND_US);
    }
    assert_int_equal(settle(d->s, second * SECOND_US, &assigned), jobs);
    assert_int_equal(assigned, taken);
    jobctl_sched_destroy(&d->s);
}

/* effect: channels.*.after, channels.*.urgentafter, channels.*.normalafter, channels.*.nonurgentafter,
 * channels.*.secondclassafter, channels.*.thirdclassafter */
static void test_deferral(void **state)
{
    struct defer d = defer_start();
    arrive(&d, QUEUE_NORMAL, 1000); /* A1 */
    starts(&d, 1060, 1, 1);

    d = defer_start();
    arrive(&d, QUEUE_NORMAL, 1000); /* A2: takes both, one after the other by threaddepth */
    arrive(&d, QUEUE_NORMAL, 1050);
    starts(&d, 1060, 1, 1);

    d = defer_start();
    arrive(&d, QUEUE_NORMAL, 1000); /* A3: rule 5 */
    arrive(&d, QUEUE_URGENT, 1010);
    starts(&d, 1015, 1, 1);

    d = defer_start();
    arrive(&d, QUEUE_NONURGENT, 1000); /* A4 */
    starts(&d, 4000, 1, 1);
}

static unsigned jobs_now(struct defer *d)
{
    return jobctl_sched_jobs(d->s, d->chan);
}

static void test_no_deferral(void **state)
{
    struct defer d = defer_start();
    arrive(&d, QUEUE_NONURGENT, 5000); /* A5: T in the past */
    assert_int_equal(jobs_now(&d), 1);
    jobctl_sched_destroy(&d.s);

    d = defer_start();
    arrive(&d, QUEUE_SECONDCLASS, 1000); /* A6: no setting */
    assert_int_equal(jobs_now(&d), 1);
    jobctl_sched_destroy(&d.s);

    d = defer_start(); /* A7: a job lingers at 1000; a normal message at 1001 is taken at once, by no new job */
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
        cmocka_unit_test(test_jobs),           cmocka_unit_test(test_shared_pool),
        cmocka_unit_test(test_ten_channels),   cmocka_unit_test(test_deferral),
        cmocka_unit_test(test_no_deferral),    cmocka_unit_test(test_deferred_crowd),
        cmocka_unit_test(test_deferral_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
