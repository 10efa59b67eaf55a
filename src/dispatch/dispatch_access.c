/*
 * dispatch_access.c - the gate of the mapping table PORT_ACCESS (semantics 9.6).
 *
 *   probe   TCP|server-address|server-port|client-address|client-port     behind a proxy: as its header says
 *   flags   $Y allow, $N refuse, $D wait, $U log, $< $> texts for the log
 *   output  arguments in the order $< $> $D $N, each only when its flag is set
 *
 * No table, no match, and a probe that passes its limits: allowed. A refusal may be delayed, too: then the
 * answer comes later.
 */
#include <stdio.h>

#include "dispatch_priv.h"

#include "ms/mapping.h"

#define ACCESS_TABLE     "PORT_ACCESS"
#define TROUBLE_EVENT_MS 10000
#define HAS(r, c)        (((r)->flags & MAPPING_FLAG(c)) != 0)

/* A refusal that waits; the connection's gate_data. */
struct access_later {
    struct loop_timer timer;
    struct dispatch_conn *conn;
    struct dispatch_answer answer;
};

/* What the output says; texts borrowed from it. */
struct access_words {
    struct slice match_log, refusal_log, delay, refusal;
};

static struct slice argument_take(const struct mapping_result *r, char flag, unsigned *next)
{
    struct slice text = {0};

    if (HAS(r, flag))
        (void)mapping_argument(r, (*next)++, &text);
    return text;
}

static struct access_words words_read(const struct mapping_result *r)
{
    struct access_words w;
    unsigned next = 0;

    w.match_log = argument_take(r, '<', &next);
    w.refusal_log = argument_take(r, '>', &next);
    w.delay = argument_take(r, 'D', &next);
    w.refusal = argument_take(r, 'N', &next);
    return w;
}

/* Hundredths of a second; a minus sign in front makes no difference here. What is no number is none. */
static uint64_t delay_ms(struct slice text)
{
    uint64_t hundredths;

    text = slice_trim(text);
    if (text.len > 0 && text.ptr[0] == '-')
        text = slice_sub(text, 1, text.len);
    if (slice_to_u64(text, DISPATCH_DELAY_MAX / 10, &hundredths) == MS_ELIMIT)
        return DISPATCH_DELAY_MAX;
    return slice_to_u64(text, DISPATCH_DELAY_MAX / 10, &hundredths) == MS_OK ? hundredths * 10 : 0;
}

static void log_access(const struct dispatch_conn *c, const struct mapping_result *r, struct slice text)
{
    char flags[MAPPING_FLAGS_TEXT_MAX];

    mapping_flags_emit(r->flags, flags);
    OBS_EVENT(OBS_DISPATCH_ACCESS, c->session, OBS_C("rip", c->peer.host), OBS_C("service", c->service->name),
              OBS_C("local", c->local.text), OBS_C("flags", flags), OBS_S("text", text));
}

static void refuse(struct slice text, struct dispatch_answer *answer)
{
    answer->verdict = DISPATCH_REFUSE;
    answer->kind = text.len > 0 && text.ptr[0] == '4' ? DISPATCH_TEMPORARY : DISPATCH_PERMANENT;
    answer->reason = DISPATCH_R_ACCESS;
    snprintf(answer->text, sizeof(answer->text), SLICE_FMT,
             SLICE_ARG(text.len > 0 ? text : SLICE_LIT("you have no access to this service")));
}

static void on_refusal(struct loop_timer *timer)
{
    struct access_later *later = MS_CONTAINER_OF(timer, struct access_later, timer);
    struct dispatch_conn *c = later->conn;
    struct dispatch_answer answer = later->answer;

    ms_free(later);
    c->gate_data = NULL;
    dispatch__door_answer(c, &answer);
}

static void refuse_later(struct dispatch_conn *c, uint64_t ms, struct dispatch_answer *answer)
{
    struct access_later *later = ms_new(struct access_later);

    later->conn = c;
    later->answer = *answer;
    c->gate_data = later;
    loop_timer_start(c->service->dispatch->control, &later->timer, ms, on_refusal);
    answer->verdict = DISPATCH_LATER;
}

static void access_apply(struct dispatch_conn *c, const struct mapping_result *r,
                         struct dispatch_answer *answer)
{
    struct access_words w = words_read(r);
    uint64_t ms = delay_ms(w.delay);

    if (HAS(r, 'U'))
        log_access(c, r, str_slice(&r->output));
    if (HAS(r, '<'))
        log_access(c, r, w.match_log);
    if (HAS(r, '>') && HAS(r, 'N'))
        log_access(c, r, w.refusal_log);
    if (HAS(r, 'N'))
        refuse(w.refusal, answer);
    if (HAS(r, 'N') && ms > 0)
        refuse_later(c, ms, answer);
    else if (ms > 0)
        *answer = (struct dispatch_answer){.verdict = DISPATCH_DELAY, .delay_ms = ms};
}

/* One line of many: clients may come as they like. */
static void trouble(const struct dispatch_conn *c, enum ms_err err)
{
    struct dispatch_service *s = c->service;
    uint64_t suppressed = 0;

    if (obs_limit_pass(&s->access_limit, loop_now_ms(s->dispatch->control), TROUBLE_EVENT_MS, &suppressed))
        OBS_EVENT(OBS_DISPATCH_ACCESS_TROUBLE, c->session, OBS_C("rip", c->peer.host),
                  OBS_C("service", s->name), OBS_E("error", err), OBS_U("more", suppressed));
}

static void access_ask(struct dispatch_conn *c, struct dispatch_answer *answer)
{
    struct dispatch *d = c->service->dispatch;
    char probe[4 * NET_ADDR_TEXT_MAX];
    struct mapping_result r;

    if (!d->access || !mapping_has(d->access, ACCESS_TABLE) || c->peer.is_unix)
        return;
    int len = snprintf(probe, sizeof(probe), "TCP|%s|%u|%s|%u", c->local.host, c->local.port, c->peer.host,
                       c->peer.port);
    MS_ASSERT(len > 0 && (size_t)len < sizeof(probe));
    mapping_result_init(&r);
    enum ms_err err = mapping_probe(d->access, ACCESS_TABLE, slice_make(probe, (size_t)len), 0, &r, NULL);
    if (err)
        trouble(c, err);
    else if (r.matched)
        access_apply(c, &r, answer);
    mapping_result_fini(&r);
}

static void access_forget(struct dispatch_conn *c)
{
    struct access_later *later = c->gate_data;

    if (!later)
        return;
    loop_timer_stop(c->service->dispatch->control, &later->timer);
    ms_free(later);
    c->gate_data = NULL;
}

const struct dispatch_gate dispatch__gate_access = {.name = "access",
                                                    .ask = access_ask,
                                                    .forget = access_forget,
                                                    .wait_ms = DISPATCH_DELAY_MAX +
                                                               10000, /* our own timer is earlier */
                                                    .late = {.verdict = DISPATCH_REFUSE,
                                                             .kind = DISPATCH_PERMANENT,
                                                             .reason = DISPATCH_R_ACCESS,
                                                             .text = "you have no access to this service"}};

void dispatch_set_access(struct dispatch *d, struct mapping_set **set)
{
    mapping_set_destroy(&d->access);
    d->access = *set;
    *set = NULL;
}
