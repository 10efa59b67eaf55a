/* End-of-turn hooks, wake-up and slots, on virtual and real loops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "ms/loop.h"

struct note_hook {
    struct loop_hook hook;
    struct loop *loop;
    char letter;
    unsigned again;            /* arms itself so often */
    struct note_hook *disarms; /* and disarms this one */
};

static char order[64];
static size_t order_len;

static void on_hook(struct loop_hook *hook)
{
    struct note_hook *h = MS_CONTAINER_OF(hook, struct note_hook, hook);

    assert_ptr_equal(loop_current(), h->loop);
    order[order_len++] = h->letter;
    order[order_len] = 0;
    if (h->disarms)
        loop_hook_disarm(h->loop, &h->disarms->hook);
    if (h->again > 0) {
        h->again--;
        loop_hook_arm(h->loop, hook, on_hook);
    }
}

static struct loop *make_loop(bool is_virtual)
{
    order_len = 0;
    order[0] = 0;
    return is_virtual ? loop_create_virtual(2, "loop2", 5) : loop_create(2, "loop2");
}

static void test_hooks(void **state)
{
    for (int is_virtual = 0; is_virtual < 2; is_virtual++) {
        struct loop *loop = make_loop(is_virtual);
        struct note_hook a = {.loop = loop, .letter = 'a', .again = 1}, b = {.loop = loop, .letter = 'b'},
                         c = {.loop = loop, .letter = 'c'}, d = {.loop = loop, .letter = 'd', .disarms = &c};

        assert_int_equal(loop_index(loop), 2);
        assert_string_equal(loop_name(loop), "loop2");
        loop_hook_arm(loop, &a.hook, on_hook);
        loop_hook_arm(loop, &b.hook, on_hook);
        loop_hook_arm(loop, &a.hook, on_hook); /* armed: keeps its place */
        uint64_t turns = loop_turns(loop);
        assert_false(loop_turn(loop));
        assert_true(loop_turns(loop) > turns);
        assert_string_equal(order, "aba");
        loop_hook_arm(loop, &d.hook, on_hook);
        loop_hook_arm(loop, &c.hook, on_hook);
        loop_turn(loop);
        assert_string_equal(order, "abad");
        loop_hook_disarm(loop, &c.hook); /* not armed: allowed */
        loop_turn(loop);
        assert_string_equal(order, "abad");
        loop_destroy(&loop);
    }
}

static void test_rounds_are_bounded(void **state)
{
    struct loop *loop = make_loop(true);
    struct note_hook a = {.loop = loop, .letter = 'a', .again = 9};

    loop_hook_arm(loop, &a.hook, on_hook);
    assert_true(loop_turn(loop));
    assert_int_equal(order_len, LOOP_HOOK_ROUNDS_MAX);
    assert_true(loop_turn(loop));
    assert_false(loop_turn(loop));
    assert_int_equal(order_len, 10);
    loop_destroy(&loop);
}

/* On a real loop, what the rounds left must not wait for outside events. */
static void on_last(struct loop_hook *hook)
{
    struct note_hook *h = MS_CONTAINER_OF(hook, struct note_hook, hook);

    if (h->again-- > 0)
        loop_hook_arm(h->loop, hook, on_last);
    else
        loop_stop(h->loop);
}

static void test_rounds_go_on(void **state)
{
    struct loop *loop = make_loop(false);
    struct note_hook a = {.loop = loop, .again = 50};

    loop_hook_arm(loop, &a.hook, on_last);
    loop_run(loop);
    assert_int_equal(a.again, (unsigned)-1);
    loop_destroy(&loop);
}

static unsigned wakes;

static void on_wake(void *owner)
{
    assert_ptr_equal(owner, &wakes);
    wakes++;
}

static void test_wake(void **state)
{
    for (int is_virtual = 0; is_virtual < 2; is_virtual++) {
        struct loop *loop = make_loop(is_virtual);
        wakes = 0;
        loop_on_wake(loop, on_wake, &wakes);
        loop_turn(loop);
        assert_int_equal(wakes, 0);
        loop_wake(loop);
        loop_wake(loop);
        loop_wake(loop);
        loop_turn(loop);
        assert_int_equal(wakes, 1);
        loop_turn(loop);
        assert_int_equal(wakes, 1);
        loop_destroy(&loop);
    }
}

static unsigned destroyed;

static void on_destroy(void *value)
{
    assert_ptr_equal(value, &destroyed);
    destroyed++;
}

static void test_slots(void **state)
{
    struct loop *loop = make_loop(true);

    assert_null(loop_slot_get(loop, LOOP_SLOT_NET));
    loop_slot_set(loop, LOOP_SLOT_NET, &destroyed, on_destroy);
    assert_ptr_equal(loop_slot_get(loop, LOOP_SLOT_NET), &destroyed);
    loop_destroy(&loop);
    assert_int_equal(destroyed, 1);
    loop_destroy(&loop); /* NULL: allowed */
}

static void test_small_things(void **state)
{
    struct loop *virtual = make_loop(true), *real = make_loop(false);

    assert_null(loop_current());
    assert_null(loop__uv(virtual));
    assert_non_null(loop__uv(real));
    assert_true(loop_is_home(virtual) && loop_is_home(real));
    assert_int_equal(loop_now_ms(virtual), 5);
    loop_advance(virtual, 1234);
    assert_int_equal(loop_now_ms(virtual), 1239);
    assert_in_range(loop_count_auto(), 1, LOOP_WORKERS_MAX);
    loop_destroy(&virtual);
    loop_destroy(&real);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hooks),        cmocka_unit_test(test_rounds_are_bounded),
        cmocka_unit_test(test_rounds_go_on), cmocka_unit_test(test_wake),
        cmocka_unit_test(test_slots),        cmocka_unit_test(test_small_things),
    };
    return cmocka_run_group_tests_name("loop turn", tests, NULL, NULL);
}
