/*
 * imap_emit.c - strings, names, flags, dates and sections as a client reads them. RFC 3501 4 and 9.
 */
#include "ms/base/clock.h"
#include "ms/base/codec.h"
#include "imap_priv.h"

/* What a byte means for a quoted string. RFC 3501 9: QUOTED-CHAR is 7-bit without CR, LF and NUL. */
enum { CHAR_ESCAPED = 1, CHAR_HIGH = 2, CHAR_NEVER = 4 };
static const uint8_t char_kinds[256] = {
    [0] = CHAR_NEVER,     ['\r'] = CHAR_NEVER,   ['\n'] = CHAR_NEVER,
    ['"'] = CHAR_ESCAPED, ['\\'] = CHAR_ESCAPED, [0x80 ... 0xff] = CHAR_HIGH,
};

static unsigned kinds_of(struct slice s)
{
    unsigned kinds = 0;

    for (size_t i = 0; i < s.len; i++)
        kinds |= char_kinds[s.ptr[i]];
    return kinds;
}

#define EACH_BYTE(c) ((uint64_t)0x0101010101010101 * (c))

/* Sets the top bit of some byte if any of the eight is one that char_kinds names, or a control below 14; the sums
 * may carry into a byte above such a one only. */
static uint64_t marks_of(uint64_t word)
{
    uint64_t quote = word ^ EACH_BYTE('"'), slash = word ^ EACH_BYTE('\\');
    uint64_t below = (word - EACH_BYTE(14)) | (quote - EACH_BYTE(1)) | (slash - EACH_BYTE(1));

    return (below | word) & EACH_BYTE(0x80);
}

/* Surely without a byte that char_kinds names; false: look closer. */
static bool is_plain(struct slice s)
{
    uint64_t marks = 0;
    size_t i = 0;

    if (s.len < 8)
        return kinds_of(s) == 0;
    for (; i + 8 <= s.len; i += 8)
        marks |= marks_of(ms_get_le64(s.ptr + i));
    return !(marks | marks_of(ms_get_le64(s.ptr + s.len - 8)));
}

static void emit_quoted(struct str *out, struct slice s, bool escapes)
{
    uint8_t *start = str_reserve(out, 2 * s.len + 2), *at = start;

    if (!start)
        return;
    *at++ = '"';
    if (!escapes && s.len) {
        memcpy(at, s.ptr, s.len);
        at += s.len;
    }
    for (size_t i = 0; escapes && i < s.len; i++) {
        if (char_kinds[s.ptr[i]] == CHAR_ESCAPED)
            *at++ = '\\';
        *at++ = s.ptr[i];
    }
    *at++ = '"';
    str_advance(out, (size_t)(at - start));
}

void imap_emit_literal_head(struct str *out, uint64_t bytes)
{
    str_add_byte(out, '{');
    str_add_u64(out, bytes);
    str_add_cstr(out, "}\r\n");
}

/* RFC 3501 4.3: a literal may hold anything but NUL, which is left out. */
static void emit_literal(struct str *out, struct slice s)
{
    size_t nuls = 0;

    for (size_t i = 0; i < s.len; i++)
        nuls += s.ptr[i] == 0;
    imap_emit_literal_head(out, s.len - nuls);
    if (!nuls) {
        str_add_slice(out, s);
        return;
    }
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i])
            str_add_byte(out, s.ptr[i]);
}

void imap__emit_after(struct str *out, uint8_t before, struct slice s)
{
    uint8_t *start, *at;

    if (s.len > IMAP_STRING_LITERAL_AT || !is_plain(s)) {
        str_add_byte(out, before);
        imap_emit_string(out, s);
        return;
    }
    start = at = str_reserve(out, s.len + 3);
    if (!at)
        return;
    *at++ = before;
    *at++ = '"';
    at = s.len ? mempcpy(at, s.ptr, s.len) : at;
    *at++ = '"';
    str_advance(out, (size_t)(at - start));
}

void imap__emit_nil_after(struct str *out, uint8_t before, struct slice s)
{
    uint8_t nil[] = {before, 'N', 'I', 'L'};

    if (s.ptr)
        imap__emit_after(out, before, s);
    else
        str_add(out, nil, sizeof(nil));
}

void imap_emit_string(struct str *out, struct slice s)
{
    unsigned kinds = s.len > IMAP_STRING_LITERAL_AT ? CHAR_NEVER : is_plain(s) ? 0 : kinds_of(s);

    if (kinds <= CHAR_ESCAPED)
        emit_quoted(out, s, kinds != 0);
    else
        emit_literal(out, s);
}

void imap_emit_nstring(struct str *out, struct slice s, bool nil)
{
    if (nil)
        str_add_cstr(out, "NIL");
    else
        imap_emit_string(out, s);
}

void imap_emit_astring(struct str *out, struct slice s)
{
    bool atom = s.len > 0 && s.len <= IMAP_STRING_LITERAL_AT && !slice_ieq_cstr(s, "NIL");

    for (size_t i = 0; atom && i < s.len; i++)
        atom = imap__is_astring_char(s.ptr[i]);
    if (atom)
        str_add_slice(out, s);
    else
        imap_emit_string(out, s);
}

