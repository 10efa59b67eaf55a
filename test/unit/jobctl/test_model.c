/*
 * Every state that a small scheduler can reach, over the real code. A state is a sequence of events, played from the beginning;
 * sequences that lead to the same state (fingerprint) are followed once.
 *
 * State space: a pool of two jobs, or one; channel "nil": two hosts, one job or two of two threads, threaddepth 1,
 * deferral of normal mail by two steps, lingering of one; channel "one": one thread, a job for each entry, no lingering.
 * Four entries: normal to host a, normal to host b, urgent to host a, all of "nil"; normal of "one". Events, up to
 * JOBCTL_DEPTH of them (8): an entry is put (again), done, to be tried in a step, gone, wanted now by the operator; a job
 * has opened, has closed; a step of time; "nil" is stopped or started, has its maxjobs changed; the pool its limit.
 *
 * After every decision: a job is opened only below min(maxjobs, job_limit); an entry is given to one job at a time, of its
 * channel, with a free thread; nothing is given to a stopped channel.
 * After every event, by a model of its own of semantics 4.5 and 5: no job is missing (no lost wake-up), none lingers in the
 * place of a channel without any, no thread is idle that may work, a wait ends with the first time there is; an entry is
 * in the state that its times say; a window of deferral is that of the channel's first arrival and never slides.
 * In every state: when jobs go on and time passes, all entries end (nothing starves).
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "ms/base/map.h"
#include "jobctl_model.h"

#define DEPTH_MAX  12
#define STATES_MAX 2000000

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
    EV_LIMIT,
    EV_COUNT
};
struct event {
    uint8_t kind, n; /* n: entry, job, or what changes */
};
struct sequence {
    struct event events[DEPTH_MAX];
    unsigned count;
};

/* -- decisions */
static void check_open(const struct world *w, uint32_t channel)
{
    uint32_t jobs[CHANNELS] = {jobctl_sched_jobs(w->s, 0), jobctl_sched_jobs(w->s, 1)};
    assert_true(jobs[channel] <= w->limits[channel].maxjobs && jobs[0] + jobs[1] <= w->job_limit);
}

static void carry_out(struct world *w, const struct jobctl_decision *d)
{
    assert_true(d->job <= LIMIT);
    if (d->act == JOBCTL_ACT_OPEN_JOB) {
        assert_false(w->j[d->job].opening || w->j[d->job].open || w->j[d->job].closing);
        w->j[d->job].opening = true;
        w->j[d->job].channel = d->channel;
        w->j[d->job].in_work = w->j[d->job].entries = 0;
        assert_false(w->stopped && d->channel == 0);
        check_open(w, d->channel);
    } else if (d->act == JOBCTL_ACT_CLOSE_JOB) {
        assert_true(w->j[d->job].open && w->j[d->job].in_work == 0);
        w->j[d->job].open = false;
        w->j[d->job].closing = true;
    } else {
        uint64_t n = ms_get_be64(d->id.b + 8);
        assert_true(w->j[d->job].open && w->j[d->job].channel == d->channel && takes_work(w, d->job));
        assert_true(n < ENTRIES && is_ready(w, (unsigned)n) && entries[n].channel == d->channel);
        assert_false(w->stopped && d->channel == 0);
        w->e[n].job = (int)d->job;
        w->e[n].waiting = w->e[n].wanted = false;
        w->j[d->job].entries++;
        assert_true(++w->j[d->job].in_work <= w->limits[d->channel].max_client_threads);
    }
}

static void decide(struct world *w)
{
    deferrals_pass(w);
    for (unsigned i = 0;; i++) {
        struct jobctl_decision d = jobctl_sched_next(w->s, w->now);
        assert_true(i < 50);
        if (d.act == JOBCTL_ACT_WAIT) {
            w->wake = d.wake_us;
            assert_true(d.wake_us > w->now);
            break;
        }
        carry_out(w, &d);
    }
    check_state(w);
}

/* -- events */
static void put_entry(struct world *w, unsigned n)
{
    if (!w->e[n].is_put) {
        w->e[n].is_put = w->e[n].is_alive = true;
        w->e[n].arrival = w->now;
        w->e[n].waiting = window_of(w, n) > w->now;
    }
    struct jobctl_entry e = {.id = id_of(n),
                             .arrival_us = w->e[n].arrival,
                             .due_us = w->e[n].due,
                             .class_ = entries[n].class_,
                             .recipients = 1,
                             .is_retry = w->e[n].retried,
                             .host = slice_cstr(entries[n].host ? "b" : "a")};
    assert_int_equal(jobctl_sched_put(w->s, entries[n].channel, &e, w->now), MS_OK);
}

static bool entry_event(struct world *w, enum event_kind kind, unsigned n)
{
    struct queue_id id = id_of(n);
    bool in_work = w->e[n].job >= 0;
    if (kind == EV_PUT && (w->e[n].is_alive || !w->e[n].is_put)) {
        /* put again after the first deferral of its channel ended, it waits for its own, if that is later */
        w->e[n].waiting |=
            w->e[n].is_alive && !in_work && !w->e[n].retried && !w->e[n].wanted && window_of(w, n) > w->now;
        put_entry(w, n);
    } else if ((kind == EV_DONE || (kind == EV_RETRY && !w->e[n].retried)) && in_work) {
        w->j[w->e[n].job].in_work--;
        w->e[n].due = w->now + STEP_US;
        jobctl_sched_done(w->s, (uint32_t)w->e[n].job, &id, kind == EV_RETRY, w->e[n].due, w->now);
        w->e[n].job = -1;
        w->e[n].retried |= kind == EV_RETRY;
        w->e[n].is_alive = kind == EV_RETRY;
    } else if (kind == EV_GONE && w->e[n].is_alive && !in_work) {
        jobctl_sched_gone(w->s, &id);
        w->e[n].is_alive = w->e[n].waiting = false;
    } else if (kind == EV_RUN && w->e[n].is_alive && !in_work) {
        assert_int_equal(jobctl_sched_run(w->s, &id, w->now), MS_OK);
        w->e[n].wanted = true;
        w->e[n].waiting = false;
    } else {
        return false;
    }
    return true;
}

