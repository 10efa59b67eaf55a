/* test_janitor.c - the janitor of a serving partition: expunged rows and deleted mailboxes go when their time
 * is over, an unfinished copy of the last run is finished. */
#include "store_fixture.h"

#include "ms/base/clock.h"

#define WAIT_MS 20000

static struct fixture fx;
static struct bus *bus;
static struct loop *loop;
static struct store_janitor *janitor;

static int setup(void **state)
{
    fixture_start(&fx);
    return 0;
}

/* From here on the partition serves and ops go through its threads. */
static void serve(uint64_t keep_ms)
{
    struct ms_errinfo why = {{0}};
    struct part_client *c;

    partition_close(&fx.p);
    loop_destroy(&fx.loop);
    loop = loop_create(0, "control");
    fx.loop = loop;
    bus = bus_create();
    (void)bus_ep_create(bus, "control", loop);
    fixture_open(&fx, PART_RECOVER_NORMAL);
    c = fx.c;
    if (partition_start(fx.p, bus, NULL, &why))
        fail_msg("partition_start: %s", why.text);
    janitor = store_janitor_create(c, loop, keep_ms, 50);
}

static void turn(void)
{
    loop_turn(loop);
    usleep(1000);
}

static void unserve(void)
{
    store_janitor_destroy(&janitor);
    assert_null(janitor);
    partition_stop(fx.p);
    assert_int_equal(check_all(&fx), 0);
    partition_close(&fx.p);
    bus_destroy(&bus);
    fx.loop = loop;
    fixture_stop(&fx);
}

static uint64_t rows_in(unsigned dbi)
{
    uint64_t n = db_count(look(&fx)->txn, dbi);

    done(&fx);
    return n;
}

static void wait_for_rows(unsigned dbi, uint64_t want)
{
    uint64_t until = clock_mono_ms() + WAIT_MS;

    while (rows_in(dbi) != want && clock_mono_ms() < until)
        turn();
    assert_int_equal(rows_in(dbi), want);
}

static void test_purge(void **state)
{
    uint64_t box, gone, other;
    struct store_target *t = ms_alloc_array(STORE_TARGETS_MAX, sizeof(*t));
    struct store_delivery d = {.zone = 0};

    box = make_account(&fx, 7);
    gone = make_mailbox(&fx, 7, "Gone");
    other = make_mailbox(&fx, 7, "Other");
    for (unsigned i = 0; i < STORE_TARGETS_MAX; i++)
        t[i] = (struct store_target){.account = 7, .mailbox = gone};
    for (unsigned i = 0; i < 2; i++) { /* more than one op may purge */
        struct part_body *b = body_of(&fx, 10, 'z');

        OK(store_op_deliver(&fx.rec, b, 0, &d, t, STORE_TARGETS_MAX));
        part_body_destroy(&b);
        apply(&fx);
    }
    ms_free(t);
    for (unsigned i = 0; i < 5; i++) {
        OK(append(&fx, 7, box, 10, 0).err);
        OK(append(&fx, 7, other, 10, 0).err);
    }
    store_op_expunge(&fx.rec, box, true, &(struct store_run){2, 4}, 1);
    assert_int_equal(apply_one(&fx).count, 3);
    store_op_mailbox_delete(&fx.rec, 7, SLICE_LIT("Gone"));
    OK(apply_one(&fx).err);
    usleep(1100000); /* change rows count in seconds */

    serve(0);
    wait_for_rows(PART_DB_CHANGE, 0);
    wait_for_rows(PART_DB_MAILBOX, 7);
    assert_int_equal(rows_in(PART_DB_EXPUNGED), 0);
    assert_int_equal(rows_in(PART_DB_MESSAGE), 7);
    assert_int_equal(rows_in(PART_DB_BLOB), 7);
    unserve();
}

