/*
 * imap_fetch_parse.c - arguments of FETCH (RFC 3501 6.4.5, RFC 9051 6.4.5, RFC 7162 3.1.4) and STORE.
 */
#include "imap_priv.h"

static const struct imap__word fetch_words[] = {
    {"FLAGS", IMAP_FETCH_FLAGS},
    {"UID", IMAP_FETCH_UID},
    {"INTERNALDATE", IMAP_FETCH_INTERNALDATE},
    {"RFC822.SIZE", IMAP_FETCH_SIZE},
    {"ENVELOPE", IMAP_FETCH_ENVELOPE},
    {"BODY", IMAP_FETCH_BODY},
    {"BODYSTRUCTURE", IMAP_FETCH_BODYSTRUCTURE},
    {"MODSEQ", IMAP_FETCH_MODSEQ},     /* RFC 7162 3.1.5 */
    {"EMAILID", IMAP_FETCH_EMAILID},   /* RFC 8474 5.1 */
    {"THREADID", IMAP_FETCH_THREADID}, /* RFC 8474 5.2 */
    {"SAVEDATE", IMAP_FETCH_SAVEDATE}, /* RFC 8514 4.2 */
    {NULL, 0},
};

/* RFC 3501 6.4.5 */
static const struct imap__word fetch_macros[] = {
    {"FAST", IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE | IMAP_FETCH_SIZE},
    {"ALL", IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE | IMAP_FETCH_SIZE | IMAP_FETCH_ENVELOPE},
    {"FULL",
     IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE | IMAP_FETCH_SIZE | IMAP_FETCH_ENVELOPE | IMAP_FETCH_BODY},
    {NULL, 0},
};

/* Items that are sections without brackets. */
static const struct {
    const char *name;
    struct imap_section section;
} fetch_legacy[] = {
    {"RFC822", {.name = IMAP_NAME_RFC822, .text = IMAP_TEXT_ALL}},
    {"RFC822.HEADER", {.name = IMAP_NAME_RFC822_HEADER, .text = IMAP_TEXT_HEADER, .peek = true}},
    {"RFC822.TEXT", {.name = IMAP_NAME_RFC822_TEXT, .text = IMAP_TEXT_TEXT}},
};

/* Items in front of "[". */
static const struct {
    const char *name;
    enum imap_section_name id;
    bool peek;
} fetch_sections[] = {
    {"BODY", IMAP_NAME_BODY, false},         {"BODY.PEEK", IMAP_NAME_BODY, true},
    {"BINARY", IMAP_NAME_BINARY, false}, /* RFC 3516, RFC 9051 */
    {"BINARY.PEEK", IMAP_NAME_BINARY, true}, {"BINARY.SIZE", IMAP_NAME_BINARY_SIZE, true},
};

struct fetch_list {
    struct imap_fetch *fetch;
    struct imap_section sections[IMAP_SECTIONS_MAX];
};

static bool is_item_char(uint8_t c)
{
    return ms_ascii_is_alpha(c) || ms_ascii_is_digit(c) || c == '.';
}

static struct slice rd_item_name(struct imap_rd *rd)
{
    const uint8_t *start = rd->ptr;

    while (rd->ptr < rd->end && is_item_char(*rd->ptr))
        rd->ptr++;
    return slice_make(start, (size_t)(rd->ptr - start));
}

/* section-part = nz-number *("." nz-number); stops in front of a "." that no number follows. */
static enum ms_err rd_section_part(struct imap_rd *rd, struct imap_section *s)
{
    uint32_t parts[IMAP_PARTS_MAX];
    uint32_t count = 0;

    while (ms_ascii_is_digit((uint8_t)imap_rd_peek(rd))) {
        if (count == IMAP_PARTS_MAX)
            return imap_rd_fail(rd, MS_ELIMIT, "Section number too deep");
        MS_TRY(imap_rd_nz_number(rd, &parts[count++]));
        if (rd->end - rd->ptr < 2 || rd->ptr[0] != '.' || !ms_ascii_is_digit(rd->ptr[1]))
            break;
        rd->ptr++;
    }
    if (!count)
        return MS_OK;
    s->parts = imap__alloc(rd, count * sizeof *parts);
    if (!s->parts)
        return MS_ELIMIT;
    memcpy(s->parts, parts, count * sizeof *parts);
    s->part_count = count;
    return MS_OK;
}

/* header-list = "(" header-fld-name *(SP header-fld-name) ")" */
static enum ms_err rd_header_list(struct imap_rd *rd, struct imap_section *s)
{
    struct slice fields[IMAP_FIELDS_MAX];
    uint32_t count = 0;

