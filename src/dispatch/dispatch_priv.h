/*
 * dispatch_priv.h - services, workers and loops, inside the module.
 */
#ifndef DISPATCH_PRIV_H
#define DISPATCH_PRIV_H

#include "ms/dispatch.h"
#include "ms/obs.h"

#define DISPATCH_PROTOS_MAX 8
#define DISPATCH_NOTES      4096
#define DISPATCH_TICK_MS    1000 /* between looks at ages */

/* A worker's slot. The control thread fills it and sends its number; from then on the loop owns impl, and the
 * atomic fields are all that both touch.
 *
 *   free --spawn--> RUNNING --retire or drain--> TERMINATING --the loop closed it: has_ended--> free
 */
struct dispatch_worker {
    uint32_t slot; /* number of the slot in messages */
    uint64_t id;   /* of the worker, never used again */
    bool is_used;
    struct dispatch *dispatch;
    struct dispatch_service *service;
    struct dispatch_lane *lane;
    /* control thread */
    enum dispatch_wstate state;
    uint64_t pending;
    uint64_t life;     /* connections so far */
    uint64_t seen;     /* life at the last look: none came since when they are equal */
    uint64_t born_ms;
    uint64_t idle_at_ms; /* without connections since */
    /* loop */
    void *impl;
    bool draining;
    _Alignas(64) atomic_ullong active;
    atomic_bool has_ended; /* set by the loop, last of all */
};

struct dispatch_past { /* a worker that has ended */
    uint64_t id, life, born_ms, ended_ms;
    struct dispatch_lane *lane;
};

struct dispatch_service {
    struct dispatch *dispatch;
    const char *name;
    struct dispatch_service_conf conf;
    const struct service_proto *proto;
    void *env;
    struct net_listener *listeners[DISPATCH_LISTEN_MAX];
    unsigned listener_count;
    struct dispatch_worker *workers; /* slots */
    unsigned slot_count;
    struct dispatch_past past[DISPATCH_HISTORY_MAX]; /* a ring, past_count % DISPATCH_HISTORY_MAX is the next */
    uint64_t past_count;
    bool paused;
};

/* The way to one loop. */
struct dispatch_lane {
    struct dispatch *dispatch;
    struct loop *loop;
    struct bus_ep *ep;
    unsigned workers;
};

struct dispatch_extra {
    char name[32], where[160];
    const char *listen[1];
    const struct service_proto *proto;
    void *env;
    struct dispatch_service_conf conf;
};

struct dispatch {
    struct loop *control;
    struct bus *bus;
    struct bus_ep *ep;
    struct dispatch_lane lanes[LOOP_WORKERS_MAX];
    unsigned lane_count;
    struct {
        const struct service_proto *proto;
        void *env;
    } protos[DISPATCH_PROTOS_MAX];
    unsigned proto_count;
    struct dispatch_extra extras[DISPATCH_EXTRAS_MAX];
    unsigned extra_count;
    struct dispatch_service *services;
    unsigned service_count;
    struct conf *conf; /* the snapshot that the services' names and lists live in */
    uint64_t next_session, next_worker;
    struct loop_timer tick;
    bool draining;
    void (*on_idle)(void *owner);
    void *idle_owner;
    struct loop_hook idle_hook;
};

/* Slots are numbered service * DISPATCH_SLOTS_MAX + index. */
struct dispatch_worker *dispatch__worker(struct dispatch *d, uint64_t slot);

/* dispatch_worker.c: slots, on the control thread */
void dispatch__slots_init(struct dispatch_service *s);
/* What the rules see; by[i] is the worker of views[i]. */
size_t dispatch__views(struct dispatch_service *s, struct dispatch_wview views[DISPATCH_SLOTS_MAX],
                       struct dispatch_worker *by[DISPATCH_SLOTS_MAX]);
struct dispatch_limits dispatch__limits(const struct dispatch_service *s);
/* Where would a connection go now? NULL: nowhere, wait. */
struct dispatch_worker *dispatch__pick(struct dispatch_service *s);
bool dispatch__has_room(struct dispatch_service *s);
bool dispatch__hands_over(const struct dispatch_service *s); /* max_handoffs are on their way: room comes at once */
void dispatch__spares(struct dispatch_service *s); /* min_procs, and one in expectation */
void dispatch__expire(struct dispatch_service *s); /* begins the end of workers whose time has come */
void dispatch__reap(struct dispatch_service *s);   /* gives back the slots of those that have ended */
void dispatch__lane_init(struct dispatch_lane *lane); /* handlers on the loop */
void dispatch__on_closed(struct dispatch *d);         /* control: a session ended somewhere */

#endif
