/*
 * smtp_param_parse.c - ESMTP parameters of MAIL and RCPT (RFC 5321 4.1.2), and xtext (RFC 3461 4).
 * The table below is the only place that knows a keyword.
 */
#include "ms/base/codec.h"
#include "smtp_priv.h"

/* value: points into the line; has_value is false when no "=" was given */
struct smtp_param {
    struct slice key;
    struct slice value;
    bool has_value;
};

typedef enum ms_err (*smtp_param_fn)(struct slice value, const struct smtp_parse_opts *opts,
                                     struct smtp_cmd *cmd);

static int xtext_nibble(uint8_t c)
{
    if (ms_ascii_is_digit(c))
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; /* RFC 3461 4: upper case only */
}

enum ms_err smtp_xtext_parse(struct slice in, struct str *out)
{
    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = in.ptr[i];
        if (c == '+') {
            if (in.len - i < 3 || xtext_nibble(in.ptr[i + 1]) < 0 || xtext_nibble(in.ptr[i + 2]) < 0)
                return MS_ESYNTAX;
            str_add_byte(out, (uint8_t)(xtext_nibble(in.ptr[i + 1]) << 4 | xtext_nibble(in.ptr[i + 2])));
            i += 2;
        } else if (c > ' ' && c < 0x7f && c != '=') {
            str_add_byte(out, c);
        } else {
            return MS_ESYNTAX;
        }
    }
    return str_is_over(out) ? MS_ELIMIT : MS_OK;
}

void smtp_xtext_emit(struct str *out, struct slice in)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = in.ptr[i];
        if (c > ' ' && c < 0x7f && c != '+' && c != '=') {
            str_add_byte(out, c);
        } else {
            str_add_byte(out, '+');
            str_add_byte(out, (uint8_t)hex[c >> 4]);
            str_add_byte(out, (uint8_t)hex[c & 15]);
        }
    }
}

/* Decodes to the arena. The decoded form must be printable ASCII: it goes into reports and logs. */
static enum ms_err param_xtext(struct slice value, const struct smtp_parse_opts *opts, struct smtp_cmd *cmd,
                               struct slice *out)
{
    struct str text;
    enum ms_err err;

    str_init(&text, SMTP_LINE_AUTH_MAX);
    err = smtp_xtext_parse(value, &text);
    for (size_t i = 0; !err && i < text.len; i++)
        if (text.ptr[i] < ' ' || text.ptr[i] >= 0x7f)
            err = MS_ESYNTAX;
    if (err)
        err = smtp__fail(cmd, SMTP_FAULT_PARAM_VALUE);
    else if (smtp__dup(opts->arena, str_slice(&text), out))
        err = smtp__fail(cmd, SMTP_FAULT_MEMORY);
    str_fini(&text);
    return err;
}

static enum ms_err param_size(struct slice value, const struct smtp_parse_opts *opts, struct smtp_cmd *cmd)
{
    enum ms_err err;

    if (value.len > SMTP_SIZE_DIGITS_MAX)
        return smtp__fail(cmd, SMTP_FAULT_PARAM_VALUE);
    err = slice_to_u64(value, UINT64_MAX, &cmd->mail.size);
    if (err == MS_ELIMIT)
        cmd->mail.size = UINT64_MAX;
    else if (err)
        return smtp__fail(cmd, SMTP_FAULT_PARAM_VALUE);
    return MS_OK;
}

static enum ms_err param_body(struct slice value, const struct smtp_parse_opts *opts, struct smtp_cmd *cmd)
{
    if (slice_ieq_cstr(value, "7BIT"))
        cmd->mail.body = SMTP_BODY_7BIT;
    else if (slice_ieq_cstr(value, "8BITMIME"))
        cmd->mail.body = SMTP_BODY_8BITMIME;
    else if (opts->binary && slice_ieq_cstr(value, "BINARYMIME"))
        cmd->mail.body = SMTP_BODY_BINARYMIME;
    else
        return smtp__fail(cmd, SMTP_FAULT_PARAM_VALUE);
    return MS_OK;
}

/* RFC 6531 3.4: SMTPUTF8 takes no value; the caller checked that there is none. */
static enum ms_err param_smtputf8(struct slice value, const struct smtp_parse_opts *opts,
                                  struct smtp_cmd *cmd)
{
    return MS_OK;
}

