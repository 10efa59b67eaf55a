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

/* -- plans: COPY and MOVE of any number of messages */
static uint64_t plan_rows(void)
{
    struct slice key, value;
    struct db_cur *cur;
    uint64_t n = 0;

    OK(db_cur_open(look(&fx)->txn, PART_DB_META, &cur));
    for (enum ms_err err = db_cur_seek(cur, SLICE_LIT("plan "), &key, &value);
         !err && slice_has_prefix(key, SLICE_LIT("plan ")); err = db_cur_next(cur, &key, &value))
        n++;
    db_cur_close(&cur);
    done(&fx);
    return n;
}

/* Every second UID of a large mailbox: as many runs as messages. */
#define SCATTERED 1500
static struct store_run *scattered(void)
{
    struct store_run *runs = ms_alloc_array(SCATTERED, sizeof(*runs));
    struct store_target *t = ms_alloc_array(STORE_TARGETS_MAX, sizeof(*t));
    struct store_delivery d = {.zone = 0};

    for (unsigned i = 0; i < STORE_TARGETS_MAX; i++)
        t[i] = (struct store_target){.account = 1, .mailbox = a_box, .flags = i % 2 ? STORE_SEEN : 0};
    for (unsigned i = 0; i < 3; i++) {
        struct part_body *b = body_of(&fx, 20 + i, 'm');

        OK(store_op_deliver(&fx.rec, b, 0, &d, t, STORE_TARGETS_MAX));
        part_body_destroy(&b);
        apply(&fx);
    }
    ms_free(t);
    for (unsigned i = 0; i < SCATTERED; i++)
        runs[i] = (struct store_run){1 + 2 * i, 1 + 2 * i};
    return runs;
}

static struct store_copy plan_of(const struct store_run *runs, size_t n, bool move)
{
    return (struct store_copy){.from_mailbox = a_box,
                               .to_mailbox = b_box,
                               .to_account = 2,
                               .move = move,
                               .runs = runs,
                               .run_count = n};
}

/* Begin in two ops and two records, steps in one record: all of it, in order. */
static void plan_works(bool move)
{
    struct store_run *runs = scattered();
    struct store_copy c = plan_of(runs, 900, move);
    struct store_result res;
    struct store_message m;
    uint64_t plan;

    store_op_copy_begin(&fx.rec, 0, &c, true, false);
    store_op_copy_step(&fx.rec, 0, 1000); /* not complete yet */
    apply(&fx);
    OK(next(&fx).err);
    IS(next(&fx).err, MS_EINVAL);
    plan = fx.position;
    assert_int_equal(plan_rows(), 3);
    assert_int_equal(mailbox_now(&fx, b_box).exists, 0);
    c = plan_of(runs + 900, SCATTERED - 900, move);
    store_op_copy_begin(&fx.rec, plan, &c, false, true);
    store_op_copy_step(&fx.rec, plan, 700);
    store_op_copy_step(&fx.rec, plan, 1000);
    store_op_copy_step(&fx.rec, plan, 1000);
    apply(&fx);
    OK(next(&fx).err);
    res = next(&fx);
    OK(res.err);
    assert_int_equal(res.count, 700);
    assert_int_equal(res.runs.len, 700 * 8);
    assert_true(res.more);
    res = next(&fx);
    OK(res.err);
    assert_int_equal(res.count, SCATTERED - 700);
    assert_int_equal(res.uid, 701);
    assert_int_equal(store_run_at(res.runs, 0).first, 1401);
    assert_false(res.more);
    IS(next(&fx).err, MS_EGONE);
    assert_int_equal(plan_rows(), 0);
    assert_int_equal(mailbox_now(&fx, b_box).exists, SCATTERED);
    assert_int_equal(mailbox_now(&fx, a_box).exists, 3006 - (move ? SCATTERED : 0));
    IS(message_now(&fx, a_box, 1, &m), move ? MS_ENOTFOUND : MS_OK);
    OK(message_now(&fx, a_box, 2, &m));
    OK(message_now(&fx, b_box, SCATTERED, &m));
    fixture_reopen(&fx, PART_REBUILD);
    assert_int_equal(mailbox_now(&fx, b_box).exists, SCATTERED);
    ms_free(runs);
}

static void test_plan_copy(void **state)
{
    plan_works(false);
}

static void test_plan_move(void **state)
{
    plan_works(true);
}

