/* Cursors: edges by table, then random steps against a sorted array. */
#include "db_fixture.h"

static void fill(struct fixture *f, const char *const *keys)
{
    struct db_txn *t = fixture_write(f);
    for (; *keys; keys++)
        OK(db_put(t, A, slice_cstr(*keys), slice_cstr(*keys)));
    OK(db_write_commit(&t, NULL));
}

static void edges(void **state)
{
    struct fixture f;
    fixture_start(&f, 1 << 22);
    static const char *const keys[] = {"b", "d", "f", NULL};
    fill(&f, keys);
    static const struct {
        bool before;
        const char *key, *found;
    } rows[] = {
        {false, "", "b"},  {false, "a", "b"},  {false, "b", "b"}, {false, "c", "d"},
        {false, "f", "f"}, {false, "g", NULL}, {true, "", "f"},   {true, "a", NULL},
        {true, "b", NULL}, {true, "c", "b"},   {true, "f", "d"},  {true, "g", "f"},
    };
    struct db_txn *t = fixture_read(&f);
    struct db_cur *cur;
    OK(db_cur_open(t, A, &cur));
    for (unsigned i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct slice k, v;
        enum ms_err err = rows[i].before ? db_cur_before(cur, slice_cstr(rows[i].key), &k, &v)
                                         : db_cur_seek(cur, slice_cstr(rows[i].key), &k, &v);
        assert_int_equal(err, rows[i].found ? MS_OK : MS_ENOTFOUND);
        if (rows[i].found) {
            assert_slice(k, rows[i].found);
            assert_slice(v, rows[i].found);
        }
    }
    struct slice k, v;
    OK(db_cur_seek(cur, SLICE_LIT("f"), &k, &v));
    assert_int_equal(db_cur_next(cur, &k, &v), MS_ENOTFOUND);
    OK(db_cur_seek(cur, SLICE_LIT("b"), &k, &v));
    assert_int_equal(db_cur_prev(cur, &k, &v), MS_ENOTFOUND);
    db_cur_close(&cur);
    OK(db_cur_open(t, B, &cur)); /* nothing in it */
    assert_int_equal(db_cur_seek(cur, SLICE_LIT(""), &k, &v), MS_ENOTFOUND);
    assert_int_equal(db_cur_seek(cur, SLICE_LIT("x"), &k, &v), MS_ENOTFOUND);
    assert_int_equal(db_cur_before(cur, SLICE_LIT("x"), &k, &v), MS_ENOTFOUND);
    assert_int_equal(db_cur_before(cur, SLICE_LIT(""), &k, &v), MS_ENOTFOUND);
    assert_int_equal(db_cur_next(cur, &k, &v), MS_ENOTFOUND);
    db_cur_close(&cur);
    db_read_end(&t);
    fixture_stop(&f);
}

/* Flags change in place while a scan goes on, for small rows and for rows on overflow pages. */
static void update_in_place(void **state)
{
    static const size_t sizes[] = {1, 40, 1900, 6000};
    for (unsigned s = 0; s < MS_ARRAY_LEN(sizes); s++) {
        struct fixture f;
        fixture_start(&f, 1 << 24);
        static uint8_t row[6000];
        uint8_t key[8];
        struct db_txn *t = fixture_write(&f);
        for (uint64_t i = 0; i < 100; i++) {
            ms_put_be64(key, i);
            memset(row, (int)i, sizes[s]);
            OK(db_put(t, A, slice_make(key, 8), slice_make(row, sizes[s])));
        }
        OK(db_write_commit(&t, NULL));
        t = fixture_write(&f);
        struct db_cur *cur;
        OK(db_cur_open(t, A, &cur));
        struct slice k, v;
        enum ms_err err = db_cur_seek(cur, SLICE_LIT(""), &k, &v);
        for (; !err; err = db_cur_next(cur, &k, &v)) {
            memcpy(row, v.ptr, v.len);
            row[0] ^= 0x80;
            OK(db_cur_update(cur, slice_make(row, v.len)));
        }
        assert_int_equal(err, MS_ENOTFOUND);
        db_cur_close(&cur);
        OK(db_write_commit(&t, NULL));
        t = fixture_read(&f);
        for (uint64_t i = 0; i < 100; i++) {
            ms_put_be64(key, i);
            OK(db_get(t, A, slice_make(key, 8), &v));
            assert_int_equal(v.len, sizes[s]);
            assert_int_equal(v.ptr[0], i ^ 0x80);
            if (v.len > 1)
                assert_int_equal(v.ptr[v.len - 1], i);
        }
        db_read_end(&t);
        fixture_stop(&f);
    }
}

