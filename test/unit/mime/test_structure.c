/* The tree of parts: places, sizes, kinds, limits, and that the cuts of the input do not matter. */
#include "mime_check.h"

#define MP(sub, boundary) "Content-Type: multipart/" sub "; boundary=" boundary "\r\n\r\n"

static const struct {
    struct slice in;
    const char *want; /* (type header_off+header_bytes,body_bytes,lines children) */
} trees[] = {
    {S(""), "(text/plain 0+0,0,0)"},
    {S("\r\n"), "(text/plain 0+2,0,0)"},
    {S("A: b"), "(text/plain 0+4,0,0)"},
    {S("A: b\r\n"), "(text/plain 0+6,0,0)"},
    {S("A: b\r\n\r\n"), "(text/plain 0+8,0,0)"},
    {S("A: b\r\n\r\nx"), "(text/plain 0+8,1,1)"},
    {S("A: b\r\n\r\nx\r\n"), "(text/plain 0+8,3,1)"},
    {S("A: b\n\nx\ny"), "(text/plain 0+6,3,2)"},
    {S("text only\r\n\r\nx\r\n"), "(text/plain 0+0,16,3)"},
    {S("Content-Type: text\r\n\r\nx"), "(text/plain 0+22,1,1)"},
    {S("Content-Type: image/png\r\n\r\n"), "(image/png 0+27,0,0)"},
    /* two parts, preamble, epilogue, padding behind the delimiter */
    {S(MP("mixed",
          "b") "pre\r\n--b\r\n\r\none\r\n--b  \t\r\nA: b\r\n\r\ntwo\r\n\r\n--b--\r\nepi\r\n--b\r\n\r\n"),
     "(multipart/mixed 0+45,59,13(text/plain 55+2,3,1)(text/plain 70+8,5,1))"},
    /* bare LF */
    {S("Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n\n--b\n\ntwo\n--b--"),
     "(multipart/mixed 0+43,24,8(text/plain 47+1,4,1)(text/plain 57+1,3,1))"},
    /* no close, no final line end */
    {S(MP("mixed", "b") "--b\r\n\r\none"), "(multipart/mixed 0+45,10,3(text/plain 50+2,3,1))"},
    /* delimiters that are none */
    {S(MP("mixed", "b") "--bb\r\n--\r\n--b-\r\n--b --\r\n -b\r\n- -b\r\n"), "(text/plain 0+45,35,6)"},
    {S(MP("mixed", "b") "--b\r\n\r\n--bx\r\nx--b\r\n--b---\r\n--b--"),
     "(multipart/mixed 0+45,32,6(text/plain 50+2,18,3))"},
    /* the boundary ends with what a closing delimiter ends with */
    {S(MP("mixed", "b--") "--b--\r\n\r\none\r\n--b----"), "(multipart/mixed 0+47,21,4(text/plain 54+2,3,1))"},
    /* one boundary is the beginning of the other */
    {S(MP("mixed", "f") "--f\r\n" MP("alternative", "fg") "--fg\r\n\r\nx\r\n--fg--\r\n--f\r\n\r\ny\r\n--f--"),
     "(multipart/mixed 0+45,91,11(multipart/alternative 50+52,17,4(text/plain 108+2,1,1))(text/plain "
     "126+2,1,1))"},
    /* the outer delimiter ends the inner multipart */
    {S(MP("mixed", "o") "--o\r\n" MP("mixed", "i") "--i\r\n\r\nx\r\n--o\r\n\r\ny\r\n--o--"),
     "(multipart/mixed 0+45,75,10(multipart/mixed 50+45,8,3(text/plain 100+2,1,1))(text/plain 110+2,1,1))"},
    /* parts with nothing in them */
    {S(MP("mixed", "b") "--b\r\n--b\r\n\r\n--b\r\nA: b\r\n--b\r\nA: b\r\n\r\n--b--"),
     "(multipart/mixed 0+45,41,9(text/plain 50+0,0,0)(text/plain 55+2,0,0)(text/plain 62+6,0,0)(text/plain "
     "73+8,0,0))"},
    {S(MP("mixed", "b") "--b\r\n\r\n\r\n--b--"), "(multipart/mixed 0+45,14,4(text/plain 50+2,0,0))"},
    {S(MP("mixed", "b") "--b"), "(multipart/mixed 0+45,3,1(text/plain 48+0,0,0))"},
    /* a part without a header, and one whose text begins at once */
    {S(MP("mixed", "b") "--b\r\nno header here\r\n--b--"),
     "(multipart/mixed 0+45,26,3(text/plain 50+0,14,1))"},
    /* multipart without what makes one */
    {S("Content-Type: multipart/mixed\r\n\r\n--b\r\n"), "(text/plain 0+33,5,1)"},
    {S("Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n"), "(text/plain 0+46,4,1)"},
    {S("Content-Type: multipart/mixed; boundary=\"  \"\r\n\r\n--\r\n"), "(text/plain 0+48,4,1)"},
    {S("Content-Type: multipart/mixed; boundary=\"b \"\r\n\r\n--b\r\n\r\nx"),
     "(multipart/mixed 0+48,8,3(text/plain 53+2,1,1))"},
    /* only the first Content-Type counts */
    {S("Content-Type: text/html\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"),
     "(text/html 0+70,7,2)"},
    /* messages */
    {S("Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nx"),
     "(message/rfc822 0+32,9,3(text/plain 32+8,1,1))"},
    {S("Content-Type: message/rfc822\r\n\r\n"), "(message/rfc822 0+32,0,0(text/plain 32+0,0,0))"},
    {S("Content-Type: message/rfc822\r\n"), "(message/rfc822 0+30,0,0(text/plain 30+0,0,0))"},
    {S("Content-Type: MESSAGE/Global\r\n\r\ntext"), "(MESSAGE/Global 0+32,4,1(text/plain 32+0,4,1))"},
    {S("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQTog\r\n"),
     "(application/octet-stream 0+67,6,1)"},
    {S("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit (x)\r\n\r\nA: b"),
     "(message/rfc822 0+69,4,1(text/plain 69+4,0,0))"},
    {S("Content-Type: message/partial; id=x\r\n\r\nA: b"), "(message/partial 0+39,4,1)"},
    {S(MP("mixed", "b") "--b\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n--b--"),
     "(multipart/mixed 0+45,48,5(message/rfc822 50+32,6,1(text/plain 82+6,0,0)))"},
    {S(MP("mixed", "b") "--b\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\nx\r\n--b--"),
     "(multipart/mixed 0+45,53,7(message/rfc822 50+32,9,3(text/plain 82+8,1,1)))"},
    /* digest: message/rfc822 is the default; text at once makes a message without header */
    {S(MP("digest",
          "b") "--b\r\n\r\nA: b\r\n\r\nx\r\n--b\r\nContent-Type: text/html\r\n\r\n--b\r\ntext\r\n--b--"),
     "(multipart/digest 0+46,66,11(message/rfc822 51+2,9,3(text/plain 53+8,1,1))(text/html "
     "69+27,0,0)(message/rfc822 101+0,4,1(text/plain 101+0,4,1)))"},
    {S(MP("digest", "b") "--b\r\nA: b\r\n--b--"),
     "(multipart/digest 0+46,16,3(message/rfc822 51+6,0,0(text/plain 57+0,0,0)))"},
};

