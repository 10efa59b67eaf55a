/*
 * queue_dump.c - ops and rows of the queue as text, one line each. The same bytes give the same line
 * everywhere; what cannot be read gives "damaged: " and its bytes in hex.
 */
#include "queue_priv.h"

#include "ms/base/codec.h"

static const char *const states[] = {"pending", "done", "failed"};

static void damaged(struct str *out, struct slice bytes)
{
    str_add_cstr(out, "damaged: ");
    hex_emit(out, bytes);
}

/* " key=" and the text in quotes; what is not plain is \xNN. */
static void text(struct str *out, const char *key, struct slice s)
{
    str_addf(out, " %s=\"", key);
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.ptr[i];

        if (c < 0x20 || c == 0x7f || c == '"' || c == '\\')
            str_addf(out, "\\x%02x", c);
        else
            str_add_byte(out, c);
    }
    str_add_byte(out, '"');
}

static void num(struct str *out, const char *key, uint64_t v)
{
    str_addf(out, " %s=%llu", key, (unsigned long long)v);
}

static void begin(struct str *out, const char *what, const struct queue_id *id)
{
    str_addf(out, "%s id=", what);
    hex_emit(out, slice_make(id->b, sizeof(id->b)));
}

static void dump_envelope(struct str *out, const struct queue_entry *e)
{
    num(out, "arrival_us", e->arrival_us);
    num(out, "due_us", e->due_us);
    num(out, "class", e->class_);
    num(out, "held", e->held);
    num(out, "smtputf8", e->smtputf8);
    num(out, "ret", e->ret);
    num(out, "body", e->body_type);
    text(out, "hold_reason", e->hold_reason);
    text(out, "channel", e->channel);
    text(out, "host", e->host);
    text(out, "sender", e->sender);
    text(out, "envid", e->envid);
    text(out, "trace", e->trace);
}

static void dump_addresses(struct str *out, const struct queue_recipient *rcpt)
{
    num(out, "notify", rcpt->notify);
    text(out, "address", rcpt->address);
    text(out, "original", rcpt->original);
    text(out, "orcpt", rcpt->orcpt);
}

void queue__dump_enqueue(struct slice op, struct str *out)
{
    struct queue__op_enqueue o;
    struct queue_recipient rcpt;
    struct rd r;

    if (queue__op_enqueue_parse(op, &o)) {
        damaged(out, op);
        return;
    }
    begin(out, "enqueue", &o.entry.id);
    str_add_byte(out, ' ');
    part_blob_source_dump(&o.source, out);
    dump_envelope(out, &o.entry);
    r = rd_make(o.recipients);
    for (unsigned i = 0; i < o.recipient_count && !queue__op_recipient_parse(&r, &rcpt); i++) {
        num(out, "to", rcpt.number);
        dump_addresses(out, &rcpt);
    }
}

static void dump_result(struct slice op, unsigned version, struct str *out)
{
    struct queue__op_result o;
    struct queue_outcome outcome;
    struct rd r;

    if (queue__op_result_parse(op, version, &o)) {
        damaged(out, op);
        return;
    }
    begin(out, "queue_result", &o.id);
    num(out, "due_us", o.attempt.due_us);
    if (version >= 2) {
        num(out, "tried_us", o.attempt.tried_us);
        num(out, "notices", o.attempt.notices);
        num(out, "count", o.attempt.count);
    }
    r = rd_make(o.outcomes);
    for (unsigned i = 0; i < o.outcome_count && !queue__op_outcome_parse(&r, &outcome); i++) {
        num(out, "to", outcome.number);
        str_addf(out, " state=%s", states[outcome.state]);
        num(out, "recorded", outcome.recorded);
        num(out, "if_delivered", outcome.if_delivered);
        text(out, "reason", outcome.reason);
    }
}

void queue__dump_result_v1(struct slice op, struct str *out)
{
    dump_result(op, 1, out);
}

void queue__dump_result(struct slice op, struct str *out)
{
    dump_result(op, QUEUE__RESULT_VERSION, out);
}

static void dump_id(const char *what, struct slice op, struct str *out)
{
    struct queue_id id;

    if (queue__op_id_parse(op, &id))
        damaged(out, op);
    else
        begin(out, what, &id);
}

void queue__dump_forget(struct slice op, struct str *out)
{
    dump_id("queue_forget", op, out);
}

void queue__dump_delete(struct slice op, struct str *out)
{
    dump_id("queue_delete", op, out);
}

void queue__dump_hold(struct slice op, struct str *out)
{
    struct queue__op_hold o;

    if (queue__op_hold_parse(op, &o)) {
        damaged(out, op);
        return;
    }
    begin(out, "queue_hold", &o.id);
    num(out, "hold", o.hold);
    text(out, "reason", o.reason);
}

static void dump_stop(const char *what, const struct queue_stop *stop, struct str *out)
{
    str_add_cstr(out, what);
    text(out, "channel", slice_cstr(stop->channel));
    num(out, "since_us", stop->since_us);
}

void queue__dump_stop(struct slice op, struct str *out)
{
    struct queue__op_stop o;

    if (queue__op_stop_parse(op, &o)) {
        damaged(out, op);
        return;
    }
    dump_stop("queue_stop", &o.row, out);
    num(out, "stop", o.stop);
}

static void dump_entry(const struct queue_entry *e, struct str *out)
{
    begin(out, "queue", &e->id);
    str_addf(out, " blob=%016llx", (unsigned long long)e->blob);
    num(out, "bytes", e->blob_bytes);
    num(out, "attempts", e->attempts);
    num(out, "tried_us", e->tried_us);
    num(out, "notices", e->notices);
    num(out, "recipients", e->recipient_count);
    num(out, "pending", e->pending);
    dump_envelope(out, e);
}

static void dump_recipient(struct slice key, const struct queue_recipient *rcpt, struct str *out)
{
    str_add_cstr(out, "recipient id=");
    hex_emit(out, slice_sub(key, 0, QUEUE__ENTRY_KEY));
    num(out, "to", rcpt->number);
    str_addf(out, " state=%s", states[rcpt->state]);
    num(out, "recorded", rcpt->recorded);
    dump_addresses(out, rcpt);
    text(out, "reason", rcpt->reason);
}

void queue__dump_row(struct slice key, struct slice value, struct str *out)
{
    struct queue_entry e;
    struct queue_recipient rcpt;
    struct queue_stop stop;

    if (key.len == QUEUE__ENTRY_KEY && !queue__entry_parse(key, value, &e)) {
        dump_entry(&e, out);
    } else if (key.len == QUEUE__RECIPIENT_KEY && !queue__recipient_parse(key, value, &rcpt)) {
        dump_recipient(key, &rcpt, out);
    } else if (queue__key_is_stop(key) && !queue__stop_parse(key, value, &stop)) {
        dump_stop("stop", &stop, out);
    } else {
        damaged(out, key);
        str_add_cstr(out, " = ");
        hex_emit(out, value);
    }
}
