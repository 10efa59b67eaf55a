/*
 * loop.h - one event loop per thread: timers, end-of-turn hooks, wake-up, and the work threads.
 * Layer 2 (loop).   Uses: base, obs.   Owns libuv together with net.
 *
 * Typical use: app makes one control loop on the main thread and N worker loops with loop_start (a thread each);
 * modules hang timers and hooks on the loop they were given and never see libuv.
 *
 * Threads:  everything but loop_wake, loop_stop and loop_work_pool_* runs on the loop's own thread; asserted.
 * Blocking: nothing that runs on a loop may block; what must goes to loop_work.
 * Time:     loop_now_ms is read once per turn. A virtual loop (tests) has no libuv clock: time moves by
 *           loop_advance only, so sessions and schedulers are tested with fake time.
 */
#ifndef MS_LOOP_H
#define MS_LOOP_H

#include "ms/base/err.h"
#include "ms/base/list.h"

#define LOOP_WORKERS_MAX     64 /* worker loops; more cores than this are left to the work threads */
#define LOOP_WORK_QUEUE_MAX  65536

struct loop;
struct uv_loop_s;

/* index: 0 = control, 1.. = workers; also the loop's number in ids and metrics. name is copied ("control", "loop1"). */
struct loop *loop_create(unsigned index, const char *name);
struct loop *loop_create_virtual(unsigned index, const char *name, uint64_t now_ms);
void loop_destroy(struct loop **loop); /* not running; all handles closed */

/* Runs on the calling thread until loop_stop. */
void loop_run(struct loop *loop);
/* Starts a thread (all signals blocked) that runs the loop; loop_join waits for its end. */
MS_MUST_USE enum ms_err loop_start(struct loop *loop, struct ms_errinfo *why_out);
void loop_join(struct loop *loop);
/* Any thread. The loop ends after its current turn. */
void loop_stop(struct loop *loop);
/* One turn without waiting (tests; virtual loops: timers that are due, deferred calls, hooks). true if work remains. */
bool loop_turn(struct loop *loop);
void loop_advance(struct loop *loop, uint64_t ms); /* virtual only: moves time, running due timers in order */

unsigned loop_index(const struct loop *loop);
const char *loop_name(const struct loop *loop);
uint64_t loop_now_ms(const struct loop *loop);
bool loop_is_home(const struct loop *loop); /* called on the loop's thread (a loop not yet started: any thread) */
struct loop *loop_current(void);            /* NULL off loops */
struct uv_loop_s *loop__uv(struct loop *loop); /* for net only; NULL on a virtual loop */

/* -- wake-up: the only call other threads may make. n calls may give one callback; the callback runs on the loop. */
typedef void loop_wake_fn(void *owner);
void loop_on_wake(struct loop *loop, loop_wake_fn *fn, void *owner); /* set once, before loop_start (bus does) */
void loop_wake(struct loop *loop);

/* -- timers: a hierarchical wheel per loop, LOOP_TICK_MS coarse; start/stop O(1); an idle wheel wakes nobody. */
#define LOOP_TICK_MS 4
struct loop_timer;
typedef void loop_timer_fn(struct loop_timer *timer);
struct loop_timer { /* embed; zero-initialised = stopped; fields private but fn */
    struct list node;
    uint64_t due_tick;
    loop_timer_fn *fn;
};
/* One shot; restarts if running. Fires never before ms, at most one tick plus a turn late. */
void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t ms, loop_timer_fn *fn);
void loop_timer_stop(struct loop *loop, struct loop_timer *timer);
bool loop_timer_is_running(const struct loop_timer *timer);

/* -- end-of-turn hooks: flush what was collected in this turn. Armed once per turn, run in order of arming after all
 * I/O callbacks, before the loop waits again. A hook may arm itself or others again: they run in the same phase, at
 * most LOOP_HOOK_ROUNDS_MAX rounds, the rest next turn. */
