/*
 * cmd_sendmail.h - what the files of the command sendmail share.
 */
#ifndef CMD_SENDMAIL_H
#define CMD_SENDMAIL_H

#include "app.h"

#include "ms/maildrop.h"

enum sendmail_mode {
    SENDMAIL_DELIVER,    /* -bm */
    SENDMAIL_SMTP,       /* -bs */
    SENDMAIL_LIST,       /* -bp */
    SENDMAIL_VERIFY,     /* -bv */
    SENDMAIL_NEWALIASES, /* -bi, -I */
    SENDMAIL_RUN,        /* -q */
};
struct sendmail_opts {
    enum sendmail_mode mode;
    const char *config; /* -C; NULL: not given */
    const char *sender; /* -f, -r; NULL: not given */
    const char *full_name;
    const char *envid;
    unsigned notify; /* enum smtp_notify */
    enum smtp_ret ret;
    enum smtp_body body;
    bool smtputf8, recipients_from_header, dots_are_text, verbose;
    char **rcpts;
    int rcpt_count;
};
/* EX_OK, or EX_USAGE with the reason in why. argv is reordered. */
int sendmail_opts_parse(int argc, char **argv, struct sendmail_opts *out, struct ms_errinfo *why);

/* What the messages of one run have in common. */
struct sendmail {
    const struct sendmail_opts *opts;
    struct arena arena;
    char folder[4096];
    char hostname[256];
    uint64_t size_max;
    struct slice login, full_name;
};
int sendmail_smtp(struct sendmail *s); /* -bs */
int sendmail_list(const struct app_args *args, const struct sendmail_opts *o);
int sendmail_run(const struct app_args *args, const struct sendmail_opts *o);
int sendmail_verify(const struct app_args *args, const struct sendmail_opts *o);
/* Head of a message from this user, without sender and recipients. */
struct maildrop_mail sendmail_mail(const struct sendmail *s);
int sendmail_exit_for(enum ms_err err);

#endif
