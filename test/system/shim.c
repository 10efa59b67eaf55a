/*
 * shim.c - preloaded under libc: records every change of files below a folder, and injects faults.
 *
 * Recording (SHIM_ROOT, SHIM_LOG): each operation on a file below SHIM_ROOT is appended to SHIM_LOG in the order in which it took
 * effect, with its bytes, and numbered. powercut.py builds from it what a disk may hold after a power cut at any number: what was
 * flushed, and any part of the rest. The counter in SHIM_SHM (mapped by the test too) tells a client after which operation it got
 * an answer. Nothing is really flushed; SHIM_FLUSH_US is how long a flush pretends to take.
 *
 * Faults (in SHIM_SHM, set by the test while the server runs): the n-th operation of a kind on a path that contains a text fails
 * with an errno, or writes short.
 *
 * A record of the log: u32 bytes of the record, u8 kind, u8 flags, u16 path length, u32 file id, u64 number, u64 a, u64 b, path, data.
 * Integers are the machine's. Memory-mapped writes are not seen: nothing durable is written that way.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OP_CREATE = 1, OP_WRITE, OP_TRUNCATE, OP_SYNC_BEGIN, OP_SYNC_END, OP_RENAME, OP_UNLINK, OP_LINK, OP_MKDIR, OP_RMDIR,
       OP_DIRSYNC, OP_OPEN };
enum { FLAG_DSYNC = 1, FLAG_ZERO = 2 };
enum { FAULT_WRITE = 1, FAULT_SYNC = 2, FAULT_TRUNCATE = 3, FAULT_OPEN = 4, FAULT_SHORT = 5 };

struct shm {
    _Atomic uint64_t number;    /* operations recorded */
    _Atomic uint32_t fault;     /* kind, 0 = none */
    _Atomic uint32_t fault_errno;
    _Atomic int64_t fault_in;   /* matching operations until it strikes: 1 = the next */
    _Atomic uint32_t fault_times; /* how often then; UINT32_MAX = for ever */
    _Atomic uint32_t fault_hits;
    char fault_match[64];       /* part of the path; written before `fault` */
};

#define FDS_MAX 65536
struct fd_info {
    uint32_t file; /* 0 = not ours */
    bool dsync;
    bool dir;
    char *path;
};

