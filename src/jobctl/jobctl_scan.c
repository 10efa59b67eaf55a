/*
 * jobctl_scan.c - what the queue says: notes of single entries, and all of it.
 *
 * A note only says "look": the entry is read from the index, so an old note does no harm. All of the queue is
 * read at the start, after a reload, when notes were lost, and when there is room again for entries that had
 * none or some of these may have become due; a slice at a time, each from a snapshot of its own. Slices and notes
 * are handled by one thread, and each looks at the index as it is then, so nothing is made older than it is.
 */
#include "jobctl_priv.h"

#include "ms/base/clock.h"

#define SLICE_NS    1000000 /* of reading; there are up to LOOP_HOOK_ROUNDS_MAX slices a turn */
#define SLICE_LOOK  64      /* entries between looks at the clock */
#define SWEEP_SLICE 4096    /* tracked entries looked at, likewise */
#define AGAIN_MS    1000    /* after an index that could not be read */
#define UNKNOWN_MAX 256     /* channels that are named once in the log */

struct jobctl_chan *jobctl__chan_find(struct jobctl *j, struct slice name)
{
    for (unsigned i = 0; i < j->channel_count; i++)
        if (j->channels[i].conf && slice_eq_cstr(name, j->channels[i].name))
            return &j->channels[i];
    return NULL;
}

/* A channel that was taken out of the configuration: its entries wait for its return. */
static void channel_is_unknown(struct jobctl *j, struct slice name)
{
    if (j->unknown.count == UNKNOWN_MAX || map_find(&j->unknown, name))
        return;
    map_put(&j->unknown, name, j);
    OBS_EVENT(OBS_JOBCTL_NO_CHANNEL, 0, OBS_S("channel", name));
}

enum ms_err jobctl__put(struct jobctl *j, const struct queue_entry *entry, uint64_t earliest_us,
                        bool is_first)
{
    const struct jobctl_chan *chan = jobctl__chan_find(j, entry->channel);
    if (!chan)
        channel_is_unknown(j, entry->channel);
    if (!chan || entry->pending == 0)
        return MS_ENOTFOUND;
    struct jobctl_entry e = {.id = entry->id,
                             .arrival_us = entry->arrival_us,
                             .due_us = MS_MAX(entry->due_us, earliest_us),
                             .class_ = entry->class_,
                             .recipients = entry->pending,
                             .held = entry->held,
                             .is_first = is_first,
                             .is_retry = entry->attempts > 0 || earliest_us > 0,
                             .host = entry->host};
    enum ms_err err = jobctl_sched_put(j->sched, chan->index, &e, clock_wall_us());
    if (err == MS_ELIMIT) /* the scheduler remembers that there was none */
        obs_count(MET_JOBCTL_NO_ROOM, 1);
    return err;
}

/* -- notes */
static void on_ready(void *owner, const struct bus_msg *msg)
{
    struct jobctl *j = owner;
    struct queue_id id = jobctl__id_unpack(msg->a);
    struct queue_entry entry;
    struct part_snap snap;
    obs_count(MET_JOBCTL_NOTES, 1);
    if (part_snap_begin(j->partition, &snap) != MS_OK) {
        jobctl__scan(j, "unread");
        return;
    }
    enum ms_err err = queue_find(&snap, &id, &entry);
    if (err == MS_OK)
        (void)jobctl__put(j, &entry, 0, false);
    else if (err == MS_ENOTFOUND)
        jobctl_sched_gone(j->sched, &id);
    part_snap_end(&snap);
    jobctl__step_soon(j);
}

static void on_gone(void *owner, const struct bus_msg *msg)
{
    struct jobctl *j = owner;
    struct queue_id id = jobctl__id_unpack(msg->a);
    obs_count(MET_JOBCTL_NOTES, 1);
    jobctl_sched_gone(j->sched, &id);
    jobctl__step_soon(j);
}

static void on_lost_notes(void *owner)
{
    jobctl__scan(owner, "notes_lost");
}

void jobctl__scan_init(struct jobctl *j)
{
    map_init(&j->unknown);
    bus_on(j->ep, QUEUE_NOTE_READY, on_ready, j);
    bus_on(j->ep, QUEUE_NOTE_GONE, on_gone, j);
    partition_set_port(j->partition, QUEUE_PORT, j->ep, on_lost_notes, j);
}

void jobctl__scan_fini(struct jobctl *j)
{
    loop_timer_stop(j->control, &j->scan.timer);
    loop_timer_stop(j->control, &j->scan.synch);
    map_fini(&j->unknown);
}

