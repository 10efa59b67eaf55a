/* Rows, transactions and what happens when they fail. */
#include "db_fixture.h"

#include "../../../src/db/db_priv.h"

#include <sys/wait.h>

static void rows_come_back(void **state)
{
    struct fixture f;
    fixture_start(&f, 1 << 22);
    struct db_txn *t = fixture_write(&f);
    struct slice v;
    assert_int_equal(db_get(t, A, SLICE_LIT("k"), &v), MS_ENOTFOUND);
    OK(db_put(t, A, SLICE_LIT("k"), SLICE_LIT("one")));
    OK(db_insert(t, A, SLICE_LIT("l"), SLICE_LIT("")));
    assert_int_equal(db_insert(t, A, SLICE_LIT("k"), SLICE_LIT("two")), MS_EEXIST);
    uint8_t *room;
    OK(db_reserve(t, B, SLICE_LIT("r"), 3, &room));
    memcpy(room, "abc", 3);
    OK(db_append(t, A, SLICE_LIT("z"), SLICE_LIT("last")));
    OK(db_append(t, A, SLICE_LIT("m"), SLICE_LIT("not last"))); /* falls back */
    assert_int_equal(db_del(t, A, SLICE_LIT("nothing")), MS_ENOTFOUND);
    OK(db_write_commit(&t, NULL));
    assert_null(t);

    t = fixture_read(&f);
    OK(db_get(t, A, SLICE_LIT("k"), &v));
    assert_slice(v, "one");
    OK(db_get(t, A, SLICE_LIT("l"), &v));
    assert_int_equal(v.len, 0);
    OK(db_get(t, A, SLICE_LIT("m"), &v));
    assert_slice(v, "not last");
    OK(db_get(t, B, SLICE_LIT("r"), &v));
    assert_slice(v, "abc");
    assert_int_equal(db_get(t, B, SLICE_LIT("k"), &v), MS_ENOTFOUND); /* databases are apart */
    assert_int_equal(db_count(t, A), 4);
    db_read_end(&t);
    fixture_stop(&f);
}

static void abort_leaves_nothing(void **state)
{
    struct fixture f;
    fixture_start(&f, 1 << 22);
    struct db_txn *t = fixture_write(&f);
    OK(db_put(t, A, SLICE_LIT("k"), SLICE_LIT("one")));
    db_write_abort(&t);
    t = fixture_read(&f);
    struct slice v;
    assert_int_equal(db_get(t, A, SLICE_LIT("k"), &v), MS_ENOTFOUND);
    db_read_end(&t);
    fixture_stop(&f);
}

static void snapshot_does_not_move(void **state)
{
    struct fixture f;
    fixture_start(&f, 1 << 22);
    struct db_txn *t = fixture_write(&f);
    OK(db_put(t, A, SLICE_LIT("k"), SLICE_LIT("one")));
    OK(db_write_commit(&t, NULL));
    struct db_txn *r = fixture_read(&f);
    t = fixture_write(&f);
    OK(db_put(t, A, SLICE_LIT("k"), SLICE_LIT("two")));
    OK(db_write_commit(&t, NULL));
    struct slice v;
    OK(db_get(r, A, SLICE_LIT("k"), &v));
    assert_slice(v, "one");
    struct db_stats st;
    db_stats(f.db, &st);
    assert_int_equal(st.oldest_reader_lag, 1);
    assert_int_equal(st.entries, 1);
    db_read_end(&r);
    db_stats(f.db, &st);
    assert_int_equal(st.oldest_reader_lag, 0);
    assert_int_equal(st.readers, 0);
    fixture_stop(&f);
}

