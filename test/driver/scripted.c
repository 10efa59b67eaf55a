/*
 * scripted.c - the driver `scripted`: as one for remote hosts would, it works on an entry for some time, comes back with a
 * result for each recipient, and settles them. What it does is in the script (script.h).
 *
 *   claim and read -> DELAY (timer) -> verdicts -> settle -> done
 */
#include "script.h"

#include <stdatomic.h>

#include "ms/base/err.h"

struct script script;

struct scripted_job {
    struct channel_job *handle;
    struct loop *loop;
    const struct chan_env *env;
    const struct chan_env_loop *here;
    struct chan_times times;
    unsigned number; /* in this process */
    struct list works;
};

struct work {
    struct list node;
    struct scripted_job *job;
    uint64_t ticket;
    char qid[QUEUE_ID_TEXT_MAX];
    struct chan_attempt attempt;
    struct loop_timer timer;
};

static const char *host_of(const struct work *w)
{
    return w->attempt.entry.host[0] ? w->attempt.entry.host : "-";
}

static void work_free(struct work *w)
{
    loop_timer_stop(w->job->loop, &w->timer);
    list_remove(&w->node);
    chan__attempt_fini(&w->attempt);
    ms_free(w);
}

static void work_end(struct work *w, enum channel_outcome outcome)
{
    struct channel_job *handle = w->job->handle;
    uint64_t ticket = w->ticket;
    work_free(w);
    channel_entry_done(handle, ticket, outcome);
}

static void on_settled(void *owner, enum ms_err err)
{
    struct work *w = owner;
    script_log(w->job->number, w->job->loop, "settled %s %s %s %s", w->qid, w->job->times.channel, host_of(w),
               err ? ms_err_name(err) : "OK");
    work_end(w, err ? CHANNEL_RETRY : chan__attempt_log(&w->attempt, host_of(w)));
}

static void judge(const struct chan_entry *e, struct chan_rcpt *r)
{
    const struct script_line *line = script_find(&script, slice_cstr(e->host), r->address);
    r->verdict = CHAN_DEFERRED;
    r->reason = SLICE_LIT("4.3.5 the script has no line for it");
    if (line) {
        const struct script_result *result = script_result(line, e->attempts);
        r->verdict = result->verdict;
        r->reason = slice_cstr(result->reason);
    }
}

static void on_answer(struct loop_timer *timer)
{
    static const char *const names[] = {
        [CHAN_SENT] = "sent", [CHAN_DEFERRED] = "deferred", [CHAN_FAILED] = "failed", [CHAN_HELD] = "held"};
    struct work *w = MS_CONTAINER_OF(timer, struct work, timer);
    struct chan_entry *e = &w->attempt.entry;
    for (size_t i = 0; i < e->rcpt_count; i++) {
        judge(e, &e->rcpts[i]);
        script_log(w->job->number, w->job->loop, "result %s %s %s " SLICE_FMT " %s", w->qid,
                   w->job->times.channel, host_of(w), SLICE_ARG(e->rcpts[i].address),
                   names[e->rcpts[i].verdict]);
    }
    chan__attempt_settle(&w->attempt, on_settled, w);
}

static void begin(struct work *w)
{
    const struct chan_entry *e = &w->attempt.entry;
    uint64_t delay_ms = 0;
    script_log(w->job->number, w->job->loop, "begin %s %s %s %u %u %llu %llu %zu", w->qid,
               w->job->times.channel, host_of(w), (unsigned)e->class_, (unsigned)e->attempts,
               (unsigned long long)e->due_us, (unsigned long long)e->arrival_us, e->rcpt_count);
    for (size_t i = 0; i < e->rcpt_count; i++) {
        const struct script_line *line = script_find(&script, slice_cstr(e->host), e->rcpts[i].address);
        delay_ms = MS_MAX(delay_ms, line ? line->delay_ms : 0);
    }
    if (delay_ms)
        loop_timer_start(w->job->loop, &w->timer, delay_ms, on_answer);
    else
        on_answer(&w->timer);
}

static void *job_open(void *env_ptr, struct channel_job *handle, struct loop *loop, const char *channel,
                      const struct channel_conf *conf)
{
    static _Atomic unsigned numbers;
    struct scripted_job *job = ms_new(struct scripted_job);
    job->handle = handle;
    job->loop = loop;
    job->env = env_ptr;
    job->here = &job->env->loops[loop_index(loop)];
    job->number = ++numbers;
    chan__times_make(&job->times, job->here, channel, conf);
    list_init(&job->works);
    script_log(job->number, loop, "open %s", channel);
    return job;
}

static void job_entry(void *job_ptr, const struct queue_id *id, uint64_t ticket)
{
    struct scripted_job *job = job_ptr;
    struct work *w = ms_new(struct work);
    chan__times_refresh(&job->times, job->here);
    w->job = job;
    w->ticket = ticket;
    queue_id_emit(id, w->qid);
    list_push_back(&job->works, &w->node);
    enum ms_err err = chan__attempt_begin(&w->attempt, job->env, job->loop, &job->times, id);
    if (err)
        work_end(w, err == MS_ENOTFOUND ? CHANNEL_DONE : CHANNEL_RETRY);
    else
        begin(w);
}

/* Entries in work are there only when the server stops at its deadline. */
static void job_close(void *job_ptr)
{
    struct scripted_job *job = job_ptr;
    LIST_FOREACH_SAFE(&job->works, it)
    work_free(LIST_ENTRY(it, struct work, node));
    script_log(job->number, job->loop, "close %s", job->times.channel);
    ms_free(job);
}

const struct channel_driver scripted_driver = {.name = "scripted",
                                               .by_host = true,
                                               .job_open = job_open,
                                               .job_entry = job_entry,
                                               .job_close = job_close};
