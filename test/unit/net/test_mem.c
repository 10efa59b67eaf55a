/* The rules of input and closing, on the memory transport and a virtual loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "net_probe.h"

static struct loop *loop;
static struct probe p;

static int setup(void **state)
{
    loop = loop_create_virtual(1, "virtual", 1000);
    probe_init(&p);
    return 0;
}

static int teardown(void **state)
{
    if (p.closes == 0) {
        net_abort(p.stream, NET_CLOSED_BY_US);
        loop_turn(loop);
        assert_int_equal(p.closes, 1);
    }
    probe_fini(&p);
    loop_destroy(&loop);
    return 0;
}

static void open_mem(size_t in_max)
{
    p.stream = net_mem_open(loop, "192.0.2.1:40000", in_max, &probe_callbacks, &p);
}

static void feed(const char *text)
{
    net_mem_feed(p.stream, slice_cstr(text));
    loop_turn(loop);
}

static void test_echo(void **state)
{
    open_mem(1000);
    p.echo = true;
    assert_ptr_equal(net_loop(p.stream), loop);
    assert_string_equal(net_peer(p.stream)->text, "192.0.2.1:40000");
    feed("one");
    feed("two");
    assert_string_equal(str_cstr(net_mem_output(p.stream)), "onetwo");
    str_reset(net_mem_output(p.stream));
    feed("three");
    assert_string_equal(str_cstr(net_mem_output(p.stream)), "three");
    assert_int_equal(p.data_calls, 3);
}

/* Byte by byte: the remainder grows, every call sees all of it, nothing is lost or repeated. */
static void test_byte_by_byte(void **state)
{
    static const char text[] =
        "EHLO client.example\r\nMAIL FROM:<a@example.org>\r\n\r\nlast line without end";

    open_mem(64);
    p.take = probe_take_lines;
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        net_mem_feed(p.stream, slice_make(text + i, 1));
        loop_turn(loop);
    }
    assert_int_equal(p.data_calls, sizeof(text) - 1);
    assert_true(slice_eq(str_slice(&p.got), slice_sub(slice_cstr(text), 0, p.got.len)));
    assert_true(slice_has_suffix(str_slice(&p.got), SLICE_LIT("\r\n\r\n")));
    assert_int_equal(p.seen_max, 27);
}

/* Every way to cut a text in two or three gives the same result. */
static void test_all_cuts(void **state)
{
    static const char text[] = "ab\ncdef\n\nghijklmnopqrstuvwxyz\nrest";
    size_t len = sizeof(text) - 1;

    for (size_t i = 0; i <= len; i++) {
        for (size_t k = i; k <= len; k++) {
            struct probe q;
            probe_init(&q);
            q.take = probe_take_lines;
            q.stream = net_mem_open(loop, "x", 40, &probe_callbacks, &q);
            const size_t ends[] = {i, k, len};
            for (size_t n = 0, at = 0; n < 3; at = ends[n++])
                if (ends[n] > at) {
                    net_mem_feed(q.stream, slice_make(text + at, ends[n] - at));
                    loop_turn(loop);
                }
            assert_string_equal(str_cstr(&q.got), "ab\ncdef\n\nghijklmnopqrstuvwxyz\n");
            net_mem_eof(q.stream);
            loop_turn(loop);
            assert_int_equal(q.closes, 1);
            assert_int_equal(q.why, NET_CLOSED_BY_PEER);
            probe_fini(&q);
        }
    }
    open_mem(10);
}

static void test_overlong(void **state)
{
    static const struct {
        size_t in_max;
        size_t bytes;
        bool closes;
    } rows[] = {{10, 9, false}, {10, 10, true},        {10, 50, true},
                {1, 1, true},   {65536, 65535, false}, {65536, 65536, true}};

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct probe q;
        struct str line;
        probe_init(&q);
        str_init(&line, 0);
        q.take = probe_take_lines;
        q.stream = net_mem_open(loop, "x", rows[i].in_max, &probe_callbacks, &q);
        for (size_t n = 0; n < rows[i].bytes; n++)
            str_add_byte(&line, 'x');
        net_mem_feed(q.stream, str_slice(&line));
        loop_turn(loop);
        assert_int_equal(q.closes, rows[i].closes);
        assert_true(q.seen_max <= rows[i].in_max);
        if (rows[i].closes) {
            assert_int_equal(q.why, NET_CLOSED_OVERLONG);
        } else {
            net_abort(q.stream, NET_CLOSED_TIMEOUT);
            loop_turn(loop);
            assert_int_equal(q.why, NET_CLOSED_TIMEOUT);
        }
        str_fini(&line);
        probe_fini(&q);
    }
    open_mem(10);
}

/* Raising the bound in time saves a stream; lowering it below what is kept does not lose anything while
 * stopped. */
static void test_set_in_max(void **state)
{
    open_mem(10);
    p.take = probe_take_lines;
    feed("123456789");
    net_set_in_max(p.stream, 20);
    feed("0123456\n89");
    assert_string_equal(str_cstr(&p.got), "1234567890123456\n");
    net_read_stop(p.stream);
    net_set_in_max(p.stream, 1);
    feed("\n");
    assert_int_equal(p.closes, 0);
    net_set_in_max(p.stream, 20);
    net_read_start(p.stream);
    loop_turn(loop);
    assert_string_equal(str_cstr(&p.got), "1234567890123456\n89\n");
    feed("12345");
    net_set_in_max(p.stream, 3);
    feed("6");
    assert_int_equal(p.why, NET_CLOSED_OVERLONG);
    assert_int_equal(p.closes, 1);
}

