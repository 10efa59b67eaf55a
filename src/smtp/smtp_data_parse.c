/*
 * smtp_data_parse.c - the message text of DATA.
 *
 *          CRLF seen            '.'              CR              LF
 *   TEXT ------------> LINE ---------> DOT ---------> DOT_CR ---------> end
 *    ^  <-- not '.' ----'  <-- other (dot dropped) '      |
 *    '<------------ other (dot dropped, CR is data) -----'
 *   CR: inside a line, the last byte was CR and is already given out.
 *
 * Invariants: (1) only the edge DOT_CR -LF-> sets end; (2) LINE is entered behind CRLF alone; (3) bytes
 * withheld across calls are at most the dot and its CR, both constant, so a run never needs a copy. A run
 * goes on over line ends and stops only at a line that begins with a dot.
 */
#include "ms/smtp.h"

enum { DATA_LINE, DATA_TEXT, DATA_CR, DATA_DOT, DATA_DOT_CR };

static const uint8_t data_cr[1] = {'\r'};

void smtp_data_init(struct smtp_data *d, uint32_t line_bytes_max)
{
    *d = (struct smtp_data){.state = DATA_LINE, .line_bytes_max = line_bytes_max};
}

static void data_line_add(struct smtp_data *d, size_t bytes)
{
    d->line_bytes += bytes;
    if (d->line_bytes_max && d->line_bytes > d->line_bytes_max)
        d->flags |= SMTP_DATA_LINE_LONG;
}

/* The unfinished line at the end of the input. */
static void data_tail(struct smtp_data *d, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *cr = memchr(p, '\r', (size_t)(end - p));

    if (cr && cr < end - 1)
        d->flags |= SMTP_DATA_BARE_CR;
    d->state = end[-1] == '\r' ? DATA_CR : DATA_TEXT;
    data_line_add(d, (size_t)(end - p));
}

/* Walks over text from p; returns where the run ends: at a dot that begins a line, or at end. */
static const uint8_t *data_text(struct smtp_data *d, const uint8_t *p, const uint8_t *end)
{
    bool after_cr = d->state == DATA_CR;

    if (after_cr && *p != '\n')
        d->flags |= SMTP_DATA_BARE_CR;
    while (p < end) {
        const uint8_t *lf = memchr(p, '\n', (size_t)(end - p));
        if (!lf) {
            data_tail(d, p, end);
            return end;
        }
        const uint8_t *text_end = lf;
        if (lf > p) {
            after_cr = lf[-1] == '\r';
            text_end = after_cr ? lf - 1 : lf;
        }
        if (text_end > p && !(d->flags & SMTP_DATA_BARE_CR) && memchr(p, '\r', (size_t)(text_end - p)))
            d->flags |= SMTP_DATA_BARE_CR;
        data_line_add(d, (size_t)(lf + 1 - p));
        p = lf + 1;
        d->state = DATA_TEXT;
        /* RFC 5321 2.3.8: LF alone is no line end, so what follows it is not at the start of a line. */
        if (!after_cr) {
            d->flags |= SMTP_DATA_BARE_LF;
            continue;
        }
        after_cr = false;
        d->line_bytes = 0;
        d->state = DATA_LINE;
        if (p < end && *p == '.')
            return p;
    }
    return p;
}

void smtp_data_scan(struct smtp_data *d, struct slice in)
{
    const uint8_t *p = in.ptr;
    const uint8_t *end = in.len ? in.ptr + in.len : in.ptr;

    while (p < end)
        p = data_text(d, p, end); /* stops at dots, which mean nothing here */
    d->bytes += in.len;
}

void smtp_data_scan_end(struct smtp_data *d)
{
    if (d->state == DATA_CR)
        d->flags |= SMTP_DATA_BARE_CR;
}

static void data_out(struct smtp_data *d, const uint8_t *ptr, size_t len, struct slice *runs, size_t *count)
{
    if (!(d->flags & SMTP_DATA_NUL) && memchr(ptr, 0, len))
        d->flags |= SMTP_DATA_NUL;
    d->bytes += len;
    runs[(*count)++] = slice_make(ptr, len);
}

size_t smtp_data_feed(struct smtp_data *d, struct slice in, struct slice *runs, size_t runs_max,
                      size_t *count_out)
{
    const uint8_t *p = in.ptr;
    const uint8_t *end = in.len ? in.ptr + in.len : in.ptr;
    size_t count = 0;

    MS_ASSERT(runs_max >= 2);
    while (p < end && !d->end && count + 2 <= runs_max) {
        if (d->state == DATA_LINE && *p == '.') {
            d->state = DATA_DOT;
            p++;
            continue;
        }
        if (d->state == DATA_DOT && *p == '\r') {
            d->state = DATA_DOT_CR;
            p++;
            continue;
        }
        if (d->state == DATA_DOT_CR) {
            if (*p == '\n') { /* RFC 5321 4.1.1.4 */
                d->end = true;
                p++;
                break;
            }
            data_line_add(d, 1);
            data_out(d, data_cr, 1, runs, &count);
            d->state = DATA_CR;
        }
        /* RFC 5321 4.5.2: in DOT another character follows, the dot is dropped. */
        const uint8_t *run_end = data_text(d, p, end);
        data_out(d, p, (size_t)(run_end - p), runs, &count);
        p = run_end;
    }
    *count_out = count;
    return (size_t)(p - in.ptr);
}
