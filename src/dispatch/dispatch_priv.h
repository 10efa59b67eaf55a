/*
 * dispatch_priv.h - services, workers and loops, inside the module.
 */
#ifndef DISPATCH_PRIV_H
#define DISPATCH_PRIV_H

#include "ms/dispatch.h"
#include "ms/obs.h"

#define DISPATCH_PROTOS_MAX 8
#define DISPATCH_NOTES      4096

/* A worker's slot. The control thread fills it and sends its number; from then on the loop owns impl, and
 * `active` is the only field both touch. */
struct dispatch_worker {
    uint32_t id;
    struct dispatch *dispatch;
    struct dispatch_service *service;
    struct dispatch_lane *lane;
    /* control thread */
    enum dispatch_wstate state;
    uint64_t pending;
    /* loop */
    void *impl;
    bool draining;
    _Alignas(64) atomic_ullong active;
};

struct dispatch_service {
    struct dispatch *dispatch;
    const char *name;
    struct dispatch_service_conf conf;
    const struct service_proto *proto;
    void *env;
    struct net_listener *listeners[DISPATCH_LISTEN_MAX];
    unsigned listener_count;
    struct dispatch_worker *workers; /* max_procs slots */
    unsigned worker_count;
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
    uint64_t next_session;
    bool draining;
    void (*on_idle)(void *owner);
    void *idle_owner;
    struct loop_hook idle_hook;
};

/* Worker slots are numbered service * DISPATCH_WORKERS_MAX + slot. */
struct dispatch_worker *dispatch__worker(struct dispatch *d, uint64_t id);
void dispatch__lane_init(struct dispatch_lane *lane); /* handlers on the loop */
void dispatch__on_closed(struct dispatch *d);         /* control: a session ended somewhere */

#endif
