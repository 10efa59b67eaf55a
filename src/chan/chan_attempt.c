/*
 * chan_attempt.c - what the attempt of every driver at an entry begins and ends with: the claim, the entry's copy;
 * expiry, due time, hold, notices, the settlement; the log lines.
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

void chan__attempt_settle(struct chan_attempt *a, chan_attempt_fn *done, void *owner)
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
    a->done = done;
    a->owner = owner;
    if (a->is_noted && !chan__count(e, CHAN_FAILED) && !how.hold.len && !how.delayed) {
        done(owner, MS_OK);
        return;
    }
    a->settle = chan__settle_create(a->env, a->loop, e, &how, on_settled, a);
    chan__settle_start(a->settle);
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
    if (a->env)
        chan__claim_end(a->env->claims, &a->claim);
    chan__entry_fini(&a->entry);
}
