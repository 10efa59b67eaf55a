/*
 * maildrop_header.c - the header of a message on its way in: where it ends, who its recipients are
 * (sendmail -t), and what the server adds to it.
 */
#include "ms/maildrop.h"

#include "ms/base/clock.h"
#include "ms/mime.h"

/* RFC 4155: the line with which mbox files separate messages is no field; programs that read one pass it
 * on. */
static size_t mbox_line(struct slice bytes)
{
    if (!slice_has_prefix(bytes, SLICE_LIT("From ")))
        return 0;
    ssize_t lf = slice_find_byte(bytes, '\n');
    return lf < 0 ? bytes.len : (size_t)lf + 1;
}

static bool first_line_is_known(struct slice bytes)
{
    return bytes.len > 0 && slice_find_byte(bytes, '\n') >= 0;
}

enum ms_err maildrop_header_end(struct slice bytes, bool at_end, size_t *bytes_out)
{
    struct mime_header_iter it;
    struct mime_header_field field;
    *bytes_out = 0;
    if (!at_end && !first_line_is_known(bytes))
        return MS_EMORE;
    size_t begin = mbox_line(bytes);
    struct slice rest = slice_sub(bytes, begin, bytes.len);
    if (!at_end && !first_line_is_known(rest))
        return MS_EMORE;
    mime_header_iter_init(&it, rest);
    if (!mime_header_next(&it, &field)) {
        *bytes_out = begin + it.at; /* an empty line, or no header */
        return MS_OK;
    }
    ssize_t blank = slice_find(rest, SLICE_LIT("\r\n\r\n"));
    if (blank < 0 && !at_end)
        return MS_EMORE;
    *bytes_out = blank < 0 ? bytes.len : begin + (size_t)blank + 4;
    return MS_OK;
}

/* -- addresses */

/* local@domain in wire form, checked; a domain may be missing. */
static enum ms_err make_address(struct slice local, struct slice domain, struct arena *a, struct slice *out)
{
    struct smtp_path path;
    enum smtp_fault fault;
    struct str text;
    bool qualified = domain.len > 0;
    if (local.len == 0 || local.len > MAILDROP_ADDRESS_MAX || domain.len > SMTP_DOMAIN_MAX)
        return MS_ESYNTAX;
    str_init(&text, 0);
    smtp_mailbox_emit(&text, local, qualified ? domain : SLICE_LIT("x"));
    enum ms_err err = smtp_mailbox_parse(str_slice(&text), true, a, &path, &fault);
    if (!err)
        *out = qualified ? path.address : slice_sub(path.address, 0, path.address.len - 2);
    str_fini(&text);
    return err ? MS_ESYNTAX : MS_OK;
}

static enum ms_err add_rcpt(struct maildrop_rcpts *list, struct slice address)
{
    for (size_t i = 0; i < list->count; i++)
        if (slice_eq(list->items[i].address, address))
            return MS_OK; /* named in To and in Cc: one copy */
    if (list->count == MAILDROP_RCPTS_MAX)
        return MS_ELIMIT;
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 8;
        list->items = ms_realloc_array(list->items, list->cap, sizeof *list->items);
    }
    list->items[list->count++] = (struct maildrop_rcpt){.address = address};
    return MS_OK;
}

void maildrop_rcpts_fini(struct maildrop_rcpts *list)
{
    ms_free(list->items);
    *list = (struct maildrop_rcpts){0};
}

enum ms_err maildrop_recipients_parse(struct slice text, struct arena *a, struct maildrop_rcpts *list,
                                      struct slice *bad_out)
{
    struct mime_addresses found = {0};
    struct slice address;
    mime_address_parse(text, a, &found);
    if (found.is_cut)
        return MS_ELIMIT;
    for (const struct mime_address *m = found.first; m; m = m->next) {
        if (m->kind != MIME_ADDR_MAILBOX)
            continue;
        if (make_address(m->mailbox, m->host, a, &address) != MS_OK) {
            *bad_out = slice_trim(text);
            return MS_ESYNTAX;
        }
        MS_TRY(add_rcpt(list, address));
    }
    return MS_OK;
}

enum ms_err maildrop_address_parse(struct slice text, struct arena *a, struct slice *out)
{
    struct mime_addresses found = {0};
    text = slice_trim(text);
    *out = SLICE_LIT("");
    if (text.len == 0 || slice_eq_cstr(text, "<>"))
        return MS_OK;
    mime_address_parse(text, a, &found);
    if (found.count != 1 || found.first->kind != MIME_ADDR_MAILBOX)
        return MS_ESYNTAX;
    return make_address(found.first->mailbox, found.first->host, a, out);
}

/* -- sendmail -t */

static bool is_named(struct slice name, const char *const *names)
{
    for (; *names; names++)
        if (slice_ieq_cstr(name, *names))
            return true;
    return false;
}

