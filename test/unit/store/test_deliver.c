/* test_deliver.c - messages arrive: many targets, refusals beside deliveries, repeats, appends with keywords.
 */
#include "store_fixture.h"

#define TARGETS 50

static struct fixture fx;

/* Stands for the queue's result op: what was settled for recipients 0 to 3 becomes its result. */
#define OP_ASK 10

static enum ms_err ask_apply(struct part_tx *tx, struct slice op)
{
    for (uint32_t i = 0; i < 4; i++) {
        enum ms_err err = MS_ERR_COUNT;
        uint8_t b[2];

        (void)part_tx_settled(tx, i, &err);
        ms_put_le16(b, (uint16_t)err);
        part_tx_result(tx, b, 2);
    }
    return MS_OK;
}

static void ask_dump(struct slice op, struct str *out)
{
    str_add_cstr(out, "ask");
}

static const struct part_op ask_ops[] = {
    {.kind = OP_ASK, .version = 1, .name = "ask", .apply = ask_apply, .dump = ask_dump}};
static uint64_t inbox[TARGETS];
static const uint8_t queue_partition[16] = "queue-partition", entry[16] = "entry-number-one";

static int setup(void **state)
{
    fixture_start(&fx);
    for (unsigned i = 0; i < TARGETS; i++)
        inbox[i] = make_account(&fx, i + 1);
    return 0;
}

static int teardown(void **state)
{
    assert_int_equal(check_all(&fx), 0);
    fixture_stop(&fx);
    return 0;
}

static void targets_fill(struct store_target *t, unsigned n)
{
    memset(t, 0, n * sizeof(*t));
    for (unsigned i = 0; i < n; i++)
        t[i] = (struct store_target){.account = i + 1,
                                     .mailbox = inbox[i],
                                     .owner = SLICE_LIT("x"),
                                     .name = SLICE_LIT("INBOX"),
                                     .prefix = SLICE_LIT("Return-Path: <a@b>\r\n"),
                                     .recipient = i};
}

static void deliver(const struct store_target *t, unsigned n, size_t bytes, bool queued)
{
    struct store_delivery d = {.internaldate_us = 77, .zone = 60};
    struct part_body *b = body_of(&fx, bytes, 'm');

    if (queued) {
        d.queue_partition = queue_partition;
        d.queue_entry = entry;
    }
    OK(store_op_deliver(&fx.rec, b, 0, &d, t, n));
    part_body_destroy(&b);
    apply(&fx);
}

static unsigned blob_count(void)
{
    unsigned n = (unsigned)db_count(look(&fx)->txn, PART_DB_BLOB);

    done(&fx);
    return n;
}

static void test_fifty(void **state)
{
    struct store_target t[TARGETS];
    uint64_t blob = 0;

    targets_fill(t, TARGETS);
    t[3].flags = STORE_FLAGGED;
    deliver(t, TARGETS, 1000, false);
    for (unsigned i = 0; i < TARGETS; i++) {
        struct store_result res = next(&fx);
        struct store_message m;

        OK(res.err);
        assert_int_equal(res.uid, 1);
        assert_int_equal(res.mailbox, inbox[i]);
        OK(store_message_find(look(&fx), inbox[i], 1, &m));
        assert_true(i == 0 || m.blob == blob);
        blob = m.blob;
        assert_int_equal(m.email_id, blob);
        assert_int_equal(m.size, 1020);
        assert_int_equal(m.flags, i == 3 ? STORE_FLAGGED : 0);
        assert_int_equal(m.internaldate_us, 77);
        assert_int_equal(m.internaldate_zone, 60);
        assert_true(slice_eq(m.prefix, t[i].prefix));
        assert_int_equal(m.modseq, res.modseq);
        done(&fx);
        assert_int_equal(mailbox_now(&fx, inbox[i]).unseen, 1);
        assert_int_equal(mailbox_now(&fx, inbox[i]).highestmodseq, res.modseq);
        assert_int_equal(account_now(&fx, i + 1).bytes, 1020);
    }
    assert_int_equal(rd_left(&fx.results), 0);
    assert_int_equal(blob_count(), 1);
    assert_int_equal(db_count(look(&fx)->txn, PART_DB_DELIVERED), 0);
    done(&fx);
}

/* Some are refused, the others get it; who is refused has nothing written. */
static void test_mixed(void **state)
{
    struct store_target t[6];
    static const enum ms_err want[6] = {MS_EQUOTA, MS_OK, MS_ENOTFOUND, MS_EQUOTA, MS_ENOTFOUND, MS_OK};

    targets_fill(t, 6);
    t[0].bytes_max = 1019;
    t[1].bytes_max = 1020;
    t[2].mailbox = inbox[2] + 1000000;
    t[3].messages_max = 1;
    t[4].account = 1; /* not its mailbox */
    OK(append(&fx, 4, inbox[3], 5, 0).err);
    deliver(t, 6, 1000, true);
    for (unsigned i = 0; i < 6; i++)
        IS(next(&fx).err, want[i]);
    assert_int_equal(mailbox_now(&fx, inbox[0]).exists, 0);
    assert_int_equal(mailbox_now(&fx, inbox[1]).exists, 1);
    assert_int_equal(mailbox_now(&fx, inbox[3]).exists, 1);
    assert_int_equal(db_count(look(&fx)->txn, PART_DB_DELIVERED), 2);
    done(&fx);
    assert_int_equal(blob_count(), 2);
}

