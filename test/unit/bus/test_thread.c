/*
 * The whole pattern under load: loops call a lane; the lane answers some calls itself and passes the others
 * on to an applier, which answers them; the applier sends notes to the loops. Every call is answered exactly
 * once, in credit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "ms/bus.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define CALLS 40000
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define CALLS 40000
#endif
#endif
#ifndef CALLS
#define CALLS 700000
#endif

#define LOOPS     3
#define SLOTS     64
#define IN_FLIGHT 100 /* sessions per loop, more than slots: some always wait */

#define K_ASK  BUS_KIND(3, 3, 1)
#define K_TELL BUS_KIND(3, 3, 2)
#define K_PASS BUS_KIND(3, 3, 3)
#define K_FEED BUS_KIND(3, 3, 4)
#define K_DONE BUS_KIND(3, 3, 5)

struct worker;

struct session {
    struct bus_waiter waiter;
    struct worker *worker;
    bool asking;
};

struct worker {
    struct loop *loop;
    struct bus_ep *ep;
    struct session sessions[IN_FLIGHT];
    unsigned begun, answered, waited, outstanding;
    uint64_t fed, overflows;
};

static struct bus *bus;
static struct worker workers[LOOPS];
static struct bus_ep *lane, *applier;
static atomic_bool ends;
static atomic_uint failures; /* cmocka's asserts belong to the main thread */
static uint64_t lane_calls, applier_calls;

static void must(bool ok)
{
    if (!ok)
        atomic_fetch_add(&failures, 1);
}

static void ask(struct session *s)
{
    struct worker *w = s->worker;

    if (w->begun == CALLS)
        return;
    uint64_t n = (uint64_t)(s - w->sessions);
    struct bus_msg msg = {.kind = K_ASK, .id = n, .a = {n * 7, w->begun}};
    if (w->begun % 16 == 0)
        msg.body = mbuf_from(SLICE_LIT("body"));
    must(!s->asking);
    if (bus_call(w->ep, lane, &msg) == MS_OK) {
        must(w->outstanding < SLOTS);
        w->outstanding++;
        w->begun++;
        s->asking = true;
        return;
    }
    must(w->outstanding >= SLOTS - 1); /* the one whose reply is being handled gave its credit back already */
    mbuf_unref_chain(&msg.body);
    w->waited++;
    bus_wait_space(w->ep, lane, &s->waiter);
}

static void on_space(void *owner)
{
    struct session *s = owner;
    s->worker->outstanding--; /* the reply that made room is handled next */
    ask(s);
    s->worker->outstanding++;
}

static void on_tell(void *owner, const struct bus_msg *msg)
{
    struct worker *w = owner;
    struct session *s = &w->sessions[msg->id];

    must(loop_is_home(w->loop) && s->asking && msg->a[0] == msg->id * 7);
    s->asking = false;
    w->outstanding--;
    w->answered++;
    if (w->answered == CALLS)
        loop_stop(w->loop);
    else
        ask(s);
}

static void on_feed(void *owner, const struct bus_msg *msg)
{
    struct worker *w = owner;
    w->fed++;
}

static void on_feed_overflow(void *owner)
{
    struct worker *w = owner;
    w->overflows++;
}

static void on_lane_ask(void *owner, const struct bus_msg *msg)
{
    struct mbuf *body = msg->body;

    lane_calls++;
    must(!body || slice_eq(mbuf_slice(body), SLICE_LIT("body")));
    mbuf_unref_chain(&body);
    /* The applier is a call away; its ring bounds how far the lane may run ahead, then the lane answers
     * itself. */
    struct bus_msg pass = {.kind = K_PASS, .id = msg->id, .a = {msg->a[0], msg->from}};
    if (msg->a[1] % 3 != 0 && bus_call(lane, applier, &pass) == MS_OK)
        return;
    struct bus_msg reply = {.kind = K_TELL, .id = msg->id, .a = {msg->a[0]}};
    bus_reply(lane, lane, msg->from, &reply);
}

