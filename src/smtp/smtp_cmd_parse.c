/*
 * smtp_cmd_parse.c - command lines to values. RFC 5321 4.1.1; one function per argument shape, chosen by the
 * verb's row.
 */
#include "smtp_priv.h"

static const struct smtp_verb_row {
    const char *name;
    smtp_parse_fn parse;
} smtp_verbs[SMTP_VERB_COUNT] = {
    [SMTP_VERB_UNKNOWN] = {"?", NULL},
    [SMTP_VERB_HELO] = {"HELO", smtp_parse_helo},
    [SMTP_VERB_EHLO] = {"EHLO", smtp_parse_helo},
    [SMTP_VERB_LHLO] = {"LHLO", smtp_parse_helo}, /* RFC 2033 4.1 */
    [SMTP_VERB_MAIL] = {"MAIL", smtp_parse_mail},
    [SMTP_VERB_RCPT] = {"RCPT", smtp_parse_rcpt},
    [SMTP_VERB_DATA] = {"DATA", smtp_parse_none},
    [SMTP_VERB_BDAT] = {"BDAT", smtp_parse_bdat},
    [SMTP_VERB_RSET] = {"RSET", smtp_parse_none},
    [SMTP_VERB_NOOP] = {"NOOP", smtp_parse_text},
    [SMTP_VERB_QUIT] = {"QUIT", smtp_parse_none},
    [SMTP_VERB_VRFY] = {"VRFY", smtp_parse_text1},
    [SMTP_VERB_EXPN] = {"EXPN", smtp_parse_text1},
    [SMTP_VERB_HELP] = {"HELP", smtp_parse_text},
    [SMTP_VERB_STARTTLS] = {"STARTTLS", smtp_parse_none}, /* RFC 3207 4 */
    [SMTP_VERB_AUTH] = {"AUTH", smtp_parse_auth},         /* RFC 4954 4 */
};

const char *smtp_verb_name(enum smtp_verb verb)
{
    MS_ASSERT(verb < SMTP_VERB_COUNT);
    return smtp_verbs[verb].name;
}

smtp_parse_fn smtp_parser_get(enum smtp_verb verb)
{
    MS_ASSERT(verb < SMTP_VERB_COUNT);
    return smtp_verbs[verb].parse;
}

