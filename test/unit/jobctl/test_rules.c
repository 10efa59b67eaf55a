/* Rules of semantics 4.5 and 5 that no worked example shows: fairness in a pool, who lets go of a job, grouping. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "jobctl_check.h"

static void put_host(struct jobctl_sched *s, uint32_t chan, uint64_t n, const char *host, bool is_retry)
{
    struct jobctl_entry e = {.id = id_of(n),
                             .arrival_us = n,
                             .class_ = QUEUE_NORMAL,
                             .recipients = 1,
                             .is_retry = is_retry,
                             .host = slice_cstr(host)};
    assert_int_equal(jobctl_sched_put(s, chan, &e, 1000), MS_OK);
}

/* The channel that the next job is for. */
static uint32_t opens(struct jobctl_sched *s, uint64_t now)
{
    struct jobctl_decision d = jobctl_sched_next(s, now);
    assert_int_equal(d.act, JOBCTL_ACT_OPEN_JOB);
    jobctl_sched_job_opened(s, d.job, now);
    return d.channel;
}

static struct jobctl_reason explain(struct jobctl_sched *s, uint64_t n, uint64_t now)
{
    struct queue_id id = id_of(n);
    struct jobctl_reason why;
    jobctl_sched_explain(s, &id, now, &why);
    return why;
}

/* "freed slot goes to the channel whose oldest eligible message has highest priority, then oldest due time": what two channels have, and
 * which of them gets the slot. The one that was configured second is to win, since the first wins when they are alike. */
static const struct contest {
    const char *name;
    enum queue_class class_[2];
    uint64_t arrival[2], due[2], after[2];
    bool is_retry[2];
} contests[] = {
    {"priority before age", {QUEUE_NORMAL, QUEUE_URGENT}, {100, 900}},
    {"neither was tried: the older one", {QUEUE_NORMAL, QUEUE_NORMAL}, {900, 100}},
    {"a retry that was due before the other came",
     {QUEUE_NORMAL, QUEUE_NORMAL},
     {500, 100},
     {0, 400},
     .is_retry = {false, true}},
    {"a retry that became due after the other came",
     {QUEUE_NORMAL, QUEUE_NORMAL},
     {100, 500},
     {600, 0},
     .is_retry = {true, false}},
    {"two retries, by their due times",
     {QUEUE_NORMAL, QUEUE_NORMAL},
     {100, 500},
     {700, 600},
     .is_retry = {true, true}},
    {"a deferral is a due time (rule 4)", {QUEUE_NORMAL, QUEUE_NORMAL}, {100, 300}, .after = {400, 0}},
    {"none for a retry (rule 8)",
     {QUEUE_NORMAL, QUEUE_NORMAL},
     {300, 100},
     .after = {0, 400},
     .is_retry = {false, true}},
};

static void test_due_time(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(contests); i++) {
        const struct contest *x = &contests[i];
        struct jobctl_sched *s = jobctl_sched_create(1000);
        jobctl_sched_set_pool(s, "P", 1);
        uint32_t chan[2];
        for (unsigned k = 0; k < 2; k++) {
            struct jobctl_limits limits = channel(1, 0, 10, 1);
            limits.after[x->class_[k]].us = x->after[k];
            chan[k] = add(s, k ? "b" : "a", "P", &limits);
            struct jobctl_entry e = {.id = id_of(k + 1),
                                     .arrival_us = x->arrival[k],
                                     .due_us = x->due[k],
                                     .class_ = x->class_[k],
                                     .is_retry = x->is_retry[k],
                                     .recipients = 1};
            assert_int_equal(jobctl_sched_put(s, chan[k], &e, x->arrival[k]), MS_OK);
        }
        if (opens(s, 1000) != chan[1])
            fail_msg("%s", x->name);
        jobctl_sched_destroy(&s);
    }
}

