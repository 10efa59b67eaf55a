/*
 * conf_value.c - one node of the tree -> one field of an option struct.
 * Layer 2 (conf).
 * A value is read by the type of its row and nothing else. Each complaint stands at the place of the text
 * that is wrong (for lists: of the item), says what was found, and its hint says what is expected.
 */
#include <stdio.h>

#include "conf_priv.h"

struct value_type {
    const char *what; /* "a duration" */
    const char *hint;
};

static const struct value_type value_types[] = {
    [CONF_BOOL] = {"a boolean", "true or false"},
    [CONF_INT] = {"a whole number", "digits only"},
    [CONF_SIZE] = {"a size", "write it like 4096, 64KiB, 25MiB, 1GiB"},
    [CONF_DURATION] = {"a duration", "write it like 250ms, 90s, 5m, 2h, 1d or PT30M"},
    [CONF_AFTER] = {"a delay", "+SECONDS, a duration like +5m, or seconds since 1970"},
    [CONF_STRING] = {"a text", NULL},
    [CONF_PATH] = {"a path", NULL},
    [CONF_ENUM] = {"one of the words", NULL},
    [CONF_STRLIST] = {"a list", NULL},
    [CONF_NUMLIST] = {"a whole number", "digits only"},
    [CONF_DURLIST] = {"a duration", "write it like 90s, 5m, 2h, 1d or PT30M"},
    [CONF_SECRET] = {"a secret", "write !file PATH"},
};

bool conf__type_is_list(enum conf_type type)
{
    return type == CONF_STRLIST || type == CONF_NUMLIST || type == CONF_DURLIST;
}

static bool value_err(const struct conf__conv *cv, const struct conf_opt *opt, const struct conf__node *node,
                      const char *hint, const char *fmt, ...) MS_PRINTF(5, 6);
static bool value_err(const struct conf__conv *cv, const struct conf_opt *opt, const struct conf__node *node,
                      const char *hint, const char *fmt, ...)
{
    char key[CONF_PATH_MAX];
    va_list ap;

    snprintf(key, sizeof(key), "%s.%s", cv->path, opt->key);
    va_start(ap, fmt);
    conf__verr(cv->report, node->at, key, hint, fmt, ap);
    va_end(ap);
    return false;
}

/* A number of the row's notation, as signed 64 bits (all notations stay below 2^63). */
static enum ms_err number_parse(const struct conf_opt *opt, struct slice text, int64_t *out)
{
    uint64_t value = 0;
    bool negative = false;

    switch (opt->type) {
    case CONF_SIZE:
        MS_TRY(conf_parse_size(text, opt->flags & CONF_BLOCKS ? 1024 : 1, &value));
        break;
    case CONF_DURATION:
    case CONF_DURLIST:
        MS_TRY(conf_parse_duration(text, opt->flags & CONF_BARE_SECONDS ? 1000 : 0, &value));
        break;
    default:
        negative = opt->type == CONF_INT && text.len > 1 && text.ptr[0] == '-';
        MS_TRY(slice_to_u64(slice_sub(text, negative, text.len), INT64_MAX, &value));
        break;
    }
    *out = negative ? -(int64_t)value : (int64_t)value;
    return MS_OK;
}

static bool number_in_range(const struct conf_opt *opt, int64_t value)
{
    int64_t bound;

    if (opt->min && (number_parse(opt, slice_cstr(opt->min), &bound) || value < bound))
        return false;
    return !opt->max || (!number_parse(opt, slice_cstr(opt->max), &bound) && value <= bound);
}

static bool number_convert(const struct conf__conv *cv, const struct conf_opt *opt,
                           const struct conf__node *node, struct slice text, int64_t *out)
{
    const struct value_type *type = &value_types[opt->type];
    char quoted[CONF__QUOTE_BYTES];
    enum ms_err err;

    if ((opt->flags & CONF_CAN_BE_AUTO && slice_eq_cstr(text, "auto")) ||
        (opt->flags & CONF_CAN_BE_NONE && slice_eq_cstr(text, "none"))) {
        *out = 0;
        return true;
    }
    err = number_parse(opt, text, out);
    conf__quote(text, quoted);
    if (!err && number_in_range(opt, *out))
        return true;
    if (err == MS_ELIMIT && !opt->max)
        return value_err(cv, opt, node, NULL, "%s is too large", quoted);
    if (!err || err == MS_ELIMIT)
        return value_err(cv, opt, node, NULL, "%s is out of range, %s to %s", quoted,
                         opt->min ? opt->min : "0", opt->max ? opt->max : "any");
    if (opt->type != CONF_INT && opt->type != CONF_NUMLIST && text.len > 0 && ms_ascii_is_digit(text.ptr[0]))
        return value_err(cv, opt, node, type->hint, "%s has no unit that fits %s", quoted, type->what);
    return value_err(cv, opt, node, type->hint, "%s is not %s", quoted, type->what);
}