/* MDB_MAP_FULL: the transaction is lost, the environment is not. */
static void full_map(void **state)
{
    struct fixture f;
    fixture_start(&f, 256 << 10);
    struct db_txn *t = fixture_write(&f);
    OK(db_put(t, B, SLICE_LIT("kept"), SLICE_LIT("yes")));
    OK(db_write_commit(&t, NULL));

    static uint8_t big[2000];
    t = fixture_write(&f);
    enum ms_err err = MS_OK;
    uint8_t key[8];
    for (unsigned i = 0; i < 1000 && !err; i++) {
        ms_put_be64(key, i);
        err = db_put(t, A, slice_make(key, 8), slice_make(big, sizeof(big)));
    }
    assert_int_equal(err, MS_ENOSPC);
    /* Every further write of it fails too, and the commit. */
    assert_int_equal(db_put(t, B, SLICE_LIT("x"), SLICE_LIT("y")), MS_ENOSPC);
    assert_int_equal(db_del(t, B, SLICE_LIT("kept")), MS_ENOSPC);
    struct ms_errinfo why = {0};
    assert_int_equal(db_write_commit(&t, &why), MS_ENOSPC);
    assert_true(why.text[0] != 0);

    t = fixture_write(&f);
    struct slice v;
    OK(db_get(t, B, SLICE_LIT("kept"), &v));
    assert_int_equal(db_count(t, A), 0);
    OK(db_put(t, B, SLICE_LIT("x"), SLICE_LIT("y")));
    OK(db_write_commit(&t, NULL));
    fixture_stop(&f);
}

static void injected_faults(void **state)
{
    struct fixture f;
    fixture_start(&f, 1 << 22);
    const enum ms_err errs[] = {MS_ENOSPC, MS_EIO};
    for (unsigned i = 0; i < 2; i++) {
        db__fault.err = errs[i];
        atomic_store(&db__fault.commits_left, 1);
        struct db_txn *t = fixture_write(&f);
        OK(db_put(t, A, SLICE_LIT("k"), SLICE_LIT("v")));
        assert_int_equal(db_write_commit(&t, NULL), errs[i]);
        atomic_store(&db__fault.syncs_left, 1);
        assert_int_equal(db_sync_now(f.db, NULL), errs[i]);
        OK(db_sync_now(f.db, NULL));
        atomic_store(&db__fault.puts_left, 1);
        t = fixture_write(&f);
        assert_int_equal(db_put(t, A, SLICE_LIT("k"), SLICE_LIT("v")), errs[i]);
        assert_int_equal(db_write_commit(&t, NULL), errs[i]);
        t = fixture_read(&f);
        assert_int_equal(db_count(t, A), 0);
        db_read_end(&t);
    }
    fixture_stop(&f);
}

/* The writer shuts the gate, opens again, and everybody goes on. */
static void reopen(void **state)
{
    struct fixture f;
    fixture_start(&f, 1 << 22);
    struct db_txn *t = fixture_write(&f);
    OK(db_put(t, A, SLICE_LIT("k"), SLICE_LIT("v")));
    OK(db_write_commit(&t, NULL));
    OK(db__reopen(f.db, NULL));
    t = fixture_write(&f);
    OK(db_put(t, A, SLICE_LIT("l"), SLICE_LIT("w")));
    OK(db_write_commit(&t, NULL));
    t = fixture_read(&f);
    assert_int_equal(db_count(t, A), 2);
    db_read_end(&t);

    /* The file is gone: readers are told, writers too, until it is back. */
    char aside[128];
    snprintf(aside, sizeof(aside), "%s.aside", f.path);
    assert_int_equal(rename(f.path, aside), 0);
    assert_int_equal(mkdir(f.path, 0700), 0);
    struct ms_errinfo why = {0};
    assert_int_not_equal(db__reopen(f.db, &why), MS_OK);
    assert_int_equal(db_read_begin(f.db, &t), MS_EBUSY);
    assert_int_equal(db_sync_now(f.db, &why), MS_EBUSY);
    assert_int_not_equal(db_write_begin(f.db, &t, &why), MS_OK);
    assert_int_equal(rmdir(f.path), 0);
    assert_int_equal(rename(aside, f.path), 0);
    OK(db_write_begin(f.db, &t, &why));
    db_write_abort(&t);
    t = fixture_read(&f);
    assert_int_equal(db_count(t, A), 2);
    db_read_end(&t);
    fixture_stop(&f);
}

