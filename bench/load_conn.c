/*
 * load_conn.c - one connection: connecting, sending what is waiting, cutting what comes into lines.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define BLOCK     ((size_t)256 << 10) /* read at once, while the connections are few */
#define BLOCK_FEW 64

static void watch(struct load_conn *c, bool write)
{
    struct epoll_event ev = {.events = EPOLLIN | (write ? EPOLLOUT : 0), .data.ptr = c};

    if (c->wants_write == write)
        return;
    c->wants_write = write;
    epoll_ctl(c->load->epoll, EPOLL_CTL_MOD, c->fd, &ev);
}

static socklen_t address(const struct load_opts *o, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, o->host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)o->port);
        return sizeof(*v4);
    }
    if (inet_pton(AF_INET6, o->host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)o->port);
        return sizeof(*v6);
    }
    fprintf(stderr, "load: --host: %s is not an IP address\n", o->host);
    exit(64);
}

void load_conn_open(struct load_conn *c)
{
    struct sockaddr_storage to;
    socklen_t len = address(&c->load->opts, &to);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    int on = 1;

    c->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        perror("load: socket");
        exit(71);
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    c->connecting = true;
    c->wants_write = true;
    c->in_len = 0;
    c->skip = 0;
    c->wake_ns = 0;
    c->wait_ns = load_now_ns();
    memset(c->out, 0, sizeof(c->out));
    epoll_ctl(c->load->epoll, EPOLL_CTL_ADD, c->fd, &ev);
    if (connect(c->fd, (struct sockaddr *)&to, len) != 0 && errno != EINPROGRESS)
        load_conn_fail(c, "connect", strerror(errno), strlen(strerror(errno)));
}

void load_conn_close(struct load_conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

void load_conn_fail(struct load_conn *c, const char *what, const char *detail, size_t len)
{
    struct load *load = c->load;
    bool again = ++c->failures < LOAD_FAILURES_MAX && !c->closing;

    load_error(c, what, detail, len);
    if (c->parked)
        load->ready--;
    c->parked = false;
    load_conn_close(c);
    if (again) {
        load_conn_open(c);
        return;
    }
    c->gone = true;
    load->alive--;
}

static void flush(struct load_conn *c)
{
    while (c->out[0].iov_len + c->out[1].iov_len + c->out[2].iov_len > 0) {
        unsigned from = c->out[0].iov_len ? 0 : c->out[1].iov_len ? 1 : 2;
        struct msghdr msg = {.msg_iov = c->out + from, .msg_iovlen = 3 - from};
        ssize_t n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            watch(c, true);
            return;
        }
        if (n < 0) {
            load_conn_fail(c, "send", strerror(errno), strlen(strerror(errno)));
            return;
        }
        for (unsigned i = 0; i < 3; i++) {
            size_t part = (size_t)n < c->out[i].iov_len ? (size_t)n : c->out[i].iov_len;
            c->out[i].iov_base = (char *)c->out[i].iov_base + part;
            c->out[i].iov_len -= part;
            n -= (ssize_t)part;
        }
    }
    c->sent_ns = load_now_ns();
    watch(c, false);
}

void load_conn_send(struct load_conn *c, bool with_tail)
{
    c->out[0] = (struct iovec){c->text.p, c->text.len};
    c->out[1] = (struct iovec){c->load->middle.p, with_tail ? c->load->middle.len : 0};
    c->out[2] = (struct iovec){c->load->tail.p, with_tail ? c->load->tail.len : 0};
    c->wait_ns = load_now_ns();
    flush(c);
}

/* One line, or the rest of a literal. 0: more is needed. A line may end the connection, or make it a new one.
 */
static size_t take(struct load_conn *c, size_t at)
{
    size_t have = c->in_len - at;
    char *line = c->in + at;
    char *end;

    if (c->skip) {
        size_t part = c->skip < have ? (size_t)c->skip : have;
        c->skip -= part;
        return part;
    }
    end = memchr(line, '\n', have);
    if (!end)
        return 0;
    size_t len = (size_t)(end - line);
    c->load->proto->line(c, line, len && line[len - 1] == '\r' ? len - 1 : len);
    return len + 1;
}

static void on_readable(struct load_conn *c)
{
    ssize_t n;
    size_t at = 0, used;
    int fd = c->fd;

    if (c->in_size - c->in_len < 4096) {
        c->in_size = c->in_size ? c->in_size * 2 : c->load->opts.connections > BLOCK_FEW ? 16384 : BLOCK;
        c->in = c->in_size > LOAD_LINE_MAX ? NULL : realloc(c->in, c->in_size);
        if (!c->in) {
            fprintf(stderr, "load: no room for a reply line\n");
            exit(71);
        }
    }
    n = recv(c->fd, c->in + c->in_len, c->in_size - c->in_len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 && c->closing) {
        load_conn_close(c);
        c->gone = true;
        c->load->alive--;
        return;
    }
    if (n <= 0) {
        load_conn_fail(c, "closed by the server", n ? strerror(errno) : "", n ? strlen(strerror(errno)) : 0);
        return;
    }
    c->in_len += (size_t)n;
    c->load->stat.bytes += c->load->phase == LOAD_RUN ? (uint64_t)n : 0;
    c->wait_ns = load_now_ns();
    while (at < c->in_len && (used = take(c, at)) > 0) {
        if (c->fd != fd || c->connecting)
            return; /* this connection is over, and its input with it */
        at += used;
    }
    memmove(c->in, c->in + at, c->in_len - at);
    c->in_len -= at;
}

void load_conn_on_event(struct load_conn *c, uint32_t events)
{
    if (c->fd < 0)
        return;
    if (c->connecting) {
        int err = 0;
        socklen_t len = sizeof(err);

        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
        if (err) {
            load_conn_fail(c, "connect", strerror(err), strlen(strerror(err)));
            return;
        }
        c->connecting = false;
        watch(c, false);
        c->load->proto->reset(c);
        return;
    }
    if (events & EPOLLOUT) {
        flush(c);
        if (c->fd < 0 || c->connecting)
            return;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        on_readable(c);
}
