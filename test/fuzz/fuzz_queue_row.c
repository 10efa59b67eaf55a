/*
 * fuzz_queue_row.c - hostile rows and op payloads of the queue. The first byte chooses: 0 a row (u8 key
 * length, key, value), 64-69 the op of that kind, 70 a result op of version 1, else results. What can be read
 * as a row is written again and must be the same bytes (of version 1: the same row in the newest). Needs:
 * libms_queue, libms_partition. Corpus: corpus/queue_row.
 */
#include "../../src/queue/queue_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static part_dump_fn *const ops[] = {
    queue__dump_enqueue, queue__dump_result, queue__dump_forget,    queue__dump_hold,
    queue__dump_delete,  queue__dump_stop,   queue__dump_result_v1,
};

static void again(struct slice key, struct slice value)
{
    static uint8_t out[QUEUE__ENTRY_ROW_MAX + QUEUE__RECIPIENT_ROW_MAX];
    uint8_t key_out[QUEUE__RECIPIENT_KEY];
    struct queue_entry entry;
    struct queue_recipient rcpt;
    struct queue_stop stop;

    if (!queue__entry_parse(key, value, &entry)) {
        struct slice now = slice_make(out, queue__entry_emit(&entry, out));
        struct queue_entry same;

        if (value.ptr[0] != QUEUE__VERSION)
            MS_ASSERT(slice_eq(value, now));
        MS_ASSERT(queue__entry_parse(key, now, &same) == MS_OK && same.blob == entry.blob);
        MS_ASSERT(slice_eq(same.trace, entry.trace));
        MS_ASSERT(slice_eq(key, queue__key_entry(&entry.id)));
    }
    if (queue__key_is_stop(key) && !queue__stop_parse(key, value, &stop)) {
        uint8_t stop_key[QUEUE__STOP_KEY_MAX];

        MS_ASSERT(slice_eq(value, queue__stop_emit(&stop, out)));
        MS_ASSERT(slice_eq(key, queue__key_stop(stop_key, slice_cstr(stop.channel))));
    }
    if (!queue__recipient_parse(key, value, &rcpt)) {
        struct queue_id id;

        memcpy(id.b, key.ptr, sizeof(id.b));
        MS_ASSERT(slice_eq(value, slice_make(out, queue__recipient_emit(&rcpt, out))));
        MS_ASSERT(slice_eq(key, queue__key_recipient(key_out, &id, rcpt.number)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_make(data + 1, size ? size - 1 : 0), key;
    struct str out;
    enum ms_err err;

    if (size == 0)
        return 0;
    str_init(&out, 0);
    if (data[0] == 0 && in.len) {
        key = slice_sub(in, 1, in.ptr[0]);
        in = slice_sub(in, 1 + (size_t)data[1], SIZE_MAX);
        queue__dump_row(key, in, &out);
        again(key, in);
    } else if (data[0] >= QUEUE_OP_ENQUEUE && data[0] <= QUEUE_OP_STOP + 1) {
        ops[data[0] - QUEUE_OP_ENQUEUE](in, &out);
    } else {
        struct rd r = rd_make(in);

        while (queue_result_next(&r, &err) == MS_OK)
            ;
    }
    str_fini(&out);
    return 0;
}
