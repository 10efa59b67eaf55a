/*
 * maildrop_out.c - writes one file of the maildrop: temporary name, flush, rename, flush.
 *
 * Who may put files into the folder may as a rule not open the folder itself for reading, so it cannot
 * be flushed by its own descriptor. The file is flushed again after the rename instead: the file systems
 * in use (ext4, xfs, btrfs) write the rename with the inode then, because it changed the inode too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ms/base/clock.h"
#include "ms/base/sum.h"
#include "ms/crypt.h"
#include "ms/maildrop.h"

#define OUT_BUFFER_BYTES ((size_t)256 << 10)
#define OUT_PATH_MAX     4096
#define TMP_NAME_BYTES   32

struct maildrop_out {
    int dir, file;
    char tmp[TMP_NAME_BYTES];
    char folder[OUT_PATH_MAX];
    struct str buffer;
    uint64_t written; /* flushed from buffer or not */
    uint32_t crc;
    bool failed;
};

/* Set before the file is made, emptied when it is gone: read by a signal handler. */
static char signal_path[OUT_PATH_MAX + TMP_NAME_BYTES];

void maildrop_out_on_signal(void)
{
    if (signal_path[0])
        unlink(signal_path);
}

static enum ms_err write_all(struct maildrop_out *o, struct ms_errinfo *why)
{
    size_t at = 0;
    while (at < o->buffer.len) {
        ssize_t n = write(o->file, o->buffer.ptr + at, o->buffer.len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            o->failed = true;
            return ms_fail_errno(why, errno, "cannot write %s/%s", o->folder, o->tmp);
        }
        at += (size_t)n;
    }
    str_reset(&o->buffer);
    return MS_OK;
}

enum ms_err maildrop_out_add(struct maildrop_out *o, struct slice bytes, struct ms_errinfo *why_out)
{
    o->crc = crc32c_add(o->crc, bytes.ptr, bytes.len);
    o->written += bytes.len;
    str_add_slice(&o->buffer, bytes);
    return o->buffer.len >= OUT_BUFFER_BYTES ? write_all(o, why_out) : MS_OK;
}

/* The server must be able to read it, others not: the group may only when it is the folder's. */
static void set_mode(struct maildrop_out *o)
{
    struct stat dir, file;
    bool shared = fstat(o->dir, &dir) == 0 && fstat(o->file, &file) == 0 && (dir.st_mode & S_ISGID) &&
                  dir.st_gid == file.st_gid;
    if (fchmod(o->file, shared ? 0640 : 0600) != 0)
        o->failed = true;
}

