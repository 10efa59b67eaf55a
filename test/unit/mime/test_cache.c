/* The cache record: round trip, exact bytes, what is left out when it grows, damage. */
#include "cache_check.h"

static void test_round_trip(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(cache_samples); i++) {
        struct mime_message m, back;
        struct str rec, again;

        parse_whole(slice_cstr(cache_samples[i]), &m);
        emit(&m, &rec);
        mime_message_init(&back);
        assert_int_equal(mime_cache_parse(str_slice(&rec), &back), MS_OK);
        check_same_message(&m, &back);
        emit(&back, &again);
        CHECK_ROW(slice_eq(str_slice(&rec), str_slice(&again)), i);
        mime_message_fini(&back);
        mime_message_fini(&m);
        str_fini(&again);
        str_fini(&rec);
    }
}

/* Format version 1 is final: these bytes were written down by hand from its description. */
static void test_golden(void **state)
{
    static const char in[] = "Date: Thu, 01 Jan 1970 01:00:00 +0100\r\nsubject: x\r\nX-Y: z\r\n\r\nab\r\nc";
    static const uint8_t want[] = {
        1,   59,  0x80, 0,   0,   0,   0,   0, /* version, ids, flags, checksum */
        0,   0,   0,    0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,    0, /* names */
        66,  0,   120,  1,           /* size, date 0, zone 60, one part */
        0,   0,   61,   5,   2,   2, /* leaf, gap, header, body, lines, fields */
        1,   32,  ' ',  'T', 'h', 'u', ',', ' ', '0', '1', ' ', 'J', 'a', 'n', ' ',  '1',
        '9', '7', '0',  ' ', '0', '1', ':', '0', '0', ':', '0', '0', ' ', '+', '0',  '1',
        '0', '0', 0x42, 12,  's', 'u', 'b', 'j', 'e', 'c', 't', ':', ' ', 'x', '\r', '\n',
    };
    struct str wanted, rec;
    struct mime_message m;

    str_init(&wanted, 0);
    str_add(&wanted, want, sizeof(want));
    for (unsigned i = 0; i < 3; i++) {
        static const char *const names[] = {"date", "subject", "x-y"};
        unsigned n = crc32c_add(0, names[i], strlen(names[i])) & 127;
        wanted.ptr[8 + n / 8] |= (uint8_t)(1u << n % 8);
    }
    fix_crc(&wanted);
    parse_whole(slice_make(in, sizeof(in) - 1), &m);
    emit(&m, &rec);
    assert_int_equal(rec.len, wanted.len);
    assert_memory_equal(rec.ptr, wanted.ptr, rec.len);
    mime_message_fini(&m);
    str_fini(&rec);
    str_fini(&wanted);
}

static void test_fields(void **state)
{
    static const struct {
        struct slice names[3];
        size_t count;
        const char *want; /* NULL: open the message */
    } rows[] = {
        {{S("subject")}, 1, "SUBJECT : a\r\n b\r\n\r\n"},
        {{S("From"), S("Subject")}, 2, "SUBJECT : a\r\n b\r\nFrom: c@d\r\n\r\n"},
        {{S("To")}, 1, "\r\n"},
        {{S("X-Surely-Not-There"), S("from")}, 2, "From: c@d\r\n\r\n"},
        {{S("X-Other")}, 1, NULL},
        {{S("From"), S("x-other")}, 2, NULL},
        {{S("")}, 1, "\r\n"},
        {{S("")}, 0, "\r\n"},
    };
    static const char in[] = "SUBJECT : a\r\n b\r\nX-Other: y\r\nFrom: c@d\r\n\r\nbody";
    struct mime_message m, back;
    struct str rec, got;

    parse_whole(slice_make(in, sizeof(in) - 1), &m);
    emit(&m, &rec);
    mime_message_init(&back);
    assert_int_equal(mime_cache_parse(str_slice(&rec), &back), MS_OK);
    str_init(&got, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        str_reset(&got);
        str_add_cstr(&got, ">");
        CHECK_ROW(
            mime_message_emit_fields(&back, rows[i].names, rows[i].count, &got) == (rows[i].want != NULL), i);
        CHECK_ROW(strcmp(str_cstr(&got) + 1, rows[i].want ? rows[i].want : "") == 0, i);
    }
    assert_true(mime_message_may_have(&back, S("x-OTHER")));
    assert_false(mime_message_may_have(&back, S("X-Surely-Not-There")));
    /* A writer that did not know a field cannot say that it is absent. */
    assert_true(mime_message_emit_fields(&back, (struct slice[]){S("Lines")}, 1, &got));
    back.field_ids = MIME_FIELD_LINES - 1;
    memset(back.names, 0xff, sizeof(back.names));
    assert_false(mime_message_emit_fields(&back, (struct slice[]){S("Lines")}, 1, &got));
    mime_message_fini(&back);
    mime_message_fini(&m);
    str_fini(&got);
    str_fini(&rec);
}

static void add_run(struct str *s, const char *name, size_t bytes)
{
    str_addf(s, "%s: ", name);
    for (size_t i = 0; i < bytes; i++)
        str_add_byte(s, 'v');
    str_add_cstr(s, "\r\n");
}

