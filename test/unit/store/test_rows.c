/* test_rows.c - every row: what is emitted reads back the same; cut or flipped bytes give an error or a value
 * that emits exactly those bytes again, never a crash. */
#include "store_fixture.h"

static const uint8_t runs_bytes[] = {1, 0, 0, 0, 3, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0};
static const uint8_t keyword_bytes[] = {2, 'a', 'b', 5, '$', 'J', 'u', 'n', 'k'};
static uint8_t message_key[12] = {0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 42};

typedef size_t emit_fn(uint8_t *out);
typedef enum ms_err again_fn(struct slice row, uint8_t *out, size_t *len); /* parse, then emit */

static size_t emit_account(uint8_t *out)
{
    return store__account_emit(&(struct store_account){.id = 7,
                                                       .names = 3,
                                                       .bytes = 1ull << 40,
                                                       .messages = 5,
                                                       .bytes_max = 6,
                                                       .messages_max = 8,
                                                       .owner = SLICE_LIT("alice")},
                               out);
}

static enum ms_err again_account(struct slice row, uint8_t *out, size_t *len)
{
    struct store_account a;

    MS_TRY(store__account_parse(7, row, &a));
    *len = store__account_emit(&a, out);
    return MS_OK;
}

static size_t emit_list(uint8_t *out)
{
    return store__list_emit(
        &(struct store__list_row){
            .mailbox = 99, .uidvalidity = 1700000000, .attrs = STORE_ATTR_SENT, .subscribed = true},
        out);
}

static enum ms_err again_list(struct slice row, uint8_t *out, size_t *len)
{
    struct store__list_row l;

    MS_TRY(store__list_parse(row, &l));
    *len = store__list_emit(&l, out);
    return MS_OK;
}

static size_t emit_mailbox(uint8_t *out)
{
    return store__mailbox_emit(
        &(struct store_mailbox){.id = 99,
                                .account = 7,
                                .uidvalidity = 1700000000,
                                .uidnext = 12,
                                .highestmodseq = 1ull << 33,
                                .exists = 11,
                                .unseen = 4,
                                .deleted = 2,
                                .bytes = 123456789012,
                                .change_floor = 77,
                                .gone = true,
                                .traced = true,
                                .gone_us = 17,
                                .created_s = 18,
                                .name = SLICE_LIT("Work/2026"),
                                .keywords = slice_make(keyword_bytes, sizeof(keyword_bytes)),
                                .keyword_count = 2},
        out);
}

static enum ms_err again_mailbox(struct slice row, uint8_t *out, size_t *len)
{
    struct store_mailbox m;

    MS_TRY(store__mailbox_parse(99, row, &m));
    *len = store__mailbox_emit(&m, out);
    return MS_OK;
}

static const struct store_message sample = {
    .flags = STORE_SEEN | STORE_DRAFT,
    .blob = 4096,
    .size = 2000,
    .modseq = 31,
    .modseq_created = 30,
    .internaldate_us = 1700000000000000,
    .internaldate_zone = -210,
    .savedate_us = 1700000000000001,
    .email_id = 4096,
    .thread_id = 12,
    .keywords = {{3, 1ull << 63}},
    .prefix = {(const uint8_t *)"Return-Path: <a@b>\r\n", 20},
};

static size_t emit_message(uint8_t *out)
{
    return store__message_emit(&sample, out);
}

static enum ms_err again_message(struct slice row, uint8_t *out, size_t *len)
{
    struct store_message m;

    MS_TRY(store_message_parse(slice_make(message_key, 12), row, &m));
    *len = store__message_emit(&m, out);
    return MS_OK;
}

static size_t emit_delivered(uint8_t *out)
{
    return store__delivered_emit(&(struct store__delivered){.mailbox = 99, .uid = 3}, out);
}

static enum ms_err again_delivered(struct slice row, uint8_t *out, size_t *len)
{
    struct store__delivered d;

