/*
 * What the scheduler says of its channels, against a walk over all entries, after every one of many random events: put and put again,
 * held, gone, done, tried again, taken, given back, wanted now, stopped, started, limits and pools changed, time.
 *
 *   by_why is the sum of what jobctl_sched_explain says of each entry
 *   oldest_us is the arrival of the oldest, or up to a minute before it
 *   the numbers of entries in each state are those of the entries
 *
 * JOBCTL_ROUNDS: how many runs of events (40). A failure names its seed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "jobctl_check.h"

#define ROWS     80
#define STEPS    1500
#define CHANNELS 3

struct row {
    bool is_there; /* put, and not gone since */
    uint32_t chan;
    uint64_t arrival;
    int job; /* -1: none */
    bool taken;
};
struct world {
    struct jobctl_sched *s;
    struct row rows[ROWS];
    uint64_t now;
    bool stopped[CHANNELS];
    unsigned seed;
};

static unsigned pick(struct world *w, unsigned n)
{
    return (unsigned)rand_r(&w->seed) % n;
}

static void set_limits(struct world *w, uint32_t i)
{
    static const char *const names[CHANNELS] = {"a", "b", "c"};
    struct jobctl_limits limits = {.maxjobs = 1 + pick(w, 4),
                                   .filesperjob = pick(w, 6),
                                   .addrsperjob = pick(w, 6),
                                   .threaddepth = 1 + pick(w, 5),
                                   .max_client_threads = 1 + pick(w, 3),
                                   .by_host = pick(w, 2) == 0,
                                   .minjobs = pick(w, 2),
                                   .idle_us = pick(w, 20) * SECOND_US,
                                   .life_us = pick(w, 3) * 100 * SECOND_US,
                                   .life_entries = pick(w, 2) * 5};
    uint32_t index;
    for (unsigned c = 0; c < QUEUE_CLASS_COUNT; c++)
        limits.after[c].us = pick(w, 3) == 0 ? pick(w, 100) * SECOND_US : 0;
    assert_int_equal(
        jobctl_sched_set_channel(w->s, names[i], pick(w, 2) ? "P" : "Q", &limits, w->now, &index), MS_OK);
    assert_int_equal(index, i);
}

static void put_row(struct world *w, unsigned n)
{
    struct row *row = &w->rows[n];
    char host[16];
    if (!row->is_there && row->job < 0 && !row->taken) {
        row->chan = pick(w, CHANNELS);
        row->arrival = w->now - pick(w, 600) * SECOND_US; /* read in any order */
    }
    snprintf(host, sizeof host, "h%u", pick(w, 4));
    struct jobctl_entry e = {.id = id_of(n),
                             .arrival_us = row->arrival,
                             .due_us = pick(w, 2) ? 0 : w->now + pick(w, 100) * SECOND_US,
                             .class_ = (enum queue_class)pick(w, QUEUE_CLASS_COUNT),
                             .recipients = 1 + pick(w, 3),
                             .is_retry = pick(w, 2) == 0,
                             .host = slice_cstr(host)};
    assert_int_equal(jobctl_sched_put(w->s, row->chan, &e, w->now), MS_OK);
    row->is_there = true;
}

static void end_work(struct world *w, unsigned n)
{
    struct queue_id id = id_of(n);
    struct row *row = &w->rows[n];
    bool retry = pick(w, 3) == 0;
    jobctl_sched_done(w->s, (uint32_t)row->job, &id, retry, w->now + pick(w, 50) * SECOND_US, w->now);
    row->job = -1;
    row->is_there &= retry;
}

static void take_or_give(struct world *w, unsigned n)
{
    struct queue_id id = id_of(n);
    struct row *row = &w->rows[n];
    if (row->taken) {
        jobctl_sched_give_back(w->s, &id, w->now);
        row->taken = false;
    } else if (row->job < 0) {
        assert_int_equal(jobctl_sched_take(w->s, &id), MS_OK);
        row->taken = true;
    } else {
        assert_int_equal(jobctl_sched_take(w->s, &id), MS_EBUSY);
    }
}

static void entry_event(struct world *w)
{
    unsigned n = pick(w, ROWS);
    struct queue_id id = id_of(n);
    struct row *row = &w->rows[n];
    unsigned what = pick(w, 12);
    if (what < 5) {
        put_row(w, n);
    } else if (what < 6) {
        jobctl_sched_gone(w->s, &id);
        row->is_there = false;
    } else if (what < 7) {
        take_or_give(w, n);
    } else if (what < 8) {
        enum ms_err err = jobctl_sched_run(w->s, &id, w->now);
        assert_int_equal(err, row->job >= 0 || row->taken ? MS_EBUSY : row->is_there ? MS_OK : MS_ENOTFOUND);
    } else if (row->job >= 0) {
        end_work(w, n);
    }
}

