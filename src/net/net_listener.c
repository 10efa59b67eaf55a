/*
 * net_listener.c - listening sockets: poll, accept4 in small batches, pause, rest when descriptors run out.
 *
 * Not uv_listen: that accepts until nothing is left, and sheds all waiting clients when descriptors run out.
 * Here the kernel's backlog queues whenever we do not want to or cannot accept.
 */
#include "net_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>
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

/* A socket file that nobody listens on is left over from a server that was killed. */
static enum ms_err unix_make_room(const struct sockaddr_storage *sa, socklen_t len,
                                  struct ms_errinfo *why_out)
{
    const char *path = ((const struct sockaddr_un *)sa)->sun_path;
    struct stat st;

    if (lstat(path, &st) < 0)
        return MS_OK; /* bind will tell if that is bad */
    if (!S_ISSOCK(st.st_mode))
        return ms_fail(why_out, MS_EEXIST, "%s exists and is not a socket", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return ms_fail_errno(why_out, errno, "socket");
    int rc = connect(fd, (const struct sockaddr *)sa, len);
    int err = errno;
    close(fd);
    if (rc == 0 || err != ECONNREFUSED)
        return ms_fail(why_out, MS_EEXIST, "another process listens on %s", path);
    if (unlink(path) < 0)
        return ms_fail_errno(why_out, errno, "unlink %s", path);
    return MS_OK;
}

static enum ms_err listener_bind(struct net_listener *l, const char *where, int backlog,
                                 struct ms_errinfo *why_out)
{
    socklen_t len;
    int one = 1;

    MS_TRY(net__addr_parse(where, &l->sa, &len, why_out));
    l->is_unix = l->sa.ss_family == AF_UNIX;
    if (l->is_unix)
        MS_TRY(unix_make_room(&l->sa, len, why_out));
    l->fd = socket(l->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0)
        return ms_fail_errno(why_out, errno, "socket for %s", where);
    if (!l->is_unix && setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
        return ms_fail_errno(why_out, errno, "SO_REUSEADDR for %s", where);
    if (l->sa.ss_family == AF_INET6 && setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0)
        return ms_fail_errno(why_out, errno, "IPV6_V6ONLY for %s", where);
    if (bind(l->fd, (struct sockaddr *)&l->sa, len) < 0)
        return ms_fail_errno(why_out, errno, "bind %s", where);
    if (listen(l->fd, backlog) < 0)
        return ms_fail_errno(why_out, errno, "listen on %s", where);
    if (!l->is_unix) {
        len = sizeof(l->sa);
        getsockname(l->fd, (struct sockaddr *)&l->sa, &len);
    }
    net__addr_from_sockaddr(&l->sa, &l->addr);
    if (l->is_unix)
        snprintf(l->addr.text, sizeof(l->addr.text), "%s", where); /* cut to fit: for logs only */
    return MS_OK;
}

enum ms_err net_listener_open(struct loop *loop, const char *where, int backlog, net_accept_fn *on_accept,
                              void *owner, struct net_listener **out, struct ms_errinfo *why_out)
{
    MS_ASSERT(loop_is_home(loop) && loop__uv(loop) && on_accept);
    struct net_listener *l = ms_new(struct net_listener);

    l->loop = loop;
    l->fd = -1;
    l->on_accept = on_accept;
    l->owner = owner;
    enum ms_err err = listener_bind(l, where, backlog, why_out);
    if (!err && uv_poll_init(loop__uv(loop), &l->poll, l->fd) != 0)
        err = ms_fail(why_out, MS_EIO, "cannot watch %s", where);
    if (err) {
        if (l->fd >= 0)
            close(l->fd);
        ms_free(l);
        return err;
    }
    listener_watch(l);
    *out = l;
    return MS_OK;
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
    if (l->is_unix)
        unlink(((struct sockaddr_un *)&l->sa)->sun_path);
    close(l->fd);
}
