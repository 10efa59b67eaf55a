/*
 * loop_turn.c - what happens in one turn: wake-up, timers, hooks.
 *
 * Timers and hooks run in one place, loop__end_turn, between the I/O callbacks and the next wait. The libuv
 * timer only ends the wait; it is set there for the next expiry of the wheel and left alone while that does
 * not change.
 */
#include "loop_priv.h"

#include "ms/obs.h"

/* -- time */

uint64_t loop_now_ms(const struct loop *loop)
{
    return loop->is_virtual ? loop->virtual_now_ms : uv_now(&loop->uv);
}

static uint64_t loop_now_tick(const struct loop *loop)
{
    return loop_now_ms(loop) / LOOP_TICK_MS;
}

void loop__timers_init(struct loop *loop)
{
    loop_wheel_init(&loop->wheel, loop_now_tick(loop));
    loop->armed_tick = LOOP_WHEEL_NEVER;
}

bool loop_timer_is_running(const struct loop_timer *timer)
{
    return timer->node.next && list_is_linked(&timer->node);
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t ms, loop_timer_fn *fn)
{
    MS_ASSERT(loop_is_home(loop) && ms < UINT64_MAX / 4);
    if (loop_timer_is_running(timer))
        loop_wheel_remove(&loop->wheel, timer);
    else
        list_init(&timer->node);
    if (loop->is_virtual) {
        timer->fn = fn;
        loop_wheel_add(&loop->wheel, timer, (loop->virtual_now_ms + ms + LOOP_TICK_MS - 1) / LOOP_TICK_MS);
        return;
    }
    if (loop__current != loop)
        uv_update_time(&loop->uv); /* not in a turn: the clock may be old */
    /* One millisecond more, because the clock was cut to whole milliseconds: never too early. */
    timer->fn = fn;
    loop_wheel_add(&loop->wheel, timer, (uv_now(&loop->uv) + 1 + ms + LOOP_TICK_MS - 1) / LOOP_TICK_MS);
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
    MS_ASSERT(loop_is_home(loop));
    if (loop_timer_is_running(timer))
        loop_wheel_remove(&loop->wheel, timer);
}

/* Also moves the wheel on to the present, so that later timers start on the right level. */
static void loop_run_timers(struct loop *loop)
{
    uint64_t until = loop_now_tick(loop);
    struct list due;

    list_init(&due);
    while (loop_wheel_next_due(&loop->wheel, until, &due)) {
        while (!list_is_empty(&due)) {
            struct loop_timer *timer = LIST_ENTRY(due.next, struct loop_timer, node);
            loop_wheel_remove(&loop->wheel, timer);
            timer->fn(timer); /* may free it, start it again, stop others of `due` */
        }
    }
}

static void loop_on_timer(uv_timer_t *timer)
{
    struct loop *loop = timer->data;
    loop->armed_tick = LOOP_WHEEL_NEVER; /* it fired; loop__end_turn follows at once and does the work */
}

