/*
 * dispatch.c - the control thread's half: listeners, choice, hand-off, back-pressure.
 *
 * A worker is taken as running from the moment it is asked for: the request to open it and the connections
 * that follow travel in one ring, so the loop sees them in order.
 *
 * Back-pressure: a service whose workers are all full (or whose ring to the chosen loop is full) pauses its
 * listeners; the kernel's backlog queues. A session's end brings a note and the listeners go on. An overflow
 * of notes means only "look again".
 */
#include "dispatch_priv.h"

#include <stdio.h>
#include <unistd.h>

struct dispatch_worker *dispatch__worker(struct dispatch *d, uint64_t id)
{
    uint64_t service = id / DISPATCH_WORKERS_MAX, slot = id % DISPATCH_WORKERS_MAX;
    MS_ASSERT(service < d->service_count && slot < d->services[service].conf.max_procs);
    return &d->services[service].workers[slot];
}

static size_t service_views(const struct dispatch_service *s,
                            struct dispatch_wview views[DISPATCH_WORKERS_MAX])
{
    for (unsigned i = 0; i < s->worker_count; i++) {
        const struct dispatch_worker *w = &s->workers[i];
        views[i] = (struct dispatch_wview){.id = w->id,
                                           .state = w->state,
                                           .active = atomic_load_explicit(&w->active, memory_order_relaxed),
                                           .pending = w->pending};
    }
    return s->worker_count;
}

static struct dispatch_limits service_limits(const struct dispatch_service *s)
{
    return (struct dispatch_limits){.min_procs = s->conf.min_procs,
                                    .max_procs = s->conf.max_procs,
                                    .min_conns = s->conf.min_conns,
                                    .max_conns = s->conf.max_conns};
}

/* The loop with the fewest workers of this service, then the fewest at all. */
static struct dispatch_lane *choose_lane(struct dispatch_service *s)
{
    struct dispatch *d = s->dispatch;
    unsigned here[LOOP_WORKERS_MAX] = {0};
    for (unsigned i = 0; i < s->worker_count; i++)
        here[s->workers[i].lane - d->lanes]++;
    struct dispatch_lane *best = &d->lanes[0];
    for (unsigned i = 1; i < d->lane_count; i++) {
        unsigned best_at = (unsigned)(best - d->lanes);
        if (here[i] < here[best_at] || (here[i] == here[best_at] && d->lanes[i].workers < best->workers))
            best = &d->lanes[i];
    }
    return best;
}

static struct dispatch_worker *service_spawn(struct dispatch_service *s)
{
    struct dispatch *d = s->dispatch;
    struct dispatch_lane *lane = choose_lane(s);
    if (s->worker_count >= s->conf.max_procs || bus_call_room(d->ep, lane->ep) < 2)
        return NULL;
    struct dispatch_worker *w = &s->workers[s->worker_count];
    w->id = (uint32_t)((s - d->services) * DISPATCH_WORKERS_MAX + s->worker_count);
    w->dispatch = d;
    w->service = s;
    w->lane = lane;
    w->state = DISPATCH_W_RUNNING;
    struct bus_msg msg = {.kind = DISPATCH_MSG_WORKER, .a = {w->id}};
    enum ms_err err = bus_call(d->ep, lane->ep, &msg);
    MS_ASSERT(err == MS_OK); /* room was there */
    s->worker_count++;
    lane->workers++;
    OBS_EVENT(OBS_DISPATCH_WORKER_STARTED, 0, OBS_C("service", s->name), OBS_U("worker", w->id),
              OBS_C("loop", loop_name(lane->loop)));
    return w;
}

/* Where would a connection go now? NULL: nowhere, wait. */
static struct dispatch_worker *service_pick(struct dispatch_service *s)
{
    struct dispatch_wview views[DISPATCH_WORKERS_MAX];
    struct dispatch_limits lim = service_limits(s);
    size_t index;
    switch (dispatch_pick(&lim, views, service_views(s, views), &index)) {
    case DISPATCH_PICK_WORKER:
        return &s->workers[index];
    case DISPATCH_PICK_SPAWN:
        return service_spawn(s);
    case DISPATCH_PICK_WAIT:
        break;
    }
    return NULL;
}