/* What is left out, and in which order, when the record grows past the row and past all bounds. */
static void test_growth(void **state)
{
    static const struct {
        size_t references, subject, mailer;
        size_t bytes_max, bytes_min;
        uint8_t forms[3]; /* of References, Subject, X-Mailer */
    } rows[] = {
        {100, 100, 100, 400, 300, {0, 0, 0}},
        {5000, 100, 100, 300, 200, {2, 0, 0}},
        {700, 1000, 300, 1500, 1300, {2, 0, 0}},
        {300, 1400, 300, 1600, 1400, {2, 0, 2}},
        {5000, 2500, 90, 8000, 7500, {0, 0, 0}}, /* leaving out would not make it fit: all stays */
        {250000, 250000, 250000, 760000, 750000, {0, 0, 0}},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct mime_message m, back;
        struct str in, rec, again;

        str_init(&in, 0);
        add_run(&in, "References", rows[i].references);
        add_run(&in, "Subject", rows[i].subject);
        add_run(&in, "X-Mailer", rows[i].mailer);
        parse_whole(str_slice(&in), &m);
        emit(&m, &rec);
        CHECK_ROW(rec.len <= rows[i].bytes_max && rec.len >= rows[i].bytes_min, i);
        mime_message_init(&back);
        assert_int_equal(mime_cache_parse(str_slice(&rec), &back), MS_OK);
        assert_int_equal(back.field_count, 3);
        for (size_t f = 0; f < 3; f++) {
            CHECK_ROW(back.fields[f].form == rows[i].forms[f], i);
            if (back.fields[f].form == MIME_FORM_OUT)
                CHECK_ROW(back.fields[f].off == m.fields[f].off &&
                              back.fields[f].full_bytes == m.fields[f].full_bytes,
                          i);
        }
        assert_int_equal(mime_message_emit_fields(&back, (struct slice[]){S("References")}, 1, &in),
                         rows[i].forms[0] != MIME_FORM_OUT);
        emit(&back, &again);
        CHECK_ROW(slice_eq(str_slice(&rec), str_slice(&again)), i);
        mime_message_fini(&back);
        mime_message_fini(&m);
        str_fini(&again);
        str_fini(&rec);
        str_fini(&in);
    }
}

/* A message of 10,000 parts with `fields` content fields of `value` bytes each: more than the parser would
 * keep, so that the writer has to leave things out. */
static void make_wide(struct mime_message *m, size_t fields, size_t value)
{
    static const uint8_t bytes[1000];

    mime_message_init(m);
    m->field_ids = MIME_FIELD_COUNT - 1;
    m->bytes = (uint64_t)MIME_PARTS_MAX * 1000000;
    m->parts = ms_alloc_array(MIME_PARTS_MAX, sizeof(*m->parts));
    m->fields = ms_alloc_array(MIME_PARTS_MAX * fields, sizeof(*m->fields));
    m->part_count = MIME_PARTS_MAX;
    m->field_count = MIME_PARTS_MAX * fields;
    for (size_t i = 0; i < m->field_count; i++)
        m->fields[i] = (struct mime_field){.id = MIME_FIELD_CONTENT_ID,
                                           .form = MIME_FORM_RAW,
                                           .bytes = slice_make(bytes, value),
                                           .off = 900000,
                                           .full_bytes = value};
    for (size_t i = 0; i < MIME_PARTS_MAX; i++)
        m->parts[i] = (struct mime_part){.header_off = i * 1000000,
                                         .header_bytes = 999000,
                                         .body_bytes = 1000,
                                         .field_first = (uint32_t)(i * fields),
                                         .field_count = (uint32_t)fields,
                                         .parent = i ? 0 : MIME_PART_NONE};
    m->parts[0].body_bytes = m->bytes - m->parts[0].header_bytes;
    m->parts[0].kind = MIME_PART_MULTIPART;
    m->parts[0].child_count = MIME_PARTS_MAX - 1;
}

/* First the long fields go, needed or not; then the structure. */
static void test_bounds(void **state)
{
    static const struct {
        size_t fields, value, parts;
        uint8_t form;
    } rows[] = {
        {0, 0, MIME_PARTS_MAX, 0},
        {1, 60, MIME_PARTS_MAX, MIME_FORM_RAW},
        {1, 101, MIME_PARTS_MAX, MIME_FORM_OUT},
        {1, 100, 1, MIME_FORM_RAW}, /* not long enough to leave out */
        {5, 1000, MIME_PARTS_MAX, MIME_FORM_OUT},
        {MIME_HEADER_FIELDS_MAX, 1000, 1, MIME_FORM_OUT},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct mime_message m, back;
        struct str rec;

        make_wide(&m, rows[i].fields, rows[i].value);
        emit(&m, &rec);
        mime_message_init(&back);
        CHECK_ROW(mime_cache_parse(str_slice(&rec), &back) == MS_OK, i);
        CHECK_ROW(back.part_count == rows[i].parts, i);
        CHECK_ROW(back.parts[0].body_bytes == m.parts[0].body_bytes, i);
        CHECK_ROW(rows[i].fields == 0 || back.fields[0].form == rows[i].form, i);
        CHECK_ROW(!(back.flags & MIME_MSG_LIMIT) == (rows[i].parts > 1), i);
        CHECK_ROW(!(back.parts[0].flags & MIME_PART_OPAQUE) == (rows[i].parts > 1), i);
        mime_message_fini(&back);
        mime_message_fini(&m);
        str_fini(&rec);
    }
}

static void test_output_limit(void **state)
{
    struct mime_message m;
    struct str rec;

    parse_whole(slice_cstr(cache_samples[2]), &m);
    str_init(&rec, 50);
    str_add_cstr(&rec, "kept");
    assert_int_equal(mime_cache_emit(&m, &rec), MS_ELIMIT);
    assert_string_equal(str_cstr(&rec), "kept");
    str_fini(&rec);
    mime_message_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_golden), cmocka_unit_test(test_fields),
        cmocka_unit_test(test_growth),     cmocka_unit_test(test_bounds), cmocka_unit_test(test_output_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
