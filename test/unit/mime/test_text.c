/* test_text.c - keys in parts and fields: decoded, in any case, wherever the bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "ms/base/unicode.h"
#include "ms/mime/text.h"

static void map_is(const char *in, const char *want)
{
    struct str got;

    str_init(&got, 0);
    unicode_casemap(slice_cstr(in), &got);
    if (!slice_eq_cstr(str_slice(&got), want))
        fail_msg("%s gives %s, not %s", in, str_cstr(&got), want);
    str_fini(&got);
}

static void casemap(void **state)
{
    map_is("", "");
    map_is("Hello, WORLD 09[]", "hello, world 09[]");
    map_is("\xc3\x89", "e\xcc\x81"); /* E acute: folded and decomposed */
    map_is("e\xcc\x81", "e\xcc\x81");
    map_is("stra\xc3\x9f"
           "e",
           "strasse");
    map_is("\xce\xa3\xcf\x83\xcf\x82", "\xcf\x83\xcf\x83\xcf\x83"); /* the sigmas */
    map_is("\xef\xac\x81", "fi");                                   /* ligature */
    map_is("\xef\xbc\xa1", "a");                                    /* full width */
    map_is("\xe2\x84\xa2", "tm");
    map_is("\xd0\x9f", "\xd0\xbf");
    map_is("\xea\xb0\x80", "\xe1\x84\x80\xe1\x85\xa1"); /* Hangul */
    map_is("a\xff"
           "B",
           "a\xef\xbf\xbd"
           "b");
}

/* -- parts */
static const struct part_row {
    const char *header, *body; /* of a message */
    const char *key;
    bool found;
} parts[] = {
    {"", "some plain text", "PLAIN", true},
    {"", "some plain text", "", true},
    {"", "", "", true},
    {"", "some plain text", "plaintext", false},
    {"", "one\r\ntwo", "one\r\ntwo", true},
    {"Content-Type: text/plain; charset=iso-8859-1\r\n", "caf\xe9", "CAF\xc3\x89", true},
    {"Content-Type: text/plain; charset=utf-8\r\n", "cafe\xcc\x81", "caf\xc3\xa9", true},
    {"Content-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n", "8NLJ18XU",
     "\xd0\xbf\xd0\xa0\xd0\xb8\xd0\xb2", true},
    {"Content-Transfer-Encoding: BASE64\r\n", "c29tZSBw\r\nbGFpbiB0\r\nZXh0", "some plain text", true},
    {"Content-Transfer-Encoding: BASE64\r\n", "c29tZSBwbGFpbiB0ZXh0", "c29t", false},
    {"Content-Transfer-Encoding: quoted-printable\r\n", "soft line=\r\n break =C3=A9", "line break \xc3\xa9",
     true},
    {"Content-Transfer-Encoding: quoted-printable\r\n", "a=20b", "=20", false},
    {"Content-Transfer-Encoding: x-strange\r\n", "as it stands", "it", true},
    {"Content-Type: text/plain; charset=x-unheard\r\n", "caf\xe9", "caf\xc3\xa9", true},
    {"Content-Type: text/plain; charset*=us-ascii'en'iso-8859-15\r\n", "\xa4", "\xe2\x82\xac", true},
    {"Content-Type: garbage\r\n", "some text", "text", true},
    {"Content-Type: text/html\r\n", "<p>one <b>wo</b>rd</p>", "one word", true},
    {"Content-Type: text/html\r\n", "<p>one <b>wo</b>rd</p>", "<b>wo", true}, /* as it stands too */
    {"Content-Type: text/html\r\n", "<a href=\"http://x.example/\">y</a>", "x.example", true},
    {"Content-Type: text/html\r\n", "caf&eacute;", "caf\xc3\xa9", true},
    {"Content-Type: text/html\r\n", "<script>hidden</script>", "hid den", false},
    {"Content-Type: text/plain\r\n", "<b>wo</b>rd", "word", false},
    {"Content-Type: image/png\r\n", "some text", "text", false},
    {"Content-Type: application/json\r\n", "some text", "text", false},
    {"Content-Type: message/delivery-status\r\n", "Status: 5.1.1", "5.1.1", true},
    {"Content-Type: multipart/mixed; boundary=x\r\n", "no delimiter", "delimiter",
     true}, /* no container after all */
};

