/*
 * ctl_jobs.c - the job controller over the admin socket. Rows are lines of name, value, name, value ...
 *
 *   jobs-status [WHAT]       rows of pools, channels and jobs; WHAT: one kind only
 *   channel-stop|start NAME
 *   queue-explain ID...      a row for each: why it waits, when it is next tried
 */
#include "ctl.h"

#include <stdarg.h>

#include "ms/base/clock.h"
#include "ms/jobctl.h"

#define ROW_COLUMNS_MAX (CTL_WORDS_MAX / 2)

/* A row while it is made. */
struct row {
    struct ctl_session *session;
    struct slice words[CTL_WORDS_MAX];
    size_t count;
};

static void row_begin(struct row *r, struct ctl_session *s, const char *kind)
{
    r->session = s;
    r->words[0] = SLICE_LIT("row");
    r->words[1] = slice_cstr(kind);
    r->count = 2;
}

static void add(struct row *r, const char *name, const char *fmt, ...) MS_PRINTF(3, 4);
static void add(struct row *r, const char *name, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    MS_ASSERT(r->count + 2 <= CTL_WORDS_MAX);
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    r->words[r->count++] = slice_cstr(name);
    r->words[r->count++] = arena_dup(&r->session->arena, slice_cstr(text));
}

static void add_number(struct row *r, const char *name, uint64_t value)
{
    add(r, name, "%llu", (unsigned long long)value);
}

/* A moment, "-" for none. */
static void add_time(struct row *r, const char *name, uint64_t us)
{
    char text[CLOCK_RFC3339_MAX] = "-";
    if (us && us != UINT64_MAX)
        clock_emit_rfc3339(us, text);
    add(r, name, "%s", text);
}

static void row_end(struct row *r)
{
    ctl_words(r->session, r->words, r->count);
    arena_reset(&r->session->arena);
}

static const struct jobctl_sched *scheduler(struct ctl_session *s)
{
    return jobctl_scheduler(server_jobctl(s->server->server));
}

static void emit_pools(struct ctl_session *s)
{
    struct jobctl_pool_view v;
    struct row r;
    for (unsigned i = 0; jobctl_sched_pool_view(scheduler(s), i, &v); i++) {
        row_begin(&r, s, "pool");
        add(&r, "pool", "%s", v.name);
        add_number(&r, "job_limit", v.limit);
        add_number(&r, "jobs", v.running);
        row_end(&r);
    }
}

static void emit_channels(struct ctl_session *s)
{
    struct jobctl_channel_view v;
    struct row r;
    for (uint32_t i = 0; jobctl_sched_channel_view(scheduler(s), i, &v); i++) {
        row_begin(&r, s, "channel");
        add(&r, "channel", "%s", v.name);
        add(&r, "pool", "%s", v.pool);
        add(&r, "state", "%s", v.stopped ? "stopped" : "started");
        add_number(&r, "jobs", v.jobs + v.retiring);
        add_number(&r, "maxjobs", v.limits.maxjobs);
        add_number(&r, "in_work", v.assigned);
        add_number(&r, "ready", v.ready - v.waiting);
        add_number(&r, "deferred", v.waiting);
        add_number(&r, "delayed", v.delayed);
        add_number(&r, "hosts", v.hosts);
        add(&r, "complete", "%s", v.overflow ? "no" : "yes");
        add_time(&r, "next", v.next_us);
        row_end(&r);
    }
}

static void emit_jobs(struct ctl_session *s)
{
    struct jobctl_channel_view channel;
    struct jobctl_job_view v;
    struct row r;
    uint64_t now_us = clock_wall_us();
    for (uint32_t i = 0; i < JOBCTL_JOBS_MAX; i++) {
        if (!jobctl_sched_job_view(scheduler(s), i, &v) ||
            !jobctl_sched_channel_view(scheduler(s), v.channel, &channel))
            continue;
        row_begin(&r, s, "job");
        add_number(&r, "job", i);
        add(&r, "channel", "%s", channel.name);
        add(&r, "loop", "%s", jobctl_job_loop(server_jobctl(s->server->server), i));
        add(&r, "state", "%s", v.state);
        add_number(&r, "threads", v.in_work);
        add_number(&r, "max_client_threads", channel.limits.max_client_threads);
        add_number(&r, "entries", v.entries);
        add_number(&r, "age_s", (now_us - MS_MIN(v.born_us, now_us)) / 1000000);
        add_number(&r, "idle_s", v.idle_since_us ? (now_us - MS_MIN(v.idle_since_us, now_us)) / 1000000 : 0);
        row_end(&r);
    }
}

void ctl_jobs_status(struct ctl_session *s, const struct slice *words, size_t count)
{
    static const struct {
        const char *word;
        void (*emit)(struct ctl_session *s);
    } kinds[] = {{"pools", emit_pools}, {"channels", emit_channels}, {"jobs", emit_jobs}};
    bool wanted[MS_ARRAY_LEN(kinds)];
    for (size_t i = 0; i < MS_ARRAY_LEN(kinds); i++)
        wanted[i] = count < 2 || slice_eq_cstr(words[1], kinds[i].word);
    for (size_t i = 0; i < MS_ARRAY_LEN(kinds); i++) /* which use the arena that the words are in */
        if (wanted[i])
            kinds[i].emit(s);
    ctl_answer(s, EX_OK, "");
}

