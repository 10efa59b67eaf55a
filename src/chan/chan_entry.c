/*
 * chan_entry.c - a queue entry and its pending recipients, copied out of one snapshot.
 */
#include "chan_priv.h"

#include "ms/base/clock.h"

/* As pending, unless the channel says something else. */
static void add_recipient(struct chan_entry *e, const struct queue_recipient *r)
{
    e->rcpts[e->rcpt_count++] = (struct chan_rcpt){.number = r->number,
                                                   .notify = r->notify,
                                                   .verdict = CHAN_DEFERRED,
                                                   .address = arena_dup(&e->arena, r->address),
                                                   .original = arena_dup(&e->arena, r->original),
                                                   .orcpt = arena_dup(&e->arena, r->orcpt)};
}

static enum ms_err read_recipients(struct chan_entry *e, struct part_snap *snap, uint32_t pending)
{
    struct queue_recipient r;
    uint32_t after = UINT32_MAX;
    e->rcpts = arena_new_array(&e->arena, struct chan_rcpt, pending);
    while (e->rcpt_count < pending) {
        MS_TRY(queue_recipient_next(snap, &e->id, after, &r));
        after = r.number;
        if (r.state == QUEUE_RCPT_PENDING)
            add_recipient(e, &r);
    }
    return MS_OK;
}

static void copy_entry(struct chan_entry *e, const struct queue_entry *row)
{
    e->sender = arena_dup(&e->arena, row->sender);
    e->envid = arena_dup(&e->arena, row->envid);
    e->trace = arena_dup(&e->arena, row->trace);
    e->channel = arena_dup_cstr(&e->arena, row->channel);
    e->host = arena_dup_cstr(&e->arena, row->host);
    e->due_us = row->due_us;
    e->blob = row->blob;
    e->blob_bytes = row->blob_bytes;
    e->arrival_us = row->arrival_us;
    e->attempts = row->attempts;
    e->notices = row->notices;
    e->ret = row->ret;
    e->body_type = row->body_type;
    e->smtputf8 = row->smtputf8;
    e->class_ = row->class_;
}

enum ms_err chan__entry_read(struct chan_entry *e, struct part_client *queue, const struct queue_id *id,
                             bool even_held)
{
    struct part_snap snap;
    struct queue_entry row;
    arena_init(&e->arena, 0);
    e->id = *id;
    e->begun_us = clock_wall_us();
    MS_TRY(part_snap_begin(part_client_partition(queue), &snap));
    enum ms_err err = queue_find(&snap, id, &row);
    if (!err && row.held && !even_held)
        err = MS_ENOTFOUND;
    if (!err && row.pending == 0)
        err = MS_ENOTFOUND;
    if (!err) {
        copy_entry(e, &row);
        err = read_recipients(e, &snap, row.pending);
    }
    part_snap_end(&snap);
    return err;
}

void chan__entry_fini(struct chan_entry *e)
{
    arena_fini(&e->arena);
}

size_t chan__count(const struct chan_entry *e, enum chan_verdict verdict)
{
    size_t n = 0;
    for (size_t i = 0; i < e->rcpt_count; i++)
        n += e->rcpts[i].verdict == verdict;
    return n;
}
