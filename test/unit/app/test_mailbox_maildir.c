#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../../src/app/mbx_files.h"

static const struct {
    const char *file, *base;
    unsigned flags;
    const char *keywords; /* with a: $Label1, c: junk, d: not good */
} flag_rows[] = {
    {"123.M4.host:2,S", "123.M4.host", IMAP_FLAG_SEEN, ""},
    {"123.M4.host:2,DFRST", "123.M4.host",
     IMAP_FLAG_SEEN | IMAP_FLAG_DRAFT | IMAP_FLAG_FLAGGED | IMAP_FLAG_ANSWERED | IMAP_FLAG_DELETED, ""},
    {"123.M4.host:2,PSac", "123.M4.host", IMAP_FLAG_SEEN, "$Forwarded,$Label1,junk,"},
    {"123.M4.host:2,aabcd", "123.M4.host", 0, "$Label1,junk,"},
    {"123.M4.host:2,", "123.M4.host", 0, ""},
    {"123.M4.host:2,s", "123.M4.host", 0, ""},
    {"123.M4.host:2,S,x=FT", "123.M4.host", IMAP_FLAG_SEEN, ""},
    {"123.M4.host:1,S", "123.M4.host", 0, ""},
    {"123.M4.host", "123.M4.host", 0, ""},
    {"123.M4.host,S=9,W=12:2,F", "123.M4.host,S=9,W=12", IMAP_FLAG_FLAGGED, ""},
    {"", "", 0, ""},
    {":2,S", "", IMAP_FLAG_SEEN, ""},
};

static void test_flags(void **state)
{
    const struct slice letters[26] = {
        [0] = SLICE_LIT("$Label1"), [2] = SLICE_LIT("junk"), [3] = SLICE_LIT("not good")};
    for (size_t i = 0; i < MS_ARRAY_LEN(flag_rows); i++) {
        struct mbx_meta meta = {0};
        struct str words;
        str_init(&words, 0);
        mbx_maildir_flags(slice_cstr(flag_rows[i].file), letters, &meta);
        for (size_t k = 0; k < meta.keyword_count; k++)
            str_addf(&words, SLICE_FMT ",", SLICE_ARG(meta.keywords[k]));
        assert_int_equal(meta.flags, flag_rows[i].flags);
        assert_true(slice_eq_cstr(str_slice(&words), flag_rows[i].keywords));
        assert_true(slice_eq_cstr(mbx_maildir_base(slice_cstr(flag_rows[i].file)), flag_rows[i].base));
        str_fini(&words);
    }
}

static void test_sizes(void **state)
{
    static const struct {
        const char *file;
        bool has_s, has_w;
        uint64_t s, w;
    } rows[] = {{"1.a,S=12,W=13:2,S", true, true, 12, 13}, {"1.a,W=13", false, true, 0, 13},
                {"1.a:2,S=5", false, false, 0, 0},         {"1.a,S=,W=x", false, false, 0, 0},
                {"1.a,S=-1,W=1 ", false, false, 0, 0},     {"S=7", true, false, 7, 0}};
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        uint64_t s = 0, w = 0;
        assert_int_equal(mbx_maildir_size(slice_cstr(rows[i].file), 'S', &s), rows[i].has_s);
        assert_int_equal(mbx_maildir_size(slice_cstr(rows[i].file), 'W', &w), rows[i].has_w);
        assert_int_equal(s, rows[i].s);
        assert_int_equal(w, rows[i].w);
    }
}

static void test_keyword_lines(void **state)
{
    static const struct {
        const char *line;
        bool good;
        unsigned index;
        const char *name;
    } rows[] = {{"0 $Forwarded\n", true, 0, "$Forwarded"},
                {"25 x", true, 25, "x"},
                {"3  spaced \r\n", true, 3, "spaced"},
                {"x y", false, 0, ""},
                {"3", false, 0, ""},
                {"3 ", false, 0, ""},
                {"-1 a", false, 0, ""},
                {"128 a", false, 0, ""},
                {"", false, 0, ""}};
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        unsigned index;
        struct slice name;
        assert_int_equal(mbx_keyword_line(slice_cstr(rows[i].line), &index, &name), rows[i].good);
        if (rows[i].good) {
            assert_int_equal(index, rows[i].index);
            assert_true(slice_eq_cstr(name, rows[i].name));
        }
    }
}

