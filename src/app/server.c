/*
 * server.c - the running server: every object is made here, wired, started, and taken down in the opposite
 * order.
 *
 * Order of start: configuration, log, directory, partition (recovered on this thread), bus and loops,
 * clients, dispatcher and job controller, partition threads, loops, admin socket, listeners; then "ready".
 * Order of stop: listeners close and sessions say goodbye; the job controller ends what is in work; after
 * that, or at the deadline, the loops stop, the partition writes out what waits, and memory goes.
 */
#include "app.h"
#include "app_maildrop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ms/chan.h"
#include "ms/dispatch.h"
#include "ms/imapd.h"
#include "ms/jobctl.h"
#include "ms/net.h"
#include "ms/obs.h"
#include "ms/route.h"
#include "ms/smtpd.h"

#define APP_NOTE_SIGNAL    BUS_KIND(10, 1, 1) /* a[0] = signal number */
#define APP_HOUSEKEEP_MS   1000
#define APP_SIGNAL_NOTES   16
#define APP_FILES_MS       10   /* between looks whether files of the maildrop are in work */
#define APP_LOCAL_IMAP_MAX 64   /* commands of one loop at a time */
#define APP_LOOP_CALLS     4096 /* control -> loop: connections handed over and entries in work */

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

struct part_client *server_control_part(struct server *s)
{
    return s->control.part;
}

const struct chan_env *server_chan_env(const struct server *s)
{
    return &s->chan;
}

struct partition *server_partition(struct server *s)
{
    return s->partition;
}

struct dispatch *server_dispatch(struct server *s)
{
    return s->dispatch;
}

struct jobctl *server_jobctl(struct server *s)
{
    return s->jobctl;
}

/* -- stop */
static void end_now(struct server *s)
{
    loop_stop(s->control.loop);
}

static void on_deadline(struct loop_timer *timer)
{
    struct server *s = MS_CONTAINER_OF(timer, struct server, deadline);
    OBS_EVENT0(OBS_APP_STOP_DEADLINE, 0);
    s->cut_off = true;
    end_now(s);
}

/* A file of the maildrop whose message is in the queue must go before we do, or it comes again. */
static void on_files(struct loop_timer *timer)
{
    struct server *s = MS_CONTAINER_OF(timer, struct server, files);
    if (app_maildrop_is_idle(s->maildrop))
        end_now(s);
    else
        loop_timer_start(s->control.loop, &s->files, APP_FILES_MS, on_files);
}

static void on_jobs_idle(void *owner)
{
    struct server *s = owner;
    on_files(&s->files);
}

static void on_sessions_gone(void *owner)
{
    struct server *s = owner;
    jobctl_drain(s->jobctl, on_jobs_idle, s);
}

void server_stop(struct server *s, bool at_once)
{
    if (at_once || s->stopping) {
        if (at_once) {
            s->cut_off = true;
            end_now(s);
        }
        return;
    }
    s->stopping = true;
    OBS_EVENT0(OBS_APP_STOPPING, 0);
    loop_timer_start(s->control.loop, &s->deadline, s->sc->stop_ms, on_deadline);
    app_maildrop_stop(s->maildrop);
    dispatch_drain(s->dispatch, on_sessions_gone, s);
}

/* -- signals: a thread of its own waits for them and tells the control loop */
static void *signal_main(void *arg)
{
    struct server *s = arg;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1); /* ends this thread */
    for (;;) {
        int signo;
        if (sigwait(&set, &signo) != 0)
            continue;
        if (signo == SIGUSR1)
            return NULL;
        struct bus_msg note = {.kind = APP_NOTE_SIGNAL, .a = {(uint64_t)signo}};
        bus_note(s->signal_ep, s->control_ep, &note);
    }
}

static void on_signal(void *owner, const struct bus_msg *msg)
{
    struct server *s = owner;
    if (msg->a[0] == SIGHUP)
        OBS_EVENT0(OBS_APP_NO_RELOAD, 0);
    else
        server_stop(s, s->stopping); /* the second one stops at once */
}

static void on_signal_overflow(void *owner)
{
    server_stop(owner, true); /* more signals than anyone sends by hand */
}

static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* -- start, step by step; each returns a sysexits code and has said why */
static int open_log(struct server *s)
{
    const struct log_conf *lc = conf_section(s->conf, "log");
    struct ms_errinfo why;
    if (lc->history_bytes && obs_history_open(lc->history, lc->history_bytes, &why) != MS_OK)
        return app_fail(EX_CANTCREAT, "%s", why.text);
    if (obs_start(STDERR_FILENO, (enum obs_level)lc->level, (enum obs_format)lc->format) != MS_OK)
        return app_fail(EX_OSERR, "cannot start the log");
    return EX_OK;
}

