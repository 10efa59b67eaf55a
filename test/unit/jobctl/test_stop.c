/*
 * test_stop.c - channels that the operator stops: at once, durably, over restarts and crashes, over a time in which they
 * are not configured; what cannot be written is undone.
 */
#include <signal.h>
#include <sys/resource.h>

#include "running_fixture.h"

#define POOLS "job_controller: {pools: {DEFAULT: {job_limit: 8}}}\n"
#define BOTH  POOLS "channels: {one: {driver: store}, two: {driver: store}}\n"
#define ONE   POOLS "channels: {one: {driver: store}}\n"
enum { CHAN_ONE, CHAN_TWO }; /* channels in the order of their names */

struct answer {
    unsigned count;
    enum ms_err err;
};

static void on_answer(void *owner, enum ms_err err)
{
    struct answer *a = owner;
    a->count++;
    a->err = err;
}

static enum ms_err ask(struct site *s, const char *channel, bool stop, struct answer *a)
{
    *a = (struct answer){0};
    return jobctl_channel_stop(s->jobctl, slice_cstr(channel), stop, on_answer, a);
}

static void set(struct site *s, const char *channel, bool stop)
{
    struct answer a;
    assert_int_equal(ask(s, channel, stop, &a), MS_OK);
    assert_int_equal(a.count, 0);
    WAIT_FOR(s, a.count);
    assert_int_equal(a.err, MS_OK);
}

/* 0: not. */
static uint64_t row_since(struct site *s, const char *channel)
{
    struct queue_stop stop = {.channel = ""};
    struct part_snap snap;
    uint64_t since_us = 0;
    enum ms_err err;
    assert_int_equal(part_snap_begin(s->partition, &snap), MS_OK);
    while ((err = queue_stop_next(&snap, slice_cstr(stop.channel), &stop)) == MS_OK)
        if (strcmp(stop.channel, channel) == 0)
            since_us = stop.since_us;
    assert_int_equal(err, MS_ENOTFOUND);
    part_snap_end(&snap);
    return since_us;
}

static struct site *begin(const char *conf)
{
    struct site *s = site_create();
    site_open(s);
    site_start(s, conf);
    return s;
}

/* What a crash leaves: nothing is ended in an orderly way, answers on their way are lost. */
static void again(struct site *s, const char *conf)
{
    site_stop(s);
    site_open(s);
    site_start(s, conf);
}

static void end(struct site *s)
{
    site_stop(s);
    site_destroy(s);
}

static bool is_stopped(struct site *s, uint32_t channel)
{
    bool stopped = view(s, channel).stopped;
    assert_int_equal(jobctl_channel_stopped_us(s->jobctl, channel) != 0, stopped);
    return stopped;
}

static void stays_over_restarts(void **state)
{
    struct site *s = begin(BOTH);
    set(s, "one", true);
    assert_true(is_stopped(s, CHAN_ONE) && !is_stopped(s, CHAN_TWO));
    uint64_t since = jobctl_channel_stopped_us(s->jobctl, CHAN_ONE);
    assert_int_equal(row_since(s, "one"), since);
    uint64_t first = enqueue(s, (struct kind){.channel = "one"}, 20);
    for (unsigned i = 0; i < 3; i++) {
        WAIT_FOR(s, view(s, CHAN_ONE).ready == 20);
        uint64_t other = enqueue(s, (struct kind){.channel = "two"}, 20);
        WAIT_FOR(s, delivered(s, other, 20) == 20); /* so there was time for the first, too */
        assert_int_equal(delivered(s, first, 20), 0);
        again(s, BOTH);
        assert_true(is_stopped(s, CHAN_ONE) && !is_stopped(s, CHAN_TWO));
        assert_int_equal(jobctl_channel_stopped_us(s->jobctl, CHAN_ONE), since);
    }
    set(s, "one", false);
    assert_false(is_stopped(s, CHAN_ONE));
    WAIT_FOR(s, delivered(s, first, 20) == 20);
    assert_int_equal(row_since(s, "one"), 0);
    WAIT_FOR(s, jobctl_sched_count(jobctl_scheduler(s->jobctl)) == 0);
    check_once(s, first, 20);
    again(s, BOTH);
    assert_false(is_stopped(s, CHAN_ONE));
    end(s);
}

/* The op is in the log, the answer nowhere. */
static void crash_before_the_answer(void **state)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    struct site *s = begin(BOTH);
    struct answer a;
    for (unsigned i = 0; i < 4; i++) {
        bool stop = i % 2 == 0;
        uint64_t end_us = clock_wall_us() + PATIENCE_S * 1000000ull;
        assert_int_equal(ask(s, "one", stop, &a), MS_OK);
        assert_int_equal(is_stopped(s, CHAN_ONE), stop); /* at once */
        while ((row_since(s, "one") != 0) != stop && clock_wall_us() < end_us)
            nanosleep(&moment, NULL); /* the control loop does not turn */
        assert_int_equal(a.count, 0);
        again(s, BOTH);
        assert_int_equal(is_stopped(s, CHAN_ONE), stop);
        assert_int_equal(a.count, 0);
    }
    end(s);
}