static void something_happens(struct world *w)
{
    unsigned what = pick(w, 40);
    uint32_t chan = pick(w, CHANNELS);
    w->now += pick(w, 4) * SECOND_US;
    if (what == 0) {
        set_limits(w, chan);
    } else if (what == 1) {
        w->stopped[chan] = !w->stopped[chan];
        jobctl_sched_stop_channel(w->s, chan, w->stopped[chan]);
    } else if (what == 2) {
        jobctl_sched_set_pool(w->s, pick(w, 2) ? "P" : "Q", 1 + pick(w, 5));
    } else {
        entry_event(w);
    }
}

static void decide(struct world *w, unsigned most)
{
    while (most-- > 0) {
        struct jobctl_decision d = jobctl_sched_next(w->s, w->now);
        if (d.act == JOBCTL_ACT_WAIT)
            return;
        if (d.act == JOBCTL_ACT_OPEN_JOB) {
            jobctl_sched_job_opened(w->s, d.job, w->now);
        } else if (d.act == JOBCTL_ACT_CLOSE_JOB) {
            jobctl_sched_job_closed(w->s, d.job);
        } else {
            struct row *row = &w->rows[ms_get_be64(d.id.b + 8)];
            assert_true(row->job < 0 && !row->taken && row->is_there && !w->stopped[d.channel]);
            row->job = (int)d.job;
        }
    }
}

/* The numbers that a walk over all entries gives for one channel. */
static void walk(const struct world *w, uint32_t chan, uint64_t by_why[JOBCTL_WHY_COUNT],
                 uint64_t *oldest_out)
{
    *oldest_out = UINT64_MAX;
    for (unsigned n = 0; n < ROWS; n++) {
        struct queue_id id = id_of(n);
        struct jobctl_reason why;
        jobctl_sched_explain(w->s, &id, w->now, &why);
        if (why.why == JOBCTL_WHY_UNKNOWN || w->rows[n].chan != chan)
            continue;
        assert_int_equal(why.channel, chan);
        by_why[why.why]++;
        *oldest_out = MS_MIN(*oldest_out, w->rows[n].arrival);
    }
}

static void check(const struct world *w)
{
    for (uint32_t i = 0; i < CHANNELS; i++) {
        uint64_t by_why[JOBCTL_WHY_COUNT] = {0}, oldest;
        struct jobctl_channel_view v;
        assert_true(jobctl_sched_channel_view(w->s, i, &v));
        walk(w, i, by_why, &oldest);
        for (unsigned k = 0; k < JOBCTL_WHY_COUNT; k++)
            if (v.by_why[k] != by_why[k])
                fail_msg("channel %u, reason %u: %llu, by entry %llu", i, k, (unsigned long long)v.by_why[k],
                         (unsigned long long)by_why[k]);
        assert_true(v.oldest_us <= oldest && (oldest == UINT64_MAX) == (v.oldest_us == UINT64_MAX));
        assert_true(oldest == UINT64_MAX || oldest - v.oldest_us < 60 * SECOND_US);
        assert_int_equal(v.assigned, by_why[JOBCTL_WHY_IN_WORK]);
        assert_int_equal(v.stopped, w->stopped[i]);
    }
}

static void run(unsigned seed)
{
    struct world w = {.s = jobctl_sched_create(1000), .now = 100000 * SECOND_US, .seed = seed};
    jobctl_sched_set_pool(w.s, "P", 3);
    jobctl_sched_set_pool(w.s, "Q", 2);
    for (uint32_t i = 0; i < CHANNELS; i++)
        set_limits(&w, i);
    for (unsigned n = 0; n < ROWS; n++)
        w.rows[n].job = -1;
    for (unsigned i = 0; i < STEPS; i++) {
        something_happens(&w);
        decide(&w, i % 3 ? UINT32_MAX : 1); /* at times there is more to do */
        check(&w);
    }
    jobctl_sched_destroy(&w.s);
}

static void test_numbers(void **state)
{
    for (unsigned seed = 1; seed <= rounds(40); seed++) {
        seed_now = seed;
        run(seed);
    }
    seed_now = 0;
}

