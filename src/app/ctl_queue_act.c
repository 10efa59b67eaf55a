/*
 * ctl_queue_act.c - the verbs of the queue over the admin socket.
 *
 *   queue-act hold|release|run|return|delete [REASON]      then a line for each id, then an empty one
 *
 * Each id is answered by a line "QID RESULT TEXT" when what was done is durable and visible, not in the order of
 * the ids.
 * RESULT is held, released, scheduled, returned, deleted, or why not: gone, busy, not-held, is-held, failed.
 *
 *   WAIT    a job has the entry (or another operator): asked again every ACT_ASK_MS until ACT_WAIT_MS are over
 *   ROOM    taken from the job controller; the partition's ring is full
 *   POSTED  the op is on its way; or the return is (chan)
 *
 * An act whose op was posted outlives its session, so that the job controller gets the entry back.
 */
#include "app_queue.h"
#include "ctl.h"

#include "ms/base/clock.h"
#include "ms/chan.h"
#include "ms/jobctl.h"
#include "ms/obs.h"

#define ACT_WINDOW  64 /* acts of one request at a time */
#define ACT_WAIT_MS 3000
#define ACT_ASK_MS  20

struct act_task {
    struct ctl_task task;
    const struct act_verb *verb;
    struct slice reason; /* in the session's arena */
    unsigned active;
    uint64_t done, failed;
    bool all_asked;
};

struct act {
    struct list node; /* of the server */
    struct ctl_server *server;
    struct act_task *task; /* NULL: the session is gone */
    const struct act_verb *verb;
    struct queue_id id;
    char trace[QUEUE_TRACE_MAX + 1];
    uint64_t deadline_ms;
    bool taken;
    struct loop_timer timer;  /* WAIT */
    struct bus_waiter waiter; /* ROOM */
    struct part_rec rec;
    uint64_t request; /* POSTED */
    struct chan_return *return_;
};

struct act_verb {
    const char *word;
    const char *done; /* RESULT */
    void (*start)(struct act *a, const struct queue_entry *e);
};

static struct jobctl *jobs_of(const struct act *a)
{
    return server_jobctl(a->server->server);
}

/* -- the end of an act, of all acts */
static void act_free(struct act *a)
{
    loop_timer_stop(a->server->control, &a->timer);
    bus_waiter_cancel(&a->waiter);
    part_rec_fini(&a->rec);
    if (a->taken)
        jobctl_give_back(jobs_of(a), &a->id);
    list_remove(&a->node);
    ms_free(a);
}

static void task_step(struct act_task *t)
{
    struct ctl_session *s = t->task.session;
    if (t->all_asked && t->active == 0) {
        char text[64];
        snprintf(text, sizeof text, "%llu %llu", (unsigned long long)t->done, (unsigned long long)t->failed);
        ctl_answer(s, EX_OK, text);
    } else {
        ctl_task_ready(s);
    }
}

static void say(struct act_task *t, const struct queue_id *id, const char *result, const char *text)
{
    char qid[QUEUE_ID_TEXT_MAX];
    const struct slice words[] = {slice_make(qid, queue_id_emit(id, qid)), slice_cstr(result),
                                  slice_cstr(text)};
    ctl_words(t->task.session, words, MS_ARRAY_LEN(words));
}

static void act_end(struct act *a, const char *result, const char *text)
{
    struct act_task *t = a->task;
    char qid[QUEUE_ID_TEXT_MAX];
    queue_id_emit(&a->id, qid);
    OBS_EVENT(OBS_APP_QUEUE_ACT, 0, OBS_C("trace", a->trace), OBS_C("qid", qid), OBS_C("verb", a->verb->word),
              OBS_C("result", result), OBS_C("text", text));
    if (t) {
        say(t, &a->id, result, text);
        t->active--;
        *(strcmp(result, a->verb->done) == 0 ? &t->done : &t->failed) += 1;
    }
    act_free(a);
    if (t)
        task_step(t);
}

