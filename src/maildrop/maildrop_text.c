/*
 * maildrop_text.c - what a program writes becomes message bytes: CRLF line ends, and the end of the
 * input by a dot.
 *
 * A run of CR directly before an LF belongs to that one line end (text that was converted twice); other
 * CRs are line ends themselves, so no bare CR or LF is left that a reader further on might take for
 * something else.
 */
#include "ms/maildrop.h"

static void line_end(struct maildrop_text *t, struct str *out)
{
    if (!t->mid_line && !t->dot)
        t->in_body = true; /* an empty line */
    if (t->dot)
        str_add_byte(out, '.');
    str_add(out, "\r\n", 2);
    t->mid_line = t->dot = false;
}

/* A line end by LF, with the CRs before it. */
static void on_lf(struct maildrop_text *t, struct str *out)
{
    t->crs = 0;
    if (t->dot && !t->dots_are_text) {
        t->ended = true;
        return;
    }
    line_end(t, out);
}

/* CRs that no LF followed. */
static void settle_crs(struct maildrop_text *t, struct str *out)
{
    for (; t->crs > 0; t->crs--)
        line_end(t, out);
}

static void plain_byte(struct maildrop_text *t, uint8_t c, struct str *out)
{
    settle_crs(t, out);
    if (c == '.' && !t->mid_line && !t->dot) {
        t->dot = true;
        return;
    }
    if (t->dot)
        str_add_byte(out, '.');
    t->dot = false;
    t->mid_line = true;
    str_add_byte(out, c);
}

/* Bytes that need no decision, in the middle of a line. */
static size_t plain_run(struct maildrop_text *t, struct slice in, struct str *out)
{
    size_t n = 0;
    while (n < in.len && in.ptr[n] != '\n' && in.ptr[n] != '\r') {
        t->has_nul |= in.ptr[n] == 0;
        t->has_8bit |= in.ptr[n] > 0x7f;
        n++;
    }
    str_add(out, in.ptr, n);
    return n;
}

void maildrop_text_feed(struct maildrop_text *t, struct slice in, struct str *out)
{
    size_t i = 0;
    while (i < in.len && !t->ended) {
        uint8_t c = in.ptr[i];
        if (t->binary && t->in_body && t->crs == 0) {
            str_add_slice(out, slice_sub(in, i, in.len));
            return;
        }
        if (t->mid_line && t->crs == 0) {
            size_t n = plain_run(t, slice_sub(in, i, in.len), out);
            i += n;
            if (n > 0)
                continue;
        }
        i++;
        if (c == '\n') {
            on_lf(t, out);
        } else if (c == '\r') {
            t->crs++;
        } else {
            t->has_nul |= c == 0;
            t->has_8bit |= c > 0x7f;
            plain_byte(t, c, out);
        }
    }
}

void maildrop_text_end(struct maildrop_text *t, struct str *out)
{
    if (t->ended || (t->binary && t->in_body))
        return;
    if (t->crs > 0 && t->dot && !t->dots_are_text) {
        t->ended = true;
        return;
    }
    settle_crs(t, out);
    if (t->dot && !t->dots_are_text)
        t->ended = true;
    else if (t->mid_line || t->dot)
        line_end(t, out);
}
