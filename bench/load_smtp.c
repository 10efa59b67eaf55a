/*
 * load_smtp.c - SMTP submission and LMTP (RFC 5321, RFC 2033) from the client's side.
 *
 *   GREET -> HELLO -> [AUTH ->] ready;  MAIL -> RCPT.. -> DATA -> BODY -> ready, with RSET when something was
 * refused
 *
 * Pipelined, MAIL, all RCPT and DATA are sent at once and the states only follow the replies (RFC 2920 3.1:
 * DATA is the last of a group; the bytes wait for 354).
 */
#include <string.h>

#include "load.h"

enum { ST_GREET, ST_HELLO, ST_AUTH, ST_READY, ST_MAIL, ST_RCPT, ST_DATA, ST_BODY, ST_RSET, ST_QUIT };

static const char *const state_names[] = {"greeting", "HELO", "AUTH",    "(no command)", "MAIL",
                                          "RCPT",     "DATA", "message", "RSET",         "QUIT"};

static void smtp_reset(struct load_conn *c)
{
    c->smtp = (struct load_smtp_session){.state = ST_GREET};
}

static void send_text(struct load_conn *c, int state, const char *command)
{
    c->text.len = 0;
    load_text_addf(&c->text, "%s\r\n", command);
    c->smtp.state = state;
    load_conn_send(c, false);
}

/* RFC 4616: authorization identity, NUL, authentication identity, NUL, password. */
static void send_auth(struct load_conn *c)
{
    const struct load_opts *o = &c->load->opts;
    struct load_text plain = {0};

    load_text_add(&plain, "", 1);
    load_text_format(&plain, o->user, c->number % o->users + 1);
    load_text_add(&plain, "", 1);
    load_text_add(&plain, o->password, strlen(o->password));
    c->text.len = 0;
    load_text_addf(&c->text, "AUTH PLAIN ");
    load_text_base64(&c->text, plain.p, plain.len);
    load_text_addf(&c->text, "\r\n");
    load_text_free(&plain);
    c->smtp.state = ST_AUTH;
    load_conn_send(c, false);
}

static void add_rcpt(struct load_conn *c)
{
    const struct load_opts *o = &c->load->opts;

    load_text_addf(&c->text, "RCPT TO:<");
    load_text_format(&c->text, o->rcpt_format, (c->operation * o->rcpts + c->smtp.rcpt_sent) % o->users + 1);
    load_text_addf(&c->text, ">\r\n");
    c->smtp.rcpt_sent++;
}

static void smtp_begin(struct load_conn *c)
{
    const struct load_opts *o = &c->load->opts;
    struct load_smtp_session *s = &c->smtp;

    s->failed = false;
    s->rcpt_sent = s->rcpt_seen = s->rcpt_ok = 0;
    s->state = ST_MAIL;
    c->text.len = 0;
    load_text_addf(&c->text, "MAIL FROM:<");
    load_text_format(&c->text, o->from, c->number % o->users + 1);
    load_text_addf(&c->text, ">\r\n");
    if (o->pipeline) {
        while (s->rcpt_sent < o->rcpts)
            add_rcpt(c);
        load_text_addf(&c->text, "DATA\r\n");
    }
    load_conn_send(c, false);
}

static void abandon(struct load_conn *c)
{
    c->smtp.failed = true;
    send_text(c, ST_RSET, "RSET");
}

static void on_mail(struct load_conn *c, bool ok)
{
    struct load_smtp_session *s = &c->smtp;

    s->failed = !ok;
    s->state = ST_RCPT;
    if (c->load->opts.pipeline)
        return;
    if (!ok) {
        abandon(c);
        return;
    }
    c->text.len = 0;
    add_rcpt(c);
    load_conn_send(c, false);
}