static void act_fail(struct act *a, enum ms_err err)
{
    if (err == MS_ENOTFOUND)
        act_end(a, "gone", "not in the queue any more");
    else if (err == MS_EBUSY)
        act_end(a, "busy", "being delivered now");
    else
        act_end(a, "failed", ms_err_text(err));
}

/* -- one op */
static void act_post(struct act *a);

static void on_room(void *owner)
{
    act_post(owner);
}

static void on_posted(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct act *a = owner;
    struct rd rd = rd_make(reply->result);
    enum ms_err err = reply->err, result = MS_OK;
    a->request = 0;
    if (!err)
        err = queue_result_next(&rd, &result) ? MS_EDAMAGED : result;
    if (err) {
        act_fail(a, err);
        return;
    }
    if (strcmp(a->verb->word, "release") == 0) { /* semantics 7: at once, ahead of all others */
        jobctl_give_back(jobs_of(a), &a->id);
        a->taken = false;
        err = jobctl_run(jobs_of(a), &a->id);
    }
    act_end(a, a->verb->done, err == MS_ENOTFOUND ? "its channel is not configured" : "");
}

static void act_post(struct act *a)
{
    struct part_client *client = server_control_part(a->server->server);
    enum ms_err err = part_post(client, &a->rec, on_posted, a, &a->request);
    if (err == MS_EFULL) {
        a->waiter = (struct bus_waiter){.fn = on_room, .owner = a};
        part_wait_room(client, &a->waiter);
    } else if (err) {
        act_fail(a, err);
    }
}

static void start_hold(struct act *a, const struct queue_entry *e)
{
    struct slice reason = a->task->reason;
    queue_op_hold(&a->rec, &a->id, true, reason.len ? reason : SLICE_LIT("held by the operator"));
    act_post(a);
}

static void start_release(struct act *a, const struct queue_entry *e)
{
    if (!e->held) {
        act_end(a, "not-held", "was not held");
        return;
    }
    queue_op_hold(&a->rec, &a->id, false, (struct slice){0});
    act_post(a);
}

static void start_delete(struct act *a, const struct queue_entry *e)
{
    queue_op_delete(&a->rec, &a->id);
    act_post(a);
}

static void on_returned(void *owner, enum ms_err err, uint32_t returned, bool reported)
{
    struct act *a = owner;
    char text[64];
    a->return_ = NULL;
    if (err) {
        act_fail(a, err);
        return;
    }
    snprintf(text, sizeof text, "%u recipients, %s", returned,
             reported ? "reported to the sender" : "no report");
    act_end(a, a->verb->done, text);
}

static void start_return(struct act *a, const struct queue_entry *e)
{
    a->return_ = chan_return_start(server_chan_env(a->server->server), a->server->control, &a->id,
                                   a->task->reason, on_returned, a);
}

static void start_run(struct act *a, const struct queue_entry *e)
{
    enum ms_err err = MS_OK;
    if (e->held) {
        act_end(a, "is-held", "is held: release it");
        return;
    }
    jobctl_give_back(jobs_of(a), &a->id);
    a->taken = false;
    err = jobctl_run(jobs_of(a), &a->id);
    if (err == MS_ENOTFOUND)
        act_end(a, "failed", "its channel is not configured");
    else if (err)
        act_fail(a, err);
    else
        act_end(a, a->verb->done, "");
}

static const struct act_verb verbs[] = {
    {"hold", "held", start_hold},        {"release", "released", start_release},
    {"run", "scheduled", start_run},     {"return", "returned", start_return},
    {"delete", "deleted", start_delete},
};

