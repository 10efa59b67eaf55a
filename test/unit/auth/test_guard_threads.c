/* The guard under many threads (the binary to run with -Db_sanitize=thread): no try is lost, none is
 * looked at too many. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdatomic.h>
#include <stdio.h>
#include <pthread.h>
#include <sched.h>
#include <cmocka.h>

#include "../../../src/auth/auth_guard.h"
#include "ms/auth.h"

#define THREADS 8
#define TRIES   2000

static const struct auth_guard_limits limits = {
    .free = 3, .max = 50, .window_ms = 3600000, .delay_max_ms = 100};
static const struct auth_guard_limits narrow = {
    .free = 2, .max = 2, .window_ms = 3600000, .delay_max_ms = 100};
static struct auth_guard *guard;
static atomic_uint looked, inside;
static atomic_bool is_over;

static enum auth_guard_answer ask(struct auth_guard_try *t)
{
    return auth__guard_begin(guard, &limits, t, limits.delay_max_ms, false, 5000000).answer;
}

/* Until there is a place, and nobody else's failure: refused. */
static bool get_in(struct auth_guard_try *t)
{
    enum auth_guard_answer answer;
    while ((answer = ask(t)) == AUTH_GUARD_QUEUE)
        sched_yield();
    return answer == AUTH_GUARD_GO;
}

static void *guess_one(void *arg)
{
    for (unsigned i = 0; i < TRIES; i++) {
        struct auth_guard_try t;
        auth__guard_key(guard, "192.0.2.1", SLICE_LIT("a@x"), false, &t);
        if (!get_in(&t))
            continue;
        atomic_fetch_add(&looked, 1);
        auth__guard_failure(guard, &limits, &t, 5000000);
    }
    return NULL;
}

/* Right, all of them, of a few accounts from one address; more at once than have a place. */
static void *be_right(void *arg)
{
    unsigned refused = 0;
    for (unsigned i = 0; i < TRIES; i++) {
        struct auth_guard_try t[4];
        unsigned open = 0;
        char login[32];
        for (unsigned k = 0; k < 4; k++) {
            snprintf(login, sizeof login, "u%u@x", (unsigned)(uintptr_t)arg % 3);
            auth__guard_key(guard, k % 2 ? "192.0.2.1" : "192.0.2.2", slice_cstr(login), false, &t[open]);
            enum auth_guard_answer answer =
                auth__guard_begin(guard, &narrow, &t[open], narrow.delay_max_ms, false, 5000000).answer;
            refused += answer == AUTH_GUARD_REFUSED;
            open += answer == AUTH_GUARD_GO;
        }
        if (atomic_fetch_add(&inside, open) + open > 3u * 2u * (unsigned)narrow.max)
            atomic_store(&is_over, true);
        atomic_fetch_sub(&inside, open);
        atomic_fetch_add(&looked, open);
        while (open > 0)
            auth__guard_success(guard, &narrow, &t[--open], 5000000);
    }
    return (void *)(uintptr_t)refused;
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
        refused += !get_in(&own);
        auth__guard_success(guard, &limits, &own, 5000000);
        snprintf(rip, sizeof rip, "10.%u.%u.%u", me, i >> 8, i & 255);
        snprintf(login, sizeof login, "u%u@x", (me + 1 + i % (THREADS - 1)) % THREADS);
        auth__guard_key(guard, rip, slice_cstr(login), false, &other);
        if (get_in(&other))
            auth__guard_failure(guard, &limits, &other, 5000000);
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
    assert_int_equal(atomic_load(&looked), 50);
    auth_guard_destroy(&guard);
}

/* Nobody who is right is refused, however many are at once; and no place is lost. */
static void test_crowd(void **state)
{
    guard = auth_guard_create();
    atomic_store(&looked, 0);
    assert_int_equal(run(be_right), 0);
    assert_true(atomic_load(&looked) > 0);
    assert_false(atomic_load(&is_over));
    for (unsigned i = 0; i < narrow.max + 1; i++) {
        struct auth_guard_try t;
        auth__guard_key(guard, "192.0.2.1", SLICE_LIT("new@x"), false, &t);
        assert_int_equal(auth__guard_begin(guard, &narrow, &t, 0, false, 5000000).answer,
                         i < narrow.max ? AUTH_GUARD_GO : AUTH_GUARD_QUEUE);
    }
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_account), cmocka_unit_test(test_crowd),
                                       cmocka_unit_test(test_owners)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
