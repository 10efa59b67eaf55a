/*
 * obs_log.c - emitting, and the log thread.
 *
 * Wake-up: before it waits, the log thread sets `asleep` and looks at all rings once more; a writer stores
 * its head and then reads `asleep`. Both pairs are sequentially consistent, so one of the two sees the other.
 * Only the writer that turns `asleep` off writes to the eventfd: a burst costs one system call.
 *
 * End: obs_stop turns `running` off and waits until no slot is `emitting`; a writer sets `emitting` before it
 * looks at `running`. So behind that wait no line goes into a ring any more, and what is in the rings is
 * written before the thread ends. The eventfd is closed after that for the same reason.
 *
 * The log thread alone may wait for the descriptor. If it takes nothing for LOG_STALL_MS the batch is given
 * up and its lines are counted as dropped: a dead reader of standard error must not keep the server from
 * stopping.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ms/base/clock.h"
#include "obs_priv.h"

#define LOG_STALL_MS 2000
#define LOG_LOST_MS  1000 /* longest time until lost lines are told, when nothing else wakes the thread */

static struct {
    _Atomic int running;
    _Atomic int stopping;
    _Atomic int asleep;
    _Atomic int level;
    _Atomic int history_on;
    _Atomic int format;
    int fd;
    int wake_fd;
    pthread_t thread;
    /* Log thread: */
    size_t turn;              /* slot the next batch begins with */
    bool torn;                /* a batch was given up in the middle of a line */
    bool stalled;             /* the descriptor took nothing for LOG_STALL_MS */
    struct obs_batch batch;   /* to the descriptor */
    struct obs_batch history; /* to the history */
} lg = {.level = OBS_INFO, .format = OBS_LOGFMT, .fd = -1, .wake_fd = -1};

static void log_wake(void)
{
    uint64_t one = 1;

    if (!atomic_load(&lg.asleep) || !atomic_exchange(&lg.asleep, 0))
        return;
    /* Non-blocking; when the count is full the thread is awake anyway. */
    if (write(lg.wake_fd, &one, sizeof(one)) < 0)
        MS_ASSERT(errno == EAGAIN || errno == EINTR);
}

/* -- emitting */

static void log_drop_one(struct obs_slot *slot)
{
    if (slot)
        atomic_fetch_add_explicit(&slot->dropped, 1, memory_order_relaxed);
    else
        obs__lost_add(1);
    obs_count(MET_LOG_DROPPED, 1);
}

/* One write, so that lines of several threads do not mix; an error has nobody to be told to. */
static void log_write_direct(const struct obs_line *line)
{
    if (write(STDERR_FILENO, line->bytes, line->len) < 0)
        obs_count(MET_LOG_DROPPED, 1);
}

/* Where a line of this level goes; what belongs to no session or message has no place in the history. */
static unsigned sinks_of(enum obs_level level)
{
    unsigned sinks = 0;

    if (level >= (enum obs_level)atomic_load_explicit(&lg.level, memory_order_relaxed))
        sinks |= OBS_SINK_LOG;
    if (level >= OBS_INFO && atomic_load_explicit(&lg.history_on, memory_order_relaxed))
        sinks |= OBS_SINK_HISTORY;
    return sinks;
}

void obs_event_emit(enum obs_event ev, uint64_t session, const struct obs_kv *kv, size_t count)
{
    enum obs_format format = (enum obs_format)atomic_load_explicit(&lg.format, memory_order_relaxed);
    unsigned sinks = sinks_of(obs_event_level(ev));
    struct obs_slot *slot;
    struct obs_line line;

    if (!sinks)
        return;
    obs__line_format(&line, format, clock_wall_us(), ev, session, kv, count);
    if (!line.traced)
        sinks &= ~(unsigned)OBS_SINK_HISTORY;
    if (!sinks)
        return;
    slot = obs__slot_get();
    if (!slot) {
        if (atomic_load(&lg.running))
            log_drop_one(NULL);
        else
            log_write_direct(&line);
        return;
    }
    atomic_store(&slot->emitting, 1);
    if (atomic_load(&lg.running)) {
        if (!obs__ring_push(&slot->ring, sinks, line.bytes, line.len))
            log_drop_one(slot);
        log_wake();
        atomic_store(&slot->emitting, 0);
    } else {
        atomic_store(&slot->emitting, 0);
        log_write_direct(&line);
    }
}

void obs_set_level(enum obs_level level, enum obs_format format)
{
    MS_ASSERT(level <= OBS_ERROR && format <= OBS_JSON);
    atomic_store_explicit(&lg.level, (int)level, memory_order_relaxed);
    atomic_store_explicit(&lg.format, (int)format, memory_order_relaxed);
}

/* -- the log thread */

static bool log_wait_writable(void)
{
    struct pollfd p = {.fd = lg.fd, .events = POLLOUT};
    int n;

    do {
        /* Once is enough: while the reader sleeps on, lines are dropped without more waiting. */
        n = poll(&p, 1, lg.stalled ? 0 : LOG_STALL_MS);
    } while (n < 0 && errno == EINTR);
    lg.stalled = n <= 0;
    return n > 0 && !(p.revents & (POLLERR | POLLNVAL));
}

_Static_assert(OBS_LINE_MAX <= PIPE_BUF, "a whole line fits one write");

/* As many whole lines as fit PIPE_BUF bytes: so much a descriptor that polls writable takes without blocking,
 * also when it is not in non-blocking mode, and a pipe takes it in one piece, so that lines of other writers
 * do not come between.
 */
