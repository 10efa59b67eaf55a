/* An index that cannot be written, a disk that is full, an index that turns out damaged: nothing durable is
 * ever refused. */
#include "part_live.h"

#include <sys/stat.h>

#include "../../../src/db/db_priv.h"

static off_t file_size(struct fixture *f, const char *name)
{
    char path[160];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    return stat(path, &st) ? -1 : st.st_size;
}

struct posted {
    struct part_rec rec;
    struct answer a;
};

static void post_it(struct live *l, unsigned loop, void *arg);

static void on_posted(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct posted *p = owner;
    p->a.err = reply->err;
    p->a.result_len = MS_MIN(reply->result.len, sizeof(p->a.result));
    if (p->a.result_len)
        memcpy(p->a.result, reply->result.ptr, p->a.result_len);
    sem_post(&p->a.done);
}

static void post_it(struct live *l, unsigned loop, void *arg)
{
    struct posted *p = arg;
    uint64_t request;
    p->a.err = part_post(l->clients[loop], &p->rec, on_posted, p, &request);
    if (p->a.err)
        sem_post(&p->a.done);
}

static void posted_begin(struct live *l, struct posted *p, unsigned loop)
{
    sem_init(&p->a.done, 0, 0);
    live_run(l, loop, post_it, p);
}

static enum ms_err posted_wait(struct posted *p)
{
    while (sem_wait(&p->a.done))
        ;
    part_rec_fini(&p->rec);
    return p->a.err;
}

static void wait_admission(struct live *l, enum ms_err want)
{
    struct part_rec rec;
    struct answer a;
    part_rec_init(&rec);
    for (unsigned i = 0; i < 3000; i++) {
        op_make(&rec, 999);
        rec.ack_durable = true;
        live_post(l, 1, &rec, &a);
        if (a.err == want)
            break;
        usleep(1000);
    }
    assert_int_equal(a.err, want);
    part_rec_fini(&rec);
}

/* The applier closes admission before it gives the ballast up, and a thread of its own makes it again. */
static void wait_ballast(struct fixture *f, uint64_t want, bool housekeep)
{
    for (unsigned n = 0; n < 1000 && file_size(f, "ballast") != want; n++) {
        if (housekeep)
            partition_housekeep(f->p);
        usleep(10000);
    }
    assert_int_equal(file_size(f, "ballast"), want);
}

/* The commit fails again and again, then works: who waited gets the ordinary answer, who came meanwhile was
 * told. */
static void commit_fails_and_works(void **state)
{
    static const struct {
        enum ms_err err, refusal;
        bool put;
    } rows[] = {{MS_ENOSPC, MS_ENOSPC, false},
                {MS_EIO, MS_EOFFLINE, false},
                {MS_ENOSPC, MS_ENOSPC, true},
                {MS_EIO, MS_EOFFLINE, true}};
    for (unsigned i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct fixture f;
        struct live l;
        struct part_rec rec;
        static struct posted waiting[10];
        fixture_start(&f);
        live_start(&l, &f);
        assert_int_equal(file_size(&f, "ballast"), f.conf.ballast_bytes);
        part_rec_init(&rec);
        op_make(&rec, 1);
        OK(live_one(&l, 0, &rec).err);
        db__fault.err = rows[i].err;
        atomic_store(rows[i].put ? &db__fault.puts_left : &db__fault.commits_left, 1 << 30);
        for (unsigned n = 0; n < 10; n++) {
            part_rec_init(&waiting[n].rec);
            op_add(&waiting[n].rec, 1, 1);
            posted_begin(&l, &waiting[n], n % 2);
        }
        wait_admission(&l, rows[i].refusal);
        if (rows[i].err == MS_ENOSPC)
            wait_ballast(&f, 0, false);
        assert_int_equal(counter_get(f.p, 1), 0); /* reading goes on */
        atomic_store(&db__fault.puts_left, 0);
        atomic_store(&db__fault.commits_left, 0);
        unsigned sum = 0;
        for (unsigned n = 0; n < 10; n++) {
            enum ms_err err = posted_wait(&waiting[n]);
            assert_true(err == MS_OK || err == rows[i].refusal); /* refused before it was written */
            sum += err == MS_OK;
        }
        assert_true(sum > 0);
        wait_admission(&l, MS_OK);
        op_add(&rec, 1, 1);
        assert_int_equal(live_one(&l, 0, &rec).value, sum + 1); /* once each */
        wait_ballast(&f, f.conf.ballast_bytes, true);
        part_rec_fini(&rec);
        live_stop(&l);
        fixture_stop(&f);
    }
}

