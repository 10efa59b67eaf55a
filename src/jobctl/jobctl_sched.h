/*
 * jobctl_sched.h - the scheduler's own: entries, hosts, channels, pools, jobs.
 *
 *   entry   delayed -> ready -> assigned -> delayed ... ; taken by the operator
 *           ready ones are in a list of their host (by class; in order of arrival) or, when they come out of order
 *           (a retry keeps its arrival), in the host's heap `late`
 *   host    of one channel; in its channel's heap `open` when it has ready entries and may have a further thread,
 *           in `full` when it has ready entries and may not
 *   job     free -> opening -> open -> (retiring) -> closing -> free
 */
#ifndef JOBCTL_SCHED_H
#define JOBCTL_SCHED_H

#include "ms/base/heap.h"
#include "ms/base/list.h"
#include "ms/base/map.h"
#include "ms/jobctl/sched.h"

#define SCHED_RANKS (QUEUE_CLASS_COUNT + 1) /* 0: the operator wants it now; then the classes */
#define JOBCTL__CHUNK_ENTRIES 512 /* entries are allocated so many at a time */

enum entry_state { ENTRY_NONE, ENTRY_DELAYED, ENTRY_READY, ENTRY_ASSIGNED, ENTRY_TAKEN };

struct sched_entry {
    union {
        struct heap_node heap; /* DELAYED; READY and not in_list */
        struct list list;      /* READY and in_list */
    } place;
    struct heap_node defer; /* of its channel, while is_waiting */
    struct sched_entry *chain;
    struct queue_id id;
    uint64_t arrival_us, due_us;
    struct sched_host *host; /* NULL: taken, and nothing is known of it */
    uint32_t recipients;
    union {
        uint32_t job;  /* ASSIGNED */
        uint32_t rank; /* DELAYED, READY: its place in the scheduler's rank, when it is there */
    };
    uint8_t class_, state;
    bool in_list, is_waiting, is_first, is_retry;
    bool is_dropped; /* finished or held while assigned or taken: goes when that ends */
    uint8_t round;   /* the one it was last put in */
};

/* Entries by id: chained, grown a few buckets at a time, so that no event pays for all of it. */
struct sched_table {
    struct sched_entry **buckets, **old;
    size_t size, old_size, moved; /* powers of two; buckets of old moved so far */
    size_t count;
};

struct sched_host {
    struct sched_channel *channel;
    struct heap_node node; /* in channel->open or ->full, or in none */
    bool is_open;          /* which of them */
    uint64_t full_ready, full_waiting; /* what it adds to its channel's */
    struct list ready[SCHED_RANKS];
    struct heap late;
    uint64_t ready_count, assigned;
    uint64_t waiting;       /* of ready_count: deferred, no job has been asked for them */
    uint64_t entries;       /* in any state */
    uint64_t threads_asked; /* what this host adds to its channel's */
    size_t name_len;
    char name[];
};

/* All entries that no job has, the worst first, while the table is nearly full. */
struct sched_rank {
    struct sched_entry **nodes;
    size_t count, cap;
    size_t looked; /* entries taken over so far */
    bool is_on;
};

struct sched_age { /* entries that arrived in one minute */
    struct heap_node node; /* key: the minute */
    uint64_t count, least_us;
};

enum job_state { JOB_FREE, JOB_OPENING, JOB_OPEN, JOB_CLOSING };

struct sched_job {
    enum job_state state;
    bool is_retiring; /* takes no more work */
    uint32_t channel, next_free;
    uint64_t in_work, entries, born_us, idle_since_us;
    struct heap_node free; /* open, with a free thread: in its channel's jobs_free */
    struct heap_node idle; /* open, without work: in the scheduler's idle, by the end of its lingering */
    struct heap_node life; /* in the scheduler's lives, when its age is limited */
};

struct sched_pool {
    char name[JOBCTL_NAME_MAX + 1];
    uint64_t limit;
    uint64_t running; /* opening to closing */
};