static struct fd_info fds[FDS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[4096];
static size_t root_len;
static int log_fd = -1;
static struct shm *shm;
static struct shm shm_none;
static uint32_t files;
static useconds_t flush_us = 300;
static struct { dev_t dev; ino_t ino; uint32_t file; } inodes[FDS_MAX];
static unsigned inode_count;

static void setup(void)
{
    const char *root_env = getenv("SHIM_ROOT"), *log_env = getenv("SHIM_LOG"), *shm_env = getenv("SHIM_SHM");
    shm = &shm_none;
    if (!root_env || !realpath(root_env, root))
        return;
    root_len = strlen(root);
    if (getenv("SHIM_FLUSH_US"))
        flush_us = (useconds_t)strtoul(getenv("SHIM_FLUSH_US"), NULL, 10);
    if (shm_env) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, shm_env, O_RDWR | O_CLOEXEC, 0);
        void *p = fd >= 0 ? mmap(NULL, sizeof *shm, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
        if (p != MAP_FAILED)
            shm = p;
        if (fd >= 0)
            syscall(SYS_close, fd);
    }
    if (log_env)
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, log_env, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void start(void)
{
    int saved = errno;
    pthread_once(&once, setup);
    errno = saved;
}

/* Absolute path below root, or NULL. out: at least 4096. The folder part must exist. */
static const char *ours(int dirfd, const char *path, char *out)
{
    char full[8192], folder[4096];
    start();
    if (!root_len || !path)
        return NULL;
    if (path[0] == '/' || dirfd == AT_FDCWD) {
        snprintf(full, sizeof full, "%s", path);
    } else {
        char proc[64], base[4096];
        snprintf(proc, sizeof proc, "/proc/self/fd/%d", dirfd);
        ssize_t n = readlink(proc, base, sizeof base - 1);
        if (n <= 0)
            return NULL;
        base[n] = '\0';
        snprintf(full, sizeof full, "%s/%s", base, path);
    }
    char *slash = strrchr(full, '/');
    const char *name = slash ? slash + 1 : full;
    int saved = errno;
    if (slash)
        *slash = '\0';
    const char *ok = realpath(slash ? (full[0] ? full : "/") : ".", folder);
    errno = saved;
    if (!ok || snprintf(out, 4096, "%s/%s", folder, name) >= 4096)
        return NULL;
    if (strncmp(out, root, root_len) != 0 || (out[root_len] != '/' && out[root_len] != '\0'))
        return NULL;
    if (out[root_len] == '\0')
        return out + root_len;
    size_t len = strlen(out);
    if (len >= 5 && strcmp(out + len - 5, "-lock") == 0) /* LMDB's lock file: made anew at start */
        return NULL;
    return out + root_len + 1;
}

static bool all_zero(const struct iovec *iov, int n)
{
    for (int i = 0; i < n; i++) {
        const uint8_t *p = iov[i].iov_base;
        if (iov[i].iov_len && (p[0] || memcmp(p, p + 1, iov[i].iov_len - 1)))
            return false;
    }
    return true;
}

/* Caller holds the lock. */
static void record(int kind, int flags, uint32_t file, uint64_t a, uint64_t b, const char *path, const struct iovec *data, int n,
                   size_t bytes)
{
    if (log_fd < 0)
        return;
    struct __attribute__((packed)) {
        uint32_t bytes;
        uint8_t kind, flags;
        uint16_t path_len;
        uint32_t file;
        uint64_t number, a, b;
    } head = {.kind = (uint8_t)kind, .flags = (uint8_t)flags, .file = file, .a = a, .b = b};
    struct iovec out[1026];
    int count = 2;
    size_t left = bytes, path_len = path ? strlen(path) : 0;
    if (kind == OP_WRITE && all_zero(data, n)) {
        head.flags |= FLAG_ZERO;
        left = 0;
    }
    head.path_len = (uint16_t)path_len;
    head.bytes = (uint32_t)(sizeof head + path_len + left);
    out[0] = (struct iovec){&head, sizeof head};
    out[1] = (struct iovec){(void *)(uintptr_t)(path ? path : ""), path_len};
    for (int i = 0; i < n && left; i++) {
        size_t take = data[i].iov_len < left ? data[i].iov_len : left;
        out[count++] = (struct iovec){data[i].iov_base, take};
        left -= take;
    }
    head.number = atomic_load(&shm->number) + 1;
    int saved = errno;
    if (syscall(SYS_writev, log_fd, out, count) != (long)head.bytes) {
        static const char text[] = "shim: cannot write the log\n";
        syscall(SYS_write, 2, text, sizeof text - 1);
        abort();
    }
    atomic_store(&shm->number, head.number);
    errno = saved;
}

/* true: this operation is to fail (errno set). For FAULT_SHORT the caller writes half. */
static bool fault(unsigned kind, const char *path)
{
    if (atomic_load(&shm->fault) != kind || !path || !strstr(path, shm->fault_match))
        return false;
    if (atomic_fetch_sub(&shm->fault_in, 1) > 1)
        return false;
    uint32_t times = atomic_load(&shm->fault_times);
    if (times == 0)
        return false;
    if (times != UINT32_MAX)
        atomic_store(&shm->fault_times, times - 1);
    atomic_fetch_add(&shm->fault_hits, 1);
    errno = (int)atomic_load(&shm->fault_errno);
    return true;
}

static struct fd_info *info(int fd)
{
    start();
    return fd >= 0 && fd < FDS_MAX && fds[fd].file ? &fds[fd] : NULL;
}

static uint32_t file_of(int fd, bool created)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return 0;
    for (unsigned i = 0; i < inode_count; i++)
        if (inodes[i].dev == st.st_dev && inodes[i].ino == st.st_ino) {
            if (created)
                inodes[i].file = ++files;
            return inodes[i].file;
        }
    if (inode_count == FDS_MAX)
        abort();
    inodes[inode_count].dev = st.st_dev;
    inodes[inode_count].ino = st.st_ino;
    inodes[inode_count].file = ++files;
    return inodes[inode_count++].file;
}

