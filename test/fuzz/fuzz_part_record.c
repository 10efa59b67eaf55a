/*
 * fuzz_part_record.c - the payload of a log record: ops one behind the other, blob sources inside them (at
 * the beginning of an op and behind 8 bytes, as in most), hole ops. What is accepted is emitted again and
 * must be the same bytes.
 */
#include <stdlib.h>

#include "../../src/partition/part_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void source(struct slice bytes)
{
    struct part_blob_source src;
    struct rd r = rd_make(bytes);
    struct str out;
    if (part_blob_source_parse(&r, &src))
        return;
    check(src.raw.ptr == bytes.ptr && src.raw.len <= bytes.len && rd_left(&r) == bytes.len - src.raw.len);
    str_init(&out, 0);
    if (src.how == PART_SOURCE_EXISTING)
        part_blob_source_emit_existing(&out, src.id);
    else
        part__source_emit(&src, &out);
    check(slice_eq(str_slice(&out), src.raw));
    str_reset(&out);
    part_blob_source_dump(&src, &out);
    check(out.len > 0);
    str_fini(&out);
}

static void holes(struct slice bytes)
{
    struct part__holes h;
    struct str out;
    str_init(&out, 0);
    part__hole_op.dump(bytes, &out);
    str_reset(&out);
    if (part__holes_parse(bytes, &h) == MS_OK) {
        part__holes_emit(&h, &out);
        check(slice_eq(str_slice(&out), bytes));
    }
    str_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct part__record rec;
    struct part__op_view op;
    struct slice all = slice_make(data, size);
    if (part__record_parse(all, size, &rec) == MS_OK) {
        struct part__hole_notes notes = {0};
        const struct journal_record as_read = {
            .kind = JOURNAL_REC_USER, .payload = all, .payload_bytes = size};
        unsigned n = 0;
        for (; part__record_next(&rec, &op) == MS_OK; n++) {
            check(op.payload.len == 0 ||
                  (op.payload.ptr > data && op.payload.ptr + op.payload.len <= data + size));
            source(op.payload);
            source(slice_sub(op.payload, 8, op.payload.len));
            holes(op.payload);
        }
        check(n == rec.op_count);
        part__hole_notes_collect(&notes, &as_read);
        (void)part__hole_notes_until(&notes, 0, 0);
        ms_free(notes.list);
    }
    source(all);
    holes(all);
    return 0;
}