static void on_pass(void *owner, const struct bus_msg *msg)
{
    struct bus_msg reply = {.kind = K_TELL, .id = msg->id, .a = {msg->a[0]}};
    struct bus_msg done = {.kind = K_DONE, .id = msg->id};
    struct bus_msg feed = {.kind = K_FEED};

    applier_calls++;
    bus_reply(applier, lane, (unsigned)msg->a[1], &reply);
    bus_reply(applier, applier, msg->from, &done);
    bus_note(applier, workers[applier_calls % LOOPS].ep, &feed);
}

static void on_done(void *owner, const struct bus_msg *msg)
{
}

static void *plain_main(void *arg)
{
    struct bus_ep *ep = arg;

    while (!atomic_load(&ends)) {
        if (bus_poll(ep) == 0)
            bus_wait(ep, -1);
    }
    return NULL;
}

static void begin_on_loop(struct loop_hook *hook);

static struct loop_hook begin_hooks[LOOPS];

static void begin_on_loop(struct loop_hook *hook)
{
    struct worker *w = &workers[hook - begin_hooks];
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        ask(&w->sessions[i]);
}

static void wire(void)
{
    bus = bus_create();
    lane = bus_ep_create(bus, "lane", NULL);
    applier = bus_ep_create(bus, "applier", NULL);
    bus_on(lane, K_ASK, on_lane_ask, NULL);
    bus_on(lane, K_DONE, on_done, NULL);
    bus_on(applier, K_PASS, on_pass, NULL);
    bus_link(bus, lane, applier, 32);
    for (unsigned i = 0; i < LOOPS; i++) {
        struct worker *w = &workers[i];
        w->loop = loop_create(i, "loop");
        w->ep = bus_ep_create(bus, "loop", w->loop);
        bus_on(w->ep, K_TELL, on_tell, w);
        bus_on(w->ep, K_FEED, on_feed, w);
        bus_link(bus, w->ep, lane, SLOTS);
        bus_link_reply(bus, w->ep, applier, lane);
        bus_note_link(bus, applier, w->ep, 256, on_feed_overflow, w);
        for (unsigned s = 0; s < IN_FLIGHT; s++) {
            w->sessions[s].worker = w;
            w->sessions[s].waiter = (struct bus_waiter){.fn = on_space, .owner = &w->sessions[s]};
        }
        loop_hook_arm(w->loop, &begin_hooks[i], begin_on_loop);
    }
}

static void test_everything_is_answered(void **state)
{
    pthread_t lane_thread, applier_thread;
    uint64_t fed = 0;

    wire();
    pthread_create(&lane_thread, NULL, plain_main, lane);
    pthread_create(&applier_thread, NULL, plain_main, applier);
    for (unsigned i = 0; i < LOOPS; i++)
        assert_int_equal(loop_start(workers[i].loop, NULL), MS_OK);
    for (unsigned i = 0; i < LOOPS; i++)
        loop_join(workers[i].loop);
    atomic_store(&ends, true);
    bus_wake(lane);
    bus_wake(applier);
    pthread_join(lane_thread, NULL);
    pthread_join(applier_thread, NULL);
    assert_int_equal(atomic_load(&failures), 0);
    for (unsigned i = 0; i < LOOPS; i++) {
        assert_int_equal(workers[i].begun, CALLS);
        assert_int_equal(workers[i].answered, CALLS);
        assert_int_equal(workers[i].outstanding, 0);
        assert_true(workers[i].waited > 0);
        assert_int_equal(bus_call_room(workers[i].ep, lane), SLOTS);
        fed += workers[i].fed;
    }
    assert_int_equal(lane_calls, (uint64_t)LOOPS * CALLS);
    assert_true(applier_calls > 0);
    assert_true(fed > 0 && fed <= applier_calls);
    for (unsigned i = 0; i < LOOPS; i++)
        loop_destroy(&workers[i].loop);
    bus_destroy(&bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_is_answered),
    };
    return cmocka_run_group_tests_name("bus thread", tests, NULL, NULL);
}
