/*
 * mapping_pattern_parse.c - the pattern of an entry: text -> atoms.
 *
 * Case does not count anywhere, so literals are kept in lower case and classes take both. Runs of literal
 * octets become one atom. A pattern ends at the first blank that is not quoted.
 */
#include "mapping_priv.h"

#include <arpa/inet.h>

struct parse {
    struct arena *arena;
    struct slice rest;
    struct mapping__pattern *out;
    size_t cap;
    uint8_t literal[MAPPING_ENTRY_MAX];
    size_t literal_len;
    bool is_lazy, is_unsaved; /* said of the wildcard that comes next */
    struct ms_errinfo *why;
};

static enum ms_err fail(struct parse *p, const char *text, struct slice at)
{
    return ms_fail(p->why, MS_ESYNTAX, "%s: \"" SLICE_FMT "\"", text, SLICE_ARG(slice_sub(at, 0, 40)));
}

static struct mapping__atom *atom_new(struct parse *p, enum mapping__kind kind)
{
    if (p->out->count == p->cap) {
        struct mapping__atom *more = arena_new_array(p->arena, struct mapping__atom, p->cap * 2 + 4);
        for (size_t i = 0; i < p->out->count; i++)
            more[i] = p->out->atoms[i];
        p->out->atoms = more;
        p->cap = p->cap * 2 + 4;
    }
    struct mapping__atom *atom = &p->out->atoms[p->out->count++];
    *atom = (struct mapping__atom){.kind = kind};
    return atom;
}

static void literal_end(struct parse *p)
{
    if (p->literal_len == 0)
        return;
    atom_new(p, MAPPING__LITERAL)->literal = arena_dup(p->arena, slice_make(p->literal, p->literal_len));
    p->literal_len = 0;
}

static void literal_add(struct parse *p, uint8_t octet)
{
    MS_ASSERT(p->literal_len < sizeof(p->literal)); /* no longer than the entry */
    p->literal[p->literal_len++] = ms_ascii_lower(octet);
}

static enum ms_err wildcard_add(struct parse *p, bool is_many, const struct mapping__set *set)
{
    literal_end(p);
    struct mapping__atom *atom = atom_new(p, is_many ? MAPPING__MANY : MAPPING__ONE);
    atom->set = set;
    atom->is_lazy = p->is_lazy;
    atom->is_saved = !p->is_unsaved;
    if (p->is_lazy && !is_many)
        return ms_fail(p->why, MS_ESYNTAX, "$_ belongs in front of a wildcard of any length");
    p->is_lazy = p->is_unsaved = false;
    if (!is_many)
        return MS_OK;
    atom->star = p->out->stars++;
    if (p->out->stars > MAPPING_STARS_MAX)
        return ms_fail(p->why, MS_ESYNTAX, "more than %d wildcards of any length", MAPPING_STARS_MAX);
    return MS_OK;
}

/* -- classes */

static void set_add(struct mapping__set *set, unsigned from, unsigned to)
{
    for (unsigned c = from; c <= to; c++) {
        uint8_t lower = ms_ascii_lower((uint8_t)c), upper = ms_ascii_upper((uint8_t)c);
        set->bits[lower / 8] |= (uint8_t)(1 << lower % 8);
        set->bits[upper / 8] |= (uint8_t)(1 << upper % 8);
    }
}

/* The classes with a letter: $D% and so on. NULL: no such letter. */
static const struct mapping__set *set_named(struct parse *p, uint8_t letter)
{
    static const struct {
        char letter;
        char ranges[12]; /* pairs */
    } rows[] = {{'A', "az"}, {'B', "01"},       {'D', "09"},         {'H', "09af"},
                {'O', "07"}, {'S', "09az__$$"}, {'T', "\t\t\v\v  "}, {'X', "09af"}};
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        if (rows[i].letter != ms_ascii_upper(letter))
            continue;
        struct mapping__set *set = arena_new(p->arena, struct mapping__set);
        for (const char *range = rows[i].ranges; *range; range += 2)
            set_add(set, (uint8_t)range[0], (uint8_t)range[1]);
        return set;
    }
    return NULL;
}

/* One octet of a $[...] class, "$" quotes. false: the class ends here, or the text does. */
static bool class_octet(struct slice *rest, uint8_t *out)
{
    if (rest->len == 0 || rest->ptr[0] == ']')
        return false;
    if (rest->ptr[0] == '$')
        *rest = slice_sub(*rest, 1, rest->len);
    if (rest->len == 0)
        return false;
    *out = rest->ptr[0];
    *rest = slice_sub(*rest, 1, rest->len);
    return true;
}

/* Behind "$[". */
static enum ms_err class_parse(struct parse *p, const struct mapping__set **out)
{
    struct mapping__set *set = arena_new(p->arena, struct mapping__set);
    struct slice at = p->rest;
    bool is_empty = true;
    uint8_t from, to;

    while (class_octet(&p->rest, &from)) {
        to = from;
        if (p->rest.len > 1 && p->rest.ptr[0] == '-' && p->rest.ptr[1] != ']') {
            p->rest = slice_sub(p->rest, 1, p->rest.len);
            if (!class_octet(&p->rest, &to))
                break;
        }
        if (to < from)
            return fail(p, "a range of a class goes backwards", at);
        set_add(set, from, to);
        is_empty = false;
    }
    if (p->rest.len == 0)
        return fail(p, "a class $[ has no ]", at);
    if (is_empty)
        return fail(p, "a class is empty", at);
    p->rest = slice_sub(p->rest, 1, p->rest.len);
    *out = set;
    return MS_OK;
}

