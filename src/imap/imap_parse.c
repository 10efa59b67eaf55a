/*
 * imap_parse.c - tokens of a collected command. RFC 3501 9; names of productions in the comments.
 *
 * Results are copied to the arena. Strings may hold UTF-8 in quotes (RFC 9051 4.3): many clients of rev1 send
 * passwords so.
 */
#include "ms/base/codec.h"
#include "imap_priv.h"

void imap_rd_init(struct imap_rd *rd, struct slice text, struct arena *arena, bool utf8)
{
    static const uint8_t nothing[1];
    const uint8_t *ptr = text.ptr ? text.ptr : nothing;

    *rd = (struct imap_rd){.ptr = ptr, .end = ptr + text.len, .arena = arena, .utf8 = utf8};
}

enum ms_err imap_rd_fail(struct imap_rd *rd, enum ms_err err, const char *reason)
{
    if (!rd->reason)
        rd->reason = reason;
    return err;
}

bool imap__is_astring_char(uint8_t c)
{
    return c > ' ' && c < 0x7f && !strchr("(){%*\"\\", c);
}

bool imap__is_atom_char(uint8_t c)
{
    return c != ']' && imap__is_astring_char(c);
}

void *imap__alloc(struct imap_rd *rd, size_t bytes)
{
    void *ptr = arena_try_alloc(rd->arena, bytes);

    if (!ptr)
        (void)imap_rd_fail(rd, MS_ELIMIT, "Command needs too much memory");
    return ptr;
}

enum ms_err imap__dup(struct imap_rd *rd, struct slice s, struct slice *out)
{
    uint8_t *copy = imap__alloc(rd, s.len + 1);

    if (!copy)
        return MS_ELIMIT;
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    *out = slice_make(copy, s.len);
    return MS_OK;
}

enum ms_err imap_rd_end(struct imap_rd *rd)
{
    return imap_rd_at_end(rd) ? MS_OK : imap_rd_fail(rd, MS_ESYNTAX, "Unexpected text behind the arguments");
}

enum ms_err imap_rd_sp(struct imap_rd *rd)
{
    return imap_rd_skip(rd, ' ') ? MS_OK : imap_rd_fail(rd, MS_ESYNTAX, "Blank expected");
}

enum ms_err imap_rd_byte(struct imap_rd *rd, uint8_t byte)
{
    if (imap_rd_skip(rd, byte))
        return MS_OK;
    return imap_rd_fail(rd, MS_ESYNTAX,
                        byte == '(' || byte == ')' ? "Parenthesis expected" : "Bad character");
}

bool imap_rd_skip(struct imap_rd *rd, uint8_t byte)
{
    if (imap_rd_peek(rd) != byte)
        return false;
    rd->ptr++;
    return true;
}

static struct slice rd_run(struct imap_rd *rd, bool (*is_char)(uint8_t))
{
    const uint8_t *start = rd->ptr;

    while (rd->ptr < rd->end && is_char(*rd->ptr))
        rd->ptr++;
    return slice_make(start, (size_t)(rd->ptr - start));
}

bool imap_rd_skip_word(struct imap_rd *rd, const char *word)
{
    const uint8_t *start = rd->ptr;

    if (slice_ieq_cstr(rd_run(rd, imap__is_atom_char), word))
        return true;
    rd->ptr = start;
    return false;
}

unsigned imap__word_bit(const struct imap__word *words, struct slice name)
{
    for (; words->name; words++)
        if (slice_ieq_cstr(name, words->name))
            return words->bit;
    return 0;
}

enum ms_err imap__rd_word(struct imap_rd *rd, struct slice *out)
{
    *out = rd_run(rd, imap__is_atom_char);
    return out->len ? MS_OK : imap_rd_fail(rd, MS_ESYNTAX, "Atom expected");
}

enum ms_err imap_rd_atom(struct imap_rd *rd, struct slice *out)
{
    struct slice word;

