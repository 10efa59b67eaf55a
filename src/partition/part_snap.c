/* part_snap.c - snapshots, and look-ups of blobs in them. */
#include "part_priv.h"

enum ms_err part_snap_begin(struct partition *p, struct part_snap *out)
{
    out->p = p;
    out->txn = NULL;
    if (!p->db)
        return MS_EOFFLINE;
    return db_read_begin(p->db, &out->txn);
}

void part_snap_end(struct part_snap *snap)
{
    db_read_end(&snap->txn);
}

enum ms_err part_blob_find(struct part_snap *snap, uint64_t id, struct part_blob *out)
{
    return part__blob_get(snap->txn, id, out);
}

/* Messages that came one after another have rows one behind another: a step is much cheaper than a look-up. */
#define BLOB_MISSES_MAX 8
#define BLOB_NODE_BYTES 64 /* more than what stands around a row */
#define BLOB_LINE_BYTES 64

static enum ms_err blob_step(struct part_blob_cursor *c, uint64_t id, struct slice *key_out,
                             struct slice *row_out)
{
    if (c->at == 0 || id <= c->at || c->misses >= BLOB_MISSES_MAX)
        return MS_ENOTFOUND;
    MS_TRY(db_cur_next(c->cur, key_out, row_out));
    bool is_hit = key_out->len == 8 && ms_get_be64(key_out->ptr) == id;
    c->misses = is_hit ? 0 : c->misses + 1;
    return is_hit ? MS_OK : MS_ENOTFOUND;
}

/* Pages of the index fill from their end down, so the row of the next message stands below this one as a rule. It is
 * fetched from memory while this one is worked on; where that was wrong, nothing but the fetch was wasted. */
static void fetch_next_row(struct slice key, struct slice row)
{
    size_t len = MS_MIN(row.len + BLOB_NODE_BYTES, (size_t)PART_CACHE_ROW_MAX);
    uintptr_t below = (uintptr_t)key.ptr;
    for (size_t off = BLOB_LINE_BYTES; off < len + BLOB_LINE_BYTES; off += BLOB_LINE_BYTES)
        __builtin_prefetch((const void *)(below - off));
}

enum ms_err part_blob_seek(struct part_snap *snap, struct part_blob_cursor *c, uint64_t id, struct part_blob *out)
{
    struct slice key, row;
    uint8_t from[8];
    if (!c->cur)
        MS_TRY(db_cur_open(snap->txn, PART_DB_BLOB, &c->cur));
    enum ms_err err = blob_step(c, id, &key, &row);
    if (err == MS_ENOTFOUND) {
        part__blob_key(id, from);
        err = db_cur_seek(c->cur, slice_make(from, 8), &key, &row);
        if (!err && (key.len != 8 || ms_get_be64(key.ptr) != id))
            err = MS_ENOTFOUND;
    }
    c->at = err ? 0 : id;
    if (err)
        return err;
    fetch_next_row(key, row);
    return part_blob_parse(id, row, out);
}

void part_blob_cursor_close(struct part_blob_cursor *c)
{
    db_cur_close(&c->cur);
    *c = (struct part_blob_cursor){.cur = NULL};
}

enum ms_err part_digest_find(struct part_snap *snap, struct sum128 hash, uint64_t size, uint64_t *id_out)
{
    struct db_cur *cur;
    uint8_t from[24];
    part__digest_key(hash, 0, from);
    MS_TRY(db_cur_open(snap->txn, PART_DB_DIGEST, &cur));
    struct slice key, value;
    enum ms_err err = db_cur_seek(cur, slice_make(from, 24), &key, &value);
    for (; !err; err = db_cur_next(cur, &key, &value)) {
        struct part_blob blob;
        if (key.len != 24 || memcmp(key.ptr, from, 16) != 0) {
            err = MS_ENOTFOUND;
            break;
        }
        uint64_t id = ms_get_be64(key.ptr + 16);
        if (part__blob_get(snap->txn, id, &blob) == MS_OK && blob.size == size) {
            *id_out = id;
            break;
        }
    }
    db_cur_close(&cur);
    return err;
}
