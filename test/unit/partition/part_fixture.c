#include "part_fixture.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/mman.h>
#include <sys/stat.h>

bool test_crash, test_broken;

/* -- ops --------------------------------------------------------------------------------------- */

static void result(struct part_tx *tx, enum ms_err err, uint64_t value)
{
    uint8_t out[9] = {(uint8_t)err};
    ms_put_le64(out + 1, value);
    part_tx_result(tx, out, sizeof(out));
}

static enum ms_err counter_put(struct part_tx *tx, uint64_t key, int64_t value)
{
    uint8_t k[8], row[9] = {1};
    ms_put_be64(k, key);
    ms_put_le64(row + 1, (uint64_t)value);
    return db_put(part_tx_db(tx), PART_DB_QUEUE, slice_make(k, 8), slice_make(row, 9));
}

static enum ms_err apply_make(struct part_tx *tx, struct slice op)
{
    struct rd r = rd_make(op);
    MS_TRY(counter_put(tx, rd_u64(&r), 0));
    result(tx, MS_OK, 0);
    return MS_OK;
}

static enum ms_err apply_add(struct part_tx *tx, struct slice op)
{
    struct rd r = rd_make(op);
    uint64_t key = rd_u64(&r);
    int64_t delta = (int64_t)rd_u64(&r), value = 0;
    uint8_t k[8];
    struct slice row;
    ms_put_be64(k, key);
    enum ms_err err = db_get(part_tx_db(tx), PART_DB_QUEUE, slice_make(k, 8), &row);
    if (err == MS_ENOTFOUND && !part_tx_is_salvage(tx)) {
        result(tx, MS_ENOTFOUND, 0);
        return MS_OK;
    }
    if (err == MS_ENOTFOUND)
        part_tx_lost(tx, "counter %llu was made in the hole", (unsigned long long)key);
    else if (err)
        return err;
    else
        value = (int64_t)ms_get_le64(row.ptr + 1);
    if (value + delta < 0) {
        result(tx, MS_EQUOTA, (uint64_t)value);
        return MS_OK;
    }
    MS_TRY(counter_put(tx, key, value + delta));
    result(tx, MS_OK, (uint64_t)(value + delta));
    return MS_OK;
}

static enum ms_err slot_clear(struct part_tx *tx, uint64_t slot)
{
    uint8_t k[8];
    struct slice row;
    ms_put_be64(k, slot);
    enum ms_err err = db_get(part_tx_db(tx), PART_DB_MESSAGE, slice_make(k, 8), &row);
    if (err)
        return err;
    uint64_t id = ms_get_le64(row.ptr + 1);
    MS_TRY(db_del(part_tx_db(tx), PART_DB_MESSAGE, slice_make(k, 8)));
    return part_blob_ref(tx, id, -1);
}

static enum ms_err slot_put(struct part_tx *tx, uint64_t slot, uint64_t id)
{
    uint8_t k[8], row[9] = {1};
    ms_put_be64(k, slot);
    ms_put_le64(row + 1, id);
    MS_TRY(db_put(part_tx_db(tx), PART_DB_MESSAGE, slice_make(k, 8), slice_make(row, 9)));
    return part_blob_ref(tx, id, 1);
}

static enum ms_err apply_put(struct part_tx *tx, struct slice op)
{
    struct rd r = rd_make(op);
    uint64_t slot = rd_u64(&r), id, size;
    struct part_blob_source src;
    MS_TRY(part_blob_source_parse(&r, &src));
    enum ms_err err = part_blob_check(tx, &src, &size);
    if (err == MS_EGONE) {
        result(tx, MS_EGONE, 0);
        return MS_OK;
    }
    if (err)
        return err;
    MS_TRY(part_blob_add(tx, &src, &id));
    err = slot_clear(tx, slot);
    if (err && err != MS_ENOTFOUND)
        return err;
    MS_TRY(slot_put(tx, slot, id));
    result(tx, MS_OK, id);
    return MS_OK;
}

static enum ms_err apply_drop(struct part_tx *tx, struct slice op)
{
    struct rd r = rd_make(op);
    enum ms_err err = slot_clear(tx, rd_u64(&r));
    if (err && err != MS_ENOTFOUND)
        return err;
    result(tx, err, 0);
    return MS_OK;
}

