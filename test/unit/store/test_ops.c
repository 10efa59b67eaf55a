/* test_ops.c - op payloads: what a builder writes the parser reads; cut or flipped bytes are refused or
 * dumped, never a crash; the text of every op is what it was. */
#include "store_fixture.h"

#define PAYLOAD_AT 16 /* header of the record's meta and of its first op */

typedef void build_fn(struct part_rec *rec);

static const struct store_run some_runs[] = {{1, 3}, {7, 7}};
static const struct slice some_keywords[] = {{(const uint8_t *)"$Junk", 5}, {(const uint8_t *)"a\"b", 3}};
static const uint8_t partition_id_[16] = "PPPPPPPPPPPPPPPP", entry_id[16] = "EEEEEEEEEEEEEEEE";

static void build_account(struct part_rec *rec)
{
    store_op_account_create(rec, 7, SLICE_LIT("bob"));
}

static void build_create(struct part_rec *rec)
{
    store_op_mailbox_create(rec, 7, SLICE_LIT("A/B"), STORE_ATTR_JUNK);
}

static void build_create_as(struct part_rec *rec)
{
    store_op_mailbox_create_as(rec, 7, SLICE_LIT("A/B"), 0, STORE_UIDVALIDITY_MAX);
}

/* Versions that only replay reads. */
static void build_create_1(struct part_rec *rec)
{
    struct str *op = part_rec_op_begin(rec, STORE_OP_MAILBOX_CREATE, 1);

    str_add_le64(op, 7);
    str_add_le16(op, STORE_ATTR_JUNK);
    str_add_bytes16(op, SLICE_LIT("A/B"));
    part_rec_op_end(rec);
}

static void build_append_1(struct part_rec *rec)
{
    struct str *op = part_rec_op_begin(rec, STORE_OP_APPEND, 1);

    part_blob_source_emit_existing(op, 4096);
    str_add_le64(op, 7);
    str_add_le64(op, 99);
    str_add_le64(op, 5);
    str_add_le16(op, 120);
    str_add_le64(op, 1000);
    str_add_le64(op, 0);
    str_add_le16(op, STORE_SEEN);
    str_add_le16(op, 2);
    str_add_bytes16(op, some_keywords[0]);
    str_add_bytes16(op, some_keywords[1]);
    str_add_bytes16(op, SLICE_LIT("bob"));
    str_add_bytes16(op, SLICE_LIT("INBOX"));
    part_rec_op_end(rec);
}

static void build_append_all(struct part_rec *rec)
{
    const struct store_place to = {.account = 7, .mailbox = 99, .messages_max = 3};
    const struct store_incoming m[2] = {
        {.blob = 4096, .flags = STORE_DRAFT, .internaldate_us = 5, .uid = 12},
        {.blob = 8192, .zone = -1, .savedate_us = 9, .keywords = some_keywords, .keyword_count = 1},
    };

    store_op_append_all(rec, &to, m, 2);
}

static void build_delete(struct part_rec *rec)
{
    store_op_mailbox_delete(rec, 7, SLICE_LIT("A/B"));
}

static void build_rename(struct part_rec *rec)
{
    store_op_mailbox_rename(rec, 7, SLICE_LIT("A"), SLICE_LIT("B"));
}

static void build_attr(struct part_rec *rec)
{
    store_op_mailbox_attr(rec, 7, SLICE_LIT("A"), true, STORE_ATTR_SENT, true, true);
}

static void build_account_delete(struct part_rec *rec)
{
    store_op_account_delete(rec, 7);
}

static void build_mailbox_purge(struct part_rec *rec)
{
    store_op_mailbox_purge(rec, 99);
}

static void build_deliver(struct part_rec *rec)
{
    const struct store_target targets[] = {
        {.account = 7,
         .mailbox = 99,
         .owner = SLICE_LIT("bob"),
         .name = SLICE_LIT("INBOX"),
         .flags = STORE_FLAGGED,
         .prefix = SLICE_LIT("Return-Path: <>\r\n"),
         .bytes_max = 1000,
         .messages_max = 10,
         .recipient = 3},
        {.account = 8, .mailbox = 100},
    };
    const struct store_delivery d = {
        .internaldate_us = 5, .zone = -60, .queue_partition = partition_id_, .queue_entry = entry_id};

    OK(store_op_deliver(rec, NULL, 4096, &d, targets, 2));
}

