/*
 * dispatch_worker.c - the life of workers on the control thread: which there are, which one takes a
 * connection, when one ends and when another takes its place.
 *
 * A worker that ends takes no more connections and goes with its last one; meanwhile it keeps its slot and
 * counts neither for min_procs nor for max_procs (semantics 2.5).
 */
#include "dispatch_priv.h"

/* All that can run, as many that end one by one, and as many without connections, which are gone in a moment. Slots
 * lie where they are for the service's life: loops have their numbers. */
void dispatch__slots_init(struct dispatch_service *s)
{
    uint64_t wanted = 2 * s->conf.max_procs + s->conf.max_shutdown;

    if (!s->workers)
        s->workers = ms_alloc_array(DISPATCH_SLOTS_MAX, sizeof *s->workers);
    for (; s->slot_count < MS_MIN(wanted, DISPATCH_SLOTS_MAX); s->slot_count++)
        s->workers[s->slot_count].slot = (uint32_t)(s->index * DISPATCH_SLOTS_MAX + s->slot_count);
}

enum ms_err dispatch__call(struct dispatch_worker *w, struct bus_msg *msg)
{
    enum ms_err err = bus_call(w->dispatch->ep, w->lane->ep, msg);

    w->service->calls += err == MS_OK;
    return err;
}

static uint64_t worker_active(const struct dispatch_worker *w)
{
    return atomic_load_explicit(&w->active, memory_order_relaxed);
}

/* Those there and on their way, exactly: `active` and `pending` may both have one whose hand-off is being answered. */
static uint64_t worker_live(const struct dispatch_worker *w)
{
    return w->life - atomic_load_explicit(&w->closed, memory_order_relaxed);
}

static uint64_t worker_idle_ms(struct dispatch_worker *w, uint64_t now_ms)
{
    bool is_busy = worker_active(w) + w->pending > 0 || w->life != w->seen;

    w->seen = w->life;
    if (is_busy || w->idle_at_ms == 0)
        w->idle_at_ms = now_ms;
    return is_busy ? 0 : now_ms - w->idle_at_ms;
}

size_t dispatch__views(struct dispatch_service *s, struct dispatch_wview views[DISPATCH_SLOTS_MAX],
                       struct dispatch_worker *by[DISPATCH_SLOTS_MAX])
{
    uint64_t now_ms = loop_now_ms(s->dispatch->control);
    size_t n = 0;

    for (unsigned i = 0; i < s->slot_count; i++) {
        struct dispatch_worker *w = &s->workers[i];

        if (!w->is_used)
            continue;
        uint64_t live = worker_live(w), pending = w->lane->stalled ? 0 : MS_MIN(w->pending, live);
        by[n] = w;
        /* What is on its way to a loop that does not answer is as good as there: others are not kept
         * waiting for it. */
        views[n++] = (struct dispatch_wview){.id = w->id,
                                             .state = w->state,
                                             .active = live - pending,
                                             .pending = pending,
                                             .life = w->life,
                                             .age_ms = now_ms - w->born_ms,
                                             .idle_ms = worker_idle_ms(w, now_ms)};
    }
    return n;
}

struct dispatch_limits dispatch__limits(const struct dispatch_service *s)
{
    return (struct dispatch_limits){.min_procs = s->conf.min_procs,
                                    .max_procs = s->conf.max_procs,
                                    .min_conns = s->conf.min_conns,
                                    .max_conns = s->conf.max_conns,
                                    .max_life_conns = s->conf.max_life_conns,
                                    .max_life_ms = s->conf.max_life_time_ms,
                                    .max_idle_ms = s->conf.max_idle_time_ms,
                                    .max_shutdown = s->conf.max_shutdown,
                                    .max_handoffs = s->conf.max_handoffs};
}

/* The loop with the fewest workers of this service, then the fewest at all. Those that end count: their
 * connections are there. NULL: no loop answers. */
static struct dispatch_lane *choose_lane(struct dispatch_service *s)
{
    struct dispatch *d = s->dispatch;
    unsigned here[LOOP_WORKERS_MAX] = {0};
    struct dispatch_lane *best = NULL;

