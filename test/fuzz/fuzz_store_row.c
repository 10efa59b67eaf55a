/*
 * fuzz_store_row.c - hostile rows and op payloads of the store. The first byte chooses: 0-6 a row (u8 key
 * length, key, value), 16 and up the op of the table below, else results. What can be read as a row is written again
 * and must be the same bytes. Needs: libms_store, libms_partition. Corpus: corpus/store_row.
 */
#include "../../src/store/store_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static part_dump_fn *const ops[] = {
    store__dump_account_create,
    store__dump_mailbox_create,
    store__dump_mailbox_delete,
    store__dump_mailbox_rename,
    store__dump_mailbox_attr,
    store__dump_mailbox_purge,
    store__dump_deliver,
    store__dump_append,
    store__dump_flags,
    store__dump_expunge,
    store__dump_copy,
    store__dump_purge,
    store__dump_quota_set,
    store__dump_forget,
    store__dump_account_delete,
    store__dump_copy_begin,
    store__dump_copy_step,
    store__dump_mailbox_create_2,
    store__dump_mailbox_rename_2,
    store__dump_append_2,
};
static part_row_dump_fn *const rows[] = {
    store__dump_row_account, store__dump_row_list,     store__dump_row_mailbox,   store__dump_row_message,
    store__dump_row_change,  store__dump_row_expunged, store__dump_row_delivered,
};

static void same(struct slice value, const uint8_t *out, size_t len)
{
    MS_ASSERT(slice_eq(value, slice_make(out, len)));
}

static void again(struct slice key, struct slice value)
{
    static uint8_t out[STORE__MAILBOX_ROW_MAX + STORE__CHANGE_ROW_MAX];
    struct store_account account;
    struct store__list_row list;
    struct store_mailbox mailbox;
    struct store_message message;
    struct store__change_row change;
    struct store__delivered delivered;
    struct store__copy_row copy;
    struct store__plan_row plan;
    struct slice runs;

    if (!store__account_parse(1, value, &account))
        same(value, out, store__account_emit(&account, out));
    if (!store__list_parse(value, &list))
        same(value, out, store__list_emit(&list, out));
    if (!store__mailbox_parse(1, value, &mailbox)) {
        same(value, out, store__mailbox_emit(&mailbox, out));
        for (unsigned i = 0; i < mailbox.keyword_count; i++) {
            struct slice name = store_keyword_name(&mailbox, i);

            MS_ASSERT(name.len && store_keyword_find(&mailbox, name) <= (int)i);
        }
    }
    if (!store_message_parse(key, value, &message))
        same(value, out, store__message_emit(&message, out));
    if (!store__change_parse(value, &change))
        same(value, out, store__change_emit(&change, out));
    if (!store__delivered_parse(value, &delivered))
        same(value, out, store__delivered_emit(&delivered, out));
    if (!store__copy_parse(value, &copy))
        same(value, out, store__copy_emit(&copy, out));
    if (!store__plan_parse(value, &plan))
        same(value, out, store__plan_emit(&plan, out));
    if (!store__chunk_parse(value, &runs))
        same(value, out, store__chunk_emit(runs, out));
}

/* Keys are made of fields: those of the row's own bytes sort and read back. */
static void keys(struct slice key)
{
    uint8_t out[DB_KEY_MAX];

    if (key.len == 8)
        MS_ASSERT(slice_eq(key, store__key_u64(out, ms_get_be64(key.ptr))));
    if (key.len == 12)
        MS_ASSERT(slice_eq(key, store__key_message(out, ms_get_be64(key.ptr), ms_get_be32(key.ptr + 8))));
    if (key.len == 16)
        MS_ASSERT(slice_eq(key, store__key_change(out, ms_get_be64(key.ptr), ms_get_be64(key.ptr + 8))));
    if (key.len == STORE__DELIVERED_KEY)
        MS_ASSERT(slice_eq(key, store__key_delivered(out, key.ptr, key.ptr + 16, ms_get_be32(key.ptr + 32))));
    if (key.len > 8)
        MS_ASSERT(slice_eq(key, store__key_list(out, ms_get_be64(key.ptr), slice_sub(key, 8, SIZE_MAX))));
    (void)store__key_copy(out, key.len);
    (void)store__key_plan(out, key.len);
    (void)store__key_chunk(out, key.len, (uint32_t)key.len);
}

static void results(struct slice in)
{
    struct rd r = rd_make(in);
    struct store_result res;

    while (store_result_next(&r, &res) == MS_OK)
        for (size_t i = 0; i < res.runs.len / 8; i++)
            (void)store_run_at(res.runs, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_make(data + 1, size ? size - 1 : 0), key;
    struct str out;

    if (size == 0)
        return 0;
    str_init(&out, 0);
    if (data[0] < MS_ARRAY_LEN(rows) && in.len) {
        key = slice_sub(in, 1, in.ptr[0]);
        in = slice_sub(in, 1 + (size_t)data[1], SIZE_MAX);
        rows[data[0]](key, in, &out);
        again(key, in);
        keys(key);
    } else if (data[0] >= STORE_OP_ACCOUNT_CREATE &&
               data[0] - STORE_OP_ACCOUNT_CREATE < (int)MS_ARRAY_LEN(ops)) {
        ops[data[0] - STORE_OP_ACCOUNT_CREATE](in, &out);
    } else {
        results(in);
    }
    str_fini(&out);
    return 0;
}
