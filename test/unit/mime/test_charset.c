/* test_charset.c - bytes of any charset to UTF-8, cut anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "ms/mime/text.h"

#define BAD "\xef\xbf\xbd"

static const struct {
    const char *charset, *in, *want;
    unsigned bad;
} rows[] = {
    {"utf-8", "caf\xc3\xa9", "caf\xc3\xa9", 0},
    {"UTF8", "\xf0\x9f\x90\x9f\xe2\x82\xac", "\xf0\x9f\x90\x9f\xe2\x82\xac", 0},
    {"us-ascii", "plain", "plain", 0},
    {"", "plain", "plain", 0},
    /* what is no UTF-8 is ISO-8859-1 */
    {"us-ascii", "caf\xe9", "caf\xc3\xa9", 1},
    {"utf-8", "\xe9t\xe9", "\xc3\xa9t\xc3\xa9", 2},
    {"utf-8", "\xc3", "\xc3\x83", 1},
    {"utf-8", "\xe2\x82", "\xc3\xa2\xc2\x82", 2},
    {"utf-8", "\xe2\x82x", "\xc3\xa2\xc2\x82x", 2},
    {"utf-8", "\xc0\xaf", "\xc3\x80\xc2\xaf", 2},                         /* overlong */
    {"utf-8", "\xed\xa0\x80", "\xc3\xad\xc2\xa0\xc2\x80", 3},             /* surrogate */
    {"utf-8", "\xf4\x90\x80\x80", "\xc3\xb4\xc2\x90\xc2\x80\xc2\x80", 4}, /* above U+10FFFF */
    {"utf-8", "\x80\xc3\xa9", "\xc2\x80\xc3\xa9", 1},
    {"iso-8859-1", "caf\xe9 \xff", "caf\xc3\xa9 \xc3\xbf", 0},
    {" Latin1 ", "\xe9", "\xc3\xa9", 0},
    {"iso-8859-15", "\xa4", "\xe2\x82\xac", 0},
    {"windows-1252", "\x93x\x94", "\xe2\x80\x9cx\xe2\x80\x9d", 0},
    {"windows-1252", "a\x81z", "a" BAD "z", 1},
    {"KOI8-R", "\xf0\xd2\xc9", "\xd0\x9f\xd1\x80\xd0\xb8", 0},
    {"gb2312", "\xc4\xe3\xba\xc3", "\xe4\xbd\xa0\xe5\xa5\xbd", 0},
    {"gb2312", "\xe9\x46", "\xe9\x95\x95", 0}, /* of GBK: many senders mean that */
    {"Shift_JIS", "\x83\x65", "\xe3\x83\x86", 0},
    {"iso-2022-jp", "a\x1b$B$F\x1b(Bz", "a\xe3\x81\xa6z", 0},
    {"big5", "\xa7\x41", "\xe4\xbd\xa0", 0},
    {"euc-kr", "\xb0\xa1", "\xea\xb0\x80", 0},
    {"utf-7", "Hi +AOk-", "Hi \xc3\xa9", 0},
    {"utf-16be", "", "", 0},
    {"big5", "\xa7", BAD, 1},
    {"gb18030", "a\xffz", "a" BAD "z", 1},
    /* no charsets */
    {"x-nobody-knows", "caf\xe9", "caf\xc3\xa9", 1},
    {"utf-8//IGNORE", "\xe9", "\xc3\xa9", 1},
    {"/etc/passwd", "x", "x", 0},
    {"wchar_t", "x", "x", 0},
    {"INTERNAL", "x", "x", 0},
    {"a b", "x", "x", 0},
};

static uint64_t convert(const char *charset, struct slice in, size_t step, struct str *out)
{
    struct mime_charset c;
    uint64_t bad;

    str_reset(out);
    mime_charset_init(&c, slice_cstr(charset));
    for (size_t at = 0; at < in.len; at += step)
        mime_charset_add(&c, slice_sub(in, at, step), out);
    mime_charset_finish(&c, out);
    bad = c.bad;
    mime_charset_fini(&c);
    return bad;
}

