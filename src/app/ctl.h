/*
 * ctl.h - the server's half of the admin socket: sessions, and requests that go on for longer than one call.
 *
 * A request is one line of words. Simple ones answer in their row's function: data lines (ctl_line, ctl_lines), then
 * ctl_answer, which ends the connection. One that takes more lines, or answers in pieces, becomes a task:
 *
 *   ctl_task_begin    from now on each further line of the request goes to type->line
 *   ctl_is_full       the peer reads more slowly than the task writes: stop, type->drained comes
 *   ctl_answer        the last line; then type->closed, as when the peer went away
 *
 * Data lines begin with a blank. A line "+LEN" is followed by LEN bytes as they are. The last line is "EXIT TEXT".
 * Threads: the control loop.
 */
#ifndef APP_CTL_H
#define APP_CTL_H

#include "app.h"

#include "ms/base/arena.h"
#include "ms/base/list.h"
#include "ms/net.h"

#define CTL_SESSIONS_MAX 64

struct ctl_task;
struct ctl_task_type {
    /* One more line of the request; false: not now, it comes again after ctl_task_ready. */
    bool (*line)(struct ctl_task *task, struct slice line);
    void (*drained)(struct ctl_task *task);
    void (*closed)(struct ctl_task *task); /* exactly once, last: the session is gone when it returns */
};
struct ctl_task { /* embed */
    const struct ctl_task_type *type;
    struct ctl_session *session;
};

struct ctl_server {
    struct server *server;
    struct loop *control;
    struct net_listener *listener;
    struct list sessions;
    unsigned count;
    struct list queue_acts;   /* of ctl_queue_act.c: they outlive the session that asked for them */
    struct list channel_acts; /* of ctl_channel.c, likewise */
};

struct ctl_session {
    struct list node;
    struct ctl_server *server;
    struct net_stream *stream;
    struct arena arena;
    uint32_t uid; /* of the process at the other end */
    struct ctl_task *task;
    bool answered;
};

typedef void ctl_request_fn(struct ctl_session *s, const struct slice *words, size_t count);

void ctl_answer(struct ctl_session *s, int exit_code, const char *text);
void ctl_lines(struct ctl_session *s, struct slice text); /* each of its lines is a data line */
void ctl_words(struct ctl_session *s, const struct slice *words, size_t count); /* one data line */
bool ctl_is_full(const struct ctl_session *s);
void ctl_task_begin(struct ctl_session *s, struct ctl_task *task, const struct ctl_task_type *type);
void ctl_task_ready(struct ctl_session *s);

/* A row while it is made: a data line of name, value, name, value ...; the first pair is "row" and its kind. */
struct ctl_row {
    struct ctl_session *session;
    struct arena arena;
    struct slice words[CTL_WORDS_MAX];
    size_t count;
};
void ctl_row_begin(struct ctl_row *r, struct ctl_session *s, const char *kind);
void ctl_row_text(struct ctl_row *r, const char *name, struct slice value);
void ctl_row_add(struct ctl_row *r, const char *name, const char *fmt, ...) MS_PRINTF(3, 4);
void ctl_row_number(struct ctl_row *r, const char *name, uint64_t value);
void ctl_row_time(struct ctl_row *r, const char *name, uint64_t us); /* "-": 0 and UINT64_MAX */
void ctl_row_end(struct ctl_row *r);

ctl_request_fn ctl_resolve;
ctl_request_fn ctl_dispatcher_status, ctl_dispatcher_kill, ctl_dispatcher_service;
ctl_request_fn ctl_session_list, ctl_session_kick;
ctl_request_fn ctl_jobs_status, ctl_queue_explain;
ctl_request_fn ctl_channel_stop;
ctl_request_fn ctl_reload, ctl_config_diff;
ctl_request_fn ctl_queue_list, ctl_queue_show, ctl_queue_act;
/* No act is under way when it returns; what was posted still happens. */
void ctl_queue_stop(struct ctl_server *c);
void ctl_channel_end(struct ctl_server *c); /* likewise */

#endif
