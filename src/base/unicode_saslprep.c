/*
 * unicode_saslprep.c - SASLprep (RFC 4013), a profile of stringprep (RFC 3454): map, NFKC, forbid, directions.
 *
 * The tables are those of RFC 3454 but one: of the unassigned code points (A.1, Unicode 3.2) only those are forbidden
 * that utf8proc does not know either, so letters and signs of later years may stand in a password.
 */
#include "ms/base/unicode.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "ms/base/codec.h"

struct range {
    uint32_t first, last;
};

/* clang-format off */
static const struct range prep_spaces[] = { /* C.1.2 */
    {0xa0, 0xa0}, {0x1680, 0x1680}, {0x2000, 0x200b}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000},
};
static const struct range prep_nothing[] = { /* B.1 */
    {0xad, 0xad}, {0x34f, 0x34f}, {0x1806, 0x1806}, {0x180b, 0x180d}, {0x200b, 0x200d}, {0x2060, 0x2060},
    {0xfe00, 0xfe0f}, {0xfeff, 0xfeff},
};
static const struct range prep_forbidden[] = {
    {0, 0x1f}, {0x7f, 0x9f},                                                        /* C.2.1, C.2.2 */
    {0x6dd, 0x6dd}, {0x70f, 0x70f}, {0x180e, 0x180e}, {0x200c, 0x200d}, {0x2028, 0x2029}, {0x2060, 0x2063},
    {0x206a, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffd}, {0x1d173, 0x1d17a},       /* C.2.2, C.6, C.8 */
    {0xe000, 0xf8ff}, {0xf0000, 0xffffd}, {0x100000, 0x10fffd},                     /* C.3 */
    {0xfdd0, 0xfdef},                                                             /* C.4; and each end */
    {0x2ff0, 0x2ffb},                                                               /* C.7 */
    {0x340, 0x341}, {0x200e, 0x200f}, {0x202a, 0x202e},                             /* C.8 */
    {0xe0001, 0xe0001}, {0xe0020, 0xe007f},                                         /* C.9 */
};
/* clang-format on */

static bool in_table(const struct range *table, size_t count, uint32_t c)
{
    for (size_t i = 0; i < count; i++)
        if (c >= table[i].first && c <= table[i].last)
            return true;
    return false;
}
#define IN(table, c) in_table(table, MS_ARRAY_LEN(table), c)

/* RFC 4013 2.1 */
static void map_chars(struct slice in, struct str *out)
{
    uint32_t c;
    for (; in.len; in = slice_sub(in, utf8_parse(in, &c), SIZE_MAX)) {
        (void)utf8_parse(in, &c); /* checked: it is UTF-8 */
        if (IN(prep_spaces, c))
            str_add_byte(out, ' ');
        else if (!IN(prep_nothing, c))
            utf8_add(out, c);
    }
}

/* RFC 4013 2.3 and 2.5 */
static bool is_forbidden(uint32_t c)
{
    return IN(prep_forbidden, c) || (c & 0xfffe) == 0xfffe ||
           utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_CN;
}

/* RFC 3454 6: with a character of a right-to-left script there is none of a left-to-right one, and it stands at both
 * ends. */
static bool check_chars(struct slice text)
{
    bool right = false, left = false, first = false, last = false;
    uint32_t c;
    for (size_t at = 0, n; at < text.len; at += n) {
        n = utf8_parse(slice_sub(text, at, SIZE_MAX), &c);
        if (n == 0 || is_forbidden(c))
            return false;
        unsigned bidi = utf8proc_get_property((utf8proc_int32_t)c)->bidi_class;
        last = bidi == UTF8PROC_BIDI_CLASS_R || bidi == UTF8PROC_BIDI_CLASS_AL;
        first = at == 0 ? last : first;
        right = right || last;
        left = left || bidi == UTF8PROC_BIDI_CLASS_L;
    }
    return !right || (!left && first && last);
}

static enum ms_err prep(struct slice in, struct str *mapped, utf8proc_uint8_t **text_out, size_t *len_out)
{
    map_chars(in, mapped);
    if (mapped->len == 0)
        return MS_EINVAL;
    utf8proc_ssize_t len = utf8proc_map(mapped->ptr, (utf8proc_ssize_t)mapped->len, text_out,
                                        UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
    if (len < 0)
        return len == UTF8PROC_ERROR_NOMEM ? MS_ENOMEM : MS_EINVAL;
    *len_out = (size_t)len;
    return check_chars(slice_make(*text_out, *len_out)) ? MS_OK : MS_EINVAL;
}

enum ms_err unicode_saslprep(struct slice in, struct str *out)
{
    utf8proc_uint8_t *text = NULL;
    struct str mapped;
    size_t len = 0;
    if (in.len > UNICODE_NAME_MAX)
        return MS_ELIMIT;
    if (!utf8_is_valid(in))
        return MS_EINVAL;
    str_init(&mapped, 0);
    enum ms_err err = prep(in, &mapped, &text, &len);
    if (!err) {
        str_add(out, text, len);
        err = str_is_over(out) ? MS_ELIMIT : MS_OK;
    }
    /* It may be a password. */
    if (text)
        explicit_bzero(text, len);
    if (mapped.ptr)
        explicit_bzero(mapped.ptr, mapped.cap);
    free(text);
    str_fini(&mapped);
    return err;
}
