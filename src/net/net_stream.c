/*
 * net_stream.c - life of a stream: open, watch, flush, close.
 *
 *     OPEN ──net_close──▶ LINGER ──written, or NET_LINGER_MS──▶ CLOSED ──end of turn──▶ on_closed, memory
 * gone └──────────────── net_abort, error ────────────────────▶┘
 *
 * Watching costs two system calls a change in libuv 1.44, so reading is stopped lazily: the watch ends only
 * when something arrives that nobody wants, and most often net_read_start comes first.
 */
#include "net_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

/* -- watching */

bool net__wants_input(const struct net_stream *s)
{
    return s->state == NET_ST_OPEN && (s->tls ? net__tls_wants_input(s->tls, s->reading) : s->reading);
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* unwanted_ok: events that may stay watched although nobody wants them. */
static void stream_watch(struct net_stream *s, int unwanted_ok)
{
    int want = (net__wants_input(s) ? UV_READABLE : 0) | (s->blocked ? UV_WRITABLE : 0);

    if (s->mem || s->state == NET_ST_CLOSED)
        return;
    if ((want & ~s->watched) == 0 && (s->watched & ~want & ~unwanted_ok) == 0)
        return;
    s->watched = want;
    if (want)
        uv_poll_start(&s->poll, want, on_poll);
    else
        uv_poll_stop(&s->poll);
}

/* The socket has an error and nobody reads: reading would have found it. */
static bool stream_has_error(struct net_stream *s)
{
    int err = 0;
    socklen_t len = sizeof(err);

    return getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 || err != 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct net_stream *s = MS_CONTAINER_OF(poll, struct net_stream, poll);

    if (s->state == NET_ST_CLOSED)
        return;
    if (status < 0) {
        s->watched = 0; /* libuv stopped the watch on an error of the socket */
        events = UV_READABLE | UV_WRITABLE;
    }
    if (net__wants_input(s) && (events & UV_READABLE))
        net__input(s, true, false);
    else if (status < 0 && stream_has_error(s))
        net_abort(s, NET_CLOSED_RESET);
    if (events & UV_WRITABLE)
        s->blocked = false;
    net__flush(s);
    stream_watch(s, 0);
}

/* -- output */

size_t net_out_bytes(const struct net_stream *s)
{
    return s->raw.bytes + (s->tls ? net__tls_out_bytes(s->tls) : 0);
}

/* Sends what is in `raw`; false when the kernel takes no more, or the stream broke. */
static bool flush_raw(struct net_stream *s)
{
    struct iovec iov[NET_IOV_MAX];

    while (s->raw.bytes > 0) {
        ssize_t n = net__raw_send(s, iov, net__out_iov(&s->raw, iov));
        if (n == -EAGAIN) {
            s->blocked = true;
            return false;
        }
        if (n < 0) {
            net_abort(s, NET_CLOSED_RESET);
            return false;
        }
        net__out_drop(s->nl, &s->raw, (size_t)n);
    }
    return true;
}

static void stream_end(struct net_stream *s, enum net_close_why why);

void net__flush(struct net_stream *s)
{
    if (s->state == NET_ST_CLOSED || s->blocked)
        return;
    do {
        if (s->tls && !net__tls_encrypt(s)) {
            net__tls_failed(s, MS_EIO);
            net_abort(s, NET_CLOSED_TLS);
            return;
        }
        if (s->tls && s->state == NET_ST_LINGER && net__tls_out_bytes(s->tls) == 0)
            net__tls_notify(s);
    } while (flush_raw(s) && s->tls && net__tls_out_bytes(s->tls) > 0 && !net__tls_is_shaking(s->tls));
    if (s->state == NET_ST_LINGER &&
        (net_out_bytes(s) == 0 || (s->tls && s->raw.bytes == 0 && !s->blocked))) {
        s->is_clean = true;
        stream_end(s, s->why);
    } else if (s->state == NET_ST_OPEN && s->out_high && net_out_bytes(s) < NET_OUT_LOW) {
        s->out_high = false;
        s->cb->on_drain(s->owner);
    }
}

/* Where the session's bytes go; NULL when they go nowhere. */
static struct net_outq *stream_outq(struct net_stream *s)
{
    MS_ASSERT(loop_is_home(s->nl->loop));
    if (s->state != NET_ST_OPEN)
        return NULL;
    return s->tls ? net__tls_outq(s->tls) : &s->raw;
}

static void stream_written(struct net_stream *s)
{
    if (net_out_bytes(s) > NET_OUT_HIGH)
        s->out_high = true;
    net__later(s, NET_DO_FLUSH);
}

void net_write(struct net_stream *s, struct slice bytes)
{
    struct net_outq *q = stream_outq(s);

    if (!q || bytes.len == 0)
        return;
    net__out_add(s->nl, q, bytes);
    stream_written(s);
}

void net_write_cstr(struct net_stream *s, const char *text)
{
    net_write(s, slice_cstr(text));
}

void net_write_mbuf(struct net_stream *s, struct mbuf *buf, size_t off, size_t len)
{
    struct net_outq *q = stream_outq(s);

    if (!q || len == 0)
        return;
    net__out_add_mbuf(s->nl, q, buf, off, len);
    stream_written(s);
}

/* -- end of turn */

static void on_uv_closed(uv_handle_t *handle)
{
    ms_free(MS_CONTAINER_OF(handle, struct net_stream, poll));
}

/* The last thing: nothing of the stream is used after on_closed but libuv's handle. */
static void stream_finish(struct net_stream *s)
{
    const struct net_callbacks *cb = s->cb;
    void *owner = s->owner;

    if (s->is_clean)
        net__raw_finish(s);
    if (s->tls)
        net__tls_conn_destroy(s);
    if (s->mem) {
        if (s->mem->sink) {
            s->mem->sink->closed = true;
            s->mem->sink->why = s->why;
        }
        cb->on_closed(owner, s->why);
        str_fini(&s->mem->in);
        str_fini(&s->mem->out);
        ms_free(s->mem);
        ms_free(s);
        return;
    }
    uv_close((uv_handle_t *)&s->poll,
             on_uv_closed); /* ends the watch: before close, the number may be reused */
    close(s->fd);
    cb->on_closed(owner, s->why);
}

static void on_hook(struct loop_hook *hook)
{
    struct net_stream *s = MS_CONTAINER_OF(hook, struct net_stream, hook);
    unsigned todo = s->todo;

    s->todo = 0;
    if ((todo & NET_DO_INPUT) && s->state == NET_ST_OPEN)
        net__input(s, false, (todo & NET_DO_AGAIN) != 0);
    net__flush(s);
    stream_watch(s, UV_READABLE);
    if (todo & NET_DO_CLOSED)
        stream_finish(s);
}

void net__later(struct net_stream *s, unsigned todo)
{
    s->todo |= todo;
    loop_hook_arm(s->nl->loop, &s->hook, on_hook);
}

/* -- closing */

const char *net_close_why_name(enum net_close_why why)
{
    static const char *const names[] = {
        [NET_CLOSED_BY_US] = "us",          [NET_CLOSED_BY_PEER] = "peer", [NET_CLOSED_RESET] = "reset",
        [NET_CLOSED_OVERLONG] = "overlong", [NET_CLOSED_TLS] = "tls",      [NET_CLOSED_TIMEOUT] = "timeout",
    };
    MS_ASSERT((unsigned)why < MS_ARRAY_LEN(names));
    return names[why];
}

/* Nothing more is read or written; on_closed follows at the end of the turn. */
static void stream_end(struct net_stream *s, enum net_close_why why)
{
    MS_ASSERT(s->state != NET_ST_CLOSED);
    s->state = NET_ST_CLOSED;
    s->why = why;
    loop_timer_stop(s->nl->loop, &s->linger);
    if (!s->in_data)
        net__in_clear(&s->in);
    net__out_clear(s->nl, &s->raw);
    net__later(s, NET_DO_CLOSED);
}

static void on_linger(struct loop_timer *timer)
{
    struct net_stream *s = MS_CONTAINER_OF(timer, struct net_stream, linger);
    stream_end(s, s->why);
}

void net_close(struct net_stream *s, enum net_close_why why)
{
    MS_ASSERT(loop_is_home(s->nl->loop));
    if (s->state != NET_ST_OPEN)
        return;
    s->state = NET_ST_LINGER;
    s->why = why;
    if (!s->in_data)
        net__in_clear(&s->in);
    loop_timer_start(s->nl->loop, &s->linger, NET_LINGER_MS, on_linger);
    net__later(s, NET_DO_FLUSH);
}

void net_abort(struct net_stream *s, enum net_close_why why)
{
    MS_ASSERT(loop_is_home(s->nl->loop));
    if (s->state != NET_ST_CLOSED)
        stream_end(s, s->state == NET_ST_LINGER ? s->why : why);
}

/* -- reading */

void net_read_stop(struct net_stream *s)
{
    MS_ASSERT(loop_is_home(s->nl->loop));
    s->reading = false;
}

void net_read_start(struct net_stream *s)
{
    MS_ASSERT(loop_is_home(s->nl->loop));
    if (s->reading || s->state != NET_ST_OPEN)
        return;
    s->reading = true;
    net__later(s, NET_DO_INPUT | NET_DO_AGAIN);
}

void net_set_in_max(struct net_stream *s, size_t in_max)
{
    MS_ASSERT(loop_is_home(s->nl->loop) && in_max >= 1 && in_max <= NET_IN_MAX);
    s->in_max = (uint32_t)in_max;
}

/* -- opening */

const struct net_addr *net_peer(const struct net_stream *s)
{
    return &s->peer;
}

void net_set_peer(struct net_stream *s, const struct net_addr *peer)
{
    s->peer = *peer;
}

struct loop *net_loop(const struct net_stream *s)
{
    return s->nl->loop;
}

void net_local_host(const struct net_stream *s, char out[NET_ADDR_TEXT_MAX])
{
    struct sockaddr_storage sa = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof sa;
    struct net_addr addr;
    out[0] = '\0';
    if (s->fd < 0 || getsockname(s->fd, (struct sockaddr *)&sa, &len) < 0)
        return;
    net__addr_from_sockaddr(&sa, &addr);
    memcpy(out, addr.host, NET_ADDR_TEXT_MAX);
}

struct net_stream *net__stream_new(struct loop *loop, size_t in_max, const struct net_callbacks *cb,
                                   void *owner)
{
    _Static_assert(NET_IN_MAX <= NET_READ_BYTES, "the view holds what in_max allows");
    MS_ASSERT(cb->on_data && cb->on_closed);
    struct net_stream *s = ms_new(struct net_stream);

    s->nl = net__loop(loop);
    s->cb = cb;
    s->owner = owner;
    s->fd = -1;
    s->reading = true;
    net_set_in_max(s, in_max);
    return s;
}

enum ms_err net_stream_open(struct loop *loop, int fd, size_t in_max, const struct net_callbacks *cb,
                            void *owner, struct net_stream **out)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);
    int one = 1;

    MS_ASSERT(loop__uv(loop));
    struct net_stream *s = net__stream_new(loop, in_max, cb, owner);
    s->fd = fd;
    int err = uv_poll_init(loop__uv(loop), &s->poll, fd); /* also makes it non-blocking */
    if (err) {
        close(fd);
        ms_free(s);
        return ms_err_from_errno(-err);
    }
    if (getpeername(fd, (struct sockaddr *)&sa, &len) < 0)
        sa.ss_family = AF_UNSPEC; /* gone already: the first read will tell */
    net__addr_from_sockaddr(&sa, &s->peer);
    if (sa.ss_family == AF_INET || sa.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    stream_watch(s, 0);
    *out = s;
    return MS_OK;
}
