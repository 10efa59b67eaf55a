/*
 * import_json.c - one flat JSON object (RFC 8259) as a row of fields. Strict: known keys, each once; nothing
 * nested but the array of a list; valid UTF-8; no lone surrogates, no NUL; nothing behind the object.
 */
#include "import.h"

#include "ms/base/codec.h"

struct json {
    struct slice in; /* what is not read yet */
    struct arena *arena;
    struct ms_errinfo *why;
};

static enum ms_err bad(struct json *j, const char *text)
{
    return ms_fail(j->why, MS_ESYNTAX, "%s", text);
}

static uint8_t peek(const struct json *j)
{
    return j->in.len ? j->in.ptr[0] : 0;
}

static void skip(struct json *j, size_t n)
{
    j->in = slice_sub(j->in, n, SIZE_MAX);
}

static void skip_blanks(struct json *j)
{
    while (peek(j) == ' ' || peek(j) == '\t' || peek(j) == '\r' || peek(j) == '\n')
        skip(j, 1);
}

static bool take(struct json *j, uint8_t c)
{
    skip_blanks(j);
    if (j->in.len == 0 || j->in.ptr[0] != c)
        return false;
    skip(j, 1);
    return true;
}

/* Four hex digits at the start of what is left. */
static bool hex4(struct json *j, uint32_t *out)
{
    if (j->in.len < 4)
        return false;
    *out = 0;
    for (size_t i = 0; i < 4; i++) {
        uint8_t c = ms_ascii_lower(j->in.ptr[i]);
        if (!ms_ascii_is_digit(c) && (c < 'a' || c > 'f'))
            return false;
        *out = *out * 16 + (c <= '9' ? c - '0' : c - 'a' + 10u);
    }
    skip(j, 4);
    return true;
}

static enum ms_err unicode_escape(struct json *j, struct str *out)
{
    uint32_t c, low;
    if (!hex4(j, &c))
        return bad(j, "\\u without four hex digits");
    if (c == 0)
        return bad(j, "a NUL");
    if (c >= 0xd800 && c < 0xdc00) {
        if (j->in.len < 2 || memcmp(j->in.ptr, "\\u", 2) != 0)
            return bad(j, "half a surrogate pair");
        skip(j, 2);
        if (!hex4(j, &low) || low < 0xdc00 || low > 0xdfff)
            return bad(j, "half a surrogate pair");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    } else if (c >= 0xdc00 && c <= 0xdfff) {
        return bad(j, "half a surrogate pair");
    }
    utf8_add(out, c);
    return MS_OK;
}

static enum ms_err escape(struct json *j, struct str *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint8_t c = peek(j);
    skip(j, 1);
    if (c == 'u')
        return unicode_escape(j, out);
    const char *at = c ? strchr(from, c) : NULL;
    if (!at)
        return bad(j, "an unknown escape in a string");
    str_add_byte(out, (uint8_t)to[at - from]);
    return MS_OK;
}

/* Behind the opening quote. */
static enum ms_err string_text(struct json *j, struct str *out)
{
    while (j->in.len) {
        uint8_t c = j->in.ptr[0];
        if (c < 0x20)
            return bad(j, "a control character in a string");
        skip(j, 1);
        if (c == '"')
            return MS_OK;
        if (c == '\\')
            MS_TRY(escape(j, out));
        else
            str_add_byte(out, c);
    }
    return bad(j, "a string is not closed");
}

static enum ms_err string(struct json *j, struct slice *out)
{
    struct str text;
    if (!take(j, '"'))
        return bad(j, "a string is missing");
    str_init(&text, IMPORT_RECORD_MAX);
    enum ms_err err = string_text(j, &text);
    if (!err)
        *out = arena_dup(j->arena, str_slice(&text));
    str_fini(&text);
    return err;
}

static size_t digits(struct slice in, size_t at)
{
    size_t n = 0;
    while (at + n < in.len && ms_ascii_is_digit(in.ptr[at + n]))
        n++;
    return n;
}

