/*
 * part_crash.c - remembers which op was being applied when the process died (rule 2.2).
 *
 * A small mapped file. Entering an op is one store into it, leaving another: the page belongs to the kernel,
 * so it outlives the process; it need not outlive the machine. The mark does not stand during commit and
 * flush, so a kill there is never held against an op. Position + 1 is stored, for 0 means none.
 */
#include "part_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define CRASH_MAGIC 0x314B524Du /* "MRK1" */
#define CRASH_BYTES 4096

struct part__crash_page {
    uint32_t magic;
    uint32_t crashes; /* at `last` */
    _Atomic uint64_t inside;
    uint64_t last;
    uint32_t rebuild;
};

enum ms_err part__crash_open(struct part__crash *c, const char *path, struct ms_errinfo *why)
{
    c->page = NULL;
    c->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (c->fd < 0)
        return ms_fail_errno(why, errno, "%s", path);
    enum ms_err err = MS_OK;
    int rc = posix_fallocate(c->fd, 0, CRASH_BYTES); /* real blocks: a store into it cannot fail later */
    if (rc) {
        err = ms_fail_errno(why, rc, "%s", path);
    } else {
        void *at = mmap(NULL, CRASH_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
        if (at == MAP_FAILED)
            err = ms_fail_errno(why, errno, "%s: mmap", path);
        else
            c->page = at;
    }
    if (err) {
        close(c->fd);
        c->fd = -1;
        return err;
    }
    if (c->page->magic != CRASH_MAGIC) {
        memset(c->page, 0, CRASH_BYTES);
        c->page->magic = CRASH_MAGIC;
    }
    return MS_OK;
}

void part__crash_close(struct part__crash *c)
{
    if (c->page) {
        munmap(c->page, CRASH_BYTES);
        close(c->fd);
    }
    c->page = NULL;
    c->fd = -1;
}

void part__crash_enter(struct part__crash *c, uint64_t position)
{
    atomic_store_explicit(&c->page->inside, position + 1, memory_order_release);
}

void part__crash_leave(struct part__crash *c, uint64_t position)
{
    if (c->page->last == position + 1)
        c->page->crashes = 0;
    atomic_store_explicit(&c->page->inside, 0, memory_order_release);
}

static void save(struct part__crash *c)
{
    (void)msync(c->page, CRASH_BYTES, MS_SYNC); /* a lost mark only costs one more crash */
}

void part__crash_count(struct part__crash *c)
{
    uint64_t inside = atomic_load(&c->page->inside);
    if (!inside)
        return;
    c->page->crashes = c->page->last == inside ? c->page->crashes + 1 : 1;
    c->page->last = inside;
    atomic_store(&c->page->inside, 0);
    save(c);
}

bool part__crash_is_fatal(const struct part__crash *c, uint64_t *position_out)
{
    if (!c->page->last || c->page->crashes < PART_CRASHES_MAX)
        return false;
    *position_out = c->page->last - 1;
    return true;
}

void part__crash_blame(struct part__crash *c, uint64_t position)
{
    c->page->last = position + 1;
    c->page->crashes = PART_CRASHES_MAX;
    save(c);
}

void part__crash_clear(struct part__crash *c)
{
    c->page->last = 0;
    c->page->crashes = 0;
    save(c);
}

void part__crash_set_rebuild(struct part__crash *c, bool rebuild)
{
    if ((c->page->rebuild != 0) == rebuild)
        return;
    c->page->rebuild = rebuild;
    save(c);
}

bool part__crash_is_rebuild(const struct part__crash *c)
{
    return c->page->rebuild != 0;
}
