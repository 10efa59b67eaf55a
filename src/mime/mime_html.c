/*
 * mime_html.c - the text of HTML, in pieces.
 *
 *   TEXT --"<"--> LESS --letter, "/"--> NAME --end of name--> TAG --quote--> QUOTE --> TAG --">"--> TEXT or SKIP
 *                 LESS --"!"--> BANG --"--"--> COMMENT --"-->"--> TEXT
 *                               BANG --else--> MARK --">"--> TEXT                       (also behind "<?")
 *   TEXT --"&"--> REF --";" or what is no name--> TEXT
 *   SKIP --"<"--> SKIP_LESS --"/"--> SKIP_NAME --the same name--> TAG                   script, style
 *
 * A "<" that begins no tag is text, as browsers have it.
 */
#include "mime_priv.h"

#include "ms/base/codec.h"
#include "ms/mime/text.h"

enum html_state {
    HTML_TEXT,
    HTML_LESS,
    HTML_NAME,
    HTML_TAG,
    HTML_QUOTE,
    HTML_BANG,
    HTML_MARK,
    HTML_COMMENT,
    HTML_REF,
    HTML_SKIP,
    HTML_SKIP_LESS,
    HTML_SKIP_NAME,
};

/* Tags that do not part words; all others do. */
static const char *const inline_names[] = {
    "a",     "abbr", "acronym", "b",      "bdi", "bdo",   "big",  "cite", "code", "del", "dfn",
    "em",    "font", "i",       "ins",    "kbd", "label", "mark", "nobr", "q",    "s",   "samp",
    "small", "span", "strike",  "strong", "sub", "sup",   "tt",   "u",    "var",  "wbr", "o:p",
};

/* U+00A0 to U+00FF. The first one is a blank. */
static const char *const latin1_names[] = {
    "nbsp",   "iexcl",  "cent",   "pound",  "curren", "yen",    "brvbar", "sect",   "uml",    "copy",
    "ordf",   "laquo",  "not",    "shy",    "reg",    "macr",   "deg",    "plusmn", "sup2",   "sup3",
    "acute",  "micro",  "para",   "middot", "cedil",  "sup1",   "ordm",   "raquo",  "frac14", "frac12",
    "frac34", "iquest", "Agrave", "Aacute", "Acirc",  "Atilde", "Auml",   "Aring",  "AElig",  "Ccedil",
    "Egrave", "Eacute", "Ecirc",  "Euml",   "Igrave", "Iacute", "Icirc",  "Iuml",   "ETH",    "Ntilde",
    "Ograve", "Oacute", "Ocirc",  "Otilde", "Ouml",   "times",  "Oslash", "Ugrave", "Uacute", "Ucirc",
    "Uuml",   "Yacute", "THORN",  "szlig",  "agrave", "aacute", "acirc",  "atilde", "auml",   "aring",
    "aelig",  "ccedil", "egrave", "eacute", "ecirc",  "euml",   "igrave", "iacute", "icirc",  "iuml",
    "eth",    "ntilde", "ograve", "oacute", "ocirc",  "otilde", "ouml",   "divide", "oslash", "ugrave",
    "uacute", "ucirc",  "uuml",   "yacute", "thorn",  "yuml",
};

static const struct {
    const char *name;
    uint32_t code_point;
} other_names[] = {
    {"amp", '&'},       {"lt", '<'},        {"gt", '>'},        {"quot", '"'},      {"apos", '\''},
    {"euro", 0x20ac},   {"hellip", 0x2026}, {"ndash", 0x2013},  {"mdash", 0x2014},  {"lsquo", 0x2018},
    {"rsquo", 0x2019},  {"sbquo", 0x201a},  {"ldquo", 0x201c},  {"rdquo", 0x201d},  {"bdquo", 0x201e},
    {"bull", 0x2022},   {"trade", 0x2122},  {"OElig", 0x152},   {"oelig", 0x153},   {"Scaron", 0x160},
    {"scaron", 0x161},  {"Yuml", 0x178},    {"ensp", ' '},      {"emsp", ' '},      {"thinsp", ' '},
    {"dagger", 0x2020}, {"permil", 0x2030}, {"lsaquo", 0x2039}, {"rsaquo", 0x203a}, {"minus", 0x2212},
};

