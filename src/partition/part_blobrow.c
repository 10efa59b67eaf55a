/* part_blobrow.c - the row of a blob, parsed. */
#include "part_priv.h"

static bool extents_fit(const struct part_blob *b)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < b->extent_count; i++) {
        struct part_extent e = part_blob_extent(b, i);
        if (e.len == 0 || e.position == 0 || e.position > UINT64_MAX / 2)
            return false;
        sum += e.len;
    }
    return sum == b->size;
}

enum ms_err part_blob_parse(uint64_t id, struct slice row, struct part_blob *out)
{
    struct rd r = rd_make(row);
    *out = (struct part_blob){.id = id};
    uint8_t version = rd_u8(&r);
    if (!r.bad && version != PART_ROW_VERSION)
        return MS_EVERSION;
    out->flags = rd_u8(&r);
    out->extent_count = rd_u16(&r);
    out->refs = rd_u32(&r);
    out->size = rd_u64(&r);
    out->hash.lo = rd_u64(&r);
    out->hash.hi = rd_u64(&r);
    out->cache_at.position = rd_u64(&r);
    out->cache_at.len = rd_u32(&r);
    out->extents = rd_bytes(&r, (size_t)out->extent_count * PART_EXTENT_BYTES);
    if (r.bad)
        return MS_EDAMAGED;
    out->cache = rd_bytes(&r, rd_left(&r));
    if ((out->flags & ~(PART_BLOB_DIGEST | PART_BLOB_MOVED)) || out->cache.len > PART_CACHE_ROW_MAX ||
        (out->cache_at.len && (out->cache.len || out->cache_at.len > PART_CACHE_MAX)) ||
        (!out->cache_at.len && out->cache_at.position) || !extents_fit(out))
        return MS_EDAMAGED;
    return MS_OK;
}

struct part_extent part_blob_extent(const struct part_blob *b, unsigned i)
{
    if (i >= b->extent_count)
        return (struct part_extent){0};
    const uint8_t *at = b->extents.ptr + (size_t)i * PART_EXTENT_BYTES;
    return (struct part_extent){.position = ms_get_le64(at), .len = ms_get_le32(at + 8)};
}
