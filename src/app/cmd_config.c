/*
 * cmd_config.c - config check, show, schema, sample, man.
 */
#include "app.h"

int cmd_config_check(struct app_args *args)
{
    if (args->argc > 1)
        return app_usage(args, "this command takes no argument; another file is given with -c");
    struct conf *conf = app_conf_load(args->config);
    if (!conf)
        return EX_CONFIG;
    if (args->output == APP_HUMAN)
        printf("%s: no errors\n", conf_file(conf));
    conf_unref(&conf);
    return EX_OK;
}

int cmd_config_show(struct app_args *args)
{
    bool origin = args->argc > 1 && strcmp(args->argv[1], "--origin") == 0;
    if (args->argc > 1 + origin)
        return app_usage(args, "config show takes --origin only");
    struct conf *conf = app_conf_load(args->config);
    struct str text;
    if (!conf)
        return EX_CONFIG;
    str_init(&text, 0);
    conf_emit_show(conf, &text, origin);
    fputs(str_cstr(&text), stdout);
    str_fini(&text);
    conf_unref(&conf);
    return EX_OK;
}

typedef void emit_fn(const struct conf_table *const *tables, size_t table_count, struct str *out);

static int print_tables(struct app_args *args, emit_fn *emit)
{
    struct str text;
    if (args->argc > 1)
        return app_usage(args, "this command takes no argument");
    str_init(&text, 0);
    emit(app_tables, app_table_count, &text);
    fputs(str_cstr(&text), stdout);
    str_fini(&text);
    return EX_OK;
}

int cmd_config_sample(struct app_args *args)
{
    return print_tables(args, conf_emit_sample);
}

int cmd_config_man(struct app_args *args)
{
    return print_tables(args, conf_emit_man);
}

int cmd_config_schema(struct app_args *args)
{
    return print_tables(args, conf_emit_schema);
}
