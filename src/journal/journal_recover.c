/*
 * journal_recover.c - rules 4.1 and 4.2: the end of the log is found and its tail rewritten.
 *
 * 1. What never was part of the log goes: spares, interrupted recoveries. The new segment needs their room.
 * 2. The newest segment is scanned: end E, begin of its last batch B.
 * 3. S = the greatest of B and known_durable. Everything from S on is rewritten with its positions into a new
 *    segment of a higher number and epoch, as one batch ended by a RECOVERED record, and flushed.
 * 4. Only now the old segment is cut at S, and what the new one supersedes is unlinked.
 *
 * A crash before the end of 3 leaves the old segment as it was and a segment flagged RECOVERY without a whole
 * batch, which the next open ignores. A segment of which nothing is kept (S is its start) is skipped in the
 * chain: its header may exist in the page cache only. The same goes for all that was read here: a killed
 * process leaves pages behind that look written and are not, so nothing may be unlinked before step 3 because
 * of what was read in step 2.
 */
#include "journal_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include "ms/base/clock.h"
#include "ms/base/sum.h"
#include "ms/obs.h"

struct recovery {
    struct journal *j;
    struct journal_seg *old; /* newest segment; NULL in an empty folder */
    uint64_t known_durable;
    journal_damage_fn *on_damage;
    void *owner;
    uint64_t end;               /* E */
    uint64_t target;            /* greatest of B and known_durable */
    uint64_t start;             /* S */
    bool started;               /* S is settled */
    struct journal_last before; /* the record that ends at S */
    struct journal_head head;
    uint32_t seed;
    uint32_t crc;       /* of the last record written */
    uint64_t time_us;   /* greatest seen */
    uint64_t hole_from; /* UINT64_MAX: none */
    size_t rewritten;
    uint64_t torn_bytes;
    uint64_t damaged;
    uint8_t *tail; /* from S; zeroed */
    size_t tail_bytes;
};

/* -- the end of the log ----------------------------------------------------------------------- */

static void on_damage(struct recovery *r, uint64_t from, uint64_t to, const char *what)
{
    r->damaged++;
    OBS_EVENT(OBS_JOURNAL_DAMAGED, 0, OBS_C("dir", r->j->dir), OBS_U("begin", from), OBS_U("end", to),
              OBS_C("what", what));
    obs_count(MET_JOURNAL_DAMAGED, 1);
    if (r->on_damage != NULL)
        r->on_damage(r->owner, from, to, what);
}

static enum ms_err find_end(struct recovery *r, struct ms_errinfo *why_out)
{
    struct journal_src src;
    struct journal_scan s;
    struct journal_record rec;
    MS_TRY(journal__seg_open(r->j, r->old, &src, why_out));
    journal__scan_init(&s, &r->old->head, src, UINT64_MAX, r->known_durable);
    uint64_t recovered_at = 0;
    enum journal_found found;
    while ((found = journal__scan_next(&s, &rec)) != JOURNAL_FOUND_END) {
        if (found == JOURNAL_FOUND_RECORD && rec.kind == JOURNAL_REC_RECOVERED &&
            rec.batch == r->old->head.start)
            recovered_at = rec.position;
    }
    r->end = s.at;
    r->torn_bytes = s.dirty_end > s.at ? s.dirty_end - s.at : 0;
    r->target = r->end;
    if (s.has_batch && s.last_batch < r->end)
        r->target = s.last_batch;
    r->target = MS_MIN(MS_MAX(r->target, r->known_durable), r->end);
    /* The newest batch is that of a recovery: positions in it were known durable from the place they were
     * copied from. Only its own last record, new there, shows that this copy was flushed. */
    if (recovered_at != 0 && s.last_batch == r->old->head.start && r->known_durable <= recovered_at)
        r->target = s.last_batch;
    journal__scan_fini(&s);
    return MS_OK;
}

static void settle_start(struct recovery *r, uint64_t start)
{
    r->start = start;
    r->started = true;
    r->tail = ms_alloc(r->end - start + JOURNAL_RECORD_BYTES + JOURNAL_RECOVERED_BYTES);
}

