/*
 * cmd_sendmail_smtp.c - sendmail -bs: SMTP on standard input and output (RFC 5321), for programs that
 * would rather speak it. Every message becomes a file of the maildrop; there is no network and no look-
 * up, so every well-formed recipient is taken.
 */
#include "cmd_sendmail.h"

#include <errno.h>
#include <unistd.h>

#define INPUT_BYTES ((size_t)64 << 10)
#define RUNS_MAX    64
#define PARAMS      (SMTP_PARAM_SIZE | SMTP_PARAM_BODY | SMTP_PARAM_SMTPUTF8 | SMTP_PARAM_DSN)

#define REPLY(code, enh, text) ((struct smtp_reply){(code), (enh), (text)})

struct session {
    struct sendmail *s;
    struct str in, out;
    struct smtp_line lines;
    bool greeted, extended, in_mail, in_data, ended;
    bool failed; /* the data: answered at its end */
    struct arena arena;
    struct maildrop_mail mail;
    struct maildrop_rcpts rcpts;
    struct maildrop_out *file;
    struct smtp_data data;
    struct ms_errinfo why;
    int exit_code;
};

static void reply(struct session *c, struct smtp_reply r)
{
    smtp_reply_emit(&c->out, r);
}

static void tx_reset(struct session *c)
{
    maildrop_out_abort(&c->file);
    maildrop_rcpts_fini(&c->rcpts);
    arena_reset(&c->arena);
    c->mail = (struct maildrop_mail){0};
    c->in_mail = c->in_data = c->failed = false;
}

/* -- commands */

static struct smtp_reply run_helo(struct session *c, const struct smtp_cmd *cmd)
{
    tx_reset(c);
    c->greeted = true;
    c->extended = false;
    return (struct smtp_reply){250, NULL, c->s->hostname};
}

static struct smtp_reply run_ehlo(struct session *c, const struct smtp_cmd *cmd)
{
    (void)run_helo(c, cmd);
    c->extended = true;
    return (struct smtp_reply){
        250, NULL,
        arena_printf(&c->arena, "%s\nPIPELINING\nSIZE %llu\n8BITMIME\nSMTPUTF8\nDSN\nENHANCEDSTATUSCODES",
                     c->s->hostname, (unsigned long long)c->s->size_max)};
}

static struct smtp_reply run_mail(struct session *c, const struct smtp_cmd *cmd)
{
    if (!c->greeted)
        return REPLY(503, "5.5.1", "Say HELO first");
    if (c->in_mail)
        return REPLY(503, "5.5.1", "There is a sender already");
    if (c->s->size_max && cmd->mail.size > c->s->size_max) /* RFC 1870 6.1 */
        return REPLY(552, "5.3.4", "Message larger than allowed");
    c->mail = sendmail_mail(c->s);
    c->mail.sender = cmd->mail.from.address;
    c->mail.body_type = (uint8_t)cmd->mail.body;
    c->mail.smtputf8 = cmd->mail.params & SMTP_PARAM_SMTPUTF8;
    c->mail.ret = (uint8_t)cmd->mail.ret;
    c->mail.envid = cmd->mail.envid;
    c->in_mail = true;
    return REPLY(250, "2.1.0", "Sender OK");
}

static struct smtp_reply run_rcpt(struct session *c, const struct smtp_cmd *cmd)
{
    struct maildrop_rcpts *list = &c->rcpts;
    if (!c->in_mail)
        return REPLY(503, "5.5.1", "MAIL first");
    if (list->count == MAILDROP_RCPTS_MAX)
        return REPLY(452, "4.5.3", "Too many recipients");
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 8;
        list->items = ms_realloc_array(list->items, list->cap, sizeof *list->items);
    }
    struct slice orcpt = slice_make(NULL, 0);
    if (cmd->rcpt.orcpt_type.len > 0)
        orcpt = slice_cstr(arena_printf(&c->arena, SLICE_FMT ";" SLICE_FMT, SLICE_ARG(cmd->rcpt.orcpt_type),
                                        SLICE_ARG(cmd->rcpt.orcpt)));
    list->items[list->count++] = (struct maildrop_rcpt){
        .address = cmd->rcpt.to.address, .orcpt = orcpt, .notify = (uint8_t)cmd->rcpt.notify};
    return REPLY(250, "2.1.5", "Recipient OK");
}

static struct smtp_reply run_data(struct session *c, const struct smtp_cmd *cmd)
{
    if (!c->in_mail)
        return REPLY(503, "5.5.1", "MAIL first");
    if (c->rcpts.count == 0)
        return REPLY(554, "5.5.1", "No valid recipients"); /* RFC 5321 3.3 */
    c->mail.rcpts = c->rcpts.items;
    c->mail.rcpt_count = c->rcpts.count;
    if (maildrop_out_open(c->s->folder, &c->mail, &c->file, &c->why) != MS_OK)
        return REPLY(451, "4.3.0", "Cannot write into the maildrop");
    smtp_data_init(&c->data, 0);
    c->in_data = true;
    return smtp_reply_for_err(MS_OK, SMTP_AT_DATA);
}

static struct smtp_reply run_rset(struct session *c, const struct smtp_cmd *cmd)
{
    tx_reset(c);
    return REPLY(250, "2.0.0", "OK");
}

static struct smtp_reply run_noop(struct session *c, const struct smtp_cmd *cmd)
{
    return REPLY(250, "2.0.0", "OK");
}

static struct smtp_reply run_vrfy(struct session *c, const struct smtp_cmd *cmd)
{
    return REPLY(252, "2.0.0", "Send it, and see");
}