void mime_html_init(struct mime_html *h)
{
    *h = (struct mime_html){.state = HTML_TEXT};
}

/* -- text */
static void put(struct mime_html *h, uint8_t byte, struct str *out)
{
    if (mime__is_blank(byte) || byte == '\f') {
        h->blank = true;
        return;
    }
    if (h->blank)
        str_add_byte(out, ' ');
    h->blank = false;
    str_add_byte(out, byte);
}

static void put_char(struct mime_html *h, uint32_t c, struct str *out)
{
    if (c < 0x80) {
        put(h, (uint8_t)c, out);
        return;
    }
    if (c == 0xa0) {
        h->blank = true;
        return;
    }
    if (h->blank)
        str_add_byte(out, ' ');
    h->blank = false;
    utf8_add(out, c);
}

/* -- names: of tags and of character references */
static bool is_name_byte(uint8_t c)
{
    return ms_ascii_is_alpha(c) || ms_ascii_is_digit(c) || c == ':' || c == '-';
}

static void name_begin(struct mime_html *h, enum html_state state)
{
    h->state = (uint8_t)state;
    h->name_len = 0;
}

static struct slice name_slice(const struct mime_html *h)
{
    return slice_make(h->name, h->name_len);
}

/* false: too long; nobody knows such a name. */
static bool name_add(struct mime_html *h, uint8_t c)
{
    if (h->name_len == MIME_HTML_NAME_MAX)
        return false;
    h->name[h->name_len++] = (char)c;
    return true;
}

static bool is_inline(struct slice name)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(inline_names); i++)
        if (slice_ieq_cstr(name, inline_names[i]))
            return true;
    return false;
}

/* -- character references */
static bool ref_number(struct slice digits, unsigned base, uint32_t *out)
{
    uint32_t n = 0;

    if (digits.len == 0)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        uint8_t c = ms_ascii_lower(digits.ptr[i]);
        unsigned v = ms_ascii_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10u : 16;

        n = n * base + v;
        if (v >= base || n > 0x10ffff)
            return false;
    }
    *out = n ? n : 0xfffd;
    return true;
}

static bool ref_find(struct slice name, uint32_t *out)
{
    if (name.len > 1 && name.ptr[0] == '#' && ms_ascii_lower(name.ptr[1]) == 'x')
        return ref_number(slice_sub(name, 2, name.len), 16, out);
    if (name.len > 0 && name.ptr[0] == '#')
        return ref_number(slice_sub(name, 1, name.len), 10, out);
    for (size_t i = 0; i < MS_ARRAY_LEN(other_names); i++)
        if (slice_eq_cstr(name, other_names[i].name)) {
            *out = other_names[i].code_point;
            return true;
        }
    for (size_t i = 0; i < MS_ARRAY_LEN(latin1_names); i++)
        if (slice_eq_cstr(name, latin1_names[i])) {
            *out = 0xa0 + (uint32_t)i;
            return true;
        }
    return false;
}

/* The name has ended, with ';' or without. What nobody knows stays as it stands. */
static void ref_end(struct mime_html *h, bool semicolon, struct str *out)
{
    uint32_t c;

    h->state = HTML_TEXT;
    if (ref_find(name_slice(h), &c)) {
        put_char(h, c, out);
        return;
    }
    put(h, '&', out);
    for (size_t i = 0; i < h->name_len; i++)
        put(h, (uint8_t)h->name[i], out);
    if (semicolon)
        put(h, ';', out);
}

/* -- tags */
static void name_end(struct mime_html *h)
{
    static const char *const skipped[] = {"script", "style"};

    h->state = HTML_TAG;
    h->skip_len = 0;
    for (size_t i = 0; i < MS_ARRAY_LEN(skipped) && !h->is_end_tag; i++)
        if (slice_ieq_cstr(name_slice(h), skipped[i])) {
            h->skip_len = h->name_len;
            memcpy(h->skip, h->name, h->name_len);
        }
    if (!is_inline(name_slice(h)))
        h->blank = true;
}

