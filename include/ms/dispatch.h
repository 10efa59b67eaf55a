/*
 * dispatch.h - accepts connections and gives each to the best worker.
 * Layer 7 (dispatch).   Uses: base, obs, conf, loop, bus, net, dns, mapping.
 *
 * Words as in the reference: a service listens on addresses and speaks one protocol; a worker is a logical server process: the
 * service's shard on one loop, with its own connections. Protocol modules export a const struct service_proto;
 * app registers them; configuration names them.
 *
 *   control thread                                loop
 *   accept4 -> dispatch_pick (semantics 2.4) --fd--> DISPATCH_MSG_HANDOFF -> proto->session_open(worker, fd, peer, id)
 *              worker wanted                  -----> DISPATCH_MSG_WORKER   -> proto->worker_open(...)
 *              session ended, room again      <----- DISPATCH_NOTE_CLOSED
 *
 * Before the hand-off a connection stands at the door (dispatch_door.h inside the module): its PROXY header, the limits of its address
 * and network, the access rules, the DNS lists. Whoever is turned away is told so in the words of the protocol and costs no worker.
 *
 * Threads:  dispatch_open/start/stop on the control thread; dispatch_session_closed on the worker's loop.
 *           A worker's number of live sessions is an atomic that its loop writes and the control thread reads.
 * Limits:   DISPATCH_SERVICES_MAX, DISPATCH_WORKERS_MAX per service; when nobody can take a connection the listener pauses and the kernel's backlog
 *           queues; it goes on when a session ends.
 *           A service has DISPATCH_SLOTS_MAX slots: workers that end keep theirs until they have ended.
 */
#ifndef MS_DISPATCH_H
#define MS_DISPATCH_H

#include <stdatomic.h>

#include "ms/base/list.h"
#include "ms/bus.h"
#include "ms/conf.h"
#include "ms/net.h"

#define DISPATCH_SERVICES_MAX 64
#define DISPATCH_WORKERS_MAX  64
#define DISPATCH_SLOTS_MAX    192
#define DISPATCH_HISTORY_MAX  64 /* ended workers remembered per service */
#define DISPATCH_LISTEN_MAX   16
#define DISPATCH_ZONES_MAX    5  /* DNS block lists of a service */
#define DISPATCH_TRUSTED_MAX  64 /* networks of proxies */

#define DISPATCH_MSG_WORKER  BUS_KIND(7, 1, 1) /* a[0] = worker: open it */
#define DISPATCH_MSG_HANDOFF BUS_KIND(7, 1, 2) /* a[0] = worker, a[1] = fd, a[2] = session; body = struct net_addr */
#define DISPATCH_MSG_DRAIN   BUS_KIND(7, 1, 3) /* a[0] = worker: no more connections, say goodbye */
#define DISPATCH_MSG_RETIRE  BUS_KIND(7, 1, 6) /* a[0] = worker: no more connections; it ends with its last one */
#define DISPATCH_MSG_TAKEN   BUS_KIND(7, 1, 4) /* reply to each of them; a[0] = worker, a[1] = kind answered */
#define DISPATCH_MSG_KILL    BUS_KIND(7, 1, 7) /* a[0] = worker: say goodbye, then close what is left at once */
#define DISPATCH_MSG_SESSIONS BUS_KIND(7, 1, 16) /* a[0] = worker, a[1] = behind this session, a[2] = only this one or 0, a[3] = kick; body = whose, why */
#define DISPATCH_MSG_FOUND    BUS_KIND(7, 1, 17) /* reply: a[0] = worker, a[1] = last one looked at, a[2] = there are more; body = rows */
#define DISPATCH_NOTE_CLOSED BUS_KIND(7, 1, 5) /* a[0] = worker, a[1] = session that ended */

enum dispatch_tls { DISPATCH_TLS_NONE, DISPATCH_TLS_STARTTLS, DISPATCH_TLS_IMPLICIT };