static void service_spares(struct dispatch_service *s)
{
    struct dispatch_wview views[DISPATCH_WORKERS_MAX];
    struct dispatch_limits lim = service_limits(s);
    while (dispatch_wants_spare(&lim, views, service_views(s, views)))
        if (!service_spawn(s))
            return;
}

static bool service_has_room(struct dispatch_service *s)
{
    struct dispatch_wview views[DISPATCH_WORKERS_MAX];
    struct dispatch_limits lim = service_limits(s);
    size_t index;
    switch (dispatch_pick(&lim, views, service_views(s, views), &index)) {
    case DISPATCH_PICK_WORKER:
        return bus_call_room(s->dispatch->ep, s->workers[index].lane->ep) > 0;
    case DISPATCH_PICK_SPAWN:
        return bus_call_room(s->dispatch->ep, choose_lane(s)->ep) >= 2;
    case DISPATCH_PICK_WAIT:
        break;
    }
    return false;
}

/* Listeners are paused while nobody could take a connection, so that none is accepted that has to wait here.
 */
static void service_gate(struct dispatch_service *s)
{
    bool pause = s->dispatch->draining || !service_has_room(s);
    if (pause == s->paused)
        return;
    s->paused = pause;
    for (unsigned i = 0; i < s->listener_count; i++) {
        if (!s->listeners[i])
            continue;
        if (pause)
            net_listener_pause(s->listeners[i]);
        else
            net_listener_resume(s->listeners[i]);
    }
    if (pause && !s->dispatch->draining)
        OBS_EVENT(OBS_DISPATCH_FULL, 0, OBS_C("service", s->name));
}

static void on_accept(void *owner, int fd, const struct net_addr *peer)
{
    struct dispatch_service *s = owner;
    struct dispatch *d = s->dispatch;
    struct dispatch_worker *w = service_pick(s);
    struct bus_msg msg = {.kind = DISPATCH_MSG_HANDOFF,
                          .a = {w ? w->id : 0, (uint64_t)fd, ++d->next_session}};
    if (w)
        msg.body = mbuf_from(slice_make(peer, sizeof *peer));
    if (!w || bus_call(d->ep, w->lane->ep, &msg) != MS_OK) {
        /* The gate closes before this can happen; an accept that slipped through is refused by closing. */
        mbuf_unref(&msg.body);
        close(fd);
        obs_count(MET_DISPATCH_REFUSED, 1);
    } else {
        w->pending++;
        obs_count(MET_DISPATCH_ACCEPTED, 1);
        service_spares(s);
    }
    service_gate(s);
}

static void on_taken(void *owner, const struct bus_msg *msg)
{
    struct dispatch *d = owner;
    struct dispatch_worker *w = dispatch__worker(d, msg->a[0]);
    if (msg->a[1] == DISPATCH_MSG_HANDOFF) {
        MS_ASSERT(w->pending > 0);
        w->pending--;
    }
    dispatch__on_closed(d);
}

static uint64_t sessions_left(const struct dispatch *d)
{
    uint64_t left = 0;
    for (unsigned i = 0; i < d->service_count; i++)
        for (unsigned k = 0; k < d->services[i].worker_count; k++) {
            const struct dispatch_worker *w = &d->services[i].workers[k];
            left += w->pending + atomic_load_explicit(&w->active, memory_order_relaxed);
        }
    return left;
}

static void report_idle(struct loop_hook *hook)
{
    struct dispatch *d = MS_CONTAINER_OF(hook, struct dispatch, idle_hook);
    void (*on_idle)(void *) = d->on_idle;
    d->on_idle = NULL;
    if (on_idle)
        on_idle(d->idle_owner);
}

void dispatch__on_closed(struct dispatch *d)
{
    for (unsigned i = 0; i < d->service_count; i++)
        if (d->services[i].paused && !d->draining)
            service_gate(&d->services[i]);
    if (d->draining && d->on_idle && sessions_left(d) == 0)
        loop_hook_arm(d->control, &d->idle_hook, report_idle);
}

static void on_closed_note(void *owner, const struct bus_msg *msg)
{
    dispatch__on_closed(owner);
}

