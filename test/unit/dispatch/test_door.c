/* Gates that answer at once, later, too late or never, and a door that is full. */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dispatch_site.h"

#define WAIT_MS 300

/* What the gate under test does; one kind for all connections of a test. */
static struct dispatch_answer next_answer;
static struct dispatch_conn *asked[DISPATCH_DOOR_MAX + 1];
static unsigned asked_count, forgotten;

static void ask(struct dispatch_conn *c, struct dispatch_answer *answer)
{
    assert_int_equal(answer->verdict, DISPATCH_PASS);
    assert_string_equal(c->local.host, "127.0.0.1");
    *answer = next_answer;
    asked[asked_count++ % MS_ARRAY_LEN(asked)] = c;
}

static void forget(struct dispatch_conn *c)
{
    forgotten++;
}

static const struct dispatch_answer never = {.verdict = DISPATCH_REFUSE,
                                             .kind = DISPATCH_PERMANENT,
                                             .reason = DISPATCH_R_ACCESS,
                                             .text = "go\r\naway \xff"};
static const struct dispatch_gate gate_that_refuses_late = {
    .name = "test",
    .ask = ask,
    .forget = forget,
    .wait_ms = WAIT_MS,
    .late = {
        .verdict = DISPATCH_REFUSE, .kind = DISPATCH_TEMPORARY, .reason = DISPATCH_R_DNSBL, .text = "late"}};
static const struct dispatch_gate gate_that_passes_late = {
    .name = "test", .ask = ask, .forget = forget, .wait_ms = WAIT_MS};

static void start(struct site *s, const struct dispatch_gate *gate, const char *yaml)
{
    static const struct dispatch_gate *gates[4];

    gates[0] = &dispatch__gate_limits;
    gates[1] = gate;
    site_start(s, yaml);
    s->dispatch->gates = gates;
    asked_count = forgotten = 0;
    next_answer = (struct dispatch_answer){.verdict = DISPATCH_PASS};
}

static bool asked_are(struct site *s, uint64_t want)
{
    return asked_count == want;
}

static bool sessions_are(struct site *s, uint64_t want)
{
    return dispatch__service_find(s->dispatch, "svc")->active == want && s->dispatch->live.count == want;
}

static void test_at_once(void **state)
{
    struct site s;

    start(&s, &gate_that_refuses_late, "      min_procs: 1\n");
    int a = site_connect(&s, "127.0.0.1");
    site_hears(&s, a, "hi");
    next_answer = never;
    int b = site_connect(&s, "127.0.0.1");
    site_hears(&s, b, "never go??away ?"); /* what a gate says cannot break out of the line */
    close(a);
    close(b);
    site_until(&s, sessions_are, 0, "sessions end");
    assert_int_equal(s.dispatch->peers.idle_count,
                     s.dispatch->peers.rows.count); /* refused ones are not counted */
    site_stop(&s);
}

static void test_delay(void **state)
{
    struct site s;

    start(&s, &gate_that_refuses_late, "      min_procs: 1\n");
    next_answer = (struct dispatch_answer){.verdict = DISPATCH_DELAY, .delay_ms = 400};
    uint64_t begun = loop_now_ms(s.control);
    int a = site_connect(&s, "127.0.0.1");
    site_hears(&s, a, "hi");
    assert_true(loop_now_ms(s.control) - begun >= 400);
    close(a);
    site_stop(&s);
}

static void test_later(void **state)
{
    static const struct dispatch_answer pass = {.verdict = DISPATCH_PASS};
    struct site s;

    start(&s, &gate_that_refuses_late, "      min_procs: 1\n");
    next_answer = (struct dispatch_answer){.verdict = DISPATCH_LATER};
    int a = site_connect(&s, "127.0.0.1");
    site_until(&s, asked_are, 1, "asked");
    dispatch__door_answer(asked[0], &pass);
    site_hears(&s, a, "hi");
    int b = site_connect(&s, "127.0.0.1");
    site_until(&s, asked_are, 2, "asked");
    dispatch__door_answer(asked[1], &never);
    site_hears(&s, b, "never go??away ?");
    assert_int_equal(forgotten, 0);
    int c = site_connect(&s, "127.0.0.1"); /* nobody answers */
    site_hears(&s, c, "later late");
    assert_int_equal(forgotten, 1);
    close(a);
    close(b);
    close(c);
    site_until(&s, sessions_are, 0, "sessions end");
    assert_int_equal(s.dispatch->door_count, 0);
    site_stop(&s);
}

/* A list that does not answer lets clients in; a stop does not wait for it. */
static void test_late_pass(void **state)
{
    struct site s;

    start(&s, &gate_that_passes_late, "      min_procs: 1\n");
    next_answer = (struct dispatch_answer){.verdict = DISPATCH_LATER};
    int a = site_connect(&s, "127.0.0.1");
    site_hears(&s, a, "hi");
    assert_int_equal(forgotten, 1);
    int b = site_connect(&s, "127.0.0.1");
    site_until(&s, asked_are, 2, "asked");
    site_stop(&s);
    assert_int_equal(forgotten, 2);
    close(a);
    close(b);
}

