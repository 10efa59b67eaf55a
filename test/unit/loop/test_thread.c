/* Loops on threads of their own: start, wake-ups from many threads, stop, signals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "ms/loop.h"

#define THREADS 3
#define PUSHES  20000

struct counter {
    atomic_uint pushed; /* "the ring": pushes not yet seen */
    atomic_uint seen;
    struct loop *loop;
    atomic_bool signals_blocked;
};

static void on_wake(void *owner)
{
    struct counter *c = owner;
    sigset_t set;

    assert_true(loop_is_home(c->loop));
    assert_ptr_equal(loop_current(), c->loop);
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    atomic_store(&c->signals_blocked, sigismember(&set, SIGTERM) == 1 && sigismember(&set, SIGHUP) == 1);
    atomic_fetch_add(&c->seen, atomic_exchange(&c->pushed, 0));
}

static void *pusher(void *arg)
{
    struct counter *c = arg;

    assert_false(loop_is_home(c->loop));
    for (int i = 0; i < PUSHES; i++) {
        atomic_fetch_add(&c->pushed, 1);
        loop_wake(c->loop);
    }
    return NULL;
}

/* No push may stay unseen once the last wake-up was answered. */
static void test_wake_stress(void **state)
{
    struct counter c = {.loop = loop_create(1, "loop1")};
    pthread_t ids[THREADS];

    loop_on_wake(c.loop, on_wake, &c);
    assert_int_equal(loop_start(c.loop, NULL), MS_OK);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&ids[i], NULL, pusher, &c), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    while (atomic_load(&c.seen) != THREADS * PUSHES)
        sched_yield(); /* a lost wake-up hangs here until the test's time is over */
    assert_true(atomic_load(&c.signals_blocked));
    loop_stop(c.loop);
    loop_join(c.loop);
    assert_true(loop_is_home(c.loop)); /* not running: anybody's */
    loop_destroy(&c.loop);
}

static void test_nudge_completes_a_turn(void **state)
{
    struct loop *loop = loop_create(1, "loop1");

    assert_int_equal(loop_start(loop, NULL), MS_OK);
    for (int i = 0; i < 500; i++) {
        uint64_t turns = loop_turns(loop);
        loop_nudge(loop);
        while (loop_turns(loop) == turns)
            sched_yield();
    }
    loop_stop(loop);
    loop_join(loop);
    loop_destroy(&loop);
}

/* Stop before, while and after the thread gets going; then the same loop again. */
static void test_start_stop(void **state)
{
    struct loop *loop = loop_create(1, "loop1");

    for (int i = 0; i < 200; i++) {
        assert_int_equal(loop_start(loop, NULL), MS_OK);
        for (int spin = 0; spin < i * 50; spin++)
            (void)loop_turns(loop);
        loop_stop(loop);
        loop_join(loop);
    }
    loop_join(loop); /* nothing to wait for: allowed */
    loop_destroy(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wake_stress),
        cmocka_unit_test(test_nudge_completes_a_turn),
        cmocka_unit_test(test_start_stop),
    };
    return cmocka_run_group_tests_name("loop thread", tests, NULL, NULL);
}