static size_t log_write_len(const uint8_t *ptr, size_t len)
{
    const uint8_t *last = len > PIPE_BUF ? memrchr(ptr, '\n', PIPE_BUF) : NULL;

    return last ? (size_t)(last - ptr) + 1 : MS_MIN(len, (size_t)PIPE_BUF);
}

/* Gives the bytes written. */
static size_t log_write_all(const uint8_t *ptr, size_t len)
{
    size_t done = 0;

    while (done < len && log_wait_writable()) {
        ssize_t n = write(lg.fd, ptr + done, log_write_len(ptr + done, len - done));

        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || (errno != EINTR && errno != EAGAIN))
            break;
    }
    return done;
}

/* Puts what comes before the lines into the batch: the end of a line that was torn, and the number of lines
 * lost. */
static size_t log_batch_begin(uint64_t lost)
{
    struct obs_kv kv = OBS_U("lines", lost);
    struct obs_line line;
    size_t used = 0;

    if (lg.torn)
        lg.batch.bytes[used++] = '\n';
    if (lost) {
        obs__line_format(&line, (enum obs_format)atomic_load_explicit(&lg.format, memory_order_relaxed),
                         clock_wall_us(), OBS_LOG_DROPPED, 0, &kv, 1);
        memcpy(lg.batch.bytes + used, line.bytes, line.len);
        used += line.len;
    }
    return used;
}

/* After a batch of which `done` bytes of `used` went out. Every line ends with its only newline. */
static void log_batch_failed(size_t begin, size_t done, size_t used, uint64_t lost)
{
    uint64_t lines = 0;

    for (size_t i = MS_MAX(begin, done); i < used; i++)
        lines += lg.batch.bytes[i] == '\n';
    obs_count(MET_LOG_DROPPED, lines);
    obs__lost_add(lines + (done < begin ? lost : 0));
    if (done)
        lg.torn = lg.batch.bytes[done - 1] != '\n';
}

/* One batch from all rings; false when there was no line. */
static bool log_pass(void)
{
    uint64_t lost = obs__lost_take(), lines = 0;
    size_t begin = log_batch_begin(lost), done;
    size_t slots = obs__slot_count();
    bool ended = false;

    lg.batch.used = begin;
    lg.history.used = lg.history.lines = 0;
    for (size_t i = 0; i < slots; i++) {
        struct obs_slot *slot = obs__slot_at((i + lg.turn) % slots);
        int state = atomic_load_explicit(&slot->state, memory_order_acquire);

        if (state == OBS_SLOT_FREE)
            continue;
        lines += obs__ring_pop(&slot->ring, &lg.batch, &lg.history);
        ended |= state == OBS_SLOT_ENDED;
    }
    lg.turn++; /* a thread that fills every batch must not starve the others */
    if (ended)
        obs__slots_reclaim();
    if (lg.history.used)
        obs__history_write(lg.history.bytes, lg.history.used, lg.history.lines);
    if (lg.batch.used == 0)
        return lines > 0;
    done = log_write_all(lg.batch.bytes, lg.batch.used);
    if (done < lg.batch.used)
        log_batch_failed(begin, done, lg.batch.used, lost);
    else
        lg.torn = false;
    return lines > 0;
}

static bool log_has_lines(void)
{
    for (size_t i = 0; i < obs__slot_count(); i++) {
        struct obs_slot *slot = obs__slot_at(i);

        if (atomic_load_explicit(&slot->state, memory_order_acquire) != OBS_SLOT_FREE &&
            !obs__ring_is_empty(&slot->ring))
            return true;
    }
    return false;
}

static void log_sleep(void)
{
    struct pollfd p = {.fd = lg.wake_fd, .events = POLLIN};
    uint64_t count;

    atomic_store(&lg.asleep, 1);
    if (!log_has_lines() && !atomic_load(&lg.stopping))
        (void)poll(&p, 1, LOG_LOST_MS);
    atomic_store(&lg.asleep, 0);
    if (read(lg.wake_fd, &count, sizeof(count)) < 0)
        MS_ASSERT(errno == EAGAIN || errno == EINTR);
}

static void *log_main(void *arg)
{
    (void)pthread_setname_np(pthread_self(), "log");
    (void)arg;
    for (;;) {
        bool last = atomic_load(&lg.stopping);

        while (log_pass())
            ;
        if (last)
            return NULL;
        log_sleep();
    }
}

/* -- start and stop */

enum ms_err obs_start(int fd, enum obs_level level, enum obs_format format)
{
    sigset_t all, before;
    int err;

    if (atomic_load(&lg.running))
        return MS_EEXIST;
    lg.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (lg.wake_fd < 0)
        return ms_err_from_errno(errno);
    lg.fd = fd;
    lg.torn = lg.stalled = false;
    obs_set_level(level, format);
    atomic_store(&lg.history_on, obs__history_is_open());
    atomic_store(&lg.stopping, 0);
    atomic_store(&lg.asleep, 0);
    /* Signals are for the control thread. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&lg.thread, NULL, log_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err) {
        close(lg.wake_fd);
        lg.wake_fd = -1;
        return ms_err_from_errno(err);
    }
    atomic_store(&lg.running, 1);
    return MS_OK;
}

void obs_stop(void)
{
    if (!atomic_exchange(&lg.running, 0))
        return;
    for (size_t i = 0; i < obs__slot_count(); i++)
        while (atomic_load(&obs__slot_at(i)->emitting))
            sched_yield();
    atomic_store(&lg.stopping, 1);
    log_wake();
    MS_ASSERT(pthread_join(lg.thread, NULL) == 0);
    close(lg.wake_fd);
    lg.wake_fd = -1;
    atomic_store(&lg.history_on, 0);
    obs__history_close();
    obs__slots_reclaim();
}
