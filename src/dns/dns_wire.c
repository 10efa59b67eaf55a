/*
 * dns_wire.c - one query to one server. UDP: a socket of its own, so that the kernel picks a port at
 * random (RFC 5452 9.2), and connected, so that only that server's datagrams come in. TCP: connect, two
 * octets of length, the query; the same back.
 */
#include "dns_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#define UDP_READS_MAX 32 /* of one turn: a flood of forged answers gets no more of it */

struct dns__wire {
    struct loop *loop;
    int fd;
    bool tcp, closed;
    unsigned calls; /* inside fn: memory stays */
    struct loop_fd *watch;
    dns__wire_fn *fn;
    void *owner;
    uint8_t out[DNS__QUERY_MAX + 2];
    size_t out_len, out_done;
    struct str in; /* TCP */
};

static void wire_free(struct dns__wire *w)
{
    str_fini(&w->in);
    ms_free(w);
}

void dns__wire_close(struct dns__wire **wire)
{
    struct dns__wire *w = *wire;

    *wire = NULL;
    if (!w || w->closed)
        return;
    w->closed = true;
    loop_fd_close(&w->watch);
    close(w->fd);
    if (w->calls == 0)
        wire_free(w);
}

/* false: the wire was closed in the call. */
static bool wire_tell(struct dns__wire *w, struct slice answer, bool failed)
{
    w->calls++;
    w->fn(w->owner, answer, failed);
    w->calls--;
    if (w->closed && w->calls == 0) {
        wire_free(w);
        return false;
    }
    return !w->closed;
}

static void on_udp(void *owner, unsigned ready)
{
    struct dns__wire *w = owner;
    uint8_t in[4096]; /* EDNS allows 1232; a longer one is cut by the kernel and then not readable */

    for (int i = 0; i < UDP_READS_MAX; i++) {
        ssize_t got = recv(w->fd, in, sizeof(in), 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (!wire_tell(w, slice_make(in, got < 0 ? 0 : (size_t)got),
                       got < 0)) /* ECONNREFUSED: nobody is there */
            return;
        if (got < 0)
            return;
    }
}

static void tcp_fail(struct dns__wire *w)
{
    loop_fd_want(w->watch, 0);
    (void)wire_tell(w, (struct slice){0}, true);
}

/* Connected, or a part is written. */
static void tcp_write(struct dns__wire *w)
{
    ssize_t put = send(w->fd, w->out + w->out_done, w->out_len - w->out_done, MSG_NOSIGNAL);

    if (put < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (put < 0) {
        tcp_fail(w);
        return;
    }
    w->out_done += (size_t)put;
    if (w->out_done == w->out_len)
        loop_fd_want(w->watch, LOOP_FD_READ);
}

static void tcp_read(struct dns__wire *w)
{
    uint8_t *at = str_reserve(&w->in, 4096);
    ssize_t got = at ? recv(w->fd, at, 4096, 0) : 0;

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        tcp_fail(w);
        return;
    }
    str_advance(&w->in, (size_t)got);
    if (w->in.len < 2 || w->in.len < 2u + ms_get_be16(w->in.ptr))
        return;
    struct slice answer = slice_sub(str_slice(&w->in), 2, ms_get_be16(w->in.ptr));
    if (wire_tell(w, answer,
                  false)) /* not what was asked for, and a stream has no forgers in between: it is broken */
        tcp_fail(w);
}

static void on_tcp(void *owner, unsigned ready)
{
    struct dns__wire *w = owner;

    if (w->out_done < w->out_len)
        tcp_write(w);
    else
        tcp_read(w);
}

static enum ms_err wire_begin(struct dns__wire *w, const struct dns__server *server)
{
    const struct sockaddr *sa = (const struct sockaddr *)&server->sa;

    w->fd = socket(sa->sa_family, (w->tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (w->fd < 0)
        return ms_err_from_errno(errno);
    if (connect(w->fd, sa, server->sa_len) < 0 && errno != EINPROGRESS)
        return ms_err_from_errno(errno);
    if (!w->tcp && send(w->fd, w->out, w->out_len, MSG_NOSIGNAL) != (ssize_t)w->out_len)
        return ms_err_from_errno(errno);
    return loop_fd_open(w->loop, w->fd, w->tcp ? LOOP_FD_WRITE : LOOP_FD_READ, w->tcp ? on_tcp : on_udp, w,
                        &w->watch);
}

enum ms_err dns__wire_open(struct loop *loop, const struct dns__server *server, const struct dns__query *q,
                           bool tcp, dns__wire_fn *fn, void *owner, struct dns__wire **out)
{
    struct dns__wire *w = ms_new(struct dns__wire);

    w->loop = loop;
    w->tcp = tcp;
    w->fn = fn;
    w->owner = owner;
    str_init(&w->in, DNS__MESSAGE_MAX + 2 + 4096);
    if (tcp) {
        ms_put_be16(w->out, (uint16_t)q->len);
        w->out_len = 2;
    }
    memcpy(w->out + w->out_len, q->wire, q->len);
    w->out_len += q->len;
    enum ms_err err = wire_begin(w, server);
    if (!err) {
        *out = w;
        return MS_OK;
    }
    if (w->fd >= 0)
        close(w->fd);
    wire_free(w);
    return err;
}
