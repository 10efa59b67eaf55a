/*
 * journal_lane.c - the lane: takes requests from its endpoint, writes batches, answers, hands over.
 *
 *   rings --bus_poll--> waiting FIFO --gather--> batch
 *   batch --pwritev--> parts answered --fdatasync--> durable ones answered --> on_batch (applier)
 *
 * - A batch is given out whole, after its flush, in order; at most JOURNAL_BATCHES are out.
 * - While the applier is behind (rule 1.8) nothing is taken from the rings and nothing is gathered; requests
 *   wait in the rings, whose bound is the sender's.
 * - The waiting FIFO is polled into only while a whole bus_poll fits: nothing is allocated per request.
 * - A request is answered exactly once: by the lane (refusal, part, durable) or by the applier (visible).
 * - Bodies are released by the applier's thread in journal_batch_done, which then sets the batch's bit in
 *   `returned`.
 */
#include "journal_priv.h"

#include <errno.h>
#include <signal.h>

#include "ms/obs.h"

#define WAITING_MAX 1024 /* power of two */
#define FLAGS_KNOWN (JOURNAL_F_ACK_DURABLE | JOURNAL_F_RELIEF | JOURNAL_F_PART | JOURNAL_F_ENDS_STREAM)
_Static_assert(JOURNAL_BATCHES == 64, "one bit each in `returned`");

struct journal_lane {
    struct journal *j;
    struct bus_ep *ep;
    journal_batch_fn *on_batch;
    void *owner;
    pthread_t thread;
    bool running;
    atomic_bool stop;
    _Atomic int refusal; /* enum ms_err; MS_OK: open */

    struct bus_msg waiting[WAITING_MAX];
    unsigned head;
    unsigned tail;

    struct journal_batch *batches; /* JOURNAL_BATCHES */
    uint64_t free_mask;
    uint64_t out_bytes;
    uint64_t out_ops;
    _Atomic uint64_t returned;
    /* asleep because of lag: on `wake`, not on the endpoint, which would return at once for what waits there
     */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_bool lagging;
};

/* -- answers ---------------------------------------------------------------------------------- */

static void answer(struct journal_lane *l, unsigned to, uint64_t id, enum ms_err err, uint64_t position)
{
    struct bus_msg reply = {.kind = JOURNAL_MSG_APPENDED, .id = id, .a = {(uint64_t)err, position}};
    bus_reply(l->ep, l->ep, to, &reply);
}

static void refuse(struct journal_lane *l, struct bus_msg *msg, enum ms_err err)
{
    mbuf_unref_chain(&msg->body);
    atomic_fetch_add_explicit(&l->j->counts.refused, 1, memory_order_relaxed);
    obs_count(MET_JOURNAL_REFUSED, 1);
    answer(l, msg->from, msg->id, err, 0);
}

/* MS_OK: new work is taken. */
static enum ms_err refusal_now(struct journal_lane *l)
{
    if (atomic_load(&l->j->state) == JOURNAL_FAILED)
        return MS_EOFFLINE;
    return (enum ms_err)atomic_load(&l->refusal);
}

static void on_append(void *owner, const struct bus_msg *msg)
{
    struct journal_lane *l = owner;
    MS_ASSERT(l->tail - l->head < WAITING_MAX);
    l->waiting[l->tail++ % WAITING_MAX] = *msg;
}

static void on_abort(void *owner, const struct bus_msg *msg)
{
    struct journal_lane *l = owner;
    struct mbuf *body = msg->body;
    journal__stream_abort(l->j->streams, msg->a[0]);
    mbuf_unref_chain(&body);
}

/* -- what comes back from the applier --------------------------------------------------------- */

static void collect(struct journal_lane *l)
{
    uint64_t mask = atomic_exchange(&l->returned, 0);
    l->free_mask |= mask;
    while (mask != 0) {
        struct journal_batch *b = &l->batches[__builtin_ctzll(mask)];
        mask &= mask - 1;
        l->out_bytes -= b->bytes;
        l->out_ops -= b->count;
        for (unsigned i = 0; i < b->count; i++) {
            if (b->entries[i].flags & JOURNAL_F_ENDS_STREAM)
                journal__stream_applied(l->j->streams, b->entries[i].stream);
        }
    }
}

static bool is_behind(const struct journal_lane *l)
{
    return l->free_mask == 0 || l->out_bytes > JOURNAL_LAG_BYTES || l->out_ops > JOURNAL_LAG_OPS;
}

static void wait_for_applier(struct journal_lane *l)
{
    atomic_fetch_add_explicit(&l->j->counts.lag_waits, 1, memory_order_relaxed);
    obs_count(MET_JOURNAL_LAG_WAITS, 1);
    pthread_mutex_lock(&l->lock);
    atomic_store(&l->lagging, true);
    while (atomic_load(&l->returned) == 0 && refusal_now(l) == MS_OK)
        pthread_cond_wait(&l->wake, &l->lock);
    atomic_store(&l->lagging, false);
    pthread_mutex_unlock(&l->lock);
}

