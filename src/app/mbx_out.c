/*
 * mbx_out.c - files that an export writes: spools, and files that have their name only when they are
 * complete.
 */
#include "mbx_export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define OUT_BYTES ((size_t)64 << 10)

static int write_all(int fd, struct slice bytes)
{
    while (bytes.len) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        bytes = slice_sub(bytes, (size_t)n, SIZE_MAX);
    }
    return 0;
}

/* -- spool */
void mbx_spool_init(struct mbx_spool *s, int dir_fd)
{
    *s = (struct mbx_spool){.dir_fd = dir_fd, .fd = -1};
    str_init(&s->memory, 0);
}

void mbx_spool_reset(struct mbx_spool *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->size = 0;
    s->err = 0;
    str_reset(&s->memory);
}

void mbx_spool_fini(struct mbx_spool *s)
{
    mbx_spool_reset(s);
    str_fini(&s->memory);
}

static void spool_spill(struct mbx_spool *s)
{
    if (s->fd < 0) {
        s->fd = openat(s->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (s->fd < 0)
            s->err = errno;
    }
    if (!s->err)
        s->err = write_all(s->fd, str_slice(&s->memory));
    str_reset(&s->memory);
}

void mbx_spool_add(struct mbx_spool *s, struct slice bytes)
{
    if (s->err)
        return;
    str_add_slice(&s->memory, bytes);
    s->size += bytes.len;
    if (s->memory.len > MBX_SPOOL_MEMORY)
        spool_spill(s);
}

int mbx_spool_input(struct mbx_spool *s, struct mbx_input *out)
{
    if (s->fd >= 0 && s->memory.len)
        spool_spill(s);
    *out = (struct mbx_input){.fd = s->fd, .memory = str_slice(&s->memory), .size = s->size};
    return s->err;
}

/* -- files */
int mbx_rename_new(int from_fd, const char *from, int to_fd, const char *to)
{
    if (renameat2(from_fd, from, to_fd, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    if (linkat(from_fd, from, to_fd, to, 0) != 0) /* a file system without that flag */
        return errno;
    return unlinkat(from_fd, from, 0) == 0 ? 0 : errno;
}

int mbx_out_open(struct mbx_out *o, int dir_fd, const char *name)
{
    *o = (struct mbx_out){.dir_fd = dir_fd, .to_fd = dir_fd};
    str_init(&o->buf, 0);
    snprintf(o->name, sizeof o->name, "%s", name);
    int n = snprintf(o->temporary, sizeof o->temporary, ".export.%ld.%.200s", (long)getpid(), name);
    if ((size_t)n >= sizeof o->temporary)
        o->temporary[sizeof o->temporary - 1] = '\0';
    o->fd = openat(dir_fd, o->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    o->err = o->fd < 0 ? errno : 0;
    return o->err;
}

int mbx_out_flush(struct mbx_out *o)
{
    if (!o->err)
        o->err = write_all(o->fd, str_slice(&o->buf));
    o->written += o->buf.len;
    str_reset(&o->buf);
    return o->err;
}

void mbx_out_add(struct mbx_out *o, struct slice bytes)
{
    str_add_slice(&o->buf, bytes);
    if (o->buf.len >= OUT_BYTES)
        (void)mbx_out_flush(o);
}

static void out_fini(struct mbx_out *o)
{
    if (o->fd >= 0)
        close(o->fd);
    o->fd = -1;
    str_fini(&o->buf);
}

void mbx_out_drop(struct mbx_out *o)
{
    if (o->fd >= 0)
        unlinkat(o->dir_fd, o->temporary, 0);
    out_fini(o);
}

int mbx_out_close(struct mbx_out *o, bool sync)
{
    (void)mbx_out_flush(o);
    if (!o->err && sync && fsync(o->fd) != 0)
        o->err = errno;
    if (!o->err)
        o->err = mbx_rename_new(o->dir_fd, o->temporary, o->to_fd, o->name);
    int err = o->err;
    if (err)
        mbx_out_drop(o);
    else
        out_fini(o);
    return err;
}
