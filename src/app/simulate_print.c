/*
 * simulate_print.c - a run as tables for people, or as rows for programs: what was asked, how it went over
 * time, what came of it by class and by channel.
 */
#include "simulate_print.h"

#define ROWS_MAX 25 /* over time, of one channel */

static unsigned long long ull(uint64_t n)
{
    return n;
}

const char *sim_time_text(uint64_t us, char out[SIM_TEXT_MAX])
{
    uint64_t cs = (us + 5000) / 10000, ds = (us + 50000) / 100000, s = (us + 500000) / 1000000,
             m = (s + 30) / 60;
    if (cs < 1000)
        snprintf(out, SIM_TEXT_MAX, "%llu.%02llus", ull(cs / 100), ull(cs % 100));
    else if (ds < 600)
        snprintf(out, SIM_TEXT_MAX, "%llu.%llus", ull(ds / 10), ull(ds % 10));
    else if (s < 3600)
        snprintf(out, SIM_TEXT_MAX, "%llum%02llus", ull(s / 60), ull(s % 60));
    else if (m < 1440)
        snprintf(out, SIM_TEXT_MAX, "%lluh%02llum", ull(m / 60), ull(m % 60));
    else
        snprintf(out, SIM_TEXT_MAX, "%llud%02lluh", ull((m + 30) / 1440), ull((m + 30) % 1440 / 60));
    return out;
}

static const char *seconds(uint64_t us, char out[SIM_TEXT_MAX])
{
    uint64_t ms = (us + 500) / 1000;
    snprintf(out, SIM_TEXT_MAX, "%llu.%03llu", ull(ms / 1000), ull(ms % 1000));
    return out;
}

/* One row, for people or programs. */
#define CELLS_MAX 16
struct row {
    bool for_people;
    size_t count;
    char texts[CELLS_MAX][SIM_TEXT_MAX];
    const char *values[CELLS_MAX];
};

static void add_text(struct row *r, const char *text)
{
    MS_ASSERT(r->count < CELLS_MAX);
    r->values[r->count++] = text;
}

static void add_number(struct row *r, uint64_t n)
{
    MS_ASSERT(r->count < CELLS_MAX);
    snprintf(r->texts[r->count], SIM_TEXT_MAX, "%llu", ull(n));
    add_text(r, r->texts[r->count]);
}

static void add_time(struct row *r, uint64_t us)
{
    MS_ASSERT(r->count < CELLS_MAX);
    add_text(r, (r->for_people ? sim_time_text : seconds)(us, r->texts[r->count]));
}

/* A time that is none when nothing happened. */
static void add_wait(struct row *r, uint64_t us, uint64_t count)
{
    if (count)
        add_time(r, us);
    else
        add_text(r, "-");
}

/* Rows of one kind. left: so many columns of names. hidden: bits of columns that people are not shown. */
struct rows {
    const struct app_args *args;
    const char *kind;
    const char *const *names;
    size_t count;
    unsigned hidden;
    struct app_column columns[CELLS_MAX];
    struct app_table table;
};

static void rows_init(struct rows *r, const struct app_args *args, const char *kind, const char *const *names,
                      const char *const *heads, size_t count, size_t left, unsigned hidden)
{
    size_t shown = 0;
    MS_ASSERT(count <= CELLS_MAX);
    *r = (struct rows){.args = args, .kind = kind, .names = names, .count = count, .hidden = hidden};
    for (size_t i = 0; i < count; i++)
        if (!(hidden & 1u << i))
            r->columns[shown++] = (struct app_column){.title = heads[i], .is_number = i >= left};
    app_table_init(&r->table, r->columns, shown);
}

