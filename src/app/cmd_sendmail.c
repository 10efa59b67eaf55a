/*
 * cmd_sendmail.c - sendmail: a message from standard input becomes a file of the maildrop (maildrop.h),
 * whether the server runs or not.
 *
 * Only the folder and the greatest size are taken from the configuration. Who may not read it uses the
 * folder of an installed system. What is unknown here (the domain of bare names, who exists) the server
 * finds out.
 */
#include "cmd_sendmail.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "ms/base/clock.h"
#include "ms/base/codec.h"
#include "ms/smtpd.h"

#define INPUT_BYTES ((size_t)64 << 10)

int sendmail_exit_for(enum ms_err err)
{
    return err == MS_ESYNTAX || err == MS_ELIMIT || err == MS_EINVAL ? EX_DATAERR : EX_TEMPFAIL;
}

/* -- who and where */

static void find_user(struct sendmail *s)
{
    const struct passwd *pw = getpwuid(geteuid());
    const char *name = s->opts->full_name ? s->opts->full_name : getenv("NAME");
    s->login = slice_cstr(pw && pw->pw_name[0] ? arena_printf(&s->arena, "%s", pw->pw_name)
                                               : arena_printf(&s->arena, "uid%lu", (unsigned long)geteuid()));
    struct slice full = slice_cstr(name ? name : (pw && pw->pw_gecos ? pw->pw_gecos : ""));
    if (!name) { /* the first part of the field; "&" stands for the login there and is left to people to read */
        ssize_t comma = slice_find_byte(full, ',');
        full = comma < 0 ? full : slice_sub(full, 0, (size_t)comma);
    }
    full = slice_sub(slice_trim(full), 0, MAILDROP_NAME_MAX);
    while (full.len > 0 && !utf8_is_valid(full)) /* a character that was cut, or another charset */
        full.len--;
    uint8_t *clean = arena_alloc(&s->arena, full.len + 1);
    for (size_t i = 0; i < full.len; i++)
        clean[i] = full.ptr[i] < 0x20 || full.ptr[i] == 0x7f ? ' ' : full.ptr[i];
    s->full_name = slice_make(clean, full.len);
    s->login = slice_sub(s->login, 0, MAILDROP_NAME_MAX);
}

/* A file that was named must be there; one that may not be read is no error: most users may not. */
static int find_folder(struct sendmail *s, const struct app_args *args)
{
    const char *file = s->opts->config ? s->opts->config : args->config;
    bool is_given = s->opts->config || args->config_is_given, whole;
    struct conf *conf;
    struct ms_errinfo why;
    snprintf(s->folder, sizeof s->folder, "%s", MAILDROP_FOLDER);
    if (gethostname(s->hostname, sizeof s->hostname - 1) != 0)
        snprintf(s->hostname, sizeof s->hostname, "localhost");
    enum ms_err err = conf_peek(app_tables, app_table_count, file, &whole, &conf, &why);
    if (err)
        return is_given && err != MS_EDENIED ? app_fail(EX_CONFIG, "%s", why.text) : EX_OK;
    const struct server_conf *sc = conf_section(conf, "server");
    const struct smtpd_conf *smtp = conf_section(conf, "smtp");
    int rc = EX_OK;
    if (!whole && !conf_is_set(sc, "maildrop", NULL))
        rc = app_fail(EX_TEMPFAIL, "%s: cannot be read to its end and names no server.maildrop before", file);
    snprintf(s->folder, sizeof s->folder, "%s", sc->maildrop);
    if (sc->hostname)
        snprintf(s->hostname, sizeof s->hostname, "%s", sc->hostname);
    s->size_max = smtp->message_size_max;
    conf_unref(&conf);
    return rc;
}

struct maildrop_mail sendmail_mail(const struct sendmail *s)
{
    return (struct maildrop_mail){.time_us = clock_wall_us(),
                                  .uid = geteuid(),
                                  .login = s->login,
                                  .full_name = s->full_name,
                                  .envid = slice_cstr(s->opts->envid ? s->opts->envid : ""),
                                  .ret = (uint8_t)s->opts->ret,
                                  .body_type = (uint8_t)s->opts->body,
                                  .smtputf8 = s->opts->smtputf8};
}

