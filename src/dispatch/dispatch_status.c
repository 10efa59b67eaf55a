/*
 * dispatch_status.c - what `dispatcher status` shows: services, their workers, and those that have ended.
 */
#include <stdarg.h>
#include <stdio.h>

#include "dispatch_priv.h"

/* A row while it is made: texts one behind the other. */
struct row {
    const char *names[DISPATCH_COLUMNS_MAX];
    const char *values[DISPATCH_COLUMNS_MAX];
    size_t at[DISPATCH_COLUMNS_MAX]; /* of the values in text */
    size_t count;
    struct str text;
};

static void row_end(struct row *r, dispatch_row_fn *fn, void *owner)
{
    for (size_t i = 0; i < r->count; i++)
        r->values[i] = (const char *)r->text.ptr + r->at[i];
    fn(owner, r->names, r->values, r->count);
    str_fini(&r->text);
}

static void row_name(struct row *r, const char *name)
{
    MS_ASSERT(r->count < DISPATCH_COLUMNS_MAX);
    r->names[r->count] = name;
    r->at[r->count++] = r->text.len;
}

static void row_text(struct row *r, const char *name, const char *value)
{
    row_name(r, name);
    str_add_cstr(&r->text, value);
    str_add_byte(&r->text, 0);
}

static void row_number(struct row *r, const char *name, uint64_t value)
{
    row_name(r, name);
    str_addf(&r->text, "%llu", (unsigned long long)value);
    str_add_byte(&r->text, 0);
}

static void row_begin(struct row *r, const char *kind, const char *service)
{
    r->count = 0;
    str_init(&r->text, 0);
    row_text(r, "row", kind);
    row_text(r, "service", service);
}

/* -- services */
static const char *service_state(const struct dispatch_service *s)
{
    return s->is_gone ? "removed" : s->stopped ? "stopped" : s->paused ? "paused" : "open";
}

static void add_addresses(struct row *r, const struct dispatch_service *s)
{
    const char *between = "";

    row_name(r, "listen");
    for (unsigned i = 0; i < DISPATCH_LISTEN_MAX; i++)
        if (s->listeners[i]) {
            str_addf(&r->text, "%s%s", between, net_listener_addr(s->listeners[i]->net)->text);
            between = ",";
        }
    str_add_byte(&r->text, 0);
}

static void add_refused(struct row *r, const struct dispatch_service *s)
{
    uint64_t sum = 0;
    const char *between = "";

    for (unsigned i = 0; i < DISPATCH_R_COUNT; i++)
        sum += s->refused[i];
    row_number(r, "refused", sum);
    row_name(r, "reasons");
    for (unsigned i = 0; i < DISPATCH_R_COUNT; i++)
        if (s->refused[i]) {
            str_addf(&r->text, "%s%s:%llu", between, dispatch__reason_name(i),
                     (unsigned long long)s->refused[i]);
            between = ",";
        }
    str_add_byte(&r->text, 0);
}

static void emit_service(const struct dispatch_service *s, dispatch_row_fn *fn, void *owner)
{
    struct row r;

    row_begin(&r, "service", s->name);
    row_text(&r, "state", service_state(s));
    add_addresses(&r, s);
    row_number(&r, "active", s->active);
    row_number(&r, "waiting", s->door_count);
    row_number(&r, "accepted", s->accepted);
    add_refused(&r, s);
    row_number(&r, "min_procs", s->conf.min_procs);
    row_number(&r, "max_procs", s->conf.max_procs);
    row_number(&r, "min_conns", s->conf.min_conns);
    row_number(&r, "max_conns", s->conf.max_conns);
    row_end(&r, fn, owner);
}

/* -- workers */
static const char *state_name(enum dispatch_wstate state)
{
    switch (state) {
    case DISPATCH_W_STARTING:
        return "starting";
    case DISPATCH_W_RUNNING:
        return "running";
    case DISPATCH_W_TERMINATING:
        return "terminating";
    }
    MS_UNREACHABLE();
}

static void emit_worker(const char *service, const struct dispatch_wview *v, const char *state,
                        const struct dispatch_lane *lane, dispatch_row_fn *fn, void *owner)
{
    struct row r;

    row_begin(&r, "worker", service);
    row_number(&r, "worker", v->id);
    row_text(&r, "state", state);
    row_text(&r, "loop", loop_name(lane->loop));
    row_number(&r, "active", v->active);
    row_number(&r, "pending", v->pending);
    row_number(&r, "life", v->life);
    row_number(&r, "age", v->age_ms / 1000);
    row_number(&r, "idle", v->idle_ms / 1000);
    row_end(&r, fn, owner);
}

/* Ended workers, for historical_time: the ring's oldest first. */
static void emit_past(const struct dispatch_service *s, dispatch_row_fn *fn, void *owner)
{
    uint64_t now_ms = loop_now_ms(s->dispatch->control);
    uint64_t from = s->past_count - MS_MIN(s->past_count, (uint64_t)DISPATCH_HISTORY_MAX);

    for (uint64_t i = from; i < s->past_count; i++) {
        const struct dispatch_past *p = &s->past[i % DISPATCH_HISTORY_MAX];
        struct dispatch_wview v = {.id = p->id, .life = p->life, .age_ms = p->ended_ms - p->born_ms};

        if (now_ms - p->ended_ms < s->conf.historical_time_ms)
            emit_worker(s->name, &v, "ended", p->lane, fn, owner);
    }
}

static void emit_workers(struct dispatch_service *s, dispatch_row_fn *fn, void *owner)
{
    struct dispatch_wview views[DISPATCH_SLOTS_MAX];
    struct dispatch_worker *by[DISPATCH_SLOTS_MAX];
    size_t n = dispatch__views(s, views, by);

    for (size_t i = 0; i < n; i++)
        emit_worker(s->name, &views[i], state_name(views[i].state), by[i]->lane, fn, owner);
    emit_past(s, fn, owner);
}

/* -- connections that have closed */
static void emit_closed(struct dispatch *d, const struct dispatch_closed *c, dispatch_row_fn *fn, void *owner)
{
    uint64_t ago_ms = loop_now_ms(d->control) - c->ended_ms;
    char session[17];
    struct row r;

    if (ago_ms >= c->service->conf.historical_time_ms)
        return;
    snprintf(session, sizeof(session), "%llx", (unsigned long long)c->session);
    row_begin(&r, "connection", c->service->name);
    row_number(&r, "worker", c->worker);
    row_text(&r, "state", "closed");
    row_text(&r, "session", session);
    row_text(&r, "peer", c->peer);
    row_number(&r, "life", (c->ended_ms - c->since_ms) / 1000);
    row_number(&r, "ago", ago_ms / 1000);
    row_end(&r, fn, owner);
}

void dispatch_each_row(struct dispatch *d, dispatch_row_fn *fn, void *owner)
{
    for (unsigned i = 0; i < d->service_count; i++) {
        if (!d->services[i])
            continue;
        emit_service(d->services[i], fn, owner);
        emit_workers(d->services[i], fn, owner);
    }
    for (uint64_t i = d->closed_count - MS_MIN(d->closed_count, (uint64_t)DISPATCH_CLOSED_MAX);
         i < d->closed_count; i++)
        if (d->closed[i % DISPATCH_CLOSED_MAX].service)
            emit_closed(d, &d->closed[i % DISPATCH_CLOSED_MAX], fn, owner);
}
