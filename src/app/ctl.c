/*
 * ctl.c - the admin socket of the running server: one request line, one answer, then the connection ends.
 * The socket's folder is the server's own (mode 0700); who can open it may do everything.
 */
#include "ctl.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include "ms/obs.h"

void ctl_answer(struct ctl_session *s, int exit_code, const char *text)
{
    struct str line;
    str_init(&line, 0);
    str_addf(&line, "%d %s\n", exit_code, text);
    net_write(s->stream, str_slice(&line));
    str_fini(&line);
    s->answered = true;
    net_close(s->stream, NET_CLOSED_BY_US);
}

void ctl_lines(struct ctl_session *s, struct slice text)
{
    struct slice line;
    while (text.len) {
        if (!slice_cut(&text, '\n', &line)) {
            line = text;
            text.len = 0;
        }
        net_write_cstr(s->stream, " ");
        net_write(s->stream, line);
        net_write_cstr(s->stream, "\n");
    }
}

void ctl_words(struct ctl_session *s, const struct slice *words, size_t count)
{
    struct str line;
    str_init(&line, 0);
    str_add_byte(&line, ' ');
    ctl_emit_slices(&line, words, count);
    net_write(s->stream, str_slice(&line));
    str_fini(&line);
}

bool ctl_is_full(const struct ctl_session *s)
{
    return net_out_bytes(s->stream) > NET_OUT_HIGH;
}

void ctl_task_begin(struct ctl_session *s, struct ctl_task *task, const struct ctl_task_type *type)
{
    MS_ASSERT(!s->task && !s->answered);
    *task = (struct ctl_task){.type = type, .session = s};
    s->task = task;
}

void ctl_task_ready(struct ctl_session *s)
{
    if (!s->answered)
        net_read_start(s->stream);
}

static void run_stop(struct ctl_session *s, const struct slice *words, size_t count)
{
    ctl_answer(s, EX_OK, "stopping");
    server_stop(s->server->server, false);
}

static void run_counters(struct ctl_session *s, const struct slice *words, size_t count)
{
    struct str text;
    str_init(&text, 0);
    for (unsigned i = 0; i < MET_COUNT; i++)
        str_addf(&text, "%s=%llu\n", obs_counter_name((enum obs_counter)i),
                 (unsigned long long)obs_counter_get((enum obs_counter)i));
    ctl_lines(s, str_slice(&text));
    str_fini(&text);
    ctl_answer(s, EX_OK, "");
}

static void run_metrics(struct ctl_session *s, const struct slice *words, size_t count)
{
    struct str text;
    str_init(&text, 0);
    server_metrics_emit(s->server->server, &text);
    ctl_lines(s, str_slice(&text));
    str_fini(&text);
    ctl_answer(s, EX_OK, "");
}

static void run_store_stats(struct ctl_session *s, const struct slice *words, size_t count)
{
    struct str text;
    str_init(&text, 0);
    app_store_stats_emit(server_partition(s->server->server), &text);
    ctl_lines(s, str_slice(&text));
    str_fini(&text);
    ctl_answer(s, EX_OK, "");
}

static const struct {
    const char *word;
    ctl_request_fn *run;
} ctl_table[] = {
    {"stop", run_stop},
    {"dispatcher-status", ctl_dispatcher_status},
    {"dispatcher-kill", ctl_dispatcher_kill},
    {"dispatcher-stop", ctl_dispatcher_service},
    {"dispatcher-start", ctl_dispatcher_service},
    {"dispatcher-restart", ctl_dispatcher_service},
    {"jobs-status", ctl_jobs_status},
    {"channel-stop", ctl_channel_stop},
    {"channel-start", ctl_channel_stop},
    {"queue-explain", ctl_queue_explain},
    {"store-stats", run_store_stats},
    {"counters", run_counters},
    {"metrics", run_metrics},
    {"resolve", ctl_resolve},
    {"session-list", ctl_session_list},
    {"session-kick", ctl_session_kick},
    {"reload", ctl_reload},
    {"config-diff", ctl_config_diff},
    {"queue-list", ctl_queue_list},
    {"queue-show", ctl_queue_show},
    {"queue-act", ctl_queue_act},
};

