/*
 * channel.h - what a channel is, and the contract of the drivers that deliver for one.
 * Layer 7 (channel).   Uses: base, obs, conf, loop, bus, queue.
 *
 * A driver is a const struct channel_driver; app registers it. A job is an instance of a driver on some loop: the job controller
 * opens it, gives it entries one by one, and hears how each ended. Results are durable (a queue op) before they are reported.
 *
 * Threads:  job_* on the job's loop.   Memory: entries travel as ids; the driver reads the queue itself.
 */
#ifndef MS_CHANNEL_H
#define MS_CHANNEL_H

#include "ms/conf.h"
#include "ms/queue.h"

#define CHANNEL_NAME_MAX    32
#define CHANNEL_BACKOFF_MAX 16 /* waits in one list */
#define CHANNEL_NOTICES_MAX 5

struct channel_conf { /* "channels.*", defaults from "channels.defaults" */
    const char *driver;
    const char *pool;
    uint64_t maxjobs;
    int64_t filesperjob; /* <= 0: one job (semantics 4.4) */
    uint64_t threaddepth;
    uint64_t max_client_threads; /* entries one job works on at a time */
    int64_t addrsperjob; /* <= 0: not looked at */
    uint64_t minjobs;     /* kept running */
    uint64_t idle_ms;     /* a job without work lingers so long */
    uint64_t life_ms, life_entries; /* 0 = no limit */
    bool single;           /* an entry for each recipient */
    bool single_sys;       /* an entry for each destination: the domains of local recipients count as such */
    uint64_t addrsperfile; /* recipients of one entry; 0 = as many as there may be */
    /* Ceilings of the class by size (semantics 3.3), octets; 0 = not given. */
    uint64_t urgent_bytes, normal_bytes, nonurgent_bytes;
    /* Deferral of job creation (semantics 5); which holds for a class: channel_after_make. */
    struct conf_after after, urgentafter, normalafter, nonurgentafter, secondclassafter, thirdclassafter;
    /* Empty when not given: channel_times_make has the rules. */
    struct conf_numlist backoff, urgentbackoff, normalbackoff, nonurgentbackoff; /* ms */
    struct conf_strlist notices, urgentnotices, normalnotices, nonurgentnotices; /* ages: return units or durations */
};
struct channel_queue_conf { /* section "queue" */
    int return_units;          /* enum channel_units */
    uint64_t urgent_bytes, normal_bytes, nonurgent_bytes; /* ceilings of channels without their own */
    bool honor_x_priority, honor_precedence; /* fields that set the class when Priority does not */
    uint64_t report_bytes_max; /* of the original that a report carries */
};
enum channel_units { CHANNEL_DAYS, CHANNEL_HOURS };
extern const struct conf_table channel_defaults_table, channel_table, channel_queue_table;

enum channel_outcome {
    CHANNEL_DONE, /* nothing left to do for the entry now: it is gone, finished or held */
    CHANNEL_RETRY /* due_us is in the queue */
};

/* The controller's handle of a job on its loop; its own state is behind it. */
struct channel_job {
    void (*entry_done)(struct channel_job *handle, uint64_t ticket, enum channel_outcome outcome);
};

struct channel_driver {
    const char *name; /* "store" */
    bool by_host;     /* it works for one destination at a time: each has a queue and threads of its own (semantics 4.3, S1-S5) */
    void *(*job_open)(void *env, struct channel_job *handle, struct loop *loop, const char *channel,
                      const struct channel_conf *conf);
    /* Work on one entry; ends with channel_entry_done(handle, ticket, ..), possibly within the call. */
    void (*job_entry)(void *job, const struct queue_id *id, uint64_t ticket);
    void (*job_close)(void *job); /* no entry in work */
};
static inline void channel_entry_done(struct channel_job *handle, uint64_t ticket, enum channel_outcome outcome)
{
    handle->entry_done(handle, ticket, outcome);
}

/* The class of a message of so many octets: never a higher one than asked for. channel: NULL = one that is not configured. */
enum queue_class channel_class_of(const struct channel_conf *channel, const struct channel_queue_conf *queue, enum queue_class asked,
                                  uint64_t bytes);
/* Deferral of each class: the keywords in the order they were written, `after` being all of them (semantics 5, rule 3). */
void channel_after_make(const struct channel_conf *channel, struct conf_after out[QUEUE_CLASS_COUNT]);

/* Before a configuration is read: name of a driver that the program has. A program that declares none takes every name. */
void channel_driver_declare(const char *name);

struct channel_registry;
struct channel_registry *channel_registry_create(void);
void channel_registry_destroy(struct channel_registry **r);
void channel_register(struct channel_registry *r, const struct channel_driver *driver, void *env);
const struct channel_driver *channel_driver_find(const struct channel_registry *r, const char *name, void **env_out);

/* When a channel tries again, tells the sender and gives up (semantics 6): a list for each class, worked out once. */
struct channel_list {
    uint64_t us[CHANNEL_BACKOFF_MAX];
    unsigned count;
};
struct channel_times {
    struct channel_list backoff[QUEUE_CLASS_COUNT];
    struct channel_list notices[QUEUE_CLASS_COUNT];
};
/* local: the channel of local recipients, whose notices stand for those a channel does not have; NULL = none. */
void channel_times_make(const struct channel_conf *channel, const struct channel_conf *local,
                        const struct channel_queue_conf *queue, struct channel_times *out);
/* Wait after the attempt that makes `attempts` failures (from 1). The last value of the list repeats. */
uint64_t channel_backoff_us(const struct channel_times *t, enum queue_class class_, uint32_t attempts);
/* Age at which the k-th delay notice (from 0) is sent; UINT64_MAX: there is none. The last value is no notice: */
uint64_t channel_notice_us(const struct channel_times *t, enum queue_class class_, unsigned k);
/* it is the age at which the message goes back. */
uint64_t channel_return_us(const struct channel_times *t, enum queue_class class_);
/* Delay notices that an entry of this age has reached; notices: those before. */
unsigned channel_notices_reached(const struct channel_times *t, enum queue_class class_, unsigned notices, uint64_t age_us);
/* The attempt after one that ended at now_us and made `attempts` failures: never later than the next notice or the return, since the
 * attempt there decides what the sender is told. */
uint64_t channel_due_us(const struct channel_times *t, enum queue_class class_, uint64_t arrival_us, uint32_t attempts, unsigned notices,
                        uint64_t now_us);
#endif