static void every_cut(void **state)
{
    struct str got;

    str_init(&got, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        for (size_t step = 1; step < 8; step++) {
            uint64_t bad = convert(rows[i].charset, slice_cstr(rows[i].in), step, &got);

            if (!slice_eq_cstr(str_slice(&got), rows[i].want) || bad != rows[i].bad)
                fail_msg("%s, row %zu, in steps of %zu: \"%s\", %u bad", rows[i].charset, i, step,
                         str_cstr(&got), (unsigned)bad);
        }
    str_fini(&got);
}

/* UTF-16 has NUL bytes, so it is no row. */
static void utf16(void **state)
{
    static const uint8_t in[] = {0xfe, 0xff, 0, 'a', 0, 0xe9, 0xd8, 0x3d, 0xdc, 0x1f};
    struct str got;

    str_init(&got, 0);
    for (size_t step = 1; step <= sizeof in; step++) {
        convert("UTF-16", slice_make(in, sizeof in), step, &got);
        assert_true(slice_eq_cstr(str_slice(&got), "a\xc3\xa9\xf0\x9f\x90\x9f"));
    }
    str_fini(&got);
}

static void names(void **state)
{
    static const struct {
        const char *name;
        bool builtin, known;
    } want[] = {
        {"utf-8", true, true},     {"US-ASCII", true, true},  {"ISO-8859-1", true, true},
        {"koi8-r", false, true},   {"cp1251", false, true},   {"", false, false},
        {"utf-8//", false, false}, {"no such", false, false}, {"x-nothing", false, false},
        {"char", false, false},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(want); i++) {
        struct mime_charset c;

        assert_int_equal(mime_charset_is_builtin(slice_cstr(want[i].name)), want[i].builtin);
        if (mime_charset_init(&c, slice_cstr(want[i].name)) != want[i].known)
            fail_msg("%s", want[i].name);
        mime_charset_fini(&c);
    }
}

static void whole(void **state)
{
    struct str got;

    str_init(&got, 0);
    assert_int_equal(mime_charset_to_utf8(SLICE_LIT("koi8-r"), SLICE_LIT("\xf0"), &got), MS_OK);
    assert_true(slice_eq_cstr(str_slice(&got), "\xd0\x9f"));
    assert_int_equal(mime_charset_to_utf8(SLICE_LIT("utf-8"), SLICE_LIT("\xf0"), &got), MS_EINVAL);
    assert_int_equal(mime_charset_to_utf8(SLICE_LIT("big5"), SLICE_LIT("\xa7"), &got), MS_EINVAL);
    assert_int_equal(mime_charset_to_utf8(SLICE_LIT("x-unheard"), SLICE_LIT("a"), &got), MS_EUNSUPPORTED);
    str_fini(&got);
}

/* More descriptors than are kept; those that are kept begin anew. */
static void descriptors(void **state)
{
    struct mime_charset many[40];
    char name[32];
    struct str got;

    str_init(&got, 0);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < MS_ARRAY_LEN(many); i++) {
            snprintf(name, sizeof name, i < 16 ? "iso-8859-%u" : "cp%u", i < 16 ? i + 2 : 1234 + i);
            mime_charset_init(&many[i], slice_cstr(name));
            mime_charset_add(&many[i], SLICE_LIT("a\xe4"), &got);
        }
        for (unsigned i = 0; i < MS_ARRAY_LEN(many); i++)
            mime_charset_fini(&many[i]);
        str_reset(&got);
        convert("iso-2022-jp", SLICE_LIT("\x1b$B$F"), 2, &got); /* put back in the middle of a shift */
        convert("iso-2022-jp", SLICE_LIT("$F"), 2, &got);
        assert_true(slice_eq_cstr(str_slice(&got), "$F"));
    }
    str_fini(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut), cmocka_unit_test(utf16),       cmocka_unit_test(names),
        cmocka_unit_test(whole),     cmocka_unit_test(descriptors),
    };

    return cmocka_run_group_tests_name("mime charset", tests, NULL, NULL);
}
