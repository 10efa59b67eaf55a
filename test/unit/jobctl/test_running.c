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
    WAIT_FOR(s, tracked(s) == 0);
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
    WAIT_FOR(s, tracked(s) == 0);
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

/* semantics 4.3: each destination has as many threads as its own backlog asks for. */
static void hosts_have_threads_of_their_own(void **state)
{
    struct site *s = hosts_site(HOSTS_CONF("8"));
    WAIT_FOR(s, tracked(s) == 20);
    WAIT_FOR(s, s->script.given == 2);
    assert_int_equal(view(s, 0).hosts, 2);
    assert_int_equal(view(s, 0).assigned, 2);
    assert_int_equal(reason(s, 1).why, JOBCTL_WHY_IN_WORK);
    assert_int_equal(reason(s, 11).why,
                     JOBCTL_WHY_IN_WORK); /* the first to b.example passed nine older ones */
    assert_int_equal(reason(s, 2).why, JOBCTL_WHY_HOST_THREADS);
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
    WAIT_FOR(s, s->script.given == 1 && tracked(s) == 20);
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

/* -- placement */
#define PLACES_CONF                                                                                          \
    "job_controller: {pools: {DEFAULT: {job_limit: 40}}}\n"                                                  \
    "channels: {fast: {driver: store, maxjobs: 2, filesperjob: 1},"                                          \
    " slow1: {driver: store, maxjobs: 1, max_client_threads: 40, threaddepth: 1},"                           \
    " slow2: {driver: store, maxjobs: 1, max_client_threads: 5, threaddepth: 1},"                            \
    " slow3: {driver: store, maxjobs: 1},"                                                                   \
    " slow4: {driver: store, maxjobs: 4, filesperjob: 1, max_client_threads: 1},"                            \
    " stuck: {driver: store, maxjobs: 1}}\n"
enum { PLACE_FAST, PLACE_SLOW1, PLACE_SLOW2, PLACE_SLOW3, PLACE_SLOW4, PLACE_STUCK };

static struct site *places_site(void)
{
    struct site *s = site_create();
    s->script.is_holding = true;
    site_open(s);
    site_start(s, PLACES_CONF);
    return s;
}

static unsigned loop_of(const struct site *s, uint32_t channel)
{
    return jobs_on(s, 0, channel) ? 0 : 1;
}

/* A job goes to the loop with the fewest entries in work, of those to the one with the fewest jobs. */
static void jobs_go_to_the_least_loaded_loop(void **state)
{
    struct site *s = places_site();
    enqueue(s, (struct kind){.channel = "slow4"}, 4);
    WAIT_FOR(s, s->script.given == 4);
    assert_int_equal(jobs_on(s, 0, PLACE_SLOW4), 2);
    assert_int_equal(jobs_on(s, 1, PLACE_SLOW4), 2);
    enqueue(s, (struct kind){.channel = "slow1"}, 20); /* 22 entries, 3 jobs against 2 entries, 2 jobs */
    WAIT_FOR(s, s->script.given == 24);
    unsigned busy = loop_of(s, PLACE_SLOW1);
    enqueue(s, (struct kind){.channel = "slow2"}, 5); /* 22, 3 against 7, 3 */
    WAIT_FOR(s, s->script.given == 29);
    assert_int_equal(loop_of(s, PLACE_SLOW2), !busy);
    enqueue(s, (struct kind){.channel = "slow3"}, 1); /* 22, 3 against 8, 4: entries count before jobs */
    WAIT_FOR(s, s->script.given == 30);
    assert_int_equal(loop_of(s, PLACE_SLOW3), !busy);
    s->script.is_holding = false;
    WAIT_FOR(s, tracked(s) == 0);
    site_stop(s);
    site_destroy(s);
}

/* One after another, to the same job, though three others might be opened. */
static void running_jobs_are_given_work_first(void **state)
{
    struct site *s = places_site();
    for (unsigned i = 1; i <= 50; i++) {
        enqueue(s, (struct kind){.channel = "fast"}, 1);
        WAIT_FOR(s, delivered(s, i, 1) == 1 && tracked(s) == 0);
    }
    assert_int_equal(s->script.jobs, 1);
    enqueue(s, (struct kind){.channel = "slow1"}, 1);
    WAIT_FOR(s, s->script.given == 51);
    enqueue(s, (struct kind){.channel = "slow1"}, 39);
    WAIT_FOR(s, s->script.given == 90);
    for (uint64_t n = 52; n <= 90; n++)
        assert_int_equal(reason(s, n).job, reason(s, 51).job);
    s->script.is_holding = false;
    WAIT_FOR(s, tracked(s) == 0);
    site_stop(s);
    site_destroy(s);
}

/* What a loop that stands still has, waits; jobs on other loops go on, though the ring to it is full, and new jobs are
 * opened on the others once it has not answered for a while. */
static void a_loop_stands_still(void **state)
{
    struct site *s = places_site();
    enqueue(s, (struct kind){.channel = "slow1"}, 1);
    WAIT_FOR(s, s->script.given == 1);
    unsigned busy = loop_of(s, PLACE_SLOW1);
    s->script.is_stuck = true;
    enqueue(s, (struct kind){.channel = "slow2"}, 2); /* the other one has more in work */
    WAIT_FOR(s, s->script.given == 3);
    enqueue(s, (struct kind){.channel = "stuck"}, 1);
    WAIT_FOR(s, s->script.given == 4);
    assert_int_equal(loop_of(s, PLACE_STUCK), busy);
    enqueue(s, (struct kind){.channel = "slow1"}, 39); /* more than the ring has slots */
    WAIT_FOR(s, view(s, PLACE_SLOW1).assigned == 40);
    enqueue(s, (struct kind){.channel = "slow2"}, 3);
    WAIT_FOR(s, s->script.given == 7);
    uint64_t end_us = clock_wall_us() + 1500000;
    WAIT_FOR(s, clock_wall_us() > end_us);
    uint64_t fast = enqueue(s, (struct kind){.channel = "fast"}, 100);
    WAIT_FOR(s, delivered(s, fast, 100) == 100);
    assert_int_equal(jobs_on(s, busy, PLACE_FAST), 0);
    assert_int_equal(s->script.entries[4].delivered, 0);
    s->script.is_stuck = s->script.is_holding = false;
    WAIT_FOR(s, tracked(s) == 0);
    check_once(s, 1, (unsigned)s->next - 1);
    site_stop(s);
    site_destroy(s);
}

/* -- events */
/* A failed entry is tried again when the queue says, and not sooner (the driver looks); everything is told by notes: the
 * queue is read once. */
static void nothing_is_polled(void **state)
{
    struct site *s = site_create();
    uint64_t scans = obs_counter_get(MET_JOBCTL_SCANS), notes = obs_counter_get(MET_JOBCTL_NOTES);
    uint64_t retried = obs_counter_get(MET_JOBCTL_RETRIED);
    site_open(s);
    s->script.retry_us = 1500000;
    for (uint64_t n = 1; n <= 100; n++)
        s->script.entries[n].failures = n % 3;
    site_start(s, CONF);
    enqueue(s, (struct kind){.channel = "fast"}, 600);
    WAIT_FOR(s, delivered(s, 1, 600) == 600 && tracked(s) == 0);
    check_once(s, 1, 600);
    assert_int_equal(obs_counter_get(MET_JOBCTL_RETRIED) - retried, 100);
    assert_int_equal(obs_counter_get(MET_JOBCTL_SCANS) - scans, 1);
    WAIT_FOR(s, obs_counter_get(MET_JOBCTL_NOTES) - notes == 600 + 100 + 600); /* new, failed, gone */
    site_stop(s);
    site_destroy(s);
}

static void hold(struct site *s, uint64_t n, bool is_held)
{
    struct queue_id id = script_id(n);
    struct part_rec rec;
    part_rec_init(&rec);
    queue_op_hold(&rec, &id, is_held, SLICE_LIT(""));
    put_record(s, &rec);
    part_rec_fini(&rec);
}

/* A job that finds its entry held has nothing to do. The hold may be over before that is heard, and its note, too. */
static void released_before_its_job_is_heard(void **state)
{
    struct site *s = site_create();
    uint64_t notes = obs_counter_get(MET_JOBCTL_NOTES);
    site_open(s);
    site_start(s, CONF);
    s->script.is_holding = true;
    s->script.entries[1].is_passed_over = s->script.entries[2].is_passed_over = true;
    enqueue(s, (struct kind){.channel = "slow"}, 2);
    WAIT_FOR(s, s->script.given == 2);
    hold(s, 1, true);
    hold(s, 2, true);
    hold(s, 1, false);
    WAIT_FOR(s, obs_counter_get(MET_JOBCTL_NOTES) == notes + 5);
    s->script.is_holding = false;
    WAIT_FOR(s, delivered(s, 1, 1) == 1);
    WAIT_FOR(s, tracked(s) == 0);
    assert_int_equal(s->script.given, 3);
    hold(s, 2, false);
    WAIT_FOR(s, delivered(s, 1, 2) == 2);
    WAIT_FOR(s, tracked(s) == 0);
    check_once(s, 1, 2);
    site_stop(s);
    site_destroy(s);
}

/* -- a look at all of the queue while there is one */
enum { MANY = 30000 };
struct again {
    struct site *site;
    struct loop_hook hook;
    uint64_t read;
};

/* Behind the first slice, a millisecond's work. */
static void on_first_slice(struct loop_hook *hook)
{
    struct again *again = MS_CONTAINER_OF(hook, struct again, hook);
    uint64_t read = obs_counter_get(MET_JOBCTL_SCANNED) - again->read;
    assert_true(read > 0 && read < MANY);
    reload(again->site, CONF);
}

/* What is asked for while the queue is read begins when that has ended, also when nothing else happens. */
static void asked_for_again_while_it_reads(void **state)
{
    struct again again = {.site = site_create(), .read = obs_counter_get(MET_JOBCTL_SCANNED)};
    struct site *s = again.site;
    uint64_t scans = obs_counter_get(MET_JOBCTL_SCANS);
    site_open(s);
    enqueue(s, (struct kind){.channel = "slow", .held = true}, MANY);
    site_start(s, CONF);
    loop_hook_arm(s->control, &again.hook, on_first_slice);
    WAIT_FOR(s, obs_counter_get(MET_JOBCTL_SCANNED) == again.read + 2 * MANY);
    assert_int_equal(obs_counter_get(MET_JOBCTL_SCANS), scans + 2);
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
        cmocka_unit_test(jobs_go_to_the_least_loaded_loop),
        cmocka_unit_test(running_jobs_are_given_work_first),
        cmocka_unit_test(a_loop_stands_still),
        cmocka_unit_test(nothing_is_polled),
        cmocka_unit_test(released_before_its_job_is_heard),
        cmocka_unit_test(asked_for_again_while_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
