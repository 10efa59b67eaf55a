/*
 * mime_emit.c - header fields that we write ourselves.
 *
 * Whatever a value holds, it stays inside its field: CR, LF and NUL become blanks before anything else
 * is looked at. A line is folded at the last blank before MIME_FOLD_COLUMN, or at the next one behind it
 * when there is none; a run of text without blanks is never cut.
 */
#include "mime_priv.h"

#include "ms/base/clock.h"

/* Bytes of the next word with the blanks in front of it. */
static size_t next_word(struct slice rest)
{
    size_t n = 0;

    while (n < rest.len && mime__is_blank(rest.ptr[n]))
        n++;
    while (n < rest.len && !mime__is_blank(rest.ptr[n]) && rest.ptr[n] != 0)
        n++;
    return n ? n : 1;
}

static void add_clean(struct str *out, struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.ptr[i];
        str_add_byte(out, c == '\r' || c == '\n' || c == 0 ? ' ' : c);
    }
}

void mime_header_emit(struct str *out, const char *name, struct slice value)
{
    size_t column = strlen(name) + 2;
    bool has_word = false; /* on this line; a line of blanks alone is not allowed (RFC 5322 3.2.2) */

    value = slice_trim(value);
    str_add_cstr(out, name);
    str_add_cstr(out, ": ");
    while (value.len > 0) {
        size_t n = next_word(value);

        if (has_word && column + n > MIME_FOLD_COLUMN && mime__is_blank(value.ptr[0])) {
            str_add_cstr(out, "\r\n");
            column = 0;
        }
        add_clean(out, slice_sub(value, 0, n));
        column += n;
        has_word = true;
        value = slice_sub(value, n, value.len);
    }
    str_add_cstr(out, "\r\n");
}

void mime_return_path_emit(struct str *out, struct slice reverse_path)
{
    str_add_cstr(out, "Return-Path: <");
    add_clean(out, reverse_path);
    str_add_cstr(out, ">\r\n");
}

/* RFC 5321 4.1.3 */
static void add_literal(struct str *out, struct slice addr)
{
    str_add_cstr(out, slice_find_byte(addr, ':') >= 0 ? "[IPv6:" : "[");
    str_add_slice(out, addr);
    str_add_byte(out, ']');
}

static void add_clause(struct str *out, const char *word, struct slice value, const char *before,
                       const char *after)
{
    if (value.len == 0)
        return;
    str_add_cstr(out, word);
    str_add_cstr(out, before);
    str_add_slice(out, value);
    str_add_cstr(out, after);
}

/* RFC 5321 4.4: "from" names what the client said, and in a comment what we know. */
static void add_from(struct str *out, const struct mime_received *r)
{
    if (r->helo.len == 0 && r->peer_addr.len == 0)
        return;
    str_add_cstr(out, "from ");
    if (r->helo.len > 0)
        str_add_slice(out, r->helo);
    else
        add_literal(out, r->peer_addr);
    if (r->peer_addr.len > 0) {
        str_add_cstr(out, " (");
        if (r->peer_name.len > 0) {
            str_add_slice(out, r->peer_name);
            str_add_byte(out, ' ');
        }
        add_literal(out, r->peer_addr);
        str_add_byte(out, ')');
    }
    str_add_byte(out, ' ');
}

void mime_received_emit(struct str *out, const struct mime_received *r)
{
    char date[CLOCK_RFC5322_MAX];
    struct str line;

    str_init(&line, 0);
    add_from(&line, r);
    add_clause(&line, "by", r->by, " ", " ");
    add_clause(&line, "with", r->with, " ", " ");
    add_clause(&line, "(", r->tls, "", ") ");
    add_clause(&line, "id", r->id, " ", " ");
    add_clause(&line, "for", r->for_path, " <", "> ");
    if (line.len > 0) /* the semicolon stands behind the last clause */
        str_cut(&line, line.len - 1);
    str_add_cstr(&line, "; ");
    str_add(&line, date, clock_emit_rfc5322(r->wall_us, date));
    mime_header_emit(out, "Received", str_slice(&line));
    str_fini(&line);
}
