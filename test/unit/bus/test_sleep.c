/*
 * Sleeping and waking: one message at a time to and fro, so that both sides sleep all the time, with and
 * without a pause that moves the push around in the window between the last look and the wait. A lost wake-up
 * hangs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "ms/base/clock.h"
#include "ms/bus.h"
#include "ms/obs.h"

#define ROUNDS 30000

#define K_PING BUS_KIND(3, 4, 1)
#define K_PONG BUS_KIND(3, 4, 2)

static struct bus_ep *left, *right;
static atomic_bool ends;
static unsigned pongs;
static unsigned spin_seed = 1;

static void pause_a_little(void)
{
    spin_seed = spin_seed * 1103515245 + 12345;
    for (volatile unsigned i = spin_seed >> 16 & 0x3ff; i > 0; i--)
        ;
}

static void on_ping(void *owner, const struct bus_msg *msg)
{
    struct bus_msg pong = {.kind = K_PONG, .id = msg->id};
    bus_reply(right, right, msg->from, &pong);
}

static void on_pong(void *owner, const struct bus_msg *msg)
{
    pongs++;
}

static void *plain_main(void *arg)
{
    while (!atomic_load(&ends)) {
        if (bus_poll(right) == 0)
            bus_wait(right, -1);
    }
    return NULL;
}

static void wait_for_pong(unsigned i)
{
    uint64_t begin = clock_mono_ms();

    while (pongs == i) {
        if (bus_poll(left) > 0)
            continue;
        if (i % 2 == 0)
            bus_wait(left, 10000);
        assert_true(clock_mono_ms() - begin < 10000);
    }
}

static void ping_pong(void)
{
    pongs = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct bus_msg ping = {.kind = K_PING, .id = i};
        pause_a_little();
        assert_int_equal(bus_call(left, right, &ping), MS_OK);
        wait_for_pong(i);
    }
}

static struct bus *wire(struct loop *right_loop)
{
    struct bus *bus = bus_create();

    left = bus_ep_create(bus, "left", NULL);
    right = bus_ep_create(bus, "right", right_loop);
    bus_on(right, K_PING, on_ping, NULL);
    bus_on(left, K_PONG, on_pong, NULL);
    bus_link(bus, left, right, 4);
    return bus;
}

static void test_plain_threads(void **state)
{
    struct bus *bus = wire(NULL);
    pthread_t id;

    pthread_create(&id, NULL, plain_main, NULL);
    ping_pong();
    atomic_store(&ends, true);
    bus_wake(right);
    pthread_join(id, NULL);
    bus_destroy(&bus);
}

static void test_loop(void **state)
{
    struct loop *loop = loop_create(1, "loop1");
    struct bus *bus = wire(loop);

    assert_int_equal(loop_start(loop, NULL), MS_OK);
    ping_pong();
    loop_stop(loop);
    loop_join(loop);
    loop_destroy(&loop);
    bus_destroy(&bus);
    assert_true(obs_counter_get(MET_BUS_WAKES) > 0);
    assert_true(obs_counter_get(MET_BUS_MESSAGES) >= 4 * ROUNDS);
}

static void test_wait_times(void **state)
{
    struct bus *bus = wire(NULL);
    uint64_t begin = clock_mono_ms();

    bus_wait(left, 20);
    assert_in_range(clock_mono_ms() - begin, 19, 5000);
    bus_wake(left); /* remembered: the next wait returns at once, the one after it sleeps */
    begin = clock_mono_ms();
    bus_wait(left, 5000);
    assert_true(clock_mono_ms() - begin < 4000);
    begin = clock_mono_ms();
    bus_wait(left, 0);
    bus_wait(left, 20);
    assert_in_range(clock_mono_ms() - begin, 19, 5000);
    bus_destroy(&bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wait_times),
        cmocka_unit_test(test_plain_threads),
        cmocka_unit_test(test_loop),
    };
    return cmocka_run_group_tests_name("bus sleep", tests, NULL, NULL);
}
