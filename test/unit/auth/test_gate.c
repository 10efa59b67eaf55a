/* Exchanges at the gate, in virtual time: crowds, the queue and its end, who hangs up where. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../../src/auth/auth_priv.h"
#include "ms/base/str.h"

#define MOST     4 /* auth.failures_max */
#define CROWD    20
#define PASSWORD "right"
#define ADDRESS  "192.0.2.1"

static const struct conf_table *const tables[] = {&auth_table, &auth_oauth_table};
static const char options[] = "auth:\n  failures_free: 4\n  failures_max: 4\n  failure_time: 1d\n";

static struct {
    char folder[32], path[64];
    struct account *directory;
    struct loop *loop;
    struct account_client *accounts;
    struct auth_guard *guard;
    struct conf *conf;
    struct auth_client *auth;
    unsigned answers;
} site;

struct visitor {
    struct auth_exchange *x;
    struct auth_peer peer;
    enum auth_state state;
    enum auth_outcome outcome;
    unsigned order, again; /* when it was answered; how often it comes again when it is */
    const char *user, *password;
};
static struct visitor crowd[CROWD];

static void add_user(const char *login)
{
    struct account_user_spec spec = {.login = slice_cstr(login)};
    struct account_password made;
    struct ms_errinfo why;
    assert_int_equal(account_password_make(site.directory, SLICE_LIT(PASSWORD), &made), MS_OK);
    account_password_set(&spec, &made);
    assert_int_equal(account_dir_user_add(site.directory, &spec, true, NULL, &why), MS_OK);
}

static int setup(void **state)
{
    struct conf_report report;
    struct ms_errinfo why;
    memset(&site, 0, sizeof site);
    memset(crowd, 0, sizeof crowd);
    memcpy(site.folder, "/tmp/test-auth-XXXXXX", 22);
    assert_non_null(mkdtemp(site.folder));
    snprintf(site.path, sizeof site.path, "%s/directory.mdb", site.folder);
    const struct account_conf ac = {.path = site.path, .threads = 1, .proven_ms = 60000};
    assert_int_equal(account_open(&ac, "example.org", true, &site.directory, &why), MS_OK);
    add_user("anna");
    add_user("bert");
    conf_report_init(&report);
    assert_int_equal(
        conf_parse_bytes(tables, MS_ARRAY_LEN(tables), slice_cstr(options), "/x.yaml", &report, &site.conf),
        MS_OK);
    conf_report_fini(&report);
    site.loop = loop_create_virtual(1, "loop1", 1000000);
    site.accounts = account_client_create(site.directory, site.loop);
    site.guard = auth_guard_create();
    site.auth = auth_client_create(site.loop, site.accounts, site.guard, site.conf);
    return 0;
}

static int teardown(void **state)
{
    char lock[80];
    for (unsigned i = 0; i < CROWD; i++)
        auth_end(&crowd[i].x);
    assert_int_equal(site.auth->queued, 0);
    auth_client_destroy(&site.auth);
    auth_guard_destroy(&site.guard);
    account_client_destroy(&site.accounts);
    account_close(&site.directory);
    loop_destroy(&site.loop);
    conf_unref(&site.conf);
    snprintf(lock, sizeof lock, "%s-lock", site.path);
    unlink(lock);
    unlink(site.path);
    return rmdir(site.folder);
}

static void come(struct visitor *v, const char *user, const char *password);

static void answered(struct visitor *v)
{
    v->order = ++site.answers;
    v->outcome = auth_result_of(v->x)->outcome;
    if (v->again == 0)
        return;
    v->again--;
    auth_end(&v->x);
    come(v, v->user, v->password);
}

static void on_done(void *owner, enum auth_state state)
{
    struct visitor *v = owner;
    v->state = state;
    assert_int_equal(state, AUTH_DONE);
    answered(v);
}

static void come(struct visitor *v, const char *user, const char *password)
{
    v->user = user;
    v->password = password;
    v->peer = (struct auth_peer){
        .service = "imap", .protocol = "imap", .rip = ADDRESS, .lip = "192.0.2.200", .tls = "TLSv1.3"};
    v->state =
        auth_begin_password(site.auth, &v->peer, slice_cstr(user), slice_cstr(password), on_done, v, &v->x);
    if (v->state == AUTH_DONE)
        answered(v);
}

static bool all_are_done(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (crowd[i].state != AUTH_DONE)
            return false;
    return true;
}

/* Hashes take their time in another thread; the loop's goes on about as fast. */
static void wait_all(unsigned count)
{
    for (unsigned i = 0; i < 20000 && !all_are_done(count); i++) {
        loop_turn(site.loop);
        loop_advance(site.loop, 1);
        usleep(1000);
    }
    assert_true(all_are_done(count));
}

static void expect(unsigned first, unsigned end, enum auth_outcome outcome)
{
    for (unsigned i = first; i < end; i++)
        assert_int_equal(crowd[i].outcome, outcome);
}

