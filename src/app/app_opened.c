/*
 * app_opened.c - the partition for a command of its own, when no server has it.
 */
#include "app.h"

#include "ms/queue.h"
#include "ms/store.h"

void app_opened_close(struct app_opened *o)
{
    partition_close(&o->partition);
    conf_unref(&o->conf);
}

int app_opened_open(const struct app_args *args, struct app_opened *o)
{
    struct partition_conf pc;
    struct ms_errinfo why;
    *o = (struct app_opened){.conf = app_conf_load(args->config)};
    if (!o->conf)
        return EX_CONFIG;
    enum ms_err err = partition_open(app_partition_conf(o->conf, &pc), false, &o->partition, &why);
    if (err) {
        app_opened_close(o);
        return app_fail(app_exit_for_err(err), "%s", why.text);
    }
    store_register(o->partition);
    queue_register(o->partition);
    return EX_OK;
}

int app_opened_recover(struct app_opened *o, enum part_recover_mode mode)
{
    struct part_report report = {0};
    struct ms_errinfo why;
    str_init(&report.text, 0);
    enum ms_err err = partition_recover(o->partition, mode, &report, &why);
    fputs(str_cstr(&report.text), stderr);
    if (!err && mode == PART_REBUILD)
        printf("replayed=%llu damaged=%llu lost=%llu%s\n", (unsigned long long)report.replayed,
               (unsigned long long)report.damaged, (unsigned long long)report.lost,
               report.salvaged ? " salvaged" : "");
    str_fini(&report.text);
    return err ? app_fail(app_exit_for_err(err), "%s", why.text) : EX_OK;
}
