/*
 * net_refuse.c - clients that are turned away: one text, and a short wait for them to have read it.
 *
 * A socket that is closed while bytes of the peer are unread, or arrive later, is reset, and a reset makes
 * the peer's kernel throw away what it had not read: the refusal. So our side ends first, and the peer's
 * bytes are read and dropped until it ends, too. Sockets wait in one list of the loop, the oldest first.
 */
#include "net_priv.h"

#include <errno.h>
#include <unistd.h>

#define REFUSE_READS_MAX 16 /* of one wake-up: a peer that sends without end has its turn like all */

struct net_refused {
    struct list node;
    struct net_refusals *all;
    int fd;
    struct loop_timer timer;
    uv_poll_t poll;
};

static void on_uv_closed(uv_handle_t *handle)
{
    ms_free(MS_CONTAINER_OF(handle, struct net_refused, poll));
}

static void refused_end(struct net_refused *r)
{
    list_remove(&r->node);
    r->all->count--;
    loop_timer_stop(r->all->loop, &r->timer);
    uv_close((uv_handle_t *)&r->poll, on_uv_closed);
    close(r->fd);
}

static void on_late(struct loop_timer *timer)
{
    refused_end(MS_CONTAINER_OF(timer, struct net_refused, timer));
}

/* false: nothing more will come. */
static bool drop_input(int fd)
{
    char waste[4096];

    for (int i = 0; i < REFUSE_READS_MAX; i++) {
        ssize_t n = recv(fd, waste, sizeof(waste), MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        if (n == 0)
            return false;
    }
    return true;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct net_refused *r = MS_CONTAINER_OF(poll, struct net_refused, poll);

    if (status < 0 || !drop_input(r->fd))
        refused_end(r);
}

void net_refuse_stop(struct loop *loop)
{
    struct net_refusals *all = &net__loop(loop)->refusals;

    while (!list_is_empty(&all->waiting))
        refused_end(LIST_ENTRY(all->waiting.next, struct net_refused, node));
}

void net_refuse(struct loop *loop, int fd, struct slice text)
{
    MS_ASSERT(loop_is_home(loop));
    struct net_refusals *all = &net__loop(loop)->refusals;

    bool sent = text.len > 0 && send(fd, text.ptr, text.len, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
    if (!sent || shutdown(fd, SHUT_WR) != 0 || !drop_input(fd) || all->count >= NET_REFUSE_MAX) {
        close(fd); /* in a flood: who has not spoken yet still reads the text */
        return;
    }
    struct net_refused *r = ms_new(struct net_refused);
    r->all = all;
    r->fd = fd;
    if (uv_poll_init(loop__uv(loop), &r->poll, fd) != 0) {
        close(fd);
        ms_free(r);
        return;
    }
    list_push_back(&all->waiting, &r->node);
    all->count++;
    loop_timer_start(loop, &r->timer, NET_REFUSE_MS, on_late);
    uv_poll_start(&r->poll, UV_READABLE, on_poll);
}
