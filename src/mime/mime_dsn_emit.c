/*
 * mime_dsn_emit.c - the report to a sender (RFC 3464): a text for people, a status for programs, and what
 * came of the message behind them.
 *
 *   multipart/report                 RFC 6522
 *     text/plain                     who, why, what happens now
 *     message/delivery-status        RFC 3464; message/global-delivery-status with utf8 (RFC 6533)
 *     message/rfc822 or text/rfc822-headers (message/global, message/global-headers): the caller's bytes
 *
 * Texts come from peers and from reasons: control characters become '?', and without utf8 so does
 * everything beyond ASCII.
 */
#include "mime_priv.h"

#include "ms/base/clock.h"
#include "ms/base/codec.h"

#define TEXT_COLUMN 76

/* -- texts */
static void add_text(const struct mime_dsn *d, struct str *out, struct slice s)
{
    s = slice_sub(s, 0, MIME_DSN_TEXT_MAX);
    bool keeps_8bit = d->utf8 && utf8_is_valid(s);
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.ptr[i];
        str_add_byte(out, c < 0x20 || c == 0x7f || (c >= 0x80 && !keeps_8bit) ? '?' : c);
    }
}

static bool is_ascii(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] >= 0x80)
            return false;
    return true;
}

/* A reason as lines of a paragraph, `indent` blanks in front of each. */
static void add_wrapped(const struct mime_dsn *d, struct str *out, struct slice s, const char *indent)
{
    size_t column = 0;
    s = slice_sub(s, 0, MIME_DSN_TEXT_MAX);
    while (s.len) {
        ssize_t blank = slice_find_byte(s, ' ');
        struct slice word = slice_sub(s, 0, blank < 0 ? s.len : (size_t)blank);
        s = slice_sub(s, word.len + (blank >= 0), SIZE_MAX);
        if (word.len == 0)
            continue;
        if (column && column + 1 + word.len > TEXT_COLUMN) {
            str_add_cstr(out, "\r\n");
            column = 0;
        }
        str_add_cstr(out, column ? " " : indent);
        column += (column ? 1 : strlen(indent)) + word.len;
        add_text(d, out, word);
    }
    str_add_cstr(out, "\r\n");
}

static void add_date(struct str *out, const char *name, uint64_t wall_us)
{
    char date[CLOCK_RFC5322_MAX];
    size_t len = clock_emit_rfc5322(wall_us, date);
    mime_header_emit(out, name, slice_make(date, len));
}

static size_t count_of(const struct mime_dsn *d, enum mime_dsn_action action)
{
    size_t n = 0;
    for (size_t i = 0; i < d->rcpt_count; i++)
        n += d->rcpts[i].action == action;
    return n;
}

/* -- the message's own header */
static const char *encoding_of(const struct mime_dsn *d)
{
    return d->is_binary ? "binary" : d->has_8bit || d->utf8 ? "8bit" : "7bit";
}

static const char *status_type(const struct mime_dsn *d)
{
    return d->utf8 ? "global-delivery-status" : "delivery-status"; /* RFC 6533 4.2 */
}

static void add_boundary(const struct mime_dsn *d, struct str *out)
{
    str_add_cstr(out, "=_");
    str_add_slice(out, d->unique);
}

static void add_delimiter(const struct mime_dsn *d, struct str *out)
{
    str_add_cstr(out, "\r\n--");
    add_boundary(d, out);
    str_add_cstr(out, "\r\n");
}

static void add_path_field(const struct mime_dsn *d, struct str *out, const char *name, const char *phrase,
                           struct slice local, struct slice domain)
{
    struct str value;
    str_init(&value, 0);
    str_add_cstr(&value, phrase);
    str_add_byte(&value, '<');
    add_text(d, &value, local);
    if (domain.len) {
        str_add_byte(&value, '@');
        add_text(d, &value, domain);
    }
    str_add_byte(&value, '>');
    mime_header_emit(out, name, str_slice(&value));
    str_fini(&value);
}

static void emit_fields(const struct mime_dsn *d, struct str *out)
{
    add_date(out, "Date", d->now_us);
    add_path_field(d, out, "From", "Mail Delivery Subsystem ", SLICE_LIT("mailer-daemon"), d->hostname);
    add_path_field(d, out, "To", "", d->to, (struct slice){0});
    str_addf(out, "Subject: %s\r\n",
             count_of(d, MIME_DSN_FAILED) ? "Your message was not delivered" : "Your message is delayed");
    add_path_field(d, out, "Message-ID", "", d->unique, d->hostname);
    str_add_cstr(out, "Auto-Submitted: auto-replied\r\n"); /* RFC 3834 3.1.7 */
    str_add_cstr(out, "MIME-Version: 1.0\r\n");
    /* RFC 6522 3: report-type is the subtype of the second part. */
    str_addf(out, "Content-Type: multipart/report; report-type=%s;\r\n boundary=\"", status_type(d));
    add_boundary(d, out);
    str_addf(out, "\"\r\nContent-Transfer-Encoding: %s\r\n\r\n", encoding_of(d));
    str_add_cstr(out, "This is a report about the delivery of a message, in MIME format.\r\n");
}

