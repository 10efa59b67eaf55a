/*
 * part_reader.c - the bytes of a message for a session.
 *
 * A reader copies the extents and takes counted descriptors of their segments while the snapshot is open, so
 * neither the snapshot's end nor an unlink matters to it. A read that the page cache cannot serve goes to a
 * work thread with the rest of the buffer; the reader outlives a close until the work came back.
 *
 * The hash runs along while the message is read from its beginning without gaps; a message that is read in
 * one piece is simply hashed. So damage is found before the last bytes are given out, and a session can break
 * off.
 */
#include "part_priv.h"

struct span { /* one extent */
    struct journal_seg *seg;
    uint64_t position;
    uint32_t len;
};

struct part_reader {
    struct partition *p;
    struct loop *loop;
    struct slice prefix; /* own memory */
    struct span *spans;
    unsigned span_count;
    uint64_t blob_bytes;
    uint64_t id;
    struct sum128 hash;
    bool has_hash;
    struct sum128_state *sum; /* running, of the bytes up to `summed` */
    uint64_t summed;
    /* One request. */
    bool busy, closed;
    uint64_t off;
    struct mbuf *buf;
    size_t want;
    enum ms_err err;
    part_read_fn *done;
    void *owner;
    struct loop_work work;
};

/* -- opening -------------------------------------------------------------------------------------- */

static void reader_free(struct part_reader *r)
{
    for (unsigned i = 0; i < r->span_count; i++)
        journal_seg_unref(&r->spans[i].seg);
    sum128_destroy(&r->sum);
    mbuf_unref(&r->buf);
    ms_free(r->spans);
    ms_free((uint8_t *)(uintptr_t)r->prefix.ptr);
    ms_free(r);
}

static enum ms_err add_span(struct part_reader *r, struct part_extent e)
{
    struct journal_seg *seg = journal_seg_ref(r->p->journal, e.position);
    if (!seg || !journal_seg_holds(seg, e.position, e.len)) {
        journal_seg_unref(&seg);
        return MS_EDAMAGED;
    }
    r->spans[r->span_count++] = (struct span){seg, e.position, e.len};
    return MS_OK;
}

static struct part_reader *reader_create(struct partition *p, struct loop *loop, unsigned spans)
{
    struct part_reader *r = ms_new(struct part_reader);
    r->p = p;
    r->loop = loop;
    r->spans = spans ? ms_alloc_array(spans, sizeof(r->spans[0])) : NULL;
    return r;
}

static void report_damage(const struct part_reader *r, const char *what)
{
    OBS_EVENT(OBS_PART_MESSAGE_DAMAGED, 0, OBS_C("partition", r->p->conf.name), OBS_X("blob", r->id),
              OBS_C("what", what));
    obs_count(MET_PART_DAMAGED_READS, 1);
}

enum ms_err part_reader_open(struct part_snap *snap, struct loop *loop, const struct part_blob *blob,
                             struct slice prefix, struct part_reader **out)
{
    struct part_reader *r = reader_create(snap->p, loop, blob->extent_count);
    enum ms_err err = MS_OK;
    r->id = blob->id;
    r->hash = blob->hash;
    r->has_hash = true;
    r->blob_bytes = blob->size;
    if (prefix.len)
        r->prefix = slice_make(ms_memdup(prefix.ptr, prefix.len), prefix.len);
    for (unsigned i = 0; i < blob->extent_count && !err; i++)
        err = add_span(r, part_blob_extent(blob, i));
    if (err) {
        report_damage(r, "its segment is missing");
        reader_free(r);
        return err;
    }
    *out = r;
    return MS_OK;
}

enum ms_err part_reader_open_cache(struct part_snap *snap, struct loop *loop, const struct part_blob *blob,
                                   struct part_reader **out)
{
    MS_ASSERT(blob->cache_at.len > 0);
    struct part_reader *r = reader_create(snap->p, loop, 1);
    r->id = blob->id;
    r->blob_bytes = blob->cache_at.len;
    enum ms_err err = add_span(r, blob->cache_at);
    if (err) {
        reader_free(r);
        return err;
    }
    *out = r;
    return MS_OK;
}

uint64_t part_reader_size(const struct part_reader *r)
{
    return r->prefix.len + r->blob_bytes;
}

/* -- reading -------------------------------------------------------------------------------------- */

/* Fills buf up to `want` from offset off + buf->len on; what is there already stays (a read that went on
 * elsewhere). */
static enum ms_err fill(struct part_reader *r, bool nowait)
{
    uint64_t at = r->off + r->buf->len;
    if (at < r->prefix.len && r->buf->len < r->want) {
        (void)mbuf_add(r->buf, slice_sub(r->prefix, (size_t)at, r->want - r->buf->len));
        at = r->off + r->buf->len;
    }
    uint64_t start = r->prefix.len; /* of the span */
    for (unsigned i = 0; i < r->span_count && r->buf->len < r->want; i++) {
        const struct span *s = &r->spans[i];
        if (at < start + s->len) {
            uint64_t skip = at - start;
            size_t n = (size_t)MS_MIN((uint64_t)(r->want - r->buf->len), s->len - skip);
            MS_TRY(journal_seg_read(s->seg, s->position + skip, mbuf_data(r->buf) + r->buf->len, n, nowait));
            r->buf->len += (uint32_t)n;
            at += n;
        }
        start += s->len;
    }
    return MS_OK;
}