static void build_append(struct part_rec *rec)
{
    const struct store_append a = {.account = 7,
                                   .mailbox = 99,
                                   .owner = SLICE_LIT("bob"),
                                   .name = SLICE_LIT("INBOX"),
                                   .flags = STORE_SEEN,
                                   .keywords = some_keywords,
                                   .keyword_count = 2,
                                   .internaldate_us = 5,
                                   .zone = 120,
                                   .bytes_max = 1000};

    store_op_append(rec, NULL, 4096, &a);
}

static void build_flags(struct part_rec *rec)
{
    store_op_flags(rec, 99, STORE_FLAGS_ADD, STORE_SEEN | STORE_DELETED, some_keywords, 2, 17, some_runs, 2);
}

static void build_expunge(struct part_rec *rec)
{
    store_op_expunge(rec, 99, true, some_runs, 2);
}

static void build_copy(struct part_rec *rec)
{
    const struct store_copy c = {.from_mailbox = 99,
                                 .to_mailbox = 100,
                                 .to_account = 8,
                                 .move = true,
                                 .bytes_max = 1000,
                                 .messages_max = 10,
                                 .whole_bytes = 500,
                                 .whole_messages = 5,
                                 .first = 64,
                                 .runs = some_runs,
                                 .run_count = 1,
                                 .left = some_runs + 1,
                                 .left_count = 1};

    store_op_copy_part(rec, &c);
}

static void build_copy_begin(struct part_rec *rec)
{
    const struct store_copy c = {.from_mailbox = 99,
                                 .to_mailbox = 100,
                                 .to_account = 8,
                                 .move = true,
                                 .bytes_max = 1000,
                                 .messages_max = 10,
                                 .whole_bytes = 500,
                                 .whole_messages = 5,
                                 .runs = some_runs,
                                 .run_count = 2};

    store_op_copy_begin(rec, 64, &c, true, false);
}

static void build_copy_step(struct part_rec *rec)
{
    store_op_copy_step(rec, 64, STORE_UIDS_MAX);
}

static void build_purge(struct part_rec *rec)
{
    store_op_purge(rec, 99, 31);
}

static void build_quota(struct part_rec *rec)
{
    store_op_quota_set(rec, 7, 1000, 10);
}

static void build_forget(struct part_rec *rec)
{
    store_op_forget(rec, partition_id_, entry_id, 3);
}

#define IDS "partition=50505050505050505050505050505050 entry=45454545454545454545454545454545"