/* Inside the window everything stays. */
static void test_keep(void **state)
{
    uint64_t box = make_account(&fx, 7);

    OK(append(&fx, 7, box, 10, 0).err);
    store_op_expunge(&fx.rec, box, true, &(struct store_run){1, 1}, 1);
    OK(apply_one(&fx).err);
    store_op_mailbox_delete(&fx.rec, 7, SLICE_LIT("Junk"));
    OK(apply_one(&fx).err);
    usleep(1100000);
    serve(3600000);
    for (unsigned i = 0; i < 300; i++)
        turn();
    assert_int_equal(rows_in(PART_DB_EXPUNGED), 1);
    assert_int_equal(rows_in(PART_DB_CHANGE), 2);
    assert_int_equal(rows_in(PART_DB_MAILBOX), 6);
    unserve();
}

static void test_copy(void **state)
{
    uint64_t from = make_account(&fx, 7), to = make_mailbox(&fx, 7, "To");
    const struct store_run one = {1, 2}, left[2] = {{3, 4}, {6, 9}};
    struct store_copy c = {.from_mailbox = from,
                           .to_mailbox = to,
                           .to_account = 7,
                           .move = true,
                           .runs = &one,
                           .run_count = 1,
                           .left = left,
                           .left_count = 2};
    uint64_t meta;

    for (unsigned i = 0; i < 9; i++)
        OK(append(&fx, 7, from, 10, 0).err);
    meta = rows_in(PART_DB_META);
    store_op_copy_part(&fx.rec, &c);
    OK(apply_one(&fx).err);
    assert_int_equal(rows_in(PART_DB_META), meta + 1);
    serve(3600000);
    wait_for_rows(PART_DB_META, meta);
    assert_int_equal(mailbox_now(&fx, to).exists, 8);
    assert_int_equal(mailbox_now(&fx, from).exists, 1);
    unserve();
}

/* The target is gone by then: the rest of the copy is given up. */
static void test_copy_refused(void **state)
{
    uint64_t from = make_account(&fx, 7), to = make_mailbox(&fx, 7, "To"), meta;
    const struct store_run one = {1, 1}, left = {2, 3};
    struct store_copy c = {.from_mailbox = from,
                           .to_mailbox = to,
                           .to_account = 7,
                           .runs = &one,
                           .run_count = 1,
                           .left = &left,
                           .left_count = 1};

    for (unsigned i = 0; i < 3; i++)
        OK(append(&fx, 7, from, 10, 0).err);
    meta = rows_in(PART_DB_META);
    store_op_copy_part(&fx.rec, &c);
    OK(apply_one(&fx).err);
    store_op_mailbox_delete(&fx.rec, 7, SLICE_LIT("To"));
    OK(apply_one(&fx).err);
    serve(3600000);
    wait_for_rows(PART_DB_META, meta);
    assert_int_equal(mailbox_now(&fx, from).exists, 3);
    unserve();
}

/* Plans: one that is complete is carried out, one that is not was never promised to anybody. */
static void test_plans(void **state)
{
    uint64_t from = make_account(&fx, 7), to = make_mailbox(&fx, 7, "To"), meta;
    const struct store_run runs[2] = {{1, 4}, {6, 9}};
    struct store_copy c = {
        .from_mailbox = from, .to_mailbox = to, .to_account = 7, .move = true, .runs = runs, .run_count = 2};

    for (unsigned i = 0; i < 9; i++)
        OK(append(&fx, 7, from, 10, 0).err);
    meta = rows_in(PART_DB_META);
    store_op_copy_begin(&fx.rec, 0, &c, true, true);
    store_op_copy_step(&fx.rec, 0, 3);
    apply(&fx);
    OK(next(&fx).err);
    assert_true(next(&fx).more);
    c.move = false;
    store_op_copy_begin(&fx.rec, 0, &c, true, false);
    OK(apply_one(&fx).err);
    assert_int_equal(rows_in(PART_DB_META), meta + 4);
    serve(3600000);
    wait_for_rows(PART_DB_META, meta);
    assert_int_equal(mailbox_now(&fx, to).exists, 8);
    assert_int_equal(mailbox_now(&fx, from).exists, 1);
    unserve();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_purge, setup), cmocka_unit_test_setup(test_keep, setup),
        cmocka_unit_test_setup(test_copy, setup),  cmocka_unit_test_setup(test_copy_refused, setup),
        cmocka_unit_test_setup(test_plans, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
