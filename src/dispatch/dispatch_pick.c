/*
 * dispatch_pick.c - the choice of a worker: the rule of the reference, pure.
 * A limit that cannot be met is brought into range here, as the configuration's check has warned: min_procs
 * above max_procs means max_procs, min_conns above max_conns means max_conns.
 */
#include "ms/dispatch.h"

static uint64_t load_of(const struct dispatch_wview *w)
{
    return w->active + w->pending;
}

/* A worker that starts counts: otherwise a burst starts too many. One that terminates does not. */
static uint64_t count_alive(const struct dispatch_wview *workers, size_t n)
{
    uint64_t alive = 0;
    for (size_t i = 0; i < n; i++)
        alive += workers[i].state != DISPATCH_W_TERMINATING;
    return alive;
}

static uint64_t count_pending(const struct dispatch_wview *workers, size_t n)
{
    uint64_t pending = 0;
    for (size_t i = 0; i < n; i++)
        pending += workers[i].pending;
    return pending;
}

/* The less loaded one, then the one with more connections left in its life, then the older one. */
static bool is_better(const struct dispatch_wview *w, const struct dispatch_wview *best)
{
    if (load_of(w) != load_of(best))
        return load_of(w) < load_of(best);
    if (w->life != best->life)
        return w->life < best->life;
    return w->id < best->id;
}

enum dispatch_pick dispatch_pick(const struct dispatch_limits *lim, const struct dispatch_wview *workers,
                                 size_t n, size_t *index_out)
{
    size_t best = n;
    if (lim->max_handoffs && count_pending(workers, n) >= lim->max_handoffs)
        return DISPATCH_PICK_WAIT;
    for (size_t i = 0; i < n; i++) {
        const struct dispatch_wview *w = &workers[i];
        if (w->state != DISPATCH_W_RUNNING || load_of(w) >= lim->max_conns)
            continue;
        if (best == n || is_better(w, &workers[best]))
            best = i;
    }
    if (best < n) {
        *index_out = best;
        return DISPATCH_PICK_WORKER;
    }
    return count_alive(workers, n) < lim->max_procs ? DISPATCH_PICK_SPAWN : DISPATCH_PICK_WAIT;
}

bool dispatch_wants_spare(const struct dispatch_limits *lim, const struct dispatch_wview *workers, size_t n)
{
    uint64_t alive = count_alive(workers, n);
    uint64_t busy_enough = MS_MIN(lim->min_conns, lim->max_conns);
    if (alive >= lim->max_procs)
        return false;
    if (alive < MS_MIN(lim->min_procs, lim->max_procs))
        return true;
    for (size_t i = 0; i < n; i++)
        if (workers[i].state == DISPATCH_W_STARTING ||
            (workers[i].state == DISPATCH_W_RUNNING && load_of(&workers[i]) < busy_enough))
            return false;
    return alive > 0;
}

static bool has_expired(const struct dispatch_limits *lim, const struct dispatch_wview *w, uint64_t running)
{
    if (lim->max_life_conns && w->life >= lim->max_life_conns)
        return true;
    if (lim->max_life_ms && w->age_ms >= lim->max_life_ms)
        return true;
    return lim->max_idle_ms && load_of(w) == 0 && w->idle_ms >= lim->max_idle_ms &&
           running > MS_MIN(lim->min_procs, lim->max_procs);
}

bool dispatch_may_end(const struct dispatch_limits *lim, const struct dispatch_wview *workers, size_t n,
                      size_t index)
{
    const struct dispatch_wview *w = &workers[index];
    uint64_t running = count_alive(workers, n), terminating = n - running;

    if (w->state != DISPATCH_W_RUNNING || !has_expired(lim, w, running))
        return false;
    return terminating < lim->max_shutdown ||
           (load_of(w) == 0 && running > MS_MAX(lim->min_procs, lim->max_shutdown));
}