static const struct {
    enum store_op_kind kind;
    uint16_t version;
    build_fn *build;
    part_dump_fn *dump;
    const char *text;
} ops[] = {
    {STORE_OP_ACCOUNT_CREATE, 1, build_account, store__dump_account_create,
     "account_create account=0000000000000007 owner=\"bob\" name=\"INBOX\" attrs=0 subscribed=1 "
     "name=\"Archive\" attrs=2 "
     "subscribed=1 name=\"Drafts\" attrs=4 subscribed=1 name=\"Junk\" attrs=16 subscribed=1 name=\"Sent\" "
     "attrs=32 "
     "subscribed=1 name=\"Trash\" attrs=64 subscribed=1"},
    {STORE_OP_MAILBOX_CREATE, 1, build_create_1, store__dump_mailbox_create,
     "mailbox_create account=0000000000000007 name=\"A/B\" attrs=16"},
    {STORE_OP_MAILBOX_CREATE, 2, build_create, store__dump_mailbox_create_2,
     "mailbox_create account=0000000000000007 name=\"A/B\" attrs=16 uidvalidity=0"},
    {STORE_OP_MAILBOX_CREATE, 2, build_create_as, store__dump_mailbox_create_2,
     "mailbox_create account=0000000000000007 name=\"A/B\" attrs=0 uidvalidity=4026531839"},
    {STORE_OP_MAILBOX_DELETE, 1, build_delete, store__dump_mailbox_delete,
     "mailbox_delete account=0000000000000007 name=\"A/B\""},
    {STORE_OP_MAILBOX_RENAME, 2, build_rename, store__dump_mailbox_rename_2,
     "mailbox_rename account=0000000000000007 name=\"A\" to=\"B\""},
    {STORE_OP_MAILBOX_ATTR, 1, build_attr, store__dump_mailbox_attr,
     "mailbox_attr account=0000000000000007 name=\"A\" attrs=32 subscribed=1"},
    {STORE_OP_MAILBOX_PURGE, 1, build_mailbox_purge, store__dump_mailbox_purge,
     "mailbox_purge mailbox=0000000000000063"},
    {STORE_OP_DELIVER, 1, build_deliver, store__dump_deliver,
     "deliver blob=0000000000001000 date_us=5 zone=-60 " IDS
     " to account=0000000000000007 mailbox=0000000000000063 recipient=3 flags=F bytes_max=1000 "
     "messages_max=10 "
     "owner=\"bob\" name=\"INBOX\" prefix=\"Return-Path: <>\\x0d\\x0a\""
     " to account=0000000000000008 mailbox=0000000000000064 recipient=0 flags= bytes_max=0 messages_max=0 "
     "owner=\"\" "
     "name=\"\" prefix=\"\""},
    {STORE_OP_APPEND, 2, build_append, store__dump_append_2,
     "append account=0000000000000007 mailbox=0000000000000063 bytes_max=1000 messages_max=0 owner=\"bob\" "
     "name=\"INBOX\" message blob=0000000000001000 date_us=5 zone=120 saved_us=0 uid=0 flags=S "
     "keyword=\"$Junk\" keyword=\"a\\x22b\""},
    {STORE_OP_APPEND, 2, build_append_all, store__dump_append_2,
     "append account=0000000000000007 mailbox=0000000000000063 bytes_max=0 messages_max=3 owner=\"\" "
     "name=\"\" "
     "message blob=0000000000001000 date_us=5 zone=0 saved_us=0 uid=12 flags=T "
     "message blob=0000000000002000 date_us=0 zone=-1 saved_us=9 uid=0 flags= keyword=\"$Junk\""},
    {STORE_OP_APPEND, 1, build_append_1, store__dump_append,
     "append blob=0000000000001000 account=0000000000000007 mailbox=0000000000000063 date_us=5 zone=120 "
     "bytes_max=1000 "
     "messages_max=0 flags=S keyword=\"$Junk\" keyword=\"a\\x22b\" owner=\"bob\" name=\"INBOX\""},
    {STORE_OP_FLAGS, 1, build_flags, store__dump_flags,
     "flags mailbox=0000000000000063 how=add flags=SD keyword=\"$Junk\" keyword=\"a\\x22b\" "
     "unchangedsince=17 uids=1:3,7"},
    {STORE_OP_EXPUNGE, 1, build_expunge, store__dump_expunge,
     "expunge mailbox=0000000000000063 any=1 uids=1:3,7"},
    {STORE_OP_COPY, 1, build_copy, store__dump_copy,
     "copy move=1 from=0000000000000063 to=0000000000000064 account=0000000000000008 bytes_max=1000 "
     "messages_max=10 "
     "whole_bytes=500 whole_messages=5 first=0000000000000040 uids=1:3 left=7"},
    {STORE_OP_COPY_BEGIN, 1, build_copy_begin, store__dump_copy_begin,
     "copy_begin move=1 first=1 last=0 plan=0000000000000040 from=0000000000000063 to=0000000000000064 "
     "account=0000000000000008 bytes_max=1000 messages_max=10 whole_bytes=500 whole_messages=5 uids=1:3,7"},
    {STORE_OP_COPY_STEP, 1, build_copy_step, store__dump_copy_step,
     "copy_step plan=0000000000000040 messages=1000"},
    {STORE_OP_PURGE, 1, build_purge, store__dump_purge, "purge mailbox=0000000000000063 modseq=31"},
    {STORE_OP_QUOTA_SET, 1, build_quota, store__dump_quota_set,
     "quota_set account=0000000000000007 bytes_max=1000 messages_max=10"},
    {STORE_OP_FORGET_DELIVERED, 1, build_forget, store__dump_forget, "forget_delivered " IDS " recipient=3"},
    {STORE_OP_ACCOUNT_DELETE, 1, build_account_delete, store__dump_account_delete,
     "account_delete account=0000000000000007"},
};

static struct slice payload_of(const struct part_rec *rec)
{
    struct slice payload = slice_sub(str_slice(&rec->meta), PAYLOAD_AT, SIZE_MAX);

    assert_int_equal(payload.len, ms_get_le32(rec->meta.ptr + PAYLOAD_AT - 4));
    return payload;
}

static void dump_exact(part_dump_fn *fn, const uint8_t *p, size_t len, struct str *out)
{
    uint8_t *copy = malloc(len ? len : 1); /* the sanitizer sees reads past the end */

    memcpy(copy, p, len);
    str_reset(out);
    fn(slice_make(copy, len), out);
    free(copy);
}

