/*
 * chan_store.c - the store channel: queue entry -> mailbox entries.
 *
 *   READ      entry and pending recipients are copied out of one snapshot
 *   ACCOUNTS  each recipient's account is looked up (may answer later) and judged
 *   MAILBOXES each account's mailbox; accounts that have none yet are made first (CREATE), then again
 *   DELIVER   one record: deliver op for all that were found, result op for them and for those that stay
 *   SETTLE    a second record when somebody failed, is to be held, or a notice is due: outcomes and report
 *             (chan_settle)
 *   done      the log lines; the job controller hears whether something stays
 *
 * Nothing is dropped here: whoever is not delivered to stays pending until a settlement has failed him for
 * good. A crash between the two records is a crash before the second: those recipients are looked at
 * again, and told once. An answer that never comes (partition in trouble) ends the work as a retry; the
 * delivery itself may have happened, the queue's row then says so.
 */
#include "chan_priv.h"

#include <stdio.h>

#include "ms/base/clock.h"
#include "ms/obs.h"

#define RELAY_MAX (ACCOUNT_PARTITION_MAX + 8) /* "store[name]" */

enum work_state { WORK_ACCOUNTS, WORK_MAILBOXES, WORK_CREATE, WORK_DELIVER, WORK_SETTLE };

struct store_job {
    struct channel_job *handle;
    struct loop *loop;
    const struct chan_env *env;
    const struct chan_env_loop *here;
    struct chan_times times;
    char relay[RELAY_MAX];
    struct list works;
};

/* Where a recipient's message goes; beside entry.rcpts, with the same index. */
struct place {
    struct account_entry account;
    struct slice detail;
    uint64_t mailbox;
    struct slice name;
    bool is_missing; /* the account has no mailboxes yet */
};

struct work {
    struct list node;
    struct store_job *job;
    uint64_t ticket;
    enum work_state state;
    struct chan_attempt attempt;
    struct place *places;
    size_t at;
    uint64_t request;    /* of account or partition */
    struct part_rec rec; /* waiting for room */
    struct bus_waiter waiter;
    bool has_created; /* accounts were made once */
};

static void work_step(struct work *w);

static void work_free(struct work *w)
{
    list_remove(&w->node);
    chan__attempt_fini(&w->attempt);
    part_rec_fini(&w->rec);
    ms_free(w);
}

static void work_end(struct work *w, enum channel_outcome outcome)
{
    struct store_job *job = w->job;
    uint64_t ticket = w->ticket;
    work_free(w);
    channel_entry_done(job->handle, ticket, outcome);
}

static void work_fail(struct work *w, enum ms_err err)
{
    OBS_EVENT(OBS_CHAN_STORE_FAILED, 0, OBS_S("trace", w->attempt.entry.trace), OBS_E("error", err));
    work_end(w, CHANNEL_RETRY);
}

/* -- ACCOUNTS */
static void judge(struct work *w, size_t i, struct chan_judgement j)
{
    w->attempt.entry.rcpts[i].verdict = j.verdict;
    w->attempt.entry.rcpts[i].reason = j.reason;
}

static void judge_account(struct work *w, enum ms_err err)
{
    judge(w, w->at,
          chan__judge_account(err, &w->places[w->at].account, w->attempt.entry.blob_bytes,
                              w->job->env->partition));
    w->at++;
}

static void on_account(void *owner, uint64_t request, enum ms_err err, const struct account_entry *entry)
{
    struct work *w = owner;
    w->request = 0;
    if (!err)
        w->places[w->at].account = *entry;
    judge_account(w, err);
    work_step(w);
}

/* false: waiting for an answer. */
static bool find_accounts(struct work *w)
{
    while (w->at < w->attempt.entry.rcpt_count) {
        struct place *place = &w->places[w->at];
        enum ms_err err = account_find(w->job->here->accounts, w->attempt.entry.rcpts[w->at].address,
                                       &place->account, &place->detail, on_account, w, &w->request);
        if (err == MS_EMORE)
            return false;
        judge_account(w, err);
    }
    return true;
}

/* -- MAILBOXES */
/* The detail as mailboxes are named; false: it can be no name. */
static bool detail_name(struct work *w, struct slice detail, struct slice *out)
{
    struct str name;
    bool is_name;

    str_init(&name, STORE_NAME_MAX + 1);
    is_name = detail.len && store_name_canonical(detail, &name) == MS_OK;
    if (is_name)
        *out = arena_dup(&w->attempt.entry.arena, str_slice(&name));
    str_fini(&name);
    return is_name;
}

/* RFC 5233's detail names a mailbox of the account, when there is one. */
static enum ms_err find_mailbox(struct work *w, struct part_snap *snap, struct place *place)
{
    if (w->job->here->detail_mailbox && detail_name(w, place->detail, &place->name)) {
        enum ms_err err = store_mailbox_find(snap, place->account.id, place->name, &place->mailbox);
        if (err != MS_ENOTFOUND)
            return err;
    }
    place->name = SLICE_LIT("INBOX");
    return store_mailbox_find(snap, place->account.id, place->name, &place->mailbox);
}

