/*
 * server_priv.h - the running server: what its files share. One noun a file:
 *
 *   server.c           order of start and stop, the command `serve`
 *   server_stores.c    log, TLS, directory, partition: what stands before any thread
 *   server_tls.c       certificates and the threads of handshakes
 *   server_wire.c      loops, clients, environments, registration of protocols and drivers
 *   server_names.c     what the door asks: mapping tables, name servers
 *   server_doors.c     admin socket, listeners, housekeeping, pid file
 *   server_signals.c   the signal thread
 *   server_stop.c      SIGTERM, `stop` and the deadline
 *   server_notify.c    what the service manager is told
 *   server_confine.c   user, Landlock, seccomp
 *   server_memory.c    what is given up when memory is short
 *   server_sockets.c   listening sockets that the service manager passes and keeps
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

struct server_loop {
    struct loop *loop;
    struct bus_ep *ep;
    struct account_client *accounts;
    struct auth_client *auth; /* of worker loops */
    struct part_client *part;
    struct route *route;
};

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
    struct conf *conf;
    const struct server_conf *sc;
    struct net_tls *tls;
    struct account *account;
    struct auth_guard *auth_guard;
    struct partition *partition;
    struct partition_conf partition_conf;
    struct bus *bus;
    struct loop_pool *cold_reads;
    struct loop_pool *tls_pool; /* handshakes */
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
void server_tell_tls(struct server *s); /* when there is a log */
int server_recover_partition(struct server *s);
void server_make_loops(struct server *s);
void server_make_tls_pool(struct server *s);
void server_tls_pool_destroy(struct server *s);
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

/* -- signals: blocked in every thread, waited for by one of their own */
void server_block_signals(void);
void server_make_signals(struct server *s); /* its endpoint on the bus, after server_make_loops */
int server_start_signals(struct server *s);
void server_stop_signals(struct server *s);

#endif
