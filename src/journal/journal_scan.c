/*
 * journal_scan.c - the records of one segment, in order: good ones, damage, and the end.
 *
 * Two facts decide what a bad record means (storage rules 1.3 and 4.1):
 * - Only one batch is ever in flight, so every batch but the last of the log was durable.
 * - A record names the position where its batch begins (field `batch`), so any record with an intact header
 *   proves which bytes before it belong to an earlier batch, even when nothing of that batch can be read.
 *
 * Hence, in a segment whose end is not known: let B be the greatest batch named by any intact header. A bad
 * place before B is damage (skipped, reported). A bad place at or behind B is a torn tail: the log ends
 * there, and what the disk kept of the same batch behind it is dropped, unless something outside the log
 * (`durable`) says that B had been flushed. In a segment whose end is named by a successor every bad place is
 * damage.
 *
 * After damage of unknown length the scan looks for the next 8-byte aligned header with a valid seal whose
 * position field equals its own place. Seals are seeded with epoch and salt: bytes of another segment or
 * start never match.
 */
#include "journal_priv.h"

#include <errno.h>
#include <unistd.h>

#include "ms/base/sum.h"

#define WINDOW_BYTES (JOURNAL_RECORD_BYTES + JOURNAL_PAYLOAD_MAX + ((size_t)1 << 20))

enum check { CHECK_BAD, CHECK_HEADER, CHECK_GOOD };

void journal__scan_init(struct journal_scan *s, const struct journal_head *head, struct journal_src src,
                        uint64_t end, uint64_t durable)
{
    uint64_t data = src.bytes > JOURNAL_DATA_OFFSET ? src.bytes - JOURNAL_DATA_OFFSET : 0;
    *s = (struct journal_scan){
        .head = head,
        .src = src,
        .seed = journal__head_seed(head),
        .sealed = end != UINT64_MAX,
        .durable = durable,
        .at = head->start,
        .prev_known = true,
        .prev_crc = head->prev_crc,
        .time_us = head->prev_time_us,
    };
    s->limit = s->sealed ? MS_MAX(end, head->start) : head->start + (data & ~(uint64_t)(JOURNAL_ALIGN - 1));
    s->dirty_end = s->at;
    if (src.mem == NULL)
        s->window = ms_alloc(WINDOW_BYTES);
}

void journal__scan_fini(struct journal_scan *s)
{
    ms_free(s->window);
    s->window = NULL;
}

/* Reads page-wise around what the disk cannot give: that becomes zeros, and so a bad record. */
bool journal__read_area(int fd, uint64_t offset, uint8_t *into, size_t len)
{
    size_t done = 0;
    bool whole = true;
    while (done < len) {
        ssize_t n = pread(fd, into + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0) {
            done += (size_t)n;
            continue;
        }
        whole = false;
        size_t skip = n == 0 ? len - done : MS_MIN(len - done, (size_t)(4096 - (offset + done) % 4096));
        memset(into + done, 0, skip);
        done += skip;
    }
    return whole;
}

/* len bytes at a position, valid until the next view; NULL when they pass the limit. */
static const uint8_t *view(struct journal_scan *s, uint64_t position, size_t len)
{
    static const uint8_t none[1];
    if (position > s->limit || len > s->limit - position)
        return NULL;
    if (len == 0)
        return none;
    uint64_t offset = JOURNAL_DATA_OFFSET + (position - s->head->start);
    if (s->src.mem != NULL)
        return offset <= s->src.bytes && len <= s->src.bytes - offset ? s->src.mem + offset : NULL;
    if (offset < s->window_at || offset + len > s->window_at + s->window_len) {
        s->window_at = offset;
        s->window_len = (size_t)MS_MIN((uint64_t)WINDOW_BYTES, s->limit - position);
        journal__read_area(s->src.fd, offset, s->window, s->window_len);
    }
    return s->window + (offset - s->window_at);
}

/* An intact header at the position, seal included? Says nothing about the payload. */
static bool check_header(struct journal_scan *s, uint64_t position, struct journal_record_header *h)
{
    const uint8_t *p = view(s, position, JOURNAL_RECORD_BYTES);
    if (p == NULL || ms_get_le32(p) != JOURNAL_RECORD_MAGIC)
        return false;
    memcpy(h, p, sizeof(*h));
    struct journal_record_header copy = *h;
    journal__record_seal(&copy, s->seed);
    if (copy.hdr_crc != h->hdr_crc || h->position != position || h->kind == 0)
        return false;
    if (h->bytes < JOURNAL_RECORD_BYTES || h->bytes > JOURNAL_RECORD_BYTES + JOURNAL_PAYLOAD_MAX)
        return false;
    /* A batch never crosses segments (rule 1.3). */
    return journal__space(h->bytes) <= s->limit - position && h->batch <= position &&
           h->batch >= s->head->start;
}

static void note_batch(struct journal_scan *s, uint64_t batch)
{
    s->last_batch = s->has_batch ? MS_MAX(s->last_batch, batch) : batch;
    s->has_batch = true;
}

