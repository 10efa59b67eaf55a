/* Connections and rates of addresses: exact counts, buckets in virtual time, a table that cannot be
 * filled. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../../src/dispatch/dispatch_peers.h"

static struct dispatch_peers t;

static int setup(void **state)
{
    dispatch__peers_init(&t);
    return 0;
}

static int teardown(void **state)
{
    dispatch__peers_fini(&t);
    return 0;
}

static struct dispatch_peer *row(const char *host, unsigned v4, unsigned v6, uint64_t now_ms)
{
    struct net_network n;
    assert_true(net_network_of(host, v4, v6, &n));
    return dispatch__peers_get(&t, 0, &n, now_ms);
}

static struct dispatch_peer *address(const char *host, uint64_t now_ms)
{
    return row(host, 32, 64, now_ms);
}

static void test_conns(void **state)
{
    struct dispatch_peer *a = address("192.0.2.1", 0);

    for (int i = 0; i < 3; i++) {
        assert_int_equal(dispatch__peer_ask(a, 3, 0, 0), DISPATCH_ROOM_YES);
        dispatch__peer_take(&t, a);
    }
    assert_int_equal(dispatch__peer_ask(a, 3, 0, 0), DISPATCH_ROOM_CONNS);
    assert_int_equal(dispatch__peer_ask(address("192.0.2.2", 0), 3, 0, 0), DISPATCH_ROOM_YES);
    assert_int_equal(dispatch__peer_ask(a, 0, 0, 0), DISPATCH_ROOM_YES); /* no limit */
    dispatch__peer_give(&t, a);
    assert_int_equal(dispatch__peer_ask(a, 3, 0, 0), DISPATCH_ROOM_YES);
    assert_ptr_equal(a, address("192.0.2.1", 0));
}

/* A whole /64 is one client, and so is a mapped address. */
static void test_same(void **state)
{
    assert_ptr_equal(address("2001:db8::1", 0), address("2001:db8::ffff:1", 0));
    assert_ptr_not_equal(address("2001:db8::1", 0), address("2001:db8:0:1::1", 0));
    assert_ptr_equal(address("192.0.2.1", 0), address("::ffff:192.0.2.1", 0));
    assert_ptr_not_equal(address("192.0.2.1", 0), row("192.0.2.1", 24, 48, 0));
    assert_ptr_equal(row("192.0.2.1", 24, 48, 0), row("192.0.2.99", 24, 48, 0));
    assert_ptr_equal(row("2001:db8:1:2::1", 24, 48, 0), row("2001:db8:1:3::1", 24, 48, 0));
    assert_ptr_not_equal(row("2001:db8:1:2::1", 24, 48, 0), row("2001:db8:2:2::1", 24, 48, 0));
    assert_ptr_not_equal(row("0.0.0.1", 8, 64, 0), row("::", 8, 64, 0)); /* the same octets, another family */
}

static unsigned passes(struct dispatch_peer *a, uint64_t rate, unsigned tries, uint64_t now_ms)
{
    unsigned n = 0;
    for (unsigned i = 0; i < tries; i++)
        if (dispatch__peer_ask(a, 0, rate, now_ms) == DISPATCH_ROOM_YES) {
            dispatch__peer_take(&t, a);
            dispatch__peer_give(&t, a);
            n++;
        }
    return n;
}

static void test_rate(void **state)
{
    uint64_t now = 1000000;
    struct dispatch_peer *a = address("192.0.2.1", now);

    assert_int_equal(passes(a, 60, 100, now), 60); /* a minute's at once */
    assert_int_equal(passes(a, 60, 10, now + 999), 0);
    assert_int_equal(passes(a, 60, 10, now + 1000), 1);
    assert_int_equal(passes(a, 60, 100, now + 11000), 10);
    assert_int_equal(passes(a, 60, 1000, now + 3600000), 60); /* no more than a minute's is saved */
    assert_int_equal(passes(address("192.0.2.2", now), 60, 5, now), 5);
}

/* Every rate comes out even over a long time, however odd the steps. */
static void test_rate_exact(void **state)
{
    static const uint64_t rates[] = {1, 7, 59, 61, 999, 6000};

    for (size_t i = 0; i < MS_ARRAY_LEN(rates); i++) {
        char host[32];
        uint64_t now = 0, n = 0;
        snprintf(host, sizeof(host), "198.51.100.%zu", i);
        struct dispatch_peer *a = address(host, now);
        passes(a, rates[i], (unsigned)rates[i], now); /* empty */
        for (now = 0; now < 10 * 60000; now += 137)
            n += passes(a, rates[i], 1000, now);
        assert_in_range(n, (now - 137) * rates[i] / 60000 - 1, 10 * rates[i]);
    }
}

/* Addresses without end: rows with connections stay, and the table does not grow. */
static void test_bound(void **state)
{
    struct dispatch_peer *busy = address("192.0.2.1", 0);

    dispatch__peer_take(&t, busy);
    for (uint32_t i = 0; i < DISPATCH_PEERS_IDLE_MAX + 5000; i++) {
        char host[32];
        snprintf(host, sizeof(host), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        address(host, i);
    }
    assert_int_equal(t.idle_count, DISPATCH_PEERS_IDLE_MAX);
    assert_int_equal(t.rows.count, DISPATCH_PEERS_IDLE_MAX + 1);
    assert_ptr_equal(busy, address("192.0.2.1", 0));
    assert_int_equal(busy->active, 1);
    dispatch__peer_give(&t, busy);
    assert_int_equal(t.idle_count, DISPATCH_PEERS_IDLE_MAX);
}

/* A row that is asked for stays before those that nobody asked for. */
static void test_oldest_goes(void **state)
{
    struct dispatch_peer *first = address("192.0.2.1", 0);

    assert_int_equal(passes(first, 1, 2, 0), 1);
    for (uint32_t i = 0; i < 3 * DISPATCH_PEERS_IDLE_MAX; i++) {
        char host[32];
        snprintf(host, sizeof(host), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        address(host, 0);
        if (i % 1000 == 0)
            assert_ptr_equal(first, address("192.0.2.1", 0));
    }
    assert_int_equal(passes(first, 1, 2, 0), 0); /* it has not been forgotten */
}

/* Takes and gives in any order come out at nothing. */
static void test_random(void **state)
{
    unsigned seed = 20261123, held[50] = {0};

    for (int i = 0; i < 200000; i++) {
        char host[32];
        unsigned at = (unsigned)rand_r(&seed) % 50;
        snprintf(host, sizeof(host), "192.0.2.%u", at);
        struct dispatch_peer *a = address(host, (uint64_t)i);
        assert_int_equal(a->active, held[at]);
        if (rand_r(&seed) % 2) {
            dispatch__peer_take(&t, a);
            held[at]++;
        } else if (held[at]) {
            dispatch__peer_give(&t, a);
            held[at]--;
        }
    }
    for (unsigned at = 0; at < 50; at++) {
        char host[32];
        snprintf(host, sizeof(host), "192.0.2.%u", at);
        struct dispatch_peer *a = address(host, 0);
        while (held[at]--)
            dispatch__peer_give(&t, a);
        assert_int_equal(a->active, 0);
    }
    assert_int_equal(t.idle_count, t.rows.count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_conns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_same, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rate_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_oldest_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
