/* Streams on kernel sockets: back-pressure, both kinds of end, errors, fairness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ms/base/clock.h"
#include "net_probe.h"

static struct loop *loop;
static struct probe p;
static struct str peer;
static int fd = -1;

static int setup(void **state)
{
    loop = loop_create(1, "loop1");
    probe_init(&p);
    str_init(&peer, 0);
    fd = probe_open_pair(&p, loop, NET_IN_MAX);
    return 0;
}

static int teardown(void **state)
{
    if (p.closes == 0) {
        net_abort(p.stream, NET_CLOSED_BY_US);
        probe_run_until_closed(&p, loop);
    }
    if (fd >= 0)
        close(fd);
    fd = -1;
    str_fini(&peer);
    probe_fini(&p);
    loop_destroy(&loop);
    return 0;
}

static void test_echo(void **state)
{
    p.echo = true;
    assert_true(net_peer(p.stream)->is_unix);
    assert_string_equal(net_peer(p.stream)->host, "local");
    for (int i = 0; i < 100; i++) {
        peer_write(fd, "some bytes ");
        probe_settle(loop);
        str_reset(&peer);
        assert_int_equal(peer_read(fd, &peer, 100), -1);
        assert_string_equal(str_cstr(&peer), "some bytes ");
    }
}

#define BULK_BYTES ((size_t)100 << 20)

static size_t bulk_written;
static struct mbuf *bulk_buf;

/* As a session should: nothing more while the output is high. */
static void bulk_produce(struct probe *q)
{
    while (bulk_written < BULK_BYTES && net_out_bytes(q->stream) <= NET_OUT_HIGH) {
        net_write_mbuf(q->stream, bulk_buf, 0, 32768);
        net_write(q->stream, slice_make(bulk_buf->bytes, 32768));
        bulk_written += 65536;
    }
    if (bulk_written == BULK_BYTES)
        net_close(q->stream, NET_CLOSED_BY_US);
}

static void test_slow_reader(void **state)
{
    static uint8_t buf[50000];
    size_t got = 0, out_max = 0;
    uint8_t bytes[32768];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7 / 5);
    bulk_buf = mbuf_from(slice_make(bytes, sizeof(bytes)));
    p.drained = bulk_produce;
    bulk_produce(&p);
    for (;;) {
        loop_turn(loop);
        if (p.closes == 0)
            out_max = MS_MAX(out_max, net_out_bytes(p.stream));
        ssize_t n = read(fd, buf, sizeof(buf));
        if (n == 0)
            break;
        for (ssize_t i = 0; i < n; i += 997)
            assert_int_equal(buf[i], bytes[(got + (size_t)i) % sizeof(bytes)]);
        got += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(got, BULK_BYTES);
    assert_true(out_max <= NET_OUT_HIGH + 65536);
    assert_true(p.drains > 50);
    probe_run_until_closed(&p, loop);
    mbuf_unref(&bulk_buf);
}

/* The peer ends its side behind its commands and still gets all answers; those may be late. */
static void test_half_close(void **state)
{
    p.take = probe_take_lines;
    p.echo = true;
    peer_write(fd, "one\ntwo\nincomplete");
    shutdown(fd, SHUT_WR);
    probe_run_until_closed(&p, loop);
    assert_int_equal(p.why, NET_CLOSED_BY_PEER);
    assert_int_equal(peer_read(fd, &peer, 100), 0);
    assert_string_equal(str_cstr(&peer), "one\ntwo\n");
}

static size_t take_and_stop(struct probe *q, struct slice in)
{
    net_read_stop(q->stream);
    return in.len;
}

static void test_half_close_with_late_answer(void **state)
{
    p.take = take_and_stop;
    peer_write(fd, "question\n");
    shutdown(fd, SHUT_WR);
    probe_settle(loop);
    assert_int_equal(p.closes, 0);
    net_write_cstr(p.stream, "late answer\n");
    net_read_start(p.stream);
    probe_run_until_closed(&p, loop);
    assert_int_equal(p.why, NET_CLOSED_BY_PEER);
    assert_int_equal(peer_read(fd, &peer, 100), 0);
    assert_string_equal(str_cstr(&peer), "late answer\n");
}

/* What the peer still sends must not turn our last words into a reset. */
static void test_close_with_unread_input(void **state)
{
    net_read_stop(p.stream);
    for (int i = 0; i < 20; i++)
        peer_write(fd, "noise noise noise noise noise\n");
    net_write_cstr(p.stream, "421 closing\r\n");
    net_close(p.stream, NET_CLOSED_TIMEOUT);
    assert_int_equal(p.closes, 0);
    probe_run_until_closed(&p, loop);
    assert_int_equal(p.why, NET_CLOSED_TIMEOUT);
    assert_int_equal(peer_read(fd, &peer, 100), 0);
    assert_string_equal(str_cstr(&peer), "421 closing\r\n");
}

