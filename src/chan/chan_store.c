/*
 * chan_store.c - the store channel: queue entry -> mailbox entries.
 *
 *   READ      entry and pending recipients are copied out of one snapshot
 *   ACCOUNTS  each recipient's account is looked up (may answer later)
 *   MAILBOXES each account's INBOX; accounts that have none yet are made first, then again
 *   DELIVER   one record: deliver op for all that were found, result op for all
 *   done      the reply says who was taken; the others stay pending with a reason and a due time
 *
 * Whoever cannot be delivered to stays in the queue: nothing is dropped here. An answer that never comes
 * (partition in trouble) ends the work as a retry; the delivery itself may have happened, the queue's row
 * then says so.
 */
#include "chan_priv.h"

#include "ms/base/arena.h"
#include "ms/base/clock.h"
#include "ms/obs.h"

enum work_state { WORK_ACCOUNTS, WORK_MAILBOXES, WORK_CREATE, WORK_DELIVER };

struct store_job {
    struct channel_job *handle;
    struct loop *loop;
    const struct chan_env *env;
    const struct chan_env_loop *here;
    struct channel_times times;
    struct list works;
};

struct work_rcpt {
    uint32_t number;
    struct slice address;
    struct account_entry account;
    uint64_t mailbox;
    enum ms_err err; /* why not, so far */
    bool settled;    /* ACCOUNTS: the look-up has ended */
};

struct work {
    struct list node;
    struct store_job *job;
    uint64_t ticket;
    struct queue_id id;
    enum work_state state;
    struct arena arena;
    struct slice sender, trace;
    uint64_t blob, arrival_us;
    uint32_t attempts;
    enum queue_class class_;
    uint8_t notices;
    struct work_rcpt *rcpts;
    size_t rcpt_count, at;
    uint64_t request;    /* of account or partition */
    struct part_rec rec; /* waiting for room */
    struct bus_waiter waiter;
    bool created; /* accounts were made once */
    struct chan_claim claim;
};

static void work_step(struct work *w);

static void work_free(struct work *w)
{
    list_remove(&w->node);
    chan__claim_end(w->job->env->claims, &w->claim);
    part_rec_fini(&w->rec);
    arena_fini(&w->arena);
    ms_free(w);
}

static void work_end(struct work *w, enum channel_outcome outcome)
{
    struct store_job *job = w->job;
    uint64_t ticket = w->ticket;
    work_free(w);
    channel_entry_done(job->handle, ticket, outcome);
}

/* -- READ */
static enum ms_err read_recipients(struct work *w, struct part_snap *snap, uint32_t pending)
{
    struct queue_recipient r;
    uint32_t after = UINT32_MAX;
    w->rcpts = arena_new_array(&w->arena, struct work_rcpt, MS_MAX(pending, 1u));
    while (w->rcpt_count < pending) {
        enum ms_err err = queue_recipient_next(snap, &w->id, after, &r);
        if (err)
            return err;
        after = r.number;
        if (r.state != QUEUE_RCPT_PENDING)
            continue;
        w->rcpts[w->rcpt_count++] =
            (struct work_rcpt){.number = r.number, .address = arena_dup(&w->arena, r.address)};
    }
    return MS_OK;
}

static enum ms_err read_entry(struct work *w)
{
    struct part_snap snap;
    struct queue_entry entry;
    MS_TRY(part_snap_begin(part_client_partition(w->job->here->queue), &snap));
    enum ms_err err = queue_find(&snap, &w->id, &entry);
    if (!err && (entry.held || entry.pending == 0))
        err = MS_ENOTFOUND; /* nothing for us any more */
    if (!err) {
        w->sender = arena_dup(&w->arena, entry.sender);
        w->trace = arena_dup(&w->arena, entry.trace);
        w->blob = entry.blob;
        w->arrival_us = entry.arrival_us;
        w->attempts = entry.attempts;
        w->class_ = entry.class_;
        w->notices = entry.notices;
        err = read_recipients(w, &snap, entry.pending);
    }
    part_snap_end(&snap);
    return err;
}

/* -- ACCOUNTS */
static void on_account(void *owner, uint64_t request, enum ms_err err, const struct account_entry *entry)
{
    struct work *w = owner;
    struct work_rcpt *r = &w->rcpts[w->at];
    r->settled = true;
    r->err = err;
    if (!err)
        r->account = *entry;
    w->at++;
    w->request = 0;
    work_step(w);
}

