/*
 * part_applier.c - the thread that turns flushed batches into index transactions.
 *
 * The lane tells the index of a batch by a note; at most JOURNAL_BATCHES are out, so the ring never overflows
 * and nothing is ever waited for. A commit takes whatever has piled up, split between records by an estimate
 * of dirty pages; there is no timer. After it: replies in order, notes, batches back to the lane
 * (part_answer.c).
 *
 * When the index cannot be written (rule 1.6) the transaction is thrown away, admission is closed, the
 * ballast is given up if space is what lacks, and the same records are tried again until it works: they are
 * durable, so their outcome is decided. When the index is damaged no repetition helps: what waits is answered
 * "unknown", and the next start rebuilds.
 */
#include "part_priv.h"

#include <signal.h>
#include <stdio.h>

#include "ms/base/clock.h"

#define RETRY_MS_MIN 10
#define RETRY_MS_MAX 1000
#define LANE_NOTES   1024

/* -- from the lane -------------------------------------------------------------------------------- */

static void on_flushed(void *owner, struct journal_batch *batch)
{
    struct partition *p = owner;
    struct bus_msg msg = {.kind = PART_MSG_BATCH, .a = {batch->index}};
    p->applier.by_index[batch->index] = batch;
    bool queued = bus_note(p->applier.lane_ep, p->applier.ep, &msg);
    MS_ASSERT(queued);
}

static void on_batch(void *owner, const struct bus_msg *msg)
{
    struct part__applier *a = &((struct partition *)owner)->applier;
    MS_ASSERT(a->count < JOURNAL_BATCHES);
    a->waiting[(a->head + a->count++) % JOURNAL_BATCHES] = a->by_index[msg->a[0]];
}

/* -- one transaction ------------------------------------------------------------------------------ */

static enum ms_err apply_entry(struct partition *p, const struct journal_batch_entry *e, size_t n,
                               struct ms_errinfo *why)
{
    struct part__applier *a = &p->applier;
    MS_TRY(part__tx_apply(&a->tx, &e->rec, why));
    part__grow((void **)&a->result_ends, &a->result_cap, n, sizeof(a->result_ends[0]));
    a->result_ends[n] = a->tx.results.len;
    return MS_OK;
}

/* From the first uncommitted entry on, to the end of what waits or to the bound. */
static enum ms_err apply_waiting(struct partition *p, size_t *n_out, struct journal_mark *mark,
                                 struct ms_errinfo *why)
{
    struct part__applier *a = &p->applier;
    unsigned entry = a->entry;
    size_t n = 0;
    for (unsigned b = 0; b < a->count; b++, entry = 0) {
        const struct journal_batch *batch = a->waiting[(a->head + b) % JOURNAL_BATCHES];
        for (; entry < batch->count; entry++) {
            const struct journal_batch_entry *e = &batch->entries[entry];
            if (n == PART_COMMIT_RECORDS || db_write_pages(a->tx.txn) >= PART_COMMIT_PAGES)
                break;
            MS_TRY(apply_entry(p, e, n, why));
            *mark = (struct journal_mark){.position = e->rec.end, .epoch = e->rec.epoch, .crc = e->rec.crc};
            *n_out = ++n;
        }
        if (entry < batch->count)
            break;
    }
    return MS_OK;
}

static enum ms_err commit_waiting(struct partition *p, size_t *n_out, struct ms_errinfo *why)
{
    struct part__applier *a = &p->applier;
    struct journal_mark mark = {0};
    struct db_txn *txn;
    uint64_t started = clock_mono_ns();
    MS_TRY(db_write_begin(p->db, &txn, why));
    part__tx_begin(&a->tx, txn);
    enum ms_err err = apply_waiting(p, n_out, &mark, why);
    if (!err && (err = part__meta_put_applied(txn, &mark)))
        ms_fail(why, err, "index: mark: %s", ms_err_text(err));
    if (err)
        db_write_abort(&txn);
    else
        err = db_write_commit(&txn, why);
    a->tx.txn = NULL;
    if (err)
        return err;
    atomic_store_explicit(&p->applied, mark.position, memory_order_relaxed);
    atomic_fetch_add_explicit(&p->commits, 1, memory_order_relaxed);
    uint64_t took_ns = clock_mono_ns() - started;
    obs_series_observe(p->commit_series, took_ns / 1000);
    atomic_fetch_add_explicit(&p->commit_ns, took_ns, memory_order_relaxed);
    obs_count(MET_PART_COMMITS, 1);
    obs_count(MET_PART_RECORDS, *n_out);
    return MS_OK;
}

