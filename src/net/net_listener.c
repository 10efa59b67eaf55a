/*
 * net_listener.c - listening sockets: poll, accept4 in small batches, pause, rest when descriptors run out.
 *
 * Not uv_listen: that accepts until nothing is left, and sheds all waiting clients when descriptors run out.
 * Here the kernel's backlog queues whenever we do not want to or cannot accept.
 */
#include "net_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#define NET_REST_MS_MIN 100
#define NET_REST_MS_MAX 2000

struct net_listener {
    struct loop *loop;
    int fd;
    bool paused;  /* by the owner */
    bool resting; /* no descriptors */
    bool watched;
    bool closed;
    bool is_unix;
    bool keeps_path; /* another process holds the socket too: it stays reachable when we close */
    uint64_t rest_ms;
    net_accept_fn *on_accept;
    void *owner;
    struct loop_timer rest;
    struct net_addr addr;
    struct sockaddr_storage sa;
    uv_poll_t poll;
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void listener_watch(struct net_listener *l)
{
    bool want = !l->paused && !l->resting && !l->closed;

    if (want == l->watched)
        return;
    l->watched = want;
    if (want)
        uv_poll_start(&l->poll, UV_READABLE, on_poll);
    else
        uv_poll_stop(&l->poll);
}

static void on_rested(struct loop_timer *timer)
{
    struct net_listener *l = MS_CONTAINER_OF(timer, struct net_listener, rest);

    l->resting = false;
    listener_watch(l);
}

static void listener_rest(struct net_listener *l, int err)
{
    l->rest_ms = l->rest_ms ? MS_MIN(l->rest_ms * 2, NET_REST_MS_MAX) : NET_REST_MS_MIN;
    OBS_EVENT(OBS_NET_ACCEPT_RESTS, 0, OBS_C("listener", l->addr.text), OBS_C("error", strerror(err)),
              OBS_U("ms", l->rest_ms));
    l->resting = true;
    loop_timer_start(l->loop, &l->rest, l->rest_ms, on_rested);
    listener_watch(l);
}

static bool is_shortage(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct net_listener *l = MS_CONTAINER_OF(poll, struct net_listener, poll);

    for (int i = 0; i < NET_ACCEPT_BATCH && l->watched; i++) {
        struct sockaddr_storage sa = {0};
        socklen_t len = sizeof(sa);
        struct net_addr peer;
        int fd = accept4(l->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && is_shortage(errno)) {
            listener_rest(l, errno);
            return;
        }
        if (fd < 0 && (errno == EAGAIN || status < 0))
            return;
        if (fd < 0)
            continue; /* that client is gone: ECONNABORTED and its like */
        l->rest_ms = 0;
        obs_count(MET_NET_ACCEPTED, 1);
        net__addr_from_sockaddr(&sa, &peer);
        l->on_accept(l->owner, fd, &peer); /* may pause or close the listener */
    }
}

/* Takes over fd. */
static enum ms_err listener_new(struct loop *loop, int fd, const char *where, net_accept_fn *on_accept,
                                void *owner, struct net_listener **out, struct ms_errinfo *why_out)
{
    struct net_listener *l = ms_new(struct net_listener);
    socklen_t len = sizeof(l->sa);

    l->loop = loop;
    l->fd = fd;
    l->on_accept = on_accept;
    l->owner = owner;
    if (getsockname(fd, (struct sockaddr *)&l->sa, &len) < 0 ||
        uv_poll_init(loop__uv(loop), &l->poll, fd) != 0) {
        close(fd);
        ms_free(l);
        return ms_fail(why_out, MS_EIO, "cannot watch %s", where);
    }
    l->is_unix = l->sa.ss_family == AF_UNIX;
    net__addr_from_sockaddr(&l->sa, &l->addr);
    if (l->is_unix)
        snprintf(l->addr.text, sizeof(l->addr.text), "%s", where); /* cut to fit: for logs only */
    listener_watch(l);
    *out = l;
    return MS_OK;
}

enum ms_err net_listener_open(struct loop *loop, const char *where, int backlog, net_accept_fn *on_accept,
                              void *owner, struct net_listener **out, struct ms_errinfo *why_out)
{
    int fd;

    MS_ASSERT(loop_is_home(loop) && loop__uv(loop) && on_accept);
    MS_TRY(net_listen(where, backlog, &fd, why_out));
    return listener_new(loop, fd, where, on_accept, owner, out, why_out);
}

enum ms_err net_listener_adopt(struct loop *loop, int fd, const char *where, net_accept_fn *on_accept,
                               void *owner, struct net_listener **out, struct ms_errinfo *why_out)
{
    MS_ASSERT(loop_is_home(loop) && loop__uv(loop) && on_accept);
    if (!net_listens_at(fd, where) || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) {
        close(fd);
        return ms_fail(why_out, MS_EINVAL, "a descriptor that we were given does not listen on %s", where);
    }
    MS_TRY(listener_new(loop, fd, where, on_accept, owner, out, why_out));
    (*out)->keeps_path = true;
    return MS_OK;
}

int net_listener_fd(const struct net_listener *l)
{
    return l->fd;
}

void net_listener_keep_path(struct net_listener *l)
{
    l->keeps_path = true;
}

void net_listener_pause(struct net_listener *l)
{
    MS_ASSERT(loop_is_home(l->loop));
    l->paused = true;
    listener_watch(l);
}

void net_listener_resume(struct net_listener *l)
{
    MS_ASSERT(loop_is_home(l->loop));
    l->paused = false;
    listener_watch(l);
}

bool net_listener_is_paused(const struct net_listener *l)
{
    return l->paused;
}

const struct net_addr *net_listener_addr(const struct net_listener *l)
{
    return &l->addr;
}

static void on_uv_closed(uv_handle_t *handle)
{
    ms_free(MS_CONTAINER_OF(handle, struct net_listener, poll));
}

void net_listener_close(struct net_listener **listener)
{
    struct net_listener *l = *listener;

    if (!l)
        return;
    MS_ASSERT(loop_is_home(l->loop));
    *listener = NULL;
    l->closed = true;
    l->watched = false;
    loop_timer_stop(l->loop, &l->rest);
    uv_close((uv_handle_t *)&l->poll, on_uv_closed);
    if (l->is_unix && !l->keeps_path)
        unlink(((struct sockaddr_un *)&l->sa)->sun_path);
    close(l->fd);
}
