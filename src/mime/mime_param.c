/*
 * mime_param.c - the value of a parameter, with the extensions of RFC 2231.
 *
 * "name" is one value; "name*" one with charset and percent signs; "name*0", "name*1*", ... are pieces
 * of one, a star behind the number says that this piece has percent signs, the first may name the
 * charset. The plain form counts only without the others: a sender that knows RFC 2231 puts it there for
 * those who do not.
 */
#include "mime_priv.h"

struct piece {
    const struct mime_param *param;
    bool is_extended;
};

/* Number of a continuation ("*12" or "*12*") or -1; "*" alone is 0 of a value in one piece. */
static int piece_number(struct slice tail, bool *is_extended_out)
{
    uint64_t number;

    *is_extended_out = tail.len > 0 && tail.ptr[tail.len - 1] == '*';
    if (tail.len == 1 && *is_extended_out)
        return 0;
    if (*is_extended_out)
        tail.len--;
    if (tail.len < 2 || tail.ptr[0] != '*' || (tail.ptr[1] == '0' && tail.len > 2))
        return -1;
    if (slice_to_u64(slice_sub(tail, 1, tail.len), MIME_PARAMS_MAX - 1, &number) != MS_OK)
        return -1;
    return (int)number;
}

static int hex_of(uint8_t c)
{
    if (ms_ascii_is_digit(c))
        return c - '0';
    c = ms_ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t decode_percent(struct slice in, uint8_t *to)
{
    size_t n = 0;

    for (size_t i = 0; i < in.len; i++) {
        int high = in.ptr[i] == '%' && i + 2 < in.len ? hex_of(in.ptr[i + 1]) : -1;
        int low = high >= 0 ? hex_of(in.ptr[i + 2]) : -1;
        if (low < 0) {
            to[n++] = in.ptr[i];
            continue;
        }
        to[n++] = (uint8_t)(high * 16 + low);
        i += 2;
    }
    return n;
}

/* RFC 2231 4: charset'language'text; without both quotes it is all text. */
static struct slice cut_charset(struct slice value, struct slice *charset_out)
{
    struct slice rest = value, charset, language;

    if (!slice_cut(&rest, '\'', &charset) || !slice_cut(&rest, '\'', &language))
        return value;
    *charset_out = charset;
    return rest;
}

static struct slice join(struct piece *pieces, struct arena *a, struct slice *charset_out)
{
    size_t total = 0, n = 0;
    uint8_t *to;

    for (size_t i = 0; i < MIME_PARAMS_MAX && pieces[i].param; i++)
        total += pieces[i].param->value.len;
    to = arena_try_alloc(a, total + 1);
    if (!to)
        return SLICE_LIT("");
    for (size_t i = 0; i < MIME_PARAMS_MAX && pieces[i].param; i++) {
        struct slice value = pieces[i].param->value;

        if (i == 0 && pieces[i].is_extended)
            value = cut_charset(value, charset_out);
        if (pieces[i].is_extended) {
            n += decode_percent(value, to + n);
        } else if (value.len > 0) {
            memcpy(to + n, value.ptr, value.len);
            n += value.len;
        }
    }
    return slice_make(to, n);
}

bool mime_param_find(const struct mime_content *content, const char *name, struct arena *a,
                     struct slice *value_out, struct slice *charset_out)
{
    struct piece pieces[MIME_PARAMS_MAX] = {{NULL, false}};
    const struct mime_param *plain = NULL;
    struct slice want = slice_cstr(name);

    *value_out = *charset_out = SLICE_LIT("");
    for (size_t i = 0; i < content->param_count; i++) {
        const struct mime_param *param = &content->params[i];
        struct piece piece = {param, false};
        int number;

        if (!slice_has_iprefix(param->name, want))
            continue;
        if (param->name.len == want.len) {
            plain = plain ? plain : param; /* the first of its name counts */
            continue;
        }
        number = piece_number(slice_sub(param->name, want.len, param->name.len), &piece.is_extended);
        if (number >= 0 && !pieces[number].param)
            pieces[number] = piece;
    }
    if (pieces[0].param)
        *value_out = join(pieces, a, charset_out);
    else if (plain)
        *value_out = plain->value;
    return pieces[0].param || plain;
}

/* ---- one parameter of several pieces ---- */

/* "name*3*" -> "name" and 3; -1: no piece. "name*" is a value in one piece, not one of several. */
static int split_name(struct slice name, struct slice *base_out, bool *is_extended_out)
{
    size_t star = 0;

    while (star < name.len && name.ptr[star] != '*')
        star++;
    *base_out = slice_sub(name, 0, star);
    if (star == 0 || name.len - star < 2)
        return -1;
    return piece_number(slice_sub(name, star, name.len), is_extended_out);
}

/* Pieces 0, 1, ... of `base`, as many as follow one another; each marks its parameter in `taken`. */
static size_t find_pieces(const struct mime_content *content, struct slice base, struct piece *pieces,
                          bool *taken)
{
    size_t count = 0;

    for (size_t i = 0; i < content->param_count && count < content->param_count; i++) {
        struct piece piece = {.param = &content->params[i]};
        struct slice other;

        if (split_name(piece.param->name, &other, &piece.is_extended) != (int)count ||
            !slice_ieq(other, base) || taken[i])
            continue;
        pieces[count++] = piece;
        taken[i] = true;
        i = (size_t)-1; /* the next number may stand before this one */
    }
    return count;
}

static bool is_attribute_char(uint8_t c)
{
    return c > 32 && c < 127 && !strchr("()<>@,;:\\\"/[]?=*'%", c); /* RFC 2231 7 */
}

static void add_percent(struct slice value, struct str *out)
{
    for (size_t i = 0; i < value.len; i++) {
        if (is_attribute_char(value.ptr[i]))
            str_add_byte(out, value.ptr[i]);
        else
            str_addf(out, "%%%02X", (unsigned)value.ptr[i]);
    }
}

/* Without percent signs the name loses its star; with them in any piece all of the value has them. */
static bool unite_one(const struct piece *pieces, size_t count, struct slice base, struct arena *a,
                      struct mime_param *out)
{
    bool is_extended = false;
    uint8_t *to;
    struct str value;

    for (size_t i = 0; i < count; i++)
        is_extended = is_extended || pieces[i].is_extended;
    str_init(&value, 0);
    if (is_extended && !pieces[0].is_extended)
        str_add_cstr(&value, "''");
    for (size_t i = 0; i < count; i++) {
        if (is_extended && !pieces[i].is_extended)
            add_percent(pieces[i].param->value, &value);
        else
            str_add_slice(&value, pieces[i].param->value);
    }
    out->name = slice_sub(pieces[0].param->name, 0, base.len + (is_extended ? 1 : 0));
    to = arena_try_alloc(a, value.len + 1);
    if (to && value.len > 0)
        memcpy(to, str_slice(&value).ptr, value.len);
    out->value = slice_make(to, to ? value.len : 0);
    str_fini(&value);
    return to != NULL;
}

static bool has_pieces(const struct mime_content *content)
{
    struct slice base;
    bool is_extended;

    for (size_t i = 0; i < content->param_count; i++) {
        struct slice name = content->params[i].name;

        if (memchr(name.ptr, '*', name.len) && split_name(name, &base, &is_extended) == 0)
            return true;
    }
    return false;
}

void mime__params_unite(struct mime_content *content, struct arena *a)
{
    struct piece pieces[MIME_PARAMS_MAX];
    bool taken[MIME_PARAMS_MAX] = {false};
    struct mime_param *params;
    size_t count = 0;

    if (content->param_count > MIME_PARAMS_MAX || !has_pieces(content))
        return;
    params = arena_try_alloc(a, sizeof(*params) * content->param_count);
    for (size_t i = 0; params && i < content->param_count; i++) {
        struct slice base;
        bool is_extended;
        size_t found;

        if (taken[i])
            continue;
        params[count] = content->params[i];
        if (split_name(content->params[i].name, &base, &is_extended) >= 0) {
            found = find_pieces(content, base, pieces, taken);
            if (found > 0 && !unite_one(pieces, found, base, a, &params[count]))
                return; /* no room: they stay as they stand */
            if (found > 0 && !taken[i])
                i--; /* this one is behind a gap, and stays */
        }
        count++;
    }
    if (!params)
        return;
    content->params = params;
    content->param_count = count;
}
