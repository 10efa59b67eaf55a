/*
 * queue_op_parse.c - payloads of the queue's ops into structs, for apply and dump. Layouts: queue_ops.c.
 * Pure; takes exactly the layout, MS_EINVAL otherwise.
 */
#include "queue_priv.h"

static enum ms_err end_of(const struct rd *r)
{
    return r->bad || rd_left(r) ? MS_EINVAL : MS_OK;
}

static struct slice read_text(struct rd *r, size_t max)
{
    struct slice text = rd_bytes16(r);

    if (text.len > max)
        r->bad = true;
    return text;
}

static void read_id(struct rd *r, struct queue_id *out)
{
    struct slice bytes = rd_bytes(r, 16);

    *out = (struct queue_id){{0}};
    if (bytes.len)
        memcpy(out->b, bytes.ptr, 16);
}

static uint8_t read_u8(struct rd *r, uint8_t max)
{
    uint8_t v = rd_u8(r);

    if (v > max)
        r->bad = true;
    return v;
}

static void read_entry(struct rd *r, struct queue_entry *e)
{
    uint8_t flags;

    read_id(r, &e->id);
    e->arrival_us = rd_u64(r);
    e->due_us = rd_u64(r);
    e->class_ = (enum queue_class)read_u8(r, QUEUE_CLASS_COUNT - 1);
    flags = read_u8(r, 3);
    e->held = flags & 1;
    e->smtputf8 = flags & 2;
    e->ret = read_u8(r, 2);
    e->body_type = read_u8(r, 2);
    e->hold_reason = read_text(r, QUEUE_REASON_MAX);
    e->channel = read_text(r, QUEUE_NAME_MAX);
    e->host = read_text(r, QUEUE_HOST_MAX);
    e->sender = read_text(r, QUEUE__SENDER_MAX);
    e->envid = read_text(r, QUEUE__ENVID_MAX);
    e->trace = read_text(r, QUEUE_TRACE_MAX);
}

enum ms_err queue__op_recipient_parse(struct rd *r, struct queue_recipient *out)
{
    *out = (struct queue_recipient){.number = rd_u32(r)};
    out->notify = read_u8(r, 15);
    out->address = read_text(r, QUEUE_ADDRESS_MAX);
    out->original = read_text(r, QUEUE_ADDRESS_MAX);
    out->orcpt = read_text(r, QUEUE_ADDRESS_MAX);
    return r->bad || out->number == UINT32_MAX ? MS_EINVAL : MS_OK;
}

enum ms_err queue__op_enqueue_parse(struct slice op, struct queue__op_enqueue *out)
{
    struct rd r = rd_make(op);
    struct queue_recipient rcpt;
    uint32_t last = 0;

    *out = (struct queue__op_enqueue){0};
    if (part_blob_source_parse(&r, &out->source))
        return MS_EINVAL;
    read_entry(&r, &out->entry);
    out->recipient_count = rd_u16(&r);
    if (r.bad || out->recipient_count == 0 || out->recipient_count > QUEUE_RECIPIENTS_MAX)
        return MS_EINVAL;
    out->recipients = slice_make(r.ptr, rd_left(&r));
    for (unsigned i = 0; i < out->recipient_count; i++) {
        MS_TRY(queue__op_recipient_parse(&r, &rcpt));
        if (i && rcpt.number <= last)
            return MS_EINVAL;
        last = rcpt.number;
    }
    return end_of(&r);
}

enum ms_err queue__op_outcome_parse(struct rd *r, struct queue_outcome *out)
{
    uint8_t flags;

    *out = (struct queue_outcome){.number = rd_u32(r)};
    out->state = (enum queue_rcpt_state)read_u8(r, QUEUE_RCPT_FAILED);
    flags = read_u8(r, 3);
    out->recorded = flags & 1;
    out->if_delivered = flags & 2;
    out->reason = read_text(r, QUEUE_REASON_MAX);
    return r->bad ? MS_EINVAL : MS_OK;
}

enum ms_err queue__op_result_parse(struct slice op, unsigned version, struct queue__op_result *out)
{
    struct rd r = rd_make(op);
    struct queue_outcome outcome;

    *out = (struct queue__op_result){.version = version, .attempt.count = true};
    read_id(&r, &out->id);
    out->attempt.due_us = rd_u64(&r);
    if (version >= 2) {
        out->attempt.tried_us = rd_u64(&r);
        out->attempt.notices = rd_u8(&r);
        out->attempt.count = read_u8(&r, 1);
    }
    out->outcome_count = rd_u16(&r);
    if (r.bad || out->outcome_count > QUEUE_RECIPIENTS_MAX)
        return MS_EINVAL;
    out->outcomes = slice_make(r.ptr, rd_left(&r));
    for (unsigned i = 0; i < out->outcome_count; i++)
        MS_TRY(queue__op_outcome_parse(&r, &outcome));
    return end_of(&r);
}

enum ms_err queue__op_id_parse(struct slice op, struct queue_id *out)
{
    struct rd r = rd_make(op);

    read_id(&r, out);
    return end_of(&r);
}

enum ms_err queue__op_hold_parse(struct slice op, struct queue__op_hold *out)
{
    struct rd r = rd_make(op);

    read_id(&r, &out->id);
    out->hold = read_u8(&r, 1);
    out->reason = read_text(&r, QUEUE_REASON_MAX);
    return end_of(&r);
}

enum ms_err queue__op_stop_parse(struct slice op, struct queue__op_stop *out)
{
    struct rd r = rd_make(op);
    struct slice name;

    *out = (struct queue__op_stop){.stop = read_u8(&r, 1)};
    out->row.since_us = rd_u64(&r); /* by itself: initialisers of one list have no order */
    name = read_text(&r, QUEUE_NAME_MAX);
    if (name.len == 0 || memchr(name.ptr, 0, name.len))
        return MS_EINVAL;
    MS_TRY(end_of(&r));
    memcpy(out->row.channel, name.ptr, name.len);
    return MS_OK;
}
