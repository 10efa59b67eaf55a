#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dispatch_site.h"
#include "ms/base/clock.h"

#define LONG_MS 60000

atomic_bool site_asleep, site_release;
atomic_int site_workers, site_sessions;

/* -- the protocol */
struct fake_worker {
    struct dispatch_worker *handle;
    struct loop *loop;
    struct list sessions;
    bool draining;
};
struct fake_session {
    struct list node;
    struct fake_worker *w;
    uint64_t id;
    struct net_stream *stream;
    struct net_addr peer;
};

static void *worker_open(void *env, struct dispatch_worker *handle, struct loop *loop,
                         const struct dispatch_service_conf *conf, const char *name)
{
    struct fake_worker *w = ms_new(struct fake_worker);
    w->handle = handle;
    w->loop = loop;
    list_init(&w->sessions);
    atomic_fetch_add(&site_workers, 1);
    return w;
}

static void session_bye(struct fake_session *s)
{
    net_write_cstr(s->stream, "bye\n");
    net_close(s->stream, NET_CLOSED_BY_US);
}

static void hold_up(void)
{
    atomic_store(&site_asleep, true);
    while (!atomic_load(&site_release))
        usleep(1000);
    atomic_store(&site_asleep, false);
}

static size_t on_data(void *owner, struct slice in)
{
    struct fake_session *s = owner;
    struct slice rest = in, line;
    while (slice_cut(&rest, '\n', &line)) {
        if (slice_eq_cstr(line, "sleep"))
            hold_up();
        if (slice_eq_cstr(line, "quit")) {
            session_bye(s);
            return in.len;
        }
        net_write_cstr(s->stream, slice_eq_cstr(line, "echo") ? s->peer.text : "ok");
        net_write_cstr(s->stream, "\n");
    }
    return in.len - rest.len;
}

static void on_closed(void *owner, enum net_close_why why)
{
    struct fake_session *s = owner;
    struct dispatch_worker *handle = s->w->handle;
    uint64_t id = s->id;
    list_remove(&s->node);
    ms_free(s);
    atomic_fetch_sub(&site_sessions, 1);
    dispatch_session_closed(handle, id);
}

static const struct net_callbacks callbacks = {.on_data = on_data, .on_closed = on_closed};

static void session_open(void *worker, int fd, const struct net_addr *peer, uint64_t id)
{
    struct fake_worker *w = worker;
    struct fake_session *s = ms_new(struct fake_session);
    s->w = w;
    s->id = id;
    s->peer = *peer;
    list_push_back(&w->sessions, &s->node);
    atomic_fetch_add(&site_sessions, 1);
    enum ms_err err = net_stream_open(w->loop, fd, 4096, &callbacks, s, &s->stream);
    MS_ASSERT(err == MS_OK);
    if (w->draining)
        session_bye(s);
    else
        net_write_cstr(s->stream, "hi\n");
}

static void worker_drain(void *worker)
{
    struct fake_worker *w = worker;
    w->draining = true;
    LIST_FOREACH_SAFE(&w->sessions, it)
    session_bye(LIST_ENTRY(it, struct fake_session, node));
}

static void worker_close(void *worker)
{
    struct fake_worker *w = worker;
    MS_ASSERT(list_is_empty(&w->sessions));
    ms_free(w);
    atomic_fetch_sub(&site_workers, 1);
}

static void refusal(void *env, enum dispatch_refusal kind, const char *text, struct str *out)
{
    str_addf(out, "%s %s\n", kind == DISPATCH_PERMANENT ? "never" : "later", text);
}

static const struct service_proto proto = {.name = "smtp",
                                           .worker_open = worker_open,
                                           .session_open = session_open,
                                           .worker_drain = worker_drain,
                                           .worker_close = worker_close,
                                           .refusal = refusal};

/* -- the site */
static void make_conf(struct site *s, const char *yaml)
{
    static const struct conf_table *const tables[] = {&dispatch_table, &dispatch_defaults_table,
                                                      &dispatch_services_table};
    struct conf_report report;
    char text[2048];
    int len = snprintf(text, sizeof(text),
                       "dispatcher:\n  trusted_networks: [127.0.0.9, 127.0.1.0/24]\n  services:\n    svc:\n"
                       "      listen: 127.0.0.1:0\n      protocol: smtp\n%s",
                       yaml);
    conf_report_init(&report);
    enum ms_err err = conf_parse_bytes(tables, MS_ARRAY_LEN(tables), slice_make(text, (size_t)len),
                                       "/nowhere/c.yaml", &report, &s->conf);
    assert_int_equal(err, MS_OK);
    conf_report_fini(&report);
}