#define LOOP_HOOK_ROUNDS_MAX 4
struct loop_hook;
typedef void loop_hook_fn(struct loop_hook *hook);
struct loop_hook { /* embed; zero-initialised = not armed */
    struct list node;
    loop_hook_fn *fn;
};
void loop_hook_arm(struct loop *loop, struct loop_hook *hook, loop_hook_fn *fn);
void loop_hook_disarm(struct loop *loop, struct loop_hook *hook);

/* Number of completed turns; any thread (relaxed). Rule 3.2 of the storage design waits for every loop to pass one. */
uint64_t loop_turns(const struct loop *loop);
/* Asks the loop to complete a turn soon even if idle; any thread. */
void loop_nudge(struct loop *loop);

/* -- slots: what a lower-layer module keeps once per loop (buffers, pools). destroy runs in loop_destroy. */
enum loop_slot { LOOP_SLOT_NET, LOOP_SLOT_COUNT };
typedef void loop_slot_fn(void *value);
void loop_slot_set(struct loop *loop, enum loop_slot slot, void *value, loop_slot_fn *destroy);
void *loop_slot_get(const struct loop *loop, enum loop_slot slot); /* NULL when never set */

/* -- work threads: a small pool for what must block (password hashes, cold reads). */
struct loop_work;
typedef void loop_work_fn(struct loop_work *work); /* on a work thread; touches only the work's own data */
typedef void loop_done_fn(struct loop_work *work); /* on the loop that posted it; may free or reuse the work */
struct loop_work { /* embed; owned by the pool between post and done */
    struct list node;
    loop_work_fn *work;
    loop_done_fn *done;
    struct loop *home;
};
struct loop_pool;
/* name for metrics and thread names; threads >= 1; queue_max waiting items. */
struct loop_pool *loop_pool_create(const char *name, unsigned threads, unsigned queue_max);
/* MS_EFULL: nothing changed. Posted on a loop thread. On a virtual loop done runs in a later loop_turn. */
MS_MUST_USE enum ms_err loop_pool_post(struct loop_pool *pool, struct loop *home, struct loop_work *work);
/* Finishes what is queued (done callbacks of stopped loops are not run), joins. Before loop_destroy of any home. */
void loop_pool_destroy(struct loop_pool **pool);

/* -- watching a folder: fn runs on the loop for each name in it that was made, renamed, changed or removed (NULL: not known
 * which). A hint: what happens while nobody watches, or too fast, is not told, so a watcher also looks by itself.
 * MS_EUNSUPPORTED on a virtual loop; MS_ENOTFOUND, MS_EDENIED, MS_ENOSPC (too many watches) ... */
struct loop_watch;
typedef void loop_watch_fn(void *owner, const char *name);
MS_MUST_USE enum ms_err loop_watch_open(struct loop *loop, const char *folder, loop_watch_fn *fn, void *owner,
                                        struct loop_watch **out, struct ms_errinfo *why_out);
void loop_watch_close(struct loop_watch **watch); /* on the loop, or when it has ended */

/* -- file descriptors of other modules: fn runs on the loop in each turn in which fd can be read or written as wanted, or is
 * broken. fd is borrowed and closed by its owner, after loop_fd_close. A virtual loop looks once a turn. */
#define LOOP_FD_READ  1u
#define LOOP_FD_WRITE 2u
struct loop_fd;
typedef void loop_fd_fn(void *owner, unsigned ready);
MS_MUST_USE enum ms_err loop_fd_open(struct loop *loop, int fd, unsigned want, loop_fd_fn *fn, void *owner,
                                     struct loop_fd **out);
void loop_fd_want(struct loop_fd *fd, unsigned want); /* 0: nothing for now */
void loop_fd_close(struct loop_fd **fd);              /* NULL inside is fine; also inside fn */

/* Number of worker loops for `server.loops: auto`: usable cores by affinity, at most LOOP_WORKERS_MAX. */
unsigned loop_count_auto(void);

#endif
