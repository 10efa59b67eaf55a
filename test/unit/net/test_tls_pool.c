/* Handshakes on work threads: what may happen meanwhile; deadlines; dozing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "ms/base/clock.h"
#include "ms/obs.h"
#include "tls_fixture.h"

static struct loop_pool *pool;

static int setup(void **state)
{
    loop = loop_create_virtual(1, "virtual", 1000);
    pool = loop_pool_create("tls", 1, 2);
    net_tls_set_pool(pool);
    server_open(NET_IN_MAX);
    c.patience_ms = 20000;
    return 0;
}

static int teardown(void **state)
{
    server_close();
    net_tls_set_pool(NULL);
    loop_pool_destroy(&pool);
    loop_destroy(&loop);
    return 0;
}

/* -- a work that holds the only thread until it is let go */

struct blocker {
    struct loop_work work;
    atomic_bool go;
    bool is_done;
};

static void block(struct loop_work *work)
{
    struct blocker *b = MS_CONTAINER_OF(work, struct blocker, work);

    while (!atomic_load(&b->go))
        usleep(200);
}

static void unblocked(struct loop_work *work)
{
    MS_CONTAINER_OF(work, struct blocker, work)->is_done = true;
}

static void blocker_post(struct blocker *b)
{
    *b = (struct blocker){.work = {.work = block, .done = unblocked}};
    assert_int_equal(loop_pool_post(pool, loop, &b->work), MS_OK);
}

static void turn_until(const bool *what)
{
    uint64_t begin = clock_mono_ms();

    while (!*what) {
        loop_turn(loop);
        usleep(100);
        assert_true(clock_mono_ms() - begin < 20000);
    }
}

static void blocker_release(struct blocker *b)
{
    atomic_store(&b->go, true);
    turn_until(&b->is_done);
}

/* A ClientHello is at the server, and its answer waits for the work thread. */
static void hello_behind(struct blocker *b)
{
    blocker_post(b);
    c.patience_ms = 0;
    assert_int_equal(net_tls_start(p.stream, tls), MS_OK);
    tls_client_begin(&c, "mail.example.org");
    uint64_t before = obs_counter_get(MET_TLS_OFFLOADED);
    assert_int_equal(tls_client_handshake(&c), MBEDTLS_ERR_SSL_WANT_READ);
    assert_int_equal(obs_counter_get(MET_TLS_OFFLOADED), before + 1);
    assert_int_equal(c.sink.output.len, 0);
}

static void check_echo(void)
{
    struct str got;

    str_init(&got, 0);
    p.echo = true;
    for (int i = 0; i < 5; i++) {
        tls_client_write(&c, SLICE_LIT("some text"));
        str_reset(&got);
        assert_int_equal(tls_client_read(&c, &got, 9), 9);
        assert_string_equal(str_cstr(&got), "some text");
    }
    str_fini(&got);
}

/* -- the pool */

static void test_handshake(void **state)
{
    uint64_t before = obs_counter_get(MET_TLS_OFFLOADED);

    assert_int_equal(net_tls_start(p.stream, tls), MS_OK);
    tls_client_begin(&c, "mail.example.org");
    assert_int_equal(tls_client_handshake(&c), 0);
    check_echo();
    assert_int_equal(p.tls_calls, 1);
    assert_int_equal(p.tls_result, MS_OK);
    assert_true(obs_counter_get(MET_TLS_OFFLOADED) >= before + 2); /* hello; keys */
}

/* Bytes come one at a time: what is computed is whole records. */
static void test_byte_by_byte(void **state)
{
    uint64_t before = obs_counter_get(MET_TLS_OFFLOADED);

    c.feed_max = 1;
    assert_int_equal(net_tls_start(p.stream, tls), MS_OK);
    tls_client_begin(&c, "mail.example.org");
    assert_int_equal(tls_client_handshake(&c), 0);
    check_echo();
    assert_true(obs_counter_get(MET_TLS_OFFLOADED) <= before + 6);
}

static void test_input_waits(void **state)
{
    struct blocker b;

    hello_behind(&b);
    for (int i = 0; i < 10; i++)
        loop_turn(loop);
    assert_int_equal(p.tls_calls, 0);
    blocker_release(&b);
    c.patience_ms = 20000;
    assert_int_equal(tls_client_handshake(&c), 0);
    check_echo();
}