static void pages_are_counted(void **state)
{
    struct fixture f;
    fixture_start(&f, 1 << 24);
    struct db_txn *t = fixture_write(&f);
    assert_int_equal(db_write_pages(t), 0);
    uint8_t key[8];
    for (uint64_t i = 1; i <= 1000; i++) {
        ms_put_be64(key, i);
        OK(db_append(t, A, slice_make(key, 8), SLICE_LIT("0123456789012345")));
    }
    assert_in_range(db_write_pages(t), 5, 20); /* sequential rows share pages */
    for (uint64_t i = 1; i <= 100; i++) {
        ms_put_be64(key, i * 10);
        OK(db_put(t, A, slice_make(key, 8), SLICE_LIT("x")));
    }
    assert_in_range(db_write_pages(t), 100, 130);
    db_write_abort(&t);
    fixture_stop(&f);
}

static void not_a_database(void **state)
{
    struct fixture f;
    fixture_start(&f, 1 << 22);
    db_close(&f.db);
    struct db_conf conf = {.path = f.path, .map_bytes = 1 << 22, .names = fixture_names, .name_count = NAMES};
    struct ms_errinfo why = {0};

    struct {
        const char *path;
        bool read_only;
        enum ms_err err;
    } bad[] = {
        {"/nonexistent/x.mdb", false, MS_ENOTFOUND},
        {"/nonexistent/x.mdb", true, MS_ENOTFOUND},
        {f.dir, false, MS_EIO},
    };
    for (unsigned i = 0; i < MS_ARRAY_LEN(bad); i++) {
        struct db_conf c = conf;
        c.path = bad[i].path;
        c.read_only = bad[i].read_only;
        why.text[0] = 0;
        assert_int_equal(db_open(&c, &f.db, &why), bad[i].err);
        assert_true(why.text[0] != 0);
    }
    FILE *file = fopen(f.path, "r+");
    for (unsigned i = 0; i < 8192; i++)
        fputc('x', file);
    fclose(file);
    assert_int_equal(db_open(&conf, &f.db, &why), MS_EDAMAGED);
    assert_null(f.db);
    fixture_stop(&f);
}

static void other_names(void **state)
{
    struct fixture f;
    fixture_start(&f, 1 << 22);
    db_close(&f.db);
    static const char *const names[] = {"a", "never"};
    struct db_conf conf = {.path = f.path,
                           .map_bytes = 1 << 22,
                           .names = names,
                           .name_count = 2,
                           .read_only = true,
                           .no_lock = true};
    struct ms_errinfo why = {0};
    assert_int_equal(db_open(&conf, &f.db, &why), MS_EDAMAGED);
    conf.read_only = conf.no_lock = false; /* writable: made */
    OK(db_open(&conf, &f.db, &why));
    fixture_stop(&f);
}

/* A process that dies in a transaction leaves the last commit. */
static void killed_writer(void **state)
{
    struct fixture f;
    fixture_start(&f, 1 << 22);
    db_close(&f.db);
    for (unsigned round = 0; round < 5; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            fixture_open(&f, 1 << 22, DB_SYNC_NO_META);
            struct db_txn *t = fixture_write(&f);
            uint8_t key[8];
            ms_put_be64(key, round);
            if (db_put(t, A, slice_make(key, 8), SLICE_LIT("committed")) || db_write_commit(&t, NULL))
                _exit(1);
            t = fixture_write(&f);
            if (db_put(t, B, slice_make(key, 8), SLICE_LIT("not committed")))
                _exit(1);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
    fixture_open(&f, 1 << 22, DB_SYNC_FULL);
    struct db_txn *t = fixture_read(&f);
    assert_int_equal(db_count(t, A), 5);
    assert_int_equal(db_count(t, B), 0);
    db_read_end(&t);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back),
        cmocka_unit_test(abort_leaves_nothing),
        cmocka_unit_test(snapshot_does_not_move),
        cmocka_unit_test(full_map),
        cmocka_unit_test(injected_faults),
        cmocka_unit_test(reopen),
        cmocka_unit_test(pages_are_counted),
        cmocka_unit_test(not_a_database),
        cmocka_unit_test(other_names),
        cmocka_unit_test(killed_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
