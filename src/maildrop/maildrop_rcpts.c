/*
 * maildrop_rcpts.c - the recipients of one file: each is resolved, then one record enqueues the message
 * for all.
 *
 *   taken               entries as route makes them
 *   refused for good    entries of their own, held, one for each reason; when they are durable the sender
 *                       gets them back as a report (maildrop__give_back)
 *   refused for now     stay in the folder, in a file of their own (maildrop__split_run)
 */
#include <stdio.h>

#include "maildrop_priv.h"
#include "ms/base/clock.h"
#include "ms/obs.h"

struct slice maildrop__qualify(struct maildrop_drop *d, struct slice address)
{
    if (address.len == 0 || slice_rfind_byte(address, '@') >= 0)
        return address;
    return slice_cstr(arena_printf(&d->arena, SLICE_FMT "@%s", SLICE_ARG(address), d->env.default_domain));
}

static void on_answer(void *owner, uint64_t request, const struct route_answer *answer)
{
    struct maildrop_drop *d = owner;
    d->request = 0;
    d->rcpts[d->rcpt_at++].answer = *answer;
    maildrop__step(d);
}

/* A file that has waited long enough gets its temporary refusals as final ones. */
static void sort_answers(struct maildrop_drop *d)
{
    bool expired = d->mail.time_us + MAILDROP_KEEP_US < clock_wall_us();
    d->later = 0;
    for (size_t i = 0; i < d->mail.rcpt_count; i++) {
        const struct route_answer *a = &d->rcpts[i].answer;
        d->rcpts[i].later = a->err && a->reply.code < 500 && !expired;
        d->later += d->rcpts[i].later;
    }
}

enum ms_err maildrop__resolve(struct maildrop_drop *d)
{
    if (!d->rcpts)
        d->rcpts = arena_new_array(&d->arena, struct drop_rcpt, d->mail.rcpt_count);
    while (d->rcpt_at < d->mail.rcpt_count) {
        struct drop_rcpt *r = &d->rcpts[d->rcpt_at];
        r->original = maildrop__qualify(d, d->mail.rcpts[d->rcpt_at].address);
        enum ms_err err =
            route_resolve(d->env.route, r->original, 0, &d->arena, &r->answer, on_answer, d, &d->request);
        if (err == MS_EMORE)
            return err;
        if (err) /* the router is busy */
            r->answer = (struct route_answer){.err = err, .reply = smtp_reply_for_err(err, SMTP_AT_RCPT)};
        d->rcpt_at++;
    }
    sort_answers(d);
    return MS_OK;
}

/* -- the record */

static struct route_message message_of(struct maildrop_drop *d, const struct route_rcpt *rcpts, size_t n)
{
    return (struct route_message){.sender = d->sender,
                                  .rcpts = rcpts,
                                  .rcpt_count = n,
                                  .body = d->body,
                                  .trace = slice_cstr(d->file->trace),
                                  .envid = d->mail.envid,
                                  .ret = d->mail.ret,
                                  .class_ = d->in.class_,
                                  .body_type = d->mail.body_type,
                                  .smtputf8 = d->mail.smtputf8};
}

/* A mailbox that several recipients lead to gets one copy. */
static bool is_new(struct map *seen, struct arena *a, const struct route_target *t)
{
    struct slice key =
        slice_cstr(arena_printf(a, SLICE_FMT " " SLICE_FMT " " SLICE_FMT, SLICE_ARG(t->channel),
                                SLICE_ARG(t->host), SLICE_ARG(t->address)));
    return !map_put(seen, key, (void *)(uintptr_t)1);
}

static size_t collect_taken(struct maildrop_drop *d, struct route_rcpt *out)
{
    struct map seen;
    size_t n = 0;
    map_init(&seen);
    for (size_t i = 0; i < d->mail.rcpt_count; i++) {
        const struct drop_rcpt *r = &d->rcpts[i];
        for (size_t k = 0; !r->answer.err && k < r->answer.count; k++)
            if (is_new(&seen, &d->arena, &r->answer.targets[k]))
                out[n++] = (struct route_rcpt){.target = r->answer.targets[k],
                                               .original = r->original,
                                               .orcpt = d->mail.rcpts[i].orcpt,
                                               .notify = d->mail.rcpts[i].notify};
    }
    map_fini(&seen);
    return n;
}

