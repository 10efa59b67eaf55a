/*
 * part_verify.c - everything that can be checked without trusting anything: bytes against hashes, rows
 * against each other, references against their owners, every record against its checksums.
 *
 * One snapshot for all of it: run it at a quiet time. Changes that happen meanwhile are not seen, and bytes
 * that are let go meanwhile stay readable, because segments are not removed while the snapshot's blobs are
 * live in it - but for a segment whose last blob went after the snapshot; that is told apart by asking a
 * newer snapshot.
 */
#include "part_priv.h"

#include <stdarg.h>
#include <stdio.h>

struct verify {
    struct partition *p;
    struct part_snap snap;
    struct map refs; /* blob id -> count */
    void (*problem)(void *, const char *);
    void *owner;
    uint64_t problems;
    struct str bytes;
};

static void complain(struct verify *v, const char *fmt, ...) MS_PRINTF(2, 3);
static void complain(struct verify *v, const char *fmt, ...)
{
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    v->problems++;
    v->problem(v->owner, line);
}

static void on_problem(void *owner, const char *line)
{
    complain(owner, "%s", line);
}

static void on_ref(void *owner, uint64_t id)
{
    struct verify *v = owner;
    uintptr_t count = (uintptr_t)map_find_u64(&v->refs, id) + 1;
    map_put_u64(&v->refs, id, (void *)count); /* the value is the number itself */
}

/* -- log --------------------------------------------------------------------------------------- */

static enum ms_err on_record(void *owner, const struct journal_record *rec)
{
    struct verify *v = owner;
    struct part__record parsed;
    struct part__op_view view;
    if (rec->kind != JOURNAL_REC_USER)
        return MS_OK;
    if (part__record_parse(rec->payload, rec->payload_bytes, &parsed)) {
        complain(v, "record %016llx: its ops cannot be read", (unsigned long long)rec->position);
        return MS_OK;
    }
    while (part__record_next(&parsed, &view) == MS_OK)
        if (!part__op_find(v->p, view.kind, view.version))
            complain(v, "record %016llx: op %u version %u is not known", (unsigned long long)rec->position,
                     view.kind, view.version);
    return MS_OK;
}

static void on_damage(void *owner, uint64_t from, uint64_t to, const char *what)
{
    complain(owner, "log %016llx-%016llx: %s", (unsigned long long)from, (unsigned long long)to, what);
}

/* -- blobs ---------------------------------------------------------------------------------------- */

static bool ext_points_to(struct verify *v, uint64_t position, uint64_t id)
{
    uint8_t key[8];
    struct slice row;
    part__blob_key(position, key);
    return db_get(v->snap.txn, PART_DB_BLOBEXT, slice_make(key, 8), &row) == MS_OK && row.len == 9 &&
           ms_get_le64(row.ptr + 1) == id;
}

static void check_rows_of(struct verify *v, const struct part_blob *b)
{
    unsigned long long id = b->id;
    for (unsigned i = 0; i < b->extent_count; i++) {
        struct part_extent e = part_blob_extent(b, i);
        if (e.position != b->id && !ext_points_to(v, e.position, b->id))
            complain(v, "blob %016llx: extent %016llx has no row", id, (unsigned long long)e.position);
    }
    uint8_t key[24];
    struct slice row;
    part__digest_key(b->hash, b->id, key);
    bool there = db_get(v->snap.txn, PART_DB_DIGEST, slice_make(key, 24), &row) == MS_OK;
    if (there != ((b->flags & PART_BLOB_DIGEST) != 0))
        complain(v, "blob %016llx: its digest row is %s", id, there ? "there and should not be" : "missing");
    uintptr_t counted = (uintptr_t)map_remove_u64(&v->refs, b->id);
    if (v->p->verifier_count && counted != b->refs)
        complain(v, "blob %016llx: %u references, %llu counted", id, b->refs, (unsigned long long)counted);
}

/* A blob that was let go since may have lost its segment. */
static bool is_still_there(struct verify *v, uint64_t id)
{
    struct part_snap now;
    struct part_blob blob;
    if (part_snap_begin(v->p, &now))
        return true;
    bool there = part_blob_find(&now, id, &blob) == MS_OK;
    part_snap_end(&now);
    return there;
}

