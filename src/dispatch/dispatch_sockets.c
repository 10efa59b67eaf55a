/*
 * dispatch_sockets.c - listening sockets that somebody else holds too: given to us at the start, and told about for the
 * descriptor store of a service manager.
 */
#include <stdio.h>
#include <unistd.h>

#include "dispatch_priv.h"

void dispatch_give_sockets(struct dispatch *d, const int *fds, size_t count)
{
    MS_ASSERT(!d->started && !d->given);
    d->given = ms_alloc_array(MS_MAX(count, 1), sizeof *d->given);
    for (size_t i = 0; i < count; i++)
        d->given[d->given_count++] = fds[i];
}

void dispatch_keep_sockets(struct dispatch *d)
{
    MS_ASSERT(!d->started);
    d->keeps_sockets = true;
}

/* One that listens there is ours from now on. -1: none. */
static int given_take(struct dispatch *d, const char *where)
{
    for (size_t i = 0; i < d->given_count; i++)
        if (net_listens_at(d->given[i], where)) {
            int fd = d->given[i];
            d->given[i] = d->given[--d->given_count];
            return fd;
        }
    return -1;
}

enum ms_err dispatch__listen(struct dispatch *d, const char *where, int backlog, net_accept_fn *on_accept,
                             void *owner, struct net_listener **out, struct ms_errinfo *why_out)
{
    int fd = given_take(d, where);
    if (fd < 0) {
        MS_TRY(net_listener_open(d->control, where, backlog, on_accept, owner, out, why_out));
    } else {
        MS_TRY(net_listener_adopt(d->control, fd, where, on_accept, owner, out, why_out));
        OBS_EVENT(OBS_DISPATCH_ADOPTED, 0, OBS_C("address", where));
    }
    if (d->keeps_sockets)
        net_listener_keep_path(*out);
    return MS_OK;
}

static void describe(int fd, char *out, size_t out_max)
{
    struct net_addr addr;
    if (net_addr_of_socket(fd, &addr))
        snprintf(out, out_max, "%s", addr.text);
    else
        snprintf(out, out_max, "none");
}

void dispatch__given_close(struct dispatch *d)
{
    for (size_t i = 0; i < d->given_count; i++) {
        char where[NET_ADDR_TEXT_MAX];
        describe(d->given[i], where, sizeof where);
        OBS_EVENT(OBS_DISPATCH_NOT_ADOPTED, 0, OBS_I("fd", d->given[i]), OBS_C("address", where));
        close(d->given[i]);
    }
    d->given_count = 0;
    ms_free(d->given);
    d->given = NULL;
}

void dispatch_each_listener(struct dispatch *d, void (*fn)(void *owner, const char *name, int fd),
                            void *owner)
{
    for (unsigned i = 0; i < d->service_count; i++) {
        struct dispatch_service *s = d->services[i];
        if (!s || s->is_extra || s->is_gone)
            continue;
        for (unsigned k = 0; k < DISPATCH_LISTEN_MAX; k++) {
            char name[CONF_NAME_MAX + 16];
            if (!s->listeners[k])
                continue;
            snprintf(name, sizeof name, "%s-%u", s->name, k);
            fn(owner, name, net_listener_fd(s->listeners[k]->net));
        }
    }
}