static int open_stores(struct server *s)
{
    const struct tls_conf *tc = conf_section(s->conf, "tls");
    struct ms_errinfo why;
    enum ms_err err;
    if (tc->certificate && net_tls_load(tc->certificate, tc->key, &s->tls, &why) != MS_OK)
        return app_fail(EX_CONFIG, "%s", why.text);
    err = account_open(conf_section(s->conf, "directory"), s->sc->default_domain, true, &s->account, &why);
    if (err)
        return app_fail(app_exit_for_err(err), "%s", why.text);
    app_partition_conf(s->conf, &s->partition_conf);
    err = partition_open(&s->partition_conf, true, &s->partition, &why);
    if (err)
        return app_fail(app_exit_for_err(err), "%s", why.text);
    store_register(s->partition);
    queue_register(s->partition);
    return EX_OK;
}

static int recover_partition(struct server *s)
{
    struct part_report report = {0};
    struct ms_errinfo why;
    str_init(&report.text, 0);
    enum ms_err err = partition_recover(s->partition, PART_RECOVER_NORMAL, &report, &why);
    if (report.text.len)
        fputs(str_cstr(&report.text), stderr);
    str_fini(&report.text);
    if (!err)
        obs_set_epoch(partition_epoch(s->partition));
    return err ? app_fail(app_exit_for_err(err), "partition %s: %s", s->partition_conf.name, why.text)
               : EX_OK;
}

static void add_endpoint(struct server *s, struct loop *loop)
{
    struct bus_ep *ep = bus_ep_create(s->bus, loop_name(loop), loop);
    if (loop == s->control.loop)
        s->control_ep = ep;
}

static void make_loops(struct server *s)
{
    s->loop_count = s->sc->loops ? (unsigned)s->sc->loops : loop_count_auto();
    s->bus = bus_create();
    s->cold_reads = loop_pool_create("reader", (unsigned)MS_MAX(s->sc->work_threads, 1), 1024);
    s->control.loop = loop_create(0, "control");
    add_endpoint(s, s->control.loop);
    for (unsigned i = 0; i < s->loop_count; i++) {
        char name[16];
        snprintf(name, sizeof name, "loop%u", i + 1);
        s->loops[i].loop = loop_create(i + 1, name);
        add_endpoint(s, s->loops[i].loop);
        bus_link(s->bus, s->control_ep, bus_ep_of_loop(s->bus, s->loops[i].loop), APP_LOOP_CALLS);
    }
    s->signal_ep = bus_ep_create(s->bus, "signals", NULL);
    bus_note_link(s->bus, s->signal_ep, s->control_ep, APP_SIGNAL_NOTES, on_signal_overflow, s);
    bus_on(s->control_ep, APP_NOTE_SIGNAL, on_signal, s);
}

static void make_clients(struct server *s)
{
    s->control.accounts = account_client_create(s->account, s->control.loop);
    s->control.part = part_client_create(s->partition, s->control.loop);
    s->control.route = route_create(s->control.loop, s->control.accounts, s->control.part, s->conf);
    for (unsigned i = 0; i < s->loop_count; i++) {
        struct server_loop *l = &s->loops[i];
        l->accounts = account_client_create(s->account, l->loop);
        l->part = part_client_create(s->partition, l->loop);
        l->route = route_create(l->loop, l->accounts, l->part, s->conf);
    }
}

static struct part_client *partition_of(void *ctx, struct loop *loop, const char *name)
{
    struct server *s = ctx;
    if (name[0] && strcmp(name, s->partition_conf.name) != 0)
        return NULL;
    return part_client_of(s->partition, loop);
}

static void fill_envs(struct server *s)
{
    const struct auth_conf *auth = conf_section(s->conf, "auth");
    const struct store_conf *store = conf_section(s->conf, "store");
    s->smtpd.partition_of = partition_of;
    s->smtpd.ctx = s;
    s->smtpd.hostname = s->sc->hostname;
    s->smtpd.allow_plaintext_auth = auth->allow_plaintext;
    s->smtpd.detail_mailbox = store->detail_mailbox;
    s->imapd.tls = s->tls;
    s->imapd.allow_plaintext_auth = auth->allow_plaintext;
    s->imapd.hostname = s->sc->hostname;
    s->imapd.version = APP_VERSION;
    s->imapd.conf = s->conf;
    s->imapd.partition_of = partition_of;
    s->imapd.partition_owner = s;
    imapd_env_init(&s->imapd);
    s->chan.partition = s->partition_conf.name;
    s->chan.hostname = s->sc->hostname;
    s->chan.conf = s->conf;
    s->chan.claims = chan_claims_create();
    s->chan.detail_mailbox = store->detail_mailbox;
    s->chan.loops[0] = (struct chan_env_loop){
        .accounts = s->control.accounts, .queue = s->control.part, .route = s->control.route};
    for (unsigned i = 0; i < s->loop_count; i++) {
        struct server_loop *l = &s->loops[i];
        unsigned at = loop_index(l->loop);
        s->smtpd.loops[at] = (struct smtpd_loop_env){.loop = l->loop,
                                                     .accounts = l->accounts,
                                                     .route = l->route,
                                                     .queue_client = l->part,
                                                     .conf = s->conf,
                                                     .tls = s->tls};
        s->imapd.loops[at] = (struct imapd_loop_env){.loop = l->loop, .accounts = l->accounts};
        s->chan.loops[at] =
            (struct chan_env_loop){.accounts = l->accounts, .queue = l->part, .route = l->route};
    }
}