/* The op behind it in the same record learns what became of each recipient. */
static void test_settled(void **state)
{
    struct store_delivery d = {.zone = 0};
    struct store_target t[3];
    struct part_body *b = body_of(&fx, 100, 'm');

    partition_register(fx.p, ask_ops, 1, NULL, 0);
    targets_fill(t, 3);
    t[1].bytes_max = 1;
    t[2].mailbox += 1000000;
    OK(store_op_deliver(&fx.rec, b, 0, &d, t, 3));
    part_body_destroy(&b);
    (void)part_rec_op_begin(&fx.rec, OP_ASK, 1);
    part_rec_op_end(&fx.rec);
    apply(&fx);
    for (unsigned i = 0; i < 3; i++)
        (void)next(&fx);
    assert_int_equal(rd_u16(&fx.results), MS_OK);
    assert_int_equal(rd_u16(&fx.results), MS_EQUOTA);
    assert_int_equal(rd_u16(&fx.results), MS_ENOTFOUND);
    assert_int_equal(rd_u16(&fx.results), MS_ERR_COUNT); /* not in the op */
}

static void test_all_refused(void **state)
{
    struct store_target t[2];

    targets_fill(t, 2);
    t[0].bytes_max = t[1].bytes_max = 10;
    deliver(t, 2, 1000, true);
    IS(next(&fx).err, MS_EQUOTA);
    IS(next(&fx).err, MS_EQUOTA);
    assert_int_equal(blob_count(), 0);
    assert_int_equal(db_count(look(&fx)->txn, PART_DB_DELIVERED), 0);
    done(&fx);
}

/* The same entry and recipient again: the old UID, no second copy, no second blob. */
static void test_repeat(void **state)
{
    struct store_target t[3];
    struct store_result res;

    targets_fill(t, 3);
    deliver(t, 2, 100, true);
    deliver(t, 3, 100, true);
    for (unsigned i = 0; i < 3; i++) {
        res = next(&fx);
        OK(res.err);
        assert_int_equal(res.uid, 1);
        assert_int_equal(res.mailbox, inbox[i]);
        assert_int_equal(res.modseq != 0, i == 2);
        assert_int_equal(mailbox_now(&fx, inbox[i]).exists, 1);
    }
    assert_int_equal(blob_count(), 2);
    /* The mailbox is another one by now: it was delivered all the same. */
    t[0].mailbox = inbox[5];
    t[0].account = 6;
    deliver(t, 1, 100, true);
    assert_int_equal(next(&fx).mailbox, inbox[0]);
    assert_int_equal(mailbox_now(&fx, inbox[5]).exists, 0);
    /* Forgotten: a new message. */
    store_op_forget(&fx.rec, queue_partition, entry, 0);
    OK(apply_one(&fx).err);
    store_op_forget(&fx.rec, queue_partition, entry, 0);
    IS(apply_one(&fx).err, MS_ENOTFOUND);
    targets_fill(t, 1);
    deliver(t, 1, 100, true);
    assert_int_equal(next(&fx).uid, 2);
}

/* Two targets of one op in one mailbox: two messages, one modseq. */
static void test_same_mailbox(void **state)
{
    struct store_target t[3];
    struct store_result a, b, c;

    targets_fill(t, 3);
    t[2] = t[0];
    deliver(t, 3, 100, false);
    a = next(&fx);
    b = next(&fx);
    c = next(&fx);
    OK(b.err);
    assert_int_equal(a.uid, 1);
    assert_int_equal(c.uid, 2);
    assert_int_equal(a.modseq, c.modseq);
    assert_int_equal(mailbox_now(&fx, inbox[0]).exists, 2);
    assert_int_equal(account_now(&fx, 1).messages, 2);
}

static void test_existing_blob(void **state)
{
    struct store_target t[1];
    struct store_delivery d = {.zone = 0};
    struct store_message m;

    targets_fill(t, 1);
    deliver(t, 1, 100, false);
    OK(next(&fx).err);
    OK(message_now(&fx, inbox[0], 1, &m));
    OK(store_op_deliver(&fx.rec, NULL, m.blob, &d, t, 1));
    assert_int_equal(apply_one(&fx).uid, 2);
    assert_int_equal(blob_count(), 1);
    OK(store_op_deliver(&fx.rec, NULL, m.blob + 8, &d, t, 1));
    IS(apply_one(&fx).err, MS_EGONE);
    assert_int_equal(mailbox_now(&fx, inbox[0]).exists, 2);
}

