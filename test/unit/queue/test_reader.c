/* test_reader.c - all entries with one cursor: the same as one by one, from any place, past what cannot be read. */
#include "queue_fixture.h"

static struct fixture fx;

static int setup(void **state)
{
    fixture_start(&fx);
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(&fx);
    return 0;
}

static struct queue_id enqueue(unsigned recipients)
{
    struct part_body *body = body_of(&fx, 100);
    struct queue_recipient *rcpts = ms_alloc_array(recipients, sizeof *rcpts);
    struct queue_entry e = {.id = queue_id_next(&fx.ids),
                            .arrival_us = 7,
                            .channel = SLICE_LIT("store"),
                            .blob_bytes = 100,
                            .recipient_count = recipients,
                            .pending = recipients};
    for (unsigned i = 0; i < recipients; i++)
        rcpts[i] =
            (struct queue_recipient){.number = i, .address = SLICE_LIT("a@b"), .original = SLICE_LIT("a@b")};
    OK(queue_op_enqueue(&fx.rec, body, 0, &e, rcpts, recipients));
    OK(apply_one(&fx));
    part_body_destroy(&body);
    ms_free(rcpts);
    return e.id;
}

/* From behind `after`: these ids, and so many rows passed over. */
static void reads(const struct queue_id *after, const struct queue_id *ids, unsigned count, unsigned damaged)
{
    struct queue_reader r;
    struct queue_entry e, same;
    OK(queue_reader_begin(&r, look(&fx), after));
    for (unsigned i = 0; i < count; i++) {
        OK(queue_reader_next(&r, &e));
        assert_memory_equal(e.id.b, ids[i].b, sizeof e.id.b);
        assert_memory_equal(r.at.b, ids[i].b, sizeof e.id.b);
        OK(queue_find(&fx.snap, &e.id, &same));
        assert_int_equal(e.recipient_count, same.recipient_count);
        assert_true(slice_eq(e.channel, SLICE_LIT("store")));
    }
    IS(queue_reader_next(&r, &e), MS_ENOTFOUND);
    IS(queue_reader_next(&r, &e), MS_ENOTFOUND);
    assert_int_equal(r.damaged, damaged);
    queue_reader_end(&r);
    done(&fx);
}

static void put_row(struct slice key, struct slice row)
{
    struct db_txn *txn;
    db_writer_claim(partition_db(fx.p));
    OK(db_write_begin(partition_db(fx.p), &txn, NULL));
    OK(db_put(txn, PART_DB_QUEUE, key, row));
    OK(db_write_commit(&txn, NULL));
}

static void test_empty(void **state)
{
    struct queue_id any = {{0}};
    reads(NULL, NULL, 0, 0);
    reads(&any, NULL, 0, 0);
    memset(any.b, 0xff, sizeof any.b);
    reads(&any, NULL, 0, 0);
}

/* Few recipients are stepped over, many are jumped. */
static void test_walk(void **state)
{
    static const unsigned recipients[] = {1, 2, 7, 8, 9, 1, 10, 1000, 999, 1, 3};
    enum { N = MS_ARRAY_LEN(recipients) };
    struct queue_id ids[N], behind;
    for (unsigned i = 0; i < N; i++)
        ids[i] = enqueue(recipients[i]);
    reads(NULL, ids, N, 0);
    for (unsigned i = 0; i < N; i++)
        reads(&ids[i], ids + i + 1, N - i - 1, 0);
    behind = ids[3]; /* one that is not there any more */
    behind.b[15]++;
    queue_op_delete(&fx.rec, &ids[4]);
    OK(apply_one(&fx));
    reads(&behind, ids + 5, N - 5, 0);
}

/* Rows under longer keys lie behind all entries; those of a version to come, or cut short, are passed over. */
static void test_other_rows(void **state)
{
    struct queue_id ids[4];
    uint8_t key[30], row[200];
    for (unsigned i = 0; i < 4; i++)
        ids[i] = enqueue(2);
    memset(key, 0xff, sizeof key);
    for (unsigned i = 0; i < 20; i++) {
        key[29] = (uint8_t)i;
        put_row(slice_make(key, sizeof key), SLICE_LIT("row"));
    }
    reads(NULL, ids, 4, 0);
    memset(row, 200, sizeof row);
    put_row(queue__key_entry(&ids[3]), slice_make(row, sizeof row));
    reads(NULL, ids, 3, 1);
    put_row(queue__key_entry(&ids[0]), SLICE_LIT("\2\1"));
    reads(NULL, ids + 1, 2, 2);
    reads(&ids[0], ids + 1, 2, 1);
    reads(&ids[2], NULL, 0, 1);
    reads(&ids[3], NULL, 0, 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {T(test_empty), T(test_walk), T(test_other_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
