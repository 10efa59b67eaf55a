/*
 * import_read.c - records of a stream, with the lines where they stand. The buffer holds two of the longest,
 * so that a whole record and its line end are in sight before it is cut.
 */
#include "import.h"

#include <errno.h>

#define BUF_BYTES (2 * (IMPORT_RECORD_MAX + 2))

void import_reader_init(struct import_reader *r, FILE *stream, enum import_format format)
{
    *r = (struct import_reader){.stream = stream, .format = format, .next = 1, .buf = ms_alloc(BUF_BYTES)};
}

void import_reader_fini(struct import_reader *r)
{
    ms_free(r->buf);
    r->buf = NULL;
}

static enum ms_err fill(struct import_reader *r, struct ms_errinfo *why_out)
{
    if (r->len - r->at > IMPORT_RECORD_MAX || r->at_end)
        return MS_OK;
    memmove(r->buf, r->buf + r->at, r->len - r->at);
    r->len -= r->at;
    r->at = 0;
    r->len += fread(r->buf + r->len, 1, BUF_BYTES - r->len, r->stream);
    if (ferror(r->stream))
        return ms_fail_errno(why_out, errno, "cannot read");
    r->at_end = r->len < BUF_BYTES;
    return MS_OK;
}

static struct slice waiting(const struct import_reader *r)
{
    return slice_make(r->buf + r->at, r->len - r->at);
}

static void advance(struct import_reader *r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        r->next += r->buf[r->at + i] == '\n';
    r->at += n;
}

/* The rest of the line, however long it is. */
static enum ms_err skip_line(struct import_reader *r, struct ms_errinfo *why_out)
{
    for (;;) {
        struct slice in = waiting(r);
        ssize_t lf = slice_find_byte(in, '\n');
        advance(r, lf < 0 ? in.len : (size_t)lf + 1);
        if (lf >= 0 || r->at_end)
            return MS_OK;
        MS_TRY(fill(r, why_out));
    }
}

static struct slice without_line_end(struct slice record)
{
    if (record.len && record.ptr[record.len - 1] == '\n')
        record.len--;
    if (record.len && record.ptr[record.len - 1] == '\r')
        record.len--;
    return record;
}

static enum ms_err cut(struct import_reader *r, size_t *len_out)
{
    struct slice in = waiting(r);
    if (r->format == IMPORT_CSV)
        return import_csv_cut(in, true, len_out); /* all that counts is in sight */
    ssize_t lf = slice_find_byte(in, '\n');
    *len_out = lf < 0 ? in.len : (size_t)lf + 1;
    return *len_out > IMPORT_RECORD_MAX ? MS_ELIMIT : MS_OK;
}

static enum ms_err cut_failed(struct import_reader *r, enum ms_err err, struct ms_errinfo *why_out)
{
    MS_TRY(skip_line(r, why_out));
    if (err == MS_ELIMIT)
        return ms_fail(why_out, err, "longer than %d octets%s", IMPORT_RECORD_MAX,
                       r->format == IMPORT_CSV ? ", or a quote that is not closed" : "");
    return ms_fail(why_out, err, "a quote is not closed");
}

/* The next record that is not empty, still in the buffer; its length with line end in *len_out. */
static enum ms_err find_record(struct import_reader *r, struct slice *record_out, size_t *len_out,
                               struct ms_errinfo *why_out)
{
    for (;;) {
        MS_TRY(fill(r, why_out));
        r->line = r->next;
        if (r->at == r->len)
            return MS_ENOTFOUND;
        enum ms_err err = cut(r, len_out);
        if (err)
            return cut_failed(r, err, why_out);
        *record_out = without_line_end(slice_sub(waiting(r), 0, *len_out));
        if (slice_trim(*record_out).len)
            return MS_OK;
        advance(r, *len_out);
    }
}

/* Format by the first octet that is not blank; then CSV's header line. */
static enum ms_err begin(struct import_reader *r, struct arena *arena, struct ms_errinfo *why_out)
{
    struct slice record;
    size_t len;
    MS_TRY(fill(r, why_out));
    if (slice_has_prefix(waiting(r), SLICE_LIT("\xef\xbb\xbf")))
        r->at += 3;
    struct slice text = slice_trim(waiting(r));
    if (text.len == 0 && r->at_end)
        return ms_fail(why_out, MS_EUNSUPPORTED, "there is nothing in it");
    if (r->format == IMPORT_DETECT && text.len && text.ptr[0] == '[')
        return ms_fail(why_out, MS_EUNSUPPORTED, "an array: JSON is wanted as one object a line");
    if (r->format == IMPORT_DETECT)
        r->format = text.len && text.ptr[0] == '{' ? IMPORT_JSON : IMPORT_CSV;
    r->begun = true;
    if (r->format == IMPORT_JSON)
        return MS_OK;
    enum ms_err err = find_record(r, &record, &len, why_out);
    if (!err)
        err = import_csv_header(record, arena, &r->csv, why_out);
    if (err == MS_EIO || !err) {
        advance(r, err ? 0 : len);
        return err;
    }
    if (err == MS_ENOTFOUND)
        return ms_fail(why_out, MS_EUNSUPPORTED, "there is nothing in it");
    return MS_EUNSUPPORTED;
}

enum ms_err import_next(struct import_reader *r, struct arena *arena, struct import_row *row_out,
                        struct ms_errinfo *why_out)
{
    struct slice record;
    size_t len;
    if (!r->begun)
        MS_TRY(begin(r, arena, why_out));
    MS_TRY(find_record(r, &record, &len, why_out));
    enum ms_err err = r->format == IMPORT_CSV ? import_csv_parse(&r->csv, record, arena, row_out, why_out)
                                              : import_json_parse(record, arena, row_out, why_out);
    if (err == MS_ESYNTAX && r->format == IMPORT_CSV) {
        MS_TRY(skip_line(r, why_out));
        return err;
    }
    advance(r, len);
    return err;
}
