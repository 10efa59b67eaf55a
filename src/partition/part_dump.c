/*
 * part_dump.c - log and index as text, one record or row a line.
 *
 * The same log gives the same text wherever it is: no pointers, no checksums that depend on a segment's salt,
 * no times but those in the log. Damaged input gives a line that says so.
 */
#include "part_priv.h"

#include "ms/base/clock.h"

struct dump {
    struct partition *p;
    void (*line)(void *, const char *);
    void *owner;
    struct str text;
};

static void out(struct dump *d)
{
    d->line(d->owner, str_cstr(&d->text));
    str_reset(&d->text);
}

static void add_hex(struct str *s, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        str_addf(s, "%02x", bytes.ptr[i]);
}

/* -- log --------------------------------------------------------------------------------------- */

static void dump_ops(struct dump *d, const struct journal_record *rec)
{
    struct part__record parsed;
    struct part__op_view view;
    if (part__record_parse(rec->payload, rec->payload_bytes, &parsed)) {
        str_add_cstr(&d->text, "  damaged: its ops cannot be read");
        out(d);
        return;
    }
    while (part__record_next(&parsed, &view) == MS_OK) {
        const struct part_op *op = part__op_find(d->p, view.kind, view.version);
        str_addf(&d->text, "  %s v%u", op ? op->name : "unknown", view.version);
        if (!op)
            str_addf(&d->text, " kind %u", view.kind);
        if (op) {
            str_add_byte(&d->text, ' ');
            op->dump(view.payload, &d->text);
        }
        out(d);
    }
}

static const char *kind_name(uint16_t kind)
{
    switch (kind) {
    case JOURNAL_REC_RECOVERED:
        return "recovered";
    case JOURNAL_REC_FILLER:
        return "filler";
    case JOURNAL_REC_PART:
        return "part";
    case JOURNAL_REC_SKIP:
        return "skip";
    case JOURNAL_REC_USER:
        return "ops";
    default:
        return "unknown";
    }
}

static enum ms_err dump_record(void *owner, const struct journal_record *rec)
{
    struct dump *d = owner;
    char when[CLOCK_RFC3339_MAX];
    clock_emit_rfc3339(rec->time_us, when);
    str_addf(&d->text, "%016llx %s v%u epoch=%llu batch=%llx time=%s bytes=%zu",
             (unsigned long long)rec->position, kind_name(rec->kind), rec->version,
             (unsigned long long)rec->epoch, (unsigned long long)rec->batch, when, rec->payload_bytes);
    struct rd r = rd_make(rec->payload);
    if (rec->kind == JOURNAL_REC_PART) {
        uint64_t stream = rd_u64(&r);
        str_addf(&d->text, " stream=%llx part=%u", (unsigned long long)stream, rd_u32(&r));
    } else if (rec->kind == JOURNAL_REC_FILLER && rec->version == JOURNAL_FILLER_OLD_END) {
        str_add_cstr(&d->text, " old end, nothing is missing");
    } else if (rec->kind == JOURNAL_REC_SKIP) {
        str_addf(&d->text, " position=%016llx", (unsigned long long)rd_u64(&r));
    }
    out(d);
    if (rec->kind == JOURNAL_REC_USER)
        dump_ops(d, rec);
    return MS_OK;
}

static void dump_damage(void *owner, uint64_t from, uint64_t to, const char *what)
{
    struct dump *d = owner;
    str_addf(&d->text, "%016llx-%016llx damaged: %s", (unsigned long long)from, (unsigned long long)to, what);
    out(d);
}

enum ms_err partition_dump_log(struct partition *p, uint64_t from, void (*line)(void *, const char *),
                               void *owner)
{
    struct dump d = {.p = p, .line = line, .owner = owner};
    str_init(&d.text, 0);
    enum ms_err err = journal_replay(p->journal, from, true, dump_record, dump_damage, &d, NULL);
    str_fini(&d.text);
    return err;
}

/* -- index ---------------------------------------------------------------------------------------- */

static void dump_meta(struct slice key, struct slice value, struct str *s)
{
    struct rd r = rd_make(value);
    (void)rd_u8(&r);
    str_add_slice(s, key);
    str_add_byte(s, ' ');
    if (slice_eq_cstr(key, "applied")) { /* without the checksum: it is salted */
        uint64_t position = rd_u64(&r);
        str_addf(s, "%016llx epoch=%llu", (unsigned long long)position, (unsigned long long)rd_u64(&r));
        return;
    }
    add_hex(s, rd_bytes(&r, rd_left(&r)));
}

