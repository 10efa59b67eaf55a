/*
 * conf_emit_value.c - a value back into the notation of the file.
 * Layer 2 (conf).
 * Whatever is written here is read back by conf_yaml.c and conf_value.c as the same value.
 */
#include "conf_priv.h"

/* Bytes that need no quotes anywhere in a plain scalar, in block and in flow style. */
static bool scalar_byte_is_plain(uint8_t c)
{
    return ms_ascii_is_alpha(c) || ms_ascii_is_digit(c) || (c != 0 && strchr("_./@+=%-$^~", c) != NULL);
}

static bool scalar_is_plain(struct slice text)
{
    if (text.len == 0 ||
        !(ms_ascii_is_alpha(text.ptr[0]) || ms_ascii_is_digit(text.ptr[0]) || text.ptr[0] == '/' ||
          text.ptr[0] == '+' || text.ptr[0] == '_' || text.ptr[0] == '$'))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        bool inside = i > 0 && i + 1 < text.len && scalar_byte_is_plain(text.ptr[i + 1]);

        if (!scalar_byte_is_plain(text.ptr[i]) && !(inside && (text.ptr[i] == ':' || text.ptr[i] == ' ')))
            return false;
    }
    return true;
}

/* Length of a UTF-8 character that libyaml does not take unescaped or takes for a line end; *code_out its
 * number. */
static size_t scalar_special(struct slice s, unsigned *code_out)
{
    static const struct {
        const char *bytes;
        unsigned code;
    } specials[] = {{"\xe2\x80\xa8", 0x2028},
                    {"\xe2\x80\xa9", 0x2029},
                    {"\xef\xbb\xbf", 0xfeff},
                    {"\xef\xbf\xbe", 0xfffe},
                    {"\xef\xbf\xbf", 0xffff}};

    if (s.len >= 2 && s.ptr[0] == 0xc2 && s.ptr[1] < 0xa0) {
        *code_out = s.ptr[1];
        return 2;
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(specials); i++) {
        if (slice_has_prefix(s, slice_make(specials[i].bytes, 3))) {
            *code_out = specials[i].code;
            return 3;
        }
    }
    return 0;
}

void conf__emit_scalar(struct str *out, struct slice text)
{
    unsigned code;

    if (scalar_is_plain(text)) {
        str_add_slice(out, text);
        return;
    }
    str_add_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        size_t special = scalar_special(slice_sub(text, i, text.len), &code);

        if (special) {
            str_addf(out, "\\u%04X", code);
            i += special - 1;
        } else if (c == '"' || c == '\\') {
            str_addf(out, "\\%c", c);
        } else if (c == '\n') {
            str_add_cstr(out, "\\n");
        } else if (c < 0x20 || c == 0x7f) {
            str_addf(out, "\\x%02X", c);
        } else {
            str_add_byte(out, c);
        }
    }
    str_add_byte(out, '"');
}

static void emit_number(struct str *out, const struct conf_opt *opt, uint64_t value)
{
    if (value == 0 && opt->flags & (CONF_CAN_BE_AUTO | CONF_CAN_BE_NONE))
        str_add_cstr(out, opt->flags & CONF_CAN_BE_AUTO ? "auto" : "none");
    else if (opt->type == CONF_SIZE)
        conf_emit_size(out, value);
    else if (opt->type == CONF_DURATION || opt->type == CONF_DURLIST)
        conf_emit_duration(out, value);
    else
        str_addf(out, "%lld", (long long)(int64_t)value);
}

static void emit_after(struct str *out, const struct conf_after *after)
{
    if (after->absolute) {
        str_add_u64(out, after->ms / 1000);
        return;
    }
    str_add_byte(out, '+');
    conf_emit_duration(out, after->ms);
}

static void emit_list(struct str *out, const struct conf_opt *opt, const void *field)
{
    const struct conf_strlist *texts = opt->type == CONF_STRLIST ? field : NULL;
    const struct conf_numlist *numbers = opt->type == CONF_STRLIST ? NULL : field;
    size_t count = texts ? texts->count : numbers->count;

    str_add_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            str_add_cstr(out, ", ");
        if (texts)
            conf__emit_scalar(out, slice_cstr(texts->items[i]));
        else
            emit_number(out, opt, numbers->items[i]);
    }
    str_add_byte(out, ']');
}

/* An unset text is written as an empty one: the nearest that can be read again. */
void conf__emit_value(struct str *out, const struct conf_opt *opt, const void *data,
                      const struct conf__node *node)
{
    const uint8_t *field = (const uint8_t *)data + opt->offset;
    uint64_t number;

    switch (opt->type) {
    case CONF_BOOL:
        str_add_cstr(out, *(const bool *)field ? "true" : "false");
        break;
    case CONF_INT:
    case CONF_SIZE:
    case CONF_DURATION:
        memcpy(&number, field, sizeof(number));
        emit_number(out, opt, number);
        break;
    case CONF_AFTER:
        emit_after(out, (const struct conf_after *)(const void *)field);
        break;
    case CONF_ENUM:
        str_add_cstr(out, opt->names[*(const int *)(const void *)field]);
        break;
    case CONF_STRING:
    case CONF_PATH:
        conf__emit_scalar(out, slice_cstr(*(const char *const *)(const void *)field));
        break;
    case CONF_SECRET:
        str_add_cstr(out, "!file ");
        conf__emit_scalar(out, node ? node->text : SLICE_LIT(""));
        break;
    case CONF_STRLIST:
    case CONF_NUMLIST:
    case CONF_DURLIST:
        emit_list(out, opt, field);
        break;
    }
}

void conf__emit_text(struct str *out, const struct conf_opt *opt, const char *text)
{
    struct conf__node *node;
    struct arena a;

    arena_init(&a, 0);
    node = conf__node_of_text(&a, opt, text);
    if (node->kind == CONF__LIST) {
        str_add_byte(out, '[');
        for (const struct conf__node *it = node->first; it; it = it->next) {
            conf__emit_scalar(out, it->text);
            str_add_cstr(out, it->next ? ", " : "");
        }
        str_add_byte(out, ']');
    } else {
        str_add_cstr(out, node->file_tag ? "!file " : "");
        conf__emit_scalar(out, node->text);
    }
    arena_fini(&a);
}