/* -- one message */

struct submit {
    struct sendmail *s;
    struct maildrop_mail mail;
    struct maildrop_rcpts rcpts;
    struct maildrop_text text;
    struct maildrop_out *out;
    struct str lines, header; /* header: -t, until all of it was seen */
    uint64_t bytes;
    bool at_end;
};

static int fail_err(enum ms_err err, const struct ms_errinfo *why)
{
    return app_fail(sendmail_exit_for(err), "%s", why->text);
}

static int take_arguments(struct submit *u)
{
    const struct sendmail_opts *o = u->s->opts;
    struct slice bad;
    for (int i = 0; i < o->rcpt_count; i++) {
        enum ms_err err = maildrop_recipients_parse(slice_cstr(o->rcpts[i]), &u->s->arena, &u->rcpts, &bad);
        if (err)
            return app_fail(EX_DATAERR, "%s: %s", o->rcpts[i],
                            err == MS_ELIMIT ? "too many recipients" : "not an address");
    }
    if (u->rcpts.count == 0 && !o->recipients_from_header)
        return app_fail(EX_USAGE, "no recipient: name one, or use -t");
    if (!o->sender)
        u->mail.sender = u->s->login;
    else if (maildrop_address_parse(slice_cstr(o->sender), &u->s->arena, &u->mail.sender) != MS_OK)
        return app_fail(EX_DATAERR, "%s: not an address", o->sender);
    return EX_OK;
}

static bool is_ascii(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] > 0x7f)
            return false;
    return true;
}

static int open_out(struct submit *u)
{
    struct ms_errinfo why;
    u->mail.rcpts = u->rcpts.items;
    u->mail.rcpt_count = u->rcpts.count;
    u->mail.smtputf8 |= !is_ascii(u->mail.sender);
    for (size_t i = 0; i < u->rcpts.count; i++) {
        u->rcpts.items[i].notify = (uint8_t)u->s->opts->notify;
        u->mail.smtputf8 |= !is_ascii(u->rcpts.items[i].address);
    }
    enum ms_err err = maildrop_out_open(u->s->folder, &u->mail, &u->out, &why);
    return err ? fail_err(err, &why) : EX_OK;
}

static int put(struct submit *u, struct slice bytes)
{
    struct ms_errinfo why;
    u->bytes += bytes.len;
    if (u->s->size_max && u->bytes > u->s->size_max)
        return app_fail(EX_UNAVAILABLE, "the message is larger than %llu bytes",
                        (unsigned long long)u->s->size_max);
    enum ms_err err = maildrop_out_add(u->out, bytes, &why);
    return err ? fail_err(err, &why) : EX_OK;
}

/* -t: the file can be begun when the whole header is there. */
static int take_header(struct submit *u)
{
    size_t bytes;
    struct slice bad = slice_cstr("");
    struct str kept;
    struct slice all = str_slice(&u->header);
    if (maildrop_header_end(all, u->at_end, &bytes) != MS_OK)
        return u->header.len <= MAILDROP_HEADER_MAX ? EX_OK : app_fail(EX_DATAERR, "the header is too long");
    str_init(&kept, 0);
    enum ms_err err =
        maildrop_header_recipients(slice_sub(all, 0, bytes), &u->s->arena, &u->rcpts, &kept, &bad);
    int rc = EX_OK;
    if (err)
        rc = app_fail(EX_DATAERR, SLICE_FMT "%s", SLICE_ARG(bad),
                      err == MS_ELIMIT ? "too many recipients" : ": not an address");
    else if (u->rcpts.count == 0)
        rc = app_fail(EX_DATAERR, "no recipient in the header");
    if (!rc)
        rc = open_out(u);
    if (!rc)
        rc = put(u, str_slice(&kept));
    if (!rc)
        rc = put(u, slice_sub(all, bytes, all.len));
    str_fini(&kept);
    return rc;
}

