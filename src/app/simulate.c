/*
 * simulate.c - events in virtual time: messages arrive, attempts end, the scheduler wakes.
 */
#include "simulate_priv.h"

#include <stdio.h>

struct sim_dice sim__dice_for(const struct sim *s, size_t stream, enum sim_chance what, uint64_t message,
                              uint64_t detail)
{
    return sim_dice_make(s->seed, (uint64_t)stream << 48 | (uint64_t)what << 40 | detail, message);
}

/* -- arrivals */
void sim__stream_next(struct sim *s, struct sim_stream *st)
{
    const struct sim_load *l = &st->load;
    if (st->made == l->count) {
        st->made = 0;
        st->rounds++;
        st->gap_sum = 0;
    }
    if (st->rounds == l->repeat) {
        st->next_us = UINT64_MAX;
        return;
    }
    unsigned __int128 offset = (unsigned __int128)l->for_us * st->made / l->count;
    if (l->arrive == SIM_BY_CHANCE) {
        st->gap_sum += sim_dice_gap(&st->gaps);
        offset = (unsigned __int128)l->for_us * st->gap_sum / l->count / SIM_DICE_ONE;
    }
    uint64_t next_us = s->base_us + l->from_us + st->rounds * l->every_us + (uint64_t)offset;
    st->next_us = MS_MAX(next_us, st->next_us); /* by chance a round may reach into the next one */
}

/* false: there is no room for it. */
static bool tell(struct sim *s, const struct queue_id *id, const struct sim_entry *e)
{
    const struct sim_stream *st = &s->streams[e->load];
    struct queue_id other;
    char host[SIM_HOST_NAME_MAX + 32] = "";
    struct jobctl_entry told = {.id = *id,
                                .arrival_us = e->arrived_us,
                                .due_us = e->due_us,
                                .class_ = (enum queue_class)e->class_,
                                .recipients = e->recipients,
                                .is_retry = e->attempts > 0};
    if (st->load.host[0]) /* a name that is given has no blank */
        snprintf(host, sizeof host, "%s %u", st->load.host, e->host);
    else if (st->load.hosts)
        snprintf(host, sizeof host, " %u %u", e->load, e->host);
    told.host = slice_cstr(host);
    enum ms_err err = jobctl_sched_put(s->sched, (uint32_t)st->channel, &told, s->now_us);
    MS_ASSERT(!err || err == MS_ELIMIT);
    if (jobctl_sched_put_out(s->sched, &other)) /* it is better than those that had no room before */
        sim_line_add_first(&s->entries, &s->outside[sim_entries_get(&s->entries, &other)->class_], &other);
    return !err;
}

struct arrival { /* of one message */
    uint64_t message;
    enum queue_class class_;
    unsigned part;
};

static void entry_arrives(struct sim *s, size_t stream, struct arrival *a, uint64_t host, uint64_t recipients)
{
    struct sim_channel *c = &s->channels[s->streams[stream].channel];
    struct queue_id id;
    struct sim_entry *e = sim_entries_new(&s->entries, &id);
    e->message = a->message;
    e->arrived_us = s->now_us;
    e->host = (uint32_t)host;
    e->recipients = (uint32_t)recipients;
    e->load = (uint8_t)stream;
    e->class_ = (uint8_t)a->class_;
    e->part = (uint16_t)a->part++;
    c->classes[a->class_].arrived++;
    c->result.arrived++;
    if (++c->result.queued > c->result.queued_max) {
        c->result.queued_max = c->result.queued;
        c->result.queued_max_at_us = s->now_us - s->base_us;
    }
    if (!tell(s, &id, e))
        sim_line_add(&s->entries, &s->outside[e->class_], &id);
}

uint64_t sim__rcpts_per_entry(const struct channel_conf *conf)
{
    return conf->single ? 1 : conf->addrsperfile;
}

