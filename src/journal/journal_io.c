/*
 * journal_io.c - the system calls that change a disk, in one table, and names of files.
 */
#include "journal_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#ifndef IOV_MAX
#define IOV_MAX 1024
#endif

const uint8_t journal__zeros[4096];

static ssize_t real_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    return pwritev(fd, iov, count, offset);
}

static int real_create(int dirfd, const char *name)
{
    return openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

static int real_unlink(int dirfd, const char *name)
{
    return unlinkat(dirfd, name, 0);
}

static int real_rename(int dirfd, const char *from, const char *to)
{
    return renameat(dirfd, from, dirfd, to);
}

const struct journal_io journal__io_real = {
    .pwritev = real_pwritev,
    .fdatasync = fdatasync,
    .fsync = fsync,
    .fallocate = fallocate,
    .ftruncate = ftruncate,
    .create = real_create,
    .unlink = real_unlink,
    .rename = real_rename,
};
const struct journal_io *journal__io = &journal__io_real;

int journal__write_all(int fd, struct iovec *iov, unsigned count, uint64_t offset)
{
    while (count > 0) {
        ssize_t n = journal__io->pwritev(fd, iov, (int)MS_MIN(count, (unsigned)IOV_MAX), (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            return EIO;
        offset += (uint64_t)n;
        size_t left = (size_t)n;
        while (count > 0 && left >= iov->iov_len) {
            left -= iov->iov_len;
            iov++;
            count--;
        }
        if (left > 0) {
            iov->iov_base = (uint8_t *)iov->iov_base + left;
            iov->iov_len -= left;
        }
    }
    return 0;
}

void journal__name(char out[JOURNAL_NAME_MAX], uint64_t number)
{
    snprintf(out, JOURNAL_NAME_MAX, "%016llx.seg", (unsigned long long)number);
}

bool journal__name_parse(const char *name, uint64_t *number_out)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < 16; i++) {
        char c = name[i];
        if (c >= '0' && c <= '9')
            number = number << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            number = number << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *number_out = number;
    return strcmp(name + 16, ".seg") == 0 && number != 0;
}
