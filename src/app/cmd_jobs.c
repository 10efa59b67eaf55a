/*
 * cmd_jobs.c - jobs status, channel list, stop and start, queue explain: the job controller of the running
 * server is asked.
 */
#include "app.h"

int cmd_jobs_status(struct app_args *args)
{
    if (args->argc > 1)
        return app_usage(args, "this command takes no argument");
    return app_ask_rows(args, (const char *const[]){"jobs-status"}, 1);
}

int cmd_channel_list(struct app_args *args)
{
    if (args->argc > 1)
        return app_usage(args, "this command takes no argument");
    return app_ask_rows(args, (const char *const[]){"jobs-status", "channels"}, 2);
}

static int ask_channel(const struct app_args *args, const char *word)
{
    if (args->argc != 2 || args->argv[1][0] == '-')
        return app_usage(args, "one channel is needed");
    return app_ask_rows(args, (const char *const[]){word, args->argv[1]}, 2);
}

int cmd_channel_stop(struct app_args *args)
{
    return ask_channel(args, "channel-stop");
}

int cmd_channel_start(struct app_args *args)
{
    return ask_channel(args, "channel-start");
}

int cmd_queue_explain(struct app_args *args)
{
    const char *words[CTL_WORDS_MAX] = {"queue-explain"};
    int rc = EX_OK;
    if (args->argc < 2 || args->argv[1][0] == '-')
        return app_usage(args, "which entries? Their ids are in `queue list`");
    for (int at = 1; at < args->argc;) {
        size_t count = 1;
        while (at < args->argc && count < CTL_WORDS_MAX)
            words[count++] = args->argv[at++];
        int one = app_ask_rows(args, words, count);
        rc = rc ? rc : one;
    }
    return rc;
}