    MS_TRY(store__delivered_parse(row, &d));
    *len = store__delivered_emit(&d, out);
    return MS_OK;
}

static size_t emit_change(uint8_t *out)
{
    return store__change_emit(&(struct store__change_row){.what = STORE_CHANGE_VANISHED,
                                                          .time_s = 1700000000,
                                                          .runs = slice_make(runs_bytes, sizeof(runs_bytes))},
                              out);
}

static enum ms_err again_change(struct slice row, uint8_t *out, size_t *len)
{
    struct store__change_row c;

    MS_TRY(store__change_parse(row, &c));
    *len = store__change_emit(&c, out);
    return MS_OK;
}

static size_t emit_copy(uint8_t *out)
{
    return store__copy_emit(&(struct store__copy_row){.from_mailbox = 99,
                                                      .to_mailbox = 100,
                                                      .to_account = 7,
                                                      .move = true,
                                                      .left = slice_make(runs_bytes, sizeof(runs_bytes))},
                            out);
}

static enum ms_err again_copy(struct slice row, uint8_t *out, size_t *len)
{
    struct store__copy_row c;

    MS_TRY(store__copy_parse(row, &c));
    *len = store__copy_emit(&c, out);
    return MS_OK;
}

static const struct {
    const char *name;
    emit_fn *emit;
    again_fn *again;
    size_t fixed;  /* what the contract says */
    bool any_tail; /* runs: a shorter row may be a good one */
} rows[] = {
    {"account", emit_account, again_account, STORE__ACCOUNT_ROW + 5, false},
    {"mboxlist", emit_list, again_list, STORE__LIST_ROW, false},
    {"mailbox", emit_mailbox, again_mailbox, STORE__MAILBOX_ROW + 9 + 9, false},
    {"message", emit_message, again_message, 88 + 20, false},
    {"delivered", emit_delivered, again_delivered, STORE__DELIVERED_ROW, false},
    {"change", emit_change, again_change, STORE__CHANGE_ROW + 16, true},
    {"copy", emit_copy, again_copy, STORE__COPY_ROW + 16, true},
};

static void test_round_trip(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        uint8_t row[512], again[512];
        size_t len = rows[i].emit(row), len2 = 0;

        assert_int_equal(len, rows[i].fixed);
        OK(rows[i].again(slice_make(row, len), again, &len2));
        assert_int_equal(len, len2);
        assert_memory_equal(row, again, len);
    }
}

/* Copied to the end of a heap block, so that reading past it is seen by the sanitizer. */
static enum ms_err again_exact(again_fn *fn, const uint8_t *row, size_t len, uint8_t *out, size_t *out_len)
{
    uint8_t *copy = malloc(len ? len : 1);
    enum ms_err err;

    memcpy(copy, row, len);
    err = fn(slice_make(copy, len), out, out_len);
    if (!err) {
        assert_int_equal(*out_len, len);
        assert_memory_equal(copy, out, len);
    }
    free(copy);
    return err;
}

static void test_cut(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        uint8_t row[512], again[512];
        size_t len = rows[i].emit(row), out_len;

        for (size_t cut = 0; cut < len; cut++) {
            enum ms_err err = again_exact(rows[i].again, row, cut, again, &out_len);

            assert_true(err == MS_EDAMAGED || (rows[i].any_tail && !err && (len - cut) % 8 == 0));
        }
        row[len] = 0;
        IS(again_exact(rows[i].again, row, len + 1, again, &out_len), MS_EDAMAGED);
    }
}