static enum ms_err make_tmp(struct maildrop_out *o, struct ms_errinfo *why)
{
    uint8_t random[8];
    crypt_random(random, sizeof random);
    snprintf(o->tmp, sizeof o->tmp, "tmp.%016llx", (unsigned long long)ms_get_be64(random));
    snprintf(signal_path, sizeof signal_path, "%s/%s", o->folder, o->tmp);
    o->file = openat(o->dir, o->tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (o->file < 0)
        return ms_fail_errno(why, errno, "cannot make a file in %s", o->folder);
    set_mode(o);
    return MS_OK;
}

static void out_free(struct maildrop_out *o)
{
    signal_path[0] = '\0';
    if (o->file >= 0)
        close(o->file);
    if (o->dir >= 0)
        close(o->dir);
    str_fini(&o->buffer);
    ms_free(o);
}

enum ms_err maildrop_out_open(const char *folder, const struct maildrop_mail *mail, struct maildrop_out **out,
                              struct ms_errinfo *why_out)
{
    struct str head;
    str_init(&head, 0);
    enum ms_err err = maildrop_head_emit(mail, &head);
    if (err) {
        str_fini(&head);
        return ms_fail(why_out, err, "the envelope is too large");
    }
    struct maildrop_out *o = ms_new(struct maildrop_out);
    o->file = -1;
    snprintf(o->folder, sizeof o->folder, "%s", folder);
    str_init(&o->buffer, 0);
    o->dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    err = o->dir < 0 ? ms_fail_errno(why_out, errno, "cannot open %s", folder) : make_tmp(o, why_out);
    if (!err)
        err = maildrop_out_add(o, str_slice(&head), why_out);
    str_fini(&head);
    if (err)
        maildrop_out_abort(&o);
    *out = o;
    return err;
}

void maildrop_out_abort(struct maildrop_out **op)
{
    struct maildrop_out *o = *op;
    *op = NULL;
    if (!o)
        return;
    if (o->file >= 0)
        unlinkat(o->dir, o->tmp, 0);
    out_free(o);
}

static enum ms_err flush_folder(struct maildrop_out *o, struct ms_errinfo *why)
{
    int dir = open(o->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int flushed = fsync(dir >= 0 ? dir : o->file);
    int cause = errno;
    if (dir >= 0)
        close(dir);
    return flushed == 0 ? MS_OK : ms_fail_errno(why, cause, "cannot flush %s", o->folder);
}

static enum ms_err out_finish(struct maildrop_out *o, const char *name, struct ms_errinfo *why)
{
    uint8_t tail[MAILDROP_TAIL_BYTES];
    if (o->failed)
        return ms_fail(why, MS_EIO, "%s/%s is not complete", o->folder, o->tmp);
    maildrop_tail_emit(o->written + MAILDROP_TAIL_BYTES, o->crc, tail);
    str_add(&o->buffer, tail, sizeof tail);
    MS_TRY(write_all(o, why));
    if (fsync(o->file) != 0)
        return ms_fail_errno(why, errno, "cannot flush %s/%s", o->folder, o->tmp);
    if (renameat(o->dir, o->tmp, o->dir, name) != 0)
        return ms_fail_errno(why, errno, "cannot rename %s/%s", o->folder, o->tmp);
    snprintf(o->tmp, sizeof o->tmp, "%s", ""); /* the name is the message's now */
    return flush_folder(o, why);
}

enum ms_err maildrop_out_commit(struct maildrop_out **op, char *name_out, struct ms_errinfo *why_out)
{
    char name[MAILDROP_FILE_NAME_BYTES + 1];
    uint8_t random[8];
    struct maildrop_out *o = *op;
    crypt_random(random, sizeof random);
    maildrop_name_emit(clock_wall_us(), random, name);
    enum ms_err err = out_finish(o, name, why_out);
    if (err) /* a second flush that failed: the file is not promised to anybody */
        unlinkat(o->dir, o->tmp[0] ? o->tmp : name, 0);
    else if (name_out)
        memcpy(name_out, name, sizeof name);
    out_free(o);
    *op = NULL;
    return err;
}

/* -- the folder */

static enum ms_err make_one(const char *path, mode_t mode, struct ms_errinfo *why)
{
    if (mkdir(path, mode) == 0)
        return MS_OK;
    return errno == EEXIST ? MS_EEXIST : ms_fail_errno(why, errno, "cannot make %s", path);
}

enum ms_err maildrop_folder_make(const char *folder, struct ms_errinfo *why_out)
{
    char path[OUT_PATH_MAX];
    int n = snprintf(path, sizeof path, "%s", folder);
    if (n < 0 || (size_t)n >= sizeof path)
        return ms_fail(why_out, MS_EINVAL, "the path of the maildrop is too long");
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        enum ms_err err = make_one(path, 0755, why_out);
        if (err && err != MS_EEXIST)
            return err;
        *slash = '/';
    }
    enum ms_err err = make_one(path, 0700, why_out);
    if (err)
        return err == MS_EEXIST ? MS_OK : err;
    /* mkdir's mode is cut by the umask; a folder that was there keeps what its owner chose */
    return chmod(path, MAILDROP_FOLDER_MODE) == 0
               ? MS_OK
               : ms_fail_errno(why_out, errno, "cannot set the mode of %s", path);
}
