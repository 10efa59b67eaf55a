/*
 * ctl_explain.c - why entries wait, over the admin socket.
 *
 *   queue-explain ID...   for each a row: why it waits and when it is next tried; "missing", ID when it is not there
 *
 * The reason is the scheduler's. What it does not track has its reason in the entry or in the configuration: it is
 * held, its channel is gone, or there are more entries than job_controller.max_messages.
 */
#include "app_why.h"
#include "ctl.h"
#include "server_priv.h"

#include "ms/base/clock.h"
#include "ms/channel.h"
#include "ms/jobctl.h"

#define EXPLAIN_RCPTS_MAX                                                                                    \
    64 /* that are looked at for a reason: those that failed have the same, most of the time */

static const char *const class_names[] = {"urgent", "normal", "nonurgent", "secondclass", "thirdclass"};
_Static_assert(MS_ARRAY_LEN(class_names) == QUEUE_CLASS_COUNT, "names of classes");

/* What is known of an entry. */
struct explain {
    struct server *server;
    const struct queue_entry *e;
    struct jobctl_reason why;
    bool is_untracked, has_channel;
    struct jobctl_channel_view channel; /* when the scheduler knows it */
    uint64_t stopped_us;                /* since when the operator stopped it; 0: he did not */
    const char *word;
    struct slice reason; /* of the last failure, or of the hold */
    struct slice rcpt;   /* whom it met */
    struct channel_times times;
    bool has_times;
};

static void find_channel(struct explain *x)
{
    struct jobctl_channel_view v;
    const struct jobctl_sched *sched = jobctl_scheduler(x->server->jobctl);
    x->has_channel = jobctl_has_channel(x->server->jobctl, x->e->channel);
    for (uint32_t i = 0; x->has_channel && jobctl_sched_channel_view(sched, i, &v); i++)
        if (slice_eq_cstr(x->e->channel, v.name)) {
            x->channel = v;
            x->stopped_us = jobctl_channel_stopped_us(x->server->jobctl, i);
        }
}

/* The last failure of a recipient that is still to come. */
static void find_reason(struct explain *x, struct part_snap *snap)
{
    struct queue_recipient r = {.number = UINT32_MAX};
    if (x->e->held) {
        x->reason = x->e->hold_reason;
        return;
    }
    for (unsigned i = 0; i < EXPLAIN_RCPTS_MAX; i++) {
        if (queue_recipient_next(snap, &x->e->id, r.number, &r) != MS_OK)
            return;
        if (r.state == QUEUE_RCPT_PENDING && r.reason.len) {
            x->reason = r.reason;
            x->rcpt = r.address;
            return;
        }
    }
}

/* When notices and the return come; semantics 6. A held entry does not grow too old. */
static void find_times(struct explain *x)
{
    const struct conf *conf = x->server->conf;
    const struct route_conf *route = conf_section(conf, "route");
    char name[QUEUE_NAME_MAX + 1];
    snprintf(name, sizeof name, SLICE_FMT, SLICE_ARG(x->e->channel));
    const struct channel_conf *channel = conf_map_find(conf, "channels.*", name);
    if (!channel || x->e->held)
        return;
    channel_times_make(channel, conf_map_find(conf, "channels.*", route->local_channel),
                       conf_section(conf, "queue"), &x->times);
    x->has_times = true;
}

static const char *untracked_word(const struct explain *x)
{
    if (x->e->pending == 0)
        return "finished";
    if (x->e->held)
        return "held";
    if (!x->has_channel)
        return "no-channel";
    return x->channel.overflow ? "behind" : "unread";
}

static void find_why(struct explain *x)
{
    jobctl_explain(x->server->jobctl, &x->e->id, &x->why);
    /* entries of a channel that was just taken out are tracked until the queue has been read again */
    x->is_untracked = x->why.why == JOBCTL_WHY_UNKNOWN || !x->has_channel;
    x->word = x->is_untracked ? untracked_word(x) : app_why_word(x->why.why);
}

/* -- the sentence */
/* Whose queue it is in. */
static const char *whose_queue(const struct explain *x)
{
    const struct jobctl_limits *limits = &x->channel.limits;
    bool own = limits->by_host && limits->max_client_threads > 1 && x->e->host.len;
    return own ? "its destination" : "the channel";
}

static uint64_t job_limit(const struct explain *x)
{
    struct jobctl_pool_view v;
    for (unsigned i = 0; jobctl_sched_pool_view(jobctl_scheduler(x->server->jobctl), i, &v); i++)
        if (strcmp(v.name, x->channel.pool) == 0)
            return v.limit;
    return 0;
}

