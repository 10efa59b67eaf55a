/*
 * chan_settle.c - the end of an attempt: what became of each recipient, and the report to the sender, in
 * one record.
 *
 *   RESOLVE  where a report would go (the sender's address; not when nobody is to be told)
 *   REPORT   its bytes
 *   POST     result op, hold op, enqueue op of the report
 *
 * Who is told (RFC 3461 4.1, 5.2): never the null sender, nobody with NOTIFY=NEVER; failures unless NOTIFY
 * was given without FAILURE; delays when NOTIFY was not given or has DELAY. A sender that cannot be mailed
 * for good loses the report, with a log line. One that cannot be mailed now does not: when it is local,
 * the report waits in its channel like any mail; when the directory does not answer, the whole settlement
 * is put off.
 */
#include "chan_priv.h"

#include <stdio.h>

#include "ms/base/clock.h"
#include "ms/obs.h"

enum settle_state { SETTLE_RESOLVE, SETTLE_REPORT, SETTLE_POST };

struct chan_settle {
    enum settle_state state;
    const struct chan_env *env;
    const struct chan_env_loop *here;
    struct loop *loop;
    struct chan_entry *entry;
    struct chan_settlement how;
    chan_settle_fn *done;
    void *owner;

    struct mime_dsn_rcpt *told;
    size_t told_count;
    uint64_t now_us;
    struct route_target *targets; /* of the report; NULL: no report */
    size_t target_count;
    struct route_answer answer;
    uint64_t request; /* of route or partition */
    struct chan_report *report;
    struct part_rec rec;
    struct bus_waiter waiter;
    struct queue_id report_id;
    struct slice report_trace;
};

static void end(struct chan_settle *s, enum ms_err err, bool reported)
{
    s->done(s->owner, err, reported);
}

/* -- POST */
static enum queue_rcpt_state state_of(enum chan_verdict verdict)
{
    if (verdict == CHAN_SENT)
        return QUEUE_RCPT_DONE;
    return verdict == CHAN_FAILED ? QUEUE_RCPT_FAILED : QUEUE_RCPT_PENDING;
}

struct queue_outcome chan__outcome(const struct chan_rcpt *r)
{
    return (struct queue_outcome){.number = r->number,
                                  .state = state_of(r->verdict),
                                  .reason = r->verdict == CHAN_SENT ? (struct slice){0} : r->reason};
}

static size_t collect_outcomes(struct chan_settle *s, struct queue_outcome *out)
{
    size_t n = 0;
    for (size_t i = 0; i < s->entry->rcpt_count; i++)
        if (!s->entry->rcpts[i].is_noted)
            out[n++] = chan__outcome(&s->entry->rcpts[i]);
    return n;
}

static enum ms_err add_report(struct chan_settle *s)
{
    const struct chan_entry *e = s->entry;
    struct route_rcpt *rcpts = arena_new_array(&s->entry->arena, struct route_rcpt, s->target_count);
    /* A report tells of this attempt; ".r" keeps its lines apart from those of the message. */
    s->report_trace = slice_cstr(arena_printf(&s->entry->arena, SLICE_FMT ".r%u",
                                              SLICE_ARG(slice_sub(e->trace, 0, QUEUE_TRACE_MAX - 12)),
                                              (unsigned)e->attempts + 1));
    for (size_t i = 0; i < s->target_count; i++)
        rcpts[i] = (struct route_rcpt){.target = s->targets[i], .original = e->sender};
    const struct route_message mail = {.sender = SLICE_LIT(""), /* RFC 5321 4.5.5, RFC 3464 2 */
                                       .rcpts = rcpts,
                                       .rcpt_count = s->target_count,
                                       .body = chan__report_body(s->report),
                                       .trace = s->report_trace,
                                       .class_ = QUEUE_NORMAL,
                                       .body_type = chan__report_body_type(s->report),
                                       .smtputf8 = chan__report_is_utf8(s->report)};
    return route_add(s->here->route, &mail, &s->rec, &s->report_id);
}

static void on_posted(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct chan_settle *s = owner;
    s->request = 0;
    if (!reply->err && s->report)
        chan__log_report(s->entry, &s->report_id, s->report_trace, s->targets[0].hold);
    end(s, reply->err, !reply->err && s->report);
}

static void post(struct chan_settle *s);

static void on_room(void *owner)
{
    post(owner);
}

static void post(struct chan_settle *s)
{
    enum ms_err err = part_post(s->here->queue, &s->rec, on_posted, s, &s->request);
    if (err == MS_EFULL) {
        s->waiter = (struct bus_waiter){.fn = on_room, .owner = s};
        part_wait_room(s->here->queue, &s->waiter);
    } else if (err) {
        end(s, err, false);
    }
}

static void build_and_post(struct chan_settle *s)
{
    struct queue_outcome *outcomes =
        arena_new_array(&s->entry->arena, struct queue_outcome, MS_MAX(s->entry->rcpt_count, (size_t)1));
    size_t n = collect_outcomes(s, outcomes);
    s->state = SETTLE_POST;
    queue_op_result(&s->rec, &s->entry->id, &s->how.attempt, outcomes, n);
    if (s->how.hold.len)
        queue_op_hold(&s->rec, &s->entry->id, true, s->how.hold);
    enum ms_err err = s->report ? add_report(s) : MS_OK;
    if (err)
        end(s, err, false);
    else
        post(s);
}

/* -- REPORT */
static void on_report(void *owner, enum ms_err err)
{
    struct chan_settle *s = owner;
    if (err)
        end(s, err, false);
    else
        build_and_post(s);
}

