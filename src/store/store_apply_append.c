/*
 * store_apply_append.c - messages come into one mailbox, all or none.
 *
 * Both versions of the op are one here: version 1 is an append of one message without wishes.
 */
#include "store_priv.h"

static enum ms_err place_load(struct part_tx *tx, const struct store_place *to, struct store__acct *acct,
                              struct store__mbox *mb)
{
    MS_TRY(store__mbox_load(tx, to->mailbox, mb));
    if (mb->m.gone || mb->m.account != to->account)
        return MS_ENOTFOUND;
    if (mb->m.uidnext == UINT32_MAX)
        return MS_ELIMIT; /* RFC 9051 2.3.1.1: UIDs only grow, and this was the last */
    return store__acct_load(tx, to->account, acct);
}

enum ms_err store__place_find(struct part_tx *tx, const struct store_place *to, struct store__acct *acct,
                              struct store__mbox *mb)
{
    enum ms_err err = place_load(tx, to, acct, mb);

    if (err != MS_ENOTFOUND || !part_tx_is_salvage(tx))
        return err;
    MS_TRY(store__salvage_parents(tx, to->account, to->owner, to->mailbox, to->name));
    return place_load(tx, to, acct, mb);
}

struct incoming {
    struct store__op_append op; /* large: not cleared */
    struct store__acct acct;
    struct store__mbox mb;
    struct store__uids uids;
};

/* The UIDs they will have. A wanted one that is below the next is somebody's already; in a salvage the
 * mailbox may have given others than the op means, and the message matters more than its number. */
static enum ms_err append_uids(struct part_tx *tx, struct incoming *in)
{
    uint32_t next = in->mb.m.uidnext;

    in->uids.count = in->op.count;
    for (unsigned i = 0; i < in->op.count; i++) {
        uint32_t wanted = in->op.item[i].m.uid;

        if (wanted && wanted < next && !part_tx_is_salvage(tx))
            return MS_EINVAL;
        next = MS_MAX(wanted, next);
        if (next == UINT32_MAX)
            return MS_ELIMIT;
        in->uids.uid[i] = next++;
    }
    return MS_OK;
}

/* Everything that can refuse. */
static enum ms_err append_check(struct part_tx *tx, struct incoming *in)
{
    const struct store_place *to = &in->op.to;
    uint64_t bytes = 0;

    for (unsigned i = 0; i < in->op.count; i++) {
        MS_TRY(part_blob_check(tx, &in->op.item[i].source, &in->op.item[i].size));
        bytes += in->op.item[i].size;
    }
    MS_TRY(store__place_find(tx, to, &in->acct, &in->mb));
    MS_TRY(append_uids(tx, in));
    MS_TRY(store__quota_check(tx, &in->acct.a, bytes, in->op.count, to->bytes_max, to->messages_max));
    for (unsigned i = 0; i < in->op.count; i++) {
        struct store__append_item *it = &in->op.item[i];

        MS_TRY(store__mbox_keywords(&in->mb, it->keywords, (unsigned)it->m.keyword_count, true, &it->bits));
    }
    return MS_OK;
}

static enum ms_err append_write(struct part_tx *tx, struct incoming *in)
{
    uint64_t modseq = in->mb.m.highestmodseq + 1;

    for (unsigned i = 0; i < in->op.count; i++) {
        const struct store__append_item *it = &in->op.item[i];
        struct store_message m = {
            .flags = it->m.flags,
            .size = it->size,
            .internaldate_us = it->m.internaldate_us,
            .internaldate_zone = it->m.zone,
            .savedate_us = it->m.savedate_us,
            .keywords = it->bits,
        };

        MS_TRY(part_blob_add(tx, &it->source, &m.blob));
        MS_TRY(part_blob_ref(tx, m.blob, 1));
        m.email_id = m.blob;
        in->mb.m.uidnext = in->uids.uid[i];
        MS_TRY(store__mbox_add(tx, &in->mb, &m, modseq));
        in->acct.a.messages++;
        in->acct.a.bytes += m.size;
    }
    MS_TRY(store__mbox_save(tx, &in->mb));
    MS_TRY(store__acct_save(tx, &in->acct));
    part_tx_changed(tx, in->mb.m.id, modseq);
    return MS_OK;
}

static enum ms_err append_run(struct part_tx *tx, struct incoming *in, struct store_result *res)
{
    MS_TRY(append_check(tx, in));
    MS_TRY(append_write(tx, in));
    *res = (struct store_result){
        .mailbox = in->mb.m.id,
        .uidvalidity = in->mb.m.uidvalidity,
        .uid = in->uids.uid[0],
        .count = in->op.count,
        .modseq = in->mb.m.highestmodseq,
    };
    return MS_OK;
}

static enum ms_err append_finish(struct part_tx *tx, struct incoming *in, enum ms_err err)
{
    struct store_result res = {0};
    uint8_t runs[8 * STORE_APPEND_MAX];

    if (!err)
        err = append_run(tx, in, &res);
    if (!err)
        res.runs = slice_make(runs, store__runs_of(in->uids.uid, in->uids.count, runs));
    return store__finish(tx, err, &res);
}

enum ms_err store__apply_append(struct part_tx *tx, struct slice op)
{
    struct incoming in;

    return append_finish(tx, &in, store__op_append_parse(op, &in.op));
}

enum ms_err store__apply_append_2(struct part_tx *tx, struct slice op)
{
    struct incoming in;

    return append_finish(tx, &in, store__op_append_2_parse(op, &in.op));
}