static struct slice cmd_trim(struct slice s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = slice_sub(s, 1, SIZE_MAX);
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

enum smtp_verb smtp_verb_parse(struct slice line, struct slice *args_out)
{
    struct slice rest = line;
    struct slice verb;

    if (!slice_cut(&rest, ' ', &verb)) {
        /* RFC 5321 4.1.1: trailing white space is tolerated. */
        verb = cmd_trim(line);
        rest = slice_make(NULL, 0);
    }
    *args_out = cmd_trim(rest);
    for (enum smtp_verb v = SMTP_VERB_UNKNOWN + 1; v < SMTP_VERB_COUNT; v++)
        if (slice_ieq_cstr(verb, smtp_verbs[v].name))
            return v;
    return SMTP_VERB_UNKNOWN;
}

enum ms_err smtp__dup(struct arena *arena, struct slice s, struct slice *out)
{
    uint8_t *copy = arena_try_alloc(arena, s.len + 1);

    if (!copy)
        return MS_ELIMIT;
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    *out = slice_make(copy, s.len);
    return MS_OK;
}

enum ms_err smtp__fault_err(enum smtp_fault fault)
{
    switch (fault) {
    case SMTP_FAULT_NONE:
        return MS_OK;
    case SMTP_FAULT_LINE_LONG:
    case SMTP_FAULT_LOCAL_LONG:
    case SMTP_FAULT_DOMAIN_LONG:
    case SMTP_FAULT_PATH_LONG:
    case SMTP_FAULT_PARAM_MANY:
    case SMTP_FAULT_MEMORY:
        return MS_ELIMIT;
    case SMTP_FAULT_VERB:
    case SMTP_FAULT_PARAM_UNKNOWN:
        return MS_EUNSUPPORTED;
    case SMTP_FAULT_PATH_UTF8:
    case SMTP_FAULT_PATH_ENCODING:
    case SMTP_FAULT_PARAM_TWICE:
    case SMTP_FAULT_PARAM_VALUE:
        return MS_EINVAL;
    case SMTP_FAULT_LINE_END:
    case SMTP_FAULT_NO_ARGS:
    case SMTP_FAULT_NEED_ARGS:
    case SMTP_FAULT_HELO_NAME:
    case SMTP_FAULT_MAIL_SYNTAX:
    case SMTP_FAULT_RCPT_SYNTAX:
    case SMTP_FAULT_FROM_PATH:
    case SMTP_FAULT_TO_PATH:
    case SMTP_FAULT_PARAM_SYNTAX:
    case SMTP_FAULT_BDAT_SYNTAX:
    case SMTP_FAULT_AUTH_SYNTAX:
    case SMTP_FAULT_COUNT:
        break;
    }
    return MS_ESYNTAX;
}

enum ms_err smtp__fail(struct smtp_cmd *cmd, enum smtp_fault fault)
{
    cmd->fault = fault;
    return smtp__fault_err(fault);
}

enum ms_err smtp_parse_none(struct slice args, const struct smtp_parse_opts *opts, struct smtp_cmd *cmd)
{
    memset(cmd, 0, sizeof *cmd);
    return args.len ? smtp__fail(cmd, SMTP_FAULT_NO_ARGS) : MS_OK;
}

enum ms_err smtp_parse_text(struct slice args, const struct smtp_parse_opts *opts, struct smtp_cmd *cmd)
{
    memset(cmd, 0, sizeof *cmd);
    return smtp__dup(opts->arena, args, &cmd->text.text) ? smtp__fail(cmd, SMTP_FAULT_MEMORY) : MS_OK;
}

enum ms_err smtp_parse_text1(struct slice args, const struct smtp_parse_opts *opts, struct smtp_cmd *cmd)
{
    memset(cmd, 0, sizeof *cmd);
    if (!args.len)
        return smtp__fail(cmd, SMTP_FAULT_NEED_ARGS);
    return smtp_parse_text(args, opts, cmd);
}

/* Printable, and nothing that would need quoting or a comment's care in a Received field or a log line. */
static bool helo_is_harmless(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        if (c <= ' ' || c > '~' || strchr("()<>\\\"`';,", c))
            return false;
    }
    return true;
}

enum ms_err smtp_parse_helo(struct slice args, const struct smtp_parse_opts *opts, struct smtp_cmd *cmd)
{
    memset(cmd, 0, sizeof *cmd);
    if (!args.len || args.len > SMTP_DOMAIN_MAX || !helo_is_harmless(args))
        return smtp__fail(cmd, SMTP_FAULT_HELO_NAME);
    if (smtp__dup(opts->arena, args, &cmd->helo.name))
        return smtp__fail(cmd, SMTP_FAULT_MEMORY);
    cmd->helo.is_literal = args.ptr[0] == '[';
    /* RFC 5321 4.1.4: a name that cannot be verified is no reason to refuse the client by itself. */
    cmd->helo.is_valid =
        cmd->helo.is_literal ? smtp_literal_is_valid(args) : smtp_domain_is_valid(args, false);
    return MS_OK;
}

/* Takes "FROM:" or "TO:". RFC 5321 3.3: no blanks on either side of the colon. */
static bool cmd_take_prefix(struct slice *rest, struct slice prefix)
{
    if (!slice_has_iprefix(*rest, prefix))
        return false;
    *rest = slice_sub(*rest, prefix.len, SIZE_MAX);
    return true;
}

enum ms_err smtp_parse_mail(struct slice args, const struct smtp_parse_opts *opts, struct smtp_cmd *cmd)
{
    enum smtp_fault fault;

