/* From what is on disk to an index at the end of the log: every way there, every way it may be wrong. */
#include "part_fixture.h"

#include <sys/stat.h>
#include <sys/wait.h>

/* Counters 1..n with value = key, and n slots with a message each. */
static void load(struct fixture *f, unsigned from, unsigned to)
{
    struct part_rec rec;
    struct str bytes;
    part_rec_init(&rec);
    str_init(&bytes, 0);
    for (unsigned i = from; i < to; i++) {
        pattern(&bytes, 3000 + i, i);
        op_make(&rec, i);
        op_add(&rec, i, i);
        op_put(&rec, i, str_slice(&bytes), SLICE_LIT("cache"), i % 2);
        if (i > 2 && i % 3 == 0)
            op_drop(&rec, i - 2);
        OK(partition_apply_sync(f->p, &rec, NULL, NULL, NULL));
    }
    str_fini(&bytes);
    part_rec_fini(&rec);
}

/* Without the row that names the end: it differs by what recovery itself writes. */
static void content(struct fixture *f, struct str *out)
{
    dump_index(f->p, out);
    char *line = strstr((char *)out->ptr, "meta applied ");
    assert_non_null(line);
    char *next = strchr(line, '\n') + 1;
    memmove(line, next, strlen(next) + 1);
}

static void same_after(struct fixture *f, struct str *before, enum part_recover_mode mode)
{
    struct str after, out;
    str_init(&after, 0);
    str_init(&out, 0);
    fixture_open(f);
    fixture_recover(f, mode);
    content(f, &after);
    assert_string_equal(str_cstr(before), str_cstr(&after));
    OK(verify(f->p, &out));
    str_fini(&after);
    str_fini(&out);
}

enum hurt { HURT_NOTHING, HURT_DELETE, HURT_ZERO_META, HURT_GARBAGE, HURT_CUT, HURT_FOREIGN, HURT_META_ROW };

static void hurt_index(struct fixture *f, enum hurt how)
{
    struct db_txn *t;
    if (how == HURT_FOREIGN || how == HURT_META_ROW) {
        uint8_t row[17] = {1, 'n', 'o', 't', ' ', 'o', 'u', 'r', 's'};
        OK(db_write_begin(f->p->db, &t, NULL));
        if (how == HURT_FOREIGN)
            OK(db_put(t, PART_DB_META, SLICE_LIT("partition"), slice_make(row, 17)));
        else
            OK(db_put(t, PART_DB_META, SLICE_LIT("applied"), slice_make(row, 3)));
        OK(db_write_commit(&t, NULL));
    }
    fixture_close(f);
    switch (how) {
    case HURT_DELETE:
        fixture_sh(f, "rm index.mdb");
        break;
    case HURT_ZERO_META:
        fixture_sh(f, "dd if=/dev/zero of=index.mdb bs=4096 count=2 conv=notrunc 2>/dev/null");
        break;
    case HURT_GARBAGE:
        fixture_sh(f, "head -c 100000 /dev/urandom > index.mdb");
        break;
    case HURT_CUT:
        fixture_sh(f, "truncate -s 100 index.mdb");
        break;
    default:
        break;
    }
}

static void index_is_made_again(void **state)
{
    for (unsigned how = HURT_NOTHING; how <= HURT_META_ROW; how++) {
        for (unsigned checkpoints = 0; checkpoints < 3; checkpoints++) {
            struct fixture f;
            struct str before;
            str_init(&before, 0);
            fixture_start(&f);
            load(&f, 1, 20);
            if (checkpoints > 0)
                OK(partition_checkpoint_now(f.p, NULL));
            load(&f, 20, 30);
            if (checkpoints > 1)
                OK(partition_checkpoint_now(f.p, NULL));
            load(&f, 30, 35);
            content(&f, &before);
            hurt_index(&f, how);
            same_after(&f, &before, PART_RECOVER_NORMAL);
            if (how == HURT_NOTHING)
                assert_in_range(f.report.replayed, 0, 3);
            else
                assert_in_range(f.report.replayed,
                                checkpoints == 2 ? 5
                                : checkpoints    ? 15
                                                 : 34,
                                checkpoints == 2 ? 8
                                : checkpoints    ? 18
                                                 : 40);
            load(&f, 40, 45);
            str_fini(&before);
            fixture_stop(&f);
        }
    }
}