/* -- text/plain */
static void add_recipient_text(const struct mime_dsn *d, const struct mime_dsn_rcpt *r, struct str *out)
{
    bool is_other = r->original.len && !slice_ieq(r->original, r->address);
    str_add_cstr(out, "\r\n  <");
    add_text(d, out, is_other ? r->original : r->address);
    str_add_cstr(out, ">\r\n");
    if (is_other) {
        str_add_cstr(out, "    which leads to <");
        add_text(d, out, r->address);
        str_add_cstr(out, ">\r\n");
    }
    add_wrapped(d, out, r->reason, "    ");
}

static void add_recipients_text(const struct mime_dsn *d, enum mime_dsn_action action, struct str *out)
{
    for (size_t i = 0; i < d->rcpt_count; i++)
        if (d->rcpts[i].action == action)
            add_recipient_text(d, &d->rcpts[i], out);
}

static void emit_delayed_text(const struct mime_dsn *d, struct str *out)
{
    char date[CLOCK_RFC5322_MAX];
    str_add_cstr(out, "\r\nIt has not been delivered YET to:\r\n");
    add_recipients_text(d, MIME_DSN_DELAYED, out);
    str_add_cstr(out, "\r\nThis is a warning only. There is no need to send the message again:\r\n"
                      "delivery goes on to be tried");
    if (d->until_us) {
        clock_emit_rfc5322(d->until_us, date);
        str_addf(out, " until\r\n%s", date);
    }
    str_add_cstr(out, ".\r\n");
}

static void emit_text(const struct mime_dsn *d, struct str *out)
{
    static const char *const behind[] = {
        [MIME_DSN_NOTHING] = "the message itself cannot be shown",
        [MIME_DSN_HEADERS] = "then the header of the message",
        [MIME_DSN_FULL] = "then the message itself",
    };
    char date[CLOCK_RFC5322_MAX];
    clock_emit_rfc5322(d->arrival_us, date);
    add_delimiter(d, out);
    str_addf(out, "Content-Type: text/plain; charset=%s\r\nContent-Transfer-Encoding: %s\r\n\r\n",
             d->utf8 ? "utf-8" : "us-ascii", d->utf8 ? "8bit" : "7bit");
    str_add_cstr(out, "This is the mail system of ");
    add_text(d, out, d->hostname);
    str_addf(out, ".\r\n\r\nIt took a message of yours on\r\n%s.\r\n", date);
    if (count_of(d, MIME_DSN_FAILED)) {
        str_add_cstr(out, "\r\nIt could NOT be delivered to:\r\n");
        add_recipients_text(d, MIME_DSN_FAILED, out);
        str_add_cstr(out, "\r\nThat is final: delivery to them is not tried again.\r\n");
    }
    if (count_of(d, MIME_DSN_DELAYED))
        emit_delayed_text(d, out);
    str_addf(out, "\r\nWhat follows is for mail programs, and %s.\r\n", behind[d->returned]);
    if (d->trace.len) {
        str_add_cstr(out, "When you ask the postmaster about it, name this id: ");
        add_text(d, out, d->trace);
        str_add_cstr(out, "\r\n");
    }
}

/* -- message/delivery-status */
static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* RFC 3463 code in front of the reason: its length, 0 when there is none. */
static size_t code_len(struct slice reason)
{
    size_t n = 1, dots = 0;
    if (reason.len < 5 || reason.ptr[1] != '.' || (reason.ptr[0] != '4' && reason.ptr[0] != '5'))
        return 0;
    for (; n < reason.len && (is_digit(reason.ptr[n]) || reason.ptr[n] == '.'); n++) {
        dots += reason.ptr[n] == '.';
        if (reason.ptr[n] == '.' && (n + 1 == reason.len || !is_digit(reason.ptr[n + 1])))
            return 0;
    }
    bool ends = n == reason.len || reason.ptr[n] == ' ';
    return dots == 2 && n <= 9 && ends ? n : 0; /* RFC 3463 2: three digits a number */
}

static int hex_value(uint8_t c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1; /* RFC 6533 3: HEXPOINT is in capitals */
}

