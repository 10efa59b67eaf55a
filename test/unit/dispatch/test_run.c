/* The dispatcher with loops and sockets: stalls, operators, sessions that end, memory that is given back. */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dispatch_site.h"

static bool is_asleep(struct site *s, uint64_t arg)
{
    return atomic_load(&site_asleep);
}

static bool loops_answer(struct site *s, uint64_t want)
{
    return dispatch_loops_answer(s->dispatch) == (want != 0);
}

static bool sessions_are(struct site *s, uint64_t want)
{
    return dispatch__service_find(s->dispatch, "svc")->active == want;
}

static bool workers_are(struct site *s, uint64_t want)
{
    return site_count(s, DISPATCH_W_RUNNING) == want && site_count(s, DISPATCH_W_TERMINATING) == 0 &&
           atomic_load(&site_workers) == (int)want;
}

static unsigned workers_on(struct site *s, const struct loop *loop)
{
    const struct dispatch_service *svc = dispatch__service_find(s->dispatch, "svc");
    unsigned n = 0;
    for (unsigned i = 0; i < svc->slot_count; i++)
        n += svc->workers[i].is_used && svc->workers[i].state == DISPATCH_W_RUNNING &&
             svc->workers[i].lane->loop == loop;
    return n;
}

/* A loop that stands still: newcomers are served by the other one, and so is everybody when it is back. */
static void test_stall(void **state)
{
    struct site s;
    int fds[40];

    site_start(&s, "      min_procs: 2\n      max_procs: 4\n      min_conns: 100\n      max_handoffs: 4\n");
    int sleeper = site_connect(&s, "127.0.0.1");
    site_hears(&s, sleeper, "hi");
    site_send(sleeper, "sleep\n");
    site_until(&s, is_asleep, 0, "a loop is held up");
    assert_true(dispatch_loops_answer(s.dispatch));
    site_until(&s, loops_answer, 0, "the stall is seen");
    unsigned stalled = s.dispatch->lanes[0].stalled ? 0 : 1;
    assert_true(s.dispatch->lanes[stalled].stalled);
    assert_false(s.dispatch->lanes[1 - stalled].stalled);
    assert_int_equal(workers_on(&s, s.loops[stalled]), 0);
    assert_int_equal(workers_on(&s, s.loops[1 - stalled]), 2); /* min_procs, on the loop that answers */
    for (size_t i = 0; i < MS_ARRAY_LEN(fds); i++) {
        fds[i] = site_connect(&s, "127.0.0.1");
        site_hears(&s, fds[i], "hi");
    }
    assert_int_equal(obs_counter_get(MET_DISPATCH_STALLS), 1); /* told once */
    atomic_store(&site_release, true);
    site_hears(&s, sleeper, "ok");
    site_until(&s, loops_answer, 1, "it is back");
    site_send(sleeper, "echo\n"); /* its sessions have lived on */
    assert_non_null(strstr(site_line(&s, sleeper), "127.0.0.1:"));
    close(sleeper);
    site_until(&s, workers_are, 2, "the worker that was replaced has ended");
    for (size_t i = 0; i < MS_ARRAY_LEN(fds); i++)
        close(fds[i]);
    site_until(&s, sessions_are, 0, "sessions end");
    site_stop(&s);
}

/* Connections that were on their way when the loop stopped keep nobody waiting: max_handoffs is not used
 * up. */
static void test_stall_pending(void **state)
{
    struct site s;
    int fds[24];

    site_start(&s, "      min_procs: 2\n      max_procs: 2\n      min_conns: 100\n      max_handoffs: 2\n");
    int sleeper = site_connect(&s, "127.0.0.1");
    site_hears(&s, sleeper, "hi");
    site_send(sleeper, "sleep\n");
    site_until(&s, is_asleep, 0, "a loop is held up");
    for (size_t i = 0; i < MS_ARRAY_LEN(fds); i++)
        fds[i] = site_connect(&s, "127.0.0.1"); /* two of them stick in the ring, and the service waits */
    site_until(&s, loops_answer, 0, "the stall is seen");
    site_pump(&s, 100);
    unsigned served = 0;
    for (size_t i = 0; i < MS_ARRAY_LEN(fds); i++) {
        char byte;
        site_pump(&s, 10);
        served += recv(fds[i], &byte, 1, MSG_DONTWAIT) == 1;
    }
    assert_in_range(served, MS_ARRAY_LEN(fds) - 2, MS_ARRAY_LEN(fds));
    atomic_store(&site_release, true);
    for (size_t i = 0; i < MS_ARRAY_LEN(fds); i++)
        close(fds[i]);
    close(sleeper);
    site_until(&s, sessions_are, 0, "sessions end");
    site_stop(&s);
}

