/* jobctl_check.h - a scheduler driven by hand: settings, entries, decisions carried out. */
#ifndef TEST_JOBCTL_CHECK_H
#define TEST_JOBCTL_CHECK_H

#include <stdlib.h>

#include "ms/jobctl/sched.h"

#define SECOND_US 1000000ull
#define UNSET     1000000ull /* a threaddepth that is never passed */

/* Runs of random events: more when JOBCTL_ROUNDS says so. */
static inline unsigned rounds(unsigned usual)
{
    const char *env = getenv("JOBCTL_ROUNDS");
    return env ? (unsigned)strtoul(env, NULL, 10) : usual;
}

/* The run that a failure ends: a teardown tells it. */
static unsigned seed_now;
static inline int seed_tell(void **state)
{
    if (seed_now)
        print_error("# failed with seed %u\n", seed_now);
    return 0;
}

static inline struct jobctl_limits channel(uint64_t maxjobs, uint64_t filesperjob, uint64_t threaddepth,
                                           uint64_t threads)
{
    return (struct jobctl_limits){.maxjobs = maxjobs,
                                  .filesperjob = filesperjob,
                                  .threaddepth = threaddepth,
                                  .max_client_threads = threads,
                                  .idle_us = 60 * SECOND_US};
}

static inline struct queue_id id_of(uint64_t n)
{
    struct queue_id id = {{0}};
    ms_put_be64(id.b + 8, n);
    return id;
}

static inline void put(struct jobctl_sched *s, uint32_t chan, uint64_t n, enum queue_class class_,
                       uint64_t arrival, uint64_t due)
{
    struct jobctl_entry e = {
        .id = id_of(n), .arrival_us = arrival, .due_us = due, .class_ = class_, .recipients = 1};
    assert_int_equal(jobctl_sched_put(s, chan, &e, 0), MS_OK);
}

/* Carries out decisions; assignments are counted, not ended. Returns the jobs opened. */
static inline unsigned settle(struct jobctl_sched *s, uint64_t now, unsigned *assigned_out)
{
    unsigned opened = 0;
    for (;;) {
        struct jobctl_decision d = jobctl_sched_next(s, now);
        if (d.act == JOBCTL_ACT_WAIT)
            return opened;
        if (d.act == JOBCTL_ACT_OPEN_JOB) {
            opened++;
            jobctl_sched_job_opened(s, d.job, now);
        } else if (d.act == JOBCTL_ACT_CLOSE_JOB) {
            jobctl_sched_job_closed(s, d.job);
        } else if (assigned_out) {
            ++*assigned_out;
        }
    }
}

static inline uint32_t add(struct jobctl_sched *s, const char *name, const char *pool,
                           const struct jobctl_limits *limits)
{
    uint32_t index;
    assert_int_equal(jobctl_sched_set_channel(s, name, pool, limits, 0, &index), MS_OK);
    return index;
}

/* A job has the entry; its work ends. */
static inline void end(struct jobctl_sched *s, uint64_t n, uint64_t now)
{
    struct queue_id id = id_of(n);
    struct jobctl_reason why;
    jobctl_sched_explain(s, &id, now, &why);
    assert_int_equal(why.why, JOBCTL_WHY_IN_WORK);
    jobctl_sched_done(s, why.job, &id, false, 0, now);
}

#endif
