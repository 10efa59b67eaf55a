/* test_apply.c - the queue through a real partition: enqueue, results, forget, hold, delete, delivery inside
 * the partition. */
#include "queue_fixture.h"

static struct fixture fx;

static void on_ref(void *owner, uint64_t blob)
{
    (*(unsigned *)owner)++;
}

static void on_problem(void *owner, const char *line)
{
    print_message("# problem: %s\n", line);
    (*(unsigned *)owner)++;
}

static void verify_is(unsigned problems)
{
    unsigned refs = 0, found = 0, entries = 0;
    struct queue_entry e;
    struct queue_id at;

    OK(queue__verify(look(&fx), on_ref, &refs, on_problem, &found));
    for (enum ms_err err = queue_next(&fx.snap, NULL, &e); !err; err = queue_next(&fx.snap, &at, &e)) {
        at = e.id;
        entries++;
    }
    assert_int_equal(found, problems);
    assert_int_equal(refs, entries);
    done(&fx);
}

static int setup(void **state)
{
    fixture_start(&fx);
    return 0;
}

static int teardown(void **state)
{
    verify_is(0);
    fixture_stop(&fx);
    return 0;
}

static unsigned blob_refs(void)
{
    struct slice key, value;
    struct part_blob blob;
    struct db_cur *cur;
    unsigned refs = 0;

    OK(db_cur_open(look(&fx)->txn, PART_DB_BLOB, &cur));
    if (db_cur_seek(cur, (struct slice){0}, &key, &value) == MS_OK) {
        OK(part_blob_parse(ms_get_be64(key.ptr), value, &blob));
        refs = blob.refs;
        IS(db_cur_next(cur, &key, &value), MS_ENOTFOUND);
    }
    db_cur_close(&cur);
    done(&fx);
    return refs;
}

static void add_enqueue(struct part_body *body, unsigned recipients, struct queue_id *id_out)
{
    struct queue_recipient r[8];
    struct queue_entry e = {.channel = SLICE_LIT("tcp_local"), .sender = SLICE_LIT("a@b"), .arrival_us = 5};

    e.id = *id_out = queue_id_next(&fx.ids);
    for (unsigned i = 0; i < recipients; i++)
        r[i] =
            (struct queue_recipient){.number = i, .address = SLICE_LIT("c@d"), .original = SLICE_LIT("c@d")};
    OK(queue_op_enqueue(&fx.rec, body, 0, &e, r, recipients));
}

static struct queue_id enqueue(unsigned recipients)
{
    struct part_body *b = body_of(&fx, 100);
    struct queue_id id;

    add_enqueue(b, recipients, &id);
    part_body_destroy(&b);
    OK(apply_one(&fx));
    return id;
}

static enum ms_err find(const struct queue_id *id, struct queue_entry *out)
{
    enum ms_err err = queue_find(look(&fx), id, out);

    done(&fx);
    return err;
}

static struct queue_recipient recipient(const struct queue_id *id, uint32_t number)
{
    static char reason[QUEUE_REASON_MAX + 1];
    struct queue_recipient r;

    OK(queue_recipient_next(look(&fx), id, number - 1, &r));
    assert_int_equal(r.number, number);
    snprintf(reason, sizeof(reason), SLICE_FMT, SLICE_ARG(r.reason));
    r.reason = slice_cstr(reason);
    done(&fx);
    return r;
}

static void result_at(const struct queue_id *id, uint64_t due_us, const struct queue_outcome *o, size_t n)
{
    const struct queue_attempt attempt = {.due_us = due_us, .tried_us = due_us - 1, .count = true};

    queue_op_result(&fx.rec, id, &attempt, o, n);
}

static enum ms_err result_one(const struct queue_id *id, struct queue_outcome outcome, uint64_t due_us)
{
    result_at(id, due_us, &outcome, 1);
    return apply_one(&fx);
}

static void test_enqueue(void **state)
{
    struct queue_id id = enqueue(3);
    struct queue_entry e;
    struct queue_recipient r;
    uint32_t after = UINT32_MAX;

    OK(queue_find(look(&fx), &id, &e));
    assert_int_equal(e.recipient_count, 3);
    assert_int_equal(e.pending, 3);
    assert_int_equal(e.blob_bytes, 100);
    assert_int_equal(e.arrival_us, 5);
    assert_true(slice_eq_cstr(e.channel, "tcp_local"));
    for (unsigned i = 0; i < 3; i++) {
        OK(queue_recipient_next(&fx.snap, &id, after, &r));
        assert_int_equal(r.number, i);
        assert_int_equal(r.state, QUEUE_RCPT_PENDING);
        after = r.number;
    }
    IS(queue_recipient_next(&fx.snap, &id, after, &r), MS_ENOTFOUND);
    done(&fx);
    assert_int_equal(blob_refs(), 1);
}

