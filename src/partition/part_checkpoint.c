/*
 * part_checkpoint.c - verified copies of the index with their position.
 *
 * A checkpoint file is the LMDB copy followed by a trailer of 32 bytes: magic "MSCKPT01", u64 bytes of the
 * copy, XXH3-128 of the copy (lo, hi). LMDB does not look behind its last page, so the file can be opened as
 * it is. The trailer is what tells a good checkpoint from a damaged one later: LMDB itself does not survive
 * every damaged page.
 *
 * Made as checkpoints/tmp.mdb, walked once, then renamed. The two newest are kept (rule 4.4).
 */
#include "part_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRAILER_BYTES 32
#define TRAILER_MAGIC "MSCKPT01"
#define COPY_BYTES    ((size_t)1 << 20)
#define KEPT          2

static void checkpoint_path(const struct partition *p, const char *name, char out[PART_PATH_MAX])
{
    char rel[64];
    snprintf(rel, sizeof(rel), "checkpoints/%s", name);
    part__path(p, rel, out);
}

static int newest_first(const void *a, const void *b)
{
    uint64_t x = ((const struct part__checkpoint *)a)->position,
             y = ((const struct part__checkpoint *)b)->position;
    return x > y ? -1 : x < y;
}

static bool parse_name(const char *name, struct part__checkpoint *out)
{
    char *end;
    if (strlen(name) != 20 || strcmp(name + 16, ".mdb") != 0)
        return false;
    out->position = strtoull(name, &end, 16);
    snprintf(out->name, sizeof(out->name), "%s", name);
    return end == name + 16;
}

size_t part__checkpoint_list(const struct partition *p, struct part__checkpoint *out, size_t max)
{
    char path[PART_PATH_MAX];
    part__path(p, "checkpoints", path);
    DIR *dir = opendir(path);
    size_t n = 0;
    struct dirent *e;
    while (dir && n < max && (e = readdir(dir)))
        n += parse_name(e->d_name, &out[n]);
    if (dir)
        closedir(dir);
    qsort(out, n, sizeof(out[0]), newest_first);
    return n;
}

/* -- bytes and trailer ---------------------------------------------------------------------------- */