static void test_text(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(ops); i++) {
        struct part_rec rec;
        struct str out;

        part_rec_init(&rec);
        str_init(&out, 0);
        ops[i].build(&rec);
        assert_int_equal(rec.count, 1);
        assert_int_equal(ms_get_le16(rec.meta.ptr + 8), ops[i].kind);
        assert_int_equal(ms_get_le16(rec.meta.ptr + 10), ops[i].version);
        ops[i].dump(payload_of(&rec), &out);
        assert_string_equal(str_cstr(&out), ops[i].text);
        str_fini(&out);
        part_rec_fini(&rec);
    }
}

/* Every cut, and one byte more, is refused. */
static void test_cut(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(ops); i++) {
        struct part_rec rec;
        struct str out;
        struct slice payload;

        part_rec_init(&rec);
        str_init(&out, 0);
        ops[i].build(&rec);
        payload = payload_of(&rec);
        for (size_t cut = 0; cut < payload.len; cut++) {
            dump_exact(ops[i].dump, payload.ptr, cut, &out);
            assert_memory_equal(out.ptr, "damaged: ", 9);
        }
        str_add_byte(&rec.meta, 0);
        dump_exact(ops[i].dump, rec.meta.ptr + PAYLOAD_AT, rec.meta.len - PAYLOAD_AT, &out);
        assert_memory_equal(out.ptr, "damaged: ", 9);
        str_fini(&out);
        part_rec_fini(&rec);
    }
}

static void test_flips(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(ops); i++) {
        struct part_rec rec;
        struct str out;
        size_t len;

        part_rec_init(&rec);
        str_init(&out, 0);
        ops[i].build(&rec);
        len = rec.meta.len - PAYLOAD_AT;
        for (size_t bit = 0; bit < len * 8; bit++) {
            rec.meta.ptr[PAYLOAD_AT + bit / 8] ^= (uint8_t)(1u << (bit % 8));
            dump_exact(ops[i].dump, rec.meta.ptr + PAYLOAD_AT, len, &out);
            assert_string_not_equal(str_cstr(&out), ops[i].text); /* no bit is without meaning */
            rec.meta.ptr[PAYLOAD_AT + bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        str_fini(&out);
        part_rec_fini(&rec);
    }
}

static void test_deliver_limits(void **state)
{
    struct store_target *targets = ms_alloc_array(STORE_TARGETS_MAX + 1, sizeof(*targets));
    static uint8_t big[STORE_PREFIX_MAX + 1];
    struct store_delivery d = {.zone = 0};
    struct part_rec rec;

    part_rec_init(&rec);
    IS(store_op_deliver(&rec, NULL, 1, &d, targets, 0), MS_EINVAL);
    IS(store_op_deliver(&rec, NULL, 1, &d, targets, STORE_TARGETS_MAX + 1), MS_EINVAL);
    targets[0].prefix = slice_make(big, sizeof(big));
    IS(store_op_deliver(&rec, NULL, 1, &d, targets, 1), MS_EINVAL);
    assert_int_equal(rec.count, 0);
    targets[0].prefix.len--;
    OK(store_op_deliver(&rec, NULL, 1, &d, targets, STORE_TARGETS_MAX));
    part_rec_fini(&rec);
    ms_free(targets);
}

static void test_results(void **state)
{
    static const uint8_t good[] = {7, 0,                   /* error */
                                   1, 0, 0, 0, 0, 0, 0, 0, /* mailbox */
                                   2, 0, 0, 0, 3, 0, 0, 0, /* uidvalidity, uid */
                                   4, 0, 0, 0,             /* count */
                                   5, 0, 0, 0, 0, 0, 0, 0, /* modseq */
                                   1,                      /* more */
                                   8, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0};
    struct store_result res;
    struct rd r = rd_make(slice_make(good, sizeof(good)));

    OK(store_result_next(&r, &res));
    assert_int_equal(res.err, 7);
    assert_int_equal(res.mailbox, 1);
    assert_int_equal(res.uidvalidity, 2);
    assert_int_equal(res.uid, 3);
    assert_int_equal(res.count, 4);
    assert_int_equal(res.modseq, 5);
    assert_true(res.more);
    assert_int_equal(store_run_at(res.runs, 0).last, 9);
    IS(store_result_next(&r, &res), MS_EDAMAGED);
    for (size_t cut = 0; cut < sizeof(good); cut++) {
        r = rd_make(slice_make(good, cut));
        IS(store_result_next(&r, &res), MS_EDAMAGED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),           cmocka_unit_test(test_cut),     cmocka_unit_test(test_flips),
        cmocka_unit_test(test_deliver_limits), cmocka_unit_test(test_results),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