/* All entries of one message are ops of one record and share one blob. */
static void test_shared(void **state)
{
    struct part_body *b = body_of(&fx, 100);
    struct queue_id id[3];

    for (unsigned i = 0; i < 3; i++)
        add_enqueue(b, 1 + i, &id[i]);
    part_body_destroy(&b);
    apply(&fx);
    for (unsigned i = 0; i < 3; i++)
        OK(next(&fx));
    assert_int_equal(blob_refs(), 3);
    queue_op_delete(&fx.rec, &id[1]);
    OK(apply_one(&fx));
    assert_int_equal(blob_refs(), 2);
    queue_op_delete(&fx.rec, &id[0]);
    queue_op_delete(&fx.rec, &id[2]);
    queue_op_delete(&fx.rec, &id[2]);
    apply(&fx);
    OK(next(&fx));
    OK(next(&fx));
    IS(next(&fx), MS_ENOTFOUND);
    assert_int_equal(blob_refs(), 0);
    assert_int_equal(db_count(look(&fx)->txn, PART_DB_QUEUE), 0);
    done(&fx);
}

static void test_existing(void **state)
{
    struct queue_id id = enqueue(1), other = queue_id_next(&fx.ids);
    struct queue_recipient r = {.number = 0, .address = SLICE_LIT("x@y")};
    struct queue_entry e, second = {.id = other, .channel = SLICE_LIT("c")};

    OK(find(&id, &e));
    OK(queue_op_enqueue(&fx.rec, NULL, e.blob, &second, &r, 1));
    OK(apply_one(&fx));
    assert_int_equal(blob_refs(), 2);
    /* The same op again changes nothing. */
    OK(queue_op_enqueue(&fx.rec, NULL, e.blob, &second, &r, 1));
    IS(apply_one(&fx), MS_EEXIST);
    assert_int_equal(blob_refs(), 2);
    second.id = queue_id_next(&fx.ids);
    OK(queue_op_enqueue(&fx.rec, NULL, e.blob + 1, &second, &r, 1));
    IS(apply_one(&fx), MS_EGONE);
    IS(find(&second.id, &e), MS_ENOTFOUND);
}

static void test_result(void **state)
{
    struct queue_id id = enqueue(3);
    struct queue_entry e;

    OK(result_one(&id, (struct queue_outcome){.number = 1, .reason = SLICE_LIT("4.0.0 later")}, 999));
    OK(find(&id, &e));
    assert_int_equal(e.attempts, 1);
    assert_int_equal(e.due_us, 999);
    assert_int_equal(e.pending, 3);
    assert_true(slice_eq_cstr(recipient(&id, 1).reason, "4.0.0 later"));
    OK(result_one(&id, (struct queue_outcome){.number = 1, .state = QUEUE_RCPT_DONE}, 1000));
    OK(find(&id, &e));
    assert_int_equal(e.pending, 2);
    /* Finished is finished; a number that is not there is passed over. */
    OK(result_one(&id, (struct queue_outcome){.number = 1, .state = QUEUE_RCPT_FAILED}, 1001));
    OK(result_one(&id, (struct queue_outcome){.number = 7, .state = QUEUE_RCPT_FAILED}, 1001));
    OK(find(&id, &e));
    assert_int_equal(e.pending, 2);
    assert_int_equal(e.attempts, 4);
    assert_int_equal(recipient(&id, 1).state, QUEUE_RCPT_DONE);
    const struct queue_outcome last[2] = {
        {.number = 0, .state = QUEUE_RCPT_DONE},
        {.number = 2, .state = QUEUE_RCPT_FAILED, .reason = SLICE_LIT("5.1.1 no")}};
    result_at(&id, 0, last, 2);
    OK(apply_one(&fx));
    IS(find(&id, &e), MS_ENOTFOUND);
    assert_int_equal(blob_refs(), 0);
    assert_int_equal(db_count(look(&fx)->txn, PART_DB_QUEUE), 0);
    done(&fx);
    IS(result_one(&id, (struct queue_outcome){.number = 1}, 0), MS_ENOTFOUND);
}

