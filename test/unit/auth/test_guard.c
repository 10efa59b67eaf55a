/* Back-off with virtual time: who waits, who is refused, who is not. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../../src/auth/auth_guard.h"
#include "../../../src/auth/auth_places.h"
#include "ms/auth.h"

#define MINUTE ((uint64_t)60 * 1000)
#define START  1000000

static const struct auth_guard_limits limits = {
    .free = 3, .max = 10, .window_ms = 10 * MINUTE, .delay_max_ms = 8000};

static uint64_t now;

static int open_guard(void **state)
{
    *state = auth_guard_create();
    now = START;
    return 0;
}

static int close_guard(void **state)
{
    struct auth_guard *g = *state;
    auth_guard_destroy(&g);
    return 0;
}

enum outcome { WRONG, RIGHT, UNSURE };

/* What became of one that is alone. */
struct fate {
    bool is_refused;
    uint64_t delay_ms;
};

static enum auth_guard_answer begin(struct auth_guard *g, const char *rip, const char *login, bool is_behind,
                                    struct auth_guard_try *t)
{
    auth__guard_key(g, rip, slice_cstr(login), false, t);
    return auth__guard_begin(g, &limits, t, limits.delay_max_ms, is_behind, now).answer;
}

static void end(struct auth_guard *g, struct auth_guard_try *t, enum outcome o)
{
    if (o == RIGHT)
        auth__guard_success(g, &limits, t, now);
    if (o == UNSURE)
        auth__guard_refund(g, t, now);
    if (o == WRONG)
        auth__guard_failure(g, &limits, t, now);
    assert_false(t->is_open);
    assert_int_equal(t->places, 0);
}

static struct fate attempt_of(struct auth_guard *g, const char *rip, const char *login, bool is_trusted,
                              enum outcome o)
{
    struct auth_guard_try t;
    auth__guard_key(g, rip, slice_cstr(login), is_trusted, &t);
    struct auth_guard_verdict v = auth__guard_begin(g, &limits, &t, 0, false, now);
    struct fate f = {.is_refused = v.answer == AUTH_GUARD_REFUSED, .delay_ms = v.delay_ms};
    assert_int_not_equal(v.answer, AUTH_GUARD_QUEUE);
    if (v.answer == AUTH_GUARD_DELAY) { /* a moment too early, then in time */
        assert_false(t.is_open);
        v = auth__guard_begin(g, &limits, &t, f.delay_ms - 1, false, now);
        assert_int_equal(v.answer, AUTH_GUARD_DELAY);
        assert_int_equal(v.delay_ms, 1);
        v = auth__guard_begin(g, &limits, &t, f.delay_ms, false, now);
    }
    assert_int_equal(v.answer, f.is_refused ? AUTH_GUARD_REFUSED : AUTH_GUARD_GO);
    assert_int_equal(t.is_open, !f.is_refused);
    if (t.is_open)
        end(g, &t, o);
    return f;
}

static struct fate attempt(struct auth_guard *g, const char *rip, const char *login, enum outcome o)
{
    return attempt_of(g, rip, login, false, o);
}

static void expect(struct fate v, bool is_refused, uint64_t delay_ms)
{
    assert_int_equal(v.is_refused, is_refused);
    assert_int_equal(v.delay_ms, delay_ms);
}

/* One address, one account: three tries are free, then the delay doubles up to its most, then nothing is
 * looked at. */
static void test_staircase(void **state)
{
    static const uint64_t delays[] = {0, 0, 0, 500, 1000, 2000, 4000, 8000, 8000, 8000};
    for (size_t i = 0; i < MS_ARRAY_LEN(delays); i++)
        expect(attempt(*state, "192.0.2.1", "a@x", WRONG), false, delays[i]);
    for (unsigned i = 0; i < 100; i++)
        expect(attempt(*state, "192.0.2.1", "a@x", RIGHT), true, 8000);
}

/* A failure is forgotten each minute; refused tries add none, so going on does not keep the door shut. */
static void test_decay(void **state)
{
    for (unsigned i = 0; i < 10; i++)
        attempt(*state, "192.0.2.1", "a@x", WRONG);
    for (unsigned i = 0; i < 59; i++, now += 1000)
        assert_true(attempt(*state, "192.0.2.1", "a@x", WRONG).is_refused);
    now += 2000;
    assert_false(attempt(*state, "192.0.2.1", "a@x", WRONG).is_refused);
    assert_true(attempt(*state, "192.0.2.1", "a@x", WRONG).is_refused);
    now += 10 * MINUTE + 1000;
    expect(attempt(*state, "192.0.2.1", "a@x", WRONG), false, 0);
}