static enum ms_err apply_crash(struct part_tx *tx, struct slice op)
{
    if (test_crash)
        _exit(99);
    struct str add;
    str_init(&add, 0);
    str_add_slice(&add, op);
    str_add_le64(&add, 1);
    enum ms_err err = apply_add(tx, str_slice(&add));
    str_fini(&add);
    return err;
}

static enum ms_err apply_tell(struct part_tx *tx, struct slice op)
{
    struct rd r = rd_make(op);
    uint64_t mailbox = rd_u64(&r), n = rd_u64(&r);
    part_tx_changed(tx, mailbox, n);
    part_tx_note(tx, T_PORT, T_NOTE, mailbox, n, part_tx_position(tx));
    part_tx_settle(tx, (uint32_t)n, MS_EQUOTA);
    enum ms_err err = MS_OK;
    result(tx, part_tx_settled(tx, (uint32_t)n, &err) ? err : MS_EUNKNOWN, part_tx_op_index(tx));
    return MS_OK;
}

static enum ms_err apply_broken(struct part_tx *tx, struct slice op)
{
    result(tx, MS_OK, 0);
    return test_broken ? MS_EDAMAGED : MS_OK;
}

static void dump_op(struct slice op, struct str *out)
{
    struct rd r = rd_make(op);
    while (rd_left(&r) >= 8)
        str_addf(out, "%llx ", (unsigned long long)rd_u64(&r));
}

static void dump_put(struct slice op, struct str *out)
{
    struct rd r = rd_make(op);
    struct part_blob_source src;
    str_addf(out, "slot=%llx ", (unsigned long long)rd_u64(&r));
    if (part_blob_source_parse(&r, &src))
        str_add_cstr(out, "damaged: source");
    else
        part_blob_source_dump(&src, out);
}

static const struct part_op test_ops[] = {
    {.kind = T_MAKE, .version = 1, .name = "make", .apply = apply_make, .dump = dump_op},
    {.kind = T_ADD, .version = 1, .name = "add", .apply = apply_add, .dump = dump_op},
    {.kind = T_PUT, .version = 1, .name = "put", .apply = apply_put, .dump = dump_put},
    {.kind = T_DROP, .version = 1, .name = "drop", .apply = apply_drop, .dump = dump_op},
    {.kind = T_CRASH, .version = 1, .name = "crash", .apply = apply_crash, .dump = dump_op},
    {.kind = T_TELL, .version = 1, .name = "tell", .apply = apply_tell, .dump = dump_op},
    {.kind = T_BROKEN, .version = 1, .name = "broken", .apply = apply_broken, .dump = dump_op},
};

static void dump_row(struct slice key, struct slice value, struct str *out)
{
    str_addf(out, "%llx = %llx", (unsigned long long)ms_get_be64(key.ptr),
             (unsigned long long)ms_get_le64(value.ptr + 1));
}

static const struct part_row test_rows[] = {
    {.db = PART_DB_QUEUE, .name = "counter", .dump = dump_row},
    {.db = PART_DB_MESSAGE, .name = "slot", .dump = dump_row},
};