static int take_lines(struct submit *u)
{
    int rc;
    if (u->out) {
        rc = put(u, str_slice(&u->lines));
    } else {
        str_add_slice(&u->header, str_slice(&u->lines));
        rc = take_header(u);
    }
    str_reset(&u->lines);
    if (!rc && u->text.has_nul)
        rc = app_fail(EX_DATAERR, "the message holds a NUL; -B BINARYMIME takes such bodies");
    return rc;
}

static int read_all(struct submit *u)
{
    uint8_t *buffer = ms_alloc(INPUT_BYTES);
    int rc = EX_OK;
    while (!rc && !u->at_end) {
        ssize_t n = read(STDIN_FILENO, buffer, INPUT_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            rc = app_fail(EX_IOERR, "cannot read the message: %s", strerror(errno));
            break;
        }
        if (n > 0)
            maildrop_text_feed(&u->text, slice_make(buffer, (size_t)n), &u->lines);
        else
            maildrop_text_end(&u->text, &u->lines);
        u->at_end = n == 0 || u->text.ended;
        rc = take_lines(u);
    }
    ms_free(buffer);
    return rc;
}

static int submit(struct submit *u)
{
    char name[MAILDROP_FILE_NAME_BYTES + 1];
    struct ms_errinfo why;
    int rc = take_arguments(u);
    if (!rc && !u->s->opts->recipients_from_header)
        rc = open_out(u);
    if (!rc)
        rc = read_all(u);
    if (rc)
        return rc;
    enum ms_err err = maildrop_out_commit(&u->out, name, &why);
    if (err)
        return fail_err(err, &why);
    if (u->s->opts->verbose)
        fprintf(stderr, "%s/%s: %zu recipients, %llu bytes\n", u->s->folder, name, u->rcpts.count,
                (unsigned long long)u->bytes);
    return EX_OK;
}

static int deliver(struct sendmail *s)
{
    struct submit u = {.s = s, .mail = sendmail_mail(s)};
    u.text = (struct maildrop_text){.dots_are_text = s->opts->dots_are_text,
                                    .binary = s->opts->body == SMTP_BODY_BINARYMIME};
    str_init(&u.lines, 0);
    str_init(&u.header, 0);
    int rc = submit(&u);
    maildrop_out_abort(&u.out);
    str_fini(&u.lines);
    str_fini(&u.header);
    maildrop_rcpts_fini(&u.rcpts);
    return rc;
}

/* -- the command */

static void on_signal(int signo)
{
    maildrop_out_on_signal();
    raise(signo); /* its default action: the handler is gone */
}

/* Who is interrupted leaves no half of a message behind. A signal that was ignored stays so (nohup). */
static void catch_signals(void)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT};
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}, old;
    for (size_t i = 0; i < MS_ARRAY_LEN(signals); i++)
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &act, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error of write, not the end */
}

int cmd_newaliases(struct app_args *args)
{
    puts("aliases live in the directory (mailserverd alias); they need no rebuilding");
    return EX_OK;
}

static int run_mode(struct sendmail *s, struct app_args *args)
{
    int rc = find_folder(s, args);
    if (rc)
        return rc;
    find_user(s);
    catch_signals();
    return s->opts->mode == SENDMAIL_SMTP ? sendmail_smtp(s) : deliver(s);
}

int cmd_sendmail(struct app_args *args)
{
    struct sendmail_opts opts;
    struct ms_errinfo why;
    struct sendmail *s;
    int rc = sendmail_opts_parse(args->argc, args->argv, &opts, &why);
    if (rc)
        return app_fail(rc, "%s (see sendmail(1))", why.text);
    switch (opts.mode) {
    case SENDMAIL_NEWALIASES:
        return cmd_newaliases(args);
    case SENDMAIL_LIST:
        return sendmail_list(args, &opts);
    case SENDMAIL_VERIFY:
        return sendmail_verify(args, &opts);
    case SENDMAIL_RUN:
        return sendmail_run(args, &opts);
    case SENDMAIL_DELIVER:
    case SENDMAIL_SMTP:
        break;
    }
    s = ms_new(struct sendmail);
    s->opts = &opts;
    arena_init(&s->arena, 0);
    rc = run_mode(s, args);
    arena_fini(&s->arena);
    ms_free(s);
    return rc;
}
