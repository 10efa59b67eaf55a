/*
 * journal_keeper.c - the thread that writes zeros into the segments to come.
 *
 * Only blocks that were written once make fdatasync of the log a plain flush of data; reserved ones would be
 * converted, with a commit of the file system's own journal, under every batch. The zeros go out in pieces of
 * 256 KiB, flushed each MiB, with pauses while the lane has a spare besides the reserve: a flush of the lane
 * never waits behind a mountain of dirty pages. The pool's lock is held while a piece is written and dropped
 * for the flush (`syncing`), so the lane can take over a half-zeroed file between two pieces.
 */
#include "journal_priv.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "ms/obs.h"

#define PAUSE_MS 2
#define RETRY_MS 1000

/* pool.lock is held, dropped meanwhile. */
static void sleep_ms(struct journal_pool *p, unsigned ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    if (!p->stop)
        pthread_cond_timedwait(&p->work, &p->lock, &until);
}

static void run_cuts(struct journal_pool *p)
{
    while (p->cut_count > 0) {
        struct journal_cut cut = p->cuts[--p->cut_count];
        pthread_mutex_unlock(&p->lock);
        journal__cut_now(cut.fd, cut.bytes);
        pthread_mutex_lock(&p->lock);
    }
}

static void set_no_space(struct journal *j, bool no_space, int err)
{
    if (no_space && !j->pool.no_space)
        OBS_EVENT(OBS_JOURNAL_NO_SPACE, 0, OBS_C("dir", j->dir), OBS_C("error", strerror(err)),
                  OBS_U("ready", atomic_load(&j->pool.ready_count)));
    j->pool.no_space = no_space;
}

static int write_piece(struct journal_spare *spare)
{
    struct iovec iov[JOURNAL_PIECE_BYTES / sizeof(journal__zeros)];
    uint64_t left = spare->bytes - spare->zeroed;
    unsigned count = 0;
    uint64_t bytes = 0;
    while (count < MS_ARRAY_LEN(iov) && bytes < left) {
        iov[count++] = (struct iovec){(void *)(uintptr_t)journal__zeros, sizeof(journal__zeros)};
        bytes += sizeof(journal__zeros);
    }
    int err = journal__write_all(spare->fd, iov, count, spare->zeroed);
    if (err == 0)
        spare->zeroed += bytes;
    return err;
}

/* The file cannot be taken away while it is flushed. */
static int flush_partial(struct journal *j, bool done)
{
    struct journal_pool *p = &j->pool;
    int fd = p->partial.fd;
    if (!j->conf.flush)
        return 0;
    p->syncing = true;
    pthread_mutex_unlock(&p->lock);
    int err = (done ? journal__io->fsync(fd) : journal__io->fdatasync(fd)) != 0 ? errno : 0;
    pthread_mutex_lock(&p->lock);
    p->syncing = false;
    pthread_cond_broadcast(&p->idle);
    return err;
}

/* One piece of the file being zeroed. */
static int step(struct journal *j)
{
    struct journal_pool *p = &j->pool;
    if (p->partial.fd < 0) {
        enum ms_err err = journal__spare_create(j, j->conf.segment_bytes, &p->partial, NULL);
        if (err != MS_OK)
            return err == MS_ENOSPC ? ENOSPC : EIO;
    }
    int err = write_piece(&p->partial);
    if (err != 0)
        return err;
    bool done = p->partial.zeroed >= p->partial.bytes;
    if (done || p->partial.zeroed % JOURNAL_SYNC_BYTES == 0)
        err = flush_partial(j, done);
    if (err != 0) { /* what a failed flush left on the disk is not known (fsync reports once) */
        journal__spare_discard(j, &p->partial);
        return err;
    }
    if (done) {
        unsigned count = atomic_load(&p->ready_count);
        p->ready[count] = p->partial;
        p->partial = (struct journal_spare){.fd = -1};
        atomic_store(&p->ready_count, count + 1);
    }
    return 0;
}

static void *keeper_main(void *arg)
{
    struct journal *j = arg;
    struct journal_pool *p = &j->pool;
    pthread_setname_np(pthread_self(), "journal-keeper");
    pthread_mutex_lock(&p->lock);
    while (!p->stop) {
        run_cuts(p);
        unsigned ready = atomic_load(&p->ready_count);
        if (ready > j->conf.prepared) { /* the number ahead, and the reserve */
            if (p->cut_count == 0 && !p->stop)
                pthread_cond_wait(&p->work, &p->lock);
            continue;
        }
        int err = step(j);
        set_no_space(j, err != 0, err);
        if (err != 0)
            sleep_ms(p, RETRY_MS);
        else if (ready > 1) /* the lane can go on for a whole segment */
            sleep_ms(p, PAUSE_MS);
    }
    run_cuts(p);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

enum ms_err journal__keeper_start(struct journal *j, struct ms_errinfo *why_out)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    j->pool.stop = false;
    int err = pthread_create(&j->pool.thread, NULL, keeper_main, j);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err != 0)
        return ms_fail_errno(why_out, err, "thread");
    pthread_mutex_lock(&j->pool.lock);
    j->pool.running = true;
    pthread_mutex_unlock(&j->pool.lock);
    return MS_OK;
}

void journal__keeper_stop(struct journal *j)
{
    struct journal_pool *p = &j->pool;
    pthread_mutex_lock(&p->lock);
    bool running = p->running;
    p->running = false;
    p->stop = true;
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    if (running)
        pthread_join(p->thread, NULL);
}
