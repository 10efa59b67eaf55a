/*
 * jobctl_stop.c - channels that the operator stopped: a row in the queue's partition, so that a restart or a crash
 * does not start one again.
 *
 * A change holds in the scheduler at once, is posted as an op, and is answered when that is durable and visible; one
 * that fails is undone. The rows are read once, before the queue; from then on what they say is known here, since
 * nobody else writes them. One of a channel that is not configured waits for its return.
 */
#include "jobctl_priv.h"

#include "ms/base/clock.h"

enum ms_err jobctl__stops_read(struct jobctl *j)
{
    struct part_snap snap;
    struct queue_stop stop = {.channel = ""};
    enum ms_err err;
    MS_TRY(part_snap_begin(j->partition, &snap));
    while ((err = queue_stop_next(&snap, slice_cstr(stop.channel), &stop)) == MS_OK) {
        j->stops = ms_realloc_array(j->stops, j->stop_count + 1, sizeof *j->stops);
        j->stops[j->stop_count++] = stop;
    }
    part_snap_end(&snap);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

void jobctl__stop_init(struct jobctl *j, struct jobctl_chan *chan)
{
    chan->jobctl = j;
    for (size_t i = 0; i < j->stop_count; i++)
        if (strcmp(j->stops[i].channel, chan->name) == 0) /* 0 stands for "not stopped" */
            chan->stopped_us = MS_MAX(j->stops[i].since_us, (uint64_t)1);
}

void jobctl__stop_warn(const struct jobctl_chan *chan)
{
    char since[CLOCK_RFC3339_MAX];
    if (!chan->stopped_us)
        return;
    clock_emit_rfc3339(chan->stopped_us, since);
    OBS_EVENT(OBS_JOBCTL_STOPPED, 0, OBS_C("channel", chan->name), OBS_C("since", since));
}

void jobctl__stop_apply(struct jobctl_chan *chan)
{
    jobctl_sched_stop_channel(chan->jobctl->sched, chan->index, !chan->conf || chan->stopped_us);
    jobctl__step_soon(chan->jobctl);
}

static void set(struct jobctl_chan *chan, uint64_t stopped_us)
{
    chan->stopped_us = stopped_us;
    jobctl__stop_apply(chan);
}

static void change_end(struct jobctl_chan *chan, enum ms_err err)
{
    struct jobctl_change change = chan->change;
    chan->change = (struct jobctl_change){0};
    if (err)
        set(chan, change.before_us);
    if (change.done)
        change.done(change.owner, err);
}

static void on_posted(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct rd rd = rd_make(reply->result);
    enum ms_err err = reply->err, result = MS_OK;
    if (!err)
        err = queue_result_next(&rd, &result);
    if (!err && result != MS_EEXIST && result != MS_ENOTFOUND) /* so it was already: as it was asked for */
        err = result;
    change_end(owner, err);
}

static enum ms_err post(struct jobctl_chan *chan, bool stop, uint64_t now_us)
{
    struct jobctl *j = chan->jobctl;
    struct part_rec rec;
    part_rec_init(&rec);
    queue_op_stop(&rec, slice_cstr(chan->name), stop, now_us);
    enum ms_err err =
        part_post(part_client_of(j->partition, j->control), &rec, on_posted, chan, &chan->change.request);
    part_rec_fini(&rec);
    return err;
}

enum ms_err jobctl_channel_stop(struct jobctl *j, struct slice channel, bool stop, jobctl_stop_fn *done,
                                void *owner)
{
    struct jobctl_chan *chan = jobctl__chan_find(j, channel);
    uint64_t now_us = clock_wall_us();
    if (!chan)
        return MS_ENOTFOUND;
    if (chan->change.done)
        return MS_EBUSY;
    if (stop == (chan->stopped_us != 0))
        return MS_EEXIST;
    MS_TRY(post(chan, stop, now_us));
    chan->change.before_us = chan->stopped_us;
    chan->change.done = done;
    chan->change.owner = owner;
    set(chan, stop ? now_us : 0);
    return MS_OK;
}

static void ignore(void *owner, enum ms_err err)
{
}

void jobctl_channel_forget(struct jobctl *j, const void *owner)
{
    for (unsigned i = 0; i < j->channel_count; i++)
        if (j->channels[i].change.done && j->channels[i].change.owner == owner)
            j->channels[i].change.done = ignore;
}

uint64_t jobctl_channel_stopped_us(const struct jobctl *j, uint32_t channel)
{
    return channel < j->channel_count ? j->channels[channel].stopped_us : 0;
}

void jobctl__stop_fini(struct jobctl *j)
{
    for (unsigned i = 0; i < j->channel_count; i++)
        if (j->channels[i].change.done)
            part_forget(part_client_of(j->partition, j->control), j->channels[i].change.request);
    ms_free(j->stops);
}
