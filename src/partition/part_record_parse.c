/*
 * part_record_parse.c - taking the payload of a record apart.
 *
 * parse checks everything that does not depend on the kind of op, so apply functions see payloads of the
 * length that the record says and nothing behind them.
 */
#include "part_priv.h"

enum ms_err part__record_parse(struct slice meta, size_t payload_bytes, struct part__record *out)
{
    struct rd r = rd_make(meta);
    out->meta_bytes = rd_u32(&r);
    out->op_count = rd_u16(&r);
    uint16_t flags = rd_u16(&r);
    if (r.bad || flags != 0 || out->op_count == 0 || out->meta_bytes > PART_META_MAX ||
        out->meta_bytes > meta.len || out->meta_bytes < PART_REC_HEADER_BYTES ||
        out->meta_bytes > payload_bytes)
        return MS_EDAMAGED;
    struct slice ops = slice_sub(meta, PART_REC_HEADER_BYTES, out->meta_bytes - PART_REC_HEADER_BYTES);
    struct rd walk = rd_make(ops);
    for (unsigned i = 0; i < out->op_count; i++) {
        (void)rd_u32(&walk);
        (void)rd_bytes32(&walk);
    }
    if (walk.bad || rd_left(&walk) != 0)
        return MS_EDAMAGED;
    out->ops = rd_make(ops);
    return MS_OK;
}

enum ms_err part__record_next(struct part__record *rec, struct part__op_view *out)
{
    if (rd_left(&rec->ops) == 0)
        return MS_ENOTFOUND;
    out->kind = rd_u16(&rec->ops);
    out->version = rd_u16(&rec->ops);
    out->payload = rd_bytes32(&rec->ops);
    return MS_OK;
}
