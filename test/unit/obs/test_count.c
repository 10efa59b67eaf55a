/* Counters: of living and ended threads, of more threads than there are slots, and read meanwhile. */
#include <pthread.h>
#include <stdatomic.h>

#include "obs_check.h"

#define TURNS 10000

static void *count_main(void *arg)
{
    for (int i = 0; i < TURNS; i++)
        obs_count(MET_LOG_DROPPED, 3);
    return NULL;
}

static void test_ended_threads(void **state)
{
    uint64_t before = obs_counter_get(MET_LOG_DROPPED);

    for (int round = 0; round < 100; round++) { /* slots are used again: more threads than OBS_THREADS_MAX */
        pthread_t threads[3];

        for (int i = 0; i < 3; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, count_main, NULL), 0);
        for (int i = 0; i < 3; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_true(obs_counter_get(MET_LOG_DROPPED) - before == (uint64_t)300 * TURNS * 3);
    obs_count(MET_LOG_DROPPED, 0);
    assert_true(obs_counter_get(MET_LOG_DROPPED) - before == (uint64_t)300 * TURNS * 3);
}

static _Atomic int read_end;

static void *read_main(void *arg)
{
    uint64_t last = 0;

    while (!atomic_load(&read_end)) {
        uint64_t now = obs_counter_get(MET_LOG_DROPPED);

        if (now < last)
            return (void *)1;
        last = now;
    }
    return NULL;
}

/* While threads come and go a sum never goes back: an ended thread's share is neither missing nor doubled. */
static void test_read_meanwhile(void **state)
{
    pthread_t reader, threads[4];
    void *bad;

    assert_int_equal(pthread_create(&reader, NULL, read_main, NULL), 0);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, count_main, NULL), 0);
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    atomic_store(&read_end, 1);
    assert_int_equal(pthread_join(reader, &bad), 0);
    assert_null(bad);
}

static pthread_barrier_t gate;

static void *crowd_main(void *arg)
{
    obs_count(MET_LOG_DROPPED, 1);
    OBS_EVENT(OBS_LOG_DROPPED, 0, OBS_U("n", (uintptr_t)arg));
    pthread_barrier_wait(&gate); /* all at once have used theirs */
    obs_count(MET_LOG_DROPPED, 1);
    pthread_barrier_wait(&gate);
    return NULL;
}

/* Threads without a slot count all the same; their lines are lost and counted. */
static void test_more_threads_than_slots(void **state)
{
    enum { CROWD = OBS_THREADS_MAX + 20 };
    static pthread_t threads[CROWD];
    uint64_t before = obs_counter_get(MET_LOG_DROPPED), lines = 0, dropped;
    int fd = memfd_create("log", MFD_CLOEXEC);
    struct slice rest, line;
    struct str text;

    assert_int_equal(obs_start(fd, OBS_DEBUG, OBS_LOGFMT), MS_OK);
    assert_int_equal(pthread_barrier_init(&gate, NULL, CROWD), 0);
    for (uintptr_t i = 0; i < CROWD; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_main, (void *)i), 0);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    obs_stop();
    str_init(&text, 0);
    check_read_all(fd, &text);
    for (rest = str_slice(&text); slice_cut(&rest, '\n', &line);)
        lines += slice_find(line, SLICE_LIT(" n=")) > 0;
    dropped = obs_counter_get(MET_LOG_DROPPED) - before - 2 * CROWD;
    assert_int_equal(lines + dropped, CROWD);
    assert_in_range(dropped, 20, 22); /* the main thread has a slot, perhaps the log thread too */
    assert_int_equal(pthread_barrier_destroy(&gate), 0);
    /* the slots are free again */
    before = obs_counter_get(MET_LOG_DROPPED);
    assert_int_equal(pthread_create(&threads[0], NULL, count_main, NULL), 0);
    assert_int_equal(pthread_join(threads[0], NULL), 0);
    assert_int_equal(obs_counter_get(MET_LOG_DROPPED) - before, 3 * TURNS);
    str_fini(&text);
    close(fd);
}

static pthread_key_t late_key;

static void late_destructor(void *arg)
{
    obs_count(MET_LOG_DROPPED, 7); /* maybe after the slot was given back */
}

static void *late_main(void *arg)
{
    obs_count(MET_LOG_DROPPED, 1);
    pthread_setspecific(late_key, &late_key);
    return NULL;
}

static void test_count_in_destructor(void **state)
{
    uint64_t before = obs_counter_get(MET_LOG_DROPPED);
    pthread_t thread;

    assert_int_equal(pthread_key_create(&late_key, late_destructor), 0);
    assert_int_equal(pthread_create(&thread, NULL, late_main, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(obs_counter_get(MET_LOG_DROPPED) - before, 8);
    assert_int_equal(pthread_key_delete(late_key), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ended_threads),
        cmocka_unit_test(test_read_meanwhile),
        cmocka_unit_test(test_more_threads_than_slots),
        cmocka_unit_test(test_count_in_destructor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