static enum ms_err verify_slots(struct part_snap *snap, void (*ref)(void *, uint64_t), void *ref_owner,
                                void (*problem)(void *, const char *), void *owner)
{
    struct db_cur *cur;
    struct slice k, v;
    MS_TRY(db_cur_open(snap->txn, PART_DB_MESSAGE, &cur));
    enum ms_err err = db_cur_seek(cur, SLICE_LIT(""), &k, &v);
    for (; !err; err = db_cur_next(cur, &k, &v))
        ref(ref_owner, ms_get_le64(v.ptr + 1));
    db_cur_close(&cur);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

static enum ms_err salvage(struct part_tx *tx, uint64_t stream, const struct part_blob_source *src)
{
    uint64_t id;
    MS_TRY(part_blob_add(tx, src, &id));
    return slot_put(tx, 0xFFFF000000000000u | id, id);
}

/* -- folder --------------------------------------------------------------------------------------- */

void fixture_open(struct fixture *f)
{
    struct ms_errinfo why = {0};
    if (partition_open(&f->conf, true, &f->p, &why))
        fail_msg("open: %s", why.text);
    partition_register(f->p, test_ops, MS_ARRAY_LEN(test_ops), test_rows, MS_ARRAY_LEN(test_rows));
    partition_register_verify(f->p, verify_slots);
    partition_register_salvage(f->p, salvage);
}

void fixture_recover(struct fixture *f, enum part_recover_mode mode)
{
    struct ms_errinfo why = {0};
    str_fini(&f->report.text);
    f->report = (struct part_report){0};
    str_init(&f->report.text, 0);
    if (partition_recover(f->p, mode, &f->report, &why))
        fail_msg("recover: %s\n%s", why.text, str_cstr(&f->report.text));
}

void fixture_start(struct fixture *f)
{
    *f = (struct fixture){0};
    if (!getenv("TEST_PART_LOG"))
        obs_set_level(OBS_ERROR, OBS_LOGFMT);
    snprintf(f->dir, sizeof(f->dir), "/tmp/test_part.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->conf = (struct partition_conf){.name = "test",
                                      .dir = f->dir,
                                      .segment_bytes = JOURNAL_SEGMENT_MIN,
                                      .map_bytes = (uint64_t)1 << 30,
                                      .ballast_bytes = 1 << 20,
                                      .flush = false}; /* the tests here kill processes, not machines */
    str_init(&f->report.text, 0);
    fixture_open(f);
    fixture_recover(f, PART_RECOVER_NORMAL);
}

void fixture_close(struct fixture *f)
{
    partition_close(&f->p);
}

void fixture_restart(struct fixture *f)
{
    fixture_close(f);
    fixture_open(f);
    fixture_recover(f, PART_RECOVER_NORMAL);
}

void fixture_sh(struct fixture *f, const char *fmt, ...)
{
    char cmd[1024];
    int at = snprintf(cmd, sizeof(cmd), "cd %s && ", f->dir);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(cmd + at, sizeof(cmd) - (size_t)at, fmt, ap);
    va_end(ap);
    if (system(cmd))
        fail_msg("%s", cmd);
}

static unsigned damage_file(const char *path, const char *needle)
{
    struct stat st;
    unsigned n = 0;
    int fd = open(path, O_RDWR);
    if (fd < 0) /* was being prepared, under another name now */
        return 0;
    assert_int_equal(fstat(fd, &st), 0);
    if (st.st_size == 0) {
        close(fd);
        return 0;
    }
    uint8_t *map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED);
    for (uint8_t *at = map; (at = memmem(at, (size_t)(map + st.st_size - at), needle, strlen(needle))); n++)
        *at ^= 1;
    munmap(map, (size_t)st.st_size);
    close(fd);
    return n;
}

unsigned fixture_damage(struct fixture *f, const char *needle)
{
    char pattern_[128];
    glob_t g;
    unsigned n = 0;
    snprintf(pattern_, sizeof(pattern_), "%s/journal/*.seg", f->dir);
    assert_int_equal(glob(pattern_, 0, NULL, &g), 0);
    for (size_t i = 0; i < g.gl_pathc; i++)
        n += damage_file(g.gl_pathv[i], needle);
    globfree(&g);
    return n;
}

void fixture_stop(struct fixture *f)
{
    fixture_close(f);
    str_fini(&f->report.text);
    fixture_sh(f, "rm -rf %s", f->dir);
}

/* -- building ------------------------------------------------------------------------------------- */

static void op_u64(struct part_rec *rec, uint16_t kind, unsigned n, uint64_t a, uint64_t b)
{
    struct str *op = part_rec_op_begin(rec, kind, 1);
    if (n > 0)
        str_add_le64(op, a);
    if (n > 1)
        str_add_le64(op, b);
    part_rec_op_end(rec);
}

void op_make(struct part_rec *rec, uint64_t key)
{
    op_u64(rec, T_MAKE, 1, key, 0);
}

void op_add(struct part_rec *rec, uint64_t key, int64_t delta)
{
    op_u64(rec, T_ADD, 2, key, (uint64_t)delta);
}

void op_drop(struct part_rec *rec, uint64_t slot)
{
    op_u64(rec, T_DROP, 1, slot, 0);
}

void op_crash(struct part_rec *rec, uint64_t key)
{
    op_u64(rec, T_CRASH, 1, key, 0);
}

void op_tell(struct part_rec *rec, uint64_t mailbox, uint64_t n)
{
    op_u64(rec, T_TELL, 2, mailbox, n);
}