/* To the microsecond while each minute has one arrival; entries in work count. */
static void test_oldest(void **state)
{
    struct jobctl_sched *s = jobctl_sched_create(1000);
    struct jobctl_limits limits = channel(1, 0, 10, 1);
    struct jobctl_channel_view v;
    uint32_t chan;
    jobctl_sched_set_pool(s, "P", 1);
    assert_int_equal(jobctl_sched_set_channel(s, "c", "P", &limits, 0, &chan), MS_OK);
    assert_true(jobctl_sched_channel_view(s, chan, &v) && v.oldest_us == UINT64_MAX);
    for (uint64_t n = 1; n <= 3; n++) { /* each in its own minute: to the microsecond */
        put(s, chan, n, QUEUE_NORMAL, (10 - n) * 61 * SECOND_US + n, 0);
        assert_true(jobctl_sched_channel_view(s, chan, &v));
        assert_int_equal(v.oldest_us, (10 - n) * 61 * SECOND_US + n);
    }
    settle(s, 1000 * SECOND_US, NULL); /* in work: still there */
    assert_true(jobctl_sched_channel_view(s, chan, &v));
    assert_int_equal(v.oldest_us, 7 * 61 * SECOND_US + 3);
    struct queue_id id = id_of(3);
    jobctl_sched_done(s, 0, &id, false, 0, 1000 * SECOND_US);
    assert_true(jobctl_sched_channel_view(s, chan, &v));
    assert_int_equal(v.oldest_us, 8 * 61 * SECOND_US + 2);
    jobctl_sched_destroy(&s);
}

static void fill_hosts(struct jobctl_sched *s, uint32_t chan)
{
    char host[32];
    for (uint64_t n = 0; n < 900;
         n++) { /* of each host's three the second and third are older: in its heap */
        snprintf(host, sizeof host, "h%llu.example.net", (unsigned long long)(n % 300));
        struct jobctl_entry e = {.id = id_of(n),
                                 .arrival_us = (5000 - n) * SECOND_US,
                                 .class_ = QUEUE_NORMAL,
                                 .recipients = 1,
                                 .host = slice_cstr(host)};
        assert_int_equal(jobctl_sched_put(s, chan, &e, 10000 * SECOND_US), MS_OK);
    }
}

/* Memory of hosts is counted as they come and go: none is left behind them. */
static void test_bytes(void **state)
{
    struct jobctl_sched *s = jobctl_sched_create(1000);
    struct jobctl_limits limits = channel(1, 0, 10, 10);
    uint64_t full[3], empty[3];
    uint32_t chan;
    limits.by_host = true;
    jobctl_sched_set_pool(s, "P", 1);
    assert_int_equal(jobctl_sched_set_channel(s, "c", "P", &limits, 0, &chan), MS_OK);
    for (unsigned round = 0; round < 3; round++) {
        fill_hosts(s, chan);
        full[round] = jobctl_sched_bytes(s);
        for (uint64_t n = 0; n < 900; n++) {
            struct queue_id id = id_of(n);
            jobctl_sched_gone(s, &id);
        }
        empty[round] = jobctl_sched_bytes(s);
        assert_true(full[round] > empty[round] + 300 * 100);
    }
    assert_int_equal(full[2],
                     full[1]); /* what the first round made stays for others: entries, heaps of the channel */
    assert_int_equal(empty[2], empty[1]);
    jobctl_sched_destroy(&s);
}

/* What a large queue took is given back when it is empty, and taken again. */
static void test_bytes_of_large(void **state)
{
    enum { LARGE = 100000 };
    struct jobctl_sched *s = jobctl_sched_create(2 * LARGE);
    struct jobctl_limits limits = channel(1, 0, 10, 10);
    uint32_t chan;
    jobctl_sched_set_pool(s, "P", 1);
    assert_int_equal(jobctl_sched_set_channel(s, "c", "P", &limits, 0, &chan), MS_OK);
    for (unsigned round = 0; round < 2; round++) {
        for (uint64_t n = 0; n < LARGE; n++) {
            struct jobctl_entry e = {
                .id = id_of(n), .arrival_us = n, .class_ = QUEUE_NORMAL, .recipients = 1};
            assert_int_equal(jobctl_sched_put(s, chan, &e, SECOND_US), MS_OK);
        }
        assert_true(jobctl_sched_bytes(s) > 100 * LARGE);
        for (uint64_t n = 0; n < LARGE; n++) {
            struct queue_id id = id_of(n);
            assert_true(n == 0 || jobctl_sched_bytes(s) > 100 * LARGE);
            jobctl_sched_gone(s, &id);
        }
        assert_int_equal(jobctl_sched_count(s), 0);
        assert_true(jobctl_sched_bytes(s) < LARGE);
    }
    jobctl_sched_destroy(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_numbers, seed_tell),
        cmocka_unit_test(test_oldest),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_bytes_of_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