static void test_keywords(void **state)
{
    static const char *const bad[] = {
        "",     "a b",  "a(b",      "\\Seen",
        "a\"b", "a]b",  "a*",       "a%",
        "{1}",  "\x7f", "\xc3\xa9", "12345678901234567890123456789012345678901234567890123456789012345"};
    struct mbx_meta meta = {0};
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++)
        assert_false(mbx_meta_add(&meta, slice_cstr(bad[i])));
    assert_int_equal(meta.keyword_count, 0);
    assert_true(mbx_meta_add(&meta, SLICE_LIT("$MDNSent")));
    assert_true(mbx_meta_add(&meta, SLICE_LIT("$mdnsent")));
    assert_int_equal(meta.keyword_count, 1);
    for (unsigned i = 0; i < 2 * MBX_KEYWORDS_MAX; i++) {
        char name[3] = {(char)('a' + i % 26), (char)('a' + i / 26), 0};
        mbx_meta_add(&meta, slice_cstr(name)); /* names are borrowed: only the number counts here */
    }
    assert_true(meta.keyword_count <= MBX_KEYWORDS_MAX);
}

/* -- names of mailboxes as names of files */
static const struct {
    const char *name, *dots, *slashes; /* written, and read back */
} names[] = {
    {"INBOX", "INBOX", "INBOX"},
    {"a/b/c", "a.b.c", "a/b/c"},
    {"v1.2/x.", "v1&AC4-2.x&AC4-", "v1&AC4-2/x&AC4-"},
    {"..", "&AC4-&AC4-", "&AC4-&AC4-"},
    {"Entw\xc3\xbcrfe", "Entw&APw-rfe", "Entw&APw-rfe"},
    {"\xc3\xbc.\xc3\xbc", "&APw-&AC4-&APw-", "&APw-&AC4-&APw-"},
    {"Tom & Jerry", "Tom &- Jerry", "Tom &- Jerry"},
    {"&AC4-", "&-AC4-", "&-AC4-"},
    {"a b", "a b", "a b"},
};

static void check_name(const char *name, const char *file, char sep)
{
    struct str out;
    str_init(&out, 0);
    assert_int_equal(mbx_name_emit(slice_cstr(name), sep, &out), MS_OK);
    if (!slice_eq_cstr(str_slice(&out), file))
        fail_msg("%s: %s", name, str_cstr(&out));
    str_reset(&out);
    assert_int_equal(mbx_name_parse(slice_cstr(file), sep, &out), MS_OK);
    if (!slice_eq_cstr(str_slice(&out), name))
        fail_msg("%s: %s", file, str_cstr(&out));
    str_fini(&out);
}

static void test_names(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(names); i++) {
        check_name(names[i].name, names[i].dots, '.');
        check_name(names[i].name, names[i].slashes, '/');
    }
}

static void test_read_names(void **state)
{
    static const struct {
        const char *file;
        char sep;
        enum ms_err want;
        const char *name;
    } rows[] = {
        {"Entw\xc3\xbcrfe", '.', MS_OK, "Entw\xc3\xbcrfe"}, /* UTF-8 as it is */
        {"a&b", '.', MS_OK, "a&b"},                         /* no modified UTF-7 */
        {"a.b", '/', MS_OK, "a.b"},
        {"a/b", '.', MS_EINVAL, ""},
        {"", '.', MS_EINVAL, ""},
        {"a..b", '.', MS_EINVAL, ""},
        {".a", '.', MS_EINVAL, ""},
        {"a.", '.', MS_EINVAL, ""},
        {"a&AC8-b", '.', MS_EINVAL, ""}, /* "/" */
        {"a\tb", '.', MS_EINVAL, ""},
        {"a\x7f", '.', MS_EINVAL, ""},
        {"a\xff", '.', MS_EINVAL, ""},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct str out;
        str_init(&out, 0);
        enum ms_err err = mbx_name_parse(slice_cstr(rows[i].file), rows[i].sep, &out);
        if (err != rows[i].want || (!err && !slice_eq_cstr(str_slice(&out), rows[i].name)))
            fail_msg("%s: %s %s", rows[i].file, ms_err_text(err), str_cstr(&out));
        str_fini(&out);
    }
}

