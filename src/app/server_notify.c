/*
 * server_notify.c - the server's life as its service manager sees it: EXTEND_TIMEOUT_USEC while the log is replayed,
 * READY=1 when every listener is open, WATCHDOG=1 while every loop answers, STOPPING=1.
 *
 * The replay is one long call on the main thread. A thread beside it looks each APP_REPLAY_TICK_MS whether
 * that thread has worked since, and only then asks for more time: a replay that hangs is ended by the
 * manager.
 *
 * The watchdog ticks at half of the period and says WATCHDOG=1 when the dispatcher finds that every loop
 * turns (the control loop shows it by ticking); when one does not, it looks more often, so that a loop that
 * comes back is in time.
 */
#include "server_priv.h"

#include <time.h>

#define APP_REPLAY_TICK_MS   2000
#define APP_REPLAY_EXTEND_MS 30000
#define APP_STOP_EXTEND_MS   30000 /* past the deadline of a stop: what waits is written out */
#define APP_WATCHDOG_MS_MIN  20
#define APP_WATCHDOG_RETRY   16 /* parts of the period between two looks while a loop stands still */

/* -- replay */
static uint64_t cpu_of(clockid_t clock)
{
    struct timespec t = {0};
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *replay_main(void *arg)
{
    struct server_notify *sn = arg;
    struct timespec until;
    uint64_t seen = 0, ticks = 0;
    pthread_mutex_lock(&sn->mutex);
    while (!sn->replay_ends) {
        uint64_t now = cpu_of(sn->main_clock);
        if (now != seen)
            app_notify_send(&sn->notify, "EXTEND_TIMEOUT_USEC=%d\nSTATUS=Replaying the log (%llu s).",
                            APP_REPLAY_EXTEND_MS * 1000,
                            (unsigned long long)(ticks * APP_REPLAY_TICK_MS / 1000));
        seen = now;
        ticks++;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += APP_REPLAY_TICK_MS / 1000;
        pthread_cond_timedwait(&sn->cond, &sn->mutex, &until);
    }
    pthread_mutex_unlock(&sn->mutex);
    return NULL;
}

void server_notify_replay_begin(struct server *s)
{
    struct server_notify *sn = &s->notify;
    if (!app_notify_is_on(&sn->notify))
        return;
    pthread_mutex_init(&sn->mutex, NULL);
    pthread_cond_init(&sn->cond, NULL);
    /* Without the thread the start has the time that the unit gives it. */
    sn->has_replay = pthread_getcpuclockid(pthread_self(), &sn->main_clock) == 0 &&
                     pthread_create(&sn->replay, NULL, replay_main, sn) == 0;
}

void server_notify_replay_end(struct server *s)
{
    struct server_notify *sn = &s->notify;
    if (!sn->has_replay)
        return;
    pthread_mutex_lock(&sn->mutex);
    sn->replay_ends = true;
    pthread_cond_signal(&sn->cond);
    pthread_mutex_unlock(&sn->mutex);
    pthread_join(sn->replay, NULL);
    sn->has_replay = false;
}

/* -- watchdog */
static void on_watchdog(struct loop_timer *timer)
{
    struct server *s = MS_CONTAINER_OF(timer, struct server, notify.watchdog);
    struct server_notify *sn = &s->notify;
    bool answer = dispatch_loops_answer(s->dispatch);
    if (answer)
        app_notify_try(&sn->notify, "WATCHDOG=1");
    else if (!sn->withheld)
        OBS_EVENT0(OBS_APP_WATCHDOG, 0);
    sn->withheld = !answer;
    uint64_t next_ms = sn->notify.watchdog_ms / (answer ? 2 : APP_WATCHDOG_RETRY);
    loop_timer_start(s->control.loop, timer, MS_MAX(next_ms, APP_WATCHDOG_MS_MIN), on_watchdog);
}

/* -- life */
void server_notify_ready(struct server *s)
{
    struct server_notify *sn = &s->notify;
    server_sockets_store(s);
    app_notify_send(&sn->notify, "READY=1\nSTATUS=Serving with %u loops.", s->loop_count);
    if (sn->notify.watchdog_ms && !loop_timer_is_running(&sn->watchdog))
        on_watchdog(&sn->watchdog);
}

void server_notify_reloading(struct server *s)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    app_notify_send(&s->notify.notify, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=Reading the configuration.",
                    (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void server_notify_stopping(struct server *s)
{
    app_notify_send(&s->notify.notify,
                    "STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu\nSTATUS=Sessions and deliveries end.",
                    (unsigned long long)(s->sc->stop_ms + APP_STOP_EXTEND_MS) * 1000);
}

void server_notify_close(struct server *s)
{
    if (s->control.loop)
        loop_timer_stop(s->control.loop, &s->notify.watchdog);
    app_notify_close(&s->notify.notify);
}