static void rebuild_by_order(void **state)
{
    struct fixture f;
    struct str before;
    str_init(&before, 0);
    fixture_start(&f);
    load(&f, 1, 50);
    content(&f, &before);
    fixture_close(&f);
    same_after(&f, &before, PART_REBUILD);
    assert_true(f.report.replayed >= 49);
    str_fini(&before);
    fixture_stop(&f);
}

/* A damaged checkpoint is passed over for the older one, then for the whole log. */
static void damaged_checkpoints(void **state)
{
    static const struct {
        const char *sh;
        unsigned least, most; /* records replayed */
    } rows[] = {
        {"dd if=/dev/urandom of=$(ls checkpoints/* | tail -1) bs=1 seek=20000 count=10 conv=notrunc "
         "2>/dev/null",
         15, 20},
        {"truncate -s -1 $(ls checkpoints/* | tail -1)", 15, 20},
        {"truncate -s 0 $(ls checkpoints/* | tail -1)", 15, 20},
        {"mv $(ls checkpoints/* | tail -1) checkpoints/ffffffffffffff00.mdb", 15, 20},
        {"for c in checkpoints/*; do truncate -s -1 $c; done", 34, 40},
        {"touch checkpoints/nonsense checkpoints/0000000000000zzz.mdb checkpoints/tmp.mdb", 5, 8},
    };
    for (unsigned i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct fixture f;
        struct str before;
        str_init(&before, 0);
        fixture_start(&f);
        load(&f, 1, 20);
        OK(partition_checkpoint_now(f.p, NULL));
        load(&f, 20, 30);
        OK(partition_checkpoint_now(f.p, NULL));
        load(&f, 30, 35);
        content(&f, &before);
        fixture_close(&f);
        fixture_sh(&f, "rm index.mdb; %s", rows[i].sh);
        same_after(&f, &before, PART_RECOVER_NORMAL);
        assert_in_range(f.report.replayed, rows[i].least, rows[i].most);
        str_fini(&before);
        fixture_stop(&f);
    }
}

static void only_two_checkpoints(void **state)
{
    struct fixture f;
    fixture_start(&f);
    struct part_stats st;
    uint64_t last = 0;
    for (unsigned i = 0; i < 5; i++) {
        load(&f, i * 10 + 1, i * 10 + 5);
        OK(partition_checkpoint_now(f.p, NULL));
        partition_stats(f.p, &st);
        assert_int_equal(st.checkpoint_newest, st.applied_position);
        assert_int_equal(st.checkpoint_older, last);
        last = st.checkpoint_newest;
        fixture_sh(&f, "test $(ls checkpoints | wc -l) -le 2");
    }
    fixture_stop(&f);
}

/* An index older than the log is brought forward; one that is newer than what the log has is not believed. */
static void old_and_new_index(void **state)
{
    struct fixture f;
    struct str before;
    str_init(&before, 0);
    fixture_start(&f);
    load(&f, 1, 10);
    fixture_close(&f);
    fixture_sh(&f, "cp index.mdb old.mdb && cp -r journal journal.old");
    fixture_open(&f);
    fixture_recover(&f, PART_RECOVER_NORMAL);
    load(&f, 10, 20);
    content(&f, &before);
    fixture_close(&f);
    fixture_sh(&f, "cp index.mdb new.mdb && mv old.mdb index.mdb");
    same_after(&f, &before, PART_RECOVER_NORMAL);
    assert_in_range(f.report.replayed, 10, 15);
    fixture_close(&f);

    fixture_sh(&f, "rm -r journal index.mdb && mv journal.old journal && mv new.mdb index.mdb");
    fixture_open(&f);
    fixture_recover(&f, PART_RECOVER_NORMAL);
    assert_int_equal(counter_get(f.p, 9), 9);
    assert_int_equal(counter_get(f.p, 10), INT64_MIN);
    /* What the index knew to be durable and the log has not is a hole, but only until the server went on. */
    assert_true(f.report.damaged > 0);
    struct part_rec rec;
    part_rec_init(&rec);
    op_add(&rec, 77, 1);
    assert_int_equal(apply_now(&f, &rec, NULL).err, MS_ENOTFOUND);
    part_rec_fini(&rec);
    fixture_close(&f);
    fixture_sh(&f, "rm index.mdb");
    fixture_open(&f);
    fixture_recover(&f, PART_RECOVER_NORMAL);
    assert_true(f.report.damaged > 0);
    assert_int_equal(counter_get(f.p, 77), INT64_MIN);
    str_fini(&before);
    fixture_stop(&f);
}

