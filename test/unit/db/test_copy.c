/* Copies: complete, smaller, and never half. */
#include "db_fixture.h"

#include <errno.h>
#include <fcntl.h>

static void put_many(struct fixture *f, unsigned from, unsigned to)
{
    struct db_txn *t = fixture_write(f);
    uint8_t key[8];
    static uint8_t row[1000];
    for (unsigned i = from; i < to; i++) {
        ms_put_be64(key, i);
        memset(row, (int)i, sizeof(row));
        OK(db_put(t, A, slice_make(key, 8), slice_make(row, sizeof(row))));
    }
    OK(db_write_commit(&t, NULL));
}

static void copy_is_complete(void **state)
{
    struct fixture f;
    fixture_start(&f, 1 << 26);
    put_many(&f, 0, 5000);
    struct db_txn *t = fixture_write(&f);
    for (unsigned i = 0; i < 4000; i++) {
        uint8_t key[8];
        ms_put_be64(key, i);
        OK(db_del(t, A, slice_make(key, 8)));
    }
    OK(db_write_commit(&t, NULL));
    char path[128];
    snprintf(path, sizeof(path), "%s/copy.mdb", f.dir);
    OK(db_copy(f.db, path, NULL));
    put_many(&f, 10000, 10100); /* later changes are not in it */

    struct stat big, small;
    assert_int_equal(stat(f.path, &big), 0);
    assert_int_equal(stat(path, &small), 0);
    assert_true(small.st_size < big.st_size / 2);

    struct db_conf conf = {.path = path,
                           .map_bytes = 1 << 26,
                           .read_only = true,
                           .no_lock = true,
                           .names = fixture_names,
                           .name_count = NAMES};
    struct db *copy;
    OK(db_open(&conf, &copy, NULL));
    OK(db_read_begin(copy, &t));
    assert_int_equal(db_count(t, A), 1000);
    struct db_cur *cur;
    OK(db_cur_open(t, A, &cur));
    struct slice k, v;
    unsigned n = 0;
    for (enum ms_err err = db_cur_seek(cur, SLICE_LIT(""), &k, &v); !err; err = db_cur_next(cur, &k, &v), n++)
        assert_int_equal(v.ptr[999], (uint8_t)(4000 + n));
    assert_int_equal(n, 1000);
    db_cur_close(&cur);
    db_read_end(&t);
    db_close(&copy);
    char lock[160];
    snprintf(lock, sizeof(lock), "%s-lock", path);
    assert_int_not_equal(access(lock, F_OK), 0);
    fixture_stop(&f);
}

static void copy_fails_whole(void **state)
{
    struct fixture f;
    fixture_start(&f, 1 << 22);
    put_many(&f, 0, 10);
    char path[128];
    struct ms_errinfo why = {0};
    snprintf(path, sizeof(path), "%s/there.mdb", f.dir);
    FILE *file = fopen(path, "w");
    fputs("keep me", file);
    fclose(file);
    assert_int_equal(db_copy(f.db, path, &why), MS_EEXIST);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 7); /* somebody else's file is not touched */
    snprintf(path, sizeof(path), "%s/no/such.mdb", f.dir);
    assert_int_equal(db_copy(f.db, path, &why), MS_ENOTFOUND);
    assert_true(why.text[0] != 0);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copy_is_complete),
        cmocka_unit_test(copy_fails_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
