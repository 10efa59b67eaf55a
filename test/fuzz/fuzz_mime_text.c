/*
 * fuzz_mime_text.c - the text of a part: the same keys are found wherever the bytes are cut, and those that are found
 * are in the text. First two bytes: encoding, charset, HTML and size of the pieces; a line: the key; the rest: the
 * body. The rest is also read as a header field. Needs: libms_mime, libms_base. Corpus: corpus/mime_text.
 */
#include "ms/base/codec.h"
#include "ms/base/unicode.h"
#include "ms/mime/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const charsets[] = {"utf-8",    "iso-8859-1",   "koi8-r",     "iso-2022-jp", "gb2312",
                                       "utf-16",   "utf-7",        "shift_jis",  "euc-kr",      "big5",
                                       "x-nobody", "windows-1252", "iso-8859-15"};

static bool look(const struct mime_text_kind *kind, const struct mime_needles *needles, struct slice in,
                 size_t step)
{
    struct mime_matcher m;
    struct mime_text text;
    bool found;

    mime_matcher_init(&m, needles);
    mime_text_init(&text, &m);
    mime_text_begin(&text, kind);
    for (size_t at = 0; at < in.len; at += step) {
        struct slice piece = slice_sub(in, at, step);
        uint8_t *copy = ms_memdup(piece.ptr, piece.len); /* so that reading past it is seen */

        mime_text_add(&text, slice_make(copy, piece.len));
        ms_free(copy);
    }
    mime_text_end(&text);
    found = mime_matcher_has(&m, 0);
    mime_text_fini(&text);
    mime_matcher_fini(&m);
    return found;
}

/* The same without pieces and windows. */
static bool is_in(const struct mime_text_kind *kind, const struct mime_needles *needles, struct slice in)
{
    struct mime_decoder d;
    struct mime_charset c;
    struct str bytes, utf8, mapped;
    bool found;

    str_init(&bytes, 0);
    str_init(&utf8, 0);
    str_init(&mapped, 0);
    mime_decoder_init(&d, kind->encoding);
    mime_decoder_add(&d, in, &bytes);
    mime_decoder_finish(&d, &bytes);
    mime_charset_init(&c, kind->charset);
    mime_charset_add(&c, str_slice(&bytes), &utf8);
    mime_charset_finish(&c, &utf8);
    mime_charset_fini(&c);
    MS_ASSERT(utf8_is_valid(str_slice(&utf8)));
    unicode_casemap(str_slice(&utf8), &mapped);
    MS_ASSERT(utf8_is_valid(str_slice(&mapped)));
    found = needles->items[0].len == 0 || slice_find(str_slice(&mapped), needles->items[0]) >= 0;
    str_fini(&mapped);
    str_fini(&utf8);
    str_fini(&bytes);
    return found;
}

static void as_field(const struct mime_needles *needles, struct slice in)
{
    struct mime_header_field field;
    struct mime_header_iter it;
    struct mime_matcher m;
    struct mime_text text;
    struct str value;
    struct arena a;

    arena_init(&a, 1 << 20);
    str_init(&value, 0);
    mime_matcher_init(&m, needles);
    mime_text_init(&text, &m);
    mime_header_iter_init(&it, in);
    while (mime_header_next(&it, &field)) {
        mime_text_field(&text, &field, &a);
        mime_text_value(field.name, field.value, &a, &value);
        arena_reset(&a);
    }
    MS_ASSERT(utf8_is_valid(str_slice(&value)));
    mime_text_fini(&text);
    mime_matcher_fini(&m);
    str_fini(&value);
    arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_make(size > 2 ? data + 2 : NULL, size > 2 ? size - 2 : 0), key = in;
    struct mime_text_kind kind = {.encoding = MIME_ENCODING_IDENTITY, .charset = SLICE_LIT("utf-8")};
    struct mime_needles needles;
    bool found;

    if (size > 2) {
        kind.encoding = data[0] % 3;
        kind.is_html = data[0] / 3 % 2;
        kind.charset = slice_cstr(charsets[data[0] / 6 % MS_ARRAY_LEN(charsets)]);
    }
    slice_cut(&in, '\n', &key);
    mime_needles_init(&needles, &key, 1);
    found = look(&kind, &needles, in, SIZE_MAX / 2);
    MS_ASSERT(found == look(&kind, &needles, in, size > 2 ? data[1] % 64 + 1u : 1));
    if (!kind.is_html)
        MS_ASSERT(found == is_in(&kind, &needles, in));
    as_field(&needles, in);
    mime_needles_fini(&needles);
    return 0;
}