/* -- crashes -------------------------------------------------------------------------------------- */

/* Recovers in a child; 99 when the op of the tests killed it. */
static int recover_in_child(struct fixture *f, bool crash)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct ms_errinfo why = {0};
        test_crash = crash;
        fixture_open(f);
        _exit(partition_recover(f->p, PART_RECOVER_NORMAL, &f->report, &why) ? 1 : 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int append_crash_in_child(struct fixture *f)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct part_rec rec;
        part_rec_init(&rec);
        fixture_open(f);
        fixture_recover(f, PART_RECOVER_NORMAL);
        test_crash = true;
        op_crash(&rec, 1);
        (void)!partition_apply_sync(f->p, &rec, NULL, NULL, NULL);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

static enum ms_err try_recover(struct fixture *f, struct ms_errinfo *why)
{
    fixture_open(f);
    f->report = (struct part_report){0};
    str_init(&f->report.text, 0);
    return partition_recover(f->p, PART_RECOVER_NORMAL, &f->report, why);
}

static void crash_twice(void **state)
{
    struct fixture f;
    struct ms_errinfo why = {0};
    struct part_rec rec;
    fixture_start(&f);
    part_rec_init(&rec);
    load(&f, 1, 3);
    fixture_close(&f);
    assert_int_equal(append_crash_in_child(&f), 99);
    /* Once is forgiven, and forgotten when it works. */
    assert_int_equal(recover_in_child(&f, false), 0);
    fixture_open(&f);
    fixture_recover(&f, PART_RECOVER_NORMAL);
    assert_int_equal(counter_get(f.p, 1), 2);
    fixture_close(&f);
    fixture_sh(&f, "rm index.mdb");
    assert_int_equal(recover_in_child(&f, true), 99); /* much later: the first time again */
    assert_int_equal(recover_in_child(&f, false), 0);

    assert_int_equal(append_crash_in_child(&f), 99);
    assert_int_equal(recover_in_child(&f, true), 99);
    /* The second time it stays closed, whatever the op would do now; what stands before is applied. */
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(try_recover(&f, &why), MS_EOFFLINE);
        assert_non_null(strstr(why.text, "skip-op"));
        fixture_close(&f);
        str_fini(&f.report.text);
    }
    /* Not even by a rebuild. */
    fixture_sh(&f, "rm index.mdb");
    assert_int_equal(try_recover(&f, &why), MS_EOFFLINE);
    OK(partition_skip_op(f.p, 0, &why));
    fixture_recover(&f, PART_RECOVER_NORMAL); /* the same partition goes on */
    assert_int_equal(counter_get(f.p, 1), 2);
    op_add(&rec, 1, 5);
    assert_int_equal(apply_now(&f, &rec, NULL).value, 7);
    fixture_close(&f);
    /* The order is in the log: a rebuild follows it, also with an op that crashes. */
    test_crash = true;
    fixture_sh(&f, "rm -r index.mdb crashmark");
    struct str none;
    str_init(&none, 0);
    fixture_open(&f);
    struct part__crash *c = &f.p->crash;
    assert_false(part__crash_is_fatal(c, &(uint64_t){0}));
    test_crash = false;
    fixture_recover(&f, PART_RECOVER_NORMAL);
    assert_int_equal(counter_get(f.p, 1), 7);
    assert_non_null(strstr(str_cstr(&f.report.text), "skipped"));
    assert_int_equal(partition_skip_op(f.p, 0, &why), MS_ENOTFOUND);
    str_fini(&none);
    part_rec_fini(&rec);
    fixture_stop(&f);
}

