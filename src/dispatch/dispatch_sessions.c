/*
 * dispatch_sessions.c - a walk over the sessions of all workers: the control thread's half.
 *
 * One message at a time: a worker's loop looks at SESSIONS_CHUNK sessions, answers with those that are wanted and
 * the number of the last one it looked at; the next message begins behind that. So no loop is held up for longer
 * than a chunk, and a reader that is slow is waited for between two of them.
 *
 * While a message is out the worker's slot is not given to another (`asked`): its loop may find it closed, never
 * changed.
 */
#include "dispatch_priv.h"

#include <stdio.h>

#include "dispatch_sessions.h"

struct dispatch_walk {
    struct list node;
    struct dispatch *dispatch;
    uint64_t id;
    struct dispatch_sessions_query query;
    char user[DISPATCH_USER_MAX], service[CONF_NAME_MAX + 1], why[DISPATCH_WHY_MAX];
    uint64_t slot, after; /* where to go on */
    bool is_out, is_done;
    struct bus_waiter waiter;
    dispatch_session_fn *fn;
    dispatch_chunk_fn *on_chunk;
    void *owner;
};

/* The first worker from `slot` on that can be asked. */
static struct dispatch_worker *worker_from(const struct dispatch_walk *walk, uint64_t *slot)
{
    struct dispatch *d = walk->dispatch;
    for (; *slot < (uint64_t)d->service_count * DISPATCH_SLOTS_MAX; (*slot)++) {
        struct dispatch_service *s = d->services[*slot / DISPATCH_SLOTS_MAX];
        unsigned index = (unsigned)(*slot % DISPATCH_SLOTS_MAX);
        if (!s || index >= s->slot_count || !s->workers[index].is_used || !s->proto->session_each)
            continue;
        if (!walk->service[0] || strcmp(walk->service, s->name) == 0)
            return &s->workers[index];
    }
    return NULL;
}

static void on_space(void *owner)
{
    dispatch_walk_next(owner);
}

void dispatch_walk_next(struct dispatch_walk *walk)
{
    struct dispatch *d = walk->dispatch;
    MS_ASSERT(!walk->is_out && !walk->is_done);
    uint64_t slot = walk->slot;
    struct dispatch_worker *w = worker_from(walk, &walk->slot);
    if (!w) {
        walk->is_done = true;
        walk->on_chunk(walk->owner, true);
        return;
    }
    if (walk->slot != slot)
        walk->after = 0;
    struct bus_msg msg = {
        .kind = DISPATCH_MSG_SESSIONS,
        .id = walk->id,
        .a = {walk->slot, walk->after, walk->query.session, walk->query.kick, walk->query.nobodys_idle_ms},
        .body = dispatch__sessions_ask(walk->user, walk->why)};
    if (bus_call(d->ep, w->lane->ep, &msg) == MS_OK) {
        w->asked++;
        walk->is_out = true;
        return;
    }
    mbuf_unref(&msg.body);
    walk->waiter.fn = on_space;
    walk->waiter.owner = walk;
    bus_wait_space(d->ep, w->lane->ep, &walk->waiter);
}

struct dispatch_walk *dispatch_sessions_walk(struct dispatch *d, const struct dispatch_sessions_query *query,
                                             dispatch_session_fn *fn, dispatch_chunk_fn *on_chunk,
                                             void *owner)
{
    struct dispatch_walk *walk = ms_new(struct dispatch_walk);
    walk->dispatch = d;
    walk->id = ++d->next_walk;
    walk->query = *query;
    snprintf(walk->user, sizeof walk->user, "%s", query->user ? query->user : "");
    snprintf(walk->service, sizeof walk->service, "%s", query->service ? query->service : "");
    snprintf(walk->why, sizeof walk->why, "%s", query->why ? query->why : "");
    walk->fn = fn;
    walk->on_chunk = on_chunk;
    walk->owner = owner;
    list_init(&walk->waiter.node);
    list_push_back(&d->walks, &walk->node);
    return walk;
}

void dispatch_walk_end(struct dispatch_walk **walk_io)
{
    struct dispatch_walk *walk = *walk_io;
    *walk_io = NULL;
    if (!walk)
        return;
    bus_waiter_cancel(&walk->waiter);
    list_remove(&walk->node);
    ms_free(walk);
}

static struct dispatch_walk *walk_find(struct dispatch *d, uint64_t id)
{
    LIST_FOREACH(&d->walks, it)
    {
        struct dispatch_walk *walk = LIST_ENTRY(it, struct dispatch_walk, node);
        if (walk->id == id)
            return walk;
    }
    return NULL;
}

static void on_sessions(void *owner, const struct bus_msg *msg)
{
    struct dispatch *d = owner;
    struct dispatch_worker *w = dispatch__worker(d, msg->a[0]);
    struct dispatch_walk *walk = walk_find(d, msg->id);
    struct mbuf *body = msg->body;
    if (walk) {
        struct rd rd = rd_make(body ? mbuf_slice(body) : slice_make(NULL, 0));
        struct dispatch_session_view view;
        while (dispatch__session_read(&rd, &view)) {
            view.worker = w->id;
            view.service = w->service->name;
            view.protocol = w->service->proto->name;
            walk->fn(walk->owner, &view);
        }
        walk->is_out = false;
        walk->after = msg->a[1];
        walk->slot = msg->a[2] ? msg->a[0] : msg->a[0] + 1;
        if (!msg->a[2])
            walk->after = 0;
    }
    mbuf_unref(&body);
    MS_ASSERT(w->asked > 0);
    w->asked--;
    dispatch__on_closed(d);
    if (walk)
        walk->on_chunk(walk->owner, false);
}

void dispatch__sessions_init(struct dispatch *d)
{
    list_init(&d->walks);
    bus_on(d->ep, DISPATCH_MSG_FOUND, on_sessions, d);
}
