/*
 * route_add.c - the single entry for new mail: recipients become queue entries, all of them ops of one
 * record.
 *
 * Recipients of one channel, host and hold reason go together, in the order they were given; at most
 * QUEUE_RECIPIENTS_MAX in an entry, or what the channel's `single` and `addrsperfile` leave; `single_sys`
 * gives local recipients a host, that of their domain. Entries come in the order of their first recipients.
 * Each recipient is looked at once, however many groups there are. Everything that could be refused was
 * refused before: what is posted here is accepted when it is durable.
 */
#include "route_priv.h"

#include "ms/base/clock.h"

#define FEW  16 /* recipients that need no memory from the heap */
#define NONE UINT32_MAX

/* Where a recipient goes. */
struct route_way {
    struct slice channel, host, hold;
    const struct channel_conf *conf; /* NULL: not configured (any more) */
};

/* Recipients of one entry, a chain through route_split.next. */
struct route_group {
    struct route_way way;
    uint32_t first, last, count;
    uint32_t next_same; /* chain of those whose hash leads to the same place of route_split.heads */
};

struct route_split {
    const struct route_message *mail;
    struct route_group *groups;
    size_t group_count;
    uint32_t *next;                /* of the same group; NONE: the last */
    uint32_t *heads;               /* by hash: groups that take more */
    size_t head_count;             /* a power of two */
    struct queue_recipient *rcpts; /* of one entry */
    uint64_t now_us;
    struct queue_id first;
    bool any;
};

/* -- ways */
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

/* The directory gives addresses in lower case. */
static struct slice host_of(const struct route_target *target, const struct channel_conf *channel)
{
    ssize_t at = slice_rfind_byte(target->address, '@');
    if (target->host.len || !target->account || at < 0 || !channel || !channel->single_sys || channel->single)
        return target->host;
    return slice_sub(target->address, (size_t)at + 1, SIZE_MAX);
}

/* before: that of the recipient before this one; most go to the same channel. */
static struct route_way way_of(const struct route *r, const struct route_target *target,
                               const struct route_way *before)
{
    struct route_way way = {.channel = target->channel, .hold = target->hold};
    way.conf = before && slice_eq(before->channel, way.channel) ? before->conf : channel_find(r, way.channel);
    way.host = host_of(target, way.conf);
    return way;
}

static bool same_way(const struct route_way *a, const struct route_way *b)
{
    return slice_eq(a->host, b->host) && slice_eq(a->channel, b->channel) && slice_eq(a->hold, b->hold);
}

static uint64_t way_hash(const struct route_way *w)
{
    return slice_hash(w->host, slice_hash(w->channel, slice_hash(w->hold, 0)));
}

static size_t group_max(const struct channel_conf *channel)
{
    if (channel && channel->single)
        return 1;
    return channel && channel->addrsperfile ? MS_MIN(channel->addrsperfile, (uint64_t)QUEUE_RECIPIENTS_MAX)
                                            : QUEUE_RECIPIENTS_MAX;
}

size_t route_target_bytes(const struct route *r, const struct route_target *target, size_t envelope_bytes)
{
    const struct route_way way = way_of(r, target, NULL);
    const struct queue_entry entry = {.channel = way.channel, .host = way.host, .hold_reason = way.hold};
    size_t bytes = queue_op_enqueue_bytes(&entry) + QUEUE_TRACE_MAX + envelope_bytes;
    return way.host.len ? bytes : bytes / group_max(way.conf);
}

/* -- groups */
/* Every recipient into its group: of those of its way the last, unless that is full. */
static void groups_make(const struct route *r, struct route_split *s)
{
    struct route_way way = {.channel = {0}};
    for (uint32_t i = 0; i < s->mail->rcpt_count; i++) {
        way = way_of(r, &s->mail->rcpts[i].target, i ? &way : NULL);
        uint32_t *link = &s->heads[way_hash(&way) & (s->head_count - 1)];
        while (*link != NONE && !same_way(&s->groups[*link].way, &way))
            link = &s->groups[*link].next_same;
        s->next[i] = NONE;
        if (*link != NONE && s->groups[*link].count < group_max(way.conf)) {
            struct route_group *g = &s->groups[*link];
            s->next[g->last] = i;
            g->last = i;
            g->count++;
            continue;
        }
        uint32_t next_same = *link == NONE ? NONE : s->groups[*link].next_same;
        *link = (uint32_t)s->group_count; /* in the place of the full one */
        s->groups[s->group_count++] =
            (struct route_group){.way = way, .first = i, .last = i, .count = 1, .next_same = next_same};
    }
}