static bool job_event(struct world *w, enum event_kind kind, unsigned n)
{
    if (n > LIMIT || !(kind == EV_OPENED ? w->j[n].opening : w->j[n].closing))
        return false;
    if (kind == EV_OPENED) {
        w->j[n].opening = false;
        w->j[n].open = true;
        jobctl_sched_job_opened(w->s, n, w->now);
    } else {
        w->j[n].closing = false;
        jobctl_sched_job_closed(w->s, n);
    }
    return true;
}

static bool event_apply(struct world *w, struct event ev)
{
    bool happens = ev.n == 0;
    if (ev.kind <= EV_RUN) {
        happens = entry_event(w, (enum event_kind)ev.kind, ev.n);
    } else if (ev.kind == EV_OPENED || ev.kind == EV_CLOSED) {
        happens = job_event(w, (enum event_kind)ev.kind, ev.n);
    } else if (ev.kind == EV_TIME && ev.n == 0) {
        w->now += STEP_US;
    } else if (ev.kind == EV_STOP && ev.n == 0) {
        w->stopped = !w->stopped;
        jobctl_sched_stop_channel(w->s, 0, w->stopped);
    } else if (ev.kind == EV_LIMIT && ev.n == 0) {
        w->limits[0].maxjobs = 3 - w->limits[0].maxjobs;
        set_channel(w, 0);
    } else if (ev.kind == EV_LIMIT && ev.n == 1) {
        happens = true;
        w->job_limit = LIMIT + 1 - w->job_limit;
        jobctl_sched_set_pool(w->s, "P", w->job_limit);
    }
    if (happens)
        decide(w);
    return happens;
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
        bool is_alive = w->e[n].is_alive;
        str_addf(out, "%d%d%d%d%d %d %lld %lld ", w->e[n].is_put, is_alive, w->e[n].retried, w->e[n].wanted,
                 w->e[n].waiting, w->e[n].job, is_alive ? (long long)(w->now - w->e[n].arrival) : 0,
                 is_alive && w->e[n].due > w->now ? (long long)(w->e[n].due - w->now) : 0);
    }
    for (uint32_t i = 0; i <= LIMIT; i++) {
        struct jobctl_job_view j;
        if (jobctl_sched_job_view(w->s, i, &j))
            str_addf(out, "%u %s %llu %llu %lld|", j.channel, j.state, (unsigned long long)j.in_work,
                     (unsigned long long)j.entries,
                     j.idle_since_us ? (long long)(w->now - j.idle_since_us) : -1);
    }
    str_addf(out, "%d %d %d %lld", w->stopped, (int)w->job_limit, (int)w->limits[0].maxjobs,
             w->wake == UINT64_MAX ? -1 : (long long)(w->wake - w->now));
}

struct search {
    struct sequence *queue;
    size_t head, tail;
    struct map seen;
    struct str text;
};

static void play(struct world *w, const struct sequence *q)
{
    world_start(w);
    for (unsigned i = 0; i < q->count; i++)
        event_apply(w, q->events[i]);
}

/* The state after one event more, unless it was met before. */
static void meet(struct search *x, struct world *w, const struct sequence *from, struct event ev)
{
    struct sequence *q;
    fingerprint(w, &x->text);
    if (map_find(&x->seen, str_slice(&x->text)))
        return;
    map_put(&x->seen, str_slice(&x->text), x);
    assert_true(x->tail < STATES_MAX);
    q = &x->queue[x->tail++];
    *q = *from;
    q->events[q->count++] = ev;
    check_progress(w);
}

static void follow(struct search *x, const struct sequence *from)
{
    struct world w;
    play(&w, from);
    for (unsigned i = 0; i < EV_COUNT * ENTRIES; i++) {
        struct event ev = {(uint8_t)(i / ENTRIES), (uint8_t)(i % ENTRIES)};
        if (!event_apply(&w, ev))
            continue; /* as it was */
        meet(x, &w, from, ev);
        jobctl_sched_destroy(&w.s);
        play(&w, from);
    }
    jobctl_sched_destroy(&w.s);
}

static void test_all_states(void **state)
{
    const char *env = getenv("JOBCTL_DEPTH");
    unsigned depth = env ? (unsigned)strtoul(env, NULL, 10) : 8;
    struct search x = {.queue = ms_alloc_array(STATES_MAX, sizeof *x.queue), .tail = 1};
    assert_true(depth <= DEPTH_MAX);
    map_init(&x.seen);
    str_init(&x.text, 0);
    for (; x.head < x.tail && x.queue[x.head].count < depth; x.head++) {
        struct sequence from = x.queue[x.head];
        follow(&x, &from);
    }
    print_message("# %zu states\n", x.tail);
    assert_true(x.tail > 10000);
    str_fini(&x.text);
    map_fini(&x.seen);
    ms_free(x.queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_states)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