/* A session that takes one command at a time: the rest waits, also the end of the peer. */
static void test_stop_and_start(void **state)
{
    open_mem(100);
    p.take = probe_take_line_and_stop;
    net_mem_feed(p.stream, SLICE_LIT("a\nbb\nccc\nd"));
    net_mem_eof(p.stream);
    static const char *const want[] = {"a\n", "a\nbb\n", "a\nbb\nccc\n"};
    for (size_t i = 0; i < MS_ARRAY_LEN(want); i++) {
        loop_turn(loop);
        loop_turn(loop);
        assert_string_equal(str_cstr(&p.got), want[i]);
        assert_int_equal(p.closes, 0);
        assert_int_equal(p.data_calls, i + 1);
        net_read_start(p.stream);
        net_read_start(p.stream);
    }
    loop_turn(loop);
    assert_int_equal(p.data_calls, 4); /* "d" is offered once more, then the end is seen */
    assert_int_equal(p.why, NET_CLOSED_BY_PEER);
    assert_int_equal(p.closes, 1);
}

static void test_stop_again_before_turn(void **state)
{
    open_mem(100);
    p.take = probe_take_line_and_stop;
    feed("a\nb\n");
    net_read_start(p.stream);
    net_read_stop(p.stream);
    loop_turn(loop);
    assert_string_equal(str_cstr(&p.got), "a\n");
}

static size_t take_and_close(struct probe *q, struct slice in)
{
    net_write_cstr(q->stream, "bye\r\n");
    net_close(q->stream, NET_CLOSED_BY_US);
    net_write_cstr(q->stream, "never");
    net_close(q->stream, NET_CLOSED_TIMEOUT);
    assert_int_equal(q->closes, 0);
    return 2;
}

static void test_close_in_on_data(void **state)
{
    struct net_mem_sink sink = {0};

    str_init(&sink.output, 0);
    open_mem(100);
    net_write_cstr(p.stream, "hello ");
    loop_turn(loop);
    net_mem_attach(p.stream, &sink);
    p.take = take_and_close;
    feed("quit and more");
    assert_int_equal(p.closes, 1);
    assert_int_equal(p.why, NET_CLOSED_BY_US);
    assert_int_equal(p.data_calls, 1);
    assert_true(sink.closed);
    assert_int_equal(sink.why, NET_CLOSED_BY_US);
    assert_string_equal(str_cstr(&sink.output), "hello bye\r\n");
    str_fini(&sink.output);
}

static size_t take_and_abort(struct probe *q, struct slice in)
{
    net_write_cstr(q->stream, "dropped");
    net_abort(q->stream, NET_CLOSED_TIMEOUT);
    /* The bytes stay readable until we return, whether they are a remainder or new. */
    assert_int_equal(in.ptr[in.len - 1], '!');
    assert_int_equal(q->closes, 0);
    return in.len;
}

static void test_abort_in_on_data(void **state)
{
    struct net_mem_sink sink = {0};

    str_init(&sink.output, 0);
    open_mem(100);
    net_mem_attach(p.stream, &sink);
    p.take = probe_take_nothing;
    feed("abc!");
    net_read_stop(p.stream);
    net_read_start(p.stream); /* now as a remainder in place */
    p.take = take_and_abort;
    loop_turn(loop);
    assert_int_equal(p.closes, 1);
    assert_int_equal(p.why, NET_CLOSED_TIMEOUT);
    assert_string_equal(str_cstr(&sink.output), "");
    str_fini(&sink.output);
}

static void test_writes(void **state)
{
    struct mbuf *buf = mbuf_create(1000, 10);
    struct str want;

    str_init(&want, 0);
    open_mem(100);
    for (int i = 0; i < 1000; i++)
        mbuf_add(buf, slice_make(&"0123456789"[i % 10], 1));
    for (size_t i = 0; i < 40; i++) {
        net_write(p.stream, slice_make("line\r\n", 6));
        str_add_cstr(&want, "line\r\n");
        net_write_mbuf(p.stream, buf, i * 10, i * 15);
        str_add(&want, mbuf_data(buf) + i * 10, i * 15);
        net_write(p.stream, slice_make("", 0));
    }
    mbuf_unref(&buf); /* the stream holds references of its own */
    assert_int_equal(net_out_bytes(p.stream), want.len);
    assert_int_equal(net_mem_output(p.stream)->len, 0); /* once, at the end of the turn */
    loop_turn(loop);
    assert_int_equal(net_out_bytes(p.stream), 0);
    assert_true(slice_eq(str_slice(net_mem_output(p.stream)), str_slice(&want)));
    str_fini(&want);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_echo),
        T(test_byte_by_byte),
        T(test_all_cuts),
        T(test_overlong),
        T(test_set_in_max),
        T(test_stop_and_start),
        T(test_close_in_on_data),
        T(test_abort_in_on_data),
        T(test_stop_again_before_turn),
        T(test_writes),
    };
    return cmocka_run_group_tests_name("net mem", tests, NULL, NULL);
}
