#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "ms/dispatch.h"

/* A service that does what dispatch.c does with the two decisions. */
struct model {
    struct dispatch_limits lim;
    struct dispatch_wview w[16];
    size_t n;
};

static void model_spawn(struct model *m)
{
    m->w[m->n] = (struct dispatch_wview){.id = (uint32_t)m->n + 1, .state = DISPATCH_W_RUNNING};
    m->n++;
}

/* The worker that took it (1..), or 0: it waits in the backlog. */
static unsigned model_connect(struct model *m)
{
    size_t index = 0;
    switch (dispatch_pick(&m->lim, m->w, m->n, &index)) {
    case DISPATCH_PICK_WAIT:
        return 0;
    case DISPATCH_PICK_SPAWN:
        model_spawn(m);
        index = m->n - 1;
        break;
    case DISPATCH_PICK_WORKER:
        break;
    }
    m->w[index].active++;
    while (dispatch_wants_spare(&m->lim, m->w, m->n))
        model_spawn(m);
    return (unsigned)index + 1;
}

/* semantics 2.7: sample file values 0/5 procs, 5/20 conns. */
static const struct dispatch_limits sample = {
    .min_procs = 0, .max_procs = 5, .min_conns = 5, .max_conns = 20};

static void test_d1_to_d6(void **state)
{
    struct model m = {.lim = sample};
    assert_int_equal(model_connect(&m), 1); /* D1: spawn W1, hand to W1 */
    assert_int_equal(m.n, 1);
    for (int i = 2; i <= 4; i++)
        assert_int_equal(model_connect(&m), 1);
    assert_int_equal(m.n, 1);
    assert_int_equal(model_connect(&m), 1); /* D2: W1 = 5 -> background spawn of W2 */
    assert_int_equal(m.n, 2);
    assert_int_equal(m.w[1].active, 0);
    assert_int_equal(model_connect(&m), 2); /* D3 */
    for (int i = 7; i <= 10; i++)
        assert_int_equal(model_connect(&m), 2);
    assert_int_equal(m.n, 3); /* D4: at 10 open W3, at 15 W4, at 20 W5, at 25 none */
    for (int i = 11; i <= 15; i++)
        model_connect(&m);
    assert_int_equal(m.n, 4);
    for (int i = 16; i <= 20; i++)
        model_connect(&m);
    assert_int_equal(m.n, 5);
    for (int i = 21; i <= 25; i++)
        model_connect(&m);
    assert_int_equal(m.n, 5);
    model_connect(&m); /* D5: 6/5/5/5/5 ... */
    assert_int_equal(m.w[0].active, 6);
    for (int i = 1; i < 5; i++)
        assert_int_equal(m.w[i].active, 5);
    for (int i = 27; i <= 100; i++)
        assert_int_not_equal(model_connect(&m), 0);
    for (int i = 0; i < 5; i++) /* ... 20/20/20/20/20 */
        assert_int_equal(m.w[i].active, 20);
    assert_int_equal(model_connect(&m), 0); /* D6: connection 101 stays in the backlog */
    m.w[3].active--;
    assert_int_equal(model_connect(&m), 4);
}

static void test_d10(void **state)
{
    struct model m = {.lim = sample, .n = 2};
    m.w[0] = (struct dispatch_wview){.id = 1, .state = DISPATCH_W_RUNNING, .active = 4};
    m.w[1] = (struct dispatch_wview){.id = 2, .state = DISPATCH_W_RUNNING, .active = 7};
    assert_false(dispatch_wants_spare(&m.lim, m.w, m.n));
    assert_int_equal(model_connect(&m), 1);
}

