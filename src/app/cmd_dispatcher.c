/*
 * cmd_dispatcher.c - the commands of the dispatcher: all of them ask the running server.
 */
#include "app.h"

#define FIELDS_MAX (CTL_WORDS_MAX / 2)

/* -- rows of the answer */
static int print_row(const struct app_args *args, const struct slice *words, size_t count)
{
    struct app_field fields[FIELDS_MAX];
    char *texts[CTL_WORDS_MAX];
    if (count % 2)
        return app_fail(EX_PROTOCOL, "the server's answer is not understood");
    for (size_t i = 0; i < count; i++)
        texts[i] = slice_dup_cstr(words[i]);
    for (size_t i = 0; i < count / 2; i++)
        fields[i] = (struct app_field){.name = texts[2 * i], .text = texts[2 * i + 1]};
    app_emit_fields(args, fields, count / 2, false);
    for (size_t i = 0; i < count; i++)
        ms_free(texts[i]);
    return EX_OK;
}

static int print_answer(const struct app_args *args, struct ctl_conn *conn)
{
    struct ctl_answer end = {0};
    const struct slice *words;
    size_t count;
    int rc = EX_OK;
    while (rc == EX_OK) {
        switch (ctl_conn_next(conn, &words, &count, &end)) {
        case CTL_WORDS:
            rc = print_row(args, words, count);
            break;
        case CTL_END:
            return end.exit_code ? app_fail(end.exit_code, "%s", end.text) : EX_OK;
        case CTL_BYTES:
        case CTL_BROKEN:
            return app_fail(EX_UNAVAILABLE, "the server went away");
        }
    }
    return rc;
}

static int ask(const struct app_args *args, const char *const *words, size_t count)
{
    struct slice slices[4];
    struct ctl_conn *conn = NULL;
    struct conf *conf = app_conf_load(args->config);
    if (!conf)
        return EX_CONFIG;
    for (size_t i = 0; i < count; i++)
        slices[i] = slice_cstr(words[i]);
    enum ms_err err = ctl_conn_open(conf, &conn);
    conf_unref(&conf);
    if (!err)
        err = ctl_conn_send(conn, slices, count);
    int rc = err == MS_ENOTFOUND ? app_fail(EX_UNAVAILABLE, "the server does not run")
             : err               ? app_fail(EX_UNAVAILABLE, "the server did not answer: %s", ms_err_text(err))
                                 : print_answer(args, conn);
    ctl_conn_close(&conn);
    return rc;
}

int cmd_dispatcher_status(struct app_args *args)
{
    if (args->argc > 1)
        return app_usage(args, "this command takes no argument");
    return ask(args, (const char *const[]){"dispatcher-status"}, 1);
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
    return ask(args, (const char *const[]){"dispatcher-kill", worker, when}, 3);
}

static int ask_service(const struct app_args *args, const char *word)
{
    if (args->argc > 2 || (args->argc == 2 && args->argv[1][0] == '-'))
        return app_usage(args, "at most one service");
    return ask(args, (const char *const[]){word, args->argc > 1 ? args->argv[1] : ""}, (size_t)args->argc);
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