/* "then least running/cap", cap = min(maxjobs, JOB_LIMIT): a runs 2 of 10 (maxjobs 100 in a pool of 10), b 1 of 2. */
static void test_share_of_cap(void **state)
{
    struct jobctl_sched *s = jobctl_sched_create(1000);
    struct jobctl_limits a = channel(100, 1, UNSET, 1), b = channel(2, 1, UNSET, 1);
    jobctl_sched_set_pool(s, "P", 10);
    uint32_t cb = add(s, "b", "P", &b), ca = add(s, "a", "P", &a);
    put(s, ca, 1, QUEUE_NORMAL, 10, 0);
    put(s, ca, 2, QUEUE_NORMAL, 10, 0);
    put(s, cb, 3, QUEUE_NORMAL, 10, 0);
    settle(s, 1000, NULL);
    assert_int_equal(jobctl_sched_jobs(s, ca), 2);
    assert_int_equal(jobctl_sched_jobs(s, cb), 1);
    put(s, ca, 4, QUEUE_NORMAL, 20, 0);
    put(s, cb, 5, QUEUE_NORMAL, 20, 0);
    assert_int_equal(opens(s, 1000), ca); /* 2/10 before 1/2; by maxjobs alone 2/100 */
    jobctl_sched_destroy(&s);

    s = jobctl_sched_create(1000); /* a runs 3 of 5 (maxjobs 100 in a pool of 5), b 1 of 2 */
    jobctl_sched_set_pool(s, "P", 5);
    ca = add(s, "a", "P", &a);
    cb = add(s, "b", "P", &b);
    for (uint64_t n = 1; n <= 3; n++)
        put(s, ca, n, QUEUE_NORMAL, 10, 0);
    put(s, cb, 4, QUEUE_NORMAL, 10, 0);
    assert_int_equal(settle(s, 1000, NULL), 4);
    put(s, ca, 5, QUEUE_NORMAL, 20, 0);
    put(s, cb, 6, QUEUE_NORMAL, 20, 0);
    assert_int_equal(opens(s, 1000), cb); /* 1/2 before 3/5; by maxjobs alone 3/100 */
    jobctl_sched_destroy(&s);
}

/* A full pool: the job that runs out of work does not linger while a channel has work and no job - also when the work was there first. */
static void test_idle_job_yields(void **state)
{
    for (unsigned work_first = 0; work_first < 2; work_first++) {
        struct jobctl_sched *s = jobctl_sched_create(1000);
        struct jobctl_limits limits = channel(1, 0, UNSET, 1);
        jobctl_sched_set_pool(s, "P", 1);
        uint32_t ca = add(s, "a", "P", &limits), cb = add(s, "b", "P", &limits);
        put(s, ca, 1, QUEUE_NORMAL, 1, 0);
        settle(s, 1000, NULL);
        if (work_first) {
            put(s, cb, 2, QUEUE_NORMAL, 2, 0);
            settle(s, 1000, NULL);
        }
        end(s, 1, 2000);
        if (!work_first) {
            settle(s, 2000, NULL);
            assert_int_equal(jobctl_sched_jobs(s, ca), 1); /* nobody wants its place: it lingers */
            put(s, cb, 2, QUEUE_NORMAL, 2, 0);
        }
        settle(s, 2000, NULL);
        assert_int_equal(explain(s, 2, 2000).why, JOBCTL_WHY_IN_WORK);
        assert_int_equal(jobctl_sched_jobs(s, ca), 0);
        jobctl_sched_destroy(&s);
    }
}

/* What the operator wants now goes at once: deferred, in backoff, or to a host that has its threads already. */
static void test_run_at_once(void **state)
{
    struct jobctl_sched *s = jobctl_sched_create(1000);
    struct jobctl_limits limits = channel(1, 0, 10, 2);
    struct queue_id id = id_of(1);
    limits.by_host = true;
    limits.after[QUEUE_NORMAL].us = 60 * SECOND_US;
    jobctl_sched_set_pool(s, "P", 1);
    uint32_t chan = add(s, "a", "P", &limits);
    put(s, chan, 1, QUEUE_NORMAL, 1000, 0); /* deferred */
    assert_int_equal(settle(s, 1000, NULL), 0);
    assert_int_equal(jobctl_sched_run(s, &id, 1000), MS_OK);
    assert_int_equal(settle(s, 1000, NULL), 1);
    assert_int_equal(explain(s, 1, 1000).why, JOBCTL_WHY_IN_WORK);
    put(s, chan, 2, QUEUE_NORMAL, 2000, 0); /* its host has the one thread of ten entries */
    settle(s, 2000, NULL);
    assert_int_equal(explain(s, 2, 2000).why, JOBCTL_WHY_DEFERRED);
    id = id_of(2);
    assert_int_equal(jobctl_sched_run(s, &id, 2000), MS_OK);
    settle(s, 2000, NULL);
    assert_int_equal(explain(s, 2, 2000).why, JOBCTL_WHY_IN_WORK);
    jobctl_sched_destroy(&s);

    s = jobctl_sched_create(1000);
    jobctl_sched_set_pool(s, "P", 1);
    chan = add(s, "a", "P", &limits);
    put(s, chan, 1, QUEUE_NORMAL, 1000, 500 * SECOND_US); /* in backoff */
    assert_int_equal(settle(s, 1000, NULL), 0);
    id = id_of(1);
    assert_int_equal(jobctl_sched_run(s, &id, 1000), MS_OK);
    assert_int_equal(settle(s, 1000, NULL), 1);
    jobctl_sched_destroy(&s);
}

