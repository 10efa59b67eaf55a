/*
 * cmd_trace.c - trace ID: the kept log lines of a session, a message or a queue entry. Reads the files of the
 * history itself, whether the server runs or not.
 */
#include "app.h"

#include <getopt.h>

#include "ms/obs.h"

struct trace_print {
    const struct app_args *args;
    uint64_t lines;
};

static void print_line(void *owner, struct slice line)
{
    struct trace_print *p = owner;
    struct str json;
    p->lines++;
    if (p->args->output != APP_JSON) { /* TAB-separated makes no sense of lines whose keys differ */
        fwrite(line.ptr, 1, line.len, stdout);
        return;
    }
    str_init(&json, 0);
    if (obs_line_to_json(line, &json) == MS_OK)
        puts(str_cstr(&json));
    str_fini(&json);
}

static int print_all(struct app_args *args, const struct conf *conf, const char *id, bool fail_if_empty)
{
    const struct log_conf *lc = conf_section(conf, "log");
    struct trace_print print = {.args = args};
    if (!lc->history_bytes)
        return app_fail(EX_UNAVAILABLE, "no history is kept (log.history_size is none)");
    enum ms_err err = obs_history_find(lc->history, slice_cstr(id), print_line, &print);
    if (err == MS_EINVAL)
        return app_fail(EX_USAGE, "\"%s\" is no id of a session, message or queue entry", id);
    if (err == MS_ENOTFOUND)
        return app_fail(EX_NOINPUT, "%s: there is no history yet", lc->history);
    if (err)
        return app_fail(app_exit_for_err(err), "%s: %s", lc->history, ms_err_text(err));
    return print.lines == 0 && fail_if_empty ? 1 : EX_OK;
}

int cmd_trace(struct app_args *args)
{
    static const struct option options[] = {{"fail-if-empty", no_argument, NULL, 'f'}, {0}};
    bool fail_if_empty = false;
    int c;
    while ((c = getopt_long(args->argc, args->argv, "", options, NULL)) != -1) {
        if (c != 'f')
            return EX_USAGE;
        fail_if_empty = true;
    }
    if (optind + 1 != args->argc)
        return app_usage(args, "trace takes one id");
    struct conf *conf = app_conf_load(args->config);
    if (!conf)
        return EX_CONFIG;
    int rc = print_all(args, conf, args->argv[optind], fail_if_empty);
    conf_unref(&conf);
    return rc;
}
