/*
 * cmd_reload.c - reload, config diff: the running server reads its files again.
 *
 * The files may be wrong, which is for the server to say: here they are only looked through for the place of its
 * socket.
 */
#include "app.h"

static int ask(struct app_args *args, const char *word, struct ctl_answer *answer)
{
    struct ms_errinfo why;
    struct conf *conf;
    bool whole;
    if (args->argc > 1)
        return app_usage(args, "this command takes no argument");
    if (conf_peek(app_tables, app_table_count, args->config, &whole, &conf, &why) != MS_OK)
        return app_fail(EX_CONFIG, "%s", why.text);
    enum ms_err err = ctl_ask(conf, &word, 1, stdout, answer);
    conf_unref(&conf);
    if (err == MS_ENOTFOUND)
        return app_fail(EX_UNAVAILABLE, "the server does not run");
    if (err)
        return app_fail(EX_UNAVAILABLE, "the server did not answer: %s", ms_err_text(err));
    return answer->exit_code ? app_fail(answer->exit_code, "%s", answer->text) : EX_OK;
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