/* Number of accounts that have no INBOX yet. */
static enum ms_err find_mailboxes(struct work *w, size_t *missing_out)
{
    struct part_snap snap;
    *missing_out = 0;
    MS_TRY(part_snap_begin(part_client_partition(w->job->here->queue), &snap));
    for (size_t i = 0; i < w->attempt.entry.rcpt_count; i++) {
        if (w->attempt.entry.rcpts[i].verdict != CHAN_SENT)
            continue;
        enum ms_err err = find_mailbox(w, &snap, &w->places[i]);
        w->places[i].is_missing = err == MS_ENOTFOUND;
        *missing_out += w->places[i].is_missing;
        if (err && (err != MS_ENOTFOUND || w->has_created))
            judge(w, i, chan__judge_store(err));
    }
    part_snap_end(&snap);
    return MS_OK;
}

static void on_posted(void *owner, uint64_t request, const struct part_reply *reply);
static void post(struct work *w);

static void on_room(void *owner)
{
    post(owner);
}

static void post(struct work *w)
{
    enum ms_err err = part_post(w->job->here->queue, &w->rec, on_posted, w, &w->request);
    if (err == MS_EFULL) {
        w->waiter = (struct bus_waiter){.fn = on_room, .owner = w};
        part_wait_room(w->job->here->queue, &w->waiter);
    } else if (err) {
        work_fail(w, err);
    }
}

static void create_accounts(struct work *w)
{
    w->state = WORK_CREATE;
    w->has_created = true;
    for (size_t i = 0; i < w->attempt.entry.rcpt_count; i++)
        if (w->attempt.entry.rcpts[i].verdict == CHAN_SENT && w->places[i].is_missing)
            store_op_account_create(&w->rec, w->places[i].account.id, slice_cstr(w->places[i].account.login));
    post(w);
}

/* -- SETTLE */
static void finish(struct work *w)
{
    work_end(w, chan__attempt_log(&w->attempt, w->job->relay));
}

static void on_settled(void *owner, enum ms_err err)
{
    struct work *w = owner;
    if (err)
        work_fail(w, err);
    else
        finish(w);
}

static void settle(struct work *w)
{
    w->state = WORK_SETTLE;
    chan__attempt_settle(&w->attempt, on_settled, w);
}

/* -- DELIVER */
static struct slice prefix_of(struct work *w)
{
    return slice_cstr(arena_printf(&w->attempt.entry.arena, "Return-Path: <" SLICE_FMT ">\r\n",
                                   SLICE_ARG(w->attempt.entry.sender)));
}

/* Targets of those that are found, outcomes of them and of those that stay; number of targets. */
static size_t collect_targets(struct work *w, struct store_target *targets, struct queue_outcome *outcomes,
                              size_t *outcome_count_out)
{
    struct slice prefix = prefix_of(w);
    size_t n = 0, outcome_count = 0;
    for (size_t i = 0; i < w->attempt.entry.rcpt_count; i++) {
        struct chan_rcpt *r = &w->attempt.entry.rcpts[i];
        const struct place *place = &w->places[i];
        if (r->verdict == CHAN_FAILED)
            continue; /* left as it is until the settlement */
        r->is_noted = true;
        outcomes[outcome_count++] =
            (struct queue_outcome){.number = r->number,
                                   .state = r->verdict == CHAN_SENT ? QUEUE_RCPT_DONE : QUEUE_RCPT_PENDING,
                                   .reason = r->verdict == CHAN_SENT ? (struct slice){0} : r->reason,
                                   .if_delivered = r->verdict == CHAN_SENT};
        if (r->verdict == CHAN_SENT)
            targets[n++] = (struct store_target){.account = place->account.id,
                                                 .mailbox = place->mailbox,
                                                 .owner = slice_cstr(place->account.login),
                                                 .name = place->name,
                                                 .prefix = prefix,
                                                 .bytes_max = place->account.quota_bytes,
                                                 .messages_max = place->account.quota_messages,
                                                 .recipient = r->number};
    }
    *outcome_count_out = outcome_count;
    return n;
}
_Static_assert(QUEUE_RECIPIENTS_MAX <= STORE_TARGETS_MAX, "an entry is delivered by one op");

/* When a settlement is going to follow anyway, a crash before it must not cost a wait. */
static bool settlement_follows(const struct work *w, uint64_t now_us)
{
    return chan__count(&w->attempt.entry, CHAN_FAILED) ||
           chan__is_notice_due(&w->attempt.entry, &w->job->times.times, now_us) ||
           (chan__count(&w->attempt.entry, CHAN_DEFERRED) &&
            chan__is_expired(&w->attempt.entry, &w->job->times.times, now_us));
}