static void rows_add(struct rows *r, const struct row *row)
{
    const char *all_names[CELLS_MAX + 1] = {"row"}, *all_values[CELLS_MAX + 1] = {r->kind};
    MS_ASSERT(row->count == r->count);
    if (row->for_people) {
        for (size_t i = 0; i < r->count; i++)
            if (!(r->hidden & 1u << i))
                app_table_add(&r->table, slice_cstr(row->values[i]));
        return;
    }
    memcpy(all_names + 1, r->names, r->count * sizeof *r->names);
    memcpy(all_values + 1, row->values, r->count * sizeof *row->values);
    app_emit_row(r->args, all_names, all_values, r->count + 1);
}

static void rows_end(struct rows *r, const char *title)
{
    if (r->args->output == APP_HUMAN && r->table.count) {
        fputs(title, stdout);
        app_table_print(&r->table);
    }
    app_table_fini(&r->table);
}

/* -- what was asked */
void sim_settings_emit(struct str *out, const struct sim *s, const struct conf *conf, size_t channel)
{
    const struct channel_conf *c = sim_channel_conf(s, channel);
    const struct jobctl_pool_conf *pool = conf_map_find(conf, "job_controller.pools.*", c->pool);
    str_addf(out, "pool %s (job_limit %llu), maxjobs %llu, filesperjob %lld, ", c->pool, ull(pool->job_limit),
             ull(c->maxjobs), (long long)c->filesperjob);
    if (c->addrsperjob > 0)
        str_addf(out, "addrsperjob %llu, ", ull(c->addrsperjob));
    str_addf(out, "threaddepth %llu, max_client_threads %llu", ull(c->threaddepth),
             ull(c->max_client_threads));
}

static void print_asked(const struct sim_print *p)
{
    struct str text;
    str_init(&text, 0);
    for (size_t i = 0; i < sim_channels(p->sim); i++) {
        str_reset(&text);
        sim_settings_emit(&text, p->sim, p->conf, i);
        printf("channel %s: %s\n", sim_channel_name(p->sim, i), str_cstr(&text));
    }
    for (size_t i = 0; i < sim_loads(p->sim); i++) {
        str_reset(&text);
        sim_load_emit(&text, sim_load_get(p->sim, i));
        printf("load %s\n", str_cstr(&text));
    }
    str_fini(&text);
    putchar('\n');
}

/* -- over time */
/* clang-format off */
enum { TIME_AT, TIME_CHANNEL, TIME_QUEUED, TIME_READY, TIME_DEFERRED, TIME_DELAYED, TIME_IN_WORK, TIME_JOBS,
       TIME_ARRIVED, TIME_DELIVERED, TIME_FAILED, TIME_RETURNED, TIME_WAIT, TIME_WAIT_MAX, TIME_COLUMNS };
static const char *const time_names[] = {"time_s", "channel", "queued", "ready", "deferred", "delayed", "in_work",
                                         "jobs", "arrived", "delivered", "failed", "returned", "wait_s", "wait_max_s"};
static const char *const time_heads[] = {"time", "channel", "queued", "ready", "deferred", "delayed", "in work", "jobs",
                                         "arrived", "delivered", "failed", "returned", "wait", "longest"};
/* clang-format on */
_Static_assert(MS_ARRAY_LEN(time_names) == TIME_COLUMNS && MS_ARRAY_LEN(time_heads) == TIME_COLUMNS,
               "columns");

static void add_point(struct row *row, const struct sim_print *p, size_t channel, size_t from, size_t to)
{
    static const struct sim_point none;
    const struct sim_point *point = sim_record_at(p->record, channel, to);
    const struct sim_point *before = from < to ? sim_record_at(p->record, channel, from) : &none;
    const uint64_t numbers[] = {point->queued,  point->ready,   point->deferred, point->delayed,
                                point->in_work, point->jobs,    point->arrived,  point->delivered,
                                point->failed,  point->returned};
    uint64_t count = point->delivered - before->delivered;
    add_time(row, point->at_us);
    add_text(row, sim_channel_name(p->sim, channel));
    for (size_t i = 0; i < MS_ARRAY_LEN(numbers); i++)
        add_number(row, numbers[i]);
    add_wait(row, (point->wait_sum_us - before->wait_sum_us) / MS_MAX(count, (uint64_t)1), count);
    add_wait(row, from < to ? sim_record_wait_max(p->record, channel, from, to) : point->wait_max_us, count);
}

