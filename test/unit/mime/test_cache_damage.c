/* The cache record's reader against versions, damage and numbers that cannot be. */
#include "cache_check.h"

static void test_versions(void **state)
{
    struct mime_message m, back;
    struct str rec;

    parse_whole(slice_cstr(cache_samples[2]), &m);
    emit(&m, &rec);
    mime_message_init(&back);
    assert_int_equal(mime_cache_parse(S(""), &back), MS_EDAMAGED);
    for (unsigned v = 0; v < 256; v++) {
        rec.ptr[0] = (uint8_t)v;
        fix_crc(&rec);
        assert_int_equal(mime_cache_parse(str_slice(&rec), &back), v == 1 ? MS_OK : MS_EVERSION);
        mime_message_reset(&back);
    }
    mime_message_fini(&back);
    mime_message_fini(&m);
    str_fini(&rec);
}

/* Whatever a writer knew, this reader knows no more than its own fields. */
static void test_writers(void **state)
{
    struct mime_message m, back;
    struct str rec;

    parse_whole(slice_cstr(cache_samples[2]), &m);
    emit(&m, &rec);
    mime_message_init(&back);
    for (unsigned ids = 0; ids < 256; ids++) {
        rec.ptr[1] = (uint8_t)ids;
        fix_crc(&rec);
        assert_int_equal(mime_cache_parse(str_slice(&rec), &back), MS_OK);
        assert_int_equal(back.field_ids, MS_MIN(ids, (unsigned)MIME_FIELD_COUNT - 1));
        mime_message_reset(&back);
    }
    mime_message_fini(&back);
    mime_message_fini(&m);
    str_fini(&rec);
}

/* Every bit flip is noticed by the checksum; with the checksum mended the reader must cope. */
static void test_damage(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(cache_samples); i++) {
        struct mime_message m, back;
        struct str rec;

        parse_whole(slice_cstr(cache_samples[i]), &m);
        emit(&m, &rec);
        mime_message_init(&back);
        for (size_t cut = 1; cut < rec.len; cut++)
            assert_int_equal(mime_cache_parse(slice_make(rec.ptr, cut), &back), MS_EDAMAGED);
        for (size_t bit = 8; bit < rec.len * 8; bit++) {
            uint32_t crc = ms_get_le32(rec.ptr + 4);
            rec.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(mime_cache_parse(str_slice(&rec), &back), MS_EDAMAGED);
            assert_int_equal(back.part_count, 0);
            fix_crc(&rec);
            if (mime_cache_parse(str_slice(&rec), &back) == MS_OK) {
                struct str text;
                str_init(&text, 0);
                tree_text(&back, &text);
                str_fini(&text);
            }
            mime_message_reset(&back);
            if (bit / 8 < 4 || bit / 8 >= 8)
                rec.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
            ms_put_le32(rec.ptr + 4, crc);
        }
        mime_message_fini(&back);
        mime_message_fini(&m);
        str_fini(&rec);
    }
}

