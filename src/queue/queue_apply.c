/*
 * queue_apply.c - the queue's ops on the index.
 *
 * enqueue has no refusal of its own (storage rule 2.3): its id is new, its bytes are in the record. An
 * entry goes when its last recipient is finished and no other partition remembers one of them; else it
 * stays, finished, until forget. It holds one reference to its blob as long as it is there.
 * That a channel is stopped is a row by itself, whether there are entries of it or not.
 */
#include "queue_priv.h"

struct entry { /* an entry row in memory; e's slices point into row */
    struct queue_entry e;
    uint8_t row[QUEUE__ENTRY_ROW_MAX];
};

static void give_result(struct part_tx *tx, enum ms_err err)
{
    uint8_t b[QUEUE__RESULT_BYTES];

    ms_put_le16(b, (uint16_t)err);
    part_tx_result(tx, b, sizeof(b));
}

static enum ms_err finish(struct part_tx *tx, enum ms_err err)
{
    switch (err) {
    case MS_OK:
    case MS_ENOTFOUND:
    case MS_EINVAL:
    case MS_EGONE:
    case MS_EBUSY:
    case MS_EEXIST:
        give_result(tx, err);
        return MS_OK;
    default: /* the index or the machine: the applier keeps the batch and tries again */
        return err;
    }
}

enum ms_err queue_result_next(struct rd *r, enum ms_err *err_out)
{
    uint16_t err = rd_u16(r);

    *err_out = (enum ms_err)err;
    return r->bad || err >= MS_ERR_COUNT ? MS_EDAMAGED : MS_OK;
}

static void note(struct part_tx *tx, uint32_t kind, const struct queue_id *id)
{
    part_tx_note(tx, QUEUE_PORT, kind, ms_get_be64(id->b), ms_get_be64(id->b + 8), 0);
}

static enum ms_err entry_load(struct part_tx *tx, const struct queue_id *id, struct entry *out)
{
    struct slice row;

    MS_TRY(db_get(part_tx_db(tx), PART_DB_QUEUE, queue__key_entry(id), &row));
    if (row.len > sizeof(out->row))
        return MS_EDAMAGED;
    memcpy(out->row, row.ptr, row.len);
    return queue__entry_parse(queue__key_entry(id), slice_make(out->row, row.len), &out->e);
}

/* A row of an older version becomes one of the newest when it changes. */
static enum ms_err entry_save(struct part_tx *tx, const struct queue_entry *e)
{
    uint8_t row[QUEUE__ENTRY_ROW_MAX];

    return db_put(part_tx_db(tx), PART_DB_QUEUE, queue__key_entry(&e->id),
                  slice_make(row, queue__entry_emit(e, row)));
}

static enum ms_err rows_remove(struct part_tx *tx, const struct queue_id *id)
{
    struct slice prefix = slice_make(id->b, QUEUE__ENTRY_KEY), key, value;
    struct db_cur *cur;
    enum ms_err err;

    MS_TRY(db_cur_open(part_tx_db(tx), PART_DB_QUEUE, &cur));
    while ((err = db_cur_seek(cur, prefix, &key, &value)) == MS_OK && slice_has_prefix(key, prefix)) {
        err = db_cur_del(cur);
        if (err)
            break;
    }
    db_cur_close(&cur);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

static enum ms_err entry_remove(struct part_tx *tx, const struct queue_entry *e)
{
    MS_TRY(rows_remove(tx, &e->id));
    MS_TRY(part_blob_ref(tx, e->blob, -1));
    note(tx, QUEUE_NOTE_GONE, &e->id);
    return MS_OK;
}

/* -- enqueue */
static enum ms_err enqueue_recipients(struct part_tx *tx, const struct queue__op_enqueue *o)
{
    struct rd r = rd_make(o->recipients);

    for (unsigned i = 0; i < o->recipient_count; i++) {
        uint8_t key[QUEUE__RECIPIENT_KEY], row[QUEUE__RECIPIENT_ROW_MAX];
        struct queue_recipient rcpt;

        MS_TRY(queue__op_recipient_parse(&r, &rcpt));
        rcpt.state = QUEUE_RCPT_PENDING;
        MS_TRY(db_put(part_tx_db(tx), PART_DB_QUEUE, queue__key_recipient(key, &o->entry.id, rcpt.number),
                      slice_make(row, queue__recipient_emit(&rcpt, row))));
    }
    return MS_OK;
}

static enum ms_err enqueue(struct part_tx *tx, struct slice op)
{
    struct queue__op_enqueue o;
    struct queue_entry *e = &o.entry;
    struct slice old;
    enum ms_err err;