static void wire(struct server *s)
{
    fill_envs(s);
    s->registry = channel_registry_create();
    channel_register(s->registry, &chan_store_driver, &s->chan);
    s->dispatch = dispatch_create(s->control.loop, s->bus);
    dispatch_register(s->dispatch, &smtpd_smtp_proto, &s->smtpd);
    dispatch_register(s->dispatch, &smtpd_submission_proto, &s->smtpd);
    dispatch_register(s->dispatch, &smtpd_lmtp_proto, &s->smtpd);
    dispatch_register(s->dispatch, &imapd_proto, &s->imapd);
    s->jobctl = jobctl_create(s->control.loop, s->bus, s->partition, s->registry);
    for (unsigned i = 0; i < s->loop_count; i++) {
        dispatch_add_loop(s->dispatch, s->loops[i].loop);
        jobctl_add_loop(s->jobctl, s->loops[i].loop);
    }
}

static void on_housekeep(struct loop_timer *timer)
{
    struct server *s = MS_CONTAINER_OF(timer, struct server, housekeeper);
    partition_housekeep(s->partition);
    loop_timer_start(s->control.loop, &s->housekeeper, APP_HOUSEKEEP_MS, on_housekeep);
}

static int start_threads(struct server *s)
{
    struct ms_errinfo why;
    enum ms_err err = partition_start(s->partition, s->bus, s->cold_reads, &why);
    if (err)
        return app_fail(app_exit_for_err(err), "%s", why.text);
    s->partition_started = true;
    for (unsigned i = 0; i < s->loop_count; i++)
        if (loop_start(s->loops[i].loop, &why) != MS_OK)
            return app_fail(EX_OSERR, "%s", why.text);
    s->loops_started = true;
    if (pthread_create(&s->signal_thread, NULL, signal_main, s) != 0)
        return app_fail(EX_OSERR, "cannot start the signal thread");
    s->signals_started = true;
    return EX_OK;
}

static int write_pid(struct server *s)
{
    if (mkdir(s->sc->run_dir, 0700) != 0 && errno != EEXIST)
        return app_fail(EX_CANTCREAT, "%s: %s", s->sc->run_dir, strerror(errno));
    snprintf(s->pid_path, sizeof s->pid_path, "%s/mailserverd.pid", s->sc->run_dir);
    FILE *f = fopen(s->pid_path, "we");
    if (!f)
        return app_fail(EX_CANTCREAT, "%s: %s", s->pid_path, strerror(errno));
    fprintf(f, "%ld\n", (long)getpid());
    fclose(f);
    return EX_OK;
}

/* The commands `mailbox` are IMAP clients behind this door. */
static void add_local_imap(struct server *s)
{
    const struct dispatch_service_conf conf = {.max_procs = MS_MIN(s->loop_count, DISPATCH_WORKERS_MAX),
                                               .min_conns = 1,
                                               .max_conns = APP_LOCAL_IMAP_MAX,
                                               .max_shutdown = 1,
                                               .max_handoffs = APP_LOCAL_IMAP_MAX};
    char where[sizeof s->imap_path + 8];
    snprintf(s->imap_path, sizeof s->imap_path, "%s/" APP_IMAP_SOCKET, s->sc->run_dir);
    snprintf(where, sizeof where, "unix:%s", s->imap_path);
    dispatch_add_service(s->dispatch, "imap-local", &imapd_local_proto, &s->imapd, where, &conf);
}