    MS_TRY(imap__rd_word(rd, &word));
    return imap__dup(rd, word, out);
}

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE */
static enum ms_err rd_quoted(struct imap_rd *rd, struct slice *out)
{
    const uint8_t *start = ++rd->ptr;
    uint8_t *copy;
    size_t len = 0;

    while (rd->ptr < rd->end && *rd->ptr != '"') {
        if (*rd->ptr == '\\' && ++rd->ptr < rd->end && *rd->ptr != '"' && *rd->ptr != '\\')
            return imap_rd_fail(rd, MS_ESYNTAX, "Only quote and backslash may follow a backslash");
        if (rd->ptr == rd->end || *rd->ptr == '\r' || *rd->ptr == '\n' || *rd->ptr == 0)
            return imap_rd_fail(rd, MS_ESYNTAX, "Bad character in a quoted string");
        rd->ptr++;
    }
    if (rd->ptr == rd->end)
        return imap_rd_fail(rd, MS_ESYNTAX, "Quoted string without end");
    copy = imap__alloc(rd, (size_t)(rd->ptr - start) + 1);
    if (!copy)
        return MS_ELIMIT;
    for (const uint8_t *p = start; p < rd->ptr; p++) {
        if (*p == '\\')
            p++;
        copy[len++] = *p;
    }
    rd->ptr++;
    *out = slice_make(copy, len);
    return utf8_is_valid(*out) ? MS_OK : imap_rd_fail(rd, MS_ESYNTAX, "Quoted string is not UTF-8");
}

bool imap__literal_at_end(struct slice line, size_t *head_out, uint64_t *bytes_out, bool *sync_out)
{
    size_t i = line.len;
    size_t digits_end;
    uint64_t bytes = 0;

    if (i < 3 || line.ptr[--i] != '}')
        return false;
    *sync_out = line.ptr[i - 1] != '+';
    if (!*sync_out)
        i--;
    digits_end = i;
    while (i > 0 && ms_ascii_is_digit(line.ptr[i - 1]))
        i--;
    if (i == 0 || line.ptr[i - 1] != '{' || i == digits_end || digits_end - i > 20)
        return false;
    if (slice_to_u64(slice_make(line.ptr + i, digits_end - i), INT64_MAX, &bytes))
        bytes = UINT64_MAX;
    *bytes_out = bytes;
    *head_out = i - 1;
    return true;
}

/* literal = "{" number ["+"] "}" CRLF *CHAR8 (RFC 7888 8) */
static enum ms_err rd_literal(struct imap_rd *rd, struct slice *out)
{
    const uint8_t *lf = memchr(rd->ptr, '\n', (size_t)(rd->end - rd->ptr));
    struct slice head;
    size_t at;
    uint64_t bytes;
    bool sync;

    if (!lf || lf - rd->ptr < 2 || lf[-1] != '\r')
        return imap_rd_fail(rd, MS_ESYNTAX, "Bad literal");
    head = slice_make(rd->ptr, (size_t)(lf - 1 - rd->ptr));
    if (!imap__literal_at_end(head, &at, &bytes, &sync) || at != 0 || bytes > (uint64_t)(rd->end - lf - 1))
        return imap_rd_fail(rd, MS_ESYNTAX, "Bad literal");
    rd->ptr = lf + 1 + bytes;
    if (memchr(lf + 1, 0, (size_t)bytes))
        return imap_rd_fail(rd, MS_ESYNTAX, "NUL is not allowed");
    return imap__dup(rd, slice_make(lf + 1, (size_t)bytes), out);
}

enum ms_err imap_rd_string(struct imap_rd *rd, struct slice *out)
{
    if (imap_rd_peek(rd) == '"')
        return rd_quoted(rd, out);
    if (imap_rd_peek(rd) == '{')
        return rd_literal(rd, out);
    return imap_rd_fail(rd, MS_ESYNTAX, "String expected");
}

static enum ms_err rd_string_or_run(struct imap_rd *rd, bool (*is_char)(uint8_t), struct slice *out)
{
    struct slice word;

