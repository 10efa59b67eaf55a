/*
 * cmd_reload.c - reload, config diff: the running server reads its files again, and says what is wrong with them.
 */
#include "app.h"

static int ask(struct app_args *args, const char *word, struct ctl_answer *answer)
{
    if (args->argc > 1)
        return app_usage(args, "this command takes no argument");
    struct conf *conf = app_conf_of_server(args);
    if (!conf)
        return EX_CONFIG;
    enum ms_err err = ctl_ask(conf, &word, 1, stdout, answer);
    int rc = err                 ? app_no_server(conf, err)
             : answer->exit_code ? app_fail(answer->exit_code, "%s", answer->text)
                                 : EX_OK;
    conf_unref(&conf);
    return rc;
}

int cmd_reload(struct app_args *args)
{
    struct ctl_answer answer;
    int rc = ask(args, "reload", &answer);
    if (!rc && args->output == APP_HUMAN)
        printf("%s\n", answer.text);
    return rc;
}

int cmd_config_diff(struct app_args *args)
{
    struct ctl_answer answer;
    return ask(args, "config-diff", &answer);
}
