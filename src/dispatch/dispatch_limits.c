/*
 * dispatch_limits.c - the gate that counts: connections and rates of the client's address (IPv6: its /64) and
 * network.
 */
#include <stdio.h>

#include "dispatch_priv.h"

#define ADDRESS_BITS_V4 32
#define ADDRESS_BITS_V6 64 /* one customer has that many */

static void say_no(struct dispatch_answer *answer, enum dispatch_room room, enum dispatch_reason conns,
                   enum dispatch_reason rate, const char *whose)
{
    answer->verdict = DISPATCH_REFUSE;
    answer->kind = DISPATCH_TEMPORARY;
    answer->reason = room == DISPATCH_ROOM_CONNS ? conns : rate;
    snprintf(answer->text, sizeof(answer->text), "too many %sconnections from your %s",
             room == DISPATCH_ROOM_CONNS ? "" : "new ", whose);
}

static void limits_ask(struct dispatch_conn *c, struct dispatch_answer *answer)
{
    struct dispatch_service *s = c->service;
    struct dispatch_peers *peers = &s->dispatch->peers;
    uint64_t now_ms = loop_now_ms(s->dispatch->control);
    struct net_network address, network;
    enum dispatch_room room;

    if (c->peer.is_unix || !net_network_of(c->peer.host, ADDRESS_BITS_V4, ADDRESS_BITS_V6, &address) ||
        !net_network_of(c->peer.host, (unsigned)s->conf.network_bits_v4, (unsigned)s->conf.network_bits_v6,
                        &network))
        return;
    struct dispatch_peer *a = dispatch__peers_get(peers, s->index, &address, now_ms);
    struct dispatch_peer *n = dispatch__peers_get(peers, s->index, &network, now_ms);
    room = dispatch__peer_ask(a, s->conf.address_conns, s->conf.address_rate, now_ms);
    if (room != DISPATCH_ROOM_YES) {
        say_no(answer, room, DISPATCH_R_ADDRESS_CONNS, DISPATCH_R_ADDRESS_RATE, "address");
        return;
    }
    if (n != a) /* else a network is one address */
        room = dispatch__peer_ask(n, s->conf.network_conns, s->conf.network_rate, now_ms);
    if (room != DISPATCH_ROOM_YES) {
        say_no(answer, room, DISPATCH_R_NETWORK_CONNS, DISPATCH_R_NETWORK_RATE, "network");
        return;
    }
    dispatch__peer_take(peers, c->address = a);
    if (n != a)
        dispatch__peer_take(peers, c->network = n);
}

const struct dispatch_gate dispatch__gate_limits = {.name = "limits", .ask = limits_ask};
