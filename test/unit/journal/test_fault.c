/*
 * The n-th system call fails: EIO and short writes under the lane, a full disk, every step of a recovery.
 */
#include "journal_fixture.h"

#include <errno.h>
#include <pthread.h>

#include "ms/base/clock.h"

static struct {
    atomic_int armed;     /* calls until the fault, counted on the lane only; 0: none */
    atomic_int error;     /* errno value */
    atomic_bool no_space; /* of every thread: nothing grows */
    atomic_bool dribble;  /* short writes and EINTR */
    atomic_int any;       /* as armed, but any call of any thread counts */
    atomic_uint calls;
} fault;

/* Between tests; the keeper of the rig before may still be at work, so field by field. */
static void fault_reset(void)
{
    atomic_store(&fault.armed, 0);
    atomic_store(&fault.error, 0);
    atomic_store(&fault.no_space, false);
    atomic_store(&fault.dribble, false);
    atomic_store(&fault.any, 0);
    atomic_store(&fault.calls, 0);
}

static bool on_lane(void)
{
    char name[16] = "";
    pthread_getname_np(pthread_self(), name, sizeof(name));
    return strcmp(name, "journal-lane") == 0;
}

static bool hit(atomic_int *counter)
{
    return atomic_load(counter) > 0 && atomic_fetch_sub(counter, 1) == 1;
}

static bool is_due(bool counts_on_lane)
{
    atomic_fetch_add(&fault.calls, 1);
    bool due = hit(&fault.any) || (counts_on_lane && on_lane() && hit(&fault.armed));
    if (due)
        errno = atomic_load(&fault.error);
    return due;
}

static ssize_t f_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    if (is_due(true))
        return -1;
    bool zeros = iov[0].iov_base == journal__zeros;
    if (zeros && atomic_load(&fault.no_space)) {
        errno = ENOSPC;
        return -1;
    }
    if (!atomic_load(&fault.dribble) || zeros)
        return pwritev(fd, iov, count, offset);
    unsigned turn = atomic_fetch_add(&fault.calls, 1);
    if (turn % 7 == 0) {
        errno = EINTR;
        return -1;
    }
    struct iovec cut = *iov; /* at most one piece, and not all of it */
    cut.iov_len = MS_MIN(cut.iov_len, 1 + turn % 977);
    return pwritev(fd, &cut, 1, offset);
}

static int f_fdatasync(int fd)
{
    return is_due(true) ? -1 : fdatasync(fd);
}

static int f_fsync(int fd)
{
    return is_due(false) ? -1 : fsync(fd);
}

static int f_fallocate(int fd, int mode, off_t offset, off_t len)
{
    if (is_due(false))
        return -1;
    if (atomic_load(&fault.no_space)) {
        errno = ENOSPC;
        return -1;
    }
    return fallocate(fd, mode, offset, len);
}

static int f_ftruncate(int fd, off_t len)
{
    return is_due(false) ? -1 : ftruncate(fd, len);
}

static int f_create(int dirfd, const char *name)
{
    return is_due(false) ? -1 : journal__io_real.create(dirfd, name);
}

static int f_unlink(int dirfd, const char *name)
{
    return is_due(false) ? -1 : journal__io_real.unlink(dirfd, name);
}

static const struct journal_io faulty = {
    .pwritev = f_pwritev,
    .fdatasync = f_fdatasync,
    .fsync = f_fsync,
    .fallocate = f_fallocate,
    .ftruncate = f_ftruncate,
    .create = f_create,
    .unlink = f_unlink,
};

/* -- one sender on this thread, an applier that returns at once ------------------------------- */

#define SENT_MAX 400

static struct rig {
    char *dir;
    struct journal *j;
    struct bus *bus;
    struct bus_ep *lane, *sender;
    unsigned sent;
    enum ms_err result[SENT_MAX];
    unsigned answers[SENT_MAX];
    uint64_t position[SENT_MAX];
    unsigned answered;
} rig;

static void on_batch(void *owner, struct journal_batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++)
        MS_ASSERT(batch->entries[i].answered);
    journal_batch_done(rig.j, batch);
}

static void on_answer(void *owner, const struct bus_msg *msg)
{
    MS_ASSERT(msg->id < SENT_MAX);
    rig.result[msg->id] = (enum ms_err)msg->a[0];
    rig.position[msg->id] = msg->a[1];
    rig.answers[msg->id]++;
    rig.answered++;
}

static void rig_start(void)
{
    struct ms_errinfo why;
    memset(&rig, 0, sizeof(rig));
    fault_reset();
    journal__io = &faulty;
    rig.dir = fx_dir();
    rig.j = fx_recovered(rig.dir, 0);
    rig.bus = bus_create();
    rig.lane = bus_ep_create(rig.bus, "lane", NULL);
    rig.sender = bus_ep_create(rig.bus, "sender", NULL);
    bus_link(rig.bus, rig.sender, rig.lane, 256);
    bus_on(rig.sender, JOURNAL_MSG_APPENDED, on_answer, &rig);
    if (journal_start(rig.j, rig.bus, rig.lane, on_batch, NULL, &why) != MS_OK)
        fail_msg("start: %s", why.text);
}

