/*
 * dispatch_door.c - from accept to the hand-off: gates, the line of those who wait for a worker, refusals.
 *
 *   GATE --ask--> pass: the next one        refuse: told so, gone
 *                 DELAY --time--> the next one
 *                 LATER --answer or time--> as the gate said
 *   behind the last gate: to a worker, or into the LINE until one has room
 */
#include <unistd.h>

#include "dispatch_priv.h"

#define REFUSED_EVENT_MS 100 /* between two lines of one service and reason */

static const struct dispatch_gate *const gates[] = {
    &dispatch__gate_proxy,
    &dispatch__gate_limits,
    &dispatch__gate_access,
    &dispatch__gate_dnsbl,
};

const char *dispatch__reason_name(enum dispatch_reason reason)
{
    static const char *const names[DISPATCH_R_COUNT] = {
        [DISPATCH_R_BUSY] = "busy",
        [DISPATCH_R_STOPPING] = "stopping",
        [DISPATCH_R_MEMORY] = "memory",
        [DISPATCH_R_PROXY] = "proxy",
        [DISPATCH_R_ADDRESS_CONNS] = "address-conns",
        [DISPATCH_R_NETWORK_CONNS] = "network-conns",
        [DISPATCH_R_ADDRESS_RATE] = "address-rate",
        [DISPATCH_R_NETWORK_RATE] = "network-rate",
        [DISPATCH_R_ACCESS] = "access",
        [DISPATCH_R_DNSBL] = "dnsbl",
    };
    return names[reason];
}

static enum obs_counter reason_counter(enum dispatch_reason reason)
{
    switch (reason) {
    case DISPATCH_R_BUSY:
    case DISPATCH_R_STOPPING:
        return MET_DISPATCH_REFUSED;
    case DISPATCH_R_MEMORY:
        return MET_DISPATCH_REFUSED_MEMORY;
    case DISPATCH_R_PROXY:
        return MET_DISPATCH_REFUSED_PROXY;
    case DISPATCH_R_ADDRESS_CONNS:
    case DISPATCH_R_NETWORK_CONNS:
        return MET_DISPATCH_REFUSED_CONNS;
    case DISPATCH_R_ADDRESS_RATE:
    case DISPATCH_R_NETWORK_RATE:
        return MET_DISPATCH_REFUSED_RATE;
    case DISPATCH_R_ACCESS:
        return MET_DISPATCH_REFUSED_ACCESS;
    case DISPATCH_R_DNSBL:
        return MET_DISPATCH_REFUSED_DNSBL;
    case DISPATCH_R_COUNT:
        break;
    }
    MS_UNREACHABLE();
}

/* NULL: behind the last one. */
static const struct dispatch_gate *conn_gate(const struct dispatch_conn *c)
{
    const struct dispatch *d = c->service->dispatch;

    if (d->gates)
        return d->gates[c->gate];
    return c->gate < MS_ARRAY_LEN(gates) ? gates[c->gate] : NULL;
}

/* It stands at the door no longer; fd is not its any more. */
static void conn_free(struct dispatch_conn *c)
{
    struct dispatch_service *s = c->service;

    loop_timer_stop(s->dispatch->control, &c->timer);
    list_remove(&c->node);
    s->door_count--;
    s->dispatch->door_count--;
    dispatch__uncount(s->dispatch, c->address, c->network);
    ms_free(c);
}

/* -- refusal */
static void refusal_text(const struct dispatch_service *s, const struct dispatch_answer *answer,
                         struct str *out)
{
    char text[DISPATCH_TEXT_MAX];
    size_t n = 0;

    for (const char *p = answer->text; *p && n + 1 < sizeof(text); p++)
        text[n++] = *p >= 0x20 && *p < 0x7f ? *p : '?';
    text[n] = 0;
    if (s->proto->refusal &&
        s->conf.tls != DISPATCH_TLS_IMPLICIT) /* there is nothing to say before a handshake */
        s->proto->refusal(s->env, answer->kind, text, out);
}

static void conn_refuse(struct dispatch_conn *c, const struct dispatch_answer *answer)
{
    struct dispatch_service *s = c->service;
    uint64_t suppressed = 0;
    struct str text;

    s->refused[answer->reason]++;
    obs_count(reason_counter(answer->reason), 1);
    if (obs_limit_pass(&s->refused_limit[answer->reason], loop_now_ms(s->dispatch->control), REFUSED_EVENT_MS,
                       &suppressed))
        OBS_EVENT(OBS_DISPATCH_REFUSED, c->session, OBS_C("rip", c->peer.host), OBS_C("service", s->name),
                  OBS_C("reason", dispatch__reason_name(answer->reason)), OBS_U("more", suppressed),
                  OBS_C("text", answer->text));
    str_init(&text, 0);
    refusal_text(s, answer, &text);
    net_refuse(s->dispatch->control, c->fd, str_slice(&text));
    str_fini(&text);
    conn_free(c);
}

static void conn_stop(struct dispatch_conn *c)
{
    static const struct dispatch_answer stopping = {.verdict = DISPATCH_REFUSE,
                                                    .kind = DISPATCH_TEMPORARY,
                                                    .reason = DISPATCH_R_STOPPING,
                                                    .text = "the service is stopping"};

    if (c->at == DISPATCH_AT_LATER)
        conn_gate(c)->forget(c);
    conn_refuse(c, &stopping);
}