static void loop_arm_timer(struct loop *loop)
{
    uint64_t next = loop_wheel_next(&loop->wheel);

    if (loop->is_virtual || next == loop->armed_tick)
        return;
    loop->armed_tick = next;
    if (next == LOOP_WHEEL_NEVER) {
        uv_timer_stop(&loop->timer);
        return;
    }
    uint64_t now_ms = uv_now(&loop->uv);
    uint64_t due_ms = next * LOOP_TICK_MS;
    uv_timer_start(&loop->timer, loop_on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

/* -- hooks */

static bool hook_is_armed(const struct loop_hook *hook)
{
    return hook->node.next && list_is_linked(&hook->node);
}

void loop_hook_arm(struct loop *loop, struct loop_hook *hook, loop_hook_fn *fn)
{
    MS_ASSERT(loop_is_home(loop));
    hook->fn = fn;
    if (!hook_is_armed(hook))
        list_push_back(&loop->hooks, &hook->node);
}

void loop_hook_disarm(struct loop *loop, struct loop_hook *hook)
{
    MS_ASSERT(loop_is_home(loop));
    if (hook_is_armed(hook))
        list_remove(&hook->node);
}

static void loop_run_hooks(struct loop *loop)
{
    for (int round = 0; round < LOOP_HOOK_ROUNDS_MAX && !list_is_empty(&loop->hooks); round++) {
        /* A marker ends the round: what is armed meanwhile stands behind it. */
        struct list marker;
        list_push_back(&loop->hooks, &marker);
        while (loop->hooks.next != &marker) {
            struct loop_hook *hook = LIST_ENTRY(list_pop_front(&loop->hooks), struct loop_hook, node);
            hook->fn(hook); /* may free it, arm and disarm any */
        }
        list_remove(&marker);
    }
}

/* -- turns */

void loop__end_turn(struct loop *loop)
{
    struct loop *outer = loop__current;

    loop__current = loop;
    loop_run_timers(loop);
    loop_run_hooks(loop);
    loop_arm_timer(loop);
    if (!list_is_empty(&loop->hooks))
        loop_wake(loop);
    loop__current = outer;
    /* Release: who reads the new number sees that the callbacks of this turn are over. */
    atomic_fetch_add_explicit(&loop->turns, 1, memory_order_release);
    obs_count(MET_LOOP_TURNS, 1);
}

uint64_t loop_turns(const struct loop *loop)
{
    return atomic_load_explicit(&loop->turns, memory_order_acquire);
}

bool loop_turn(struct loop *loop)
{
    struct loop *outer = loop__current;

    MS_ASSERT(loop_is_home(loop) && !loop->is_running);
    loop__current = loop;
    if (!loop->is_virtual)
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    else if (atomic_exchange(&loop->wake_pending, false))
        loop__deferred(loop);
    if (loop->is_virtual)
        loop__fds_turn(loop);
    loop__end_turn(loop);
    loop__current = outer;
    return !list_is_empty(&loop->hooks) || atomic_load(&loop->wake_pending) ||
           loop_wheel_next(&loop->wheel) <= loop_now_tick(loop);
}

void loop_advance(struct loop *loop, uint64_t ms)
{
    uint64_t until_ms = loop->virtual_now_ms + ms;

    MS_ASSERT(loop->is_virtual);
    for (;;) {
        uint64_t next = loop_wheel_next(&loop->wheel);
        if (next == LOOP_WHEEL_NEVER || next * LOOP_TICK_MS > until_ms)
            break;
        loop->virtual_now_ms = MS_MAX(loop->virtual_now_ms, next * LOOP_TICK_MS);
        loop_turn(loop);
    }
    loop->virtual_now_ms = until_ms;
    loop_turn(loop);
}

/* -- wake-up */

void loop_on_wake(struct loop *loop, loop_wake_fn *fn, void *owner)
{
    MS_ASSERT(loop_is_home(loop));
    MS_ASSERT(!loop->wake_fn || !fn);
    loop->wake_fn = fn;
    loop->wake_owner = owner;
}

void loop_wake(struct loop *loop)
{
    /* The exchange is a full barrier between the caller's push and libuv's look at its own flag. */
    if (!atomic_exchange(&loop->wake_pending, true) && !loop->is_virtual)
        uv_async_send(&loop->async);
}

void loop_nudge(struct loop *loop)
{
    loop_wake(loop);
}

void loop__work_done(struct loop_work *work)
{
    struct loop *loop = work->home;

    pthread_mutex_lock(&loop->done_mutex);
    list_push_back(&loop->done, &work->node);
    pthread_mutex_unlock(&loop->done_mutex);
    loop_wake(loop);
    /* Last: from here on the loop may be destroyed. */
    atomic_fetch_sub(&loop->works_out, 1);
}

static void loop_run_done(struct loop *loop)
{
    struct list batch;

    list_init(&batch);
    pthread_mutex_lock(&loop->done_mutex);
    if (!list_is_empty(&loop->done)) {
        batch = loop->done;
        batch.next->prev = batch.prev->next = &batch;
        list_init(&loop->done);
    }
    pthread_mutex_unlock(&loop->done_mutex);
    struct list *node;
    while ((node = list_pop_front(&batch))) {
        struct loop_work *work = LIST_ENTRY(node, struct loop_work, node);
        work->done(work);
    }
}

void loop__deferred(struct loop *loop)
{
    loop_run_done(loop);
    if (loop->wake_fn)
        loop->wake_fn(loop->wake_owner);
}
