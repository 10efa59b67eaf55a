/*
 * cmd_jobs.c - jobs status, channel list, stop and start: the job controller of the running server is asked.
 */
#include "app.h"

#include <getopt.h>

/* clang-format off */
static const struct app_column pool_columns[] = {{"POOL", false}, {"JOBS", true}, {"LIMIT", true}};
static const struct app_column channel_columns[] = {
    {"CHANNEL", false}, {"POOL", false}, {"STATE", false}, {"SINCE", false}, {"JOBS", true}, {"THREADS", true},
    {"READY", true}, {"DEFERRED", true}, {"DELAYED", true}, {"HOSTS", true}, {"OLDEST", true}, {"NEXT DUE", false},
    {"WAITING FOR", false}};
static const struct app_column job_columns[] = {
    {"JOB", true}, {"CHANNEL", false}, {"LOOP", false}, {"STATE", false}, {"THREADS", true}, {"ENTRIES", true},
    {"AGE", true}, {"IDLE", true}};
/* clang-format on */

struct view {
    const struct app_args *args;
    struct app_table pools, channels, jobs;
    bool is_incomplete;
};

/* -- cells */
static void add(struct app_table *t, const struct app_row *row, const char *name)
{
    app_table_add(t, app_row_value(row, name));
}

static void add_of(struct app_table *t, const struct app_row *row, const char *part, const char *whole)
{
    struct slice a = app_row_value(row, part), b = app_row_value(row, whole);
    app_table_addf(t, SLICE_FMT "/" SLICE_FMT, SLICE_ARG(a), SLICE_ARG(b));
}

static uint64_t number(const struct app_row *row, const char *name)
{
    uint64_t n = 0;
    return slice_to_u64(app_row_value(row, name), UINT64_MAX / 1000000, &n) == MS_OK ? n : 0;
}

static void add_span(struct app_table *t, uint64_t seconds, bool is_any)
{
    char span[APP_SPAN_MAX];
    app_table_addf(t, "%s", is_any ? app_span(seconds * 1000000, span) : "-");
}

/* "2026-11-23T07:48:02Z"; fractions are for programs. */
static void add_time(struct app_table *t, const struct app_row *row, const char *name)
{
    struct slice time = app_row_value(row, name), head = time;
    if (slice_cut(&time, '.', &head))
        app_table_addf(t, SLICE_FMT "Z", SLICE_ARG(head));
    else
        app_table_add(t, head);
}

static void add_pool(struct app_table *t, const struct app_row *row)
{
    add(t, row, "pool");
    add(t, row, "jobs");
    add(t, row, "job_limit");
}

static void add_channel(struct view *v, const struct app_row *row)
{
    struct app_table *t = &v->channels;
    bool complete = slice_eq_cstr(app_row_value(row, "complete"), "yes");
    struct slice name = app_row_value(row, "channel");
    v->is_incomplete |= !complete;
    app_table_addf(t, SLICE_FMT "%s", SLICE_ARG(name), complete ? "" : "*");
    add(t, row, "pool");
    add(t, row, "state");
    add_time(t, row, "since");
    add_of(t, row, "jobs", "maxjobs");
    add_of(t, row, "in_work", "threads");
    add(t, row, "ready");
    add(t, row, "deferred");
    add(t, row, "delayed");
    add(t, row, "hosts");
    add_span(t, number(row, "oldest_s"), !slice_eq_cstr(app_row_value(row, "oldest"), "-"));
    add_time(t, row, "next");
    if (slice_eq_cstr(app_row_value(row, "why"), "-"))
        add(t, row, "why");
    else
        app_table_addf(t, SLICE_FMT " (" SLICE_FMT ")", SLICE_ARG(app_row_value(row, "why")),
                       SLICE_ARG(app_row_value(row, "why_entries")));
}

static void add_job(struct app_table *t, const struct app_row *row)
{
    bool is_idle = slice_eq_cstr(app_row_value(row, "threads"), "0");
    add(t, row, "job");
    add(t, row, "channel");
    add(t, row, "loop");
    add(t, row, "state");
    add_of(t, row, "threads", "max_client_threads");
    add(t, row, "entries");
    add_span(t, number(row, "age_s"), true);
    add_span(t, number(row, "idle_s"), is_idle);
}

static int on_row(void *owner, const struct app_row *row)
{
    struct view *v = owner;
    struct slice kind = app_row_value(row, "row");
    if (v->args->output != APP_HUMAN)
        return app_print_row(v->args, row);
    if (slice_eq_cstr(kind, "pool"))
        add_pool(&v->pools, row);
    else if (slice_eq_cstr(kind, "channel"))
        add_channel(v, row);
    else
        add_job(&v->jobs, row);
    return EX_OK;
}

static void print_tables(const struct view *v)
{
    const struct app_table *tables[] = {&v->pools, &v->channels, &v->jobs};
    const char *separator = "";
    for (size_t i = 0; i < MS_ARRAY_LEN(tables); i++) {
        if (tables[i]->count == 0)
            continue;
        fputs(separator, stdout);
        app_table_print(tables[i]);
        separator = "\n";
    }
    if (v->is_incomplete)
        puts("\n* more entries wait than job_controller.max_messages: those that go last are not counted "
             "here");
}

/* kind: "" = all. channel: NULL = all. */
static int show_status(const struct app_args *args, const char *kind, const char *channel)
{
    const char *words[] = {"jobs-status", kind, channel};
    struct view v = {.args = args};
    app_table_init(&v.pools, pool_columns, MS_ARRAY_LEN(pool_columns));
    app_table_init(&v.channels, channel_columns, MS_ARRAY_LEN(channel_columns));
    app_table_init(&v.jobs, job_columns, MS_ARRAY_LEN(job_columns));
    int rc = app_ask_each(args, words, channel ? 3 : 2, on_row, &v);
    if (!rc)
        print_tables(&v);
    app_table_fini(&v.pools);
    app_table_fini(&v.channels);
    app_table_fini(&v.jobs);
    return rc;
}

/* -- commands */
int cmd_jobs_status(struct app_args *args)
{
    static const struct option options[] = {{"channel", required_argument, NULL, 'n'}, {0}};
    static const char *const kinds[] = {"pools", "channels", "jobs"};
    const char *channel = NULL;
    int c;
    while ((c = getopt_long(args->argc, args->argv, "", options, NULL)) != -1) {
        if (c != 'n')
            return EX_USAGE;
        channel = optarg;
    }
    if (optind == args->argc)
        return show_status(args, "", channel);
    for (size_t i = 0; optind + 1 == args->argc && i < MS_ARRAY_LEN(kinds); i++)
        if (strcmp(args->argv[optind], kinds[i]) == 0)
            return show_status(args, kinds[i], channel);
    return app_usage(args, "at most one of pools, channels and jobs");
}

int cmd_channel_list(struct app_args *args)
{
    if (args->argc > 2 || (args->argc == 2 && args->argv[1][0] == '-'))
        return app_usage(args, "at most one channel");
    return show_status(args, "channels", args->argc == 2 ? args->argv[1] : NULL);
}

static int ask_channel(const struct app_args *args, const char *word)
{
    if (args->argc != 2 || args->argv[1][0] == '-')
        return app_usage(args, "one channel is needed");
    return app_ask_rows(args, (const char *const[]){word, args->argv[1]}, 2);
}

int cmd_channel_stop(struct app_args *args)
{
    return ask_channel(args, "channel-stop");
}

int cmd_channel_start(struct app_args *args)
{
    return ask_channel(args, "channel-start");
}
