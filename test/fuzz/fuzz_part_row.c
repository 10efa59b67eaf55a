/* fuzz_part_row.c - rows of the blob database: what is accepted keeps its promises. The first 8 bytes are the
 * id. */
#include <stdlib.h>

#include "../../src/partition/part_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct part_blob b;
    if (size < 8)
        return 0;
    struct slice row = slice_make(data + 8, size - 8);
    enum ms_err err = part_blob_parse(ms_get_be64(data), row, &b);
    if (err) {
        check(err == MS_EDAMAGED || err == MS_EVERSION);
        return 0;
    }
    uint64_t sum = 0;
    for (unsigned i = 0; i < b.extent_count; i++) {
        struct part_extent e = part_blob_extent(&b, i);
        check(e.len > 0 && e.position > 0);
        sum += e.len;
    }
    check(sum == b.size && part_blob_extent(&b, b.extent_count).len == 0);
    check(b.cache.len == 0 || b.cache_at.len == 0);
    check(PART_BLOB_HEADER_BYTES + b.extents.len + b.cache.len == row.len);
    return 0;
}
