/*
 * db_copy.c - a complete copy while the server runs.
 *
 * The compacting copy refuses an environment with leaked pages (a process that died between two transactions
 * can leave some); then the plain copy, page by page, is as good and only larger.
 */
#include "db_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static enum ms_err sync_folder_of(const char *path, struct ms_errinfo *why)
{
    struct slice s = slice_cstr(path);
    ssize_t slash = slice_rfind_byte(s, '/');
    char *dir = slash < 0 ? ms_strdup(".") : slice_dup_cstr(slice_sub(s, 0, slash ? (size_t)slash : 1));
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum ms_err err = MS_OK;
    if (fd < 0 || fsync(fd))
        err = ms_fail_errno(why, errno, "%s", dir);
    if (fd >= 0)
        close(fd);
    ms_free(dir);
    return err;
}

static int copy_to(struct db *db, int fd)
{
    int rc = mdb_env_copyfd2(db->env, fd, MDB_CP_COMPACT);
    if (rc != MDB_INCOMPATIBLE)
        return rc;
    if (lseek(fd, 0, SEEK_SET) != 0 || ftruncate(fd, 0))
        return errno;
    return mdb_env_copyfd2(db->env, fd, 0);
}

enum ms_err db_copy(struct db *db, const char *path, struct ms_errinfo *why_out)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return ms_fail_errno(why_out, errno, "%s", path);
    enum ms_err err = MS_OK;
    atomic_fetch_add(&db->snapshots, 1); /* keeps the environment open meanwhile */
    if (atomic_load(&db->reopening)) {
        err = ms_fail(why_out, MS_EBUSY, "%s: is being opened again", db->path);
    } else {
        int rc = copy_to(db, fd);
        if (rc)
            err = db__fail(why_out, rc, db, "copy");
    }
    atomic_fetch_sub(&db->snapshots, 1);
    if (!err && fsync(fd))
        err = ms_fail_errno(why_out, errno, "%s: fsync", path);
    if (close(fd) && !err)
        err = ms_fail_errno(why_out, errno, "%s: close", path);
    if (!err)
        err = sync_folder_of(path, why_out);
    if (err)
        unlink(path);
    return err;
}
