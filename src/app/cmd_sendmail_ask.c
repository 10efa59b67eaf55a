/*
 * cmd_sendmail_ask.c - what sendmail asks the running server: -bv (where would it go), -bp (what waits),
 * -q (try it now).
 */
#include "cmd_sendmail.h"

#include <getopt.h>

static struct app_args args_for(const struct app_args *args, const struct sendmail_opts *o, int argc,
                                char **argv)
{
    struct app_args out = *args;
    out.config = o->config ? o->config : args->config;
    out.argc = argc;
    out.argv = argv;
    optind = 0; /* other options are to be read now */
    opterr = 1;
    return out;
}

int sendmail_list(const struct app_args *args, const struct sendmail_opts *o)
{
    char name[] = "mailq", *argv[] = {name, NULL};
    struct app_args mailq = args_for(args, o, 1, argv);
    return cmd_mailq(&mailq);
}

/* Held entries wait for a word of their own. */
int sendmail_run(const struct app_args *args, const struct sendmail_opts *o)
{
    char name[] = "run", which[] = "--not-held", yes[] = "--yes", *argv[] = {name, which, yes, NULL};
    struct app_args run = args_for(args, o, 3, argv);
    return cmd_queue_run(&run);
}

/* The end of the answer, after what came before it was printed. */
static enum ctl_event take_answer(struct ctl_conn *conn, const char *address, struct ctl_answer *end)
{
    const struct slice *words;
    size_t count;
    enum ctl_event event;
    while ((event = ctl_conn_next(conn, &words, &count, end)) == CTL_WORDS)
        if (count >= 2)
            printf("%s... deliverable: channel " SLICE_FMT ", user " SLICE_FMT "\n", address,
                   SLICE_ARG(words[0]), SLICE_ARG(words[1]));
    return event;
}

static int verify_one(const struct conf *conf, const char *address)
{
    const struct slice words[] = {SLICE_LIT("resolve"), slice_cstr(address)};
    struct ctl_answer end = {0};
    struct ctl_conn *conn;
    if (ctl_conn_open(conf, &conn) != MS_OK)
        return app_fail(EX_TEMPFAIL,
                        "%s: cannot ask the server: it does not run, or its socket is for others", address);
    bool ok = ctl_conn_send(conn, words, MS_ARRAY_LEN(words)) == MS_OK &&
              take_answer(conn, address, &end) == CTL_END;
    ctl_conn_close(&conn);
    if (!ok)
        return app_fail(EX_TEMPFAIL, "%s: the server went away", address);
    if (end.exit_code)
        printf("%s... undeliverable: %s\n", address, end.text);
    return end.exit_code;
}

int sendmail_verify(const struct app_args *args, const struct sendmail_opts *o)
{
    struct conf *conf;
    struct ms_errinfo why;
    bool whole;
    int rc = EX_OK;
    if (o->rcpt_count == 0)
        return app_fail(EX_USAGE, "-bv takes the addresses to verify");
    if (conf_peek(app_tables, app_table_count, o->config ? o->config : args->config, &whole, &conf, &why) !=
        MS_OK)
        return app_fail(EX_TEMPFAIL, "%s", why.text);
    for (int i = 0; i < o->rcpt_count; i++) {
        struct arena a;
        struct slice address;
        int one = EX_DATAERR;
        arena_init(&a, 0);
        if (maildrop_address_parse(slice_cstr(o->rcpts[i]), &a, &address) == MS_OK && address.len > 0)
            one = verify_one(conf, arena_dup_cstr(&a, address));
        else
            (void)app_fail(one, "%s: not an address", o->rcpts[i]);
        rc = one ? one : rc;
        arena_fini(&a);
    }
    conf_unref(&conf);
    return rc;
}
