/*
 * jobctl.c - runs the scheduler on the control thread.
 *
 * What wakes it: notes of the queue (an entry is new, changed or gone), answers of jobs, one timer for the next due
 * time. The queue is never polled; jobctl_scan.c tells when it is read.
 */
#include "jobctl_priv.h"

#include "ms/base/clock.h"

static void step(struct jobctl *j);

static void step_hook(struct loop_hook *hook)
{
    step(MS_CONTAINER_OF(hook, struct jobctl, hook));
}

/* Decisions are made once at the end of a turn, for all its events. */
void jobctl__step_soon(struct jobctl *j)
{
    loop_hook_arm(j->control, &j->hook, step_hook);
}

static void on_timer(struct loop_timer *timer)
{
    jobctl__step_soon(MS_CONTAINER_OF(timer, struct jobctl, timer));
}

/* -- lanes */
static bool is_slow(const struct jobctl_lane *lane, uint64_t now_ms)
{
    return lane->unanswered > 0 && now_ms - lane->heard_ms > JOBCTL_SLOW_MS;
}

/* The least loaded loop: entries in work, then jobs. One that stands still is the last choice. */
static struct jobctl_lane *choose_lane(struct jobctl *j)
{
    uint64_t now_ms = loop_now_ms(j->control);
    struct jobctl_lane *best = NULL;
    for (unsigned i = 0; i < j->lane_count; i++) {
        struct jobctl_lane *lane = &j->lanes[i];
        bool is_better = !best || lane->in_work < best->in_work ||
                         (lane->in_work == best->in_work && lane->jobs < best->jobs);
        if (best && is_slow(lane, now_ms) != is_slow(best, now_ms))
            is_better = is_slow(best, now_ms);
        if (is_better)
            best = lane;
    }
    return best;
}

static void call(struct jobctl *j, struct jobctl_lane *lane, struct bus_msg *msg)
{
    if (lane->unanswered++ == 0)
        lane->heard_ms = loop_now_ms(j->control);
    jobctl__send(&lane->out, msg);
}

static void do_open(struct jobctl *j, const struct jobctl_decision *d)
{
    const struct jobctl_chan *chan = &j->channels[d->channel];
    struct jobctl_job *job = &j->jobs[d->job];
    *job = (struct jobctl_job){.lane = choose_lane(j),
                               .driver = chan->driver,
                               .env = chan->env,
                               .channel = chan->name,
                               .conf_ref = conf_ref(j->conf),
                               .conf = chan->conf};
    struct bus_msg msg = {.kind = JOBCTL_MSG_OPEN, .a = {d->job}};
    job->lane->jobs++;
    obs_count(MET_JOBCTL_OPENED, 1);
    call(j, job->lane, &msg);
}

static void do_assign(struct jobctl *j, const struct jobctl_decision *d)
{
    struct jobctl_job *job = &j->jobs[d->job];
    struct bus_msg msg = {.kind = JOBCTL_MSG_ASSIGN, .a = {d->job}};
    jobctl__id_pack(&d->id, msg.a + 1);
    j->in_work++;
    job->lane->in_work++;
    obs_count(MET_JOBCTL_ASSIGNED, 1);
    call(j, job->lane, &msg);
}

static void do_close(struct jobctl *j, const struct jobctl_decision *d)
{
    struct bus_msg msg = {.kind = JOBCTL_MSG_CLOSE, .a = {d->job}};
    j->jobs[d->job].lane->jobs--;
    obs_count(MET_JOBCTL_CLOSED, 1);
    call(j, j->jobs[d->job].lane, &msg);
}

static void wait_until(struct jobctl *j, uint64_t wake_us, uint64_t now_us)
{
    if (wake_us == UINT64_MAX)
        loop_timer_stop(j->control, &j->timer);
    else /* at most an hour, so that a changed wall clock is noticed */
        loop_timer_start(j->control, &j->timer,
                         MS_MIN((wake_us - MS_MIN(wake_us, now_us)) / 1000 + 1, 3600000), on_timer);
}