/* Puts a record to its place in the tail, as yet without chain and seal. */
static void place(struct recovery *r, struct journal_record_header h, const uint8_t *payload)
{
    size_t len = h.bytes - JOURNAL_RECORD_BYTES;
    uint8_t *at = r->tail + (h.position - r->start);
    h.batch = r->start;
    memcpy(at, &h, sizeof(h));
    if (payload != NULL) /* else zeros, as the buffer is */
        memcpy(at + sizeof(h), payload, len);
    r->tail_bytes = (size_t)(h.position - r->start) + (size_t)journal__space(h.bytes);
}

static void place_filler(struct recovery *r, uint64_t from, uint64_t to)
{
    while (from < to) {
        uint64_t bytes = MS_MIN(to - from, (uint64_t)JOURNAL_PAYLOAD_MAX);
        uint64_t rest = to - from - bytes;
        if (rest > 0 && rest < JOURNAL_RECORD_BYTES)
            bytes -= JOURNAL_RECORD_BYTES;
        struct journal_record_header h = {
            .bytes = (uint32_t)bytes, .kind = JOURNAL_REC_FILLER, .position = from, .time_us = r->time_us};
        place(r, h, NULL);
        from += bytes;
    }
}

static void place_record(struct recovery *r, const struct journal_record *rec)
{
    /* A RECOVERED record of an earlier start must not pass for the end of this batch. */
    bool is_old_end = rec->kind == JOURNAL_REC_RECOVERED;
    struct journal_record_header h = {
        .bytes = (uint32_t)(JOURNAL_RECORD_BYTES + rec->payload_bytes),
        .kind = is_old_end ? JOURNAL_REC_FILLER : rec->kind,
        .version = is_old_end ? JOURNAL_FILLER_OLD_END : rec->version,
        .position = rec->position,
        .time_us = rec->time_us,
    };
    place(r, h, is_old_end ? NULL : rec->payload.ptr);
}

/* Chain and seals, when the salt of the new segment is known. */
static void seal_tail(struct recovery *r)
{
    r->crc = r->head.prev_crc;
    for (uint8_t *at = r->tail; at < r->tail + r->tail_bytes;) {
        struct journal_record_header h;
        memcpy(&h, at, sizeof(h));
        h.prev_crc = r->crc;
        h.payload_crc = crc32c_add(0, at + sizeof(h), h.bytes - JOURNAL_RECORD_BYTES);
        journal__record_seal(&h, r->seed);
        memcpy(at, &h, sizeof(h));
        r->crc = h.hdr_crc;
        at += journal__space(h.bytes);
    }
}

/* A hole of fewer bytes than a header cannot come from this program; its filler takes in the record behind
 * it. */
static void take_item(struct recovery *r, bool is_record, uint64_t from, uint64_t to,
                      const struct journal_record *rec)
{
    if (r->hole_from == UINT64_MAX && is_record) {
        place_record(r, rec);
        return;
    }
    if (r->hole_from == UINT64_MAX)
        r->hole_from = from;
    if (to - r->hole_from < JOURNAL_RECORD_BYTES)
        return;
    place_filler(r, r->hole_from, to);
    r->hole_from = UINT64_MAX;
}

/* Second pass: what ends at or before the target stays where it is, the rest is collected. */
static enum ms_err collect_tail(struct recovery *r, struct ms_errinfo *why_out)
{
    struct journal_src src;
    struct journal_scan s;
    struct journal_record rec;
    enum journal_found found;
    MS_TRY(journal__seg_open(r->j, r->old, &src, why_out));
    journal__scan_init(&s, &r->old->head, src, UINT64_MAX, r->known_durable);
    while ((found = journal__scan_next(&s, &rec)) != JOURNAL_FOUND_END) {
        bool is_record = found == JOURNAL_FOUND_RECORD;
        uint64_t from = is_record ? rec.position : s.damage_from;
        uint64_t to = is_record ? rec.end : s.damage_to;
        if (!is_record)
            on_damage(r, from, to, s.damage_what);
        if (to > r->target && !r->started)
            settle_start(r, from);
        if (!r->started && is_record)
            r->before = (struct journal_last){rec.end, rec.epoch, rec.crc, rec.time_us};
        r->time_us = s.time_us;
        if (r->started)
            take_item(r, is_record, from, to, &rec);
    }
    if (r->hole_from != UINT64_MAX)
        r->end = r->hole_from;
    journal__scan_fini(&s);
    return MS_OK;
}

/* -- the new segment -------------------------------------------------------------------------- */

