/*
 * server_priv.h - the running server: what its files share. One noun a file:
 *
 *   server.c           order of start and stop, the command `serve`
 *   server_stores.c    log, TLS, directory, partition: what stands before any thread
 *   server_tls.c       certificates and the threads of handshakes
 *   server_tls_watch.c files of certificates that change
 *   server_wire.c      loops, clients, environments, registration of protocols and drivers
 *   server_names.c     what the door asks: mapping tables, name servers
 *   server_doors.c     admin socket, listeners, housekeeping, pid file
 *   server_signals.c   the signal thread
 *   server_stop.c      SIGTERM, `stop` and the deadline
 *   server_notify.c    what the service manager is told
 *   server_confine.c   user, Landlock, seccomp
 *   server_memory.c    what is given up when memory is short
 *   server_sockets.c   listening sockets that the service manager passes and keeps
 *   server_publish.c   another snapshot for every loop
 *   server_reload.c    SIGHUP, `reload`, `config diff`: loads, asks every part, publishes
 *   server_parts.c     what the parts do with another snapshot: the table
 *
 * The snapshot rule: `conf` and `tls` of struct server are what is current on the control loop. Each loop has references of its
 * own (struct server_loop) and swaps them when a message comes; what lives on that loop may use them until the next swap, and
 * takes a reference for longer. A session keeps what it began with; the last user of an old snapshot frees it. What needs a
 * restart is read from start_conf, which stays until the end.
 *
 * A module that is to go over to another snapshot gets a row in server_parts[]:
 *
 *   check    work thread: may block and read files
 *   plan     control loop: everything else that can fail; changes nothing that can be seen
 *   commit   control loop: no plan had an error, the loops are being told; cannot fail
 *   drop     control loop: some plan had an error; lets go of what one's own plan made
 *   on_loop  control loop and each worker loop, at wiring too: l->conf and l->tls are the new ones. The old ones are freed
 *            when all parts have returned
 *
 * A part whose files change without a reload (certificates) builds the new tls on a work thread and says server_publish.
 *
 * Threads: the control loop, and before it runs the main thread; signal_main is a thread of its own.
 */
#ifndef APP_SERVER_PRIV_H
#define APP_SERVER_PRIV_H

#include "app.h"
#include "app_maildrop.h"
#include "app_memory.h"
#include "app_notify.h"
#include "app_sandbox.h"
#include "app_sockets.h"

#include <pthread.h>

#include "ms/chan.h"
#include "ms/dispatch.h"
#include "ms/imapd.h"
#include "ms/jobctl.h"
#include "ms/net.h"
#include "ms/obs.h"
#include "ms/route.h"
#include "ms/smtpd.h"

struct server;

struct server_loop {
    struct server *server;
    struct loop *loop;
    struct bus_ep *ep;
    struct account_client *accounts;
    struct auth_client *auth; /* of worker loops */
    struct part_client *part;
    struct route *route;
    /* the loop's own */
    struct conf *conf;
    struct net_tls *tls; /* NULL: none is configured */
    unsigned version;    /* snapshots so far */
    /* the control loop's; next_* go over to the loop with the message */
    struct conf *next_conf;
    struct net_tls *next_tls;
    bool is_told, is_behind;
};

struct server_part {
    const char *name;
    void (*check)(const struct conf *next, struct str *errors); /* each mistake is a line; the same in plan */
    void (*plan)(struct server *s, struct conf *next, struct str *errors);
    void (*commit)(struct server *s, struct conf *next);
    void (*drop)(struct server *s);
    void (*on_loop)(struct server *s, struct server_loop *l);
};
extern const struct server_part server_parts[];
extern const size_t server_part_count;

/* Somebody who wants a reload, or to know what it would change. */
struct server_reload_result {
    struct slice errors;  /* one line each; empty: it went well */
    struct slice changes; /* "key: old -> new", "key: old -> new (restart)" */
    size_t error_count, change_count, restart_count;
};
struct server_reload_request {
    struct list node; /* of those that wait, or are in work */
    bool apply;       /* false: only the difference is asked for */
    void (*done)(struct server_reload_request *r, const struct server_reload_result *res);
};
struct server_reload;
struct server_tls_watch;

struct server_notify {
    struct app_notify notify;
    struct loop_timer watchdog;
    bool withheld; /* the last sign of life: a loop did not turn */
    /* the thread beside the replay */
    pthread_t replay;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    clockid_t main_clock;
    bool has_replay, replay_ends;
};

struct server_memory {
    struct loop_timer look;
    enum app_memory_level level;
    uint64_t limit;
    uint64_t refused; /* connections, as the counter stood */
    unsigned shedding; /* loops that are emptying their caches */
    uint64_t shed_ms;  /* when they were asked */
    struct loop_work trim;
    bool trimming;
    struct dispatch_walk *walk; /* over sessions to be closed */
    bool walk_is_over;
    unsigned shed_caches, shed_trim, shed_connections, shed_sessions; /* series */
};

struct server_confined {
    struct app_paths allowed;
    int landlock; /* version of the kernel's; 0 = files are not confined */
    bool seccomp;
    char reason[MS_ERRINFO_TEXT_MAX]; /* why something is not */
};

