/*
 * loop.c - life of a loop: create, run on a thread, stop, destroy.
 *
 * libuv handles of a loop: one async (wake-up), one timer (next expiry of the wheel), one prepare (end of
 * turn). Only the async is counted by libuv, so uv_run goes on until loop_stop. An iteration of libuv is:
 * timers, prepare, poll with I/O callbacks; the prepare callback therefore stands between the callbacks of
 * one turn and the wait of the next.
 */
#include "loop_priv.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>

#define LOOP_HOME_NONE     ((uintptr_t)0)
#define LOOP_HOME_STARTING ((uintptr_t)1)

_Thread_local struct loop *loop__current;
static _Thread_local char loop_thread_token;

static uintptr_t loop_self(void)
{
    return (uintptr_t)&loop_thread_token;
}

static void loop_on_async(uv_async_t *async)
{
    struct loop *loop = async->data;

    /* Cleared first: what is pushed from here on wakes again. The exchange orders it after libuv's own reset,
     * which a plain flag would not (libuv before 1.53 may otherwise lose the wake-up). */
    atomic_exchange(&loop->wake_pending, false);
    if (atomic_load(&loop->stop))
        uv_stop(&loop->uv);
    loop__deferred(loop);
}

static void loop_on_prepare(uv_prepare_t *prepare)
{
    loop__end_turn(prepare->data);
}

static struct loop *loop_new(unsigned index, const char *name)
{
    struct loop *loop = ms_new(struct loop);

    loop->index = index;
    snprintf(loop->name, sizeof(loop->name), "%s", name);
    list_init(&loop->hooks);
    list_init(&loop->fds);
    list_init(&loop->fds_closed);
    list_init(&loop->done);
    int err = pthread_mutex_init(&loop->done_mutex, NULL);
    MS_ASSERT(err == 0);
    return loop;
}

struct loop *loop_create(unsigned index, const char *name)
{
    struct loop *loop = loop_new(index, name);
    int err = uv_loop_init(&loop->uv);

    MS_ASSERT(err == 0);
    err = uv_async_init(&loop->uv, &loop->async, loop_on_async);
    MS_ASSERT(err == 0);
    uv_timer_init(&loop->uv, &loop->timer);
    uv_prepare_init(&loop->uv, &loop->prepare);
    loop->async.data = loop->timer.data = loop->prepare.data = loop;
    uv_prepare_start(&loop->prepare, loop_on_prepare);
    uv_unref((uv_handle_t *)&loop->timer);
    uv_unref((uv_handle_t *)&loop->prepare);
    loop__timers_init(loop);
    return loop;
}

struct loop *loop_create_virtual(unsigned index, const char *name, uint64_t now_ms)
{
    struct loop *loop = loop_new(index, name);

    loop->is_virtual = true;
    loop->virtual_now_ms = now_ms;
    loop__timers_init(loop);
    return loop;
}

/* Closes our handles and lets libuv finish those of streams that were closed before. */
static void loop_close_uv(struct loop *loop)
{
    uv_close((uv_handle_t *)&loop->async, NULL);
    uv_close((uv_handle_t *)&loop->timer, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    while (uv_run(&loop->uv, UV_RUN_NOWAIT))
        ;
    int err = uv_loop_close(&loop->uv);
    MS_ASSERT(err == 0); /* otherwise a stream or listener is still open */
}

void loop_destroy(struct loop **loop)
{
    struct loop *l = *loop;

    if (!l)
        return;
    MS_ASSERT(!l->has_thread && !l->is_running);
    MS_ASSERT(atomic_load(&l->works_out) == 0);
    MS_ASSERT(list_is_empty(&l->fds));
    loop__fds_free_closed(l);
    if (!l->is_virtual)
        loop_close_uv(l);
    for (int i = 0; i < LOOP_SLOT_COUNT; i++)
        if (l->slots[i].destroy)
            l->slots[i].destroy(l->slots[i].value);
    pthread_mutex_destroy(&l->done_mutex);
    ms_free(l);
    *loop = NULL;
}

void loop_run(struct loop *loop)
{
    struct loop *outer = loop__current;

    MS_ASSERT(!loop->is_virtual && !loop->is_running);
    atomic_store(&loop->home, loop_self());
    loop->is_running = true;
    loop__current = loop;
    while (!atomic_load(&loop->stop))
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    loop__end_turn(loop); /* what the last callbacks collected */
    loop__current = outer;
    loop->is_running = false;
    atomic_store(&loop->stop, false);
    atomic_store(&loop->home, LOOP_HOME_NONE);
}

static void *loop_thread_main(void *arg)
{
    loop_run(arg);
    return NULL;
}

int loop__thread_create(pthread_t *thread, const char *name, void *(*fn)(void *), void *arg)
{
    sigset_t all, old;
    char old_name[LOOP_NAME_MAX] = "";

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* inherited: signals are the control thread's */
    /* The name is inherited too: that of another thread is a file of /proc, which a sandbox may not let us write. */
    pthread_getname_np(pthread_self(), old_name, sizeof(old_name));
    pthread_setname_np(pthread_self(), name);
    int err = pthread_create(thread, NULL, fn, arg);
    pthread_setname_np(pthread_self(), old_name);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return err;
}

enum ms_err loop_start(struct loop *loop, struct ms_errinfo *why_out)
{
    MS_ASSERT(!loop->is_virtual && !loop->has_thread);
    atomic_store(&loop->home, LOOP_HOME_STARTING); /* from here on the loop is no longer this thread's */
    int err = loop__thread_create(&loop->thread, loop->name, loop_thread_main, loop);
    if (err) {
        atomic_store(&loop->home, LOOP_HOME_NONE);
        return ms_fail_errno(why_out, err, "thread for loop %s", loop->name);
    }
    loop->has_thread = true;
    return MS_OK;
}

void loop_join(struct loop *loop)
{
    if (!loop->has_thread)
        return;
    pthread_join(loop->thread, NULL);
    loop->has_thread = false;
}

void loop_stop(struct loop *loop)
{
    atomic_store(&loop->stop, true);
    loop_wake(loop);
}

unsigned loop_index(const struct loop *loop)
{
    return loop->index;
}

const char *loop_name(const struct loop *loop)
{
    return loop->name;
}

bool loop_is_home(const struct loop *loop)
{
    uintptr_t home = atomic_load_explicit(&loop->home, memory_order_relaxed);
    return home == LOOP_HOME_NONE || home == loop_self();
}

struct loop *loop_current(void)
{
    return loop__current;
}

struct uv_loop_s *loop__uv(struct loop *loop)
{
    return loop->is_virtual ? NULL : &loop->uv;
}

void loop_slot_set(struct loop *loop, enum loop_slot slot, void *value, loop_slot_fn *destroy)
{
    MS_ASSERT(loop_is_home(loop) && !loop->slots[slot].value);
    loop->slots[slot] = (struct loop_slot_value){.value = value, .destroy = destroy};
}

void *loop_slot_get(const struct loop *loop, enum loop_slot slot)
{
    return loop->slots[slot].value;
}

unsigned loop_count_auto(void)
{
    cpu_set_t set;
    int count = 1;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        count = CPU_COUNT(&set);
    return (unsigned)MS_MAX(1, MS_MIN(count, LOOP_WORKERS_MAX));
}
