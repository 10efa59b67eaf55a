/*
 * part_salvage.c - bodies in the log that no op names.
 *
 * When the record that introduced a message is lost its parts may still be there. A part names its stream and
 * its number, so the message is put together again (all parts from number 0 on, up to a missing one) and
 * given to the owner of messages, who puts it into the mailbox "Recovered". A message that was still arriving
 * when the server stopped looks the same; it appears there too, as far as it came.
 */
#include "part_priv.h"

#include <stdlib.h>

struct stream {
    uint64_t id;
    uint64_t first;   /* position of the first message byte */
    uint64_t last;    /* position to stand for the op */
    uint64_t time_us; /* of the newest part */
    uint64_t bytes;
    uint32_t next;    /* number expected */
    struct str parts; /* as in a source form */
};

void part__streams_init(struct part__streams *s)
{
    map_init(&s->by_id);
    map_init(&s->named);
}

void part__streams_fini(struct part__streams *s)
{
    size_t cursor = 0;
    struct slice key;
    void *value;
    while (map_next(&s->by_id, &cursor, &key, &value)) {
        struct stream *st = value;
        str_fini(&st->parts);
        ms_free(st);
    }
    map_fini(&s->by_id);
    map_fini(&s->named);
}

void part__streams_part(struct part__streams *s, const struct journal_record *rec)
{
    if (rec->payload.len <= JOURNAL_PART_PREFIX)
        return;
    uint64_t id = ms_get_le64(rec->payload.ptr);
    uint32_t number = ms_get_le32(rec->payload.ptr + 8);
    uint32_t len = (uint32_t)(rec->payload.len - JOURNAL_PART_PREFIX);
    struct stream *st = map_find_u64(&s->by_id, id);
    if (!st) {
        st = ms_new(struct stream);
        st->id = id;
        str_init(&st->parts, 0);
        map_put_u64(&s->by_id, id, st);
    }
    if (number != st->next || st->next >= PART_EXTENTS_MAX)
        return; /* one before it is missing: the message ends there */
    uint64_t position = rec->position + JOURNAL_RECORD_BYTES + JOURNAL_PART_PREFIX;
    if (number == 0)
        st->first = position;
    str_add_le64(&st->parts, position);
    str_add_le32(&st->parts, len);
    st->next++;
    st->bytes += len;
    st->time_us = rec->time_us;
    st->last = rec->end - 1; /* no record begins there, so it is nobody else's id */
}

static int by_first(const void *a, const void *b)
{
    uint64_t x = (*(struct stream *const *)a)->first, y = (*(struct stream *const *)b)->first;
    return x < y ? -1 : x > y;
}

static enum ms_err hash_parts(struct partition *p, const struct stream *st, struct sum128 *out)
{
    struct sum128_state *sum = sum128_create();
    uint8_t *buf = ms_alloc(JOURNAL_PART_BYTES);
    struct rd r = rd_make(str_slice(&st->parts));
    enum ms_err err = MS_OK;
    while (rd_left(&r) && !err) {
        uint64_t position = rd_u64(&r);
        uint32_t len = rd_u32(&r);
        struct journal_seg *seg = journal_seg_ref(p->journal, position);
        err = seg ? journal_seg_read(seg, position, buf, len, false) : MS_EDAMAGED;
        if (!err)
            sum128_add(sum, slice_make(buf, len));
        journal_seg_unref(&seg);
    }
    *out = sum128_get(sum);
    ms_free(buf);
    sum128_destroy(&sum);
    return err;
}

static enum ms_err give(struct part_tx *tx, const struct stream *st, struct ms_errinfo *why)
{
    struct sum128 hash;
    if (hash_parts(tx->p, st, &hash)) {
        part_tx_lost(tx, "stream %016llx: its parts cannot be read", (unsigned long long)st->id);
        return MS_OK;
    }
    const struct part_blob_source src = {.how = PART_SOURCE_PARTS,
                                         .id = st->first,
                                         .size = st->bytes,
                                         .hash = hash,
                                         .part_count = st->next,
                                         .parts = str_slice(&st->parts)};
    tx->position = st->last;
    tx->time_us = st->time_us;
    tx->bytes_at = tx->bytes_end = st->last;
    tx->op_index = 0;
    tx->fresh_count = tx->record_blob_count = 0;
    tx->ref_count = tx->settled_count = 0;
    tx->salvage = true;
    enum ms_err err = tx->p->salvage(tx, st->id, &src);
    if (!err)
        err = part__blob_end_op(tx);
    if (err)
        return ms_fail(why, err, "stream %016llx: %s", (unsigned long long)st->id, ms_err_text(err));
    part__report_line(tx->report, "stream %016llx: message of %llu bytes without an op, recovered",
                      (unsigned long long)st->id, (unsigned long long)st->bytes);
    return MS_OK;
}

enum ms_err part__streams_orphans(struct part__streams *s, struct part_tx *tx, struct ms_errinfo *why)
{
    if (!s->by_id.count)
        return MS_OK;
    struct stream **list = ms_alloc_array(s->by_id.count, sizeof(list[0]));
    size_t n = 0, cursor = 0;
    struct slice key;
    void *value;
    while (map_next(&s->by_id, &cursor, &key, &value)) {
        struct stream *st = value;
        if (st->next > 0 && !map_find_u64(&s->named, st->first))
            list[n++] = st;
    }
    qsort(list, n, sizeof(list[0]), by_first);
    enum ms_err err = MS_OK;
    for (size_t i = 0; i < n && !err; i++) {
        if (tx->p->salvage)
            err = give(tx, list[i], why);
        else
            part_tx_lost(tx, "stream %016llx: message of %llu bytes without an op",
                         (unsigned long long)list[i]->id, (unsigned long long)list[i]->bytes);
    }
    ms_free(list);
    return err;
}
