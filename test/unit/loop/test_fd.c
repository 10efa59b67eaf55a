/* Descriptors of others: on a real loop and on a virtual one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ms/loop.h"

#define TURNS_MAX 2000

struct end {
    struct loop_fd *fd;
    int sock;
    unsigned reads, writes;
    bool closes;       /* in the callback */
    struct end *other; /* closed in the callback too */
};

static void on_ready(void *owner, unsigned ready)
{
    struct end *e = owner;
    char c;
    if (ready & LOOP_FD_READ && recv(e->sock, &c, 1, MSG_DONTWAIT) >= 0)
        e->reads++;
    e->writes += !!(ready & LOOP_FD_WRITE);
    if (e->closes)
        loop_fd_close(&e->fd);
    if (e->closes && e->other)
        loop_fd_close(&e->other->fd);
}

static void turns_until(struct loop *loop, const unsigned *count, unsigned want)
{
    for (unsigned i = 0; i < TURNS_MAX && *count < want; i++)
        (void)loop_turn(loop);
    assert_int_equal(*count, want);
}

static void run(struct loop *loop)
{
    int pair[2];
    struct end a = {0}, b = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    a.sock = pair[0];
    b.sock = pair[1];
    assert_int_equal(loop_fd_open(loop, a.sock, LOOP_FD_READ, on_ready, &a, &a.fd), MS_OK);
    assert_int_equal(loop_fd_open(loop, b.sock, 0, on_ready, &b, &b.fd), MS_OK);
    for (unsigned i = 0; i < 5; i++)
        (void)loop_turn(loop);
    assert_int_equal(a.reads + a.writes + b.reads + b.writes, 0);
    assert_int_equal(send(b.sock, "xyz", 3, 0), 3); /* as long as there is something: once a turn */
    turns_until(loop, &a.reads, 3);
    loop_fd_want(a.fd, LOOP_FD_READ | LOOP_FD_WRITE);
    turns_until(loop, &a.writes, 1);
    loop_fd_want(a.fd, 0);
    assert_int_equal(send(b.sock, "x", 1, 0), 1);
    for (unsigned i = 0; i < 5; i++)
        (void)loop_turn(loop);
    assert_true(a.reads == 3 && a.writes == 1);
    a.closes = true;
    a.other = &b;
    loop_fd_want(b.fd, LOOP_FD_WRITE);
    loop_fd_want(a.fd, LOOP_FD_READ);
    turns_until(loop, &a.reads, 4);
    assert_null(a.fd);
    assert_null(b.fd);
    unsigned writes = b.writes;
    for (unsigned i = 0; i < 5; i++)
        (void)loop_turn(loop);
    assert_true(a.reads == 4 && b.writes == writes);
    loop_fd_close(&a.fd); /* again: nothing */
    close(pair[0]);
    close(pair[1]);
}

static void test_real(void **state)
{
    struct loop *loop = loop_create(1, "fd");
    run(loop);
    run(loop); /* the same numbers again */
    loop_destroy(&loop);
}

static void test_virtual(void **state)
{
    struct loop *loop = loop_create_virtual(1, "fd", 1000);
    run(loop);
    run(loop);
    assert_int_equal(loop_now_ms(loop), 1000);
    loop_destroy(&loop);
}

/* The other side is gone, or the descriptor is none: its owner is called and finds out. */
static void test_broken(void **state)
{
    for (unsigned is_virtual = 0; is_virtual < 2; is_virtual++) {
        struct loop *loop = is_virtual ? loop_create_virtual(1, "fd", 0) : loop_create(1, "fd");
        struct end a = {0};
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        a.sock = pair[0];
        assert_int_equal(loop_fd_open(loop, a.sock, LOOP_FD_READ, on_ready, &a, &a.fd), MS_OK);
        close(pair[1]);
        turns_until(loop, &a.reads, 1);
        loop_fd_close(&a.fd);
        close(pair[0]);
        loop_destroy(&loop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_real), cmocka_unit_test(test_virtual),
                                       cmocka_unit_test(test_broken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
