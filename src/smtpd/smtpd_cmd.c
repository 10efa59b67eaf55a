/*
 * smtpd_cmd.c - the command table, its one dispatcher, and the commands that need no file of their own.
 */
#include "smtpd_priv.h"

#define IN_ANY     (SMTPD_IN(GREET) | IN_SESSION)
#define IN_SESSION (SMTPD_IN(READY) | SMTPD_IN(MAIL) | SMTPD_IN(RCPT) | SMTPD_IN(BDAT))

/* -- what is offered */

bool smtpd__tls_is_offered(const struct smtpd_session *s)
{
    return s->worker->tls_mode == DISPATCH_TLS_STARTTLS && s->worker->mine->tls && !net_tls_is_on(s->stream);
}

/* LMTP has no DSN: who speaks it to us makes the reports (RFC 2033 4.2 tells it all it needs). */
unsigned smtpd__params(const struct smtpd_session *s)
{
    unsigned params = SMTP_PARAM_SIZE | SMTP_PARAM_BODY | SMTP_PARAM_SMTPUTF8;
    if (!smtpd__is_lmtp(s))
        params |= SMTP_PARAM_DSN;
    return s->worker->kind == SMTPD_SUBMISSION ? params | SMTP_PARAM_AUTH : params;
}

/* -- HELO, EHLO, LHLO */

static struct smtp_reply hello_check(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    if (s->conf->helo == SMTPD_HELO_VALID && !cmd->helo.is_valid)
        return smtp_reply_for_fault(SMTP_FAULT_HELO_NAME);
    return SMTPD_GO_ON;
}

static void hello_keep(struct smtpd_session *s, const struct smtp_cmd *cmd, bool is_esmtp)
{
    smtpd__tx_end(s); /* RFC 5321 4.1.4: as RSET */
    ms_free(s->helo);
    s->helo = slice_dup_cstr(cmd->helo.name);
    s->is_esmtp = is_esmtp;
    smtpd_enter(s, SMTPD_ST_READY);
}

static void helo_run(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    hello_keep(s, cmd, false);
    smtpd__replyf(s, 250, NULL, "%s", s->hostname);
}

static void ehlo_run(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    struct str *out = &s->worker->out;
    struct str mechanisms;
    str_init(&mechanisms, 0);
    hello_keep(s, cmd, true);
    str_reset(out);
    smtp_reply_emit_line(out, 250, false, NULL, slice_cstr(s->hostname));
    str_addf(out, "250-SIZE %llu\r\n", (unsigned long long)smtpd__message_max(s));
    str_add_cstr(out, "250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-BINARYMIME\r\n");
    if (!smtpd__is_lmtp(s))
        str_add_cstr(out, "250-DSN\r\n");
    str_addf(out, "250-LIMITS RCPTMAX=%llu", (unsigned long long)smtpd__recipients_max(s)); /* RFC 9422 */
    if (s->conf->messages_max > 0)
        str_addf(out, " MAILMAX=%llu", (unsigned long long)s->conf->messages_max);
    str_add_cstr(out, "\r\n");
    if (smtpd__tls_is_offered(s))
        str_add_cstr(out, "250-STARTTLS\r\n");
    smtpd__auth_offered(s, &mechanisms);
    if (mechanisms.len)
        str_addf(out, "250-AUTH %s\r\n", str_cstr(&mechanisms));
    str_fini(&mechanisms);
    str_add_cstr(out, "250 ENHANCEDSTATUSCODES\r\n");
    smtpd__send(s, str_slice(out));
}

/* -- the small ones */

static void rset_run(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    if (s->tx) {
        smtpd__tx_end(s);
        smtpd_enter(s, SMTPD_ST_READY);
    }
    smtpd__reply(s, SMTPD_REPLY(250, "2.0.0", "Reset"));
}

static void noop_run(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    smtpd__reply(s, smtp_reply_for_err(MS_OK, SMTP_AT_COMMAND));
}

static void quit_run(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    smtpd__goodbye(s, SMTPD_REPLY(221, "2.0.0", "Bye"), NET_CLOSED_BY_US);
}

static void help_run(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    struct str text;
    str_init(&text, 0);
    str_add_cstr(&text, "Commands:");
    for (unsigned verb = 1; verb < SMTP_VERB_COUNT; verb++) {
        if (smtpd__cmd_get(verb)->kinds & s->worker->kind) {
            str_add_byte(&text, ' ');
            str_add_cstr(&text, smtp_verb_name(verb));
        }
    }
    smtpd__replyf(s, 214, "2.0.0", "%s", str_cstr(&text));
    str_fini(&text);
}

/* -- STARTTLS */

