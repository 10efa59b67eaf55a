/*
 * ctl_channel.c - channels are stopped and started over the admin socket.
 *
 *   channel-stop|start NAME     answered when the change is durable
 *
 *   WAIT    another change of the channel is under way, or the partition's ring is full: asked again every
 *           ACT_ASK_MS until ACT_WAIT_MS are over
 *   POSTED  the job controller answers; this outlives the session, so that the log tells what came of it
 */
#include "ctl.h"

#include "ms/base/clock.h"
#include "ms/jobctl.h"
#include "ms/obs.h"

#define ACT_WAIT_MS 3000
#define ACT_ASK_MS  20

struct channel_act {
    struct ctl_task task;
    struct list node; /* of the server */
    struct ctl_server *server;
    bool has_session, is_posted, stop;
    uint32_t uid;
    char channel[CHANNEL_NAME_MAX + 1];
    uint64_t deadline_ms;
    struct loop_timer timer; /* WAIT */
};

static void act_free(struct channel_act *a)
{
    loop_timer_stop(a->server->control, &a->timer);
    list_remove(&a->node);
    ms_free(a);
}

static void say(const struct channel_act *a, const char *result, const char *text)
{
    OBS_EVENT(OBS_APP_CHANNEL_ACT, 0, OBS_C("channel", a->channel), OBS_C("verb", a->stop ? "stop" : "start"),
              OBS_U("uid", a->uid), OBS_C("result", result), OBS_C("text", text));
}

/* When the session is there, the task ends with it: on_closed. */
static void act_end(struct channel_act *a, int exit_code, const char *text)
{
    a->is_posted = false;
    if (a->has_session)
        ctl_answer(a->task.session, exit_code, text);
    else
        act_free(a);
}

static void act_fail(struct channel_act *a, enum ms_err err)
{
    char text[128];
    if (err == MS_EEXIST) { /* it is so already */
        act_end(a, EX_OK, "");
        return;
    }
    if (err == MS_ENOTFOUND)
        snprintf(text, sizeof text, "there is no channel \"%.32s\" in the configuration", a->channel);
    else if (err == MS_EBUSY)
        snprintf(text, sizeof text, "another change of this channel is under way");
    else
        snprintf(text, sizeof text, "not done: %s", ms_err_text(err));
    if (err != MS_ENOTFOUND)
        say(a, "failed", ms_err_text(err));
    act_end(a, app_exit_for_err(err), text);
}

static void on_done(void *owner, enum ms_err err)
{
    struct channel_act *a = owner;
    if (err) {
        act_fail(a, err == MS_EEXIST || err == MS_ENOTFOUND ? MS_EIO : err);
        return;
    }
    say(a, "done", "");
    act_end(a, EX_OK, "");
}

static void act_ask(struct channel_act *a);

static void on_ask(struct loop_timer *timer)
{
    act_ask(MS_CONTAINER_OF(timer, struct channel_act, timer));
}

static void act_ask(struct channel_act *a)
{
    enum ms_err err =
        jobctl_channel_stop(server_jobctl(a->server->server), slice_cstr(a->channel), a->stop, on_done, a);
    if (!err)
        a->is_posted = true;
    else if ((err == MS_EBUSY || err == MS_EFULL) && clock_mono_ms() < a->deadline_ms)
        loop_timer_start(a->server->control, &a->timer, ACT_ASK_MS, on_ask);
    else
        act_fail(a, err);
}

static bool on_line(struct ctl_task *task, struct slice line)
{
    return true; /* nothing is asked any more */
}

static void on_drained(struct ctl_task *task)
{
}

/* What waits is given up; what was posted comes to its end. */
static void on_closed(struct ctl_task *task)
{
    struct channel_act *a = MS_CONTAINER_OF(task, struct channel_act, task);
    a->has_session = false;
    if (!a->is_posted)
        act_free(a);
}

static const struct ctl_task_type act_type = {.line = on_line, .drained = on_drained, .closed = on_closed};

void ctl_channel_stop(struct ctl_session *s, const struct slice *words, size_t count)
{
    if (count != 2) {
        ctl_answer(s, EX_USAGE, "one channel is needed");
        return;
    }
    if (words[1].len > CHANNEL_NAME_MAX || (words[1].len && memchr(words[1].ptr, 0, words[1].len))) {
        ctl_answer(s, EX_NOINPUT, "there is no channel of such a name");
        return;
    }
    struct channel_act *a = ms_new(struct channel_act);
    a->server = s->server;
    a->stop = slice_eq_cstr(words[0], "channel-stop");
    a->uid = s->uid;
    a->deadline_ms = clock_mono_ms() + ACT_WAIT_MS;
    snprintf(a->channel, sizeof a->channel, SLICE_FMT, SLICE_ARG(words[1]));
    list_push_back(&a->server->channel_acts, &a->node);
    a->has_session = true;
    ctl_task_begin(s, &a->task, &act_type);
    act_ask(a);
}

void ctl_channel_end(struct ctl_server *c)
{
    LIST_FOREACH_SAFE(&c->channel_acts, it)
    {
        struct channel_act *a = LIST_ENTRY(it, struct channel_act, node);
        jobctl_channel_forget(server_jobctl(c->server), a);
        act_free(a);
    }
}
