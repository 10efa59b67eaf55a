/*
 * dispatch_beat.c - the heartbeat: with each tick every loop is asked for a turn; one that made none for
 * DISPATCH_STALL_MS is left alone until it does.
 *
 * Only time counts that this thread was awake for: a process that was suspended finds all loops silent at
 * once.
 */
#include "dispatch_priv.h"

/* Its workers take nothing more; they end, when it answers again, with the sessions they have. */
static void lane_give_up(struct dispatch_lane *lane)
{
    struct dispatch *d = lane->dispatch;

    lane->stalled = true;
    obs_count(MET_DISPATCH_STALLS, 1);
    OBS_EVENT(OBS_DISPATCH_LOOP_STALLED, 0, OBS_C("loop", loop_name(lane->loop)),
              OBS_U("ms", lane->silent_ms));
    for (unsigned i = 0; i < d->service_count; i++)
        for (unsigned k = 0; d->services[i] && k < d->services[i]->slot_count; k++) {
            struct dispatch_worker *w = &d->services[i]->workers[k];
            if (w->is_used && w->lane == lane && w->state == DISPATCH_W_RUNNING)
                dispatch__end_worker(w, DISPATCH_MSG_RETIRE);
        }
}

static void lane_look(struct dispatch_lane *lane, uint64_t passed_ms)
{
    uint64_t turns = loop_turns(lane->loop);

    if (turns == lane->turns) {
        lane->silent_ms += passed_ms;
        if (!lane->stalled && lane->silent_ms >= DISPATCH_STALL_MS)
            lane_give_up(lane);
    } else {
        if (lane->stalled)
            OBS_EVENT(OBS_DISPATCH_LOOP_BACK, 0, OBS_C("loop", loop_name(lane->loop)));
        lane->stalled = false;
        lane->silent_ms = 0;
    }
    lane->turns = turns;
    loop_nudge(lane->loop);
}

void dispatch__beat(struct dispatch *d)
{
    uint64_t now_ms = loop_now_ms(d->control);
    uint64_t passed_ms = MS_MIN(now_ms - d->ticked_ms, (uint64_t)(2 * DISPATCH_TICK_MS));

    d->ticked_ms = now_ms;
    for (unsigned i = 0; i < d->lane_count; i++)
        lane_look(&d->lanes[i], passed_ms);
}

bool dispatch_loops_answer(const struct dispatch *d)
{
    for (unsigned i = 0; i < d->lane_count; i++)
        if (d->lanes[i].stalled)
            return false;
    return true;
}