static void on_notes_overflow(void *owner)
{
    dispatch__on_closed(owner);
}

struct dispatch *dispatch_create(struct loop *control, struct bus *bus)
{
    struct dispatch *d = ms_new(struct dispatch);
    d->control = control;
    d->bus = bus;
    d->ep = bus_ep_of_loop(bus, control);
    MS_ASSERT(d->ep);
    bus_on(d->ep, DISPATCH_MSG_TAKEN, on_taken, d);
    bus_on(d->ep, DISPATCH_NOTE_CLOSED, on_closed_note, d);
    return d;
}

void dispatch_add_loop(struct dispatch *d, struct loop *loop)
{
    MS_ASSERT(d->lane_count < LOOP_WORKERS_MAX);
    struct dispatch_lane *lane = &d->lanes[d->lane_count++];
    lane->dispatch = d;
    lane->loop = loop;
    lane->ep = bus_ep_of_loop(d->bus, loop);
    MS_ASSERT(lane->ep);
    bus_note_link(d->bus, lane->ep, d->ep, DISPATCH_NOTES, on_notes_overflow, d);
    dispatch__lane_init(lane);
}

void dispatch_register(struct dispatch *d, const struct service_proto *proto, void *env)
{
    MS_ASSERT(d->proto_count < DISPATCH_PROTOS_MAX);
    d->protos[d->proto_count].proto = proto;
    d->protos[d->proto_count++].env = env;
}

void dispatch_add_service(struct dispatch *d, const char *name, const struct service_proto *proto, void *env,
                          const char *where, const struct dispatch_service_conf *conf)
{
    MS_ASSERT(!d->services && d->extra_count < DISPATCH_EXTRAS_MAX);
    struct dispatch_extra *x = &d->extras[d->extra_count++];
    int name_len = snprintf(x->name, sizeof x->name, "%s", name);
    int where_len = snprintf(x->where, sizeof x->where, "%s", where);
    MS_ASSERT((size_t)name_len < sizeof x->name && (size_t)where_len < sizeof x->where);
    x->listen[0] = x->where;
    x->proto = proto;
    x->env = env;
    x->conf = *conf;
    x->conf.listen.items = x->listen;
    x->conf.listen.count = 1;
}

/* A relative socket path is relative to the configuration's folder, like every path in it. */
static void listen_address(const struct dispatch_service *s, const char *text, char *out, size_t out_max)
{
    bool relative = strncmp(text, "unix:", 5) == 0 && text[5] != '/';
    if (relative)
        snprintf(out, out_max, "unix:%s/%s", conf_dir(s->dispatch->conf), text + 5);
    else
        snprintf(out, out_max, "%s", text);
}

static enum ms_err service_listen(struct dispatch_service *s, struct ms_errinfo *why_out)
{
    uint64_t backlog = s->conf.backlog ? s->conf.backlog : MS_MAX(s->conf.max_procs * s->conf.max_conns, 5);
    for (size_t i = 0; i < s->conf.listen.count; i++) {
        char where[512];
        struct ms_errinfo why;
        listen_address(s, s->conf.listen.items[i], where, sizeof where);
        enum ms_err err = net_listener_open(s->dispatch->control, where, (int)MS_MIN(backlog, 65535),
                                            on_accept, s, &s->listeners[i], &why);
        if (err)
            return ms_fail(why_out, err, "service %s: %s", s->name, why.text);
        s->listener_count++;
    }
    return MS_OK;
}

static enum ms_err service_init(struct dispatch *d, struct dispatch_service *s,
                                const struct dispatch_service_conf *conf, const char *name,
                                struct ms_errinfo *why_out)
{
    s->dispatch = d;
    s->name = name;
    s->conf = *conf;
    for (unsigned i = 0; i < d->proto_count; i++)
        if (strcmp(d->protos[i].proto->name, dispatch_protocol_names[conf->protocol]) == 0) {
            s->proto = d->protos[i].proto;
            s->env = d->protos[i].env;
        }
    if (!s->proto)
        return ms_fail(why_out, MS_EUNSUPPORTED, "service %s: protocol %s is not built", name,
                       dispatch_protocol_names[conf->protocol]);
    s->workers = ms_alloc_array(conf->max_procs, sizeof *s->workers);
    return MS_OK;
}

