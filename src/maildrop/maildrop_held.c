/*
 * maildrop_held.c - entries that were to be returned when the server ended: they are found in the queue,
 * a slice a turn, and returned now.
 */
#include "maildrop_priv.h"

#define SLICE_ENTRIES 512
#define SLICE_MS      1 /* between slices: others have their turn */

static bool is_ours(const struct queue_entry *e)
{
    return e->held && slice_has_prefix(e->hold_reason, SLICE_LIT(MAILDROP_HOLD));
}

/* MS_OK: there is more. */
static enum ms_err look(struct maildrop *m, struct part_snap *snap)
{
    struct queue_entry entry;
    for (unsigned n = 0; n < SLICE_ENTRIES; n++) {
        MS_TRY(queue_next(snap, m->held_begun ? &m->held_after : NULL, &entry));
        m->held_begun = true;
        m->held_after = entry.id;
        if (is_ours(&entry))
            m->env.give_back(m->env.ctx, &entry.id,
                             slice_sub(entry.hold_reason, sizeof MAILDROP_HOLD - 1, SIZE_MAX));
    }
    return MS_OK;
}

static void on_slice(struct loop_timer *timer)
{
    struct maildrop *m = MS_CONTAINER_OF(timer, struct maildrop, held_timer);
    struct part_snap snap;
    if (atomic_load(&m->stopping) ||
        part_snap_begin(part_client_partition(m->env.queue_client), &snap) != MS_OK)
        return;
    enum ms_err err = look(m, &snap);
    part_snap_end(&snap);
    if (!err)
        loop_timer_start(m->env.loop, &m->held_timer, SLICE_MS, on_slice);
}

void maildrop__held_start(struct maildrop *m)
{
    if (m->env.give_back)
        loop_timer_start(m->env.loop, &m->held_timer, 0, on_slice);
}