    for (unsigned i = 0; i < s->slot_count; i++)
        if (s->workers[i].is_used)
            here[s->workers[i].lane - d->lanes]++;
    for (unsigned i = 0; i < d->lane_count; i++) {
        unsigned best_at = best ? (unsigned)(best - d->lanes) : 0;

        if (d->lanes[i].stalled)
            continue;
        if (!best || here[i] < here[best_at] ||
            (here[i] == here[best_at] && d->lanes[i].workers < best->workers))
            best = &d->lanes[i];
    }
    return best;
}

static struct dispatch_worker *free_slot(struct dispatch_service *s)
{
    for (unsigned i = 0; i < s->slot_count; i++)
        if (!s->workers[i].is_used)
            return &s->workers[i];
    return NULL;
}

static struct dispatch_worker *service_spawn(struct dispatch_service *s)
{
    struct dispatch *d = s->dispatch;
    struct dispatch_worker *w = free_slot(s);
    struct dispatch_lane *lane = choose_lane(s);
    struct bus_msg msg = {.kind = DISPATCH_MSG_WORKER, .a = {w ? w->slot : 0}};
    enum ms_err err;

    if (!w || !lane || bus_call_room(d->ep, lane->ep) < 2)
        return NULL;
    w->id = ++d->next_worker;
    w->is_used = true;
    w->dispatch = d;
    w->service = s;
    w->conf = s->conf;
    w->lane = lane;
    w->state = DISPATCH_W_RUNNING;
    w->pending = w->life = w->seen = 0;
    w->owed = 0;
    w->kill_at_ms = 0;
    w->born_ms = w->idle_at_ms = loop_now_ms(d->control);
    atomic_store_explicit(&w->has_ended, false, memory_order_relaxed);
    atomic_store_explicit(&w->closed, 0, memory_order_relaxed);
    err = dispatch__call(w, &msg);
    MS_ASSERT(err == MS_OK); /* room was there */
    lane->workers++;
    OBS_EVENT(OBS_DISPATCH_WORKER_STARTED, 0, OBS_C("service", s->name), OBS_U("worker", w->id),
              OBS_C("loop", loop_name(lane->loop)));
    return w;
}

struct dispatch_worker *dispatch__pick(struct dispatch_service *s)
{
    struct dispatch_wview views[DISPATCH_SLOTS_MAX];
    struct dispatch_worker *by[DISPATCH_SLOTS_MAX];
    struct dispatch_limits lim = dispatch__limits(s);
    size_t index;

    switch (dispatch_pick(&lim, views, dispatch__views(s, views, by), &index)) {
    case DISPATCH_PICK_WORKER:
        return by[index];
    case DISPATCH_PICK_SPAWN:
        return service_spawn(s);
    case DISPATCH_PICK_WAIT:
        break;
    }
    return NULL;
}

bool dispatch__has_room(struct dispatch_service *s)
{
    struct dispatch_wview views[DISPATCH_SLOTS_MAX];
    struct dispatch_worker *by[DISPATCH_SLOTS_MAX];
    struct dispatch_limits lim = dispatch__limits(s);
    struct dispatch_lane *lane;
    size_t index;

    switch (dispatch_pick(&lim, views, dispatch__views(s, views, by), &index)) {
    case DISPATCH_PICK_WORKER:
        return bus_call_room(s->dispatch->ep, by[index]->lane->ep) > 0;
    case DISPATCH_PICK_SPAWN:
        lane = choose_lane(s);
        return lane && free_slot(s) && bus_call_room(s->dispatch->ep, lane->ep) >= 2;
    case DISPATCH_PICK_WAIT:
        break;
    }
    return false;
}

bool dispatch__hands_over(const struct dispatch_service *s)
{
    uint64_t pending = 0;

    for (unsigned i = 0; i < s->slot_count; i++)
        pending += s->workers[i].is_used && !s->workers[i].lane->stalled ? s->workers[i].pending : 0;
    return pending >= s->conf.max_handoffs;
}

