/*
 * cmd_simulate.c - jobs simulate: what the settings of a configuration would do with messages that are made
 * up.
 */
#include "app.h"

#include <getopt.h>

#include "ms/base/clock.h"
#include "simulate.h"
#include "simulate_print.h"

#define SETS_MAX 64
#define DAY_US   (24ull * 3600 * 1000000)
#define FOR_MAX  (11 * 365 * DAY_US) /* all that a load may take to arrive, and a year */

struct simulate {
    struct sim_load loads[SIM_LOADS_MAX];
    size_t load_count;
    struct conf_kv sets[SETS_MAX];
    size_t set_count;
    uint64_t for_us, step_us, seed, begin_us; /* 0: not given, but the seed */
    const char *svg;
};

/* -- options */
static int add_load_file(struct simulate *m, const char *name)
{
    FILE *f = fopen(name, "re");
    struct ms_errinfo why;
    struct str text;
    if (!f)
        return app_fail(EX_NOINPUT, "%s: cannot be read", name);
    str_init(&text, 0);
    uint8_t *room = str_reserve(&text, SIM_LOAD_TEXT_MAX + 1);
    size_t got = fread(room, 1, SIM_LOAD_TEXT_MAX + 1, f);
    int rc = EX_OK;
    if (ferror(f))
        rc = app_fail(EX_IOERR, "%s: cannot be read", name);
    else if (got > SIM_LOAD_TEXT_MAX)
        rc = app_fail(EX_DATAERR, "%s: larger than %zu octets", name, SIM_LOAD_TEXT_MAX);
    else if (sim_load_parse_lines(slice_make(room, got), name, m->loads, &m->load_count, &why))
        rc = app_fail(EX_DATAERR, "%s", why.text);
    fclose(f);
    str_fini(&text);
    return rc;
}

static int add_load(struct simulate *m, const struct app_args *args, const char *text)
{
    struct ms_errinfo why;
    if (text[0] == '@')
        return add_load_file(m, text + 1);
    if (m->load_count == SIM_LOADS_MAX)
        return app_fail(EX_USAGE, "more than %d loads", SIM_LOADS_MAX);
    if (sim_load_parse(slice_cstr(text), &m->loads[m->load_count], &why))
        return app_usage(args, why.text);
    m->load_count++;
    return EX_OK;
}

static int add_set(struct simulate *m, const struct app_args *args, char *arg)
{
    struct ms_errinfo why;
    char *eq = strchr(arg, '=');
    if (!eq || eq == arg)
        return app_usage(args, "--set takes KEY=VALUE");
    if (m->set_count == SETS_MAX)
        return app_fail(EX_USAGE, "more than %d --set", SETS_MAX);
    *eq = '\0';
    m->sets[m->set_count] = (struct conf_kv){arg, eq + 1};
    if (conf_kv_check(app_tables, app_table_count, &m->sets[m->set_count++], &why))
        return app_fail(EX_CONFIG, "--set: %s", why.text);
    return EX_OK;
}

static int set_duration(const struct app_args *args, const char *option, const char *text, uint64_t *us_out)
{
    struct ms_errinfo why;
    uint64_t ms;
    if (conf_parse_duration(slice_cstr(text), 1000, &ms) == MS_OK && ms > 0 && ms <= FOR_MAX / 1000) {
        *us_out = ms * 1000;
        return EX_OK;
    }
    (void)ms_fail(&why, MS_EINVAL, "%s takes a time such as 90s or 5m, at most 11 years, not \"%.60s\"",
                  option, text);
    return app_usage(args, why.text);
}

static int set_number(const struct app_args *args, const char *option, const char *text, uint64_t max,
                      uint64_t *out)
{
    struct ms_errinfo why;
    if (slice_to_u64(slice_cstr(text), max, out) == MS_OK)
        return EX_OK;
    (void)ms_fail(&why, MS_EINVAL, "%s takes a number up to %llu, not \"%.60s\"", option,
                  (unsigned long long)max, text);
    return app_usage(args, why.text);
}

static int usage_of(const struct app_args *args, const char *what, const char *word)
{
    struct ms_errinfo why;
    (void)ms_fail(&why, MS_EINVAL, "%s \"%.60s\"", what, word);
    return app_usage(args, why.text);
}