static int open_common(int dirfd, const char *path, int flags, mode_t mode)
{
    char full[4096];
    const char *rel = ours(dirfd, path, full);
    if (!rel)
        return (int)syscall(SYS_openat, dirfd, path, flags, mode);
    if ((flags & O_ACCMODE) != O_RDONLY && fault(FAULT_OPEN, full))
        return -1;
    pthread_mutex_lock(&lock);
    int saved = errno;
    bool existed = syscall(SYS_faccessat, AT_FDCWD, full, F_OK) == 0;
    errno = saved;
    int fd = (int)syscall(SYS_openat, dirfd, path, flags, mode);
    if (fd >= 0 && fd < FDS_MAX) {
        struct stat st;
        fstat(fd, &st);
        free(fds[fd].path);
        fds[fd].path = strdup(full);
        fds[fd].dir = S_ISDIR(st.st_mode);
        fds[fd].dsync = (flags & O_DSYNC) != 0;
        fds[fd].file = file_of(fd, !existed);
        if (!fds[fd].dir) {
            record(existed ? OP_OPEN : OP_CREATE, 0, fds[fd].file, (uint64_t)mode, 0, rel, NULL, 0, 0);
            if (existed && (flags & O_TRUNC) && (flags & O_ACCMODE) != O_RDONLY)
                record(OP_TRUNCATE, 0, fds[fd].file, 0, 0, NULL, NULL, 0, 0);
        }
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE_ARG(mode, flags)                                  \
    mode_t mode = 0;                                           \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                   \
        va_list ap;                                            \
        va_start(ap, flags);                                   \
        mode = va_arg(ap, mode_t);                             \
        va_end(ap);                                            \
    }
int open(const char *path, int flags, ...) { MODE_ARG(mode, flags) return open_common(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_ARG(mode, flags) return open_common(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int d, const char *path, int flags, ...) { MODE_ARG(mode, flags) return open_common(d, path, flags, mode); }
int openat64(int d, const char *path, int flags, ...) { MODE_ARG(mode, flags) return open_common(d, path, flags | O_LARGEFILE, mode); }
/* What fcntl.h makes of an open with flags that the compiler does not know (_FORTIFY_SOURCE). */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int d, const char *path, int flags);
int __openat64_2(int d, const char *path, int flags);
int __open_2(const char *path, int flags) { return open_common(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return open_common(AT_FDCWD, path, flags | O_LARGEFILE, 0); }
int __openat_2(int d, const char *path, int flags) { return open_common(d, path, flags, 0); }
int __openat64_2(int d, const char *path, int flags) { return open_common(d, path, flags | O_LARGEFILE, 0); }
int creat(const char *path, mode_t mode) { return open_common(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

static void forget(int fd)
{
    struct fd_info *f = info(fd);
    if (f) {
        pthread_mutex_lock(&lock);
        f->file = 0;
        pthread_mutex_unlock(&lock);
    }
}

int close(int fd)
{
    forget(fd);
    return (int)syscall(SYS_close, fd);
}

/* libc closes the descriptor behind these by itself. */
int closedir(DIR *dir)
{
    int (*next)(DIR *) = (int (*)(DIR *))(uintptr_t)dlsym(RTLD_NEXT, "closedir");
    forget(dirfd(dir));
    return next(dir);
}

int fclose(FILE *file)
{
    int (*next)(FILE *) = (int (*)(FILE *))(uintptr_t)dlsym(RTLD_NEXT, "fclose");
    forget(fileno(file));
    return next(file);
}

static ssize_t write_common(int fd, struct fd_info *f, const struct iovec *iov, int n, off_t off)
{
    struct iovec half;
    if (fault(FAULT_WRITE, f->path))
        return -1;
    if (fault(FAULT_SHORT, f->path) && n > 0 && iov[0].iov_len > 1) {
        half = (struct iovec){iov[0].iov_base, iov[0].iov_len / 2};
        iov = &half;
        n = 1;
    }
    pthread_mutex_lock(&lock);
    if (off < 0)
        off = (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
    ssize_t done = syscall(SYS_pwritev, fd, iov, n, off, 0);
    if (done > 0)
        record(OP_WRITE, f->dsync ? FLAG_DSYNC : 0, f->file, (uint64_t)off, (uint64_t)done, NULL, iov, n, (size_t)done);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t off)
{
    struct fd_info *f = info(fd);
    return f ? write_common(fd, f, iov, n, off) : syscall(SYS_pwritev, fd, iov, n, off, 0);
}
ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t off) { return pwritev(fd, iov, n, off); }
ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t off, int flags) { return pwritev(fd, iov, n, off); }
ssize_t pwritev64v2(int fd, const struct iovec *iov, int n, off64_t off, int flags) { return pwritev(fd, iov, n, off); }
ssize_t pwrite(int fd, const void *buf, size_t len, off_t off)
{
    struct iovec iov = {(void *)(uintptr_t)buf, len};
    struct fd_info *f = info(fd);
    return f ? write_common(fd, f, &iov, 1, off) : syscall(SYS_pwrite64, fd, buf, len, off);
}
ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off) { return pwrite(fd, buf, len, off); }
ssize_t writev(int fd, const struct iovec *iov, int n)
{
    struct fd_info *f = info(fd);
    if (!f)
        return syscall(SYS_writev, fd, iov, n);
    ssize_t done = write_common(fd, f, iov, n, -1);
    if (done > 0)
        syscall(SYS_lseek, fd, done, SEEK_CUR);
    return done;
}
ssize_t write(int fd, const void *buf, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)buf, len};
    return info(fd) ? writev(fd, &iov, 1) : syscall(SYS_write, fd, buf, len);
}

int ftruncate(int fd, off_t size)
{
    struct fd_info *f = info(fd);
    if (!f)
        return (int)syscall(SYS_ftruncate, fd, size);
    if (fault(FAULT_TRUNCATE, f->path))
        return -1;
    pthread_mutex_lock(&lock);
    int rc = (int)syscall(SYS_ftruncate, fd, size);
    if (rc == 0)
        record(OP_TRUNCATE, 0, f->file, (uint64_t)size, 0, NULL, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    return rc;
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

int truncate(const char *path, off_t size)
{
    int fd = open_common(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int rc = ftruncate(fd, size);
    int saved = errno;
    close(fd);
    errno = saved;
    return rc;
}
int truncate64(const char *path, off64_t size) { return truncate(path, size); }

static int allocate_common(int fd, int mode, off_t off, off_t len)
{
    struct fd_info *f = info(fd);
    if (f && fault(FAULT_TRUNCATE, f->path))
        return -1;
    pthread_mutex_lock(&lock);
    int rc = (int)syscall(SYS_fallocate, fd, mode, off, len);
    if (rc == 0 && f) {
        struct stat st;
        if (fstat(fd, &st) == 0)
            record(OP_TRUNCATE, 0, f->file, (uint64_t)st.st_size, 0, NULL, NULL, 0, 0);
    }
    pthread_mutex_unlock(&lock);
    return rc;
}
int fallocate(int fd, int mode, off_t off, off_t len) { return allocate_common(fd, mode, off, len); }
int fallocate64(int fd, int mode, off64_t off, off64_t len) { return allocate_common(fd, mode, off, len); }
int posix_fallocate(int fd, off_t off, off_t len) { return allocate_common(fd, 0, off, len) ? errno : 0; }
int posix_fallocate64(int fd, off64_t off, off64_t len) { return posix_fallocate(fd, off, len); }

static int sync_common(int fd, long number)
{
    struct fd_info *f = info(fd);
    if (!f)
        return (int)syscall(number, fd);
    if (fault(FAULT_SYNC, f->path))
        return -1;
    char full[4096];
    if (f->dir) {
        snprintf(full, sizeof full, "%s", strlen(f->path) > root_len ? f->path + root_len + 1 : "");
        pthread_mutex_lock(&lock);
        record(OP_DIRSYNC, 0, f->file, 0, 0, full, NULL, 0, 0);
        pthread_mutex_unlock(&lock);
        return 0;
    }
    pthread_mutex_lock(&lock);
    record(OP_SYNC_BEGIN, 0, f->file, 0, 0, NULL, NULL, 0, 0);
    uint64_t begun = atomic_load(&shm->number);
    uint32_t file = f->file;
    pthread_mutex_unlock(&lock);
    if (flush_us)
        usleep(flush_us);
    pthread_mutex_lock(&lock);
    record(OP_SYNC_END, 0, file, begun, 0, NULL, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    return 0;
}
int fsync(int fd) { return sync_common(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_common(fd, SYS_fdatasync); }
int sync_file_range(int fd, off64_t off, off64_t len, unsigned flags) { return info(fd) ? 0 : (int)syscall(SYS_sync_file_range, fd, off, len, flags); }

static int two_paths(int kind, long number, int od, const char *from, int nd, const char *to, unsigned flags)
{
    char a[4096], b[4096];
    const char *ra = ours(od, from, a), *rb = ours(nd, to, b);
    pthread_mutex_lock(&lock);
    int rc = (int)syscall(number, od, from, nd, to, flags);
    if (rc == 0 && ra && rb) {
        struct iovec data = {(void *)(uintptr_t)rb, strlen(rb)};
        record(kind, 0, 0, 0, 0, ra, &data, 1, strlen(rb));
    }
    pthread_mutex_unlock(&lock);
    return rc;
}
int rename(const char *from, const char *to) { return two_paths(OP_RENAME, SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int od, const char *from, int nd, const char *to) { return two_paths(OP_RENAME, SYS_renameat2, od, from, nd, to, 0); }
int renameat2(int od, const char *from, int nd, const char *to, unsigned flags) { return two_paths(OP_RENAME, SYS_renameat2, od, from, nd, to, flags); }
int link(const char *from, const char *to) { return two_paths(OP_LINK, SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int od, const char *from, int nd, const char *to, int flags) { return two_paths(OP_LINK, SYS_linkat, od, from, nd, to, (unsigned)flags); }

static int one_path(int kind, int d, const char *path, long number, unsigned arg)
{
    char a[4096];
    const char *rel = ours(d, path, a);
    pthread_mutex_lock(&lock);
    int rc = (int)syscall(number, d, path, arg);
    if (rc == 0 && rel)
        record(kind, 0, 0, arg, 0, rel, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    return rc;
}
int unlink(const char *path) { return one_path(OP_UNLINK, AT_FDCWD, path, SYS_unlinkat, 0); }
int unlinkat(int d, const char *path, int flags) { return one_path(flags & AT_REMOVEDIR ? OP_RMDIR : OP_UNLINK, d, path, SYS_unlinkat, (unsigned)flags); }
int rmdir(const char *path) { return one_path(OP_RMDIR, AT_FDCWD, path, SYS_unlinkat, AT_REMOVEDIR); }
int mkdir(const char *path, mode_t mode) { return one_path(OP_MKDIR, AT_FDCWD, path, SYS_mkdirat, mode); }
int mkdirat(int d, const char *path, mode_t mode) { return one_path(OP_MKDIR, d, path, SYS_mkdirat, mode); }
