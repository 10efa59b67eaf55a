/* The log thread: lines arrive whole, in order, all of them or counted; stopping drains; a dead reader delays
 * nothing. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "obs_check.h"

#include "ms/base/clock.h"

#define THREADS 6
#define LINES   4000

static int file_new(void)
{
    int fd = memfd_create("log", MFD_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void emit(uint64_t session, uint64_t n)
{
    OBS_EVENT(OBS_LOG_DROPPED, session, OBS_C("text", "some words"), OBS_U("n", n));
}

/* What came of the numbered lines of up to THREADS sessions. */
struct tally {
    uint64_t next[THREADS + 1]; /* the smallest number that may come next */
    uint64_t got;
    uint64_t told_lost; /* sum of log.dropped reports */
};

static void tally_line(struct tally *t, struct slice line)
{
    uint64_t session, n;

    if (slice_find(line, SLICE_LIT(" n=")) < 0) {
        t->told_lost += check_number(line, " lines=");
        return;
    }
    session = check_number(line, " trace=0-");
    n = check_number(line, " n=");
    assert_in_range(session, 1, THREADS);
    assert_true(n >= t->next[session]);
    t->next[session] = n + 1;
    t->got++;
    /* whole: begins and ends as it must, nothing else between */
    assert_true(slice_has_prefix(line, SLICE_LIT("ts=20")));
    assert_int_equal(slice_find(slice_sub(line, 1, SIZE_MAX), SLICE_LIT("ts=")), -1);
    assert_int_equal(slice_find(line, SLICE_LIT("level=warning event=log.dropped trace=0-")),
                     strlen("ts=2026-11-22T18:40:00.123456Z "));
    assert_true(slice_find(line, SLICE_LIT(" text=\"some words\" n=")) > 0);
}

static void tally_text(struct tally *t, struct slice text)
{
    struct slice line;

    *t = (struct tally){0};
    while (slice_cut(&text, '\n', &line))
        tally_line(t, line);
    assert_int_equal(text.len, 0);
}

static void tally_file(struct tally *t, int fd)
{
    struct str text;

    str_init(&text, 0);
    check_read_all(fd, &text);
    tally_text(t, str_slice(&text));
    str_fini(&text);
}

