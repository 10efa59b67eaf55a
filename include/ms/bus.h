/*
 * bus.h - bounded rings between threads: requests with a reserved reply, and notes that may coalesce.
 * Layer 3 (bus).   Uses: base, obs, loop.
 *
 * Every thread that talks has one endpoint: each loop, each lane, each applier. Before the threads start, wiring
 * declares who talks to whom:
 *
 *   bus_link(bus, loop1, lane0, 1024)    loop1 may have 1024 requests to lane0 outstanding; a reply ring of the same
 *                                        size runs back, so a reply always has room and bus_reply cannot fail.
 *   bus_link_reply(bus, loop1, applier0, lane0)  replies to calls of loop1 on lane0 may also come from applier0 (the
 *                                        lane passed the request on): a second reply ring of the same size.
 *   bus_note_link(bus, applier0, loop1, 4096)  notes: fire and forget. A full note ring sets the link's overflow flag
 *                                        instead; the receiver's on_overflow runs once and must look for itself.
 *
 * Threads:  a ring has one producer and one consumer thread; asserted by endpoint: a loop's own thread, else the first
 *           thread that used it. bus_poll on the consumer. Handlers do not poll.
 * Memory:   slots of 64 bytes, allocated at link time, never later. A body is moved: on MS_OK it belongs to the
 *           receiver, on MS_EFULL it stays the caller's.
 * Ordering: FIFO per ring; no order between rings.
 * Wake-up:  only on sleeping -> awake: the consumer stores `sleeping`, looks again, then waits; the producer exchanges
 *           it after the push and wakes when it was set. Exchanges, no fences (ThreadSanitizer sees them).
 * Limits:   BUS_ENDPOINTS_MAX; ring sizes are powers of two up to BUS_SLOTS_MAX; BUS_DRAIN_MAX messages a turn.
 */
#ifndef MS_BUS_H
#define MS_BUS_H

#include "ms/base/mbuf.h"
#include "ms/loop.h"

#define BUS_ENDPOINTS_MAX 256
#define BUS_SLOTS_MAX     65536
#define BUS_DRAIN_MAX     256

struct bus;
struct bus_ep;

/* Message kinds are declared in the header of the lower module: BUS_KIND(layer, module number, n). */
#define BUS_KIND(layer, module, n) ((uint32_t)((layer) << 16 | (module) << 8 | (n)))

struct bus_msg {
    uint32_t kind;
    uint16_t from;  /* filled by bus: index of the endpoint that began the call (replies: the endpoint answering) */
    uint16_t flags; /* the kind's own */
    uint64_t id;    /* requests: the caller's; copied into the reply by bus_reply. Never a pointer. */
    uint64_t a[5];
    struct mbuf *body; /* chain or NULL */
};
_Static_assert(sizeof(struct bus_msg) == 64, "one cache line");

typedef void bus_msg_fn(void *owner, const struct bus_msg *msg); /* takes over msg->body */
typedef void bus_event_fn(void *owner);

struct bus *bus_create(void);
void bus_destroy(struct bus **bus); /* threads stopped; bodies left in rings are released */

/* A loop's endpoint is polled by the loop itself. A plain thread's endpoint (loop == NULL) calls bus_wait. */
struct bus_ep *bus_ep_create(struct bus *bus, const char *name, struct loop *loop_or_null);
unsigned bus_ep_index(const struct bus_ep *ep);
struct bus_ep *bus_ep_of_loop(struct bus *bus, const struct loop *loop); /* NULL if none */
/* Wiring time only. One handler a kind. */
void bus_on(struct bus_ep *ep, uint32_t kind, bus_msg_fn *fn, void *owner);
void bus_link(struct bus *bus, struct bus_ep *from, struct bus_ep *to, unsigned slots);
void bus_link_reply(struct bus *bus, struct bus_ep *caller, struct bus_ep *answerer, struct bus_ep *via);
void bus_note_link(struct bus *bus, struct bus_ep *from, struct bus_ep *to, unsigned slots, bus_event_fn *on_overflow,
                   void *owner);

/* Request: MS_EFULL when `slots` calls of this link are outstanding; then bus_wait_space tells when one returned. */
MS_MUST_USE enum ms_err bus_call(struct bus_ep *from, struct bus_ep *to, struct bus_msg *msg);
/* Calls that may still be made on the link now. */
unsigned bus_call_room(const struct bus_ep *from, const struct bus_ep *to);
/* Registers a waiter (embedded node, one link; zero-initialised = not waiting): fn runs once on `from`'s thread when a
 * call has returned, FIFO, before the handler of the reply that returned it; soon if there is room already. A waiter
 * that leaves the credit unused passes it on to the next. */
struct bus_waiter {
    struct list node;
    bus_event_fn *fn;
    void *owner;
};
void bus_wait_space(struct bus_ep *from, struct bus_ep *to, struct bus_waiter *waiter);
void bus_waiter_cancel(struct bus_waiter *waiter);

/* Answer to a request, from the endpoint that holds it, to the endpoint that began it: request->from, request->id.
 * `via` is the endpoint that was called (== answerer, or the lane for an applier). Exactly one reply a request.
 * Never fails. */
void bus_reply(struct bus_ep *answerer, struct bus_ep *via, unsigned to_index, struct bus_msg *reply);

/* Note: never fails; true = queued, false = overflow flag set (the body is released). */
bool bus_note(struct bus_ep *from, struct bus_ep *to, struct bus_msg *msg);

/* Plain threads: handles up to BUS_DRAIN_MAX messages; returns the number handled. */
unsigned bus_poll(struct bus_ep *ep);
/* Plain threads: sleeps until a message is there, bus_wake was called, or timeout_ms passed (-1: for ever). */
void bus_wait(struct bus_ep *ep, int timeout_ms);
void bus_wake(struct bus_ep *ep); /* any thread */

struct bus_ep *bus_ep_get(const struct bus *bus, unsigned index);

#endif