void site_start(struct site *s, const char *yaml)
{
    struct ms_errinfo why;
    *s = (struct site){0};
    atomic_store(&site_asleep, false);
    atomic_store(&site_release, false);
    make_conf(s, yaml);
    s->bus = bus_create();
    s->control = loop_create(0, "control");
    struct bus_ep *ep = bus_ep_create(s->bus, "control", s->control);
    for (unsigned i = 0; i < SITE_LOOPS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "loop%u", i + 1);
        s->loops[i] = loop_create(i + 1, name);
        bus_link(s->bus, ep, bus_ep_create(s->bus, name, s->loops[i]), 1024);
    }
    s->dispatch = dispatch_create(s->control, s->bus);
    dispatch_register(s->dispatch, &proto, NULL);
    for (unsigned i = 0; i < SITE_LOOPS; i++)
        dispatch_add_loop(s->dispatch, s->loops[i]);
    for (unsigned i = 0; i < SITE_LOOPS; i++)
        assert_int_equal(loop_start(s->loops[i], &why), MS_OK);
    if (dispatch_start(s->dispatch, s->conf, &why) != MS_OK)
        fail_msg("%s", why.text);
}

static void on_idle(void *owner)
{
    *(bool *)owner = true;
}

void site_stop(struct site *s)
{
    bool idle = false;
    uint64_t end = clock_mono_ms() + LONG_MS;
    atomic_store(&site_release, true);
    dispatch_drain(s->dispatch, on_idle, &idle);
    while (!idle && clock_mono_ms() < end)
        loop_turn(s->control);
    assert_true(idle);
    for (unsigned i = 0; i < SITE_LOOPS; i++) {
        loop_stop(s->loops[i]);
        loop_join(s->loops[i]);
    }
    dispatch_destroy(&s->dispatch);
    bus_destroy(&s->bus);
    for (unsigned i = 0; i < SITE_LOOPS; i++)
        loop_destroy(&s->loops[i]);
    loop_destroy(&s->control);
    conf_unref(&s->conf);
    assert_int_equal(atomic_load(&site_sessions), 0);
    assert_int_equal(atomic_load(&site_workers), 0); /* what they had is given back */
}

uint16_t site_port(struct site *s)
{
    return dispatch_listen_addr(s->dispatch, "svc", 0)->port;
}

void site_until(struct site *s, site_cond *cond, uint64_t arg, const char *what)
{
    uint64_t end = clock_mono_ms() + LONG_MS;
    while (!cond(s, arg)) {
        if (clock_mono_ms() > end)
            fail_msg("it did not happen: %s", what);
        loop_turn(s->control);
        usleep(500);
    }
}

void site_pump(struct site *s, uint64_t ms)
{
    uint64_t end = clock_mono_ms() + ms;
    while (clock_mono_ms() < end) {
        loop_turn(s->control);
        usleep(500);
    }
}

int site_connect(struct site *s, const char *from)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(site_port(s)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in me = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(inet_pton(AF_INET, from, &me.sin_addr), 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&me, sizeof(me)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

const char *site_line(struct site *s, int fd)
{
    static char line[512];
    uint64_t end = clock_mono_ms() + LONG_MS;
    size_t n = 0;
    while (n + 1 < sizeof(line)) {
        ssize_t got = recv(fd, line + n, 1, MSG_DONTWAIT);
        if (got > 0 && line[n] != '\n') {
            n++;
            continue;
        }
        if (got >= 0 || errno != EAGAIN)
            break;
        if (clock_mono_ms() > end)
            fail_msg("nothing heard");
        loop_turn(s->control);
        usleep(200);
    }
    line[n] = 0;
    return line;
}

void site_send(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

unsigned site_count(struct site *s, enum dispatch_wstate state)
{
    const struct dispatch_service *svc = dispatch__service_find(s->dispatch, "svc");
    unsigned n = 0;
    for (unsigned i = 0; i < svc->slot_count; i++)
        n += svc->workers[i].is_used && svc->workers[i].state == state;
    return n;
}
