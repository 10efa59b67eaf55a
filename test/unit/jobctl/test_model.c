/*
 * Every state that a small scheduler can reach, over the real code: two channels in a pool of two, three entries, a second host, a
 * deferral, retries, the operator. A state is a sequence of events, played from the beginning; sequences that lead to the same state are
 * followed once. In each state:
 *
 *   never more jobs than maxjobs or job_limit; no entry given to two jobs; no job given more than its threads
 *   no lost wake-up: what could be done is done, what has a time is woken for
 *   a deferral never ends later than the first that it began with
 *   nothing starves: when jobs go on and time passes, all entries end
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "ms/base/map.h"
#include "jobctl_check.h"

#define ENTRIES    3
#define DEPTH      10
#define STATES_MAX 400000
#define LIMIT      2
#define STEP_US    (5 * SECOND_US)

enum event_kind {
    EV_PUT,
    EV_DONE,
    EV_RETRY,
    EV_GONE,
    EV_RUN,
    EV_OPENED,
    EV_CLOSED,
    EV_TIME,
    EV_STOP,
    EV_COUNT
};
struct event {
    uint8_t kind, n; /* n: entry, job or channel */
};
struct sequence {
    struct event events[DEPTH];
    unsigned count;
};

/* Entry n: its channel, host, class. */
static const struct {
    unsigned channel;
    const char *host;
    enum queue_class class_;
} entries[ENTRIES] = {{0, "a", QUEUE_NORMAL}, {0, "b", QUEUE_URGENT}, {1, "a", QUEUE_NORMAL}};

struct world {
    struct jobctl_sched *s;
    uint32_t channel[2];
    uint64_t now;
    struct {
        bool is_put, is_alive, retried;
        uint64_t arrival;
        int job; /* -1: none */
    } e[ENTRIES];
    struct {
        bool opening, open, closing;
        unsigned in_work;
        uint32_t channel;
    } j[LIMIT + 1];
    bool stopped;
    uint64_t wake;
};

static const struct jobctl_limits limits[2] = {
    {.maxjobs = 1,
     .threaddepth = 1,
     .max_client_threads = 2,
     .by_host = true,
     .idle_us = STEP_US,
     .after = {[QUEUE_NORMAL] = {.us = 2 * STEP_US}}},
    {.maxjobs = 2, .threaddepth = 1, .max_client_threads = 1, .idle_us = 0, .life_entries = 1},
};

static void world_start(struct world *w)
{
    *w = (struct world){.s = jobctl_sched_create(10), .now = 1000 * SECOND_US};
    jobctl_sched_set_pool(w->s, "P", LIMIT);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(
            jobctl_sched_set_channel(w->s, i ? "one" : "nil", "P", &limits[i], w->now, &w->channel[i]),
            MS_OK);
    for (unsigned i = 0; i < ENTRIES; i++)
        w->e[i].job = -1;
}

static void put_entry(struct world *w, unsigned n)
{
    struct jobctl_entry e = {.id = id_of(n),
                             .arrival_us = w->e[n].arrival,
                             .class_ = entries[n].class_,
                             .recipients = 1,
                             .is_retry = w->e[n].retried,
                             .host = slice_cstr(entries[n].host)};
    assert_int_equal(jobctl_sched_put(w->s, w->channel[entries[n].channel], &e, w->now), MS_OK);
}

static void check_caps(const struct world *w)
{
    uint32_t jobs[2] = {jobctl_sched_jobs(w->s, w->channel[0]), jobctl_sched_jobs(w->s, w->channel[1])};
    assert_true(jobs[0] <= limits[0].maxjobs && jobs[1] <= limits[1].maxjobs && jobs[0] + jobs[1] <= LIMIT);
}