static void deliver(struct work *w)
{
    struct arena *arena = &w->attempt.entry.arena;
    struct store_target *targets = arena_new_array(arena, struct store_target, w->attempt.entry.rcpt_count);
    struct queue_outcome *outcomes =
        arena_new_array(arena, struct queue_outcome, w->attempt.entry.rcpt_count);
    const struct store_delivery delivery = {.internaldate_us = w->attempt.entry.arrival_us};
    size_t outcome_count, n = collect_targets(w, targets, outcomes, &outcome_count);
    uint64_t now_us = clock_wall_us();
    bool at_once = settlement_follows(w, now_us);
    const struct queue_attempt attempt = {
        .due_us = at_once
                      ? now_us
                      : chan__due(&w->attempt.entry, &w->job->times.times, now_us, w->attempt.entry.notices),
        .tried_us = w->attempt.entry.begun_us,
        .notices = w->attempt.entry.notices,
        .count = true};
    w->state = WORK_DELIVER;
    w->attempt.is_noted = true;
    enum ms_err err = store_op_deliver(&w->rec, NULL, w->attempt.entry.blob, &delivery, targets, n);
    MS_ASSERT(err == MS_OK); /* n <= STORE_TARGETS_MAX */
    queue_op_result(&w->rec, &w->attempt.entry.id, &attempt, outcomes, outcome_count);
    post(w);
}

static void on_delivered(struct work *w, const struct part_reply *reply)
{
    struct rd rd = rd_make(reply->result);
    struct store_result result;
    for (size_t i = 0; i < w->attempt.entry.rcpt_count; i++)
        if (w->attempt.entry.rcpts[i].verdict == CHAN_SENT) /* one result per target, in order */
            judge(w, i, chan__judge_store(store_result_next(&rd, &result) ? MS_EDAMAGED : result.err));
    settle(w);
}

static void on_posted(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct work *w = owner;
    w->request = 0;
    if (reply->err) { /* refused before the log, or the outcome is unknown: the queue's row knows */
        work_fail(w, reply->err);
    } else if (w->state == WORK_CREATE) {
        w->state = WORK_MAILBOXES;
        work_step(w);
    } else {
        on_delivered(w, reply);
    }
}

static void work_step(struct work *w)
{
    size_t missing = 0;
    if (w->state == WORK_ACCOUNTS) {
        if (!find_accounts(w))
            return;
        w->state = WORK_MAILBOXES;
    }
    enum ms_err err = chan__count(&w->attempt.entry, CHAN_SENT) ? find_mailboxes(w, &missing) : MS_OK;
    if (err)
        work_fail(w, err);
    else if (missing && !w->has_created)
        create_accounts(w);
    else if (chan__count(&w->attempt.entry, CHAN_SENT))
        deliver(w);
    else
        settle(w);
}

/* -- the job */
static void *job_open(void *env_ptr, struct channel_job *handle, struct loop *loop, const char *channel,
                      const struct channel_conf *conf)
{
    const struct chan_env *env = env_ptr;
    struct store_job *job = ms_new(struct store_job);
    job->handle = handle;
    job->loop = loop;
    job->env = env;
    job->here = &env->loops[loop_index(loop)];
    chan__times_make(&job->times, job->here, channel, conf);
    snprintf(job->relay, sizeof job->relay, "store[%s]", env->partition);
    list_init(&job->works);
    return job;
}

static void job_entry(void *job_ptr, const struct queue_id *id, uint64_t ticket)
{
    struct store_job *job = job_ptr;
    struct work *w = ms_new(struct work);
    chan__times_refresh(&job->times, job->here);
    w->job = job;
    w->ticket = ticket;
    part_rec_init(&w->rec);
    list_init(&w->waiter.node);
    list_push_back(&job->works, &w->node);
    enum ms_err err = chan__attempt_begin(&w->attempt, job->env, job->loop, &job->times, id);
    if (err) {
        work_end(w, err == MS_ENOTFOUND ? CHANNEL_DONE : CHANNEL_RETRY);
        return;
    }
    w->places = arena_new_array(&w->attempt.entry.arena, struct place, w->attempt.entry.rcpt_count);
    work_step(w);
}

/* Entries in work are there only when the server stops at its deadline: their callbacks never come. */
static void job_close(void *job_ptr)
{
    struct store_job *job = job_ptr;
    LIST_FOREACH_SAFE(&job->works, it)
    {
        struct work *w = LIST_ENTRY(it, struct work, node);
        bus_waiter_cancel(&w->waiter);
        if (w->request && w->state == WORK_ACCOUNTS)
            account_forget(job->here->accounts, w->request);
        else if (w->request)
            part_forget(job->here->queue, w->request);
        work_free(w);
    }
    ms_free(job);
}

const struct channel_driver chan_store_driver = {
    .name = "store", .job_open = job_open, .job_entry = job_entry, .job_close = job_close};
