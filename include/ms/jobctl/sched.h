/*
 * sched.h - the pure scheduler: which entry is delivered when, by which job. Events in, decisions out.
 * Part of jobctl (layer 8).   Uses: base, queue (types).
 *
 * semantics 3-5: pools with job_limit; channels with maxjobs, filesperjob, addrsperjob, threaddepth, max_client_threads; a queue per
 * destination host; deferral of job creation by class (*after); order by class, then arrival; linger, life limits and a least
 * number of jobs; channels that are stopped; a bounded subset of a larger queue.
 *
 *   jobctl_sched_put(...)                    an entry is new or changed
 *   while ((d = jobctl_sched_next(s, now)).act != JOBCTL_ACT_WAIT)
 *       carry it out                         later: _job_opened, _done, _job_closed
 *
 * Time:     microseconds of the wall clock, always an argument. Nothing here has a clock, does I/O or calls back.
 * Threads:  the owner's.   Memory: about 150 octets an entry, JOBCTL_JOBS_MAX jobs, hosts while they have entries.
 * Cost:     O(log n) an event; two of three entries that arrive in order cost no heap at all.
 */
#ifndef MS_JOBCTL_SCHED_H
#define MS_JOBCTL_SCHED_H

#include "ms/queue.h"

#define JOBCTL_JOBS_MAX     1024 /* running at once, all channels */
#define JOBCTL_POOLS_MAX    64
#define JOBCTL_CHANNELS_MAX 256
#define JOBCTL_NAME_MAX     64

struct jobctl_after { /* semantics 5: rules 1, 4 */
    bool absolute; /* us is an instant; else a wait from the arrival */
    uint64_t us;   /* 0 = no deferral */
};
struct jobctl_limits { /* of one channel */
    uint64_t maxjobs;            /* >= 1 */
    uint64_t filesperjob;        /* 0 = unset */
    uint64_t addrsperjob;        /* 0 = unset */
    uint64_t threaddepth;        /* >= 1 */
    uint64_t max_client_threads; /* >= 1: entries one job works on at a time */
    bool by_host;                /* destination hosts have queues and threads of their own (S1-S5); else, and when a job has one thread
                                  * only, there is one for all (G1-G3) */
    uint64_t minjobs;            /* kept running even without work */
    uint64_t idle_us;            /* a job without work lingers so long */
    uint64_t life_us;            /* age at which a job takes no more work; 0 = none */
    uint64_t life_entries;       /* the same, after so many entries; 0 = none */
    struct jobctl_after after[QUEUE_CLASS_COUNT];
};

struct jobctl_entry { /* what the queue says of one entry */
    struct queue_id id;
    uint64_t arrival_us, due_us; /* due_us: not before; 0 = at once */
    enum queue_class class_;     /* after the ceilings by size */
    uint32_t recipients;         /* still to do */
    bool held;
    bool is_retry;               /* it was tried before: no deferral (rule 8) */
    bool is_first;               /* the operator wants it now: as jobctl_sched_run, also when there is no room but for the best */
    struct slice host;           /* looked at by channels with by_host; copied */
};

enum jobctl_act { JOBCTL_ACT_NONE, JOBCTL_ACT_OPEN_JOB, JOBCTL_ACT_ASSIGN, JOBCTL_ACT_CLOSE_JOB, JOBCTL_ACT_WAIT };
struct jobctl_decision {
    enum jobctl_act act;
    uint32_t channel;       /* index as added */
    uint32_t job;
    struct queue_id id;     /* ASSIGN */
    uint64_t wake_us;       /* WAIT: nothing to do before this time (UINT64_MAX: before the next event) */
};

struct jobctl_sched;
/* max_entries: tracked at once (semantics 4.6); of a larger queue the best: by class; whether they may be worked on now (due, their
 * channel not stopped); arrival; id. What is in work, taken, or wanted now by the operator counts and stays. */
struct jobctl_sched *jobctl_sched_create(uint64_t max_entries);
void jobctl_sched_destroy(struct jobctl_sched **s);
/* From now on; what is tracked already stays. */
void jobctl_sched_set_max(struct jobctl_sched *s, uint64_t max_entries);

/* -- settings, also while it runs. A name that is there is changed. A smaller limit ends no job: they leave as their work does. */
void jobctl_sched_set_pool(struct jobctl_sched *s, const char *name, uint64_t job_limit);
/* MS_ENOTFOUND: unknown pool. MS_ELIMIT: too many. */
MS_MUST_USE enum ms_err jobctl_sched_set_channel(struct jobctl_sched *s, const char *name, const char *pool,
                                                 const struct jobctl_limits *limits, uint64_t now_us, uint32_t *index_out);
/* A stopped channel starts no jobs and assigns nothing; entries come in and wait. */
void jobctl_sched_stop_channel(struct jobctl_sched *s, uint32_t channel, bool stop);

/* -- events of the queue */
/* New or changed entry (a held one is dropped). MS_ELIMIT: not tracked, there are max_entries better ones: jobctl_sched_overflowed tells
 * when to look again. */
MS_MUST_USE enum ms_err jobctl_sched_put(struct jobctl_sched *s, uint32_t channel, const struct jobctl_entry *e, uint64_t now_us);
/* Which entry the last put took the place of; false: none. */
bool jobctl_sched_put_out(const struct jobctl_sched *s, struct queue_id *id_out);
void jobctl_sched_gone(struct jobctl_sched *s, const struct queue_id *id);