/* The entry's times and notices are replaced; only what counts as an attempt makes one. */
static void test_attempt(void **state)
{
    static const struct {
        struct queue_attempt a;
        uint32_t attempts;
    } rows[] = {
        {{.due_us = 10, .tried_us = 5, .notices = 0, .count = true}, 1},
        {{.due_us = 10, .tried_us = 5, .notices = 1, .count = false}, 1}, /* a delay notice went out */
        {{.due_us = 30, .tried_us = 20, .notices = 1, .count = true}, 2},
        {{.due_us = 0, .tried_us = UINT64_MAX, .notices = 255, .count = true}, 3},
        {{.due_us = 1, .tried_us = 0, .notices = 0, .count = false}, 3},
    };
    struct queue_id id = enqueue(1);
    struct queue_outcome o = {.number = 0, .reason = SLICE_LIT("4.0.0 later")};
    struct queue_entry e;

    OK(find(&id, &e));
    assert_int_equal(e.tried_us, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        queue_op_result(&fx.rec, &id, &rows[i].a, &o, i % 2); /* with and without a recipient */
        OK(apply_one(&fx));
        OK(find(&id, &e));
        assert_int_equal(e.attempts, rows[i].attempts);
        assert_int_equal(e.due_us, rows[i].a.due_us);
        assert_int_equal(e.tried_us, rows[i].a.tried_us);
        assert_int_equal(e.notices, rows[i].a.notices);
    }
}

static void add_result_v1(const struct queue_id *id, uint64_t due_us, struct slice reason)
{
    struct str *op = part_rec_op_begin(&fx.rec, QUEUE_OP_RESULT, 1);

    str_add(op, id->b, 16);
    str_add_le64(op, due_us);
    str_add_le16(op, 1);
    str_add_le32(op, 0);
    str_add_byte(op, QUEUE_RCPT_PENDING);
    str_add_byte(op, 0);
    str_add_bytes16(op, reason);
    part_rec_op_end(&fx.rec);
}

/* Logs of the first version: an op of version 1 counts, and says nothing of notices and the last attempt. */
static void test_old_result(void **state)
{
    struct queue_id id = enqueue(1);
    const struct queue_attempt a = {.due_us = 10, .tried_us = 5, .notices = 2, .count = true};
    struct queue_entry e;

    queue_op_result(&fx.rec, &id, &a, NULL, 0);
    OK(apply_one(&fx));
    add_result_v1(&id, 77, SLICE_LIT("4.1.0 old"));
    OK(apply_one(&fx));
    OK(find(&id, &e));
    assert_int_equal(e.attempts, 2);
    assert_int_equal(e.due_us, 77);
    assert_int_equal(e.tried_us, 5);
    assert_int_equal(e.notices, 2);
    assert_true(slice_eq_cstr(recipient(&id, 0).reason, "4.1.0 old"));
}

/* Storage rule 3.5: what another partition remembers stays until its forget. */
static void test_recorded(void **state)
{
    struct queue_id id = enqueue(2);
    struct queue_entry e;

    OK(result_one(&id, (struct queue_outcome){.number = 0, .state = QUEUE_RCPT_DONE, .recorded = true}, 0));
    queue_op_forget(&fx.rec, &id);
    IS(apply_one(&fx), MS_EBUSY);
    OK(result_one(&id, (struct queue_outcome){.number = 1, .state = QUEUE_RCPT_DONE}, 0));
    OK(find(&id, &e));
    assert_int_equal(e.pending, 0);
    assert_true(recipient(&id, 0).recorded);
    assert_false(recipient(&id, 1).recorded);
    OK(result_one(&id, (struct queue_outcome){.number = 1}, 50)); /* late: nothing happens */
    assert_int_equal(blob_refs(), 1);
    verify_is(0);
    queue_op_forget(&fx.rec, &id);
    OK(apply_one(&fx));
    IS(find(&id, &e), MS_ENOTFOUND);
    assert_int_equal(blob_refs(), 0);
}

static void add_settle(const uint32_t *numbers, const enum ms_err *errs, unsigned n)
{
    struct str *op = part_rec_op_begin(&fx.rec, OP_SETTLE, 1);

    for (unsigned i = 0; i < n; i++) {
        str_add_le32(op, numbers[i]);
        str_add_le16(op, (uint16_t)errs[i]);
    }
    part_rec_op_end(&fx.rec);
}

/* Delivery inside the partition: what the deliver op refused is not finished, whatever the result op hoped
 * for. */