static void not_configured_for_a_while(void **state)
{
    struct site *s = begin(BOTH);
    struct answer a;
    set(s, "two", true);
    uint64_t first = enqueue(s, (struct kind){.channel = "two"}, 5);
    reload(s, ONE);
    assert_int_equal(ask(s, "two", false, &a), MS_ENOTFOUND);
    reload(s, BOTH);
    assert_true(is_stopped(s, CHAN_TWO));
    for (unsigned i = 0; i < 2; i++) { /* a start that does not know of it */
        again(s, ONE);
        reload(s, BOTH);
        assert_true(is_stopped(s, CHAN_TWO));
        reload(s, ONE);
        reload(s, BOTH);
        assert_true(is_stopped(s, CHAN_TWO) && !is_stopped(s, CHAN_ONE));
    }
    WAIT_FOR(s, view(s, CHAN_TWO).ready == 5);
    assert_int_equal(delivered(s, first, 5), 0);
    set(s, "two", false);
    WAIT_FOR(s, delivered(s, first, 5) == 5);
    reload(s, ONE);
    reload(s, BOTH);
    assert_false(is_stopped(s, CHAN_TWO));
    end(s);
}

static void what_is_refused(void **state)
{
    struct site *s = begin(BOTH);
    struct answer a, b;
    assert_int_equal(ask(s, "three", true, &a), MS_ENOTFOUND);
    assert_int_equal(ask(s, "", true, &a), MS_ENOTFOUND);
    assert_int_equal(ask(s, "one", false, &a), MS_EEXIST);
    assert_int_equal(ask(s, "one", true, &a), MS_OK);
    assert_int_equal(ask(s, "one", true, &b), MS_EBUSY);
    assert_int_equal(ask(s, "one", false, &b), MS_EBUSY);
    assert_int_equal(ask(s, "two", true, &b), MS_OK); /* each by itself */
    jobctl_channel_forget(s->jobctl, &b);
    WAIT_FOR(s, a.count && row_since(s, "two"));
    uint64_t since = row_since(s, "one");
    assert_int_equal(ask(s, "one", true, &a), MS_EEXIST);
    set(s, "one", false);
    while (ask(s, "two", false, &a) == MS_EBUSY) /* the answer that nobody hears */
        turn(s);
    WAIT_FOR(s, a.count);
    assert_int_equal(b.count, 0);
    assert_true(since > 0 && row_since(s, "one") == 0 && row_since(s, "two") == 0);
    end(s);
}

static void on_nothing(void *owner, uint64_t request, const struct part_reply *reply)
{
}

/* No room for the op: nothing changes, and later it goes. */
static void ring_is_full(void **state)
{
    struct site *s = begin(BOTH);
    struct queue_id none = script_id(999999);
    struct part_rec rec;
    struct answer a;
    enum ms_err err = MS_OK;
    uint64_t request;
    part_rec_init(&rec);
    for (unsigned i = 0; i < 1000000 && !err; i++) {
        queue_op_delete(&rec, &none);
        err = part_post(s->client, &rec, on_nothing, NULL, &request);
    }
    part_rec_fini(&rec);
    assert_int_equal(err, MS_EFULL);
    assert_int_equal(ask(s, "one", true, &a), MS_EFULL);
    assert_false(is_stopped(s, CHAN_ONE));
    while ((err = ask(s, "one", true, &a)) == MS_EFULL)
        turn(s);
    assert_int_equal(err, MS_OK);
    WAIT_FOR(s, a.count);
    assert_int_equal(a.err, MS_OK);
    assert_true(is_stopped(s, CHAN_ONE));
    end(s);
}

/* The log takes no more: whatever was asked is undone. */
static void undone_when_not_written(void **state)
{
    struct rlimit limit, small;
    for (int stop = 0; stop < 2; stop++) {
        struct site *s = begin(BOTH);
        struct answer a;
        if (!stop)
            set(s, "one", true);
        uint64_t before_us = jobctl_channel_stopped_us(s->jobctl, CHAN_ONE);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
        small = (struct rlimit){.rlim_cur = 1, .rlim_max = limit.rlim_max};
        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        assert_int_equal(ask(s, "one", stop, &a), MS_OK);
        assert_int_equal(is_stopped(s, CHAN_ONE), stop);
        WAIT_FOR(s, a.count);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        assert_int_not_equal(a.err, MS_OK);
        assert_int_equal(jobctl_channel_stopped_us(s->jobctl, CHAN_ONE), before_us);
        assert_int_equal(is_stopped(s, CHAN_ONE), !stop);
        end(s);
    }
}

static void a_row_that_cannot_be_read(void **state)
{
    uint8_t key[21];
    struct site *s = site_create();
    struct ms_errinfo why;
    struct db_txn *txn;
    site_open(s);
    memset(key, 0xff, 20);
    key[20] = 'x';
    db_writer_claim(partition_db(s->partition));
    assert_int_equal(db_write_begin(partition_db(s->partition), &txn, NULL), MS_OK);
    assert_int_equal(db_put(txn, PART_DB_QUEUE, slice_make(key, 21), SLICE_LIT("\1?")), MS_OK);
    assert_int_equal(db_write_commit(&txn, NULL), MS_OK);
    s->conf = conf_of(BOTH);
    assert_int_equal(jobctl_start(s->jobctl, s->conf, &why), MS_EDAMAGED);
    assert_non_null(strstr(why.text, "which channels are stopped cannot be read"));
    jobctl_destroy(&s->jobctl);
    channel_registry_destroy(&s->registry);
    partition_close(&s->partition);
    bus_destroy(&s->bus);
    for (unsigned i = 0; i < LOOPS; i++)
        loop_destroy(&s->loops[i]);
    loop_destroy(&s->control);
    conf_unref(&s->conf);
    site_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stays_over_restarts),
        cmocka_unit_test(crash_before_the_answer),
        cmocka_unit_test(not_configured_for_a_while),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(ring_is_full),
        cmocka_unit_test(undone_when_not_written),
        cmocka_unit_test(a_row_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