/* "A single-threaded channel ignores host grouping": three hosts with an entry each are one backlog of three. */
static void test_single_threaded(void **state)
{
    struct jobctl_sched *s = jobctl_sched_create(1000);
    struct jobctl_limits limits = channel(10, 0, 10, 1);
    limits.by_host = true;
    jobctl_sched_set_pool(s, "P", 10);
    uint32_t chan = add(s, "a", "P", &limits);
    put_host(s, chan, 1, "x", false);
    put_host(s, chan, 2, "y", false);
    put_host(s, chan, 3, "z", false);
    assert_int_equal(settle(s, 1000, NULL), 1);
    jobctl_sched_destroy(&s);
}

static uint64_t hosts_of(struct jobctl_sched *s, uint32_t chan)
{
    struct jobctl_channel_view v;
    assert_true(jobctl_sched_channel_view(s, chan, &v));
    return v.hosts;
}

/* The driver changes: by destination or not, then the queue is read again. Entries in work are regrouped as well. */
static void test_regroup(void **state)
{
    struct jobctl_sched *s = jobctl_sched_create(1000);
    struct jobctl_limits limits = channel(1, 0, 10, 10);
    static const char *const host[] = {"x", "y", "x", "y"};
    jobctl_sched_set_pool(s, "P", 10);
    uint32_t chan = add(s, "a", "P", &limits);
    unsigned assigned = 0;
    for (unsigned n = 0; n < 4; n++)
        put_host(s, chan, n + 1, host[n], false);
    settle(s, 1000, &assigned);
    assert_int_equal(assigned, 1); /* one backlog of four: one thread */
    assert_int_equal(hosts_of(s, chan), 1);
    limits.by_host = true;
    assert_int_equal(jobctl_sched_set_channel(s, "a", "P", &limits, 1000, &chan), MS_OK);
    for (unsigned n = 0; n < 4; n++)
        put_host(s, chan, n + 1, host[n], false);
    assert_int_equal(hosts_of(s, chan), 2);
    settle(s, 1000, &assigned);
    assert_int_equal(assigned, 2); /* x has its thread: the one of entry 1, in work since before */
    assert_int_equal(explain(s, 2, 1000).why, JOBCTL_WHY_IN_WORK);
    assert_int_equal(explain(s, 3, 1000).why, JOBCTL_WHY_HOST_THREADS);
    limits.by_host = false;
    assert_int_equal(jobctl_sched_set_channel(s, "a", "P", &limits, 1000, &chan), MS_OK);
    for (unsigned n = 0; n < 4; n++)
        put_host(s, chan, n + 1, host[n], false);
    assert_int_equal(hosts_of(s, chan), 1);
    end(s, 1, 1000);
    settle(s, 1000, &assigned);
    assert_int_equal(assigned, 2); /* 2 is in work: that is the one thread */
    end(s, 2, 1000);
    settle(s, 1000, &assigned);
    assert_int_equal(assigned, 3);
    jobctl_sched_destroy(&s);
}

/* Limits up and down while jobs work: none is ended, none too many is started, and what a change allows happens at once. */
static void test_change_of_limits(void **state)
{
    struct jobctl_sched *s = jobctl_sched_create(1000);
    struct jobctl_limits limits = channel(2, 1, UNSET, 1);
    jobctl_sched_set_pool(s, "P", 3);
    uint32_t chan = add(s, "a", "P", &limits);
    for (uint64_t n = 1; n <= 8; n++)
        put(s, chan, n, QUEUE_NORMAL, n, 0);
    assert_int_equal(settle(s, 1000, NULL), 2);
    assert_int_equal(explain(s, 8, 1000).why, JOBCTL_WHY_CHANNEL_LIMIT);
    limits.maxjobs = 5;
    assert_int_equal(jobctl_sched_set_channel(s, "a", "P", &limits, 1000, &chan), MS_OK);
    assert_int_equal(settle(s, 1000, NULL), 1);
    assert_int_equal(explain(s, 8, 1000).why, JOBCTL_WHY_POOL_LIMIT);
    jobctl_sched_set_pool(s, "P", 4);
    assert_int_equal(settle(s, 1000, NULL), 1);
    limits.maxjobs = 1; /* they leave with their work, not before */
    assert_int_equal(jobctl_sched_set_channel(s, "a", "P", &limits, 1000, &chan), MS_OK);
    assert_int_equal(settle(s, 1000, NULL), 0);
    assert_int_equal(jobctl_sched_jobs(s, chan), 4);
    limits.max_client_threads = 2; /* the jobs that are there take more */
    limits.threaddepth = 1;
    unsigned assigned = 0;
    assert_int_equal(jobctl_sched_set_channel(s, "a", "P", &limits, 1000, &chan), MS_OK);
    assert_int_equal(settle(s, 1000, &assigned), 0);
    assert_int_equal(assigned, 4);
    limits.life_entries = 2; /* all of them have had so many */
    assert_int_equal(jobctl_sched_set_channel(s, "a", "P", &limits, 1000, &chan), MS_OK);
    struct jobctl_job_view job;
    assert_true(jobctl_sched_job_view(s, 0, &job));
    assert_string_equal(job.state, "retiring");
    jobctl_sched_destroy(&s);
}