/* -- trouble -------------------------------------------------------------------------------------- */

static bool is_resource(enum ms_err err)
{
    return err == MS_ENOSPC || err == MS_EIO || err == MS_ENOMEM || err == MS_EBUSY;
}

static size_t waiting_entries(const struct part__applier *a)
{
    size_t n = 0;
    for (unsigned b = 0; b < a->count; b++)
        n += a->waiting[(a->head + b) % JOURNAL_BATCHES]->count;
    return n - a->entry;
}

static void close_admission(struct partition *p, enum ms_err err, const char *what)
{
    enum ms_err refusal = err == MS_ENOSPC ? MS_ENOSPC : MS_EOFFLINE;
    journal_set_admission(p->journal, false, refusal);
    OBS_EVENT(OBS_PART_TROUBLE, 0, OBS_C("partition", p->conf.name), OBS_C("what", what));
}

static void die(struct partition *p, enum ms_err err, const char *what)
{
    close_admission(p, err, what);
    part__crash_set_rebuild(&p->crash, true);
    part__enter(p, PART_ST_FAILED);
    OBS_EVENT(OBS_PART_FAILED, 0, OBS_C("partition", p->conf.name), OBS_C("what", what));
    p->applier.dead = true;
}

/* Sleeps, but takes in what the lane still hands over. */
static void back_off(struct part__applier *a, uint64_t ms)
{
    uint64_t until = clock_mono_ms() + ms;
    for (;;) {
        uint64_t now = clock_mono_ms();
        if (now >= until || atomic_load(&a->stopping))
            return;
        bus_wait(a->ep, (int)(until - now));
        bus_poll(a->ep);
    }
}

static void on_trouble(struct partition *p, enum ms_err err, uint64_t *wait_ms, const struct ms_errinfo *why)
{
    struct part__applier *a = &p->applier;
    if (!is_resource(err)) {
        die(p, err, why->text);
        return;
    }
    if (!a->refusing || *wait_ms == RETRY_MS_MAX)
        close_admission(p, err, why->text);
    a->refusing = true;
    if (err == MS_ENOSPC)
        part__ballast_release(p);
    obs_count(MET_PART_RETRIES, 1);
    *wait_ms = MS_MIN(MS_MAX(*wait_ms * 2, RETRY_MS_MIN), RETRY_MS_MAX);
    back_off(a, *wait_ms);
}

static void work(struct partition *p)
{
    struct part__applier *a = &p->applier;
    uint64_t wait_ms = 0;
    while (a->count && !a->dead) {
        struct ms_errinfo why = {0};
        size_t n = 0;
        enum ms_err err = commit_waiting(p, &n, &why);
        if (!err) {
            if (a->refusing)
                journal_set_admission(p->journal, true, MS_OK);
            a->refusing = false;
            wait_ms = 0;
            part__answer(p, n, MS_OK);
        } else if (atomic_load(&a->stopping)) {
            break; /* the log has it; the next start applies it */
        } else {
            on_trouble(p, err, &wait_ms, &why);
        }
    }
    if (a->count)
        part__answer(p, waiting_entries(a), MS_EUNKNOWN);
}

static void *applier_main(void *arg)
{
    struct partition *p = arg;
    struct part__applier *a = &p->applier;
    db_writer_claim(p->db);
    for (;;) {
        bool stopping = atomic_load(&a->stopping); /* before the poll: nothing comes after it was set */
        bus_poll(a->ep);
        if (a->count)
            work(p);
        else if (stopping)
            return NULL;
        else
            bus_wait(a->ep, -1);
    }
}