static void group_fill(struct route_split *s, const struct route_group *g)
{
    uint32_t number = 0;
    for (uint32_t i = g->first; i != NONE; i = s->next[i], number++) {
        const struct route_rcpt *rcpt = &s->mail->rcpts[i];
        s->rcpts[number] = (struct queue_recipient){.number = number,
                                                    .state = QUEUE_RCPT_PENDING,
                                                    .address = rcpt->target.address,
                                                    .original = rcpt->original,
                                                    .notify = rcpt->notify,
                                                    .orcpt = rcpt->orcpt};
    }
}

static enum ms_err entry_add(struct route *r, struct route_split *s, const struct route_group *g,
                             struct part_rec *rec)
{
    const struct route_message *mail = s->mail;
    const struct route_way *way = &g->way;
    const uint64_t bytes = mail->body ? part_body_bytes(mail->body) : mail->bytes;
    const struct queue_entry entry = {
        .id = queue_id_next(&r->ids),
        .blob_bytes = bytes,
        .arrival_us = s->now_us,
        .class_ = channel_class_of(way->conf, conf_section(r->conf_ref, "queue"), mail->class_, bytes),
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
        .recipient_count = g->count,
        .pending = g->count};
    group_fill(s, g);
    if (s->any)
        return queue_op_enqueue_again(rec, mail->body, mail->blob, &entry, s->rcpts, g->count);
    s->first = entry.id;
    s->any = true;
    return queue_op_enqueue(rec, mail->body, mail->blob, &entry, s->rcpts, g->count);
}

static enum ms_err split(struct route *r, struct route_split *s, struct part_rec *rec)
{
    memset(s->heads, 0xff, s->head_count * sizeof *s->heads); /* NONE */
    groups_make(r, s);
    for (size_t i = 0; i < s->group_count; i++)
        MS_TRY(entry_add(r, s, &s->groups[i], rec));
    return MS_OK;
}

static enum ms_err split_few(struct route *r, struct route_split *s, struct part_rec *rec)
{
    struct route_group groups[FEW];
    struct queue_recipient rcpts[FEW];
    uint32_t next[FEW], heads[FEW];
    s->groups = groups;
    s->rcpts = rcpts;
    s->next = next;
    s->heads = heads;
    s->head_count = FEW;
    return split(r, s, rec);
}

static enum ms_err split_many(struct route *r, struct route_split *s, struct part_rec *rec)
{
    size_t n = s->mail->rcpt_count;
    for (s->head_count = FEW; s->head_count < n; s->head_count *= 2)
        ;
    s->groups = ms_alloc_array(n, sizeof *s->groups);
    s->rcpts = ms_alloc_array(MS_MIN(n, (size_t)QUEUE_RECIPIENTS_MAX), sizeof *s->rcpts);
    s->next = ms_alloc_array(n, sizeof *s->next);
    s->heads = ms_alloc_array(s->head_count, sizeof *s->heads);
    enum ms_err err = split(r, s, rec);
    ms_free(s->groups);
    ms_free(s->rcpts);
    ms_free(s->next);
    ms_free(s->heads);
    return err;
}

enum ms_err route_add(struct route *r, const struct route_message *mail, struct part_rec *rec,
                      struct queue_id *first_out)
{
    struct route_split s = {.mail = mail, .now_us = clock_wall_us()};
    if (mail->rcpt_count == 0 || mail->rcpt_count >= NONE)
        return MS_EINVAL;
    enum ms_err err = mail->rcpt_count > FEW ? split_many(r, &s, rec) : split_few(r, &s, rec);
    *first_out = s.first;
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
