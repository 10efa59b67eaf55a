/*
 * app_rows.c - requests to the running server whose answer is rows: each a line of names and values.
 */
#include "app.h"

#define FIELDS_MAX (CTL_WORDS_MAX / 2)

struct slice app_row_value(const struct app_row *row, const char *name)
{
    for (size_t i = 0; i + 1 < row->count; i += 2)
        if (slice_eq_cstr(row->words[i], name))
            return row->words[i + 1];
    return (struct slice){0};
}

int app_print_row(const struct app_args *args, const struct app_row *row)
{
    struct app_field fields[FIELDS_MAX];
    char *texts[CTL_WORDS_MAX];
    for (size_t i = 0; i < row->count; i++)
        texts[i] = slice_dup_cstr(row->words[i]);
    for (size_t i = 0; i < row->count / 2; i++)
        fields[i] = (struct app_field){.name = texts[2 * i], .text = texts[2 * i + 1]};
    app_emit_fields(args, fields, row->count / 2, false);
    for (size_t i = 0; i < row->count; i++)
        ms_free(texts[i]);
    return EX_OK;
}

static int each_row(struct ctl_conn *conn, app_row_fn *fn, void *owner)
{
    struct ctl_answer end = {0};
    struct app_row row;
    int rc = EX_OK;
    while (rc == EX_OK) {
        switch (ctl_conn_next(conn, &row.words, &row.count, &end)) {
        case CTL_WORDS:
            rc = row.count % 2 ? app_fail(EX_PROTOCOL, "the server's answer is not understood")
                               : fn(owner, &row);
            break;
        case CTL_END:
            return end.exit_code && end.text[0] ? app_fail(end.exit_code, "%s", end.text) : end.exit_code;
        case CTL_BYTES:
        case CTL_BROKEN:
            return app_fail(EX_UNAVAILABLE, "the server went away");
        }
    }
    return rc;
}

int app_ask_each(const struct app_args *args, const char *const *words, size_t count, app_row_fn *fn,
                 void *owner)
{
    struct slice slices[CTL_WORDS_MAX];
    struct ctl_conn *conn = NULL;
    struct conf *conf = app_conf_of_server(args);
    if (!conf)
        return EX_CONFIG;
    MS_ASSERT(count <= CTL_WORDS_MAX);
    for (size_t i = 0; i < count; i++)
        slices[i] = slice_cstr(words[i]);
    enum ms_err err = ctl_conn_open(conf, &conn);
    if (!err)
        err = ctl_conn_send(conn, slices, count);
    int rc = err ? app_no_server(conf, err) : each_row(conn, fn, owner);
    ctl_conn_close(&conn);
    conf_unref(&conf);
    return rc;
}

static int print_each(void *owner, const struct app_row *row)
{
    return app_print_row(owner, row);
}

int app_ask_rows(const struct app_args *args, const char *const *words, size_t count)
{
    return app_ask_each(args, words, count, print_each, (void *)(uintptr_t)args);
}
