/*
 * dispatch.c - the control thread's half: start and stop, and what loops tell.
 *
 * A worker is taken as running from the moment it is asked for: the request to open it and the connections
 * that follow travel in one ring, so the loop sees them in order.
 *
 * Every session's end reaches the control thread: a note that finds no room is sent again. An overflow means
 * only "look again".
 */
#include "dispatch_priv.h"

#include "ms/mapping.h"

#include <stdio.h>
#include <unistd.h>

struct dispatch_worker *dispatch__worker(struct dispatch *d, uint64_t slot)
{
    uint64_t service = slot / DISPATCH_SLOTS_MAX, index = slot % DISPATCH_SLOTS_MAX;
    MS_ASSERT(service < MS_ARRAY_LEN(d->services) && d->services[service]);
    return &d->services[service]->workers[index];
}

static void on_taken(void *owner, const struct bus_msg *msg)
{
    struct dispatch *d = owner;
    struct dispatch_worker *w = dispatch__worker(d, msg->a[0]);
    d->services[msg->a[0] / DISPATCH_SLOTS_MAX]->calls--; /* the slot may be another worker's already */
    if (msg->a[1] == DISPATCH_MSG_HANDOFF) {
        MS_ASSERT(w->pending > 0);
        w->pending--;
    }
    dispatch__on_closed(d);
}

static uint64_t sessions_left(const struct dispatch *d)
{
    uint64_t left = d->door_count;
    for (unsigned i = 0; i < d->service_count; i++)
        for (unsigned k = 0; d->services[i] && k < d->services[i]->slot_count; k++) {
            const struct dispatch_worker *w = &d->services[i]->workers[k];
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
        struct dispatch_service *s = d->services[i];
        if (!s)
            continue;
        dispatch__reap(s);
        if (d->draining || dispatch__service_gone(s))
            continue;
        dispatch__door_pump(s);
        if (s->paused)
            dispatch__service_gate(s);
    }
    if (d->draining && d->on_idle && sessions_left(d) == 0)
        loop_hook_arm(d->control, &d->idle_hook, report_idle);
}

static void on_closed_note(void *owner, const struct bus_msg *msg)
{
    struct dispatch *d = owner;
    dispatch__live_end(d, msg->a[1]);
    dispatch__on_closed(d);
}

static void on_notes_overflow(void *owner)
{
    dispatch__on_closed(owner);
}

static void service_tick(struct dispatch_service *s)
{
    dispatch__reap(s);
    dispatch__send_owed(s);
    if (s->dispatch->draining || dispatch__service_gone(s))
        return;
    dispatch__expire(s);
    dispatch__spares(s);
    dispatch__door_pump(s);
    dispatch__service_gate(s);
}

/* Ages and heartbeats are looked at here; all else happens when something changes. */
static void on_tick(struct loop_timer *timer)
{
    struct dispatch *d = MS_CONTAINER_OF(timer, struct dispatch, tick);
    dispatch__beat(d);
    for (unsigned i = 0; i < d->service_count; i++)
        if (d->services[i])
            service_tick(d->services[i]);
    loop_timer_start(d->control, timer, DISPATCH_TICK_MS, on_tick);
}

struct dispatch *dispatch_create(struct loop *control, struct bus *bus)
{
    struct dispatch *d = ms_new(struct dispatch);
    d->control = control;
    d->bus = bus;
    d->ep = bus_ep_of_loop(bus, control);
    MS_ASSERT(d->ep);
    map_init(&d->live);
    dispatch__peers_init(&d->peers);
    bus_on(d->ep, DISPATCH_MSG_TAKEN, on_taken, d);
    dispatch__sessions_init(d);
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
    MS_ASSERT(!d->started && d->extra_count < DISPATCH_EXTRAS_MAX);
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

enum ms_err dispatch_start(struct dispatch *d, const struct conf *conf, struct ms_errinfo *why_out)
{
    size_t count = conf_map_count(conf, "dispatcher.services.*");
    if (count > DISPATCH_SERVICES_MAX)
        return ms_fail(why_out, MS_ELIMIT, "more than %d services", DISPATCH_SERVICES_MAX);
    d->started = true;
    d->conf = conf_ref((struct conf *)(uintptr_t)conf);
    for (size_t i = 0; i < count; i++) {
        const char *name;
        const struct dispatch_service_conf *sc = conf_map_entry(conf, "dispatcher.services.*", i, &name);
        struct dispatch_service *s;
        MS_TRY(dispatch__service_add(d, name, sc, &s, why_out));
    }
    dispatch__services_add_extras(d);
    for (unsigned i = 0; i < d->service_count; i++)
        MS_TRY(dispatch__service_listen(d->services[i], why_out));
    dispatch__count_descriptors(d);
    for (unsigned i = 0; i < d->service_count; i++)
        dispatch__service_open(d->services[i]);
    dispatch__given_close(d);
    d->ticked_ms = loop_now_ms(d->control);
    loop_timer_start(d->control, &d->tick, DISPATCH_TICK_MS, on_tick);
    return MS_OK;
}

void dispatch_drain(struct dispatch *d, void (*on_idle)(void *owner), void *owner)
{
    d->draining = true;
    d->on_idle = on_idle;
    d->idle_owner = owner;
    for (unsigned i = 0; i < d->service_count; i++) {
        struct dispatch_service *s = d->services[i];
        if (!s)
            continue;
        dispatch__service_unlisten(s);
        dispatch__door_clear(s);
        for (unsigned k = 0; k < s->slot_count; k++)
            if (s->workers[k].is_used)
                dispatch__end_worker(&s->workers[k], DISPATCH_MSG_DRAIN);
    }
    dispatch__on_closed(d);
}

void dispatch__service_destroy(struct dispatch_service *s)
{
    dispatch__service_unlisten(s);
    dispatch__door_clear(s);
    /* Loops are stopped: what a deadline cut off is released here. */
    for (unsigned k = 0; k < s->slot_count; k++)
        if (s->workers[k].impl)
            s->proto->worker_close(s->workers[k].impl);
    ms_free(s->workers);
    ms_free(s);
}

void dispatch_destroy(struct dispatch **dp)
{
    struct dispatch *d = *dp;
    if (!d)
        return;
    loop_hook_disarm(d->control, &d->idle_hook);
    loop_timer_stop(d->control, &d->tick);
    for (unsigned i = 0; i < d->service_count; i++)
        if (d->services[i])
            dispatch__service_destroy(d->services[i]);
    dispatch__given_close(d);
    net_refuse_stop(d->control);
    for (unsigned i = 0; i < d->lane_count; i++)
        dispatch__lane_fini(&d->lanes[i]);
    dispatch__live_fini(d);
    dispatch__peers_fini(&d->peers);
    mapping_set_destroy(&d->access);
    conf_unref(&d->trusted_conf);
    conf_unref(&d->conf);
    ms_free(d);
    *dp = NULL;
}
