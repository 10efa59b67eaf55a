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