static void check_bytes_of(struct verify *v, const struct part_blob *b)
{
    str_reset(&v->bytes);
    if (part_blob_read_sync(v->p, b, &v->bytes) && is_still_there(v, b->id))
        complain(v, "blob %016llx: its bytes are damaged or missing", (unsigned long long)b->id);
    str_reset(&v->bytes);
    if (part_cache_read_sync(v->p, b, &v->bytes) && is_still_there(v, b->id))
        complain(v, "blob %016llx: its cache cannot be read", (unsigned long long)b->id);
}

static enum ms_err each_row(struct verify *v, unsigned dbi,
                            void (*check)(struct verify *, struct slice, struct slice))
{
    struct db_cur *cur;
    struct slice key, value;
    MS_TRY(db_cur_open(v->snap.txn, dbi, &cur));
    enum ms_err err = db_cur_seek(cur, SLICE_LIT(""), &key, &value);
    for (; !err; err = db_cur_next(cur, &key, &value))
        check(v, key, value);
    db_cur_close(&cur);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

static void check_blob(struct verify *v, struct slice key, struct slice value)
{
    struct part_blob b;
    if (key.len != 8 || part_blob_parse(ms_get_be64(key.ptr), value, &b)) {
        complain(v, "blob row: damaged");
        return;
    }
    if (b.refs == 0)
        complain(v, "blob %016llx: no references", (unsigned long long)b.id);
    check_rows_of(v, &b);
    check_bytes_of(v, &b);
}

static bool has_extent_at(const struct part_blob *b, uint64_t position)
{
    bool found = b->cache_at.len && b->cache_at.position == position;
    for (unsigned i = 0; i < b->extent_count && !found; i++)
        found = part_blob_extent(b, i).position == position;
    return found;
}

static void check_ext(struct verify *v, struct slice key, struct slice value)
{
    struct part_blob b;
    if (key.len != 8 || value.len != 9 || part_blob_find(&v->snap, ms_get_le64(value.ptr + 1), &b) ||
        !has_extent_at(&b, ms_get_be64(key.ptr)))
        complain(v, "extent row %016llx: belongs to no blob",
                 key.len == 8 ? (unsigned long long)ms_get_be64(key.ptr) : 0);
}

static void check_digest(struct verify *v, struct slice key, struct slice value)
{
    struct part_blob b;
    if (key.len != 24 || part_blob_find(&v->snap, ms_get_be64(key.ptr + 16), &b) ||
        !(b.flags & PART_BLOB_DIGEST))
        complain(v, "digest row: belongs to no blob");
}

static void check_left_refs(struct verify *v)
{
    size_t cursor = 0;
    struct slice key;
    void *count;
    while (map_next(&v->refs, &cursor, &key, &count)) {
        uint64_t id;
        memcpy(&id, key.ptr, sizeof(id));
        complain(v, "blob %016llx: %llu references, but no row", (unsigned long long)id,
                 (unsigned long long)(uintptr_t)count);
    }
}

static enum ms_err check_index(struct verify *v)
{
    for (unsigned i = 0; i < v->p->verifier_count; i++)
        MS_TRY(v->p->verifiers[i](&v->snap, on_ref, v, on_problem, v));
    MS_TRY(each_row(v, PART_DB_BLOB, check_blob));
    MS_TRY(each_row(v, PART_DB_BLOBEXT, check_ext));
    MS_TRY(each_row(v, PART_DB_DIGEST, check_digest));
    check_left_refs(v);
    return MS_OK;
}

enum ms_err partition_verify(struct partition *p, void (*problem)(void *, const char *), void *owner,
                             struct ms_errinfo *why_out)
{
    struct verify v = {.p = p, .problem = problem, .owner = owner};
    enum ms_err err = part_snap_begin(p, &v.snap);
    if (err)
        return ms_fail(why_out, err, "%s: the index cannot be read", p->conf.name);
    map_init(&v.refs);
    str_init(&v.bytes, 0);
    err = check_index(&v);
    part_snap_end(&v.snap);
    struct journal_info info;
    journal_info(p->journal, &info);
    if (!err)
        err = journal_replay(p->journal, info.first, true, on_record, on_damage, &v, why_out);
    map_fini(&v.refs);
    str_fini(&v.bytes);
    if (err)
        return ms_fail(why_out, err, "%s: verify stopped: %s", p->conf.name, ms_err_text(err));
    if (v.problems)
        return ms_fail(why_out, MS_EDAMAGED, "%s: %llu problems", p->conf.name,
                       (unsigned long long)v.problems);
    return MS_OK;
}