static struct smtp_reply starttls_check(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    if (net_tls_is_on(s->stream))
        return SMTPD_REPLY(503, "5.5.1", "TLS is on already");
    if (!smtpd__tls_is_offered(s))
        return SMTPD_REPLY(502, "5.5.1", "Not implemented");
    return SMTPD_GO_ON;
}

static void starttls_run(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    ms_free(s->helo); /* RFC 3207 4.2: what the client said in clear is forgotten */
    s->helo = NULL;
    s->is_esmtp = false;
    ms_free(s->account);
    s->account = NULL;
    smtpd_enter(s, SMTPD_ST_TLS);
    smtpd__reply(s, smtp_reply_for_err(MS_OK, SMTP_AT_TLS));
    smtpd__pause_end(s);
    /* RFC 3207 6: commands pipelined behind this one came in clear and are never obeyed: net closes then. */
    if (net_tls_start(s->stream, s->worker->mine->tls) != MS_OK)
        smtpd__close(s, NET_CLOSED_TLS);
}

/* -- the table */

#define SMTPD_ALL_SMTP (SMTPD_SMTP | SMTPD_SUBMISSION)

static const struct smtpd_cmd cmds[SMTP_VERB_COUNT] = {
    [SMTP_VERB_HELO] = {.states = IN_ANY,
                        .kinds = SMTPD_ALL_SMTP,
                        .flags = SMTPD_C_JUNK,
                        .parse = smtp_parse_helo,
                        .check = hello_check,
                        .run = helo_run,
                        .metric = MET_SMTPD_CMD_HELLO},
    [SMTP_VERB_EHLO] = {.states = IN_ANY,
                        .kinds = SMTPD_ALL_SMTP,
                        .flags = SMTPD_C_JUNK,
                        .parse = smtp_parse_helo,
                        .check = hello_check,
                        .run = ehlo_run,
                        .metric = MET_SMTPD_CMD_HELLO},
    [SMTP_VERB_LHLO] = {.states = IN_ANY, /* RFC 2033 4.1: instead of the other two */
                        .kinds = SMTPD_LMTP,
                        .flags = SMTPD_C_JUNK,
                        .parse = smtp_parse_helo,
                        .check = hello_check,
                        .run = ehlo_run,
                        .metric = MET_SMTPD_CMD_HELLO},
    [SMTP_VERB_MAIL] = {.states = SMTPD_IN(READY),
                        .kinds = SMTPD_ANY,
                        .flags = SMTPD_C_NEEDS_AUTH,
                        .parse = smtp_parse_mail,
                        .check = smtpd__mail_check,
                        .run = smtpd__mail_run,
                        .metric = MET_SMTPD_CMD_MAIL},
    [SMTP_VERB_RCPT] = {.states = SMTPD_IN(MAIL) | SMTPD_IN(RCPT),
                        .kinds = SMTPD_ANY,
                        .parse = smtp_parse_rcpt,
                        .check = smtpd__rcpt_check,
                        .run = smtpd__rcpt_run,
                        .metric = MET_SMTPD_CMD_RCPT},
    [SMTP_VERB_DATA] = {.states = SMTPD_IN(MAIL) | SMTPD_IN(RCPT),
                        .kinds = SMTPD_ANY,
                        .parse = smtp_parse_none,
                        .check = smtpd__data_check_text,
                        .run = smtpd__data_run,
                        .metric = MET_SMTPD_CMD_DATA},
    [SMTP_VERB_BDAT] = {.states = IN_ANY, /* it looks for itself: the chunk must be read in any case */
                        .kinds = SMTPD_ANY,
                        .flags = SMTPD_C_BLIND,
                        .parse = smtp_parse_bdat,
                        .run = smtpd__bdat_run,
                        .metric = MET_SMTPD_CMD_BDAT},
    [SMTP_VERB_RSET] = {.states = IN_ANY,
                        .kinds = SMTPD_ANY,
                        .flags = SMTPD_C_JUNK,
                        .parse = smtp_parse_none,
                        .run = rset_run,
                        .metric = MET_SMTPD_CMD_OTHER},
    [SMTP_VERB_NOOP] = {.states = IN_ANY,
                        .kinds = SMTPD_ANY,
                        .flags = SMTPD_C_JUNK,
                        .parse = smtp_parse_text,
                        .run = noop_run,
                        .metric = MET_SMTPD_CMD_OTHER},
    [SMTP_VERB_QUIT] = {.states = IN_ANY,
                        .kinds = SMTPD_ANY,
                        .parse = smtp_parse_none,
                        .run = quit_run,
                        .metric = MET_SMTPD_CMD_OTHER},
    [SMTP_VERB_VRFY] = {.states = IN_ANY,
                        .kinds = SMTPD_ANY,
                        .flags = SMTPD_C_JUNK,
                        .parse = smtp_parse_text1,
                        .run = smtpd__vrfy_run,
                        .metric = MET_SMTPD_CMD_OTHER},
    [SMTP_VERB_EXPN] = {.states = IN_ANY,
                        .kinds = SMTPD_ANY,
                        .flags = SMTPD_C_JUNK,
                        .parse = smtp_parse_text1,
                        .run = smtpd__expn_run,
                        .metric = MET_SMTPD_CMD_OTHER},
    [SMTP_VERB_HELP] = {.states = IN_ANY,
                        .kinds = SMTPD_ANY,
                        .flags = SMTPD_C_JUNK,
                        .parse = smtp_parse_text,
                        .run = help_run,
                        .metric = MET_SMTPD_CMD_OTHER},
    [SMTP_VERB_STARTTLS] = {.states = SMTPD_IN(READY),
                            .kinds = SMTPD_ANY,
                            .parse = smtp_parse_none,
                            .check = starttls_check,
                            .run = starttls_run,
                            .metric = MET_SMTPD_CMD_STARTTLS},
    [SMTP_VERB_AUTH] = {.states = SMTPD_IN(READY), /* RFC 4954 4: not inside a transaction */
                        .kinds = SMTPD_SUBMISSION,
                        .parse = smtp_parse_auth,
                        .check = smtpd__auth_check,
                        .run = smtpd__auth_run,
                        .metric = MET_SMTPD_CMD_AUTH},
};

