/*
 * mime_address_parse.c - address lists of RFC 5322 3.4 with the obsolete forms of 4.4, and of people.
 *
 * One pass from left to right. An entry is read as words into two buffers at once: `phrase` has the
 * words with single blanks between them (a display name), `local` only the last run of words held
 * together by dots (a local part). The first of '<' '@' ':' ',' ';' decides which of the two was meant.
 * Comments are skipped, the last one of an entry serves as its name when there is no other ("user@host
 * (Full Name)").
 *
 * Both buffers have the size of the input and are used up front to back, so results are slices of them and
 * nothing is copied twice. Entries in plain forms at the beginning of a list do not come here
 * (mime_address_plain.c).
 */
#include "mime_priv.h"

struct out {
    uint8_t *ptr;
    size_t len;
    size_t begin; /* of the text being built */
};

struct parser {
    const uint8_t *ptr;
    const uint8_t *end;
    struct arena *arena;
    struct mime_addresses *list;
    struct out phrase;
    struct out local;
    struct out domain; /* also routes */
    struct out comments;
    struct slice comment; /* the last one of the entry */
    size_t local_from;    /* phrase length where the text in `local` began */
    unsigned words;
    bool in_group;
};

static bool at_end(const struct parser *p)
{
    return p->ptr >= p->end;
}

static void put(struct out *o, uint8_t c)
{
    o->ptr[o->len++] = c == 0 ? '?' : c;
}

static struct slice finish(struct out *o)
{
    struct slice s = slice_make(o->ptr + o->begin, o->len - o->begin);

    o->begin = o->len;
    return s;
}

static void restart(struct out *o)
{
    o->len = o->begin;
}

/* Bytes with a meaning. */
enum {
    LT = 1 << 0,
    GT = 1 << 1,
    AT = 1 << 2,
    COMMA = 1 << 3,
    SEMICOLON = 1 << 4,
    COLON = 1 << 5,
    BLANK = 1 << 6,
    PAREN = 1 << 7, /* '(' */
    QUOTE = 1 << 8,
};
static const uint16_t classes[256] = {
    ['<'] = LT,    ['>'] = GT,     ['@'] = AT,     [','] = COMMA,  [';'] = SEMICOLON, [':'] = COLON,
    [' '] = BLANK, ['\t'] = BLANK, ['\r'] = BLANK, ['\n'] = BLANK, ['('] = PAREN,     ['"'] = QUOTE,
};

static bool is_in(uint8_t c, unsigned set)
{
    return (classes[c] & set) != 0;
}

/* p->ptr is at '('. The text without the outer parentheses becomes p->comment. */
static void take_comment(struct parser *p)
{
    unsigned depth = 1;

    for (p->ptr++; !at_end(p); p->ptr++) {
        uint8_t c = *p->ptr;
        if (c == '\\' && p->ptr + 1 < p->end)
            c = *++p->ptr;
        else if (c == '(')
            depth++;
        else if (c == ')' && --depth == 0)
            break;
        if (c != '\r' && c != '\n')
            put(&p->comments, c);
    }
    if (!at_end(p))
        p->ptr++;
    p->comment = slice_trim(finish(&p->comments));
}

/* Blanks and comments; true: there were any. */
static bool skip_cfws(struct parser *p)
{
    bool any = false;

    while (!at_end(p) && is_in(*p->ptr, BLANK | PAREN)) {
        any = true;
        if (*p->ptr == '(')
            take_comment(p);
        else
            p->ptr++;
    }
    return any;
}

bool mime__address_add(struct mime_addresses *list, struct arena *a, const struct mime_address *address)
{
    struct mime_address *node = NULL;

    if (list->count < MIME_ADDRESSES_MAX || address->kind == MIME_ADDR_GROUP_END)
        node = arena_try_alloc(a, sizeof(*node));
    if (!node) {
        list->is_cut = true;
        return false;
    }
    *node = *address;
    if (list->last)
        list->last->next = node;
    else
        list->first = node;
    list->last = node;
    list->count++;
    return true;
}

static bool add(struct parser *p, struct mime_address address)
{
    return mime__address_add(p->list, p->arena, &address);
}

static void add_mailbox(struct parser *p, struct slice name, struct slice route, struct slice mailbox,
                        struct slice host)
{
    name = slice_trim(name);
    if (name.len == 0)
        name = p->comment;
    add(p, (struct mime_address){.kind = MIME_ADDR_MAILBOX,
                                 .name = name.len ? name : slice_make(NULL, 0),
                                 .route = route.len ? route : slice_make(NULL, 0),
                                 .mailbox = mailbox.ptr ? mailbox : SLICE_LIT(""),
                                 .host = host.ptr ? host : SLICE_LIT("")});
}