/* Asking often must not stop the leak, nor hasten it: in ten minutes a guesser gets ten tries beyond the
 * first ten. */
static void test_rate(void **state)
{
    unsigned looked = 0;
    for (uint64_t ms = 0; ms < 100 * MINUTE; ms += 700, now += 700)
        looked += !attempt(*state, "192.0.2.1", "a@x", WRONG).is_refused;
    assert_in_range(looked, 95, 111);
}

static void test_success_clears(void **state)
{
    for (unsigned i = 0; i < 5; i++)
        attempt(*state, "192.0.2.1", "a@x", WRONG);
    expect(attempt(*state, "192.0.2.1", "a@x", RIGHT), false, 2000);
    expect(attempt(*state, "192.0.2.1", "a@x", WRONG), false, 0);
}

/* A success with one's own account does not wash the address: guesses at others stay counted. */
static void test_success_is_no_wash(void **state)
{
    char login[32];
    unsigned refused = 0;
    for (unsigned i = 0; i < 40; i++) {
        snprintf(login, sizeof login, "u%u@x", i);
        refused += attempt(*state, "192.0.2.1", login, WRONG).is_refused;
        attempt(*state, "192.0.2.1", "own@x", RIGHT);
    }
    assert_int_equal(refused, 30);
}

/* One address against a thousand accounts. */
static void test_one_address(void **state)
{
    char login[32];
    unsigned looked = 0;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(login, sizeof login, "u%u@x", i);
        looked += !attempt(*state, "192.0.2.1", login, WRONG).is_refused;
    }
    assert_int_equal(looked, 10);
    expect(attempt(*state, "192.0.2.2", "u1@x", RIGHT), false, 0);
}

/* A thousand addresses against one account: strangers wait, then are refused; where the owner was before he
 * gets in at once, all the time; elsewhere he gets in when it is over. */
static void test_thousand_addresses(void **state)
{
    char rip[32];
    unsigned looked = 0;
    attempt(*state, "198.51.100.1", "a@x", RIGHT);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(rip, sizeof rip, "10.1.%u.%u", i / 250, i % 250);
        struct fate v = attempt(*state, rip, "a@x", WRONG);
        looked += !v.is_refused;
        assert_true(i < 3 || v.delay_ms > 0);
        expect(attempt(*state, "198.51.100.1", "a@x", RIGHT), false, 0);
    }
    assert_int_equal(looked, 10 * AUTH_ACCOUNT_FACTOR);
    assert_true(attempt(*state, "203.0.113.9", "a@x", RIGHT).is_refused);
    expect(attempt(*state, "203.0.113.9", "b@x", RIGHT), false, 0);
    now += 2 * MINUTE;
    assert_false(attempt(*state, "203.0.113.9", "a@x", RIGHT).is_refused);
    expect(attempt(*state, "203.0.113.9", "a@x", RIGHT), false, 0);
}

/* Known is not trusted blindly: the pair has its own count. And it ends. */
static void test_known(void **state)
{
    attempt(*state, "192.0.2.1", "a@x", RIGHT);
    for (unsigned i = 0; i < 10; i++)
        assert_false(attempt(*state, "192.0.2.1", "a@x", WRONG).is_refused);
    assert_true(attempt(*state, "192.0.2.1", "a@x", RIGHT).is_refused);
    now += AUTH_KNOWN_MS + MINUTE;
    for (unsigned i = 0; i < 10; i++)
        attempt(*state, "192.0.2.1", "b@x", WRONG);
    assert_true(attempt(*state, "192.0.2.1", "a@x", RIGHT).is_refused);
}

/* Behind one address: what others guess does not hinder who was here before. */
static void test_shared_address(void **state)
{
    attempt(*state, "192.0.2.1", "a@x", RIGHT);
    for (unsigned i = 0; i < 30; i++)
        attempt(*state, "192.0.2.1", "b@x", WRONG);
    assert_true(attempt(*state, "192.0.2.1", "c@x", RIGHT).is_refused);
    expect(attempt(*state, "192.0.2.1", "a@x", RIGHT), false, 0);
}

