/*
 * running_driver.h - a driver (by host or not) that does as the test's script says: how long an entry is in work, how often
 * it fails, when it is tried again. Results are ops of the queue, as those of a real driver.
 */
#ifndef RUNNING_DRIVER_H
#define RUNNING_DRIVER_H

#include <stdatomic.h>
#include <time.h>

#include "ms/base/clock.h"
#include "ms/channel.h"

#define SCRIPT_ENTRIES 60000

struct script_entry {
    unsigned failures;   /* attempts that fail, before the first of them */
    bool is_passed_over; /* the first one finds it held: there is nothing to do, and that is said */
    atomic_uint given;   /* to a job */
    atomic_uint delivered;
    atomic_uint in_work;
    atomic_ullong due_us; /* what a failure said */
};
struct script {
    struct partition *partition;
    atomic_bool is_holding; /* channels "slow..." end nothing */
    atomic_bool is_stuck;   /* channel "stuck" keeps its loop from going on */
    uint64_t retry_us;      /* a failed one is due so much later */
    atomic_uint given, ended, wrong, jobs;
    struct script_entry entries[SCRIPT_ENTRIES + 1];
};

struct script_job {
    struct channel_job *handle;
    struct loop *loop;
    struct script *script;
    struct part_client *client;
    bool is_slow, is_stuck;
    struct list works;
    struct loop_timer timer; /* looks whether the hold is over */
};

struct script_work {
    struct list node;
    struct script_job *job;
    struct queue_id id;
    uint64_t ticket, request;
    enum channel_outcome outcome;
    struct part_rec rec;
    struct bus_waiter waiter;
    bool is_ending;
};

static inline struct queue_id script_id(uint64_t n)
{
    struct queue_id id = {{0}};
    ms_put_be64(id.b, 1);
    ms_put_be64(id.b + 8, n);
    return id;
}

static inline struct script_entry *script_entry(struct script_work *w)
{
    return &w->job->script->entries[ms_get_be64(w->id.b + 8)];
}

static inline void work_free(struct script_work *w)
{
    list_remove(&w->node);
    part_rec_fini(&w->rec);
    ms_free(w);
}

static inline void work_say(struct script_work *w)
{
    struct script_job *job = w->job;
    uint64_t ticket = w->ticket;
    enum channel_outcome outcome = w->outcome;
    script_entry(w)->in_work--;
    work_free(w);
    channel_entry_done(job->handle, ticket, outcome);
    job->script->ended++;
}

static inline void on_result(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct script_work *w = owner;
    if (reply->err)
        w->job->script->wrong++;
    work_say(w);
}

static inline void work_post(void *owner)
{
    struct script_work *w = owner;
    enum ms_err err = part_post(w->job->client, &w->rec, on_result, w, &w->request);
    if (err == MS_EFULL)
        part_wait_room(w->job->client, &w->waiter);
    else if (err)
        w->job->script->wrong++;
    else if (w->outcome == CHANNEL_DONE)
        script_entry(w)->delivered++;
}

static inline void work_end(struct script_work *w)
{
    struct script_entry *e = script_entry(w);
    uint64_t now_us = clock_wall_us();
    bool fails = e->given <= e->failures;
    struct queue_attempt attempt = {
        .due_us = fails ? now_us + w->job->script->retry_us : 0, .tried_us = now_us, .count = fails};
    struct queue_outcome outcome = {.state = fails ? QUEUE_RCPT_PENDING : QUEUE_RCPT_DONE};
    w->is_ending = true;
    w->outcome = fails ? CHANNEL_RETRY : CHANNEL_DONE;
    if (e->is_passed_over && e->given == 1) {
        w->outcome = CHANNEL_DONE;
        work_say(w);
        return;
    }
    e->due_us = attempt.due_us;
    queue_op_result(&w->rec, &w->id, &attempt, &outcome, 1);
    work_post(w);
}

static inline void on_look(struct loop_timer *timer)
{
    struct script_job *job = MS_CONTAINER_OF(timer, struct script_job, timer);
    if (job->script->is_holding) {
        loop_timer_start(job->loop, timer, 1, on_look);
        return;
    }
    LIST_FOREACH_SAFE(&job->works, it)
    {
        struct script_work *w = LIST_ENTRY(it, struct script_work, node);
        if (!w->is_ending)
            work_end(w);
    }
}

static inline void script_job_entry(void *owner, const struct queue_id *id, uint64_t ticket)
{
    struct script_job *job = owner;
    struct script_work *w = ms_new(struct script_work);
    *w = (struct script_work){
        .job = job, .id = *id, .ticket = ticket, .waiter = {.fn = work_post, .owner = w}};
    list_push_back(&job->works, &w->node);
    part_rec_init(&w->rec);
    struct script_entry *e = script_entry(w);
    if (e->in_work++ || e->delivered || clock_wall_us() < e->due_us) /* two jobs at once, again, too early */
        job->script->wrong++;
    e->given++;
    job->script->given++;
    while (job->is_stuck && job->script->is_stuck)
        nanosleep(&(const struct timespec){.tv_nsec = 1000000}, NULL);
    if (!job->is_slow)
        work_end(w);
    else if (!loop_timer_is_running(&job->timer))
        loop_timer_start(job->loop, &job->timer, 1, on_look);
}

static inline void *script_job_open(void *env, struct channel_job *handle, struct loop *loop,
                                    const char *channel, const struct channel_conf *conf)
{
    struct script_job *job = ms_new(struct script_job);
    job->script = env;
    job->handle = handle;
    job->loop = loop;
    job->client = part_client_of(job->script->partition, loop);
    job->is_slow = strncmp(channel, "slow", 4) == 0;
    job->is_stuck = strcmp(channel, "stuck") == 0;
    job->script->jobs++;
    list_init(&job->works);
    return job;
}

static inline void script_job_close(void *owner)
{
    struct script_job *job = owner;
    loop_timer_stop(job->loop, &job->timer);
    LIST_FOREACH_SAFE(&job->works, it)
    {
        struct script_work *w = LIST_ENTRY(it, struct script_work, node);
        bus_waiter_cancel(&w->waiter);
        if (w->request)
            part_forget(job->client, w->request);
        script_entry(w)->in_work--;
        work_free(w);
    }
    ms_free(job);
}

/* Under the name of the one that every configuration may have. */
static const struct channel_driver script_driver = {.name = "store",
                                                    .job_open = script_job_open,
                                                    .job_entry = script_job_entry,
                                                    .job_close = script_job_close};
static const struct channel_driver script_host_driver = {.name = "store",
                                                         .by_host = true,
                                                         .job_open = script_job_open,
                                                         .job_entry = script_job_entry,
                                                         .job_close = script_job_close};

#endif
