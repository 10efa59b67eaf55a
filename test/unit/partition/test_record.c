/* Forms: records, sources, blob rows; built and parsed, and everything that must not parse. */
#include "part_fixture.h"

static void record_round_trip(void **state)
{
    struct part_rec rec;
    part_rec_init(&rec);
    op_make(&rec, 1);
    op_add(&rec, 1, -5);
    op_broken(&rec);
    part__rec_finish(&rec);
    struct part__record parsed;
    struct part__op_view v;
    OK(part__record_parse(str_slice(&rec.meta), rec.meta.len + 100, &parsed));
    assert_int_equal(parsed.op_count, 3);
    assert_int_equal(parsed.meta_bytes, rec.meta.len);
    static const uint16_t kinds[] = {T_MAKE, T_ADD, T_BROKEN};
    static const size_t sizes[] = {8, 16, 0};
    for (unsigned i = 0; i < 3; i++) {
        OK(part__record_next(&parsed, &v));
        assert_int_equal(v.kind, kinds[i]);
        assert_int_equal(v.version, 1);
        assert_int_equal(v.payload.len, sizes[i]);
    }
    assert_int_equal(part__record_next(&parsed, &v), MS_ENOTFOUND);
    part_rec_fini(&rec);
}

/* Every cut and every changed length is refused or at least stays inside. */
static void record_bad(void **state)
{
    struct part_rec rec;
    struct part__record parsed;
    struct part__op_view v;
    part_rec_init(&rec);
    op_make(&rec, 1);
    op_add(&rec, 1, 2);
    part__rec_finish(&rec);
    struct slice good = str_slice(&rec.meta);
    for (size_t cut = 0; cut < good.len; cut++) {
        uint8_t *copy = ms_memdup(good.ptr, cut ? cut : 1);
        assert_int_equal(part__record_parse(slice_make(copy, cut), cut, &parsed), MS_EDAMAGED);
        ms_free(copy);
    }
    static const struct {
        size_t at;
        uint8_t value;
    } bad[] = {{0, 0}, {0, 7}, {1, 1}, {3, 1},  {4, 0},  {4, 1},
               {4, 3}, {6, 1}, {7, 1}, {12, 7}, {12, 9}, {15, 255}};
    for (unsigned i = 0; i < MS_ARRAY_LEN(bad); i++) {
        uint8_t *copy = ms_memdup(good.ptr, good.len);
        assert_int_not_equal(copy[bad[i].at], bad[i].value);
        copy[bad[i].at] = bad[i].value;
        assert_int_equal(part__record_parse(slice_make(copy, good.len), good.len, &parsed), MS_EDAMAGED);
        ms_free(copy);
    }
    OK(part__record_parse(good, good.len, &parsed));
    OK(part__record_next(&parsed, &v));
    part_rec_fini(&rec);
}

static void record_too_long(void **state)
{
    struct part_rec rec;
    part_rec_init(&rec);
    struct str *op = part_rec_op_begin(&rec, T_MAKE, 1);
    static uint8_t big[1 << 16];
    for (unsigned i = 0; i < 20; i++)
        str_add(op, big, sizeof(big));
    part_rec_op_end(&rec);
    assert_true(str_is_over(&rec.meta));
    part_rec_fini(&rec);
}

static struct slice source_form(struct str *s, const struct part_blob_source *src)
{
    str_reset(s);
    part__source_emit(src, s);
    return str_slice(s);
}

