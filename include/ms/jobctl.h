/*
 * jobctl.h - decides which entry is delivered when, by which job.
 * Layer 8 (jobctl).   Uses: base, obs, conf, loop, bus, queue, channel.
 *
 * Two parts. jobctl_sched_* (ms/jobctl/sched.h) is pure: events in, decisions out, time as an argument. jobctl_* runs it on the
 * control thread: events from the queue's port, jobs opened on the least loaded loop, entries handed to jobs over rings.
 *
 * Held entries are not tracked at all (semantics 7); what the operator wants to go now goes ahead of all others.
 *
 * Threads:  control loop; job halves on worker loops.   Limits: job_controller.max_messages entries are tracked at once.
 */
#ifndef MS_JOBCTL_H
#define MS_JOBCTL_H

#include "ms/bus.h"
#include "ms/channel.h"
#include "ms/jobctl/sched.h"

#define JOBCTL_ENTRIES_DEFAULT 1000000
#define JOBCTL_RETRY_MS    1000 /* least wait before an entry whose attempt failed is tried again */
#define JOBCTL_JOBS_MAX    1024 /* running at once, all channels */
#define JOBCTL_POOLS_MAX   64
#define JOBCTL_CHANNELS_MAX 256

#define JOBCTL_MSG_OPEN   BUS_KIND(8, 1, 1) /* a[0] = job: open it */
#define JOBCTL_MSG_ASSIGN BUS_KIND(8, 1, 2) /* a[0] = job, a[1], a[2] = entry id (big-endian halves); answered when it was handed over */
#define JOBCTL_MSG_CLOSE  BUS_KIND(8, 1, 3) /* a[0] = job */
#define JOBCTL_MSG_REPLY  BUS_KIND(8, 1, 4) /* a[0] = job, a[1..2] = entry, a[4] = kind answered */
#define JOBCTL_MSG_DONE   BUS_KIND(8, 1, 5) /* loop -> control, a call of its own: a[0] = job, a[1..2] = entry, a[3] = enum channel_outcome. So a
                                             * slow destination holds no slot of the ring that connections and other channels use */

struct jobctl_conf { /* section "job_controller" */
    uint64_t max_messages; /* tracked at once; of a larger queue the best */
    uint64_t synch_ms;     /* of a larger queue: time between two looks for those that became due */
};
struct jobctl_pool_conf { uint64_t job_limit; };
extern const struct conf_table jobctl_table, jobctl_pools_table; /* "job_controller", "job_controller.pools.*" */
/* What the scheduler is told of a channel. by_host: its driver works for one destination at a time. */
void jobctl_limits_make(const struct channel_conf *channel, bool by_host, struct jobctl_limits *out);

/* -- the running part */
struct jobctl;
struct jobctl *jobctl_create(struct loop *control, struct bus *bus, struct partition *queue_partition,
                             struct channel_registry *registry);
void jobctl_add_loop(struct jobctl *j, struct loop *loop); /* wiring time, behind the links control -> loop and back */
MS_MUST_USE enum ms_err jobctl_start(struct jobctl *j, const struct conf *conf, struct ms_errinfo *why_out); /* reads the queue */
/* Another snapshot: pools, channels and limits as if the job controller had been started with it; what is in work goes on. In two steps: the plan says whether it can
 * be (errors: a line for each mistake, added; then MS_EINVAL), and changes nothing. A pool that is gone keeps its place until a restart, a channel too: its entries wait. */
MS_MUST_USE enum ms_err jobctl_plan(struct jobctl *j, const struct conf *conf, struct str *errors);
void jobctl_reload(struct jobctl *j, const struct conf *conf); /* behind a jobctl_plan of the same turn */
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
/* A stopped channel starts no jobs and gives its jobs nothing; mail is taken and waits, until it is started again: a restart does not
 * start it, and one that is taken out of the configuration and comes back is still stopped. The change holds at once; done (never
 * within the call) tells that it is durable, or (err) that it is undone; MS_EUNKNOWN: the log failed, a restart will tell.
 * MS_ENOTFOUND: no such channel. MS_EEXIST: it is so already. MS_EFULL, MS_EBUSY (a change is under way): ask again later. For all of
 * these and other errors nothing changes and done does not run. */
typedef void jobctl_stop_fn(void *owner, enum ms_err err);
MS_MUST_USE enum ms_err jobctl_channel_stop(struct jobctl *j, struct slice channel, bool stop, jobctl_stop_fn *done, void *owner);
void jobctl_channel_forget(struct jobctl *j, const void *owner); /* its done will not run; what was posted still happens */
uint64_t jobctl_channel_stopped_us(const struct jobctl *j, uint32_t channel); /* since when by the operator; 0: he did not */
bool jobctl_has_channel(const struct jobctl *j, struct slice channel);
/* Why an entry is not in work; a held one, or one that is gone: JOBCTL_WHY_UNKNOWN. */
void jobctl_explain(const struct jobctl *j, const struct queue_id *id, struct jobctl_reason *out);
const struct jobctl_sched *jobctl_scheduler(const struct jobctl *j); /* to look at: its views */
const char *jobctl_job_loop(const struct jobctl *j, uint32_t job);   /* name of the loop it runs on */

#endif
