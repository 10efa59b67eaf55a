/* Sessions on a virtual loop: answers, keep-alive, pipelining, time limits, back-pressure; and a real socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../../src/httpd/httpd_priv.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

static unsigned handled;
static size_t big_bytes;

static void on_hello(void *owner, struct slice query, struct httpd_reply *reply)
{
    handled++;
    str_addf(&reply->body, "hello %.*s", SLICE_ARG(query));
}

static void on_big(void *owner, struct slice query, struct httpd_reply *reply)
{
    handled++;
    reply->status = 503;
    for (size_t i = 0; i < big_bytes; i += 8)
        str_add_cstr(&reply->body, "12345678");
}

static const struct httpd_route routes[] = {{"/hello", on_hello}, {"/big", on_big}, {NULL, NULL}};

static struct loop *loop;
static struct httpd_server server;
static struct net_stream *stream;
static struct net_mem_sink sink;

static void session_open(void)
{
    struct httpd_session *s = httpd__session_new(&server);
    stream = net_mem_open(loop, "192.0.2.1", HTTPD_HEAD_MAX, &httpd__callbacks, s);
    net_mem_attach(stream, &sink);
    httpd__session_begin(s, stream);
}

static int setup(void **state)
{
    handled = 0;
    big_bytes = 8;
    loop = loop_create_virtual(0, "control", 1000);
    server = (struct httpd_server){.loop = loop, .routes = routes};
    list_init(&server.sessions);
    memset(&sink, 0, sizeof sink);
    str_init(&sink.output, 0);
    session_open();
    return 0;
}

static void turns(void)
{
    for (unsigned i = 0; i < 8; i++)
        (void)loop_turn(loop);
}

static int teardown(void **state)
{
    LIST_FOREACH_SAFE(&server.sessions, it)
    httpd__session_abort(it);
    turns();
    assert_int_equal(server.count, 0);
    str_fini(&sink.output);
    loop_destroy(&loop);
    return 0;
}

static void feed(const char *text)
{
    net_mem_feed(stream, slice_cstr(text));
    turns();
}

static unsigned answers(const char *status)
{
    struct slice rest = str_slice(&sink.output);
    char line[64];
    unsigned n = 0;
    snprintf(line, sizeof line, "HTTP/1.1 %s", status);
    for (ssize_t at; (at = slice_find(rest, slice_cstr(line))) >= 0; n++)
        rest = slice_sub(rest, (size_t)at + 1, SIZE_MAX);
    return n;
}

static bool shown(const char *text)
{
    return slice_find(str_slice(&sink.output), slice_cstr(text)) >= 0;
}

static void test_answers(void **state)
{
    feed(GET("/hello?you"));
    assert_true(shown("HTTP/1.1 200 OK\r\n"));
    assert_true(shown("Content-Length: 9\r\n"));
    assert_true(shown("\r\n\r\nhello you"));
    assert_false(shown("Connection: close"));
    feed(GET("/nothing"));
    assert_int_equal(answers("404"), 1);
    feed("POST /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(answers("405"), 1);
    assert_true(shown("Allow: GET, HEAD"));
    feed(GET("/hello"));
    assert_int_equal(answers("200"), 2);
    assert_false(sink.closed);
}

static void test_head(void **state)
{
    feed("HEAD /hello?x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_true(shown("Content-Length: 7\r\n"));
    assert_true(slice_has_suffix(str_slice(&sink.output), SLICE_LIT("Connection: close\r\n\r\n")));
    assert_true(sink.closed);
}

static void test_old(void **state)
{
    feed("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_true(shown("Connection: keep-alive\r\n"));
    assert_false(sink.closed);
    feed("GET /hello HTTP/1.0\r\n\r\n");
    assert_int_equal(handled, 2);
    assert_true(sink.closed);
}

static void test_mistake_ends(void **state)
{
    feed("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n" GET("/hello"));
    assert_int_equal(answers("413"), 1);
    assert_int_equal(answers(""), 1);
    assert_int_equal(handled, 0);
    assert_true(sink.closed);
}

/* One request a tick, all of them in the end. */
static void test_pipelined(void **state)
{
    struct str in;
    str_init(&in, 0);
    for (unsigned i = 0; i < 100; i++)
        str_add_cstr(&in, GET("/hello"));
    net_mem_feed(stream, str_slice(&in));
    turns();
    assert_int_equal(handled, 1);
    for (unsigned i = 0; i < 100; i++) {
        loop_advance(loop, 2 * LOOP_TICK_MS);
        turns();
        assert_true(handled <= 2 * i + 4); /* two ticks */
    }
    assert_int_equal(handled, 100);
    assert_int_equal(answers("200"), 100);
    str_fini(&in);
}

