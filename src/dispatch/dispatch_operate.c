/*
 * dispatch_operate.c - what an operator orders while the server runs: workers and services end and begin.
 */
#include "dispatch_priv.h"

static struct dispatch_worker *worker_find(struct dispatch *d, uint64_t id)
{
    for (unsigned i = 0; i < d->service_count; i++)
        for (unsigned k = 0; d->services[i] && k < d->services[i]->slot_count; k++) {
            struct dispatch_worker *w = &d->services[i]->workers[k];
            if (w->is_used && w->id == id)
                return w;
        }
    return NULL;
}

enum ms_err dispatch_kill_worker(struct dispatch *d, uint64_t worker, bool now)
{
    struct dispatch_worker *w = worker_find(d, worker);

    if (!w)
        return MS_ENOTFOUND;
    OBS_EVENT(OBS_DISPATCH_KILLED, 0, OBS_C("service", w->service->name), OBS_U("worker", w->id),
              OBS_C("now", now ? "yes" : "no"));
    dispatch__end_worker(w, now ? DISPATCH_MSG_KILL : DISPATCH_MSG_RETIRE);
    if (!d->draining) { /* semantics 2.7 D9: another at once when min_procs wants it */
        dispatch__spares(w->service);
        dispatch__service_gate(w->service);
    }
    return MS_OK;
}

/* Each service that is meant, one after the other; the first error is told, the others have their turn. */
typedef enum ms_err service_act(struct dispatch_service *s, struct ms_errinfo *why_out);

static enum ms_err each_service(struct dispatch *d, const char *name, service_act *act,
                                struct ms_errinfo *why_out)
{
    enum ms_err first = MS_OK;

    if (d->draining)
        return ms_fail(why_out, MS_EBUSY, "the server is stopping");
    if (name) {
        struct dispatch_service *s = dispatch__service_find(d, name);
        return s ? act(s, why_out) : ms_fail(why_out, MS_ENOTFOUND, "no service \"%s\"", name);
    }
    for (unsigned i = 0; i < d->service_count; i++) {
        struct ms_errinfo why;
        if (!d->services[i] || d->services[i]->is_extra)
            continue;
        enum ms_err err = act(d->services[i], &why);
        if (err && !first)
            first = ms_fail(why_out, err, "%s", why.text);
    }
    return first;
}

static void drain_workers(struct dispatch_service *s)
{
    for (unsigned i = 0; i < s->slot_count; i++)
        if (s->workers[i].is_used)
            dispatch__end_worker(&s->workers[i], DISPATCH_MSG_DRAIN);
}

static enum ms_err act_stop(struct dispatch_service *s, struct ms_errinfo *why_out)
{
    if (s->stopped)
        return MS_OK;
    s->stopped = true;
    OBS_EVENT(OBS_DISPATCH_STOPPED, 0, OBS_C("service", s->name));
    dispatch__service_unlisten(s);
    dispatch__door_clear(s);
    drain_workers(s);
    return MS_OK;
}

static enum ms_err act_start(struct dispatch_service *s, struct ms_errinfo *why_out)
{
    if (!s->stopped)
        return MS_OK;
    enum ms_err err = dispatch__service_listen(s, why_out);
    if (err) {
        dispatch__service_unlisten(s); /* those that could be opened: it is stopped, all of it */
        return err;
    }
    dispatch__service_open(s);
    return MS_OK;
}

static enum ms_err act_restart(struct dispatch_service *s, struct ms_errinfo *why_out)
{
    if (s->stopped)
        return act_start(s, why_out);
    OBS_EVENT(OBS_DISPATCH_RESTARTED, 0, OBS_C("service", s->name));
    drain_workers(s);
    dispatch__spares(s);
    dispatch__service_gate(s);
    return MS_OK;
}

enum ms_err dispatch_service_stop(struct dispatch *d, const char *service, struct ms_errinfo *why_out)
{
    return each_service(d, service, act_stop, why_out);
}

enum ms_err dispatch_service_start(struct dispatch *d, const char *service, struct ms_errinfo *why_out)
{
    return each_service(d, service, act_start, why_out);
}

enum ms_err dispatch_service_restart(struct dispatch *d, const char *service, struct ms_errinfo *why_out)
{
    return each_service(d, service, act_restart, why_out);
}
