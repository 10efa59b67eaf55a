/* Notes: order, overflow told once, bodies of lost notes released; many rings into one endpoint. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "ms/bus.h"

#define K_NOTE  BUS_KIND(3, 2, 1)
#define SENDERS 150

struct sink {
    uint64_t next[SENDERS + 1];
    unsigned count;
    unsigned overflows;
};

static void on_note(void *owner, const struct bus_msg *msg)
{
    struct sink *s = owner;
    struct mbuf *body = msg->body;

    assert_int_equal(msg->id, s->next[msg->from]);
    s->next[msg->from]++;
    s->count++;
    mbuf_unref_chain(&body);
}

static void on_overflow(void *owner)
{
    struct sink *s = owner;
    s->overflows++;
}

static void test_overflow(void **state)
{
    struct sink sink = {0};
    struct loop *loop = loop_create_virtual(1, "loop1", 0);
    struct bus *bus = bus_create();
    struct bus_ep *to = bus_ep_create(bus, "loop1", loop), *from = bus_ep_create(bus, "applier", NULL);

    bus_on(to, K_NOTE, on_note, &sink);
    bus_note_link(bus, from, to, 4, on_overflow, &sink);
    for (unsigned round = 1; round <= 3; round++) {
        for (unsigned i = 0; i < 7; i++) {
            struct bus_msg msg = {
                .kind = K_NOTE, .id = (round - 1) * 4 + i, .body = mbuf_from(SLICE_LIT("x"))};
            assert_int_equal(bus_note(from, to, &msg), i < 4);
        }
        loop_turn(loop);
        assert_int_equal(sink.count, round * 4);
        assert_int_equal(sink.overflows, round);
        loop_turn(loop);
        assert_int_equal(sink.overflows, round);
    }
    bus_destroy(&bus);
    loop_destroy(&loop);
}

/* More rings than one word of the bitmap; every sender is heard, also behind one that never stops. */
static void test_many_rings(void **state)
{
    struct sink sink = {0};
    struct bus *bus = bus_create();
    struct bus_ep *to = bus_ep_create(bus, "sink", NULL), *from[SENDERS];

    bus_on(to, K_NOTE, on_note, &sink);
    for (unsigned i = 0; i < SENDERS; i++) {
        from[i] = bus_ep_create(bus, "sender", NULL);
        bus_note_link(bus, from[i], to, 512, on_overflow, &sink);
    }
    assert_int_equal(bus_poll(to), 0);
    for (uint64_t n = 0; n < 400; n++) {
        struct bus_msg msg = {.kind = K_NOTE, .id = n};
        bus_note(from[0], to, &msg); /* full now and then? no: 512 slots */
    }
    for (unsigned i = 1; i < SENDERS; i += 7) {
        struct bus_msg msg = {.kind = K_NOTE, .id = 0};
        bus_note(from[i], to, &msg);
    }
    assert_int_equal(bus_poll(to), BUS_DRAIN_MAX);
    for (uint64_t n = 400; n < 500; n++) {
        struct bus_msg msg = {.kind = K_NOTE, .id = n};
        bus_note(from[0], to, &msg);
    }
    /* The second poll begins behind the busy ring. */
    assert_int_equal(bus_poll(to), BUS_DRAIN_MAX);
    for (unsigned i = 1; i < SENDERS; i += 7)
        assert_int_equal(sink.next[bus_ep_index(from[i])], 1);
    bus_wait(to, -1); /* something is left: must not sleep */
    while (bus_poll(to) > 0)
        ;
    assert_int_equal(sink.count, 500 + (SENDERS - 2) / 7 + 1);
    assert_int_equal(sink.overflows, 0);
    bus_wait(to, 1); /* nothing is left: returns after the time */
    bus_destroy(&bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_many_rings),
    };
    return cmocka_run_group_tests_name("bus note", tests, NULL, NULL);
}
