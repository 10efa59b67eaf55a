/*
 * maildrop_drop.c - one file on its way into the queue.
 *
 *   OPEN ──▶ ROUTE ──▶ (SPLIT) ──▶ READ ⇄ FEED ──▶ FINISH ──▶ POST ──▶ END
 *     any of them: a fate is decided ─────────────────────────────────▶ END
 *
 * OPEN, SPLIT, READ and END are works: while one runs the drop belongs to its thread. FEED waits for
 * room in the body, FINISH for its last part, POST for the record to be durable. END does to the file
 * what its fate says, and only when that is done is the file forgotten here.
 */
#include <stdarg.h>
#include <stdio.h>

#include "maildrop_priv.h"
#include "ms/base/clock.h"
#include "ms/obs.h"

static void work_post(struct maildrop_drop *d, enum drop_state state, loop_work_fn *fn);

void maildrop__settle(struct maildrop_drop *d, enum drop_fate fate, enum ms_err err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(d->why, sizeof d->why, fmt, ap);
    va_end(ap);
    d->fate = fate;
    d->err = err;
}

void maildrop__drop_free(struct maildrop_drop *d)
{
    if (d->request && d->state == DROP_ROUTE)
        route_forget(d->env.route, d->request);
    else if (d->request)
        part_forget(d->env.queue_client, d->request);
    bus_waiter_cancel(&d->waiter);
    part_body_destroy(&d->body);
    maildrop__reader_fini(&d->in);
    str_fini(&d->piece);
    arena_fini(&d->arena);
    list_remove(&d->node);
    conf_unref(&d->env.conf);
    ms_free(d);
}

/* -- what the log says */

static void log_refused(const struct maildrop_drop *d)
{
    for (size_t i = 0; i < d->mail.rcpt_count; i++) {
        const struct drop_rcpt *r = &d->rcpts[i];
        if (r->answer.err && !r->later)
            OBS_EVENT(OBS_MAILDROP_REFUSED, 0, OBS_C("trace", d->file->trace), OBS_S("from", d->sender),
                      OBS_S("to", r->original), OBS_C("reason", r->answer.reply.text));
    }
}

static void log_taken(const struct maildrop_drop *d)
{
    char id[QUEUE_ID_TEXT_MAX];
    queue_id_emit(&d->first, id);
    obs_count(MET_MAILDROP_MESSAGES, 1);
    obs_count(MET_MAILDROP_BYTES, part_body_bytes(d->body));
    OBS_EVENT(OBS_MAILDROP_TAKEN, 0, OBS_C("trace", d->file->trace), OBS_C("qid", id),
              OBS_S("user", d->mail.login), OBS_S("from", d->sender),
              OBS_U("to", d->mail.rcpt_count - d->later), OBS_U("size", part_body_bytes(d->body)),
              OBS_U("uid", d->mail.uid), OBS_C("file", d->file->name));
    log_refused(d);
}

static void log_end(const struct maildrop_drop *d)
{
    if (d->fate == DROP_LATER) {
        obs_count(MET_MAILDROP_DEFERRED, 1);
        OBS_EVENT(OBS_MAILDROP_DEFERRED, 0, OBS_C("trace", d->file->trace), OBS_C("file", d->file->name),
                  OBS_C("reason", d->why), OBS_E("error", d->err));
    } else if (d->fate == DROP_KEEP) {
        obs_count(MET_MAILDROP_BAD, 1);
        OBS_EVENT(OBS_MAILDROP_KEPT, 0, OBS_C("trace", d->file->trace), OBS_S("from", d->mail.sender),
                  OBS_C("file", d->file->name), OBS_C("reason", d->why));
    }
}

/* -- POST */

static void on_durable(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct maildrop_drop *d = owner;
    d->request = 0;
    if (reply->err) { /* MS_EUNKNOWN: it may come twice, but it does come */
        maildrop__settle(d, DROP_LATER, reply->err, "the queue did not take it");
    } else {
        d->file->taken = true;
        d->fate = DROP_REMOVE;
        log_taken(d);
        maildrop__give_back(d);
    }
    maildrop__step(d);
}

static void on_room(void *owner)
{
    maildrop__step(owner);
}

static void post(struct maildrop_drop *d)
{
    d->state = DROP_POST;
    enum ms_err err = maildrop__post(d, on_durable);
    if (err == MS_EFULL) {
        d->state = DROP_FINISH;
        d->waiter.fn = on_room;
        d->waiter.owner = d;
        part_wait_room(d->env.queue_client, &d->waiter);
    } else if (err == MS_ELIMIT) {
        maildrop__settle(d, DROP_KEEP, err, "too many recipients");
        maildrop__step(d);
    } else if (err) {
        maildrop__settle(d, DROP_LATER, err, "the queue does not take it");
        maildrop__step(d);
    }
}

/* -- FEED, FINISH */

static void on_body(void *owner)
{
    maildrop__step(owner);
}