static void make_report(struct chan_settle *s)
{
    const struct chan_entry *e = s->entry;
    const struct mime_dsn dsn = {.to = e->sender,
                                 .envid = e->envid,
                                 .trace = e->trace,
                                 .now_us = s->now_us,
                                 .arrival_us = e->arrival_us,
                                 .until_us = s->how.until_us,
                                 .tried_us = s->how.attempt.tried_us,
                                 .rcpts = s->told,
                                 .rcpt_count = s->told_count};
    s->state = SETTLE_REPORT;
    s->report = chan__report_create(s->env, s->loop, e, &dsn, on_report, s);
    chan__report_start(s->report);
}

/* -- RESOLVE */
static bool is_local(const struct chan_settle *s)
{
    struct slice sender = s->entry->sender;
    ssize_t at = slice_rfind_byte(sender, '@');
    return at >= 0 &&
           account_domain_find(s->here->accounts, slice_sub(sender, (size_t)at + 1, SIZE_MAX)) == MS_OK;
}

/* The sender's mailbox does not take mail now: its channel tries again. */
static void use_local_channel(struct chan_settle *s)
{
    const struct route_conf *route = conf_section(s->here->conf, "route");
    s->targets = arena_new(&s->entry->arena, struct route_target);
    s->targets[0] =
        (struct route_target){.address = s->entry->sender, .channel = slice_cstr(route->local_channel)};
    s->target_count = 1;
}

static void resolved(struct chan_settle *s, enum ms_err err, const struct route_answer *answer)
{
    bool found = !err && !answer->err;
    bool permanent = !err && answer->err && answer->reply.code >= 500;
    if (found) {
        s->targets = answer->targets;
        s->target_count = answer->count;
    } else if (permanent) {
        chan__log_report_dropped(s->entry, "the sender is unknown");
    } else if (is_local(s)) {
        use_local_channel(s);
    } else {
        end(s, err ? err : MS_EBUSY, false);
        return;
    }
    if (s->target_count)
        make_report(s);
    else
        build_and_post(s);
}

static void on_resolved(void *owner, uint64_t request, const struct route_answer *answer)
{
    struct chan_settle *s = owner;
    s->request = 0;
    resolved(s, MS_OK, answer);
}

static void resolve(struct chan_settle *s)
{
    enum ms_err err = route_resolve(s->here->route, s->entry->sender, ROUTE_REPORT, &s->entry->arena,
                                    &s->answer, on_resolved, s, &s->request);
    if (err != MS_EMORE)
        resolved(s, err, &s->answer);
}

/* -- who is told */
#define NOTIFY_NEVER   1
#define NOTIFY_FAILURE 4
#define NOTIFY_DELAY   8

static bool wants(const struct chan_rcpt *r, uint8_t what)
{
    if (r->notify == 0)
        return true; /* RFC 3461 4.1: FAILURE, and DELAY too when the server likes */
    return !(r->notify & NOTIFY_NEVER) && (r->notify & what);
}

static void tell(struct chan_settle *s, const struct chan_rcpt *r, enum mime_dsn_action action)
{
    s->told[s->told_count++] = (struct mime_dsn_rcpt){.action = action,
                                                      .address = r->address,
                                                      .original = r->original,
                                                      .orcpt = r->orcpt,
                                                      .reason = r->reason};
}

static bool choose_told(struct chan_settle *s)
{
    const struct chan_entry *e = s->entry;
    bool failed = false;
    s->told = arena_new_array(&s->entry->arena, struct mime_dsn_rcpt, MS_MAX(e->rcpt_count, (size_t)1));
    for (size_t i = 0; i < e->rcpt_count; i++) {
        const struct chan_rcpt *r = &e->rcpts[i];
        failed = failed || r->verdict == CHAN_FAILED;
        if (r->verdict == CHAN_FAILED && wants(r, NOTIFY_FAILURE))
            tell(s, r, MIME_DSN_FAILED);
        else if (r->verdict == CHAN_DEFERRED && s->how.delayed && wants(r, NOTIFY_DELAY))
            tell(s, r, MIME_DSN_DELAYED);
    }
    if (e->sender.len == 0 && failed) /* RFC 5321 6.1: no report about a report */
        chan__log_report_dropped(e, "the sender is null");
    return e->sender.len > 0 && s->told_count > 0;
}

/* -- life */
struct chan_settle *chan__settle_create(const struct chan_env *env, struct loop *loop, struct chan_entry *e,
                                        const struct chan_settlement *how, chan_settle_fn *done, void *owner)
{
    struct chan_settle *s = ms_new(struct chan_settle);
    s->env = env;
    s->loop = loop;
    s->here = &env->loops[loop_index(loop)];
    s->entry = e;
    s->how = *how;
    s->done = done;
    s->owner = owner;
    s->now_us = clock_wall_us();
    part_rec_init(&s->rec);
    list_init(&s->waiter.node);
    return s;
}

void chan__settle_start(struct chan_settle *s)
{
    if (choose_told(s))
        resolve(s);
    else
        build_and_post(s);
}

void chan__settle_destroy(struct chan_settle **sp)
{
    struct chan_settle *s = *sp;
    if (!s)
        return;
    bus_waiter_cancel(&s->waiter);
    if (s->request && s->state == SETTLE_RESOLVE)
        route_forget(s->here->route, s->request);
    else if (s->request)
        part_forget(s->here->queue, s->request);
    part_rec_fini(&s->rec);
    chan__report_destroy(&s->report); /* behind the record: bytes of an unsent one are its own */
    ms_free(s);
    *sp = NULL;
}
