/* The worked examples of the reference: J1-J15 (semantics 4.8); A1-A10 are in test_after. */
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
    const char *name; /* the row of the table */
    uint64_t maxjobs, filesperjob, addrsperjob;
    uint64_t threaddepth; /* 0: not stated; the default as well as one that is never passed */
    uint64_t threads, job_limit;
    bool by_host;
    struct host_load load[3];
    uint64_t recipients;
    uint64_t jobs;
    uint64_t in_work[3]; /* entries in all; of the first job, of the second. 0: not looked at */
} examples[] = {
    {"J1 | single-threaded, filesperjob 10 maxjobs 4, JOB_LIMIT 10 | 35 | ceil(3.5)=4 -> min(4,4,10)=4", 4,
     10, 0, 0, 1, 10, .load = {{1, 35}}, .jobs = 4},
    {"J2 | same | 100 | 10 -> 4 (maxjobs)", 4, 10, 0, 0, 1, 10, .load = {{1, 100}}, .jobs = 4},
    {"J3 | filesperjob 10, maxjobs unset | 100 | min(10,100,10)=10", 100, 10, 0, 0, 1, 10, .load = {{1, 100}},
     .jobs = 10},
    {"J3 | ... with JOB_LIMIT 6 -> 6", 100, 10, 0, 0, 1, 6, .load = {{1, 100}}, .jobs = 6},
    {"J4 | filesperjob unset, threaddepth 1000, single-threaded | 900 | 1", 100, 0, 0, 1000, 1, 10,
     .load = {{1, 900}}, .jobs = 1},
    {"J5 | filesperjob 0 | 5000, threaddepth huge | 1", 100, 0, 0, UNSET, 1, 10, .load = {{1, 5000}},
     .jobs = 1},
    {"J6 | filesperjob 10 | 10 | 1", 100, 10, 0, 0, 1, 10, .load = {{1, 10}}, .jobs = 1},
    {"J6 | filesperjob 10 | 11 | 2", 100, 10, 0, 0, 1, 10, .load = {{1, 11}}, .jobs = 2},
    {"J6 | filesperjob 10 | 20 | 2", 100, 10, 0, 0, 1, 10, .load = {{1, 20}}, .jobs = 2},
    {"J6 | filesperjob 10 | 21 | 3", 100, 10, 0, 0, 1, 10, .load = {{1, 21}}, .jobs = 3},
    {"J7 | filesperjob 10 addrsperjob 100, 12 files, 950 recipients | | max(2,10)=10 before caps", 100, 10,
     100, 0, 1, 20, .load = {{1, 12}}, .recipients = 950, .jobs = 10},
    {"J10 | smart-host channel, one host, threaddepth 10, MAX_CLIENT_THREADS 10, maxjobs 7 | 128 | threads "
     "ceil(12.8)=13 -> 2 jobs (10+3 threads)",
     7,
     0,
     0,
     10,
     10,
     10,
     true,
     {{1, 128}},
     .jobs = 2,
     .in_work = {13, 10, 3}},
    {"J11 | same, backlog 1 | threads 1 | jobs 1",
     7,
     0,
     0,
     10,
     10,
     10,
     true,
     {{1, 1}},
     .jobs = 1,
     .in_work = {1}},
    {"J11 | same, backlog 10 | threads 1 | jobs 1",
     7,
     0,
     0,
     10,
     10,
     10,
     true,
     {{1, 10}},
     .jobs = 1,
     .in_work = {1}},
    {"J11 | same, backlog 11 | threads 2 | jobs 1",
     7,
     0,
     0,
     10,
     10,
     10,
     true,
     {{1, 11}},
     .jobs = 1,
     .in_work = {2}},
    {"J11 | same, backlog 100 | threads 10 | jobs 1",
     7,
     0,
     0,
     10,
     10,
     10,
     true,
     {{1, 100}},
     .jobs = 1,
     .in_work = {10}},
    {"J11 | same, backlog 101 | threads 11 | jobs 2",
     7,
     0,
     0,
     10,
     10,
     10,
     true,
     {{1, 101}},
     .jobs = 2,
     .in_work = {11, 10, 1}},
    {"J12 | hosts a:25 b:3 c:1, threaddepth 10 | 29 | threads 3+1+1=5 in 1 job",
     7,
     0,
     0,
     10,
     10,
     10,
     true,
     {{1, 25}, {1, 3}, {1, 1}},
     .jobs = 1,
     .in_work = {5}},
    {"J13 | threaddepth 128, one busy host with 100 messages | 100 | 1 thread",
     7,
     0,
     0,
     128,
     10,
     10,
     true,
     {{1, 100}},
     .jobs = 1,
     .in_work = {1}},
    {"J14 | 15 different hosts, one message each, MAX_CLIENT_THREADS 10 | 15 | 15 threads -> 2 jobs by S2",
     7,
     0,
     0,
     10,
     10,
     10,
     true,
     {{15, 1}},
     .jobs = 2,
     .in_work = {15, 10, 5}},
    {"J15 | one message, 1000 recipients at 400 hosts, single_sys | 400 files | filesperjob 100, threaddepth "
     "10, MAX_CLIENT_THREADS 100 -> max(4, 400/100) = 4",
     100,
     100,
     0,
     10,
     100,
     10,
     true,
     {{400, 1}},
     .recipients = 1000,
     .jobs = 4,
     .in_work = {400}},
    {"J15 | ... with MAX_CLIENT_THREADS 10 -> 40, cap JOB_LIMIT 10 -> 10",
     100,
     100,
     0,
     10,
     10,
     10,
     true,
     {{400, 1}},
     .recipients = 1000,
     .jobs = 10,
     .in_work = {100}},
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

static void play(const struct example *x, uint64_t threaddepth)
{
    struct jobctl_sched *s = jobctl_sched_create(1000000);
    struct jobctl_limits limits = channel(x->maxjobs, x->filesperjob, threaddepth, x->threads);
    unsigned assigned = 0;
    uint32_t chan;
    limits.addrsperjob = x->addrsperjob;
    limits.by_host = x->by_host;
    jobctl_sched_set_pool(s, "P", x->job_limit);
    assert_int_equal(jobctl_sched_set_channel(s, "c", "P", &limits, 0, &chan), MS_OK);
    load(s, chan, x);
    settle(s, 1000, &assigned);
    if (jobctl_sched_jobs(s, chan) != x->jobs || (x->in_work[0] && assigned != x->in_work[0]))
        fail_msg("%s: %u jobs, %u in work", x->name, jobctl_sched_jobs(s, chan), assigned);
    for (uint32_t i = 0; i < 2 && x->in_work[1]; i++) {
        struct jobctl_job_view job;
        assert_true(jobctl_sched_job_view(s, i, &job));
        assert_int_equal(job.in_work, x->in_work[1 + i]);
    }
    jobctl_sched_destroy(&s);
}

/* effect: channels.*.maxjobs, channels.*.filesperjob, channels.*.addrsperjob, channels.*.threaddepth,
 * channels.*.max_client_threads, job_controller.pools.*.job_limit, channels.*.pool */
static void test_jobs(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(examples); i++) {
        play(&examples[i], examples[i].threaddepth ? examples[i].threaddepth : UNSET);
        if (!examples[i].threaddepth)
            play(&examples[i], 10);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jobs),
        cmocka_unit_test(test_shared_pool),
        cmocka_unit_test(test_ten_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
