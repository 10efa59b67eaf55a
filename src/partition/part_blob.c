/*
 * part_blob.c - blobs inside apply: bringing them, counting references, letting them go.
 *
 * Invariants: 1. a row exists exactly while references > 0. 2. Every position that keeps a segment alive is
 * either the key of a row (first extent in place) or a key of blobext. 3. A digest row exists exactly for
 * rows with PART_BLOB_DIGEST.
 *
 * part_blob_add and part_blob_ref only note; part__blob_end_op merges by id and writes each row once.
 */
#include "part_priv.h"

#include <stdlib.h>

void part__blob_key(uint64_t id, uint8_t out[8])
{
    ms_put_be64(out, id);
}

void part__digest_key(struct sum128 hash, uint64_t id, uint8_t out[24])
{
    ms_put_le64(out, hash.lo);
    ms_put_le64(out + 8, hash.hi);
    ms_put_be64(out + 16, id);
}

enum ms_err part__blob_get(struct db_txn *txn, uint64_t id, struct part_blob *out)
{
    uint8_t key[8];
    struct slice row;
    part__blob_key(id, key);
    MS_TRY(db_get(txn, PART_DB_BLOB, slice_make(key, 8), &row));
    return part_blob_parse(id, row, out);
}

/* -- noting --------------------------------------------------------------------------------------- */

static bool is_fresh(const struct part_tx *tx, uint64_t id, unsigned *at_out)
{
    for (unsigned i = 0; i < tx->fresh_count; i++) {
        if (tx->fresh[i].id == id) {
            *at_out = i;
            return true;
        }
    }
    return false;
}

static bool is_of_record(const struct part_tx *tx, uint64_t id)
{
    for (unsigned i = 0; i < tx->record_blob_count; i++)
        if (tx->record_blobs[i] == id)
            return true;
    return false;
}

/* Behind a hole the parts may have gone with it. */
static bool parts_are_there(const struct part_tx *tx, const struct part_blob_source *src)
{
    struct rd r = rd_make(src->parts);
    bool there = true;
    while (there && rd_left(&r)) {
        uint64_t position = rd_u64(&r);
        struct journal_seg *seg = journal_seg_ref(tx->p->journal, position);
        there = seg && journal_seg_holds(seg, position, rd_u32(&r));
        journal_seg_unref(&seg);
    }
    return there;
}

/* Where the bytes are, within the log as it is at this record. */
static enum ms_err place(const struct part_tx *tx, const struct part_blob_source *src, uint64_t *id_out)
{
    uint64_t room = tx->bytes_end - tx->bytes_at;
    if (src->cache_behind && (src->cache_offset > room || src->cache_bytes > room - src->cache_offset))
        return MS_EDAMAGED;
    if (src->how == PART_SOURCE_PARTS) {
        uint64_t last = ms_get_le64(src->parts.ptr + (size_t)(src->part_count - 1) * PART_EXTENT_BYTES);
        *id_out = src->id;
        if (last > tx->position)
            return MS_EDAMAGED;
        return !tx->salvage || parts_are_there(tx, src) ? MS_OK : MS_EGONE;
    }
    if (src->offset > room || src->size > room - src->offset)
        return MS_EDAMAGED;
    *id_out = tx->bytes_at + src->offset;
    return MS_OK;
}

static enum ms_err find_existing(struct part_tx *tx, uint64_t id, uint64_t *size_out)
{
    unsigned at;
    if (is_fresh(tx, id, &at)) {
        *size_out = tx->fresh[at].src.size;
        return MS_OK;
    }
    struct part_blob blob;
    enum ms_err err = part__blob_get(tx->txn, id, &blob);
    if (err)
        return err == MS_ENOTFOUND ? MS_EGONE : err;
    *size_out = blob.size;
    return MS_OK;
}

static enum ms_err place_new(struct part_tx *tx, const struct part_blob_source *src, uint64_t *id_out)
{
    enum ms_err err = place(tx, src, id_out);
    if (err == MS_EGONE)
        part_tx_lost(tx, "message of %llu bytes: parts of it are missing", (unsigned long long)src->size);
    if (!err && tx->named &&
        src->how == PART_SOURCE_PARTS)       /* replay: not an orphan, also when the op refuses it */
        map_put_u64(tx->named, src->id, tx); /* any value: a set */
    return err;
}

enum ms_err part_blob_check(struct part_tx *tx, const struct part_blob_source *src, uint64_t *size_out)
{
    if (src->how == PART_SOURCE_EXISTING)
        return find_existing(tx, src->id, size_out);
    uint64_t id;
    MS_TRY(place_new(tx, src, &id));
    *size_out = src->size;
    return MS_OK;
}