/* A peer that reads nothing does not hold a closing stream for ever, an abort not at all. */
static void test_linger_and_abort(void **state)
{
    static uint8_t zeros[8 << 20];

    net_write(p.stream, slice_make(zeros, sizeof(zeros)));
    net_close(p.stream, NET_CLOSED_BY_US);
    probe_settle(loop);
    assert_int_equal(p.closes, 0);
    assert_true(net_out_bytes(p.stream) > 0);
    net_abort(p.stream, NET_CLOSED_TIMEOUT);
    assert_int_equal(p.closes, 0);
    probe_run_until_closed(&p, loop);
    assert_int_equal(p.why, NET_CLOSED_BY_US); /* the first reason counts */
}

static void test_write_to_gone_peer(void **state)
{
    net_read_stop(p.stream);
    close(fd);
    fd = -1;
    net_write_cstr(p.stream, "to nobody"); /* must not raise SIGPIPE */
    probe_run_until_closed(&p, loop);
    assert_int_equal(p.why, NET_CLOSED_RESET);
}

static void test_gone_while_blocked(void **state)
{
    static uint8_t zeros[8 << 20];

    net_read_stop(p.stream);
    net_write(p.stream, slice_make(zeros, sizeof(zeros)));
    probe_settle(loop);
    close(fd);
    fd = -1;
    probe_run_until_closed(&p, loop);
    assert_int_equal(p.why, NET_CLOSED_RESET);
}

/* Reading stopped: nothing is taken, the kernel's buffer fills, and an idle loop does not spin. */
static void test_stopped_reading_is_quiet(void **state)
{
    net_read_stop(p.stream);
    peer_write(fd, "data");
    probe_settle(loop);
    assert_int_equal(p.data_calls, 0);
    peer_write(fd, " and more");
    probe_settle(loop);
    assert_int_equal(p.data_calls, 0);
    net_read_start(p.stream);
    probe_settle(loop);
    assert_string_equal(str_cstr(&p.got), "data and more");
}

static size_t count_turn(struct probe *q, struct slice in)
{
    uint64_t *bytes = q->arg;
    *bytes += in.len;
    return in.len;
}

/* One busy stream gets NET_READ_TURN_BYTES a turn, then the others have theirs. */
static void test_fair_reading(void **state)
{
    static uint8_t zeros[4 << 20];
    uint64_t in_turn = 0;
    size_t sent = 0;
    int size = 4 << 20;

    p.take = count_turn;
    p.arg = &in_turn;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    for (int i = 0; i < 200; i++) {
        ssize_t n = write(fd, zeros, sizeof(zeros));
        sent += n > 0 ? (size_t)n : 0;
        in_turn = 0;
        loop_turn(loop);
        assert_true(in_turn <= NET_READ_TURN_BYTES);
    }
    assert_true(sent > 1 << 20);
    assert_true(p.seen_max <= NET_IN_MAX);
}

static size_t take_nothing_and_stop(struct probe *q, struct slice in)
{
    net_read_stop(q->stream);
    return 0;
}

/* The bound is reached exactly and nothing more arrives: the stream does not wait for the next byte. */
static void test_overlong(void **state)
{
    p.take = probe_take_lines;
    net_set_in_max(p.stream, 10);
    peer_write(fd, "123456789");
    probe_settle(loop);
    assert_int_equal(p.closes, 0);
    p.take = take_nothing_and_stop; /* stopped: nobody can say that it is too long */
    peer_write(fd, "0");
    probe_settle(loop);
    assert_int_equal(p.closes, 0);
    p.take = probe_take_lines;
    net_read_start(p.stream);
    probe_settle(loop);
    assert_int_equal(p.closes, 1);
    assert_int_equal(p.why, NET_CLOSED_OVERLONG);
}

static void test_bad_fd(void **state)
{
    struct net_stream *s = NULL;

    assert_int_not_equal(net_stream_open(loop, 12345, 100, &probe_callbacks, &p, &s), MS_OK);
    assert_null(s);
}

/* Many streams that come and go while others live. */
static void test_churn(void **state)
{
    enum { N = 50 };
    struct probe many[N];
    int fds[N];

    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < N; i++) {
            probe_init(&many[i]);
            many[i].echo = true;
            fds[i] = probe_open_pair(&many[i], loop, 100);
            peer_write(fds[i], "hi");
        }
        probe_settle(loop);
        for (int i = 0; i < N; i++) {
            assert_string_equal(str_cstr(&many[i].got), "hi");
            if (i % 3 == 0)
                net_close(many[i].stream, NET_CLOSED_BY_US);
            else if (i % 3 == 1)
                net_abort(many[i].stream, NET_CLOSED_BY_US);
            close(fds[i]);
        }
        for (int i = 0; i < N; i++) {
            probe_run_until_closed(&many[i], loop);
            probe_fini(&many[i]);
        }
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_echo),
        T(test_slow_reader),
        T(test_half_close),
        T(test_half_close_with_late_answer),
        T(test_close_with_unread_input),
        T(test_linger_and_abort),
        T(test_write_to_gone_peer),
        T(test_gone_while_blocked),
        T(test_stopped_reading_is_quiet),
        T(test_fair_reading),
        T(test_overlong),
        T(test_bad_fd),
        T(test_churn),
    };
    return cmocka_run_group_tests_name("net stream", tests, NULL, NULL);
}
