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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_delivered_once),
        cmocka_unit_test(slow_entries_hold_no_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