struct sched_channel {
    char name[JOBCTL_NAME_MAX + 1];
    uint32_t index;
    struct sched_pool *pool;
    struct jobctl_limits limits;
    bool is_stopped, has_overflowed;
    struct map hosts;
    uint64_t host_bytes; /* memory of hosts: counted, since there may be very many */
    struct heap open, full;
    struct heap delayed, deferred;
    struct heap jobs_free;
    struct map ages;        /* minute of arrival -> struct sched_age */
    struct heap by_age;     /* the same */
    struct sched_age *age;  /* the one last asked for */
    uint64_t ready, waiting, assigned, taken;
    uint64_t full_ready, full_waiting; /* of ready and waiting: entries of hosts in full */
    uint64_t recipients;    /* of entries ready and asked for, or assigned */
    uint64_t threads_asked; /* of all hosts, waiting entries left out */
    uint32_t jobs;          /* opening and open ones that take work */
    uint32_t leaving;       /* retiring and closing */
    struct heap_node time;  /* in the scheduler's times */
    struct list busy;       /* in the scheduler's busy: something may be assigned */
};

struct jobctl_sched {
    struct sched_pool pools[JOBCTL_POOLS_MAX];
    unsigned pool_count;
    struct sched_channel channels[JOBCTL_CHANNELS_MAX];
    unsigned channel_count;
    struct sched_job jobs[JOBCTL_JOBS_MAX];
    uint32_t jobs_used, free_job; /* slots below jobs_used were used; chain of free ones */
    struct heap idle, lives;      /* jobs */
    struct heap times;            /* channels by their next due time or end of a deferral */
    struct list busy;             /* channels */
    bool look_for_open;           /* something changed that may want or allow a job */
    struct sched_table table;
    struct sched_rank rank;
    uint64_t max_entries;
    bool has_overflowed;
    bool has_put_out;
    struct queue_id put_out; /* by the last put, when has_put_out */
    bool is_regrouped; /* a channel's entries are in other hosts' queues than its limits say */
    struct sched_entry *spare; /* chain of unused ones */
    void **chunks;
    size_t chunk_count;
    uint8_t round; /* jobctl_sched_round */
    size_t swept;  /* entries looked at since */
};

/* jobctl_sched_table.c: memory of entries and where they are found */
struct sched_entry *jobctl__entry_find(const struct jobctl_sched *s, const struct queue_id *id); /* or NULL */
struct sched_entry *jobctl__entry_new(struct jobctl_sched *s, const struct queue_id *id);
void jobctl__entry_delete(struct jobctl_sched *s, struct sched_entry *e);
struct sched_entry *jobctl__entry_at(const struct jobctl_sched *s, size_t n); /* the n-th, used or not; or NULL */
void jobctl__table_fini(struct jobctl_sched *s);

/* jobctl_sched_rank.c */
void jobctl__rank_add(struct jobctl_sched *s, struct sched_entry *e);
void jobctl__rank_remove(struct jobctl_sched *s, struct sched_entry *e);
void jobctl__rank_again(struct jobctl_sched *s, struct sched_entry *e); /* it became due */
/* What the order goes by, least first. waits: nobody may work on it now. */
uint64_t jobctl__rank_key(bool is_first, unsigned class_, bool waits, uint64_t arrival_us);
void jobctl__rank_step(struct jobctl_sched *s); /* before an entry is added */
/* The worst entry, when it is worse than one with this key and id; or NULL. */
struct sched_entry *jobctl__rank_worse_than(struct jobctl_sched *s, uint64_t key, const struct queue_id *id);
void jobctl__rank_fini(struct jobctl_sched *s);