enum { KEYS = 2000 };
struct model {
    bool present[KEYS];
};

static long model_next(const struct model *m, long from)
{
    for (; from < KEYS; from++)
        if (m->present[from])
            return from;
    return -1;
}

static long model_prev(const struct model *m, long from)
{
    for (; from >= 0; from--)
        if (m->present[from])
            return from;
    return -1;
}

static void expect(enum ms_err err, struct slice k, long want)
{
    if (want < 0) {
        assert_int_equal(err, MS_ENOTFOUND);
        return;
    }
    assert_int_equal(err, MS_OK);
    assert_int_equal(ms_get_be64(k.ptr), want);
}

/* One scan that deletes some rows on its way, forward. */
static void delete_scan(struct db_txn *t, struct model *m, unsigned *seed)
{
    struct db_cur *cur;
    struct slice k, v;
    OK(db_cur_open(t, A, &cur));
    long at = rand_r(seed) % KEYS;
    uint8_t key[8];
    ms_put_be64(key, (uint64_t)at);
    long want = model_next(m, at);
    enum ms_err err = db_cur_seek(cur, slice_make(key, 8), &k, &v);
    for (unsigned n = 0; n < 300; n++) {
        expect(err, k, want);
        if (err)
            break;
        if (rand_r(seed) % 3 == 0) {
            OK(db_cur_del(cur));
            m->present[want] = false;
        }
        want = model_next(m, want + 1);
        err = db_cur_next(cur, &k, &v);
    }
    db_cur_close(&cur);
}

static void against_model(void **state)
{
    struct fixture f;
    fixture_start(&f, 1 << 24);
    static struct model m, committed;
    unsigned seed = 7;
    for (unsigned round = 0; round < 300; round++) {
        struct db_txn *t = fixture_write(&f);
        uint8_t key[8];
        for (unsigned n = 0; n < 100; n++) {
            long i = rand_r(&seed) % KEYS;
            ms_put_be64(key, (uint64_t)i);
            static uint8_t row[1500];
            if (rand_r(&seed) % 3) {
                OK(db_put(t, A, slice_make(key, 8), slice_make(row, (size_t)(rand_r(&seed) % 1500))));
                m.present[i] = true;
            } else {
                assert_int_equal(db_del(t, A, slice_make(key, 8)), m.present[i] ? MS_OK : MS_ENOTFOUND);
                m.present[i] = false;
            }
        }
        delete_scan(t, &m, &seed);
        if (rand_r(&seed) % 4) {
            OK(db_write_commit(&t, NULL));
            committed = m;
        } else {
            db_write_abort(&t);
            m = committed;
        }
        t = fixture_read(&f);
        struct db_cur *cur;
        struct slice k, v;
        OK(db_cur_open(t, A, &cur));
        for (unsigned n = 0; n < 20; n++) {
            long at = rand_r(&seed) % KEYS;
            ms_put_be64(key, (uint64_t)at);
            expect(db_cur_seek(cur, slice_make(key, 8), &k, &v), k, model_next(&m, at));
            expect(db_cur_before(cur, slice_make(key, 8), &k, &v), k, model_prev(&m, at - 1));
        }
        db_cur_close(&cur);
        db_read_end(&t);
    }
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges),
        cmocka_unit_test(update_in_place),
        cmocka_unit_test(against_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