static void test_trusted(void **state)
{
    char login[32];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(login, sizeof login, "u%u@x", i);
        expect(attempt_of(*state, "192.0.2.1", login, true, WRONG), false, 0);
    }
    for (unsigned i = 0; i < 9; i++)
        assert_false(attempt_of(*state, "192.0.2.1", "u1@x", true, WRONG).is_refused);
    assert_true(attempt_of(*state, "192.0.2.1", "u1@x", true, RIGHT).is_refused);
}

static void test_unsure(void **state)
{
    for (unsigned i = 0; i < 1000; i++)
        expect(attempt(*state, "192.0.2.1", "a@x", UNSURE), false, 0);
}

/* A crowd of one account, or of many, from one address: all at the same moment, each asks until it is let,
 * and some that are let come to their end in each round. Returns how many were looked at. */
#define CROWD 300
static unsigned crowd(struct auth_guard *g, bool is_one, enum outcome o, unsigned *refused_out)
{
    static struct auth_guard_try tries[CROWD];
    bool is_done[CROWD] = {false};
    char login[32];
    unsigned looked = 0, open = 0, left = CROWD;
    *refused_out = 0;
    for (unsigned round = 0; left > 0; round++, now++) {
        assert_true(round < 10 * CROWD);
        for (unsigned i = 0; i < CROWD; i++) {
            if (is_done[i] || tries[i].is_open)
                continue;
            snprintf(login, sizeof login, "u%u@x", is_one ? 0 : i);
            enum auth_guard_answer answer = begin(g, "192.0.2.1", login, false, &tries[i]);
            is_done[i] = answer == AUTH_GUARD_REFUSED;
            *refused_out += is_done[i];
            left -= is_done[i];
            looked += answer == AUTH_GUARD_GO;
            open += answer == AUTH_GUARD_GO;
        }
        assert_in_range(open, left > 0, limits.max);
        for (unsigned i = round % 3; i < CROWD; i += 3) {
            if (!tries[i].is_open)
                continue;
            end(g, &tries[i], o);
            is_done[i] = true;
            open--;
            left--;
        }
        assert_true(o != WRONG || looked <= limits.max);
    }
    return looked;
}

static void test_crowd_is_right(void **state)
{
    unsigned refused;
    assert_int_equal(crowd(*state, false, RIGHT, &refused), CROWD);
    assert_int_equal(refused, 0);
    assert_int_equal(crowd(*state, true, RIGHT, &refused), CROWD);
    assert_int_equal(refused, 0);
    expect(attempt(*state, "192.0.2.1", "other@x", RIGHT), false, 0);
}

static void test_crowd_is_wrong(void **state)
{
    unsigned refused;
    assert_int_equal(crowd(*state, false, WRONG, &refused), limits.max);
    assert_int_equal(refused, CROWD - limits.max);
    now += 2 * limits.window_ms;
    assert_int_equal(crowd(*state, true, WRONG, &refused), limits.max);
    assert_int_equal(refused, CROWD - limits.max);
}

static void test_crowd_is_unsure(void **state)
{
    unsigned refused;
    assert_int_equal(crowd(*state, true, UNSURE, &refused), CROWD);
    assert_int_equal(refused, 0);
    expect(attempt(*state, "192.0.2.1", "u0@x", RIGHT), false, 0);
}

/* Failures and open tries together are never more than are granted. */
static void test_places(void **state)
{
    struct auth_guard_try t[11];
    for (unsigned i = 0; i < 4; i++)
        attempt(*state, "192.0.2.1", "a@x", WRONG);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(begin(*state, "192.0.2.1", "a@x", false, &t[i]), AUTH_GUARD_GO);
    assert_int_equal(begin(*state, "192.0.2.1", "b@x", false, &t[6]), AUTH_GUARD_QUEUE);
    assert_false(t[6].is_open);
    end(*state, &t[0], WRONG); /* the place has become a failure */
    assert_int_equal(begin(*state, "192.0.2.1", "b@x", false, &t[6]), AUTH_GUARD_QUEUE);
    end(*state, &t[1], UNSURE);
    assert_int_equal(begin(*state, "192.0.2.1", "b@x", false, &t[6]), AUTH_GUARD_GO);
    assert_int_equal(begin(*state, "192.0.2.1", "c@x", false, &t[7]), AUTH_GUARD_QUEUE);
    assert_int_equal(begin(*state, "192.0.2.2", "c@x", false, &t[7]), AUTH_GUARD_GO);
    for (unsigned i = 2; i < 7; i++)
        end(*state, &t[i], WRONG);
    assert_int_equal(begin(*state, "192.0.2.1", "c@x", false, &t[8]), AUTH_GUARD_REFUSED);
    end(*state, &t[7], RIGHT);
}