static void test_idle(void **state)
{
    loop_advance(loop, HTTPD_IDLE_MS - 100);
    feed(GET("/hello"));
    loop_advance(loop, HTTPD_IDLE_MS - 100);
    turns();
    assert_false(sink.closed);
    loop_advance(loop, 200);
    turns();
    assert_true(sink.closed);
    assert_int_equal(sink.why, NET_CLOSED_TIMEOUT);
    assert_int_equal(answers(""), 1); /* between requests nothing is said */
}

/* Single bytes do not put the end off. */
static void test_slow_head(void **state)
{
    static const char head[] = "GET /hello HTTP/1.1\r\nHost: h\r\nA: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    for (size_t i = 0; i < sizeof head - 1 && !sink.closed; i++) {
        net_mem_feed(stream, slice_make(head + i, 1));
        turns();
        loop_advance(loop, 1000);
        turns();
    }
    assert_true(sink.closed);
    assert_int_equal(answers("408"), 1);
    assert_int_equal(handled, 0);
}

static void test_long_head(void **state)
{
    struct str in;
    str_init(&in, 0);
    str_add_cstr(&in, "GET /hello HTTP/1.1\r\nHost: h\r\nA: ");
    while (in.len < 3 * HTTPD_HEAD_MAX)
        str_add_byte(&in, 'a');
    net_mem_feed(stream, str_slice(&in));
    turns();
    assert_int_equal(answers("431"), 1);
    assert_true(sink.closed);
    str_fini(&in);
}

static void test_many(void **state)
{
    for (unsigned i = 1; i < HTTPD_SESSIONS_MAX; i++) {
        struct httpd_session *s = httpd__session_new(&server);
        httpd__session_begin(s, net_mem_open(loop, "192.0.2.1", HTTPD_HEAD_MAX, &httpd__callbacks, s));
    }
    turns();
    assert_int_equal(server.count, HTTPD_SESSIONS_MAX);
    struct net_mem_sink last = {0};
    str_init(&last.output, 0);
    struct httpd_session *s = httpd__session_new(&server);
    struct net_stream *over = net_mem_open(loop, "192.0.2.1", HTTPD_HEAD_MAX, &httpd__callbacks, s);
    net_mem_attach(over, &last);
    httpd__session_begin(s, over);
    turns();
    assert_true(last.closed);
    assert_true(slice_has_prefix(str_slice(&last.output), SLICE_LIT("HTTP/1.1 503 ")));
    assert_int_equal(server.count, HTTPD_SESSIONS_MAX);
    str_fini(&last.output);
}

/* -- a real socket: a client that does not read stops being served, then goes on or is cut off */
static struct httpd_server *real;

static int client(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_port = htons(httpd_addr(real)->port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 4096;
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    return fd;
}

static void test_socket(void **state)
{
    struct loop *real_loop = loop_create(0, "control");
    struct ms_errinfo why;
    static const char two[] = GET("/big") GET("/big");
    static char bytes[65536];
    size_t got = 0;
    assert_int_equal(httpd_open(real_loop, "127.0.0.1:0", routes, NULL, &real, &why), MS_OK);
    big_bytes = (size_t)32 << 20;
    int fd = client();
    assert_int_equal(write(fd, two, sizeof two - 1), sizeof two - 1);
    for (unsigned i = 0; i < 200; i++) {
        (void)loop_turn(real_loop);
        usleep(500);
    }
    assert_int_equal(handled, 1); /* the second waits for the first to be taken */
    while (got < 2 * big_bytes) {
        ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        got += n > 0 ? (size_t)n : 0;
        assert_true(n != 0);
        (void)loop_turn(real_loop);
    }
    assert_int_equal(handled, 2);
    assert_int_equal(write(fd, two, sizeof two - 1), sizeof two - 1); /* and goes away in the middle */
    for (unsigned i = 0; i < 50; i++)
        (void)loop_turn(real_loop);
    close(fd);
    httpd_close(&real);
    assert_null(real);
    loop_destroy(&real_loop);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_answers), T(test_head),      T(test_old),       T(test_mistake_ends), T(test_pipelined),
        T(test_idle),    T(test_slow_head), T(test_long_head), T(test_many),         T(test_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