/* Whoever has passed the gates while nobody has room stands in line, and goes first. */
static void test_line(void **state)
{
    static const struct dispatch_answer pass = {.verdict = DISPATCH_PASS};
    struct site s;
    int fds[5];

    start(&s, &gate_that_refuses_late, "      max_procs: 1\n      min_conns: 2\n      max_conns: 2\n");
    next_answer = (struct dispatch_answer){.verdict = DISPATCH_LATER};
    for (unsigned i = 0; i < MS_ARRAY_LEN(fds); i++) {
        fds[i] = site_connect(&s, "127.0.0.1");
        site_until(&s, asked_are, i + 1, "asked");
    }
    for (unsigned i = 0; i < MS_ARRAY_LEN(fds); i++)
        dispatch__door_answer(asked[i], &pass);
    site_hears(&s, fds[0], "hi");
    site_hears(&s, fds[1], "hi");
    assert_int_equal(s.dispatch->door_count, 3);
    assert_true(dispatch__service_find(s.dispatch, "svc")->paused);
    for (unsigned i = 0; i < 3; i++) {
        char byte;
        site_pump(&s, 20);
        assert_int_equal(recv(fds[i + 2], &byte, 1, MSG_DONTWAIT), -1);
        close(fds[i]);
        site_hears(&s, fds[i + 2], "hi");
    }
    assert_int_equal(s.dispatch->door_count, 0);
    close(fds[3]);
    close(fds[4]);
    site_until(&s, sessions_are, 0, "sessions end");
    site_stop(&s);
}

/* A thousand clients are made to wait: the next one costs the first of them its place, not everybody
 * theirs. */
static void test_full_of_delayed(void **state)
{
    static int fds[DISPATCH_DOOR_MAX + 20];
    struct site s;

    start(&s, &gate_that_refuses_late, "      min_procs: 1\n");
    next_answer = (struct dispatch_answer){.verdict = DISPATCH_DELAY, .delay_ms = DISPATCH_DELAY_MAX};
    for (unsigned i = 0; i < MS_ARRAY_LEN(fds); i++) {
        fds[i] = site_connect(&s, "127.0.0.1");
        site_until(&s, asked_are, i + 1, "asked");
    }
    assert_in_range(s.dispatch->door_count, DISPATCH_DOOR_MAX - 1, DISPATCH_DOOR_MAX);
    site_hears(&s, fds[0], "later too busy, try again later");
    next_answer = (struct dispatch_answer){.verdict = DISPATCH_PASS};
    int good = site_connect(&s, "127.0.0.2");
    site_hears(&s, good, "hi");
    close(good);
    for (unsigned i = 0; i < MS_ARRAY_LEN(fds); i++)
        close(fds[i]);
    site_stop(&s);
}

/* All wait for an answer: the listeners rest, and go on with the first that has one. */
static void test_full_of_later(void **state)
{
    static const struct dispatch_answer pass = {.verdict = DISPATCH_PASS};
    static const struct dispatch_gate patient = {
        .name = "test", .ask = ask, .forget = forget, .wait_ms = 600000};
    static int fds[DISPATCH_DOOR_MAX];
    struct site s;

    start(&s, &patient, "      min_procs: 1\n");
    next_answer = (struct dispatch_answer){.verdict = DISPATCH_LATER};
    for (unsigned i = 0; i < MS_ARRAY_LEN(fds); i++) {
        fds[i] = site_connect(&s, "127.0.0.1");
        site_until(&s, asked_are, i + 1, "asked");
    }
    struct dispatch_service *svc = dispatch__service_find(s.dispatch, "svc");
    assert_true(svc->paused);
    int more = site_connect(&s, "127.0.0.2"); /* in the kernel */
    site_pump(&s, 50);
    assert_int_equal(asked_count, DISPATCH_DOOR_MAX);
    dispatch__door_answer(asked[5], &pass);
    site_hears(&s, fds[5], "hi");
    site_until(&s, asked_are, DISPATCH_DOOR_MAX + 1, "the listeners go on");
    for (unsigned i = 0; i < MS_ARRAY_LEN(fds); i++)
        close(fds[i]);
    close(more);
    site_stop(&s);
    assert_int_equal(forgotten, DISPATCH_DOOR_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_once),       cmocka_unit_test(test_delay),
        cmocka_unit_test(test_later),         cmocka_unit_test(test_late_pass),
        cmocka_unit_test(test_line),          cmocka_unit_test(test_full_of_delayed),
        cmocka_unit_test(test_full_of_later),
    };
    net_raise_nofile();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