/* Each session is counted out, also when thousands end at once and the ring of notes overflows. */
static void test_ends(void **state)
{
    struct site s;
    static int fds[600];

    site_start(&s, "      min_procs: 2\n      max_conns: 100000\n      max_handoffs: 4096\n");
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < MS_ARRAY_LEN(fds); i++) {
            fds[i] = site_connect(&s, "127.0.0.1");
            site_hears(&s, fds[i], "hi");
        }
        assert_int_equal(dispatch__service_find(s.dispatch, "svc")->active, MS_ARRAY_LEN(fds));
        for (size_t i = 0; i < MS_ARRAY_LEN(fds); i++)
            close(fds[i]);
        site_until(&s, sessions_are, 0, "sessions end");
        assert_int_equal(s.dispatch->live.count, 0);
        assert_int_equal(s.dispatch->peers.idle_count, s.dispatch->peers.rows.count);
    }
    site_stop(&s);
}

/* Notes that find no room are kept on the loop and come later: none is lost. */
static void test_notes_full(void **state)
{
    enum { MANY = DISPATCH_NOTES + 500 };
    struct site s;

    site_start(&s, "      min_procs: 1\n");
    int fd = site_connect(&s, "127.0.0.1");
    site_hears(&s, fd, "hi");
    struct dispatch_service *svc = dispatch__service_find(s.dispatch, "svc");
    struct dispatch_worker *w = NULL;
    for (unsigned i = 0; i < svc->slot_count && !w; i++)
        w = svc->workers[i].is_used && atomic_load(&svc->workers[i].active) ? &svc->workers[i] : NULL;
    assert_non_null(w);
    for (uint64_t i = 0; i < MANY; i++) { /* sessions of which nobody but the dispatcher knows */
        struct dispatch_live *live = ms_alloc(sizeof(*live) + 1);
        live->session = 1000000 + i;
        live->service = svc;
        svc->active++;
        map_put_u64(&s.dispatch->live, live->session, live);
    }
    struct loop *loop = w->lane->loop;
    loop_stop(loop); /* so that this thread may speak for it */
    loop_join(loop);
    atomic_fetch_add(&w->active, MANY);
    for (uint64_t i = 0; i < MANY; i++)
        dispatch_session_closed(w, 1000000 + i);
    assert_true(w->lane->unsent_count >= 500);
    struct ms_errinfo why;
    assert_int_equal(loop_start(loop, &why), MS_OK);
    site_until(&s, sessions_are, 1, "all are told");
    close(fd);
    site_until(&s, sessions_are, 0, "sessions end");
    site_stop(&s);
}

/* Workers that end, for whatever reason, give back what they had; the service goes on. */
static void test_kill(void **state)
{
    struct site s;

    site_start(&s, "      min_procs: 3\n      max_procs: 8\n");
    site_until(&s, workers_are, 3, "min_procs");
    for (int i = 0; i < 50; i++) {
        struct dispatch_service *svc = dispatch__service_find(s.dispatch, "svc");
        uint64_t id = 0;
        int fd = site_connect(&s, "127.0.0.1");
        site_hears(&s, fd, "hi");
        for (unsigned k = 0; k < svc->slot_count; k++)
            if (svc->workers[k].is_used && atomic_load(&svc->workers[k].active))
                id = svc->workers[k].id;
        assert_int_equal(dispatch_kill_worker(s.dispatch, id, i % 2), MS_OK);
        assert_int_equal(site_count(&s, DISPATCH_W_RUNNING), 3);
        if (i % 2)
            site_hears(&s, fd, "bye");
        else {
            site_send(fd, "echo\n");
            assert_non_null(strstr(site_line(&s, fd), "127.0.0.1"));
        }
        close(fd);
        site_until(&s, workers_are, 3, "the killed one has ended");
        assert_int_equal(dispatch_kill_worker(s.dispatch, id, false), MS_ENOTFOUND);
    }
    site_stop(&s);
}

