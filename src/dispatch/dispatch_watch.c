/*
 * dispatch_watch.c - what the dispatcher tells of services for monitoring.
 */
#include "dispatch_priv.h"

static void service_view(const struct dispatch_service *s, struct dispatch_service_view *out)
{
    *out = (struct dispatch_service_view){
        .name = s->name, .protocol = s->proto->name, .listeners = (unsigned)s->conf.listen.count};
    for (unsigned i = 0; i < DISPATCH_LISTEN_MAX; i++)
        out->listening += s->listeners[i] != NULL;
    for (unsigned i = 0; i < s->slot_count; i++) {
        const struct dispatch_worker *w = &s->workers[i];
        if (!w->is_used)
            continue;
        out->workers++;
        out->connections += w->pending + atomic_load_explicit(&w->active, memory_order_relaxed);
    }
}

void dispatch_each_service(const struct dispatch *d,
                           void (*fn)(void *owner, const struct dispatch_service_view *view), void *owner)
{
    struct dispatch_service_view view;
    for (unsigned i = 0; i < d->service_count; i++) {
        if (!d->services[i] || d->services[i]->is_gone)
            continue;
        service_view(d->services[i], &view);
        fn(owner, &view);
    }
}