/* false: waiting for an answer. */
static bool find_accounts(struct work *w)
{
    for (; w->at < w->rcpt_count; w->at++) {
        struct work_rcpt *r = &w->rcpts[w->at];
        enum ms_err err =
            account_find(w->job->here->accounts, r->address, &r->account, NULL, on_account, w, &w->request);
        if (err == MS_EMORE)
            return false;
        r->settled = true;
        r->err = err;
    }
    return true;
}

/* -- MAILBOXES */
static bool partition_is_here(const struct work *w, const struct account_entry *account)
{
    return account->partition[0] == '\0' || strcmp(account->partition, w->job->env->partition) == 0;
}

/* Number of accounts that have no INBOX yet. */
static enum ms_err find_mailboxes(struct work *w, size_t *missing_out)
{
    struct part_snap snap;
    *missing_out = 0;
    MS_TRY(part_snap_begin(part_client_partition(w->job->here->queue), &snap));
    for (size_t i = 0; i < w->rcpt_count; i++) {
        struct work_rcpt *r = &w->rcpts[i];
        if (r->err && r->err != MS_EGONE)
            continue;
        if (!partition_is_here(w, &r->account)) {
            r->err = MS_EUNSUPPORTED;
            continue;
        }
        r->err = store_mailbox_find(&snap, r->account.id, SLICE_LIT("INBOX"), &r->mailbox);
        if (r->err == MS_ENOTFOUND) {
            r->err = MS_EGONE; /* to be made */
            ++*missing_out;
        }
    }
    part_snap_end(&snap);
    return MS_OK;
}

static void post(struct work *w);

static void on_room(void *owner)
{
    post(owner);
}

static void on_posted(void *owner, uint64_t request, const struct part_reply *reply);

static void post(struct work *w)
{
    enum ms_err err = part_post(w->job->here->queue, &w->rec, on_posted, w, &w->request);
    if (err == MS_EFULL) {
        w->waiter = (struct bus_waiter){.fn = on_room, .owner = w};
        part_wait_room(w->job->here->queue, &w->waiter);
    } else if (err) {
        OBS_EVENT(OBS_CHAN_STORE_FAILED, 0, OBS_S("trace", w->trace), OBS_E("error", err));
        work_end(w, CHANNEL_RETRY);
    }
}

static void create_accounts(struct work *w)
{
    w->state = WORK_CREATE;
    w->created = true;
    for (size_t i = 0; i < w->rcpt_count; i++)
        if (w->rcpts[i].err == MS_EGONE)
            store_op_account_create(&w->rec, w->rcpts[i].account.id, slice_cstr(w->rcpts[i].account.login));
    post(w);
}

/* -- DELIVER */
static struct slice reason_of(enum ms_err err)
{
    switch (ms_err_class(err)) {
    case MS_CLASS_PERM:
        return err == MS_ENOTFOUND ? SLICE_LIT("4.1.1 no such user (any more)")
                                   : SLICE_LIT("4.2.0 mailbox refused the message");
    default:
        return SLICE_LIT("4.3.0 temporary failure of directory or store");
    }
}

static void deliver(struct work *w)
{
    struct store_target *targets = arena_new_array(&w->arena, struct store_target, w->rcpt_count);
    struct queue_outcome *outcomes = arena_new_array(&w->arena, struct queue_outcome, w->rcpt_count);
    struct store_delivery delivery = {.internaldate_us = w->arrival_us};
    struct slice prefix =
        slice_cstr(arena_printf(&w->arena, "Return-Path: <" SLICE_FMT ">\r\n", SLICE_ARG(w->sender)));
    size_t n = 0;
    for (size_t i = 0; i < w->rcpt_count; i++) {
        const struct work_rcpt *r = &w->rcpts[i];
        outcomes[i] = (struct queue_outcome){.number = r->number, .state = QUEUE_RCPT_PENDING};
        if (r->err) {
            outcomes[i].reason = reason_of(r->err);
            continue;
        }
        outcomes[i].state = QUEUE_RCPT_DONE;
        outcomes[i].if_delivered = true;
        targets[n++] = (struct store_target){.account = r->account.id,
                                             .mailbox = r->mailbox,
                                             .owner = slice_cstr(r->account.login),
                                             .name = SLICE_LIT("INBOX"),
                                             .prefix = prefix,
                                             .bytes_max = r->account.quota_bytes,
                                             .messages_max = r->account.quota_messages,
                                             .recipient = r->number};
    }
    uint64_t now_us = clock_wall_us();
    const struct queue_attempt attempt = {
        .due_us = now_us + channel_backoff_us(&w->job->times, w->class_, w->attempts + 1),
        .tried_us = now_us,
        .notices = w->notices,
        .count = true};
    w->state = WORK_DELIVER;
    enum ms_err err = n ? store_op_deliver(&w->rec, NULL, w->blob, &delivery, targets, n) : MS_OK;
    MS_ASSERT(err == MS_OK); /* n <= QUEUE_RECIPIENTS_MAX <= STORE_TARGETS_MAX */
    queue_op_result(&w->rec, &w->id, &attempt, outcomes, w->rcpt_count);
    post(w);
}
_Static_assert(QUEUE_RECIPIENTS_MAX <= STORE_TARGETS_MAX, "an entry is delivered by one op");