static enum ms_err param_ret(struct slice value, const struct smtp_parse_opts *opts, struct smtp_cmd *cmd)
{
    if (slice_ieq_cstr(value, "FULL"))
        cmd->mail.ret = SMTP_RET_FULL;
    else if (slice_ieq_cstr(value, "HDRS"))
        cmd->mail.ret = SMTP_RET_HDRS;
    else
        return smtp__fail(cmd, SMTP_FAULT_PARAM_VALUE);
    return MS_OK;
}

static enum ms_err param_envid(struct slice value, const struct smtp_parse_opts *opts, struct smtp_cmd *cmd)
{
    if (value.len > SMTP_ENVID_MAX)
        return smtp__fail(cmd, SMTP_FAULT_PARAM_VALUE);
    return param_xtext(value, opts, cmd, &cmd->mail.envid);
}

static enum ms_err param_auth(struct slice value, const struct smtp_parse_opts *opts, struct smtp_cmd *cmd)
{
    if (value.len > SMTP_AUTH_PARAM_MAX)
        return smtp__fail(cmd, SMTP_FAULT_PARAM_VALUE);
    return param_xtext(value, opts, cmd, &cmd->mail.auth);
}

/* RFC 3461 4.1: NEVER alone, or a list of the others. */
static enum ms_err param_notify(struct slice value, const struct smtp_parse_opts *opts, struct smtp_cmd *cmd)
{
    static const struct {
        const char *name;
        unsigned bit;
    } words[] = {{"NEVER", SMTP_NOTIFY_NEVER},
                 {"SUCCESS", SMTP_NOTIFY_SUCCESS},
                 {"FAILURE", SMTP_NOTIFY_FAILURE},
                 {"DELAY", SMTP_NOTIFY_DELAY}};
    unsigned notify = 0;
    bool more = true;

    while (more) {
        struct slice word;
        unsigned bit = 0;

        more = slice_cut(&value, ',', &word);
        if (!more)
            word = value;
        for (size_t i = 0; i < MS_ARRAY_LEN(words); i++)
            if (slice_ieq_cstr(word, words[i].name))
                bit = words[i].bit;
        if (!bit)
            return smtp__fail(cmd, SMTP_FAULT_PARAM_VALUE);
        notify |= bit;
    }
    if ((notify & SMTP_NOTIFY_NEVER) && notify != SMTP_NOTIFY_NEVER)
        return smtp__fail(cmd, SMTP_FAULT_PARAM_VALUE);
    cmd->rcpt.notify = notify;
    return MS_OK;
}

/* RFC 6533 3: behind the type utf-8 the address may stand as it is in a transaction that is SMTPUTF8. */
static enum ms_err param_unitext(struct slice value, const struct smtp_parse_opts *opts, struct smtp_cmd *cmd,
                                 struct slice *out)
{
    if (!utf8_is_valid(value))
        return smtp__fail(cmd, SMTP_FAULT_PARAM_VALUE);
    return smtp__dup(opts->arena, value, out) ? smtp__fail(cmd, SMTP_FAULT_MEMORY) : MS_OK;
}

static bool param_has_high(struct slice value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] >= 0x80)
            return true;
    return false;
}

/* RFC 3461 4.2: addr-type ";" xtext */
static enum ms_err param_orcpt(struct slice value, const struct smtp_parse_opts *opts, struct smtp_cmd *cmd)
{
    struct slice type;

    if (value.len > SMTP_ORCPT_MAX || !slice_cut(&value, ';', &type) || !type.len)
        return smtp__fail(cmd, SMTP_FAULT_PARAM_VALUE);
    for (size_t i = 0; i < type.len; i++)
        if (!ms_ascii_is_alpha(type.ptr[i]) && !ms_ascii_is_digit(type.ptr[i]) && type.ptr[i] != '-')
            return smtp__fail(cmd, SMTP_FAULT_PARAM_VALUE);
    if (smtp__dup(opts->arena, type, &cmd->rcpt.orcpt_type))
        return smtp__fail(cmd, SMTP_FAULT_MEMORY);
    if (param_has_high(value) && slice_ieq_cstr(type, "utf-8"))
        return param_unitext(value, opts, cmd, &cmd->rcpt.orcpt);
    return param_xtext(value, opts, cmd, &cmd->rcpt.orcpt);
}