/* -- its begin */
static void act_start(struct act *a)
{
    struct part_snap snap;
    struct queue_entry e;
    enum ms_err err = part_snap_begin(server_partition(a->server->server), &snap);
    if (err) {
        act_fail(a, err);
        return;
    }
    err = queue_find(&snap, &a->id, &e);
    if (!err && e.pending == 0)
        err = MS_ENOTFOUND; /* done for all; waits for its forget */
    if (!err)
        snprintf(a->trace, sizeof a->trace, SLICE_FMT, SLICE_ARG(e.trace));
    part_snap_end(&snap);
    if (err)
        act_fail(a, err);
    else
        a->verb->start(a, &e); /* looks at its numbers only: the texts went with the snapshot */
}

static void act_ask(struct act *a);

static void on_ask(struct loop_timer *timer)
{
    act_ask(MS_CONTAINER_OF(timer, struct act, timer));
}

static void act_ask(struct act *a)
{
    enum ms_err err = jobctl_take(jobs_of(a), &a->id);
    if (!err) {
        a->taken = true;
        act_start(a);
    } else if (clock_mono_ms() >= a->deadline_ms) {
        act_fail(a, err);
    } else {
        loop_timer_start(a->server->control, &a->timer, ACT_ASK_MS, on_ask);
    }
}

static void act_begin(struct act_task *t, const struct queue_id *id)
{
    struct act *a = ms_new(struct act);
    a->server = t->task.session->server;
    a->task = t;
    a->verb = t->verb;
    a->id = *id;
    a->deadline_ms = clock_mono_ms() + ACT_WAIT_MS;
    part_rec_init(&a->rec);
    list_init(&a->waiter.node);
    list_push_back(&a->server->queue_acts, &a->node);
    t->active++;
    act_ask(a);
}

/* -- the request */
static bool on_act_line(struct ctl_task *task, struct slice line)
{
    struct act_task *t = MS_CONTAINER_OF(task, struct act_task, task);
    struct queue_id id;
    if (t->active >= ACT_WINDOW || ctl_is_full(task->session))
        return false;
    if (line.len == 0) {
        t->all_asked = true;
        task_step(t);
    } else if (t->all_asked || queue_id_parse(line, &id)) {
        ctl_answer(task->session, EX_PROTOCOL, "not an id");
    } else {
        act_begin(t, &id);
    }
    return true;
}

static void on_act_drained(struct ctl_task *task)
{
    ctl_task_ready(task->session);
}

/* What waits is given up; what was posted comes to its end. */
static void on_act_closed(struct ctl_task *task)
{
    struct act_task *t = MS_CONTAINER_OF(task, struct act_task, task);
    LIST_FOREACH_SAFE(&task->session->server->queue_acts, it)
    {
        struct act *a = LIST_ENTRY(it, struct act, node);
        if (a->task != t)
            continue;
        a->task = NULL;
        if (!a->request && !a->return_)
            act_free(a);
    }
    ms_free(t);
}

static const struct ctl_task_type act_type = {
    .line = on_act_line, .drained = on_act_drained, .closed = on_act_closed};

void ctl_queue_act(struct ctl_session *s, const struct slice *words, size_t count)
{
    const struct act_verb *verb = NULL;
    for (size_t i = 0; i < MS_ARRAY_LEN(verbs) && count >= 2 && count <= 3; i++)
        if (slice_eq_cstr(words[1], verbs[i].word))
            verb = &verbs[i];
    if (!verb || (count == 3 && words[2].len > QUEUE_REASON_MAX)) {
        ctl_answer(s, EX_USAGE, "queue-act hold|release|run|return|delete [REASON]");
        return;
    }
    struct act_task *t = ms_new(struct act_task);
    t->verb = verb;
    t->reason = count == 3 ? words[2] : (struct slice){0};
    ctl_task_begin(s, &t->task, &act_type);
}

void ctl_queue_stop(struct ctl_server *c)
{
    LIST_FOREACH_SAFE(&c->queue_acts, it)
    {
        struct act *a = LIST_ENTRY(it, struct act, node);
        if (a->request)
            part_forget(server_control_part(c->server), a->request);
        if (a->return_)
            chan_return_cancel(&a->return_);
        act_free(a);
    }
}