static bool look(const struct part_row *row, size_t step)
{
    struct slice key = slice_cstr(row->key), bytes;
    struct mime_text_kind kind;
    struct mime_needles needles;
    struct mime_matcher matcher;
    struct mime_message m;
    struct mime_text text;
    struct arena a;
    struct str message;
    bool found;

    arena_init(&a, 0);
    str_init(&message, 0);
    str_addf(&message, "%s\r\n%s", row->header, row->body);
    bytes = str_slice(&message);
    mime_message_init(&m);
    mime_message_parse(&bytes, 1, &m);
    mime_needles_init(&needles, &key, 1);
    mime_matcher_init(&matcher, &needles);
    mime_text_init(&text, &matcher);
    if (mime_text_kind_find(&m, mime_message_root(&m), &a, &kind)) {
        mime_text_begin(&text, &kind);
        bytes = slice_sub(bytes, mime_part_body_off(mime_message_root(&m)), bytes.len);
        for (size_t at = 0; at < bytes.len; at += step)
            mime_text_add(&text, slice_sub(bytes, at, step));
        mime_text_end(&text);
    }
    found = mime_matcher_has(&matcher, 0);
    mime_text_fini(&text);
    mime_matcher_fini(&matcher);
    mime_needles_fini(&needles);
    mime_message_fini(&m);
    str_fini(&message);
    arena_fini(&a);
    return found;
}

static void every_cut(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(parts); i++)
        for (size_t step = 1; step < 12; step++)
            if (look(&parts[i], step) != parts[i].found)
                fail_msg("\"%s\" in \"%s%s\", steps of %zu: not %s", parts[i].key, parts[i].header,
                         parts[i].body, step, parts[i].found ? "found" : "missing");
}

/* -- fields */
static const struct {
    const char *field, *key;
    bool found, in_value; /* with the name in front, and in the value alone */
} fields[] = {
    {"Subject: Hello\r\n", "hello", true, true},
    {"Subject: Hello\r\n", "subject: h", true, false},
    {"Subject: a long\r\n one\r\n", "long one", true, true},
    {"Subject: =?utf-8?q?caf=C3=A9?=\r\n", "CAF\xc3\x89", true, true},
    {"Subject: =?utf-8?q?caf=C3=A9?=\r\n", "=C3", false, false},
    {"Subject: =?utf-8?q?one_?=\r\n =?utf-8?q?word?=\r\n", "one word", true, true},
    {"Subject: caf\xe9\r\n", "caf\xc3\xa9", true, true},
    {"Subject:\r\n", "", true, true},
    {"Subject:\r\n", "x", false, false},
    {"Content-Disposition: attachment; filename*=utf-8''na%C3%AFve.txt\r\n", "na\xc3\xafve", true, true},
    {"Content-Disposition: attachment; filename*=utf-8''na%C3%AFve.txt\r\n", "filename=na\xc3\xaf", true,
     true},
    {"Content-Disposition: attachment; filename*=utf-8''na%C3%AFve.txt\r\n", "na%C3%AFve", true, true},
    {"Content-Disposition: attachment; filename*0*=koi8-r''%f0;\r\n filename*1=\"and\"\r\n",
     "\xd0\x9f"
     "and",
     true, true},
    {"Content-Type: text/plain; name*0=ab; name*1=cd\r\n", "name=abcd", true, true},
    {"Content-Type: text/plain; name*1=cd\r\n", "name=", false, false},
    {"Content-Type: text/plain; name*=x-unheard''%41\r\n", "name=a", true, true},
    {"X-Other: text/plain; name*0=ab; name*1=cd\r\n", "abcd", false, false},
};