/* The message bytes in buf follow those summed so far? Then go on with the sum. */
static enum ms_err check_hash(struct part_reader *r)
{
    struct slice bytes = mbuf_slice(r->buf);
    uint64_t from = r->off;
    if (!r->has_hash)
        return MS_OK;
    if (from < r->prefix.len) {
        bytes = slice_sub(bytes, (size_t)(r->prefix.len - from), bytes.len);
        from = r->prefix.len;
    }
    from -= r->prefix.len;
    if (from == 0 && bytes.len == r->blob_bytes)
        return sum128_eq(sum128_of(bytes), r->hash) ? MS_OK : MS_EDAMAGED;
    if (from == 0) {
        sum128_destroy(&r->sum);
        r->sum = sum128_create();
        r->summed = 0;
    }
    if (!r->sum || from != r->summed || bytes.len == 0)
        return MS_OK;
    sum128_add(r->sum, bytes);
    r->summed += bytes.len;
    if (r->summed < r->blob_bytes)
        return MS_OK;
    return sum128_eq(sum128_get(r->sum), r->hash) ? MS_OK : MS_EDAMAGED;
}

static enum ms_err finish(struct part_reader *r, enum ms_err err, struct mbuf **out)
{
    if (!err)
        err = check_hash(r);
    if (err) {
        mbuf_unref(&r->buf);
        report_damage(r, err == MS_EDAMAGED ? "its bytes are not what they were" : ms_err_text(err));
        return MS_EDAMAGED;
    }
    *out = r->buf;
    r->buf = NULL;
    return MS_OK;
}

static void on_work(struct loop_work *work)
{
    struct part_reader *r = MS_CONTAINER_OF(work, struct part_reader, work);
    r->err = fill(r, false);
}

static void on_worked(struct loop_work *work)
{
    struct part_reader *r = MS_CONTAINER_OF(work, struct part_reader, work);
    struct mbuf *buf = NULL;
    r->busy = false;
    if (r->closed) {
        reader_free(r);
        return;
    }
    enum ms_err err = finish(r, r->err, &buf);
    r->done(r->owner, err, buf);
}

enum ms_err part_reader_read(struct part_reader *r, uint64_t off, size_t max, struct mbuf **out,
                             part_read_fn *done, void *owner)
{
    uint64_t size = part_reader_size(r);
    MS_ASSERT(!r->busy && !r->closed && (!r->loop || loop_is_home(r->loop)));
    off = MS_MIN(off, size);
    r->off = off;
    r->want = (size_t)MS_MIN(MS_MIN((uint64_t)max, PART_READ_MAX), size - off);
    r->buf = mbuf_create(r->want, 0);
    bool can_wait = r->p->cold_reads && r->loop;
    enum ms_err err = fill(r, can_wait);
    if (err != MS_EMORE)
        return finish(r, err, out);
    r->done = done;
    r->owner = owner;
    r->work.work = on_work;
    r->work.done = on_worked;
    r->work.home = r->loop;
    obs_count(MET_PART_COLD_READS, 1);
    if (loop_pool_post(r->p->cold_reads, r->loop, &r->work)) /* full: rather a late turn than no message */
        return finish(r, fill(r, false), out);
    r->busy = true;
    return MS_EMORE;
}

void part_reader_close(struct part_reader **r_io)
{
    struct part_reader *r = *r_io;
    *r_io = NULL;
    if (!r)
        return;
    r->closed = true;
    if (!r->busy)
        reader_free(r);
}

/* -- blocking ------------------------------------------------------------------------------------- */

static enum ms_err read_extent(struct partition *p, struct part_extent e, struct str *out)
{
    struct journal_seg *seg = journal_seg_ref(p->journal, e.position);
    uint8_t *room = str_reserve(out, e.len);
    enum ms_err err = seg ? MS_OK : MS_EDAMAGED;
    if (!err && !room)
        err = MS_ELIMIT;
    if (!err)
        err = journal_seg_read(seg, e.position, room, e.len, false);
    if (!err)
        str_advance(out, e.len);
    journal_seg_unref(&seg);
    return err;
}

enum ms_err part_blob_read_sync(struct partition *p, const struct part_blob *blob, struct str *out)
{
    size_t from = out->len;
    for (unsigned i = 0; i < blob->extent_count; i++)
        MS_TRY(read_extent(p, part_blob_extent(blob, i), out));
    struct slice bytes = slice_sub(str_slice(out), from, out->len - from);
    return sum128_eq(sum128_of(bytes), blob->hash) ? MS_OK : MS_EDAMAGED;
}

enum ms_err part_cache_read_sync(struct partition *p, const struct part_blob *blob, struct str *out)
{
    if (blob->cache_at.len)
        return read_extent(p, blob->cache_at, out);
    str_add_slice(out, blob->cache);
    return MS_OK;
}
