/*
 * server_signals.c - a thread of its own waits for signals and tells the control loop.
 */
#include "server_priv.h"

#include <signal.h>

#define APP_NOTE_SIGNAL  BUS_KIND(10, 1, 1) /* a[0] = signal number */
#define APP_SIGNAL_NOTES 16

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
        server_reload_hup(s);
    else
        server_stop(s, s->stopping); /* the second one stops at once */
}

static void on_signal_overflow(void *owner)
{
    server_stop(owner, true); /* more signals than anyone sends by hand */
}

void server_block_signals(void)
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

void server_make_signals(struct server *s)
{
    s->signal_ep = bus_ep_create(s->bus, "signals", NULL);
    bus_note_link(s->bus, s->signal_ep, s->control_ep, APP_SIGNAL_NOTES, on_signal_overflow, s);
    bus_on(s->control_ep, APP_NOTE_SIGNAL, on_signal, s);
}

int server_start_signals(struct server *s)
{
    if (pthread_create(&s->signal_thread, NULL, signal_main, s) != 0)
        return app_fail(EX_OSERR, "cannot start the signal thread");
    s->signals_started = true;
    return EX_OK;
}

void server_stop_signals(struct server *s)
{
    if (!s->signals_started)
        return;
    pthread_kill(s->signal_thread, SIGUSR1);
    pthread_join(s->signal_thread, NULL);
}
