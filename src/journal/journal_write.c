/*
 * journal_write.c - one batch: built in memory, written with one pwritev, made durable with one fdatasync.
 *
 * Payloads are written from where they lie. The padding of a record is written with the header of the next
 * one, the last padding from a block of zeros, so a record with one piece costs two iovecs. A batch that
 * opens a segment carries both copies of its header in front: one flush covers all, the file's name was made
 * durable when the file was prepared. Nothing here allocates but the opening of a segment.
 */
#include "journal_priv.h"

#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

#include "ms/base/clock.h"
#include "ms/base/sum.h"
#include "ms/obs.h"

void journal__fail(struct journal *j, const char *what, int errno_value)
{
    atomic_store(&j->state, JOURNAL_FAILED);
    OBS_EVENT(OBS_JOURNAL_FAILED, 0, OBS_C("dir", j->dir), OBS_C("what", what),
              OBS_C("error", strerror(errno_value)), OBS_U("position", j->last.end));
}

/* Bytes that records of one more batch may take. */
uint64_t journal__out_room(const struct journal *j)
{
    if (j->next.fd >= 0)
        return j->next.bytes - JOURNAL_DATA_OFFSET;
    return j->current_bytes - JOURNAL_DATA_OFFSET - (j->last.end - j->current->head.start);
}

/* The current segment has reserved blocks only, and written ones are waiting. */
static bool is_better_ready(struct journal *j)
{
    struct journal_pool *p = &j->pool;
    if (j->next.fd >= 0 || !j->current_extended || atomic_load(&p->ready_count) < 2)
        return false;
    pthread_mutex_lock(&p->lock);
    bool better = atomic_load(&p->ready_count) > j->conf.prepared && !p->ready[0].extended;
    pthread_mutex_unlock(&p->lock);
    return better;
}

/* The last spare is for what frees room (rule 1.6): until there is one again, nothing else may fill it. */
bool journal__on_reserve(struct journal *j)
{
    if (atomic_load(&j->pool.ready_count) > 0)
        j->next_reserve = j->current_reserve = false;
    return j->next.fd >= 0 ? j->next_reserve : j->current_reserve;
}

enum ms_err journal__out_prepare(struct journal *j, size_t payload_bytes, bool relief,
                                 struct ms_errinfo *why_out)
{
    if (!relief && journal__on_reserve(j))
        return ms_fail(why_out, MS_ENOSPC, "only the reserve is left");
    bool fits = journal__space(JOURNAL_RECORD_BYTES + payload_bytes) <= journal__out_room(j);
    if (fits && !is_better_ready(j))
        return MS_OK;
    MS_ASSERT(j->next.fd < 0);
    enum ms_err err = journal__spare_take(j, relief, &j->next, &j->next_reserve, why_out);
    return fits ? MS_OK : err;
}

static struct journal_head next_head(const struct journal *j)
{
    struct journal_head head = {
        .version = JOURNAL_HEAD_VERSION,
        .timeline = j->timeline,
        .epoch = j->epoch,
        .number = j->next.number,
        .start = j->last.end,
        .prev_number = j->current->head.number,
        .prev_end = j->last.end,
        .prev_epoch = j->last.epoch,
        .prev_crc = j->last.crc,
        .prev_time_us = j->last.time_us,
        .created_us = clock_wall_us(),
        .branch = j->branch,
    };
    memcpy(head.partition_id, j->partition_id, 16);
    /* Cannot fail: short reads need more than 256 bytes, and the pool of the kernel is up long before this.
     */
    MS_ASSERT(getrandom(head.salt, sizeof(head.salt), 0) == (ssize_t)sizeof(head.salt));
    return head;
}

static void add_iov(struct journal_out *o, const void *ptr, size_t len)
{
    MS_ASSERT(o->iovs < JOURNAL_IOVS);
    o->iov[o->iovs++] = (struct iovec){(void *)(uintptr_t)ptr, len};
}

void journal__out_begin(struct journal *j)
{
    struct journal_out *o = j->out;
    const struct journal_head *head = &j->current->head;
    struct journal_head opened;
    o->iovs = o->count = 0;
    o->bytes = 0;
    o->start = j->last.end;
    o->prev_crc = j->last.crc;
    o->time_us = MS_MAX(clock_wall_us(), j->last.time_us);
    o->offset = JOURNAL_DATA_OFFSET + (o->start - head->start);
    if (j->next.fd >= 0) {
        opened = next_head(j);
        head = &opened;
        journal__head_emit(head, o->head);
        for (unsigned copy = 0; copy < 2; copy++) {
            add_iov(o, o->head, JOURNAL_HEADER_BYTES);
            add_iov(o, journal__zeros, JOURNAL_HEAD_COPY_OFFSET - JOURNAL_HEADER_BYTES);
        }
        o->offset = 0;
    }
    o->seed = journal__head_seed(head);
    o->begun = true;
}

bool journal__out_fits(const struct journal *j, size_t payload_bytes, size_t pieces)
{
    const struct journal_out *o = j->out;
    uint64_t space = journal__space(o->bytes) + journal__space(JOURNAL_RECORD_BYTES + payload_bytes);
    if (o->count > 0 && (o->count == JOURNAL_BATCH_OPS || space > JOURNAL_BATCH_BYTES))
        return false;
    return o->iovs + pieces + 2 <= JOURNAL_IOVS && space <= journal__out_room(j);
}

