/*
 * httpd_session.c - one connection: reads a head, asks the route, writes the answer, waits for the next.
 *
 *   WAIT --a whole head--> answer --keep-alive--> WAIT
 *     |                       `--more input, or output waits--> REST --next turn, drained--> WAIT
 *     `--mistake, time over, close--> CLOSING
 *
 * One timer: it runs from the moment a request may come until its answer is written, and is not put off by
 * single bytes. So neither a client that sends slowly nor one that reads slowly holds a session for longer than
 * HTTPD_IDLE_MS a request.
 */
#include "httpd_priv.h"

#include "ms/base/clock.h"

enum httpd_state { HTTPD_WAIT, HTTPD_REST, HTTPD_CLOSING };

struct httpd_session {
    struct list node;
    struct httpd_server *server;
    struct net_stream *stream;
    enum httpd_state state;
    bool begun; /* a part of a head is there */
    struct loop_timer timer, rest;
};

static void on_timeout(struct loop_timer *timer);

static void timer_restart(struct httpd_session *s)
{
    loop_timer_start(s->server->loop, &s->timer, HTTPD_IDLE_MS, on_timeout);
}

static void close_with(struct httpd_session *s, enum net_close_why why)
{
    s->state = HTTPD_CLOSING;
    loop_timer_stop(s->server->loop, &s->timer);
    loop_timer_stop(s->server->loop, &s->rest);
    net_close(s->stream, why);
}

static void send_reply(struct httpd_session *s, const struct httpd_request *r, struct httpd_reply *reply)
{
    const struct httpd_answer a = {.status = reply->status,
                                   .content_type = reply->content_type,
                                   .length = reply->body.len,
                                   .is_old = r->is_old,
                                   .keep_alive = r->keep_alive};
    struct str head;
    str_init(&head, 0);
    httpd__head_emit(&head, &a, clock_wall_us());
    net_write(s->stream, str_slice(&head));
    str_fini(&head);
    if (r->method != HTTPD_HEAD)
        net_write(s->stream, str_slice(&reply->body));
    if (!r->keep_alive)
        close_with(s, NET_CLOSED_BY_US);
    else
        timer_restart(s);
}

static void send_text(struct httpd_session *s, const struct httpd_request *r, int status, const char *text)
{
    struct httpd_reply reply = {.status = status, .content_type = "text/plain; charset=utf-8"};
    str_init(&reply.body, 0);
    str_addf(&reply.body, "%s\n", text);
    send_reply(s, r, &reply);
    str_fini(&reply.body);
}

static void serve(struct httpd_session *s, const struct httpd_request *r)
{
    struct httpd_reply reply = {.status = 200, .content_type = "text/plain; charset=utf-8"};
    if (r->status) {
        send_text(s, r, r->status, r->detail);
        return;
    }
    for (const struct httpd_route *route = s->server->routes; route->path; route++)
        if (slice_eq_cstr(r->path, route->path)) {
            str_init(&reply.body, 0);
            route->handler(s->server->owner, r->query, &reply);
            send_reply(s, r, &reply);
            str_fini(&reply.body);
            return;
        }
    send_text(s, r, 404, "there is nothing here");
}

static void on_rest(struct loop_timer *timer)
{
    struct httpd_session *s = MS_CONTAINER_OF(timer, struct httpd_session, rest);
    s->state = HTTPD_WAIT;
    net_read_start(s->stream);
}

/* After an answer with more to come: others first, and what was written goes out first. */
static void rest_a_while(struct httpd_session *s, bool more)
{
    bool full = net_out_bytes(s->stream) > NET_OUT_HIGH;
    if (!more && !full)
        return;
    s->state = HTTPD_REST;
    net_read_stop(s->stream);
    if (!full) /* else on_drain */
        loop_timer_start(s->server->loop, &s->rest, LOOP_TICK_MS, on_rest);
}

static size_t on_data(void *owner, struct slice in)
{
    struct httpd_session *s = owner;
    struct httpd_request r;
    size_t used;
    if (s->state == HTTPD_CLOSING)
        return in.len;
    enum ms_err err = httpd__request_parse(in, &r, &used);
    s->begun = err == MS_EMORE;
    if (err == MS_EMORE)
        return 0;
    serve(s, &r);
    if (err || s->state == HTTPD_CLOSING)
        return in.len;
    rest_a_while(s, used < in.len);
    return used;
}

static void on_drain(void *owner)
{
    struct httpd_session *s = owner;
    if (s->state == HTTPD_REST && !loop_timer_is_running(&s->rest))
        loop_timer_start(s->server->loop, &s->rest, LOOP_TICK_MS, on_rest);
}

static void on_timeout(struct loop_timer *timer)
{
    struct httpd_session *s = MS_CONTAINER_OF(timer, struct httpd_session, timer);
    const struct httpd_request r = {.method = HTTPD_GET, .keep_alive = false};
    if (net_out_bytes(s->stream) > 0) { /* the client does not read */
        s->state = HTTPD_CLOSING;
        loop_timer_stop(s->server->loop, &s->rest);
        net_abort(s->stream, NET_CLOSED_TIMEOUT);
    } else if (s->begun) {
        send_text(s, &r, 408, "the request did not come in time"); /* RFC 9110 15.5.9 */
    } else {
        close_with(s, NET_CLOSED_TIMEOUT);
    }
}

static void on_closed(void *owner, enum net_close_why why)
{
    httpd__session_drop(owner);
}

const struct net_callbacks httpd__callbacks = {
    .on_data = on_data, .on_drain = on_drain, .on_closed = on_closed};

struct httpd_session *httpd__session_new(struct httpd_server *server)
{
    struct httpd_session *s = ms_new(struct httpd_session);
    s->server = server;
    list_push_back(&server->sessions, &s->node);
    server->count++;
    return s;
}

void httpd__session_begin(struct httpd_session *s, struct net_stream *stream)
{
    const struct httpd_request r = {.method = HTTPD_GET, .keep_alive = false};
    s->stream = stream;
    if (s->server->count > HTTPD_SESSIONS_MAX)
        send_text(s, &r, 503, "too many connections");
    else
        timer_restart(s);
}

void httpd__session_drop(struct httpd_session *s)
{
    loop_timer_stop(s->server->loop, &s->timer);
    loop_timer_stop(s->server->loop, &s->rest);
    list_remove(&s->node);
    s->server->count--;
    ms_free(s);
}

void httpd__session_abort(struct list *node)
{
    struct httpd_session *s = LIST_ENTRY(node, struct httpd_session, node);
    s->state = HTTPD_CLOSING;
    net_abort(s->stream, NET_CLOSED_BY_US);
}
