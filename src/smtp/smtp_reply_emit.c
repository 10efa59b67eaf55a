/*
 * smtp_reply_emit.c - replies: their text on the wire, and the one mapping from our results to them.
 * Enhanced codes after RFC 3463, in front of the text of every line (RFC 2034 3).
 */
#include <stdarg.h>
#include <stdio.h>

#include "smtp_priv.h"

void smtp_reply_emit_line(struct str *out, unsigned code, bool last, const char *enhanced, struct slice text)
{
    size_t start = out->len;
    size_t room;

    MS_ASSERT(code >= 200 && code <= 599);
    str_addf(out, "%u%c", code, last ? ' ' : '-');
    if (enhanced)
        str_addf(out, "%s ", enhanced);
    room = SMTP_REPLY_LINE_MAX - 2 - (out->len - start);
    text = slice_sub(text, 0, room);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        /* Text may carry what a peer sent; a control byte must not begin a line of its own. */
        str_add_byte(out, c < ' ' || c == 0x7f ? '?' : c);
    }
    str_add_cstr(out, "\r\n");
}

static void reply_emit_text(struct str *out, unsigned code, const char *enhanced, struct slice text)
{
    struct slice line;

    while (slice_cut(&text, '\n', &line))
        smtp_reply_emit_line(out, code, false, enhanced, line);
    smtp_reply_emit_line(out, code, true, enhanced, text);
}

void smtp_reply_emit(struct str *out, struct smtp_reply reply)
{
    reply_emit_text(out, reply.code, reply.enhanced, slice_cstr(reply.text));
}

void smtp_reply_emitf(struct str *out, unsigned code, const char *enhanced, const char *fmt, ...)
{
    char text[2 * SMTP_REPLY_LINE_MAX];
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    MS_ASSERT(len >= 0);
    reply_emit_text(out, code, enhanced, slice_make(text, MS_MIN((size_t)len, sizeof text - 1)));
}

#define REPLY(code_, enh_, text_) ((struct smtp_reply){.code = (code_), .enhanced = (enh_), .text = (text_)})

static struct smtp_reply reply_ok(enum smtp_stage stage)
{
    switch (stage) {
    case SMTP_AT_CONNECT:
        return REPLY(220, NULL, "Ready");
    case SMTP_AT_COMMAND:
        return REPLY(250, "2.0.0", "OK");
    case SMTP_AT_AUTH:
        return REPLY(235, "2.7.0", "Authentication successful");
    case SMTP_AT_TLS:
        return REPLY(220, "2.0.0", "Ready to start TLS");
    case SMTP_AT_MAIL:
        return REPLY(250, "2.1.0", "Sender OK");
    case SMTP_AT_RCPT:
        return REPLY(250, "2.1.5", "Recipient OK");
    case SMTP_AT_DATA:
        return REPLY(354, NULL, "End data with <CR><LF>.<CR><LF>");
    case SMTP_AT_END:
        return REPLY(250, "2.6.0", "Message accepted");
    case SMTP_STAGE_COUNT:
        break;
    }
    MS_UNREACHABLE();
}

static struct smtp_reply reply_limit(enum smtp_stage stage)
{
    switch (stage) {
    case SMTP_AT_CONNECT:
        return REPLY(421, "4.7.0", "Too many connections");
    case SMTP_AT_RCPT:
        return REPLY(452, "4.5.3", "Too many recipients"); /* RFC 5321 4.5.3.1.10 */
    case SMTP_AT_MAIL:
    case SMTP_AT_DATA:
    case SMTP_AT_END:
        return REPLY(552, "5.3.4", "Message too big"); /* RFC 1870 6.1 */
    case SMTP_AT_COMMAND:
    case SMTP_AT_AUTH:
    case SMTP_AT_TLS:
    case SMTP_STAGE_COUNT:
        break;
    }
    return REPLY(500, "5.5.2", "Line or argument too long");
}

static struct smtp_reply reply_denied(enum smtp_stage stage)
{
    if (stage == SMTP_AT_AUTH)
        return REPLY(535, "5.7.8", "Authentication failed"); /* RFC 4954 6 */
    if (stage == SMTP_AT_CONNECT || stage == SMTP_AT_END)
        return REPLY(554, "5.7.1", "Refused by policy");
    return REPLY(550, "5.7.1", "Not permitted");
}