/* What stays at nothing all the time is not shown to people. */
static unsigned empty_columns(const struct sim_print *p)
{
    const struct sim_record *r = p->record;
    unsigned hidden = 1u << TIME_DEFERRED | 1u << TIME_DELAYED | 1u << TIME_FAILED | 1u << TIME_RETURNED;
    if (r->channels == 1)
        hidden |= 1u << TIME_CHANNEL;
    for (size_t c = 0; c < r->channels; c++) {
        const struct sim_result *result = sim_result(p->sim, c);
        hidden &= ~((result->failed ? 1u << TIME_FAILED : 0) | (result->returned ? 1u << TIME_RETURNED : 0));
        for (size_t i = 0; i < r->count; i++) {
            const struct sim_point *point = sim_record_at(r, c, i);
            hidden &=
                ~((point->deferred ? 1u << TIME_DEFERRED : 0) | (point->delayed ? 1u << TIME_DELAYED : 0));
        }
    }
    return hidden;
}

static void print_time(const struct sim_print *p)
{
    const struct sim_record *r = p->record;
    bool for_people = p->args->output == APP_HUMAN;
    size_t stride = p->all_rows ? 1 : sim_record_stride(r, ROWS_MAX), end = r->count - 1;
    struct rows rows;
    rows_init(&rows, p->args, "time", time_names, time_heads, TIME_COLUMNS, 0, empty_columns(p));
    for (size_t i = 0, before = 0;; before = i, i = MS_MIN(i + stride, end)) {
        for (size_t c = 0; c < r->channels; c++) {
            struct row row = {.for_people = for_people};
            add_point(&row, p, c, before, i);
            rows_add(&rows, &row);
        }
        if (i == end)
            break;
    }
    rows_end(&rows, "");
}

/* -- by class */
static const char *const class_names[] = {"channel",    "class",       "arrived",    "delivered",
                                          "returned",   "wait_mean_s", "wait_p50_s", "wait_p95_s",
                                          "wait_p99_s", "wait_max_s"};
static const char *const class_heads[] = {"channel", "class", "arrived", "delivered", "returned",
                                          "mean",    "p50",   "p95",     "p99",       "longest"};

static void emit_class(const struct sim_print *p, struct rows *rows, size_t channel, const char *name,
                       const struct sim_class *c)
{
    struct row row = {.for_people = p->args->output == APP_HUMAN};
    uint64_t count = c->waits.count;
    add_text(&row, sim_channel_name(p->sim, channel));
    add_text(&row, name);
    add_number(&row, c->arrived);
    add_number(&row, c->delivered);
    add_number(&row, c->returned);
    add_wait(&row, sim_waits_mean(&c->waits), count);
    add_wait(&row, sim_waits_percentile(&c->waits, 50), count);
    add_wait(&row, sim_waits_percentile(&c->waits, 95), count);
    add_wait(&row, sim_waits_percentile(&c->waits, 99), count);
    add_wait(&row, c->waits.max_us, count);
    rows_add(rows, &row);
}

static void emit_classes(const struct sim_print *p, struct rows *rows, size_t channel)
{
    struct sim_class all = {0};
    unsigned classes = 0;
    for (unsigned i = 0; i < QUEUE_CLASS_COUNT; i++) {
        const struct sim_class *c = sim_class(p->sim, channel, (enum queue_class)i);
        if (c->arrived == 0)
            continue;
        emit_class(p, rows, channel, sim_class_name((enum queue_class)i), c);
        all.arrived += c->arrived;
        all.delivered += c->delivered;
        all.returned += c->returned;
        sim_waits_merge(&all.waits, &c->waits);
        classes++;
    }
    if (classes > 1)
        emit_class(p, rows, channel, "all", &all);
    sim_waits_fini(&all.waits);
}

