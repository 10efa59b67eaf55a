/*
 * app_rows.c - requests to the running server whose answer is rows: each a line of names and values.
 */
#include "app.h"

#define FIELDS_MAX (CTL_WORDS_MAX / 2)

static int print_row(const struct app_args *args, const struct slice *words, size_t count)
{
    struct app_field fields[FIELDS_MAX];
    char *texts[CTL_WORDS_MAX];
    if (count % 2)
        return app_fail(EX_PROTOCOL, "the server's answer is not understood");
    for (size_t i = 0; i < count; i++)
        texts[i] = slice_dup_cstr(words[i]);
    for (size_t i = 0; i < count / 2; i++)
        fields[i] = (struct app_field){.name = texts[2 * i], .text = texts[2 * i + 1]};
    app_emit_fields(args, fields, count / 2, false);
    for (size_t i = 0; i < count; i++)
        ms_free(texts[i]);
    return EX_OK;
}

static int print_answer(const struct app_args *args, struct ctl_conn *conn)
{
    struct ctl_answer end = {0};
    const struct slice *words;
    size_t count;
    int rc = EX_OK;
    while (rc == EX_OK) {
        switch (ctl_conn_next(conn, &words, &count, &end)) {
        case CTL_WORDS:
            rc = print_row(args, words, count);
            break;
        case CTL_END:
            return end.exit_code ? app_fail(end.exit_code, "%s", end.text) : EX_OK;
        case CTL_BYTES:
        case CTL_BROKEN:
            return app_fail(EX_UNAVAILABLE, "the server went away");
        }
    }
    return rc;
}

int app_ask_rows(const struct app_args *args, const char *const *words, size_t count)
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
    int rc = err ? app_no_server(conf, err) : print_answer(args, conn);
    ctl_conn_close(&conn);
    conf_unref(&conf);
    return rc;
}
