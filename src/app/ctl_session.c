/*
 * ctl_session.c - sessions over the admin socket.
 *
 *   session-list SERVICE USER               a line of words for each session (ctl_session_words); the last line has
 *   session-kick SERVICE USER ID WHY        their number. Empty words mean all; ID is a number, 0 for all.
 *
 * A walk of the dispatcher goes on when the peer has read what there was.
 */
#include "ctl.h"

#include <stdio.h>

#include "ms/dispatch.h"

struct walk_task {
    struct ctl_task task;
    struct dispatch_walk *walk;
    bool waits; /* for the peer to read */
    uint64_t count;
};

static struct slice word_of(char room[24], uint64_t value)
{
    int n = snprintf(room, 24, "%llu", (unsigned long long)value);
    return slice_make(room, (size_t)n);
}

/* Words in the order of session_names in cmd_session.c. */
static void on_session(void *owner, const struct dispatch_session_view *v)
{
    struct walk_task *t = owner;
    char id[24], worker[24], age[24], idle[24], in[24], out[24];
    snprintf(id, sizeof id, "%llx", (unsigned long long)v->session);
    const struct slice words[] = {
        slice_cstr(id),
        slice_cstr(v->service),
        slice_cstr(v->protocol),
        slice_cstr(v->peer),
        slice_cstr(v->user),
        slice_cstr(v->state),
        slice_cstr(v->tls),
        word_of(age, v->age_ms / 1000),
        word_of(idle, v->idle_ms / 1000),
        word_of(in, v->bytes_in),
        word_of(out, v->bytes_out),
        word_of(worker, v->worker),
    };
    ctl_words(t->task.session, words, MS_ARRAY_LEN(words));
    t->count++;
}

static void on_chunk(void *owner, bool done)
{
    struct walk_task *t = owner;
    struct ctl_session *s = t->task.session;
    if (done) {
        char text[24];
        (void)word_of(text, t->count);
        ctl_answer(s, EX_OK, text);
    } else if (ctl_is_full(s)) {
        t->waits = true;
    } else {
        dispatch_walk_next(t->walk);
    }
}

static bool on_line(struct ctl_task *task, struct slice line)
{
    return true; /* nothing is asked any more */
}

static void on_drained(struct ctl_task *task)
{
    struct walk_task *t = MS_CONTAINER_OF(task, struct walk_task, task);
    if (!t->waits)
        return;
    t->waits = false;
    dispatch_walk_next(t->walk);
}

static void on_closed(struct ctl_task *task)
{
    struct walk_task *t = MS_CONTAINER_OF(task, struct walk_task, task);
    dispatch_walk_end(&t->walk);
    ms_free(t);
}

static const struct ctl_task_type walk_type = {.line = on_line, .drained = on_drained, .closed = on_closed};

static void begin(struct ctl_session *s, const struct dispatch_sessions_query *query)
{
    struct walk_task *t = ms_new(struct walk_task);
    ctl_task_begin(s, &t->task, &walk_type);
    t->walk = dispatch_sessions_walk(server_dispatch(s->server->server), query, on_session, on_chunk, t);
    dispatch_walk_next(t->walk);
}

void ctl_session_list(struct ctl_session *s, const struct slice *words, size_t count)
{
    if (count != 3) {
        ctl_answer(s, EX_USAGE, "session-list SERVICE USER");
        return;
    }
    const struct dispatch_sessions_query query = {.service = arena_dup_cstr(&s->arena, words[1]),
                                                  .user = arena_dup_cstr(&s->arena, words[2])};
    begin(s, &query);
}

void ctl_session_kick(struct ctl_session *s, const struct slice *words, size_t count)
{
    uint64_t id;
    if (count != 5 || slice_to_u64(words[3], UINT64_MAX, &id) || (id == 0 && words[2].len == 0)) {
        ctl_answer(s, EX_USAGE, "session-kick SERVICE USER ID WHY");
        return;
    }
    const struct dispatch_sessions_query query = {.service = arena_dup_cstr(&s->arena, words[1]),
                                                  .user = arena_dup_cstr(&s->arena, words[2]),
                                                  .session = id,
                                                  .kick = true,
                                                  .why = arena_dup_cstr(&s->arena, words[4])};
    begin(s, &query);
}