/* Stopped in the middle of it: what is durable is applied by the next start. */
static void stopped_in_trouble(void **state)
{
    struct fixture f;
    struct live l;
    static struct posted waiting[4];
    fixture_start(&f);
    struct part_rec rec;
    part_rec_init(&rec);
    op_make(&rec, 1);
    OK(apply_now(&f, &rec, NULL).err);
    live_start(&l, &f);
    db__fault.err = MS_EIO;
    atomic_store(&db__fault.commits_left, 1 << 30);
    uint64_t end = journal_end_pos(f.p->journal);
    for (unsigned n = 0; n < 4; n++) {
        part_rec_init(&waiting[n].rec);
        op_add(&waiting[n].rec, 1, 1);
        waiting[n].rec.ack_durable = n == 3;
        posted_begin(&l, &waiting[n], 0);
    }
    for (unsigned i = 0; i < 2000 && journal_end_pos(f.p->journal) == end; i++)
        usleep(1000);
    partition_stop(f.p);
    atomic_store(&db__fault.commits_left, 0);
    unsigned unknown = 0, refused = 0, durable = 0;
    for (unsigned n = 0; n < 4; n++) {
        enum ms_err err = posted_wait(&waiting[n]);
        unknown += err == MS_EUNKNOWN;
        refused += err == MS_EOFFLINE;
        durable += err == MS_OK;
    }
    assert_int_equal(unknown + refused + durable, 4);
    assert_true(unknown + durable > 0);
    live_stop(&l);
    fixture_open(&f);
    fixture_recover(&f, PART_RECOVER_NORMAL);
    assert_int_equal(counter_get(f.p, 1), unknown + durable);
    part_rec_fini(&rec);
    fixture_stop(&f);
}

/* The index is found damaged while serving. */
static void damaged_while_serving(void **state)
{
    struct fixture f;
    struct live l;
    struct part_rec rec;
    struct answer a;
    fixture_start(&f);
    live_start(&l, &f);
    part_rec_init(&rec);
    op_make(&rec, 1);
    OK(live_one(&l, 0, &rec).err);
    test_broken = true;
    op_broken(&rec);
    live_post(&l, 0, &rec, &a);
    assert_int_equal(a.err, MS_EUNKNOWN);
    test_broken = false;
    for (unsigned i = 0; i < 1000 && partition_is_serving(f.p); i++)
        usleep(1000);
    assert_false(partition_is_serving(f.p));
    op_add(&rec, 1, 1);
    live_post(&l, 0, &rec, &a);
    assert_int_equal(a.err, MS_EOFFLINE);
    assert_int_equal(counter_get(f.p, 1), 0); /* reading goes on */
    struct ms_errinfo why;
    assert_int_equal(partition_checkpoint_now(f.p, &why), MS_EOFFLINE);
    live_stop(&l);
    fixture_open(&f);
    fixture_recover(&f, PART_RECOVER_NORMAL);
    assert_true(f.report.replayed >= 2); /* made again */
    assert_int_equal(counter_get(f.p, 1), 0);
    fixture_restart(&f);
    assert_true(f.report.replayed < 2);
    part_rec_fini(&rec);
    fixture_stop(&f);
}

static void little_space(void **state)
{
    struct fixture f;
    struct live l;
    struct part_rec rec;
    struct answer a;
    fixture_start(&f);
    f.conf.min_free_bytes = (uint64_t)1 << 60;
    fixture_restart(&f);
    live_start(&l, &f);
    part_rec_init(&rec);
    op_make(&rec, 1);
    live_post(&l, 0, &rec, &a);
    assert_int_equal(a.err, MS_ENOSPC);
    rec.relief = true; /* the same record, as a draining one */
    live_post(&l, 0, &rec, &a);
    OK(a.err);
    part_rec_fini(&rec);
    live_stop(&l);
    fixture_stop(&f);
}

/* A checkpoint that cannot be made leaves the old ones and no litter. */
static void checkpoint_fails(void **state)
{
    struct fixture f;
    struct ms_errinfo why = {0};
    struct part_rec rec;
    fixture_start(&f);
    part_rec_init(&rec);
    op_make(&rec, 1);
    OK(apply_now(&f, &rec, NULL).err);
    OK(partition_checkpoint_now(f.p, &why));
    fixture_sh(&f, "mv checkpoints kept && touch checkpoints");
    assert_int_not_equal(partition_checkpoint_now(f.p, &why), MS_OK);
    assert_true(why.text[0] != 0);
    fixture_sh(&f, "rm checkpoints && mv kept checkpoints && mkdir checkpoints/tmp.mdb");
    assert_int_not_equal(partition_checkpoint_now(f.p, &why), MS_OK);
    fixture_sh(&f, "rmdir checkpoints/tmp.mdb; test $(ls checkpoints | wc -l) = 1");
    op_make(&rec, 2);
    OK(apply_now(&f, &rec, NULL).err);
    OK(partition_checkpoint_now(f.p, &why));
    fixture_sh(&f, "test $(ls checkpoints | wc -l) = 2");
    part_rec_fini(&rec);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commit_fails_and_works), cmocka_unit_test(stopped_in_trouble),
        cmocka_unit_test(damaged_while_serving),  cmocka_unit_test(little_space),
        cmocka_unit_test(checkpoint_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
