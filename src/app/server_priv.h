/*
 * server_priv.h - the running server: what its files share. One noun a file:
 *
 *   server.c           order of start and stop, the command `serve`
 *   server_stores.c    log, TLS, directory, partition: what stands before any thread
 *   server_wire.c      loops, clients, environments, registration of protocols and drivers
 *   server_doors.c     admin socket, listeners, housekeeping, pid file
 *   server_signals.c   the signal thread
 *   server_stop.c      SIGTERM, `stop` and the deadline
 *
 * Threads: the control loop, and before it runs the main thread; signal_main is a thread of its own.
 */
#ifndef APP_SERVER_PRIV_H
#define APP_SERVER_PRIV_H

#include "app.h"
#include "app_maildrop.h"

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
    struct account_client *accounts;
    struct part_client *part;
    struct route *route;
};

struct server {
    struct conf *conf;
    const struct server_conf *sc;
    struct net_tls *tls;
    struct account *account;
    struct partition *partition;
    struct partition_conf partition_conf;
    struct bus *bus;
    struct loop_pool *cold_reads;
    struct server_loop control;
    struct server_loop loops[LOOP_WORKERS_MAX];
    unsigned loop_count;
    struct channel_registry *registry;
    struct dispatch *dispatch;
    struct jobctl *jobctl;
    struct store_janitor *janitor;
    struct app_user_janitor *user_janitor;
    struct ctl_server *ctl;
    struct smtpd_env smtpd;
    struct imapd_env imapd;
    struct chan_env chan;
    struct app_maildrop *maildrop; /* on the first worker loop */
    struct loop_timer housekeeper, deadline, files;
    struct bus_ep *signal_ep, *control_ep;
    pthread_t signal_thread;
    bool signals_started, partition_started, loops_started;
    bool stopping;
    bool cut_off; /* the stop did not wait for sessions and deliveries */
    char ctl_path[512], pid_path[512], imap_path[APP_SOCKET_PATH_MAX];
};

/* -- start, step by step; each that returns a number returns a sysexits code and has said why */
int server_open_log(struct server *s);
int server_open_stores(struct server *s);
int server_recover_partition(struct server *s);
void server_make_loops(struct server *s);
void server_make_clients(struct server *s);
void server_wire(struct server *s);
int server_write_pid(struct server *s);
int server_open_doors(struct server *s);

/* -- signals: blocked in every thread, waited for by one of their own */
void server_block_signals(void);
void server_make_signals(struct server *s); /* its endpoint on the bus, after server_make_loops */
int server_start_signals(struct server *s);
void server_stop_signals(struct server *s);

#endif
