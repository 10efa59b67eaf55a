/*
 * smtp_line.c - command lines.
 *
 * A refused line is skipped up to CRLF, never up to LF: otherwise the text behind a bare LF, which a stricter
 * relay in front of us passed on as part of one line, would run here as a command of its own.
 */
#include "ms/smtp.h"

void smtp_line_init(struct smtp_line *l, size_t bytes_max)
{
    MS_ASSERT(bytes_max >= 2);
    *l = (struct smtp_line){.bytes_max = bytes_max};
}

/* Drops up to and with CRLF; returns the bytes dropped. */
static size_t line_skip(struct smtp_line *l, struct slice in)
{
    size_t pos = 0;

    while (pos < in.len) {
        const uint8_t *lf = memchr(in.ptr + pos, '\n', in.len - pos);
        if (!lf) {
            l->ends_cr = in.ptr[in.len - 1] == '\r';
            return in.len;
        }
        size_t at = (size_t)(lf - in.ptr);
        bool after_cr = at > 0 ? in.ptr[at - 1] == '\r' : l->ends_cr;
        l->ends_cr = false;
        pos = at + 1;
        if (after_cr) {
            l->skipping = false;
            break;
        }
    }
    return pos;
}

static enum ms_err line_refuse(struct smtp_line *l, struct slice in, size_t used, enum ms_err err)
{
    l->skipping = true;
    l->ends_cr = in.ptr[used - 1] == '\r';
    l->scanned = 0;
    return err;
}

enum ms_err smtp_line_find(struct smtp_line *l, struct slice in, struct slice *line_out, size_t *used_out)
{
    size_t skipped = l->skipping ? line_skip(l, in) : 0;
    const uint8_t *lf = NULL;

    *line_out = slice_make(NULL, 0);
    *used_out = skipped;
    if (l->skipping)
        return MS_EMORE;
    in = slice_sub(in, skipped, SIZE_MAX);

    size_t scanned = MS_MIN(l->scanned, in.len);
    size_t window = MS_MIN(in.len, l->bytes_max);
    if (scanned < window)
        lf = memchr(in.ptr + scanned, '\n', window - scanned);
    if (!lf) {
        if (in.len >= l->bytes_max) {
            *used_out += l->bytes_max;
            return line_refuse(l, in, l->bytes_max, MS_ELIMIT);
        }
        l->scanned = in.len;
        return MS_EMORE;
    }

    size_t bytes = (size_t)(lf - in.ptr) + 1;
    *used_out += bytes;
    if (bytes < 2 || lf[-1] != '\r')
        return line_refuse(l, in, bytes, MS_ESYNTAX);
    l->scanned = 0;
    *line_out = slice_make(in.ptr, bytes - 2);
    return MS_OK;
}