static int take_option(struct simulate *m, const struct app_args *args, int option)
{
    uint64_t n = 0;
    int rc = EX_OK;
    switch (option) {
    case 'l':
        return add_load(m, args, optarg);
    case 'k':
        return add_set(m, args, optarg);
    case 'f':
        return set_duration(args, "--for", optarg, &m->for_us);
    case 's':
        return set_duration(args, "--step", optarg, &m->step_us);
    case 'v':
        m->svg = optarg;
        return EX_OK;
    case 'r':
        return set_number(args, "--seed", optarg, UINT32_MAX, &m->seed);
    case 'a':
        rc = set_number(args, "--at", optarg, UINT32_MAX, &n);
        m->begin_us = n * 1000000;
        return rc;
    default:
        return usage_of(args, "unknown option, or one without its value:", args->argv[optind - 1]);
    }
}

static int parse(struct simulate *m, const struct app_args *args)
{
    static const struct option options[] = {
        {"load", required_argument, NULL, 'l'}, {"set", required_argument, NULL, 'k'},
        {"for", required_argument, NULL, 'f'},  {"step", required_argument, NULL, 's'},
        {"svg", required_argument, NULL, 'v'},  {"seed", required_argument, NULL, 'r'},
        {"at", required_argument, NULL, 'a'},   {0}};
    int option, rc = EX_OK;
    optind = 1;
    opterr = 0;
    while (!rc && (option = getopt_long(args->argc, args->argv, "", options, NULL)) != -1)
        rc = take_option(m, args, option);
    if (!rc && optind < args->argc)
        rc = usage_of(args, "unknown argument", args->argv[optind]);
    if (!rc && m->load_count == 0)
        rc = app_usage(args, "which load? --load channel=store,count=1000,for=1m");
    if (!rc && m->step_us && m->for_us / m->step_us > SIM_POINTS_MAX)
        rc = app_fail(EX_USAGE, "--for %llu times as long as --step: at most %d rows",
                      (unsigned long long)(m->for_us / m->step_us), SIM_POINTS_MAX);
    return rc;
}

/* -- the run */
static int write_plot(const struct simulate *m, const struct sim *s, const struct sim_record *record,
                      const struct conf *conf)
{
    FILE *f = fopen(m->svg, "we");
    struct str text;
    if (!f)
        return app_fail(EX_CANTCREAT, "%s: cannot be written", m->svg);
    str_init(&text, 0);
    sim_plot(s, record, conf, &text);
    bool written = fwrite(text.ptr, 1, text.len, f) == text.len;
    written &= fclose(f) == 0;
    str_fini(&text);
    return written ? EX_OK : app_fail(EX_IOERR, "%s: cannot be written", m->svg);
}

static int run(const struct simulate *m, const struct app_args *args, struct sim *s, const struct conf *conf)
{
    struct sim_record record;
    bool is_over = sim_record_run(&record, s, m->for_us ? m->for_us : FOR_MAX, m->step_us);
    sim_print(&(struct sim_print){.args = args,
                                  .conf = conf,
                                  .sim = s,
                                  .record = &record,
                                  .all_rows = m->step_us > 0,
                                  .is_over = is_over});
    int rc = m->svg ? write_plot(m, s, &record, conf) : EX_OK;
    sim_record_fini(&record);
    return rc;
}

int cmd_jobs_simulate(struct app_args *args)
{
    struct simulate m = {.seed = 1};
    struct sim *s;
    struct ms_errinfo why;
    int rc = parse(&m, args);
    if (rc)
        return rc;
    struct conf *conf = app_conf_load_with(args->config, m.sets, m.set_count);
    if (!conf)
        return EX_CONFIG;
    enum ms_err err =
        sim_create(conf, m.loads, m.load_count, m.seed, m.begin_us ? m.begin_us : clock_wall_us(), &s, &why);
    rc = err ? app_fail(err == MS_ELIMIT ? EX_DATAERR : EX_NOINPUT, "%s", why.text) : run(&m, args, s, conf);
    sim_destroy(&s);
    conf_unref(&conf);
    return rc;
}
