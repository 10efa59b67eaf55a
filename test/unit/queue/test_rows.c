/* test_rows.c - rows and op payloads: what is emitted reads back the same; cut or flipped bytes give an error
 * or a value that emits exactly those bytes again, never a crash. */
#include "queue_fixture.h"

#define PAYLOAD_AT 16 /* header of the record's meta and of its first op */

static const struct queue_id sample_id = {{0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 3}};

static struct queue_entry sample_entry(void)
{
    return (struct queue_entry){
        .id = sample_id,
        .blob = 4096,
        .blob_bytes = 1000,
        .arrival_us = 1700000000000000,
        .due_us = 1700000000000001,
        .attempts = 3,
        .tried_us = 1600000000000009,
        .notices = 2,
        .class_ = QUEUE_NONURGENT,
        .held = true,
        .hold_reason = SLICE_LIT("by \"hand\""),
        .channel = SLICE_LIT("tcp_local"),
        .host = SLICE_LIT("example.org"),
        .sender = SLICE_LIT("a@b"),
        .envid = SLICE_LIT("QQ314159"),
        .ret = 2,
        .body_type = 1,
        .smtputf8 = true,
        .trace = SLICE_LIT("s-17"),
        .recipient_count = 5,
        .pending = 2,
    };
}

static struct queue_recipient sample_recipient(uint32_t number)
{
    return (struct queue_recipient){
        .number = number,
        .state = QUEUE_RCPT_FAILED,
        .address = SLICE_LIT("c@d"),
        .original = SLICE_LIT("C@D"),
        .reason = SLICE_LIT("5.1.1 no such user"),
        .notify = 6,
        .orcpt = SLICE_LIT("rfc822;C@D"),
        .recorded = true,
    };
}

typedef enum ms_err again_fn(struct slice row, uint8_t *out, size_t *len);

static size_t emit_entry(uint8_t *out)
{
    struct queue_entry e = sample_entry();

    return queue__entry_emit(&e, out);
}

static enum ms_err again_entry(struct slice row, uint8_t *out, size_t *len)
{
    struct queue_entry e;

    MS_TRY(queue__entry_parse(queue__key_entry(&sample_id), row, &e));
    *len = queue__entry_emit(&e, out);
    return MS_OK;
}

static size_t emit_recipient(uint8_t *out)
{
    struct queue_recipient r = sample_recipient(9);

    return queue__recipient_emit(&r, out);
}

static enum ms_err again_recipient(struct slice row, uint8_t *out, size_t *len)
{
    uint8_t key[QUEUE__RECIPIENT_KEY];
    struct queue_recipient r;

    MS_TRY(queue__recipient_parse(queue__key_recipient(key, &sample_id, 9), row, &r));
    assert_int_equal(r.number, 9);
    *len = queue__recipient_emit(&r, out);
    return MS_OK;
}

static const struct {
    size_t (*emit)(uint8_t *);
    again_fn *again;
} rows[] = {{emit_entry, again_entry}, {emit_recipient, again_recipient}};

static enum ms_err again_exact(again_fn *fn, const uint8_t *row, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1), again[QUEUE__ENTRY_ROW_MAX + QUEUE__RECIPIENT_ROW_MAX];
    size_t out_len = 0;
    enum ms_err err;

    memcpy(copy, row, len);
    err = fn(slice_make(copy, len), again, &out_len);
    if (!err) {
        assert_int_equal(out_len, len);
        assert_memory_equal(copy, again, len);
    }
    free(copy);
    return err;
}

/* A row of version 1, as the layout in queue_rows.c says. */
static size_t row_v1(uint8_t *out)
{
    struct queue_entry e = sample_entry();
    size_t len = queue__entry_emit(&e, out);

    out[0] = 1;
    out[5] = 0;
    memmove(out + QUEUE__ENTRY_ROW_V1, out + QUEUE__ENTRY_ROW, len - QUEUE__ENTRY_ROW);
    return len - (QUEUE__ENTRY_ROW - QUEUE__ENTRY_ROW_V1);
}