/* Further lines of a task's request. */
static size_t task_data(struct ctl_session *s, struct slice in)
{
    struct slice rest = in, line;
    size_t used = 0;
    while (!s->answered && slice_cut(&rest, '\n', &line)) {
        if (!s->task->type->line(s->task, line)) {
            net_read_stop(s->stream);
            break;
        }
        used = in.len - rest.len;
    }
    return s->answered ? in.len : used;
}

static size_t on_data(void *owner, struct slice in)
{
    struct ctl_session *s = owner;
    struct slice words[CTL_WORDS_MAX];
    size_t count = 0;
    struct slice rest = in, line;
    if (s->task)
        return task_data(s, in);
    if (s->answered)
        return in.len; /* one request a connection */
    if (!slice_cut(&rest, '\n', &line))
        return 0;
    if (ctl_parse_words(&s->arena, line, words, &count) != MS_OK) {
        ctl_answer(s, EX_PROTOCOL, "malformed request");
        return in.len;
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(ctl_table); i++)
        if (slice_eq_cstr(words[0], ctl_table[i].word)) {
            ctl_table[i].run(s, words, count);
            if (s->task && !s->answered)
                return in.len - rest.len + task_data(s, rest);
            return in.len;
        }
    ctl_answer(s, EX_USAGE, "unknown request");
    return in.len;
}

static void on_drain(void *owner)
{
    struct ctl_session *s = owner;
    if (s->task && !s->answered)
        s->task->type->drained(s->task);
}

static void on_closed(void *owner, enum net_close_why why)
{
    struct ctl_session *s = owner;
    if (s->task)
        s->task->type->closed(s->task);
    list_remove(&s->node);
    s->server->count--;
    arena_fini(&s->arena);
    ms_free(s);
}

static const struct net_callbacks ctl_callbacks = {
    .on_data = on_data, .on_drain = on_drain, .on_closed = on_closed};

static uint32_t uid_of(int fd)
{
    struct ucred cred = {.uid = UINT32_MAX};
    socklen_t len = sizeof cred;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 ? cred.uid : UINT32_MAX;
}

static void on_accept(void *owner, int fd, const struct net_addr *peer)
{
    struct ctl_server *c = owner;
    struct ctl_session *s = ms_new(struct ctl_session);
    s->server = c;
    s->uid = uid_of(fd);
    arena_init(&s->arena, 4 * CTL_LINE_MAX);
    list_push_back(&c->sessions, &s->node);
    c->count++;
    enum ms_err err = net_stream_open(c->control, fd, CTL_LINE_MAX, &ctl_callbacks, s, &s->stream);
    MS_ASSERT(err == MS_OK);
    if (c->count > CTL_SESSIONS_MAX)
        ctl_answer(s, EX_TEMPFAIL, "too many connections to the admin socket");
}

struct ctl_server *ctl_server_open(struct server *server, struct loop *control, const char *path,
                                   struct ms_errinfo *why_out)
{
    char where[256];
    struct ctl_server *c = ms_new(struct ctl_server);
    c->server = server;
    c->control = control;
    list_init(&c->sessions);
    list_init(&c->queue_acts);
    list_init(&c->channel_acts);
    snprintf(where, sizeof where, "unix:%s", path);
    if (net_listener_open(control, where, CTL_SESSIONS_MAX, on_accept, c, &c->listener, why_out) != MS_OK) {
        ms_free(c);
        return NULL;
    }
    if (chmod(path, 0600) != 0)
        OBS_EVENT(OBS_APP_CTL_MODE, 0, OBS_C("path", path));
    return c;
}

void ctl_server_close(struct ctl_server **cp)
{
    struct ctl_server *c = *cp;
    if (!c)
        return;
    net_listener_close(&c->listener);
    LIST_FOREACH_SAFE(&c->sessions, it)
    {
        struct ctl_session *s = LIST_ENTRY(it, struct ctl_session, node);
        net_abort(s->stream, NET_CLOSED_BY_US);
    }
    for (unsigned i = 0; i < 100 && !list_is_empty(&c->sessions); i++)
        loop_turn(c->control);
    ctl_queue_stop(c);
    ctl_channel_end(c);
    ms_free(c);
    *cp = NULL;
}
