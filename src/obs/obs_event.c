/*
 * obs_event.c - the tables made from obs_events.def, obs_counters.def and obs_families.def.
 */
#include "obs_priv.h"

struct event_row {
    const char *name;
    enum obs_level level;
    const char *keys;
    const char *help;
};

static const struct event_row event_rows[OBS_EVENT_COUNT] = {
#define X(id, nam, lev, key, hlp) [id] = {.name = nam, .level = lev, .keys = key, .help = hlp},
#include "ms/obs_events.def"
#undef X
};

struct counter_row {
    const char *name;
    const char *help;
};

static const struct counter_row counter_rows[MET_COUNT] = {
#define X(id, nam, hlp) [id] = {.name = nam, .help = hlp},
#include "ms/obs_counters.def"
#undef X
};

struct family_row {
    const char *name;
    enum obs_family_kind kind;
    const char *labels;
    const char *help;
};

static const struct family_row family_rows[FAM_COUNT] = {
#define X(id, nam, knd, lab, hlp) [id] = {.name = nam, .kind = OBS_##knd, .labels = lab, .help = hlp},
#include "ms/obs_families.def"
#undef X
};

static const char *const level_names[] = {
    [OBS_DEBUG] = "debug",     [OBS_INFO] = "info",   [OBS_NOTICE] = "notice",
    [OBS_WARNING] = "warning", [OBS_ERROR] = "error",
};

const char *obs_event_name(enum obs_event ev)
{
    MS_ASSERT((unsigned)ev < OBS_EVENT_COUNT);
    return event_rows[ev].name;
}

enum obs_level obs_event_level(enum obs_event ev)
{
    MS_ASSERT((unsigned)ev < OBS_EVENT_COUNT);
    return event_rows[ev].level;
}

const char *obs_event_keys(enum obs_event ev)
{
    MS_ASSERT((unsigned)ev < OBS_EVENT_COUNT);
    return event_rows[ev].keys;
}

const char *obs_event_help(enum obs_event ev)
{
    MS_ASSERT((unsigned)ev < OBS_EVENT_COUNT);
    return event_rows[ev].help;
}

const char *obs_family_name(enum obs_family f)
{
    MS_ASSERT((unsigned)f < FAM_COUNT);
    return family_rows[f].name;
}

enum obs_family_kind obs_family_kind(enum obs_family f)
{
    MS_ASSERT((unsigned)f < FAM_COUNT);
    return family_rows[f].kind;
}

const char *obs_family_labels(enum obs_family f)
{
    MS_ASSERT((unsigned)f < FAM_COUNT);
    return family_rows[f].labels;
}

const char *obs_family_help(enum obs_family f)
{
    MS_ASSERT((unsigned)f < FAM_COUNT);
    return family_rows[f].help;
}

const char *obs_counter_name(enum obs_counter c)
{
    MS_ASSERT((unsigned)c < MET_COUNT);
    return counter_rows[c].name;
}

const char *obs_counter_help(enum obs_counter c)
{
    MS_ASSERT((unsigned)c < MET_COUNT);
    return counter_rows[c].help;
}

const char *obs_level_name(enum obs_level level)
{
    return level_names[level];
}

bool obs_level_parse(struct slice s, enum obs_level *level_out)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(level_names); i++)
        if (slice_eq_cstr(s, level_names[i])) {
            *level_out = (enum obs_level)i;
            return true;
        }
    return false;
}
