/* Applying without threads: results, refusals, references, restarts, text. */
#include "part_fixture.h"

static void counters(void **state)
{
    struct fixture f;
    struct part_rec rec;
    fixture_start(&f);
    part_rec_init(&rec);
    op_add(&rec, 1, 5);
    assert_int_equal(apply_now(&f, &rec, NULL).err, MS_ENOTFOUND);
    op_make(&rec, 1);
    OK(apply_now(&f, &rec, NULL).err);
    op_add(&rec, 1, 5);
    assert_int_equal(apply_now(&f, &rec, NULL).value, 5);
    op_add(&rec, 1, -6);
    assert_int_equal(apply_now(&f, &rec, NULL).err, MS_EQUOTA);
    assert_int_equal(counter_get(f.p, 1), 5);
    for (unsigned i = 0; i < 3; i++) {
        fixture_restart(&f);
        assert_int_equal(f.report.damaged, 0);
        assert_int_equal(counter_get(f.p, 1), 5);
    }
    part_rec_fini(&rec);
    fixture_stop(&f);
}

/* Several ops of one record: one transaction, results in order. */
static void one_record(void **state)
{
    struct fixture f;
    struct part_rec rec;
    struct str out;
    fixture_start(&f);
    part_rec_init(&rec);
    str_init(&out, 0);
    op_make(&rec, 1);
    op_add(&rec, 1, 3);
    op_add(&rec, 2, 3);
    op_tell(&rec, 9, 4);
    OK(partition_apply_sync(f.p, &rec, &out, NULL, NULL));
    struct rd r = rd_make(str_slice(&out));
    OK(outcome_next(&r).err);
    assert_int_equal(outcome_next(&r).value, 3);
    assert_int_equal(outcome_next(&r).err, MS_ENOTFOUND);
    struct outcome tell = outcome_next(&r);
    assert_int_equal(tell.err, MS_EQUOTA); /* what it settled itself */
    assert_int_equal(tell.value, 3);       /* op index */
    assert_int_equal(rd_left(&r), 0);
    str_fini(&out);
    part_rec_fini(&rec);
    fixture_stop(&f);
}

static void blobs(void **state)
{
    struct fixture f;
    struct part_rec rec;
    struct str bytes, got, cache;
    fixture_start(&f);
    part_rec_init(&rec);
    str_init(&bytes, 0);
    str_init(&got, 0);
    str_init(&cache, 0);
    static const size_t sizes[] = {0, 1, 4096, 100000};
    static const size_t caches[] = {0, 10, PART_CACHE_ROW_MAX, PART_CACHE_ROW_MAX + 1};
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned c = 0; c < 4; c++) {
            pattern(&bytes, sizes[i], i * 10 + c);
            pattern(&cache, caches[c], c);
            op_put(&rec, i * 10 + c + 1, str_slice(&bytes), str_slice(&cache), c % 2);
            OK(apply_now(&f, &rec, NULL).err);
            slot_bytes(f.p, i * 10 + c + 1, &got);
            assert_true(slice_eq(str_slice(&got), str_slice(&bytes)));
            struct part_snap snap;
            struct part_blob b;
            OK(part_snap_begin(f.p, &snap));
            OK(part_blob_find(&snap, slot_get(f.p, i * 10 + c + 1), &b));
            str_reset(&got);
            OK(part_cache_read_sync(f.p, &b, &got));
            part_snap_end(&snap);
            assert_true(slice_eq(str_slice(&got), str_slice(&cache)));
        }
    }
    assert_int_equal(rows_in(f.p, PART_DB_BLOB), 16);
    assert_int_equal(rows_in(f.p, PART_DB_DIGEST), 8);
    assert_int_equal(rows_in(f.p, PART_DB_BLOBEXT), 0);
    OK(verify(f.p, &got));
    for (unsigned i = 0; i < 4; i++)
        for (unsigned c = 0; c < 4; c++) {
            op_drop(&rec, i * 10 + c + 1);
            OK(apply_now(&f, &rec, NULL).err);
        }
    assert_int_equal(rows_in(f.p, PART_DB_BLOB), 0);
    assert_int_equal(rows_in(f.p, PART_DB_DIGEST), 0);
    str_fini(&bytes);
    str_fini(&got);
    str_fini(&cache);
    part_rec_fini(&rec);
    fixture_stop(&f);
}