static struct smtp_reply run_help(struct session *c, const struct smtp_cmd *cmd)
{
    return REPLY(214, "2.0.0", "HELO EHLO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT");
}

static struct smtp_reply run_quit(struct session *c, const struct smtp_cmd *cmd)
{
    tx_reset(c);
    c->ended = true;
    return REPLY(221, "2.0.0", "Bye");
}

static const struct command {
    enum smtp_verb verb;
    struct smtp_reply (*run)(struct session *c, const struct smtp_cmd *cmd);
} commands[] = {
    {SMTP_VERB_HELO, run_helo}, {SMTP_VERB_EHLO, run_ehlo}, {SMTP_VERB_MAIL, run_mail},
    {SMTP_VERB_RCPT, run_rcpt}, {SMTP_VERB_DATA, run_data}, {SMTP_VERB_RSET, run_rset},
    {SMTP_VERB_NOOP, run_noop}, {SMTP_VERB_VRFY, run_vrfy}, {SMTP_VERB_HELP, run_help},
    {SMTP_VERB_QUIT, run_quit},
};

static struct smtp_reply run_line(struct session *c, struct slice line)
{
    struct slice args;
    struct smtp_cmd cmd = {0};
    const struct smtp_parse_opts opts = {
        .arena = &c->arena, .params = c->extended ? PARAMS : 0, .utf8 = c->mail.smtputf8};
    enum smtp_verb verb = smtp_verb_parse(line, &args);
    for (size_t i = 0; i < MS_ARRAY_LEN(commands); i++) {
        if (commands[i].verb != verb)
            continue;
        if (smtp_parser_get(verb)(args, &opts, &cmd) != MS_OK)
            return smtp_reply_for_fault(cmd.fault);
        return commands[i].run(c, &cmd);
    }
    return smtp_reply_for_fault(SMTP_FAULT_VERB);
}

/* -- data */

static struct smtp_reply data_end(struct session *c)
{
    struct smtp_reply r =
        smtp_reply_for_data_flags(c->data.flags & (SMTP_DATA_BARE_CR | SMTP_DATA_BARE_LF | SMTP_DATA_NUL));
    if (r.code)
        return r;
    if (c->s->size_max && c->data.bytes > c->s->size_max)
        return REPLY(552, "5.3.4", "Message larger than allowed");
    if (c->failed || maildrop_out_commit(&c->file, NULL, &c->why) != MS_OK)
        return REPLY(451, "4.3.0", "Cannot write into the maildrop");
    return REPLY(250, "2.0.0", "Accepted");
}

static size_t data_input(struct session *c, struct slice in)
{
    struct slice runs[RUNS_MAX];
    size_t count, used = smtp_data_feed(&c->data, in, runs, RUNS_MAX, &count);
    for (size_t i = 0; i < count && !c->failed; i++)
        c->failed = maildrop_out_add(c->file, runs[i], &c->why) != MS_OK;
    if (c->data.end) {
        struct smtp_reply r = data_end(c);
        if (r.code == 451)
            fprintf(stderr, "sendmail: %s\n", c->why.text);
        reply(c, r);
        tx_reset(c);
    }
    return used;
}

/* One command or a piece of data; 0: more input is needed. */
static size_t input(struct session *c, struct slice in)
{
    struct slice line;
    size_t used;
    if (in.len == 0)
        return 0;
    if (c->in_data)
        return data_input(c, in);
    enum ms_err err = smtp_line_find(&c->lines, in, &line, &used);
    if (err == MS_ELIMIT)
        reply(c, smtp_reply_for_fault(SMTP_FAULT_LINE_LONG));
    else if (err == MS_ESYNTAX)
        reply(c, smtp_reply_for_fault(SMTP_FAULT_LINE_END));
    else if (!err)
        reply(c, run_line(c, line));
    return used;
}

static bool flush(struct session *c)
{
    size_t at = 0;
    while (at < c->out.len) {
        ssize_t n = write(STDOUT_FILENO, c->out.ptr + at, c->out.len - at);
        if (n < 0 && errno != EINTR)
            return false;
        at += n > 0 ? (size_t)n : 0;
    }
    str_reset(&c->out);
    return true;
}

static void serve(struct session *c)
{
    reply(c, (struct smtp_reply){220, NULL, arena_printf(&c->s->arena, "%s ESMTP", c->s->hostname)});
    while (flush(c) && !c->ended) {
        uint8_t *room = str_reserve(&c->in, INPUT_BYTES);
        ssize_t n = read(STDIN_FILENO, room, INPUT_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) { /* without QUIT: a message that was begun is none */
            c->exit_code = n < 0 ? EX_IOERR : EX_OK;
            return;
        }
        str_advance(&c->in, (size_t)n);
        size_t used, at = 0;
        while (!c->ended && (used = input(c, slice_sub(str_slice(&c->in), at, c->in.len))) > 0)
            at += used;
        memmove(c->in.ptr, c->in.ptr + at, c->in.len - at);
        str_cut(&c->in, c->in.len - at);
    }
}

int sendmail_smtp(struct sendmail *s)
{
    struct session c = {.s = s};
    str_init(&c.in, 0);
    str_init(&c.out, 0);
    arena_init(&c.arena, 0);
    smtp_line_init(&c.lines, SMTP_LINE_EXT_MAX);
    serve(&c);
    tx_reset(&c);
    arena_fini(&c.arena);
    str_fini(&c.in);
    str_fini(&c.out);
    return c.exit_code;
}
