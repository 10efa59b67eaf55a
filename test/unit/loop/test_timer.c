/* Timers of a virtual loop against a plain model: an array of due times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ms/loop.h"

#define TIMERS 300

struct probe {
    struct loop_timer timer;
    struct loop *loop;
    bool on;         /* model: running */
    uint64_t due_ms; /* model: earliest moment */
    unsigned fired;
    uint64_t fired_ms;
};

static uint64_t last_fired_ms;

static struct probe *probe_of(struct loop_timer *timer)
{
    return MS_CONTAINER_OF(timer, struct probe, timer);
}

static void on_probe(struct loop_timer *timer)
{
    struct probe *p = probe_of(timer);
    uint64_t now = loop_now_ms(p->loop);

    assert_true(p->on);
    assert_false(loop_timer_is_running(timer));
    assert_true(now >= p->due_ms);
    assert_true(now <= p->due_ms + LOOP_TICK_MS);
    assert_true(now >= last_fired_ms);
    last_fired_ms = now;
    p->on = false;
    p->fired++;
    p->fired_ms = now;
}

static void start(struct probe *p, uint64_t ms)
{
    p->on = true;
    p->due_ms = loop_now_ms(p->loop) + ms;
    loop_timer_start(p->loop, &p->timer, ms, on_probe);
    assert_true(loop_timer_is_running(&p->timer));
}

static void test_single(void **state)
{
    static const struct {
        uint64_t begin_ms, wait_ms;
    } rows[] = {
        {0, 0},
        {0, 1},
        {0, 4},
        {0, 5},
        {3, 1},
        {1000, 250},
        {1000, 256},
        {1000, 257},
        {999, 1024},
        {7, 16384},
        {12345, 1048576},
        {255, 1},
        {16383, 1},
        {65535, 300},
        {1ULL << 40, 86400000},
        {(1ULL << 40) - 1, 1},
        {5, 1ULL << 42},
        {5, 1ULL << 55},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct loop *loop = loop_create_virtual(0, "virtual", rows[i].begin_ms);
        struct probe p = {.loop = loop};
        last_fired_ms = 0;
        start(&p, rows[i].wait_ms);
        if (rows[i].wait_ms > 0)
            loop_advance(loop, rows[i].wait_ms - 1);
        assert_int_equal(p.fired, 0);
        loop_advance(loop, LOOP_TICK_MS + 1);
        assert_int_equal(p.fired, 1);
        loop_advance(loop, 100000);
        assert_int_equal(p.fired, 1);
        loop_destroy(&loop);
        assert_null(loop);
    }
}

static void check_model(struct probe *p, uint64_t now)
{
    for (int i = 0; i < TIMERS; i++) {
        assert_int_equal(p[i].on, loop_timer_is_running(&p[i].timer));
        if (p[i].on)
            assert_true(now < p[i].due_ms + LOOP_TICK_MS);
    }
}

static uint64_t random_wait(unsigned *seed)
{
    static const uint64_t spans[] = {1, 10, 300, 5000, 70000, 2000000, 400000000};
    return (uint64_t)rand_r(seed) % spans[rand_r(seed) % MS_ARRAY_LEN(spans)];
}

static void test_random(void **state)
{
    struct loop *loop = loop_create_virtual(0, "virtual", 987654321);
    static struct probe p[TIMERS];
    unsigned seed = 7, fired = 0;

    last_fired_ms = 0;
    for (int i = 0; i < TIMERS; i++)
        p[i] = (struct probe){.loop = loop};
    for (int step = 0; step < 30000; step++) {
        struct probe *one = &p[rand_r(&seed) % TIMERS];
        switch (rand_r(&seed) % 4) {
        case 0:
        case 1:
            start(one, random_wait(&seed)); /* also restarts */
            break;
        case 2:
            loop_timer_stop(loop, &one->timer);
            one->on = false;
            break;
        default:
            loop_advance(loop, random_wait(&seed));
            check_model(p, loop_now_ms(loop));
        }
    }
    loop_advance(loop, 400000000 + LOOP_TICK_MS);
    for (int i = 0; i < TIMERS; i++) {
        assert_false(p[i].on);
        fired += p[i].fired;
    }
    assert_true(fired > 1000);
    loop_destroy(&loop);
}

/* Timers that disturb others while they fire. */
static struct {
    struct probe a, b, c;
    unsigned restarts;
} meddle;

static void on_meddle(struct loop_timer *timer)
{
    struct loop *loop = meddle.a.loop;
    loop_timer_stop(loop, &meddle.b.timer); /* due in the same tick, not yet run */
    start(&meddle.c, 0);                    /* the same: must not run twice */
    if (meddle.restarts++ < 3)
        loop_timer_start(loop, timer, 0, on_meddle);
}

static void test_meddle(void **state)
{
    struct loop *loop = loop_create_virtual(3, "virtual", 100);

    last_fired_ms = 0;
    meddle.a.loop = meddle.b.loop = meddle.c.loop = loop;
    loop_timer_start(loop, &meddle.a.timer, 8, on_meddle);
    start(&meddle.b, 8);
    start(&meddle.c, 8);
    loop_advance(loop, 8);
    assert_int_equal(meddle.restarts, 1);
    assert_int_equal(meddle.b.fired, 0);
    assert_int_equal(meddle.c.fired, 0);
    loop_advance(loop, 1000);
    assert_int_equal(meddle.restarts, 4);
    assert_int_equal(meddle.b.fired, 0);
    assert_int_equal(meddle.c.fired, 4); /* once for each run of a */
    loop_timer_stop(loop, &meddle.a.timer); /* stopped already: allowed */
    loop_destroy(&loop);
}

static unsigned real_fired;
static uint64_t real_started_ms;

static void on_real(struct loop_timer *timer)
{
    struct loop *loop = loop_current();
    uint64_t waited = loop_now_ms(loop) - real_started_ms;

    assert_true(waited >= 30);
    real_fired++;
    loop_stop(loop);
}

static void test_real_clock(void **state)
{
    struct loop *loop = loop_create(0, "control");
    struct loop_timer timer = {0}, stopped = {0};

    real_started_ms = loop_now_ms(loop);
    loop_timer_start(loop, &timer, 30, on_real);
    loop_timer_start(loop, &stopped, 5, on_real);
    loop_timer_stop(loop, &stopped);
    uint64_t turns = loop_turns(loop);
    loop_run(loop);
    assert_int_equal(real_fired, 1);
    /* An idle loop sleeps: a handful of turns at most for one timer. */
    assert_true(loop_turns(loop) - turns <= 8);
    loop_destroy(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_meddle),
        cmocka_unit_test(test_real_clock),
    };
    return cmocka_run_group_tests_name("loop timer", tests, NULL, NULL);
}
