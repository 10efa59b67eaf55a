/*
 * part_record.c - the payload of a record: building it, taking it apart.
 *
 * parse checks everything that does not depend on the kind of op, so apply functions see payloads of the
 * length that the record says and nothing behind them.
 */
#include "part_priv.h"

#define PART_REC_KEEP_BYTES 16384 /* a builder gives larger memory back after the post */

void part_rec_init(struct part_rec *rec)
{
    *rec = (struct part_rec){0};
    str_init(&rec->meta, PART_META_MAX);
}

void part_rec_fini(struct part_rec *rec)
{
    if (rec->stream && rec->stream_client)
        part__client_abort_stream(rec->stream_client, rec->stream);
    mbuf_unref_chain(&rec->body);
    str_fini(&rec->meta);
    *rec = (struct part_rec){0};
}

struct str *part_rec_op_begin(struct part_rec *rec, uint16_t kind, uint16_t version)
{
    MS_ASSERT(rec->op_at == 0 && rec->count < UINT16_MAX && kind >= 1 && kind < PART_OPS_MAX);
    if (rec->meta.len == 0)
        str_add(&rec->meta, (uint8_t[PART_REC_HEADER_BYTES]){0}, PART_REC_HEADER_BYTES);
    rec->op_at = rec->meta.len;
    str_add_le16(&rec->meta, kind);
    str_add_le16(&rec->meta, version);
    str_add_le32(&rec->meta, 0);
    return &rec->meta;
}

void part_rec_op_end(struct part_rec *rec)
{
    MS_ASSERT(rec->op_at != 0);
    if (!str_is_over(&rec->meta)) /* else the post refuses the record as a whole */
        ms_put_le32(rec->meta.ptr + rec->op_at + 4,
                    (uint32_t)(rec->meta.len - rec->op_at - PART_OP_HEADER_BYTES));
    rec->op_at = 0;
    rec->count++;
}

void part__rec_finish(struct part_rec *rec)
{
    MS_ASSERT(rec->count > 0 && rec->op_at == 0 && !str_is_over(&rec->meta));
    ms_put_le32(rec->meta.ptr, (uint32_t)rec->meta.len);
    ms_put_le16(rec->meta.ptr + 4, rec->count);
    ms_put_le16(rec->meta.ptr + 6, 0);
}

/* What was in it belongs to somebody else now. */
void part__rec_reset(struct part_rec *rec)
{
    rec->body = NULL;
    rec->stream = 0;
    rec->stream_client = NULL;
    rec->count = 0;
    rec->relief = rec->ack_durable = false;
    if (rec->meta.cap > PART_REC_KEEP_BYTES) {
        str_fini(&rec->meta);
        str_init(&rec->meta, PART_META_MAX);
    } else {
        str_reset(&rec->meta);
    }
}

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