/* As many as there are threads free: what a loop has no room for waits on the way to it, so that none waits for
 * another. */
static void carry_out(struct jobctl *j, uint64_t now_us)
{
    struct jobctl_decision d;
    while ((d = jobctl_sched_next(j->sched, now_us)).act != JOBCTL_ACT_WAIT) {
        if (d.act == JOBCTL_ACT_OPEN_JOB)
            do_open(j, &d);
        else if (d.act == JOBCTL_ACT_ASSIGN)
            do_assign(j, &d);
        else if (d.act == JOBCTL_ACT_CLOSE_JOB)
            do_close(j, &d);
    }
    wait_until(j, d.wake_us, now_us);
}

static void report_idle(struct jobctl *j)
{
    void (*on_idle)(void *) = j->on_idle;
    if (j->in_work == 0 && on_idle) {
        j->on_idle = NULL;
        on_idle(j->idle_owner);
    }
}

static void step(struct jobctl *j)
{
    uint64_t now_us = clock_wall_us();
    if (j->draining) {
        report_idle(j);
        return;
    }
    jobctl__scan_step(j);
    carry_out(j, now_us);
}

/* A job ended its work on an entry. What becomes of it is what the queue says now: gone, or when it is due, and what
 * was said while it was in work (another class, a hold, another grouping by hosts). That is looked at whatever the
 * job says: one that found its entry held has nothing left to do, but the hold may be over by now. */
static void entry_ended(struct jobctl *j, uint32_t job, const struct queue_id *id, bool retry)
{
    struct part_snap snap;
    struct queue_entry entry;
    uint64_t now_us = clock_wall_us();
    /* A driver that could not even note its failure leaves the old time: not at once again. */
    uint64_t earliest_us = now_us + JOBCTL_RETRY_MS * 1000ull;
    j->in_work--;
    j->jobs[job].lane->in_work--;
    if (retry)
        obs_count(MET_JOBCTL_RETRIED, 1);
    if (part_snap_begin(j->partition, &snap) != MS_OK) {
        jobctl_sched_done(j->sched, job, id, true, earliest_us, now_us);
        return;
    }
    enum ms_err err = queue_find(&snap, id, &entry);
    bool is_there = err ? err != MS_ENOTFOUND /* damaged: looked at again */ : entry.pending > 0;
    jobctl_sched_done(j->sched, job, id, is_there, earliest_us, now_us);
    if (!err && is_there)
        (void)jobctl__put(j, &entry, earliest_us, false);
    part_snap_end(&snap);
}

static void on_done(void *owner, const struct bus_msg *msg)
{
    struct jobctl *j = owner;
    struct queue_id id = jobctl__id_unpack(msg->a + 1);
    struct bus_msg reply = {.kind = JOBCTL_MSG_REPLY, .id = msg->id, .a = {msg->a[0], 0, 0, 0, msg->kind}};
    entry_ended(j, (uint32_t)msg->a[0], &id, msg->a[3] == CHANNEL_RETRY);
    bus_reply(j->ep, j->ep, msg->from, &reply);
    jobctl__step_soon(j);
}

/* A job's slot is free with the answer to CLOSE, its last call. */
static void on_reply(void *owner, const struct bus_msg *msg)
{
    struct jobctl *j = owner;
    uint32_t job = (uint32_t)msg->a[0];
    struct jobctl_lane *lane = j->jobs[job].lane;
    lane->unanswered--;
    lane->heard_ms = loop_now_ms(j->control);
    if (msg->a[4] == JOBCTL_MSG_OPEN) {
        conf_unref(&j->jobs[job].conf_ref);
        jobctl_sched_job_opened(j->sched, job, clock_wall_us());
    } else if (msg->a[4] == JOBCTL_MSG_CLOSE) {
        jobctl_sched_job_closed(j->sched, job);
    }
    jobctl__step_soon(j);
}

enum ms_err jobctl_take(struct jobctl *j, const struct queue_id *id)
{
    return jobctl_sched_take(j->sched, id);
}

