/*
 * app_output.c - one row of a command's output: people, JSON lines, tab-separated.
 */
#include "app.h"

static void json_string(struct slice text)
{
    putchar('"');
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void json_list(const struct slice *items, size_t count)
{
    putchar('[');
    for (size_t i = 0; i < count; i++) {
        if (i)
            putchar(',');
        json_string(items[i]);
    }
    putchar(']');
}

static void plain_value(const struct app_field *f)
{
    if (f->text)
        fputs(f->text, stdout);
    for (size_t i = 0; !f->text && i < f->count; i++)
        printf("%s" SLICE_FMT, i ? "," : "", SLICE_ARG(f->items[i]));
}

static void json_field(const struct app_field *f)
{
    json_string(slice_cstr(f->name));
    putchar(':');
    if (f->text)
        json_string(slice_cstr(f->text));
    else
        json_list(f->items, f->count);
}

void app_emit_fields(const struct app_args *args, const struct app_field *fields, size_t n, bool upright)
{
    upright = upright && args->output == APP_HUMAN;
    for (size_t i = 0; i < n; i++) {
        if (args->output == APP_JSON) {
            putchar(i ? ',' : '{');
            json_field(&fields[i]);
            continue;
        }
        if (i)
            fputs(upright ? "\n" : args->output == APP_TSV ? "\t" : "  ", stdout);
        if (args->output == APP_HUMAN)
            printf(upright ? "%s: " : "%s=", fields[i].name);
        plain_value(&fields[i]);
    }
    puts(args->output == APP_JSON ? "}" : "");
}

void app_emit_row(const struct app_args *args, const char *const *names, const char *const *values, size_t n)
{
    struct app_field fields[APP_FIELDS_MAX];
    MS_ASSERT(n <= APP_FIELDS_MAX);
    for (size_t i = 0; i < n; i++)
        fields[i] = (struct app_field){.name = names[i], .text = values[i]};
    app_emit_fields(args, fields, n, false);
}
