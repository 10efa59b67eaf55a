/*
 * auth_gate.c - between a proof and the look at it: who waits because of failures before him, who queues
 * because as many are being looked at as may be, who is refused.
 *
 *   ask ─┬─ DELAY ──timer──▶ ask
 *        ├─ QUEUE ──client's tick──▶ ask ── too long: AUTH_TEMPORARY
 *        ├─ REFUSED ──timer, as long as a look──▶ denied
 *        └─ GO ──▶ next
 *
 * The queue of a loop is asked from its head in each tick, and who comes meanwhile goes behind; among loops
 * chance decides. Who leaves before his turn has learned nothing, and nothing is counted.
 */
#include "auth_priv.h"

#include "ms/obs.h"

static enum auth_state ask(struct auth_exchange *x, bool is_behind);

/* Names of one account count as one; what cannot be a login counts as it was typed. */
void auth__guess_key(struct auth_exchange *x)
{
    const struct auth_client *c = x->client;
    char canonical[ACCOUNT_LOGIN_MAX + 1];
    struct slice login = slice_sub(x->name, 0, ACCOUNT_LOGIN_MAX);
    bool is_trusted = false;
    if (account_canonical(account_of_client(c->accounts), x->name, canonical) == MS_OK)
        login = slice_cstr(canonical);
    for (size_t i = 0; i < c->network_count && !is_trusted; i++)
        is_trusted = net_network_has(&c->networks[i], x->peer->rip);
    auth__guard_key(c->guard, x->peer->rip, login, is_trusted, &x->guess);
}

/* -- the ends of a guess */

void auth__guess_wrong(struct auth_exchange *x)
{
    struct auth_client *c = x->client;
    if (x->guess.is_open)
        auth__guard_failure(c->guard, &c->limits, &x->guess, loop_now_ms(c->loop));
}

void auth__guess_right(struct auth_exchange *x)
{
    struct auth_client *c = x->client;
    auth__guard_success(c->guard, &c->limits, &x->guess, loop_now_ms(c->loop));
}

void auth__guess_unsure(struct auth_exchange *x)
{
    auth__guard_refund(x->client->guard, &x->guess, loop_now_ms(x->client->loop));
}

/* -- failures: a timer */

static void on_timer(struct loop_timer *timer)
{
    struct auth_exchange *x = MS_CONTAINER_OF(timer, struct auth_exchange, timer);
    auth__resume(x, x->is_refused ? auth__backed_off(x) : ask(x, !list_is_empty(&x->client->queue)));
}

static enum auth_state wait_ms(struct auth_exchange *x, uint64_t ms)
{
    loop_timer_start(x->client->loop, &x->timer, ms, on_timer);
    return AUTH_WAIT;
}

/* -- the queue */

static void on_tick(struct loop_timer *timer);

/* Longer for a long queue: asking all of them must not be what keeps the loop busy. */
static void tick_start(struct auth_client *c)
{
    if (!list_is_empty(&c->queue) && !loop_timer_is_running(&c->tick))
        loop_timer_start(c->loop, &c->tick, AUTH_QUEUE_TICK_MS + c->queued / AUTH_QUEUE_PER_MS, on_tick);
}

static enum auth_state queue_add(struct auth_exchange *x)
{
    struct auth_client *c = x->client;
    uint64_t now = loop_now_ms(c->loop);
    if (x->queued_ms == 0)
        x->queued_ms = now;
    if (now - x->queued_ms >= AUTH_QUEUE_MS)
        return auth__temporary(x, MS_EBUSY);
    list_push_back(&c->queue, &x->in_queue);
    c->queued++;
    tick_start(c);
    return AUTH_WAIT;
}

void auth__queue_leave(struct auth_exchange *x)
{
    if (!list_is_linked(&x->in_queue))
        return;
    list_remove(&x->in_queue);
    x->client->queued--;
}

/* An answer may end exchanges, and begin others: they are behind those of this round. */
static void on_tick(struct loop_timer *timer)
{
    struct auth_client *c = MS_CONTAINER_OF(timer, struct auth_client, tick);
    struct list *first;
    for (size_t left = c->queued; left > 0 && !list_is_empty(&c->queue); left--) {
        first = c->queue.next;
        struct auth_exchange *x = LIST_ENTRY(first, struct auth_exchange, in_queue);
        auth__queue_leave(x);
        auth__resume(x, ask(x, false));
    }
    tick_start(c);
}

/* -- the gate */

static enum auth_state ask(struct auth_exchange *x, bool is_behind)
{
    struct auth_client *c = x->client;
    uint64_t now = loop_now_ms(c->loop);
    struct auth_guard_verdict v =
        auth__guard_begin(c->guard, &c->limits, &x->guess, now - x->gate_ms, is_behind, now);
    switch (v.answer) {
    case AUTH_GUARD_GO:
        return x->next(x);
    case AUTH_GUARD_DELAY:
        if (!x->is_delayed)
            obs_count(MET_AUTH_DELAYED, 1);
        x->is_delayed = true;
        return wait_ms(x, v.delay_ms);
    case AUTH_GUARD_QUEUE:
        return queue_add(x);
    case AUTH_GUARD_REFUSED:
        x->is_refused = true;
        return wait_ms(x, v.delay_ms + x->look_ms);
    }
    MS_UNREACHABLE();
}

/* look_ms: what next takes, about. */
enum auth_state auth__gate(struct auth_exchange *x, uint64_t look_ms,
                           enum auth_state (*next)(struct auth_exchange *x))
{
    if (x->peer->is_local) /* the machine itself */
        return next(x);
    auth__guess_key(x);
    x->next = next;
    x->look_ms = look_ms;
    x->gate_ms = loop_now_ms(x->client->loop);
    return ask(x, !list_is_empty(&x->client->queue));
}
