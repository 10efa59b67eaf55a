/*
 * server_stores.c - what stands before any thread: log, TLS, directory, partition (recovered here).
 */
#include "server_priv.h"

#include <unistd.h>

/* -- start, step by step; each returns a sysexits code and has said why */
int server_open_log(struct server *s)
{
    const struct log_conf *lc = conf_section(s->conf, "log");
    struct ms_errinfo why;
    if (lc->history_bytes && obs_history_open(lc->history, lc->history_bytes, &why) != MS_OK)
        return app_fail(EX_CANTCREAT, "%s", why.text);
    if (obs_start(STDERR_FILENO, (enum obs_level)lc->level, (enum obs_format)lc->format) != MS_OK)
        return app_fail(EX_OSERR, "cannot start the log");
    return EX_OK;
}

int server_open_stores(struct server *s)
{
    struct ms_errinfo why;
    enum ms_err err;
    server_tls_tell(s->tls);
    err = account_open(conf_section(s->conf, "directory"), s->sc->default_domain, true, &s->account, &why);
    if (err)
        return app_fail(app_exit_for_err(err), "%s", why.text);
    app_partition_conf(s->conf, &s->partition_conf);
    err = partition_open(&s->partition_conf, true, &s->partition, &why);
    if (err)
        return app_fail(app_exit_for_err(err), "%s", why.text);
    store_register(s->partition);
    queue_register(s->partition);
    return EX_OK;
}

int server_recover_partition(struct server *s)
{
    struct part_report report = {0};
    struct ms_errinfo why;
    str_init(&report.text, 0);
    server_notify_replay_begin(s);
    enum ms_err err = partition_recover(s->partition, PART_RECOVER_NORMAL, &report, &why);
    server_notify_replay_end(s);
    if (report.text.len)
        fputs(str_cstr(&report.text), stderr);
    str_fini(&report.text);
    if (!err)
        obs_set_epoch(partition_epoch(s->partition));
    return err ? app_fail(app_exit_for_err(err), "partition %s: %s", s->partition_conf.name, why.text)
               : EX_OK;
}
