/*
 * part_client.c - a loop's side of a partition: posts, replies, waiting for room.
 *
 * A request's id is its slot and the slot's generation; the slot is taken until the reply came, also when the
 * caller has forgotten it. Bytes in flight are counted from the post to the reply, over all loops; they are
 * given back here, on the loop that posted, so a loop that waits without a request of its own outstanding
 * hears of nothing: it looks again by a timer.
 */
#include "part_priv.h"

#define RETRY_MS 8
#define NO_CALL  PART_CALLS

static void run_waiters(struct part_client *c);

struct part_client *part_client_create(struct partition *p, struct loop *loop)
{
    MS_ASSERT(part__state(p) < PART_ST_SERVING && p->client_count < PART_LOOPS_MAX &&
              !part_client_of(p, loop));
    struct part_client *c = ms_new(struct part_client);
    c->p = p;
    c->loop = loop;
    c->number = p->client_count;
    c->watched = ms_alloc_array(PART_WATCH_BUCKETS, sizeof(c->watched[0]));
    list_init(&c->waiters);
    list_init(&c->bodies);
    for (uint32_t i = 0; i < PART_CALLS; i++)
        c->calls[i].next_free = i + 1;
    p->clients[p->client_count++] = c;
    return c;
}

struct part_client *part_client_of(struct partition *p, const struct loop *loop)
{
    for (unsigned i = 0; i < p->client_count; i++)
        if (p->clients[i]->loop == loop)
            return p->clients[i];
    return NULL;
}

struct partition *part_client_partition(struct part_client *c)
{
    return c->p;
}

void part__client_destroy(struct part_client *c)
{
    part__hub_leave(c);
    for (unsigned i = 0; i < PART_CALLS; i++)
        ms_free(c->calls[i].more_streams);
    if (loop_is_home(c->loop)) /* else it does not run any more */
        loop_timer_stop(c->loop, &c->retry);
    part__bodies_free(c);
    ms_free(c->watched);
    ms_free(c->aborts);
    ms_free(c);
}

/* -- room ----------------------------------------------------------------------------------------- */

/* One record larger than the bound goes alone. */
static bool inflight_has_room(const struct partition *p, size_t bytes)
{
    uint64_t now = atomic_load_explicit(&p->inflight, memory_order_relaxed);
    return now == 0 || now + bytes <= PART_INFLIGHT_BYTES;
}

static bool inflight_take(struct partition *p, size_t bytes)
{
    uint64_t now = atomic_load_explicit(&p->inflight, memory_order_relaxed);
    do {
        if (now != 0 && now + bytes > PART_INFLIGHT_BYTES)
            return false;
    } while (!atomic_compare_exchange_weak(&p->inflight, &now, now + bytes));
    return true;
}

bool part__client_has_room(const struct part_client *c, size_t bytes)
{
    return c->free_call != NO_CALL && inflight_has_room(c->p, bytes);
}

static void on_retry(struct loop_timer *timer)
{
    struct part_client *c = MS_CONTAINER_OF(timer, struct part_client, retry);
    size_t n = c->abort_count;
    c->abort_count = 0; /* what does not get through comes back */
    for (size_t i = 0; i < n; i++)
        part__client_abort_stream(c, c->aborts[i]);
    run_waiters(c);
}

static void retry_later(struct part_client *c)
{
    if (!loop_timer_is_running(&c->retry))
        loop_timer_start(c->loop, &c->retry, RETRY_MS, on_retry);
}

/* In order, those who wait now, while there is room; who registers again meanwhile stands behind them. */
static void run_waiters(struct part_client *c)
{
    struct list marker;
    if (list_is_empty(&c->waiters))
        return;
    list_init(&marker);
    list_push_back(&c->waiters, &marker);
    while (c->waiters.next != &marker && part__client_has_room(c, 1)) {
        struct bus_waiter *w = LIST_ENTRY(list_pop_front(&c->waiters), struct bus_waiter, node);
        w->fn(w->owner);
    }
    list_remove(&marker);
    if (!list_is_empty(&c->waiters))
        retry_later(c);
}

void part_wait_room(struct part_client *c, struct bus_waiter *waiter)
{
    MS_ASSERT(loop_is_home(c->loop) && waiter->fn && (!waiter->node.next || !list_is_linked(&waiter->node)));
    list_push_back(&c->waiters, &waiter->node);
    retry_later(c);
}

/* -- calls ---------------------------------------------------------------------------------------- */

enum ms_err part__client_send(struct part_client *c, struct bus_msg *msg, size_t bytes, part_done_fn *done,
                              void *owner, uint64_t *request_out)
{
    MS_ASSERT(loop_is_home(c->loop) && c->ep);
    if (c->free_call == NO_CALL || !inflight_take(c->p, bytes))
        return MS_EFULL;
    uint32_t slot = c->free_call;
    struct part__call *call = &c->calls[slot];
    msg->kind = JOURNAL_MSG_APPEND;
    msg->id = (uint64_t)(call->generation + 1) << 16 | slot;
    enum ms_err err = bus_call(c->ep, c->p->applier.lane_ep, msg);
    if (err) {
        atomic_fetch_sub(&c->p->inflight, bytes);
        return err;
    }
    c->free_call = call->next_free;
    call->done = done;
    call->owner = owner;
    call->stream = msg->flags & JOURNAL_F_ENDS_STREAM ? msg->a[3] : 0;
    call->bytes = (uint32_t)bytes;
    call->generation++;
    call->used = true;
    *request_out = msg->id;
    return MS_OK;
}