static enum ms_err fill_head(struct recovery *r, uint64_t number, struct ms_errinfo *why_out)
{
    struct journal *j = r->j;
    const struct journal_seg *old = r->old;
    r->head = (struct journal_head){
        .version = JOURNAL_HEAD_VERSION,
        .flags = JOURNAL_SEG_RECOVERY,
        .timeline = j->timeline,
        .epoch = number,
        .number = number,
        .start = r->start,
        .prev_epoch = r->before.epoch,
        .prev_crc = r->before.crc,
        .prev_time_us = r->before.time_us,
        .created_us = clock_wall_us(),
        .branch = j->branch,
    };
    memcpy(r->head.partition_id, j->partition_id, 16);
    if (getrandom(r->head.salt, sizeof(r->head.salt), 0) != (ssize_t)sizeof(r->head.salt))
        return ms_fail_errno(why_out, errno, "getrandom");
    if (old != NULL && MS_MIN(r->start, r->end) > old->head.start) {
        r->head.prev_number = old->head.number;
        r->head.prev_end = MS_MIN(r->start, r->end);
    } else if (old != NULL) { /* nothing of it is kept */
        r->head.prev_number = old->head.prev_number;
        r->head.prev_end = old->head.prev_end;
    }
    r->seed = journal__head_seed(&r->head);
    return MS_OK;
}

/* Ends the batch; gives the end of the log. */
static uint64_t place_recovered(struct recovery *r)
{
    struct journal_recovered info = {r->old ? r->old->head.number : 0, r->start, r->torn_bytes, r->damaged};
    uint8_t payload[JOURNAL_RECOVERED_BYTES];
    r->rewritten = r->tail_bytes;
    r->time_us = MS_MAX(clock_wall_us(), r->time_us);
    journal__recovered_emit(&info, payload);
    struct journal_record_header h = {
        .bytes = JOURNAL_RECORD_BYTES + JOURNAL_RECOVERED_BYTES,
        .kind = JOURNAL_REC_RECOVERED,
        .version = 1,
        .position = r->start + r->tail_bytes,
        .time_us = r->time_us,
    };
    place(r, h, payload);
    return r->start + r->tail_bytes;
}

static enum ms_err write_segment(struct recovery *r, struct journal_spare *spare, struct ms_errinfo *why_out)
{
    uint8_t area[JOURNAL_DATA_OFFSET] = {0};
    journal__head_emit(&r->head, area);
    memcpy(area + JOURNAL_HEAD_COPY_OFFSET, area, JOURNAL_HEADER_BYTES);
    struct iovec iov[2] = {{area, sizeof(area)}, {r->tail, r->tail_bytes}};
    int err = journal__write_all(spare->fd, iov, 2, 0);
    if (err == 0 && r->j->conf.flush && journal__io->fsync(spare->fd) != 0)
        err = errno;
    if (err != 0)
        return ms_fail_errno(why_out, err, "%s: segment %016llx", r->j->dir,
                             (unsigned long long)spare->number);
    return MS_OK;
}

/* The new segment is durable: now the old one ends where it says, or goes. */
static void retire_old(struct recovery *r)
{
    struct journal *j = r->j;
    struct journal_seg *old = r->old;
    char name[JOURNAL_NAME_MAX];
    if (old == NULL)
        return;
    journal__name(name, old->head.number);
    if (r->head.prev_number == old->head.number) {
        atomic_store(&old->end, r->head.prev_end);
        int fd = openat(j->dirfd, name, O_RDWR | O_CLOEXEC);
        if (fd >= 0)
            journal__cut_now(fd, JOURNAL_DATA_OFFSET + (r->head.prev_end - old->head.start));
        return;
    }
    pthread_mutex_lock(&j->seg_lock);
    j->seg_count--;
    j->fds_open -= old->fd >= 0;
    pthread_mutex_unlock(&j->seg_lock);
    journal__io->unlink(j->dirfd, name);
    journal_seg_unref(&old);
}

