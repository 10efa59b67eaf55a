/* test_copy.c - COPY and MOVE: within a mailbox, between mailboxes and accounts, quota, keywords, sequences
 * of parts. */
#include "store_fixture.h"

static struct fixture fx;
static uint64_t a_box, a_other, b_box; /* accounts 1, 1, 2 */

static int setup(void **state)
{
    fixture_start(&fx);
    a_box = make_account(&fx, 1);
    a_other = make_mailbox(&fx, 1, "Other");
    b_box = make_account(&fx, 2);
    for (unsigned i = 0; i < 6; i++)
        OK(append(&fx, 1, a_box, 100, i % 2 ? STORE_SEEN : 0).err);
    return 0;
}

static int teardown(void **state)
{
    assert_int_equal(check_all(&fx), 0);
    fixture_stop(&fx);
    return 0;
}

static struct store_result copy(uint64_t to, uint64_t account, bool move, uint64_t bytes_max, uint32_t first,
                                uint32_t last)
{
    store_op_copy(&fx.rec, a_box, to, account, move, bytes_max, 0, &(struct store_run){first, last}, 1);
    return apply_one(&fx);
}

static unsigned blob_count(void)
{
    unsigned n = (unsigned)db_count(look(&fx)->txn, PART_DB_BLOB);

    done(&fx);
    return n;
}

static void test_copy(void **state)
{
    struct store_result res = copy(a_other, 1, false, 0, 2, 4);
    struct store_message from, to;

    OK(res.err);
    assert_int_equal(res.count, 3);
    assert_int_equal(res.uid, 1);
    assert_int_equal(res.uidvalidity, mailbox_now(&fx, a_other).uidvalidity);
    assert_int_equal(res.runs.len, 8);
    assert_int_equal(store_run_at(res.runs, 0).first, 2);
    assert_int_equal(store_run_at(res.runs, 0).last, 4);
    assert_int_equal(blob_count(), 6);
    OK(message_now(&fx, a_box, 2, &from));
    OK(message_now(&fx, a_other, 1, &to));
    assert_int_equal(from.blob, to.blob);
    assert_int_equal(from.email_id, to.email_id);
    assert_int_equal(from.internaldate_us, to.internaldate_us);
    assert_int_equal(from.flags, to.flags);
    assert_int_equal(to.modseq, res.modseq);
    assert_int_equal(mailbox_now(&fx, a_box).exists, 6);
    assert_int_equal(mailbox_now(&fx, a_other).exists, 3);
    assert_int_equal(mailbox_now(&fx, a_other).unseen, 1);
    assert_int_equal(account_now(&fx, 1).messages, 9);
    assert_int_equal(account_now(&fx, 1).bytes, 900);
}

static void test_other_account(void **state)
{
    IS(copy(b_box, 1, false, 0, 1, 6).err, MS_ENOTFOUND); /* not account 1's */
    IS(copy(b_box, 2, false, 599, 1, 6).err, MS_EQUOTA);
    assert_int_equal(mailbox_now(&fx, b_box).exists, 0);
    assert_int_equal(mailbox_now(&fx, b_box).highestmodseq, 1);
    OK(copy(b_box, 2, false, 600, 1, 6).err);
    assert_int_equal(account_now(&fx, 2).messages, 6);
    assert_int_equal(account_now(&fx, 1).messages, 6);
    OK(copy(b_box, 2, true, 0, 1, 1).err);
    assert_int_equal(account_now(&fx, 2).messages, 7);
    assert_int_equal(account_now(&fx, 1).messages, 5);
    IS(copy(b_box + 1000, 2, false, 0, 1, 6).err, MS_ENOTFOUND);
}

static void test_move(void **state)
{
    struct store_result res;
    struct store_message m;
    struct store_change c;
    uint64_t base = mailbox_now(&fx, a_box).highestmodseq;

    /* A move within the account needs no room: the account is over its limit, and stays as it is. */
    IS(copy(a_other, 1, false, 10, 1, 2).err, MS_EQUOTA);
    res = copy(a_other, 1, true, 10, 1, 2);
    OK(res.err);
    assert_int_equal(res.count, 2);
    assert_int_equal(mailbox_now(&fx, a_box).exists, 4);
    assert_int_equal(mailbox_now(&fx, a_box).unseen, 2);
    assert_int_equal(mailbox_now(&fx, a_other).exists, 2);
    assert_int_equal(account_now(&fx, 1).bytes, 600);
    IS(message_now(&fx, a_box, 1, &m), MS_ENOTFOUND);
    OK(store_expunged_find(look(&fx), a_box, 1, &m));
    OK(store_change_next(&fx.snap, a_box, base, &c));
    assert_int_equal(c.what, STORE_CHANGE_VANISHED);
    assert_int_equal(c.modseq, m.modseq);
    done(&fx);
}