/* single, single_sys, addrsperfile: how many entries the message becomes. */
static void message_arrives(struct sim *s, size_t stream)
{
    struct sim_stream *st = &s->streams[stream];
    const struct sim_load *l = &st->load;
    const struct channel_conf *conf = s->channels[st->channel].conf;
    struct sim_dice dice = sim__dice_for(s, stream, CHANCE_MESSAGE, st->total, 0);
    uint64_t recipients = sim_dice_between(&dice, l->recipients.min, l->recipients.max);
    uint64_t bytes = sim_dice_between(&dice, l->bytes.min, l->bytes.max);
    uint64_t places = conf->single_sys ? MS_MAX(MS_MIN(l->hosts, recipients), 1) : 1;
    struct arrival a = {.message = st->total,
                        .class_ = channel_class_of(conf, conf_section(s->conf, "queue"), l->class_, bytes)};
    for (uint64_t i = 0; i < places; i++) {
        uint64_t left = recipients / places + (i < recipients % places);
        uint64_t host = l->hosts ? (st->total + i) % l->hosts : 0;
        while (left > 0) {
            uint64_t most = sim__rcpts_per_entry(conf), n = most ? MS_MIN(left, most) : left;
            entry_arrives(s, stream, &a, host, n);
            left -= n;
        }
    }
    st->made++;
    st->total++;
    sim__stream_next(s, st);
}

/* semantics 4.6: there is room again, for the best. Whoever has to go for one of them goes first next time. */
static void on_overflow(struct sim *s)
{
    struct queue_id id;
    struct sim_entry *e;
    for (unsigned i = 0; i < QUEUE_CLASS_COUNT; i++)
        while ((e = sim_line_first(&s->entries, &s->outside[i], &id))) {
            sim_line_remove_first(&s->entries, &s->outside[i]);
            if (tell(s, &id, e))
                continue;
            sim_line_add_first(&s->entries, &s->outside[i], &id);
            return;
        }
}

/* -- attempts */
static void attempt_begins(struct sim *s, const struct jobctl_decision *d)
{
    struct sim_entry *e = sim_entries_get(&s->entries, &d->id);
    struct sim_channel *c = &s->channels[d->channel];
    const struct sim_load *l = &s->streams[e->load].load;
    struct sim_dice dice =
        sim__dice_for(s, e->load, CHANCE_ATTEMPT, e->message, (uint64_t)e->part << 16 | e->attempts);
    uint64_t since_us = s->now_us - s->base_us;
    bool is_unlucky = sim_dice_between(&dice, 1, 100) <= l->fail_percent;
    e->will_fail = is_unlucky || (since_us >= l->down_us.min && since_us < l->down_us.max);
    const struct sim_range *time = e->will_fail ? &l->fail_us : &l->time_us;
    uint64_t time_us = sim_dice_between(&dice, time->min, time->max);
    e->job = d->job;
    e->end.key = s->now_us + time_us;
    e->end.tie = e->number;
    e->id = d->id;
    heap_insert(&s->ends, &e->end);
    c->result.attempts++;
    c->result.work_us += time_us;
    c->in_work++;
    c->result.in_work_max = MS_MAX(c->result.in_work_max, c->in_work);
}

static void entry_leaves(struct sim *s, struct sim_channel *c, struct sim_entry *e)
{
    struct sim_class *class_ = &c->classes[e->class_];
    uint64_t waited_us = s->now_us - e->arrived_us;
    if (e->will_fail) {
        class_->returned++;
        c->result.returned++;
    } else {
        class_->delivered++;
        c->result.delivered++;
        sim_waits_add(&class_->waits, waited_us);
        c->wait_sum_us += waited_us;
        c->wait_max_us = MS_MAX(c->wait_max_us, waited_us);
    }
    if (--c->result.queued == 0)
        c->result.empty_us = s->now_us - s->base_us;
    sim_entries_free(&s->entries, &e->id);
}

/* semantics 6: when it is tried again, and who is told. */
static void entry_waits(struct sim *s, struct sim_channel *c, struct sim_entry *e)
{
    unsigned notices = channel_notices_reached(&c->times, (enum queue_class)e->class_, e->notices,
                                               s->now_us - e->arrived_us);
    c->result.notices += notices > e->notices;
    e->notices = (uint8_t)notices;
    e->due_us = channel_due_us(&c->times, (enum queue_class)e->class_, e->arrived_us, e->attempts, notices,
                               s->now_us);
}

static void attempt_ends(struct sim *s, struct sim_entry *e)
{
    struct sim_channel *c = &s->channels[s->streams[e->load].channel];
    bool is_old = s->now_us - e->arrived_us >= channel_return_us(&c->times, (enum queue_class)e->class_);
    bool again = e->will_fail && !is_old;
    heap_remove(&s->ends, &e->end);
    c->in_work--;
    c->result.failed += e->will_fail;
    if (e->attempts < UINT16_MAX)
        e->attempts++;
    if (again)
        entry_waits(s, c, e);
    jobctl_sched_done(s->sched, e->job, &e->id, again, e->due_us, s->now_us);
    if (!again)
        entry_leaves(s, c, e);
}