void ctl_channel_stop(struct ctl_session *s, const struct slice *words, size_t count)
{
    bool stop = slice_eq_cstr(words[0], "channel-stop");
    char text[80];
    if (count != 2) {
        ctl_answer(s, EX_USAGE, "one channel is needed");
        return;
    }
    snprintf(text, sizeof text, "there is no channel \"%.32s\"", arena_dup_cstr(&s->arena, words[1]));
    enum ms_err err = jobctl_channel_stop(server_jobctl(s->server->server), words[1], stop);
    ctl_answer(s, err ? EX_NOINPUT : EX_OK, err ? text : "");
}

/* -- explain */
static const char *const why_texts[] = {
    [JOBCTL_WHY_UNKNOWN] = "not waiting for a job",
    [JOBCTL_WHY_IN_WORK] = "a job works on it",
    [JOBCTL_WHY_TAKEN] = "a command has it",
    [JOBCTL_WHY_DUE] = "not before its time: it was tried and failed, or was to be sent later",
    [JOBCTL_WHY_STOPPED] = "its channel is stopped",
    [JOBCTL_WHY_DEFERRED] = "the channel starts no job for it yet (after)",
    [JOBCTL_WHY_CHANNEL_LIMIT] = "the channel has as many jobs as it may (maxjobs)",
    [JOBCTL_WHY_POOL_LIMIT] = "the pool has as many jobs as it may (job_limit)",
    [JOBCTL_WHY_HOST_THREADS] = "its destination has the threads that threaddepth gives it",
    [JOBCTL_WHY_OTHERS_FIRST] = "others are first",
    [JOBCTL_WHY_NEXT] = "it is next",
};
static const char *const why_words[] = {
    [JOBCTL_WHY_UNKNOWN] = "untracked",
    [JOBCTL_WHY_IN_WORK] = "in-work",
    [JOBCTL_WHY_TAKEN] = "taken",
    [JOBCTL_WHY_DUE] = "due",
    [JOBCTL_WHY_STOPPED] = "stopped",
    [JOBCTL_WHY_DEFERRED] = "deferred",
    [JOBCTL_WHY_CHANNEL_LIMIT] = "maxjobs",
    [JOBCTL_WHY_POOL_LIMIT] = "job_limit",
    [JOBCTL_WHY_HOST_THREADS] = "threaddepth",
    [JOBCTL_WHY_OTHERS_FIRST] = "turn",
    [JOBCTL_WHY_NEXT] = "next",
};
static const char *const class_names[] = {"urgent", "normal", "nonurgent", "secondclass", "thirdclass"};

/* What the job controller does not track has its reason in the entry, or in the configuration. */
static void explain_untracked(struct ctl_session *s, const struct queue_entry *e, const char **word,
                              const char **text)
{
    if (e->held) {
        *word = "held";
        *text = "it is held until released";
    } else if (e->pending == 0) {
        *word = "finished";
        *text = "all its recipients are finished";
    } else if (!jobctl_has_channel(server_jobctl(s->server->server), e->channel)) {
        *word = "no-channel";
        *text = "its channel is not configured";
    } else {
        *word = "behind";
        *text = "more entries wait than job_controller.max_messages; it is read when its turn comes nearer";
    }
}

static void explain_entry(struct ctl_session *s, const struct queue_entry *e)
{
    struct jobctl_reason why;
    struct row r;
    jobctl_explain(server_jobctl(s->server->server), &e->id, &why);
    const char *word = why_words[why.why], *text = why_texts[why.why];
    char qid[QUEUE_ID_TEXT_MAX];
    if (why.why == JOBCTL_WHY_UNKNOWN)
        explain_untracked(s, e, &word, &text);
    row_begin(&r, s, "entry");
    add(&r, "id", "%.*s", (int)queue_id_emit(&e->id, qid), qid);
    add(&r, "channel", SLICE_FMT, SLICE_ARG(e->channel));
    add(&r, "host", SLICE_FMT, SLICE_ARG(e->host));
    add(&r, "class", "%s", class_names[e->class_]);
    add(&r, "why", "%s", word);
    add(&r, "text", "%s", text);
    add_time(&r, "until", why.until_us);
    if (why.why == JOBCTL_WHY_IN_WORK)
        add(&r, "job", "%u", why.job);
    if (why.why == JOBCTL_WHY_OTHERS_FIRST || why.why == JOBCTL_WHY_HOST_THREADS)
        add_number(&r, "waiting_beside", why.ahead);
    add_number(&r, "attempts", e->attempts);
    add_time(&r, "tried", e->tried_us);
    add(&r, "reason", SLICE_FMT, SLICE_ARG(slice_sub(e->hold_reason, 0, 200)));
    row_end(&r);
}

void ctl_queue_explain(struct ctl_session *s, const struct slice *words, size_t count)
{
    struct part_snap snap;
    struct queue_id ids[CTL_WORDS_MAX];
    unsigned missing = 0;
    for (size_t i = 1; i < count; i++)
        if (queue_id_parse(words[i], &ids[i]) != MS_OK) {
            ctl_answer(s, EX_USAGE, "not an id of the queue");
            return;
        }
    if (part_snap_begin(server_partition(s->server->server), &snap) != MS_OK) {
        ctl_answer(s, EX_UNAVAILABLE, "the queue cannot be read");
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct queue_entry e;
        if (queue_find(&snap, &ids[i], &e) == MS_OK)
            explain_entry(s, &e);
        else
            missing++;
    }
    part_snap_end(&snap);
    ctl_answer(s, missing ? EX_NOINPUT : EX_OK, missing ? "not in the queue" : "");
}
