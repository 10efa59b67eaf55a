/*
 * test_running_life.c - the running part over its life: stops, crashes, restarts, reloads, lost notes, an index that says
 * odd things.
 */
#include "running_fixture.h"

#define CONF                                                                                                 \
    "job_controller: {pools: {DEFAULT: {job_limit: 8}}}\n"                                                   \
    "channels: {fast: {driver: store, maxjobs: 4, max_client_threads: 8, threaddepth: 1, filesperjob: 4},"   \
    " late: {driver: store, after: +3600},"                                                                  \
    " slow: {driver: store, maxjobs: 4, max_client_threads: 40, threaddepth: 1, filesperjob: 10}}\n"
enum { FAST, LATE, SLOW };

static struct site *life_site(void)
{
    struct site *s = site_create();
    site_open(s);
    site_start(s, CONF);
    return s;
}

static void restart(struct site *s, const char *conf)
{
    site_open(s);
    site_start(s, conf);
}

/* A stop waits for what is in work and begins nothing; the rest is there after a restart. */
static void stop_in_the_middle(void **state)
{
    struct site *s = life_site();
    s->script.is_holding = true;
    uint64_t slow = enqueue(s, (struct kind){.channel = "slow"}, 300);
    WAIT_FOR(s, s->script.given == 160);
    jobctl_drain(s->jobctl, on_idle, &s->is_idle);
    uint64_t fast = enqueue(s, (struct kind){.channel = "fast"}, 300);
    WAIT_FOR(s, tracked(s) == 600);
    assert_false(s->is_idle);
    assert_int_equal(s->script.given, 160);
    s->script.is_holding = false;
    WAIT_FOR(s, s->is_idle);
    assert_int_equal(s->script.given, 160);
    assert_int_equal(delivered(s, slow, 600), 160);
    site_stop(s);
    restart(s, CONF);
    WAIT_FOR(s, tracked(s) == 0 && delivered(s, slow, 600) == 600);
    check_once(s, slow, 300);
    check_once(s, fast, 300);
    site_stop(s);
    site_destroy(s);
}

static void nothing_in_work(void **state)
{
    struct site *s = life_site();
    site_drain(s);
    site_drain(s);
    site_stop(s);
    restart(s, CONF); /* at once, before the queue was read */
    site_stop(s);
    site_destroy(s);
}

