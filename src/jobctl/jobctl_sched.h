/*
 * jobctl_sched.h - the scheduler's own: entries in heaps, jobs, pools, channels.
 */
#ifndef JOBCTL_SCHED_H
#define JOBCTL_SCHED_H

#include "ms/base/heap.h"
#include "ms/base/map.h"
#include "ms/jobctl.h"

enum entry_state { ENTRY_DELAYED, ENTRY_READY, ENTRY_ASSIGNED, ENTRY_TAKEN };

struct sched_entry {
    struct heap_node node;
    struct jobctl_entry e;
    uint32_t channel;
    uint32_t job; /* ENTRY_ASSIGNED */
    enum entry_state state;
    bool dropped; /* finished or held while assigned or taken: goes when that ends */
    bool first;   /* the operator's wish: due now, ahead of all others, once */
};

enum job_state { JOB_FREE, JOB_OPENING, JOB_OPEN, JOB_CLOSING };

struct sched_job {
    enum job_state state;
    uint32_t channel;
    uint64_t in_work;
    uint64_t idle_since_us;
};

struct sched_pool {
    char name[CHANNEL_NAME_MAX + 1];
    uint64_t limit;
    uint64_t running;
};

struct sched_channel {
    char name[CHANNEL_NAME_MAX + 1];
    const struct channel_conf *conf;
    struct sched_pool *pool;
    struct heap ready, delayed;
    uint64_t assigned;
    uint64_t recipients; /* of ready and assigned entries */
    uint32_t jobs;       /* opening and open */
};

struct jobctl_sched {
    struct sched_pool pools[JOBCTL_POOLS_MAX];
    unsigned pool_count;
    struct sched_channel channels[JOBCTL_CHANNELS_MAX];
    unsigned channel_count;
    struct sched_job jobs[JOBCTL_JOBS_MAX];
    uint32_t jobs_used; /* slots below this were used */
    struct map entries;
    bool overflow;
};

struct sched_entry *jobctl__entry_find(struct jobctl_sched *s, const struct queue_id *id); /* or NULL */
/* Puts an entry that is in no heap where its times say. */
void jobctl__entry_place(struct jobctl_sched *s, struct sched_entry *e, uint64_t now_us);
void jobctl__entry_free(struct jobctl_sched *s, struct sched_entry *e); /* one that is in no heap */

#endif