/* The end of work in a job that takes no more frees its host's thread for another job. */
static void test_thread_of_retiring_job(void **state)
{
    struct jobctl_sched *s = jobctl_sched_create(1000);
    struct jobctl_limits limits = channel(2, 0, 2, 2);
    limits.by_host = true;
    limits.life_entries = 2;
    jobctl_sched_set_pool(s, "P", 2);
    uint32_t chan = add(s, "a", "P", &limits);
    put_host(s, chan, 1, "x", false);
    put_host(s, chan, 2, "y", false);
    assert_int_equal(settle(s, 1000, NULL), 1); /* these were its two */
    put_host(s, chan, 3, "z", false);
    assert_int_equal(settle(s, 1000, NULL), 1);
    put_host(s, chan, 4, "x", false);
    settle(s, 1000, NULL);
    assert_int_equal(explain(s, 4, 1000).why,
                     JOBCTL_WHY_HOST_THREADS); /* though the second job has one free */
    end(s, 1, 1000);
    settle(s, 1000, NULL);
    assert_int_equal(explain(s, 4, 1000).why, JOBCTL_WHY_IN_WORK);
    jobctl_sched_destroy(&s);
}

/* A, the recipients of N, is without those that wait for a deferral, and with them when it has ended. */
static void test_recipients(void **state)
{
    struct jobctl_sched *s = jobctl_sched_create(1000);
    struct jobctl_limits limits = channel(10, 0, UNSET, 1);
    limits.addrsperjob = 20;
    limits.after[QUEUE_NORMAL].us = SECOND_US;
    jobctl_sched_set_pool(s, "P", 10);
    uint32_t chan = add(s, "a", "P", &limits);
    for (uint64_t n = 1; n <= 9; n++) { /* 10, 20, 30 recipients: one job, one, two */
        struct jobctl_entry e = {.id = id_of(n), .class_ = QUEUE_NORMAL, .recipients = 10};
        uint64_t now = n * 1000 * SECOND_US, jobs = n % 3 ? 1 : 2;
        e.arrival_us = now;
        assert_int_equal(jobctl_sched_put(s, chan, &e, now), MS_OK);
        for (unsigned k = 1; k < (n - 1) % 3 + 1; k++) {
            e.id = id_of(n * 100 + k);
            assert_int_equal(jobctl_sched_put(s, chan, &e, now), MS_OK);
        }
        settle(s, now, NULL);
        assert_int_equal(jobctl_sched_jobs(s, chan), 0);
        assert_int_equal(settle(s, now + SECOND_US, NULL), jobs);
        for (unsigned k = 0; k < 3; k++) { /* all of it ends: nothing is left of the numbers */
            e.id = id_of(k ? n * 100 + k : n);
            if (jobctl_sched_is_assigned(s, &e.id))
                end(s, k ? n * 100 + k : n, now + SECOND_US);
            settle(s, now + SECOND_US, NULL);
        }
        assert_int_equal(jobctl_sched_count(s), 0);
        settle(s, now + 100 * SECOND_US, NULL);
    }
    jobctl_sched_destroy(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_due_time),
        cmocka_unit_test(test_share_of_cap),
        cmocka_unit_test(test_idle_job_yields),

        cmocka_unit_test(test_run_at_once),
        cmocka_unit_test(test_single_threaded),
        cmocka_unit_test(test_regroup),
        cmocka_unit_test(test_change_of_limits),
        cmocka_unit_test(test_thread_of_retiring_job),
        cmocka_unit_test(test_recipients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
