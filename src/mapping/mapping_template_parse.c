/*
 * mapping_template_parse.c - the template of an entry: text -> ops.
 *
 * A nested probe $|table;argument| becomes MAP, the ops of its argument, END; the argument holds text,
 * captures and further probes only, since flags and controls belong to the entry.
 */
#include "mapping_priv.h"

struct parse {
    struct arena *arena;
    struct slice rest;
    unsigned captures;
    struct mapping__template *out;
    size_t cap;
    uint8_t text[MAPPING_ENTRY_MAX];
    size_t text_len;
    size_t maps[MAPPING_DEPTH_MAX]; /* MAP ops that have no END yet */
    size_t depth;
    struct ms_errinfo *why;
};

static enum ms_err fail(struct parse *p, const char *text, struct slice at)
{
    return ms_fail(p->why, MS_ESYNTAX, "%s: \"" SLICE_FMT "\"", text, SLICE_ARG(slice_sub(at, 0, 40)));
}

static struct mapping__op *op_push(struct parse *p, enum mapping__opkind kind, char letter)
{
    if (p->out->count == p->cap) {
        struct mapping__op *more = arena_new_array(p->arena, struct mapping__op, p->cap * 2 + 4);
        for (size_t i = 0; i < p->out->count; i++)
            more[i] = p->out->ops[i];
        p->out->ops = more;
        p->cap = p->cap * 2 + 4;
    }
    struct mapping__op *op = &p->out->ops[p->out->count++];
    *op = (struct mapping__op){.kind = kind, .letter = letter};
    return op;
}

static void text_end(struct parse *p)
{
    if (p->text_len > 0)
        op_push(p, MAPPING__TEXT, 0)->text = arena_dup(p->arena, slice_make(p->text, p->text_len));
    p->text_len = 0;
}

static struct mapping__op *op_add(struct parse *p, enum mapping__opkind kind, char letter)
{
    text_end(p);
    return op_push(p, kind, letter);
}

static void text_add(struct parse *p, uint8_t octet)
{
    MS_ASSERT(p->text_len < sizeof(p->text)); /* no longer than the entry */
    p->text[p->text_len++] = octet;
}

static enum ms_err capture_parse(struct parse *p, uint8_t digit, struct slice at)
{
    unsigned n = digit - '0';

    if (n >= p->captures)
        return ms_fail(p->why, MS_ESYNTAX,
                       "the pattern has %u wildcards, counted from 0, so there is no \"" SLICE_FMT "\"",
                       p->captures, SLICE_ARG(slice_sub(at, 0, 2)));
    op_add(p, MAPPING__CAPTURE, 0)->value = n;
    return MS_OK;
}

/* Behind "$|". */
static enum ms_err map_begin(struct parse *p, struct slice at)
{
    struct slice name;

    if (p->depth == MAPPING_DEPTH_MAX)
        return fail(p, "too many $| inside one another", at);
    if (!slice_cut(&p->rest, ';', &name))
        return fail(p, "a nested table is written $|table;argument|", at);
    if (!mapping__name_is_valid(name))
        return fail(p, "not the name of a table", name);
    op_add(p, MAPPING__MAP, 0)->text = arena_dup(p->arena, name);
    p->maps[p->depth++] = p->out->count - 1;
    return MS_OK;
}

static void map_end(struct parse *p)
{
    op_add(p, MAPPING__END, 0);
    p->out->ops[p->maps[--p->depth]].value = (unsigned)p->out->count - 1;
}

/* $:X and $;X; behind the second octet. */
static enum ms_err test_parse(struct parse *p, bool want, struct slice at)
{
    uint8_t letter = p->rest.len ? ms_ascii_upper(p->rest.ptr[0]) : 0;

    if (!ms_ascii_is_alpha(letter))
        return fail(p, "behind $: and $; stands the letter of a flag", at);
    p->rest = slice_sub(p->rest, 1, p->rest.len);
    op_add(p, MAPPING__TEST, (char)letter)->value = want;
    return MS_OK;
}

static enum ms_err letter_parse(struct parse *p, uint8_t c, struct slice at)
{
    uint8_t letter = ms_ascii_upper(c);
    bool is_control = letter == 'C' || letter == 'E' || letter == 'L' || letter == 'R';

    if (p->depth > 0)
        return fail(p, "flags and controls do not belong into the argument of a nested table", at);
    op_add(p, is_control ? MAPPING__CONTROL : MAPPING__FLAG, (char)letter);
    return MS_OK;
}

/* Behind "$". */
static enum ms_err dollar_parse(struct parse *p, struct slice at)
{
    if (p->rest.len == 0)
        return fail(p, "nothing stands behind $", at);
    uint8_t c = p->rest.ptr[0];
    p->rest = slice_sub(p->rest, 1, p->rest.len);
    if (ms_ascii_is_digit(c))
        return capture_parse(p, c, at);
    if (ms_ascii_is_alpha(c) || c == '!' || c == '<' || c == '>')
        return letter_parse(p, c, at);
    switch (c) {
    case '$':
    case '%':
    case '*':
    case '@':
    case ' ':
    case '\t':
        text_add(p, c);
        return MS_OK;
    case '\\':
    case '^':
    case '_':
        op_add(p, MAPPING__CASE, (char)c);
        return MS_OK;
    case ':':
    case ';':
        return p->depth ? letter_parse(p, c, at) : test_parse(p, c == ':', at);
    case '|':
        return map_begin(p, at);
    case ']':
        return fail(p, "directory look-ups $]...[ are not built", at);
    default:
        return fail(p, "no such form in a template", at);
    }
}

/* A blank ends the template. */
static enum ms_err blank_parse(struct parse *p, struct slice at)
{
    if (slice_trim(p->rest).len > 0)
        return fail(p, "a blank inside a template is written \"$ \"", at);
    p->rest.len = 0;
    return MS_OK;
}

enum ms_err mapping__template_parse(struct arena *a, struct slice text, unsigned captures,
                                    struct mapping__template *out, struct ms_errinfo *why)
{
    struct parse p = {.arena = a, .rest = text, .captures = captures, .out = out, .why = why};

    while (p.rest.len > 0 && (p.rest.ptr[0] == ' ' || p.rest.ptr[0] == '\t'))
        p.rest = slice_sub(p.rest, 1, p.rest.len);
    while (p.rest.len > 0) {
        struct slice at = p.rest;
        uint8_t c = at.ptr[0];
        p.rest = slice_sub(at, 1, at.len);
        if (c == '$')
            MS_TRY(dollar_parse(&p, at));
        else if (c == ' ' || c == '\t')
            MS_TRY(blank_parse(&p, at));
        else if (c == '|' && p.depth > 0)
            map_end(&p);
        else
            text_add(&p, c);
    }
    text_end(&p);
    if (p.depth > 0)
        return ms_fail(why, MS_ESYNTAX, "a nested table $|...; has no | at its end");
    if (out->count == 0)
        return ms_fail(why, MS_ESYNTAX, "the template is missing (write $E when there is nothing to say)");
    return MS_OK;
}
