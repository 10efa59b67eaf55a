/*
 * import_csv.c - records of RFC 4180: where one ends, and its fields. Lines end in CRLF or LF. A field in
 * quotes may hold commas, line ends and doubled quotes; a quote inside an unquoted field is an error, as RFC
 * 4180 2.5 has it.
 */
#include "import.h"

#include "ms/base/codec.h"

enum csv_state { CSV_FIELD_START, CSV_PLAIN, CSV_QUOTED, CSV_QUOTE_SEEN };

static enum csv_state csv_step(enum csv_state state, uint8_t c)
{
    switch (state) {
    case CSV_QUOTED:
        return c == '"' ? CSV_QUOTE_SEEN : CSV_QUOTED;
    case CSV_QUOTE_SEEN:
        if (c == '"')
            return CSV_QUOTED;
        break;
    case CSV_FIELD_START:
        if (c == '"')
            return CSV_QUOTED;
        break;
    case CSV_PLAIN:
        break;
    }
    return c == ',' ? CSV_FIELD_START : CSV_PLAIN;
}

enum ms_err import_csv_cut(struct slice in, bool at_end, size_t *len_out)
{
    enum csv_state state = CSV_FIELD_START;
    size_t i;
    for (i = 0; i < in.len && i < IMPORT_RECORD_MAX; i++) {
        if (in.ptr[i] == '\n' && state != CSV_QUOTED) {
            *len_out = i + 1;
            return MS_OK;
        }
        state = csv_step(state, in.ptr[i]);
    }
    if (i == IMPORT_RECORD_MAX)
        return MS_ELIMIT;
    if (!at_end)
        return MS_EMORE;
    *len_out = in.len;
    return state == CSV_QUOTED ? MS_ESYNTAX : MS_OK;
}

/* Behind the closing quote of the field at the start of `in`; 0: it is not closed. */
static size_t quoted_end(struct slice in)
{
    for (size_t i = 1; i < in.len; i++)
        if (in.ptr[i] == '"') {
            if (i + 1 == in.len || in.ptr[i + 1] != '"')
                return i + 1;
            i++;
        }
    return 0;
}

static enum ms_err quoted_field(struct slice *rest, struct arena *arena, struct slice *out,
                                struct ms_errinfo *why_out)
{
    size_t end = quoted_end(*rest), len = 0;
    if (end == 0)
        return ms_fail(why_out, MS_ESYNTAX, "a quote is not closed");
    if (end < rest->len && rest->ptr[end] != ',')
        return ms_fail(why_out, MS_ESYNTAX, "text behind a closing quote");
    uint8_t *to = arena_alloc(arena, end);
    for (size_t i = 1; i + 1 < end; i++) {
        to[len++] = rest->ptr[i];
        i += rest->ptr[i] == '"'; /* the second of two */
    }
    *out = slice_make(to, len);
    *rest = slice_sub(*rest, end, SIZE_MAX);
    return MS_OK;
}

/* *rest begins with "," behind the field, or is empty. */
static enum ms_err next_field(struct slice *rest, struct arena *arena, struct slice *out,
                              struct ms_errinfo *why_out)
{
    if (rest->len && rest->ptr[0] == '"')
        return quoted_field(rest, arena, out, why_out);
    ssize_t comma = slice_find_byte(*rest, ',');
    *out = slice_sub(*rest, 0, comma < 0 ? SIZE_MAX : (size_t)comma);
    if (slice_find_byte(*out, '"') >= 0)
        return ms_fail(why_out, MS_ESYNTAX, "a quote inside a field that does not begin with one");
    if (slice_find_byte(*out, '\r') >= 0)
        return ms_fail(why_out, MS_ESYNTAX, "a CR that is no line end");
    *out = arena_dup(arena, *out);
    *rest = slice_sub(*rest, out->len, SIZE_MAX);
    return MS_OK;
}