static void header_fields(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(fields); i++) {
        struct slice key = slice_cstr(fields[i].key);
        struct mime_header_field field;
        struct mime_header_iter it;
        struct mime_needles needles;
        struct mime_matcher matcher;
        struct mime_text text;
        struct str value;
        struct arena a;

        arena_init(&a, 0);
        str_init(&value, 0);
        mime_header_iter_init(&it, slice_cstr(fields[i].field));
        assert_true(mime_header_next(&it, &field));
        mime_needles_init(&needles, &key, 1);
        mime_matcher_init(&matcher, &needles);
        mime_text_init(&text, &matcher);
        mime_text_field(&text, &field, &a);
        mime_text_value(field.name, field.value, &a, &value);
        if (mime_matcher_has(&matcher, 0) != fields[i].found ||
            (key.len == 0 || slice_find(str_slice(&value), needles.items[0]) >= 0) != fields[i].in_value)
            fail_msg("\"%s\" in \"%s\"", fields[i].key, fields[i].field);
        mime_text_fini(&text);
        mime_matcher_fini(&matcher);
        mime_needles_fini(&needles);
        str_fini(&value);
        arena_fini(&a);
    }
}

/* -- several keys; random cuts against the whole */
static uint32_t random_next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

static void random_cuts(void **state)
{
    const char *from = getenv("MS_SEED");
    uint64_t seed = from ? strtoull(from, NULL, 10) : 1;
    struct slice keys[8];
    char key_text[8][40], bytes[3000];

    for (unsigned round = 0; round < 2000; round++) {
        struct mime_needles needles;
        struct mime_matcher m;
        struct mime_window w;
        size_t len = random_next(&seed) % sizeof bytes, at = 0;

        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)('a' + random_next(&seed) % 3);
        for (unsigned k = 0; k < 8; k++) {
            size_t n = random_next(&seed) % 12;

            for (size_t i = 0; i < n; i++)
                key_text[k][i] = (char)('a' + random_next(&seed) % 3);
            keys[k] = slice_make(key_text[k], n);
        }
        mime_needles_init(&needles, keys, 8);
        mime_matcher_init(&m, &needles);
        mime_window_init(&w);
        mime_window_begin(&w);
        do {
            size_t n = random_next(&seed) % 40;

            mime_window_add(&w, &m, slice_sub(slice_make(bytes, len), at, n));
            at += n;
        } while (at < len);
        for (unsigned k = 0; k < 8; k++)
            if (mime_matcher_has(&m, k) !=
                (keys[k].len == 0 || slice_find(slice_make(bytes, len), keys[k]) >= 0))
                fail_msg("round %u, key %u (MS_SEED=1 begins anew)", round, k);
        mime_window_fini(&w);
        mime_matcher_fini(&m);
        mime_needles_fini(&needles);
    }
}

static void wanted(void **state)
{
    const struct slice keys[] = {SLICE_LIT("ab"), SLICE_LIT("bc")};
    const bool second[] = {false, true};
    struct mime_needles needles;
    struct mime_matcher m;
    struct mime_window w;

    mime_needles_init(&needles, keys, 2);
    mime_matcher_init(&m, &needles);
    mime_window_init(&w);
    m.wanted = second;
    mime_window_begin(&w);
    mime_window_add(&w, &m, SLICE_LIT("abc"));
    assert_false(mime_matcher_has(&m, 0));
    assert_true(mime_matcher_has(&m, 1));
    m.wanted = NULL;
    mime_window_begin(&w); /* no key spans two texts */
    mime_window_add(&w, &m, SLICE_LIT("xa"));
    mime_window_begin(&w);
    mime_window_add(&w, &m, SLICE_LIT("b"));
    assert_false(mime_matcher_has(&m, 0));
    mime_matcher_reset(&m);
    assert_false(mime_matcher_has(&m, 1));
    mime_window_fini(&w);
    mime_matcher_fini(&m);
    mime_needles_fini(&needles);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(casemap),     cmocka_unit_test(every_cut), cmocka_unit_test(header_fields),
        cmocka_unit_test(random_cuts), cmocka_unit_test(wanted),
    };

    return cmocka_run_group_tests_name("mime text", tests, NULL, NULL);
}