static void dump_blob(struct slice key, struct slice value, struct str *s)
{
    struct part_blob b;
    if (key.len != 8 || part_blob_parse(ms_get_be64(key.ptr), value, &b)) {
        str_add_cstr(s, "damaged: not a blob row");
        return;
    }
    str_addf(s, "%016llx refs=%u size=%llu hash=%016llx%016llx flags=%u cache=%zu", (unsigned long long)b.id,
             b.refs, (unsigned long long)b.size, (unsigned long long)b.hash.hi, (unsigned long long)b.hash.lo,
             b.flags, b.cache.len);
    if (b.cache_at.len)
        str_addf(s, " cache_at=%016llx+%u", (unsigned long long)b.cache_at.position, b.cache_at.len);
    str_add_cstr(s, " extents=");
    for (unsigned i = 0; i < b.extent_count; i++) {
        struct part_extent e = part_blob_extent(&b, i);
        str_addf(s, "%s%016llx+%u", i ? "," : "", (unsigned long long)e.position, e.len);
    }
    if (b.cache.len)
        str_addf(s, " cache_sum=%016llx", (unsigned long long)sum128_of(b.cache).lo);
}

static void dump_blobext(struct slice key, struct slice value, struct str *s)
{
    if (key.len != 8 || value.len != 9 || value.ptr[0] != PART_ROW_VERSION)
        str_add_cstr(s, "damaged: not an extent row");
    else
        str_addf(s, "%016llx of %016llx", (unsigned long long)ms_get_be64(key.ptr),
                 (unsigned long long)ms_get_le64(value.ptr + 1));
}

static void dump_digest(struct slice key, struct slice value, struct str *s)
{
    if (key.len != 24 || value.len != 1 || value.ptr[0] != PART_ROW_VERSION)
        str_add_cstr(s, "damaged: not a digest row");
    else
        str_addf(s, "%016llx%016llx %016llx", (unsigned long long)ms_get_le64(key.ptr + 8),
                 (unsigned long long)ms_get_le64(key.ptr), (unsigned long long)ms_get_be64(key.ptr + 16));
}

static void dump_raw(struct slice key, struct slice value, struct str *s)
{
    add_hex(s, key);
    str_add_byte(s, ' ');
    add_hex(s, value);
}

static part_row_dump_fn *row_dump_of(const struct partition *p, unsigned dbi)
{
    static part_row_dump_fn *const own[] = {
        [PART_DB_META] = dump_meta,
        [PART_DB_BLOB] = dump_blob,
        [PART_DB_BLOBEXT] = dump_blobext,
        [PART_DB_DIGEST] = dump_digest,
    };
    if (dbi < MS_ARRAY_LEN(own))
        return own[dbi];
    return p->rows[dbi] ? p->rows[dbi]->dump : dump_raw;
}

static enum ms_err dump_db(struct dump *d, struct db_txn *txn, unsigned dbi)
{
    struct db_cur *cur;
    struct slice key, value;
    part_row_dump_fn *dump = row_dump_of(d->p, dbi);
    MS_TRY(db_cur_open(txn, dbi, &cur));
    enum ms_err err = db_cur_seek(cur, SLICE_LIT(""), &key, &value);
    for (; !err; err = db_cur_next(cur, &key, &value)) {
        str_addf(&d->text, "%s ", part__db_names[dbi]);
        dump(key, value, &d->text);
        out(d);
    }
    db_cur_close(&cur);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

static enum ms_err dump_all(struct dump *d, struct db *db)
{
    struct db_txn *txn;
    enum ms_err err = db_read_begin(db, &txn);
    if (err)
        return err;
    for (unsigned i = 0; i < PART_DB_COUNT && !err; i++)
        err = dump_db(d, txn, i);
    db_read_end(&txn);
    return err;
}

enum ms_err partition_dump_index(struct partition *p, void (*line)(void *, const char *), void *owner)
{
    struct dump d = {.p = p, .line = line, .owner = owner};
    char path[PART_PATH_MAX];
    struct db *db = p->db;
    part__path(p, "index.mdb", path);
    if (!db) /* nothing recovered: as it lies there */
        MS_TRY(part__index_open(p, path, true, false, &db, NULL));
    str_init(&d.text, 0);
    enum ms_err err = dump_all(&d, db);
    str_fini(&d.text);
    if (db != p->db)
        db_close(&db);
    return err;
}