/* jobctl_sched_entry.c */
/* Puts an entry that is nowhere where its times say. */
void jobctl__entry_place(struct jobctl_sched *s, struct sched_entry *e, uint64_t now_us);
void jobctl__entry_unplace(struct jobctl_sched *s, struct sched_entry *e);
/* A ready entry to a job; back from it (its host's counts follow). */
void jobctl__entry_assign(struct jobctl_sched *s, struct sched_entry *e, uint32_t job);
void jobctl__entry_unassign(struct jobctl_sched *s, struct sched_entry *e);
void jobctl__entry_free(struct jobctl_sched *s, struct sched_entry *e); /* one that is nowhere */
/* Due entries become ready, ended deferrals ask for jobs. */
void jobctl__entries_settle(struct jobctl_sched *s, uint64_t now_us);
void jobctl__channel_time(struct jobctl_sched *s, struct sched_channel *c);
/* The deferrals of waiting entries anew, after a change of limits. */
void jobctl__deferred_again(struct jobctl_sched *s, struct sched_channel *c, uint64_t now_us);

uint64_t jobctl__entry_due(const struct sched_entry *e); /* since when it may ask for a job */

/* jobctl_sched_age.c: arrivals of a channel's entries, by the minute */
void jobctl__age_add(struct sched_channel *c, uint64_t arrival_us);
void jobctl__age_remove(struct sched_channel *c, uint64_t arrival_us);
uint64_t jobctl__age_oldest(const struct sched_channel *c); /* UINT64_MAX: no entries */
uint64_t jobctl__age_bytes(const struct sched_channel *c);
void jobctl__age_fini(struct sched_channel *c);

/* jobctl_sched_host.c */
/* semantics 4.7: what the operator wants now, then effective priority, then enqueue time. Less is first. */
uint64_t jobctl__key(bool is_first, unsigned class_, uint64_t arrival_us);
uint64_t jobctl__entry_key(const struct sched_entry *e);
/* semantics 4.5: a job with one thread works through one backlog, whatever its entries are for. */
bool jobctl__has_hosts(const struct jobctl_limits *limits);
struct sched_host *jobctl__host_get(struct sched_channel *c, struct slice name); /* counts an entry */
void jobctl__host_put(struct sched_host *h);                                     /* one entry fewer; goes with the last */
void jobctl__host_add(struct sched_host *h, struct sched_entry *e);              /* a ready entry */
void jobctl__host_remove(struct sched_host *h, struct sched_entry *e);
struct sched_entry *jobctl__host_best(const struct sched_host *h); /* its first ready entry, or NULL */
/* Counts have changed: its share of its channel's numbers, and its heap. */
void jobctl__host_settle(struct sched_host *h);

/* jobctl_sched_job.c */
uint32_t jobctl__job_new(struct jobctl_sched *s, struct sched_channel *c, uint64_t now_us); /* JOBCTL_JOBS_MAX: none is free */
void jobctl__job_takes(struct jobctl_sched *s, uint32_t job);
void jobctl__job_gives(struct jobctl_sched *s, uint32_t job, uint64_t now_us);
/* After a change of limits. */
void jobctl__job_settle(struct jobctl_sched *s, uint32_t job);
/* Jobs whose age is reached take no more work. */
void jobctl__jobs_settle(struct jobctl_sched *s, uint64_t now_us);
/* An idle job that is to go now, or JOBCTL_JOBS_MAX. */
uint32_t jobctl__job_to_close(struct jobctl_sched *s, uint64_t now_us);
void jobctl__job_closing(struct jobctl_sched *s, uint32_t job);

/* jobctl_sched_want.c */
/* The formula of semantics 4.5, uncapped; 0 without work. The second: what it asks for whatever the threads. */
uint64_t jobctl__jobs_wanted(const struct sched_channel *c);
uint64_t jobctl__jobs_wanted_static(const struct sched_channel *c);
bool jobctl__may_open(const struct sched_channel *c);        /* maxjobs and job_limit */
bool jobctl__wants_job(const struct sched_channel *c);       /* wants one and may have it */
struct sched_channel *jobctl__next_to_open(struct jobctl_sched *s);

#endif
