/*
 * test_running.c - the running part: entries go from the queue to jobs on worker loops, each once.
 */
#include "running_fixture.h"

#define CONF                                                                                                 \
    "job_controller: {pools: {DEFAULT: {job_limit: 8}}}\n"                                                   \
    "channels: {fast: {driver: store, maxjobs: 4, max_client_threads: 8, threaddepth: 1, filesperjob: 4},"   \
    " slow: {driver: store, maxjobs: 4, max_client_threads: 40, threaddepth: 1, filesperjob: 10}}\n"
enum { FAST, SLOW }; /* channels in the order of their names */

static void each_is_delivered_once(void **state)
{
    struct site *s = site_create();
    site_open(s);
    uint64_t old = enqueue(s, (struct kind){.channel = "fast"}, 2000);
    site_start(s, CONF);
    uint64_t new = enqueue(s, (struct kind){.channel = "fast"}, 2000);
    WAIT_FOR(s, delivered(s, old, 4000) == 4000);
    WAIT_FOR(s, jobctl_sched_count(jobctl_scheduler(s->jobctl)) == 0);
    check_once(s, old, 2000);
    check_once(s, new, 2000);
    site_drain(s);
    site_stop(s);
    site_destroy(s);
}

/* 160 entries in work on links of 16 slots; the other channel, and new connections, need them. */
static void slow_entries_hold_no_slot(void **state)
{
    struct site *s = site_create();
    site_open(s);
    site_start(s, CONF);
    s->script.is_holding = true;
    uint64_t slow = enqueue(s, (struct kind){.channel = "slow"}, 300);
    WAIT_FOR(s, view(s, SLOW).assigned == 160);
    WAIT_FOR(s, s->script.given == 160);
    uint64_t fast = enqueue(s, (struct kind){.channel = "fast"}, 1000);
    WAIT_FOR(s, delivered(s, fast, 1000) == 1000);
    assert_int_equal(delivered(s, slow, 300), 0);
    struct bus_ep *control = bus_ep_of_loop(s->bus, s->control);
    for (unsigned i = 0; i < LOOPS; i++)
        WAIT_FOR(s, bus_call_room(control, bus_ep_of_loop(s->bus, s->loops[i])) == CALL_SLOTS);
    s->script.is_holding = false; /* all end at once: more than the links back have slots */
    WAIT_FOR(s, delivered(s, slow, 300) == 300);
    WAIT_FOR(s, jobctl_sched_count(jobctl_scheduler(s->jobctl)) == 0);
    check_once(s, slow, 1300);
    site_stop(s);
    site_destroy(s);
}

/* -- destinations */
#define HOSTS_CONF(threads)                                                                                  \
    "job_controller: {pools: {DEFAULT: {}}}\n"                                                               \
    "channels: {slow: {driver: store, maxjobs: 1, max_client_threads: " threads ", threaddepth: 100}}\n"

static struct site *hosts_site(const char *conf)
{
    struct site *s = site_create();
    s->is_by_host = true;
    s->script.is_holding = true;
    s->script.retry_us = 3600000000;
    site_open(s);
    enqueue(s, (struct kind){.channel = "slow", .host = "a.example"}, 10);
    enqueue(s, (struct kind){.channel = "slow", .host = "b.example"}, 10);
    site_start(s, conf);
    return s;
}

static enum jobctl_why why(const struct site *s, uint64_t n)
{
    struct jobctl_reason reason;
    struct queue_id id = script_id(n);
    jobctl_explain(s->jobctl, &id, &reason);
    return reason.why;
}

/* semantics 4.3: each destination has as many threads as its own backlog asks for. */
static void hosts_have_threads_of_their_own(void **state)
{
    struct site *s = hosts_site(HOSTS_CONF("8"));
    WAIT_FOR(s, jobctl_sched_count(jobctl_scheduler(s->jobctl)) == 20);
    WAIT_FOR(s, s->script.given == 2);
    assert_int_equal(view(s, 0).hosts, 2);
    assert_int_equal(view(s, 0).assigned, 2);
    assert_int_equal(why(s, 1), JOBCTL_WHY_IN_WORK);
    assert_int_equal(why(s, 11), JOBCTL_WHY_IN_WORK); /* the first to b.example passed nine older ones */
    assert_int_equal(why(s, 2), JOBCTL_WHY_HOST_THREADS);
    s->script.is_holding = false;
    WAIT_FOR(s, delivered(s, 1, 20) == 20);
    site_stop(s);
    site_destroy(s);
}

/* semantics 4.5: with one thread a job, hosts do not matter; a reload that changes it groups all entries anew, those in
 * work as well. */
static void one_thread_ignores_hosts(void **state)
{
    struct site *s = hosts_site(HOSTS_CONF("1"));
    WAIT_FOR(s, s->script.given == 1 && jobctl_sched_count(jobctl_scheduler(s->jobctl)) == 20);
    assert_int_equal(view(s, 0).hosts, 1);
    for (uint64_t n = 1; n <= 20; n++)
        s->script.entries[n].failures = 1;
    reload(s, HOSTS_CONF("8"));
    WAIT_FOR(s, view(s, 0).hosts == 2);
    s->script.is_holding = false;
    WAIT_FOR(s, view(s, 0).delayed == 20);
    assert_int_equal(view(s, 0).hosts, 2);
    site_stop(s);
    site_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_delivered_once),
        cmocka_unit_test(slow_entries_hold_no_slot),
        cmocka_unit_test(hosts_have_threads_of_their_own),
        cmocka_unit_test(one_thread_ignores_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
