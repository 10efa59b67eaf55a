/*
 * dispatch_loop.c - the half that lives on a worker loop: opens workers, hands descriptors to them, counts
 * sessions.
 */
#include "dispatch_priv.h"

#include <unistd.h>

static struct bus_ep *control_ep(const struct dispatch_lane *lane)
{
    return lane->dispatch->ep;
}

static void lane_reply(struct dispatch_lane *lane, const struct bus_msg *msg)
{
    struct bus_msg reply = {.kind = DISPATCH_MSG_TAKEN, .id = msg->id, .a = {msg->a[0], msg->kind}};
    bus_reply(lane->ep, lane->ep, msg->from, &reply);
}

static void on_worker(void *owner, const struct bus_msg *msg)
{
    struct dispatch_lane *lane = owner;
    struct dispatch_worker *w = dispatch__worker(lane->dispatch, msg->a[0]);
    w->draining = false;
    w->impl = w->service->proto->worker_open(w->service->env, w, lane->loop, &w->conf, w->service->name);
    lane_reply(lane, msg);
}

static void on_handoff(void *owner, const struct bus_msg *msg)
{
    struct dispatch_lane *lane = owner;
    struct dispatch_worker *w = dispatch__worker(lane->dispatch, msg->a[0]);
    struct mbuf *body = msg->body;
    struct net_addr peer;
    MS_ASSERT(body && body->len == sizeof peer);
    memcpy(&peer, mbuf_data(body), sizeof peer);
    mbuf_unref(&body);
    /* Counted before the reply takes it out of `pending`: the control thread may see it twice for a moment,
     * never not at all. */
    atomic_fetch_add_explicit(&w->active, 1, memory_order_relaxed);
    lane_reply(lane, msg);
    w->service->proto->session_open(w->impl, (int)msg->a[1], &peer, msg->a[2]);
}

static void worker_close_if_empty(struct dispatch_worker *w)
{
    if (w->draining && w->impl && atomic_load_explicit(&w->active, memory_order_relaxed) == 0) {
        w->service->proto->worker_close(w->impl);
        w->impl = NULL;
        atomic_store_explicit(&w->has_ended, true,
                              memory_order_release); /* the slot is the control thread's again */
    }
}

static void on_drain(void *owner, const struct bus_msg *msg)
{
    struct dispatch_lane *lane = owner;
    struct dispatch_worker *w = dispatch__worker(lane->dispatch, msg->a[0]);
    w->draining = true;
    if (w->impl) /* else it has retired meanwhile */
        w->service->proto->worker_drain(w->impl);
    worker_close_if_empty(w);
    lane_reply(lane, msg);
}

/* It came behind all hand-offs to this worker. Sessions go on as long as they like. */
static void on_retire(void *owner, const struct bus_msg *msg)
{
    struct dispatch_lane *lane = owner;
    struct dispatch_worker *w = dispatch__worker(lane->dispatch, msg->a[0]);
    w->draining = true;
    worker_close_if_empty(w);
    lane_reply(lane, msg);
}

/* A session that is told to go stays in its list until the end of the turn. */
static bool on_each(void *owner, const struct dispatch_session_view *view)
{
    struct dispatch_worker *w = owner;
    (void)w->service->proto->session_kick(w->impl, view->session, "the server was told to end this session");
    return true;
}

static void on_kill(void *owner, const struct bus_msg *msg)
{
    struct dispatch_lane *lane = owner;
    struct dispatch_worker *w = dispatch__worker(lane->dispatch, msg->a[0]);
    const struct service_proto *proto = w->service->proto;
    w->draining = true;
    if (w->impl)
        proto->worker_drain(w->impl);
    if (w->impl && proto->session_each && proto->session_kick)
        proto->session_each(w->impl, 0, on_each, w);
    worker_close_if_empty(w);
    lane_reply(lane, msg);
}

/* -- sessions that have ended: each is told, for the control thread counts them */
static bool note_closed(struct dispatch_lane *lane, uint64_t session)
{
    struct bus_msg note = {.kind = DISPATCH_NOTE_CLOSED, .a = {0, session}};
    return bus_note(lane->ep, control_ep(lane), &note);
}

static void on_resend(struct loop_timer *timer)
{
    struct dispatch_lane *lane = MS_CONTAINER_OF(timer, struct dispatch_lane, resend);
    while (lane->unsent_count && note_closed(lane, lane->unsent[lane->unsent_count - 1]))
        lane->unsent_count--;
    if (lane->unsent_count)
        loop_timer_start(lane->loop, timer, DISPATCH_RESEND_MS, on_resend);
}

static void tell_later(struct dispatch_lane *lane, uint64_t session)
{
    if (lane->unsent_count == lane->unsent_cap) {
        lane->unsent_cap = MS_MAX(2 * lane->unsent_cap, (size_t)64);
        lane->unsent = ms_realloc_array(lane->unsent, lane->unsent_cap, sizeof(*lane->unsent));
    }
    lane->unsent[lane->unsent_count++] = session;
    if (!loop_timer_is_running(&lane->resend))
        loop_timer_start(lane->loop, &lane->resend, DISPATCH_RESEND_MS, on_resend);
}

void dispatch_session_closed(struct dispatch_worker *w, uint64_t session)
{
    struct dispatch_lane *lane = w->lane;
    MS_ASSERT(loop_is_home(lane->loop));
    atomic_fetch_add_explicit(&w->closed, 1, memory_order_relaxed);
    uint64_t before = atomic_fetch_sub_explicit(&w->active, 1, memory_order_relaxed);
    MS_ASSERT(before > 0);
    worker_close_if_empty(w); /* the slot may be another worker's from here on */
    if (!note_closed(lane, session))
        tell_later(lane, session);
}

void dispatch__lane_fini(struct dispatch_lane *lane)
{
    loop_timer_stop(lane->loop, &lane->resend);
    ms_free(lane->unsent);
}

void dispatch__lane_init(struct dispatch_lane *lane)
{
    bus_on(lane->ep, DISPATCH_MSG_WORKER, on_worker, lane);
    bus_on(lane->ep, DISPATCH_MSG_HANDOFF, on_handoff, lane);
    bus_on(lane->ep, DISPATCH_MSG_DRAIN, on_drain, lane);
    bus_on(lane->ep, DISPATCH_MSG_RETIRE, on_retire, lane);
    bus_on(lane->ep, DISPATCH_MSG_KILL, on_kill, lane);
    dispatch__sessions_lane_init(lane);
}