    if (imap_rd_peek(rd) == '"' || imap_rd_peek(rd) == '{')
        return imap_rd_string(rd, out);
    word = rd_run(rd, is_char);
    if (!word.len)
        return imap_rd_fail(rd, MS_ESYNTAX, "String or atom expected");
    return imap__dup(rd, word, out);
}

enum ms_err imap_rd_astring(struct imap_rd *rd, struct slice *out)
{
    return rd_string_or_run(rd, imap__is_astring_char, out);
}

enum ms_err imap_rd_nstring(struct imap_rd *rd, struct slice *out, bool *nil_out)
{
    *nil_out = imap_rd_skip_word(rd, "NIL");
    if (!*nil_out)
        return imap_rd_string(rd, out);
    *out = slice_make(NULL, 0);
    return MS_OK;
}

static enum ms_err rd_number_max(struct imap_rd *rd, uint64_t max, uint64_t *out)
{
    const uint8_t *start = rd->ptr;

    while (rd->ptr < rd->end && ms_ascii_is_digit(*rd->ptr))
        rd->ptr++;
    if (slice_to_u64(slice_make(start, (size_t)(rd->ptr - start)), max, out))
        return imap_rd_fail(rd, MS_ESYNTAX, rd->ptr == start ? "Number expected" : "Number too large");
    return MS_OK;
}

enum ms_err imap_rd_number(struct imap_rd *rd, uint32_t *out)
{
    uint64_t value;

    MS_TRY(rd_number_max(rd, UINT32_MAX, &value));
    *out = (uint32_t)value;
    return MS_OK;
}

enum ms_err imap_rd_nz_number(struct imap_rd *rd, uint32_t *out)
{
    MS_TRY(imap_rd_number(rd, out));
    return *out ? MS_OK : imap_rd_fail(rd, MS_ESYNTAX, "Number must not be zero");
}

enum ms_err imap_rd_number64(struct imap_rd *rd, uint64_t *out)
{
    return rd_number_max(rd, INT64_MAX, out);
}

/* ---- mailbox names ---- */

static bool is_list_char(uint8_t c)
{
    return c == '%' || c == '*' || imap__is_astring_char(c);
}

static enum ms_err mailbox_check(struct imap_rd *rd, struct slice name)
{
    if (name.len > IMAP_MAILBOX_MAX)
        return imap_rd_fail(rd, MS_ELIMIT, "Mailbox name too long");
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] < ' ' || name.ptr[i] == 0x7f)
            return imap_rd_fail(rd, MS_EINVAL, "Control character in a mailbox name");
    return MS_OK;
}

/* From the wire's encoding to UTF-8, in the arena. */
static enum ms_err mailbox_decode(struct imap_rd *rd, struct slice *name)
{
    struct str utf8;
    enum ms_err err;

    if (rd->utf8 && !utf8_is_valid(*name)) /* RFC 6855 3 */
        return imap_rd_fail(rd, MS_EINVAL, "Mailbox name is not UTF-8");
    if (rd->utf8 || slice_find_byte(*name, '&') < 0) {
        for (size_t i = 0; !rd->utf8 && i < name->len; i++)
            if (name->ptr[i] >= 0x80)
                return imap_rd_fail(rd, MS_EINVAL, "Mailbox name is not modified UTF-7");
        return mailbox_check(rd, *name);
    }
    str_init(&utf8, 4 * IMAP_LINE_MAX);
    if (utf7imap_parse(*name, &utf8)) /* RFC 3501 5.1.3 */
        err = imap_rd_fail(rd, MS_EINVAL, "Mailbox name is not modified UTF-7");
    else
        err = mailbox_check(rd, str_slice(&utf8));
    if (!err)
        err = imap__dup(rd, str_slice(&utf8), name);
    str_fini(&utf8);
    return err;
}