static void test_same_mailbox(void **state)
{
    struct store_result res = copy(a_box, 1, false, 0, 5, 6);
    struct store_message m;

    assert_int_equal(res.uid, 7);
    assert_int_equal(mailbox_now(&fx, a_box).exists, 8);
    res = copy(a_box, 1, true, 0, 7, UINT32_MAX);
    assert_int_equal(res.count, 2);
    assert_int_equal(res.uid, 9);
    assert_int_equal(mailbox_now(&fx, a_box).exists, 8);
    IS(message_now(&fx, a_box, 7, &m), MS_ENOTFOUND);
    OK(message_now(&fx, a_box, 10, &m));
    assert_int_equal(copy(a_box, 1, true, 0, 100, 200).count, 0);
}

static void keyword(uint64_t box, const char *name, uint32_t uid)
{
    struct slice s = slice_cstr(name);

    store_op_flags(&fx.rec, box, STORE_FLAGS_ADD, 0, &s, 1, 0, &(struct store_run){uid, uid}, 1);
    assert_int_equal(apply_one(&fx).count, 1);
}

/* Bits are the mailbox's own: names decide. */
static void test_keywords(void **state)
{
    struct store_mailbox mb;
    struct store_message m;

    keyword(a_box, "unused", 6);
    keyword(a_box, "red", 1);
    keyword(a_box, "blue", 2);
    OK(copy(a_other, 1, false, 0, 2, 2).err);
    OK(copy(a_other, 1, false, 0, 1, 1).err);
    OK(store_mailbox_get(look(&fx), a_other, &mb));
    assert_int_equal(mb.keyword_count, 2);
    assert_int_equal(store_keyword_find(&mb, SLICE_LIT("blue")), 0);
    assert_int_equal(store_keyword_find(&mb, SLICE_LIT("red")), 1);
    done(&fx);
    OK(message_now(&fx, a_other, 1, &m));
    assert_int_equal(m.keywords.bits[0], 1);
    OK(message_now(&fx, a_other, 2, &m));
    assert_int_equal(m.keywords.bits[0], 2);
}

static bool copy_row_is_there(uint64_t first)
{
    uint8_t key[STORE__COPY_KEY];
    struct slice row;
    enum ms_err err = db_get(look(&fx)->txn, PART_DB_META, store__key_copy(key, first), &row);

    done(&fx);
    return err == MS_OK;
}

static struct store_copy part_of(uint64_t first, const struct store_run *runs, const struct store_run *left)
{
    return (struct store_copy){
        .from_mailbox = a_box,
        .to_mailbox = b_box,
        .to_account = 2,
        .bytes_max = 600,
        .whole_bytes = 600,
        .whole_messages = 6,
        .first = first,
        .runs = runs,
        .run_count = 1,
        .left = left,
        .left_count = left ? 1 : 0,
    };
}

/* Storage rule 2.4: the first part answers for the whole, a row remembers what is left. */
static void test_parts(void **state)
{
    const struct store_run parts[3] = {{1, 2}, {3, 4}, {5, 6}}, rest = {3, 6};
    struct store_copy c = part_of(0, &parts[0], &rest);
    uint64_t first;

    c.bytes_max = 599;
    store_op_copy_part(&fx.rec, &c);
    IS(apply_one(&fx).err, MS_EQUOTA);
    assert_false(copy_row_is_there(fx.position));
    c.bytes_max = 600;
    store_op_copy_part(&fx.rec, &c);
    OK(apply_one(&fx).err);
    first = fx.position;
    assert_true(copy_row_is_there(first));
    c = part_of(first, &parts[1], &parts[2]);
    c.bytes_max = 1; /* was checked */
    store_op_copy_part(&fx.rec, &c);
    OK(apply_one(&fx).err);
    assert_true(copy_row_is_there(first));
    c = part_of(first, &parts[2], NULL);
    store_op_copy_part(&fx.rec, &c);
    OK(apply_one(&fx).err);
    assert_false(copy_row_is_there(first));
    assert_int_equal(mailbox_now(&fx, b_box).exists, 6);
}

/* A part that is refused ends the sequence. */
static void test_parts_refused(void **state)
{
    const struct store_run one = {1, 2}, rest = {3, 6};
    struct store_copy c = part_of(0, &one, &rest);
    uint64_t first, gone = make_mailbox(&fx, 2, "Gone");

    c.to_mailbox = gone;
    store_op_copy_part(&fx.rec, &c);
    OK(apply_one(&fx).err);
    first = fx.position;
    assert_true(copy_row_is_there(first));
    store_op_mailbox_delete(&fx.rec, 2, SLICE_LIT("Gone"));
    OK(apply_one(&fx).err);
    c = part_of(first, &rest, NULL);
    c.to_mailbox = gone;
    store_op_copy_part(&fx.rec, &c);
    IS(apply_one(&fx).err, MS_ENOTFOUND);
    assert_false(copy_row_is_there(first));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_copy),     T(test_other_account), T(test_move),          T(test_same_mailbox),
        T(test_keywords), T(test_parts),         T(test_parts_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
