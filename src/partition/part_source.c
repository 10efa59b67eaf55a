/* part_source.c - the form in which an op names a blob: parse, emit, dump. */
#include "part_priv.h"

#define CACHE_BEHIND 0x80000000u

static void parse_parts(struct rd *r, struct part_blob_source *out)
{
    out->part_count = rd_u16(r);
    if (out->part_count == 0 || out->part_count > PART_EXTENTS_MAX) {
        r->bad = true;
        return;
    }
    out->parts = rd_bytes(r, (size_t)out->part_count * PART_EXTENT_BYTES);
}

static void parse_description(struct rd *r, struct part_blob_source *out)
{
    out->size = rd_u64(r);
    out->hash.lo = rd_u64(r);
    out->hash.hi = rd_u64(r);
    out->flags = rd_u8(r);
    out->cache_bytes = rd_u32(r);
    out->cache_behind = (out->cache_bytes & CACHE_BEHIND) != 0;
    out->cache_bytes &= ~CACHE_BEHIND;
    if (out->cache_behind)
        out->cache_offset = rd_u32(r);
    else if (out->cache_bytes <= PART_CACHE_ROW_MAX)
        out->cache = rd_bytes(r, out->cache_bytes);
    else
        r->bad = true;
}

/* Parts lie in the log in their order, none is empty, and together they are the message. */
static bool parts_fit(const struct part_blob_source *src)
{
    struct rd r = rd_make(src->parts);
    uint64_t sum = 0, last = 0;
    for (unsigned i = 0; i < src->part_count; i++) {
        uint64_t position = rd_u64(&r);
        uint32_t len = rd_u32(&r);
        if (len == 0 || len > JOURNAL_PART_BYTES || position <= last || position > UINT64_MAX / 2)
            return false;
        last = position + len - 1;
        sum += len;
    }
    return sum == src->size;
}

enum ms_err part_blob_source_parse(struct rd *r, struct part_blob_source *out)
{
    *out = (struct part_blob_source){0};
    const uint8_t *from = r->ptr;
    out->how = rd_u8(r);
    switch (out->how) {
    case PART_SOURCE_EXISTING:
        out->id = rd_u64(r);
        break;
    case PART_SOURCE_INLINE:
        out->offset = rd_u32(r);
        parse_description(r, out);
        if (out->size > JOURNAL_PAYLOAD_MAX || out->offset > JOURNAL_PAYLOAD_MAX)
            r->bad = true;
        break;
    case PART_SOURCE_PARTS:
        parse_parts(r, out);
        parse_description(r, out);
        if (!r->bad && !parts_fit(out))
            r->bad = true;
        if (!r->bad)
            out->id = ms_get_le64(out->parts.ptr);
        break;
    default:
        r->bad = true;
    }
    if (out->cache_bytes > PART_CACHE_MAX || (out->flags & ~1u))
        r->bad = true;
    if (r->bad)
        return MS_EDAMAGED;
    out->raw = slice_make(from, (size_t)(r->ptr - from));
    return MS_OK;
}

void part_blob_source_emit_existing(struct str *op, uint64_t id)
{
    str_add_byte(op, PART_SOURCE_EXISTING);
    str_add_le64(op, id);
}

void part__source_emit(const struct part_blob_source *src, struct str *op)
{
    str_add_byte(op, src->how);
    if (src->how == PART_SOURCE_INLINE) {
        str_add_le32(op, src->offset);
    } else {
        str_add_le16(op, (uint16_t)src->part_count);
        str_add_slice(op, src->parts);
    }
    str_add_le64(op, src->size);
    str_add_le64(op, src->hash.lo);
    str_add_le64(op, src->hash.hi);
    str_add_byte(op, src->flags);
    str_add_le32(op, src->cache_bytes | (src->cache_behind ? CACHE_BEHIND : 0));
    if (src->cache_behind)
        str_add_le32(op, src->cache_offset);
    else
        str_add_slice(op, src->cache);
}

void part_blob_source_dump(const struct part_blob_source *src, struct str *out)
{
    if (src->how == PART_SOURCE_EXISTING) {
        str_addf(out, "blob=%016llx", (unsigned long long)src->id);
        return;
    }
    if (src->how == PART_SOURCE_INLINE)
        str_addf(out, "blob=inline+%u", src->offset);
    else
        str_addf(out, "blob=parts:%u@%016llx", src->part_count, (unsigned long long)src->id);
    str_addf(out, " size=%llu hash=%016llx%016llx%s cache=%u%s", (unsigned long long)src->size,
             (unsigned long long)src->hash.hi, (unsigned long long)src->hash.lo,
             src->flags & 1 ? " digest" : "", src->cache_bytes, src->cache_behind ? "(behind)" : "");
}
