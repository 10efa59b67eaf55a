/*
 * cmd_dispatcher.c - the commands of the dispatcher: all of them ask the running server.
 */
#include "app.h"

int cmd_dispatcher_status(struct app_args *args)
{
    if (args->argc > 1)
        return app_usage(args, "this command takes no argument");
    return app_ask_rows(args, (const char *const[]){"dispatcher-status"}, 1);
}

int cmd_dispatcher_kill_worker(struct app_args *args)
{
    const char *worker = NULL, *when = "later";
    for (int i = 1; i < args->argc; i++) {
        uint64_t number;
        if (strcmp(args->argv[i], "--now") == 0)
            when = "now";
        else if (worker || slice_to_u64(slice_cstr(args->argv[i]), UINT64_MAX, &number) != MS_OK)
            return app_usage(args, "one worker's number is needed");
        else
            worker = args->argv[i];
    }
    if (!worker)
        return app_usage(args, "which worker? Its number is in `dispatcher status`");
    return app_ask_rows(args, (const char *const[]){"dispatcher-kill", worker, when}, 3);
}

static int ask_service(const struct app_args *args, const char *word)
{
    if (args->argc > 2 || (args->argc == 2 && args->argv[1][0] == '-'))
        return app_usage(args, "at most one service");
    return app_ask_rows(args, (const char *const[]){word, args->argc > 1 ? args->argv[1] : ""}, (size_t)args->argc);
}

int cmd_dispatcher_stop(struct app_args *args)
{
    return ask_service(args, "dispatcher-stop");
}

int cmd_dispatcher_start(struct app_args *args)
{
    return ask_service(args, "dispatcher-start");
}

int cmd_dispatcher_restart(struct app_args *args)
{
    return ask_service(args, "dispatcher-restart");
}

/* semantics 2.1: the names of old only warn. */
int app_old_name(const char *verb, const char *service)
{
    char now[80];
    if (!service && strcmp(verb, "start") == 0)
        snprintf(now, sizeof now, "serve");
    else
        snprintf(now, sizeof now, "dispatcher %s%s%.32s", verb, service ? " " : "", service ? service : "");
    return app_fail(EX_USAGE,
                    "warning: \"%s%s%.32s\" is an old name and does nothing; the command is: mailserverd %s",
                    verb, service ? " " : "", service ? service : "", now);
}

int cmd_old_start(struct app_args *args)
{
    return app_old_name("start", args->argc > 1 ? args->argv[1] : NULL);
}

int cmd_old_restart(struct app_args *args)
{
    return app_old_name("restart", args->argc > 1 ? args->argv[1] : NULL);
}