/* -- all of it */
void jobctl__scan(struct jobctl *j, const char *why)
{
    if (!j->scan.asked_why)
        j->scan.asked_why = why;
    jobctl__step_soon(j);
}

static void scan_begin(struct jobctl *j)
{
    struct jobctl_scan *scan = &j->scan;
    scan->why = scan->asked_why;
    scan->asked_why = NULL;
    scan->is_running = true;
    scan->has_begun = scan->is_sweeping = false;
    scan->entries = scan->damaged = 0;
    scan->begun_ns = clock_mono_ns();
    jobctl_sched_round(j->sched);
    obs_count(MET_JOBCTL_SCANS, 1);
}

static void scan_end(struct jobctl *j)
{
    struct jobctl_scan *scan = &j->scan;
    scan->is_running = false;
    OBS_EVENT(OBS_JOBCTL_SCANNED, 0, OBS_C("why", scan->why), OBS_U("entries", scan->entries),
              OBS_U("tracked", jobctl_sched_count(j->sched)),
              OBS_U("ms", (clock_mono_ns() - scan->begun_ns) / 1000000));
    if (scan->damaged)
        OBS_EVENT(OBS_JOBCTL_DAMAGED, 0, OBS_U("entries", scan->damaged));
    jobctl__step_soon(j); /* another one may have been asked for meanwhile, or the sweep made room */
}

static void on_again(struct loop_timer *timer)
{
    jobctl__step_soon(MS_CONTAINER_OF(timer, struct jobctl, scan.timer));
}

static enum ms_err slice_read(struct jobctl *j, struct part_snap *snap)
{
    struct jobctl_scan *scan = &j->scan;
    struct queue_reader reader;
    struct queue_entry entry;
    enum ms_err err;
    uint64_t end_ns = clock_mono_ns() + SLICE_NS, n = 0;
    MS_TRY(queue_reader_begin(&reader, snap, scan->has_begun ? &scan->after : NULL));
    while ((err = queue_reader_next(&reader, &entry)) == MS_OK) {
        (void)jobctl__put(j, &entry, 0, false);
        scan->has_begun = true;
        scan->after = entry.id;
        if (++n % SLICE_LOOK == 0 && clock_mono_ns() >= end_ns)
            break;
    }
    scan->entries += n;
    scan->damaged += reader.damaged;
    obs_count(MET_JOBCTL_SCANNED, n);
    queue_reader_end(&reader);
    return err;
}

/* MS_OK: there is more. MS_ENOTFOUND: all was read. */
static enum ms_err scan_slice(struct jobctl *j)
{
    struct part_snap snap;
    if (j->scan.is_sweeping)
        return jobctl_sched_sweep(j->sched, SWEEP_SLICE) ? MS_OK : MS_ENOTFOUND;
    MS_TRY(part_snap_begin(j->partition, &snap));
    enum ms_err err = slice_read(j, &snap);
    part_snap_end(&snap);
    if (err != MS_ENOTFOUND)
        return err;
    j->scan.is_sweeping = true;
    return MS_OK;
}

static void on_synch(struct loop_timer *timer)
{
    jobctl__scan(MS_CONTAINER_OF(timer, struct jobctl, scan.synch), "left_out");
}

/* An entry that is not tracked becomes due without a sign. */
static void synch_settle(struct jobctl *j)
{
    const struct jobctl_conf *jc = conf_section(j->conf, "job_controller");
    if (jobctl_sched_is_partial(j->sched) && !loop_timer_is_running(&j->scan.synch))
        loop_timer_start(j->control, &j->scan.synch, jc->synch_ms, on_synch);
}

void jobctl__scan_step(struct jobctl *j)
{
    struct jobctl_scan *scan = &j->scan;
    /* semantics 4.6: when enough has been delivered, entries there was no room for are looked for again. */
    if (!scan->is_running && jobctl_sched_overflowed(j->sched))
        jobctl__scan(j, "room");
    if (!scan->is_running && scan->asked_why)
        scan_begin(j);
    synch_settle(j);
    if (!scan->is_running || loop_timer_is_running(&scan->timer))
        return;
    enum ms_err err = scan_slice(j);
    if (!err) {
        jobctl__step_soon(j); /* there is more: at once, behind what the turn brought for others */
    } else if (err == MS_ENOTFOUND) {
        scan_end(j);
    } else {
        OBS_EVENT(OBS_JOBCTL_SCAN_FAILED, 0, OBS_E("error", err));
        loop_timer_start(j->control, &scan->timer, AGAIN_MS, on_again);
    }
}
