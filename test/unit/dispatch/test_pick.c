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
    m->w[index].life++;
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

/* What dispatch_worker.c does with the decision: workers without connections are gone at once. */
static void model_expire(struct model *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (dispatch_may_end(&m->lim, m->w, m->n, i))
            m->w[i].state = DISPATCH_W_TERMINATING;
    for (size_t i = 0; i < m->n;) {
        if (m->w[i].state == DISPATCH_W_TERMINATING && m->w[i].active == 0)
            m->w[i] = m->w[--m->n];
        else
            i++;
    }
    while (dispatch_wants_spare(&m->lim, m->w, m->n))
        model_spawn(m);
}

static const struct dispatch_limits expiring = {.min_procs = 0,
                                                .max_procs = 5,
                                                .min_conns = 5,
                                                .max_conns = 20,
                                                .max_life_conns = 100,
                                                .max_life_ms = 86400000,
                                                .max_idle_ms = 600000,
                                                .max_shutdown = 2,
                                                .max_handoffs = 5};

static void test_d7(void **state)
{
    struct model m = {.lim = expiring, .n = 3};
    m.w[0] = (struct dispatch_wview){.id = 1, .state = DISPATCH_W_RUNNING, .active = 3, .life = 100};
    m.w[1] = (struct dispatch_wview){.id = 2, .state = DISPATCH_W_TERMINATING, .active = 4, .life = 100};
    m.w[2] = (struct dispatch_wview){.id = 3, .state = DISPATCH_W_TERMINATING, .active = 2, .life = 100};
    model_expire(&m); /* no slot: it goes on, and takes connections */
    assert_int_equal(m.w[0].state, DISPATCH_W_RUNNING);
    assert_int_equal(model_connect(&m), 1);
    m.w[2].active = 0;
    model_expire(&m); /* W3 has gone: its slot is W1's */
    model_expire(&m);
    assert_int_equal(m.w[0].state, DISPATCH_W_TERMINATING);
    assert_int_equal(m.w[0].active, 4); /* they stay until they end by themselves */
    assert_int_not_equal(model_connect(&m), 1);
    m.w[0].active = 0;
    model_expire(&m);
    for (size_t i = 0; i < m.n; i++)
        assert_int_not_equal(m.w[i].id, 1);
}

static void test_d8(void **state)
{
    struct model m = {.lim = expiring};
    m.lim.min_procs = 2;
    for (int i = 0; i < 5; i++) {
        model_spawn(&m);
        m.w[i].idle_ms = 599999;
    }
    model_expire(&m);
    assert_int_equal(m.n, 5);
    for (int i = 0; i < 5; i++)
        m.w[i].idle_ms = 600000;
    model_expire(&m);
    model_expire(&m);
    assert_int_equal(m.n, 2);
}

static void test_d9(void **state)
{
    struct model m = {.lim = expiring};
    m.lim.min_procs = 3;
    while (dispatch_wants_spare(&m.lim, m.w, m.n))
        model_spawn(&m);
    assert_int_equal(m.n, 3);
    m.w[1] = m.w[--m.n];
    assert_true(dispatch_wants_spare(&m.lim, m.w, m.n)); /* respawn at once */
    m.lim.min_procs = 0;
    m.n = 0;
    assert_false(dispatch_wants_spare(&m.lim, m.w, m.n)); /* waits for the next connection */
    assert_int_equal(model_connect(&m), 1);
}

static const struct {
    const char *what;
    struct dispatch_wview w[4];
    size_t n;
    bool want; /* of the first one */
} end_rows[] = {
    {"young", {{.state = DISPATCH_W_RUNNING, .active = 1, .life = 99, .age_ms = 86399999}}, 1, false},
    {"connections", {{.state = DISPATCH_W_RUNNING, .active = 1, .life = 100}}, 1, true},
    {"age", {{.state = DISPATCH_W_RUNNING, .active = 1, .age_ms = 86400000}}, 1, true},
    {"idle", {{.state = DISPATCH_W_RUNNING, .idle_ms = 600000}}, 1, true},
    {"idle, but a connection is on its way",
     {{.state = DISPATCH_W_RUNNING, .idle_ms = 600000, .pending = 1}},
     1,
     false},
    {"a starting one", {{.state = DISPATCH_W_STARTING, .life = 100}}, 1, false},
    {"it ends already", {{.state = DISPATCH_W_TERMINATING, .life = 100}}, 1, false},
    {"both slots are taken",
     {{.state = DISPATCH_W_RUNNING, .active = 1, .life = 100},
      {.state = DISPATCH_W_TERMINATING},
      {.state = DISPATCH_W_TERMINATING}},
     3,
     false},
    {"both slots are taken, and too few run for one without connections",
     {{.state = DISPATCH_W_RUNNING, .life = 100},
      {.state = DISPATCH_W_TERMINATING},
      {.state = DISPATCH_W_TERMINATING}},
     3,
     false},
};

static void test_end_rows(void **state)
{
    struct dispatch_limits none = {.max_procs = 5, .min_conns = 5, .max_conns = 20, .max_shutdown = 2};
    struct dispatch_wview old = {
        .state = DISPATCH_W_RUNNING, .life = UINT64_MAX, .age_ms = UINT64_MAX, .idle_ms = UINT64_MAX};

    for (size_t i = 0; i < MS_ARRAY_LEN(end_rows); i++)
        if (dispatch_may_end(&expiring, end_rows[i].w, end_rows[i].n, 0) != end_rows[i].want)
            fail_msg("%s", end_rows[i].what);
    assert_false(dispatch_may_end(&none, &old, 1, 0)); /* 0: no limit */
}

/* Loads come and go for weeks: the guards hold at every moment. */
static void test_random_life(void **state)
{
    unsigned seed = 20261123;

    for (int round = 0; round < 200; round++) {
        struct model m = {.lim = expiring};
        m.lim.min_procs = rand_r(&seed) % 4;
        m.lim.max_life_conns = 1 + rand_r(&seed) % 30;
        m.lim.max_shutdown = 1 + rand_r(&seed) % 3;
        for (int step = 0; step < 600; step++) {
            uint64_t running = 0, ending = 0;
            if (rand_r(&seed) % 2)
                (void)model_connect(&m);
            for (size_t i = 0; i < m.n; i++) {
                m.w[i].active -= m.w[i].active && rand_r(&seed) % 3 == 0;
                m.w[i].age_ms += rand_r(&seed) % 4000000;
                m.w[i].idle_ms = m.w[i].active ? 0 : m.w[i].idle_ms + rand_r(&seed) % 400000;
            }
            model_expire(&m);
            for (size_t i = 0; i < m.n; i++) {
                running += m.w[i].state == DISPATCH_W_RUNNING;
                ending += m.w[i].state == DISPATCH_W_TERMINATING;
            }
            assert_true(running >= m.lim.min_procs && running <= m.lim.max_procs);
            assert_true(ending <= m.lim.max_shutdown);
            assert_true(m.n < MS_ARRAY_LEN(m.w));
        }
    }
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
        cmocka_unit_test(test_d1_to_d6),    cmocka_unit_test(test_d7),   cmocka_unit_test(test_d8),
        cmocka_unit_test(test_d9),          cmocka_unit_test(test_d10),  cmocka_unit_test(test_end_rows),
        cmocka_unit_test(test_random_life), cmocka_unit_test(test_rows), cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
