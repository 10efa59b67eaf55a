/* test_append.c - append: several messages in one op, all or none; wanted UIDs, save dates and
 * UIDVALIDITY; version 1. */
#include "store_fixture.h"

static struct fixture fx;
static uint64_t box, other;

static int setup(void **state)
{
    fixture_start(&fx);
    box = make_account(&fx, 1);
    other = make_mailbox(&fx, 1, "Other");
    return 0;
}

static int teardown(void **state)
{
    assert_int_equal(check_all(&fx), 0);
    fixture_stop(&fx);
    return 0;
}

static struct store_result append_all(struct store_incoming *m, size_t n, uint64_t bytes_max,
                                      uint64_t messages_max)
{
    const struct store_place to = {
        .account = 1, .mailbox = box, .bytes_max = bytes_max, .messages_max = messages_max};
    struct part_body *body[STORE_APPEND_MAX] = {NULL};
    struct store_result res;

    for (size_t i = 0; i < n; i++)
        m[i].body = body[i] = m[i].blob ? NULL : body_of(&fx, 10 + i, (uint8_t)('a' + i % 26));
    store_op_append_all(&fx.rec, &to, m, n);
    for (size_t i = 0; i < n; i++)
        part_body_destroy(&body[i]);
    res = apply_one(&fx);
    return res;
}

static void text_is(uint32_t uid, size_t bytes, char fill)
{
    struct store_message m;
    struct part_blob blob;
    struct str text, cache;

    OK(message_now(&fx, box, uid, &m));
    assert_int_equal(m.size, bytes);
    str_init(&text, 0);
    str_init(&cache, 0);
    OK(part_blob_find(look(&fx), m.blob, &blob));
    OK(part_blob_read_sync(fx.p, &blob, &text));
    OK(part_cache_read_sync(fx.p, &blob, &cache));
    done(&fx);
    assert_int_equal(text.len, bytes);
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(text.ptr[i], (uint8_t)fill);
    assert_true(cache.len > 0);
    str_fini(&text);
    str_fini(&cache);
}

static void test_several(void **state)
{
    struct slice red = SLICE_LIT("red");
    struct store_incoming m[3] = {
        {.flags = STORE_SEEN, .internaldate_us = 7, .zone = 60},
        {.keywords = &red, .keyword_count = 1, .savedate_us = 77},
        {.flags = STORE_DELETED | STORE_SEEN},
    };
    uint64_t base = mailbox_now(&fx, box).highestmodseq;
    struct store_result res = append_all(m, 3, 0, 0);
    struct store_message got;

    OK(res.err);
    assert_int_equal(res.uid, 1);
    assert_int_equal(res.count, 3);
    assert_int_equal(res.mailbox, box);
    assert_int_equal(res.runs.len, 8);
    assert_int_equal(store_run_at(res.runs, 0).last, 3);
    assert_int_equal(res.modseq, base + 1); /* one for all */
    for (uint32_t uid = 1; uid <= 3; uid++) {
        OK(message_now(&fx, box, uid, &got));
        assert_int_equal(got.modseq, base + 1);
        assert_int_equal(got.email_id, got.blob);
        text_is(uid, 9 + uid, (char)('a' + uid - 1));
    }
    OK(message_now(&fx, box, 1, &got));
    assert_int_equal(got.internaldate_zone, 60);
    OK(message_now(&fx, box, 2, &got));
    assert_int_equal(got.keywords.bits[0], 1);
    assert_int_equal(got.savedate_us, 77);
    OK(message_now(&fx, box, 3, &got));
    assert_true(got.savedate_us > 77);
    assert_int_equal(mailbox_now(&fx, box).unseen, 1);
    assert_int_equal(mailbox_now(&fx, box).deleted, 1);
    assert_int_equal(account_now(&fx, 1).bytes, 10 + 11 + 12);
}

/* What is refused leaves nothing behind, not even the blobs. */
static void nothing(struct store_result res, enum ms_err err)
{
    IS(res.err, err);
    assert_int_equal(res.runs.len, 0);
    assert_int_equal(mailbox_now(&fx, box).exists, 0);
    assert_int_equal(mailbox_now(&fx, box).highestmodseq, 1);
    assert_int_equal(db_count(look(&fx)->txn, PART_DB_BLOB), 0);
    done(&fx);
}

