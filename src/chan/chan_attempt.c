/*
 * chan_attempt.c - what the attempt of every driver at an entry begins and ends with: the claim, the entry's copy;
 * whoever has the message, then expiry, due time, hold, notices, the settlement; the log lines.
 */
#include "chan_priv.h"

#include <stdio.h>

#include "ms/base/clock.h"

/* -- times of a job's channel */
void chan__times_make(struct chan_times *t, const struct chan_env_loop *here, const char *channel,
                      const struct channel_conf *conf)
{
    const struct route_conf *route = conf_section(here->conf, "route");
    snprintf(t->channel, sizeof t->channel, "%s", channel);
    channel_times_make(conf, conf_map_find(here->conf, "channels.*", route->local_channel),
                       conf_section(here->conf, "queue"), &t->times);
    t->version = here->version;
}

/* A job goes on for as long as there is work, over reloads too. One whose channel is gone keeps the times it has. */
void chan__times_refresh(struct chan_times *t, const struct chan_env_loop *here)
{
    const struct channel_conf *conf = conf_map_find(here->conf, "channels.*", t->channel);
    if (t->version != here->version && conf) {
        char channel[sizeof t->channel];
        memcpy(channel, t->channel, sizeof channel);
        chan__times_make(t, here, channel, conf);
    }
}

/* -- begin */
enum ms_err chan__attempt_begin(struct chan_attempt *a, const struct chan_env *env, struct loop *loop,
                                const struct chan_times *times, const struct queue_id *id)
{
    a->env = env;
    a->loop = loop;
    a->times = times;
    part_rec_init(&a->rec);
    list_init(&a->waiter.node);
    if (!chan__claim(env->claims, &a->claim, id))
        return MS_EBUSY; /* an operator's return is at it: what it leaves is looked at again */
    return chan__entry_read(&a->entry, env->loops[loop_index(loop)].queue, id, false);
}

/* -- end */
/* RFC 3463 3.5: X.4.7, delivery time expired. */
static void expire(struct chan_entry *e)
{
    for (size_t i = 0; i < e->rcpt_count; i++) {
        struct chan_rcpt *r = &e->rcpts[i];
        if (r->verdict != CHAN_DEFERRED)
            continue;
        r->verdict = CHAN_FAILED;
        r->is_noted = false;
        r->reason = slice_cstr(
            arena_printf(&e->arena, "4.4.7 delivery time expired: " SLICE_FMT, SLICE_ARG(r->reason)));
    }
}

/* The reason of the first one on hold, when nobody else stays. */
static struct slice hold_reason(const struct chan_entry *e)
{
    if (chan__count(e, CHAN_DEFERRED))
        return (struct slice){0};
    for (size_t i = 0; i < e->rcpt_count; i++)
        if (e->rcpts[i].verdict == CHAN_HELD)
            return e->rcpts[i].reason;
    return (struct slice){0};
}

static void on_settled(void *owner, enum ms_err err, bool reported)
{
    struct chan_attempt *a = owner;
    a->done(a->owner, err);
}

static void settle(struct chan_attempt *a)
{
    struct chan_entry *e = &a->entry;
    const struct channel_times *times = &a->times->times;
    uint64_t now_us = clock_wall_us();
    if (chan__is_expired(e, times, now_us))
        expire(e);
    uint8_t notices = chan__notices_reached(e, times, now_us);
    const struct chan_settlement how = {.attempt = {.due_us = chan__due(e, times, now_us, notices),
                                                    .tried_us = e->begun_us,
                                                    .notices = notices,
                                                    .count = !a->is_noted},
                                        .hold = hold_reason(e),
                                        .delayed = chan__is_notice_due(e, times, now_us),
                                        .until_us = e->arrival_us + channel_return_us(times, e->class_)};
    if (a->is_noted && !chan__count(e, CHAN_FAILED) && !how.hold.len && !how.delayed) {
        a->done(a->owner, MS_OK);
        return;
    }
    a->settle = chan__settle_create(a->env, a->loop, e, &how, on_settled, a);
    chan__settle_start(a->settle);
}

/* -- who has it, before a report */
static void on_noted(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct chan_attempt *a = owner;
    a->request = 0;
    if (reply->err) {
        a->done(a->owner, reply->err);
        return;
    }
    a->is_noted = true;
    settle(a);
}

static void note_post(void *owner)
{
    struct chan_attempt *a = owner;
    struct part_client *queue = a->env->loops[loop_index(a->loop)].queue;
    enum ms_err err = part_post(queue, &a->rec, on_noted, a, &a->request);
    if (err == MS_EFULL) {
        a->waiter = (struct bus_waiter){.fn = note_post, .owner = a};
        part_wait_room(queue, &a->waiter);
    } else if (err) {
        a->done(a->owner, err);
    }
}

/* All but those who failed, who are left as they are until the settlement: due at once, as a crash before it must
 * not cost a wait. */
static void note(struct chan_attempt *a)
{
    struct chan_entry *e = &a->entry;
    struct queue_outcome *outcomes = arena_new_array(&e->arena, struct queue_outcome, e->rcpt_count);
    const struct queue_attempt attempt = {
        .due_us = clock_wall_us(), .tried_us = e->begun_us, .notices = e->notices, .count = true};
    size_t n = 0;
    for (size_t i = 0; i < e->rcpt_count; i++) {
        if (e->rcpts[i].verdict == CHAN_FAILED)
            continue;
        e->rcpts[i].is_noted = true;
        outcomes[n++] = chan__outcome(&e->rcpts[i]);
    }
    queue_op_result(&a->rec, &e->id, &attempt, outcomes, n);
    note_post(a);
}

/* A report takes time, and is put off when nobody says where it would go: meanwhile those who have the message
 * must not get it again. */
void chan__attempt_settle(struct chan_attempt *a, chan_attempt_fn *done, void *owner)
{
    struct chan_entry *e = &a->entry;
    const struct channel_times *times = &a->times->times;
    uint64_t now_us = clock_wall_us();
    a->done = done;
    a->owner = owner;
    if (chan__is_expired(e, times, now_us))
        expire(e);
    if (!a->is_noted && chan__count(e, CHAN_SENT) &&
        (chan__count(e, CHAN_FAILED) || chan__is_notice_due(e, times, now_us)))
        note(a);
    else
        settle(a);
}

enum channel_outcome chan__attempt_log(const struct chan_attempt *a, const char *relay)
{
    const struct chan_entry *e = &a->entry;
    for (size_t i = 0; i < e->rcpt_count; i++)
        chan__log_delivery(e, &e->rcpts[i], relay);
    return chan__count(e, CHAN_DEFERRED) || chan__count(e, CHAN_HELD) ? CHANNEL_RETRY : CHANNEL_DONE;
}

void chan__attempt_fini(struct chan_attempt *a)
{
    chan__settle_destroy(&a->settle);
    bus_waiter_cancel(&a->waiter);
    if (a->request)
        part_forget(a->env->loops[loop_index(a->loop)].queue, a->request);
    part_rec_fini(&a->rec);
    if (a->env)
        chan__claim_end(a->env->claims, &a->claim);
    chan__entry_fini(&a->entry);
}