static enum ms_err begin_one(uint64_t plan, struct store_copy c, bool first, bool last)
{
    store_op_copy_begin(&fx.rec, plan, &c, first, last);
    return apply_one(&fx).err;
}

/* What the first op refuses leaves nothing, and steps of its record find nothing. */
static void test_plan_refused(void **state)
{
    const struct store_run all = {1, 6};
    struct store_copy c = plan_of(&all, 1, false);

    c.whole_bytes = 600;
    c.whole_messages = 6;
    c.bytes_max = 599;
    store_op_copy_begin(&fx.rec, 0, &c, true, true);
    store_op_copy_begin(&fx.rec, 0, &c, false, true);
    store_op_copy_step(&fx.rec, 0, 1000);
    apply(&fx);
    IS(next(&fx).err, MS_EQUOTA);
    IS(next(&fx).err, MS_EGONE);
    IS(next(&fx).err, MS_EGONE);
    c.bytes_max = 600;
    c.to_mailbox = b_box + 1000;
    IS(begin_one(0, c, true, true), MS_ENOTFOUND);
    c.to_mailbox = a_other; /* not account 2's */
    IS(begin_one(0, c, true, true), MS_ENOTFOUND);
    c.to_mailbox = b_box;
    IS(begin_one(64, c, true, true), MS_EINVAL);
    IS(begin_one(64, c, false, true), MS_EGONE);
    assert_int_equal(plan_rows(), 0);
    store_op_copy_begin(&fx.rec, 0, &c, true, true);
    store_op_copy_begin(&fx.rec, 0, &c, true, true);
    apply(&fx);
    OK(next(&fx).err);
    IS(next(&fx).err, MS_EEXIST);
    IS(begin_one(fx.position, c, false, true), MS_EINVAL); /* complete */
}

/* The target goes in the middle: the plan ends. A plan may be given up. */
static void test_plan_ends(void **state)
{
    uint64_t gone = make_mailbox(&fx, 2, "Gone"), plan;
    const struct store_run all = {1, 6};
    struct store_copy c = plan_of(&all, 1, false);

    c.to_mailbox = gone;
    store_op_copy_begin(&fx.rec, 0, &c, true, true);
    store_op_copy_step(&fx.rec, 0, 2);
    apply(&fx);
    OK(next(&fx).err);
    assert_true(next(&fx).more);
    plan = fx.position;
    store_op_mailbox_delete(&fx.rec, 2, SLICE_LIT("Gone"));
    OK(apply_one(&fx).err);
    store_op_copy_step(&fx.rec, plan, 2);
    IS(apply_one(&fx).err, MS_ENOTFOUND);
    assert_int_equal(plan_rows(), 0);
    c.to_mailbox = b_box;
    IS(begin_one(0, c, true, false), MS_OK);
    plan = fx.position;
    assert_int_equal(plan_rows(), 2);
    store_op_copy_step(&fx.rec, plan, 0);
    OK(apply_one(&fx).err);
    assert_int_equal(plan_rows(), 0);
    assert_int_equal(mailbox_now(&fx, b_box).exists, 0);
}

/* Within one mailbox the new ones are not taken again; what was expunged meanwhile is passed by. */
static void test_plan_same(void **state)
{
    const struct store_run all = {1, 6};
    struct store_copy c = plan_of(&all, 1, true);
    struct store_result res;

    c.to_mailbox = a_box;
    c.to_account = 1;
    store_op_copy_begin(&fx.rec, 0, &c, true, true);
    store_op_expunge(&fx.rec, a_box, true, &(struct store_run){2, 3}, 1);
    store_op_copy_step(&fx.rec, 0, 3);
    store_op_copy_step(&fx.rec, 0, 3);
    apply(&fx);
    OK(next(&fx).err);
    assert_int_equal(next(&fx).count, 2);
    res = next(&fx);
    assert_int_equal(res.count, 3);
    assert_int_equal(res.uid, 7);
    res = next(&fx);
    assert_int_equal(res.count, 1);
    assert_false(res.more);
    assert_int_equal(mailbox_now(&fx, a_box).exists, 4);
    assert_int_equal(mailbox_now(&fx, a_box).uidnext, 11);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_copy),      T(test_other_account), T(test_move),          T(test_same_mailbox),
        T(test_keywords),  T(test_parts),         T(test_parts_refused), T(test_plan_copy),
        T(test_plan_move), T(test_plan_refused),  T(test_plan_ends),     T(test_plan_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