/* All of the queue is about to be put, after changes that were not told. Behind its end jobctl_sched_sweep forgets what was not put
 * since: so many entries a call are looked at; true: there are more. */
void jobctl_sched_round(struct jobctl_sched *s);
bool jobctl_sched_sweep(struct jobctl_sched *s, size_t most);

/* -- events of jobs */
void jobctl_sched_job_opened(struct jobctl_sched *s, uint32_t job, uint64_t now_us);
/* The entry's work ended: gone, or (retry) to wait for due_us. */
void jobctl_sched_done(struct jobctl_sched *s, uint32_t job, const struct queue_id *id, bool retry, uint64_t due_us, uint64_t now_us);
void jobctl_sched_job_closed(struct jobctl_sched *s, uint32_t job);

/* -- the operator */
/* Reserves an entry for somebody else than a job, whether it is tracked or not (a held one is not): until given back no job
 * gets it. MS_EBUSY: a job has it, or it is reserved already. */
MS_MUST_USE enum ms_err jobctl_sched_take(struct jobctl_sched *s, const struct queue_id *id);
void jobctl_sched_give_back(struct jobctl_sched *s, const struct queue_id *id, uint64_t now_us);
/* Due now, once, ahead of all others, deferral or not. MS_ENOTFOUND: not tracked; MS_EBUSY: in work or reserved. */
MS_MUST_USE enum ms_err jobctl_sched_run(struct jobctl_sched *s, const struct queue_id *id, uint64_t now_us);

/* -- decisions: one a call, until WAIT */
struct jobctl_decision jobctl_sched_next(struct jobctl_sched *s, uint64_t now_us);

/* -- questions */
uint64_t jobctl_sched_count(const struct jobctl_sched *s);
uint64_t jobctl_sched_bytes(const struct jobctl_sched *s); /* memory of entries, their table and heaps */
/* Once true when the queue is to be read anew: entries were not tracked for lack of room and a quarter of the room is free again; or
 * a channel's limits group its entries by host now, or no longer, which each does when it is put again. */
bool jobctl_sched_overflowed(struct jobctl_sched *s);
bool jobctl_sched_is_partial(const struct jobctl_sched *s); /* entries were not tracked for lack of room, and were not read again since */
bool jobctl_sched_is_assigned(const struct jobctl_sched *s, const struct queue_id *id);

enum jobctl_why { /* why an entry is not in work */
    JOBCTL_WHY_UNKNOWN,       /* not tracked: held, gone, or behind max_entries */
    JOBCTL_WHY_IN_WORK,
    JOBCTL_WHY_TAKEN,         /* by the operator */
    JOBCTL_WHY_DUE,           /* until until_us: after a failure, or the sender's wish */
    JOBCTL_WHY_STOPPED,       /* its channel */
    JOBCTL_WHY_DEFERRED,      /* *after, until until_us unless a job comes for others */
    JOBCTL_WHY_CHANNEL_LIMIT, /* maxjobs: without it there would be a further job */
    JOBCTL_WHY_POOL_LIMIT,    /* job_limit: the same */
    JOBCTL_WHY_HOST_THREADS,  /* its host has the threads that threaddepth gives it */
    JOBCTL_WHY_OTHERS_FIRST,  /* every thread works; it has its turn */
    JOBCTL_WHY_NEXT,          /* the next decision takes it */
    JOBCTL_WHY_COUNT
};
struct jobctl_reason {
    enum jobctl_why why;
    uint64_t until_us;
    uint32_t channel, job; /* job: IN_WORK */
    uint64_t ahead;        /* OTHERS_FIRST, HOST_THREADS: entries of its host that are ready */
};
void jobctl_sched_explain(const struct jobctl_sched *s, const struct queue_id *id, uint64_t now_us, struct jobctl_reason *out);

struct jobctl_channel_view {
    const char *name, *pool;
    struct jobctl_limits limits;
    bool stopped, overflow;
    uint64_t ready, waiting /* of ready: deferred */, delayed, assigned, hosts;
    uint32_t jobs, retiring;
    uint64_t next_us; /* next due time or end of a deferral; UINT64_MAX = none */
    /* Arrival of the oldest entry, whatever its state: never later, and earlier by less than a minute, when one that came in the same
     * minute has gone. UINT64_MAX = none. */
    uint64_t oldest_us;
    /* Its entries by what keeps them from being in work, as jobctl_sched_explain says (at the time of the last decision);
     * together all of it that are tracked. */
    uint64_t by_why[JOBCTL_WHY_COUNT];
};
bool jobctl_sched_channel_view(const struct jobctl_sched *s, uint32_t channel, struct jobctl_channel_view *out);
struct jobctl_job_view {
    uint32_t channel;
    const char *state; /* "opening", "busy", "idle", "retiring", "closing" */
    uint64_t in_work, entries /* in its life */, born_us, idle_since_us;
};
bool jobctl_sched_job_view(const struct jobctl_sched *s, uint32_t job, struct jobctl_job_view *out); /* false: no such job */
struct jobctl_pool_view {
    const char *name;
    uint64_t limit, running;
};
bool jobctl_sched_pool_view(const struct jobctl_sched *s, unsigned pool, struct jobctl_pool_view *out);
uint32_t jobctl_sched_jobs(const struct jobctl_sched *s, uint32_t channel);

#endif