/* -- wiring --------------------------------------------------------------------------------------- */

static void on_note_overflow(void *owner)
{
    const struct part__target *t = owner;
    if (t->client)
        part__client_overflow(t->client);
    for (unsigned i = 0; i < PART_PORTS_MAX; i++)
        if (t->ports & 1u << i)
            t->p->ports[i].on_overflow(t->p->ports[i].owner);
}

/* Batches cannot overflow; a stream that was given up and is not heard of is told again (part_client.c). */
static void on_no_overflow(void *owner)
{
}

static struct part__target *target_of(struct partition *p, struct bus_ep *ep)
{
    for (unsigned i = 0; i < p->target_count; i++)
        if (p->targets[i].ep == ep)
            return &p->targets[i];
    MS_ASSERT(p->target_count < PART_TARGETS_MAX);
    struct part__target *t = &p->targets[p->target_count++];
    *t = (struct part__target){.ep = ep, .p = p};
    bus_note_link(p->bus, p->applier.ep, ep, PART_NOTES, on_note_overflow, t);
    return t;
}

static void wire(struct partition *p, struct bus *bus)
{
    struct part__applier *a = &p->applier;
    char name[64];
    snprintf(name, sizeof(name), "lane.%s", p->conf.name);
    a->lane_ep = bus_ep_create(bus, name, NULL);
    snprintf(name, sizeof(name), "apply.%s", p->conf.name);
    a->ep = bus_ep_create(bus, name, NULL);
    bus_on(a->ep, PART_MSG_BATCH, on_batch, p);
    bus_note_link(bus, a->lane_ep, a->ep, JOURNAL_BATCHES, on_no_overflow, NULL);
    for (unsigned i = 0; i < p->client_count; i++) {
        struct part_client *c = p->clients[i];
        c->ep = bus_ep_of_loop(bus, c->loop);
        MS_ASSERT(c->ep);
        bus_link(bus, c->ep, a->lane_ep, PART_CALLS);
        bus_link_reply(bus, c->ep, a->ep, a->lane_ep);
        bus_note_link(bus, c->ep, a->lane_ep, LANE_NOTES, on_no_overflow, NULL);
        part__hub_join(c, bus_ep_index(a->lane_ep), bus_ep_index(a->ep));
        target_of(p, c->ep)->client = c;
    }
    for (unsigned i = 0; i < PART_PORTS_MAX; i++)
        if (p->ports[i].to)
            target_of(p, p->ports[i].to)->ports |= 1u << i;
}

enum ms_err part__thread_start(pthread_t *thread, void *(*main)(void *), void *arg, const char *name)
{
    sigset_t all, old;
    char old_name[16] = "";
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are for the control thread */
    /* Inherited by the new thread; to name another one needs a file of /proc, which a sandbox may not let us write. */
    pthread_getname_np(pthread_self(), old_name, sizeof old_name);
    pthread_setname_np(pthread_self(), name);
    int rc = pthread_create(thread, NULL, main, arg);
    pthread_setname_np(pthread_self(), old_name);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc ? ms_err_from_errno(rc) : MS_OK;
}

enum ms_err part__applier_start(struct partition *p, struct bus *bus, struct ms_errinfo *why)
{
    struct part__applier *a = &p->applier;
    part__tx_init(&a->tx, p);
    wire(p, bus);
    enum ms_err err = part__thread_start(&a->thread, applier_main, p, "applier");
    if (err)
        return ms_fail(why, err, "applier thread: %s", ms_err_text(err));
    a->started = true;
    err = journal_start(p->journal, bus, a->lane_ep, on_flushed, p, why);
    if (err)
        part__applier_stop(p);
    return err;
}

void part__applier_stop(struct partition *p)
{
    struct part__applier *a = &p->applier;
    if (!a->started)
        return;
    atomic_store(&a->stopping, true);
    bus_wake(a->ep);
    pthread_join(a->thread, NULL);
    a->started = false;
}

void part__applier_free(struct part__applier *a)
{
    part__tx_fini(&a->tx);
    ms_free(a->result_ends);
}