static void say_time(struct str *out, uint64_t us)
{
    char when[APP_TIME_MAX], span[APP_SPAN_MAX];
    uint64_t now_us = clock_wall_us();
    app_time(us, when);
    str_addf(out, "%s (in %s)", when, app_span(us - MS_MIN(us, now_us), span));
}

static void say_others(struct str *out, const struct explain *x)
{
    uint64_t others = x->why.ahead - MS_MIN(x->why.ahead, 1u);
    if (others)
        str_addf(out, "; %llu other %s for %s", (unsigned long long)others,
                 others == 1 ? "entry is ready" : "entries are ready", whose_queue(x));
}

static void say_untracked(struct str *out, const struct explain *x)
{
    const struct jobctl_conf *jc = conf_section(x->server->conf, "job_controller");
    if (strcmp(x->word, "finished") == 0)
        str_add_cstr(out, "all its recipients are finished");
    else if (strcmp(x->word, "held") == 0)
        str_add_cstr(out, "it is held until it is released");
    else if (strcmp(x->word, "no-channel") == 0)
        str_addf(out, "its channel " SLICE_FMT " is not in the configuration; it waits until it is",
                 SLICE_ARG(x->e->channel));
    else if (strcmp(x->word, "behind") == 0)
        str_addf(out,
                 "more entries wait than the job controller looks at (max_messages %llu); its turn comes "
                 "when others have gone",
                 (unsigned long long)jc->max_messages);
    else
        str_add_cstr(out, "the job controller is about to read it");
}

static void say_stopped(struct str *out, const struct explain *x)
{
    char when[APP_TIME_MAX];
    str_addf(out, "channel %s is stopped", x->channel.name);
    if (x->stopped_us)
        str_addf(out, " since %s", app_time(x->stopped_us, when));
}

static void say_due(struct str *out, const struct explain *x)
{
    if (x->e->attempts)
        str_addf(out, "it was tried %u time%s, the next attempt is at ", x->e->attempts,
                 x->e->attempts == 1 ? "" : "s");
    else
        str_add_cstr(out, "it is not to be tried before ");
    say_time(out, x->why.until_us);
}

static void say_tracked(struct str *out, const struct explain *x)
{
    const struct jobctl_limits *limits = &x->channel.limits;
    switch (x->why.why) {
    case JOBCTL_WHY_IN_WORK:
        str_addf(out, "job %u on %s works on it", x->why.job, jobctl_job_loop(x->server->jobctl, x->why.job));
        return;
    case JOBCTL_WHY_TAKEN:
        str_add_cstr(out, "a command has it");
        return;
    case JOBCTL_WHY_DUE:
        say_due(out, x);
        if (x->channel.stopped) {
            str_add_cstr(out, ", but ");
            say_stopped(out, x);
        }
        return;
    case JOBCTL_WHY_STOPPED:
        say_stopped(out, x);
        return;
    case JOBCTL_WHY_DEFERRED:
        /* semantics 5, rule 5: the first deferral that ends, which need not be that of its class */
        str_addf(out, "by the *after keywords of channel %s no job is started before ", x->channel.name);
        say_time(out, x->why.until_us);
        str_add_cstr(out, "; one that runs takes it, too");
        return;
    case JOBCTL_WHY_CHANNEL_LIMIT:
        str_addf(out, "the channel has as many jobs as it may (maxjobs %llu), and all are busy",
                 (unsigned long long)limits->maxjobs);
        break;
    case JOBCTL_WHY_POOL_LIMIT:
        str_addf(out,
                 "pool %s has as many jobs as it may (job_limit %llu), and those of the channel are busy",
                 x->channel.pool, (unsigned long long)job_limit(x));
        break;
    case JOBCTL_WHY_HOST_THREADS:
        str_addf(out, "%s has the threads that its backlog gives it (threaddepth %llu)", whose_queue(x),
                 (unsigned long long)limits->threaddepth);
        break;
    case JOBCTL_WHY_OTHERS_FIRST:
        str_addf(out, "others are first, and the channel needs no further job (%u running)",
                 x->channel.jobs + x->channel.retiring);
        break;
    default:
        str_add_cstr(out, "it is next");
        return;
    }
    say_others(out, x);
}

/* -- the row */
static uint64_t next_try_us(const struct explain *x)
{
    if (x->is_untracked)
        return 0;
    return x->why.why == JOBCTL_WHY_DUE || x->why.why == JOBCTL_WHY_DEFERRED ? x->why.until_us : 0;
}

