/*
 * smtp_eol.c - lone CR and LF to CRLF, for sites that would rather mend a message than refuse it.
 *
 * It stands behind the reader of DATA or BDAT, which has found the end of the data on the bytes as they came:
 * a line end that is made here can neither end the data nor undo a dot, it is text like any other.
 *
 * What is given out before and behind a change are pieces of the input; what is put in is constant. A CR is
 * given out at once: whether it is bare the next byte tells, and then an LF is put in front of that.
 */
#include "ms/smtp.h"

static const uint8_t eol_crlf[2] = {'\r', '\n'};

static void eol_out(struct slice in, size_t start, size_t end, struct slice *runs, size_t *count)
{
    if (end > start)
        runs[(*count)++] = slice_sub(in, start, end - start);
}

size_t smtp_eol_feed(struct smtp_eol *e, struct slice in, struct slice *runs, size_t runs_max,
                     size_t *count_out)
{
    size_t start = 0, count = 0, i = 0;

    MS_ASSERT(runs_max >= 3);
    for (; i < in.len && count + 3 <= runs_max; i++) {
        uint8_t c = in.ptr[i];
        bool is_bare_cr = e->ends_cr && c != '\n';
        bool is_bare_lf = !e->ends_cr && c == '\n';
        if (is_bare_cr || is_bare_lf) {
            eol_out(in, start, i, runs, &count);
            runs[count++] = slice_make(is_bare_cr ? eol_crlf + 1 : eol_crlf, 1);
            start = i;
        }
        e->ends_cr = c == '\r';
    }
    eol_out(in, start, i, runs, &count);
    *count_out = count;
    return i;
}

struct slice smtp_eol_end(struct smtp_eol *e)
{
    bool is_bare = e->ends_cr;

    e->ends_cr = false;
    return slice_make(eol_crlf + 1, is_bare);
}