static void source_round_trip(void **state)
{
    struct str s, parts, text;
    str_init(&s, 0);
    str_init(&parts, 0);
    str_init(&text, 0);
    for (unsigned i = 0; i < 3; i++) {
        str_add_le64(&parts, 1000 + i * 200000);
        str_add_le32(&parts, i < 2 ? JOURNAL_PART_BYTES : 5);
    }
    const struct part_blob_source rows[] = {
        {.how = PART_SOURCE_INLINE,
         .size = 10,
         .hash = {1, 2},
         .flags = 1,
         .cache = SLICE_LIT("abc"),
         .cache_bytes = 3},
        {.how = PART_SOURCE_INLINE,
         .offset = 7,
         .size = 0,
         .cache_behind = true,
         .cache_bytes = 5000,
         .cache_offset = 7},
        {.how = PART_SOURCE_PARTS,
         .size = 2 * JOURNAL_PART_BYTES + 5,
         .part_count = 3,
         .parts = str_slice(&parts)},
    };
    for (unsigned i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct part_blob_source got;
        struct rd r = rd_make(source_form(&s, &rows[i]));
        OK(part_blob_source_parse(&r, &got));
        assert_int_equal(rd_left(&r), 0);
        assert_int_equal(got.how, rows[i].how);
        assert_int_equal(got.size, rows[i].size);
        assert_int_equal(got.offset, rows[i].offset);
        assert_true(sum128_eq(got.hash, rows[i].hash));
        assert_int_equal(got.flags, rows[i].flags);
        assert_true(slice_eq(got.cache, rows[i].cache));
        assert_int_equal(got.cache_bytes, rows[i].cache_bytes);
        assert_int_equal(got.cache_behind, rows[i].cache_behind);
        assert_int_equal(got.cache_offset, rows[i].cache_offset);
        assert_int_equal(got.part_count, rows[i].part_count);
        assert_int_equal(got.raw.len, s.len);
        part_blob_source_dump(&got, &text);
        for (size_t cut = 0; cut < s.len; cut++) {
            uint8_t *copy = ms_memdup(s.ptr, cut ? cut : 1);
            r = rd_make(slice_make(copy, cut));
            assert_int_equal(part_blob_source_parse(&r, &got), MS_EDAMAGED);
            ms_free(copy);
        }
    }
    str_reset(&s);
    part_blob_source_emit_existing(&s, 77);
    struct part_blob_source got;
    struct rd r = rd_make(str_slice(&s));
    OK(part_blob_source_parse(&r, &got));
    assert_int_equal(got.id, 77);
    str_fini(&s);
    str_fini(&parts);
    str_fini(&text);
}

static void add_part(struct str *parts, uint64_t position, uint32_t len)
{
    str_add_le64(parts, position);
    str_add_le32(parts, len);
}

static void source_bad(void **state)
{
    static const struct {
        uint64_t p1, p2;
        uint32_t l1, l2;
        uint64_t size;
        bool good;
    } rows[] = {
        {1000, 2000, 100, 50, 150, true},
        {1000, 2000, 100, 50, 151, false}, /* sizes differ */
        {2000, 1000, 100, 50, 150, false}, /* wrong order */
        {1000, 1050, 100, 50, 150, false}, /* overlap */
        {1000, 2000, 100, 0, 100, false},  /* empty part */
        {0, 2000, 100, 50, 150, false},    /* nothing is at 0 */
        {1000, 2000000, (128 << 10) + 1, 50, (128 << 10) + 51, false},
        {1000, UINT64_MAX - 10, 100, 50, 150, false},
    };
    for (unsigned i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct str s, parts;
        str_init(&s, 0);
        str_init(&parts, 0);
        add_part(&parts, rows[i].p1, rows[i].l1);
        add_part(&parts, rows[i].p2, rows[i].l2);
        const struct part_blob_source src = {
            .how = PART_SOURCE_PARTS, .size = rows[i].size, .part_count = 2, .parts = str_slice(&parts)};
        struct part_blob_source got;
        struct rd r = rd_make(source_form(&s, &src));
        assert_int_equal(part_blob_source_parse(&r, &got), rows[i].good ? MS_OK : MS_EDAMAGED);
        str_fini(&s);
        str_fini(&parts);
    }
    static const struct part_blob_source bad[] = {
        {.how = PART_SOURCE_INLINE, .size = JOURNAL_PAYLOAD_MAX + 1},
        {.how = PART_SOURCE_INLINE, .offset = UINT32_MAX},
        {.how = PART_SOURCE_INLINE, .flags = 2},
        {.how = PART_SOURCE_INLINE, .cache_bytes = PART_CACHE_ROW_MAX + 1},
        {.how = PART_SOURCE_INLINE, .cache_bytes = PART_CACHE_MAX + 1, .cache_behind = true},
        {.how = PART_SOURCE_PARTS, .part_count = 0},
        {.how = PART_SOURCE_PARTS, .part_count = PART_EXTENTS_MAX + 1},
        {.how = 4},
        {.how = 0},
    };
    for (unsigned i = 0; i < MS_ARRAY_LEN(bad); i++) {
        struct str s;
        struct part_blob_source got;
        str_init(&s, 0);
        part__source_emit(&bad[i], &s);
        str_add(&s, (uint8_t[4096]){0}, 4096);
        struct rd r = rd_make(str_slice(&s));
        assert_int_equal(part_blob_source_parse(&r, &got), MS_EDAMAGED);
        str_fini(&s);
    }
}