static void test_if_delivered(void **state)
{
    static const uint32_t numbers[] = {0, 1, 2};
    static const enum ms_err errs[] = {MS_OK, MS_EQUOTA, MS_ENOTFOUND};
    struct queue_id id = enqueue(4);
    struct queue_outcome o[4];
    struct queue_entry e;

    for (unsigned i = 0; i < 4; i++)
        o[i] = (struct queue_outcome){.number = i, .state = QUEUE_RCPT_DONE, .if_delivered = true};
    add_settle(numbers, errs, 3); /* 3 is settled by nobody */
    result_at(&id, 123, o, 4);
    apply(&fx);
    OK(next(&fx));
    OK(find(&id, &e));
    assert_int_equal(e.pending, 3);
    assert_int_equal(e.due_us, 123);
    assert_int_equal(recipient(&id, 0).state, QUEUE_RCPT_DONE);
    assert_int_equal(recipient(&id, 1).state, QUEUE_RCPT_PENDING);
    assert_true(slice_has_prefix(recipient(&id, 1).reason, SLICE_LIT("4.2.2 ")));
    assert_int_equal(recipient(&id, 2).state, QUEUE_RCPT_PENDING);
    assert_int_equal(recipient(&id, 3).state, QUEUE_RCPT_PENDING);
    /* What one record settled says nothing to the next. */
    result_at(&id, 124, o, 1);
    OK(apply_one(&fx));
    result_at(&id, 125, o, 4);
    OK(apply_one(&fx));
    OK(find(&id, &e));
    assert_int_equal(e.pending, 3);
    add_settle(numbers, (enum ms_err[]){MS_OK, MS_OK, MS_OK}, 3);
    add_settle((uint32_t[]){3}, (enum ms_err[]){MS_OK}, 1);
    result_at(&id, 126, o, 4);
    apply(&fx);
    OK(next(&fx));
    IS(find(&id, &e), MS_ENOTFOUND);
}

static void test_hold(void **state)
{
    struct queue_id id = enqueue(1), none = queue_id_next(&fx.ids);
    struct queue_entry e;

    queue_op_hold(&fx.rec, &id, true, SLICE_LIT("operator"));
    OK(apply_one(&fx));
    OK(queue_find(look(&fx), &id, &e));
    assert_true(e.held);
    assert_true(slice_eq_cstr(e.hold_reason, "operator"));
    assert_true(slice_eq_cstr(e.sender, "a@b"));
    done(&fx);
    queue_op_hold(&fx.rec, &id, false, SLICE_LIT("ignored"));
    OK(apply_one(&fx));
    OK(queue_find(look(&fx), &id, &e));
    assert_false(e.held);
    assert_int_equal(e.hold_reason.len, 0);
    done(&fx);
    queue_op_hold(&fx.rec, &none, true, SLICE_LIT("x"));
    IS(apply_one(&fx), MS_ENOTFOUND);
}

static void test_walk(void **state)
{
    struct queue_id ids[20];
    struct queue_entry e;

    for (unsigned i = 0; i < 20; i++)
        ids[i] = enqueue(1 + i % 3);
    look(&fx);
    for (unsigned i = 0; i < 20; i++) {
        OK(queue_next(&fx.snap, i ? &ids[i - 1] : NULL, &e));
        assert_memory_equal(e.id.b, ids[i].b, 16);
    }
    IS(queue_next(&fx.snap, &ids[19], &e), MS_ENOTFOUND);
    memset(ids[0].b, 0xff, 16);
    IS(queue_next(&fx.snap, &ids[0], &e), MS_ENOTFOUND);
    done(&fx);
}

static enum ms_err set_stop(const char *channel, bool stop, uint64_t at_us)
{
    queue_op_stop(&fx.rec, slice_cstr(channel), stop, at_us);
    return apply_one(&fx);
}

/* "name=since " of each, in their order. */
static void stops_are(const char *want)
{
    struct queue_stop s = {.channel = ""};
    struct str got;
    enum ms_err err;

    str_init(&got, 0);
    look(&fx);
    while ((err = queue_stop_next(&fx.snap, slice_cstr(s.channel), &s)) == MS_OK)
        str_addf(&got, "%s=%llu ", s.channel, (unsigned long long)s.since_us);
    IS(err, MS_ENOTFOUND);
    done(&fx);
    assert_string_equal(str_cstr(&got), want);
    str_fini(&got);
}

