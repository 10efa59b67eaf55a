/*
 * jobctl_loop.c - the half of the job controller that lives on a worker loop: opens jobs, gives them entries,
 * reports.
 */
#include "jobctl_priv.h"

struct jobctl_ticket {
    uint32_t job;
    uint64_t entry[2];
};

void jobctl__id_pack(const struct queue_id *id, uint64_t a[2])
{
    a[0] = ms_get_be64(id->b);
    a[1] = ms_get_be64(id->b + 8);
}

struct queue_id jobctl__id_unpack(const uint64_t a[2])
{
    struct queue_id id;
    ms_put_be64(id.b, a[0]);
    ms_put_be64(id.b + 8, a[1]);
    return id;
}

static void on_entry_done(struct channel_job *handle, uint64_t ticket_id, enum channel_outcome outcome)
{
    struct jobctl_job *job = MS_CONTAINER_OF(handle, struct jobctl_job, handle);
    struct jobctl_lane *lane = job->lane;
    struct jobctl_ticket *ticket = idtab_remove(&lane->tickets, ticket_id);
    MS_ASSERT(ticket); /* exactly once per entry */
    struct bus_msg msg = {.kind = JOBCTL_MSG_DONE,
                          .a = {ticket->job, ticket->entry[0], ticket->entry[1], outcome}};
    ms_free(ticket);
    jobctl__send(&lane->back, &msg);
}

/* The control thread has heard of an end; what matters is the slot that came back with it. */
static void on_heard(void *owner, const struct bus_msg *msg)
{
}

static void answer(struct jobctl_lane *lane, const struct bus_msg *msg)
{
    struct bus_msg reply = {
        .kind = JOBCTL_MSG_REPLY, .id = msg->id, .a = {msg->a[0], msg->a[1], msg->a[2], 0, msg->kind}};
    bus_reply(lane->ep, lane->ep, msg->from, &reply);
}

static void on_open(void *owner, const struct bus_msg *msg)
{
    struct jobctl_lane *lane = owner;
    struct jobctl_job *job = &lane->jobctl->jobs[msg->a[0]];
    job->handle.entry_done = on_entry_done;
    job->impl = job->driver->job_open(job->env, &job->handle, lane->loop, job->channel, job->conf);
    answer(lane, msg);
}

static void on_assign(void *owner, const struct bus_msg *msg)
{
    struct jobctl_lane *lane = owner;
    struct jobctl_job *job = &lane->jobctl->jobs[msg->a[0]];
    struct jobctl_ticket *ticket = ms_new(struct jobctl_ticket);
    *ticket = (struct jobctl_ticket){.job = (uint32_t)msg->a[0], .entry = {msg->a[1], msg->a[2]}};
    struct queue_id id = jobctl__id_unpack(ticket->entry);
    uint64_t ticket_id = idtab_add(&lane->tickets, ticket);
    MS_ASSERT(ticket_id); /* as many as the jobs have threads */
    answer(lane, msg);
    job->driver->job_entry(job->impl, &id, ticket_id);
}

static void on_close(void *owner, const struct bus_msg *msg)
{
    struct jobctl_lane *lane = owner;
    struct jobctl_job *job = &lane->jobctl->jobs[msg->a[0]];
    job->driver->job_close(job->impl);
    job->impl = NULL;
    answer(lane, msg);
}

void jobctl__lane_init(struct jobctl_lane *lane)
{
    idtab_init(&lane->tickets, 0); /* the threads of its jobs bound it */
    jobctl__outbox_init(&lane->back, lane->ep, lane->jobctl->ep);
    bus_on(lane->ep, JOBCTL_MSG_OPEN, on_open, lane);
    bus_on(lane->ep, JOBCTL_MSG_ASSIGN, on_assign, lane);
    bus_on(lane->ep, JOBCTL_MSG_CLOSE, on_close, lane);
    bus_on(lane->ep, JOBCTL_MSG_REPLY, on_heard, lane);
}

void jobctl__lane_fini(struct jobctl_lane *lane)
{
    uint32_t cursor = 0;
    uint64_t id;
    void *ticket;
    while (idtab_next(&lane->tickets, &cursor, &id, &ticket))
        ms_free(ticket);
    idtab_fini(&lane->tickets);
    jobctl__outbox_fini(&lane->back);
}
