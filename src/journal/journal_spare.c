/*
 * journal_spare.c - segments made ahead: numbers, the pool, taking one, and cutting sealed ones.
 *
 * Numbers ascend in the order of use: the spares that are ready, then the one being zeroed, then new ones.
 * The last spare is the reserve (storage rule 1.6): real blocks that only records with JOURNAL_F_RELIEF may
 * open. When the keeper is behind, the taker finishes a file itself by reserving its blocks.
 */
#include "journal_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "ms/obs.h"

void journal__pool_init(struct journal_pool *p)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, &attr);
    pthread_cond_init(&p->idle, &attr);
    pthread_condattr_destroy(&attr);
    p->partial.fd = -1;
}

enum ms_err journal__spare_create(struct journal *j, uint64_t bytes, struct journal_spare *out,
                                  struct ms_errinfo *why_out)
{
    char name[JOURNAL_NAME_MAX];
    uint64_t number = j->pool.number_max + 1;
    journal__name(name, number);
    int fd = journal__io->create(j->dirfd, name);
    if (fd < 0)
        return ms_fail_errno(why_out, errno, "%s/%s", j->dir, name);
    j->pool.number_max = number;
    *out = (struct journal_spare){.fd = fd, .number = number, .bytes = bytes};
    if (j->conf.flush && journal__io->fsync(j->dirfd) != 0) {
        int err = errno;
        journal__spare_discard(j, out);
        return ms_fail_errno(why_out, err, "%s", j->dir);
    }
    return MS_OK;
}

void journal__spare_discard(struct journal *j, struct journal_spare *spare)
{
    char name[JOURNAL_NAME_MAX];
    if (spare->fd < 0)
        return;
    close(spare->fd);
    spare->fd = -1;
    journal__name(name, spare->number);
    journal__io->unlink(j->dirfd, name);
}

/* All blocks reserved, though not written. Where the file system cannot reserve, they are written. */
enum ms_err journal__spare_extend(struct journal *j, struct journal_spare *spare, struct ms_errinfo *why_out)
{
    if (journal__io->fallocate(spare->fd, 0, 0, (off_t)spare->bytes) == 0) {
        spare->extended = spare->zeroed < spare->bytes;
        return MS_OK;
    }
    int err = errno;
    while (err == EOPNOTSUPP && spare->zeroed < spare->bytes) {
        struct iovec iov = {(void *)(uintptr_t)journal__zeros, sizeof(journal__zeros)};
        int write_err = journal__write_all(spare->fd, &iov, 1, spare->zeroed);
        if (write_err != 0)
            return ms_fail_errno(why_out, write_err, "%s: no room for a segment", j->dir);
        spare->zeroed += sizeof(journal__zeros);
    }
    return err == EOPNOTSUPP ? MS_OK : ms_fail_errno(why_out, err, "%s: no room for a segment", j->dir);
}

/* pool.lock is held. The file being zeroed, or a new one, is finished here and now. */
static enum ms_err extend_one(struct journal *j, struct ms_errinfo *why_out)
{
    struct journal_pool *p = &j->pool;
    while (p->syncing)
        pthread_cond_wait(&p->idle, &p->lock);
    if (p->partial.fd < 0)
        MS_TRY(journal__spare_create(j, j->conf.segment_bytes, &p->partial, why_out));
    MS_TRY(journal__spare_extend(j, &p->partial, why_out));
    unsigned count = atomic_load(&p->ready_count);
    p->ready[count] = p->partial;
    p->partial = (struct journal_spare){.fd = -1};
    atomic_store(&p->ready_count, count + 1);
    atomic_fetch_add_explicit(&j->counts.extended, 1, memory_order_relaxed);
    obs_count(MET_JOURNAL_EXTENDED, 1);
    return MS_OK;
}

enum ms_err journal__spare_take(struct journal *j, bool relief, struct journal_spare *out, bool *reserve_out,
                                struct ms_errinfo *why_out)
{
    struct journal_pool *p = &j->pool;
    enum ms_err err = MS_OK;
    pthread_mutex_lock(&p->lock);
    while (err == MS_OK && atomic_load(&p->ready_count) < 2)
        err = extend_one(j, why_out);
    unsigned count = atomic_load(&p->ready_count);
    if (count >= (relief ? 1u : 2u)) {
        err = MS_OK;
        *out = p->ready[0];
        *reserve_out = count == 1;
        memmove(p->ready, p->ready + 1, (count - 1) * sizeof(p->ready[0]));
        atomic_store(&p->ready_count, count - 1);
    }
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    return err;
}

void journal__cut_now(int fd, uint64_t bytes)
{
    /* Only zeros go; left behind they cost room and nothing else. */
    if (journal__io->ftruncate(fd, (off_t)bytes) != 0)
        OBS_EVENT(OBS_JOURNAL_CUT_FAILED, 0, OBS_C("error", strerror(errno)));
    close(fd);
}

void journal__cut_later(struct journal *j, int fd, uint64_t bytes)
{
    struct journal_pool *p = &j->pool;
    bool queued = false;
    pthread_mutex_lock(&p->lock);
    if (p->running && p->cut_count < JOURNAL_CUTS_MAX) {
        p->cuts[p->cut_count++] = (struct journal_cut){fd, bytes};
        queued = true;
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->lock);
    if (!queued)
        journal__cut_now(fd, bytes);
}

void journal__pool_fini(struct journal *j)
{
    struct journal_pool *p = &j->pool;
    for (unsigned i = 0; i < atomic_load(&p->ready_count); i++)
        journal__spare_discard(j, &p->ready[i]);
    journal__spare_discard(j, &p->partial);
    pthread_cond_destroy(&p->idle);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
}
