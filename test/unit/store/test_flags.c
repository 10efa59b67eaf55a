/* test_flags.c - flags, keywords, expunge, the change log and its purge. */
#include "store_fixture.h"

#define ACC 7

static struct fixture fx;
static uint64_t box;

static int setup(void **state)
{
    fixture_start(&fx);
    box = make_account(&fx, ACC);
    for (unsigned i = 0; i < 10; i++)
        OK(append(&fx, ACC, box, 100 + i, 0).err);
    return 0;
}

static int teardown(void **state)
{
    assert_int_equal(check_all(&fx), 0);
    fixture_stop(&fx);
    return 0;
}

static struct store_result change(enum store_flags_how how, uint16_t flags, uint64_t since, uint32_t first,
                                  uint32_t last)
{
    store_op_flags(&fx.rec, box, how, flags, NULL, 0, since, &(struct store_run){first, last}, 1);
    return apply_one(&fx);
}

static struct store_result expunge(bool any, uint32_t first, uint32_t last)
{
    store_op_expunge(&fx.rec, box, any, &(struct store_run){first, last}, 1);
    return apply_one(&fx);
}

static uint16_t flags_of(uint32_t uid)
{
    struct store_message m;

    OK(message_now(&fx, box, uid, &m));
    return m.flags;
}

static void test_flags(void **state)
{
    struct store_mailbox before = mailbox_now(&fx, box), m;
    struct store_result res = change(STORE_FLAGS_ADD, STORE_SEEN | STORE_DELETED, 0, 2, 4);

    OK(res.err);
    assert_int_equal(res.count, 3);
    assert_int_equal(res.modseq, before.highestmodseq + 1);
    m = mailbox_now(&fx, box);
    assert_int_equal(m.unseen, 7);
    assert_int_equal(m.deleted, 3);
    assert_int_equal(m.highestmodseq, res.modseq);
    assert_int_equal(flags_of(3), STORE_SEEN | STORE_DELETED);
    /* What has the flags already is not changed; the modseq stays. */
    res = change(STORE_FLAGS_ADD, STORE_SEEN, 0, 1, 4);
    assert_int_equal(res.count, 1);
    res = change(STORE_FLAGS_ADD, STORE_SEEN, 0, 1, 4);
    assert_int_equal(res.count, 0);
    assert_int_equal(res.modseq, 0);
    assert_int_equal(mailbox_now(&fx, box).highestmodseq, m.highestmodseq + 1);
    res = change(STORE_FLAGS_SET, STORE_FLAGGED, 0, 1, 10);
    assert_int_equal(res.count, 10);
    assert_int_equal(mailbox_now(&fx, box).unseen, 10);
    assert_int_equal(mailbox_now(&fx, box).deleted, 0);
    res = change(STORE_FLAGS_REMOVE, STORE_FLAGGED | STORE_SEEN, 0, 5, 5);
    assert_int_equal(res.count, 1);
    assert_int_equal(flags_of(5), 0);
    assert_int_equal(flags_of(6), STORE_FLAGGED);
    store_op_flags(&fx.rec, box + 100, STORE_FLAGS_SET, 0, NULL, 0, 0, &(struct store_run){1, 1}, 1);
    IS(apply_one(&fx).err, MS_ENOTFOUND);
}

static void test_keywords(void **state)
{
    const struct slice names[] = {SLICE_LIT("one"), SLICE_LIT("two")};
    struct store_message m;

    store_op_flags(&fx.rec, box, STORE_FLAGS_ADD, 0, names, 2, 0, &(struct store_run){1, 3}, 1);
    assert_int_equal(apply_one(&fx).count, 3);
    store_op_flags(&fx.rec, box, STORE_FLAGS_REMOVE, 0, names, 1, 0, &(struct store_run){1, 1}, 1);
    assert_int_equal(apply_one(&fx).count, 1);
    OK(message_now(&fx, box, 1, &m));
    assert_int_equal(m.keywords.bits[0], 2);
    store_op_flags(&fx.rec, box, STORE_FLAGS_SET, STORE_SEEN, names, 1, 0, &(struct store_run){2, 2}, 1);
    assert_int_equal(apply_one(&fx).count, 1);
    OK(message_now(&fx, box, 2, &m));
    assert_int_equal(m.keywords.bits[0], 1);
    assert_int_equal(m.flags, STORE_SEEN);
    /* Names of an op that changed nothing are not kept; unknown ones are not removed from anything. */
    const struct slice other = SLICE_LIT("three");
    store_op_flags(&fx.rec, box, STORE_FLAGS_ADD, 0, &other, 1, 0, &(struct store_run){50, 60}, 1);
    assert_int_equal(apply_one(&fx).count, 0);
    store_op_flags(&fx.rec, box, STORE_FLAGS_REMOVE, 0, &other, 1, 0, &(struct store_run){1, 10}, 1);
    assert_int_equal(apply_one(&fx).count, 0);
    struct store_mailbox mb;
    OK(store_mailbox_get(look(&fx), box, &mb));
    assert_int_equal(mb.keyword_count, 2);
    done(&fx);
}