static void test_full_queue(void **state)
{
    struct blocker running, waiting, last;

    blocker_post(&running);
    blocker_post(&waiting);
    last = (struct blocker){.work = {.work = block, .done = unblocked}};
    while (loop_pool_post(pool, loop, &last.work) != MS_OK)
        usleep(1000); /* until the first has left the queue */
    uint64_t before = obs_counter_get(MET_TLS_OFFLOADED);
    assert_int_equal(net_tls_start(p.stream, tls), MS_OK);
    tls_client_begin(&c, "mail.example.org");
    assert_int_equal(tls_client_handshake(&c), 0); /* by the loop itself */
    check_echo();
    assert_int_equal(obs_counter_get(MET_TLS_OFFLOADED), before);
    blocker_release(&running);
    blocker_release(&waiting);
    blocker_release(&last);
}

static void test_abort_meanwhile(void **state)
{
    struct blocker b;

    hello_behind(&b);
    net_abort(p.stream, NET_CLOSED_BY_US);
    loop_turn(loop);
    assert_int_equal(p.closes, 1);
    blocker_release(&b);
    for (int i = 0; i < 20; i++) {
        loop_turn(loop);
        usleep(1000);
    }
    assert_int_equal(p.tls_calls, 0);
}

static void test_close_meanwhile(void **state)
{
    struct blocker b;

    hello_behind(&b);
    net_write_cstr(p.stream, "never");
    net_close(p.stream, NET_CLOSED_BY_US);
    loop_turn(loop);
    loop_turn(loop);
    assert_int_equal(p.closes, 1);
    assert_int_equal(p.why, NET_CLOSED_BY_US);
    assert_int_equal(c.sink.output.len, 0);
    blocker_release(&b);
}

/* The loop goes while the connection it left is at the work thread; the pool goes first. */
static void test_loop_ends_meanwhile(void **state)
{
    static struct blocker b; /* the pool ends in teardown */

    hello_behind(&b);
    net_abort(p.stream, NET_CLOSED_BY_US);
    loop_turn(loop);
    assert_int_equal(p.closes, 1);
    atomic_store(&b.go, true);
}

static void test_peer_ends_meanwhile(void **state)
{
    struct blocker b;

    hello_behind(&b);
    net_mem_eof(p.stream);
    loop_turn(loop);
    assert_int_equal(p.closes, 0);
    blocker_release(&b);
    probe_run_until_closed(&p, loop);
    assert_int_equal(p.why, NET_CLOSED_TLS);
    assert_int_equal(p.tls_calls, 1);
    assert_int_not_equal(p.tls_result, MS_OK);
}

static void test_deadline_meanwhile(void **state)
{
    struct blocker b;

    hello_behind(&b);
    loop_advance(loop, 31000);
    loop_turn(loop);
    assert_int_equal(p.closes, 1);
    assert_int_equal(p.why, NET_CLOSED_TIMEOUT);
    assert_int_equal(p.tls_result, MS_ETIMEOUT);
    blocker_release(&b);
}

static void test_garbage(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        {"\x16\x03\x01\x00\x05hello", 10},   {"\x16\x03\x01\x00\x00", 5},     {"\x17\x03\x03\x00\x01x", 6},
        {"\x15\x03\x03\x00\x02\x02\x28", 7}, {"\x16\x03\x01\x48\x01zzzz", 9}, {"GET / HTTP/1.0\r\n\r\n", 18},
        {"\x14\x03\x03\x00\x01\x01", 6},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct probe q;
        probe_init(&q);
        q.stream = net_mem_open(loop, "x", 100, &probe_callbacks, &q);
        assert_int_equal(net_tls_start(q.stream, tls), MS_OK);
        net_mem_feed(q.stream, slice_make(rows[i].bytes, rows[i].len));
        net_mem_eof(q.stream);
        probe_run_until_closed(&q, loop);
        assert_int_equal(q.why, NET_CLOSED_TLS);
        assert_int_equal(q.tls_calls, 1);
        assert_int_not_equal(q.tls_result, MS_OK);
        assert_int_equal(q.data_calls, 0);
        probe_fini(&q);
    }
}

/* -- deadline */

