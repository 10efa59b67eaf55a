/*
 * qp.c - quoted-printable, RFC 2045 6.7; decoding only.
 */
#include "ms/base/codec.h"

#define QP_BLOCK 1024

struct qp_writer {
    struct str *out;
    size_t used;
    uint8_t block[QP_BLOCK];
};

/* Once a block did not fit nothing more is written: no text behind a hole. */
static void qp_flush(struct qp_writer *w)
{
    if (!str_is_over(w->out))
        str_add(w->out, w->block, w->used);
    w->used = 0;
}

static void qp_write(struct qp_writer *w, uint8_t byte)
{
    if (w->used == sizeof(w->block))
        qp_flush(w);
    w->block[w->used++] = byte;
}

static int qp_hex(uint8_t c)
{
    if (ms_ascii_is_digit(c))
        return c - '0';
    c = ms_ascii_lower(c); /* RFC 2045 6.7 note: lower case may be taken by robust decoders */
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The number of blanks at `in`, when a line end or the end of all follows them; SIZE_MAX when other bytes do.
 */
static size_t qp_blanks_at_line_end(struct slice in)
{
    size_t n = 0;

    while (n < in.len && (in.ptr[n] == ' ' || in.ptr[n] == '\t'))
        n++;
    if (n == in.len || in.ptr[n] == '\n' || (in.ptr[n] == '\r' && n + 1 < in.len && in.ptr[n + 1] == '\n'))
        return n;
    return SIZE_MAX;
}

static size_t qp_line_end_len(struct slice in)
{
    if (in.len == 0)
        return 0;
    return in.ptr[0] == '\r' ? 2 : 1;
}

/* Takes one escape, soft line break or plain byte; gives its length. */
static size_t qp_unit(struct slice in, struct qp_writer *w)
{
    int hi = in.len > 2 ? qp_hex(in.ptr[1]) : -1;
    int lo = in.len > 2 ? qp_hex(in.ptr[2]) : -1;
    size_t blanks;

    if (in.ptr[0] != '=') {
        qp_write(w, in.ptr[0]);
        return 1;
    }
    if (hi >= 0 && lo >= 0) {
        qp_write(w, (uint8_t)(hi << 4 | lo));
        return 3;
    }
    blanks = qp_blanks_at_line_end(slice_sub(in, 1, SIZE_MAX));
    if (blanks == SIZE_MAX) {
        qp_write(w, '=');
        return 1;
    }
    /* RFC 2045 6.7 rule 5: soft line break, also where the text ends without a line end. */
    return 1 + blanks + qp_line_end_len(slice_sub(in, 1 + blanks, SIZE_MAX));
}

/* Blanks at the start of `in`: dropped before a line end (rule 3: they were added on the way), else copied.
 * Taken as a run, so that a long one is not looked at again for each of its bytes. */
static size_t qp_blanks(struct slice in, struct qp_writer *w)
{
    size_t run = qp_blanks_at_line_end(in);

    if (run != SIZE_MAX)
        return run;
    for (run = 0; in.ptr[run] == ' ' || in.ptr[run] == '\t'; run++)
        qp_write(w, in.ptr[run]);
    return run;
}

void qp_parse_lax(struct slice in, struct str *out)
{
    struct qp_writer w;

    w.out = out;
    w.used = 0;
    while (in.len && !str_is_over(out)) {
        bool blank = in.ptr[0] == ' ' || in.ptr[0] == '\t';

        in = slice_sub(in, blank ? qp_blanks(in, &w) : qp_unit(in, &w), SIZE_MAX);
    }
    qp_flush(&w);
}
