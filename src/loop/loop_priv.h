/*
 * loop_priv.h - what the files of this module share.
 */
#ifndef MS_LOOP_PRIV_H
#define MS_LOOP_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "ms/loop.h"
#include "loop_wheel.h"

#define LOOP_NAME_MAX 16 /* what the kernel keeps of a thread's name */

struct loop_slot_value {
    void *value;
    loop_slot_fn *destroy;
};

struct loop {
    unsigned index;
    bool is_virtual;
    bool is_running;
    bool has_thread;
    char name[LOOP_NAME_MAX];
    uint64_t virtual_now_ms;
    struct loop_wheel wheel;
    uint64_t armed_tick; /* what the libuv timer waits for */
    struct list hooks;
    struct list fds, fds_closed; /* of a virtual loop */
    loop_wake_fn *wake_fn;
    void *wake_owner;
    struct loop_slot_value slots[LOOP_SLOT_COUNT];
    pthread_t thread;
    uv_loop_t uv;
    uv_async_t async;
    uv_timer_t timer;
    uv_prepare_t prepare;

    /* Written by other threads; padded off from what this thread writes in every turn. */
    char pad_[64];
    _Atomic(uintptr_t) home; /* token of the running thread, 0 = not started, 1 = starting */
    atomic_bool stop;
    atomic_bool wake_pending;
    atomic_uint_fast64_t turns;
    pthread_mutex_t done_mutex;
    struct list done;      /* finished work, under done_mutex */
    atomic_uint works_out; /* posted and not yet in `done` */
};

/* Where this thread is: set while a loop runs on it. */
extern _Thread_local struct loop *loop__current;

/* Timers, then hooks, then the libuv timer is set for what comes next. */
void loop__end_turn(struct loop *loop);
/* What a wake-up asks for: done callbacks, then the owner of loop_on_wake. */
void loop__deferred(struct loop *loop);
void loop__timers_init(struct loop *loop);
/* Virtual loops: descriptors that are ready; memory of closed ones. */
void loop__fds_turn(struct loop *loop);
void loop__fds_free_closed(struct loop *loop);
/* Any thread: hands a finished work to its home. */
void loop__work_done(struct loop_work *work);
/* pthread_create with every signal blocked in the new thread, and its name. 0 or an errno. */
int loop__thread_create(pthread_t *thread, const char *name, void *(*fn)(void *), void *arg);

#endif
