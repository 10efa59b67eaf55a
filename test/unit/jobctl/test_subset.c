/*
 * semantics 4.6: of a queue larger than max_messages the best entries are tracked - against a plain sort, whatever the order in which the
 * entries are put: ids of several loops, read one loop after the other or as they come, retries, what the operator wants now.
 *
 * JOBCTL_ROUNDS: how many runs (60). A failure names its seed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "jobctl_check.h"

#define ROWS  600
#define LOOPS 4

enum place { AWAY, TRACKED, IN_WORK, TAKEN };
struct row { /* an entry of the queue on disk */
    struct queue_id id;
    uint64_t arrival, due;
    enum queue_class class_;
    bool is_first;
    enum place place; /* as a plain sort has it */
    uint32_t job;
};
struct world {
    struct jobctl_sched *s;
    uint32_t chan;
    struct row rows[ROWS];
    unsigned count;
    uint64_t max, tracked /* TRACKED, IN_WORK, TAKEN */, now;
    unsigned seed;
};

static unsigned pick(struct world *w, unsigned n)
{
    return (unsigned)rand_r(&w->seed) % n;
}

/* Entries come to any of the loops as time goes on; the id says which, and the how manieth of that loop. */
static void fill(struct world *w, unsigned count)
{
    uint64_t next[LOOPS] = {0};
    w->count = count;
    for (unsigned n = 0; n < count; n++) {
        struct row *row = &w->rows[n];
        unsigned loop = pick(w, LOOPS);
        *row = (struct row){.class_ = (enum queue_class)pick(w, QUEUE_CLASS_COUNT)};
        w->now += pick(w, 3); /* some at the same time */
        row->arrival = w->now;
        row->due = pick(w, 3) ? 0 : w->now + pick(w, 5000);
        ms_put_be64(row->id.b, 1);
        ms_put_be64(row->id.b + 8, (uint64_t)loop << 48 | ++next[loop]);
    }
}

/* The time that is_better is asked at: qsort takes no argument of ours. */
static uint64_t better_now;
static bool is_stopped;

/* Nobody may work on it now. */
static bool waits(const struct row *row)
{
    return is_stopped || (!row->is_first && row->due > better_now);
}

static bool is_better(const struct row *a, const struct row *b)
{
    if (a->is_first != b->is_first)
        return a->is_first;
    if (!a->is_first && a->class_ != b->class_)
        return a->class_ < b->class_;
    if (waits(a) != waits(b))
        return waits(b);
    if (a->arrival != b->arrival)
        return a->arrival < b->arrival;
    return memcmp(a->id.b, b->id.b, sizeof a->id.b) < 0;
}

static struct row *worst(struct world *w)
{
    struct row *found = NULL;
    for (unsigned n = 0; n < w->count; n++)
        if (w->rows[n].place == TRACKED && (!found || is_better(found, &w->rows[n])))
            found = &w->rows[n];
    return found;
}

static void put_row(struct world *w, struct row *row)
{
    struct jobctl_entry e = {.id = row->id,
                             .arrival_us = row->arrival,
                             .due_us = row->due,
                             .class_ = row->class_,
                             .is_retry = row->due > 0,
                             .is_first = row->is_first,
                             .recipients = 1};
    enum ms_err want = MS_OK;
    better_now = w->now;
    if (row->place == AWAY && w->tracked >= w->max) {
        struct row *other = worst(w);
        if (other && is_better(row, other)) {
            other->place = AWAY;
            other->is_first = false;
            w->tracked--;
        } else {
            want = MS_ELIMIT;
        }
    }
    assert_int_equal(jobctl_sched_put(w->s, w->chan, &e, w->now), want);
    if (row->place == AWAY && !want) {
        row->place = TRACKED;
        w->tracked++;
    } else if (want) {
        row->is_first = false;
    }
}