void jobctl_give_back(struct jobctl *j, const struct queue_id *id)
{
    jobctl_sched_give_back(j->sched, id, clock_wall_us());
    jobctl__step_soon(j);
}

/* The note that the index changed may still be on its way: the entry is read here. */
enum ms_err jobctl_run(struct jobctl *j, const struct queue_id *id)
{
    struct queue_entry entry;
    struct part_snap snap;
    MS_TRY(part_snap_begin(j->partition, &snap));
    enum ms_err err = queue_find(&snap, id, &entry);
    if (!err)
        err = entry.held ? MS_ENOTFOUND : jobctl__put(j, &entry, 0, false);
    if (err == MS_ELIMIT) /* not tracked: now it takes the place of the worst */
        err = jobctl__put(j, &entry, 0, true);
    part_snap_end(&snap);
    if (!err)
        err = jobctl_sched_run(j->sched, id, clock_wall_us());
    jobctl__step_soon(j);
    return err;
}

bool jobctl_has_channel(const struct jobctl *j, struct slice channel)
{
    return jobctl__chan_find((struct jobctl *)(uintptr_t)j, channel) != NULL;
}

void jobctl_explain(const struct jobctl *j, const struct queue_id *id, struct jobctl_reason *out)
{
    jobctl_sched_explain(j->sched, id, clock_wall_us(), out);
}

const struct jobctl_sched *jobctl_scheduler(const struct jobctl *j)
{
    return j->sched;
}

const char *jobctl_job_loop(const struct jobctl *j, uint32_t job)
{
    return loop_name(j->jobs[job].lane->loop);
}

bool jobctl_is_active(const struct jobctl *j, const struct queue_id *id)
{
    return jobctl_sched_is_assigned(j->sched, id);
}

struct jobctl *jobctl_create(struct loop *control, struct bus *bus, struct partition *queue_partition,
                             struct channel_registry *registry)
{
    struct jobctl *j = ms_new(struct jobctl);
    j->control = control;
    j->bus = bus;
    j->ep = bus_ep_of_loop(bus, control);
    j->partition = queue_partition;
    j->registry = registry;
    j->sched = jobctl_sched_create(JOBCTL_ENTRIES_DEFAULT);
    bus_on(j->ep, JOBCTL_MSG_REPLY, on_reply, j);
    bus_on(j->ep, JOBCTL_MSG_DONE, on_done, j);
    jobctl__scan_init(j);
    return j;
}

void jobctl_add_loop(struct jobctl *j, struct loop *loop)
{
    MS_ASSERT(j->lane_count < LOOP_WORKERS_MAX);
    struct jobctl_lane *lane = &j->lanes[j->lane_count++];
    lane->jobctl = j;
    lane->loop = loop;
    lane->ep = bus_ep_of_loop(j->bus, loop);
    jobctl__outbox_init(&lane->out, j->ep, lane->ep);
    jobctl__lane_init(lane);
}

void jobctl_drain(struct jobctl *j, void (*on_idle)(void *owner), void *owner)
{
    j->draining = true;
    j->on_idle = on_idle;
    j->idle_owner = owner;
    loop_timer_stop(j->control, &j->timer);
    jobctl__step_soon(j);
}

void jobctl_destroy(struct jobctl **jp)
{
    struct jobctl *j = *jp;
    if (!j)
        return;
    loop_timer_stop(j->control, &j->timer);
    loop_hook_disarm(j->control, &j->hook);
    jobctl__scan_fini(j);
    for (uint32_t i = 0; i < JOBCTL_JOBS_MAX; i++) { /* loops are stopped */
        conf_unref(&j->jobs[i].conf_ref);
        if (j->jobs[i].impl)
            j->jobs[i].driver->job_close(j->jobs[i].impl);
    }
    for (unsigned i = 0; i < j->lane_count; i++) {
        jobctl__outbox_fini(&j->lanes[i].out);
        jobctl__lane_fini(&j->lanes[i]);
    }
    jobctl__stop_fini(j);
    jobctl_sched_destroy(&j->sched);
    conf_unref(&j->conf);
    ms_free(j);
    *jp = NULL;
}
