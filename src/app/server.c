/*
 * server.c - the running server: every object is made here, wired, started, and taken down in the opposite
 * order.
 *
 * Order of start: configuration, keys, what is given up before there are threads (server_confine.c), log,
 * directory, partition (recovered on this thread), bus and loops, clients, dispatcher and job controller,
 * partition threads, loops, the system calls that are given up, admin socket, listeners; then "ready".
 * Order of stop: listeners close and sessions say goodbye; the job controller ends what is in work; after
 * that, or at the deadline, the loops stop, the partition writes out what waits, and memory goes.
 */
#include "server_priv.h"

#include "metrics.h"
#include "ms/base/clock.h"
#include "ms/dns.h"

#include <unistd.h>

struct part_client *server_control_part(struct server *s)
{
    return s->control.part;
}

const struct chan_env *server_chan_env(const struct server *s)
{
    return &s->chan;
}

const struct conf *server_start_conf(const struct server *s)
{
    return s->start_conf;
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
    return server_start_signals(s);
}

static int server_start(struct server *s)
{
    int rc = server_open_tls(s);
    if (!rc)
        rc = server_confine_files(s);
    if (!rc)
        rc = server_open_log(s);
    if (!rc)
        rc = server_open_stores(s);
    if (!rc)
        rc = server_recover_partition(s);
    if (rc)
        return rc;
    server_make_loops(s);
    server_make_clients(s);
    server_wire(s);
    server_memory_wire(s);
    s->metrics = metrics_create(s);
    s->maildrop = app_maildrop_create(s->conf, s->loops[0].loop, s->partition, &s->chan);
    rc = server_write_pid(s);
    if (!rc)
        rc = start_threads(s);
    if (!rc)
        rc = server_confine_calls(s);
    if (!rc)
        rc = server_open_names(s);
    return rc ? rc : server_open_doors(s);
}

static void stop_threads(struct server *s)
{
    server_stop_signals(s);
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
    dns_client_destroy(&s->dns);
    jobctl_destroy(&s->jobctl);
    channel_registry_destroy(&s->registry);
    if (s->control.loop)
        imapd_env_fini(&s->imapd);
    for (unsigned i = 0; i < s->loop_count; i++) {
        route_destroy(&s->loops[i].route);
        auth_client_destroy(&s->loops[i].auth);
        account_client_destroy(&s->loops[i].accounts);
    }
    route_destroy(&s->control.route);
    account_client_destroy(&s->control.accounts);
    auth_guard_destroy(&s->auth_guard);
    chan_claims_destroy(&s->chan.claims);
    partition_close(&s->partition);
    account_close(&s->account);
    if (s->cold_reads)
        loop_pool_destroy(&s->cold_reads);
    server_tls_pool_destroy(s);
    bus_destroy(&s->bus);
    for (unsigned i = 0; i < s->loop_count; i++)
        loop_destroy(&s->loops[i].loop);
    loop_destroy(&s->control.loop);
    server_publish_free(s);
    net_tls_unref(&s->tls);
}

static void server_free(struct server *s)
{
    server_notify_close(s);
    server_sockets_close(s);
    if (s->control.loop) {
        loop_timer_stop(s->control.loop, &s->housekeeper);
        server_memory_stop(s);
        loop_timer_stop(s->control.loop, &s->deadline);
        loop_timer_stop(s->control.loop, &s->files);
        server_publish_stop(s);
    }
    store_janitor_destroy(&s->janitor);
    app_user_janitor_destroy(&s->user_janitor);
    ctl_server_close(&s->ctl);
    metrics_stop(s->metrics);
    server_reload_destroy(s);
    server_tls_watch_destroy(s);
    stop_threads(s);
    metrics_destroy(&s->metrics);
    if (!s->cut_off)
        objects_free(s); /* else sessions are left, and what they point to goes with the process */
    if (s->ctl_path[0])
        unlink(s->ctl_path);
    if (s->pid_path[0])
        unlink(s->pid_path);
    obs_stop();
    app_paths_fini(&s->confined.allowed);
    if (s->cut_off)
        return;
    conf_unref(&s->conf);
    conf_unref(&s->start_conf);
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
    s->started_us = clock_wall_us();
    s->start_conf = conf_ref(s->conf);
    s->sc = conf_section(s->start_conf, "server");
    server_block_signals();
    net_raise_nofile();
    app_notify_open(&s->notify.notify);
    server_sockets_take(s);
    int rc = server_start(s);
    if (!rc) {
        server_notify_ready(s);
        printf("ready pid=%ld loops=%u config=%s\n", (long)getpid(), s->loop_count, conf_file(s->conf));
        fflush(stdout);
        OBS_EVENT(OBS_APP_READY, 0, OBS_U("loops", s->loop_count));
        loop_run(s->control.loop);
    }
    server_free(s);
    return rc;
}
