/* Calls, replies, credits and waiters between virtual loops on one thread: every step is visible. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "ms/bus.h"

#define K_ASK  BUS_KIND(3, 1, 1)
#define K_TELL BUS_KIND(3, 1, 2)

struct world {
    struct bus *bus;
    struct loop *loop[3]; /* caller, lane, applier */
    struct bus_ep *ep[3];
    struct bus_msg asked[64];
    unsigned asked_count;
    unsigned told_count;
    uint64_t told_sum;
    unsigned told_from[3];
    bool lane_answers;
    char order[64];
    unsigned order_len;
    unsigned calls_in_reply; /* calls the reply handler still makes */
};

static void call(struct world *w, uint64_t id, enum ms_err want)
{
    struct bus_msg msg = {.kind = K_ASK, .id = id, .a = {id * 2}};
    assert_int_equal(bus_call(w->ep[0], w->ep[1], &msg), want);
}

static void answer(struct world *w, unsigned answerer, const struct bus_msg *request)
{
    struct bus_msg reply = {.kind = K_TELL, .id = request->id, .a = {request->a[0] + 1}};
    bus_reply(w->ep[answerer], w->ep[1], request->from, &reply);
}

static void on_ask(void *owner, const struct bus_msg *msg)
{
    struct world *w = owner;

    assert_int_equal(msg->from, bus_ep_index(w->ep[0]));
    assert_int_equal(msg->a[0], msg->id * 2);
    if (w->lane_answers) {
        answer(w, 1, msg);
        return;
    }
    w->asked[w->asked_count++] = *msg;
}

static void on_tell(void *owner, const struct bus_msg *msg)
{
    struct world *w = owner;

    assert_int_equal(msg->a[0], msg->id * 2 + 1);
    w->told_count++;
    w->told_sum += msg->id;
    w->told_from[msg->from]++;
    if (w->order_len < sizeof(w->order) - 1)
        w->order[w->order_len++] = 'r';
    if (w->calls_in_reply > 0) {
        w->calls_in_reply--;
        call(w, 1000 + w->calls_in_reply, MS_OK);
    }
}

static void world_init(struct world *w, unsigned slots)
{
    static const char *const names[] = {"loop1", "lane", "applier"};

    *w = (struct world){.bus = bus_create()};
    for (unsigned i = 0; i < 3; i++) {
        w->loop[i] = loop_create_virtual(i, names[i], 0);
        w->ep[i] = bus_ep_create(w->bus, names[i], w->loop[i]);
        assert_ptr_equal(bus_ep_of_loop(w->bus, w->loop[i]), w->ep[i]);
        assert_ptr_equal(bus_ep_get(w->bus, i), w->ep[i]);
    }
    bus_on(w->ep[1], K_ASK, on_ask, w);
    bus_on(w->ep[0], K_TELL, on_tell, w);
    bus_link(w->bus, w->ep[0], w->ep[1], slots);
    bus_link_reply(w->bus, w->ep[0], w->ep[2], w->ep[1]);
}

static void world_fini(struct world *w)
{
    for (unsigned i = 0; i < 3; i++)
        loop_destroy(&w->loop[i]);
    bus_destroy(&w->bus);
    assert_null(w->bus);
}

static void test_call_and_reply(void **state)
{
    struct world w;

    world_init(&w, 8);
    w.lane_answers = true;
    assert_int_equal(bus_call_room(w.ep[0], w.ep[1]), 8);
    call(&w, 5, MS_OK);
    assert_int_equal(bus_call_room(w.ep[0], w.ep[1]), 7);
    assert_false(loop_turn(w.loop[0]));
    assert_int_equal(w.told_count, 0);
    loop_turn(w.loop[1]);
    assert_int_equal(w.told_count, 0);
    assert_int_equal(bus_call_room(w.ep[0], w.ep[1]), 7); /* answered, but not yet taken out */
    loop_turn(w.loop[0]);
    assert_int_equal(w.told_count, 1);
    assert_int_equal(w.told_sum, 5);
    assert_int_equal(bus_call_room(w.ep[0], w.ep[1]), 8);
    world_fini(&w);
}

/* Requests that the applier answers instead of the lane, in any order and mixture. */
static void test_reply_via(void **state)
{
    struct world w;

    world_init(&w, 4);
    for (int round = 0; round < 50; round++) {
        for (unsigned i = 0; i < 4; i++)
            call(&w, i, MS_OK);
        call(&w, 9, MS_EFULL);
        loop_turn(w.loop[1]);
        assert_int_equal(w.asked_count, 4);
        call(&w, 9, MS_EFULL); /* the calls' slots are free, the credits are not */
        answer(&w, 2, &w.asked[3]);
        answer(&w, 1, &w.asked[1]);
        answer(&w, 2, &w.asked[0]);
        answer(&w, 2, &w.asked[2]);
        loop_turn(w.loop[0]);
        assert_int_equal(bus_call_room(w.ep[0], w.ep[1]), 4);
        w.asked_count = 0;
    }
    assert_int_equal(w.told_count, 200);
    assert_int_equal(w.told_from[1], 50);
    assert_int_equal(w.told_from[2], 150);
    world_fini(&w);
}

struct waiting {
    struct bus_waiter waiter;
    struct world *w;
    char letter;
    unsigned calls; /* to make when it is its turn */
    unsigned again; /* register again so often */
};