/* RFC 8259 6, kept as text: what it may be is the field's affair. */
static enum ms_err number(struct json *j, struct slice *out)
{
    size_t n = peek(j) == '-', whole = digits(j->in, n);
    if (whole == 0 || (whole > 1 && j->in.ptr[n] == '0'))
        return bad(j, "no JSON value");
    n += whole;
    if (n < j->in.len && j->in.ptr[n] == '.') {
        size_t part = digits(j->in, n + 1);
        if (part == 0)
            return bad(j, "a number without digits behind its point");
        n += 1 + part;
    }
    if (n < j->in.len && ms_ascii_lower(j->in.ptr[n]) == 'e') {
        n++;
        n += n < j->in.len && (j->in.ptr[n] == '+' || j->in.ptr[n] == '-');
        size_t exponent = digits(j->in, n);
        if (exponent == 0)
            return bad(j, "a number without digits in its exponent");
        n += exponent;
    }
    *out = arena_dup(j->arena, slice_sub(j->in, 0, n));
    skip(j, n);
    return MS_OK;
}

static bool word(struct json *j, const char *text)
{
    if (!slice_has_prefix(j->in, slice_cstr(text)))
        return false;
    skip(j, strlen(text));
    return true;
}

/* given_out: false for null. */
static enum ms_err scalar(struct json *j, struct slice *out, bool *given_out)
{
    *given_out = true;
    skip_blanks(j);
    if (peek(j) == '"')
        return string(j, out);
    if (word(j, "null"))
        *given_out = false;
    else if (word(j, "true"))
        *out = SLICE_LIT("yes");
    else if (word(j, "false"))
        *out = SLICE_LIT("no");
    else if (peek(j) == '{' || peek(j) == '[')
        return bad(j, "a value inside a value (only lists are arrays, and nothing is an object)");
    else
        return number(j, out);
    return MS_OK;
}

/* Behind "[". */
static enum ms_err array(struct json *j, struct import_value *out)
{
    struct slice items[IMPORT_ITEMS_MAX];
    size_t n = 0;
    if (!take(j, ']')) {
        do {
            if (n == IMPORT_ITEMS_MAX)
                return ms_fail(j->why, MS_ELIMIT, "a list of more than %d", IMPORT_ITEMS_MAX);
            MS_TRY(string(j, &items[n++]));
        } while (take(j, ','));
        if (!take(j, ']'))
            return bad(j, "an array is not closed");
    }
    struct slice *kept = arena_new_array(j->arena, struct slice, n);
    if (n)
        memcpy(kept, items, n * sizeof items[0]);
    *out = (struct import_value){kept, n};
    return MS_OK;
}

static enum ms_err member(struct json *j, struct import_row *out, unsigned *seen)
{
    struct slice key;
    enum import_field f;
    bool given = true;
    MS_TRY(string(j, &key));
    if (!take(j, ':'))
        return bad(j, "a \":\" is missing");
    if (!import_field_find(key, &f))
        return ms_fail(j->why, MS_EINVAL, "there is no field \"" SLICE_FMT "\"", (int)MS_MIN(key.len, 100u),
                       (const char *)key.ptr);
    if (*seen & IMPORT_BIT(f))
        return ms_fail(j->why, MS_EINVAL, "field %s stands there twice", import_field_name(f));
    *seen |= IMPORT_BIT(f);
    skip_blanks(j);
    if (import_field_is_list(f) && take(j, '[')) {
        MS_TRY(array(j, &out->value[f]));
    } else {
        struct slice *one = arena_new(j->arena, struct slice);
        MS_TRY(scalar(j, one, &given));
        out->value[f] = (struct import_value){one, 1};
    }
    if (given)
        out->given |= IMPORT_BIT(f);
    return MS_OK;
}

enum ms_err import_json_parse(struct slice line, struct arena *arena, struct import_row *out,
                              struct ms_errinfo *why_out)
{
    struct json j = {.in = line, .arena = arena, .why = why_out};
    unsigned seen = 0;
    *out = (struct import_row){0};
    if (!utf8_is_valid(line))
        return bad(&j, "not UTF-8");
    if (!take(&j, '{'))
        return bad(&j, "no JSON object (one a line)");
    if (!take(&j, '}')) {
        do
            MS_TRY(member(&j, out, &seen));
        while (take(&j, ','));
        if (!take(&j, '}'))
            return bad(&j, "the object is not closed");
    }
    skip_blanks(&j);
    if (j.in.len)
        return bad(&j, "text behind the object");
    if (!(out->given & IMPORT_BIT(IMPORT_LOGIN)))
        return ms_fail(why_out, MS_EINVAL, "no field login");
    return MS_OK;
}