    memset(cmd, 0, sizeof *cmd);
    if (!cmd_take_prefix(&args, SLICE_LIT("FROM:")))
        return smtp__fail(cmd, SMTP_FAULT_MAIL_SYNTAX);
    /* Whether UTF-8 is allowed is known behind the path only, when the parameters have been seen. */
    if (smtp_path_parse(&args, SMTP_PATH_REVERSE, opts->params & SMTP_PARAM_SMTPUTF8, opts->arena,
                        &cmd->mail.from, &fault))
        return smtp__fail(cmd, fault);
    MS_TRY(smtp__params_parse(args, SMTP_VERB_MAIL, opts, cmd));
    if (cmd->mail.from.is_utf8 && !(cmd->mail.params & SMTP_PARAM_SMTPUTF8)) /* RFC 6531 3.5 */
        return smtp__fail(cmd, SMTP_FAULT_PATH_UTF8);
    return MS_OK;
}

enum ms_err smtp_parse_rcpt(struct slice args, const struct smtp_parse_opts *opts, struct smtp_cmd *cmd)
{
    enum smtp_fault fault;

    memset(cmd, 0, sizeof *cmd);
    if (!cmd_take_prefix(&args, SLICE_LIT("TO:")))
        return smtp__fail(cmd, SMTP_FAULT_RCPT_SYNTAX);
    if (smtp_path_parse(&args, SMTP_PATH_FORWARD, opts->utf8, opts->arena, &cmd->rcpt.to, &fault))
        return smtp__fail(cmd, fault);
    return smtp__params_parse(args, SMTP_VERB_RCPT, opts, cmd);
}

enum ms_err smtp_parse_bdat(struct slice args, const struct smtp_parse_opts *opts, struct smtp_cmd *cmd)
{
    struct slice rest = args;
    struct slice size;

    memset(cmd, 0, sizeof *cmd);
    if (slice_cut(&rest, ' ', &size)) {
        if (!slice_ieq_cstr(cmd_trim(rest), "LAST")) /* RFC 3030 2 */
            return smtp__fail(cmd, SMTP_FAULT_BDAT_SYNTAX);
        cmd->bdat.last = true;
    } else {
        size = args;
    }
    if (slice_to_u64(size, UINT64_MAX, &cmd->bdat.size))
        return smtp__fail(cmd, SMTP_FAULT_BDAT_SYNTAX);
    return MS_OK;
}

/* RFC 4422 3.1: sasl-mech = 1*20mech-char */
static bool auth_mech_is_valid(struct slice mech)
{
    if (!mech.len || mech.len > 20)
        return false;
    for (size_t i = 0; i < mech.len; i++) {
        uint8_t c = mech.ptr[i];
        if (!ms_ascii_is_alpha(c) && !ms_ascii_is_digit(c) && c != '-' && c != '_')
            return false;
    }
    return true;
}

/* RFC 4954 8: initial-response = base64 / "="; what it decodes to is the mechanism's affair. */
static bool auth_initial_is_valid(struct slice text)
{
    if (slice_eq_cstr(text, "="))
        return true;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (!ms_ascii_is_alpha(c) && !ms_ascii_is_digit(c) && c != '+' && c != '/' && c != '=')
            return false;
    }
    return text.len > 0 && text.len % 4 == 0;
}

enum ms_err smtp_parse_auth(struct slice args, const struct smtp_parse_opts *opts, struct smtp_cmd *cmd)
{
    struct slice rest = args;
    struct slice mech;

    memset(cmd, 0, sizeof *cmd);
    if (slice_cut(&rest, ' ', &mech)) {
        cmd->auth.has_initial = true;
        if (!auth_initial_is_valid(rest))
            return smtp__fail(cmd, SMTP_FAULT_AUTH_SYNTAX);
    } else {
        mech = args;
        rest = slice_make(NULL, 0);
    }
    if (!auth_mech_is_valid(mech))
        return smtp__fail(cmd, SMTP_FAULT_AUTH_SYNTAX);
    if (smtp__dup(opts->arena, mech, &cmd->auth.mech) || smtp__dup(opts->arena, rest, &cmd->auth.initial))
        return smtp__fail(cmd, SMTP_FAULT_MEMORY);
    return MS_OK;
}
