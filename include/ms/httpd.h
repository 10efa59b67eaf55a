/*
 * httpd.h - a small HTTP/1.1 server for what the operator's monitoring asks: /metrics, /healthz, /readyz.
 * Layer 4 (httpd).   Uses: base, obs, conf, loop, net.
 *
 *   static const struct httpd_route routes[] = {{"/healthz", on_healthz}, {NULL, NULL}};
 *   httpd_open(control, "127.0.0.1:9470", routes, server, &http, &why);
 *
 * GET and HEAD only, no bodies (a request that has one is answered 413 and the connection closed), strict parsing
 * (RFC 9112: no folding, one Host, no bare CR or LF in the head), keep-alive, pipelining. One request of a
 * connection is answered in a turn: a client that pipelines cannot keep others waiting.
 *
 * Threads:  one loop (the control loop).
 * Memory:   a session owns at most one request head; an answer is handed to the stream's output blocks, and
 *           while more than NET_OUT_HIGH of it waits no further request of that connection is read.
 * Limits:   HTTPD_*; beyond: 431, 414, 405, 400, 408, 503, each with a line of text, then the connection ends
 *           where the standard says so.
 */
#ifndef MS_HTTPD_H
#define MS_HTTPD_H

#include "ms/base/str.h"
#include "ms/loop.h"

#define HTTPD_HEAD_MAX     8192  /* request line and fields */
#define HTTPD_TARGET_MAX   2048
#define HTTPD_FIELDS_MAX   64
#define HTTPD_SESSIONS_MAX 64    /* one more gets 503 */
#define HTTPD_IDLE_MS      30000 /* for a head to come whole, for an answer to be taken, between requests */

struct httpd_reply {
    int status;               /* 200 */
    const char *content_type; /* static text */
    struct str body;
};
/* On the loop, at once. query: behind "?", undecoded. */
typedef void httpd_handler_fn(void *owner, struct slice query, struct httpd_reply *reply);
struct httpd_route {
    const char *path; /* exact */
    httpd_handler_fn *handler;
};
struct httpd_server;
struct net_addr;
/* where: as net_listener_open. routes: borrowed, ended by a NULL path. */
MS_MUST_USE enum ms_err httpd_open(struct loop *loop, const char *where, const struct httpd_route *routes, void *owner,
                                   struct httpd_server **out, struct ms_errinfo *why_out);
/* Connections are cut off; a loop that no longer runs is turned until they are gone. */
void httpd_close(struct httpd_server **s);
const struct net_addr *httpd_addr(const struct httpd_server *s); /* the real port when 0 was asked */

#endif