static void on_space(void *owner)
{
    struct waiting *wt = owner;
    struct world *w = wt->w;

    w->order[w->order_len++] = wt->letter;
    for (unsigned i = 0; i < wt->calls; i++)
        call(w, 100, MS_OK);
    if (wt->again > 0) {
        wt->again--;
        bus_wait_space(w->ep[0], w->ep[1], &wt->waiter);
    }
}

static struct waiting waiting_make(struct world *w, char letter, unsigned calls, unsigned again)
{
    return (struct waiting){.w = w, .letter = letter, .calls = calls, .again = again};
}

static void wait_space(struct waiting *wt)
{
    wt->waiter.fn = on_space;
    wt->waiter.owner = wt;
    bus_wait_space(wt->w->ep[0], wt->w->ep[1], &wt->waiter);
}

static void test_waiters(void **state)
{
    struct world w;

    world_init(&w, 2);
    struct waiting a = waiting_make(&w, 'a', 1, 1), b = waiting_make(&w, 'b', 1, 0),
                   c = waiting_make(&w, 'c', 1, 0), d = waiting_make(&w, 'd', 1, 0);
    call(&w, 1, MS_OK);
    call(&w, 2, MS_OK);
    call(&w, 3, MS_EFULL);
    wait_space(&a);
    wait_space(&b);
    wait_space(&c);
    wait_space(&d);
    bus_waiter_cancel(&c.waiter);
    bus_waiter_cancel(&c.waiter);
    loop_turn(w.loop[0]);
    assert_string_equal(w.order, "");
    loop_turn(w.loop[1]);
    answer(&w, 1, &w.asked[0]);
    loop_turn(w.loop[0]);
    assert_string_equal(w.order, "ar"); /* one credit, one waiter; a stands at the end now */
    answer(&w, 1, &w.asked[1]);
    loop_turn(w.loop[0]);
    assert_string_equal(w.order, "arbr");
    loop_turn(w.loop[1]);
    answer(&w, 2, &w.asked[2]);
    answer(&w, 2, &w.asked[3]);
    loop_turn(w.loop[0]);
    assert_string_equal(w.order, "arbrdrar");
    world_fini(&w);
}

/* A credit that a waiter does not use goes to the next, then to the reply's handler. */
static void test_waiters_pass_credit_on(void **state)
{
    struct world w;

    world_init(&w, 1);
    struct waiting a = waiting_make(&w, 'a', 0, 0), b = waiting_make(&w, 'b', 0, 0);
    call(&w, 1, MS_OK);
    wait_space(&a);
    wait_space(&b);
    w.calls_in_reply = 1;
    loop_turn(w.loop[1]);
    answer(&w, 1, &w.asked[0]);
    loop_turn(w.loop[0]);
    assert_string_equal(w.order, "abr");
    assert_int_equal(bus_call_room(w.ep[0], w.ep[1]), 0);
    world_fini(&w);
}

/* Registered while there is room, when nothing is outstanding: must still be told. */
static void test_waiter_with_room(void **state)
{
    struct world w;

    world_init(&w, 1);
    struct waiting a = waiting_make(&w, 'a', 1, 0);
    wait_space(&a);
    assert_string_equal(w.order, "");
    loop_turn(w.loop[0]);
    assert_string_equal(w.order, "a");
    world_fini(&w);
}

/* More than BUS_DRAIN_MAX messages take more than one turn, and the loop knows that work remains. */
static void test_drain_bound(void **state)
{
    struct world w;
    unsigned turns = 0;

    world_init(&w, 1024);
    w.lane_answers = true;
    for (unsigned i = 0; i < 1024; i++)
        call(&w, i, MS_OK);
    call(&w, 1, MS_EFULL);
    while (loop_turn(w.loop[1]))
        turns++;
    assert_in_range(turns, 1024 / BUS_DRAIN_MAX - 1, 1024 / BUS_DRAIN_MAX);
    while (loop_turn(w.loop[0]))
        assert_in_range(w.told_count, 1, 1024);
    assert_int_equal(w.told_count, 1024);
    assert_int_equal(w.told_sum, 1023 * 1024 / 2);
    world_fini(&w);
}

/* Bodies left in rings are released by bus_destroy (the leak checker looks). */
static void test_bodies(void **state)
{
    struct world w;

    world_init(&w, 2);
    for (int i = 0; i < 2; i++) {
        struct mbuf *body = mbuf_from(SLICE_LIT("first"));
        body->next = mbuf_from(SLICE_LIT("second"));
        struct bus_msg msg = {.kind = K_ASK, .body = body};
        assert_int_equal(bus_call(w.ep[0], w.ep[1], &msg), MS_OK);
    }
    struct mbuf *kept = mbuf_from(SLICE_LIT("third"));
    struct bus_msg msg = {.kind = K_ASK, .body = kept};
    assert_int_equal(bus_call(w.ep[0], w.ep[1], &msg), MS_EFULL);
    assert_ptr_equal(msg.body, kept); /* still ours */
    mbuf_unref(&kept);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call_and_reply),   cmocka_unit_test(test_reply_via),
        cmocka_unit_test(test_waiters),          cmocka_unit_test(test_waiters_pass_credit_on),
        cmocka_unit_test(test_waiter_with_room), cmocka_unit_test(test_drain_bound),
        cmocka_unit_test(test_bodies),
    };
    return cmocka_run_group_tests_name("bus call", tests, NULL, NULL);
}
