/*
 * part_window.c - a piece of the log in memory, from which the bytes of several messages are served.
 *
 * A mailbox that was filled in order has its messages one behind another in the log, with a record head between
 * them. A request that begins near the end of the last window makes the next one longer (up to
 * PART_WINDOW_BYTES); one that begins anywhere else reads what it asks for and nothing more, so that heads of
 * large messages do not cost their bodies.
 *
 * A read that the page cache cannot serve goes to a work thread as a whole; the window outlives a destroy until
 * the work came back.
 */
#include "part_priv.h"

#define WINDOW_GAP_MAX   ((uint64_t)16 << 10) /* of the log, between two requests that belong together */
#define WINDOW_AHEAD_MIN ((size_t)16 << 10)

struct part_window {
    struct partition *p;
    struct loop *loop;
    part_window_fn *done;
    void *owner;
    struct journal_seg *seg;
    uint64_t position; /* of the first byte in buf */
    size_t len;        /* bytes in buf; 0: nothing */
    uint64_t used_to;  /* position behind the last request */
    size_t ahead;
    size_t cap;
    uint8_t *buf;
    /* One read elsewhere. */
    bool is_busy, is_closed, has_failed;
    size_t want;
    enum ms_err err;
    struct loop_work work;
};

struct part_window *part_window_create(struct partition *p, struct loop *loop, part_window_fn *done,
                                       void *owner)
{
    struct part_window *w = ms_new(struct part_window);
    w->p = p;
    w->loop = loop;
    w->done = done;
    w->owner = owner;
    return w;
}

static void window_free(struct part_window *w)
{
    journal_seg_unref(&w->seg);
    ms_free(w->buf);
    ms_free(w);
}

void part_window_destroy(struct part_window **w_io)
{
    struct part_window *w = *w_io;
    *w_io = NULL;
    if (!w)
        return;
    w->is_closed = true;
    if (!w->is_busy)
        window_free(w);
}

static void on_work(struct loop_work *work)
{
    struct part_window *w = MS_CONTAINER_OF(work, struct part_window, work);
    w->err = journal_seg_read(w->seg, w->position, w->buf, w->want, false);
}

static void take(struct part_window *w, enum ms_err err)
{
    w->len = err ? 0 : w->want;
    w->has_failed = err != MS_OK;
}

static void on_worked(struct loop_work *work)
{
    struct part_window *w = MS_CONTAINER_OF(work, struct part_window, work);
    w->is_busy = false;
    if (w->is_closed) {
        window_free(w);
        return;
    }
    take(w, w->err);
    w->done(w->owner);
}

/* How much to read for a request of len bytes at position. */
static size_t pick_want(struct part_window *w, uint64_t position, size_t len)
{
    bool follows = w->used_to && position >= w->used_to && position - w->used_to <= WINDOW_GAP_MAX;
    w->ahead = follows ? MS_MIN(MS_MAX(w->ahead * 2, WINDOW_AHEAD_MIN), PART_WINDOW_BYTES) : 0;
    size_t want = MS_MAX(len, w->ahead);
    return journal_seg_holds(w->seg, position, want) ? want : len;
}

static enum ms_err find_segment(struct part_window *w, uint64_t position, size_t len)
{
    if (w->seg && journal_seg_holds(w->seg, position, len))
        return MS_OK;
    journal_seg_unref(&w->seg);
    w->seg = journal_seg_ref(w->p->journal, position);
    return w->seg && journal_seg_holds(w->seg, position, len) ? MS_OK : MS_EUNSUPPORTED;
}

static enum ms_err window_read(struct part_window *w, uint64_t position, size_t len)
{
    bool can_wait = w->p->cold_reads && w->loop;
    w->len = 0;
    MS_TRY(find_segment(w, position, len));
    w->want = pick_want(w, position, len);
    w->position = position;
    if (w->want > w->cap) {
        w->buf = ms_realloc_array(w->buf, w->want, 1);
        w->cap = w->want;
    }
    enum ms_err err = journal_seg_read(w->seg, position, w->buf, w->want, can_wait);
    if (err == MS_EMORE) {
        w->work = (struct loop_work){.work = on_work, .done = on_worked, .home = w->loop};
        obs_count(MET_PART_COLD_READS, 1);
        if (loop_pool_post(w->p->cold_reads, w->loop, &w->work) == MS_OK) {
            w->is_busy = true;
            return MS_EMORE;
        }
        err = journal_seg_read(w->seg, position, w->buf, w->want,
                               false); /* full: rather a late turn than no message */
    }
    take(w, err);
    return MS_OK;
}

enum ms_err part_window_get(struct part_window *w, const struct part_blob *blob, uint64_t off, size_t len,
                            struct slice *out)
{
    struct part_extent e = part_blob_extent(blob, 0);
    uint64_t position = e.position + off;
    MS_ASSERT(!w->is_closed && (!w->loop || loop_is_home(w->loop)));
    if (w->is_busy)
        return MS_EMORE;
    if (blob->extent_count != 1 || off > e.len || len > e.len - off || len > PART_WINDOW_BYTES)
        return MS_EUNSUPPORTED;
    bool is_there = w->len && position >= w->position && position - w->position <= w->len &&
                    len <= w->len - (position - w->position);
    if (!is_there && !w->has_failed)
        MS_TRY(window_read(w, position, len));
    if (w->has_failed) {
        w->has_failed = false;
        return MS_EUNSUPPORTED;
    }
    w->used_to = position + len;
    *out = slice_make(w->buf + (position - w->position), len);
    return MS_OK;
}