enum ms_err part_blob_add(struct part_tx *tx, const struct part_blob_source *src, uint64_t *id_out)
{
    uint64_t size;
    if (src->how == PART_SOURCE_EXISTING) {
        *id_out = src->id;
        return find_existing(tx, src->id, &size);
    }
    uint64_t id;
    unsigned at;
    MS_TRY(place_new(tx, src, &id));
    *id_out = id;
    if (is_fresh(tx, id, &at) || is_of_record(tx, id))
        return MS_OK;
    struct part_blob there;
    if (src->how == PART_SOURCE_PARTS && part__blob_get(tx->txn, id, &there) == MS_OK)
        return MS_EDAMAGED; /* parts of one message in two records */
    if (tx->fresh_count + tx->record_blob_count >= PART_NEW_BLOBS_MAX)
        return MS_EDAMAGED;
    tx->fresh[tx->fresh_count++] = (struct part__new_blob){id, *src};
    return MS_OK;
}

enum ms_err part_blob_ref(struct part_tx *tx, uint64_t id, int64_t delta)
{
    if (tx->ref_count && tx->refs[tx->ref_count - 1].id == id) {
        tx->refs[tx->ref_count - 1].delta += delta;
        return MS_OK;
    }
    part__grow((void **)&tx->refs, &tx->ref_cap, tx->ref_count, sizeof(tx->refs[0]));
    tx->refs[tx->ref_count++] = (struct part__ref){id, delta};
    return MS_OK;
}

/* -- writing -------------------------------------------------------------------------------------- */

static void row_begin(struct part_tx *tx, const struct part__new_blob *b, unsigned extents, uint32_t refs)
{
    struct str *row = &tx->scratch;
    str_reset(row);
    str_add_byte(row, PART_ROW_VERSION);
    str_add_byte(row, b->src.flags & 1 ? PART_BLOB_DIGEST : 0);
    str_add_le16(row, (uint16_t)extents);
    str_add_le32(row, refs);
    str_add_le64(row, b->src.size);
    str_add_le64(row, b->src.hash.lo);
    str_add_le64(row, b->src.hash.hi);
    str_add_le64(row, b->src.cache_behind ? tx->bytes_at + b->src.cache_offset : 0);
    str_add_le32(row, b->src.cache_behind ? b->src.cache_bytes : 0);
}

static enum ms_err put_ext(struct db_txn *txn, uint64_t position, uint64_t id)
{
    uint8_t key[8], row[9];
    part__blob_key(position, key);
    row[0] = PART_ROW_VERSION;
    ms_put_le64(row + 1, id);
    return db_append(txn, PART_DB_BLOBEXT, slice_make(key, 8), slice_make(row, 9));
}

static enum ms_err del_row(struct db_txn *txn, enum part_db db, const uint8_t *key, size_t len)
{
    enum ms_err err = db_del(txn, db, slice_make(key, len));
    return err == MS_ENOTFOUND ? MS_EDAMAGED : err; /* invariants 2 and 3 */
}

static enum ms_err write_new(struct part_tx *tx, const struct part__new_blob *b, uint32_t refs)
{
    const struct part_blob_source *src = &b->src;
    unsigned extents = src->how == PART_SOURCE_PARTS ? src->part_count : src->size > 0;
    row_begin(tx, b, extents, refs);
    if (src->how == PART_SOURCE_PARTS) {
        str_add_slice(&tx->scratch, src->parts);
    } else if (extents) {
        str_add_le64(&tx->scratch, b->id);
        str_add_le32(&tx->scratch, (uint32_t)src->size);
    }
    str_add_slice(&tx->scratch, src->cache);
    uint8_t key[8];
    part__blob_key(b->id, key);
    MS_TRY(db_append(tx->txn, PART_DB_BLOB, slice_make(key, 8), str_slice(&tx->scratch)));
    for (unsigned i = 1; i < src->part_count; i++)
        MS_TRY(put_ext(tx->txn, ms_get_le64(src->parts.ptr + (size_t)i * PART_EXTENT_BYTES), b->id));
    if (src->how == PART_SOURCE_PARTS && src->cache_behind)
        MS_TRY(put_ext(tx->txn, tx->bytes_at + src->cache_offset, b->id));
    if (src->flags & 1) {
        uint8_t dkey[24];
        uint8_t version = PART_ROW_VERSION;
        part__digest_key(src->hash, b->id, dkey);
        MS_TRY(db_put(tx->txn, PART_DB_DIGEST, slice_make(dkey, 24), slice_make(&version, 1)));
    }
    MS_ASSERT(tx->record_blob_count < PART_NEW_BLOBS_MAX);
    tx->record_blobs[tx->record_blob_count++] = b->id;
    return MS_OK;
}

