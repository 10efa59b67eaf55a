/*
 * server_doors.c - what the outside sees: pid file, admin socket, listeners; and what runs from then on.
 */
#include "server_priv.h"

#include "metrics.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define APP_HOUSEKEEP_MS   1000
#define APP_LOCAL_IMAP_MAX 64 /* commands of one loop at a time */

static void on_housekeep(struct loop_timer *timer)
{
    struct server *s = MS_CONTAINER_OF(timer, struct server, housekeeper);
    partition_housekeep(s->partition);
    loop_timer_start(s->control.loop, &s->housekeeper, APP_HOUSEKEEP_MS, on_housekeep);
}

int server_write_pid(struct server *s)
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

int server_open_doors(struct server *s)
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
    server_sockets_give(s);
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
    server_memory_start(s);
    metrics_start(s->metrics);
    server_make_tls_watch(s);
    return EX_OK;
}