static void carry_out(struct world *w, const struct jobctl_decision *d)
{
    assert_true(d->job <= LIMIT);
    if (d->act == JOBCTL_ACT_OPEN_JOB) {
        assert_false(w->j[d->job].opening || w->j[d->job].open || w->j[d->job].closing);
        w->j[d->job].opening = true;
        w->j[d->job].channel = d->channel;
        w->j[d->job].in_work = 0;
        assert_false(w->stopped && d->channel == 0);
    } else if (d->act == JOBCTL_ACT_CLOSE_JOB) {
        assert_true(w->j[d->job].open && w->j[d->job].in_work == 0);
        w->j[d->job].open = false;
        w->j[d->job].closing = true;
    } else {
        uint64_t n = ms_get_be64(d->id.b + 8);
        assert_true(w->j[d->job].open && w->j[d->job].channel == d->channel);
        assert_true(w->e[n].is_alive && w->e[n].job < 0 && entries[n].channel == d->channel);
        assert_false(w->stopped && d->channel == 0);
        w->e[n].job = (int)d->job;
        assert_true(++w->j[d->job].in_work <= limits[d->channel].max_client_threads);
    }
    check_caps(w);
}

static void decide(struct world *w)
{
    for (unsigned i = 0;; i++) {
        struct jobctl_decision d = jobctl_sched_next(w->s, w->now);
        assert_true(i < 50);
        if (d.act == JOBCTL_ACT_WAIT) {
            w->wake = d.wake_us;
            assert_true(d.wake_us > w->now);
            return;
        }
        carry_out(w, &d);
    }
}

static bool event_apply(struct world *w, struct event ev)
{
    struct queue_id id = id_of(ev.n);
    switch ((enum event_kind)ev.kind) {
    case EV_PUT:
        if (w->e[ev.n].is_put)
            return false;
        w->e[ev.n].is_put = w->e[ev.n].is_alive = true;
        w->e[ev.n].arrival = w->now;
        put_entry(w, ev.n);
        break;
    case EV_DONE:
    case EV_RETRY:
        if (!w->e[ev.n].is_alive || w->e[ev.n].job < 0 || (ev.kind == EV_RETRY && w->e[ev.n].retried))
            return false;
        w->j[w->e[ev.n].job].in_work--;
        jobctl_sched_done(w->s, (uint32_t)w->e[ev.n].job, &id, ev.kind == EV_RETRY, w->now + STEP_US, w->now);
        w->e[ev.n].job = -1;
        w->e[ev.n].retried |= ev.kind == EV_RETRY;
        w->e[ev.n].is_alive = ev.kind == EV_RETRY;
        break;
    case EV_GONE:
        if (!w->e[ev.n].is_alive || w->e[ev.n].job >= 0)
            return false;
        jobctl_sched_gone(w->s, &id);
        w->e[ev.n].is_alive = false;
        break;
    case EV_RUN:
        if (!w->e[ev.n].is_alive || w->e[ev.n].job >= 0)
            return false;
        assert_int_equal(jobctl_sched_run(w->s, &id, w->now), MS_OK);
        break;
    case EV_OPENED:
        if (ev.n > LIMIT || !w->j[ev.n].opening)
            return false;
        w->j[ev.n].opening = false;
        w->j[ev.n].open = true;
        jobctl_sched_job_opened(w->s, ev.n, w->now);
        break;
    case EV_CLOSED:
        if (ev.n > LIMIT || !w->j[ev.n].closing)
            return false;
        w->j[ev.n].closing = false;
        jobctl_sched_job_closed(w->s, ev.n);
        break;
    case EV_TIME:
        if (ev.n > 0)
            return false;
        w->now += STEP_US;
        break;
    case EV_STOP:
        if (ev.n > 0)
            return false;
        w->stopped = !w->stopped;
        jobctl_sched_stop_channel(w->s, w->channel[0], w->stopped);
        break;
    case EV_COUNT:
        return false;
    }
    decide(w);
    return true;
}

/* What could be done is done. */
static void check_wake_up(const struct world *w)
{
    unsigned running = 0;
    for (unsigned i = 0; i <= LIMIT; i++)
        running += w->j[i].opening || w->j[i].open || w->j[i].closing;
    for (unsigned n = 0; n < ENTRIES; n++) {
        struct queue_id id = id_of(n);
        struct jobctl_reason why;
        unsigned channel = entries[n].channel;
        if (!w->e[n].is_alive)
            continue;
        jobctl_sched_explain(w->s, &id, w->now, &why);
        assert_int_not_equal(why.why, JOBCTL_WHY_UNKNOWN);
        if (why.why == JOBCTL_WHY_DUE || why.why == JOBCTL_WHY_DEFERRED) {
            assert_true(why.until_us > w->now && w->wake <= why.until_us);
            assert_true(why.until_us <= w->e[n].arrival + 2 * STEP_US ||
                        w->e[n].retried); /* windows never slide */
        } else if (w->e[n].job < 0 && !(w->stopped && channel == 0)) {
            bool has_free = false;
            for (unsigned i = 0; i <= LIMIT; i++)
                has_free |= w->j[i].open && w->j[i].channel == channel && w->j[i].in_work == 0;
            assert_false(has_free && channel == 0); /* a job of channel 1 ends with its one entry */
            assert_true(running == LIMIT || jobctl_sched_jobs(w->s, channel) > 0);
        }
    }
}