/* RFC 7162 3.1.3 */
static void test_unchangedsince(void **state)
{
    uint64_t base = mailbox_now(&fx, box).highestmodseq;
    struct store_result res = change(STORE_FLAGS_ADD, STORE_FLAGGED, 0, 3, 4);

    OK(res.err);
    res = change(STORE_FLAGS_ADD, STORE_SEEN, base, 1, 6);
    assert_int_equal(res.count, 4);
    assert_int_equal(res.runs.len, 8);
    assert_int_equal(store_run_at(res.runs, 0).first, 3);
    assert_int_equal(store_run_at(res.runs, 0).last, 4);
    assert_int_equal(flags_of(3), STORE_FLAGGED);
    assert_int_equal(flags_of(5), STORE_SEEN);
    res = change(STORE_FLAGS_ADD, STORE_SEEN, 1, 1, 2);
    assert_int_equal(res.count, 0);
    assert_int_equal(res.runs.len, 8);
}

static void test_expunge(void **state)
{
    struct store_result res;
    struct store_message m;
    uint64_t bytes = account_now(&fx, ACC).bytes;

    OK(change(STORE_FLAGS_ADD, STORE_DELETED, 0, 2, 3).err);
    OK(change(STORE_FLAGS_ADD, STORE_DELETED | STORE_SEEN, 0, 7, 7).err);
    res = expunge(false, 1, 10);
    OK(res.err);
    assert_int_equal(res.count, 3);
    assert_int_equal(res.runs.len, 16);
    assert_int_equal(store_run_at(res.runs, 1).first, 7);
    IS(message_now(&fx, box, 2, &m), MS_ENOTFOUND);
    OK(store_expunged_find(look(&fx), box, 2, &m));
    assert_int_equal(m.modseq, res.modseq);
    assert_int_equal(m.size, 101);
    IS(store_expunged_find(&fx.snap, box, 4, &m), MS_ENOTFOUND);
    done(&fx);
    assert_int_equal(mailbox_now(&fx, box).exists, 7);
    assert_int_equal(mailbox_now(&fx, box).unseen, 7);
    assert_int_equal(mailbox_now(&fx, box).deleted, 0);
    assert_int_equal(account_now(&fx, ACC).bytes, bytes - 101 - 102 - 106);
    assert_int_equal(account_now(&fx, ACC).messages, 7);
    res = expunge(false, 1, 10);
    assert_int_equal(res.count, 0);
    assert_int_equal(res.modseq, 0);
    assert_int_equal(expunge(true, 1, UINT32_MAX).count, 7);
    assert_int_equal(append(&fx, ACC, box, 5, 0).uid, 11); /* UIDs only grow */
}

static void change_is(struct part_snap *snap, uint64_t *since, enum store_change_what what, uint32_t first)
{
    struct store_change c;

    OK(store_change_next(snap, box, *since, &c));
    assert_true(c.modseq > *since);
    assert_int_equal(c.what, what);
    assert_int_equal(store_run_at(c.runs, 0).first, first);
    *since = c.modseq;
}

static void test_change_log(void **state)
{
    uint64_t base = mailbox_now(&fx, box).highestmodseq, since = base;
    struct store_change c;
    struct part_snap *snap;

    OK(change(STORE_FLAGS_ADD, STORE_DELETED, 0, 2, 5).err);
    OK(append(&fx, ACC, box, 5, 0).err); /* not in the log */
    assert_int_equal(expunge(false, 3, 4).count, 2);
    OK(change(STORE_FLAGS_ADD, STORE_SEEN, 0, 9, 9).err);
    snap = look(&fx);
    change_is(snap, &since, STORE_CHANGE_FLAGS, 2);
    change_is(snap, &since, STORE_CHANGE_VANISHED, 3);
    change_is(snap, &since, STORE_CHANGE_FLAGS, 9);
    IS(store_change_next(snap, box, since, &c), MS_ENOTFOUND);
    IS(store_change_next(snap, box, UINT64_MAX, &c), MS_ENOTFOUND);
    IS(store_change_next(snap, box + 100, 0, &c), MS_ENOTFOUND);
    done(&fx);
}

static struct store_result purge(uint64_t modseq)
{
    store_op_purge(&fx.rec, box, modseq);
    return apply_one(&fx);
}

