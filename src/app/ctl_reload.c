/*
 * ctl_reload.c - `reload` and `config diff` over the admin socket: the answer comes when the server is through.
 */
#include "ctl.h"
#include "server_priv.h"

struct reload_task {
    struct ctl_task task;
    struct server_reload_request request;
};

static bool on_line(struct ctl_task *task, struct slice line)
{
    return true; /* nothing more is expected, and nothing more does harm */
}

static void on_drained(struct ctl_task *task)
{
}

static void on_closed(struct ctl_task *task)
{
    struct reload_task *t = MS_CONTAINER_OF(task, struct reload_task, task);
    server_reload_cancel(&t->request);
    ms_free(t);
}

static const struct ctl_task_type reload_type = {.line = on_line, .drained = on_drained, .closed = on_closed};

static void on_done(struct server_reload_request *request, const struct server_reload_result *res)
{
    struct reload_task *t = MS_CONTAINER_OF(request, struct reload_task, request);
    struct ctl_session *s = t->task.session;
    char text[128];
    ctl_lines(s, res->error_count ? res->errors : res->changes);
    if (res->error_count)
        snprintf(text, sizeof text, "%zu error%s, nothing was changed", res->error_count,
                 res->error_count == 1 ? "" : "s");
    else if (!request->apply)
        text[0] = '\0';
    else if (res->restart_count)
        snprintf(text, sizeof text, "%zu changed, %zu of them need a restart", res->change_count,
                 res->restart_count);
    else
        snprintf(text, sizeof text, "%zu changed", res->change_count);
    ctl_answer(s, res->error_count ? EX_CONFIG : EX_OK, text);
}

static void begin(struct ctl_session *s, bool apply)
{
    struct reload_task *t = ms_new(struct reload_task);
    t->request.apply = apply;
    t->request.done = on_done;
    ctl_task_begin(s, &t->task, &reload_type);
    server_reload_ask(s->server->server, &t->request);
}

void ctl_reload(struct ctl_session *s, const struct slice *words, size_t count)
{
    begin(s, true);
}

void ctl_config_diff(struct ctl_session *s, const struct slice *words, size_t count)
{
    begin(s, false);
}