struct server {
    struct conf *conf, *start_conf;
    const struct server_conf *sc; /* of start_conf */
    struct net_tls *tls;
    struct loop_timer spread;            /* a loop could not be told */
    struct dispatch_plan *dispatch_plan; /* between plan and commit */
    struct server_reload *reload;
    struct account *account;
    struct auth_guard *auth_guard;
    struct partition *partition;
    struct partition_conf partition_conf;
    struct bus *bus;
    struct loop_pool *cold_reads;
    struct loop_pool *tls_pool; /* handshakes */
    struct server_tls_watch *tls_watch;
    struct server_loop control;
    struct server_loop loops[LOOP_WORKERS_MAX];
    unsigned loop_count;
    struct channel_registry *registry;
    struct dispatch *dispatch;
    struct dns_client *dns; /* of the control loop */
    struct jobctl *jobctl;
    struct store_janitor *janitor;
    struct app_user_janitor *user_janitor;
    struct ctl_server *ctl;
    struct metrics *metrics;
    uint64_t started_us; /* wall clock */
    struct smtpd_env smtpd;
    struct imapd_env imapd;
    struct chan_env chan;
    struct app_maildrop *maildrop; /* on the first worker loop */
    struct loop_timer housekeeper, deadline, files;
    struct bus_ep *signal_ep, *control_ep;
    struct server_notify notify;
    struct server_confined confined;
    struct server_memory memory;
    struct {
        struct app_sockets given; /* until the dispatcher has them */
        struct list stored;       /* what the service manager has copies of */
    } sockets;
    pthread_t signal_thread;
    bool signals_started, partition_started, loops_started;
    bool stopping;
    bool cut_off; /* the stop did not wait for sessions and deliveries */
    char ctl_path[512], pid_path[512], imap_path[APP_SOCKET_PATH_MAX];
};

/* -- start, step by step; each that returns a number returns a sysexits code and has said why */
int server_open_log(struct server *s);
int server_open_stores(struct server *s);
int server_open_tls(struct server *s);  /* the keys, while we may read them: before anything is given up */
int server_recover_partition(struct server *s);
void server_make_loops(struct server *s);
void server_make_tls_pool(struct server *s);
void server_tls_pool_destroy(struct server *s);
void server_tls_tell(const struct net_tls *tls); /* its certificates, in the log: when there is one */
void server_make_tls_watch(struct server *s);
void server_tls_watch_files(struct server *s, struct conf *conf); /* of this configuration, from now on */
void server_tls_watch_destroy(struct server *s); /* the control loop has stopped */
void server_make_clients(struct server *s);
void server_wire(struct server *s);
int server_write_pid(struct server *s);
int server_open_names(struct server *s);
int server_open_doors(struct server *s);

/* -- mapping tables and name servers of another snapshot; control loop */
void server_reload_names(struct server *s, const struct conf *conf);

/* -- what is given up: user and files before there is any other thread, system calls when all are there */
int server_confine_files(struct server *s);
int server_confine_calls(struct server *s);
/* A reload: MS_EDENIED when the configuration names what the sandbox of the start does not allow. */
MS_MUST_USE enum ms_err server_confine_check(const struct server *s, const struct conf *conf,
                                             struct ms_errinfo *why_out);

/* -- listening sockets: taken, bound by root before the drop, given to the dispatcher; copies go to the manager's store */
void server_sockets_take(struct server *s);
int server_sockets_bind(struct server *s);
void server_sockets_give(struct server *s);
void server_sockets_store(struct server *s); /* again after a reload */
void server_sockets_close(struct server *s);

/* -- memory: its messages at wiring time, the watch when the doors are open */
void server_memory_wire(struct server *s);
void server_memory_start(struct server *s);
void server_memory_stop(struct server *s);

/* -- the service manager */
void server_notify_replay_begin(struct server *s);
void server_notify_replay_end(struct server *s);
void server_notify_ready(struct server *s); /* also when a reload is over, whatever came of it */
void server_notify_reloading(struct server *s);
void server_notify_stopping(struct server *s);
void server_notify_close(struct server *s);

/* -- snapshots: see above */
/* From now on each loop goes over to this; NULL: what there is stays. Takes over both references. */
void server_publish(struct server *s, struct conf *conf, struct net_tls *tls);
/* The same, and tls NULL means that there is none any more. */
void server_publish_both(struct server *s, struct conf *conf, struct net_tls *tls);
/* Every loop has what is current, and room for a message. */
bool server_publish_is_idle(const struct server *s);
void server_make_publish(struct server *s);  /* handlers, after server_make_loops */
void server_publish_first(struct server *s); /* before the loops run */
void server_publish_stop(struct server *s);  /* the control loop has stopped */
void server_publish_free(struct server *s);  /* all loops have */

/* -- reload */
void server_make_reload(struct server *s);
void server_reload_destroy(struct server *s);                              /* the control loop has stopped */
void server_reload_ask(struct server *s, struct server_reload_request *r); /* r->done comes, later */
void server_reload_cancel(struct server_reload_request *r); /* it does not; no reload is undone */
void server_reload_hup(struct server *s);

/* -- signals: blocked in every thread, waited for by one of their own */
void server_block_signals(void);
void server_make_signals(struct server *s); /* its endpoint on the bus, after server_make_loops */
int server_start_signals(struct server *s);
void server_stop_signals(struct server *s);

#endif
