/*
 * dispatch_peers.h - connections and rates of addresses and networks, counted exactly on the control thread.
 */
#ifndef DISPATCH_PEERS_H
#define DISPATCH_PEERS_H

#include "ms/base/list.h"
#include "ms/base/map.h"
#include "ms/net.h"

#define DISPATCH_PEERS_IDLE_MAX 65536 /* rows without connections: 8 MiB */

struct dispatch_peer_key {
    uint16_t service;
    uint8_t bits;
    uint8_t is_v6;
    uint8_t bytes[16];
};

struct dispatch_peer {
    struct list node; /* of the idle ones */
    struct dispatch_peer_key key;
    bool is_new; /* its bucket was never filled */
    uint32_t active;
    uint64_t level; /* of the bucket at at_ms */
    uint64_t at_ms;
};

struct dispatch_peers {
    struct map rows;
    struct list idle; /* longest first */
    size_t idle_count;
};

void dispatch__peers_init(struct dispatch_peers *t);
void dispatch__peers_fini(struct dispatch_peers *t);
/* Its row, made when there is none. Good for the next DISPATCH_PEERS_IDLE_MAX calls, and as long as it has a
 * connection. */
struct dispatch_peer *dispatch__peers_get(struct dispatch_peers *t, unsigned service,
                                          const struct net_network *n, uint64_t now_ms);
/* Would one more be within the limits? 0 = no limit. Nothing is counted. */
enum dispatch_room { DISPATCH_ROOM_YES, DISPATCH_ROOM_CONNS, DISPATCH_ROOM_RATE };
enum dispatch_room dispatch__peer_ask(struct dispatch_peer *row, uint64_t conns_max, uint64_t rate,
                                      uint64_t now_ms);
void dispatch__peer_take(struct dispatch_peers *t, struct dispatch_peer *row);
void dispatch__peer_give(struct dispatch_peers *t, struct dispatch_peer *row); /* its connection has ended */

#endif
