/*
 * httpd_priv.h - request, answer and session, inside the module.
 */
#ifndef HTTPD_PRIV_H
#define HTTPD_PRIV_H

#include "ms/base/list.h"
#include "ms/httpd.h"
#include "ms/net.h"

enum httpd_method { HTTPD_GET, HTTPD_HEAD, HTTPD_OTHER };

struct httpd_request { /* slices into the input */
    enum httpd_method method;
    struct slice path;
    struct slice query; /* behind "?"; empty when there is none */
    bool is_old;        /* HTTP/1.0 */
    bool keep_alive;
    int status;         /* 0, or what to answer instead of looking at the path */
    const char *detail; /* one line for the client, with status */
};

/* httpd_parse.c. MS_EMORE: the head is not whole. MS_OK: used_out bytes are one request; with out->status set it
 * cannot be served but the next one can be read. MS_ESYNTAX: out->status and detail say what to answer; nothing
 * behind it can be trusted. */
MS_MUST_USE enum ms_err httpd__request_parse(struct slice in, struct httpd_request *out, size_t *used_out);

/* httpd_emit.c */
struct httpd_answer {
    int status;
    const char *content_type;
    size_t length;
    bool is_old;
    bool keep_alive;
};
void httpd__head_emit(struct str *out, const struct httpd_answer *a, uint64_t wall_us);
const char *httpd__reason(int status);

/* httpd_session.c */
struct httpd_server {
    struct loop *loop;
    struct net_listener *listener;
    const struct httpd_route *routes;
    void *owner;
    struct list sessions;
    unsigned count;
};
struct httpd_session;
extern const struct net_callbacks httpd__callbacks;
/* Then the stream is opened with it as owner and given to httpd__session_begin. */
struct httpd_session *httpd__session_new(struct httpd_server *server);
void httpd__session_begin(struct httpd_session *s, struct net_stream *stream);
void httpd__session_drop(struct httpd_session *s); /* no stream could be opened */
void httpd__session_abort(struct list *node);

#endif