/* Any thread. The lock is taken only when the lane sleeps, or is about to. */
static void wake_lagging(struct journal_lane *l)
{
    if (!atomic_load(&l->lagging))
        return;
    pthread_mutex_lock(&l->lock);
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->lock);
}

void journal_batch_done(struct journal *j, struct journal_batch *batch)
{
    struct journal_lane *l = j->lane;
    bool ends_stream = false;
    for (unsigned i = 0; i < batch->count; i++) {
        mbuf_unref_chain(&batch->entries[i].body);
        ends_stream = ends_stream || (batch->entries[i].flags & JOURNAL_F_ENDS_STREAM);
    }
    atomic_fetch_or(&l->returned, (uint64_t)1 << batch->index);
    wake_lagging(l);
    if (ends_stream) /* unpins segments: must not wait for the next request */
        bus_wake(l->ep);
}

/* -- gathering -------------------------------------------------------------------------------- */

static enum ms_err check_part(struct journal_lane *l, const struct bus_msg *msg)
{
    if ((uint16_t)msg->a[0] != JOURNAL_REC_PART || msg->a[2] > JOURNAL_PART_PREFIX + JOURNAL_PART_BYTES ||
        msg->body == NULL || msg->body->len < JOURNAL_PART_PREFIX)
        return MS_EINVAL;
    const uint8_t *prefix = mbuf_data(msg->body);
    if (ms_get_le64(prefix) != msg->a[3])
        return MS_EINVAL;
    return journal__stream_check_part(l->j->streams, msg->a[3], ms_get_le32(prefix + 8));
}

/* What never can be written, whatever the room. */
static enum ms_err check_request(struct journal_lane *l, const struct bus_msg *msg, size_t *pieces_out)
{
    uint16_t kind = (uint16_t)msg->a[0];
    uint64_t bytes = 0;
    size_t pieces = 0;
    for (const struct mbuf *piece = msg->body; piece != NULL; piece = piece->next) {
        bytes += piece->len;
        pieces++;
    }
    *pieces_out = pieces;
    if (msg->a[2] > JOURNAL_PAYLOAD_MAX || pieces > JOURNAL_PIECES_MAX)
        return MS_ELIMIT;
    if (bytes != msg->a[2] || (msg->flags & ~FLAGS_KNOWN) != 0 || kind == 0)
        return MS_EINVAL;
    if (msg->flags & JOURNAL_F_PART)
        return check_part(l, msg);
    if (kind == JOURNAL_REC_PART || kind == JOURNAL_REC_RECOVERED)
        return MS_EINVAL;
    return msg->flags & JOURNAL_F_ENDS_STREAM ? journal__stream_check_end(l->j->streams, msg->a[3]) : MS_OK;
}

static void take_into(struct journal_lane *l, struct journal_batch *b, const struct bus_msg *msg)
{
    struct journal_batch_entry *e = &b->entries[b->count++];
    struct journal_record_header h = {
        .kind = (uint16_t)msg->a[0],
        .version = (uint16_t)(msg->a[0] >> 16),
        .payload_crc = (uint32_t)msg->a[1],
    };
    *e = (struct journal_batch_entry){
        .body = msg->body, .request = msg->id, .stream = msg->a[3], .from = msg->from, .flags = msg->flags};
    journal__out_add(l->j, h, (size_t)msg->a[2], msg->body, &e->rec);
    if (msg->flags & JOURNAL_F_PART)
        journal__stream_add_part(l->j->streams, msg->a[3], e->rec.position);
    if (msg->flags & JOURNAL_F_ENDS_STREAM)
        journal__stream_set_ending(l->j->streams, msg->a[3]);
}

/* From the FIFO into a batch, in order, until something does not fit. What is refused is answered here. */
static struct journal_batch *gather(struct journal_lane *l)
{
    struct journal *j = l->j;
    struct journal_batch *b = &l->batches[__builtin_ctzll(l->free_mask)];
    b->count = 0;
    while (l->head != l->tail && b->count < JOURNAL_BATCH_OPS) {
        struct bus_msg *msg = &l->waiting[l->head % WAITING_MAX];
        size_t pieces;
        enum ms_err err = check_request(l, msg, &pieces);
        if (err == MS_OK && b->count == 0) {
            err = journal__out_prepare(j, (size_t)msg->a[2], (msg->flags & JOURNAL_F_RELIEF) != 0, NULL);
            if (err == MS_OK)
                journal__out_begin(j);
        } else if (err == MS_OK && !(msg->flags & JOURNAL_F_RELIEF) && journal__on_reserve(j)) {
            err = MS_ENOSPC;
        } else if (err == MS_OK && !journal__out_fits(j, (size_t)msg->a[2], pieces)) {
            break;
        }
        l->head++;
        if (err == MS_OK)
            take_into(l, b, msg);
        else
            refuse(l, msg, err);
    }
    return b->count > 0 ? b : NULL;
}

/* -- one batch -------------------------------------------------------------------------------- */