/* Others of the address are being looked at; as many as may be. */
static struct auth_guard_try others[MOST];
static void others_come(void)
{
    for (unsigned i = 0; i < MOST; i++) {
        auth__guard_key(site.guard, ADDRESS, SLICE_LIT("other@example.org"), false, &others[i]);
        assert_int_equal(
            auth__guard_begin(site.guard, &site.auth->limits, &others[i], 0, false, loop_now_ms(site.loop))
                .answer,
            AUTH_GUARD_GO);
    }
}

static void others_go(void)
{
    for (unsigned i = 0; i < MOST; i++)
        auth__guard_refund(site.guard, &others[i], loop_now_ms(site.loop));
}

/* Two users, far more often than they may fail, all before the first is answered; some come twice. */
static void test_crowd(void **state)
{
    for (unsigned i = 0; i < CROWD; i++) {
        crowd[i].again = i % 3 == 0;
        come(&crowd[i], i % 2 ? "anna" : "bert", PASSWORD);
    }
    assert_int_equal(site.auth->queued, CROWD - MOST);
    wait_all(CROWD);
    expect(0, CROWD, AUTH_OK);
    assert_int_equal(site.answers, CROWD + (CROWD + 2) / 3);
}

/* Who came first is served first. */
static void test_order(void **state)
{
    others_come();
    for (unsigned i = 0; i < CROWD; i++) {
        come(&crowd[i], "anna", PASSWORD);
        loop_advance(site.loop, 7);
        if (i == CROWD / 2)
            auth_end(&crowd[3].x); /* one of them does not want to wait any more */
    }
    crowd[3].state = AUTH_DONE;
    others_go();
    come(&crowd[3], "anna", PASSWORD);
    wait_all(CROWD);
    expect(0, CROWD, AUTH_OK);
    for (unsigned i = MOST + 2; i < CROWD; i++) /* those before are hashed; these the cache knows then */
        assert_true(crowd[i].order > crowd[i - 1].order);
}

/* All are wrong: four are looked at, nobody else after them, though he is right. */
static void test_wrong_crowd(void **state)
{
    for (unsigned i = 0; i < CROWD - 1; i++)
        come(&crowd[i], i % 2 ? "anna" : "bert", "wrong");
    come(&crowd[CROWD - 1], "bert", PASSWORD);
    wait_all(CROWD);
    expect(0, CROWD, AUTH_DENIED);
}

/* One fewer wrong than is refused for: the right ones among them get in. */
static void test_mixed_crowd(void **state)
{
    for (unsigned i = 0; i < CROWD; i++)
        come(&crowd[i], i % 2 ? "anna" : "bert", i < MOST - 1 ? "wrong" : PASSWORD);
    wait_all(CROWD);
    expect(0, MOST - 1, AUTH_DENIED);
    expect(MOST - 1, CROWD, AUTH_OK);
}

static void test_queue_ends(void **state)
{
    others_come();
    come(&crowd[0], "anna", PASSWORD);
    come(&crowd[1], "bert", "wrong");
    loop_advance(site.loop, AUTH_QUEUE_MS - 1000);
    assert_int_equal(crowd[0].state, AUTH_WAIT);
    loop_advance(site.loop, 2000);
    assert_true(all_are_done(2));
    expect(0, 2, AUTH_TEMPORARY);
    others_go();
    for (unsigned i = 0; i < 2; i++)
        auth_end(&crowd[i].x);
    others_come(); /* nothing was counted */
    others_go();
    come(&crowd[0], "anna", PASSWORD);
    wait_all(1);
    expect(0, 1, AUTH_OK);
}

static void test_leaving_the_queue(void **state)
{
    others_come();
    for (unsigned i = 0; i < CROWD; i++)
        come(&crowd[i], "anna", "wrong");
    assert_int_equal(site.auth->queued, CROWD);
    for (unsigned i = 0; i < CROWD; i++)
        auth_end(&crowd[i].x);
    assert_int_equal(site.auth->queued, 0);
    loop_advance(site.loop, 1000);
    others_go();
    others_come();
    others_go();
}

/* Whatever was sent: nobody can say any more that it was right. */
static void test_hanging_up(void **state)
{
    for (unsigned i = 0; i < MOST; i++) {
        come(&crowd[i], "anna", i % 2 ? "wrong" : PASSWORD);
        assert_int_equal(crowd[i].state, AUTH_WAIT);
        auth_end(&crowd[i].x);
    }
    come(&crowd[MOST], "bert", PASSWORD);
    for (unsigned i = 0; i < MOST; i++)
        crowd[i].state = AUTH_DONE;
    wait_all(MOST + 1);
    expect(MOST, MOST + 1, AUTH_DENIED);
}

/* An answer that is there at once is given at once, and its place is free again. */
static void test_proven(void **state)
{
    come(&crowd[0], "anna", PASSWORD);
    wait_all(1);
    expect(0, 1, AUTH_OK);
    others_come();
    for (unsigned i = 1; i < CROWD; i++) {
        come(&crowd[i], "anna", PASSWORD);
        assert_int_equal(crowd[i].state, AUTH_DONE);
    }
    expect(1, CROWD, AUTH_OK);
    others_go();
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_crowd),       T(test_order),      T(test_wrong_crowd),
        T(test_mixed_crowd), T(test_queue_ends), T(test_leaving_the_queue),
        T(test_hanging_up),  T(test_proven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
