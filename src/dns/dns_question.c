/*
 * dns_question.c - one question on its way: attempts, servers, TCP, aliases, its end.
 *
 *   start -> attempt --answer--> finish            an alias without its target: the next name, from the first attempt
 *              |  ^   --cut, FORMERR--> the same server, over TCP or without EDNS
 *              |  +---- no answer in 2, 3, 5, 5 ... s, or a refusal: the next server that has not refused
 *              +------- the time is over, or all have refused: a failure, kept 5 to 30 s
 */
#include "dns_priv.h"

#define LETTERS_PROOF 64

static const uint16_t attempt_ms[] = {2000, 3000, 5000};

static void attempt(struct dns__question *q);

static void question_fail(struct dns__question *q, enum ms_err err)
{
    struct dns__answer *a = dns__answer_create();
    struct dns__answer *before = dns__cache_find(&q->client->cache, slice_make(q->key, q->key_len));

    obs_count(err == MS_ETIMEOUT ? MET_DNS_TIMEOUTS : MET_DNS_FAILURES, 1);
    a->err = err;
    a->life_ms = before && before->err ? MS_MIN(before->life_ms * 2, DNS__FAILED_MAX_MS) : DNS__FAILED_MIN_MS;
    dns__client_finish(q, a);
}

/* On to another server that has not refused; false: there is none. */
static bool server_next(struct dns__question *q)
{
    unsigned count = q->client->servers.count;

    q->tcp = false;
    q->edns = true;
    for (unsigned i = 0; i < count; i++) {
        q->server = (q->server + 1) % count;
        if (!(q->failed_servers >> q->server & 1))
            return true;
    }
    return false;
}

static void server_refused(struct dns__question *q)
{
    q->failed_servers |= 1u << q->server;
    if (server_next(q))
        attempt(q);
    else
        question_fail(q, MS_EIO);
}

/* The same server, another way. */
static void again(struct dns__question *q, bool tcp, bool edns)
{
    if (q->tcp == tcp && q->edns == edns) { /* that was this way already */
        server_refused(q);
        return;
    }
    q->tcp = tcp;
    q->edns = edns;
    attempt(q);
}

static void alias_follow(struct dns__question *q, const struct dns__parsed *parsed)
{
    q->chain = parsed->chain;
    memcpy(q->name, parsed->next, sizeof(q->name));
    q->failed_servers = q->attempts = 0;
    attempt(q);
}

static void answered(struct dns__question *q, struct dns__parsed *parsed)
{
    struct dns_client *c = q->client;

    c->first_server = q->server;
    parsed->answer->pub.secure = parsed->answer->pub.secure && (c->trust_ad || c->servers.all_local);
    dns__client_finish(q, parsed->answer);
}

/* 0x20: who has sent so many letters back in our case, in a row, keeps it, so other letters are a
 * forger's or those of another server behind the address. TCP tells: nobody forges that from afar.
 * false: the answer does not count. */
static bool letters_are_right(struct dns__question *q, bool same)
{
    struct dns__server *server = &q->client->servers.list[q->server % q->client->servers.count];
    bool keeps = server->same_letters >= LETTERS_PROOF;

    if (q->tcp || (keeps && same))
        return true;
    server->same_letters = same ? server->same_letters + q->query.letters : keeps ? server->same_letters : 0;
    return same || !keeps;
}

static void on_wire(void *owner, struct slice wire, bool failed)
{
    struct dns__question *q = owner;
    struct dns__parsed parsed;

    if (failed) {
        server_refused(q);
        return;
    }
    dns__answer_parse(wire, &q->query, q->name, &q->chain, &parsed);
    if (parsed.verdict == DNS__IGNORE) {
        obs_count(MET_DNS_IGNORED, 1);
        return;
    }
    if (!letters_are_right(q, parsed.same_case)) {
        dns__answer_unref(&parsed.answer);
        obs_count(MET_DNS_IGNORED, 1);
        again(q, true, q->edns);
        return;
    }
    switch (parsed.verdict) {
    case DNS__IGNORE:
        break;
    case DNS__ANSWERED:
        answered(q, &parsed);
        break;
    case DNS__ALIAS:
        alias_follow(q, &parsed);
        break;
    case DNS__CUT:
    case DNS__OVER_TCP:
        again(q, true, q->edns);
        break;
    case DNS__NO_EDNS:
        again(q, q->tcp, false);
        break;
    case DNS__REFUSED:
        server_refused(q);
        break;
    }
}

static void on_timer(struct loop_timer *timer)
{
    struct dns__question *q = MS_CONTAINER_OF(timer, struct dns__question, timer);

    if (loop_now_ms(q->client->loop) >= q->deadline_ms) {
        question_fail(q, MS_ETIMEOUT);
        return;
    }
    if (server_next(q)) /* refused by the others: the silent one is asked again */
        attempt(q);
    else
        question_fail(q, MS_EIO);
}

static void attempt(struct dns__question *q)
{
    struct dns_client *c = q->client;
    uint64_t now = loop_now_ms(c->loop);
    uint64_t left = q->deadline_ms > now ? q->deadline_ms - now : 0;
    uint64_t wait = attempt_ms[MS_MIN(q->attempts, MS_ARRAY_LEN(attempt_ms) - 1)];

    dns__wire_close(&q->wire);
    loop_timer_stop(c->loop, &q->timer);
    if (left == 0) {
        question_fail(q, MS_ETIMEOUT);
        return;
    }
    q->server %= c->servers.count; /* there may be fewer since a reload */
    dns__query_build(&q->query, q->name, q->type, q->edns);
    obs_count(q->tcp ? MET_DNS_TCP : MET_DNS_QUERIES, 1);
    loop_timer_start(c->loop, &q->timer, MS_MIN(wait, left), on_timer);
    q->attempts++;
    if (dns__wire_open(c->loop, &c->servers.list[q->server], &q->query, q->tcp, on_wire, q, &q->wire)) {
        q->wire =
            NULL; /* no route, no descriptor: as a server that does not answer, so that others have time to end */
        q->failed_servers |= 1u << q->server;
    }
}

void dns__question_start(struct dns_client *c, struct dns__question *q)
{
    q->edns = true;
    q->server = c->first_server;
    attempt(q);
}

void dns__question_free(struct dns__question *q)
{
    dns__wire_close(&q->wire);
    loop_timer_stop(q->client->loop, &q->timer);
    list_remove(&q->node);
    ms_free(q);
}
