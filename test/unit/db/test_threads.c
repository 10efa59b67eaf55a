/* One writer, many readers: each snapshot is of one commit, and none of it is torn. */
#include "db_fixture.h"

#include "../../../src/db/db_priv.h"

enum { READERS = 4, COMMITS = 300, ROWS = 50 };

static struct fixture shared;
static atomic_bool stop;
static atomic_uint seen;

static void *reader(void *arg)
{
    while (!atomic_load(&stop)) {
        struct db_txn *t;
        enum ms_err err = db_read_begin(shared.db, &t);
        if (err == MS_EBUSY) /* being opened again */
            continue;
        MS_ASSERT(err == MS_OK);
        uint64_t first = 0;
        for (uint64_t i = 0; i < ROWS; i++) {
            uint8_t key[8];
            ms_put_be64(key, i);
            struct slice v;
            if (db_get(t, A, slice_make(key, 8), &v))
                break;
            if (i == 0)
                first = ms_get_le64(v.ptr);
            MS_ASSERT(ms_get_le64(v.ptr) == first);
        }
        db_read_end(&t);
        atomic_fetch_add(&seen, 1);
    }
    return NULL;
}

static void *writer(void *arg)
{
    db_writer_claim(shared.db);
    for (uint64_t n = 1; n <= COMMITS; n++) {
        struct db_txn *t = fixture_write(&shared);
        for (uint64_t i = 0; i < ROWS; i++) {
            uint8_t key[8], row[64] = {0};
            ms_put_be64(key, i);
            ms_put_le64(row, n);
            MS_ASSERT(db_put(t, A, slice_make(key, 8), slice_make(row, sizeof(row))) == MS_OK);
        }
        MS_ASSERT(db_write_commit(&t, NULL) == MS_OK);
        if (n % 50 == 0)
            MS_ASSERT(db__reopen(shared.db, NULL) == MS_OK);
    }
    return NULL;
}

static void one_writer_many_readers(void **state)
{
    fixture_start(&shared, 1 << 24);
    pthread_t w, r[READERS];
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&r[i], NULL, reader, NULL), 0);
    assert_int_equal(pthread_create(&w, NULL, writer, NULL), 0);
    pthread_join(w, NULL);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(r[i], NULL);
    assert_true(atomic_load(&seen) > 0);
    fixture_stop(&shared);
}

/* More snapshots at once than any loop should have: refused, not crashed; the slots come back. */
static void readers_run_out(void **state)
{
    fixture_start(&shared, 1 << 22);
    static struct db_txn *open[DB_READERS_MAX + 1];
    for (unsigned round = 0; round < 2; round++) {
        unsigned n = 0;
        enum ms_err err = MS_OK;
        while (n <= DB_READERS_MAX && !(err = db_read_begin(shared.db, &open[n])))
            n++;
        assert_int_equal(err, MS_EBUSY);
        assert_int_equal(n, DB_READERS_MAX);
        while (n)
            db_read_end(&open[--n]);
    }
    fixture_stop(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_writer_many_readers),
        cmocka_unit_test(readers_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
