/*
 * unicode.c - utf8proc and libidn2 behind bounds.
 *
 * libidn2 maps before it checks: it drops characters and turns others into dots and ASCII. Therefore the
 * ASCII octets of the input are checked before it and everything again behind it.
 */
#include "ms/base/unicode.h"

#include <idn2.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "ms/base/codec.h"

#define FOLD_ROUNDS_MAX 4

bool unicode_is_ascii(struct slice in)
{
    for (size_t i = 0; i < in.len; i++)
        if (in.ptr[i] >= 0x80)
            return false;
    return true;
}

static bool is_plain_char(uint32_t c)
{
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_CS:
        return false;
    case UTF8PROC_CATEGORY_ZS:
        return c == ' ';
    default: /* marks, embeddings, overrides and isolates of direction; the byte order mark */
        return !(c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
                 c == 0x061c || c == 0xfeff);
    }
}

bool unicode_is_plain(struct slice in)
{
    while (in.len) {
        uint32_t c;
        size_t n = utf8_parse(in, &c);
        if (n == 0 || !is_plain_char(c))
            return false;
        in = slice_sub(in, n, SIZE_MAX);
    }
    return true;
}

enum ms_err unicode_nfc(struct slice in, struct str *out)
{
    utf8proc_uint8_t *text = NULL;
    utf8proc_ssize_t len;

    if (in.len > UNICODE_NAME_MAX)
        return MS_ELIMIT;
    if (!utf8_is_valid(in))
        return MS_EINVAL;
    if (unicode_is_ascii(in)) {
        str_add_slice(out, in);
        return str_is_over(out) ? MS_ELIMIT : MS_OK;
    }
    len = utf8proc_map(in.ptr, (utf8proc_ssize_t)in.len, &text, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (len < 0)
        return len == UTF8PROC_ERROR_NOMEM ? MS_ENOMEM : MS_EINVAL;
    str_add(out, text, (size_t)len);
    free(text);
    return str_is_over(out) ? MS_ELIMIT : MS_OK;
}

static enum ms_err fold_once(struct slice in, struct str *out)
{
    utf8proc_uint8_t *folded = NULL;
    utf8proc_ssize_t len = utf8proc_map(in.ptr, (utf8proc_ssize_t)in.len, &folded,
                                        UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD);
    if (len < 0)
        return len == UTF8PROC_ERROR_NOMEM ? MS_ENOMEM : MS_EINVAL;
    str_reset(out);
    str_add(out, folded, (size_t)len);
    free(folded);
    return MS_OK;
}

/* The fold of a decomposed letter may compose to one that folds further: until nothing changes. */
enum ms_err unicode_fold(struct slice in, struct str *out)
{
    if (in.len > UNICODE_NAME_MAX)
        return MS_ELIMIT;
    if (!utf8_is_valid(in))
        return MS_EINVAL;
    if (in.len == 0)
        return MS_OK;
    struct str a, b;
    str_init(&a, 0);
    str_init(&b, 0);
    enum ms_err err = fold_once(in, &a);
    for (int i = 0; !err && i < FOLD_ROUNDS_MAX; i++) {
        err = fold_once(str_slice(&a), &b);
        bool same = !err && slice_eq(str_slice(&a), str_slice(&b));
        struct str swap = a;
        a = b;
        b = swap;
        if (same)
            break;
    }
    if (!err) {
        str_add_slice(out, str_slice(&a));
        err = str_is_over(out) ? MS_ELIMIT : MS_OK;
    }
    str_fini(&a);
    str_fini(&b);
    return err;
}

/* Lower-cases as it goes. */
static enum ms_err ascii_domain(struct slice in, char out[UNICODE_DOMAIN_MAX + 1])
{
    size_t label = 0;
    if (in.len == 0 || in.len > UNICODE_DOMAIN_MAX)
        return in.len ? MS_ELIMIT : MS_EINVAL;
    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = ms_ascii_lower(in.ptr[i]);
        bool last = i + 1 == in.len || in.ptr[i + 1] == '.';
        if (c == '.') {
            if (label == 0)
                return MS_EINVAL;
            label = 0;
        } else if (ms_ascii_is_alpha(c) || ms_ascii_is_digit(c) || (c == '-' && label > 0 && !last)) {
            if (++label > UNICODE_LABEL_MAX)
                return MS_ELIMIT;
        } else {
            return MS_EINVAL;
        }
        out[i] = (char)c;
    }
    out[in.len] = '\0';
    return label ? MS_OK : MS_EINVAL;
}

static enum ms_err check_input(struct slice in)
{
    if (in.len > UNICODE_NAME_MAX)
        return MS_ELIMIT;
    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = in.ptr[i];
        if (c < 0x80 && !ms_ascii_is_alpha(c) && !ms_ascii_is_digit(c) && c != '-' && c != '.')
            return MS_EINVAL;
    }
    return unicode_is_plain(in) ? MS_OK : MS_EINVAL;
}

static enum ms_err err_from_idn(int rc)
{
    switch (rc) {
    case IDN2_MALLOC:
        return MS_ENOMEM;
    case IDN2_TOO_BIG_DOMAIN:
    case IDN2_TOO_BIG_LABEL:
    case IDN2_PUNYCODE_BIG_OUTPUT:
        return MS_ELIMIT;
    default:
        return MS_EINVAL;
    }
}

static bool has_ace_label(struct slice in)
{
    struct slice label;
    bool more = true;
    while (more) {
        more = slice_cut(&in, '.', &label);
        if (slice_has_iprefix(more ? label : in, SLICE_LIT("xn--")))
            return true;
    }
    return false;
}

enum ms_err unicode_domain_to_ascii(struct slice in, char out[UNICODE_DOMAIN_MAX + 1])
{
    if (unicode_is_ascii(in) && !has_ace_label(in))
        return ascii_domain(in, out);
    MS_TRY(check_input(in));
    char *text = slice_dup_cstr(in), *labels = NULL;
    int rc = idn2_to_ascii_8z(text, &labels, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    enum ms_err err = rc == IDN2_OK ? ascii_domain(slice_cstr(labels), out) : err_from_idn(rc);
    idn2_free(labels);
    ms_free(text);
    return err;
}

void unicode_domain_to_display(struct slice in, struct str *out)
{
    char labels[UNICODE_DOMAIN_MAX + 1], *text = NULL;
    if (in.len <= UNICODE_NAME_MAX && has_ace_label(in) && unicode_domain_to_ascii(in, labels) == MS_OK &&
        idn2_to_unicode_8z8z(labels, &text, 0) == IDN2_OK && unicode_is_plain(slice_cstr(text)))
        str_add_cstr(out, text);
    else
        str_add_slice(out, in);
    idn2_free(text);
}
