/*
 * route_add.c - the single entry for new mail: recipients become queue entries, all of them ops of one
 * record.
 *
 * Recipients of one channel, host and hold reason go together, in the order they were given; at most
 * QUEUE_RECIPIENTS_MAX in an entry, or what the channel's `single` and `addrsperfile` leave. Everything that
 * could be refused was refused before: what is posted here is accepted when it is durable.
 */
#include "route_priv.h"

#include "ms/base/clock.h"

#define FEW 16 /* recipients that need no memory from the heap */

struct route_split {
    const struct route_message *mail;
    bool *taken;
    struct queue_recipient *group;
    uint64_t now_us;
    struct queue_id first;
    bool any;
};

static bool same_way(const struct route_target *a, const struct route_target *b)
{
    return slice_eq(a->channel, b->channel) && slice_eq(a->host, b->host) && slice_eq(a->hold, b->hold);
}

/* NULL: not configured (any more). */
static const struct channel_conf *channel_find(const struct route *r, struct slice name)
{
    size_t count = conf_map_count(r->conf_ref, "channels.*");
    for (size_t i = 0; i < count; i++) {
        const char *its;
        const struct channel_conf *channel = conf_map_entry(r->conf_ref, "channels.*", i, &its);
        if (slice_eq_cstr(name, its))
            return channel;
    }
    return NULL;
}

static size_t group_max(const struct channel_conf *channel)
{
    if (channel && channel->single)
        return 1;
    return channel && channel->addrsperfile ? MS_MIN(channel->addrsperfile, (uint64_t)QUEUE_RECIPIENTS_MAX)
                                            : QUEUE_RECIPIENTS_MAX;
}

/* Recipients from `first` on that go its way and were not taken before. */
static size_t group_collect(struct route_split *s, size_t first, size_t max)
{
    const struct route_rcpt *rcpts = s->mail->rcpts;
    size_t n = 0;
    for (size_t i = first; i < s->mail->rcpt_count && n < max; i++) {
        if (s->taken[i] || !same_way(&rcpts[first].target, &rcpts[i].target))
            continue;
        s->taken[i] = true;
        s->group[n] = (struct queue_recipient){.number = (uint32_t)n,
                                               .state = QUEUE_RCPT_PENDING,
                                               .address = rcpts[i].target.address,
                                               .original = rcpts[i].original,
                                               .notify = rcpts[i].notify,
                                               .orcpt = rcpts[i].orcpt};
        n++;
    }
    return n;
}

static enum ms_err entry_add(struct route *r, struct route_split *s, const struct route_target *way,
                             const struct channel_conf *channel, size_t n, struct part_rec *rec)
{
    const struct route_message *mail = s->mail;
    const uint64_t bytes = mail->body ? part_body_bytes(mail->body) : mail->bytes;
    const struct queue_entry entry = {
        .id = queue_id_next(&r->ids),
        .blob_bytes = bytes,
        .arrival_us = s->now_us,
        .class_ = channel_class_of(channel, conf_section(r->conf_ref, "queue"), mail->class_, bytes),
        .held = way->hold.len > 0,
        .hold_reason = way->hold,
        .channel = way->channel,
        .host = way->host,
        .sender = mail->sender,
        .envid = mail->envid,
        .ret = mail->ret,
        .body_type = mail->body_type,
        .smtputf8 = mail->smtputf8,
        .trace = mail->trace,
        .recipient_count = (uint32_t)n,
        .pending = (uint32_t)n};
    if (!s->any)
        s->first = entry.id;
    s->any = true;
    return queue_op_enqueue(rec, mail->body, mail->blob, &entry, s->group, n);
}

static enum ms_err split(struct route *r, struct route_split *s, struct part_rec *rec)
{
    for (size_t i = 0; i < s->mail->rcpt_count; i++) {
        if (s->taken[i])
            continue;
        const struct route_target *way = &s->mail->rcpts[i].target;
        const struct channel_conf *channel = channel_find(r, way->channel);
        size_t n = group_collect(s, i, group_max(channel));
        MS_TRY(entry_add(r, s, way, channel, n, rec));
    }
    return MS_OK;
}

enum ms_err route_add(struct route *r, const struct route_message *mail, struct part_rec *rec,
                      struct queue_id *first_out)
{
    bool few_taken[FEW] = {false}, *taken = few_taken;
    struct queue_recipient few_group[FEW], *group = few_group;
    if (mail->rcpt_count == 0)
        return MS_EINVAL;
    if (mail->rcpt_count > FEW) {
        taken = ms_alloc_array(mail->rcpt_count, sizeof *taken);
        group = ms_alloc_array(MS_MIN(mail->rcpt_count, (size_t)QUEUE_RECIPIENTS_MAX), sizeof *group);
    }
    struct route_split s = {.mail = mail, .taken = taken, .group = group, .now_us = clock_wall_us()};
    enum ms_err err = split(r, &s, rec);
    *first_out = s.first;
    if (mail->rcpt_count > FEW) {
        ms_free(taken);
        ms_free(group);
    }
    return err;
}

enum ms_err route_submit(struct route *r, const struct route_message *mail, struct queue_id *first_out,
                         part_done_fn *done, void *owner, uint64_t *request_out)
{
    struct part_rec rec;
    part_rec_init(&rec);
    rec.ack_durable = true; /* storage rule 2.3 */
    enum ms_err err = route_add(r, mail, &rec, first_out);
    if (!err)
        err = part_post(r->queue_client, &rec, done, owner, request_out);
    if (err == MS_EFULL && mail->body)
        part_body_take_back(mail->body, &rec); /* the caller gives it again */
    part_rec_fini(&rec);
    return err;
}