static struct smtp_reply reply_unsupported(enum smtp_stage stage)
{
    if (stage == SMTP_AT_AUTH)
        return REPLY(504, "5.5.4", "Mechanism not supported"); /* RFC 4954 4 */
    if (stage == SMTP_AT_MAIL || stage == SMTP_AT_RCPT)
        return REPLY(555, "5.5.4", "Parameter not recognized or not implemented");
    if (stage == SMTP_AT_END)
        return REPLY(554, "5.6.1", "Content not supported");
    return REPLY(502, "5.5.1", "Not implemented");
}

static struct smtp_reply reply_malformed(enum smtp_stage stage, const char *enhanced, const char *text)
{
    if (stage == SMTP_AT_END)
        return REPLY(554, "5.6.0", "Message content refused");
    return REPLY(501, enhanced, text);
}

static struct smtp_reply reply_base(enum ms_err err, enum smtp_stage stage)
{
    switch (err) {
    case MS_OK:
        return reply_ok(stage);
    case MS_EMORE:
    case MS_EFULL:
    case MS_EBUSY:
        return REPLY(451, "4.3.2", "System busy, try again later");
    case MS_ESYNTAX:
        return reply_malformed(stage, "5.5.2", "Syntax error");
    case MS_EUNSUPPORTED:
        return reply_unsupported(stage);
    case MS_EINVAL:
        return reply_malformed(stage, "5.5.4", "Invalid argument");
    case MS_ELIMIT:
        return reply_limit(stage);
    case MS_EQUOTA:
        return REPLY(552, "5.2.2", "Mailbox full");
    case MS_ENOTFOUND:
        return stage == SMTP_AT_AUTH ? reply_denied(stage) : REPLY(550, "5.1.1", "No such user");
    case MS_EEXIST:
        return REPLY(554, "5.3.0", "Exists already");
    case MS_EDENIED:
        return reply_denied(stage);
    /* Permanent for us until the operator mends it; the peer shall keep the mail and come back. */
    case MS_EDAMAGED:
    case MS_EVERSION:
    case MS_EGONE:
    case MS_EIO:
    case MS_EUNKNOWN:
        return REPLY(451, "4.3.0", "Local error, try again later");
    case MS_ENOSPC:
    case MS_ENOMEM:
        return REPLY(452, "4.3.1", "Insufficient resources");
    case MS_ETIMEOUT:
        return REPLY(451, "4.4.1", "Timed out, try again later");
    case MS_ECLOSED:
    case MS_EOFFLINE:
        return REPLY(421, "4.3.2", "Service not available, closing connection");
    case MS_ERR_COUNT:
        break;
    }
    MS_UNREACHABLE();
}

struct smtp_reply smtp_reply_for_err(enum ms_err err, enum smtp_stage stage)
{
    struct smtp_reply reply = reply_base(err, stage);
    bool temporary = reply.code >= 400 && reply.code < 500 && reply.code != 421;

    if (temporary && stage == SMTP_AT_AUTH)
        return REPLY(454, "4.7.0", "Temporary authentication failure"); /* RFC 4954 4.7.0 */
    if (temporary && stage == SMTP_AT_TLS)
        return REPLY(454, "4.7.0", "TLS not available"); /* RFC 3207 4 */
    if (temporary && stage == SMTP_AT_CONNECT)
        return REPLY(421, reply.enhanced, reply.text); /* RFC 5321 3.8 */
    if (stage == SMTP_AT_CONNECT && reply.code >= 500)
        return REPLY(554, "5.7.1", "No SMTP service for you here"); /* RFC 5321 3.1 */
    return reply;
}

struct smtp_reply smtp_reply_for_fault(enum smtp_fault fault)
{
    static const struct smtp_reply rows[SMTP_FAULT_COUNT] = {
#define X(name, code_, enh, text_) [SMTP_FAULT_##name] = {.code = code_, .enhanced = enh, .text = text_},
        SMTP_FAULT_MAP(X)
#undef X
    };

    MS_ASSERT(fault < SMTP_FAULT_COUNT);
    return rows[fault];
}

struct smtp_reply smtp_reply_for_data_flags(unsigned flags)
{
    if (flags & (SMTP_DATA_BARE_CR | SMTP_DATA_BARE_LF))
        return REPLY(554, "5.6.0", "Message refused: bare CR or LF (RFC 5321 2.3.8)");
    if (flags & SMTP_DATA_NUL)
        return REPLY(554, "5.6.0", "Message refused: NUL byte");
    if (flags & SMTP_DATA_LINE_LONG)
        return REPLY(554, "5.6.0", "Message refused: line too long");
    return REPLY(0, NULL, NULL);
}