static void log_delivery(const struct work *w, const struct work_rcpt *r, enum ms_err err)
{
    char id[QUEUE_ID_TEXT_MAX];
    queue_id_emit(&w->id, id);
    uint64_t delay_ms = (clock_wall_us() - w->arrival_us) / 1000;
    OBS_EVENT(err ? OBS_DELIVERY_DEFERRED : OBS_DELIVERY_SENT, 0, OBS_S("trace", w->trace), OBS_C("qid", id),
              OBS_S("to", r->address), OBS_C("relay", "store"), OBS_U("delay_ms", delay_ms),
              OBS_C("dsn", err ? "4.2.0" : "2.0.0"), OBS_E("reason", err));
}

static void on_delivered(struct work *w, const struct part_reply *reply)
{
    struct rd rd = rd_make(reply->result);
    struct store_result result;
    bool all = true;
    for (size_t i = 0; i < w->rcpt_count; i++) {
        struct work_rcpt *r = &w->rcpts[i];
        enum ms_err err = r->err;
        if (!err) /* one result per target, in order */
            err = store_result_next(&rd, &result) ? MS_EDAMAGED : result.err;
        log_delivery(w, r, err);
        obs_count(err ? MET_CHAN_DEFERRED : MET_CHAN_DELIVERED, 1);
        all = all && !err;
    }
    work_end(w, all ? CHANNEL_DONE : CHANNEL_RETRY);
}

static void on_posted(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct work *w = owner;
    w->request = 0;
    if (reply->err) { /* refused before the log, or the outcome is unknown: the queue's row knows */
        OBS_EVENT(OBS_CHAN_STORE_FAILED, 0, OBS_S("trace", w->trace), OBS_E("error", reply->err));
        work_end(w, CHANNEL_RETRY);
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
    if (find_mailboxes(w, &missing) != MS_OK) {
        work_end(w, CHANNEL_RETRY);
        return;
    }
    if (missing && !w->created)
        create_accounts(w);
    else
        deliver(w);
}

static void *job_open(void *env_ptr, struct channel_job *handle, struct loop *loop, const char *channel,
                      const struct channel_conf *conf)
{
    const struct chan_env *env = env_ptr;
    struct store_job *job = ms_new(struct store_job);
    job->handle = handle;
    job->loop = loop;
    job->env = env;
    job->here = &env->loops[loop_index(loop)];
    const struct route_conf *route = conf_section(env->conf, "route");
    channel_times_make(conf, conf_map_find(env->conf, "channels.*", route->local_channel),
                       conf_section(env->conf, "queue"), &job->times);
    list_init(&job->works);
    return job;
}

static void job_entry(void *job_ptr, const struct queue_id *id, uint64_t ticket)
{
    struct store_job *job = job_ptr;
    struct work *w = ms_new(struct work);
    w->job = job;
    w->ticket = ticket;
    w->id = *id;
    arena_init(&w->arena, 0);
    part_rec_init(&w->rec);
    list_init(&w->waiter.node);
    list_push_back(&job->works, &w->node);
    /* An operator's return is at it: what it leaves is looked at again. */
    enum ms_err err = chan__claim(job->env->claims, &w->claim, id) ? read_entry(w) : MS_EBUSY;
    if (err)
        work_end(w, err == MS_ENOTFOUND ? CHANNEL_DONE : CHANNEL_RETRY);
    else
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
