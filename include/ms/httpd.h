/*
 * httpd.h - a small HTTP/1.1 server for what the operator's monitoring asks: /metrics, /healthz, /readyz.
 * Layer 4 (httpd).   Uses: base, obs, conf, loop, net.
 *
 * GET and HEAD only, no bodies (a request with one is answered and closed), strict parsing (RFC 9112: no folding, one Host, no bare LF in the head), keep-alive, pipelining.
 *
 * Threads:  one loop (the control loop).   Memory: a session owns at most one request head; answers are written in blocks with back-pressure.
 * Limits:   HTTPD_*; beyond: 431, 414, 405, 400, 408, 503, each with a line of text, then the connection ends where the standard says so.
 */
#ifndef MS_HTTPD_H
#define MS_HTTPD_H

#include "ms/base/str.h"
#include "ms/loop.h"

#define HTTPD_HEAD_MAX     8192
#define HTTPD_FIELDS_MAX   64
#define HTTPD_SESSIONS_MAX 64
#define HTTPD_IDLE_MS      30000

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
/* where: as net_listener_open. routes: borrowed, ended by a NULL path. */
MS_MUST_USE enum ms_err httpd_open(struct loop *loop, const char *where, const struct httpd_route *routes, void *owner,
                                   struct httpd_server **out, struct ms_errinfo *why_out);
void httpd_close(struct httpd_server **s);

#endif
