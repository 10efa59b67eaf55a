/*
 * store_result.c - what an op tells its submitter. Lives only between applier and session, never on disk:
 *   u16 error, u64 mailbox, u32 uidvalidity, u32 uid, u32 count, u64 modseq, u8 more,
 *   u32 bytes of runs, runs
 */
#include "store_priv.h"

void store__result_emit(struct part_tx *tx, const struct store_result *res)
{
    uint8_t b[STORE__RESULT_BYTES];

    ms_put_le16(b, (uint16_t)res->err);
    ms_put_le64(b + 2, res->mailbox);
    ms_put_le32(b + 10, res->uidvalidity);
    ms_put_le32(b + 14, res->uid);
    ms_put_le32(b + 18, res->count);
    ms_put_le64(b + 22, res->modseq);
    b[30] = res->more;
    ms_put_le32(b + 31, (uint32_t)res->runs.len);
    part_tx_result(tx, b, sizeof(b));
    if (res->runs.len)
        part_tx_result(tx, res->runs.ptr, res->runs.len);
}

enum ms_err store_result_next(struct rd *r, struct store_result *out)
{
    uint16_t err = rd_u16(r);

    *out = (struct store_result){.err = (enum ms_err)err};
    out->mailbox = rd_u64(r);
    out->uidvalidity = rd_u32(r);
    out->uid = rd_u32(r);
    out->count = rd_u32(r);
    out->modseq = rd_u64(r);
    out->more = rd_u8(r) != 0;
    out->runs = rd_bytes32(r);
    if (r->bad || err >= MS_ERR_COUNT || out->runs.len % 8)
        return MS_EDAMAGED;
    return MS_OK;
}

bool store__is_refusal(enum ms_err err)
{
    switch (err) {
    case MS_EINVAL:
    case MS_ELIMIT:
    case MS_EQUOTA:
    case MS_ENOTFOUND:
    case MS_EEXIST:
    case MS_EGONE:
    case MS_EUNSUPPORTED:
        return true;
    default: /* the index or the machine: the applier keeps the batch and tries again */
        return false;
    }
}

enum ms_err store__finish(struct part_tx *tx, enum ms_err err, struct store_result *res)
{
    if (err && !store__is_refusal(err))
        return err;
    res->err = err;
    store__result_emit(tx, res);
    return MS_OK;
}
