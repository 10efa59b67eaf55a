/*
 * cmd_ask.c - commands that only pass a word to the running server: stop.
 */
#include "app.h"

static int ask(struct app_args *args, const char *word)
{
    struct ctl_answer answer;
    if (args->argc > 1)
        return app_usage(args, "this command takes no argument");
    struct conf *conf = app_conf_of_server(args);
    if (!conf)
        return EX_CONFIG;
    enum ms_err err = ctl_ask(conf, &word, 1, stdout, &answer);
    int rc = err                ? app_no_server(conf, err)
             : answer.exit_code ? app_fail(answer.exit_code, "%s", answer.text)
                                : EX_OK;
    conf_unref(&conf);
    return rc;
}

int cmd_stop(struct app_args *args)
{
    if (args->argc == 2 && args->argv[1][0] != '-')
        return app_old_name("stop", args->argv[1]);
    return ask(args, "stop");
}