static void on_rcpt(struct load_conn *c, bool ok)
{
    struct load_smtp_session *s = &c->smtp;
    const struct load_opts *o = &c->load->opts;

    s->rcpt_ok += ok;
    s->failed = s->failed || !ok;
    if (++s->rcpt_seen == o->rcpts)
        s->state = ST_DATA;
    if (o->pipeline)
        return;
    if (s->rcpt_seen < o->rcpts) {
        c->text.len = 0;
        add_rcpt(c);
        load_conn_send(c, false);
    } else if (s->rcpt_ok == 0) {
        abandon(c);
    } else {
        send_text(c, ST_DATA, "DATA");
    }
}

static void on_data(struct load_conn *c, bool go_on)
{
    struct load_smtp_session *s = &c->smtp;

    if (!go_on) {
        abandon(c);
        return;
    }
    s->state = ST_BODY;
    s->left = c->load->opts.proto == LOAD_LMTP && s->rcpt_ok ? s->rcpt_ok : 1; /* RFC 2033 4.2 */
    c->text.len = 0;
    if (s->rcpt_ok == 0) { /* RFC 2920 3.1: all were refused, DATA was not: an empty message ends it */
        s->failed = true;
        load_text_addf(&c->text, ".\r\n");
        load_conn_send(c, false);
        return;
    }
    load_message_header(c);
    load_conn_send(c, true);
}

static void on_body(struct load_conn *c, bool ok)
{
    struct load_smtp_session *s = &c->smtp;

    s->failed = s->failed || !ok;
    if (ok)
        c->load->stat.recipients += c->load->opts.proto == LOAD_LMTP ? 1 : s->rcpt_ok;
    if (--s->left > 0)
        return;
    s->state = ST_READY;
    load_done(c, !s->failed);
}

static void on_reply(struct load_conn *c, unsigned code, const char *line, size_t len)
{
    int state = c->smtp.state;
    bool ok = state == ST_DATA ? code == 354 : code >= 200 && code < 300;

    if (!ok && (code == 421 || state < ST_READY)) {
        load_conn_fail(c, state_names[state], line, len);
        return;
    }
    if (!ok)
        load_error(c, state_names[state], line, len);
    switch (state) {
    case ST_GREET:
        send_text(c, ST_HELLO, c->load->opts.proto == LOAD_LMTP ? "LHLO load.invalid" : "EHLO load.invalid");
        break;
    case ST_HELLO:
        if (c->load->opts.pipeline && !c->smtp.can_pipeline)
            load_conn_fail(c, "PIPELINING is not offered", "", 0);
        else if (c->load->opts.user)
            send_auth(c);
        else
            load_next(c);
        break;
    case ST_AUTH:
        load_next(c);
        break;
    case ST_MAIL:
        on_mail(c, ok);
        break;
    case ST_RCPT:
        on_rcpt(c, ok);
        break;
    case ST_DATA:
        on_data(c, ok);
        break;
    case ST_BODY:
        on_body(c, ok);
        break;
    case ST_RSET:
        load_done(c, false);
        break;
    case ST_READY:
        load_conn_fail(c, "a reply to nothing", line, len);
        break;
    default: /* QUIT: the server closes */
        break;
    }
}

static void smtp_line(struct load_conn *c, const char *line, size_t len)
{
    unsigned code = 0;

    for (size_t i = 0; i < 3; i++) {
        if (i >= len || line[i] < '0' || line[i] > '9') {
            load_conn_fail(c, "not a reply", line, len);
            return;
        }
        code = code * 10 + (unsigned)(line[i] - '0');
    }
    if (c->smtp.state == ST_HELLO && len == 14 && strncasecmp(line + 4, "PIPELINING", 10) == 0)
        c->smtp.can_pipeline = true;
    if (len > 3 && line[3] == '-')
        return;
    on_reply(c, code, line, len);
}

static void smtp_quit(struct load_conn *c)
{
    c->closing = true;
    send_text(c, ST_QUIT, "QUIT");
}

static void smtp_wake(struct load_conn *c)
{
    c->wake_ns = 0;
}

const struct load_proto load_smtp = {
    .reset = smtp_reset,
    .line = smtp_line,
    .begin = smtp_begin,
    .quit = smtp_quit,
    .wake = smtp_wake,
};