struct dispatch_service_conf { /* "dispatcher.services.*", defaults from "dispatcher.defaults" */
    struct conf_strlist listen;
    int protocol; /* index into dispatch_protocol_names */
    int tls;      /* enum dispatch_tls */
    uint64_t min_procs, max_procs, min_conns, max_conns;
    uint64_t max_life_conns;   /* connections in a worker's life; 0 = no limit, also of the next two */
    uint64_t max_life_time_ms; /* a worker's age */
    uint64_t max_idle_time_ms; /* without a connection, while there are more than min_procs */
    uint64_t max_shutdown;     /* workers that end at a time */
    uint64_t max_handoffs;     /* connections on their way to workers */
    uint64_t historical_time_ms; /* how long ended workers stay in the status */
    uint64_t backlog; /* 0 = max_procs * max_conns, at least 5; the kernel has its own limit */
    struct conf_strlist dns_block_lists; /* zones, at most DISPATCH_ZONES_MAX */
    bool proxy_protocol;       /* each connection begins with a PROXY header; only trusted_networks may connect */
    uint64_t address_conns, network_conns; /* connections at a time; 0 = no limit */
    uint64_t address_rate, network_rate;   /* new connections a minute, as many at once; 0 = no limit */
    int64_t network_bits_v4, network_bits_v6; /* what a network is */
};
struct dispatch_conf { /* "dispatcher" */
    struct conf_strlist trusted_networks; /* of proxies */
};
extern const char *const dispatch_protocol_names[]; /* NULL-terminated: what is built */
extern const struct conf_table dispatch_table, dispatch_defaults_table, dispatch_services_table;

struct dispatch_worker; /* handle of a worker on its loop */

struct dispatch_session_view { /* what a protocol tells of one session */
    uint64_t session, worker;
    const char *service, *protocol, *peer, *user, *state, *tls; /* "" = none */
    uint64_t age_ms, idle_ms, bytes_in, bytes_out;
};

/* A client that gets no session: for now, or for good. */
enum dispatch_refusal { DISPATCH_TEMPORARY, DISPATCH_PERMANENT };

struct service_proto {
    const char *name; /* "smtp", "submission", "lmtp", "imap" */
    /* env: as registered. Everything the worker needs it takes from env by loop index. */
    void *(*worker_open)(void *env, struct dispatch_worker *handle, struct loop *loop,
                         const struct dispatch_service_conf *conf, const char *service_name);
    /* Takes over fd. session: 64-bit id for logs, unique in the process's life. peer: the client, as a trusted proxy told it; not
     * always that of the socket. Calls dispatch_session_closed at its end. */
    void (*session_open)(void *worker, int fd, const struct net_addr *peer, uint64_t session);
    void (*worker_drain)(void *worker);  /* say goodbye at the next permitted moment; sessions close one by one */
    void (*worker_close)(void *worker);  /* no session left */
    /* The one line, with its end, that a client reads who is turned away before any session. text: printable ASCII, perhaps with
     * the protocol's own code in front ("554 5.7.1 why"). Control thread; NULL: such clients are closed without a word. */
    void (*refusal)(void *env, enum dispatch_refusal kind, const char *text, struct str *out);
    /* The sessions of the worker with numbers above `after`, in their order, until fn says false. worker, service and protocol of
     * the view need not be filled. May be NULL. */
    void (*session_each)(void *worker, uint64_t after, bool (*fn)(void *owner, const struct dispatch_session_view *view), void *owner);
    /* Says goodbye in the protocol's words and closes, at once or at the next permitted moment; false: no such session here, or it
     * is closing. May be called from fn of session_each (cheap there): a session stays in its list until the end of the turn. why: for the log. */
    bool (*session_kick)(void *worker, uint64_t session, const char *why);
};

/* The sessions of one worker in the order of their numbers: what session_each and session_kick need in every protocol. A session
 * has a member in it and counts there; list_remove(&m->node) takes it out. Loop of the worker. */
struct dispatch_member {
    struct list node;
    uint64_t id, begun_ms, heard_ms, bytes_in, bytes_out;
};
struct dispatch_members {
    struct list list;
    struct dispatch_member *shown; /* during dispatch_members_each */
};
void dispatch_members_init(struct dispatch_members *set);
void dispatch_members_add(struct dispatch_members *set, struct dispatch_member *m, uint64_t id, uint64_t now_ms);
/* NULL: not here. Quick for the one that is being shown. */
struct dispatch_member *dispatch_members_find(const struct dispatch_members *set, uint64_t id);
/* session_each: describe adds what the protocol knows (peer, user, state, tls) to each view. */
typedef void dispatch_describe_fn(const struct dispatch_member *m, struct dispatch_session_view *view);
void dispatch_members_each(struct dispatch_members *set, uint64_t after, uint64_t now_ms, dispatch_describe_fn *describe,
                           bool (*fn)(void *owner, const struct dispatch_session_view *view), void *owner);

struct dispatch;
struct dispatch_loop; /* the part on a worker loop */