static void test_flips(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        uint8_t row[512], again[512];
        size_t len = rows[i].emit(row), out_len;

        for (size_t bit = 0; bit < len * 8; bit++) {
            enum ms_err err;

            row[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            err = again_exact(rows[i].again, row, len, again, &out_len);
            assert_true(!err || err == MS_EDAMAGED || (bit < 8 && err == MS_EVERSION));
            assert_true(bit >= 8 || err == MS_EVERSION);
            row[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
    }
}

static void test_noise(void **state)
{
    uint32_t x = 12345;

    for (unsigned n = 0; n < 20000; n++) {
        uint8_t row[160], again[512];
        size_t len = n % sizeof(row), out_len;

        for (size_t i = 0; i < len; i++) {
            x = x * 1664525 + 1013904223;
            row[i] = (x >> 28) ? 0 : (uint8_t)(x >> 16); /* mostly zeros get further */
        }
        if (len)
            row[0] = 1;
        for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
            (void)again_exact(rows[i].again, row, len, again, &out_len);
    }
}

static void test_message_fields(void **state)
{
    uint8_t row[256], key[12];
    struct store_message m;
    size_t len = emit_message(row);

    OK(store_message_parse(store__key_message(key, 7, 42), slice_make(row, len), &m));
    assert_int_equal(m.mailbox, 7);
    assert_int_equal(m.uid, 42);
    assert_int_equal(m.internaldate_zone, -210);
    assert_int_equal(m.keywords.bits[1], 1ull << 63);
    assert_true(slice_eq(m.prefix, sample.prefix));
    IS(store_message_parse(store__key_message(key, 7, 0), slice_make(row, len), &m), MS_EDAMAGED);
    IS(store_message_parse(slice_make(key, 11), slice_make(row, len), &m), MS_EDAMAGED);
}

static void test_runs(void **state)
{
    static const struct {
        uint32_t v[6];
        size_t n;
        bool good;
    } sets[] = {
        {{1, 1}, 2, true},        {{1, 5, 6, 6}, 4, true},  {{5, 4294967295u}, 2, true},
        {{0, 1}, 2, false},       {{5, 4}, 2, false},       {{1, 5, 5, 6}, 4, false},
        {{4, 5, 1, 2}, 4, false}, {{1, 1, 1, 1}, 4, false}, {{1}, 1, false},
        {{1, 2, 3}, 3, false},    {{0}, 0, true},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(sets); i++)
        assert_int_equal(store__runs_are_good(slice_make(sets[i].v, 4 * sets[i].n)), sets[i].good);
}

static void test_runs_of(void **state)
{
    static const uint32_t uids[] = {1, 2, 3, 7, 9, 10};
    uint8_t out[48];
    struct slice runs = slice_make(out, store__runs_of(uids, 6, out));

    assert_int_equal(runs.len, 24);
    assert_int_equal(store_run_at(runs, 0).first, 1);
    assert_int_equal(store_run_at(runs, 0).last, 3);
    assert_int_equal(store_run_at(runs, 1).first, 7);
    assert_int_equal(store_run_at(runs, 1).last, 7);
    assert_int_equal(store_run_at(runs, 2).last, 10);
    assert_int_equal(store__runs_of(uids, 0, out), 0);
}

static void test_keys(void **state)
{
    uint8_t buf[DB_KEY_MAX], other[DB_KEY_MAX];
    static const uint8_t sixteen[16] = "0123456789abcdef";

    /* Keys sort as numbers do. */
    assert_true(slice_cmp(store__key_message(buf, 1, 255), store__key_message(other, 1, 256)) < 0);
    assert_true(slice_cmp(store__key_message(buf, 1, UINT32_MAX), store__key_message(other, 2, 1)) < 0);
    assert_true(slice_cmp(store__key_change(buf, 1, 255), store__key_change(other, 1, 1ull << 40)) < 0);
    assert_int_equal(store__key_delivered(buf, sixteen, sixteen, 1).len, 36);
    assert_true(slice_eq_cstr(store__key_copy(buf, 0x1f), "copy 000000000000001f"));
    assert_int_equal(store__key_list(buf, 1, SLICE_LIT("INBOX")).len, 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_cut),  cmocka_unit_test(test_flips),
        cmocka_unit_test(test_noise),          cmocka_unit_test(test_runs), cmocka_unit_test(test_runs_of),
        cmocka_unit_test(test_message_fields), cmocka_unit_test(test_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