static void test_trees(void **state)
{
    struct str got;

    str_init(&got, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(trees); i++) {
        struct mime_message m;

        str_reset(&got);
        parse_whole(trees[i].in, &m);
        tree_text(&m, &got);
        check_text(&got, trees[i].want, i);
        CHECK_ROW(m.bytes == trees[i].in.len, i);
        mime_message_fini(&m);
    }
    str_fini(&got);
}

/* Every cut into two pieces, and one byte at a time. */
static void test_cuts(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(trees); i++) {
        struct slice in = trees[i].in;
        struct mime_message whole, cut;
        struct mime_parser *p;

        parse_whole(in, &whole);
        mime_message_init(&cut);
        for (size_t at = 0; at <= in.len; at++) {
            struct slice pieces[2] = {slice_sub(in, 0, at), slice_sub(in, at, in.len)};
            mime_message_reset(&cut);
            mime_message_parse(pieces, 2, &cut);
            check_same_message(&whole, &cut);
        }
        mime_message_reset(&cut);
        p = mime_parser_create(&cut);
        for (size_t at = 0; at < in.len; at++)
            mime_parser_add(p, slice_sub(in, at, 1));
        mime_parser_finish(p);
        mime_parser_destroy(&p);
        assert_null(p);
        mime_parser_destroy(&p);
        check_same_message(&whole, &cut);
        mime_message_fini(&cut);
        mime_message_fini(&whole);
    }
}

