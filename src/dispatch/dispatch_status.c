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

static void emit_line(const char *service, const struct dispatch_wview *v, const char *state,
                      const struct dispatch_lane *lane, struct str *out)
{
    str_addf(out, "%s worker=%llu state=%s loop=%s active=%llu pending=%llu life=%llu age=%llu idle=%llu\n",
             service, (unsigned long long)v->id, state, loop_name(lane->loop), (unsigned long long)v->active,
             (unsigned long long)v->pending, (unsigned long long)v->life,
             (unsigned long long)(v->age_ms / 1000), (unsigned long long)(v->idle_ms / 1000));
}

/* Ended workers, for historical_time: the ring's oldest first. */
static void emit_past(const struct dispatch_service *s, struct str *out)
{
    uint64_t now_ms = loop_now_ms(s->dispatch->control);
    uint64_t from = s->past_count - MS_MIN(s->past_count, DISPATCH_HISTORY_MAX);

    for (uint64_t i = from; i < s->past_count; i++) {
        const struct dispatch_past *p = &s->past[i % DISPATCH_HISTORY_MAX];
        struct dispatch_wview v = {.id = p->id, .life = p->life, .age_ms = p->ended_ms - p->born_ms};

        if (now_ms - p->ended_ms < s->conf.historical_time_ms)
            emit_line(s->name, &v, "ended", p->lane, out);
    }
}

void dispatch_emit_status(struct dispatch *d, struct str *out)
{
    for (unsigned i = 0; i < d->service_count; i++) {
        struct dispatch_service *s = d->services[i];
        if (!s)
            continue;
        struct dispatch_wview views[DISPATCH_SLOTS_MAX];
        struct dispatch_worker *by[DISPATCH_SLOTS_MAX];
        size_t n = dispatch__views(s, views, by);

        for (size_t k = 0; k < n; k++)
            emit_line(s->name, &views[k], state_name(views[k].state), by[k]->lane, out);
        emit_past(s, out);
    }
}