/* -- behind the gates */
/* false: nobody has room. */
static bool conn_hand_over(struct dispatch_conn *c)
{
    struct dispatch_service *s = c->service;
    struct dispatch_worker *w = dispatch__pick(s);
    struct bus_msg msg = {.kind = DISPATCH_MSG_HANDOFF, .a = {w ? w->slot : 0, (uint64_t)c->fd, c->session}};

    if (!w)
        return false;
    msg.body = mbuf_from(slice_make(&c->peer, sizeof(c->peer)));
    if (dispatch__call(w, &msg) != MS_OK) {
        mbuf_unref(&msg.body);
        return false;
    }
    w->pending++;
    w->life++;
    s->accepted++;
    obs_count(MET_DISPATCH_ACCEPTED, 1);
    dispatch__live_begin(c, w);
    conn_free(c);
    dispatch__spares(s);
    dispatch__expire(s);
    return true;
}

void dispatch__door_pump(struct dispatch_service *s)
{
    while (!list_is_empty(&s->line) && conn_hand_over(LIST_ENTRY(s->line.next, struct dispatch_conn, node)))
        ;
}

/* First come, first served: who is in line already goes first. */
static void conn_line_up(struct dispatch_conn *c)
{
    c->at = DISPATCH_AT_LINE;
    list_remove(&c->node);
    list_push_back(&c->service->line, &c->node);
    dispatch__door_pump(c->service);
}

/* -- the gates */
static void conn_step(struct dispatch_conn *c);

static void on_delayed(struct loop_timer *timer)
{
    struct dispatch_conn *c = MS_CONTAINER_OF(timer, struct dispatch_conn, timer);
    struct dispatch_service *s = c->service;

    conn_step(c);
    dispatch__service_gate(s);
}

static void on_late(struct loop_timer *timer)
{
    struct dispatch_conn *c = MS_CONTAINER_OF(timer, struct dispatch_conn, timer);
    const struct dispatch_gate *gate = conn_gate(c);

    gate->forget(c);
    dispatch__door_answer(c, &gate->late);
}

/* true: on to the next gate, at once. */
static bool conn_apply(struct dispatch_conn *c, const struct dispatch_answer *answer)
{
    struct loop *control = c->service->dispatch->control;

    switch (answer->verdict) {
    case DISPATCH_PASS:
        c->gate++;
        return true;
    case DISPATCH_REFUSE:
        conn_refuse(c, answer);
        return false;
    case DISPATCH_DELAY:
        c->gate++;
        c->at = DISPATCH_AT_DELAY;
        loop_timer_start(control, &c->timer, MS_MIN(answer->delay_ms, (uint64_t)DISPATCH_DELAY_MAX),
                         on_delayed);
        return false;
    case DISPATCH_LATER:
        c->at = DISPATCH_AT_LATER;
        loop_timer_start(control, &c->timer, conn_gate(c)->wait_ms, on_late);
        return false;
    }
    MS_UNREACHABLE();
}

static void conn_step(struct dispatch_conn *c)
{
    while (conn_gate(c)) {
        struct dispatch_answer answer = {.verdict = DISPATCH_PASS};

        c->at = DISPATCH_AT_GATE;
        conn_gate(c)->ask(c, &answer);
        if (!conn_apply(c, &answer))
            return;
    }
    conn_line_up(c);
}

void dispatch__door_answer(struct dispatch_conn *c, const struct dispatch_answer *answer)
{
    struct dispatch_service *s = c->service;

    MS_ASSERT(c->at == DISPATCH_AT_LATER && answer->verdict != DISPATCH_LATER);
    loop_timer_stop(s->dispatch->control, &c->timer);
    if (conn_apply(c, answer))
        conn_step(c);
    dispatch__service_gate(s);
}

/* The door is full: whoever is only being made to wait, longest first, goes. */
static void door_make_room(struct dispatch_service *s)
{
    static const struct dispatch_answer busy = {.verdict = DISPATCH_REFUSE,
                                                .kind = DISPATCH_TEMPORARY,
                                                .reason = DISPATCH_R_BUSY,
                                                .text = "too busy, try again later"};

    LIST_FOREACH_SAFE(&s->door, it)
    {
        struct dispatch_conn *c = LIST_ENTRY(it, struct dispatch_conn, node);
        if (c->at == DISPATCH_AT_DELAY) {
            conn_refuse(c, &busy);
            return;
        }
    }
}

static const struct dispatch_answer short_of_memory = {.verdict = DISPATCH_REFUSE,
                                                       .kind = DISPATCH_TEMPORARY,
                                                       .reason = DISPATCH_R_MEMORY,
                                                       .text = "short of memory, try again later"};

void dispatch_set_short(struct dispatch *d, bool is_short)
{
    d->is_short = is_short;
}

void dispatch__door_open(struct dispatch_service *s, int fd, const struct net_addr *peer)
{
    struct dispatch_conn *c = ms_new(struct dispatch_conn);

    if (s->door_count >= DISPATCH_DOOR_MAX - 1)
        door_make_room(s);
    c->service = s;
    c->fd = fd;
    c->session = ++s->dispatch->next_session;
    c->peer = *peer;
    net_local_addr(fd, &c->local);
    list_push_back(&s->door, &c->node);
    s->door_count++;
    s->dispatch->door_count++;
    if (s->dispatch->is_short && !s->is_extra)
        conn_refuse(c, &short_of_memory);
    else
        conn_step(c);
    dispatch__service_gate(s);
    for (unsigned i = 0; dispatch__is_out(s->dispatch) && i < s->dispatch->service_count; i++)
        if (s->dispatch->services[i]) /* it was the last descriptor for anybody */
            dispatch__service_gate(s->dispatch->services[i]);
}

void dispatch__door_clear(struct dispatch_service *s)
{
    while (!list_is_empty(&s->door))
        conn_stop(LIST_ENTRY(s->door.next, struct dispatch_conn, node));
    while (!list_is_empty(&s->line))
        conn_stop(LIST_ENTRY(s->line.next, struct dispatch_conn, node));
}