const struct smtpd_cmd *smtpd__cmd_get(enum smtp_verb verb)
{
    return &cmds[verb];
}

static struct smtp_reply out_of_order(const struct smtpd_session *s)
{
    switch (s->state) {
    case SMTPD_ST_GREET:
        return SMTPD_REPLY(503, "5.5.1", smtpd__is_lmtp(s) ? "Send LHLO first" : "Send EHLO first");
    case SMTPD_ST_READY:
        return SMTPD_REPLY(503, "5.5.1", "Need MAIL command first");
    case SMTPD_ST_BDAT: /* RFC 3030 2 */
        return SMTPD_REPLY(503, "5.5.1", "Not between the chunks of a message");
    default:
        return SMTPD_REPLY(503, "5.5.1", "Not during a mail transaction");
    }
}

static void refuse(struct smtpd_session *s, const struct smtpd_cmd *row, struct smtp_reply reply)
{
    if (reply.code == 421) {
        smtpd__goodbye(s, reply, NET_CLOSED_BY_US);
        return;
    }
    smtpd__reply(s, reply);
    if (row->flags & SMTPD_C_BLIND)
        smtpd__goodbye(s, SMTPD_REPLY(421, "4.5.2", "Chunk of unknown size, closing connection"),
                       NET_CLOSED_BY_US);
}

void smtpd__line(struct smtpd_session *s, struct slice line)
{
    struct smtpd_worker *w = s->worker;
    struct smtp_parse_opts opts = {
        .arena = &w->cmd_arena, .params = smtpd__params(s), .binary = true, .utf8 = s->tx && s->tx->smtputf8};
    struct smtp_reply reply = SMTPD_GO_ON;
    struct smtp_cmd cmd;
    struct slice args;
    if (s->state == SMTPD_ST_AUTH) {
        smtpd__auth_line(s, line);
        return;
    }
    enum smtp_verb verb = smtp_verb_parse(line, &args);
    const struct smtpd_cmd *row = smtpd__cmd_get(verb);
    s->asked = (uint8_t)(verb + 1);
    if (!(row->kinds & w->kind)) {
        smtpd__reply(s, smtp_reply_for_fault(SMTP_FAULT_VERB));
        return;
    }
    obs_count(row->metric, 1);
    if ((row->flags & SMTPD_C_JUNK) && ++s->junk > (uint64_t)s->conf->junk_max)
        s->errors++;
    if (!(row->states & (1u << s->state)))
        reply = out_of_order(s);
    else if ((row->flags & SMTPD_C_NEEDS_AUTH) && w->kind == SMTPD_SUBMISSION && !s->account)
        reply = SMTPD_REPLY(530, "5.7.0", "Authentication required"); /* RFC 4954 6, RFC 6409 4.3 */
    else if (row->parse(args, &opts, &cmd) != MS_OK)
        reply = smtp_reply_for_fault(cmd.fault);
    else if (row->check)
        reply = row->check(s, &cmd);
    if (reply.code)
        refuse(s, row, reply);
    else
        row->run(s, &cmd);
    arena_reset(&w->cmd_arena);
}