/* -- time */
static void decide(struct sim *s)
{
    for (;;) {
        struct jobctl_decision d = jobctl_sched_next(s->sched, s->now_us);
        struct sim_channel *c = &s->channels[d.channel];
        if (d.act == JOBCTL_ACT_OPEN_JOB) {
            jobctl_sched_job_opened(s->sched, d.job, s->now_us);
            c->result.jobs_started++;
            c->jobs++;
            c->result.jobs_max = MS_MAX(c->result.jobs_max, c->jobs);
        } else if (d.act == JOBCTL_ACT_CLOSE_JOB) {
            jobctl_sched_job_closed(s->sched, d.job);
            c->jobs--;
        } else if (d.act == JOBCTL_ACT_ASSIGN) {
            attempt_begins(s, &d);
        } else if (jobctl_sched_overflowed(s->sched)) {
            on_overflow(s);
        } else {
            s->wake_us = d.wake_us;
            return;
        }
    }
}

static uint64_t next_event(const struct sim *s)
{
    const struct heap_node *end = heap_min(&s->ends);
    uint64_t next = MS_MIN(s->wake_us, end ? end->key : UINT64_MAX);
    for (size_t i = 0; i < s->stream_count; i++)
        next = MS_MIN(next, s->streams[i].next_us);
    return next;
}

void sim_run(struct sim *s, uint64_t until_us)
{
    uint64_t stop_us = s->base_us + until_us, next;
    while ((next = next_event(s)) <= stop_us) {
        struct heap_node *end;
        s->now_us = MS_MAX(next, s->now_us);
        for (size_t i = 0; i < s->stream_count; i++)
            while (s->streams[i].next_us <= s->now_us)
                message_arrives(s, i);
        while ((end = heap_min(&s->ends)) && end->key <= s->now_us)
            attempt_ends(s, MS_CONTAINER_OF(end, struct sim_entry, end));
        decide(s);
    }
    s->now_us = stop_us;
}

bool sim_is_over(const struct sim *s)
{
    return s->entries.count == 0 && sim_to_come(s) == 0;
}

uint64_t sim_to_come(const struct sim *s)
{
    uint64_t count = 0;
    for (size_t i = 0; i < s->stream_count; i++)
        count += s->streams[i].load.count * s->streams[i].load.repeat - s->streams[i].total;
    return count;
}

/* -- looking */
size_t sim_loads(const struct sim *s)
{
    return s->stream_count;
}

const struct sim_load *sim_load_get(const struct sim *s, size_t i)
{
    return &s->streams[i].load;
}

size_t sim_channels(const struct sim *s)
{
    return s->channel_count;
}

const char *sim_channel_name(const struct sim *s, size_t channel)
{
    return s->channels[channel].name;
}

const struct channel_conf *sim_channel_conf(const struct sim *s, size_t channel)
{
    return s->channels[channel].conf;
}

const struct sim_result *sim_result(const struct sim *s, size_t channel)
{
    return &s->channels[channel].result;
}

const struct sim_class *sim_class(const struct sim *s, size_t channel, enum queue_class class_)
{
    return &s->channels[channel].classes[class_];
}

void sim_look(struct sim *s, size_t channel, struct sim_point *out)
{
    struct sim_channel *c = &s->channels[channel];
    const struct sim_result *r = &c->result;
    struct jobctl_channel_view v;
    bool found = jobctl_sched_channel_view(s->sched, (uint32_t)channel, &v);
    MS_ASSERT(found);
    *out = (struct sim_point){.at_us = s->now_us - s->base_us,
                              .queued = r->queued,
                              .ready = v.ready - v.waiting,
                              .deferred = v.waiting,
                              .delayed = v.delayed,
                              .in_work = c->in_work,
                              .jobs = c->jobs,
                              .arrived = r->arrived,
                              .delivered = r->delivered,
                              .failed = r->failed,
                              .returned = r->returned,
                              .wait_sum_us = c->wait_sum_us,
                              .wait_max_us = c->wait_max_us};
    c->wait_max_us = 0;
}
