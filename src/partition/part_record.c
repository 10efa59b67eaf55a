/* part_record.c - building the payload of a record. */
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
    for (size_t i = 0; i < rec->more_stream_count; i++)
        part__client_abort_stream(rec->stream_client, rec->more_streams[i]);
    ms_free(rec->more_streams);
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
    rec->body = rec->body_last = NULL;
    rec->body_bytes = 0;
    rec->stream = 0;
    rec->stream_client = NULL;
    rec->more_streams = NULL;
    rec->more_stream_count = rec->more_stream_cap = 0;
    rec->count = 0;
    rec->relief = rec->ack_durable = false;
    if (rec->meta.cap > PART_REC_KEEP_BYTES) {
        str_fini(&rec->meta);
        str_init(&rec->meta, PART_META_MAX);
    } else {
        str_reset(&rec->meta);
    }
}
