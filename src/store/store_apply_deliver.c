/*
 * store_apply_deliver.c - messages arrive: deliver (one blob, many targets).
 *
 * The common case - one small message to one INBOX - writes four rows: blob, message, mailbox, account.
 */
#include "store_priv.h"

struct deliver {
    const struct store__op_deliver *op;
    uint64_t blob, blob_bytes;
    uint32_t taken;                      /* targets that hold the blob now */
    uint64_t mailbox[STORE_TARGETS_MAX]; /* theirs: one modseq an op and mailbox */
};

/* Storage rule 3.5: the same queue entry and recipient again gives the message of the first time. */
static enum ms_err repeat_find(struct part_tx *tx, const struct store_delivery *d,
                               const struct store_target *t, struct store_result *res)
{
    uint8_t key[STORE__DELIVERED_KEY];
    struct store__delivered delivered;
    struct store__mbox mb;
    struct slice row;
    enum ms_err err;

    if (!d->queue_partition)
        return MS_ENOTFOUND;
    MS_TRY(db_get(part_tx_db(tx), PART_DB_DELIVERED,
                  store__key_delivered(key, d->queue_partition, d->queue_entry, t->recipient), &row));
    MS_TRY(store__delivered_parse(row, &delivered));
    res->mailbox = delivered.mailbox;
    res->uid = delivered.uid;
    err = store__mbox_load(tx, delivered.mailbox, &mb);
    if (err == MS_ENOTFOUND)
        return MS_OK; /* deleted meanwhile: it was delivered all the same */
    res->uidvalidity = err ? 0 : mb.m.uidvalidity;
    return err;
}

static enum ms_err delivered_put(struct part_tx *tx, const struct store_delivery *d,
                                 const struct store_target *t, uint32_t uid)
{
    uint8_t key[STORE__DELIVERED_KEY], row[STORE__DELIVERED_ROW];
    struct store__delivered delivered = {.mailbox = t->mailbox, .uid = uid};

    return db_put(part_tx_db(tx), PART_DB_DELIVERED,
                  store__key_delivered(key, d->queue_partition, d->queue_entry, t->recipient),
                  slice_make(row, store__delivered_emit(&delivered, row)));
}

static uint64_t deliver_modseq(const struct deliver *dl, const struct store_mailbox *m)
{
    for (uint32_t i = dl->taken; i-- > 0;)
        if (dl->mailbox[i] == m->id)
            return m->highestmodseq; /* an earlier target of this op */
    return m->highestmodseq + 1;
}

static enum ms_err deliver_take(struct part_tx *tx, struct deliver *dl, const struct store_target *t,
                                struct store__acct *acct, struct store__mbox *mb, struct store_result *res)
{
    struct store_message m = {
        .flags = t->flags,
        .blob = dl->blob,
        .size = dl->blob_bytes + t->prefix.len,
        .internaldate_us = dl->op->d.internaldate_us,
        .internaldate_zone = dl->op->d.zone,
        .email_id = dl->blob,
        .prefix = t->prefix,
    };

    MS_TRY(store__mbox_add(tx, mb, &m, deliver_modseq(dl, &mb->m)));
    MS_TRY(store__mbox_save(tx, mb));
    acct->a.messages++;
    acct->a.bytes += m.size;
    MS_TRY(store__acct_save(tx, acct));
    if (dl->op->d.queue_partition)
        MS_TRY(delivered_put(tx, &dl->op->d, t, m.uid));
    dl->mailbox[dl->taken++] = mb->m.id;
    part_tx_changed(tx, mb->m.id, m.modseq);
    res->mailbox = mb->m.id;
    res->uidvalidity = mb->m.uidvalidity;
    res->uid = m.uid;
    res->modseq = m.modseq;
    return MS_OK;
}

/* Everything up to deliver_take is checks. */
static enum ms_err deliver_target(struct part_tx *tx, struct deliver *dl, const struct store_target *t,
                                  struct store_result *res)
{
    const struct store_place place = {
        .account = t->account, .mailbox = t->mailbox, .owner = t->owner, .name = t->name};
    struct store__acct acct;
    struct store__mbox mb;
    enum ms_err err = repeat_find(tx, &dl->op->d, t, res);

    if (err != MS_ENOTFOUND)
        return err;
    *res = (struct store_result){0};
    MS_TRY(store__place_find(tx, &place, &acct, &mb));
    MS_TRY(store__quota_check(tx, &acct.a, dl->blob_bytes + t->prefix.len, 1, t->bytes_max, t->messages_max));
    if (dl->taken == 0)
        MS_TRY(part_blob_add(tx, &dl->op->source, &dl->blob));
    return deliver_take(tx, dl, t, &acct, &mb, res);
}

/* One result per target, whatever happens. */
static enum ms_err deliver_all(struct part_tx *tx, struct deliver *dl, enum ms_err blob_err)
{
    struct rd r = rd_make(dl->op->targets);
    struct store_target t;

    for (unsigned i = 0; i < dl->op->target_count; i++) {
        struct store_result res = {0};
        enum ms_err err;

        MS_TRY(store__target_parse(&r, &t));
        err = blob_err ? blob_err : deliver_target(tx, dl, &t, &res);
        MS_TRY(store__finish(tx, err, &res));
        part_tx_settle(tx, t.recipient, err);
    }
    return dl->taken ? part_blob_ref(tx, dl->blob, dl->taken) : MS_OK;
}

enum ms_err store__apply_deliver(struct part_tx *tx, struct slice op)
{
    struct store__op_deliver o;
    struct deliver dl; /* not cleared: the array is large, and most deliveries have one target */
    struct store_result res = {0};
    enum ms_err err = store__op_deliver_parse(op, &o);

    if (err)
        return store__finish(tx, err, &res);
    dl.op = &o;
    dl.taken = 0;
    dl.blob = 0;
    err = part_blob_check(tx, &o.source, &dl.blob_bytes);
    if (err && !store__is_refusal(err))
        return err;
    return deliver_all(tx, &dl, err);
}

enum ms_err store__apply_forget(struct part_tx *tx, struct slice op)
{
    struct store_result res = {0};
    uint8_t key[STORE__DELIVERED_KEY];
    enum ms_err err = MS_EINVAL;

    if (op.len == STORE__DELIVERED_KEY)
        err = db_del(part_tx_db(tx), PART_DB_DELIVERED,
                     store__key_delivered(key, op.ptr, op.ptr + 16, ms_get_le32(op.ptr + 32)));
    return store__finish(tx, err, &res);
}