/* false: waits for room. */
static bool feed(struct maildrop_drop *d)
{
    enum ms_err err = d->piece.len ? part_body_add(d->body, str_slice(&d->piece)) : MS_OK;
    if (err == MS_EFULL)
        return false;
    str_reset(&d->piece);
    if (err)
        maildrop__settle(d, DROP_LATER, err, "the partition did not take it");
    return true;
}

static bool finish(struct maildrop_drop *d)
{
    enum ms_err err = part_body_finish(d->body, str_slice(&d->in.cache), false);
    if (err == MS_EMORE)
        return false;
    if (err)
        maildrop__settle(d, DROP_LATER, err, "the partition did not take it");
    return true;
}

/* -- ROUTE */

static void fill_fix(struct maildrop_drop *d)
{
    const struct maildrop_env *env = &d->env;
    d->sender = maildrop__qualify(d, d->mail.sender);
    d->in.fix = (struct maildrop_fix){.hostname = slice_cstr(env->hostname),
                                      .default_domain = slice_cstr(env->default_domain),
                                      .trace = slice_cstr(d->file->trace),
                                      .sender = d->sender,
                                      .login = d->mail.login,
                                      .full_name = d->mail.full_name,
                                      .uid = d->mail.uid,
                                      .wall_us = clock_wall_us(),
                                      .time_us = d->mail.time_us,
                                      .smtputf8 = d->mail.smtputf8};
}

static void begin_reading(struct maildrop_drop *d)
{
    size_t room = (size_t)d->env.message_size_max + MAILDROP_HEADER_MAX;
    d->body = part_body_create(d->env.queue_client, room, on_body, d);
    work_post(d, DROP_READ, maildrop__read_run);
}

static void route(struct maildrop_drop *d)
{
    d->state = DROP_ROUTE;
    if (maildrop__resolve(d) == MS_EMORE)
        return;
    if (d->later == d->mail.rcpt_count) {
        const struct route_answer *a = &d->rcpts[0].answer;
        maildrop__settle(d, DROP_LATER, a->err, "%u %s", a->reply.code, a->reply.text);
        maildrop__step(d);
    } else if (d->later) {
        work_post(d, DROP_SPLIT, maildrop__split_run);
    } else {
        begin_reading(d);
    }
}

/* -- works */

static void end(struct maildrop_drop *d)
{
    part_body_destroy(&d->body); /* an unfinished stream is given up now, not after the disk */
    work_post(d, DROP_END, maildrop__end_run);
}

static void on_work(struct loop_work *work)
{
    struct maildrop_drop *d = MS_CONTAINER_OF(work, struct maildrop_drop, work);
    if (d->state == DROP_END) {
        log_end(d);
        maildrop__drop_over(d);
    } else if (d->fate) {
        end(d);
    } else if (d->state == DROP_OPEN) {
        fill_fix(d);
        route(d);
    } else if (d->state == DROP_SPLIT) {
        begin_reading(d);
    } else {
        d->state = DROP_FEED;
        maildrop__step(d);
    }
}

static void work_post(struct maildrop_drop *d, enum drop_state state, loop_work_fn *fn)
{
    d->state = state;
    d->work.work = fn;
    d->work.done = on_work;
    enum ms_err err = loop_pool_post(d->m->pool, d->env.loop, &d->work);
    MS_ASSERT(err == MS_OK); /* the pool's queue has room for every drop */
}

/* Called when something the drop waits for may have come; not while a work runs. */
void maildrop__step(struct maildrop_drop *d)
{
    if (d->state == DROP_READ || d->state == DROP_SPLIT || d->state == DROP_OPEN || d->state == DROP_END)
        return; /* the body has room, but the thread has the drop */
    if (!d->fate && d->state == DROP_ROUTE) {
        route(d);
        return;
    }
    if (!d->fate && d->state == DROP_FEED) {
        if (!feed(d))
            return;
        if (!d->fate && !d->in.ended) {
            work_post(d, DROP_READ, maildrop__read_run);
            return;
        }
        d->state = DROP_FINISH;
    }
    if (!d->fate && d->state == DROP_FINISH) {
        if (!finish(d))
            return;
        if (!d->fate) {
            post(d);
            return;
        }
    }
    if (d->fate && d->request == 0)
        end(d);
}

void maildrop__drop_start(struct maildrop *m, struct maildrop_file *file)
{
    struct maildrop_drop *d = ms_new(struct maildrop_drop);
    d->m = m;
    d->env = m->env;
    if (d->env.conf)
        (void)conf_ref(d->env.conf);
    d->file = file;
    d->in.fd = -1;
    arena_init(&d->arena, 0);
    str_init(&d->piece, 0);
    str_init(&d->in.header, 0);
    str_init(&d->in.cache, 0);
    list_init(&d->waiter.node);
    list_push_back(&m->drops, &d->node);
    if (file->taken) { /* all that is left to do is to remove it */
        d->fate = DROP_REMOVE;
        end(d);
    } else {
        work_post(d, DROP_OPEN, maildrop__open_run);
    }
}