static void print_classes(const struct sim_print *p)
{
    struct rows rows;
    rows_init(&rows, p->args, "class", class_names, class_heads, MS_ARRAY_LEN(class_heads), 2, 0);
    for (size_t i = 0; i < p->record->channels; i++)
        emit_classes(p, &rows, i);
    rows_end(&rows, "\nWaits from arrival to delivery:\n");
}

/* -- by channel */
static const char *const channel_names[] = {"channel",  "queued",       "queued_max",  "queued_max_s",
                                            "jobs_max", "jobs_started", "threads_max", "attempts",
                                            "failed",   "notices",      "empty_s"};
static const char *const channel_heads[] = {"channel", "left",     "queued", "at",      "jobs", "started",
                                            "threads", "attempts", "failed", "notices", "empty"};

static void print_channels(const struct sim_print *p)
{
    struct rows rows;
    rows_init(&rows, p->args, "channel", channel_names, channel_heads, MS_ARRAY_LEN(channel_heads), 1, 0);
    for (size_t i = 0; i < p->record->channels; i++) {
        const struct sim_result *r = sim_result(p->sim, i);
        struct row row = {.for_people = p->args->output == APP_HUMAN};
        add_text(&row, sim_channel_name(p->sim, i));
        add_number(&row, r->queued);
        add_number(&row, r->queued_max);
        add_time(&row, r->queued_max_at_us);
        add_number(&row, r->jobs_max);
        add_number(&row, r->jobs_started);
        add_number(&row, r->in_work_max);
        add_number(&row, r->attempts);
        add_number(&row, r->failed);
        add_number(&row, r->notices);
        add_wait(&row, r->empty_us, r->queued == 0 && r->arrived);
        rows_add(&rows, &row);
    }
    rows_end(&rows, "\nQueued at most, and when; jobs and threads at most; when the queue was empty:\n");
}

/* -- the end */
static void print_end(const struct sim_print *p)
{
    static const char *const names[] = {"over", "time_s", "delivered", "returned", "queued", "to_come"};
    struct rows rows;
    struct row row = {0};
    uint64_t delivered = 0, returned = 0, queued = 0, end_us = 0, last_us = 0;
    char text[SIM_TEXT_MAX];
    for (size_t i = 0; i < p->record->channels; i++) {
        const struct sim_result *r = sim_result(p->sim, i);
        delivered += r->delivered;
        returned += r->returned;
        queued += r->queued;
        end_us = MS_MAX(end_us, r->empty_us);
        last_us = sim_record_at(p->record, i, p->record->count - 1)->at_us;
    }
    if (!p->is_over)
        end_us = last_us;
    if (p->args->output == APP_HUMAN) {
        printf("\n%llu delivered, %llu returned to their senders", ull(delivered), ull(returned));
        printf(p->is_over ? "; the last left the queue at %s.\n" : "; cut at %s: ",
               sim_time_text(end_us, text));
        if (!p->is_over)
            printf("%llu left in the queue, %llu yet to arrive.\n", ull(queued), ull(sim_to_come(p->sim)));
        return;
    }
    add_text(&row, p->is_over ? "yes" : "no");
    add_time(&row, end_us);
    add_number(&row, delivered);
    add_number(&row, returned);
    add_number(&row, queued);
    add_number(&row, sim_to_come(p->sim));
    rows_init(&rows, p->args, "end", names, names, MS_ARRAY_LEN(names), 0, 0);
    rows_add(&rows, &row);
    rows_end(&rows, "");
}

void sim_print(const struct sim_print *p)
{
    if (p->args->output == APP_HUMAN)
        print_asked(p);
    print_time(p);
    print_classes(p);
    print_channels(p);
    print_end(p);
}