static void test_abandoned(void **state)
{
    struct mime_message m;
    struct mime_parser *p;

    mime_message_init(&m);
    p = mime_parser_create(&m);
    mime_parser_add(p, S(MP("mixed", "b") "--b\r\n" MP("mixed", "c") "--c\r\nSubject: x"));
    mime_parser_destroy(&p); /* boundaries and the unfinished field are released */
    mime_message_fini(&m);
}

static void test_flags(void **state)
{
    char long_line[1100];
    static const struct {
        struct slice in;
        uint32_t want;
    } rows[] = {
        {S("A: b\r\n\r\nx\r\n"), 0},
        {S("A: b\n\r\nx\r\n"), MIME_MSG_BARE_LF},
        {S("A: b\r\n\r\nx\ny\r\n"), MIME_MSG_BARE_LF},
        {S("A: \xe9\r\n\r\nx\r\n"), MIME_MSG_8BIT_HEADER},
        {S("A: b\r\n\r\n1234567\xe9\r\n"), MIME_MSG_8BIT_BODY},
        {S("A: b\r\n\r\n12345678123\xe9\r\n"), MIME_MSG_8BIT_BODY},
        {S("A: b\r\n\r\nx\0\r\n"), MIME_MSG_NUL},
        {S("A: \0\r\n\r\n"), MIME_MSG_NUL},
        {S("A: b\r\n\r\n0123456\0"
           "8901234567\r\n"),
         MIME_MSG_NUL},
        {S("\xe9 no header"), MIME_MSG_8BIT_BODY},
        {S("Date: 1 Jan 1970 00:00:00 +0100\r\n"), MIME_MSG_HAS_DATE},
        {S("Date: never\r\n"), 0},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct mime_message m;
        parse_whole(rows[i].in, &m);
        CHECK_ROW(m.flags == rows[i].want, i);
        if (rows[i].want & MIME_MSG_HAS_DATE)
            assert_true(m.sent_us == -3600 * (int64_t)1000000 && m.sent_zone_min == 60);
        mime_message_fini(&m);
    }
    for (size_t extra = 0; extra < 2; extra++) { /* 998 bytes is the longest line allowed */
        struct mime_message m;
        memset(long_line, 'x', sizeof(long_line));
        memcpy(long_line, "\r\n", 2);
        memcpy(long_line + 2 + 998 + extra, "\r\n", 2);
        parse_whole(slice_make(long_line, 2 + 998 + extra + 2), &m);
        assert_int_equal(m.flags, extra ? MIME_MSG_LONG_LINE : 0);
        mime_message_fini(&m);
    }
}

/* depth counts the multiparts from the root down. */
static void nest(struct str *in, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        str_addf(in, "Content-Type: multipart/mixed; boundary=b%u\r\n\r\n--b%u\r\n", i, i);
    str_add_cstr(in, "\r\nbottom");
}

static void test_depth(void **state)
{
    static const unsigned depths[] = {1, MIME_DEPTH_MAX, MIME_DEPTH_MAX + 1, MIME_DEPTH_MAX + 50};

    for (size_t i = 0; i < MS_ARRAY_LEN(depths); i++) {
        bool is_over = depths[i] > MIME_DEPTH_MAX;
        const struct mime_part *part;
        struct mime_message m;
        struct str in;
        unsigned depth = 0;

        str_init(&in, 0);
        nest(&in, depths[i]);
        parse_whole(str_slice(&in), &m);
        part = mime_message_root(&m);
        for (; part->kind == MIME_PART_MULTIPART; part = mime_part_first_child(&m, part))
            depth++;
        assert_int_equal(depth, is_over ? MIME_DEPTH_MAX : depths[i]);
        assert_true(!!(part->flags & MIME_PART_OPAQUE) == is_over);
        assert_true(!!(m.flags & MIME_MSG_LIMIT) == is_over);
        assert_true(mime_part_body_off(part) + part->body_bytes == in.len);
        mime_message_fini(&m);
        str_fini(&in);
    }
}

static void test_depth_of_messages(void **state)
{
    struct mime_message m;
    struct str in;

    str_init(&in, 0);
    for (unsigned i = 0; i < MIME_DEPTH_MAX + 5; i++)
        str_add_cstr(&in, "Content-Type: message/rfc822\r\n\r\n");
    parse_whole(str_slice(&in), &m);
    assert_int_equal(m.part_count, MIME_DEPTH_MAX + 1);
    assert_true(m.parts[MIME_DEPTH_MAX].flags & MIME_PART_OPAQUE);
    mime_message_fini(&m);
    str_fini(&in);
}