/* A C string; "" is a value. */
static bool text_convert(const struct conf__conv *cv, const struct conf_opt *opt,
                         const struct conf__node *node, const char **out)
{
    if (slice_find_byte(node->text, 0) >= 0)
        return value_err(cv, opt, node, NULL, "the text holds a NUL character");
    if (opt->type == CONF_PATH && node->text.len == 0)
        return value_err(cv, opt, node, NULL, "an empty text is not a path");
    if (opt->type == CONF_PATH)
        *out = conf__path_join(cv->arena, cv->dir, node->text);
    else
        *out = arena_dup_cstr(cv->arena, node->text);
    return true;
}

static bool enum_convert(const struct conf__conv *cv, const struct conf_opt *opt,
                         const struct conf__node *node, int *out)
{
    char quoted[CONF__QUOTE_BYTES];
    struct str words;

    for (int i = 0; opt->names[i]; i++) {
        if (slice_ieq_cstr(node->text, opt->names[i])) {
            *out = i;
            return true;
        }
    }
    str_init(&words, 0);
    str_add_cstr(&words, "one of:");
    for (int i = 0; opt->names[i]; i++)
        str_addf(&words, " %s", opt->names[i]);
    value_err(cv, opt, node, str_cstr(&words), "%s is not a value of this option",
              conf__quote(node->text, quoted));
    str_fini(&words);
    return false;
}

static bool secret_convert(const struct conf__conv *cv, const struct conf_opt *opt,
                           const struct conf__node *node, const char **out)
{
    struct ms_errinfo why;
    const char *path;
    struct str bytes;
    bool ok;

    if (!node->file_tag)
        return value_err(cv, opt, node, "write !file PATH", "a secret is not written into the configuration");
    if (node->text.len == 0 || slice_find_byte(node->text, 0) >= 0)
        return value_err(cv, opt, node, NULL, "!file needs the path of a file");
    if (cv->without_files)
        return true;
    path = conf__path_join(cv->arena, cv->dir, node->text);
    str_init(&bytes, 0);
    ok = conf__read_file(path, CONF_SECRET_BYTES_MAX, true, &bytes, &why) == MS_OK;
    if (!ok) {
        value_err(cv, opt, node, NULL, "%s", why.text);
    } else {
        if (slice_has_suffix(str_slice(&bytes), SLICE_LIT("\n")))
            str_cut(&bytes, bytes.len - 1);
        if (slice_has_suffix(str_slice(&bytes), SLICE_LIT("\r")))
            str_cut(&bytes, bytes.len - 1);
        ok = slice_find_byte(str_slice(&bytes), 0) < 0 && bytes.len > 0;
        if (ok)
            *out = arena_dup_cstr(cv->arena, str_slice(&bytes));
        else
            value_err(cv, opt, node, NULL, "%s is empty or holds a NUL character", path);
    }
    str_fini(&bytes);
    return ok;
}

/* -- lists */

/* A scalar as a list of scalars at the same place: one for texts, several split at blanks and commas for
 * numbers. */
static const struct conf__node *list_of_scalar(const struct conf__conv *cv, const struct conf_opt *opt,
                                               const struct conf__node *node)
{
    struct conf__node *list = conf__node_new(cv->arena, CONF__LIST, node->at), *item;
    struct slice rest = node->text;

    for (size_t len; rest.len > 0; rest = slice_sub(rest, len + 1, rest.len)) {
        len = opt->type == CONF_STRLIST ? rest.len : 0;
        while (len < rest.len && rest.ptr[len] != ' ' && rest.ptr[len] != ',')
            len++;
        if (len == 0)
            continue;
        item = conf__node_new(cv->arena, CONF__SCALAR, node->at);
        item->text = slice_sub(rest, 0, len);
        item->plain = true;
        conf__node_add(list, item);
    }
    return list;
}

static bool list_item(const struct conf__conv *cv, const struct conf_opt *opt, const struct conf__node *item,
                      const char **text_out, uint64_t *number_out)
{
    int64_t value;

    if (item->broken)
        return false;
    if (item->kind != CONF__SCALAR)
        return value_err(cv, opt, item, NULL, "an item of this list must be a single value");
    if (item->file_tag)
        return value_err(cv, opt, item, NULL, "!file is for secrets only");
    if (conf__node_is_empty(item))
        return value_err(cv, opt, item, "write \"\" for an empty text", "the item has no value");
    if (opt->type == CONF_STRLIST)
        return text_convert(cv, opt, item, text_out);
    if (!number_convert(cv, opt, item, item->text, &value))
        return false;
    *number_out = (uint64_t)value;
    return true;
}