static void services_add_extras(struct dispatch *d)
{
    for (unsigned i = 0; i < d->extra_count; i++) {
        const struct dispatch_extra *x = &d->extras[i];
        struct dispatch_service *s = &d->services[d->service_count++];
        s->dispatch = d;
        s->name = x->name;
        s->conf = x->conf;
        s->proto = x->proto;
        s->env = x->env;
        s->workers = ms_alloc_array(x->conf.max_procs, sizeof *s->workers);
    }
}

enum ms_err dispatch_start(struct dispatch *d, const struct conf *conf, struct ms_errinfo *why_out)
{
    size_t count = conf_map_count(conf, "dispatcher.services.*");
    if (count > DISPATCH_SERVICES_MAX)
        return ms_fail(why_out, MS_ELIMIT, "more than %d services", DISPATCH_SERVICES_MAX);
    d->conf = conf_ref((struct conf *)(uintptr_t)conf);
    d->services = ms_alloc_array(MS_MAX(count + d->extra_count, 1), sizeof *d->services);
    for (size_t i = 0; i < count; i++) {
        const char *name;
        const struct dispatch_service_conf *sc = conf_map_entry(conf, "dispatcher.services.*", i, &name);
        MS_TRY(service_init(d, &d->services[d->service_count++], sc, name, why_out));
    }
    services_add_extras(d);
    for (unsigned i = 0; i < d->service_count; i++)
        MS_TRY(service_listen(&d->services[i], why_out));
    for (unsigned i = 0; i < d->service_count; i++) {
        while (d->services[i].worker_count < d->services[i].conf.min_procs)
            if (!service_spawn(&d->services[i]))
                break;
        service_gate(&d->services[i]);
        for (unsigned k = 0; k < d->services[i].listener_count; k++)
            OBS_EVENT(OBS_DISPATCH_LISTENING, 0, OBS_C("service", d->services[i].name),
                      OBS_C("address", net_listener_addr(d->services[i].listeners[k])->text));
    }
    return MS_OK;
}

void dispatch_drain(struct dispatch *d, void (*on_idle)(void *owner), void *owner)
{
    d->draining = true;
    d->on_idle = on_idle;
    d->idle_owner = owner;
    for (unsigned i = 0; i < d->service_count; i++) {
        struct dispatch_service *s = &d->services[i];
        for (unsigned k = 0; k < s->listener_count; k++)
            net_listener_close(&s->listeners[k]);
        for (unsigned k = 0; k < s->worker_count; k++) {
            struct dispatch_worker *w = &s->workers[k];
            struct bus_msg msg = {.kind = DISPATCH_MSG_DRAIN, .a = {w->id}};
            w->state = DISPATCH_W_TERMINATING;
            if (bus_call(d->ep, w->lane->ep, &msg) != MS_OK) /* cut off at the deadline then */
                OBS_EVENT(OBS_DISPATCH_NO_DRAIN, 0, OBS_C("service", s->name));
        }
    }
    dispatch__on_closed(d);
}

void dispatch_destroy(struct dispatch **dp)
{
    struct dispatch *d = *dp;
    if (!d)
        return;
    loop_hook_disarm(d->control, &d->idle_hook);
    for (unsigned i = 0; i < d->service_count; i++) {
        struct dispatch_service *s = &d->services[i];
        for (unsigned k = 0; k < s->listener_count; k++)
            net_listener_close(&s->listeners[k]);
        /* Loops are stopped: what a deadline cut off is released here. */
        for (unsigned k = 0; k < s->worker_count; k++)
            if (s->workers[k].impl)
                s->proto->worker_close(s->workers[k].impl);
        ms_free(s->workers);
    }
    ms_free(d->services);
    conf_unref(&d->conf);
    ms_free(d);
    *dp = NULL;
}

const struct net_addr *dispatch_listen_addr(const struct dispatch *d, const char *service, unsigned i)
{
    for (unsigned k = 0; k < d->service_count; k++)
        if (strcmp(d->services[k].name, service) == 0)
            return i < d->services[k].listener_count ? net_listener_addr(d->services[k].listeners[i]) : NULL;
    return NULL;
}
