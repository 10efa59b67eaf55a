/* The guard under many threads (the binary to run with -Db_sanitize=thread): no try is lost, none is
 * looked at too many. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdatomic.h>
#include <stdio.h>
#include <pthread.h>
#include <cmocka.h>

#include "../../../src/auth/auth_guard.h"
#include "ms/auth.h"

#define THREADS 8
#define TRIES   2000

static const struct auth_guard_limits limits = {
    .free = 3, .max = 50, .window_ms = 3600000, .delay_max_ms = 100};
static struct auth_guard *guard;
static atomic_uint looked;

static void *guess_one(void *arg)
{
    for (unsigned i = 0; i < TRIES; i++) {
        struct auth_guard_try t;
        auth__guard_key(guard, "192.0.2.1", SLICE_LIT("a@x"), false, &t);
        if (!auth__guard_begin(guard, &limits, &t, 5000000).is_refused)
            atomic_fetch_add(&looked, 1);
    }
    return NULL;
}

/* Each thread has a known account of its own, and guesses at all the others between. */
static void *own_and_others(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg, refused = 0;
    for (unsigned i = 0; i < TRIES; i++) {
        struct auth_guard_try own, other;
        char rip[32], login[32];
        snprintf(rip, sizeof rip, "198.51.100.%u", me);
        snprintf(login, sizeof login, "u%u@x", me);
        auth__guard_key(guard, rip, slice_cstr(login), false, &own);
        refused += auth__guard_begin(guard, &limits, &own, 5000000).is_refused;
        auth__guard_success(guard, &limits, &own, 5000000);
        snprintf(rip, sizeof rip, "10.%u.%u.%u", me, i >> 8, i & 255);
        snprintf(login, sizeof login, "u%u@x", (me + 1 + i % (THREADS - 1)) % THREADS);
        auth__guard_key(guard, rip, slice_cstr(login), false, &other);
        (void)auth__guard_begin(guard, &limits, &other, 5000000);
    }
    return (void *)(uintptr_t)refused;
}

static uintptr_t run(void *(*fn)(void *))
{
    pthread_t threads[THREADS];
    uintptr_t sum = 0;
    void *one;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fn, (void *)i), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &one), 0);
        sum += (uintptr_t)one;
    }
    return sum;
}

static void test_one_account(void **state)
{
    guard = auth_guard_create();
    atomic_store(&looked, 0);
    run(guess_one);
    assert_in_range(atomic_load(&looked), 45, 50); /* a try that is being refunded may push out another's */
    auth_guard_destroy(&guard);
}

/* Where an account has logged in before, no number of strangers keeps it out. */
static void test_owners(void **state)
{
    guard = auth_guard_create();
    for (unsigned i = 0; i < THREADS; i++) {
        struct auth_guard_try own;
        char rip[32], login[32];
        snprintf(rip, sizeof rip, "198.51.100.%u", i);
        snprintf(login, sizeof login, "u%u@x", i);
        auth__guard_key(guard, rip, slice_cstr(login), false, &own);
        auth__guard_success(guard, &limits, &own, 5000000);
    }
    assert_int_equal(run(own_and_others), 0);
    auth_guard_destroy(&guard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_account), cmocka_unit_test(test_owners)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