void dispatch__spares(struct dispatch_service *s)
{
    struct dispatch_wview views[DISPATCH_SLOTS_MAX];
    struct dispatch_worker *by[DISPATCH_SLOTS_MAX];
    struct dispatch_limits lim = dispatch__limits(s);

    if (s->stopped || s->is_gone)
        return;
    while (dispatch_wants_spare(&lim, views, dispatch__views(s, views, by)))
        if (!service_spawn(s))
            return;
}

/* Its ring is full: the next tick tries again; KILL is more than DRAIN, and DRAIN more than RETIRE. */
static uint32_t msg_rank(uint32_t kind)
{
    return kind == DISPATCH_MSG_KILL ? 3 : kind == DISPATCH_MSG_DRAIN ? 2 : kind == DISPATCH_MSG_RETIRE;
}

static void worker_tell(struct dispatch_worker *w, uint32_t kind)
{
    struct bus_msg msg = {.kind = kind, .a = {w->slot}};

    if (msg_rank(kind) < msg_rank(w->owed))
        kind = msg.kind = w->owed;
    w->owed = dispatch__call(w, &msg) == MS_OK ? 0 : kind;
}

void dispatch__end_worker(struct dispatch_worker *w, uint32_t msg_kind)
{
    if (w->state != DISPATCH_W_TERMINATING)
        OBS_EVENT(OBS_DISPATCH_WORKER_ENDING, 0, OBS_C("service", w->service->name), OBS_U("worker", w->id),
                  OBS_U("connections", w->life), OBS_U("left", worker_active(w) + w->pending));
    w->state = DISPATCH_W_TERMINATING;
    if (msg_kind == DISPATCH_MSG_DRAIN && w->kill_at_ms == 0)
        w->kill_at_ms = loop_now_ms(w->dispatch->control) + DISPATCH_GRACE_MS;
    worker_tell(w, msg_kind);
}

void dispatch__send_owed(struct dispatch_service *s)
{
    uint64_t now_ms = loop_now_ms(s->dispatch->control);

    for (unsigned i = 0; i < s->slot_count; i++) {
        struct dispatch_worker *w = &s->workers[i];

        if (!w->is_used)
            continue;
        if (w->kill_at_ms && now_ms >= w->kill_at_ms) {
            w->kill_at_ms = UINT64_MAX;
            w->owed = DISPATCH_MSG_KILL;
        }
        if (w->owed)
            worker_tell(w, w->owed);
    }
}

void dispatch__expire(struct dispatch_service *s)
{
    struct dispatch_wview views[DISPATCH_SLOTS_MAX];
    struct dispatch_worker *by[DISPATCH_SLOTS_MAX];
    struct dispatch_limits lim = dispatch__limits(s);
    size_t n = dispatch__views(s, views, by);

    for (size_t i = 0; i < n; i++)
        if (dispatch_may_end(&lim, views, n, i)) {
            dispatch__end_worker(by[i], DISPATCH_MSG_RETIRE);
            views[i].state = DISPATCH_W_TERMINATING;
        }
}

static void worker_gone(struct dispatch_worker *w)
{
    struct dispatch_service *s = w->service;

    s->past[s->past_count++ % DISPATCH_HISTORY_MAX] =
        (struct dispatch_past){.id = w->id,
                               .life = w->life,
                               .born_ms = w->born_ms,
                               .ended_ms = loop_now_ms(s->dispatch->control),
                               .lane = w->lane};
    OBS_EVENT(OBS_DISPATCH_WORKER_ENDED, 0, OBS_C("service", s->name), OBS_U("worker", w->id),
              OBS_U("connections", w->life));
    w->lane->workers--;
    w->is_used = false;
}

void dispatch__reap(struct dispatch_service *s)
{
    bool some = false;

    for (unsigned i = 0; i < s->slot_count; i++) {
        struct dispatch_worker *w = &s->workers[i];

        if (w->is_used && w->pending == 0 && w->asked == 0 &&
            atomic_load_explicit(&w->has_ended, memory_order_acquire)) {
            worker_gone(w);
            some = true;
        }
    }
    if (some && !s->dispatch->draining) { /* semantics 2.7 D9, and a slot for the next that is to end */
        dispatch__spares(s);
        dispatch__expire(s);
    }
}
