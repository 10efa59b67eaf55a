/*
 * server_stop.c - the orderly end: doors close and sessions say goodbye, the job controller ends what is in work, files
 * of the maildrop go; then, or at the deadline, the control loop stops.
 */
#include "server_priv.h"

#define APP_FILES_MS 10 /* between looks whether files of the maildrop are in work */

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
    server_notify_stopping(s);
    const struct server_conf *sc = conf_section(s->conf, "server");
    loop_timer_start(s->control.loop, &s->deadline, sc->stop_ms, on_deadline);
    app_maildrop_stop(s->maildrop);
    dispatch_drain(s->dispatch, on_sessions_gone, s);
}
