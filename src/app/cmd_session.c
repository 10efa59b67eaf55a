/*
 * cmd_session.c - `session list` and `session kick`: who is connected, and ending what should not be.
 */
#include "app.h"

#include <getopt.h>
#include <stdlib.h>

static const char *const session_names[] = {"session", "service",  "protocol",  "peer",
                                            "user",    "state",    "tls",       "age",
                                            "idle",    "bytes_in", "bytes_out", "worker"};
#define SESSION_FIELDS MS_ARRAY_LEN(session_names)

struct session_opts {
    const char *service, *user, *why;
    bool fail_if_empty;
};

static int parse(struct app_args *args, struct session_opts *o)
{
    static const struct option options[] = {{"service", required_argument, NULL, 's'},
                                            {"user", required_argument, NULL, 'u'},
                                            {"why", required_argument, NULL, 'w'},
                                            {"fail-if-empty", no_argument, NULL, 'e'},
                                            {0}};
    int c;
    while ((c = getopt_long(args->argc, args->argv, "u:", options, NULL)) != -1) {
        if (c == 's')
            o->service = optarg;
        else if (c == 'u')
            o->user = optarg;
        else if (c == 'w')
            o->why = optarg;
        else if (c == 'e')
            o->fail_if_empty = true;
        else
            return EX_USAGE;
    }
    return EX_OK;
}

/* A row for each answer; people get no line for what a session has not. */
static void print_row(const struct app_args *args, const struct slice *words)
{
    const char *names[SESSION_FIELDS], *values[SESSION_FIELDS];
    char *texts[SESSION_FIELDS];
    size_t n = 0;
    for (size_t i = 0; i < SESSION_FIELDS; i++) {
        texts[i] = slice_dup_cstr(words[i]);
        if (args->output == APP_HUMAN && words[i].len == 0)
            continue;
        names[n] = session_names[i];
        values[n++] = texts[i];
    }
    app_emit_row(args, names, values, n);
    for (size_t i = 0; i < SESSION_FIELDS; i++)
        ms_free(texts[i]);
}

/* One request; its rows are printed, and counted. */
static int ask(const struct app_args *args, const struct conf *conf, const struct slice *words, size_t count,
               uint64_t *rows)
{
    struct ctl_conn *c;
    struct ctl_answer end;
    const struct slice *row;
    size_t n;
    enum ctl_event ev = CTL_BROKEN;
    enum ms_err err = ctl_conn_open(conf, &c);
    if (err)
        return app_no_server(conf, err);
    if (ctl_conn_send(c, words, count) == MS_OK)
        while ((ev = ctl_conn_next(c, &row, &n, &end)) == CTL_WORDS && n == SESSION_FIELDS) {
            print_row(args, row);
            ++*rows;
        }
    ctl_conn_close(&c);
    if (ev != CTL_END)
        return app_fail(EX_UNAVAILABLE, "the server did not answer");
    return end.exit_code ? app_fail(end.exit_code, "%s", end.text) : EX_OK;
}

int cmd_session_list(struct app_args *args)
{
    struct session_opts o = {.service = "", .user = ""};
    uint64_t rows = 0;
    int rc = parse(args, &o);
    if (rc || o.why || optind < args->argc)
        return app_usage(args, "session list takes --service and --user");
    struct conf *conf = app_conf_of_server(args);
    if (!conf)
        return EX_CONFIG;
    const struct slice words[] = {SLICE_LIT("session-list"), slice_cstr(o.service), slice_cstr(o.user)};
    rc = ask(args, conf, words, MS_ARRAY_LEN(words), &rows);
    conf_unref(&conf);
    return !rc && rows == 0 && o.fail_if_empty ? 1 : rc;
}

/* "1f", or as lines of the log have it: "EPOCH-1f", "EPOCH-1f.2". */
static bool parse_id(const char *text, uint64_t *id_out)
{
    const char *dash = strchr(text, '-');
    const char *from = dash ? dash + 1 : text;
    char *end;
    *id_out = strtoull(from, &end, 16);
    return end != from && (*end == '\0' || (dash && *end == '.')) && *id_out != 0 && *from != '-' &&
           *from != '+';
}

static int kick(const struct app_args *args, const struct conf *conf, const struct session_opts *o,
                uint64_t id, uint64_t *rows)
{
    char number[24];
    snprintf(number, sizeof number, "%llu", (unsigned long long)id);
    const struct slice words[] = {SLICE_LIT("session-kick"), slice_cstr(o->service), slice_cstr(o->user),
                                  slice_cstr(number), slice_cstr(o->why ? o->why : "")};
    return ask(args, conf, words, MS_ARRAY_LEN(words), rows);
}

int cmd_session_kick(struct app_args *args)
{
    struct session_opts o = {.service = "", .user = ""};
    uint64_t rows = 0, id;
    int rc = parse(args, &o);
    if (rc || (optind == args->argc) == (o.user[0] == '\0'))
        return app_usage(args, "session kick takes session numbers or --user");
    for (int i = optind; i < args->argc; i++)
        if (!parse_id(args->argv[i], &id))
            return app_fail(EX_USAGE, "%s is no number of a session", args->argv[i]);
    struct conf *conf = app_conf_of_server(args);
    if (!conf)
        return EX_CONFIG;
    if (o.user[0])
        rc = kick(args, conf, &o, 0, &rows);
    for (int i = optind; i < args->argc && !rc; i++)
        if (parse_id(args->argv[i], &id))
            rc = kick(args, conf, &o, id, &rows);
    conf_unref(&conf);
    if (!rc && rows < (uint64_t)(args->argc - optind))
        return app_fail(EX_NOUSER, "%llu of %d sessions are not there",
                        (unsigned long long)(args->argc - optind) - rows, args->argc - optind);
    return !rc && rows == 0 && o.fail_if_empty ? 1 : rc;
}