    MS_TRY(imap_rd_sp(rd));
    MS_TRY(imap_rd_byte(rd, '('));
    do {
        if (count == IMAP_FIELDS_MAX)
            return imap_rd_fail(rd, MS_ELIMIT, "Too many header field names");
        MS_TRY(imap_rd_astring(rd, &fields[count++]));
    } while (imap_rd_skip(rd, ' '));
    MS_TRY(imap_rd_byte(rd, ')'));
    s->fields = imap__alloc(rd, count * sizeof *fields);
    if (!s->fields)
        return MS_ELIMIT;
    memcpy(s->fields, fields, count * sizeof *fields);
    s->field_count = count;
    return MS_OK;
}

/* section-text behind the numbers, or section-msgtext without numbers */
static enum ms_err rd_section_text(struct imap_rd *rd, struct imap_section *s)
{
    struct slice word = rd_item_name(rd);

    if (slice_ieq_cstr(word, "HEADER"))
        s->text = IMAP_TEXT_HEADER;
    else if (slice_ieq_cstr(word, "TEXT"))
        s->text = IMAP_TEXT_TEXT;
    else if (slice_ieq_cstr(word, "MIME") && s->part_count) /* RFC 3501 6.4.5: MIME needs numbers */
        s->text = IMAP_TEXT_MIME;
    else if (slice_ieq_cstr(word, "HEADER.FIELDS"))
        s->text = IMAP_TEXT_HEADER_FIELDS;
    else if (slice_ieq_cstr(word, "HEADER.FIELDS.NOT"))
        s->text = IMAP_TEXT_HEADER_FIELDS_NOT;
    else
        return imap_rd_fail(rd, MS_ESYNTAX, "Bad section");
    if (s->text == IMAP_TEXT_HEADER_FIELDS || s->text == IMAP_TEXT_HEADER_FIELDS_NOT)
        return rd_header_list(rd, s);
    return MS_OK;
}

/* ["<" number "." nz-number ">"]; 63 bits as in RFC 9051 */
static enum ms_err rd_partial(struct imap_rd *rd, struct imap_section *s)
{
    if (!imap_rd_skip(rd, '<'))
        return MS_OK;
    if (s->name == IMAP_NAME_BINARY_SIZE)
        return imap_rd_fail(rd, MS_ESYNTAX, "BINARY.SIZE takes no partial range");
    MS_TRY(imap_rd_number64(rd, &s->partial_off));
    MS_TRY(imap_rd_byte(rd, '.'));
    MS_TRY(imap_rd_number64(rd, &s->partial_len));
    if (!s->partial_len)
        return imap_rd_fail(rd, MS_ESYNTAX, "Number must not be zero");
    s->has_partial = true;
    return imap_rd_byte(rd, '>');
}

static enum ms_err rd_section(struct imap_rd *rd, struct imap_section *s)
{
    MS_TRY(imap_rd_byte(rd, '['));
    MS_TRY(rd_section_part(rd, s));
    if (s->part_count ? imap_rd_skip(rd, '.') : imap_rd_peek(rd) != ']') {
        if (s->name == IMAP_NAME_BINARY || s->name == IMAP_NAME_BINARY_SIZE)
            return imap_rd_fail(rd, MS_ESYNTAX, "Bad section"); /* RFC 3516 7: numbers only */
        MS_TRY(rd_section_text(rd, s));
    }
    MS_TRY(imap_rd_byte(rd, ']'));
    return rd_partial(rd, s);
}

static enum ms_err fetch_add_section(struct imap_rd *rd, struct fetch_list *list, struct imap_section section)
{
    if (list->fetch->section_count == IMAP_SECTIONS_MAX)
        return imap_rd_fail(rd, MS_ELIMIT, "Too many sections");
    list->sections[list->fetch->section_count++] = section;
    return MS_OK;
}

static enum ms_err rd_bracket_item(struct imap_rd *rd, struct slice name, struct fetch_list *list)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(fetch_sections); i++)
        if (slice_ieq_cstr(name, fetch_sections[i].name)) {
            struct imap_section s = {.name = fetch_sections[i].id, .peek = fetch_sections[i].peek};
            MS_TRY(rd_section(rd, &s));
            return fetch_add_section(rd, list, s);
        }
    return imap_rd_fail(rd, MS_ESYNTAX, "Unknown FETCH item");
}

/* fetch-att; macros only where they stand alone */
static enum ms_err rd_fetch_item(struct imap_rd *rd, bool macros, struct fetch_list *list)
{
    struct slice name = rd_item_name(rd);
    unsigned bits;

