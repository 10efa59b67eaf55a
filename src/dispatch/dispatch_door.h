/*
 * dispatch_door.h - a connection between accept and its worker: it passes the gates one after the other.
 *
 *   accept -> proxy -> limits -> access rules -> DNS lists -> (line) -> worker
 *
 * A gate answers PASS, REFUSE with a text, DELAY, or LATER: then it calls dispatch__door_answer itself, once, never inside
 * its ask, and until its wait is over. Everything runs on the control thread and never blocks.
 *
 * Bounds: DISPATCH_DOOR_MAX connections of a service stand here; then its listeners pause, and whoever is only
 * being delayed goes first. Each LATER has a time of its own.
 */
#ifndef DISPATCH_DOOR_H
#define DISPATCH_DOOR_H

#include "ms/dispatch.h"

#define DISPATCH_DOOR_MAX  1024
#define DISPATCH_TEXT_MAX  400   /* of a refusal; RFC 5321 4.5.3.1.5 leaves 512 for the line */
#define DISPATCH_DELAY_MAX 60000 /* ms */

/* Why a connection got no session: counters and reason= of dispatch.refused. */
enum dispatch_reason {
    DISPATCH_R_BUSY, /* nobody could take it */
    DISPATCH_R_STOPPING,
    DISPATCH_R_MEMORY,
    DISPATCH_R_PROXY, /* no proxy that we trust, or no good header */
    DISPATCH_R_ADDRESS_CONNS,
    DISPATCH_R_NETWORK_CONNS,
    DISPATCH_R_ADDRESS_RATE,
    DISPATCH_R_NETWORK_RATE,
    DISPATCH_R_ACCESS, /* PORT_ACCESS */
    DISPATCH_R_DNSBL,
    DISPATCH_R_COUNT
};
const char *dispatch__reason_name(enum dispatch_reason reason);

enum dispatch_verdict { DISPATCH_PASS, DISPATCH_REFUSE, DISPATCH_DELAY, DISPATCH_LATER };

struct dispatch_answer {
    enum dispatch_verdict verdict;
    enum dispatch_refusal kind;  /* REFUSE */
    enum dispatch_reason reason; /* REFUSE */
    uint64_t delay_ms;           /* DELAY: before the next gate */
    char text
        [DISPATCH_TEXT_MAX]; /* REFUSE: with a code of the protocol's in front, or without; octets that are not printable are
                                   * replaced */
};

enum dispatch_at { DISPATCH_AT_GATE, DISPATCH_AT_LATER, DISPATCH_AT_DELAY, DISPATCH_AT_LINE };

struct dispatch_conn {
    struct list node; /* of service->door, or of service->line */
    struct dispatch_service *service;
    int fd;
    uint64_t session;      /* its number for logs, already */
    struct net_addr peer;  /* the client: behind the proxy gate the one that the header names */
    struct net_addr local; /* where it was reached */
    enum dispatch_at at;
    unsigned gate;                           /* the one that is asked */
    struct loop_timer timer;                 /* LATER, DELAY */
    struct dispatch_peer *address, *network; /* where it is counted; NULL: not yet, or nowhere */
    void *gate_data; /* of the gate that answers later; its own until it answers or forgets */
};

struct dispatch_gate {
    const char *name;
    /* answer: PASS already. */
    void (*ask)(struct dispatch_conn *c, struct dispatch_answer *answer);
    /* Behind LATER: the connection ends or the time is over; no answer is wanted any more. */
    void (*forget)(struct dispatch_conn *c);
    uint64_t wait_ms;            /* of LATER */
    struct dispatch_answer late; /* what counts then */
};
extern const struct dispatch_gate dispatch__gate_access, dispatch__gate_dnsbl;
extern const struct dispatch_gate dispatch__gate_proxy, dispatch__gate_limits;

void dispatch__door_answer(struct dispatch_conn *c, const struct dispatch_answer *answer);

/* -- for dispatch.c */
void dispatch__door_open(struct dispatch_service *s, int fd,
                         const struct net_addr *peer); /* a new connection */
void dispatch__door_pump(
    struct dispatch_service *s); /* there may be room: those in line, first come first served */
void dispatch__door_clear(struct dispatch_service *s); /* everybody at the door is turned away: we stop */

#endif
