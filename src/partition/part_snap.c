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