static void test_none(void **state)
{
    struct slice kw[STORE_KEYWORDS_MAX];
    char names[STORE_KEYWORDS_MAX][8];
    struct slice one_more = SLICE_LIT("more");
    struct store_incoming m[2] = {{.flags = 0}, {.flags = 0}};

    nothing(append_all(m, 2, 20, 0), MS_EQUOTA); /* 10 + 11: the sum counts */
    nothing(append_all(m, 2, 0, 1), MS_EQUOTA);
    m[0].uid = 5;
    m[1].uid = 5;
    nothing(append_all(m, 2, 0, 0), MS_EINVAL);
    m[0].uid = UINT32_MAX - 1;
    m[1].uid = 0;
    nothing(append_all(m, 2, 0, 0), MS_ELIMIT);
    m[0].uid = 0;
    m[1].blob = 4096;
    nothing(append_all(m, 2, 0, 0), MS_EGONE);
    m[1].blob = 0;
    for (unsigned i = 0; i < STORE_KEYWORDS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "k%u", i);
        kw[i] = slice_cstr(names[i]);
    }
    m[0].keywords = kw;
    m[0].keyword_count = STORE_KEYWORDS_MAX;
    m[1].keywords = &one_more;
    m[1].keyword_count = 1;
    nothing(append_all(m, 2, 0, 0), MS_ELIMIT);
    m[1].keyword_count = 0;
    OK(append_all(m, 2, 21, 2).err);
}

static void test_wanted_uids(void **state)
{
    struct store_incoming m[3] = {{.uid = 3}, {.uid = 0}, {.uid = 100}};
    struct store_result res = append_all(m, 3, 0, 0);
    struct store_message got;

    OK(res.err);
    assert_int_equal(res.uid, 3);
    assert_int_equal(res.runs.len, 16);
    assert_int_equal(store_run_at(res.runs, 0).first, 3);
    assert_int_equal(store_run_at(res.runs, 0).last, 4);
    assert_int_equal(store_run_at(res.runs, 1).first, 100);
    assert_int_equal(mailbox_now(&fx, box).uidnext, 101);
    IS(message_now(&fx, box, 5, &got), MS_ENOTFOUND);
    m[0].uid = 100;
    IS(append_all(m, 1, 0, 0).err, MS_EINVAL);
    m[0].uid = 101;
    OK(append_all(m, 1, 0, 0).err);
}

static void test_many(void **state)
{
    struct store_incoming *m = ms_alloc_array(STORE_APPEND_MAX, sizeof(*m));
    struct store_result res = append_all(m, STORE_APPEND_MAX, 0, 0);

    OK(res.err);
    assert_int_equal(res.count, STORE_APPEND_MAX);
    assert_int_equal(db_count(look(&fx)->txn, PART_DB_BLOB), STORE_APPEND_MAX);
    done(&fx);
    for (uint32_t uid = 1; uid <= STORE_APPEND_MAX; uid++)
        text_is(uid, 9 + uid, (char)('a' + (uid - 1) % 26));
    ms_free(m);
}

/* The cache of one lies behind its own bytes, before those of the next. */
static void test_long_cache(void **state)
{
    const struct store_place to = {.account = 1, .mailbox = box};
    static uint8_t cache[3000];
    struct store_incoming m[2] = {{.flags = 0}, {.flags = 0}};
    struct part_body *b[2];

    for (unsigned i = 0; i < 2; i++) {
        m[i].body = b[i] = part_body_create(fx.c, 1000, NULL, NULL);
        OK(part_body_add(b[i], i ? SLICE_LIT("yyyyy") : SLICE_LIT("xxx")));
        OK(part_body_finish(b[i], slice_make(cache, sizeof(cache)), false));
        assert_int_equal(part_body_record_bytes(b[i]), sizeof(cache) + (i ? 5 : 3));
    }
    store_op_append_all(&fx.rec, &to, m, 2);
    assert_int_equal(fx.rec.body_bytes, 2 * sizeof(cache) + 8);
    part_body_destroy(&b[0]);
    part_body_destroy(&b[1]);
    OK(apply_one(&fx).err);
    text_is(1, 3, 'x');
    text_is(2, 5, 'y');
    fixture_reopen(&fx, PART_REBUILD);
    text_is(2, 5, 'y');
}

/* One body named twice is one blob. */
static void test_shared(void **state)
{
    const struct store_place to = {.account = 1, .mailbox = box};
    struct part_body *b = body_of(&fx, 50, 's');
    struct store_incoming m[2] = {{.body = b}, {.body = b}};
    struct store_message first, second;

    store_op_append_all(&fx.rec, &to, m, 2);
    part_body_destroy(&b);
    OK(apply_one(&fx).err);
    OK(message_now(&fx, box, 1, &first));
    OK(message_now(&fx, box, 2, &second));
    assert_int_equal(first.blob, second.blob);
}

static void test_uidvalidity(void **state)
{
    struct store_result res;
    uint32_t wanted = mailbox_now(&fx, other).uidvalidity + 5000;

    store_op_mailbox_create_as(&fx.rec, 1, SLICE_LIT("In"), 0, wanted);
    res = apply_one(&fx);
    OK(res.err);
    assert_int_equal(res.uidvalidity, wanted);
    assert_int_equal(mailbox_now(&fx, res.mailbox).uidvalidity, wanted);
    store_op_mailbox_create_as(&fx.rec, 1, SLICE_LIT("Old"), 0, 17);
    res = apply_one(&fx);
    assert_int_equal(res.uidvalidity, 17);
    /* What comes later is greater than all of them. */
    store_op_mailbox_create(&fx.rec, 1, SLICE_LIT("Later"), 0);
    res = apply_one(&fx);
    assert_int_equal(res.uidvalidity, wanted + 1);
    store_op_mailbox_create_as(&fx.rec, 1, SLICE_LIT("In"), 0, wanted);
    IS(apply_one(&fx).err, MS_EEXIST);
    store_op_mailbox_create_as(&fx.rec, 1, SLICE_LIT("Far"), 0, STORE_UIDVALIDITY_MAX + 1);
    IS(apply_one(&fx).err, MS_EINVAL);
}

