/*
 * journal_segment.c - the table of segments, counted descriptors for readers, removal.
 *
 * The table holds one reference of each segment; readers hold more. References are only taken under seg_lock,
 * so a segment whose count is one is read by nobody and its descriptor may be closed to make room for
 * another.
 */
#include "journal_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ms/obs.h"

struct journal_seg *journal__seg_create(const struct journal_head *head, uint64_t end)
{
    struct journal_seg *seg = ms_new(struct journal_seg);
    atomic_init(&seg->refs, 1);
    atomic_init(&seg->end, end);
    seg->fd = -1;
    seg->head = *head;
    return seg;
}

void journal__seg_append(struct journal *j, struct journal_seg *seg)
{
    pthread_mutex_lock(&j->seg_lock);
    if (j->seg_count == j->seg_cap) {
        j->seg_cap = j->seg_cap ? j->seg_cap * 2 : 64;
        j->segs = ms_realloc_array(j->segs, j->seg_cap, sizeof(struct journal_seg *));
    }
    j->segs[j->seg_count++] = seg;
    pthread_mutex_unlock(&j->seg_lock);
}

void journal_seg_unref(struct journal_seg **seg_ptr)
{
    struct journal_seg *seg = *seg_ptr;
    *seg_ptr = NULL;
    if (seg == NULL || atomic_fetch_sub(&seg->refs, 1) != 1)
        return;
    if (seg->fd >= 0)
        close(seg->fd);
    ms_free(seg);
}

/* seg_lock is held. */
static void close_one_idle(struct journal *j)
{
    for (size_t i = 0; i < j->seg_count; i++) {
        struct journal_seg *seg = j->segs[i];
        if (seg->fd >= 0 && atomic_load(&seg->refs) == 1) {
            close(seg->fd);
            seg->fd = -1;
            j->fds_open--;
            return;
        }
    }
}

/* seg_lock is held. */
static bool open_fd(struct journal *j, struct journal_seg *seg)
{
    char name[JOURNAL_NAME_MAX];
    if (seg->fd >= 0)
        return true;
    if (j->fds_open >= JOURNAL_FDS_MAX)
        close_one_idle(j);
    journal__name(name, seg->head.number);
    seg->fd = openat(j->dirfd, name, O_RDONLY | O_CLOEXEC);
    if (seg->fd < 0)
        return false;
    j->fds_open++;
    return true;
}

enum ms_err journal__seg_open(struct journal *j, struct journal_seg *seg, struct journal_src *src_out,
                              struct ms_errinfo *why_out)
{
    struct stat st;
    pthread_mutex_lock(&j->seg_lock);
    bool is_open = open_fd(j, seg);
    int err = errno;
    pthread_mutex_unlock(&j->seg_lock);
    if (!is_open || fstat(seg->fd, &st) != 0)
        return ms_fail_errno(why_out, is_open ? errno : err, "%s: segment %016llx", j->dir,
                             (unsigned long long)seg->head.number);
    *src_out = (struct journal_src){.fd = seg->fd, .bytes = (uint64_t)st.st_size};
    return MS_OK;
}

void journal__segs_fini(struct journal *j)
{
    for (size_t i = 0; i < j->seg_count; i++)
        journal_seg_unref(&j->segs[i]);
    ms_free(j->segs);
    j->segs = NULL;
    j->seg_count = 0;
}

struct journal_seg *journal_seg_ref(struct journal *j, uint64_t position)
{
    struct journal_seg *seg = NULL;
    pthread_mutex_lock(&j->seg_lock);
    size_t lo = 0;
    size_t hi = j->seg_count;
    while (lo < hi) { /* first segment that starts behind the position */
        size_t mid = lo + (hi - lo) / 2;
        if (j->segs[mid]->head.start <= position)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo > 0 && position < atomic_load(&j->segs[lo - 1]->end) && open_fd(j, j->segs[lo - 1])) {
        seg = j->segs[lo - 1];
        atomic_fetch_add(&seg->refs, 1);
    }
    pthread_mutex_unlock(&j->seg_lock);
    return seg;
}

bool journal_seg_holds(const struct journal_seg *seg, uint64_t position, size_t len)
{
    uint64_t end = atomic_load(&seg->end);
    return position >= seg->head.start && position <= end && len <= end - position;
}

enum ms_err journal_seg_read(struct journal_seg *seg, uint64_t position, void *into, size_t len, bool nowait)
{
    if (!journal_seg_holds(seg, position, len))
        return MS_EDAMAGED;
    uint64_t offset = JOURNAL_DATA_OFFSET + (position - seg->head.start);
    int flags = nowait ? RWF_NOWAIT : 0;
    size_t done = 0;
    while (done < len) {
        struct iovec iov = {(uint8_t *)into + done, len - done};
        ssize_t n = preadv2(seg->fd, &iov, 1, (off_t)(offset + done), flags);
        if (n > 0) {
            done += (size_t)n;
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && errno == EAGAIN && flags != 0) {
            return MS_EMORE;
        } else if (n < 0 && errno == EOPNOTSUPP && flags != 0) {
            flags = 0; /* a file system in memory: nothing to wait for */
        } else if (n == 0 && flags != 0) {
            return MS_EMORE; /* some file systems answer so for pages that are not there yet */
        } else {
            return MS_EDAMAGED; /* EIO, or the file is shorter than its records */
        }
    }
    return MS_OK;
}

enum ms_err journal_remove_before(struct journal *j, uint64_t position, unsigned *removed_out,
                                  struct ms_errinfo *why_out)
{
    char name[JOURNAL_NAME_MAX];
    enum ms_err err = MS_OK;
    unsigned removed = 0;
    while (err == MS_OK) {
        struct journal_seg *seg = NULL;
        pthread_mutex_lock(&j->seg_lock);
        if (j->seg_count > 1 && atomic_load(&j->segs[0]->end) <= position &&
            j->segs[1]->head.start <= position)
            seg = j->segs[0];
        if (seg != NULL) {
            journal__name(name, seg->head.number);
            if (journal__io->unlink(j->dirfd, name) != 0 && errno != ENOENT) {
                err = ms_fail_errno(why_out, errno, "%s/%s", j->dir, name);
                seg = NULL;
            } else {
                memmove(j->segs, j->segs + 1, (j->seg_count - 1) * sizeof(j->segs[0]));
                j->seg_count--;
                j->fds_open -= seg->fd >= 0;
                j->complete = false;
            }
        }
        pthread_mutex_unlock(&j->seg_lock);
        if (seg == NULL)
            break;
        journal_seg_unref(&seg);
        removed++;
    }
    if (removed > 0 && err == MS_OK && journal__io->fsync(j->dirfd) != 0)
        err = ms_fail_errno(why_out, errno, "%s", j->dir);
    *removed_out = removed;
    return err;
}

size_t journal_segments(struct journal *j, struct journal_seg_info *out, size_t max)
{
    char name[JOURNAL_NAME_MAX];
    pthread_mutex_lock(&j->seg_lock);
    size_t count = j->seg_count;
    for (size_t i = 0; i < count && i < max; i++) {
        const struct journal_seg *seg = j->segs[i];
        struct stat st = {0};
        journal__name(name, seg->head.number);
        if (fstatat(j->dirfd, name, &st, 0) != 0)
            st.st_size = 0;
        out[i] = (struct journal_seg_info){
            .number = seg->head.number,
            .epoch = seg->head.epoch,
            .start = seg->head.start,
            .end = atomic_load(&seg->end),
            .file_bytes = (uint64_t)st.st_size,
            .current = i + 1 == count,
        };
    }
    pthread_mutex_unlock(&j->seg_lock);
    return count;
}