static void *emit_main(void *arg)
{
    uint64_t session = (uintptr_t)arg;

    for (uint64_t n = 0; n < LINES; n++) {
        emit(session, n);
        if (n % 64 == 63)
            nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    return NULL;
}

/* Threads end before, while and after the log thread reads their rings. */
static void test_threads(void **state)
{
    pthread_t threads[THREADS];
    uint64_t dropped = obs_counter_get(MET_LOG_DROPPED);
    struct tally t;
    int fd = file_new();

    assert_int_equal(obs_start(fd, OBS_DEBUG, OBS_LOGFMT), MS_OK);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, emit_main, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    obs_stop();
    dropped = obs_counter_get(MET_LOG_DROPPED) - dropped;
    tally_file(&t, fd);
    assert_int_equal(t.got + dropped, THREADS * LINES);
    assert_int_equal(t.told_lost, dropped);
    assert_true(t.got > LINES);
    close(fd);
}

static void test_stop_drains(void **state)
{
    for (uint64_t lines = 0; lines < 200; lines += 33) {
        struct tally t;
        int fd = file_new();

        assert_int_equal(obs_start(fd, OBS_DEBUG, OBS_LOGFMT), MS_OK);
        for (uint64_t n = 0; n < lines; n++)
            emit(1, n);
        obs_stop();
        tally_file(&t, fd);
        assert_int_equal(t.got, lines);
        assert_int_equal(t.told_lost, 0);
        close(fd);
    }
}

static void pipe_full(int ends[2])
{
    uint8_t blanks[4096];

    memset(blanks, '.', sizeof(blanks));
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    while (write(ends[1], blanks, sizeof(blanks)) > 0 || write(ends[1], blanks, 1) > 0)
        ;
}

static void pipe_read(int fd, struct str *out, int wait_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint8_t block[4096];

    while (poll(&p, 1, wait_ms) > 0) {
        ssize_t n = read(fd, block, sizeof(block));

        if (n <= 0)
            return;
        for (ssize_t i = 0; i < n; i++)
            if (block[i] != '.' || out->len) /* the filling comes first */
                str_add_byte(out, block[i]);
    }
}

/* Nobody reads: the ring fills, lines are dropped and counted, emitting goes on at once. Then the reader
 * comes back: what is missing is exactly what the reports name. */
static void test_overflow(void **state)
{
    uint64_t before = obs_counter_get(MET_LOG_DROPPED), begin, dropped;
    struct tally t;
    struct str text;
    int ends[2];

    str_init(&text, 0);
    pipe_full(ends);
    assert_int_equal(obs_start(ends[1], OBS_DEBUG, OBS_LOGFMT), MS_OK);
    begin = clock_mono_ms();
    for (uint64_t n = 0; n < LINES; n++)
        emit(1, n);
    assert_true(clock_mono_ms() - begin < 1500);
    assert_true(obs_counter_get(MET_LOG_DROPPED) - before > LINES / 4);
    pipe_read(ends[0], &text, 300);
    emit(1, LINES);
    pipe_read(ends[0], &text, 1500);
    obs_stop();
    pipe_read(ends[0], &text, 0);
    dropped = obs_counter_get(MET_LOG_DROPPED) - before;
    tally_text(&t, str_slice(&text));
    assert_true(t.got > 100);
    assert_int_equal(t.got + dropped, LINES + 1);
    assert_int_equal(t.told_lost, dropped);
    close(ends[0]);
    close(ends[1]);
    str_fini(&text);
}

/* The descriptor blocks and its reader is gone for good: stopping still ends. */
static void test_dead_reader(void **state)
{
    uint64_t before = obs_counter_get(MET_LOG_DROPPED), begin = clock_mono_ms();
    int ends[2];

    pipe_full(ends);
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
    assert_int_equal(obs_start(ends[1], OBS_DEBUG, OBS_LOGFMT), MS_OK);
    for (uint64_t n = 0; n < 100; n++)
        emit(1, n);
    obs_stop();
    assert_true(clock_mono_ms() - begin < 20000);
    assert_int_equal(obs_counter_get(MET_LOG_DROPPED) - before, 100);
    close(ends[0]);
    close(ends[1]);
}

static void test_bad_descriptor(void **state)
{
    uint64_t before = obs_counter_get(MET_LOG_DROPPED);
    int fd = file_new(), full = open("/dev/full", O_WRONLY | O_CLOEXEC);

    close(fd);
    assert_int_equal(obs_start(fd, OBS_DEBUG, OBS_LOGFMT), MS_OK);
    emit(1, 0);
    obs_stop();
    assert_int_equal(obs_counter_get(MET_LOG_DROPPED) - before, 1);
    assert_true(full >= 0);
    assert_int_equal(obs_start(full, OBS_DEBUG, OBS_LOGFMT), MS_OK);
    emit(1, 0);
    emit(1, 1);
    obs_stop();
    assert_int_equal(obs_counter_get(MET_LOG_DROPPED) - before, 3);
    close(full);
}

/* Lines that could not be written are told by the next log thread that can write. */
static void test_loss_is_told_later(void **state)
{
    struct tally t;
    int fd = file_new();

    assert_int_equal(obs_start(fd, OBS_DEBUG, OBS_LOGFMT), MS_OK);
    obs_stop();
    tally_file(&t, fd);
    assert_int_equal(t.told_lost, 100 + 3); /* of the two tests before */
    close(fd);
}

static void test_levels(void **state)
{
    struct tally t;
    struct str text;
    int fd = file_new();

    assert_int_equal(obs_start(fd, OBS_ERROR, OBS_LOGFMT), MS_OK);
    assert_int_equal(obs_start(fd, OBS_ERROR, OBS_LOGFMT), MS_EEXIST);
    emit(1, 0);
    obs_set_level(OBS_WARNING, OBS_LOGFMT);
    emit(1, 1);
    obs_set_level(OBS_ERROR, OBS_LOGFMT);
    emit(1, 2);
    obs_set_level(OBS_DEBUG, OBS_LOGFMT);
    emit(1, 3);
    obs_stop();
    obs_stop();
    tally_file(&t, fd);
    assert_int_equal(t.got, 2);
    assert_int_equal(t.next[1], 4);
    assert_int_equal(ftruncate(fd, 0), 0);
    lseek(fd, 0, SEEK_SET);
    assert_int_equal(obs_start(fd, OBS_DEBUG, OBS_JSON), MS_OK);
    OBS_EVENT0(OBS_LOG_DROPPED, 5);
    obs_stop();
    str_init(&text, 0);
    check_read_all(fd, &text);
    assert_true(
        slice_has_suffix(str_slice(&text), SLICE_LIT("\"event\":\"log.dropped\",\"trace\":\"0-5\"}\n")));
    str_fini(&text);
    close(fd);
}

/* Without a log thread lines go to standard error themselves. */
static void test_direct(void **state)
{
    int saved = dup(STDERR_FILENO), fd = file_new();
    struct tally t;

    obs_set_level(OBS_DEBUG, OBS_LOGFMT);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    emit(1, 0);
    emit(2, 0);
    obs_set_level(OBS_ERROR, OBS_LOGFMT);
    emit(2, 1);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    tally_file(&t, fd);
    assert_int_equal(t.got, 2);
    close(fd);
    close(saved);
}

static _Atomic int race_end;

static void *race_main(void *arg)
{
    uint64_t session = (uintptr_t)arg, n = 0;

    while (!atomic_load(&race_end))
        emit(session, n++);
    return (void *)(uintptr_t)n;
}

/* Start and stop under fire, both sinks on one file: each line is in it once, or counted. */
static void test_start_stop_race(void **state)
{
    uint64_t before = obs_counter_get(MET_LOG_DROPPED), emitted = 0;
    int saved = dup(STDERR_FILENO), fd = memfd_create("log", MFD_CLOEXEC);
    pthread_t threads[3];
    struct str text;
    uint64_t got = 0;
    struct slice rest, line;

    assert_int_equal(fcntl(fd, F_SETFL, O_APPEND), 0);
    obs_set_level(OBS_DEBUG, OBS_LOGFMT);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    for (uintptr_t i = 0; i < MS_ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race_main, (void *)(i + 1)), 0);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(obs_start(fd, OBS_DEBUG, OBS_LOGFMT), MS_OK);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        obs_stop();
    }
    atomic_store(&race_end, 1);
    for (size_t i = 0; i < MS_ARRAY_LEN(threads); i++) {
        void *n;

        assert_int_equal(pthread_join(threads[i], &n), 0);
        emitted += (uintptr_t)n;
    }
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    str_init(&text, 0);
    check_read_all(fd, &text);
    for (rest = str_slice(&text); slice_cut(&rest, '\n', &line);)
        got += slice_find(line, SLICE_LIT(" n=")) > 0;
    assert_int_equal(got + obs_counter_get(MET_LOG_DROPPED) - before, emitted);
    str_fini(&text);
    close(fd);
    close(saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),         cmocka_unit_test(test_stop_drains),
        cmocka_unit_test(test_overflow),        cmocka_unit_test(test_dead_reader),
        cmocka_unit_test(test_bad_descriptor),  cmocka_unit_test(test_loss_is_told_later),
        cmocka_unit_test(test_levels),          cmocka_unit_test(test_direct),
        cmocka_unit_test(test_start_stop_race),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
