/*
 * net_raw.c - the two transports: a kernel socket, or memory for tests.
 */
#include "net_priv.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define NET_DISCARD_MAX NET_READ_TURN_BYTES

static ssize_t mem_read(struct net_mem *m, uint8_t *buf, size_t room)
{
    size_t n = MS_MIN(room, m->in.len - m->in_off);

    if (n == 0)
        return m->eof ? 0 : -EAGAIN;
    memcpy(buf, m->in.ptr + m->in_off, n);
    m->in_off += n;
    if (m->in_off == m->in.len) {
        str_reset(&m->in);
        m->in_off = 0;
    }
    return (ssize_t)n;
}

ssize_t net__raw_read(struct net_stream *s, uint8_t *buf, size_t room)
{
    ssize_t n;

    if (s->mem)
        return mem_read(s->mem, buf, room);
    do {
        n = recv(s->fd, buf, room, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n > 0)
        obs_count(MET_NET_BYTES_IN, (uint64_t)n);
    return n >= 0 ? n : -errno;
}

static ssize_t mem_send(struct net_mem *m, const struct iovec *iov, int count)
{
    struct str *out = m->sink ? &m->sink->output : &m->out;
    ssize_t n = 0;

    for (int i = 0; i < count; i++) {
        str_add(out, iov[i].iov_base, iov[i].iov_len);
        n += (ssize_t)iov[i].iov_len;
    }
    return n;
}

ssize_t net__raw_send(struct net_stream *s, const struct iovec *iov, int count)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
    ssize_t n;

    if (s->mem)
        return mem_send(s->mem, iov, count);
    do {
        n = sendmsg(s->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n > 0)
        obs_count(MET_NET_BYTES_OUT, (uint64_t)n);
    return n >= 0 ? n : -errno;
}

/* Our side is over. What the peer has sent meanwhile is read and thrown away: closing a socket with unread
 * input sends a reset, which can destroy our last reply on its way. */
void net__raw_finish(struct net_stream *s)
{
    if (s->mem)
        return;
    shutdown(s->fd, SHUT_WR);
    for (size_t sum = 0; sum < NET_DISCARD_MAX;) {
        ssize_t n = recv(s->fd, s->nl->view, sizeof(s->nl->view), MSG_DONTWAIT);
        if (n <= 0)
            return;
        sum += (size_t)n;
    }
}

/* -- has the peer ended? */
bool net_peer_is_gone(const struct net_stream *s)
{
    struct pollfd p = {.fd = s->fd, .events = POLLIN | POLLRDHUP};
    char byte;

    if (s->state != NET_ST_OPEN)
        return true;
    if (s->mem)
        return s->mem->eof && (s->tls || s->in.len + (s->mem->in.len - s->mem->in_off) == 0);
    if (poll(&p, 1, 0) <= 0)
        return false;
    if (p.revents & (POLLERR | POLLHUP))
        return true;
    if (!(p.revents & POLLRDHUP))
        return false;
    return s->tls || (s->in.len == 0 && recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0);
}