    MS_TRY(queue__op_enqueue_parse(op, &o));
    err = db_get(part_tx_db(tx), PART_DB_QUEUE, queue__key_entry(&e->id), &old);
    if (err != MS_ENOTFOUND)
        return err ? err : MS_EEXIST; /* ids are given once: this is the same op again */
    MS_TRY(part_blob_check(tx, &o.source, &e->blob_bytes));
    e->recipient_count = e->pending = o.recipient_count;

    MS_TRY(part_blob_add(tx, &o.source, &e->blob));
    MS_TRY(part_blob_ref(tx, e->blob, 1));
    MS_TRY(entry_save(tx, e));
    MS_TRY(enqueue_recipients(tx, &o));
    note(tx, QUEUE_NOTE_READY, &e->id);
    return MS_OK;
}

/* -- result */
/* Delivery inside the queue's own partition: the deliver op before this one has the last word. */
static void settle(const struct part_tx *tx, struct queue_outcome *out, char buf[QUEUE_REASON_MAX])
{
    enum ms_err err;
    struct slice text;

    if (!out->if_delivered || out->state != QUEUE_RCPT_DONE)
        return;
    if (!part_tx_settled(tx, out->number, &err))
        err = MS_ENOTFOUND;
    if (!err)
        return;
    out->state = QUEUE_RCPT_PENDING;
    out->recorded = false;
    text = slice_cstr(err == MS_EQUOTA ? "4.2.2 " : "4.3.0 ");
    memcpy(buf, text.ptr, text.len);
    out->reason = slice_cstr(ms_err_text(err));
    memcpy(buf + text.len, out->reason.ptr, out->reason.len);
    out->reason = slice_make(buf, text.len + out->reason.len);
}

static enum ms_err outcome_apply(struct part_tx *tx, struct entry *en, struct queue_outcome *out)
{
    uint8_t key_bytes[QUEUE__RECIPIENT_KEY], row[QUEUE__RECIPIENT_ROW_MAX];
    struct slice key = queue__key_recipient(key_bytes, &en->e.id, out->number), old;
    struct queue_recipient rcpt;
    char buf[QUEUE_REASON_MAX];
    enum ms_err err = db_get(part_tx_db(tx), PART_DB_QUEUE, key, &old);

    if (err == MS_ENOTFOUND)
        return MS_OK;
    if (err)
        return err;
    MS_TRY(queue__recipient_parse(key, old, &rcpt));
    if (rcpt.state != QUEUE_RCPT_PENDING)
        return MS_OK; /* finished is finished */
    settle(tx, out, buf);
    rcpt.state = out->state;
    rcpt.reason = out->reason;
    rcpt.recorded = rcpt.recorded || out->recorded;
    en->e.pending -= rcpt.state != QUEUE_RCPT_PENDING && en->e.pending > 0;
    return db_put(part_tx_db(tx), PART_DB_QUEUE, key, slice_make(row, queue__recipient_emit(&rcpt, row)));
}

static enum ms_err is_recorded(struct part_tx *tx, const struct queue_id *id, bool *out)
{
    struct slice prefix = slice_make(id->b, QUEUE__ENTRY_KEY), key, value;
    struct queue_recipient rcpt;
    struct db_cur *cur;
    enum ms_err err;

    *out = false;
    MS_TRY(db_cur_open(part_tx_db(tx), PART_DB_QUEUE, &cur));
    err = db_cur_seek(cur, prefix, &key, &value);
    while (!err && !*out && slice_has_prefix(key, prefix)) {
        if (key.len == QUEUE__RECIPIENT_KEY) {
            err = queue__recipient_parse(key, value, &rcpt);
            if (err)
                break;
            *out = rcpt.recorded;
        }
        err = db_cur_next(cur, &key, &value);
    }
    db_cur_close(&cur);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

static enum ms_err result_end(struct part_tx *tx, struct entry *en)
{
    bool recorded;