static void put_word_byte(struct parser *p, uint8_t c)
{
    put(&p->phrase, c);
    put(&p->local, c);
}

/* p->ptr is behind the opening quote. RFC 5322 3.2.4: the quotes and backslashes are no part of the
 * text. */
static void take_quoted(struct parser *p)
{
    for (; !at_end(p); p->ptr++) {
        uint8_t c = *p->ptr;
        if (c == '"') {
            p->ptr++;
            return;
        }
        if (c == '\\' && p->ptr + 1 < p->end)
            c = *++p->ptr;
        if (c != '\r' && c != '\n')
            put_word_byte(p, c);
    }
}

/* Starts the next word: blanks separate words of a phrase, and runs of a local part unless a dot is next
 * to them. */
static void begin_word(struct parser *p, bool after_blank)
{
    bool dotted = *p->ptr == '.' || (p->local.len > p->local.begin && p->local.ptr[p->local.len - 1] == '.');

    if (p->words == 0)
        p->words = 1;
    if (!after_blank || p->phrase.len == p->phrase.begin)
        return;
    if (!dotted) {
        restart(&p->local);
        p->local_from = p->phrase.len;
        p->words++;
    }
    put(&p->phrase, ' ');
}

/* Words up to a byte of `stops`; gives that byte, 0 at the end. */
static uint8_t take_words(struct parser *p, unsigned stops)
{
    p->words = 0;
    p->local_from = p->phrase.begin;
    restart(&p->phrase);
    restart(&p->local);
    for (;;) {
        bool blank = skip_cfws(p);

        if (at_end(p))
            return 0;
        if (is_in(*p->ptr, stops))
            return *p->ptr;
        begin_word(p, blank);
        if (*p->ptr == '"') {
            p->ptr++;
            take_quoted(p);
            continue;
        }
        do
            put_word_byte(p, *p->ptr++);
        while (!at_end(p) && !is_in(*p->ptr, stops | BLANK | QUOTE | PAREN));
    }
}

/* RFC 5322 3.4.1 dtext; the brackets stay. */
static void take_literal(struct parser *p)
{
    while (!at_end(p) && *p->ptr != ']') {
        if (!mime__is_blank(*p->ptr))
            put(&p->domain, *p->ptr);
        p->ptr++;
    }
    if (!at_end(p))
        put(&p->domain, *p->ptr++);
}

/* Appends to p->domain. p->ptr is behind '@'. RFC 5322 4.4: blanks and comments may stand around the
 * dots. */
static void take_domain(struct parser *p, unsigned stops)
{
    size_t begin = p->domain.len;

    skip_cfws(p);
    if (!at_end(p) && *p->ptr == '[') {
        take_literal(p);
        return;
    }
    for (;;) {
        bool blank = skip_cfws(p);
        bool after_dot = p->domain.len == begin || p->domain.ptr[p->domain.len - 1] == '.';

        if (at_end(p) || is_in(*p->ptr, stops) || (blank && !after_dot && *p->ptr != '.'))
            return;
        do
            put(&p->domain, *p->ptr++);
        while (!at_end(p) && !is_in(*p->ptr, stops | BLANK | PAREN));
    }
}

/* RFC 5322 4.4 obs-route: "@a,@b:" in front of the address; p->ptr is at the first '@'. Without the
 * colon it was none: then p->ptr is back at that '@'. */
static struct slice take_route(struct parser *p)
{
    const uint8_t *from = p->ptr;
    struct out comments = p->comments;

    while (!at_end(p) && *p->ptr == '@') {
        put(&p->domain, *p->ptr++);
        take_domain(p, LT | GT | AT | COMMA | SEMICOLON | COLON);
        while (!at_end(p) && (*p->ptr == ',' || skip_cfws(p)) && !at_end(p) && *p->ptr == ',') {
            put(&p->domain, *p->ptr++);
            skip_cfws(p);
        }
    }
    if (!at_end(p) && *p->ptr == ':') {
        p->ptr++;
        return finish(&p->domain);
    }
    restart(&p->domain);
    p->comments = comments;
    p->ptr = from;
    return slice_make(NULL, 0);
}

/* p->ptr is behind '<'. A missing '>' ends at the next comma. */
static void take_angle(struct parser *p, struct slice name)
{
    struct slice route = slice_make(NULL, 0), mailbox, host = slice_make(NULL, 0);

    while (skip_cfws(p), !at_end(p) && *p->ptr == '<')
        p->ptr++;
    if (!at_end(p) && *p->ptr == '@')
        route = take_route(p);
    take_words(p, LT | GT | AT | COMMA | SEMICOLON);
    if (p->words > 1)
        mailbox = finish(&p->phrase);
    else
        mailbox = finish(&p->local);
    finish(&p->phrase);
    finish(&p->local);
    if (!at_end(p) && *p->ptr == '@') {
        p->ptr++;
        take_domain(p, LT | GT | AT | COMMA | SEMICOLON);
        host = finish(&p->domain);
    }
    while (!at_end(p) && !is_in(*p->ptr, LT | GT | COMMA | SEMICOLON))
        p->ptr++;
    if (!at_end(p) && *p->ptr == '>')
        p->ptr++;
    skip_cfws(p);
    add_mailbox(p, name, route, mailbox, host);
}