static enum ms_err split_record(struct slice record, struct arena *arena,
                                struct slice fields[IMPORT_COLUMNS_MAX], size_t *count_out,
                                struct ms_errinfo *why_out)
{
    size_t n = 0;
    if (record.len && memchr(record.ptr, 0, record.len))
        return ms_fail(why_out, MS_ESYNTAX, "a NUL");
    if (!utf8_is_valid(record))
        return ms_fail(why_out, MS_ESYNTAX, "not UTF-8");
    for (;;) {
        if (n == IMPORT_COLUMNS_MAX)
            return ms_fail(why_out, MS_ELIMIT, "more than %d fields", IMPORT_COLUMNS_MAX);
        MS_TRY(next_field(&record, arena, &fields[n++], why_out));
        if (record.len == 0)
            break;
        record = slice_sub(record, 1, SIZE_MAX);
    }
    *count_out = n;
    return MS_OK;
}

enum ms_err import_csv_header(struct slice record, struct arena *arena, struct import_csv *out,
                              struct ms_errinfo *why_out)
{
    struct slice names[IMPORT_COLUMNS_MAX];
    unsigned seen = 0;
    *out = (struct import_csv){0};
    MS_TRY(split_record(record, arena, names, &out->count, why_out));
    for (size_t i = 0; i < out->count; i++) {
        struct slice name = slice_trim(names[i]);
        if (!import_field_find(name, &out->columns[i]))
            return ms_fail(why_out, MS_EINVAL, "the header line: there is no field \"" SLICE_FMT "\"",
                           (int)MS_MIN(name.len, 100u), (const char *)name.ptr);
        if (seen & IMPORT_BIT(out->columns[i]))
            return ms_fail(why_out, MS_EINVAL, "the header line: field %s stands there twice",
                           import_field_name(out->columns[i]));
        seen |= IMPORT_BIT(out->columns[i]);
    }
    if (!(seen & IMPORT_BIT(IMPORT_LOGIN)))
        return ms_fail(why_out, MS_EINVAL, "the header line has no field login");
    return MS_OK;
}

static bool parts_items(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',' || c == ';';
}

static enum ms_err split_list(struct slice text, struct arena *arena, struct import_value *out,
                              struct ms_errinfo *why_out)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += !parts_items(text.ptr[i]) && (i == 0 || parts_items(text.ptr[i - 1]));
    if (count > IMPORT_ITEMS_MAX)
        return ms_fail(why_out, MS_ELIMIT, "a list of more than %d", IMPORT_ITEMS_MAX);
    struct slice *items = arena_new_array(arena, struct slice, count);
    for (size_t i = 0, n = 0; n < count; n++) {
        while (parts_items(text.ptr[i]))
            i++;
        size_t begin = i;
        while (i < text.len && !parts_items(text.ptr[i]))
            i++;
        items[n] = slice_sub(text, begin, i - begin);
    }
    *out = (struct import_value){items, count};
    return MS_OK;
}

enum ms_err import_csv_parse(const struct import_csv *csv, struct slice record, struct arena *arena,
                             struct import_row *out, struct ms_errinfo *why_out)
{
    struct slice all[IMPORT_COLUMNS_MAX];
    size_t count;
    *out = (struct import_row){0};
    MS_TRY(split_record(record, arena, all, &count, why_out));
    if (count != csv->count)
        return ms_fail(why_out, MS_EINVAL, "%zu fields, the header line has %zu", count, csv->count);
    struct slice *fields = arena_new_array(arena, struct slice, count);
    memcpy(fields, all, count * sizeof all[0]);
    for (size_t i = 0; i < count; i++) {
        enum import_field f = csv->columns[i];
        struct import_value *value = &out->value[f];
        *value = (struct import_value){&fields[i], 1};
        if (import_field_is_list(f))
            MS_TRY(split_list(fields[i], arena, value, why_out));
        if (fields[i].len && value->count)
            out->given |= IMPORT_BIT(f);
    }
    return MS_OK;
}