static void check(struct world *w)
{
    for (unsigned n = 0; n < w->count; n++) {
        struct jobctl_reason why;
        jobctl_sched_explain(w->s, &w->rows[n].id, w->now, &why);
        enum place place = why.why == JOBCTL_WHY_UNKNOWN   ? AWAY
                           : why.why == JOBCTL_WHY_IN_WORK ? IN_WORK
                           : why.why == JOBCTL_WHY_TAKEN   ? TAKEN
                                                           : TRACKED;
        assert_int_equal(place, w->rows[n].place);
    }
    assert_int_equal(jobctl_sched_count(w->s), w->tracked);
}

static int by_id(const void *a, const void *b)
{
    return memcmp(((const struct row *)a)->id.b, ((const struct row *)b)->id.b, 16);
}
static int by_worth(const void *a, const void *b)
{
    return is_better(a, b) ? -1 : 1;
}

static void shuffle(struct world *w)
{
    for (unsigned n = w->count; n > 1; n--) {
        unsigned other = pick(w, n);
        struct row row = w->rows[n - 1];
        w->rows[n - 1] = w->rows[other];
        w->rows[other] = row;
    }
}

static void world_start(struct world *w, unsigned seed, uint64_t max)
{
    struct jobctl_limits limits = channel(3, 1, UNSET, 1);
    is_stopped = false;
    *w = (struct world){.s = jobctl_sched_create(max), .max = max, .now = 1000000, .seed = seed};
    jobctl_sched_set_pool(w->s, "P", 3);
    assert_int_equal(jobctl_sched_set_channel(w->s, "c", "P", &limits, 0, &w->chan), MS_OK);
}

/* A start: the queue is read in the order of ids, or of arrival, or any; once, or again from the beginning. */
static void test_start(void **state)
{
    for (unsigned seed = 1; seed <= rounds(60); seed++) {
        struct world w;
        seed_now = seed;
        world_start(&w, seed, 10 + seed % 290);
        fill(&w, 100 + pick(&w, 500));
        if (seed % 3 == 0)
            shuffle(&w);
        else if (seed % 3 == 1)
            qsort(w.rows, w.count, sizeof w.rows[0], by_id);
        for (unsigned n = 0; n < w.count; n++)
            put_row(&w, &w.rows[n]);
        for (unsigned n = 0; n < w.count && seed % 2; n++)
            put_row(&w, &w.rows[n]);
        qsort(w.rows, w.count, sizeof w.rows[0], by_worth);
        for (unsigned n = 0; n < w.count; n++) /* exactly the best */
            assert_int_equal(w.rows[n].place, n < w.max ? TRACKED : AWAY);
        check(&w);
        jobctl_sched_destroy(&w.s);
    }
    seed_now = 0;
}

static void gone(struct world *w, struct row *row)
{
    jobctl_sched_gone(w->s, &row->id);
    w->tracked -= row->place == TRACKED;
    if (row->place == TRACKED)
        row->place = AWAY;
}

static void end_work(struct world *w, struct row *row)
{
    bool retry = pick(w, 2) == 0;
    row->due = w->now + pick(w, 3000);
    jobctl_sched_done(w->s, row->job, &row->id, retry, row->due, w->now);
    row->place = retry ? TRACKED : AWAY;
    w->tracked -= !retry;
}

static void decide(struct world *w)
{
    for (;;) {
        struct jobctl_decision d = jobctl_sched_next(w->s, w->now);
        if (d.act == JOBCTL_ACT_WAIT)
            return;
        if (d.act == JOBCTL_ACT_OPEN_JOB) {
            jobctl_sched_job_opened(w->s, d.job, w->now);
        } else if (d.act == JOBCTL_ACT_CLOSE_JOB) {
            jobctl_sched_job_closed(w->s, d.job);
        } else {
            for (unsigned n = 0; n < w->count; n++)
                if (memcmp(w->rows[n].id.b, d.id.b, sizeof d.id.b) == 0) {
                    assert_int_equal(w->rows[n].place, TRACKED);
                    w->rows[n].place = IN_WORK;
                    w->rows[n].is_first = false;
                    w->rows[n].job = d.job;
                }
        }
    }
}