/* What the first version wrote is read for ever; written again it is a row of the newest. */
static void test_old_row(void **state)
{
    uint8_t row[QUEUE__ENTRY_ROW_MAX + 1], now[QUEUE__ENTRY_ROW_MAX], want[QUEUE__ENTRY_ROW_MAX];
    size_t len = row_v1(row), now_len = 0;
    struct queue_entry e = sample_entry();
    struct str text;

    OK(again_entry(slice_make(row, len), now, &now_len));
    e.tried_us = e.notices = 0;
    assert_int_equal(now_len, queue__entry_emit(&e, want));
    assert_memory_equal(now, want, now_len);
    for (size_t cut = 0; cut < len; cut++)
        IS(again_entry(slice_make(row, cut), now, &now_len), MS_EDAMAGED);
    row[len] = 0;
    IS(again_entry(slice_make(row, len + 1), now, &now_len), MS_EDAMAGED);
    for (unsigned i = 5; i < 8; i++) {
        row[i] = 1;
        IS(again_entry(slice_make(row, len), now, &now_len), MS_EDAMAGED);
        row[i] = 0;
    }
    row[0] = 3;
    IS(again_entry(slice_make(row, len), now, &now_len), MS_EVERSION);
    row[0] = 1;
    str_init(&text, 0);
    queue__dump_row(queue__key_entry(&sample_id), slice_make(row, len), &text);
    assert_non_null(strstr(str_cstr(&text), " attempts=3 tried_us=0 notices=0 recipients=5 "));
    str_fini(&text);
}

static void stop_row_is(struct slice key, const uint8_t *row, size_t len, enum ms_err want)
{
    struct queue_stop stop;
    uint8_t *copy = malloc(len ? len : 1); /* the sanitizer sees reads past the end */

    memcpy(copy, row, len);
    IS(queue__stop_parse(key, slice_make(copy, len), &stop), want);
    free(copy);
}

static void test_stop_row(void **state)
{
    static const char *const names[] = {"a", "tcp_local",
                                        "12345678901234567890123456789012345678901234567890123456789012",
                                        "1234567890123456789012345678901234567890123456789012345678901234"};
    uint8_t key_bytes[QUEUE__STOP_KEY_MAX + 1], row[QUEUE__STOP_ROW + 1] = {0};
    const struct queue_stop stop = {.since_us = 1700000000000001};
    struct queue_stop got;

    assert_int_equal(queue__stop_emit(&stop, row).len, QUEUE__STOP_ROW);
    for (size_t i = 0; i < MS_ARRAY_LEN(names); i++) {
        struct slice key = queue__key_stop(key_bytes, slice_cstr(names[i]));

        assert_true(queue__key_is_stop(key));
        OK(queue__stop_parse(key, slice_make(row, QUEUE__STOP_ROW), &got));
        assert_string_equal(got.channel, names[i]);
        assert_int_equal(got.since_us, stop.since_us);
        for (size_t cut = 0; cut < QUEUE__STOP_ROW; cut++)
            stop_row_is(key, row, cut, MS_EDAMAGED);
        stop_row_is(key, row, QUEUE__STOP_ROW + 1, MS_EDAMAGED);
        for (size_t at = 0; at < QUEUE__STOP_KEY; at++) { /* keys that no stop has */
            key_bytes[at] = 0xfe;
            stop_row_is(key, row, QUEUE__STOP_ROW, MS_EDAMAGED);
            key_bytes[at] = 0xff;
        }
        row[0] = 2;
        stop_row_is(key, row, QUEUE__STOP_ROW, MS_EVERSION);
        row[0] = 1;
        key_bytes[key.len - 1] = 0;
        stop_row_is(key, row, QUEUE__STOP_ROW, MS_EDAMAGED);
    }
    memset(key_bytes, 0xff, sizeof(key_bytes));
    stop_row_is(slice_make(key_bytes, QUEUE__STOP_KEY), row, QUEUE__STOP_ROW, MS_EDAMAGED);
    stop_row_is(slice_make(key_bytes, sizeof(key_bytes)), row, QUEUE__STOP_ROW, MS_EDAMAGED);
    assert_false(queue__key_is_stop(slice_make(key_bytes, QUEUE__RECIPIENT_KEY)));
}

