/*
 * loop_fd.c - a file descriptor of another module, watched by a loop.
 *
 * libuv closes handles in a later turn, so memory outlives the close by one callback. A virtual loop asks
 * poll(2) once a turn, without waiting: sockets work in tests while time stands still.
 */
#include "loop_priv.h"

#include <errno.h>
#include <poll.h>

struct loop_fd {
    struct list node; /* of a virtual loop */
    struct loop *loop;
    int fd;
    unsigned want;
    loop_fd_fn *fn; /* NULL: closed */
    void *owner;
    uv_poll_t poll;
};

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct loop_fd *f = poll->data;
    unsigned got = (events & UV_READABLE ? LOOP_FD_READ : 0) | (events & UV_WRITABLE ? LOOP_FD_WRITE : 0);

    if (f->fn)
        f->fn(f->owner, status < 0 ? f->want : got); /* an error: the next call on the descriptor tells it */
}

static void on_closed(uv_handle_t *handle)
{
    ms_free(handle->data);
}

enum ms_err loop_fd_open(struct loop *loop, int fd, unsigned want, loop_fd_fn *fn, void *owner,
                         struct loop_fd **out)
{
    MS_ASSERT(loop_is_home(loop) && fn);
    struct loop_fd *f = ms_new(struct loop_fd);

    f->loop = loop;
    f->fd = fd;
    f->fn = fn;
    f->owner = owner;
    list_init(&f->node);
    int err = loop->is_virtual ? 0 : uv_poll_init(&loop->uv, &f->poll, fd);
    if (err) {
        ms_free(f);
        return ms_err_from_errno(-err);
    }
    f->poll.data = f;
    if (loop->is_virtual)
        list_push_back(&loop->fds, &f->node);
    loop_fd_want(f, want);
    *out = f;
    return MS_OK;
}

void loop_fd_want(struct loop_fd *f, unsigned want)
{
    MS_ASSERT(loop_is_home(f->loop));
    f->want = want;
    if (f->loop->is_virtual)
        return;
    int events = (want & LOOP_FD_READ ? UV_READABLE : 0) | (want & LOOP_FD_WRITE ? UV_WRITABLE : 0);
    if (events)
        uv_poll_start(&f->poll, events, on_poll);
    else
        uv_poll_stop(&f->poll);
}

void loop_fd_close(struct loop_fd **fd)
{
    struct loop_fd *f = *fd;

    *fd = NULL;
    if (!f)
        return;
    MS_ASSERT(loop_is_home(f->loop));
    f->fn = NULL;
    f->want = 0;
    if (!f->loop->is_virtual) {
        uv_close((uv_handle_t *)&f->poll, on_closed);
        return;
    }
    list_remove(&f->node); /* freed at the end of the turn: a walk may stand on it */
    list_push_back(&f->loop->fds_closed, &f->node);
}

void loop__fds_free_closed(struct loop *loop)
{
    while (!list_is_empty(&loop->fds_closed))
        ms_free(LIST_ENTRY(list_pop_front(&loop->fds_closed), struct loop_fd, node));
}

static unsigned fd_ready(const struct loop_fd *f)
{
    struct pollfd p = {
        .fd = f->fd,
        .events = (short)((f->want & LOOP_FD_READ ? POLLIN : 0) | (f->want & LOOP_FD_WRITE ? POLLOUT : 0))};

    if (!f->want || poll(&p, 1, 0) <= 0)
        return 0;
    if (p.revents & (POLLERR | POLLHUP | POLLNVAL))
        return f->want;
    return (p.revents & POLLIN ? LOOP_FD_READ : 0) | (p.revents & POLLOUT ? LOOP_FD_WRITE : 0);
}

void loop__fds_turn(struct loop *loop)
{
    struct list todo;

    /* Each is taken off a list of its own once: what is opened meanwhile waits for the next turn. */
    list_init(&todo);
    while (!list_is_empty(&loop->fds))
        list_push_back(&todo, list_pop_front(&loop->fds));
    while (!list_is_empty(&todo)) {
        struct loop_fd *f = LIST_ENTRY(list_pop_front(&todo), struct loop_fd, node);
        list_push_back(&loop->fds, &f->node);
        unsigned ready = fd_ready(f);
        if (ready)
            f->fn(f->owner, ready);
    }
    loop__fds_free_closed(loop);
}