/* The cache of an inline blob lies behind its bytes in one record: no row of its own. */
static bool cache_has_ext(const struct part_blob *blob)
{
    uint64_t at = blob->extent_count ? part_blob_extent(blob, 0).position : blob->id;
    return blob->cache_at.len > 0 && !(blob->extent_count <= 1 && blob->cache_at.position == at + blob->size);
}

static enum ms_err remove_row(struct part_tx *tx, const struct part_blob *blob)
{
    uint8_t key[8], dkey[24];
    for (unsigned i = 0; i < blob->extent_count; i++) {
        struct part_extent e = part_blob_extent(blob, i);
        part__blob_key(e.position, key);
        if (e.position != blob->id)
            MS_TRY(del_row(tx->txn, PART_DB_BLOBEXT, key, 8));
    }
    part__blob_key(blob->cache_at.position, key);
    if (cache_has_ext(blob))
        MS_TRY(del_row(tx->txn, PART_DB_BLOBEXT, key, 8));
    part__digest_key(blob->hash, blob->id, dkey);
    if (blob->flags & PART_BLOB_DIGEST)
        MS_TRY(del_row(tx->txn, PART_DB_DIGEST, dkey, 24));
    part__blob_key(blob->id, key);
    return del_row(tx->txn, PART_DB_BLOB, key, 8);
}

static enum ms_err find_row(struct part_tx *tx, struct db_cur **cur, const uint8_t key[8], struct slice *row)
{
    struct slice found;
    if (!*cur)
        MS_TRY(db_cur_open(tx->txn, PART_DB_BLOB, cur));
    MS_TRY(db_cur_seek(*cur, slice_make(key, 8), &found, row));
    return slice_eq(found, slice_make(key, 8)) ? MS_OK : MS_ENOTFOUND;
}

/* cur: opened when the first row is needed. Ids ascend, so the next row is near the one before. */
static enum ms_err change_refs(struct part_tx *tx, struct db_cur **cur, uint64_t id, int64_t delta)
{
    uint8_t key[8];
    struct slice row;
    struct part_blob blob;
    part__blob_key(id, key);
    enum ms_err err = find_row(tx, cur, key, &row);
    if (err == MS_ENOTFOUND && tx->salvage) {
        part_tx_lost(tx, "blob %016llx is not there", (unsigned long long)id);
        return MS_OK;
    }
    if (err)
        return err == MS_ENOTFOUND ? MS_EDAMAGED : err;
    MS_TRY(part_blob_parse(id, row, &blob));
    int64_t refs = (int64_t)blob.refs + delta;
    if (refs < 0 || refs > UINT32_MAX)
        return MS_EDAMAGED;
    str_reset(&tx->scratch); /* the row's memory may go with the first write */
    str_add_slice(&tx->scratch, row);
    if (refs == 0) {
        MS_TRY(part_blob_parse(id, str_slice(&tx->scratch), &blob));
        return remove_row(tx, &blob);
    }
    ms_put_le32(tx->scratch.ptr + 4, (uint32_t)refs);
    return db_cur_update(*cur, str_slice(&tx->scratch));
}

static int by_id(const void *a, const void *b)
{
    uint64_t x = ((const struct part__ref *)a)->id, y = ((const struct part__ref *)b)->id;
    return x < y ? -1 : x > y;
}

static enum ms_err write_one(struct part_tx *tx, struct db_cur **cur, uint64_t id, int64_t delta)
{
    unsigned at;
    if (delta == 0)
        return MS_OK;
    if (!is_fresh(tx, id, &at))
        return change_refs(tx, cur, id, delta);
    if (delta < 0 || delta > UINT32_MAX)
        return MS_EDAMAGED;
    return write_new(tx, &tx->fresh[at], (uint32_t)delta);
}

static bool refs_ascend(const struct part_tx *tx)
{
    for (size_t i = 1; i < tx->ref_count; i++)
        if (tx->refs[i].id < tx->refs[i - 1].id)
            return false;
    return true;
}

enum ms_err part__blob_end_op(struct part_tx *tx)
{
    struct db_cur *cur = NULL;
    enum ms_err err = MS_OK;
    if (!refs_ascend(tx))
        qsort(tx->refs, tx->ref_count, sizeof(tx->refs[0]), by_id);
    for (size_t i = 0; i < tx->ref_count && !err;) {
        uint64_t id = tx->refs[i].id;
        int64_t delta = 0;
        for (; i < tx->ref_count && tx->refs[i].id == id; i++)
            delta += tx->refs[i].delta;
        err = write_one(tx, &cur, id, delta);
    }
    db_cur_close(&cur);
    return err;
}
