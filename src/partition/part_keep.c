/*
 * part_keep.c - a partition's own upkeep: checkpoints when due, the ballast, segments that may go.
 *
 * One thread per partition, poked by partition_housekeep, so that the control loop never waits for a copy or
 * a flush.
 *
 * The ballast is a file of real blocks beside the index (rule 1.6). When a commit finds no space it is cut to
 * nothing, the commit goes through, and it is made again when there is room.
 */
#include "part_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "ms/base/clock.h"

/* -- space ---------------------------------------------------------------------------------------- */

static uint64_t free_bytes(const struct partition *p)
{
    struct statvfs st;
    return statvfs(p->conf.dir, &st) ? UINT64_MAX : (uint64_t)st.f_bavail * st.f_frsize;
}

/* Any thread: the applier in need, or the keeper. */
void part__ballast_release(struct partition *p)
{
    char path[PART_PATH_MAX];
    part__path(p, "ballast", path);
    if (truncate(path, 0) && errno != ENOENT)
        return;
    if (!atomic_exchange(&p->ballast_gone, true))
        OBS_EVENT(OBS_PART_BALLAST, 0, OBS_C("partition", p->conf.name));
}

static bool ballast_is_there(const char *path, uint64_t bytes)
{
    struct stat st;
    return stat(path, &st) == 0 && (uint64_t)st.st_size == bytes && (uint64_t)st.st_blocks * 512 >= bytes;
}

static void ballast_make(struct partition *p)
{
    char path[PART_PATH_MAX];
    part__path(p, "ballast", path);
    if (ballast_is_there(path, p->conf.ballast_bytes)) {
        atomic_store(&p->ballast_gone, false);
        return;
    }
    if (p->conf.ballast_bytes == 0 || free_bytes(p) < p->conf.ballast_bytes * 2 + p->conf.min_free_bytes)
        return; /* making it must not be what fills the disk */
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    int rc = posix_fallocate(fd, 0, (off_t)p->conf.ballast_bytes);
    if (rc)
        (void)!ftruncate(fd, 0);
    close(fd);
    atomic_store(&p->ballast_gone, rc != 0);
    if (!rc)
        OBS_EVENT(OBS_PART_BALLAST_MADE, 0, OBS_C("partition", p->conf.name));
}

void part__keep_space(struct partition *p)
{
    uint64_t left = free_bytes(p);
    bool low = left < p->conf.min_free_bytes;
    if (low != atomic_exchange(&p->low_space, low))
        OBS_EVENT(OBS_PART_SPACE, 0, OBS_C("partition", p->conf.name), OBS_U("free", left),
                  OBS_C("what", low ? "low: only what frees space is taken" : "enough again"));
    if (!low)
        ballast_make(p);
}

/* -- the thread ----------------------------------------------------------------------------------- */

bool part__checkpoint_is_due(const struct partition *p)
{
    uint64_t applied = atomic_load(&p->applied), newest = atomic_load(&p->keep.newest);
    if (applied <= newest)
        return false;
    if (p->conf.checkpoint_bytes && applied - newest >= p->conf.checkpoint_bytes)
        return true;
    return p->conf.checkpoint_ms && clock_mono_ms() - p->keep.checkpoint_ms >= p->conf.checkpoint_ms;
}

static void trouble(const struct partition *p, const struct ms_errinfo *why)
{
    OBS_EVENT(OBS_PART_TROUBLE, 0, OBS_C("partition", p->conf.name), OBS_C("what", why->text));
}

static void keep_once(struct partition *p)
{
    struct ms_errinfo why = {0};
    unsigned removed = 0;
    part__keep_space(p);
    if (part__checkpoint_is_due(p)) {
        p->keep.checkpoint_ms = clock_mono_ms();
        if (part__checkpoint_make(p, &why))
            trouble(p, &why);
    }
    if (part__segments_remove(p, &removed, &why))
        trouble(p, &why);
    if (removed)
        OBS_EVENT(OBS_PART_REMOVED, 0, OBS_C("partition", p->conf.name), OBS_U("segments", removed));
}

static void *keep_main(void *arg)
{
    struct partition *p = arg;
    struct part__keep *k = &p->keep;
    pthread_mutex_lock(&k->lock);
    for (;;) {
        while (!k->poked && !atomic_load(&k->stopping))
            pthread_cond_wait(&k->wake, &k->lock);
        if (atomic_load(&k->stopping))
            break;
        k->poked = false;
        pthread_mutex_unlock(&k->lock);
        if (part__state(p) == PART_ST_SERVING)
            keep_once(p);
        pthread_mutex_lock(&k->lock);
    }
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

void part__keep_init(struct part__keep *k)
{
    pthread_mutex_init(&k->lock, NULL);
    pthread_mutex_init(&k->checkpoint_lock, NULL);
    pthread_cond_init(&k->wake, NULL);
}

void part__keep_fini(struct part__keep *k)
{
    pthread_mutex_destroy(&k->lock);
    pthread_mutex_destroy(&k->checkpoint_lock);
    pthread_cond_destroy(&k->wake);
}

enum ms_err part__keep_start(struct partition *p, struct ms_errinfo *why)
{
    struct part__keep *k = &p->keep;
    k->checkpoint_ms = clock_mono_ms();
    enum ms_err err = part__thread_start(&k->thread, keep_main, p, "keeper");
    if (err)
        return ms_fail(why, err, "keeper thread: %s", ms_err_text(err));
    k->started = true;
    return MS_OK;
}

static void tell(struct part__keep *k, bool stop)
{
    pthread_mutex_lock(&k->lock);
    k->poked = true;
    if (stop)
        atomic_store(&k->stopping, true);
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->lock);
}

void part__keep_stop(struct partition *p)
{
    if (!p->keep.started)
        return;
    tell(&p->keep, true);
    pthread_join(p->keep.thread, NULL);
    p->keep.started = false;
}

void partition_housekeep(struct partition *p)
{
    if (p->keep.started)
        tell(&p->keep, false);
}

enum ms_err partition_checkpoint_now(struct partition *p, struct ms_errinfo *why_out)
{
    enum part__state st = part__state(p);
    if (st < PART_ST_RECOVERED || st == PART_ST_FAILED)
        return ms_fail(why_out, MS_EOFFLINE, "%s: there is no good index", p->conf.name);
    return part__checkpoint_make(p, why_out);
}
