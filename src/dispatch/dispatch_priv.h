/*
 * dispatch_priv.h - services, workers and loops, inside the module.
 */
#ifndef DISPATCH_PRIV_H
#define DISPATCH_PRIV_H

#include "ms/dispatch.h"
#include "ms/base/map.h"
#include "ms/dns.h"
#include "ms/obs.h"

#include "dispatch_door.h"
#include "dispatch_peers.h"

#define DISPATCH_PROTOS_MAX 8
#define DISPATCH_NOTES      4096
#define DISPATCH_TICK_MS    1000 /* between looks at ages */
#define DISPATCH_WHERE_MAX  512
#define DISPATCH_CLOSED_MAX 1024 /* closed connections remembered, of all services */
#define DISPATCH_FDS_KEPT   256  /* descriptors for files, deliveries, commands, and clients being turned away */
#define DISPATCH_RESEND_MS  10   /* until a loop tries again to tell of ended sessions */

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
    unsigned asked;    /* messages about its sessions that are out */
    uint64_t life;     /* connections so far */
    uint64_t seen;     /* life at the last look: none came since when they are equal */
    uint64_t born_ms;
    uint64_t idle_at_ms; /* without connections since */
    uint32_t owed;       /* DISPATCH_MSG_ that found its ring full: sent with the next tick */
    uint64_t kill_at_ms; /* sessions that are left then are closed; 0 = never */
    struct dispatch_service_conf conf; /* the service's when the worker was made */
    /* loop */
    void *impl;
    bool draining;
    _Alignas(64) atomic_ullong active;
    atomic_ullong closed; /* sessions that have ended: life - closed are there or on their way, each counted once */
    atomic_bool has_ended; /* set by the loop, last of all */
};

struct dispatch_past { /* a worker that has ended */
    uint64_t id, life, born_ms, ended_ms;
    struct dispatch_lane *lane;
};

struct dispatch_listener {
    struct dispatch_service *service; /* a reload may give it to another, with the connections that wait in it */
    struct net_listener *net;
    bool is_wanted; /* a reload under way: a service of the new configuration has it */
    char where[DISPATCH_WHERE_MAX]; /* as the configuration has it, paths absolute: its identity in a reload */
};

/* Control thread, but for what its workers' loops read: name, proto, env and workers, which never change: a reload that gives
 * the name another protocol makes another service. */
struct dispatch_service {
    struct dispatch *dispatch;
    unsigned index; /* in dispatch->services */
    char name[CONF_NAME_MAX + 1];
    struct dispatch_service_conf conf; /* texts of the snapshot dispatch->conf */
    const struct service_proto *proto;
    void *env;
    struct dispatch_listener *listeners[DISPATCH_LISTEN_MAX]; /* NULL: free */
    struct dispatch_worker *workers; /* slots: DISPATCH_SLOTS_MAX */
    unsigned slot_count;             /* of them in use; a reload makes it larger, never smaller */
    struct dispatch_past past[DISPATCH_HISTORY_MAX]; /* a ring, past_count % DISPATCH_HISTORY_MAX is the next */
    uint64_t past_count;
    bool stopped; /* by dispatch_service_stop: no listeners, no workers */
    bool is_extra; /* of dispatch_add_service */
    bool is_gone;  /* not configured any more: goes with its last worker */
    bool paused;
    struct list door, line; /* of dispatch_conn */
    unsigned door_count;    /* of both */
    uint64_t active;        /* sessions handed over and not ended */
    uint64_t calls;         /* messages to loops that were not answered yet */
    uint64_t accepted;
    uint64_t refused[DISPATCH_R_COUNT];
    struct obs_limit refused_limit[DISPATCH_R_COUNT];
    uint64_t zone_rest_until_ms[DISPATCH_ZONES_MAX]; /* dispatch_dnsbl.c */
    struct obs_limit zone_limit, access_limit;
};

/* A session that was handed over. */
struct dispatch_live {
    uint64_t session, worker, since_ms;
    struct dispatch_service *service;
    struct dispatch_peer *address, *network;
    char peer[]; /* for the history; "" when there is none */
};

struct dispatch_closed {
    struct dispatch_service *service; /* NULL: nothing is remembered any more */
    uint64_t session, worker, since_ms, ended_ms;
    char peer[NET_ADDR_TEXT_MAX];
};

/* The way to one loop. */
struct dispatch_lane {
    struct dispatch *dispatch;
    struct loop *loop;
    struct bus_ep *ep;
    unsigned workers;
    uint64_t turns;     /* of the loop, at the last look */
    uint64_t silent_ms; /* no turn for so long, though it was asked for one */
    bool stalled;
    /* loop: ended sessions whose note found no room */
    uint64_t *unsent;
    size_t unsent_count, unsent_cap;
    struct loop_timer resend;
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
    int *given; /* listening sockets that no service has taken yet */
    size_t given_count;
    bool keeps_sockets;
    bool is_short; /* of memory */
    struct dispatch_extra extras[DISPATCH_EXTRAS_MAX];
    unsigned extra_count;
    struct dispatch_service *services[DISPATCH_SERVICES_MAX + DISPATCH_EXTRAS_MAX]; /* NULL: free */
    unsigned service_count; /* the last one used, and one */
    struct conf *conf; /* the snapshot that the services' lists live in */
    bool started;
    unsigned door_count; /* connections at the doors */
    struct mapping_set *access; /* NULL: everybody may come in */
    struct dns_client *dns;
    const struct dispatch_gate *const *gates; /* of a test, NULL at the end; NULL: those of dispatch_door.c */
    uint64_t conns_max;  /* that descriptors are there for: engineering 1.4 */
    struct obs_limit conns_limit; /* of the event */
    struct dispatch_peers peers;
    struct net_network trusted[DISPATCH_TRUSTED_MAX]; /* of trusted_conf, a snapshot */
    unsigned trusted_count;
    struct conf *trusted_conf;
    struct map live; /* session -> struct dispatch_live */
    struct dispatch_closed *closed; /* a ring like a service's past; NULL until something is remembered */
    uint64_t closed_count;
    uint64_t next_session, next_worker, next_walk;
    struct list walks; /* of struct dispatch_walk */
    struct loop_timer tick;
    uint64_t ticked_ms; /* the last time */
    bool draining;
    void (*on_idle)(void *owner);
    void *idle_owner;
    struct loop_hook idle_hook;
};