/* One byte now and then does not help. */
static void test_slow_handshake(void **state)
{
    static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01";
    uint64_t before = obs_counter_get(MET_TLS_TIMEOUTS);

    assert_int_equal(net_tls_start(p.stream, tls), MS_OK);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(p.closes, 0);
        net_mem_feed(p.stream, slice_make(&hello[i], 1));
        loop_turn(loop);
        loop_advance(loop, 3700);
    }
    loop_advance(loop, 1000);
    loop_turn(loop);
    assert_int_equal(p.closes, 1);
    assert_int_equal(p.why, NET_CLOSED_TIMEOUT);
    assert_int_equal(p.tls_calls, 1);
    assert_int_equal(p.tls_result, MS_ETIMEOUT);
    assert_int_equal(obs_counter_get(MET_TLS_TIMEOUTS), before + 1);
}

static void test_own_deadline(void **state)
{
    struct net_tls_cert cert = {.cert_path = cert_path, .key_path = key_path};
    struct net_tls *hasty = NULL;

    assert_int_equal(
        net_tls_build(&(struct net_tls_spec){.certs = &cert, .cert_count = 1, .handshake_ms = 2000}, &hasty,
                      NULL),
        MS_OK);
    assert_int_equal(net_tls_start(p.stream, hasty), MS_OK);
    net_tls_unref(&hasty);
    loop_advance(loop, 1990);
    loop_turn(loop);
    assert_int_equal(p.closes, 0);
    loop_advance(loop, 100);
    loop_turn(loop);
    assert_int_equal(p.why, NET_CLOSED_TIMEOUT);
}

/* -- dozing */

static uint64_t dozed(void)
{
    return obs_counter_get(MET_TLS_DOZED);
}

static void shake(void)
{
    assert_int_equal(net_tls_start(p.stream, tls), MS_OK);
    tls_client_begin(&c, "mail.example.org");
    assert_int_equal(tls_client_handshake(&c), 0);
    check_echo();
}

static void test_doze_and_wake(void **state)
{
    shake();
    for (int i = 0; i < 5; i++) {
        uint64_t before = dozed();
        loop_advance(loop, 20000);
        assert_int_equal(dozed(), before + 1); /* once, however long it is silent */
        check_echo();
        net_doze(p.stream);
        net_doze(p.stream);
        assert_int_equal(dozed(), before + 2);
        check_echo();
    }
}

static size_t take_nothing_and_stop(struct probe *q, struct slice in)
{
    net_read_stop(q->stream);
    return 0;
}

/* Half a record is in the buffer, and is not lost. */
static void test_no_doze_with_input(void **state)
{
    shake();
    uint64_t before = dozed();
    c.cut_next = 10;
    tls_client_write(&c, SLICE_LIT("a long enough text"));
    loop_turn(loop);
    loop_advance(loop, 20000);
    net_doze(p.stream);
    assert_int_equal(dozed(), before);
    tls_client_feed_rest(&c);
    loop_turn(loop);
    assert_non_null(strstr(str_cstr(&p.got), "a long enough text"));
    p.take = take_nothing_and_stop;
    tls_client_write(&c, SLICE_LIT("kept"));
    loop_turn(loop);
    tls_client_write(&c, SLICE_LIT("and cipher bytes behind"));
    loop_turn(loop);
    p.take = NULL;
    net_read_start(p.stream);
    loop_turn(loop);
    assert_non_null(strstr(str_cstr(&p.got), "keptand cipher bytes behind"));
}

static void test_doze_in_clear(void **state)
{
    uint64_t before = dozed();

    net_doze(p.stream); /* nothing to give back */
    assert_int_equal(net_tls_start(p.stream, tls), MS_OK);
    net_doze(p.stream);
    assert_int_equal(dozed(), before);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_handshake),           T(test_byte_by_byte),        T(test_input_waits),
        T(test_full_queue),          T(test_abort_meanwhile),     T(test_close_meanwhile),
        T(test_loop_ends_meanwhile), T(test_peer_ends_meanwhile), T(test_garbage),
        T(test_deadline_meanwhile),  T(test_slow_handshake),      T(test_own_deadline),
        T(test_doze_and_wake),       T(test_no_doze_with_input),  T(test_doze_in_clear),
    };
    return cmocka_run_group_tests_name("net tls pool", tests, group_setup, group_teardown);
}