static void references(void **state)
{
    struct fixture f;
    struct part_rec rec;
    struct str out;
    fixture_start(&f);
    part_rec_init(&rec);
    str_init(&out, 0);
    op_put(&rec, 1, SLICE_LIT("hello"), SLICE_LIT(""), true);
    uint64_t id = apply_now(&f, &rec, NULL).value;
    op_put_existing(&rec, 2, id);
    assert_int_equal(apply_now(&f, &rec, NULL).value, id);
    op_put_existing(&rec, 2, id); /* the same again: let go and taken in one op */
    OK(apply_now(&f, &rec, NULL).err);
    struct part_snap snap;
    struct part_blob b;
    OK(part_snap_begin(f.p, &snap));
    OK(part_blob_find(&snap, id, &b));
    assert_int_equal(b.refs, 2);
    uint64_t found;
    OK(part_digest_find(&snap, sum128_of(SLICE_LIT("hello")), 5, &found));
    assert_int_equal(found, id);
    assert_int_equal(part_digest_find(&snap, sum128_of(SLICE_LIT("hello")), 6, &found), MS_ENOTFOUND);
    assert_int_equal(part_digest_find(&snap, sum128_of(SLICE_LIT("hullo")), 5, &found), MS_ENOTFOUND);
    part_snap_end(&snap);
    op_put_existing(&rec, 4, id); /* several ops of one record */
    op_put_existing(&rec, 5, id);
    op_drop(&rec, 4);
    op_put_existing(&rec, 4, id);
    OK(apply_now(&f, &rec, NULL).err);
    OK(verify(f.p, &out));
    op_drop(&rec, 1);
    op_drop(&rec, 4);
    op_drop(&rec, 5);
    OK(apply_now(&f, &rec, NULL).err);
    OK(verify(f.p, &out));
    op_drop(&rec, 2);
    OK(apply_now(&f, &rec, NULL).err);
    op_put_existing(&rec, 3, id);
    assert_int_equal(apply_now(&f, &rec, NULL).err, MS_EGONE);
    assert_int_equal(slot_get(f.p, 3), 0);
    OK(part_snap_begin(f.p, &snap));
    assert_int_equal(part_digest_find(&snap, sum128_of(SLICE_LIT("hello")), 5, &found), MS_ENOTFOUND);
    part_snap_end(&snap);
    str_fini(&out);
    part_rec_fini(&rec);
    fixture_stop(&f);
}

/* Brought by one op, used by the next of the same record; and brought by two ops that name the same bytes. */
static void blob_shared_in_a_record(void **state)
{
    struct fixture f;
    struct part_rec rec;
    struct str out;
    fixture_start(&f);
    part_rec_init(&rec);
    str_init(&out, 0);
    op_put(&rec, 1, SLICE_LIT("shared"), SLICE_LIT("c"), false);
    struct mbuf *body = rec.body;
    op_put(&rec, 2, SLICE_LIT("shared"), SLICE_LIT("c"), false);
    mbuf_unref_chain(&rec.body);
    rec.body = body;
    op_drop(&rec, 1);
    OK(partition_apply_sync(f.p, &rec, &out, NULL, NULL));
    assert_int_equal(slot_get(f.p, 1), 0);
    assert_int_not_equal(slot_get(f.p, 2), 0);
    OK(verify(f.p, &out));
    assert_int_equal(rows_in(f.p, PART_DB_BLOB), 1);
    str_fini(&out);
    part_rec_fini(&rec);
    fixture_stop(&f);
}

