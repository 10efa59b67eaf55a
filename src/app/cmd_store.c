/*
 * cmd_store.c - store verify, rebuild, stats, dump, skip-op. All but stats need the partition for themselves:
 * its folder is locked while the server runs, and they say so.
 */
#include "app.h"

#include <getopt.h>

static int no_arguments(struct app_args *args)
{
    return args->argc > 1 ? app_usage(args, "this command takes no argument") : EX_OK;
}

static void print_problem(void *owner, const char *line)
{
    unsigned *problems = owner;
    ++*problems;
    puts(line);
}

int cmd_store_verify(struct app_args *args)
{
    struct app_opened o;
    struct ms_errinfo why;
    unsigned problems = 0;
    int rc = no_arguments(args);
    if (rc || (rc = app_opened_open(args, &o)))
        return rc;
    rc = app_opened_recover(&o, PART_RECOVER_NORMAL);
    if (!rc) {
        enum ms_err err = partition_verify(o.partition, print_problem, &problems, &why);
        if (err && problems == 0)
            rc = app_fail(app_exit_for_err(err), "%s", why.text);
        else if (problems)
            rc = app_fail(EX_DATAERR, "%u problems", problems);
        else
            puts("no problems");
    }
    app_opened_close(&o);
    return rc;
}

int cmd_store_rebuild(struct app_args *args)
{
    struct app_opened o;
    int rc = no_arguments(args);
    if (rc || (rc = app_opened_open(args, &o)))
        return rc;
    rc = app_opened_recover(&o, PART_REBUILD);
    app_opened_close(&o);
    return rc;
}

void app_store_stats_emit(struct partition *p, struct str *out)
{
    struct part_stats st;
    partition_stats(p, &st);
#define ROW(name, value) str_addf(out, "%s=%llu\n", name, (unsigned long long)(value))
    str_addf(out, "partition=%s\n", partition_name(p));
    ROW("epoch", st.info.epoch);
    ROW("log_first", st.info.first);
    ROW("log_end", st.info.end);
    ROW("applied", st.applied_position);
    ROW("segments", st.segments);
    ROW("segment_bytes", st.segment_bytes);
    ROW("blobs", st.blobs);
    ROW("checkpoint_newest", st.checkpoint_newest);
    ROW("checkpoint_older", st.checkpoint_older);
    ROW("index_pages_used", st.index.pages_used);
    ROW("index_pages_free", st.index.pages_free);
    ROW("index_page_bytes", st.index.page_bytes);
    ROW("commits", st.commits);
    ROW("commit_ns", st.commit_ns);
    ROW("ops", st.ops);
    ROW("lag_bytes", st.lag_bytes);
    ROW("inflight_bytes", st.inflight_bytes);
    ROW("batches", st.journal.batches);
    ROW("records", st.journal.records);
    ROW("record_bytes", st.journal.bytes);
    ROW("flush_ns", st.journal.flush_ns);
    ROW("write_ns", st.journal.write_ns);
    ROW("lag_waits", st.journal.lag_waits);
    ROW("segments_extended", st.journal.extended);
    ROW("refused", st.journal.refused);
#undef ROW
}

int cmd_store_stats(struct app_args *args)
{
    struct ctl_answer answer;
    struct app_opened o;
    int rc = no_arguments(args);
    if (rc)
        return rc;
    struct conf *conf = app_conf_load(args->config);
    if (!conf)
        return EX_CONFIG;
    const char *const words[] = {"store-stats"};
    enum ms_err err = ctl_ask(conf, words, 1, stdout, &answer);
    conf_unref(&conf);
    if (err != MS_ENOTFOUND)
        return err ? app_fail(EX_UNAVAILABLE, "the server did not answer") : answer.exit_code;
    if ((rc = app_opened_open(args, &o)))
        return rc;
    rc = app_opened_recover(&o, PART_RECOVER_NORMAL);
    if (!rc) {
        struct str text;
        str_init(&text, 0);
        app_store_stats_emit(o.partition, &text);
        fputs(str_cstr(&text), stdout);
        str_fini(&text);
    }
    app_opened_close(&o);
    return rc;
}

static void print_line(void *owner, const char *line)
{
    puts(line);
}

int cmd_store_dump(struct app_args *args)
{
    static const struct option options[] = {{"log", no_argument, NULL, 'l'},
                                            {"index", no_argument, NULL, 'i'},
                                            {"from", required_argument, NULL, 'f'},
                                            {0}};
    bool log = false, index = false;
    uint64_t from = 0;
    struct app_opened o;
    int c, rc;
    while ((c = getopt_long(args->argc, args->argv, "", options, NULL)) != -1) {
        if (c == 'l')
            log = true;
        else if (c == 'i')
            index = true;
        else if (c != 'f')
            return EX_USAGE;
        else if (slice_to_u64(slice_cstr(optarg), UINT64_MAX, &from) != MS_OK)
            return app_fail(EX_USAGE, "--from takes a position");
    }
    if (optind != args->argc)
        return app_usage(args, "store dump takes --log, --index and --from only");
    if ((rc = app_opened_open(args, &o)))
        return rc;
    enum ms_err err = MS_OK;
    if (log || !index)
        err = partition_dump_log(o.partition, from, print_line, NULL);
    if (!err && (index || !log)) {
        rc = app_opened_recover(&o, PART_RECOVER_NORMAL);
        if (!rc)
            err = partition_dump_index(o.partition, print_line, NULL);
    }
    app_opened_close(&o);
    return rc ? rc : err ? app_fail(app_exit_for_err(err), "dump: %s", ms_err_text(err)) : EX_OK;
}

int cmd_store_skip_op(struct app_args *args)
{
    static const struct option options[] = {{"position", required_argument, NULL, 'p'}, {0}};
    uint64_t position = 0;
    struct ms_errinfo why;
    struct app_opened o;
    int c, rc;
    while ((c = getopt_long(args->argc, args->argv, "", options, NULL)) != -1) {
        if (c != 'p')
            return EX_USAGE;
        if (slice_to_u64(slice_cstr(optarg), UINT64_MAX, &position) != MS_OK)
            return app_fail(EX_USAGE, "--position takes a position");
    }
    if (optind != args->argc)
        return app_usage(args, "store skip-op takes --position only");
    if ((rc = app_opened_open(args, &o)))
        return rc;
    enum ms_err err = partition_skip_op(o.partition, position, &why);
    if (err)
        rc = app_fail(app_exit_for_err(err), "%s", why.text);
    app_opened_close(&o);
    return rc;
}