struct dispatch *dispatch_create(struct loop *control, struct bus *bus);
/* Wiring time, one per worker loop, before loops start. The bus link control -> loop is declared by app: dispatcher and job
 * controller share it. */
void dispatch_add_loop(struct dispatch *d, struct loop *loop);
void dispatch_register(struct dispatch *d, const struct service_proto *proto, void *env);
/* Before dispatch_start: a service that is in no configuration. where: one address; conf->listen and protocol are not looked at.
 * All is copied. At most DISPATCH_EXTRAS_MAX. */
#define DISPATCH_EXTRAS_MAX 4
void dispatch_add_service(struct dispatch *d, const char *name, const struct service_proto *proto, void *env,
                          const char *where, const struct dispatch_service_conf *conf);
/* What the door asks. Before dispatch_start, and again with a reload. The set is taken over (its table PORT_ACCESS decides about
 * every connection); the client of the control loop is borrowed and outlives the dispatcher. NULL: there is none. */
struct mapping_set;
struct dns_client;
void dispatch_set_access(struct dispatch *d, struct mapping_set **set);
void dispatch_set_dns(struct dispatch *d, struct dns_client *dns);
/* Opens every listener of the configuration and those added; all errors at once in why. */
MS_MUST_USE enum ms_err dispatch_start(struct dispatch *d, const struct conf *conf, struct ms_errinfo *why_out);
/* Closes listeners, drains workers; on_idle when the last session is gone. */
void dispatch_drain(struct dispatch *d, void (*on_idle)(void *owner), void *owner);
void dispatch_destroy(struct dispatch **d);
/* The worker's loop: a session has ended. The worker may end with it. */
void dispatch_session_closed(struct dispatch_worker *handle, uint64_t session);

/* -- the pure part (semantics 2.4), tested with D1-D10 */
enum dispatch_wstate { DISPATCH_W_STARTING, DISPATCH_W_RUNNING, DISPATCH_W_TERMINATING };
struct dispatch_wview {
    uint64_t id;
    enum dispatch_wstate state;
    uint64_t active, pending; /* connections there, and on their way */
    uint64_t life;            /* connections taken so far, pending ones included */
    uint64_t age_ms;
    uint64_t idle_ms;         /* since it had none; 0 while it has */
};
struct dispatch_limits {
    uint64_t min_procs, max_procs, min_conns, max_conns;
    uint64_t max_life_conns, max_life_ms, max_idle_ms; /* 0 = no limit */
    uint64_t max_shutdown, max_handoffs;
};
enum dispatch_pick { DISPATCH_PICK_WORKER, DISPATCH_PICK_SPAWN, DISPATCH_PICK_WAIT };
/* index_out: into workers, for DISPATCH_PICK_WORKER. */
enum dispatch_pick dispatch_pick(const struct dispatch_limits *lim, const struct dispatch_wview *workers, size_t n,
                                 size_t *index_out);
/* After a hand-off: start another worker in expectation of more? */
bool dispatch_wants_spare(const struct dispatch_limits *lim, const struct dispatch_wview *workers, size_t n);

/* semantics 2.5: is workers[index] to end, and is a slot free for that? Asked again whenever something changed. */
bool dispatch_may_end(const struct dispatch_limits *lim, const struct dispatch_wview *workers, size_t n, size_t index);

/* -- operating (control thread). NULL service: all of them. MS_ENOTFOUND: no such service or worker. */
/* The worker takes no more connections; now: its sessions are told and closed at once, else they end by themselves. min_procs are made anew. */
MS_MUST_USE enum ms_err dispatch_kill_worker(struct dispatch *d, uint64_t worker, bool now);
/* stop: listeners close, workers drain; what is left after DISPATCH_GRACE_MS is closed (semantics 2.6). start: the opposite, with the
 * conf of the last reload. restart: both, without a moment in which the socket is closed. NULL: those of the configuration, not the ones
 * of dispatch_add_service. MS_EBUSY: being drained by a stop of the server. */
