/*
 * cmd_old.c - commands of the reference (semantics 2.1, 7): they do nothing and name what took their place.
 */
#include "app.h"

struct old_command {
    const char *object, *verb; /* verb: NULL = whatever follows */
    const char *now;
};

/* clang-format off */
static const struct old_command old_services[] = { /* of start, stop and restart */
    {"dispatcher", "start", "dispatcher start"},
    {"dispatcher", "stop", "dispatcher stop"},
    {"dispatcher", "restart", "dispatcher restart"},
    {"job_controller", "start", "channel start CHANNEL"},
    {"job_controller", "stop", "channel stop CHANNEL"},
    {"job_controller", "restart", "reload"},
};
static const struct old_command old_commands[] = {
    {"qm", "start", "channel start CHANNEL"},
    {"qm", "stop", "channel stop CHANNEL"},
    {"qm", "jobs", "jobs status"},
    {"qm", "directory", "queue list"},
    {"qm", "dir", "queue list"},
    {"qm", "messages", "queue list"},
    {"qm", "held", "queue list --held"},
    {"qm", "read", "queue show ID --body"},
    {"qm", "history", "trace ID"},
    {"qm", "summarize", "queue shape"},
    {"qm", "hold", "queue hold ID"},
    {"qm", "release", "queue release ID"},
    {"qm", "run", "queue run ID"},
    {"qm", "return", "queue return ID"},
    {"qm", "delete", "queue delete ID"},
    {"qm", "counters", "stats"},
    {"qm", NULL, "queue list"},
    {"cache", "-change", "reload"},
    {"cache", "-view", "queue list"},
    {"cache", NULL, "jobs status"},
    {"process", NULL, "jobs status"},
    {"run", NULL, "queue run --channel CHANNEL"},
    {"counters", NULL, "stats"},
    {"refresh", NULL, "reload"},
    {"cnbuild", NULL, "config check"},
    {"shutdown", NULL, "stop"},
};
/* clang-format on */

static const char *now_called(const struct old_command *rows, size_t count, const char *object,
                              const char *verb)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].object, object) == 0 &&
            (!rows[i].verb || (verb && strcmp(rows[i].verb, verb) == 0)))
            return rows[i].now;
    return NULL;
}

static int is_old(const char *object, const char *verb, const char *now)
{
    return app_fail(EX_USAGE,
                    "warning: \"%s%s%.32s\" is an old name and does nothing; the command is: mailserverd %s",
                    object, verb ? " " : "", verb ? verb : "", now);
}

int app_old_command(const char *object, const char *verb)
{
    const char *now = now_called(old_commands, MS_ARRAY_LEN(old_commands), object, verb);
    return now ? is_old(object, verb, now) : EX_OK;
}

int app_old_name(const char *verb, const char *service)
{
    char now[80];
    const char *known = service ? now_called(old_services, MS_ARRAY_LEN(old_services), service, verb) : NULL;
    if (known)
        snprintf(now, sizeof now, "%s", known);
    else if (!service && strcmp(verb, "start") == 0)
        snprintf(now, sizeof now, "serve");
    else
        snprintf(now, sizeof now, "dispatcher %s%s%.32s", verb, service ? " " : "", service ? service : "");
    return is_old(verb, service, now);
}

int cmd_old_start(struct app_args *args)
{
    return app_old_name("start", args->argc > 1 ? args->argv[1] : NULL);
}

int cmd_old_restart(struct app_args *args)
{
    return app_old_name("restart", args->argc > 1 ? args->argv[1] : NULL);
}