static const struct smtp_param_row {
    const char *key;
    enum smtp_verb verb;
    unsigned bit;
    bool takes_value;
    smtp_param_fn parse;
} smtp_params[] = {
    {.key = "SIZE", .verb = SMTP_VERB_MAIL, .bit = SMTP_PARAM_SIZE, .takes_value = true, .parse = param_size},
    {.key = "BODY", .verb = SMTP_VERB_MAIL, .bit = SMTP_PARAM_BODY, .takes_value = true, .parse = param_body},
    {.key = "SMTPUTF8", .verb = SMTP_VERB_MAIL, .bit = SMTP_PARAM_SMTPUTF8, .parse = param_smtputf8},
    {.key = "RET", .verb = SMTP_VERB_MAIL, .bit = SMTP_PARAM_RET, .takes_value = true, .parse = param_ret},
    {.key = "ENVID",
     .verb = SMTP_VERB_MAIL,
     .bit = SMTP_PARAM_ENVID,
     .takes_value = true,
     .parse = param_envid},
    {.key = "AUTH", .verb = SMTP_VERB_MAIL, .bit = SMTP_PARAM_AUTH, .takes_value = true, .parse = param_auth},
    {.key = "NOTIFY",
     .verb = SMTP_VERB_RCPT,
     .bit = SMTP_PARAM_NOTIFY,
     .takes_value = true,
     .parse = param_notify},
    {.key = "ORCPT",
     .verb = SMTP_VERB_RCPT,
     .bit = SMTP_PARAM_ORCPT,
     .takes_value = true,
     .parse = param_orcpt},
};

/* RFC 5321 4.1.2: esmtp-keyword ["=" esmtp-value]; bytes above 0x7f in values only with SMTPUTF8 (RFC
 * 6531 3.3): ORCPT may have them. */
static bool param_split(struct slice word, bool utf8, struct smtp_param *param)
{
    struct slice rest = word;

    *param = (struct smtp_param){.key = word};
    if (slice_cut(&rest, '=', &param->key)) {
        param->has_value = true;
        param->value = rest;
    }
    for (size_t i = 0; i < param->key.len; i++) {
        uint8_t c = param->key.ptr[i];
        if (!ms_ascii_is_alpha(c) && !ms_ascii_is_digit(c) && !(c == '-' && i > 0))
            return false;
    }
    for (size_t i = 0; i < param->value.len; i++) {
        uint8_t c = param->value.ptr[i];
        if (c <= ' ' || c == 0x7f || (c > 0x7f && !utf8) || c == '=')
            return false;
    }
    return param->key.len > 0 && (!param->has_value || param->value.len > 0);
}

static enum ms_err param_apply(const struct smtp_param *param, enum smtp_verb verb,
                               const struct smtp_parse_opts *opts, struct smtp_cmd *cmd)
{
    unsigned *seen = verb == SMTP_VERB_MAIL ? &cmd->mail.params : &cmd->rcpt.params;

    for (size_t i = 0; i < MS_ARRAY_LEN(smtp_params); i++) {
        const struct smtp_param_row *row = &smtp_params[i];
        if (row->verb != verb || !(row->bit & opts->params) || !slice_ieq_cstr(param->key, row->key))
            continue;
        if (*seen & row->bit)
            return smtp__fail(cmd, SMTP_FAULT_PARAM_TWICE);
        if (param->has_value != row->takes_value)
            return smtp__fail(cmd, SMTP_FAULT_PARAM_VALUE);
        *seen |= row->bit;
        return row->parse(param->value, opts, cmd);
    }
    return smtp__fail(cmd, SMTP_FAULT_PARAM_UNKNOWN); /* RFC 5321 4.1.1.11 */
}

enum ms_err smtp__params_parse(struct slice rest, enum smtp_verb verb, const struct smtp_parse_opts *opts,
                               struct smtp_cmd *cmd)
{
    size_t count = 0;
    bool more = true;

    if (!rest.len)
        return MS_OK;
    if (rest.ptr[0] != ' ') /* something sticks to the path */
        return smtp__fail(cmd, verb == SMTP_VERB_MAIL ? SMTP_FAULT_FROM_PATH : SMTP_FAULT_TO_PATH);
    rest = slice_sub(rest, 1, SIZE_MAX);
    while (more) {
        struct slice word;
        struct smtp_param param;

        more = slice_cut(&rest, ' ', &word);
        if (!more)
            word = rest;
        if (!word.len)
            continue; /* several blanks are harmless */
        if (++count > SMTP_PARAMS_MAX)
            return smtp__fail(cmd, SMTP_FAULT_PARAM_MANY);
        if (!param_split(word, verb == SMTP_VERB_RCPT && opts->utf8, &param))
            return smtp__fail(cmd, SMTP_FAULT_PARAM_SYNTAX);
        MS_TRY(param_apply(&param, verb, opts, cmd));
    }
    return MS_OK;
}
