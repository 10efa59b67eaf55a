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

struct dispatch_worker *dispatch__worker(struct dispatch *d, uint64_t slot)
{
    uint64_t service = slot / DISPATCH_SLOTS_MAX, index = slot % DISPATCH_SLOTS_MAX;
    MS_ASSERT(service < d->service_count && index < d->services[service].slot_count);
    return &d->services[service].workers[index];
}

/* Listeners are paused while nobody could take a connection, so that none is accepted that has to wait here.
 */
static void service_gate(struct dispatch_service *s)
{
    bool pause = s->dispatch->draining || !dispatch__has_room(s);
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
    if (pause && !s->dispatch->draining && !dispatch__hands_over(s))
        OBS_EVENT(OBS_DISPATCH_FULL, 0, OBS_C("service", s->name));
}

static void on_accept(void *owner, int fd, const struct net_addr *peer)
{
    struct dispatch_service *s = owner;
    struct dispatch *d = s->dispatch;
    struct dispatch_worker *w = dispatch__pick(s);
    struct bus_msg msg = {.kind = DISPATCH_MSG_HANDOFF,
                          .a = {w ? w->slot : 0, (uint64_t)fd, ++d->next_session}};
    if (w)
        msg.body = mbuf_from(slice_make(peer, sizeof *peer));
    if (!w || bus_call(d->ep, w->lane->ep, &msg) != MS_OK) {
        /* The gate closes before this can happen; an accept that slipped through is refused by closing. */
        mbuf_unref(&msg.body);
        close(fd);
        obs_count(MET_DISPATCH_REFUSED, 1);
    } else {
        w->pending++;
        w->life++;
        obs_count(MET_DISPATCH_ACCEPTED, 1);
        dispatch__spares(s);
        dispatch__expire(s);
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
        for (unsigned k = 0; k < d->services[i].slot_count; k++) {
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
    for (unsigned i = 0; i < d->service_count; i++) {
        dispatch__reap(&d->services[i]);
        if (d->services[i].paused && !d->draining)
            service_gate(&d->services[i]);
    }
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

/* Ages are looked at here; all else happens when something changes. */
static void on_tick(struct loop_timer *timer)
{
    struct dispatch *d = MS_CONTAINER_OF(timer, struct dispatch, tick);
    for (unsigned i = 0; i < d->service_count && !d->draining; i++) {
        struct dispatch_service *s = &d->services[i];
        dispatch__reap(s);
        dispatch__expire(s);
        dispatch__spares(s);
        service_gate(s);
    }
    if (!d->draining)
        loop_timer_start(d->control, timer, DISPATCH_TICK_MS, on_tick);
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
    dispatch__slots_init(s);
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
        dispatch__slots_init(s);
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
        dispatch__spares(&d->services[i]);
        service_gate(&d->services[i]);
        for (unsigned k = 0; k < d->services[i].listener_count; k++)
            OBS_EVENT(OBS_DISPATCH_LISTENING, 0, OBS_C("service", d->services[i].name),
                      OBS_C("address", net_listener_addr(d->services[i].listeners[k])->text));
    }
    loop_timer_start(d->control, &d->tick, DISPATCH_TICK_MS, on_tick);
    return MS_OK;
}

void dispatch_drain(struct dispatch *d, void (*on_idle)(void *owner), void *owner)
{
    d->draining = true;
    loop_timer_stop(d->control, &d->tick);
    d->on_idle = on_idle;
    d->idle_owner = owner;
    for (unsigned i = 0; i < d->service_count; i++) {
        struct dispatch_service *s = &d->services[i];
        for (unsigned k = 0; k < s->listener_count; k++)
            net_listener_close(&s->listeners[k]);
        for (unsigned k = 0; k < s->slot_count; k++) {
            struct dispatch_worker *w = &s->workers[k];
            struct bus_msg msg = {.kind = DISPATCH_MSG_DRAIN, .a = {w->slot}};
            if (!w->is_used)
                continue;
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
    loop_timer_stop(d->control, &d->tick);
    for (unsigned i = 0; i < d->service_count; i++) {
        struct dispatch_service *s = &d->services[i];
        for (unsigned k = 0; k < s->listener_count; k++)
            net_listener_close(&s->listeners[k]);
        /* Loops are stopped: what a deadline cut off is released here. */
        for (unsigned k = 0; k < s->slot_count; k++)
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