static int open_doors(struct server *s)
{
    const struct store_conf *store = conf_section(s->conf, "store");
    struct ms_errinfo why;
    snprintf(s->ctl_path, sizeof s->ctl_path, "%s/admin.sock", s->sc->run_dir);
    unlink(s->ctl_path); /* left by a crash: the partition's lock has shown that no other server runs */
    s->ctl = ctl_server_open(s, s->control.loop, s->ctl_path, &why);
    if (!s->ctl)
        return app_fail(EX_CANTCREAT, "%s", why.text);
    if (jobctl_start(s->jobctl, s->conf, &why) != MS_OK)
        return app_fail(EX_CONFIG, "%s", why.text);
    add_local_imap(s);
    enum ms_err err = dispatch_start(s->dispatch, s->conf, &why);
    if (err)
        return app_fail(err == MS_EUNSUPPORTED ? EX_CONFIG : EX_OSERR, "%s", why.text);
    if (chmod(s->imap_path, 0600) != 0)
        OBS_EVENT(OBS_APP_CTL_MODE, 0, OBS_C("path", s->imap_path));
    s->janitor = store_janitor_create(s->control.part, s->control.loop, store->expunge_keep_ms,
                                      store->purge_interval_ms);
    s->user_janitor =
        app_user_janitor_create(s->account, s->control.accounts, s->control.part, s->control.loop, store);
    on_housekeep(&s->housekeeper);
    return EX_OK;
}

static int server_start(struct server *s)
{
    int rc = open_log(s);
    if (!rc)
        rc = open_stores(s);
    if (!rc)
        rc = recover_partition(s);
    if (rc)
        return rc;
    make_loops(s);
    make_clients(s);
    wire(s);
    s->maildrop = app_maildrop_create(s->conf, s->loops[0].loop, s->partition, &s->chan);
    rc = write_pid(s);
    if (!rc)
        rc = start_threads(s);
    return rc ? rc : open_doors(s);
}

static void stop_threads(struct server *s)
{
    if (s->signals_started) {
        pthread_kill(s->signal_thread, SIGUSR1);
        pthread_join(s->signal_thread, NULL);
    }
    if (s->loops_started)
        for (unsigned i = 0; i < s->loop_count; i++) {
            loop_stop(s->loops[i].loop);
            loop_join(s->loops[i].loop);
        }
    if (s->partition_started)
        partition_stop(s->partition);
}

/* What threads no longer use. */
static void objects_free(struct server *s)
{
    app_maildrop_destroy(&s->maildrop);
    dispatch_destroy(&s->dispatch);
    jobctl_destroy(&s->jobctl);
    channel_registry_destroy(&s->registry);
    if (s->control.loop)
        imapd_env_fini(&s->imapd);
    for (unsigned i = 0; i < s->loop_count; i++) {
        route_destroy(&s->loops[i].route);
        account_client_destroy(&s->loops[i].accounts);
    }
    route_destroy(&s->control.route);
    account_client_destroy(&s->control.accounts);
    chan_claims_destroy(&s->chan.claims);
    partition_close(&s->partition);
    account_close(&s->account);
    if (s->cold_reads)
        loop_pool_destroy(&s->cold_reads);
    bus_destroy(&s->bus);
    for (unsigned i = 0; i < s->loop_count; i++)
        loop_destroy(&s->loops[i].loop);
    loop_destroy(&s->control.loop);
    net_tls_unref(&s->tls);
}

static void server_free(struct server *s)
{
    if (s->control.loop) {
        loop_timer_stop(s->control.loop, &s->housekeeper);
        loop_timer_stop(s->control.loop, &s->deadline);
        loop_timer_stop(s->control.loop, &s->files);
    }
    store_janitor_destroy(&s->janitor);
    app_user_janitor_destroy(&s->user_janitor);
    ctl_server_close(&s->ctl);
    stop_threads(s);
    if (!s->cut_off)
        objects_free(s); /* else sessions are left, and what they point to goes with the process */
    if (s->ctl_path[0])
        unlink(s->ctl_path);
    if (s->pid_path[0])
        unlink(s->pid_path);
    obs_stop();
    if (s->cut_off)
        return;
    conf_unref(&s->conf);
    ms_free(s);
}

int cmd_serve(struct app_args *args)
{
    if (args->argc > 1)
        return app_usage(args, "serve takes no argument but -c");
    struct server *s = ms_new(struct server);
    s->conf = app_conf_load(args->config);
    if (!s->conf) {
        ms_free(s);
        return EX_CONFIG;
    }
    s->sc = conf_section(s->conf, "server");
    block_signals();
    net_raise_nofile();
    int rc = server_start(s);
    if (!rc) {
        printf("ready pid=%ld loops=%u config=%s\n", (long)getpid(), s->loop_count, conf_file(s->conf));
        fflush(stdout);
        OBS_EVENT(OBS_APP_READY, 0, OBS_U("loops", s->loop_count));
        loop_run(s->control.loop);
    }
    server_free(s);
    return rc;
}