static void adopt(struct recovery *r, const struct journal_spare *spare, uint64_t end)
{
    struct journal *j = r->j;
    bool gap = r->head.prev_end != r->head.start;
    if (r->old != NULL && r->old->head.number != r->head.prev_number)
        gap = gap || r->old->gap_before;
    retire_old(r);
    journal__leftovers_discard_superseded(j);
    struct journal_seg *seg = journal__seg_create(&r->head, end);
    seg->gap_before = gap;
    journal__seg_append(j, seg);
    j->current = seg;
    j->write_fd = spare->fd;
    j->current_bytes = spare->bytes;
    j->current_extended = true;
    j->last = (struct journal_last){end, r->head.epoch, r->crc, r->time_us};
    j->epoch = r->head.epoch;
    j->damaged += r->damaged;
    j->torn_bytes = r->torn_bytes;
    j->complete = j->complete && !gap;
    atomic_store(&j->end, end);
    OBS_EVENT(OBS_JOURNAL_RECOVERED, 0, OBS_C("dir", j->dir), OBS_U("epoch", j->epoch), OBS_U("end", end),
              OBS_U("rewritten", r->rewritten), OBS_U("torn", r->torn_bytes), OBS_U("damaged", r->damaged));
}

/* Numbers and epochs of segments that were lost must not be given again: ids are made from them. */
static void skip_lost_numbers(struct journal *j)
{
    j->pool.number_max = MS_MAX(j->pool.number_max + ((uint64_t)1 << 20), clock_wall_us() / 1000000);
}

static enum ms_err find_tail(struct recovery *r, struct ms_errinfo *why_out)
{
    if (r->old != NULL) {
        const struct journal_head *h = &r->old->head;
        r->before = (struct journal_last){h->prev_end, h->prev_epoch, h->prev_crc, h->prev_time_us};
        MS_TRY(find_end(r, why_out));
        MS_TRY(collect_tail(r, why_out));
    }
    r->time_us = MS_MAX(r->time_us, r->before.time_us);
    if (!r->started)
        settle_start(r, r->end);
    if (r->known_durable > r->end) {
        skip_lost_numbers(r->j);
        on_damage(r, r->end, r->known_durable, "positions known to be durable are not in the log");
        r->start = r->known_durable; /* the tail is empty: B and all before it are known durable */
    }
    return MS_OK;
}

static enum ms_err make_room(struct recovery *r, struct journal_spare *spare, struct ms_errinfo *why_out)
{
    struct journal *j = r->j;
    uint64_t need = JOURNAL_DATA_OFFSET + r->tail_bytes + JOURNAL_RECORD_BYTES + JOURNAL_RECOVERED_BYTES;
    need = (need + 4095) & ~(uint64_t)4095;
    MS_TRY(journal__spare_create(j, MS_MAX(j->conf.segment_bytes, need), spare, why_out));
    enum ms_err err = journal__spare_extend(j, spare, why_out);
    if (err == MS_ENOSPC) { /* a full disk must not keep the partition from starting: expunge needs it */
        spare->bytes = need;
        err = journal__spare_extend(j, spare, why_out);
    }
    return err;
}

static enum ms_err recover(struct recovery *r, struct ms_errinfo *why_out)
{
    struct journal *j = r->j;
    struct journal_spare spare = {.fd = -1};
    journal__leftovers_discard(j);
    MS_TRY(find_tail(r, why_out));
    enum ms_err err = make_room(r, &spare, why_out);
    if (err == MS_OK)
        err = fill_head(r, spare.number, why_out);
    if (err == MS_OK) {
        uint64_t end = place_recovered(r);
        seal_tail(r);
        err = write_segment(r, &spare, why_out);
        if (err == MS_OK)
            adopt(r, &spare, end);
    }
    if (err != MS_OK)
        journal__spare_discard(j, &spare);
    return err;
}

enum ms_err journal_recover(struct journal *j, uint64_t known_durable, journal_damage_fn *on_damage_fn,
                            void *owner, struct ms_errinfo *why_out)
{
    MS_ASSERT(atomic_load(&j->state) == JOURNAL_CLOSED);
    atomic_store(&j->state, JOURNAL_RECOVERING);
    struct recovery r = {
        .j = j,
        .old = j->seg_count > 0 ? j->segs[j->seg_count - 1] : NULL,
        .known_durable = journal__space(known_durable),
        .on_damage = on_damage_fn,
        .owner = owner,
        .hole_from = UINT64_MAX,
    };
    enum ms_err err = recover(&r, why_out);
    ms_free(r.tail);
    if (err != MS_OK)
        atomic_store(&j->state, JOURNAL_FAILED);
    return err;
}