static void answer_all(struct journal_lane *l, struct journal_batch *b, uint16_t flag, enum ms_err err)
{
    for (unsigned i = 0; i < b->count; i++) {
        struct journal_batch_entry *e = &b->entries[i];
        if (e->answered || (flag != 0 && !(e->flags & flag)))
            continue;
        e->answered = true;
        answer(l, e->from, e->request, err, err == MS_OK ? e->rec.position : 0);
    }
}

/* Written or not, durable or not: nobody knows before the next recovery (rule 1.7). */
static void give_up(struct journal_lane *l, struct journal_batch *b)
{
    answer_all(l, b, 0, MS_EUNKNOWN);
    for (unsigned i = 0; i < b->count; i++)
        mbuf_unref_chain(&b->entries[i].body);
    b->count = 0;
}

static void run_batch(struct journal_lane *l, struct journal_batch *b)
{
    struct journal *j = l->j;
    if (journal__out_write(j) != MS_OK) {
        give_up(l, b);
        return;
    }
    answer_all(l, b, JOURNAL_F_PART, MS_OK);
    if (journal__out_flush(j) != MS_OK) {
        give_up(l, b);
        return;
    }
    const struct journal_record *last = &b->entries[b->count - 1].rec;
    b->bytes = (size_t)(last->end - b->entries[0].rec.position);
    b->mark = (struct journal_mark){last->end, last->epoch, last->crc};
    obs_count(MET_JOURNAL_BATCHES, 1);
    obs_count(MET_JOURNAL_RECORDS, b->count);
    obs_count(MET_JOURNAL_BYTES, b->bytes);
    l->free_mask &= ~((uint64_t)1 << b->index);
    l->out_bytes += b->bytes;
    l->out_ops += b->count;
    answer_all(l, b, JOURNAL_F_ACK_DURABLE, MS_OK);
    l->on_batch(l->owner, b);
}

/* -- the thread ------------------------------------------------------------------------------- */

static void refuse_waiting(struct journal_lane *l, enum ms_err err)
{
    while (l->head != l->tail)
        refuse(l, &l->waiting[l->head++ % WAITING_MAX], err);
}

static void *lane_main(void *arg)
{
    struct journal_lane *l = arg;
    pthread_setname_np(pthread_self(), "journal-lane");
    for (;;) {
        collect(l);
        bool stop = atomic_load(&l->stop);
        enum ms_err refusal = refusal_now(l);
        if (refusal == MS_OK && is_behind(l)) {
            wait_for_applier(l);
            continue;
        }
        unsigned polled = 0;
        if (WAITING_MAX - (l->tail - l->head) >= BUS_DRAIN_MAX)
            polled = bus_poll(l->ep);
        if (refusal != MS_OK) {
            refuse_waiting(l, refusal);
        } else if (l->head != l->tail) {
            struct journal_batch *b = gather(l);
            if (b != NULL)
                run_batch(l, b);
            continue;
        }
        if (polled == 0 && stop)
            break;
        if (polled == 0)
            bus_wait(l->ep, -1);
    }
    return NULL;
}

enum ms_err journal__lane_start(struct journal *j, struct bus_ep *ep, journal_batch_fn *on_batch, void *owner,
                                struct ms_errinfo *why_out)
{
    struct journal_lane *l = ms_new(struct journal_lane);
    sigset_t all, before;
    l->j = j;
    l->ep = ep;
    l->on_batch = on_batch;
    l->owner = owner;
    l->batches = ms_alloc_array(JOURNAL_BATCHES, sizeof(*l->batches));
    l->free_mask = UINT64_MAX;
    for (unsigned i = 0; i < JOURNAL_BATCHES; i++)
        l->batches[i].index = i;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->wake, NULL);
    j->lane = l;
    bus_on(ep, JOURNAL_MSG_APPEND, on_append, l);
    bus_on(ep, JOURNAL_MSG_STREAM_ABORT, on_abort, l);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&l->thread, NULL, lane_main, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err != 0)
        return ms_fail_errno(why_out, err, "thread");
    l->running = true;
    return MS_OK;
}

void journal__lane_stop(struct journal *j)
{
    struct journal_lane *l = j->lane;
    if (l == NULL || !l->running)
        return;
    atomic_store(&l->stop, true);
    bus_wake(l->ep);
    pthread_join(l->thread, NULL);
    l->running = false;
}

void journal_set_admission(struct journal *j, bool open, enum ms_err refusal)
{
    struct journal_lane *l = j->lane;
    MS_ASSERT(open || refusal != MS_OK);
    atomic_store(&l->refusal, open ? MS_OK : (int)refusal);
    wake_lagging(l);
    bus_wake(l->ep);
}

void journal__lane_fini(struct journal *j)
{
    struct journal_lane *l = j->lane;
    if (l == NULL)
        return;
    for (unsigned i = 0; i < JOURNAL_BATCHES; i++) { /* handed over and never returned */
        for (unsigned k = 0; k < l->batches[i].count; k++)
            mbuf_unref_chain(&l->batches[i].entries[k].body);
    }
    pthread_cond_destroy(&l->wake);
    pthread_mutex_destroy(&l->lock);
    ms_free(l->batches);
    ms_free(l);
    j->lane = NULL;
}
