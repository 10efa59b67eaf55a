/*
 * cmd_mapping.c - mapping test TABLE PROBE [--flags A,T]: what a table of the configuration makes of one
 * probe.
 */
#include "app.h"

#include <getopt.h>

#include "ms/base/arena.h"
#include "ms/mapping.h"

/* "A,T" or "AT" */
static bool flags_parse(const char *text, uint64_t *out)
{
    for (; *text; text++) {
        uint8_t c = ms_ascii_upper((uint8_t)*text);
        if (*text == ',')
            continue;
        if (!ms_ascii_is_alpha(c))
            return false;
        *out |= MAPPING_FLAG(c);
    }
    return true;
}

/* A line of the trace has six words with TAB between. */
static void print_entry(const struct app_args *args, struct slice line)
{
    static const char *const names[] = {"table", "entry", "pattern", "flags", "output", "next"};
    const char *values[MS_ARRAY_LEN(names)];
    struct slice word;
    struct arena a;

    arena_init(&a, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(names); i++) {
        if (!slice_cut(&line, '\t', &word))
            word = line;
        values[i] = arena_dup_cstr(&a, word);
    }
    app_emit_row(args, names, values, MS_ARRAY_LEN(names));
    arena_fini(&a);
}

static void print_result(const struct app_args *args, const struct mapping_result *r, struct slice trace)
{
    static const char *const names[] = {"matched", "flags", "output"};
    char flags[MAPPING_FLAGS_TEXT_MAX];
    struct slice line;

    mapping_flags_emit(r->flags, flags);
    while (slice_cut(&trace, '\n', &line))
        print_entry(args, line);
    app_emit_row(args, names, (const char *[]){r->matched ? "yes" : "no", flags, str_cstr(&r->output)},
                 MS_ARRAY_LEN(names));
}

static int test_probe(const struct app_args *args, const struct conf *conf, const char *table,
                      const char *probe, uint64_t inputs)
{
    struct mapping_set *set = app_mapping_set_create(conf);
    struct mapping_result r;
    struct str trace;
    int rc = EX_OK;

    str_init(&trace, 0);
    mapping_result_init(&r);
    enum ms_err err = mapping_probe(set, table, slice_cstr(probe), inputs, &r, &trace);
    if (err == MS_ENOTFOUND)
        rc = app_fail(EX_NOINPUT, "there is no table \"%s\" in section mappings", table);
    else if (err)
        rc = app_fail(app_exit_for_err(err), "the probe, the output or the number of steps passes its limit");
    else
        print_result(args, &r, str_slice(&trace));
    mapping_result_fini(&r);
    str_fini(&trace);
    mapping_set_destroy(&set);
    return rc;
}

int cmd_mapping_test(struct app_args *args)
{
    static const struct option options[] = {{"flags", required_argument, NULL, 'f'}, {0}};
    uint64_t inputs = 0;
    int c;

    while ((c = getopt_long(args->argc, args->argv, "", options, NULL)) != -1) {
        if (c != 'f')
            return EX_USAGE;
        if (!flags_parse(optarg, &inputs))
            return app_usage(args, "--flags takes letters, as in A,T");
    }
    if (optind + 2 != args->argc)
        return app_usage(args, "mapping test takes a table and a probe");
    struct conf *conf = app_conf_load(args->config);
    if (!conf)
        return EX_CONFIG;
    int rc = test_probe(args, conf, args->argv[optind], args->argv[optind + 1], inputs);
    conf_unref(&conf);
    return rc;
}
