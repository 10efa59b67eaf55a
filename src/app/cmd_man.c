/*
 * cmd_man.c - `metrics man` and `log man`: the parts of mailserverd-metrics(7) and mailserverd-log-events(7) that
 * are made from the rows of obs_counters.def, obs_families.def and obs_events.def.
 */
#include "app.h"

#include "ms/obs.h"

/* Text for mdoc: backslashes and hyphens are escaped, a control character cannot begin a line, sentences end lines. */
static void put_text(const char *text)
{
    bool begins = true;
    for (const char *p = text; *p; p++) {
        if (begins && (*p == '.' || *p == '\''))
            fputs("\\&", stdout);
        begins = *p == '.' && p[1] == ' ';
        if (*p == '\\')
            fputs("\\e", stdout);
        else if (*p == '-')
            fputs("\\-", stdout);
        else
            putchar(*p);
        if (begins) {
            putchar('\n');
            p++;
        }
    }
    putchar('\n');
}

static void begin_list(void)
{
    puts(".Bl -tag -width Ds");
}

static void end_list(void)
{
    puts(".El");
}

static const char *const kind_names[] = {
    [OBS_COUNTER] = "Counter",           [OBS_GAUGE] = "Gauge",     [OBS_SECONDS] = "Histogram, in seconds",
    [OBS_BYTES] = "Histogram, in bytes", [OBS_AT_SCRAPE] = "Gauge", [OBS_AT_SCRAPE_SUM] = "Counter",
};

/* "service result" as "service, result" */
static void put_labels(const char *labels)
{
    for (; *labels; labels++)
        fputs(*labels == ' ' ? ", " : (const char[]){*labels, 0}, stdout);
}

static void put_family(enum obs_family f)
{
    const char *labels = obs_family_labels(f);
    printf(".It Li mailserverd_%s\n", obs_family_name(f));
    put_text(obs_family_help(f));
    printf(".br\n%s", kind_names[obs_family_kind(f)]);
    if (*labels)
        fputs(strchr(labels, ' ') ? "; labels " : "; label ", stdout);
    put_labels(labels);
    puts(".");
}

int cmd_metrics_man(struct app_args *args)
{
    if (args->argc > 1)
        return app_usage(args, "metrics man takes no argument");
    puts(".Ss With labels, or known when asked for");
    begin_list();
    for (unsigned f = 0; f < FAM_COUNT; f++)
        put_family((enum obs_family)f);
    end_list();
    puts(".Ss Counters without labels");
    begin_list();
    for (unsigned c = 0; c < MET_COUNT; c++) {
        printf(".It Li mailserverd_%s\n", obs_counter_name((enum obs_counter)c));
        put_text(obs_counter_help((enum obs_counter)c));
    }
    end_list();
    return EX_OK;
}

static void put_event(enum obs_event ev)
{
    const char *keys = obs_event_keys(ev);
    printf(".It Li %s Pq %s\n", obs_event_name(ev), obs_level_name(obs_event_level(ev)));
    put_text(obs_event_help(ev));
    if (*keys)
        printf(".br\nKeys: %s.\n", keys);
}

int cmd_log_man(struct app_args *args)
{
    if (args->argc > 1)
        return app_usage(args, "log man takes no argument");
    begin_list();
    for (unsigned ev = 0; ev < OBS_EVENT_COUNT; ev++)
        put_event((enum obs_event)ev);
    end_list();
    return EX_OK;
}
