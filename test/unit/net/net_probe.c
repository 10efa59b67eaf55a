#include "net_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ms/base/clock.h"

static size_t on_data(void *owner, struct slice in)
{
    struct probe *p = owner;

    assert_int_equal(p->closes, 0);
    assert_true(in.len > 0);
    p->data_calls++;
    p->seen_max = MS_MAX(p->seen_max, in.len);
    size_t used = p->take ? p->take(p, in) : in.len;
    str_add(&p->got, in.ptr, used);
    if (p->echo)
        net_write(p->stream, slice_sub(in, 0, used));
    return used;
}

static void on_drain(void *owner)
{
    struct probe *p = owner;

    assert_int_equal(p->closes, 0);
    assert_true(net_out_bytes(p->stream) < NET_OUT_LOW);
    p->drains++;
    if (p->drained)
        p->drained(p);
}

static void on_tls(void *owner, enum ms_err result)
{
    struct probe *p = owner;

    assert_int_equal(p->closes, 0);
    p->tls_calls++;
    p->tls_result = result;
}

static void on_closed(void *owner, enum net_close_why why)
{
    struct probe *p = owner;

    p->closes++;
    p->why = why;
}

const struct net_callbacks probe_callbacks = {
    .on_data = on_data,
    .on_drain = on_drain,
    .on_tls = on_tls,
    .on_closed = on_closed,
};

void probe_init(struct probe *p)
{
    *p = (struct probe){0};
    str_init(&p->got, 0);
}

void probe_fini(struct probe *p)
{
    str_fini(&p->got);
}

size_t probe_take_lines(struct probe *p, struct slice in)
{
    return (size_t)(slice_rfind_byte(in, '\n') + 1);
}

size_t probe_take_line_and_stop(struct probe *p, struct slice in)
{
    ssize_t lf = slice_find_byte(in, '\n');

    if (lf >= 0)
        net_read_stop(p->stream);
    return (size_t)(lf + 1);
}

size_t probe_take_nothing(struct probe *p, struct slice in)
{
    return 0;
}

int probe_open_pair(struct probe *p, struct loop *loop, size_t in_max)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(net_stream_open(loop, fds[0], in_max, &probe_callbacks, p, &p->stream), MS_OK);
    return fds[1];
}

void probe_run_until_closed(struct probe *p, struct loop *loop)
{
    uint64_t begin = clock_mono_ms();

    while (p->closes == 0) {
        loop_turn(loop);
        assert_true(clock_mono_ms() - begin < 10000);
    }
    loop_turn(loop);
    assert_int_equal(p->closes, 1);
}

void probe_settle(struct loop *loop)
{
    for (int i = 0; i < 6; i++)
        loop_turn(loop);
}

ssize_t peer_read(int fd, struct str *out, size_t max)
{
    uint8_t buf[65536];
    ssize_t n = -1;

    while (max > 0 && (n = read(fd, buf, MS_MIN(sizeof(buf), max))) > 0) {
        str_add(out, buf, (size_t)n);
        max -= (size_t)n;
    }
    return n;
}

void peer_write(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}