static bool list_convert(const struct conf__conv *cv, const struct conf_opt *opt,
                         const struct conf__node *node, void *field)
{
    const struct conf__node *list = node->kind == CONF__LIST ? node : list_of_scalar(cv, opt, node);
    const char **texts = arena_new_array(cv->arena, const char *, list->count + 1);
    uint64_t *numbers = arena_new_array(cv->arena, uint64_t, list->count + 1);
    bool ok = true;
    size_t i = 0;

    if (opt->list_max && list->count > opt->list_max)
        return value_err(cv, opt, node, NULL, "%u items, at most %u are allowed", list->count, opt->list_max);
    for (const struct conf__node *it = list->first; it; it = it->next, i++)
        ok &= list_item(cv, opt, it, &texts[i], &numbers[i]);
    if (ok && opt->type == CONF_STRLIST)
        *(struct conf_strlist *)field = (struct conf_strlist){.items = texts, .count = i};
    else if (ok)
        *(struct conf_numlist *)field = (struct conf_numlist){.items = numbers, .count = i};
    return ok;
}

/* -- dispatch */

static bool scalar_convert(const struct conf__conv *cv, const struct conf_opt *opt,
                           const struct conf__node *node, void *field)
{
    const struct value_type *type = &value_types[opt->type];
    char quoted[CONF__QUOTE_BYTES];
    int64_t number;

    switch (opt->type) {
    case CONF_BOOL:
        return conf_parse_bool(node->text, field) == MS_OK ||
               value_err(cv, opt, node, type->hint, "%s is not %s", conf__quote(node->text, quoted),
                         type->what);
    case CONF_INT:
    case CONF_SIZE:
    case CONF_DURATION:
        if (!number_convert(cv, opt, node, slice_trim(node->text), &number))
            return false;
        memcpy(field, &number, sizeof(number));
        return true;
    case CONF_AFTER:
        return conf_parse_after(node->text, field) == MS_OK ||
               value_err(cv, opt, node, type->hint, "%s is not %s", conf__quote(node->text, quoted),
                         type->what);
    case CONF_STRING:
    case CONF_PATH:
        return text_convert(cv, opt, node, field);
    case CONF_ENUM:
        return enum_convert(cv, opt, node, field);
    case CONF_SECRET:
        return secret_convert(cv, opt, node, field);
    case CONF_STRLIST:
    case CONF_NUMLIST:
    case CONF_DURLIST:
        break;
    }
    MS_UNREACHABLE();
}

bool conf__convert(const struct conf__conv *cv, const struct conf_opt *opt, const struct conf__node *node,
                   void *data)
{
    const struct value_type *type = &value_types[opt->type];
    void *field = (uint8_t *)data + opt->offset;
    bool is_list = conf__type_is_list(opt->type);

    if (node->broken)
        return false;
    if (node->kind == CONF__MAP)
        return value_err(cv, opt, node, type->hint, "expected %s, found a mapping",
                         is_list ? "a list" : type->what);
    if (node->kind == CONF__LIST && !is_list)
        return value_err(cv, opt, node, type->hint, "expected %s, found a list", type->what);
    if (node->file_tag && opt->type != CONF_SECRET)
        return value_err(cv, opt, node, NULL, "!file is for secrets only");
    if (is_list)
        return list_convert(cv, opt, node, field);
    if (conf__node_is_empty(node))
        return value_err(cv, opt, node,
                         opt->type == CONF_STRING ? "write \"\" for an empty text" : type->hint,
                         "the option has no value");
    return scalar_convert(cv, opt, node, field);
}

struct conf__node *conf__node_of_text(struct arena *a, const struct conf_opt *opt, const char *text)
{
    struct conf__place nowhere = {0};
    struct conf__node *node, *item;
    struct slice rest = slice_cstr(text), word;

    if (!conf__type_is_list(opt->type)) {
        node = conf__node_new(a, CONF__SCALAR, nowhere);
        node->file_tag = slice_has_prefix(rest, SLICE_LIT("!file "));
        node->text = slice_sub(rest, node->file_tag ? 6 : 0, rest.len);
        return node;
    }
    node = conf__node_new(a, CONF__LIST, nowhere);
    for (bool more = true; more;) {
        more = slice_cut(&rest, ' ', &word);
        if (!more)
            word = rest;
        if (word.len == 0)
            continue;
        item = conf__node_new(a, CONF__SCALAR, nowhere);
        item->text = word;
        conf__node_add(node, item);
    }
    return node;
}
