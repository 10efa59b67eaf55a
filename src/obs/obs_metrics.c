/*
 * obs_metrics.c - the Prometheus text format, version 0.0.4: HELP, TYPE, samples, one family after the other.
 */
#include <stdio.h>
#include <string.h>

#include "obs_series.h"

#define PREFIX "mailserverd_"

/* -- pieces */
static void put_help(struct str *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\' || *text == '\n')
            str_add_byte(out, '\\');
        str_add_byte(out, *text == '\n' ? 'n' : (uint8_t)*text);
    }
}

static void put_head(struct str *out, const char *name, const char *type, const char *help)
{
    str_addf(out, "# HELP " PREFIX "%s ", name);
    put_help(out, help);
    str_addf(out, "\n# TYPE " PREFIX "%s %s\n", name, type);
}

static void put_label(struct str *out, const char *name, size_t name_len, const char *value)
{
    str_add(out, name, name_len);
    str_add_cstr(out, "=\"");
    for (; *value; value++) {
        if (*value == '\\' || *value == '"' || *value == '\n')
            str_add_byte(out, '\\');
        str_add_byte(out, *value == '\n' ? 'n' : (uint8_t)*value);
    }
    str_add_byte(out, '"');
}

/* {service="smtp",le="0.001"}; nothing when there are no labels. */
static void put_labels(struct str *out, enum obs_family f, const char *const *values, const char *le)
{
    const char *names = obs_family_labels(f);
    char open = '{';
    for (size_t i = 0; i < OBS_LABELS_MAX && *names; i++) {
        size_t len = strcspn(names, " ");
        str_add_byte(out, (uint8_t)open);
        put_label(out, names, len, values[i] ? values[i] : "");
        open = ',';
        names += len + (names[len] == ' ');
    }
    if (le) {
        str_add_byte(out, (uint8_t)open);
        put_label(out, "le", 2, le);
        open = ',';
    }
    if (open == ',')
        str_add_byte(out, '}');
}

static void put_value(struct str *out, double value)
{
    if (value >= -9e15 && value <= 9e15 && (double)(int64_t)value == value)
        str_addf(out, " %lld\n", (long long)value);
    else
        str_addf(out, " %.13g\n", value);
}

/* -- counted here */
static void emit_counters(struct str *out)
{
    for (unsigned i = 0; i < MET_COUNT; i++) {
        enum obs_counter c = (enum obs_counter)i;
        put_head(out, obs_counter_name(c), "counter", obs_counter_help(c));
        str_addf(out, PREFIX "%s %llu\n", obs_counter_name(c), (unsigned long long)obs_counter_get(c));
    }
}

static void emit_hist(struct str *out, enum obs_family f, const char *const *values, unsigned cell)
{
    enum obs_family_kind kind = obs_family_kind(f);
    const char *name = obs_family_name(f);
    uint64_t cells[OBS_BOUNDS + 2], count = 0;
    obs__cells_sum(cell, OBS_BOUNDS + 2, cells);
    for (unsigned i = 0; i <= OBS_BOUNDS; i++) {
        char le[32] = "+Inf";
        if (i < OBS_BOUNDS)
            snprintf(le, sizeof le, "%.10g", obs__bound(kind, i));
        count += cells[i];
        str_addf(out, PREFIX "%s_bucket", name);
        put_labels(out, f, values, le);
        str_addf(out, " %llu\n", (unsigned long long)count);
    }
    str_addf(out, PREFIX "%s_sum", name);
    put_labels(out, f, values, NULL);
    put_value(out, kind == OBS_SECONDS ? (double)cells[OBS_BOUNDS + 1] / 1e6 : (double)cells[OBS_BOUNDS + 1]);
    str_addf(out, PREFIX "%s_count", name);
    put_labels(out, f, values, NULL);
    str_addf(out, " %llu\n", (unsigned long long)count);
}

static void emit_series(struct str *out, const struct obs_series *s)
{
    const char *values[OBS_LABELS_MAX];
    enum obs_family_kind kind = obs_family_kind(s->family);
    for (size_t i = 0; i < OBS_LABELS_MAX; i++)
        values[i] = s->values[i];
    if (kind == OBS_SECONDS || kind == OBS_BYTES)
        emit_hist(out, s->family, values, s->cell);
    else
        obs_metric_sample(out, s->family, values[0], values[1], values[2], (double)obs_series_get(s->cell));
}

void obs_metrics_emit(struct str *out)
{
    size_t count = obs__series_count();
    emit_counters(out);
    for (unsigned f = 0; f < FAM_COUNT; f++) {
        bool begun = false;
        for (size_t i = 0; i < count; i++) {
            const struct obs_series *s = obs__series_at(i);
            if (s->family != (enum obs_family)f)
                continue;
            if (!begun)
                obs_metric_begin(out, (enum obs_family)f);
            begun = true;
            emit_series(out, s);
        }
    }
}

/* -- known at scrape */
void obs_metric_begin(struct str *out, enum obs_family f)
{
    static const char *const types[] = {
        [OBS_COUNTER] = "counter", [OBS_GAUGE] = "gauge",     [OBS_SECONDS] = "histogram",
        [OBS_BYTES] = "histogram", [OBS_AT_SCRAPE] = "gauge", [OBS_AT_SCRAPE_SUM] = "counter",
    };
    put_head(out, obs_family_name(f), types[obs_family_kind(f)], obs_family_help(f));
}

void obs_metric_sample(struct str *out, enum obs_family f, const char *a, const char *b, const char *c,
                       double value)
{
    const char *const values[OBS_LABELS_MAX] = {a, b, c};
    str_addf(out, PREFIX "%s", obs_family_name(f));
    put_labels(out, f, values, NULL);
    put_value(out, value);
}