static void test_long_names(void **state)
{
    char name[MBX_NAME_MAX + 2];
    struct str out;
    memset(name, 'a', sizeof name);
    str_init(&out, 0);
    assert_int_equal(mbx_name_parse(slice_make(name, MBX_NAME_MAX), '.', &out), MS_OK);
    str_reset(&out);
    assert_int_equal(mbx_name_parse(slice_make(name, MBX_NAME_MAX + 1), '.', &out), MS_ELIMIT);
    str_fini(&out);
    assert_int_equal(mbx_name_emit(SLICE_LIT("a\xff"), '.', &out), MS_EINVAL);
    str_fini(&out);
}

/* -- dovecot-uidlist */
static void on_uid(void *owner, uint32_t uid, struct slice base)
{
    str_addf(owner, "%u=" SLICE_FMT " ", uid, SLICE_ARG(base));
}

static void test_uidlist(void **state)
{
    static const struct {
        const char *text;
        enum ms_err want;
        uint32_t uidvalidity, uidnext;
        uint64_t ignored;
        const char *entries;
    } rows[] = {
        {"1 77 12\n3 a.b\n9 c:2,S\n", MS_OK, 77, 12, 0, "3=a.b 9=c "},
        {"3 V77 N12 G0123456789abcdef\n3 :a.b\n9 S12 W34 :c d:2,S\n", MS_OK, 77, 12, 0, "3=a.b 9=c d "},
        {"3 G1 N12 V77\r\n4 :a\r\n", MS_OK, 77, 12, 0, "4=a "},
        {"3 V77 N12\n4 :a", MS_OK, 77, 12, 0, "4=a "},
        {"3 V77 N5\n9 :a\n", MS_OK, 77, 10, 0, "9=a "}, /* more than the head says */
        {"3 V77 N5\n0 :a\nx :b\n3 c\n3\n\n4294967295 :d\n3 :\n3 :../e\n2 :f\n", MS_OK, 77, 5, 8, "2=f "},
        {"3 V77\n", MS_OK, 77, 0, 0, ""},
        {"3 N5\n", MS_ESYNTAX, 0, 0, 0, ""},
        {"3 Vx N5\n", MS_ESYNTAX, 0, 0, 0, ""},
        {"3 V4294967296 N5\n", MS_ESYNTAX, 0, 0, 0, ""},
        {"1 77\n", MS_ESYNTAX, 0, 0, 0, ""},
        {"1 0 1\n", MS_ESYNTAX, 0, 0, 0, ""},
        {"2 77 12\n", MS_EVERSION, 0, 0, 0, ""},
        {"4 V77 N12\n", MS_EVERSION, 0, 0, 0, ""},
        {"x", MS_ESYNTAX, 0, 0, 0, ""},
        {"", MS_ESYNTAX, 0, 0, 0, ""},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct slice text = slice_cstr(rows[i].text);
        struct mbx_input in = {.fd = -1, .memory = text, .size = text.len};
        struct mbx_uidlist list;
        struct str entries;
        str_init(&entries, 0);
        enum ms_err err = mbx_uidlist_parse(&in, on_uid, &entries, &list);
        if (err != rows[i].want || !slice_eq_cstr(str_slice(&entries), rows[i].entries))
            fail_msg("%s: %s: %s", rows[i].text, ms_err_text(err), str_cstr(&entries));
        if (!err && (list.uidvalidity != rows[i].uidvalidity || list.uidnext != rows[i].uidnext ||
                     list.ignored != rows[i].ignored))
            fail_msg("%s: %u %u %llu", rows[i].text, list.uidvalidity, list.uidnext,
                     (unsigned long long)list.ignored);
        str_fini(&entries);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags),         cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_keyword_lines), cmocka_unit_test(test_keywords),
        cmocka_unit_test(test_names),         cmocka_unit_test(test_read_names),
        cmocka_unit_test(test_long_names),    cmocka_unit_test(test_uidlist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