static enum ms_err write_all(int fd, const uint8_t *ptr, size_t len)
{
    while (len) {
        ssize_t n = write(fd, ptr, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ms_err_from_errno(errno);
        ptr += n;
        len -= (size_t)n;
    }
    return MS_OK;
}

/* Sum of the first `bytes` bytes of fd; with to >= 0 they are written there too. */
static enum ms_err sum_file(int fd, uint64_t bytes, int to, struct sum128 *out)
{
    struct sum128_state *sum = sum128_create();
    uint8_t *buf = ms_alloc(COPY_BYTES);
    enum ms_err err = MS_OK;
    uint64_t at = 0;
    while (at < bytes && !err) {
        ssize_t n = pread(fd, buf, (size_t)MS_MIN(bytes - at, COPY_BYTES), (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            err = n < 0 ? ms_err_from_errno(errno) : MS_EDAMAGED;
            break;
        }
        sum128_add(sum, slice_make(buf, (size_t)n));
        if (to >= 0)
            err = write_all(to, buf, (size_t)n);
        at += (uint64_t)n;
    }
    *out = sum128_get(sum);
    ms_free(buf);
    sum128_destroy(&sum);
    return err;
}

static enum ms_err read_trailer(int fd, uint64_t *bytes_out, struct sum128 *sum_out)
{
    uint8_t t[TRAILER_BYTES];
    struct stat st;
    if (fstat(fd, &st))
        return ms_err_from_errno(errno);
    if (st.st_size < TRAILER_BYTES || pread(fd, t, sizeof(t), st.st_size - TRAILER_BYTES) != TRAILER_BYTES)
        return MS_EDAMAGED;
    *bytes_out = ms_get_le64(t + 8);
    sum_out->lo = ms_get_le64(t + 16);
    sum_out->hi = ms_get_le64(t + 24);
    if (memcmp(t, TRAILER_MAGIC, 8) != 0 || *bytes_out != (uint64_t)st.st_size - TRAILER_BYTES)
        return MS_EDAMAGED;
    return MS_OK;
}

static enum ms_err add_trailer(const char *path, struct ms_errinfo *why)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat st;
    struct sum128 sum;
    if (fd < 0)
        return ms_fail_errno(why, errno, "%s", path);
    enum ms_err err =
        fstat(fd, &st) ? ms_err_from_errno(errno) : sum_file(fd, (uint64_t)st.st_size, -1, &sum);
    if (!err) {
        uint8_t t[TRAILER_BYTES];
        memcpy(t, TRAILER_MAGIC, 8);
        ms_put_le64(t + 8, (uint64_t)st.st_size);
        ms_put_le64(t + 16, sum.lo);
        ms_put_le64(t + 24, sum.hi);
        err = lseek(fd, 0, SEEK_END) < 0 ? MS_EIO : write_all(fd, t, sizeof(t));
    }
    if (!err && fsync(fd))
        err = ms_err_from_errno(errno);
    close(fd);
    return err ? ms_fail(why, err, "%s: trailer: %s", path, ms_err_text(err)) : MS_OK;
}

enum ms_err part__copy_checkpoint(const struct partition *p, const struct part__checkpoint *c, const char *to,
                                  struct ms_errinfo *why)
{
    char path[PART_PATH_MAX];
    checkpoint_path(p, c->name, path);
    int in = open(path, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return ms_fail_errno(why, errno, "%s", path);
    int out = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0) {
        close(in);
        return ms_fail_errno(why, errno, "%s", to);
    }
    uint64_t bytes;
    struct sum128 want, have;
    enum ms_err err = read_trailer(in, &bytes, &want);
    if (!err)
        err = sum_file(in, bytes, out, &have);
    if (!err && !sum128_eq(want, have))
        err = MS_EDAMAGED;
    if (!err && fsync(out))
        err = ms_err_from_errno(errno);
    close(in);
    close(out);
    return err ? ms_fail(why, err, "%s: %s", path, ms_err_text(err)) : MS_OK;
}

/* -- making --------------------------------------------------------------------------------------- */

static enum ms_err walk(struct db_txn *txn, unsigned dbi)
{
    struct db_cur *cur;
    struct slice key, value;
    uint64_t n = 0;
    MS_TRY(db_cur_open(txn, dbi, &cur));
    enum ms_err err = db_cur_seek(cur, SLICE_LIT(""), &key, &value);
    for (; !err; err = db_cur_next(cur, &key, &value))
        n++;
    db_cur_close(&cur);
    if (err != MS_ENOTFOUND)
        return err;
    return n == db_count(txn, dbi) ? MS_OK : MS_EDAMAGED;
}

/* Opens the copy as a rebuild would, and reads every row. */
static enum ms_err verify(const struct partition *p, const char *path, struct part__meta *meta,
                          struct ms_errinfo *why)
{
    struct db *db;
    struct db_txn *txn;
    MS_TRY(part__index_open(p, path, true, true, &db, why));
    enum ms_err err = part__meta_read(db, meta, why);
    if (!err && meta->fresh)
        err = ms_fail(why, MS_EDAMAGED, "%s: has no mark", path);
    if (!err && !(err = db_read_begin(db, &txn))) {
        for (unsigned i = 0; i < PART_DB_COUNT && !err; i++)
            err = walk(txn, i);
        db_read_end(&txn);
        if (err)
            ms_fail(why, err, "%s: rows cannot be read", path);
    }
    db_close(&db);
    return err;
}

static enum ms_err put_in_place(struct partition *p, const char *tmp, uint64_t position,
                                struct ms_errinfo *why)
{
    char path[PART_PATH_MAX], dir[PART_PATH_MAX], name[32];
    snprintf(name, sizeof(name), "%016llx.mdb", (unsigned long long)position);
    checkpoint_path(p, name, path);
    part__path(p, "checkpoints", dir);
    if (rename(tmp, path))
        return ms_fail_errno(why, errno, "%s", path);
    MS_TRY(part__sync_dir(dir, why));
    OBS_EVENT(OBS_PART_CHECKPOINT, 0, OBS_C("partition", p->conf.name), OBS_X("position", position));
    return MS_OK;
}

enum ms_err part__checkpoint_make(struct partition *p, struct ms_errinfo *why)
{
    char tmp[PART_PATH_MAX];
    struct part__meta meta;
    checkpoint_path(p, "tmp.mdb", tmp);
    pthread_mutex_lock(&p->keep.checkpoint_lock);
    unlink(tmp);
    enum ms_err err = db_copy(p->db, tmp, why);
    if (!err)
        err = verify(p, tmp, &meta, why);
    if (!err)
        err = add_trailer(tmp, why);
    if (!err)
        err = put_in_place(p, tmp, meta.applied.position, why);
    if (!err)
        err = part__checkpoint_prune(p, why);
    else
        unlink(tmp);
    pthread_mutex_unlock(&p->keep.checkpoint_lock);
    return err;
}

/* Removes all but the two newest; notes where those are. */
enum ms_err part__checkpoint_prune(struct partition *p, struct ms_errinfo *why)
{
    struct part__checkpoint list[PART_CHECKPOINTS_MAX];
    char path[PART_PATH_MAX];
    size_t n = part__checkpoint_list(p, list, PART_CHECKPOINTS_MAX);
    for (size_t i = KEPT; i < n; i++) {
        checkpoint_path(p, list[i].name, path);
        if (unlink(path))
            return ms_fail_errno(why, errno, "%s", path);
    }
    atomic_store(&p->keep.newest, n > 0 ? list[0].position : 0);
    atomic_store(&p->keep.older, n > 1 ? list[1].position : 0);
    return MS_OK;
}

enum ms_err part__checkpoint_meta(const struct partition *p, const struct part__checkpoint *c,
                                  struct part__meta *out, struct ms_errinfo *why)
{
    char path[PART_PATH_MAX];
    uint64_t bytes;
    struct sum128 sum;
    struct db *db;
    checkpoint_path(p, c->name, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum ms_err err = fd < 0 ? ms_err_from_errno(errno) : read_trailer(fd, &bytes, &sum);
    if (fd >= 0)
        close(fd);
    if (err)
        return ms_fail(why, err, "%s: %s", path, ms_err_text(err));
    MS_TRY(part__index_open(p, path, true, true, &db, why));
    err = part__meta_read(db, out, why);
    db_close(&db);
    if (!err && (out->fresh || out->applied.position != c->position))
        err = ms_fail(why, MS_EDAMAGED, "%s: its mark is of another position", path);
    return err;
}