/* Head up to the names, then bytes in hex: size, [date, zone], parts. */
static void test_bad_numbers(void **state)
{
    static const struct {
        const char *hex;
        enum ms_err err;
    } rows[] = {
        {"0a01000004060200", MS_OK},
        {"0a010000040602000102ffff7f00", MS_OK},   /* extensions 1 and 127 */
        {"0a0100000406020001000100", MS_EDAMAGED}, /* twice the same tag */
        {"0a010000040602000000", MS_EDAMAGED},
        {"0a010000040602000105", MS_EDAMAGED},
        {"0a01000104050200", MS_EDAMAGED}, /* the root does not begin at 0 */
        {"0a01000004050200", MS_EDAMAGED}, /* the root does not end at the end */
        {"0a01000004070200", MS_EDAMAGED},
        {"0a01000004060700", MS_EDAMAGED}, /* more lines than bytes */
        {"0a00", MS_EDAMAGED},
        {"0a02000004060200", MS_EDAMAGED},             /* fewer parts than it says */
        {"0a02000004060200000000000000", MS_EDAMAGED}, /* two roots */
        {"0a914e000004060200", MS_EDAMAGED},           /* 10,001 parts */
        {"0a01030004060200", MS_EDAMAGED},             /* kind 3 */
        {"0a01200004060200", MS_EDAMAGED},
        {"0a011c0004060200", MS_OK},
        {"0a8100000004060200", MS_EDAMAGED}, /* not the shortest form */
        {"ffffffffffffffffff0101000004060200", MS_EDAMAGED},
        {"ffffffffffffffff7f01000004fbffffffffffffff7f0200", MS_OK},
        {"ffffffffffffffff7f01000004ffffffffffffffff7f0200", MS_EDAMAGED},
        {"ffffffffffffffff7f010000ffffffffffffffff7f010000", MS_EDAMAGED},
        {"0a0101000406020000", MS_EDAMAGED}, /* multipart without children */
        {"0a0201000406020001000102030100", MS_OK},
        {"0a0201000406020001000102040100", MS_EDAMAGED}, /* child too long */
        {"0a0201000406020001000700000000", MS_EDAMAGED},
        {"0a0201000406020002000102030100", MS_EDAMAGED},
        {"0a02020004060200000002030100", MS_OK},
        {"0a02020004060200000102030100", MS_EDAMAGED}, /* gap in a message */
        {"0a01000004060201010141", MS_OK},
        {"0a01000004060201000141", MS_EDAMAGED}, /* field 0 */
        {"0a01000004060201c10141", MS_EDAMAGED}, /* form 3 */
        {"0a010000040602013f0141", MS_OK},       /* a field of a later writer */
        {"0a01000004060201010241", MS_EDAMAGED},
        {"0a01000004060201810103", MS_OK},
        {"0a01000004060201810203", MS_EDAMAGED}, /* outside of the header */
        {"0a01000004060201810100", MS_EDAMAGED},
        {"0a010000040602c901", MS_EDAMAGED}, /* 201 fields */
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        static const uint8_t head[24] = {1, 59};
        struct mime_message m;
        struct str rec;

        str_init(&rec, 0);
        str_add(&rec, head, sizeof(head));
        assert_int_equal(hex_parse(slice_cstr(rows[i].hex), &rec), MS_OK);
        fix_crc(&rec);
        mime_message_init(&m);
        CHECK_ROW(mime_cache_parse(str_slice(&rec), &m) == rows[i].err, i);
        mime_message_fini(&m);
        str_fini(&rec);
    }
}

static void test_bad_head(void **state)
{
    static const struct {
        uint16_t flags;
        const char *date; /* hex */
        enum ms_err err;
    } rows[] = {
        {0, "", MS_OK},
        {MIME_MSG_FLAGS_ALL & ~MIME_MSG_HAS_DATE, "", MS_OK},
        {0x100, "", MS_EDAMAGED},
        {0x8000, "", MS_EDAMAGED},
        {MIME_MSG_HAS_DATE, "0203", MS_OK},
        {MIME_MSG_HAS_DATE, "02be16", MS_OK},
        {MIME_MSG_HAS_DATE, "02c016", MS_EDAMAGED}, /* a day east */
        {MIME_MSG_HAS_DATE, "02bf16", MS_EDAMAGED}, /* a day west */
        {MIME_MSG_HAS_DATE, "feffffffffffffff7f00", MS_EDAMAGED},
        {MIME_MSG_HAS_DATE, "ffffffffffffffff7f00", MS_EDAMAGED},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        uint8_t head[24] = {1, 59};
        struct mime_message m;
        struct str rec;

        ms_put_le16(head + 2, rows[i].flags);
        str_init(&rec, 0);
        str_add(&rec, head, sizeof(head));
        str_add_byte(&rec, 0);
        assert_int_equal(hex_parse(slice_cstr(rows[i].date), &rec), MS_OK);
        str_add(&rec, "\1\0\0\0\0\0\0", 7);
        fix_crc(&rec);
        mime_message_init(&m);
        CHECK_ROW(mime_cache_parse(str_slice(&rec), &m) == rows[i].err, i);
        mime_message_fini(&m);
        str_fini(&rec);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),    cmocka_unit_test(test_writers),  cmocka_unit_test(test_damage),
        cmocka_unit_test(test_bad_numbers), cmocka_unit_test(test_bad_head),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