enum ms_err imap__rd_reference(struct imap_rd *rd, struct slice *out)
{
    MS_TRY(imap_rd_astring(rd, out));
    MS_TRY(mailbox_decode(rd, out));
    if (slice_ieq_cstr(*out, "INBOX")) /* RFC 3501 5.1 */
        *out = SLICE_LIT("INBOX");
    return MS_OK;
}

enum ms_err imap_rd_mailbox(struct imap_rd *rd, struct slice *out)
{
    MS_TRY(imap__rd_reference(rd, out));
    return out->len ? MS_OK : imap_rd_fail(rd, MS_EINVAL, "Mailbox name is empty");
}

enum ms_err imap_rd_list_mailbox(struct imap_rd *rd, struct slice *out)
{
    MS_TRY(rd_string_or_run(rd, is_list_char, out));
    return mailbox_decode(rd, out);
}

/* ---- flags ---- */

static const struct imap__word flag_words[] = {
    {"Answered", IMAP_FLAG_ANSWERED}, {"Flagged", IMAP_FLAG_FLAGGED}, {"Deleted", IMAP_FLAG_DELETED},
    {"Seen", IMAP_FLAG_SEEN},         {"Draft", IMAP_FLAG_DRAFT},     {NULL, 0},
};

static enum ms_err flag_keyword(struct imap_rd *rd, struct slice word, struct slice *keywords,
                                uint32_t *count)
{
    if (word.len > IMAP_FLAG_BYTES_MAX)
        return imap_rd_fail(rd, MS_ELIMIT, "Keyword too long");
    for (uint32_t i = 0; i < *count; i++)
        if (slice_ieq(keywords[i], word)) /* RFC 3501 2.3.2, RFC 5788: keywords are case-insensitive */
            return MS_OK;
    if (*count == IMAP_FLAGS_MAX)
        return imap_rd_fail(rd, MS_ELIMIT, "Too many keywords");
    return imap__dup(rd, word, &keywords[(*count)++]);
}

/* flag *(SP flag), up to what is no flag; nothing at all is an empty list. */
static enum ms_err rd_flags(struct imap_rd *rd, struct imap_flags *out)
{
    struct slice keywords[IMAP_FLAGS_MAX];
    uint32_t count = 0;

    *out = (struct imap_flags){.system = 0};
    while (imap_rd_peek(rd) == '\\' || imap_rd_peek(rd) > ' ') {
        bool system = imap_rd_skip(rd, '\\');
        struct slice word;
        unsigned bit;

        MS_TRY(imap__rd_word(rd, &word));
        bit = system ? imap__word_bit(flag_words, word) : 0;
        if (system && !bit) /* RFC 3501 2.3.2: \Recent cannot be altered either */
            return imap_rd_fail(rd, MS_EINVAL, "System flag unknown or not to be set by clients");
        out->system |= bit;
        if (!system)
            MS_TRY(flag_keyword(rd, word, keywords, &count));
        if (imap_rd_peek(rd) != ' ')
            break;
        rd->ptr++;
        if (imap_rd_at_end(rd) || imap_rd_peek(rd) == ')')
            return imap_rd_fail(rd, MS_ESYNTAX, "Flag expected");
    }
    if (count) {
        out->keywords = imap__alloc(rd, count * sizeof *keywords);
        if (!out->keywords)
            return MS_ELIMIT;
        memcpy(out->keywords, keywords, count * sizeof *keywords);
        out->count = count;
    }
    return MS_OK;
}

enum ms_err imap_rd_flag_list(struct imap_rd *rd, struct imap_flags *out)
{
    MS_TRY(imap_rd_byte(rd, '('));
    if (imap_rd_skip(rd, ')')) {
        *out = (struct imap_flags){.system = 0};
        return MS_OK;
    }
    MS_TRY(rd_flags(rd, out));
    return imap_rd_byte(rd, ')');
}

enum ms_err imap__rd_bare_flags(struct imap_rd *rd, struct imap_flags *out)
{
    if (imap_rd_at_end(rd))
        return imap_rd_fail(rd, MS_ESYNTAX, "Flag expected");
    return rd_flags(rd, out);
}