/* RFC 6533 3: "\x{1F4E7}" of the forms that are safe in SMTP becomes the character itself. */
static void add_unembedded(const struct mime_dsn *d, struct str *out, struct slice s)
{
    struct str plain;
    str_init(&plain, 0);
    for (size_t i = 0; i < s.len; i++) {
        uint32_t code = 0;
        size_t n = i + 3, digits = 0;
        if (slice_has_prefix(slice_sub(s, i, SIZE_MAX), SLICE_LIT("\\x{"))) {
            int value;
            for (; n < s.len && digits < 6 && (value = hex_value(s.ptr[n])) >= 0; n++, digits++)
                code = code * 16 + (uint32_t)value;
            if (digits >= 2 && n < s.len && s.ptr[n] == '}') {
                utf8_add(&plain, code);
                i = n;
                continue;
            }
        }
        str_add_byte(&plain, s.ptr[i]);
    }
    add_text(d, out, str_slice(&plain));
    str_fini(&plain);
}

/* "type; address". A field of a status part is not folded inside an address: it is below 998 bytes anyway. */
static void add_original(const struct mime_dsn *d, struct str *out, struct slice orcpt)
{
    ssize_t semicolon = slice_find_byte(orcpt, ';');
    if (semicolon <= 0)
        return;
    struct slice type = slice_sub(orcpt, 0, (size_t)semicolon);
    struct slice address = slice_sub(orcpt, (size_t)semicolon + 1, SIZE_MAX);
    str_add_cstr(out, "Original-Recipient: ");
    add_text(d, out, type);
    str_add_byte(out, ';');
    if (d->utf8 && slice_ieq_cstr(type, "utf-8"))
        add_unembedded(d, out, address);
    else
        add_text(d, out, address);
    str_add_cstr(out, "\r\n");
}

static void emit_recipient(const struct mime_dsn *d, const struct mime_dsn_rcpt *r, struct str *out)
{
    size_t code = code_len(r->reason);
    bool failed = r->action == MIME_DSN_FAILED;
    struct str diagnostic;
    str_add_cstr(out, "\r\n");
    add_original(d, out, r->orcpt);
    str_addf(out, "Final-Recipient: %s;", d->utf8 && !is_ascii(r->address) ? "utf-8" : "rfc822");
    add_text(d, out, r->address);
    str_addf(out, "\r\nAction: %s\r\nStatus: ", failed ? "failed" : "delayed"); /* RFC 3464 2.3.3, 2.3.4 */
    if (code)
        str_add_slice(out, slice_sub(r->reason, 0, code));
    else
        str_add_cstr(out, failed ? "5.0.0" : "4.0.0");
    str_add_cstr(out, "\r\n");
    str_init(&diagnostic, 0);
    str_add_cstr(&diagnostic, "x-mailserverd; ");
    add_text(&(struct mime_dsn){.utf8 = false}, &diagnostic, r->reason);
    mime_header_emit(out, "Diagnostic-Code", str_slice(&diagnostic));
    str_fini(&diagnostic);
    if (d->tried_us)
        add_date(out, "Last-Attempt-Date", d->tried_us);
    if (!failed && d->until_us)
        add_date(out, "Will-Retry-Until", d->until_us);
}

static void emit_status(const struct mime_dsn *d, struct str *out)
{
    add_delimiter(d, out);
    str_addf(out, "Content-Type: message/%s\r\n", status_type(d));
    if (d->utf8)
        str_add_cstr(out, "Content-Transfer-Encoding: 8bit\r\n");
    str_add_cstr(out, "\r\n");
    if (d->envid.len) {
        str_add_cstr(out, "Original-Envelope-Id: ");
        add_text(&(struct mime_dsn){.utf8 = false}, out, d->envid);
        str_add_cstr(out, "\r\n");
    }
    str_add_cstr(out, "Reporting-MTA: dns;");
    add_text(d, out, d->hostname);
    str_add_cstr(out, "\r\n");
    add_date(out, "Arrival-Date", d->arrival_us);
    for (size_t i = 0; i < d->rcpt_count; i++)
        emit_recipient(d, &d->rcpts[i], out);
}

/* -- what is returned */
static const char *returned_type(const struct mime_dsn *d)
{
    if (d->returned == MIME_DSN_FULL)
        return d->utf8 ? "message/global" : "message/rfc822";
    return d->utf8 ? "message/global-headers" : "text/rfc822-headers";
}

void mime_dsn_emit_head(const struct mime_dsn *d, struct str *out)
{
    emit_fields(d, out);
    emit_text(d, out);
    emit_status(d, out);
    if (d->returned == MIME_DSN_NOTHING)
        return;
    add_delimiter(d, out);
    str_addf(out, "Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n", returned_type(d),
             encoding_of(d));
}

void mime_dsn_emit_tail(const struct mime_dsn *d, struct str *out)
{
    str_add_cstr(out, "\r\n--");
    add_boundary(d, out);
    str_add_cstr(out, "--\r\n");
}