static void test_part_count(void **state)
{
    static const unsigned counts[] = {MIME_PARTS_MAX - 2, MIME_PARTS_MAX + 100};

    for (size_t i = 0; i < MS_ARRAY_LEN(counts); i++) {
        const struct mime_part *last;
        struct mime_message m;
        struct str in;

        str_init(&in, 0);
        str_add_cstr(&in, MP("mixed", "b"));
        for (unsigned n = 0; n < counts[i]; n++)
            str_add_cstr(&in, "--b\r\n\r\nx\r\n");
        str_add_cstr(&in, "--b--\r\n");
        parse_whole(str_slice(&in), &m);
        last = &m.parts[m.part_count - 1];
        assert_int_equal(m.part_count, MS_MIN(counts[i] + 1, (unsigned)MIME_PARTS_MAX));
        assert_int_equal(m.parts[0].child_count, m.part_count - 1);
        if (i == 0) {
            assert_int_equal(last->body_bytes, 1);
            assert_int_equal(m.flags & MIME_MSG_LIMIT, 0);
        } else { /* the last one holds the remainder */
            assert_int_equal(mime_part_body_off(last) + last->body_bytes, in.len);
            assert_true((last->flags & MIME_PART_OPAQUE) && (m.flags & MIME_MSG_LIMIT));
        }
        mime_message_fini(&m);
        str_fini(&in);
    }
}

/* However many fields the parts have, the kept ones are bounded; the rest is read all the same. */
static void test_field_count(void **state)
{
    struct mime_message m;
    struct str in;

    str_init(&in, 0);
    str_add_cstr(&in, MP("mixed", "b"));
    for (unsigned part = 0; part < 300; part++) {
        str_add_cstr(&in, "--b\r\n");
        for (unsigned i = 0; i < MIME_HEADER_FIELDS_MAX + 1; i++)
            str_add_cstr(&in, "Content-ID:\r\n");
        str_add_cstr(&in, "\r\n");
    }
    parse_whole(str_slice(&in), &m);
    assert_int_equal(m.field_count, MIME_FIELDS_MAX);
    assert_int_equal(m.part_count, 301);
    assert_int_equal(m.parts[1].field_count, MIME_HEADER_FIELDS_MAX);
    assert_int_equal(m.parts[300].field_count, 0);
    assert_true(m.flags & MIME_MSG_FIELDS_CUT);
    mime_message_fini(&m);
    str_fini(&in);
}

/* A boundary of the greatest length works, a longer one is none; so is a line longer than the line head. */
static void test_boundary_length(void **state)
{
    static const struct {
        unsigned boundary, padding;
        size_t parts;
    } rows[] = {{MIME_BOUNDARY_MAX, 0, 2},
                {MIME_BOUNDARY_MAX + 1, 0, 1},
                {10, MIME_LINE_HEAD_MAX - 14, 2},
                {10, MIME_LINE_HEAD_MAX - 13, 1},
                {10, 3 * MIME_LINE_HEAD_MAX, 1}};

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct mime_message m, cut;
        struct slice pieces[64];
        struct str in, b;
        size_t count = 0;

        str_init(&in, 0);
        str_init(&b, 0);
        while (b.len < rows[i].boundary)
            str_add_byte(&b, 'b');
        str_addf(&in, "Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%s%*s\r\n\r\nx", str_cstr(&b),
                 str_cstr(&b), (int)rows[i].padding, "");
        parse_whole(str_slice(&in), &m);
        CHECK_ROW(m.part_count == rows[i].parts, i);
        for (size_t at = 0; at < in.len; at += 100)
            pieces[count++] = slice_sub(str_slice(&in), at, 100);
        mime_message_init(&cut);
        mime_message_parse(pieces, count, &cut);
        check_same_message(&m, &cut);
        mime_message_fini(&cut);
        mime_message_fini(&m);
        str_fini(&in);
        str_fini(&b);
    }
}