static void test_services(void **state)
{
    struct site s;
    struct ms_errinfo why;

    site_start(&s, "      min_procs: 2\n");
    int fd = site_connect(&s, "127.0.0.1");
    site_hears(&s, fd, "hi");
    assert_int_equal(dispatch_service_restart(s.dispatch, "svc", &why), MS_OK);
    assert_int_equal(site_count(&s, DISPATCH_W_RUNNING), 2);
    site_hears(&s, fd, "bye");
    close(fd);
    site_until(&s, workers_are, 2, "those before have ended");
    assert_int_equal(dispatch_service_stop(s.dispatch, NULL, &why), MS_OK);
    assert_null(dispatch_listen_addr(s.dispatch, "svc", 0));
    site_until(&s, workers_are, 0, "all have ended");
    assert_int_equal(dispatch_service_start(s.dispatch, "svc", &why), MS_OK);
    fd = site_connect(&s, "127.0.0.1");
    site_hears(&s, fd, "hi");
    close(fd);
    assert_int_equal(dispatch_service_stop(s.dispatch, "other", &why), MS_ENOTFOUND);
    assert_int_equal(dispatch_service_restart(s.dispatch, NULL, &why), MS_OK);
    site_stop(&s);
}

/* Refused in the words of the protocol; the place of one who leaves is free. */
static void test_limits(void **state)
{
    struct site s;

    site_start(&s, "      max_conns_per_address: 2\n");
    int a = site_connect(&s, "127.0.0.1"), b = site_connect(&s, "127.0.0.1"),
        c = site_connect(&s, "127.0.0.1");
    site_hears(&s, a, "hi");
    site_hears(&s, b, "hi");
    site_hears(&s, c, "later too many connections from your address");
    site_hears(&s, c, "");
    int other = site_connect(&s, "127.0.0.2");
    site_hears(&s, other, "hi");
    close(a);
    site_until(&s, sessions_are, 2, "one has left");
    a = site_connect(&s, "127.0.0.1");
    site_hears(&s, a, "hi");
    close(a);
    close(b);
    close(c);
    close(other);
    site_stop(&s);
}

/* Behind a trusted proxy the client is whom the header names, for the session and for the limits. */
static void test_proxy(void **state)
{
    struct site s;
    char header[128];

    site_start(&s, "      proxy_protocol: yes\n      max_conns_per_address: 1\n");
    int untrusted = site_connect(&s, "127.0.0.1");
    site_hears(&s, untrusted, "never only proxies are served here");
    close(untrusted);
    int bad = site_connect(&s, "127.0.0.9");
    site_send(bad, "EHLO me\r\n");
    site_hears(&s, bad, "never that is no PROXY header");
    close(bad);
    int gone = site_connect(&s, "127.0.0.9"); /* it leaves before it has said all */
    site_send(gone, "PROXY TCP4 ");
    close(gone);
    int a = site_connect(&s, "127.0.0.9"), b = site_connect(&s, "127.0.1.7"),
        c = site_connect(&s, "127.0.0.9");
    site_send(a, "PROXY TCP4 192.0.2.1 198.51.100.2 40000 25\r\necho\n");
    site_hears(&s, a, "hi");
    site_hears(&s, a, "192.0.2.1:40000");
    snprintf(header, sizeof(header), "PROXY TCP4 192.0.2.1 198.51.100.2 40001 25\r\n");
    site_send(b, header); /* the same client by another proxy */
    site_hears(&s, b, "later too many connections from your address");
    site_send(c, "PROXY UNKNOWN\r\necho\n"); /* the proxy itself */
    site_hears(&s, c, "hi");
    assert_non_null(strstr(site_line(&s, c), "127.0.0.9:"));
    close(a);
    close(b);
    close(c);
    site_stop(&s);
}

/* A client who says nothing is not waited for without end, and a stop does not wait for him either. */
static void test_proxy_silent(void **state)
{
    struct site s;

    site_start(&s, "      proxy_protocol: yes\n");
    int fd = site_connect(&s, "127.0.0.9");
    site_hears(&s, fd, "never no PROXY header came");
    close(fd);
    int fds[50];
    for (size_t i = 0; i < MS_ARRAY_LEN(fds); i++)
        fds[i] = site_connect(&s, "127.0.0.9");
    site_pump(&s, 100);
    assert_int_equal(s.dispatch->door_count, MS_ARRAY_LEN(fds));
    struct ms_errinfo why;
    assert_int_equal(dispatch_service_stop(s.dispatch, "svc", &why), MS_OK);
    assert_int_equal(s.dispatch->door_count, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(fds); i++) {
        site_hears(&s, fds[i], "later the service is stopping");
        close(fds[i]);
    }
    site_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stall),        cmocka_unit_test(test_stall_pending),
        cmocka_unit_test(test_ends),         cmocka_unit_test(test_notes_full),
        cmocka_unit_test(test_kill),         cmocka_unit_test(test_services),
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_proxy_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
