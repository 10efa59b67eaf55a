/*
 * metrics_health.c - does the process live, and can it serve?
 *
 * Health is about the process: every loop handles messages. Readiness is about the service: the store takes and
 * gives, the directory can be read, the listeners are open, and nobody has asked the server to stop.
 */
#include "metrics.h"

#include "ms/base/clock.h"

#define APP_MSG_PROBE  BUS_KIND(10, 3, 1) /* a[0] = when it was sent, ns; a[1] = probe */
#define APP_MSG_PROBED BUS_KIND(10, 3, 2)

/* -- loops */
static void on_probe(void *owner, const struct bus_msg *msg) /* on the worker loop */
{
    struct metrics_probe *p = owner;
    struct bus_msg reply = {.kind = APP_MSG_PROBED, .id = msg->id, .a = {0, msg->a[1]}};
    obs_series_observe(p->series, (clock_mono_ns() - msg->a[0]) / 1000);
    bus_reply(p->ep, p->ep, msg->from, &reply);
}

static void on_probed(void *owner, const struct bus_msg *msg)
{
    struct metrics *m = owner;
    m->probes[msg->a[1]].is_out = false;
    m->probes[msg->a[1]].answered_ms = clock_mono_ms();
}

void metrics_health_wire(struct metrics *m)
{
    struct server *s = m->server;
    for (unsigned i = 0; i < s->loop_count; i++) {
        struct metrics_probe *p = &m->probes[i];
        p->ep = bus_ep_of_loop(s->bus, s->loops[i].loop);
        p->series = obs_series(FAM_LOOP_LAG, loop_name(s->loops[i].loop), NULL, NULL);
        bus_on(p->ep, APP_MSG_PROBE, on_probe, p);
    }
    m->control_series = obs_series(FAM_LOOP_LAG, loop_name(m->control), NULL, NULL);
    bus_on(s->control_ep, APP_MSG_PROBED, on_probed, m);
}

static bool loops_answer(struct metrics *m, struct str *out)
{
    uint64_t now_ms = clock_mono_ms();
    bool good = true;
    for (unsigned i = 0; i < m->server->loop_count; i++) {
        uint64_t silent_ms = now_ms - MS_MIN(m->probes[i].answered_ms, now_ms);
        if (silent_ms <= METRICS_STALL_MS + METRICS_PROBE_MS)
            continue;
        str_addf(out, "%s has not answered for %llu s\n", loop_name(m->server->loops[i].loop),
                 (unsigned long long)silent_ms / 1000);
        good = false;
    }
    return good;
}

/* -- the directory: an ordinary look-up now and then */
static void directory_answered(struct metrics *m, enum ms_err err)
{
    m->directory_err = err == MS_ENOTFOUND || err == MS_EDENIED ? MS_OK : err;
    m->directory_ms = clock_mono_ms();
}

static void on_directory(void *owner, uint64_t request, enum ms_err err, const struct account_entry *entry)
{
    struct metrics *m = owner;
    m->directory_request = 0;
    directory_answered(m, err);
}

static void directory_ask(struct metrics *m)
{
    struct account_entry entry;
    struct slice detail;
    if (m->directory_request)
        return;
    enum ms_err err = account_find(m->server->control.accounts, SLICE_LIT("postmaster"), &entry, &detail,
                                   on_directory, m, &m->directory_request);
    if (err != MS_EMORE) {
        m->directory_request = 0;
        directory_answered(m, err);
    }
}

static bool directory_is_readable(struct metrics *m, struct str *out)
{
    uint64_t now_ms = clock_mono_ms();
    if (m->directory_err) {
        str_addf(out, "directory: %s\n", ms_err_text(m->directory_err));
        return false;
    }
    if (now_ms - MS_MIN(m->directory_ms, now_ms) <= METRICS_STALL_MS + METRICS_PROBE_MS)
        return true;
    str_add_cstr(out, "directory: no answer\n");
    return false;
}

/* -- every second */
static void on_timer(struct loop_timer *timer)
{
    struct metrics *m = MS_CONTAINER_OF(timer, struct metrics, probe);
    struct server *s = m->server;
    uint64_t now_ns = clock_mono_ns();
    /* A timer may be a tick late without anybody having waited. */
    uint64_t late_ns = now_ns - MS_MIN(m->probe_due_ns + (LOOP_TICK_MS + 1) * 1000000ull, now_ns);
    obs_series_observe(m->control_series, late_ns / 1000);
    for (unsigned i = 0; i < s->loop_count; i++) {
        struct bus_msg msg = {.kind = APP_MSG_PROBE, .a = {clock_mono_ns(), i}};
        if (!m->probes[i].is_out)
            m->probes[i].is_out = bus_call(s->control_ep, m->probes[i].ep, &msg) == MS_OK;
    }
    directory_ask(m);
    m->probe_due_ns = now_ns + METRICS_PROBE_MS * 1000000ull;
    loop_timer_start(m->control, timer, METRICS_PROBE_MS, on_timer);
}

void metrics_health_start(struct metrics *m)
{
    for (unsigned i = 0; i < m->server->loop_count; i++)
        m->probes[i].answered_ms = clock_mono_ms();
    m->probe_due_ns = clock_mono_ns();
    on_timer(&m->probe);
}

void metrics_health_stop(struct metrics *m)
{
    loop_timer_stop(m->control, &m->probe);
    if (m->directory_request)
        account_forget(m->server->control.accounts, m->directory_request);
}

/* -- answers */
struct listeners {
    struct str *out;
    bool good;
};

static void look_at_service(void *owner, const struct dispatch_service_view *v)
{
    struct listeners *l = owner;
    if (v->listening == v->listeners)
        return;
    str_addf(l->out, "service %s: %u of %u listeners are open\n", v->name, v->listening, v->listeners);
    l->good = false;
}

bool metrics_is_healthy(struct metrics *m, struct str *out)
{
    return loops_answer(m, out);
}

bool metrics_is_ready(struct metrics *m, struct str *out)
{
    struct listeners l = {.out = out, .good = true};
    bool good = loops_answer(m, out);
    if (m->server->stopping) {
        str_add_cstr(out, "stopping\n");
        return false;
    }
    if (!partition_is_serving(m->server->partition)) {
        str_addf(out, "partition %s does not serve\n", partition_name(m->server->partition));
        good = false;
    }
    good = directory_is_readable(m, out) && good;
    dispatch_each_service(m->server->dispatch, look_at_service, &l);
    return good && l.good;
}