    if (imap_rd_peek(rd) == '[')
        return rd_bracket_item(rd, name, list);
    bits = imap__word_bit(fetch_words, name);
    if (!bits && macros)
        bits = imap__word_bit(fetch_macros, name);
    list->fetch->items |= bits;
    if (bits)
        return MS_OK;
    for (size_t i = 0; i < MS_ARRAY_LEN(fetch_legacy); i++)
        if (slice_ieq_cstr(name, fetch_legacy[i].name))
            return fetch_add_section(rd, list, fetch_legacy[i].section);
    return imap_rd_fail(rd, MS_ESYNTAX, "Unknown FETCH item");
}

/* fetch-modifiers of RFC 4466: CHANGEDSINCE n, VANISHED */
static enum ms_err rd_fetch_modifiers(struct imap_rd *rd, struct imap_fetch *f)
{
    MS_TRY(imap_rd_byte(rd, '('));
    do {
        if (imap_rd_skip_word(rd, "VANISHED")) {
            f->vanished = true;
        } else if (imap_rd_skip_word(rd, "CHANGEDSINCE")) {
            MS_TRY(imap_rd_sp(rd));
            MS_TRY(imap_rd_number64(rd, &f->changedsince));
            f->has_changedsince = true;
        } else {
            return imap_rd_fail(rd, MS_ESYNTAX, "Unknown FETCH modifier");
        }
    } while (imap_rd_skip(rd, ' '));
    if (f->vanished && !f->has_changedsince) /* RFC 7162 3.2.6 */
        return imap_rd_fail(rd, MS_ESYNTAX, "VANISHED needs CHANGEDSINCE");
    return imap_rd_byte(rd, ')');
}

enum ms_err imap_parse_fetch(struct imap_rd *rd, union imap_args *args)
{
    struct imap_fetch *f = &args->fetch;
    struct fetch_list list = {.fetch = f};

    memset(args, 0, sizeof *args);
    MS_TRY(imap_rd_seqset(rd, &f->set));
    MS_TRY(imap_rd_sp(rd));
    if (imap_rd_skip(rd, '(')) {
        do
            MS_TRY(rd_fetch_item(rd, false, &list));
        while (imap_rd_skip(rd, ' '));
        MS_TRY(imap_rd_byte(rd, ')'));
    } else {
        MS_TRY(rd_fetch_item(rd, true, &list));
    }
    if (imap_rd_skip(rd, ' '))
        MS_TRY(rd_fetch_modifiers(rd, f));
    if (f->section_count) {
        f->sections = imap__alloc(rd, f->section_count * sizeof *f->sections);
        if (!f->sections)
            return MS_ELIMIT;
        memcpy(f->sections, list.sections, f->section_count * sizeof *f->sections);
    }
    return imap_rd_end(rd);
}

/* store-modifiers of RFC 7162 3.1.3: "(" UNCHANGEDSINCE SP n ")" SP */
static enum ms_err rd_store_modifiers(struct imap_rd *rd, union imap_args *args)
{
    if (!imap_rd_skip(rd, '('))
        return MS_OK;
    if (!imap_rd_skip_word(rd, "UNCHANGEDSINCE"))
        return imap_rd_fail(rd, MS_ESYNTAX, "Unknown STORE modifier");
    MS_TRY(imap_rd_sp(rd));
    MS_TRY(imap_rd_number64(rd, &args->store.unchangedsince));
    args->store.has_unchangedsince = true;
    MS_TRY(imap_rd_byte(rd, ')'));
    return imap_rd_sp(rd);
}

/* store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag))) */
enum ms_err imap_parse_store(struct imap_rd *rd, union imap_args *args)
{
    struct slice word;

    memset(args, 0, sizeof *args);
    MS_TRY(imap_rd_seqset(rd, &args->store.set));
    MS_TRY(imap_rd_sp(rd));
    MS_TRY(rd_store_modifiers(rd, args));
    args->store.op = imap_rd_skip(rd, '+') ? '+' : imap_rd_skip(rd, '-') ? '-' : '=';
    word = rd_item_name(rd);
    args->store.silent = slice_ieq_cstr(word, "FLAGS.SILENT");
    if (!args->store.silent && !slice_ieq_cstr(word, "FLAGS"))
        return imap_rd_fail(rd, MS_ESYNTAX, "FLAGS expected");
    MS_TRY(imap_rd_sp(rd));
    if (imap_rd_peek(rd) == '(')
        MS_TRY(imap_rd_flag_list(rd, &args->store.flags));
    else
        MS_TRY(imap__rd_bare_flags(rd, &args->store.flags));
    return imap_rd_end(rd);
}