static void test_append(void **state)
{
    const struct slice names[] = {SLICE_LIT("$Junk"), SLICE_LIT("$JUNK"), SLICE_LIT("Work")};
    struct store_append a = {.account = 1,
                             .mailbox = inbox[0],
                             .flags = STORE_SEEN | STORE_DELETED,
                             .keywords = names,
                             .keyword_count = 3,
                             .internaldate_us = 5,
                             .zone = -30};
    struct part_body *b = body_of(&fx, 10, 'a');
    struct store_mailbox m;
    struct store_message msg;
    struct store_result res;

    store_op_append(&fx.rec, b, 0, &a);
    part_body_destroy(&b);
    res = apply_one(&fx);
    OK(res.err);
    assert_int_equal(res.uid, 1);
    OK(store_mailbox_get(look(&fx), inbox[0], &m));
    assert_int_equal(res.uidvalidity, m.uidvalidity);
    assert_int_equal(m.keyword_count, 2); /* RFC 9051 2.3.2: case does not make two */
    assert_true(slice_eq_cstr(store_keyword_name(&m, 0), "$Junk"));
    assert_int_equal(store_keyword_find(&m, SLICE_LIT("WORK")), 1);
    assert_int_equal(store_keyword_find(&m, SLICE_LIT("none")), -1);
    assert_int_equal(store_keyword_name(&m, 2).len, 0);
    assert_int_equal(m.deleted, 1);
    assert_int_equal(m.unseen, 0);
    OK(store_message_find(&fx.snap, inbox[0], 1, &msg));
    assert_int_equal(msg.keywords.bits[0], 3);
    assert_int_equal(msg.internaldate_zone, -30);
    done(&fx);
}

/* The 129th keyword is refused, and nothing of that op is there. */
static void test_keyword_limit(void **state)
{
    struct slice names[STORE_KEYWORDS_MAX];
    char text[STORE_KEYWORDS_MAX][16];
    struct store_append a = {
        .account = 1, .mailbox = inbox[0], .keywords = names, .keyword_count = STORE_KEYWORDS_MAX};
    struct part_body *b = body_of(&fx, 10, 'a');
    struct store_message m;
    struct slice extra = SLICE_LIT("extra");

    for (unsigned i = 0; i < STORE_KEYWORDS_MAX; i++) {
        snprintf(text[i], sizeof(text[i]), "keyword%u", i);
        names[i] = slice_cstr(text[i]);
    }
    store_op_append(&fx.rec, b, 0, &a);
    part_body_destroy(&b);
    OK(apply_one(&fx).err);
    OK(message_now(&fx, inbox[0], 1, &m));
    assert_int_equal(m.keywords.bits[0], UINT64_MAX);
    assert_int_equal(m.keywords.bits[1], UINT64_MAX);
    a.keywords = &extra;
    a.keyword_count = 1;
    b = body_of(&fx, 10, 'a');
    store_op_append(&fx.rec, b, 0, &a);
    part_body_destroy(&b);
    IS(apply_one(&fx).err, MS_ELIMIT);
    assert_int_equal(blob_count(), 1);
    assert_int_equal(mailbox_now(&fx, inbox[0]).exists, 1);
}

static void test_quota_row(void **state)
{
    store_op_quota_set(&fx.rec, 1, 1000, 10);
    OK(apply_one(&fx).err);
    assert_int_equal(account_now(&fx, 1).bytes_max, 1000);
    assert_int_equal(account_now(&fx, 1).messages_max, 10);
    store_op_quota_set(&fx.rec, 1000, 1000, 10);
    IS(apply_one(&fx).err, MS_ENOTFOUND);
    /* Limits in force travel in ops: the row alone refuses nothing. */
    OK(append(&fx, 1, inbox[0], 2000, 0).err);
}

/* RFC 9051 2.3.1.1: no UID is given twice, and the last one is the end. */
static void test_last_uid(void **state)
{
    struct store_mailbox m;
    struct store__mbox mb;

    OK(append(&fx, 1, inbox[0], 10, 0).err);
    OK(store_mailbox_get(look(&fx), inbox[0], &m));
    memset(&mb, 0, sizeof(mb));
    m.uidnext = UINT32_MAX - 1;
    mb.len = store__mailbox_emit(&m, mb.row);
    done(&fx);
    db_writer_claim(partition_db(fx.p));
    struct db_txn *txn;
    uint8_t key[8];

    OK(db_write_begin(partition_db(fx.p), &txn, NULL));
    OK(db_put(txn, PART_DB_MAILBOX, store__key_u64(key, inbox[0]), slice_make(mb.row, mb.len)));
    OK(db_write_commit(&txn, NULL));
    assert_int_equal(append(&fx, 1, inbox[0], 10, 0).uid, UINT32_MAX - 1);
    IS(append(&fx, 1, inbox[0], 10, 0).err, MS_ELIMIT);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_fifty),         T(test_mixed),        T(test_all_refused),   T(test_settled),
        T(test_repeat),        T(test_same_mailbox), T(test_existing_blob), T(test_append),
        T(test_keyword_limit), T(test_quota_row),    T(test_last_uid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
