/*
 * cmd_simulate.c - jobs simulate: what the settings of a configuration would do with messages that are made up.
 */
#include "app.h"

#include <getopt.h>

#include "simulate.h"

#define DAY_US (24ull * 3600 * 1000000)

struct simulate {
    struct sim_load loads[SIM_LOADS_MAX];
    size_t load_count;
    uint64_t for_us, step_us;
    unsigned seed;
    const char *svg;
    struct sim_point *points; /* of channel i at [i * room] */
    size_t count, room;
};

/* -- options */
static int add_load(struct simulate *m, const struct app_args *args, const char *text)
{
    struct ms_errinfo why;
    if (m->load_count == SIM_LOADS_MAX)
        return app_usage(args, "too many loads");
    if (sim_load_parse(text, &m->loads[m->load_count], &why) != MS_OK)
        return app_usage(args, why.text);
    m->load_count++;
    return EX_OK;
}

static int set_duration(const struct app_args *args, const char *text, uint64_t *us_out)
{
    uint64_t ms;
    if (conf_parse_duration(slice_cstr(text), 1000, &ms) != MS_OK || ms == 0)
        return app_usage(args, "not a duration");
    *us_out = ms * 1000;
    return EX_OK;
}

static int take_option(struct simulate *m, const struct app_args *args, int option)
{
    uint64_t n;
    switch (option) {
    case 'l':
        return add_load(m, args, optarg);
    case 'f':
        return set_duration(args, optarg, &m->for_us);
    case 's':
        return set_duration(args, optarg, &m->step_us);
    case 'v':
        m->svg = optarg;
        return EX_OK;
    case 'r':
        if (slice_to_u64(slice_cstr(optarg), UINT32_MAX, &n) != MS_OK)
            return app_usage(args, "not a seed");
        m->seed = (unsigned)n;
        return EX_OK;
    default:
        return app_usage(args, "unknown option");
    }
}

static int parse(struct simulate *m, const struct app_args *args)
{
    static const struct option options[] = {
        {"load", required_argument, NULL, 'l'}, {"for", required_argument, NULL, 'f'},
        {"step", required_argument, NULL, 's'}, {"svg", required_argument, NULL, 'v'},
        {"seed", required_argument, NULL, 'r'}, {0}};
    int option, rc = EX_OK;
    optind = 1;
    while (!rc && (option = getopt_long(args->argc, args->argv, "", options, NULL)) != -1)
        rc = take_option(m, args, option);
    if (!rc && optind < args->argc)
        rc = app_usage(args, "unknown argument");
    if (!rc && m->load_count == 0)
        rc = app_usage(args, "which load? --load channel=store,count=1000,for=1m");
    return rc;
}

/* Twice the time in which messages arrive, at least a minute. */
static void fill_defaults(struct simulate *m)
{
    uint64_t last_us = 0;
    for (size_t i = 0; i < m->load_count; i++)
        last_us = MS_MAX(last_us, m->loads[i].from_us + m->loads[i].for_us);
    if (!m->for_us)
        m->for_us = MS_MIN(MS_MAX(2 * last_us, (uint64_t)60000000), 365 * DAY_US);
    if (!m->step_us)
        m->step_us = MS_MAX(m->for_us / 30, (uint64_t)1);
    m->room = (size_t)MS_MIN(m->for_us / m->step_us + 1, (uint64_t)SIM_POINTS_MAX);
}

/* -- output */
static void print_point(const struct app_args *args, const char *channel, const struct sim_point *p)
{
    static const char *const names[] = {"time_s",  "channel",  "queued", "ready",     "deferred",
                                        "delayed", "in_work",  "jobs",   "arrived",   "delivered",
                                        "failed",  "returned", "wait_s", "wait_max_s"};
    const uint64_t numbers[] = {p->queued, p->ready,   p->deferred,  p->delayed, p->in_work,
                                p->jobs,   p->arrived, p->delivered, p->failed,  p->returned};
    char texts[MS_ARRAY_LEN(names)][32];
    const char *values[MS_ARRAY_LEN(names)];
    snprintf(texts[0], sizeof texts[0], "%.1f", (double)p->at_us / 1e6);
    for (size_t i = 0; i < MS_ARRAY_LEN(numbers); i++)
        snprintf(texts[i + 2], sizeof texts[0], "%llu", (unsigned long long)numbers[i]);
    snprintf(texts[12], sizeof texts[0], "%.1f", (double)p->wait_us / 1e6);
    snprintf(texts[13], sizeof texts[0], "%.1f", (double)p->wait_max_us / 1e6);
    for (size_t i = 0; i < MS_ARRAY_LEN(names); i++)
        values[i] = i == 1 ? channel : texts[i];
    app_emit_row(args, names, values, MS_ARRAY_LEN(names));
}

static void look(struct simulate *m, const struct app_args *args, const struct sim *s)
{
    for (size_t i = 0; i < sim_channels(s); i++) {
        struct sim_point *p = &m->points[i * m->room + m->count];
        sim_look(s, i, p);
        print_point(args, sim_channel_name(s, i), p);
    }
    m->count++;
}

static int plot(const struct simulate *m, const struct sim *s)
{
    FILE *f = fopen(m->svg, "we");
    struct str text;
    if (!f)
        return app_fail(EX_CANTCREAT, "%s: cannot be written", m->svg);
    struct sim_point *points = ms_alloc_array(sim_channels(s) * m->count, sizeof *points);
    for (size_t i = 0; i < sim_channels(s); i++)
        memcpy(points + i * m->count, m->points + i * m->room, m->count * sizeof *points);
    str_init(&text, 0);
    sim_plot(s, points, m->count, &text);
    bool written = fwrite(text.ptr, 1, text.len, f) == text.len;
    written &= fclose(f) == 0;
    str_fini(&text);
    ms_free(points);
    return written ? EX_OK : app_fail(EX_IOERR, "%s: cannot be written", m->svg);
}

static int run(struct simulate *m, const struct app_args *args, struct sim *s)
{
    m->points = ms_alloc_array(sim_channels(s) * m->room, sizeof *m->points);
    for (size_t i = 0; i < m->room; i++) {
        sim_run(s, i * m->step_us);
        look(m, args, s);
        if (sim_is_over(s))
            break;
    }
    int rc = m->svg ? plot(m, s) : EX_OK;
    ms_free(m->points);
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
    struct conf *conf = app_conf_load(args->config);
    if (!conf)
        return EX_CONFIG;
    fill_defaults(&m);
    enum ms_err err = sim_create(conf, m.loads, m.load_count, m.seed, &s, &why);
    rc = err ? app_fail(EX_NOINPUT, "%s", why.text) : run(&m, args, s);
    sim_destroy(&s);
    conf_unref(&conf);
    return rc;
}