static void test_rows(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        uint8_t row[QUEUE__ENTRY_ROW_MAX + 1];
        size_t len = rows[i].emit(row);

        OK(again_exact(rows[i].again, row, len));
        for (size_t cut = 0; cut < len; cut++)
            IS(again_exact(rows[i].again, row, cut), MS_EDAMAGED);
        row[len] = 0;
        IS(again_exact(rows[i].again, row, len + 1), MS_EDAMAGED);
        for (size_t bit = 0; bit < len * 8; bit++) {
            enum ms_err err;

            row[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            err = again_exact(rows[i].again, row, len);
            assert_true(bit < 8 ? err != MS_OK : !err || err == MS_EDAMAGED);
            row[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
    }
}

typedef void build_fn(struct part_rec *rec);

static void build_enqueue(struct part_rec *rec)
{
    struct queue_entry e = sample_entry();
    struct queue_recipient r[2] = {sample_recipient(0), sample_recipient(4)};

    OK(queue_op_enqueue(rec, NULL, 4096, &e, r, 2));
}

static void build_result(struct part_rec *rec)
{
    const struct queue_outcome o[2] = {
        {.number = 0, .state = QUEUE_RCPT_DONE, .recorded = true, .if_delivered = true},
        {.number = 4, .state = QUEUE_RCPT_PENDING, .reason = SLICE_LIT("4.0.0 later")},
    };

    const struct queue_attempt a = {.due_us = 77, .tried_us = 76, .notices = 3, .count = true};

    queue_op_result(rec, &sample_id, &a, o, 2);
}

static void build_result_v1(struct part_rec *rec)
{
    struct str *op = part_rec_op_begin(rec, QUEUE_OP_RESULT, 1);

    str_add(op, sample_id.b, 16);
    str_add_le64(op, 77);
    str_add_le16(op, 1);
    str_add_le32(op, 4);
    str_add_byte(op, QUEUE_RCPT_DONE);
    str_add_byte(op, 2);
    str_add_bytes16(op, SLICE_LIT("ok"));
    part_rec_op_end(rec);
}

static void build_forget(struct part_rec *rec)
{
    queue_op_forget(rec, &sample_id);
}

static void build_hold(struct part_rec *rec)
{
    queue_op_hold(rec, &sample_id, true, SLICE_LIT("why"));
}

static void build_delete(struct part_rec *rec)
{
    queue_op_delete(rec, &sample_id);
}

static void build_stop(struct part_rec *rec)
{
    queue_op_stop(rec, SLICE_LIT("tcp_\"local\""), true, 1700000000000001);
}

static void build_start(struct part_rec *rec)
{
    queue_op_stop(rec, SLICE_LIT("x"), false, 0);
}

#define ID "id=00000000000000010002000000000003"

static const struct {
    enum queue_op_kind kind;
    build_fn *build;
    part_dump_fn *dump;
    const char *text;
} ops[] = {
    {QUEUE_OP_ENQUEUE, build_enqueue, queue__dump_enqueue,
     "enqueue " ID
     " blob=0000000000001000 arrival_us=1700000000000000 due_us=1700000000000001 class=2 held=1 smtputf8=1 "
     "ret=2 body=1 hold_reason=\"by \\x22hand\\x22\" channel=\"tcp_local\" host=\"example.org\" "
     "sender=\"a@b\" "
     "envid=\"QQ314159\" trace=\"s-17\" to=0 notify=6 address=\"c@d\" original=\"C@D\" orcpt=\"rfc822;C@D\" "
     "to=4 notify=6 "
     "address=\"c@d\" original=\"C@D\" orcpt=\"rfc822;C@D\""},
    {QUEUE_OP_RESULT, build_result, queue__dump_result,
     "queue_result " ID " due_us=77 tried_us=76 notices=3 count=1 to=0 state=done recorded=1 if_delivered=1 "
     "reason=\"\" to=4 state=pending recorded=0 "
     "if_delivered=0 reason=\"4.0.0 later\""},
    {QUEUE_OP_RESULT, build_result_v1, queue__dump_result_v1,
     "queue_result " ID " due_us=77 to=4 state=done recorded=0 if_delivered=1 reason=\"ok\""},
    {QUEUE_OP_FORGET, build_forget, queue__dump_forget, "queue_forget " ID},
    {QUEUE_OP_HOLD, build_hold, queue__dump_hold, "queue_hold " ID " hold=1 reason=\"why\""},
    {QUEUE_OP_DELETE, build_delete, queue__dump_delete, "queue_delete " ID},
    {QUEUE_OP_STOP, build_stop, queue__dump_stop,
     "queue_stop channel=\"tcp_\\x22local\\x22\" since_us=1700000000000001 stop=1"},
    {QUEUE_OP_STOP, build_start, queue__dump_stop, "queue_stop channel=\"x\" since_us=0 stop=0"},
};

static void dump_exact(part_dump_fn *fn, const uint8_t *p, size_t len, struct str *out)
{
    uint8_t *copy = malloc(len ? len : 1); /* the sanitizer sees reads past the end */

    memcpy(copy, p, len);
    str_reset(out);
    fn(slice_make(copy, len), out);
    free(copy);
}

static void one_op(size_t i, struct part_rec *rec, struct str *out)
{
    size_t len;

    ops[i].build(rec);
    len = rec->meta.len - PAYLOAD_AT;
    assert_int_equal(ms_get_le16(rec->meta.ptr + 8), ops[i].kind);
    dump_exact(ops[i].dump, rec->meta.ptr + PAYLOAD_AT, len, out);
    assert_string_equal(str_cstr(out), ops[i].text);
    for (size_t cut = 0; cut < len; cut++) {
        dump_exact(ops[i].dump, rec->meta.ptr + PAYLOAD_AT, cut, out);
        assert_memory_equal(out->ptr, "damaged: ", 9);
    }
    for (size_t bit = 0; bit < len * 8; bit++) {
        rec->meta.ptr[PAYLOAD_AT + bit / 8] ^= (uint8_t)(1u << (bit % 8));
        dump_exact(ops[i].dump, rec->meta.ptr + PAYLOAD_AT, len, out);
        assert_string_not_equal(str_cstr(out), ops[i].text);
        rec->meta.ptr[PAYLOAD_AT + bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    str_add_byte(&rec->meta, 0);
    dump_exact(ops[i].dump, rec->meta.ptr + PAYLOAD_AT, len + 1, out);
    assert_memory_equal(out->ptr, "damaged: ", 9);
}

static void test_ops(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(ops); i++) {
        struct part_rec rec;
        struct str out;

        part_rec_init(&rec);
        str_init(&out, 0);
        one_op(i, &rec, &out);
        str_fini(&out);
        part_rec_fini(&rec);
    }
}

/* What no builder makes. */
static void test_stop_op_bad(void **state)
{
    static const struct {
        const char *what;
        uint8_t bytes[16];
        size_t len;
    } bad[] = {
        {"neither stop nor start", {2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 'x'}, 12},
        {"no name", {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 11},
        {"a zero in the name", {1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 'x', 0}, 13},
        {"something behind", {1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 'x', 'y'}, 13},
        {"nothing", {0}, 0},
    };
    uint8_t big[11 + QUEUE_NAME_MAX + 1] = {1};
    struct queue__op_stop o;

    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++)
        if (queue__op_stop_parse(slice_make(bad[i].bytes, bad[i].len), &o) != MS_EINVAL)
            fail_msg("%s", bad[i].what);
    memset(big + 11, 'x', sizeof(big) - 11);
    ms_put_le16(big + 9, QUEUE_NAME_MAX + 1);
    IS(queue__op_stop_parse(slice_make(big, sizeof(big)), &o), MS_EINVAL);
    ms_put_le16(big + 9, QUEUE_NAME_MAX);
    OK(queue__op_stop_parse(slice_make(big, sizeof(big) - 1), &o));
    assert_int_equal(strlen(o.row.channel), QUEUE_NAME_MAX);
}

static void test_refused_by_builder(void **state)
{
    static uint8_t big[QUEUE_ADDRESS_MAX + 1];
    struct queue_recipient r[2] = {sample_recipient(1), sample_recipient(1)};
    struct queue_entry e = sample_entry();
    struct part_rec rec;

    part_rec_init(&rec);
    IS(queue_op_enqueue(&rec, NULL, 1, &e, r, 0), MS_EINVAL);
    IS(queue_op_enqueue(&rec, NULL, 1, &e, r, 2), MS_EINVAL); /* numbers ascend */
    r[1].number = UINT32_MAX;
    IS(queue_op_enqueue(&rec, NULL, 1, &e, r, 2), MS_EINVAL);
    r[1].number = 2;
    r[1].address = slice_make(big, sizeof(big));
    IS(queue_op_enqueue(&rec, NULL, 1, &e, r, 2), MS_EINVAL);
    r[1].address.len--;
    e.channel = (struct slice){0};
    IS(queue_op_enqueue(&rec, NULL, 1, &e, r, 2), MS_EINVAL);
    e = sample_entry();
    e.class_ = QUEUE_CLASS_COUNT;
    IS(queue_op_enqueue(&rec, NULL, 1, &e, r, 2), MS_EINVAL);
    e = sample_entry();
    e.sender = slice_make(big, sizeof(big));
    IS(queue_op_enqueue(&rec, NULL, 1, &e, r, 2), MS_EINVAL);
    assert_int_equal(rec.count, 0);
    e = sample_entry();
    OK(queue_op_enqueue(&rec, NULL, 1, &e, r, 2));
    part_rec_fini(&rec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),     cmocka_unit_test(test_old_row),
        cmocka_unit_test(test_stop_row), cmocka_unit_test(test_stop_op_bad),
        cmocka_unit_test(test_ops),      cmocka_unit_test(test_refused_by_builder)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