static enum ms_err add_taken(struct maildrop_drop *d, struct part_rec *rec, bool *any_out)
{
    size_t total = 0;
    for (size_t i = 0; i < d->mail.rcpt_count; i++)
        total += d->rcpts[i].answer.err ? 0 : d->rcpts[i].answer.count;
    *any_out = total > 0;
    if (total == 0)
        return MS_OK;
    struct route_rcpt *rcpts = ms_alloc_array(total, sizeof *rcpts);
    const struct route_message mail = message_of(d, rcpts, collect_taken(d, rcpts));
    enum ms_err err = route_add(d->env.route, &mail, rec, &d->first);
    ms_free(rcpts);
    return err;
}

static bool is_refused(const struct drop_rcpt *r)
{
    return r->answer.err && !r->later;
}

static bool same_reason(const struct drop_rcpt *a, const struct drop_rcpt *b)
{
    return strcmp(a->answer.reply.text, b->answer.reply.text) == 0;
}

/* "5.1.1 No such user": a temporary refusal that has become final is one of class 5 too. */
static struct slice reason_of(struct maildrop_drop *d, const struct drop_rcpt *r)
{
    const char *enhanced = r->answer.reply.enhanced ? r->answer.reply.enhanced : "5.0.0";
    return slice_cstr(arena_printf(&d->arena, "5%s %s", enhanced + 1, r->answer.reply.text));
}

/* One held entry for all that were refused like rcpts[first]. */
static enum ms_err add_refused(struct maildrop_drop *d, size_t first, struct part_rec *rec)
{
    struct route_rcpt *rcpts = ms_alloc_array(d->mail.rcpt_count, sizeof *rcpts);
    struct slice why = reason_of(d, &d->rcpts[first]);
    struct slice hold = slice_cstr(arena_printf(&d->arena, MAILDROP_HOLD SLICE_FMT, SLICE_ARG(why)));
    size_t n = 0;
    for (size_t i = first; i < d->mail.rcpt_count; i++) {
        struct drop_rcpt *r = &d->rcpts[i];
        if (!is_refused(r) || r->grouped || !same_reason(r, &d->rcpts[first]))
            continue;
        r->grouped = true;
        rcpts[n++] = (struct route_rcpt){
            .target = {.address = r->original, .channel = slice_cstr(d->env.local_channel), .hold = hold},
            .original = r->original,
            .orcpt = d->mail.rcpts[i].orcpt,
            .notify = d->mail.rcpts[i].notify};
    }
    const struct route_message mail = message_of(d, rcpts, n);
    d->held_why[d->held_count] = why;
    enum ms_err err = route_add(d->env.route, &mail, rec, &d->held[d->held_count++]);
    ms_free(rcpts);
    return err;
}

static enum ms_err fill(struct maildrop_drop *d, struct part_rec *rec)
{
    bool any;
    enum ms_err err = add_taken(d, rec, &any);
    d->held_count = 0;
    if (!d->held) {
        d->held = arena_new_array(&d->arena, struct queue_id, d->mail.rcpt_count);
        d->held_why = arena_new_array(&d->arena, struct slice, d->mail.rcpt_count);
    }
    for (size_t i = 0; i < d->mail.rcpt_count; i++)
        d->rcpts[i].grouped = false;
    for (size_t i = 0; i < d->mail.rcpt_count && !err; i++)
        if (is_refused(&d->rcpts[i]) && !d->rcpts[i].grouped)
            err = add_refused(d, i, rec);
    if (!any && d->held_count)
        d->first = d->held[0];
    return err;
}

enum ms_err maildrop__post(struct maildrop_drop *d, part_done_fn *done)
{
    struct part_rec rec;
    part_rec_init(&rec);
    enum ms_err err = fill(d, &rec);
    /* Storage rule 2.3: durable is enough. But a return must find its entry: it looks into the index. */
    rec.ack_durable = d->held_count == 0;
    if (!err)
        err = part_post(d->env.queue_client, &rec, done, d, &d->request);
    if (err == MS_EFULL)
        part_body_take_back(d->body, &rec);
    part_rec_fini(&rec);
    return err;
}