static void something_happens(struct world *w)
{
    struct row *row = &w->rows[pick(w, w->count)];
    unsigned what = pick(w, 16);
    w->now += pick(w, 50);
    if (what < 9) {
        put_row(w, row);
    } else if (what < 10 && row->place == TRACKED) {
        gone(w, row);
    } else if (what < 11 && row->place == TRACKED) {
        assert_int_equal(jobctl_sched_run(w->s, &row->id, w->now), MS_OK);
        row->is_first = true;
    } else if (what < 12 && row->place == AWAY) { /* wanted now, and there was no room for it */
        row->is_first = true;
        put_row(w, row);
    } else if (what < 13 && row->place == TRACKED) {
        assert_int_equal(jobctl_sched_take(w->s, &row->id), MS_OK);
        row->place = TAKEN;
    } else if (row->place == TAKEN) {
        jobctl_sched_give_back(w->s, &row->id, w->now);
        row->place = TRACKED;
    } else if (row->place == IN_WORK) {
        end_work(w, row);
    } else if (what == 14 && pick(w, 10) == 0) {
        is_stopped = !is_stopped;
        jobctl_sched_stop_channel(w->s, w->chan, is_stopped);
    } else if (what == 15 && pick(w, 20) == 0) {
        w->max = 10 + pick(w, 200); /* what is tracked stays */
        jobctl_sched_set_max(w->s, w->max);
    }
}

/* Any events, also around the marks at which the order by worth is made and left. */
static void test_events(void **state)
{
    for (unsigned seed = 1; seed <= rounds(60); seed++) {
        struct world w;
        seed_now = seed;
        world_start(&w, seed, 10 + seed % 190);
        fill(&w, 50 + pick(&w, 300));
        shuffle(&w);
        for (unsigned i = 0; i < 1500; i++) {
            something_happens(&w);
            if (i % 4 == 0)
                decide(&w);
            if (i % 16 == 0)
                check(&w);
        }
        check(&w);
        jobctl_sched_destroy(&w.s);
    }
    seed_now = 0;
}

/* semantics 4.6: of more entries than are tracked the best are, by class and age; an urgent one always has room; the others come when a
 * quarter is free. effect: job_controller.max_messages */
static void test_subset(void **state)
{
    uint32_t chan;
    struct jobctl_sched *s = jobctl_sched_create(100);
    struct jobctl_limits l = channel(1, 0, UNSET, 1);
    struct jobctl_channel_view view;
    jobctl_sched_set_pool(s, "P", 1);
    assert_int_equal(jobctl_sched_set_channel(s, "c", "P", &l, 0, &chan), MS_OK);
    for (unsigned n = 1; n <= 150; n++) {
        struct jobctl_entry e = {.id = id_of(n),
                                 .arrival_us = n,
                                 .class_ = n % 2 ? QUEUE_NORMAL : QUEUE_NONURGENT,
                                 .recipients = 1};
        assert_int_equal(jobctl_sched_put(s, chan, &e, 1000), n > 100 && n % 2 == 0 ? MS_ELIMIT : MS_OK);
    }
    assert_int_equal(jobctl_sched_count(s), 100);
    assert_true(jobctl_sched_channel_view(s, chan, &view) && view.overflow);
    struct jobctl_entry urgent = {
        .id = id_of(500), .arrival_us = 500, .class_ = QUEUE_URGENT, .recipients = 1};
    assert_int_equal(jobctl_sched_put(s, chan, &urgent, 1000), MS_OK);
    struct jobctl_reason why;
    for (unsigned n = 1; n <= 150; n++) { /* every normal one is there, of the others the older ones */
        struct queue_id id = id_of(n);
        jobctl_sched_explain(s, &id, 1000, &why);
        assert_int_equal(why.why != JOBCTL_WHY_UNKNOWN, n % 2 || n <= 48);
    }
    assert_false(jobctl_sched_overflowed(s));
    for (unsigned n = 1; n <= 49; n += 2) {
        struct queue_id id = id_of(n);
        assert_false(jobctl_sched_overflowed(s));
        jobctl_sched_gone(s, &id);
    }
    assert_true(jobctl_sched_overflowed(s));
    assert_false(jobctl_sched_overflowed(s)); /* once */
    jobctl_sched_destroy(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_start, seed_tell),
        cmocka_unit_test_teardown(test_events, seed_tell),
        cmocka_unit_test(test_subset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
