/*
 * utf7.c - the modified UTF-7 of IMAP mailbox names, RFC 3501 5.1.3.
 *
 * Two spellings of one name would be two mailboxes to a client that compares bytes, so only the canonical one
 * is taken: what parse accepts, emit gives back byte for byte.
 */
#include <string.h>

#include "ms/base/codec.h"

static const char utf7_chars[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int utf7_value(uint8_t c)
{
    const char *at = c ? strchr(utf7_chars, c) : NULL;

    return at ? (int)(at - utf7_chars) : -1;
}

static bool utf7_is_direct(uint32_t code)
{
    return code >= 0x20 && code <= 0x7e;
}

/* State of one shifted run while it is read. */
struct utf7_run {
    uint32_t bits;
    unsigned have;
    uint32_t high; /* first half of a pair, 0 = none */
};

static enum ms_err utf7_unit(struct utf7_run *run, uint32_t unit, struct str *out)
{
    if (run->high) {
        if (unit < 0xdc00 || unit > 0xdfff)
            return MS_ESYNTAX;
        utf8_add(out, 0x10000 + ((run->high - 0xd800) << 10) + (unit - 0xdc00));
        run->high = 0;
        return MS_OK;
    }
    if (unit >= 0xd800 && unit <= 0xdbff) {
        run->high = unit;
        return MS_OK;
    }
    /* RFC 3501 5.1.3: what can stand for itself must not be shifted. */
    if ((unit >= 0xdc00 && unit <= 0xdfff) || utf7_is_direct(unit))
        return MS_ESYNTAX;
    utf8_add(out, unit);
    return MS_OK;
}

/* `in` is behind the '&'; *taken_out includes the closing '-'. */
static enum ms_err utf7_parse_run(struct slice in, struct str *out, size_t *taken_out)
{
    struct utf7_run run = {0};
    size_t i;

    for (i = 0; i < in.len && in.ptr[i] != '-'; i++) {
        int v = utf7_value(in.ptr[i]);

        if (v < 0)
            return MS_ESYNTAX;
        run.bits = run.bits << 6 | (uint32_t)v;
        run.have += 6;
        if (run.have >= 16) {
            run.have -= 16;
            MS_TRY(utf7_unit(&run, run.bits >> run.have & 0xffff, out));
        }
    }
    /* The run is closed, no half pair is left, no character more than needed, and the bits behind are zero.
     */
    if (i == in.len || i == 0 || run.high || run.have >= 6 || (run.bits & ((1u << run.have) - 1)))
        return MS_ESYNTAX;
    *taken_out = i + 1;
    return MS_OK;
}

static enum ms_err utf7_parse_all(struct slice in, struct str *out)
{
    bool after_run = false;

    for (size_t i = 0; i < in.len;) {
        size_t taken;

        if (!utf7_is_direct(in.ptr[i]))
            return MS_ESYNTAX;
        if (in.ptr[i] != '&') {
            str_add_byte(out, in.ptr[i++]);
            after_run = false;
        } else if (i + 1 < in.len && in.ptr[i + 1] == '-') {
            str_add_byte(out, '&');
            i += 2;
            after_run = false;
        } else {
            /* RFC 3501 5.1.3: no shift back just to shift again. */
            if (after_run)
                return MS_ESYNTAX;
            MS_TRY(utf7_parse_run(slice_sub(in, i + 1, SIZE_MAX), out, &taken));
            i += 1 + taken;
            after_run = true;
        }
    }
    return MS_OK;
}

enum ms_err utf7imap_parse(struct slice in, struct str *out)
{
    size_t before = out->len;
    enum ms_err err = utf7_parse_all(in, out);

    if (!err && str_is_over(out))
        err = MS_ELIMIT;
    if (err)
        str_cut(out, before);
    return err;
}

static void utf7_emit_unit(struct utf7_run *run, uint32_t unit, struct str *out)
{
    run->bits = run->bits << 16 | unit;
    run->have += 16;
    while (run->have >= 6) {
        run->have -= 6;
        str_add_byte(out, (uint8_t)utf7_chars[run->bits >> run->have & 63]);
    }
}

/* From the first character that needs a shift to the last in a row; gives the bytes taken. */
static size_t utf7_emit_run(struct slice in, struct str *out)
{
    struct utf7_run run = {0};
    size_t at = 0;

    str_add_byte(out, '&');
    while (at < in.len && !utf7_is_direct(in.ptr[at])) {
        uint32_t code = 0;

        at += utf8_parse(slice_sub(in, at, SIZE_MAX), &code);
        if (code >= 0x10000) {
            utf7_emit_unit(&run, 0xd800 + ((code - 0x10000) >> 10), out);
            code = 0xdc00 + ((code - 0x10000) & 0x3ff);
        }
        utf7_emit_unit(&run, code, out);
    }
    if (run.have)
        str_add_byte(out, (uint8_t)utf7_chars[run.bits << (6 - run.have) & 63]);
    str_add_byte(out, '-');
    return at;
}

enum ms_err utf7imap_emit(struct slice utf8, struct str *out)
{
    size_t before = out->len;

    if (!utf8_is_valid(utf8))
        return MS_EINVAL;
    for (size_t i = 0; i < utf8.len;) {
        if (!utf7_is_direct(utf8.ptr[i])) {
            i += utf7_emit_run(slice_sub(utf8, i, SIZE_MAX), out);
            continue;
        }
        str_add_byte(out, utf8.ptr[i]);
        if (utf8.ptr[i++] == '&')
            str_add_byte(out, '-');
    }
    if (str_is_over(out)) {
        str_cut(out, before);
        return MS_ELIMIT;
    }
    return MS_OK;
}
