/*
 * dispatch_status.c - what `dispatcher status` shows: one line per worker.
 */
#include "dispatch_priv.h"

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

void dispatch_emit_status(struct dispatch *d, struct str *out)
{
    for (unsigned i = 0; i < d->service_count; i++) {
        const struct dispatch_service *s = &d->services[i];
        for (unsigned k = 0; k < s->worker_count; k++) {
            const struct dispatch_worker *w = &s->workers[k];
            str_addf(out, "%s worker=%u state=%s loop=%s active=%llu pending=%llu\n", s->name, w->id,
                     state_name(w->state), loop_name(w->lane->loop),
                     (unsigned long long)atomic_load_explicit(&w->active, memory_order_relaxed),
                     (unsigned long long)w->pending);
        }
    }
}