static struct part__call *call_of(struct part_client *c, uint64_t request)
{
    struct part__call *call = &c->calls[request & 0xFFFF];
    MS_ASSERT((request & 0xFFFF) < PART_CALLS);
    return call->used && call->generation == request >> 16 ? call : NULL;
}

void part_forget(struct part_client *c, uint64_t request)
{
    MS_ASSERT(loop_is_home(c->loop));
    struct part__call *call = call_of(c, request);
    if (call)
        call->done = NULL;
}

static struct slice result_of(const struct bus_msg *msg)
{
    if (msg->kind != PART_MSG_DONE)
        return slice_make(NULL, 0);
    return msg->body ? mbuf_slice(msg->body) : slice_make(&msg->a[2], msg->flags);
}

/* Visible, or refused: nothing needs their pins any more. With an unknown outcome the log may hold the op,
 * and they stay. */
static void let_go_streams(struct part_client *c, const struct part__call *was, enum ms_err err)
{
    for (size_t i = 0; i < was->more_stream_count && err != MS_EUNKNOWN; i++)
        part__client_abort_stream(c, was->more_streams[i]);
    ms_free(was->more_streams);
}

void part__client_on_reply(struct part_client *c, const struct bus_msg *msg)
{
    struct part__call *call = call_of(c, msg->id);
    MS_ASSERT(call);
    const struct part__call was = *call;
    struct mbuf *body = msg->body;
    call->used = false;
    call->more_streams = NULL;
    call->more_stream_count = 0;
    call->next_free = c->free_call;
    c->free_call = (uint32_t)(call - c->calls);
    atomic_fetch_sub(&c->p->inflight, was.bytes);
    let_go_streams(c, &was, (enum ms_err)msg->a[0]);
    if (msg->a[0] &&
        was.stream) /* refused: nothing else will unpin it (no effect when its op is in the log) */
        part__client_abort_stream(c, was.stream);
    if (was.done) {
        const struct part_reply reply = {
            .err = (enum ms_err)msg->a[0], .position = msg->a[1], .result = result_of(msg)};
        was.done(was.owner, msg->id, &reply);
    }
    mbuf_unref_chain(&body);
    run_waiters(c);
}

void part__client_abort_stream(struct part_client *c, uint64_t stream)
{
    struct bus_msg msg = {.kind = JOURNAL_MSG_STREAM_ABORT, .a = {stream}};
    if (part__state(c->p) != PART_ST_SERVING)
        return; /* pins end with the process */
    if (bus_note(c->ep, c->p->applier.lane_ep, &msg))
        return;
    part__grow((void **)&c->aborts, &c->abort_cap, c->abort_count, sizeof(c->aborts[0]));
    c->aborts[c->abort_count++] = stream;
    retry_later(c);
}

/* -- posts ---------------------------------------------------------------------------------------- */

static uint32_t chain_crc(const struct mbuf *chain)
{
    uint32_t crc = 0;
    for (; chain; chain = chain->next)
        crc = crc32c_add(crc, chain->bytes + chain->off, chain->len);
    return crc;
}

static enum ms_err check_post(const struct part_client *c, const struct part_rec *rec, size_t bytes)
{
    if (str_is_over(&rec->meta) || bytes > JOURNAL_PAYLOAD_MAX)
        return MS_ELIMIT;
    if (!partition_is_serving(c->p))
        return MS_EOFFLINE;
    if (!rec->relief && atomic_load_explicit(&c->p->low_space, memory_order_relaxed))
        return MS_ENOSPC;
    return part__client_has_room(c, bytes) ? MS_OK : MS_EFULL;
}

enum ms_err part_post(struct part_client *c, struct part_rec *rec, part_done_fn *done, void *owner,
                      uint64_t *request_out)
{
    size_t bytes = rec->meta.len + mbuf_chain_bytes(rec->body);
    MS_TRY(check_post(c, rec, bytes));
    part__rec_finish(rec);
    struct mbuf *head = mbuf_from(str_slice(&rec->meta));
    head->next = rec->body;
    struct bus_msg msg = {.body = head,
                          .a = {JOURNAL_REC_USER | 1u << 16, chain_crc(head), bytes, rec->stream},
                          .flags = (uint16_t)((rec->ack_durable ? JOURNAL_F_ACK_DURABLE : 0) |
                                              (rec->relief ? JOURNAL_F_RELIEF : 0) |
                                              (rec->stream ? JOURNAL_F_ENDS_STREAM : 0))};
    enum ms_err err = part__client_send(c, &msg, bytes, done, owner, request_out);
    if (err) {
        head->next = NULL;
        mbuf_unref(&head);
        return err;
    }
    call_of(c, *request_out)->more_streams = rec->more_streams;
    call_of(c, *request_out)->more_stream_count = rec->more_stream_count;
    part__rec_reset(rec);
    return MS_OK;
}