/* Loops end while entries are in work, on their way to a job, and on their way back: nothing leaks, nothing is lost. */
static void cut_off(void **state)
{
    struct site *s = life_site();
    s->script.is_holding = true;
    uint64_t first = enqueue(s, (struct kind){.channel = "slow"}, 200);
    WAIT_FOR(s, s->script.given == 160);
    s->script.is_holding = false; /* 160 ends for 2 x 16 slots that nobody empties */
    uint64_t end_us = clock_wall_us() + PATIENCE_S * 1000000ull;
    while (s->script.ended < 160 && clock_wall_us() < end_us)
        nanosleep(&(const struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(s->script.ended, 160);
    site_stop_loops(s);
    WAIT_FOR(s,
             tracked(s) == 168); /* so many ends arrive, and as many are given to loops that are not there */
    WAIT_FOR(s, view(s, SLOW).assigned == 160);
    site_free(s);
    restart(s, CONF);
    WAIT_FOR(s, tracked(s) == 0 && delivered(s, first, 200) == 200);
    check_once(s, first, 200);
    s->script.is_holding = true;
    enqueue(s, (struct kind){.channel = "slow"}, 200);
    WAIT_FOR(s, s->script.given == 360);
    site_stop(s); /* with all of them in work */
    s->script.is_holding = false;
    restart(s, CONF);
    WAIT_FOR(s, tracked(s) == 0 && delivered(s, first, 400) == 400);
    check_once(s, first, 400);
    site_stop(s);
    site_destroy(s);
}

static struct queue_entry row(const struct site *s, uint64_t n)
{
    struct part_snap snap;
    struct queue_entry e;
    struct queue_id id = script_id(n);
    assert_int_equal(part_snap_begin(s->partition, &snap), MS_OK);
    assert_int_equal(queue_find(&snap, &id, &e), MS_OK);
    part_snap_end(&snap);
    return e;
}

/* What the queue and the scheduler say of entries. */
struct said {
    struct jobctl_reason reason;
    uint64_t due_us, arrival_us;
    uint32_t attempts;
    enum queue_class class_;
};

static void say(const struct site *s, uint64_t first, unsigned count, struct said *out)
{
    for (unsigned i = 0; i < count; i++) {
        struct queue_entry e = row(s, first + i);
        out[i] = (struct said){.reason = reason(s, first + i),
                               .due_us = e.due_us,
                               .arrival_us = e.arrival_us,
                               .attempts = e.attempts,
                               .class_ = e.class_};
    }
}

static void said_the_same(const struct said *a, const struct said *b)
{
    assert_int_equal(a->reason.why, b->reason.why);
    assert_true(a->reason.until_us == b->reason.until_us);
    assert_int_equal(a->reason.channel, b->reason.channel);
    assert_true(a->due_us == b->due_us && a->arrival_us == b->arrival_us);
    assert_int_equal(a->attempts, b->attempts);
    assert_int_equal(a->class_, b->class_);
}

/* Deferral and backoff are what they were: counted from the times that the queue has. */
static void restart_changes_nothing(void **state)
{
    struct said before[80], after[80];
    struct site *s = life_site();
    s->script.retry_us = 3600000000;
    for (uint64_t n = 1; n <= 40; n++)
        s->script.entries[n].failures = 1;
    enqueue(s, (struct kind){.channel = "fast", .class_ = QUEUE_NONURGENT}, 20);
    enqueue(s, (struct kind){.channel = "fast", .class_ = QUEUE_URGENT}, 20);
    enqueue(s, (struct kind){.channel = "late", .arrival_us = clock_wall_us() - 600000000}, 20);
    enqueue(s, (struct kind){.channel = "fast", .due_us = clock_wall_us() + 7200000000}, 10);
    enqueue(s, (struct kind){.channel = "fast", .held = true}, 10);
    WAIT_FOR(s, tracked(s) == 70 && view(s, FAST).delayed == 50 && view(s, LATE).waiting == 20);
    say(s, 1, 80, before);
    for (unsigned i = 0; i < 80; i++) {
        static const enum jobctl_why whys[] = {JOBCTL_WHY_DUE, JOBCTL_WHY_DUE, JOBCTL_WHY_DEFERRED};
        enum jobctl_why why = i < 60 ? whys[i / 20] : i < 70 ? JOBCTL_WHY_DUE : JOBCTL_WHY_UNKNOWN;
        assert_int_equal(before[i].reason.why, why);
        assert_int_equal(before[i].attempts, i < 40);
        if (why == JOBCTL_WHY_DUE)
            assert_true(before[i].reason.until_us == before[i].due_us);
        else if (why == JOBCTL_WHY_DEFERRED) /* rule 5: the first that ends is for all */
            assert_true(before[i].reason.until_us == before[40].arrival_us + 3600000000);
    }
    site_stop(s);
    restart(s, CONF);
    WAIT_FOR(s, tracked(s) == 70);
    say(s, 1, 80, after);
    for (unsigned i = 0; i < 80; i++)
        said_the_same(&before[i], &after[i]);
    assert_int_equal(s->script.given, 40);
    site_stop(s);
    site_destroy(s);
}

static void wait_for_lost(uint64_t notes)
{
    uint64_t end_us = clock_wall_us() + PATIENCE_S * 1000000ull;
    while (obs_counter_get(MET_BUS_NOTES_LOST) < notes && clock_wall_us() < end_us)
        nanosleep(&(const struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(obs_counter_get(MET_BUS_NOTES_LOST), notes);
}

/* The control thread stands still while more changes than there is room for: it reads the queue. */
static void notes_are_lost(void **state)
{
    enum { LOST = 3 * PART_NOTES };
    struct site *s = life_site();
    uint64_t scans = obs_counter_get(MET_JOBCTL_SCANS), lost = obs_counter_get(MET_BUS_NOTES_LOST);
    uint64_t notes = obs_counter_get(MET_JOBCTL_NOTES);
    enqueue(s, (struct kind){.channel = "fast"}, 10);
    WAIT_FOR(s, obs_counter_get(MET_JOBCTL_NOTES) == notes + 20 &&
                    tracked(s) == 0); /* new and gone: none is left */
    s->is_deaf = true;
    enqueue(s, (struct kind){.channel = "fast"}, LOST);
    wait_for_lost(lost + LOST - PART_NOTES);
    s->is_deaf = false;
    WAIT_FOR(s, delivered(s, 1, 10 + LOST) == 10 + LOST);
    WAIT_FOR(s, tracked(s) == 0);
    assert_true(obs_counter_get(MET_JOBCTL_SCANS) > scans);
    check_once(s, 1, 10 + LOST);
    site_stop(s);
    site_destroy(s);
}

/* Entries that went away meanwhile are not tracked for ever. */
static void notes_of_the_end_are_lost(void **state)
{
    struct site *s = life_site();
    uint64_t lost = obs_counter_get(MET_BUS_NOTES_LOST);
    struct part_rec rec;
    enqueue(s, (struct kind){.channel = "late"}, 20);
    WAIT_FOR(s, tracked(s) == 20);
    struct queue_id taken = script_id(1);
    assert_int_equal(jobctl_take(s->jobctl, &taken), MS_OK);
    s->is_deaf = true;
    enqueue(s, (struct kind){.channel = "fast"}, 2 * PART_NOTES);
    part_rec_init(&rec);
    for (uint64_t n = 1; n <= 10; n++) {
        struct queue_id id = script_id(n);
        queue_op_delete(&rec, &id);
    }
    put_record(s, &rec);
    part_rec_fini(&rec);
    wait_for_lost(lost + PART_NOTES + 10);
    s->is_deaf = false;
    WAIT_FOR(s, delivered(s, 21, 2 * PART_NOTES) == 2 * PART_NOTES);
    WAIT_FOR(s, tracked(s) == 11); /* one is taken */
    assert_int_equal(view(s, LATE).waiting, 10);
    jobctl_give_back(s->jobctl, &taken);
    assert_int_equal(jobctl_run(s->jobctl, &taken), MS_ENOTFOUND);
    reload(s, CONF);
    WAIT_FOR(s, tracked(s) == 10);
    site_stop(s);
    site_destroy(s);
}

/* A queue larger than max_messages: all of it is delivered, the best first. */
static void larger_than_max_messages(void **state)
{
    struct site *s = site_create();
    site_open(s);
    enqueue(s, (struct kind){.channel = "fast"}, 3000);
    site_start(s, "job_controller: {max_messages: 100, pools: {DEFAULT: {}}}\n"
                  "channels: {fast: {driver: store}}\n");
    WAIT_FOR(s, tracked(s) <= 100 && delivered(s, 1, 3000) == 3000);
    WAIT_FOR(s, tracked(s) == 0);
    check_once(s, 1, 3000);
    site_stop(s);
    site_destroy(s);
}

/* A dead destination with more entries than max_messages: what can go goes, also what becomes due without being tracked.
 * effect: job_controller.synch_time */
static void others_wait_for_long(void **state)
{
    struct site *s = site_create();
    uint64_t hour_us = clock_wall_us() + 3600000000ull;
    site_open(s);
    enqueue(s, (struct kind){.channel = "fast", .due_us = hour_us}, 150);
    site_start(s, "job_controller: {max_messages: 100, synch_time: 100ms, pools: {DEFAULT: {}}}\n"
                  "channels: {fast: {driver: store}}\n");
    WAIT_FOR(s, view(s, 0).delayed == 100);
    enqueue(s, (struct kind){.channel = "fast"}, 10);
    WAIT_FOR(s, delivered(s, 151, 10) == 10);
    enqueue(s, (struct kind){.channel = "fast", .due_us = hour_us}, 50); /* the places of those are taken again */
    WAIT_FOR(s, view(s, 0).delayed == 100);
    enqueue(s, (struct kind){.channel = "fast", .due_us = clock_wall_us() + 500000}, 10);
    WAIT_FOR(s, delivered(s, 211, 10) == 10);
    assert_int_equal(delivered(s, 1, 150) + delivered(s, 161, 50), 0);
    site_stop(s);
    site_destroy(s);
}

/* One that there was no room for goes ahead of all when the operator says so. */
static void run_takes_a_place(void **state)
{
    struct site *s = site_create();
    struct queue_id last = script_id(300), none = script_id(301);
    site_open(s);
    enqueue(s, (struct kind){.channel = "late"}, 300);
    site_start(s, "job_controller: {max_messages: 100, pools: {DEFAULT: {}}}\n"
                  "channels: {late: {driver: store, after: +3600}}\n");
    WAIT_FOR(s, view(s, 0).waiting == 100);
    assert_int_equal(reason(s, 300).why, JOBCTL_WHY_UNKNOWN);
    assert_int_equal(jobctl_run(s->jobctl, &none), MS_ENOTFOUND);
    assert_int_equal(jobctl_run(s->jobctl, &last), MS_OK);
    WAIT_FOR(s, delivered(s, 300, 1) == 1);
    site_stop(s);
    site_destroy(s);
}

/* -- reload */
static uint64_t running(const struct site *s, const char *pool)
{
    struct jobctl_pool_view v;
    for (unsigned i = 0; jobctl_sched_pool_view(jobctl_scheduler(s->jobctl), i, &v); i++)
        if (strcmp(v.name, pool) == 0)
            return v.running;
    fail_msg("no pool %s", pool);
    return 0;
}

#define POOLS "job_controller: {pools: {A: {job_limit: 1}, B: {job_limit: 3}}}\n"
#define POOLED(slow)                                                                                         \
    POOLS "channels: {fast: {driver: store, pool: A, maxjobs: 4, idle_timeout: 1h}, slow: {driver: store, "  \
          "max_client_threads: 2, " slow "}}\n"

/* With one job in its pool fast waits for slow; in another pool, with other limits, both go on. What is in work stays. */
static void channel_moves_to_another_pool(void **state)
{
    struct site *s = site_create();
    s->script.is_holding = true;
    site_open(s);
    site_start(s, POOLED("pool: A, maxjobs: 4, filesperjob: 1, threaddepth: 1"));
    enqueue(s, (struct kind){.channel = "slow"}, 20);
    WAIT_FOR(s, s->script.given == 2);
    enqueue(s, (struct kind){.channel = "fast"}, 20);
    WAIT_FOR(s, tracked(s) == 40);
    assert_int_equal(reason(s, 21).why, JOBCTL_WHY_POOL_LIMIT);
    reload(s, POOLED("pool: B, maxjobs: 3, filesperjob: 1, threaddepth: 1"));
    WAIT_FOR(s, delivered(s, 21, 20) == 20);
    WAIT_FOR(s, s->script.given == 26); /* 20 fast; 3 jobs of slow with 2 threads each */
    assert_int_equal(running(s, "B"), 3);
    assert_int_equal(running(s, "A"), 1);
    assert_int_equal(s->script.entries[1].in_work, 1);
    reload(s, POOLED("pool: B, maxjobs: 1, filesperjob: 1, threaddepth: 1"));
    s->script.is_holding = false;
    WAIT_FOR(s, tracked(s) == 0);
    check_once(s, 1, 40);
    site_stop(s);
    site_destroy(s);
}

/* Entries of a channel that is taken out wait; those in work end; when it comes back the rest is delivered. */
static void channel_goes_and_comes_back(void **state)
{
    struct site *s = life_site();
    s->script.is_holding = true;
    s->script.retry_us = 1000000;
    s->script.entries[1].failures = 1;
    enqueue(s, (struct kind){.channel = "slow"}, 200);
    WAIT_FOR(s, s->script.given == 160);
    reload(s, "job_controller: {pools: {DEFAULT: {}}}\nchannels: {fast: {driver: store}}\n");
    uint64_t fast = enqueue(s, (struct kind){.channel = "fast"}, 20);
    enqueue(s, (struct kind){.channel = "slow"}, 20);
    WAIT_FOR(s, delivered(s, fast, 20) == 20);
    s->script.is_holding = false;
    WAIT_FOR(s, delivered(s, 1, 200) == 159);
    WAIT_FOR(s, view(s, SLOW).assigned == 0);
    assert_int_equal(s->script.given, 180);
    reload(s, CONF);
    WAIT_FOR(s, delivered(s, 1, 240) == 240 && tracked(s) == 0);
    check_once(s, 1, 240);
    site_stop(s);
    site_destroy(s);
}

/* Each reload reads the queue: what is in work, has just ended or has failed is not made older by it (the driver looks
 * for entries given twice or too early). */
static void reloads_while_entries_go(void **state)
{
    struct site *s = life_site();
    uint64_t scans = obs_counter_get(MET_JOBCTL_SCANS);
    s->script.retry_us = 1200000;
    for (uint64_t n = 1; n <= 3000; n += 3)
        s->script.entries[n].failures = 1;
    for (unsigned i = 0; i < 6; i++) {
        enqueue(s, (struct kind){.channel = "fast"}, 500);
        reload(s, CONF);
    }
    while (tracked(s) > 0) {
        uint64_t next_us = clock_wall_us() + 20000;
        WAIT_FOR(s, tracked(s) == 0 || clock_wall_us() > next_us);
        reload(s, CONF);
    }
    WAIT_FOR(s, delivered(s, 1, 3000) == 3000);
    check_once(s, 1, 3000);
    assert_true(obs_counter_get(MET_JOBCTL_SCANS) - scans >= 2);
    site_stop(s);
    site_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stop_in_the_middle),
        cmocka_unit_test(nothing_in_work),
        cmocka_unit_test(cut_off),
        cmocka_unit_test(restart_changes_nothing),
        cmocka_unit_test(notes_are_lost),
        cmocka_unit_test(notes_of_the_end_are_lost),
        cmocka_unit_test(larger_than_max_messages),
        cmocka_unit_test(others_wait_for_long),
        cmocka_unit_test(run_takes_a_place),
        cmocka_unit_test(channel_moves_to_another_pool),
        cmocka_unit_test(channel_goes_and_comes_back),
        cmocka_unit_test(reloads_while_entries_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