/* RFC 5322 3.6.6: a message that is sent again goes to the Resent- recipients. */
static bool is_resent(struct slice header)
{
    struct mime_header_iter it;
    struct mime_header_field field;
    mime_header_iter_init(&it, header);
    while (mime_header_next(&it, &field))
        if (slice_has_iprefix(field.name, SLICE_LIT("resent-")))
            return true;
    return false;
}

enum ms_err maildrop_header_recipients(struct slice header, struct arena *a, struct maildrop_rcpts *list,
                                       struct str *out, struct slice *bad_out)
{
    static const char *const plain[] = {"to", "cc", "bcc", NULL};
    static const char *const resent[] = {"resent-to", "resent-cc", "resent-bcc", NULL};
    static const char *const hidden[] = {"bcc", "resent-bcc", NULL};
    struct mime_header_iter it;
    struct mime_header_field field;
    header = slice_sub(header, mbox_line(header), header.len);
    const char *const *wanted = is_resent(header) ? resent : plain;
    mime_header_iter_init(&it, header);
    while (mime_header_next(&it, &field)) {
        if (field.name.len > 0 && is_named(field.name, wanted))
            MS_TRY(maildrop_recipients_parse(field.value, a, list, bad_out));
        if (field.name.len == 0 || !is_named(field.name, hidden))
            str_add_slice(out, field.raw);
    }
    if (it.has_blank)
        str_add_cstr(out, "\r\n");
    return MS_OK;
}

/* -- what the server adds */

static void emit_received(const struct maildrop_fix *fix, struct str *out)
{
    char date[CLOCK_RFC5322_MAX];
    struct str value;
    str_init(&value, 0);
    str_addf(&value, "by " SLICE_FMT " (mailserverd, from userid %lu) id " SLICE_FMT "; ",
             SLICE_ARG(fix->hostname), (unsigned long)fix->uid, SLICE_ARG(fix->trace));
    str_add(&value, date, clock_emit_rfc5322(fix->wall_us, date));
    mime_header_emit(out, "Received", str_slice(&value));
    str_fini(&value);
}

/* RFC 5322 3.6.2: a message has an author. Without a sender it is the user who wrote the file. */
static void emit_from(const struct maildrop_fix *fix, struct str *out)
{
    struct str value;
    str_init(&value, 0);
    if (fix->full_name.len > 0)
        maildrop_phrase_emit(&value, fix->full_name, fix->smtputf8);
    if (value.len > 0)
        str_add_cstr(&value, " <");
    if (fix->sender.len > 0)
        str_add_slice(&value, fix->sender);
    else
        smtp_mailbox_emit(&value, fix->login.len ? fix->login : SLICE_LIT("MAILER-DAEMON"),
                          fix->default_domain);
    if (fix->full_name.len > 0)
        str_add_byte(&value, '>');
    mime_header_emit(out, "From", str_slice(&value));
    str_fini(&value);
}

static void emit_missing(const struct maildrop_fix *fix, bool from, bool date, bool id, struct str *out)
{
    char text[CLOCK_RFC5322_MAX];
    if (!from)
        emit_from(fix, out);
    if (!date)
        mime_header_emit(out, "Date", slice_make(text, clock_emit_rfc5322(fix->time_us, text)));
    if (!id) /* the time keeps it apart from those of a store that was made anew */
        str_addf(out, "Message-ID: <%llx." SLICE_FMT "@" SLICE_FMT ">\r\n", (unsigned long long)fix->time_us,
                 SLICE_ARG(fix->trace), SLICE_ARG(fix->hostname));
}

/* "by HOSTNAME" among the words in front of the date (RFC 5321 4.4). */
static bool is_by(struct slice received, struct slice hostname)
{
    struct slice word, rest = received;
    bool by = false;
    for (; rest.len > 0; by = slice_ieq_cstr(word, "by")) {
        size_t n = 0;
        while (n < rest.len && rest.ptr[n] > ' ' && rest.ptr[n] != ';')
            n++;
        word = slice_sub(rest, 0, n);
        rest = slice_sub(rest, n + 1, rest.len);
        if (by && n > 0)
            return slice_ieq(word, hostname);
        if (by && n == 0)
            word = SLICE_LIT("by"); /* blanks between */
    }
    return false;
}

void maildrop_header_fix(struct maildrop_fix *fix, struct slice header, struct str *out)
{
    struct mime_header_iter it;
    struct mime_header_field field;
    bool from = false, date = false, id = false;
    bool none = header.len == 0;
    emit_received(fix, out);
    header = slice_sub(header, mbox_line(header), header.len);
    mime_header_iter_init(&it, header);
    while (mime_header_next(&it, &field)) {
        str_add_slice(out, field.raw);
        from |= slice_ieq_cstr(field.name, "from");
        date |= slice_ieq_cstr(field.name, "date");
        id |= slice_ieq_cstr(field.name, "message-id");
        if (slice_ieq_cstr(field.name, "received")) {
            fix->received++;
            fix->own += is_by(field.value, fix->hostname);
        }
    }
    emit_missing(fix, from, date, id, out);
    if (it.has_blank || none)
        str_add_cstr(out, "\r\n"); /* without a header: keeps the text out of ours */
}
