/*
 * jobctl_priv.h - the running part: lanes to the loops, jobs.
 */
#ifndef JOBCTL_PRIV_H
#define JOBCTL_PRIV_H

#include "ms/base/idtab.h"
#include "ms/base/map.h"
#include "ms/jobctl.h"
#include "ms/obs.h"

#define JOBCTL_SLOW_MS 1000 /* a loop that answers nothing for so long gets no new jobs while another does */

/* Calls to one endpoint, in order; those the link has no room for wait here. */
struct jobctl_outbox {
    struct bus_ep *from, *to;
    struct list waiting;
    struct bus_waiter waiter;
};

struct jobctl_lane { /* the way to one loop */
    struct jobctl *jobctl;
    struct loop *loop;
    struct bus_ep *ep;
    /* control */
    struct jobctl_outbox out;
    unsigned jobs;
    uint64_t in_work;
    uint64_t unanswered; /* calls that the loop did not answer yet, sent or waiting */
    uint64_t heard_ms;   /* when it last answered, or was called first since */
    /* loop */
    struct jobctl_outbox back;
    struct idtab tickets; /* struct jobctl_ticket, entries in work */
};

/* A job's slot: filled by the control thread before its number is sent; impl belongs to the loop. */
struct jobctl_job {
    struct channel_job handle;
    struct jobctl_lane *lane;
    const struct channel_driver *driver;
    void *env;
    const char *channel;
    struct conf *conf_ref; /* until its loop has opened it: conf lives there */
    const struct channel_conf *conf;
    void *impl;
};

/* Of a channel, asked for by the operator: on its way to the log. */
struct jobctl_change {
    jobctl_stop_fn *done; /* NULL: none is under way */
    void *owner;
    uint64_t request;
    uint64_t before_us; /* stopped_us, if it fails */
};

struct jobctl_chan {
    struct jobctl *jobctl;
    char name[CHANNEL_NAME_MAX + 1];
    const struct channel_conf *conf; /* in jobctl.conf; NULL: not configured now */
    const struct channel_driver *driver;
    void *env;
    uint32_t index;      /* in the scheduler */
    uint64_t stopped_us; /* by the operator, since then; 0: not */
    struct jobctl_change change;
};

struct jobctl_scan {       /* of all the queue */
    const char *asked_why; /* another one is asked for; NULL: not */
    const char *why;       /* of the one that runs */
    bool is_running, has_begun;
    bool is_sweeping;      /* all was read: what is not there any more goes */
    struct queue_id after; /* has_begun: where it stands */
    struct loop_timer timer;
    struct loop_timer synch; /* while entries are not tracked for lack of room */
    uint64_t begun_ns, entries, damaged;
};

struct jobctl {
    struct loop *control;
    struct bus *bus;
    struct bus_ep *ep;
    struct partition *partition;
    struct channel_registry *registry;
    struct conf *conf;
    struct jobctl_sched *sched;
    struct jobctl_lane lanes[LOOP_WORKERS_MAX];
    unsigned lane_count;
    struct jobctl_job jobs[JOBCTL_JOBS_MAX];
    struct jobctl_chan channels[JOBCTL_CHANNELS_MAX];
    unsigned channel_count;
    struct queue_stop *stops; /* as the start found them */
    size_t stop_count;
    char pools[JOBCTL_POOLS_MAX][CHANNEL_NAME_MAX + 1]; /* names the scheduler knows */
    unsigned pool_count;
    struct loop_timer timer;
    struct loop_hook hook;
    struct jobctl_scan scan;
    struct map unknown; /* channels of entries that are not configured, since the last reload: for the log */
    uint64_t in_work;
    bool draining;
    void (*on_idle)(void *owner);
    void *idle_owner;
};

void jobctl__step_soon(struct jobctl *j);
/* -- jobctl_stop.c */
MS_MUST_USE enum ms_err jobctl__stops_read(struct jobctl *j);
void jobctl__stop_init(struct jobctl *j,
                       struct jobctl_chan *chan); /* a new row: was it stopped before the start? */
void jobctl__stop_warn(const struct jobctl_chan *chan);
void jobctl__stop_apply(struct jobctl_chan *chan); /* to the scheduler; not configured counts as stopped */
void jobctl__stop_fini(struct jobctl *j);
void jobctl__lane_init(struct jobctl_lane *lane);
void jobctl__lane_fini(struct jobctl_lane *lane); /* its loop is stopped */
void jobctl__id_pack(const struct queue_id *id, uint64_t a[2]);
struct queue_id jobctl__id_unpack(const uint64_t a[2]);

/* jobctl_scan.c */
struct jobctl_chan *jobctl__chan_find(struct jobctl *j, struct slice name); /* a configured one, or NULL */
/* What the queue says of an entry; earliest_us: not before, whatever that is; is_first: the operator wants it now.
 * MS_ENOTFOUND: nothing to do for it. */
enum ms_err jobctl__put(struct jobctl *j, const struct queue_entry *entry, uint64_t earliest_us,
                        bool is_first);
void jobctl__scan_init(struct jobctl *j);
void jobctl__scan_fini(struct jobctl *j);
/* All of the queue is to be read, again from the beginning; why: a constant, for the log. */
void jobctl__scan(struct jobctl *j, const char *why);
void jobctl__scan_step(struct jobctl *j);

/* jobctl_outbox.c */
void jobctl__outbox_init(struct jobctl_outbox *o, struct bus_ep *from, struct bus_ep *to);
void jobctl__send(struct jobctl_outbox *o, struct bus_msg *msg);
void jobctl__outbox_fini(struct jobctl_outbox *o);

#endif
