/* part_meta.c - the rows of the index about itself. */
#include "part_priv.h"

const char *const part__db_names[PART_DB_COUNT] = {
    [PART_DB_META] = "meta",       [PART_DB_BLOB] = "blob",           [PART_DB_BLOBEXT] = "blobext",
    [PART_DB_DIGEST] = "digest",   [PART_DB_MBOXLIST] = "mboxlist",   [PART_DB_MAILBOX] = "mailbox",
    [PART_DB_MESSAGE] = "message", [PART_DB_CHANGE] = "change",       [PART_DB_EXPUNGED] = "expunged",
    [PART_DB_ACCOUNT] = "account", [PART_DB_DELIVERED] = "delivered", [PART_DB_QUEUE] = "queue",
};

#define APPLIED_BYTES 21

enum ms_err part__index_open(const struct partition *p, const char *path, bool read_only, bool no_lock,
                             struct db **out, struct ms_errinfo *why)
{
    const struct db_conf conf = {.path = path,
                                 .map_bytes = p->conf.map_bytes,
                                 .sync = DB_SYNC_NO_META,
                                 .read_only = read_only,
                                 .no_lock = no_lock,
                                 .names = part__db_names,
                                 .name_count = PART_DB_COUNT};
    return db_open(&conf, out, why);
}

/* The value behind the version byte, of exactly that length. */
static enum ms_err meta_get(struct db_txn *txn, struct slice key, size_t bytes, struct rd *out)
{
    struct slice row;
    MS_TRY(db_get(txn, PART_DB_META, key, &row));
    if (row.len < 1 || row.ptr[0] != PART_ROW_VERSION)
        return MS_EVERSION;
    if (row.len != bytes + 1)
        return MS_EDAMAGED;
    *out = rd_make(slice_sub(row, 1, bytes));
    return MS_OK;
}

static enum ms_err read_rows(struct db_txn *txn, struct part__meta *out)
{
    struct rd r;
    MS_TRY(meta_get(txn, SLICE_LIT("format"), 4, &r));
    if (rd_u32(&r) != PART_FORMAT)
        return MS_EVERSION;
    MS_TRY(meta_get(txn, SLICE_LIT("partition"), 16, &r));
    memcpy(out->id, rd_bytes(&r, 16).ptr, 16);
    MS_TRY(meta_get(txn, SLICE_LIT("timeline"), 8, &r));
    out->timeline = rd_u64(&r);
    MS_TRY(meta_get(txn, SLICE_LIT("applied"), APPLIED_BYTES - 1, &r));
    out->applied.position = rd_u64(&r);
    out->applied.epoch = rd_u64(&r);
    out->applied.crc = rd_u32(&r);
    struct slice hole;
    enum ms_err err = db_get(txn, PART_DB_META, SLICE_LIT("hole"), &hole);
    if (err)
        return err == MS_ENOTFOUND ? MS_OK : err;
    return part__holes_parse(hole, &out->holes);
}

enum ms_err part__meta_read(struct db *db, struct part__meta *out, struct ms_errinfo *why)
{
    *out = (struct part__meta){0};
    struct db_txn *txn;
    enum ms_err err = db_read_begin(db, &txn);
    if (err)
        return ms_fail(why, err, "index: no snapshot");
    if (db_count(txn, PART_DB_META) == 0)
        out->fresh = true;
    else
        err = read_rows(txn, out);
    db_read_end(&txn);
    if (err == MS_ENOTFOUND)
        err = MS_EDAMAGED;
    return err ? ms_fail(why, err, "index: its meta rows are wrong: %s", ms_err_text(err)) : MS_OK;
}

static enum ms_err meta_put(struct db_txn *txn, struct slice key, const uint8_t *row, size_t len)
{
    return db_put(txn, PART_DB_META, key, slice_make(row, len));
}

enum ms_err part__meta_put_applied(struct db_txn *txn, const struct journal_mark *mark)
{
    uint8_t row[APPLIED_BYTES] = {PART_ROW_VERSION};
    ms_put_le64(row + 1, mark->position);
    ms_put_le64(row + 9, mark->epoch);
    ms_put_le32(row + 17, mark->crc);
    return meta_put(txn, SLICE_LIT("applied"), row, sizeof(row));
}

enum ms_err part__meta_put_holes(struct db_txn *txn, const struct part__holes *holes)
{
    struct str row;
    if (holes->state == PART_HOLE_NONE) {
        enum ms_err err = db_del(txn, PART_DB_META, SLICE_LIT("hole"));
        return err == MS_ENOTFOUND ? MS_OK : err;
    }
    str_init(&row, 0);
    part__holes_emit(holes, &row);
    enum ms_err err = meta_put(txn, SLICE_LIT("hole"), row.ptr, row.len);
    str_fini(&row);
    return err;
}

enum ms_err part__meta_put_first(struct db_txn *txn, const struct partition *p)
{
    struct journal_info info;
    journal_info(p->journal, &info);
    uint8_t row[17] = {PART_ROW_VERSION};
    ms_put_le32(row + 1, PART_FORMAT);
    MS_TRY(meta_put(txn, SLICE_LIT("format"), row, 5));
    memcpy(row + 1, info.partition_id, 16);
    MS_TRY(meta_put(txn, SLICE_LIT("partition"), row, 17));
    ms_put_le64(row + 1, info.timeline);
    MS_TRY(meta_put(txn, SLICE_LIT("timeline"), row, 9));
    return part__meta_put_applied(txn, &(struct journal_mark){0});
}