#define DISPATCH_GRACE_MS 30000
MS_MUST_USE enum ms_err dispatch_service_stop(struct dispatch *d, const char *service, struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err dispatch_service_start(struct dispatch *d, const char *service, struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err dispatch_service_restart(struct dispatch *d, const char *service, struct ms_errinfo *why_out);
/* Another snapshot: services that are new are opened, those that are gone are stopped, changed limits hold from now on, changed addresses are opened before the old
 * ones are closed; what did not change is not touched. On an error (an address that cannot be bound) nothing has changed. */
MS_MUST_USE enum ms_err dispatch_reload(struct dispatch *d, struct conf *conf, struct ms_errinfo *why_out);
/* The same in two steps, when other parts of the server have a word in it too: all that can fail is in the plan, and nothing has changed until it is committed
 * (in the same turn of the control loop; conf: a reference of the plan's own). errors: a line for each mistake, added; then MS_EINVAL and no plan. Sessions of services that are
 * gone, or whose protocol or tls is another, go on until they end. */
struct dispatch_plan;
MS_MUST_USE enum ms_err dispatch_plan_make(struct dispatch *d, struct conf *conf, struct str *errors, struct dispatch_plan **out);
void dispatch_plan_commit(struct dispatch_plan **plan);
void dispatch_plan_drop(struct dispatch_plan **plan); /* the doors it opened are closed again */
/* Before dispatch_start: listening sockets that we were given; each is taken by the service that listens on its address. What no service took is closed and logged. */
void dispatch_give_sockets(struct dispatch *d, const int *fds, size_t count);
/* Before dispatch_start: a service manager keeps copies of the listening sockets, so the paths of unix sockets stay when we close ours. */
void dispatch_keep_sockets(struct dispatch *d);
/* Every listening socket of the configuration's services, for the descriptor store; name: "smtp-0". */
void dispatch_each_listener(struct dispatch *d, void (*fn)(void *owner, const char *name, int fd), void *owner);
/* A loop that has not answered for DISPATCH_STALL_MS gets no new connections and its workers are replaced elsewhere; true when all answer. */
#define DISPATCH_STALL_MS 5000
bool dispatch_loops_answer(const struct dispatch *d);

/* Short of memory: who comes is turned away in the protocol's words, for now. Not at services of dispatch_add_service. */
void dispatch_set_short(struct dispatch *d, bool is_short);

/* -- for monitoring: every service, those in no configuration too. Control thread. */
struct dispatch_service_view {
    const char *name, *protocol;
    uint64_t connections; /* there, and on their way to workers */
    unsigned workers;
    unsigned listeners, listening; /* wanted, open */
};
void dispatch_each_service(const struct dispatch *d, void (*fn)(void *owner, const struct dispatch_service_view *view), void *owner);

/* -- sessions, for `session list/kick`. Control thread. A walk asks one worker after the other for a chunk of its sessions:
 *
 *   walk = dispatch_sessions_walk(d, &query, fn, on_chunk, owner);   begins with the first dispatch_walk_next
 *   fn(owner, view)            each session that is wanted; with kick: that was told to go
 *   on_chunk(owner, false)     behind a chunk: dispatch_walk_next when the reader has room
 *   on_chunk(owner, true)      that was the last; may come within dispatch_walk_next
 *   dispatch_walk_end(&walk)   at any time outside fn; before dispatch_destroy */
#define DISPATCH_USER_MAX 512
#define DISPATCH_WHY_MAX  256
struct dispatch_sessions_query { /* texts are copied, cut */
    uint64_t session;    /* 0 = all */
    const char *user;    /* login, or its part before "@"; NULL or "" = everybody */
    const char *service; /* NULL or "" = all */
    bool kick;
    const char *why; /* of a kick */
    uint64_t nobodys_idle_ms; /* not 0: only those without a user or a transaction that were silent for so long */
};
struct dispatch_walk;
typedef void dispatch_session_fn(void *owner, const struct dispatch_session_view *view);
typedef void dispatch_chunk_fn(void *owner, bool done);
struct dispatch_walk *dispatch_sessions_walk(struct dispatch *d, const struct dispatch_sessions_query *query,
                                             dispatch_session_fn *fn, dispatch_chunk_fn *on_chunk, void *owner);
void dispatch_walk_next(struct dispatch_walk *walk);
void dispatch_walk_end(struct dispatch_walk **walk);

/* For `dispatcher status` and tests: rows of services, each followed by those of its workers; ended workers and closed connections of
 * the last historical_time behind them. The first column, "row", is service, worker or connection. Control thread. */
#define DISPATCH_COLUMNS_MAX 15
typedef void dispatch_row_fn(void *owner, const char *const *names, const char *const *values, size_t count);
void dispatch_each_row(struct dispatch *d, dispatch_row_fn *fn, void *owner);
/* Address a service really listens on (port 0 in tests). NULL when out of range. */
const struct net_addr *dispatch_listen_addr(const struct dispatch *d, const char *service, unsigned i);

#endif