/* Slots are numbered service * DISPATCH_SLOTS_MAX + index. */
struct dispatch_worker *dispatch__worker(struct dispatch *d, uint64_t slot);
void dispatch__on_closed(struct dispatch *d); /* control: a session ended somewhere */

/* dispatch_service.c */
/* Not listening yet. MS_ELIMIT, MS_EUNSUPPORTED: nothing was made. */
MS_MUST_USE enum ms_err dispatch__service_add(struct dispatch *d, const char *name,
                                              const struct dispatch_service_conf *conf, struct dispatch_service **out,
                                              struct ms_errinfo *why_out);
bool dispatch__proto_find(const struct dispatch *d, const struct dispatch_service_conf *conf,
                          const struct service_proto **proto_out, void **env_out);
void dispatch__services_add_extras(struct dispatch *d);
/* dispatch_sockets.c: one that was given, or a new one */
MS_MUST_USE enum ms_err dispatch__listen(struct dispatch *d, const char *where, int backlog, net_accept_fn *on_accept,
                                         void *owner, struct net_listener **out, struct ms_errinfo *why_out);
void dispatch__given_close(struct dispatch *d); /* those that are left */
struct dispatch_service *dispatch__service_find(struct dispatch *d, const char *name); /* one that is not gone */
/* An address of the configuration; a relative socket path is relative to its folder, like every path in it. */
void dispatch__listen_address(const struct conf *conf, const char *text, char out[DISPATCH_WHERE_MAX]);
/* For the service `name`; paused, and nobody's until l->service is set. */
MS_MUST_USE enum ms_err dispatch__listener_open(struct dispatch *d, const char *name, const struct dispatch_service_conf *conf,
                                                const char *where, struct dispatch_listener **out,
                                                struct ms_errinfo *why_out);
void dispatch__listener_close(struct dispatch_listener **l);
void dispatch__listener_told(const struct dispatch_listener *l); /* the event that it is open */
void dispatch__listener_backlog(const struct dispatch_listener *l); /* as its service says now */
MS_MUST_USE enum ms_err dispatch__service_listen(struct dispatch_service *s, struct ms_errinfo *why_out); /* all of them */
void dispatch__service_destroy(struct dispatch_service *s); /* dispatch.c; its loops know it no more */
void dispatch__service_unlisten(struct dispatch_service *s);
void dispatch__service_open(struct dispatch_service *s); /* it listens: makes min_procs, lets clients in */
void dispatch__count_descriptors(struct dispatch *d); /* at the start, when everything else is open */
bool dispatch__is_out(const struct dispatch *d); /* as many connections as there are descriptors for */
void dispatch__service_gate(struct dispatch_service *s); /* pauses listeners, or lets them go on */

/* dispatch_live.c */
void dispatch__live_begin(struct dispatch_conn *c, const struct dispatch_worker *w);
void dispatch__live_end(struct dispatch *d, uint64_t session);
void dispatch__live_fini(struct dispatch *d);
void dispatch__live_forget(struct dispatch *d, const struct dispatch_service *s); /* its closed ones: it is freed */
void dispatch__uncount(struct dispatch *d, struct dispatch_peer *address, struct dispatch_peer *network); /* may be NULL */

/* dispatch_worker.c: slots, on the control thread */
void dispatch__slots_init(struct dispatch_service *s);
/* bus_call to the worker's loop: its answer is counted. */
MS_MUST_USE enum ms_err dispatch__call(struct dispatch_worker *w, struct bus_msg *msg);
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
void dispatch__end_worker(struct dispatch_worker *w, uint32_t msg_kind); /* RETIRE, DRAIN or KILL */
void dispatch__send_owed(struct dispatch_service *s);

/* dispatch_reload.c: frees a service that is gone, behind its last worker; true: it was. */
bool dispatch__service_gone(struct dispatch_service *s);

/* dispatch_beat.c: do the loops answer? */
void dispatch__beat(struct dispatch *d);

/* dispatch_loop.c */
void dispatch__lane_init(struct dispatch_lane *lane); /* handlers on the loop */
void dispatch__lane_fini(struct dispatch_lane *lane);

/* dispatch_sessions.c, dispatch_sessions_loop.c */
void dispatch__sessions_init(struct dispatch *d);
void dispatch__sessions_lane_init(struct dispatch_lane *lane);

#endif