/* The stop of a channel is a row that is no entry; it is there whether there are entries or not. */
static void test_stop(void **state)
{
    struct queue_entry e;
    struct queue_id id;

    stops_are("");
    IS(set_stop("b", false, 1), MS_ENOTFOUND);
    OK(set_stop("b", true, 10));
    IS(queue_next(look(&fx), NULL, &e), MS_ENOTFOUND);
    done(&fx);
    IS(set_stop("b", true, 20), MS_EEXIST); /* the first says since when */
    stops_are("b=10 ");
    OK(set_stop("bb", true, 11));
    OK(set_stop("a", true, 12));
    id = enqueue(2);
    OK(set_stop("zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", true, 13));
    stops_are("a=12 b=10 bb=11 zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz=13 ");
    OK(queue_next(look(&fx), NULL, &e));
    assert_memory_equal(e.id.b, id.b, 16);
    IS(queue_next(&fx.snap, &id, &e), MS_ENOTFOUND);
    done(&fx);
    verify_is(0);
    OK(set_stop("b", false, 30));
    OK(set_stop("zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", false, 30));
    IS(set_stop("b", false, 31), MS_ENOTFOUND);
    fixture_reopen(&fx, PART_REBUILD);
    stops_are("a=12 bb=11 ");
    OK(set_stop("b", true, 40));
    stops_are("a=12 b=40 bb=11 ");
}

/* A row that cannot be read is told, by verify and by who asks; the op repairs it. */
static void test_stop_damaged(void **state)
{
    uint8_t key[QUEUE__STOP_KEY_MAX];
    struct queue_stop s;
    struct db_txn *txn;

    OK(set_stop("a", true, 1));
    OK(db_write_begin(partition_db(fx.p), &txn, NULL));
    OK(db_put(txn, PART_DB_QUEUE, queue__key_stop(key, SLICE_LIT("a")), SLICE_LIT("\1???")));
    OK(db_write_commit(&txn, NULL));
    verify_is(1);
    IS(queue_stop_next(look(&fx), SLICE_LIT(""), &s), MS_EDAMAGED);
    done(&fx);
    OK(set_stop("a", false, 2));
    verify_is(0);
    stops_are("");
}

static void dump(struct str *out)
{
    struct slice key, value;
    struct db_cur *cur;

    OK(db_cur_open(look(&fx)->txn, PART_DB_QUEUE, &cur));
    for (enum ms_err err = db_cur_seek(cur, (struct slice){0}, &key, &value); !err;
         err = db_cur_next(cur, &key, &value)) {
        queue__dump_row(key, value, out);
        str_add_byte(out, '\n');
    }
    db_cur_close(&cur);
    done(&fx);
}

/* The log alone makes the same queue. */
static void test_rebuild(void **state)
{
    struct str before, after;

    for (unsigned i = 0; i < 30; i++) {
        struct queue_id id = enqueue(1 + i % 4);

        if (i % 3 == 0)
            OK(result_one(
                &id, (struct queue_outcome){.number = 0, .state = QUEUE_RCPT_DONE, .recorded = i % 2}, i));
        if (i % 5 == 0) {
            queue_op_hold(&fx.rec, &id, true, SLICE_LIT("h"));
            (void)apply_one(&fx);
        }
    }
    str_init(&before, 0);
    str_init(&after, 0);
    dump(&before);
    assert_null(strstr(str_cstr(&before), "damaged"));
    fixture_reopen(&fx, PART_REBUILD);
    dump(&after);
    assert_true(before.len > 1000);
    assert_string_equal(str_cstr(&before), str_cstr(&after));
    str_fini(&before);
    str_fini(&after);
}

/* Verify sees a counter that is wrong, and recipients without an entry. */
static void test_verify(void **state)
{
    struct queue_id id = enqueue(2), lost = enqueue(1);
    uint8_t row[QUEUE__ENTRY_ROW_MAX], good[QUEUE__ENTRY_ROW_MAX];
    struct queue_entry e;
    struct db_txn *txn;
    size_t len;

    OK(queue_find(look(&fx), &id, &e));
    (void)queue__entry_emit(&e, good);
    e.pending = 1;
    len = queue__entry_emit(&e, row);
    done(&fx);
    db_writer_claim(partition_db(fx.p));
    OK(db_write_begin(partition_db(fx.p), &txn, NULL));
    OK(db_put(txn, PART_DB_QUEUE, queue__key_entry(&id), slice_make(row, len)));
    OK(db_del(txn, PART_DB_QUEUE, queue__key_entry(&lost)));
    OK(db_write_commit(&txn, NULL));
    verify_is(2);
    fixture_reopen(&fx, PART_REBUILD);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_enqueue),      T(test_shared),     T(test_existing), T(test_result),       T(test_recorded),
        T(test_if_delivered), T(test_hold),       T(test_walk),     T(test_rebuild),      T(test_verify),
        T(test_attempt),      T(test_old_result), T(test_stop),     T(test_stop_damaged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