/* The highest class that an entry of its size may have, when that is what it has; NULL: size says nothing. */
static const char *class_by_size(const struct explain *x)
{
    char name[QUEUE_NAME_MAX + 1];
    snprintf(name, sizeof name, SLICE_FMT, SLICE_ARG(x->e->channel));
    enum queue_class highest =
        channel_class_of(conf_map_find(x->server->conf, "channels.*", name),
                         conf_section(x->server->conf, "queue"), QUEUE_URGENT, x->e->blob_bytes);
    return highest != QUEUE_URGENT && highest == x->e->class_ ? class_names[highest] : NULL;
}

static void emit_age(struct ctl_row *r, const struct explain *x)
{
    const struct queue_entry *e = x->e;
    uint64_t notice_us = x->has_times ? channel_notice_us(&x->times, e->class_, e->notices) : UINT64_MAX;
    ctl_row_time(r, "notice", notice_us == UINT64_MAX || !e->sender.len ? 0 : e->arrival_us + notice_us);
    ctl_row_time(r, "return", x->has_times ? e->arrival_us + channel_return_us(&x->times, e->class_) : 0);
}

static void emit_entry(struct ctl_session *s, const struct explain *x)
{
    const struct queue_entry *e = x->e;
    struct ctl_row r;
    struct str text;
    char qid[QUEUE_ID_TEXT_MAX];
    str_init(&text, 0);
    if (x->is_untracked)
        say_untracked(&text, x);
    else
        say_tracked(&text, x);
    ctl_row_begin(&r, s, "entry");
    ctl_row_text(&r, "id", slice_make(qid, queue_id_emit(&e->id, qid)));
    ctl_row_text(&r, "channel", e->channel);
    ctl_row_text(&r, "host", e->host);
    ctl_row_add(&r, "class", "%s", class_names[e->class_]);
    ctl_row_add(&r, "class_by_size", "%s", class_by_size(x) ? "yes" : "no");
    ctl_row_text(&r, "why", slice_cstr(x->word));
    ctl_row_text(&r, "text", str_slice(&text));
    ctl_row_time(&r, "until", next_try_us(x));
    if (!x->is_untracked && x->why.why == JOBCTL_WHY_IN_WORK)
        ctl_row_number(&r, "job", x->why.job);
    ctl_row_time(&r, "arrival", e->arrival_us);
    ctl_row_number(&r, "size", e->blob_bytes);
    ctl_row_number(&r, "pending", e->pending);
    ctl_row_number(&r, "attempts", e->attempts);
    ctl_row_time(&r, "tried", e->tried_us);
    ctl_row_text(&r, "reason", x->reason);
    ctl_row_text(&r, "rcpt", x->rcpt);
    emit_age(&r, x);
    ctl_row_end(&r);
    str_fini(&text);
}

static void explain_one(struct ctl_session *s, struct part_snap *snap, const struct queue_entry *e)
{
    struct explain x = {.server = s->server->server, .e = e};
    find_channel(&x);
    find_reason(&x, snap);
    find_times(&x);
    find_why(&x);
    emit_entry(s, &x);
}

static void explain_ids(struct ctl_session *s, struct part_snap *snap, const struct queue_id *ids,
                        size_t count)
{
    unsigned missing = 0;
    for (size_t i = 0; i < count; i++) {
        struct queue_entry e;
        char qid[QUEUE_ID_TEXT_MAX];
        if (queue_find(snap, &ids[i], &e) == MS_OK) {
            explain_one(s, snap, &e);
            continue;
        }
        const struct slice words[] = {SLICE_LIT("missing"), slice_make(qid, queue_id_emit(&ids[i], qid))};
        ctl_words(s, words, 2);
        missing++;
    }
    ctl_answer(s, missing ? EX_NOINPUT : EX_OK, "");
}

void ctl_queue_explain(struct ctl_session *s, const struct slice *words, size_t count)
{
    struct part_snap snap;
    struct queue_id ids[CTL_WORDS_MAX];
    for (size_t i = 1; i < count; i++)
        if (queue_id_parse(words[i], &ids[i - 1]) != MS_OK) {
            ctl_answer(s, EX_USAGE, "not an id of the queue");
            return;
        }
    if (part_snap_begin(server_partition(s->server->server), &snap) != MS_OK) {
        ctl_answer(s, EX_UNAVAILABLE, "the queue cannot be read");
        return;
    }
    explain_ids(s, &snap, ids, count - 1);
    part_snap_end(&snap);
}
