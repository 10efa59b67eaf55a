/*
 * ctl_resolve.c - where mail for an address would go, over the admin socket.
 *
 *   resolve ADDRESS     a line "CHANNEL TARGET HOLD" for each target, then 0; or the refusal: EX_NOUSER or
 *                       EX_TEMPFAIL and the reply that a client would be given
 *
 * The look-up may end later: the session's end forgets it.
 */
#include "ctl.h"

#include "ms/chan.h"
#include "ms/route.h"

struct resolve_task {
    struct ctl_task task;
    struct route_answer answer;
    uint64_t request;
    bool waits;
};

static struct route *route_of(const struct ctl_session *s)
{
    return server_chan_env(s->server->server)->loops[0].route;
}

static void tell(struct ctl_session *s, const struct route_answer *a)
{
    char text[512];
    if (a->err) {
        snprintf(text, sizeof text, "%u %s %s", a->reply.code, a->reply.enhanced ? a->reply.enhanced : "",
                 a->reply.text);
        ctl_answer(s, a->reply.code < 500 ? EX_TEMPFAIL : EX_NOUSER, text);
        return;
    }
    for (size_t i = 0; i < a->count; i++) {
        const struct slice words[] = {a->targets[i].channel, a->targets[i].address, a->targets[i].hold};
        ctl_words(s, words, MS_ARRAY_LEN(words));
    }
    ctl_answer(s, EX_OK, "");
}

static void on_answer(void *owner, uint64_t request, const struct route_answer *answer)
{
    struct resolve_task *t = owner;
    t->waits = false;
    tell(t->task.session, answer);
}

static bool on_line(struct ctl_task *task, struct slice line)
{
    return true; /* nothing more is asked */
}

static void on_drained(struct ctl_task *task)
{
}

static void on_closed(struct ctl_task *task)
{
    struct resolve_task *t = MS_CONTAINER_OF(task, struct resolve_task, task);
    if (t->waits)
        route_forget(route_of(task->session), t->request);
    ms_free(t);
}

static const struct ctl_task_type resolve_type = {
    .line = on_line, .drained = on_drained, .closed = on_closed};

void ctl_resolve(struct ctl_session *s, const struct slice *words, size_t count)
{
    const struct server_conf *sc = conf_section(server_start_conf(s->server->server), "server");
    if (count != 2 || words[1].len == 0 || words[1].len > QUEUE_ADDRESS_MAX) {
        ctl_answer(s, EX_USAGE, "resolve ADDRESS");
        return;
    }
    struct slice address = words[1];
    if (slice_rfind_byte(address, '@') < 0)
        address =
            slice_cstr(arena_printf(&s->arena, SLICE_FMT "@%s", SLICE_ARG(address), sc->default_domain));
    struct resolve_task *t = ms_new(struct resolve_task);
    ctl_task_begin(s, &t->task, &resolve_type);
    enum ms_err err =
        route_resolve(route_of(s), address, 0, &s->arena, &t->answer, on_answer, t, &t->request);
    t->waits = err == MS_EMORE;
    if (err && err != MS_EMORE)
        ctl_answer(s, EX_TEMPFAIL, ms_err_text(err));
    else if (!err)
        tell(s, &t->answer);
}