/* From here jobs go on and time passes: all entries end. */
static void check_progress(struct world *w)
{
    if (w->stopped)
        event_apply(w, (struct event){EV_STOP, 0});
    for (unsigned round = 0; round < 40; round++) {
        bool alive = false;
        for (uint8_t i = 0; i <= LIMIT; i++) {
            event_apply(w, (struct event){EV_OPENED, i});
            event_apply(w, (struct event){EV_CLOSED, i});
        }
        for (uint8_t n = 0; n < ENTRIES; n++) {
            event_apply(w, (struct event){EV_DONE, n});
            alive |= w->e[n].is_alive;
        }
        if (!alive) {
            assert_int_equal(jobctl_sched_count(w->s), 0);
            return;
        }
        event_apply(w, (struct event){EV_TIME, 0});
    }
    fail_msg("entries starve");
}

/* All that the future depends on, with times relative to now. */
static void fingerprint(const struct world *w, struct str *out)
{
    str_reset(out);
    for (unsigned n = 0; n < ENTRIES; n++) {
        struct queue_id id = id_of(n);
        struct jobctl_reason why;
        jobctl_sched_explain(w->s, &id, w->now, &why);
        str_addf(out, "%d%d%d%d %d %lld %lld ", w->e[n].is_put, w->e[n].is_alive, w->e[n].retried,
                 w->e[n].job, why.why, why.until_us ? (long long)(why.until_us - w->now) : 0,
                 w->e[n].is_alive ? (long long)(w->now - w->e[n].arrival) : 0);
    }
    for (uint32_t i = 0; i <= LIMIT; i++) {
        struct jobctl_job_view j;
        if (jobctl_sched_job_view(w->s, i, &j))
            str_addf(out, "%u %s %llu %llu %lld|", j.channel, j.state, (unsigned long long)j.in_work,
                     (unsigned long long)j.entries,
                     j.idle_since_us ? (long long)(w->now - j.idle_since_us) : -1);
    }
    str_addf(out, "%d %lld", w->stopped, w->wake == UINT64_MAX ? -1 : (long long)(w->wake - w->now));
}

static void play(struct world *w, const struct sequence *q)
{
    world_start(w);
    for (unsigned i = 0; i < q->count; i++)
        event_apply(w, q->events[i]);
}

struct search {
    struct sequence *queue;
    size_t head, tail;
    struct map seen;
    struct str text;
};

static void visit(struct search *x, const struct sequence *from, struct event ev)
{
    struct sequence q = *from;
    struct world w;
    play(&w, from);
    if (event_apply(&w, ev)) {
        q.events[q.count++] = ev;
        fingerprint(&w, &x->text);
        if (!map_find(&x->seen, str_slice(&x->text))) {
            map_put(&x->seen, str_slice(&x->text), x);
            check_wake_up(&w);
            check_progress(&w);
            assert_true(x->tail < STATES_MAX);
            x->queue[x->tail++] = q;
        }
    }
    jobctl_sched_destroy(&w.s);
}

static void test_all_states(void **state)
{
    struct search x = {.queue = ms_alloc_array(STATES_MAX, sizeof *x.queue), .tail = 1};
    map_init(&x.seen);
    str_init(&x.text, 0);
    for (; x.head < x.tail; x.head++) {
        struct sequence q = x.queue[x.head];
        for (unsigned kind = 0; kind < EV_COUNT && q.count < DEPTH; kind++)
            for (unsigned n = 0; n < ENTRIES; n++)
                visit(&x, &q, (struct event){(uint8_t)kind, (uint8_t)n});
    }
    print_message("# %zu states\n", x.tail);
    assert_true(x.tail > 1000);
    str_fini(&x.text);
    map_fini(&x.seen);
    ms_free(x.queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_states)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