/* An end that comes twice counts once; one that never was let, not at all. */
static void test_ends(void **state)
{
    struct auth_guard_try t, never;
    for (unsigned i = 0; i < 9; i++)
        attempt(*state, "192.0.2.1", "a@x", WRONG);
    assert_int_equal(begin(*state, "192.0.2.1", "a@x", false, &t), AUTH_GUARD_GO);
    assert_int_equal(begin(*state, "192.0.2.1", "a@x", false, &never), AUTH_GUARD_QUEUE);
    end(*state, &never, WRONG);
    end(*state, &never, UNSURE);
    assert_int_equal(begin(*state, "192.0.2.1", "a@x", false, &never), AUTH_GUARD_QUEUE);
    end(*state, &t, UNSURE);
    end(*state, &t, WRONG);
    assert_false(attempt(*state, "192.0.2.1", "a@x", WRONG).is_refused);
    assert_true(attempt(*state, "192.0.2.1", "a@x", WRONG).is_refused);
}

/* Who is known does not queue behind others of the address, but behind himself. */
static void test_known_is_not_behind(void **state)
{
    struct auth_guard_try others[10], own[11];
    char login[32];
    attempt(*state, "192.0.2.1", "a@x", RIGHT);
    for (unsigned i = 0; i < 10; i++) {
        snprintf(login, sizeof login, "u%u@x", i);
        assert_int_equal(begin(*state, "192.0.2.1", login, false, &others[i]), AUTH_GUARD_GO);
    }
    assert_int_equal(begin(*state, "192.0.2.1", "new@x", false, &own[0]), AUTH_GUARD_QUEUE);
    assert_int_equal(begin(*state, "198.51.100.7", "new@x", true, &own[0]), AUTH_GUARD_QUEUE);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(begin(*state, "192.0.2.1", "a@x", true, &own[i]), AUTH_GUARD_GO);
    assert_int_equal(begin(*state, "192.0.2.1", "a@x", true, &own[10]), AUTH_GUARD_QUEUE);
    end(*state, &own[0], RIGHT);
    assert_int_equal(begin(*state, "192.0.2.1", "a@x", true, &own[10]), AUTH_GUARD_GO);
    for (unsigned i = 0; i < 10; i++) /* nor do others behind his */
        end(*state, &others[i], UNSURE);
    assert_int_equal(begin(*state, "192.0.2.1", "new@x", false, &own[0]), AUTH_GUARD_GO);
}

/* A thousand addresses at once against one account. */
static void test_parallel_addresses(void **state)
{
    static struct auth_guard_try tries[1000];
    char rip[32];
    unsigned looked = 0;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 1000; i++) {
            snprintf(rip, sizeof rip, "10.1.%u.%u", i / 250, i % 250);
            looked += begin(*state, rip, "a@x", false, &tries[i]) == AUTH_GUARD_GO;
        }
        for (unsigned i = 0; i < 1000; i++)
            if (tries[i].is_open)
                end(*state, &tries[i], WRONG);
        assert_int_equal(looked, limits.max * AUTH_ACCOUNT_FACTOR);
    }
}

/* Places that were never given back come back by themselves, and giving one back then takes none away. */
static void test_lost_places(void **state)
{
    struct auth_guard_try lost[10], t[11];
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(begin(*state, "192.0.2.1", "a@x", false, &lost[i]), AUTH_GUARD_GO);
    for (unsigned i = 0; i < AUTH_PLACES_MS / 1000 - 1; i++, now += 1000)
        assert_int_equal(begin(*state, "192.0.2.1", "a@x", false, &t[0]), AUTH_GUARD_QUEUE);
    now += 2000;
    end(*state, &lost[0], UNSURE);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(begin(*state, "192.0.2.1", "a@x", false, &t[i]), AUTH_GUARD_GO);
    assert_int_equal(begin(*state, "192.0.2.1", "a@x", false, &t[10]), AUTH_GUARD_QUEUE);
}