static void two_processes(void **state)
{
    struct fixture f;
    struct partition *other;
    struct ms_errinfo why = {0};
    fixture_start(&f);
    assert_int_equal(partition_open(&f.conf, false, &other, &why), MS_EBUSY);
    assert_true(why.text[0] != 0);
    struct partition_conf nowhere = f.conf;
    nowhere.dir = "/nonexistent/p";
    assert_int_equal(partition_open(&nowhere, false, &other, &why), MS_ENOTFOUND);
    assert_int_equal(partition_open(&nowhere, true, &other, &why), MS_ENOTFOUND);
    fixture_stop(&f);
}

static void text(void **state)
{
    struct fixture f;
    struct part_rec rec;
    struct str out;
    fixture_start(&f);
    part_rec_init(&rec);
    str_init(&out, 0);
    op_make(&rec, 0x77);
    op_put(&rec, 5, SLICE_LIT("hello"), SLICE_LIT("cache"), true);
    OK(partition_apply_sync(f.p, &rec, NULL, NULL, NULL));
    dump_log(f.p, &out);
    assert_non_null(strstr(str_cstr(&out), "  make v1 77"));
    assert_non_null(strstr(str_cstr(&out), "  put v1 slot=5 blob=inline+0 size=5 hash="));
    dump_index(f.p, &out);
    assert_non_null(strstr(str_cstr(&out), "queue 77 = 0\n"));
    assert_non_null(strstr(str_cstr(&out), "refs=1 size=5 hash="));
    assert_non_null(strstr(str_cstr(&out), "digest "));
    assert_non_null(strstr(str_cstr(&out), "meta applied "));
    assert_null(strstr(str_cstr(&out), "damaged"));
    str_fini(&out);
    part_rec_fini(&rec);
    fixture_stop(&f);
}

/* Verify finds what is wrong: bytes, references, rows without owners. */
static void verify_finds(void **state)
{
    struct fixture f;
    struct part_rec rec;
    struct str out;
    static const char *const wants[] = {"references", "belongs to no blob", "but no row"};
    str_init(&out, 0);
    part_rec_init(&rec);
    for (unsigned i = 0; i < MS_ARRAY_LEN(wants); i++) {
        fixture_start(&f);
        op_put(&rec, 1, SLICE_LIT("some message"), SLICE_LIT(""), false);
        uint64_t id = apply_now(&f, &rec, NULL).value;
        struct db_txn *t;
        uint8_t key[8], row[9] = {1};
        OK(db_write_begin(f.p->db, &t, NULL));
        ms_put_be64(key, i == 1 ? 12345 : 9);
        ms_put_le64(row + 1, i == 2 ? 98765 : id);
        OK(db_put(t, i == 1 ? PART_DB_BLOBEXT : PART_DB_MESSAGE, slice_make(key, 8), slice_make(row, 9)));
        OK(db_write_commit(&t, NULL));
        assert_int_equal(verify(f.p, &out), MS_EDAMAGED);
        assert_non_null(strstr(str_cstr(&out), wants[i]));
        fixture_stop(&f);
    }
    fixture_start(&f);
    op_put(&rec, 1, SLICE_LIT("needle-in-the-log"), SLICE_LIT(""), false);
    OK(apply_now(&f, &rec, NULL).err);
    assert_int_equal(fixture_damage(&f, "needle-in-the-log"), 1);
    assert_int_equal(verify(f.p, &out), MS_EDAMAGED);
    assert_non_null(strstr(str_cstr(&out), "bytes are damaged"));
    assert_non_null(strstr(str_cstr(&out), "log "));
    fixture_stop(&f);
    str_fini(&out);
    part_rec_fini(&rec);
}

static void options(void **state)
{
    const struct conf_table *tables[] = {&partition_table};
    struct str out;
    str_init(&out, 0);
    if (!conf_tables_check(tables, 1, &out))
        fail_msg("%s", str_cstr(&out));
    str_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters),
        cmocka_unit_test(one_record),
        cmocka_unit_test(blobs),
        cmocka_unit_test(references),
        cmocka_unit_test(blob_shared_in_a_record),
        cmocka_unit_test(two_processes),
        cmocka_unit_test(text),
        cmocka_unit_test(verify_finds),
        cmocka_unit_test(options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