/* A byte of a state in which it may have to be taken again: false. */
static bool take_less(struct mime_html *h, uint8_t c, struct str *out)
{
    h->is_end_tag = c == '/';
    if (c == '/' || ms_ascii_is_alpha(c)) {
        name_begin(h, HTML_NAME);
        return c == '/';
    }
    if (c == '!' || c == '?') {
        h->state = c == '!' ? HTML_BANG : HTML_MARK;
        h->dashes = 0;
        return true;
    }
    h->state = HTML_TEXT;
    put(h, '<', out);
    return false;
}

static bool take_bang(struct mime_html *h, uint8_t c)
{
    h->dashes = c == '-' ? h->dashes + 1 : 0;
    if (h->dashes == 2) {
        h->state = HTML_COMMENT;
        return true;
    }
    if (c != '-')
        h->state = HTML_MARK;
    return c == '-';
}

static void take_comment(struct mime_html *h, uint8_t c)
{
    if (c == '>' && h->dashes >= 2)
        h->state = HTML_TEXT;
    else
        h->dashes = c == '-' ? (uint8_t)MS_MIN(h->dashes + 1, 2) : 0;
}

static void take_tag(struct mime_html *h, uint8_t c)
{
    if (c == '>') {
        h->state = h->skip_len > 0 ? HTML_SKIP : HTML_TEXT;
    } else if (c == '"' || c == '\'') {
        h->quote = c;
        h->state = HTML_QUOTE;
    }
}

static bool take_skip_name(struct mime_html *h, uint8_t c)
{
    if (is_name_byte(c) && name_add(h, c))
        return true;
    h->state = HTML_SKIP;
    if (!is_name_byte(c) && slice_ieq(name_slice(h), slice_make(h->skip, h->skip_len))) {
        h->is_end_tag = true;
        name_end(h);
    }
    return false;
}

static bool take_ref(struct mime_html *h, uint8_t c, struct str *out)
{
    bool is_part = ms_ascii_is_alpha(c) || ms_ascii_is_digit(c) || (c == '#' && h->name_len == 0);

    if (is_part && name_add(h, c))
        return true;
    ref_end(h, c == ';', out);
    return c == ';';
}

static bool take(struct mime_html *h, uint8_t c, struct str *out)
{
    switch ((enum html_state)h->state) {
    case HTML_TEXT:
        if (c == '<')
            h->state = HTML_LESS;
        else if (c == '&')
            name_begin(h, HTML_REF);
        else
            put(h, c, out);
        return true;
    case HTML_LESS:
        return take_less(h, c, out);
    case HTML_NAME:
        if (is_name_byte(c)) {
            name_add(h, c);
            return true;
        }
        name_end(h);
        return false;
    case HTML_TAG:
        take_tag(h, c);
        return true;
    case HTML_QUOTE:
        h->state = c == h->quote ? HTML_TAG : HTML_QUOTE;
        return true;
    case HTML_BANG:
        return take_bang(h, c);
    case HTML_MARK:
        h->state = c == '>' ? HTML_TEXT : HTML_MARK;
        return true;
    case HTML_COMMENT:
        take_comment(h, c);
        return true;
    case HTML_REF:
        return take_ref(h, c, out);
    case HTML_SKIP:
        h->state = c == '<' ? HTML_SKIP_LESS : HTML_SKIP;
        return true;
    case HTML_SKIP_LESS:
        if (c == '/')
            name_begin(h, HTML_SKIP_NAME);
        else
            h->state = HTML_SKIP;
        return c == '/';
    case HTML_SKIP_NAME:
        return take_skip_name(h, c);
    }
    MS_UNREACHABLE();
}

void mime_html_add(struct mime_html *h, struct slice in, struct str *out)
{
    size_t i = 0;

    while (i < in.len)
        i += take(h, in.ptr[i], out);
}

void mime_html_finish(struct mime_html *h, struct str *out)
{
    if (h->state == HTML_LESS)
        put(h, '<', out);
    else if (h->state == HTML_REF)
        ref_end(h, false, out);
    if (h->blank)
        str_add_byte(out, ' ');
    mime_html_init(h);
}