/* More names at once than there is room for: they queue, none pushes out what is taken. */
static void test_full(void **state)
{
    struct auth_guard *g = auth__guard_create(8);
    static struct auth_guard_try tries[100];
    unsigned open = 0;
    char text[32];
    for (unsigned i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "10.1.1.%u", i);
        enum auth_guard_answer answer = begin(g, text, text, false, &tries[i]);
        assert_true(answer == AUTH_GUARD_GO || answer == AUTH_GUARD_QUEUE);
        open += answer == AUTH_GUARD_GO;
    }
    assert_int_equal(open, AUTH_PLACES_WAYS);
    for (unsigned i = 0; i < 100; i++)
        if (tries[i].is_open)
            end(g, &tries[i], RIGHT);
    for (unsigned i = 50; i < 50 + AUTH_PLACES_WAYS; i++) {
        snprintf(text, sizeof text, "10.1.1.%u", i);
        assert_int_equal(begin(g, text, text, false, &tries[i]), AUTH_GUARD_GO);
    }
    auth_guard_destroy(&g);
}

static void test_networks(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"2001:db8::1", "2001:db8::ffff:2", true},
        {"2001:db8::1", "2001:db8:0:1::1", false},
        {"192.0.2.1", "192.0.2.2", false},
        {"local", "local", true},
        {"local", "192.0.2.1", false},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct auth_guard_try a, b;
        auth__guard_key(*state, rows[i].a, SLICE_LIT("x"), false, &a);
        auth__guard_key(*state, rows[i].b, SLICE_LIT("x"), false, &b);
        assert_int_equal(a.address == b.address, rows[i].same);
        assert_int_equal(a.pair == b.pair, rows[i].same);
        assert_int_equal(a.account, b.account);
    }
}

/* A flood of a million other names and addresses, one failure each, in far more tables than there is room
 * for: what was guessed at is still known, and memory is what it was. */
static void test_flood(void **state)
{
    struct auth_guard *g = auth__guard_create(64);
    char text[32];
    size_t bytes = auth__guard_bytes(g);
    for (unsigned i = 0; i < 10; i++)
        attempt(g, "192.0.2.1", "a@x", WRONG);
    for (unsigned i = 0; i < 200000; i++) {
        struct auth_guard_try t;
        snprintf(text, sizeof text, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        auth__guard_key(g, text, slice_cstr(text), false, &t);
        if (auth__guard_begin(g, &limits, &t, 0, false, now).answer == AUTH_GUARD_GO)
            end(g, &t, WRONG);
    }
    assert_true(attempt(g, "192.0.2.1", "a@x", WRONG).is_refused);
    assert_true(attempt(g, "192.0.2.1", "other@x", WRONG).is_refused);
    assert_int_equal(auth__guard_bytes(g), bytes);
    auth_guard_destroy(&g);
    assert_null(g);
}

static void test_no_limits(void **state)
{
    const struct auth_guard_limits open = {.free = 3, .max = 0, .window_ms = MINUTE, .delay_max_ms = 0};
    for (unsigned i = 0; i < 5000; i++) {
        struct auth_guard_try t;
        auth__guard_key(*state, "192.0.2.1", SLICE_LIT("a@x"), false, &t);
        assert_int_equal(auth__guard_begin(*state, &open, &t, 0, false, now).answer, AUTH_GUARD_GO);
        if (i >= 2500) /* the others stay open */
            auth__guard_failure(*state, &open, &t, now);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_guard, close_guard)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_staircase),
        T(test_decay),
        T(test_rate),
        T(test_success_clears),
        T(test_success_is_no_wash),
        T(test_one_address),
        T(test_thousand_addresses),
        T(test_known),
        T(test_shared_address),
        T(test_trusted),
        T(test_unsure),
        T(test_crowd_is_right),
        T(test_crowd_is_wrong),
        T(test_crowd_is_unsure),
        T(test_places),
        T(test_ends),
        T(test_known_is_not_behind),
        T(test_parallel_addresses),
        T(test_lost_places),
        T(test_full),
        T(test_networks),
        T(test_flood),
        T(test_no_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
