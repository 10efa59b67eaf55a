/*
 * net_proxy_wait.c - reads a PROXY header off a fresh socket, and not one byte more.
 *
 * What has arrived is looked at first (MSG_PEEK) and taken only as far as it belongs to the header; so
 * nothing that is read already keeps the socket readable, and what stands behind the header is left for the
 * session.
 */
#include <errno.h>

#include "net_priv.h"

struct net_proxy_wait {
    struct loop *loop;
    int fd; /* borrowed */
    net_proxy_fn *fn;
    void *owner;
    struct str header; /* so far */
    struct loop_timer timer;
    uv_poll_t poll;
};

static void on_uv_closed(uv_handle_t *handle)
{
    ms_free(MS_CONTAINER_OF(handle, struct net_proxy_wait, poll));
}

void net_proxy_wait_stop(struct net_proxy_wait **wp)
{
    struct net_proxy_wait *w = *wp;

    if (!w)
        return;
    *wp = NULL;
    loop_timer_stop(w->loop, &w->timer);
    str_fini(&w->header);
    uv_close((uv_handle_t *)&w->poll, on_uv_closed);
}

static void wait_end(struct net_proxy_wait *w, enum ms_err err, const struct net_proxy *proxy)
{
    net_proxy_fn *fn = w->fn;
    void *owner = w->owner;

    net_proxy_wait_stop(&w);
    fn(owner, err, proxy);
}

static void on_late(struct loop_timer *timer)
{
    wait_end(MS_CONTAINER_OF(timer, struct net_proxy_wait, timer), MS_ETIMEOUT, NULL);
}

/* Takes what belongs to the header off the socket. */
static bool take(int fd, size_t bytes)
{
    uint8_t waste[1024];

    while (bytes) {
        ssize_t n = recv(fd, waste, MS_MIN(bytes, sizeof(waste)), MSG_DONTWAIT);
        if (n <= 0)
            return false; /* it was there a moment ago */
        bytes -= (size_t)n;
    }
    return true;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct net_proxy_wait *w = MS_CONTAINER_OF(poll, struct net_proxy_wait, poll);
    struct net_proxy proxy;
    size_t had = w->header.len, used = 0;
    uint8_t bytes[1024];

    ssize_t n = recv(w->fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_PEEK);
    if (n < 0 && errno == EAGAIN && status >= 0)
        return;
    if (n <= 0) {
        wait_end(w, MS_ECLOSED, NULL);
        return;
    }
    str_add(&w->header, bytes, (size_t)n);
    enum ms_err err = net_proxy_parse(str_slice(&w->header), &proxy, &used);
    size_t mine = err ? (size_t)n : used - had;
    if ((err == MS_EMORE || !err) && !take(w->fd, mine))
        err = MS_ECLOSED;
    if (err != MS_EMORE)
        wait_end(w, err, err ? NULL : &proxy);
}

enum ms_err net_proxy_wait(struct loop *loop, int fd, uint64_t wait_ms, net_proxy_fn *fn, void *owner,
                           struct net_proxy_wait **out)
{
    MS_ASSERT(loop_is_home(loop));
    struct net_proxy_wait *w = ms_new(struct net_proxy_wait);

    w->loop = loop;
    w->fd = fd;
    w->fn = fn;
    w->owner = owner;
    str_init(&w->header, 0);
    if (uv_poll_init(loop__uv(loop), &w->poll, fd) != 0) {
        str_fini(&w->header);
        ms_free(w);
        return MS_EIO;
    }
    uv_poll_start(&w->poll, UV_READABLE, on_poll);
    loop_timer_start(loop, &w->timer, wait_ms, on_late);
    *out = w;
    return MS_OK;
}