/* An op that a good index cannot take is blamed like a crash, after a rebuild was tried. */
static void broken_op(void **state)
{
    struct fixture f;
    struct ms_errinfo why = {0};
    struct part_rec rec;
    fixture_start(&f);
    part_rec_init(&rec);
    load(&f, 1, 5);
    OK(partition_checkpoint_now(f.p, NULL));
    op_broken(&rec);
    test_broken = true;
    assert_int_equal(partition_apply_sync(f.p, &rec, NULL, NULL, &why), MS_EDAMAGED);
    fixture_close(&f);
    str_fini(&f.report.text);
    assert_int_equal(try_recover(&f, &why), MS_EOFFLINE);
    fixture_close(&f);
    str_fini(&f.report.text);
    test_broken = false;
    assert_int_equal(try_recover(&f, &why), MS_EOFFLINE);
    OK(partition_skip_op(f.p, 0, &why));
    fixture_recover(&f, PART_RECOVER_NORMAL);
    assert_int_equal(counter_get(f.p, 4), 4);
    part_rec_fini(&rec);
    fixture_stop(&f);
}

/* A record of another program: closed with a clear message, nothing thrown away. */
static void unknown_op(void **state)
{
    struct fixture f;
    struct ms_errinfo why = {0};
    struct part_rec rec;
    fixture_start(&f);
    part_rec_init(&rec);
    load(&f, 1, 5);
    struct str *op = part_rec_op_begin(&rec, T_ADD, 9);
    str_add_le64(op, 1);
    part_rec_op_end(&rec);
    assert_int_equal(partition_apply_sync(f.p, &rec, NULL, NULL, &why), MS_EVERSION);
    fixture_close(&f);
    str_fini(&f.report.text);
    assert_int_equal(try_recover(&f, &why), MS_EVERSION);
    assert_non_null(strstr(why.text, "version 9"));
    part_rec_fini(&rec);
    fixture_stop(&f);
}

/* Killed at any point of a recovery, the next one comes to the same. */
static void killed_while_recovering(void **state)
{
    struct fixture f;
    struct str before;
    str_init(&before, 0);
    fixture_start(&f);
    load(&f, 1, 60);
    content(&f, &before);
    fixture_close(&f);
    fixture_sh(&f, "rm index.mdb");
    for (unsigned us = 200; us < 20000; us += 1300) {
        pid_t pid = fork();
        if (pid == 0) {
            fixture_open(&f);
            (void)!partition_recover(f.p, PART_REBUILD, &f.report, NULL);
            _exit(0);
        }
        usleep(us);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    same_after(&f, &before, PART_RECOVER_NORMAL);
    assert_null(strstr(str_cstr(&f.report.text), "damaged")); /* what killed recoveries left is no damage */
    struct str log;
    str_init(&log, 0);
    dump_log(f.p, &log);
    assert_null(strstr(str_cstr(&log), "damaged"));
    str_fini(&log);
    str_fini(&before);
    fixture_stop(&f);
}

/* The same log in two folders. */
static void two_folders(void **state)
{
    struct fixture a, b;
    struct str one, two;
    str_init(&one, 0);
    str_init(&two, 0);
    fixture_start(&a);
    load(&a, 1, 80);
    fixture_close(&a);
    b = a;
    str_init(&b.report.text, 0);
    snprintf(b.dir, sizeof(b.dir), "/tmp/test_part.XXXXXX");
    assert_non_null(mkdtemp(b.dir));
    b.conf.dir = b.dir;
    fixture_sh(&a, "cp -r journal %s/", b.dir);
    fixture_open(&a);
    fixture_recover(&a, PART_RECOVER_NORMAL);
    fixture_open(&b);
    fixture_recover(&b, PART_RECOVER_NORMAL);
    dump_index(a.p, &one);
    dump_index(b.p, &two);
    assert_string_equal(str_cstr(&one), str_cstr(&two));
    assert_true(one.len > 5000);
    str_fini(&one);
    str_fini(&two);
    fixture_stop(&b);
    a.conf.dir = a.dir;
    fixture_stop(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_is_made_again),
        cmocka_unit_test(rebuild_by_order),
        cmocka_unit_test(damaged_checkpoints),
        cmocka_unit_test(only_two_checkpoints),
        cmocka_unit_test(old_and_new_index),
        cmocka_unit_test(crash_twice),
        cmocka_unit_test(broken_op),
        cmocka_unit_test(unknown_op),
        cmocka_unit_test(killed_while_recovering),
        cmocka_unit_test(two_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
