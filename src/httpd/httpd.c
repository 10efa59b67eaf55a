/*
 * httpd.c - the listener and its sessions.
 */
#include "httpd_priv.h"

#include <unistd.h>

#define HTTPD_BACKLOG     64
#define HTTPD_CLOSE_TURNS 100

static void on_accept(void *owner, int fd, const struct net_addr *peer)
{
    struct httpd_server *server = owner;
    struct net_stream *stream;
    if (server->count >= 2 * HTTPD_SESSIONS_MAX) { /* so many are being told that there are too many */
        close(fd);
        return;
    }
    struct httpd_session *s = httpd__session_new(server);
    if (net_stream_open(server->loop, fd, HTTPD_HEAD_MAX, &httpd__callbacks, s, &stream) == MS_OK)
        httpd__session_begin(s, stream);
    else
        httpd__session_drop(s);
}

enum ms_err httpd_open(struct loop *loop, const char *where, const struct httpd_route *routes, void *owner,
                       struct httpd_server **out, struct ms_errinfo *why_out)
{
    struct httpd_server *server = ms_new(struct httpd_server);
    server->loop = loop;
    server->routes = routes;
    server->owner = owner;
    list_init(&server->sessions);
    enum ms_err err =
        net_listener_open(loop, where, HTTPD_BACKLOG, on_accept, server, &server->listener, why_out);
    if (err) {
        ms_free(server);
        return err;
    }
    *out = server;
    return MS_OK;
}

void httpd_close(struct httpd_server **server_io)
{
    struct httpd_server *server = *server_io;
    *server_io = NULL;
    if (!server)
        return;
    net_listener_close(&server->listener);
    LIST_FOREACH_SAFE(&server->sessions, it)
    httpd__session_abort(it);
    for (unsigned i = 0; i < HTTPD_CLOSE_TURNS && !list_is_empty(&server->sessions); i++)
        loop_turn(server->loop);
    MS_ASSERT(list_is_empty(&server->sessions));
    ms_free(server);
}

const struct net_addr *httpd_addr(const struct httpd_server *server)
{
    return net_listener_addr(server->listener);
}