static void rig_fini(void)
{
    fault_reset();
    journal_close(&rig.j);
    bus_destroy(&rig.bus);
    fx_remove(&rig.dir);
    journal__io = &journal__io_real;
}

static void post(size_t len, uint16_t flags)
{
    uint32_t crc;
    struct bus_msg msg = {.kind = JOURNAL_MSG_APPEND, .flags = flags, .id = rig.sent};
    msg.body = fx_body(len, rig.sent + 1, &crc);
    msg.a[0] = JOURNAL_REC_USER | 1u << 16;
    msg.a[1] = crc;
    msg.a[2] = len;
    assert_int_equal(bus_call(rig.sender, rig.lane, &msg), MS_OK);
    rig.sent++;
}

static void wait_all(void)
{
    uint64_t until = clock_mono_ms() + 20000;
    while (rig.answered < rig.sent && clock_mono_ms() < until) {
        if (bus_poll(rig.sender) == 0)
            bus_wait(rig.sender, 100);
    }
    assert_int_equal(rig.answered, rig.sent);
}

static enum ms_err ask(size_t len, uint16_t flags)
{
    post(len, flags | JOURNAL_F_ACK_DURABLE);
    wait_all();
    return rig.result[rig.sent - 1];
}

static struct fx_log seen;

/* Everything that was answered MS_OK is in the log, at the place named; nothing refused is. */
static void check_log(void)
{
    fault_reset();
    journal_close(&rig.j);
    rig.j = fx_recovered(rig.dir, 0);
    fx_replay(rig.j, 0, &seen);
    assert_int_equal(seen.damage_count, 0);
    for (unsigned i = 0; i < rig.sent; i++) {
        const struct fx_record *r = fx_find(&seen, i + 1);
        assert_int_equal(rig.answers[i], 1);
        if (rig.result[i] == MS_OK) {
            assert_non_null(r);
            assert_int_equal(r->position, rig.position[i]);
        } else if (rig.result[i] != MS_EUNKNOWN) {
            assert_null(r);
        }
    }
}

static void write_or_flush_fails(void **state)
{
    for (int n = 1; n <= 12; n++) {
        unsigned count[MS_ERR_COUNT] = {0};
        rig_start();
        atomic_store(&fault.error, n % 3 ? EIO : ENOSPC);
        atomic_store(&fault.armed, n);
        for (unsigned i = 0; i < 10; i++) {
            enum ms_err err = ask(700 + i, 0);
            count[err]++;
            /* Once failed, failed: nothing is taken any more (rule 1.7). */
            enum ms_err want = (int)i * 2 + 2 < n                              ? MS_OK
                               : count[MS_EUNKNOWN] == 0 || err == MS_EUNKNOWN ? MS_EUNKNOWN
                                                                               : MS_EOFFLINE;
            assert_int_equal(err, want);
        }
        assert_int_equal(count[MS_EUNKNOWN], 1);
        assert_int_equal(journal_state(rig.j), JOURNAL_FAILED);
        check_log();
        rig_fini();
    }
}

/* A whole burst of requests, parts and visible ones among them: all answered once. */
static void burst_fails(void **state)
{
    for (int n = 1; n <= 4; n++) {
        bool unknown = false, refused = false;
        rig_start();
        atomic_store(&fault.error, EIO);
        atomic_store(&fault.armed, n);
        for (unsigned i = 0; i < 100; i++)
            post(20000, JOURNAL_F_ACK_DURABLE); /* two batches at least */
        wait_all();
        for (unsigned i = 0; i < rig.sent; i++) {
            /* OK..., then unknown..., then refused... */
            assert_true(rig.result[i] != MS_OK || (!unknown && !refused));
            assert_true(rig.result[i] != MS_EUNKNOWN || !refused);
            unknown = unknown || rig.result[i] == MS_EUNKNOWN;
            refused = refused || rig.result[i] == MS_EOFFLINE;
        }
        assert_true(unknown);
        check_log();
        rig_fini();
    }
}

static void short_writes(void **state)
{
    rig_start();
    atomic_store(&fault.dribble, true);
    for (unsigned i = 0; i < 60; i++)
        post(i % 9 ? 900 : 30000, JOURNAL_F_ACK_DURABLE);
    wait_all();
    for (unsigned i = 0; i < rig.sent; i++)
        assert_int_equal(rig.result[i], MS_OK);
    check_log();
    rig_fini();
}