static enum check check(struct journal_scan *s, struct journal_record_header *h, const uint8_t **payload_out)
{
    if (!check_header(s, s->at, h))
        return CHECK_BAD;
    note_batch(s, h->batch);
    size_t len = h->bytes - JOURNAL_RECORD_BYTES;
    const uint8_t *payload = view(s, s->at + JOURNAL_RECORD_BYTES, len);
    if (payload == NULL || crc32c_add(0, payload, len) != h->payload_crc)
        return CHECK_HEADER;
    *payload_out = payload;
    /* The chain is the second check: an intact record that does not follow the one before is not part of the
     * log. */
    return s->prev_known && h->prev_crc != s->prev_crc ? CHECK_HEADER : CHECK_GOOD;
}

/* Next position >= from with an intact header, or the limit. */
static uint64_t find_header(struct journal_scan *s, uint64_t from, struct journal_record_header *h)
{
    for (uint64_t at = from; at < s->limit; at += JOURNAL_ALIGN) {
        if (check_header(s, at, h))
            return at;
    }
    return s->limit;
}

/* Greatest batch, and the last bytes that are not zero, in all that follows. */
static void look_ahead(struct journal_scan *s)
{
    struct journal_record_header h;
    uint64_t at = s->at;
    s->looked = true;
    while (at < s->limit) {
        const uint8_t *p = view(s, at, JOURNAL_ALIGN);
        if (p == NULL)
            break;
        if (ms_get_le64(p) == 0) {
            at += JOURNAL_ALIGN;
        } else if (check_header(s, at, &h)) {
            note_batch(s, h.batch);
            at += journal__space(h.bytes);
            s->dirty_end = at;
        } else {
            at += JOURNAL_ALIGN;
            s->dirty_end = at;
        }
    }
}

static enum journal_found report(struct journal_scan *s, uint64_t to, const char *what)
{
    s->damage_from = s->at;
    s->damage_to = to;
    s->damage_what = what;
    s->at = to;
    return JOURNAL_FOUND_DAMAGE;
}

static enum journal_found on_bad(struct journal_scan *s, enum check how,
                                 const struct journal_record_header *h)
{
    struct journal_record_header other;
    bool cut = false;
    if (!s->sealed) {
        if (!s->looked)
            look_ahead(s);
        bool flushed = s->has_batch && s->durable > s->last_batch;
        if (!s->has_batch || (s->at >= s->last_batch && !flushed))
            return JOURNAL_FOUND_END;
        cut = !flushed;
    }
    uint64_t to = how == CHECK_HEADER ? s->at + journal__space(h->bytes)
                                      : find_header(s, s->at + JOURNAL_ALIGN, &other);
    if (!s->sealed && to >= s->limit && how == CHECK_BAD)
        return JOURNAL_FOUND_END; /* nothing behind it: the bytes of a batch that never reached the disk */
    s->prev_known = how == CHECK_HEADER;
    s->prev_crc = h->hdr_crc;
    if (cut && to > s->last_batch) {
        /* The hole reaches into the last batch: up to its beginning it is damage, from there the torn tail.
         */
        to = s->last_batch;
        s->prev_known = false;
    }
    return report(s, to,
                  how == CHECK_HEADER ? "record does not match its checksums" : "no record can be read");
}

bool journal__scan_seek(struct journal_scan *s, uint64_t position)
{
    struct journal_record_header h;
    if (position == s->at)
        return true;
    if (position < s->at || position % JOURNAL_ALIGN != 0 || !check_header(s, position, &h))
        return false;
    s->at = position;
    s->prev_known = true;
    s->prev_crc = h.prev_crc;
    return true;
}

enum journal_found journal__scan_next(struct journal_scan *s, struct journal_record *rec)
{
    struct journal_record_header h = {0};
    const uint8_t *payload = NULL;
    if (s->at >= s->limit)
        return JOURNAL_FOUND_END;
    enum check how = check(s, &h, &payload);
    if (how != CHECK_GOOD)
        return on_bad(s, how, &h);
    *rec = (struct journal_record){
        .position = h.position,
        .end = h.position + journal__space(h.bytes),
        .batch = h.batch,
        .time_us = h.time_us,
        .epoch = s->head->epoch,
        .crc = h.hdr_crc,
        .kind = h.kind,
        .version = h.version,
        .payload_bytes = h.bytes - JOURNAL_RECORD_BYTES,
        .payload = slice_make(payload, h.bytes - JOURNAL_RECORD_BYTES),
    };
    s->at = rec->end;
    s->dirty_end = MS_MAX(s->dirty_end, rec->end);
    s->prev_known = true;
    s->prev_crc = h.hdr_crc;
    s->time_us = MS_MAX(s->time_us, h.time_us);
    return JOURNAL_FOUND_RECORD;
}

/* The seal of the RECOVERED record alone proves nothing: sectors reach a disk in any order. */
bool journal__scan_is_complete(const struct journal_head *head, struct journal_src src)
{
    struct journal_scan s;
    struct journal_record rec;
    bool complete = false;
    journal__scan_init(&s, head, src, UINT64_MAX, 0);
    enum journal_found found;
    while ((found = journal__scan_next(&s, &rec)) == JOURNAL_FOUND_RECORD && !complete)
        complete = rec.kind == JOURNAL_REC_RECOVERED && rec.batch == head->start && rec.end > rec.position;
    if (!complete) /* on_bad has looked ahead */
        complete = found == JOURNAL_FOUND_DAMAGE || (s.has_batch && s.last_batch > head->start);
    journal__scan_fini(&s);
    return complete;
}
