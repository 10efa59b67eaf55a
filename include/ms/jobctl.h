/*
 * jobctl.h - decides which entry is delivered when, by which job.
 * Layer 8 (jobctl).   Uses: base, obs, conf, loop, bus, queue, channel.
 *
 * Two parts. jobctl_sched_* is pure: events in, decisions out, time as an argument. jobctl_* runs it on the control thread:
 * events from the queue's port, jobs opened on the least loaded loop, entries handed to jobs over rings.
 *
 * In this version: pools with job_limit, channels with maxjobs, filesperjob, threaddepth and max_client_threads by the formula of
 * semantics 4.5 (single destination host), order by class then arrival, due times, holds; jobs linger JOBCTL_LINGER_MS.
 * Held entries are not tracked at all (semantics 7); what the operator wants to go now goes ahead of all others.
 *
 * Threads:  control loop; job halves on worker loops.   Limits: JOBCTL_ENTRIES_MAX tracked at once.
 */
#ifndef MS_JOBCTL_H
#define MS_JOBCTL_H

#include "ms/bus.h"
#include "ms/channel.h"

#define JOBCTL_ENTRIES_MAX 1000000
#define JOBCTL_LINGER_MS   60000
#define JOBCTL_RETRY_MS    1000 /* least wait before an entry whose attempt failed is tried again */
#define JOBCTL_JOBS_MAX    1024 /* running at once, all channels */
#define JOBCTL_POOLS_MAX   64
#define JOBCTL_CHANNELS_MAX 256

#define JOBCTL_MSG_OPEN   BUS_KIND(8, 1, 1) /* a[0] = job: open it */
#define JOBCTL_MSG_ASSIGN BUS_KIND(8, 1, 2) /* a[0] = job, a[1], a[2] = entry id (big-endian halves); answered when it ended */
#define JOBCTL_MSG_CLOSE  BUS_KIND(8, 1, 3) /* a[0] = job */
#define JOBCTL_MSG_REPLY  BUS_KIND(8, 1, 4) /* a[0] = job, a[1..2] = entry, a[3] = enum channel_outcome, a[4] = kind answered */

struct jobctl_pool_conf { uint64_t job_limit; };
extern const struct conf_table jobctl_pools_table; /* "job_controller.pools.*" */

/* -- the pure scheduler */
struct jobctl_sched;
struct jobctl_entry { /* what the queue says of one entry */
    struct queue_id id;
    uint64_t arrival_us, due_us;
    enum queue_class class_;
    uint32_t recipients;
    bool held;
};
enum jobctl_act { JOBCTL_ACT_NONE, JOBCTL_ACT_OPEN_JOB, JOBCTL_ACT_ASSIGN, JOBCTL_ACT_CLOSE_JOB, JOBCTL_ACT_WAIT };
struct jobctl_decision {
    enum jobctl_act act;
    uint32_t channel;       /* index as added */
    uint32_t job;
    struct queue_id id;     /* ASSIGN */
    uint64_t wake_us;       /* WAIT: nothing to do before this time (UINT64_MAX: before the next event) */
};
struct jobctl_sched *jobctl_sched_create(void);
void jobctl_sched_destroy(struct jobctl_sched **s);
void jobctl_sched_add_pool(struct jobctl_sched *s, const char *name, uint64_t job_limit);
/* MS_ENOTFOUND: unknown pool. conf is borrowed for the scheduler's life. */
MS_MUST_USE enum ms_err jobctl_sched_add_channel(struct jobctl_sched *s, const char *name, const struct channel_conf *conf,
                                                 uint32_t *index_out);
/* New or changed entry (put; a held one is dropped), or finished (gone). MS_ELIMIT: not tracked, the overflow flag is set: rescan when there is room. */
MS_MUST_USE enum ms_err jobctl_sched_put(struct jobctl_sched *s, uint32_t channel, const struct jobctl_entry *e, uint64_t now_us);
void jobctl_sched_gone(struct jobctl_sched *s, const struct queue_id *id);
/* A job reported: its ticket is free; entry back to waiting (retry) or gone. */
void jobctl_sched_done(struct jobctl_sched *s, uint32_t job, const struct queue_id *id, bool retry, uint64_t due_us);
/* Reserves an entry for somebody else than a job, whether it is tracked or not (a held one is not): until given back no job
 * gets it. MS_EBUSY: a job has it, or it is reserved already. */
MS_MUST_USE enum ms_err jobctl_sched_take(struct jobctl_sched *s, const struct queue_id *id);
void jobctl_sched_give_back(struct jobctl_sched *s, const struct queue_id *id, uint64_t now_us);
/* Due now, once, ahead of all others. MS_ENOTFOUND: not tracked; MS_EBUSY: in work or reserved. */
MS_MUST_USE enum ms_err jobctl_sched_run(struct jobctl_sched *s, const struct queue_id *id);
bool jobctl_sched_is_assigned(const struct jobctl_sched *s, const struct queue_id *id);
void jobctl_sched_job_opened(struct jobctl_sched *s, uint32_t job, uint64_t now_us);
void jobctl_sched_job_closed(struct jobctl_sched *s, uint32_t job);
/* One decision a call, until NONE or WAIT. */
struct jobctl_decision jobctl_sched_next(struct jobctl_sched *s, uint64_t now_us);
uint64_t jobctl_sched_count(const struct jobctl_sched *s);
uint32_t jobctl_sched_jobs(const struct jobctl_sched *s, uint32_t channel);
/* Entries were not tracked for lack of room since this was asked last. */
bool jobctl_sched_overflowed(struct jobctl_sched *s);

/* -- the running part */
struct jobctl;
struct jobctl *jobctl_create(struct loop *control, struct bus *bus, struct partition *queue_partition,
                             struct channel_registry *registry);
void jobctl_add_loop(struct jobctl *j, struct loop *loop); /* wiring time; the link control -> loop is app's */
MS_MUST_USE enum ms_err jobctl_start(struct jobctl *j, const struct conf *conf, struct ms_errinfo *why_out); /* reads the queue */
/* No new assignments; on_idle when no entry is in work. */
void jobctl_drain(struct jobctl *j, void (*on_idle)(void *owner), void *owner);
void jobctl_destroy(struct jobctl **j);
/* -- operator control (control thread)
 * take   the entry is given to no job until jobctl_give_back; it need not be tracked, or exist. MS_EBUSY: in work right now,
 *        or taken by somebody else.
 * run    it is tried now: backoff is ignored once, and it goes ahead of all others. MS_EBUSY: in work right now, or taken;
 *        MS_ENOTFOUND: gone, held, or of a channel that is not configured; MS_ELIMIT: too many entries waiting */
MS_MUST_USE enum ms_err jobctl_take(struct jobctl *j, const struct queue_id *id);
void jobctl_give_back(struct jobctl *j, const struct queue_id *id);
MS_MUST_USE enum ms_err jobctl_run(struct jobctl *j, const struct queue_id *id);
bool jobctl_is_active(const struct jobctl *j, const struct queue_id *id); /* a job has it */
void jobctl_emit_status(struct jobctl *j, struct str *out);

#endif