/* The % or * behind a class. */
static enum ms_err class_end(struct parse *p, const struct mapping__set *set, struct slice at)
{
    uint8_t c = p->rest.len ? p->rest.ptr[0] : 0;
    if (c != '%' && c != '*')
        return fail(p, "behind a class stands % (one octet) or * (any number)", at);
    p->rest = slice_sub(p->rest, 1, p->rest.len);
    return wildcard_add(p, c == '*', set);
}

/* -- networks */

static bool net_has_host_bits(const struct mapping__net *net)
{
    for (unsigned bit = net->bits; bit < (net->is_v6 ? 128 : 32); bit++)
        if (net->bytes[bit / 8] & (0x80 >> bit % 8))
            return true;
    return false;
}

static enum ms_err net_fill(struct parse *p, struct slice address, struct slice bits, bool has_bits,
                            struct mapping__net *net)
{
    char text[INET6_ADDRSTRLEN] = "";
    uint64_t number;

    if (address.len < sizeof(text) && address.len > 0)
        memcpy(text, address.ptr, address.len);
    net->is_v6 = slice_find_byte(address, ':') >= 0;
    if (inet_pton(net->is_v6 ? AF_INET6 : AF_INET, text, net->bytes) != 1)
        return fail(p, "not an IP address", address);
    number = net->is_v6 ? 128 : 32;
    if (has_bits && slice_to_u64(bits, number, &number))
        return ms_fail(p->why, MS_ESYNTAX, "not a number of bits from 0 to %d: \"" SLICE_FMT "\"",
                       net->is_v6 ? 128 : 32, SLICE_ARG(slice_sub(bits, 0, 40)));
    net->bits = (unsigned)number;
    if (net_has_host_bits(net))
        return ms_fail(p->why, MS_ESYNTAX, "the address has bits behind the first %u: \"" SLICE_FMT "\"",
                       net->bits, SLICE_ARG(address));
    return MS_OK;
}

/* Behind "$<", "$(" or "${": address/bits and the closing octet, or $<address>/bits. */
static enum ms_err net_parse(struct parse *p, uint8_t close)
{
    struct mapping__net *net = arena_new(p->arena, struct mapping__net);
    struct slice at = p->rest, address, bits = {0};

    if (!slice_cut(&p->rest, close, &address))
        return fail(p, "an address has no end", at);
    bool has_bits = slice_cut(&address, '/', &at);
    if (has_bits) {
        bits = address;
        address = at;
    } else if (close == '>' && p->rest.len > 0 && p->rest.ptr[0] == '/') {
        size_t n = 1;
        while (n < p->rest.len && ms_ascii_is_digit(p->rest.ptr[n]))
            n++;
        bits = slice_sub(p->rest, 1, n - 1);
        p->rest = slice_sub(p->rest, n, p->rest.len);
        has_bits = true;
    }
    MS_TRY(net_fill(p, address, bits, has_bits, net));
    if (p->is_lazy)
        return ms_fail(p->why, MS_ESYNTAX, "$_ belongs in front of a wildcard of any length");
    literal_end(p);
    struct mapping__atom *atom = atom_new(p, MAPPING__NET);
    atom->net = net;
    atom->is_saved = !p->is_unsaved;
    p->is_unsaved = false;
    return MS_OK;
}

/* -- the whole */

/* Behind "$". */
static enum ms_err dollar_parse(struct parse *p, struct slice at)
{
    const struct mapping__set *set = NULL;

    if (p->rest.len == 0)
        return fail(p, "nothing stands behind $", at);
    uint8_t c = p->rest.ptr[0];
    p->rest = slice_sub(p->rest, 1, p->rest.len);
    switch (c) {
    case '$':
    case '*':
    case '%':
    case ' ':
    case '\t':
        literal_add(p, c);
        return MS_OK;
    case '_':
        p->is_lazy = true;
        return MS_OK;
    case '@':
        p->is_unsaved = true;
        return MS_OK;
    case '[':
        MS_TRY(class_parse(p, &set));
        return class_end(p, set, at);
    case '<':
        return net_parse(p, '>');
    case '(':
        return net_parse(p, ')');
    case '{':
        return net_parse(p, '}');
    default:
        set = set_named(p, c);
        return set ? class_end(p, set, at) : fail(p, "no such form in a pattern", at);
    }
}

enum ms_err mapping__pattern_parse(struct arena *a, struct slice *rest, struct mapping__pattern *out,
                                   struct ms_errinfo *why)
{
    struct parse p = {.arena = a, .rest = *rest, .out = out, .why = why};

    while (p.rest.len > 0 && p.rest.ptr[0] != ' ' && p.rest.ptr[0] != '\t') {
        struct slice at = p.rest;
        uint8_t c = at.ptr[0];
        p.rest = slice_sub(at, 1, at.len);
        if (c == '*' || c == '%')
            MS_TRY(wildcard_add(&p, c == '*', NULL));
        else if (c == '$')
            MS_TRY(dollar_parse(&p, at));
        else
            literal_add(&p, c);
        bool was_modifier = c == '$' && (at.ptr[1] == '_' || at.ptr[1] == '@');
        if ((p.is_lazy || p.is_unsaved) && !was_modifier)
            return fail(&p, "$_ and $@ stand in front of a wildcard", at);
    }
    if (p.is_lazy || p.is_unsaved)
        return fail(&p, "$_ and $@ stand in front of a wildcard", *rest);
    literal_end(&p);
    if (out->count == 0)
        return ms_fail(why, MS_ESYNTAX, "the pattern is empty");
    for (size_t i = 0; i < out->count; i++)
        out->saved += out->atoms[i].is_saved;
    out->text = slice_sub(*rest, 0, rest->len - p.rest.len);
    *rest = p.rest;
    return MS_OK;
}