void journal__out_add(struct journal *j, struct journal_record_header h, size_t payload_bytes,
                      struct mbuf *chain, struct journal_record *rec_out)
{
    struct journal_out *o = j->out;
    struct journal_slot *slot = &o->slots[o->count++];
    size_t pad = (size_t)(journal__space(o->bytes) - o->bytes);
    o->bytes += pad;
    h.bytes = (uint32_t)(JOURNAL_RECORD_BYTES + payload_bytes);
    h.position = o->start + o->bytes;
    h.batch = o->start;
    h.prev_crc = o->prev_crc;
    h.time_us = o->time_us;
    journal__record_seal(&h, o->seed);
    slot->head = h;
    add_iov(o, slot->pad + JOURNAL_ALIGN - pad, pad + JOURNAL_RECORD_BYTES);
    for (const struct mbuf *piece = chain; piece != NULL; piece = piece->next) {
        if (piece->len > 0)
            add_iov(o, piece->bytes + piece->off, piece->len);
    }
    o->bytes += h.bytes;
    o->prev_crc = h.hdr_crc;
    *rec_out = (struct journal_record){
        .position = h.position,
        .end = h.position + journal__space(h.bytes),
        .batch = h.batch,
        .time_us = h.time_us,
        .epoch = j->epoch,
        .crc = h.hdr_crc,
        .kind = h.kind,
        .version = h.version,
        .payload_bytes = payload_bytes,
        .payload = chain ? mbuf_slice(chain) : slice_make(NULL, 0),
    };
}

enum ms_err journal__out_write(struct journal *j)
{
    struct journal_out *o = j->out;
    size_t pad = (size_t)(journal__space(o->bytes) - o->bytes);
    if (pad > 0)
        add_iov(o, journal__zeros, pad);
    o->bytes += pad;
    uint64_t began = clock_mono_ns();
    int err = journal__write_all(j->next.fd >= 0 ? j->next.fd : j->write_fd, o->iov, o->iovs, o->offset);
    atomic_fetch_add_explicit(&j->counts.write_ns, clock_mono_ns() - began, memory_order_relaxed);
    if (err == 0)
        return MS_OK;
    o->begun = false;
    journal__fail(j, "write", err);
    return MS_EIO;
}

/* The flush that covered the header of the new segment has returned: it is the current one now. */
static void open_next(struct journal *j)
{
    struct journal_head head;
    MS_ASSERT(journal__head_parse(j->out->head, &head) == MS_OK);
    struct journal_seg *old = j->current;
    struct journal_seg *seg = journal__seg_create(&head, head.start);
    journal__cut_later(j, j->write_fd, JOURNAL_DATA_OFFSET + (head.prev_end - old->head.start));
    journal__seg_append(j, seg);
    j->current = seg;
    j->write_fd = j->next.fd;
    j->current_bytes = j->next.bytes;
    j->current_extended = j->next.extended;
    j->current_reserve = j->next_reserve;
    j->next = (struct journal_spare){.fd = -1};
    j->next_reserve = false;
}

enum ms_err journal__out_flush(struct journal *j)
{
    struct journal_out *o = j->out;
    o->begun = false;
    uint64_t began = clock_mono_ns();
    if (j->conf.flush && journal__io->fdatasync(j->next.fd >= 0 ? j->next.fd : j->write_fd) != 0) {
        journal__fail(j, "fdatasync", errno);
        return MS_EIO;
    }
    uint64_t took_ns = clock_mono_ns() - began;
    obs_series_observe(j->conf.flush_series, took_ns / 1000);
    atomic_fetch_add_explicit(&j->counts.flush_ns, took_ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&j->counts.batches, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&j->counts.records, o->count, memory_order_relaxed);
    atomic_fetch_add_explicit(&j->counts.bytes, o->bytes, memory_order_relaxed);
    if (j->next.fd >= 0)
        open_next(j);
    j->last = (struct journal_last){o->start + o->bytes, j->epoch, o->prev_crc, o->time_us};
    atomic_store(&j->current->end, j->last.end);
    atomic_store(&j->end, j->last.end);
    return MS_OK;
}

enum ms_err journal_append_sync(struct journal *j, uint16_t kind, uint16_t version, struct slice payload,
                                struct journal_mark *mark_out, struct ms_errinfo *why_out)
{
    struct journal_record rec;
    if (atomic_load(&j->state) != JOURNAL_RECOVERING || j->lane != NULL)
        return ms_fail(why_out, MS_EOFFLINE, "the journal is not between recovery and start");
    if (payload.len > JOURNAL_PAYLOAD_MAX)
        return ms_fail(why_out, MS_ELIMIT, "a record of %zu bytes", payload.len);
    MS_TRY(journal__out_prepare(j, payload.len, true, why_out));
    struct mbuf *body = payload.len > 0 ? mbuf_from(payload) : NULL;
    struct journal_record_header h = {
        .kind = kind, .version = version, .payload_crc = crc32c_add(0, payload.ptr, payload.len)};
    journal__out_begin(j);
    journal__out_add(j, h, payload.len, body, &rec);
    enum ms_err err = journal__out_write(j);
    if (err == MS_OK)
        err = journal__out_flush(j);
    mbuf_unref_chain(&body);
    if (err != MS_OK)
        return ms_fail(why_out, err, "%s: the log cannot be written", j->dir);
    if (mark_out != NULL)
        *mark_out = (struct journal_mark){rec.end, rec.epoch, rec.crc};
    return MS_OK;
}
