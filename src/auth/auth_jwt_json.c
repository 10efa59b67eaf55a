/*
 * auth_jwt_json.c - JSON of strangers, by jansson behind bounds.
 */
#include "auth_jwt.h"

#include <jansson.h>

/* Nesting costs a parser its stack. Brackets inside of strings do not count. */
static bool is_shallow(struct slice text)
{
    size_t depth = 0;
    bool in_text = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (in_text && c == '\\')
            i++;
        else if (c == '"')
            in_text = !in_text;
        else if (!in_text && (c == '{' || c == '[') && ++depth > AUTH_JWT_DEPTH_MAX)
            return false;
        else if (!in_text && (c == '}' || c == ']') && depth > 0)
            depth--;
    }
    return true;
}

struct json_t *auth__json_object(struct slice text)
{
    if (text.len == 0 || !is_shallow(text))
        return NULL;
    /* RFC 7515 4, RFC 7519 4: a name that is there twice means what each reader makes of it: refused. */
    json_t *value = json_loadb((const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
    if (value && !json_is_object(value)) {
        json_decref(value);
        return NULL;
    }
    return value;
}

bool auth__json_text(const struct json_t *object, const char *name, struct slice *out)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value))
        return false;
    *out = slice_make(json_string_value(value), json_string_length(value));
    return true;
}