static unsigned wait_ready(unsigned want)
{
    struct journal_stats stats;
    uint64_t until = clock_mono_ms() + 20000;
    do {
        usleep(5000);
        journal_stats(rig.j, &stats);
    } while (stats.prepared_ready < want && clock_mono_ms() < until);
    return (unsigned)stats.prepared_ready;
}

static void disk_full(void **state)
{
    const size_t big = 1500000; /* two fit into a segment */
    rig_start();
    assert_int_equal(wait_ready(3), 3);
    atomic_store(&fault.no_space, true);
    unsigned taken = 0;
    while (taken < 20 && ask(big, 0) == MS_OK)
        taken++;
    assert_int_equal(rig.result[rig.sent - 1], MS_ENOSPC);
    assert_int_equal(taken, 4); /* the first segment is left at once for a written one: two of those */
    assert_int_equal(ask(100, 0), MS_OK);                /* the current segment has room of its own */
    assert_int_equal(ask(big, JOURNAL_F_RELIEF), MS_OK); /* opens the reserve */
    assert_int_equal(ask(100, 0), MS_ENOSPC);            /* which is not for everybody */
    assert_int_equal(ask(100, JOURNAL_F_RELIEF), MS_OK);
    assert_int_equal(ask(big, JOURNAL_F_RELIEF), MS_OK);
    assert_int_equal(ask(big, JOURNAL_F_RELIEF), MS_ENOSPC); /* that was all */
    assert_int_equal(journal_state(rig.j), JOURNAL_SERVING);
    atomic_store(&fault.no_space, false);
    assert_true(wait_ready(1) >= 1);
    assert_int_equal(ask(big, 0), MS_OK);
    check_log();
    rig_fini();
}

/* No spare is ready and none can be made: refused, before anything was written. */
static void disk_full_from_the_start(void **state)
{
    rig_start();
    atomic_store(&fault.no_space, true);
    enum ms_err err = MS_OK;
    while (rig.sent < 30 && err == MS_OK)
        err = ask(1000000, 0);
    assert_int_equal(err, MS_ENOSPC);
    assert_int_equal(journal_state(rig.j), JOURNAL_SERVING);
    check_log();
    rig_fini();
}

/* Every call of a recovery fails once; the next start finds everything. */
static void recovery_fails(void **state)
{
    static struct fx_log wrote;
    struct ms_errinfo why;
    char *dir = fx_dir();
    bool done = false;
    unsigned failures = 0;
    fault_reset();
    wrote.count = 0;
    journal__io = &faulty;
    struct journal *j = fx_recovered(dir, 0);
    size_t lens[3] = {5000, 60, 900};
    for (unsigned i = 0; i < 20; i++)
        assert_true(fx_batch(j, lens, 3, 1 + 3 * i, &wrote));
    journal_close(&j);
    for (int n = 1; n < 50 && !done; n++) {
        j = fx_open(dir);
        atomic_store(&fault.error, n % 2 ? EIO : ENOSPC);
        atomic_store(&fault.any, n);
        enum ms_err err = journal_recover(j, 0, NULL, NULL, &why);
        done = err == MS_OK && atomic_load(&fault.any) > 0;
        failures += err != MS_OK;
        atomic_store(&fault.any, 0);
        assert_true(err == MS_OK || journal_state(j) == JOURNAL_FAILED);
        journal_close(&j);
        j = fx_open(dir); /* read only */
        fx_replay(j, 0, &seen);
        assert_int_equal(seen.damage_count, 0);
        for (size_t i = 0; i < wrote.count; i++) {
            const struct fx_record *r = fx_find(&seen, wrote.records[i].id);
            assert_true(r != NULL && r->position == wrote.records[i].position);
        }
        journal_close(&j);
    }
    assert_true(done && failures >= 4);
    journal__io = &journal__io_real;
    fx_remove(&dir);
}

static void append_sync_fails(void **state)
{
    struct ms_errinfo why;
    struct journal_mark mark;
    char *dir = fx_dir();
    fault_reset();
    journal__io = &faulty;
    struct journal *j = fx_recovered(dir, 0);
    atomic_store(&fault.error, EIO);
    atomic_store(&fault.any, 2);
    assert_int_equal(journal_append_sync(j, 16, 1, SLICE_LIT("x"), &mark, &why), MS_EIO);
    assert_int_equal(journal_append_sync(j, 16, 1, SLICE_LIT("x"), &mark, &why), MS_EOFFLINE);
    assert_int_equal(journal_state(j), JOURNAL_FAILED);
    journal_close(&j);
    journal__io = &journal__io_real;
    fx_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_or_flush_fails),
        cmocka_unit_test(burst_fails),
        cmocka_unit_test(short_writes),
        cmocka_unit_test(disk_full),
        cmocka_unit_test(disk_full_from_the_start),
        cmocka_unit_test(recovery_fails),
        cmocka_unit_test(append_sync_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