static void blob_row(struct str *s, uint16_t extents, uint64_t size, uint64_t cache_pos, uint32_t cache_len)
{
    str_reset(s);
    str_add_byte(s, 1);
    str_add_byte(s, 0);
    str_add_le16(s, extents);
    str_add_le32(s, 3);
    str_add_le64(s, size);
    str_add_le64(s, 11);
    str_add_le64(s, 22);
    str_add_le64(s, cache_pos);
    str_add_le32(s, cache_len);
    for (unsigned i = 0; i < extents; i++)
        add_part(s, 1000 + i * 100, 10);
}

static void blob_rows(void **state)
{
    struct str s;
    struct part_blob b;
    str_init(&s, 0);
    blob_row(&s, 2, 20, 0, 0);
    assert_int_equal(s.len, PART_BLOB_HEADER_BYTES + 2 * PART_EXTENT_BYTES);
    str_add_cstr(&s, "cache");
    OK(part_blob_parse(5, str_slice(&s), &b));
    assert_int_equal(b.refs, 3);
    assert_int_equal(b.size, 20);
    assert_int_equal(b.hash.lo, 11);
    assert_int_equal(b.extent_count, 2);
    assert_int_equal(part_blob_extent(&b, 1).position, 1100);
    assert_int_equal(part_blob_extent(&b, 2).len, 0);
    assert_true(slice_eq_cstr(b.cache, "cache"));
    for (size_t cut = 0; cut < PART_BLOB_HEADER_BYTES + 2 * PART_EXTENT_BYTES; cut++)
        assert_int_equal(part_blob_parse(5, slice_make(s.ptr, cut), &b), MS_EDAMAGED);
    s.ptr[0] = 2;
    assert_int_equal(part_blob_parse(5, str_slice(&s), &b), MS_EVERSION);
    s.ptr[0] = 1;
    s.ptr[1] = 4;
    assert_int_equal(part_blob_parse(5, str_slice(&s), &b), MS_EDAMAGED);
    static const struct {
        uint16_t extents;
        uint64_t size, cache_pos;
        uint32_t cache_len;
        enum ms_err err;
    } rows[] = {
        {0, 0, 0, 0, MS_OK},        {1, 10, 500, 5, MS_OK},
        {1, 11, 0, 0, MS_EDAMAGED}, {1, 10, 500, 0, MS_EDAMAGED},
        {0, 1, 0, 0, MS_EDAMAGED},  {1, 10, 500, PART_CACHE_MAX + 1, MS_EDAMAGED},
    };
    for (unsigned i = 0; i < MS_ARRAY_LEN(rows); i++) {
        blob_row(&s, rows[i].extents, rows[i].size, rows[i].cache_pos, rows[i].cache_len);
        assert_int_equal(part_blob_parse(5, str_slice(&s), &b), rows[i].err);
    }
    str_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_round_trip), cmocka_unit_test(record_bad), cmocka_unit_test(record_too_long),
        cmocka_unit_test(source_round_trip), cmocka_unit_test(source_bad), cmocka_unit_test(blob_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