static const struct {
    const char *what;
    struct dispatch_limits lim;
    struct dispatch_wview w[3];
    size_t n;
    enum dispatch_pick want;
    size_t index;
    bool spare;
} rows[] = {
    {"min_procs wants workers before any connection", {2, 5, 5, 20}, {{0}}, 0, DISPATCH_PICK_SPAWN, 0, true},
    {"none wanted, none made", {0, 5, 5, 20}, {{0}}, 0, DISPATCH_PICK_SPAWN, 0, false},
    {"min_procs above max_procs means max_procs",
     {9, 1, 5, 20},
     {{1, DISPATCH_W_RUNNING, 0, 0}},
     1,
     DISPATCH_PICK_WORKER,
     0,
     false},
    {"a terminating worker gets nothing",
     {0, 1, 5, 20},
     {{1, DISPATCH_W_TERMINATING, 0, 0}},
     1,
     DISPATCH_PICK_SPAWN,
     0,
     false},
    {"a starting worker counts for max_procs",
     {0, 1, 5, 20},
     {{1, DISPATCH_W_STARTING, 0, 0}},
     1,
     DISPATCH_PICK_WAIT,
     0,
     false},
    {"a starting worker is spare enough",
     {0, 5, 1, 20},
     {{1, DISPATCH_W_STARTING, 0, 0}, {2, DISPATCH_W_RUNNING, 3, 0}},
     2,
     DISPATCH_PICK_WORKER,
     1,
     false},
    {"hand-offs under way count",
     {0, 2, 5, 2},
     {{1, DISPATCH_W_RUNNING, 1, 1}, {2, DISPATCH_W_RUNNING, 1, 0}},
     2,
     DISPATCH_PICK_WORKER,
     1,
     false},
    {"full by hand-offs under way",
     {0, 1, 5, 2},
     {{1, DISPATCH_W_RUNNING, 0, 2}},
     1,
     DISPATCH_PICK_WAIT,
     0,
     false},
    {"ties go to the lowest id",
     {0, 3, 5, 9},
     {{3, DISPATCH_W_RUNNING, 2, 0}, {1, DISPATCH_W_RUNNING, 2, 0}},
     2,
     DISPATCH_PICK_WORKER,
     1,
     false},
    {"min_conns above max_conns behaves as max_conns",
     {0, 2, 50, 2},
     {{1, DISPATCH_W_RUNNING, 2, 0}},
     1,
     DISPATCH_PICK_SPAWN,
     0,
     true},
    {"min_conns 1: a worker per connection",
     {0, 3, 1, 9},
     {{1, DISPATCH_W_RUNNING, 1, 0}},
     1,
     DISPATCH_PICK_WORKER,
     0,
     true},
};

static void test_rows(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        size_t index = 0;
        enum dispatch_pick got = dispatch_pick(&rows[i].lim, rows[i].w, rows[i].n, &index);
        bool spare = dispatch_wants_spare(&rows[i].lim, rows[i].w, rows[i].n);
        if (got != rows[i].want || (got == DISPATCH_PICK_WORKER && index != rows[i].index) ||
            spare != rows[i].spare)
            fail_msg("%s: got %d at %zu, spare %d", rows[i].what, got, index, spare);
    }
}

/* effect: dispatcher.services.*.min_procs max_procs min_conns max_conns, in every combination of a random
 * load */
static void test_random(void **state)
{
    unsigned seed = 20240521;
    for (int round = 0; round < 300; round++) {
        struct model m = {
            .lim = {rand_r(&seed) % 4, 1 + rand_r(&seed) % 8, 1 + rand_r(&seed) % 6, 1 + rand_r(&seed) % 12}};
        uint64_t open = 0;
        while (m.n < MS_MIN(m.lim.min_procs, m.lim.max_procs))
            model_spawn(&m);
        for (int step = 0; step < 400; step++) {
            if (rand_r(&seed) % 3) {
                unsigned to = model_connect(&m);
                assert_int_equal(to == 0, open == m.lim.max_procs * m.lim.max_conns);
                open += to != 0;
            } else if (m.n && m.w[rand_r(&seed) % m.n].active) {
                size_t at = rand_r(&seed) % m.n;
                if (m.w[at].active) {
                    m.w[at].active--;
                    open--;
                }
            }
            assert_true(m.n <= m.lim.max_procs);
            for (size_t i = 0; i < m.n; i++)
                assert_true(m.w[i].active <= m.lim.max_conns);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_d1_to_d6),
        cmocka_unit_test(test_d10),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