static void test_sections(void **state)
{
    static const struct slice in = SLICE_LIT("A: b\r\n" MP(
        "mixed", "o") "--o\r\n\r\none\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n"
                      "S: t\r\n" MP(
                          "mixed", "i") "--i\r\n\r\ntwo\r\n--i--\r\n--o\r\n"
                                        "Content-Type: message/rfc822\r\n\r\nS: u\r\n\r\nthree\r\n--o--\r\n");
    static const struct {
        uint32_t path[4];
        size_t count;
        enum mime_sect sect;
        const char *want; /* NULL: none */
    } rows[] = {
        {{0}, 0, MIME_SECT_HEADER, "A: b\r\n" MP("mixed", "o")},
        {{0}, 0, MIME_SECT_MIME, NULL},
        {{1}, 1, MIME_SECT_BODY, "one"},
        {{1}, 1, MIME_SECT_MIME, "\r\n"},
        {{1}, 1, MIME_SECT_HEADER, NULL},
        {{1}, 1, MIME_SECT_TEXT, NULL},
        {{1, 1}, 2, MIME_SECT_BODY, NULL},
        {{2}, 1, MIME_SECT_BODY, "S: t\r\n" MP("mixed", "i") "--i\r\n\r\ntwo\r\n--i--"},
        {{2}, 1, MIME_SECT_MIME, "Content-Type: message/rfc822\r\n\r\n"},
        {{2}, 1, MIME_SECT_HEADER, "S: t\r\n" MP("mixed", "i")},
        {{2}, 1, MIME_SECT_TEXT, "--i\r\n\r\ntwo\r\n--i--"},
        {{2, 1}, 2, MIME_SECT_BODY, "two"},
        {{2, 2}, 2, MIME_SECT_BODY, NULL},
        {{2, 1, 1}, 3, MIME_SECT_BODY, NULL},
        {{3}, 1, MIME_SECT_TEXT, "three"},
        {{3, 1}, 2, MIME_SECT_BODY, "three"},
        {{3, 1}, 2, MIME_SECT_MIME, "S: u\r\n\r\n"},
        {{3, 2}, 2, MIME_SECT_BODY, NULL},
        {{4}, 1, MIME_SECT_BODY, NULL},
        {{0}, 1, MIME_SECT_BODY, NULL},
        {{UINT32_MAX}, 1, MIME_SECT_BODY, NULL},
    };
    struct mime_range range;
    struct mime_message m;

    parse_whole(in, &m);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        enum ms_err err = mime_message_section(&m, rows[i].path, rows[i].count, rows[i].sect, &range);
        CHECK_ROW(err == (rows[i].want ? MS_OK : MS_ENOTFOUND), i);
        if (rows[i].want)
            CHECK_ROW(slice_eq_cstr(slice_sub(in, range.off, range.bytes), rows[i].want), i);
    }
    assert_int_equal(mime_message_section(&m, NULL, 0, MIME_SECT_BODY, &range), MS_OK);
    assert_true(range.off == 0 && range.bytes == in.len);
    mime_message_fini(&m);
}

/* A message that is no multipart has part 1: its body. */
static void test_section_one(void **state)
{
    static const uint32_t ones[] = {1, 1, 1};
    struct mime_range range;
    struct mime_message m;

    parse_whole(S("A: b\r\n\r\nbody"), &m);
    assert_int_equal(mime_message_section(&m, ones, 1, MIME_SECT_BODY, &range), MS_OK);
    assert_true(range.off == 8 && range.bytes == 4);
    assert_int_equal(mime_message_section(&m, ones, 2, MIME_SECT_BODY, &range), MS_ENOTFOUND);
    mime_message_fini(&m);
    parse_whole(S("Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nbody"), &m);
    assert_int_equal(mime_message_section(&m, ones, 1, MIME_SECT_TEXT, &range), MS_OK);
    assert_true(range.off == 40 && range.bytes == 4);
    assert_int_equal(mime_message_section(&m, ones, 2, MIME_SECT_BODY, &range), MS_OK);
    assert_true(range.off == 40 && range.bytes == 4);
    assert_int_equal(mime_message_section(&m, ones, 3, MIME_SECT_BODY, &range), MS_ENOTFOUND);
    mime_message_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trees),           cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_abandoned),       cmocka_unit_test(test_flags),
        cmocka_unit_test(test_depth),           cmocka_unit_test(test_depth_of_messages),
        cmocka_unit_test(test_part_count),      cmocka_unit_test(test_field_count),
        cmocka_unit_test(test_boundary_length), cmocka_unit_test(test_sections),
        cmocka_unit_test(test_section_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
