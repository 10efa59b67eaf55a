/*
 * server_publish.c - every loop goes over to the snapshot that is current on the control loop.
 *
 *   control                                           worker loop
 *   next_conf, next_tls (references)  --SNAPSHOT-->   swaps, tells the parts, lets go of the old ones
 *   is_told = false                   <--answer----
 *
 * One message to a loop is under way at a time. What is published meanwhile makes the loop "behind": it is
 * told of the newest when it has answered, and may never see one in between. Worker loops get the message
 * through the ring that also brings them connections: one that is handed over behind it finds the new
 * snapshot.
 */
#include "server_priv.h"

#define APP_MSG_SNAPSHOT       BUS_KIND(10, 2, 1) /* a[0] = which of server.loops */
#define APP_MSG_SNAPSHOT_TAKEN BUS_KIND(10, 2, 2) /* its answer, the same */
#define APP_SPREAD_MS          10                 /* a ring was full */

static void take(struct server_loop *l)
{
    struct conf *old_conf = l->conf;
    struct net_tls *old_tls = l->tls;
    l->conf = l->next_conf;
    l->tls = l->next_tls;
    l->next_conf = NULL;
    l->next_tls = NULL;
    l->version++;
    for (size_t i = 0; i < server_part_count; i++)
        if (server_parts[i].on_loop)
            server_parts[i].on_loop(l->server, l);
    conf_unref(&old_conf);
    net_tls_unref(&old_tls);
}

static void offer(struct server_loop *l)
{
    l->next_conf = conf_ref(l->server->conf);
    l->next_tls = l->server->tls ? net_tls_ref(l->server->tls) : NULL;
}

static void offer_end(struct server_loop *l)
{
    conf_unref(&l->next_conf);
    net_tls_unref(&l->next_tls);
}

static void on_spread(struct loop_timer *timer);

static void tell(struct server_loop *l)
{
    struct server *s = l->server;
    struct bus_msg msg = {.kind = APP_MSG_SNAPSHOT, .a = {(uint64_t)(l - s->loops)}};
    if (!l->is_behind || l->is_told)
        return;
    offer(l);
    if (bus_call(s->control_ep, bus_ep_of_loop(s->bus, l->loop), &msg) != MS_OK) {
        offer_end(l);
        loop_timer_start(s->control.loop, &s->spread, APP_SPREAD_MS, on_spread);
        return;
    }
    l->is_told = true;
    l->is_behind = false;
}

static void on_spread(struct loop_timer *timer)
{
    struct server *s = MS_CONTAINER_OF(timer, struct server, spread);
    for (unsigned i = 0; i < s->loop_count; i++)
        tell(&s->loops[i]);
}

static void on_snapshot(void *owner, const struct bus_msg *msg)
{
    struct server_loop *l = owner;
    struct bus_ep *ep = bus_ep_of_loop(l->server->bus, l->loop);
    struct bus_msg reply = {.kind = APP_MSG_SNAPSHOT_TAKEN, .id = msg->id, .a = {msg->a[0]}};
    take(l);
    bus_reply(ep, ep, msg->from, &reply);
}

static void on_taken(void *owner, const struct bus_msg *msg)
{
    struct server *s = owner;
    struct server_loop *l = &s->loops[msg->a[0]];
    l->is_told = false;
    tell(l);
}

static void spread(struct server *s)
{
    offer(&s->control);
    take(&s->control);
    for (unsigned i = 0; i < s->loop_count; i++) {
        s->loops[i].is_behind = true;
        tell(&s->loops[i]);
    }
}

void server_publish_both(struct server *s, struct conf *conf, struct net_tls *tls)
{
    struct conf *old_conf = s->conf;
    struct net_tls *old_tls = s->tls;
    s->conf = conf;
    s->tls = tls;
    spread(s);
    conf_unref(&old_conf);
    net_tls_unref(&old_tls);
}

void server_publish(struct server *s, struct conf *conf, struct net_tls *tls)
{
    struct net_tls *kept = s->tls && !tls ? net_tls_ref(s->tls) : tls;
    server_publish_both(s, conf ? conf : conf_ref(s->conf), kept);
}

bool server_publish_is_idle(const struct server *s)
{
    for (unsigned i = 0; i < s->loop_count; i++)
        if (s->loops[i].is_behind || s->loops[i].is_told ||
            bus_call_room(s->control_ep, bus_ep_of_loop(s->bus, s->loops[i].loop)) == 0)
            return false;
    return true;
}

void server_make_publish(struct server *s)
{
    s->control.server = s;
    bus_on(s->control_ep, APP_MSG_SNAPSHOT_TAKEN, on_taken, s);
    for (unsigned i = 0; i < s->loop_count; i++) {
        s->loops[i].server = s;
        bus_on(bus_ep_of_loop(s->bus, s->loops[i].loop), APP_MSG_SNAPSHOT, on_snapshot, &s->loops[i]);
    }
}

void server_publish_first(struct server *s)
{
    offer(&s->control);
    take(&s->control);
    for (unsigned i = 0; i < s->loop_count; i++) {
        offer(&s->loops[i]);
        take(&s->loops[i]);
    }
}

void server_publish_stop(struct server *s)
{
    loop_timer_stop(s->control.loop, &s->spread);
}

static void loop_free(struct server_loop *l)
{
    offer_end(l);
    conf_unref(&l->conf);
    net_tls_unref(&l->tls);
}

void server_publish_free(struct server *s)
{
    loop_free(&s->control);
    for (unsigned i = 0; i < s->loop_count; i++)
        loop_free(&s->loops[i]);
}