    if (en->e.pending) {
        note(tx, QUEUE_NOTE_READY, &en->e.id);
        return entry_save(tx, &en->e);
    }
    MS_TRY(is_recorded(tx, &en->e.id, &recorded));
    if (!recorded)
        return entry_remove(tx, &en->e);
    note(tx, QUEUE_NOTE_GONE, &en->e.id); /* for the job controller it is */
    return entry_save(tx, &en->e);
}

static void attempt_apply(struct queue_entry *e, const struct queue__op_result *o)
{
    e->attempts += o->attempt.count;
    e->due_us = o->attempt.due_us;
    if (o->version == 1)
        return;
    e->tried_us = o->attempt.tried_us;
    e->notices = o->attempt.notices;
}

static enum ms_err result(struct part_tx *tx, struct slice op, unsigned version)
{
    struct queue__op_result o;
    struct entry en;
    struct rd r;

    MS_TRY(queue__op_result_parse(op, version, &o));
    MS_TRY(entry_load(tx, &o.id, &en));
    if (en.e.pending == 0)
        return MS_OK; /* waits for its forget only */
    attempt_apply(&en.e, &o);
    r = rd_make(o.outcomes);
    for (unsigned i = 0; i < o.outcome_count; i++) {
        struct queue_outcome outcome;

        MS_TRY(queue__op_outcome_parse(&r, &outcome));
        MS_TRY(outcome_apply(tx, &en, &outcome));
    }
    return result_end(tx, &en);
}

/* -- the others */
static enum ms_err forget(struct part_tx *tx, struct slice op)
{
    struct queue_id id;
    struct entry en;

    MS_TRY(queue__op_id_parse(op, &id));
    MS_TRY(entry_load(tx, &id, &en));
    if (en.e.pending)
        return MS_EBUSY;
    return entry_remove(tx, &en.e);
}

static enum ms_err remove_now(struct part_tx *tx, struct slice op)
{
    struct queue_id id;
    struct entry en;

    MS_TRY(queue__op_id_parse(op, &id));
    MS_TRY(entry_load(tx, &id, &en));
    return entry_remove(tx, &en.e);
}

static enum ms_err hold(struct part_tx *tx, struct slice op)
{
    struct queue__op_hold o;
    struct entry en;

    MS_TRY(queue__op_hold_parse(op, &o));
    MS_TRY(entry_load(tx, &o.id, &en));
    en.e.held = o.hold;
    en.e.hold_reason = o.hold ? o.reason : (struct slice){0};
    note(tx, QUEUE_NOTE_READY, &o.id);
    return entry_save(tx, &en.e);
}

/* -- channels */
static enum ms_err stop(struct part_tx *tx, struct slice op)
{
    uint8_t key_bytes[QUEUE__STOP_KEY_MAX], row[QUEUE__STOP_ROW];
    struct queue__op_stop o;
    struct slice key, old;
    enum ms_err err;

    MS_TRY(queue__op_stop_parse(op, &o));
    key = queue__key_stop(key_bytes, slice_cstr(o.row.channel));
    err = db_get(part_tx_db(tx), PART_DB_QUEUE, key, &old);
    if (o.stop && err == MS_ENOTFOUND)
        return db_put(part_tx_db(tx), PART_DB_QUEUE, key, queue__stop_emit(&o.row, row));
    if (err)
        return err; /* started: it was not stopped */
    return o.stop ? MS_EEXIST : db_del(part_tx_db(tx), PART_DB_QUEUE, key);
}

enum ms_err queue__apply_enqueue(struct part_tx *tx, struct slice op)
{
    return finish(tx, enqueue(tx, op));
}

enum ms_err queue__apply_result_v1(struct part_tx *tx, struct slice op)
{
    return finish(tx, result(tx, op, 1));
}

enum ms_err queue__apply_result(struct part_tx *tx, struct slice op)
{
    return finish(tx, result(tx, op, QUEUE__RESULT_VERSION));
}

enum ms_err queue__apply_forget(struct part_tx *tx, struct slice op)
{
    return finish(tx, forget(tx, op));
}

enum ms_err queue__apply_hold(struct part_tx *tx, struct slice op)
{
    return finish(tx, hold(tx, op));
}

enum ms_err queue__apply_delete(struct part_tx *tx, struct slice op)
{
    return finish(tx, remove_now(tx, op));
}

enum ms_err queue__apply_stop(struct part_tx *tx, struct slice op)
{
    return finish(tx, stop(tx, op));
}
