/* Back-off with virtual time: who waits, who is refused, who is not. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../../src/auth/auth_guard.h"
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

static struct auth_guard_verdict attempt_of(struct auth_guard *g, const char *rip, const char *login,
                                            bool is_trusted, enum outcome o)
{
    struct auth_guard_try t;
    auth__guard_key(g, rip, slice_cstr(login), is_trusted, &t);
    struct auth_guard_verdict v = auth__guard_begin(g, &limits, &t, now);
    assert_int_equal(t.is_charged, !v.is_refused);
    if (!v.is_refused && o == RIGHT)
        auth__guard_success(g, &limits, &t, now);
    if (!v.is_refused && o == UNSURE)
        auth__guard_refund(g, &limits, &t, now);
    return v;
}

static struct auth_guard_verdict attempt(struct auth_guard *g, const char *rip, const char *login,
                                         enum outcome o)
{
    return attempt_of(g, rip, login, false, o);
}

static void expect(struct auth_guard_verdict v, bool is_refused, uint64_t delay_ms)
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
        struct auth_guard_verdict v = attempt(*state, rip, "a@x", WRONG);
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

/* All at the same moment: none has an outcome yet. */
static void test_parallel(void **state)
{
    unsigned looked = 0;
    for (unsigned i = 0; i < 1000; i++) {
        struct auth_guard_try t;
        auth__guard_key(*state, "192.0.2.1", SLICE_LIT("a@x"), false, &t);
        looked += !auth__guard_begin(*state, &limits, &t, now).is_refused;
    }
    assert_int_equal(looked, 10);
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
        (void)auth__guard_begin(g, &limits, &t, now);
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
        expect(auth__guard_begin(*state, &open, &t, now), false, 0);
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
        T(test_parallel),
        T(test_networks),
        T(test_flood),
        T(test_no_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
