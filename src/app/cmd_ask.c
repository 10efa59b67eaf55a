/*
 * cmd_ask.c - commands that only pass a word to the running server: stop.
 */
#include "app.h"

static int ask(struct app_args *args, const char *word)
{
    struct ctl_answer answer;
    if (args->argc > 1)
        return app_usage(args, "this command takes no argument");
    struct conf *conf = app_conf_load(args->config);
    if (!conf)
        return EX_CONFIG;
    enum ms_err err = ctl_ask(conf, &word, 1, stdout, &answer);
    conf_unref(&conf);
    if (err == MS_ENOTFOUND)
        return app_fail(EX_UNAVAILABLE, "the server does not run");
    if (err)
        return app_fail(EX_UNAVAILABLE, "the server did not answer: %s", ms_err_text(err));
    return answer.exit_code ? app_fail(answer.exit_code, "%s", answer.text) : EX_OK;
}

int cmd_stop(struct app_args *args)
{
    if (args->argc == 2 && args->argv[1][0] != '-')
        return app_old_name("stop", args->argv[1]);
    return ask(args, "stop");
}
