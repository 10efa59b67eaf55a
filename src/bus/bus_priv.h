/*
 * bus_priv.h - endpoints and links, shared by the files of this module.
 */
#ifndef MS_BUS_PRIV_H
#define MS_BUS_PRIV_H

#include "ms/bus.h"
#include "ms/obs.h"
#include "bus_ring.h"

#define BUS_NAME_MAX      24
#define BUS_RINGS_IN_MAX  1024 /* rings one endpoint reads */
#define BUS_WORDS         (BUS_RINGS_IN_MAX / 64)
#define BUS_KINDS_MAX     256 /* handlers of one endpoint */
#define BUS_KIND_SLOTS    (2 * BUS_KINDS_MAX)
#define BUS_ANSWERERS_MAX 16 /* endpoints that may answer the calls of one link */

struct bus_handler {
    uint32_t kind; /* 0 = free */
    bus_msg_fn *fn;
    void *owner;
};

struct bus_answerer {
    unsigned index;
    struct bus_ring *ring;
};

struct bus_link {
    /* Read by the threads that answer; constant after wiring. */
    struct bus_ring *calls;
    unsigned answerer_count;
    struct bus_answerer answerers[BUS_ANSWERERS_MAX];
    char pad_[BUS_LINE];
    /* The caller's thread only. */
    struct list node; /* in the caller's links */
    struct bus_ep *from;
    uint32_t slots;
    uint32_t outstanding; /* calls whose reply was not yet taken out; never above slots */
    struct list waiters;
};

struct bus_ep {
    /* Constant after wiring. */
    struct bus *bus;
    unsigned index;
    char name[BUS_NAME_MAX];
    struct loop *loop;
    struct bus_link *calls_to[BUS_ENDPOINTS_MAX];
    struct bus_ring *notes_to[BUS_ENDPOINTS_MAX];
    struct bus_ring *rings[BUS_RINGS_IN_MAX]; /* read by this endpoint */
    unsigned ring_count;
    unsigned word_count;
    unsigned kind_count;
    struct bus_handler handlers[BUS_KIND_SLOTS];
    char pad1_[BUS_LINE];
    /* Own thread. */
    struct list links;
    struct loop_hook hook;
    unsigned budget; /* messages this turn may still handle */
    unsigned cursor; /* ring to begin with */
    bool polling;
    bool kicked; /* a waiter was registered while there was room */
    uint64_t todo[BUS_WORDS];
    char pad2_[BUS_LINE];
    /* Written by producers. Bit n of pending: ring n has something that its consumer has not been told to
     * look at. */
    _Atomic(uint64_t) pending[BUS_WORDS];
    char pad3_[BUS_LINE];
    atomic_uint sleeping; /* also the futex of a plain thread */
    atomic_bool woken;    /* bus_wake of a plain thread */
    _Atomic(uintptr_t) thread;
};

struct bus {
    struct bus_ep *eps[BUS_ENDPOINTS_MAX];
    unsigned ep_count;
};

/* The calling thread owns this endpoint; asserts. */
void bus__check_thread(struct bus_ep *ep);
/* Producer, after a push: tells the consumer, wakes it if it sleeps. */
void bus__announce(struct bus_ep *consumer, const struct bus_ring *ring);
/* Asks the endpoint's own thread to poll again. */
void bus__kick(struct bus_ep *ep);
/* A reply was taken out: gives the credit back and runs who waits for it. */
void bus__credit(struct bus_link *link);
/* Runs waiters of the links that have room. */
void bus__run_kicked(struct bus_ep *ep);
/* Loop endpoints. */
void bus__on_loop_wake(void *owner);

#endif