static struct store_list_entry listed_now(struct slice after)
{
    struct store_list_entry e;

    OK(store_list_next(look(&fx), 1, after, &e));
    done(&fx);
    e.name = (struct slice){0};
    return e;
}

/* A mailbox without a past makes room for one that keeps the UIDs of another server; one with a past does
 * not, also when its messages are gone again. */
static void test_unused(void **state)
{
    const struct store_run all = {1, 1};
    struct store_result res, made;
    struct store_incoming m = {.body = body_of(&fx, 40, 'u')};
    struct store_place to = {.account = 1, .name = SLICE_LIT("Unused")};

    store_op_mailbox_create(&fx.rec, 1, SLICE_LIT("Unused"), STORE_ATTR_SENT);
    made = apply_one(&fx);
    store_op_mailbox_attr(&fx.rec, 1, SLICE_LIT("Unused"), false, 0, true, true);
    OK(apply_one(&fx).err);
    store_op_mailbox_create(&fx.rec, 1, SLICE_LIT("Unused"), 0);
    IS(apply_one(&fx).err, MS_EEXIST);
    store_op_mailbox_create_as(&fx.rec, 1, SLICE_LIT("Unused"), 0, made.uidvalidity);
    IS(apply_one(&fx).err, MS_EEXIST);
    store_op_mailbox_create_as(&fx.rec, 1, SLICE_LIT("Unused"), 0, 18);
    res = apply_one(&fx);
    OK(res.err);
    assert_int_equal(res.uidvalidity, 18);
    assert_true(res.mailbox != made.mailbox && mailbox_now(&fx, made.mailbox).gone);
    assert_int_equal(listed_now(SLICE_LIT("Unuse")).mailbox, res.mailbox);
    assert_int_equal(listed_now(SLICE_LIT("Unuse")).attrs, STORE_ATTR_SENT);
    assert_true(listed_now(SLICE_LIT("Unuse")).subscribed);
    to.mailbox = res.mailbox;
    store_op_append_all(&fx.rec, &to, &m, 1);
    part_body_destroy(&m.body);
    OK(apply_one(&fx).err);
    store_op_mailbox_create_as(&fx.rec, 1, SLICE_LIT("Unused"), 0, 19);
    IS(apply_one(&fx).err, MS_EEXIST);
    store_op_expunge(&fx.rec, res.mailbox, true, &all, 1);
    OK(apply_one(&fx).err);
    store_op_mailbox_create_as(&fx.rec, 1, SLICE_LIT("Unused"), 0, 19);
    IS(apply_one(&fx).err, MS_EEXIST);
}

/* What an earlier program wrote. */
static void test_version_1(void **state)
{
    struct part_body *b = body_of(&fx, 40, 'v');
    struct slice kw = SLICE_LIT("old");
    struct store_result res;
    struct store_message got;
    struct str *op = part_rec_op_begin(&fx.rec, STORE_OP_MAILBOX_CREATE, 1);

    str_add_le64(op, 1);
    str_add_le16(op, STORE_ATTR_JUNK);
    str_add_bytes16(op, SLICE_LIT("One"));
    part_rec_op_end(&fx.rec);
    OK(apply_one(&fx).err);
    op = part_rec_op_begin(&fx.rec, STORE_OP_APPEND, 1);
    part_body_emit(b, &fx.rec, op);
    part_body_destroy(&b);
    str_add_le64(op, 1);
    str_add_le64(op, box);
    str_add_le64(op, 5); /* date */
    str_add_le16(op, (uint16_t)-120);
    str_add_le64(op, 40); /* just enough */
    str_add_le64(op, 1);
    str_add_le16(op, STORE_FLAGGED);
    str_add_le16(op, 1);
    str_add_bytes16(op, kw);
    str_add_bytes16(op, SLICE_LIT(""));
    str_add_bytes16(op, SLICE_LIT(""));
    part_rec_op_end(&fx.rec);
    res = apply_one(&fx);
    OK(res.err);
    assert_int_equal(res.uid, 1);
    OK(message_now(&fx, box, 1, &got));
    assert_int_equal(got.flags, STORE_FLAGGED);
    assert_int_equal(got.internaldate_zone, -120);
    assert_int_equal(got.keywords.bits[0], 1);
    text_is(1, 40, 'v');
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_several),    T(test_none),   T(test_wanted_uids), T(test_many),
        T(test_long_cache), T(test_shared), T(test_uidvalidity), T(test_unused), T(test_version_1),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
