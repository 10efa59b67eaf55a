/*
 * ctl_jobs.c - the job controller over the admin socket, in rows.
 *
 *   jobs-status [WHAT [CHANNEL]]  pools, channels and jobs; WHAT: one kind only, "" = all; of one channel only
 */
#include "app_why.h"
#include "ctl.h"

#include "ms/base/clock.h"
#include "ms/jobctl.h"

/* Whose rows are wanted. */
struct wanted {
    struct ctl_session *session;
    const struct jobctl_sched *sched;
    bool is_all;
    uint32_t channel; /* unless all */
    const char *pool;
};

/* 0 for what there is not. */
static uint64_t age_s(uint64_t since_us, uint64_t now_us)
{
    return since_us == 0 || since_us == UINT64_MAX ? 0 : (now_us - MS_MIN(since_us, now_us)) / 1000000;
}

static void emit_pools(const struct wanted *w)
{
    struct jobctl_pool_view v;
    struct ctl_row r;
    for (unsigned i = 0; jobctl_sched_pool_view(w->sched, i, &v); i++) {
        if (!w->is_all && strcmp(v.name, w->pool) != 0)
            continue;
        ctl_row_begin(&r, w->session, "pool");
        ctl_row_add(&r, "pool", "%s", v.name);
        ctl_row_number(&r, "job_limit", v.limit);
        ctl_row_number(&r, "jobs", v.running);
        ctl_row_end(&r);
    }
}

/* A channel that was taken out of the configuration: its entries wait in the queue for its return. */
static const char *channel_state(const struct wanted *w, const struct jobctl_channel_view *v)
{
    if (!jobctl_has_channel(server_jobctl(w->session->server->server), slice_cstr(v->name)))
        return "removed";
    return v->stopped ? "stopped" : "started";
}

/* What most of its entries wait for. */
static void emit_why(struct ctl_row *r, const struct jobctl_channel_view *v)
{
    unsigned most = JOBCTL_WHY_IN_WORK;
    for (unsigned why = JOBCTL_WHY_IN_WORK + 1; why < JOBCTL_WHY_COUNT; why++)
        if (v->by_why[why] > (most == JOBCTL_WHY_IN_WORK ? 0 : v->by_why[most]))
            most = why;
    ctl_row_add(r, "why", "%s", most == JOBCTL_WHY_IN_WORK ? "-" : app_why_word((enum jobctl_why)most));
    ctl_row_number(r, "why_entries", most == JOBCTL_WHY_IN_WORK ? 0 : v->by_why[most]);
}

static void emit_channel(const struct wanted *w, uint32_t index, const struct jobctl_channel_view *v)
{
    struct ctl_row r;
    ctl_row_begin(&r, w->session, "channel");
    ctl_row_add(&r, "channel", "%s", v->name);
    ctl_row_add(&r, "pool", "%s", v->pool);
    ctl_row_add(&r, "state", "%s", channel_state(w, v));
    ctl_row_time(&r, "since", jobctl_channel_stopped_us(server_jobctl(w->session->server->server), index));
    ctl_row_number(&r, "jobs", v->jobs + v->retiring);
    ctl_row_number(&r, "maxjobs", v->limits.maxjobs);
    ctl_row_number(&r, "in_work", v->assigned);
    ctl_row_number(&r, "threads", v->jobs * v->limits.max_client_threads);
    ctl_row_number(&r, "ready", v->ready - v->waiting);
    ctl_row_number(&r, "deferred", v->waiting);
    ctl_row_number(&r, "delayed", v->delayed);
    ctl_row_number(&r, "hosts", v->hosts);
    ctl_row_add(&r, "complete", "%s", v->overflow ? "no" : "yes");
    ctl_row_time(&r, "oldest", v->oldest_us);
    ctl_row_number(&r, "oldest_s", age_s(v->oldest_us, clock_wall_us()));
    ctl_row_time(&r, "next", v->next_us);
    emit_why(&r, v);
    ctl_row_end(&r);
}

static void emit_channels(const struct wanted *w)
{
    struct jobctl_channel_view v;
    for (uint32_t i = 0; jobctl_sched_channel_view(w->sched, i, &v); i++)
        if (w->is_all || i == w->channel)
            emit_channel(w, i, &v);
}

static void emit_job(const struct wanted *w, uint32_t job, const struct jobctl_job_view *v)
{
    struct jobctl_channel_view channel;
    struct ctl_row r;
    uint64_t now_us = clock_wall_us();
    if (!jobctl_sched_channel_view(w->sched, v->channel, &channel))
        return;
    ctl_row_begin(&r, w->session, "job");
    ctl_row_number(&r, "job", job);
    ctl_row_add(&r, "channel", "%s", channel.name);
    ctl_row_add(&r, "loop", "%s", jobctl_job_loop(server_jobctl(w->session->server->server), job));
    ctl_row_add(&r, "state", "%s", v->state);
    ctl_row_number(&r, "threads", v->in_work);
    ctl_row_number(&r, "max_client_threads", channel.limits.max_client_threads);
    ctl_row_number(&r, "entries", v->entries);
    ctl_row_number(&r, "age_s", age_s(v->born_us, now_us));
    ctl_row_number(&r, "idle_s", age_s(v->idle_since_us, now_us));
    ctl_row_end(&r);
}

static void emit_jobs(const struct wanted *w)
{
    struct jobctl_job_view v;
    for (uint32_t i = 0; i < JOBCTL_JOBS_MAX; i++)
        if (jobctl_sched_job_view(w->sched, i, &v) && (w->is_all || v.channel == w->channel))
            emit_job(w, i, &v);
}

static bool find_channel(struct wanted *w, struct slice name)
{
    struct jobctl_channel_view v;
    for (uint32_t i = 0; jobctl_sched_channel_view(w->sched, i, &v); i++)
        if (slice_eq_cstr(name, v.name)) {
            w->is_all = false;
            w->channel = i;
            w->pool = v.pool;
            return true;
        }
    return false;
}

static void answer_no_channel(struct ctl_session *s, struct slice name)
{
    char text[80];
    snprintf(text, sizeof text, "there is no channel \"%.32s\"", arena_dup_cstr(&s->arena, name));
    ctl_answer(s, EX_NOINPUT, text);
}

void ctl_jobs_status(struct ctl_session *s, const struct slice *words, size_t count)
{
    static const struct {
        const char *word;
        void (*emit)(const struct wanted *w);
    } kinds[] = {{"pools", emit_pools}, {"channels", emit_channels}, {"jobs", emit_jobs}};
    struct wanted w = {
        .session = s, .sched = jobctl_scheduler(server_jobctl(s->server->server)), .is_all = true};
    bool every_kind = count < 2 || words[1].len == 0, is_kind = every_kind;
    if (count > 2 && !find_channel(&w, words[2])) {
        answer_no_channel(s, words[2]);
        return;
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(kinds); i++)
        if (every_kind || slice_eq_cstr(words[1], kinds[i].word)) {
            kinds[i].emit(&w);
            is_kind = true;
        }
    ctl_answer(s, is_kind ? EX_OK : EX_USAGE, is_kind ? "" : "jobs-status [pools|channels|jobs [CHANNEL]]");
}