void imap_emit_mailbox(struct str *out, struct slice utf8_name, bool utf8)
{
    struct str name;

    if (utf8) { /* RFC 6855 3: UTF-8 goes in quoted strings */
        unsigned kinds = kinds_of(utf8_name);
        if ((kinds & CHAR_HIGH) && !(kinds & CHAR_NEVER) && utf8_name.len <= IMAP_STRING_LITERAL_AT)
            emit_quoted(out, utf8_name, true);
        else
            imap_emit_astring(out, utf8_name);
        return;
    }
    str_init(&name, 0);
    if (utf7imap_emit(utf8_name, &name))
        imap_emit_astring(out, utf8_name); /* not UTF-8: a literal shows what there is */
    else
        imap_emit_astring(out, str_slice(&name));
    str_fini(&name);
}

void imap_emit_flags(struct str *out, unsigned system, const struct slice *keywords, size_t count)
{
    static const struct {
        unsigned bit;
        const char *text;
    } rows[] = {{IMAP_FLAG_ANSWERED, "\\Answered"}, {IMAP_FLAG_FLAGGED, "\\Flagged"},
                {IMAP_FLAG_DELETED, "\\Deleted"},   {IMAP_FLAG_SEEN, "\\Seen"},
                {IMAP_FLAG_DRAFT, "\\Draft"},       {IMAP_FLAG_RECENT, "\\Recent"}};
    const char *blank = "";

    str_add_byte(out, '(');
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        if (system & rows[i].bit) {
            str_add_cstr(out, blank);
            str_add_cstr(out, rows[i].text);
            blank = " ";
        }
    for (size_t i = 0; i < count; i++) {
        str_add_cstr(out, blank);
        str_add_slice(out, keywords[i]);
        blank = " ";
    }
    str_add_byte(out, ')');
}

static void put_two(char *at, unsigned n, char pad)
{
    at[0] = n < 10 ? pad : (char)('0' + n / 10 % 10);
    at[1] = (char)('0' + n % 10);
}

void imap_emit_date_time(struct str *out, int64_t unix_s, int zone_minutes)
{
    char text[29] = "\"dd-Mon-yyyy hh:mm:ss +zzzz\"";
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t local = unix_s + (int64_t)zone_minutes * 60;
    int64_t days = local / 86400;
    int64_t second = local % 86400;
    int64_t year;
    unsigned month;
    unsigned day;
    int zone = zone_minutes < 0 ? -zone_minutes : zone_minutes;

    if (second < 0) {
        second += 86400;
        days--;
    }
    clock_civil_from_days(days, &year, &month, &day);
    /* RFC 3501 9: four digits; a clock outside of them is shown at the bound. */
    year = MS_MAX(0, MS_MIN(year, 9999));
    text[0] = text[27] = '"';
    put_two(text + 1, day, ' ');
    memcpy(text + 4, months[month - 1], 3);
    put_two(text + 8, (unsigned)year / 100, '0');
    put_two(text + 10, (unsigned)year % 100, '0');
    put_two(text + 13, (unsigned)(second / 3600), '0');
    put_two(text + 16, (unsigned)(second / 60 % 60), '0');
    put_two(text + 19, (unsigned)(second % 60), '0');
    text[22] = zone_minutes < 0 ? '-' : '+';
    put_two(text + 23, (unsigned)zone / 60, '0');
    put_two(text + 25, (unsigned)zone % 60, '0');
    str_add(out, text, 28);
}

static void emit_section_text(struct str *out, const struct imap_section *s)
{
    static const char *const texts[] = {
        [IMAP_TEXT_ALL] = "",
        [IMAP_TEXT_HEADER] = "HEADER",
        [IMAP_TEXT_HEADER_FIELDS] = "HEADER.FIELDS",
        [IMAP_TEXT_HEADER_FIELDS_NOT] = "HEADER.FIELDS.NOT",
        [IMAP_TEXT_TEXT] = "TEXT",
        [IMAP_TEXT_MIME] = "MIME",
    };

    for (uint32_t i = 0; i < s->part_count; i++) {
        if (i)
            str_add_byte(out, '.');
        str_add_u64(out, s->parts[i]);
    }
    if (s->part_count && s->text != IMAP_TEXT_ALL)
        str_add_byte(out, '.');
    str_add_cstr(out, texts[s->text]);
    if (!s->field_count)
        return;
    for (uint32_t i = 0; i < s->field_count; i++) {
        str_add_cstr(out, i ? " " : " (");
        imap_emit_astring(out, s->fields[i]);
    }
    str_add_byte(out, ')');
}

void imap_emit_section(struct str *out, const struct imap_section *section)
{
    static const char *const names[] = {
        [IMAP_NAME_BODY] = "BODY",
        [IMAP_NAME_RFC822] = "RFC822",
        [IMAP_NAME_RFC822_HEADER] = "RFC822.HEADER",
        [IMAP_NAME_RFC822_TEXT] = "RFC822.TEXT",
        [IMAP_NAME_BINARY] = "BINARY",
        [IMAP_NAME_BINARY_SIZE] = "BINARY.SIZE",
    };
    bool legacy = section->name == IMAP_NAME_RFC822 || section->name == IMAP_NAME_RFC822_HEADER ||
                  section->name == IMAP_NAME_RFC822_TEXT;

    str_add_cstr(out, names[section->name]);
    if (legacy)
        return;
    str_add_byte(out, '[');
    emit_section_text(out, section);
    str_add_byte(out, ']');
    if (section->has_partial) { /* RFC 3501 7.4.2: only the origin is repeated */
        str_add_byte(out, '<');
        str_add_u64(out, section->partial_off);
        str_add_byte(out, '>');
    }
}