static void test_purge(void **state)
{
    uint64_t base = mailbox_now(&fx, box).highestmodseq, first, second;
    struct store_change c;
    struct store_message m;
    struct store_result res;

    first = expunge(true, 1, 2).modseq;
    OK(change(STORE_FLAGS_ADD, STORE_SEEN, 0, 5, 5).err);
    second = expunge(true, 9, 10).modseq;
    assert_int_equal(db_count(look(&fx)->txn, PART_DB_BLOB), 10);
    done(&fx);
    res = purge(first);
    OK(res.err);
    assert_int_equal(res.count, 3); /* two messages, one change row */
    assert_int_equal(mailbox_now(&fx, box).change_floor, first);
    IS(store_expunged_find(look(&fx), box, 1, &m), MS_ENOTFOUND);
    OK(store_expunged_find(&fx.snap, box, 9, &m));
    assert_int_equal(db_count(fx.snap.txn, PART_DB_BLOB), 8);
    IS(store_change_next(&fx.snap, box, base, &c), MS_ELIMIT); /* below the floor: compare everything */
    OK(store_change_next(&fx.snap, box, first, &c));
    done(&fx);
    assert_int_equal(purge(first).count, 0);
    res = purge(UINT64_MAX); /* never past what there is */
    assert_int_equal(res.count, 4);
    assert_int_equal(mailbox_now(&fx, box).change_floor, second);
    IS(store_change_next(look(&fx), box, second, &c), MS_ENOTFOUND);
    done(&fx);
}

/* An op takes at most STORE_UIDS_MAX messages; a purge stops there and goes on. */
static void test_limits(void **state)
{
    struct store_target *t = ms_alloc_array(STORE_TARGETS_MAX, sizeof(*t));
    struct store_delivery d = {.zone = 0};
    struct part_body *b = body_of(&fx, 10, 'z');
    struct store_result res;

    for (unsigned i = 0; i < STORE_TARGETS_MAX; i++)
        t[i] = (struct store_target){.account = ACC, .mailbox = box};
    OK(store_op_deliver(&fx.rec, b, 0, &d, t, STORE_TARGETS_MAX));
    part_body_destroy(&b);
    ms_free(t);
    apply(&fx);
    assert_int_equal(mailbox_now(&fx, box).exists, 1010);
    IS(expunge(true, 1, UINT32_MAX).err, MS_ELIMIT);
    IS(change(STORE_FLAGS_ADD, STORE_SEEN, 0, 1, UINT32_MAX).err, MS_ELIMIT);
    assert_int_equal(mailbox_now(&fx, box).exists, 1010);
    assert_int_equal(change(STORE_FLAGS_ADD, STORE_SEEN, 0, 1, 1000).count, 1000);
    assert_int_equal(expunge(true, 1, 600).count, 600);
    assert_int_equal(expunge(true, 601, 1010).count, 410);
    res = purge(UINT64_MAX);
    assert_int_equal(res.count, 602); /* flags row, first expunge; the second would be too much */
    assert_true(res.modseq < mailbox_now(&fx, box).highestmodseq);
    res = purge(UINT64_MAX);
    assert_int_equal(res.count, 411);
    assert_int_equal(res.modseq, mailbox_now(&fx, box).highestmodseq);
    assert_int_equal(db_count(look(&fx)->txn, PART_DB_BLOB), 0);
    done(&fx);
}

static void test_split(void **state)
{
    const struct store_run runs[] = {{1, 3}, {5, 9}, {20, 30}};
    struct store_run out[8];
    uint64_t cursor = 0;
    struct part_snap *snap;

    OK(expunge(true, 6, 7).err);
    snap = look(&fx);
    assert_int_equal(store_split(snap, box, runs, 3, &cursor, 4, out, 8), 2);
    assert_int_equal(out[0].first, 1);
    assert_int_equal(out[0].last, 3);
    assert_int_equal(out[1].first, 5);
    assert_int_equal(out[1].last, 5);
    assert_int_equal(store_split(snap, box, runs, 3, &cursor, 4, out, 8), 1);
    assert_int_equal(out[0].first, 8);
    assert_int_equal(out[0].last, 9);
    assert_int_equal(store_split(snap, box, runs, 3, &cursor, 4, out, 8), 0);
    cursor = 0; /* one run of room */
    assert_int_equal(store_split(snap, box, runs, 3, &cursor, 100, out, 1), 1);
    assert_int_equal(out[0].last, 3);
    assert_int_equal(store_split(snap, box, runs, 3, &cursor, 100, out, 1), 1);
    assert_int_equal(out[0].first, 5);
    assert_int_equal(out[0].last, 9);
    assert_int_equal(store_split(snap, box, runs, 3, &cursor, 100, out, 1), 0);
    done(&fx);
}

static void test_cursor(void **state)
{
    struct store_cursor *cur;
    struct store_message m;

    OK(expunge(true, 4, 5).err);
    OK(store_cursor_open(look(&fx), box, &cur));
    OK(store_cursor_seek(cur, 4, &m));
    assert_int_equal(m.uid, 6);
    OK(store_cursor_next(cur, &m));
    assert_int_equal(m.uid, 7);
    OK(store_cursor_seek(cur, 10, &m));
    IS(store_cursor_next(cur, &m), MS_ENOTFOUND);
    IS(store_cursor_seek(cur, 11, &m), MS_ENOTFOUND);
    store_cursor_close(&cur);
    assert_null(cur);
    store_cursor_close(&cur);
    done(&fx);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_flags), T(test_keywords), T(test_unchangedsince), T(test_expunge), T(test_change_log),
        T(test_purge), T(test_limits),   T(test_split),          T(test_cursor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