void op_broken(struct part_rec *rec)
{
    op_u64(rec, T_BROKEN, 0, 0, 0);
}

void op_put_existing(struct part_rec *rec, uint64_t slot, uint64_t id)
{
    struct str *op = part_rec_op_begin(rec, T_PUT, 1);
    str_add_le64(op, slot);
    part_blob_source_emit_existing(op, id);
    part_rec_op_end(rec);
}

void op_put(struct part_rec *rec, uint64_t slot, struct slice bytes, struct slice cache, bool digest)
{
    struct part_blob_source src = {.how = PART_SOURCE_INLINE,
                                   .size = bytes.len,
                                   .hash = sum128_of(bytes),
                                   .flags = digest,
                                   .cache = cache,
                                   .cache_bytes = (uint32_t)cache.len,
                                   .cache_behind = cache.len > PART_CACHE_ROW_MAX,
                                   .cache_offset = (uint32_t)bytes.len};
    struct str *op = part_rec_op_begin(rec, T_PUT, 1);
    str_add_le64(op, slot);
    part__source_emit(&src, op);
    part_rec_op_end(rec);
    rec->body = mbuf_from(bytes);
    if (src.cache_behind)
        rec->body->next = mbuf_from(cache);
}

struct outcome outcome_next(struct rd *r)
{
    struct outcome o = {(enum ms_err)rd_u8(r), 0};
    o.value = rd_u64(r);
    assert_false(r->bad);
    return o;
}

struct outcome apply_now(struct fixture *f, struct part_rec *rec, uint64_t *position_out)
{
    struct str out;
    struct ms_errinfo why = {0};
    str_init(&out, 0);
    if (partition_apply_sync(f->p, rec, &out, position_out, &why))
        fail_msg("apply: %s", why.text);
    struct rd r = rd_make(str_slice(&out));
    struct outcome o = outcome_next(&r);
    str_fini(&out);
    return o;
}

/* -- looking -------------------------------------------------------------------------------------- */

static bool row_get(struct partition *p, enum part_db db, uint64_t key, uint64_t *value_out)
{
    struct part_snap snap;
    struct slice row;
    uint8_t k[8];
    ms_put_be64(k, key);
    OK(part_snap_begin(p, &snap));
    enum ms_err err = db_get(PART_SNAP_DB(&snap), db, slice_make(k, 8), &row);
    if (!err)
        *value_out = ms_get_le64(row.ptr + 1);
    part_snap_end(&snap);
    return !err;
}

int64_t counter_get(struct partition *p, uint64_t key)
{
    uint64_t v;
    return row_get(p, PART_DB_QUEUE, key, &v) ? (int64_t)v : INT64_MIN;
}

uint64_t slot_get(struct partition *p, uint64_t slot)
{
    uint64_t v;
    return row_get(p, PART_DB_MESSAGE, slot, &v) ? v : 0;
}

void slot_bytes(struct partition *p, uint64_t slot, struct str *out)
{
    struct part_snap snap;
    struct part_blob blob;
    uint64_t id = slot_get(p, slot);
    OK(part_snap_begin(p, &snap));
    OK(part_blob_find(&snap, id, &blob));
    str_reset(out);
    OK(part_blob_read_sync(p, &blob, out));
    part_snap_end(&snap);
}

uint64_t rows_in(struct partition *p, enum part_db db)
{
    struct part_snap snap;
    OK(part_snap_begin(p, &snap));
    uint64_t n = db_count(PART_SNAP_DB(&snap), db);
    part_snap_end(&snap);
    return n;
}

static void on_line(void *owner, const char *line)
{
    str_add_cstr(owner, line);
    str_add_byte(owner, '\n');
}

void dump_index(struct partition *p, struct str *out)
{
    str_reset(out);
    OK(partition_dump_index(p, on_line, out));
}

void dump_log(struct partition *p, struct str *out)
{
    str_reset(out);
    OK(partition_dump_log(p, 0, on_line, out));
}

enum ms_err verify(struct partition *p, struct str *out)
{
    str_reset(out);
    return partition_verify(p, on_line, out, NULL);
}

void pattern(struct str *out, size_t len, uint64_t seed)
{
    str_reset(out);
    for (size_t i = 0; i < len; i++)
        str_add_byte(out, (uint8_t)((seed * 131 + i * 7 + (i >> 8)) & 0xFF));
}