/* p->ptr is behind the '@' of an address without angle brackets, or of a display name with an address in
 * it. */
static void take_bare(struct parser *p)
{
    struct slice mailbox = finish(&p->local), host, name;

    take_domain(p, LT | GT | AT | COMMA | SEMICOLON | COLON);
    host = finish(&p->domain);
    skip_cfws(p);
    if (!at_end(p) && *p->ptr == '<') { /* user@host <user@host>: not allowed, but common */
        put(&p->phrase, '@');
        for (size_t i = 0; i < host.len; i++)
            put(&p->phrase, host.ptr[i]);
        p->ptr++;
        take_angle(p, finish(&p->phrase));
        return;
    }
    name = slice_make(p->phrase.ptr + p->phrase.begin, p->local_from - p->phrase.begin);
    finish(&p->phrase);
    add_mailbox(p, name, slice_make(NULL, 0), mailbox, host);
}

/* Text with no address in it: one word is taken for a mailbox without host, more of them for a name. */
static void take_text(struct parser *p)
{
    struct slice none = slice_make(NULL, 0);
    struct slice phrase = finish(&p->phrase), local = finish(&p->local);

    if (p->words == 1)
        add_mailbox(p, none, none, local, none);
    else if (p->words > 1)
        add_mailbox(p, phrase, none, none, none);
}

/* What follows an address without a comma is dropped, unless it is another address. */
static void skip_junk(struct parser *p)
{
    const uint8_t *from = p->ptr;
    struct out comments = p->comments;
    uint8_t c = take_words(p, LT | AT | COLON | COMMA | SEMICOLON);

    if (c == '<' || c == '@') {
        p->ptr = from;
        p->comments = comments;
    } else if (c == ':') {
        p->ptr++;
    }
    restart(&p->phrase);
    restart(&p->local);
}

static void take_entry(struct parser *p)
{
    uint8_t c = take_words(p, LT | AT | COLON | COMMA | SEMICOLON);

    if (c == '<') {
        p->ptr++;
        finish(&p->local);
        take_angle(p, finish(&p->phrase));
        skip_junk(p);
    } else if (c == '@') {
        p->ptr++;
        take_bare(p);
        skip_junk(p);
    } else if (c == ':') {
        struct slice name = slice_trim(finish(&p->phrase));
        p->ptr++;
        finish(&p->local);
        if (!p->in_group && name.len > 0) /* RFC 5322 3.4: groups do not nest */
            p->in_group = add(p, (struct mime_address){.kind = MIME_ADDR_GROUP, .mailbox = name});
    } else {
        take_text(p);
    }
    p->comment = slice_make(NULL, 0);
}

static void end_group(struct parser *p)
{
    if (p->in_group)
        add(p, (struct mime_address){.kind = MIME_ADDR_GROUP_END});
    p->in_group = false;
}

void mime_address_parse(struct slice value, struct arena *a, struct mime_addresses *list)
{
    size_t plain;

    value = slice_trim(value);
    plain = mime__addresses_plain(value, a, list);
    if (plain < value.len)
        mime__addresses_parse(slice_sub(value, plain, value.len), a, list);
}

void mime__addresses_parse(struct slice value, struct arena *a, struct mime_addresses *list)
{
    struct parser p = {.arena = a, .list = list};
    struct out *outs[] = {&p.phrase, &p.local, &p.domain, &p.comments};
    uint8_t *room;

    value = slice_trim(value);
    if (value.len == 0)
        return;
    room = arena_try_alloc(a, value.len * MS_ARRAY_LEN(outs));
    if (!room) {
        list->is_cut = true;
        return;
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(outs); i++)
        outs[i]->ptr = room + i * value.len;
    p.ptr = value.ptr;
    p.end = value.ptr + value.len;
    while (skip_cfws(&p), !at_end(&p) && !list->is_cut) {
        if (*p.ptr == ';') /* also a separator in lists some programs write */
            end_group(&p);
        if (*p.ptr == ',' || *p.ptr == ';') {
            p.comment = slice_make(NULL, 0);
            p.ptr++;
        } else {
            take_entry(&p);
        }
    }
    end_group(&p);
}
