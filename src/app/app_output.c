/*
 * app_output.c - one row of a command's output: people, JSON lines, tab-separated.
 */
#include "app.h"

#include "ms/base/clock.h"
#include "ms/base/codec.h"

/* -- texts: addresses and reasons come from strangers */
/* The next character, U+FFFD for what is no UTF-8; its octets are cut off. */
static uint32_t next_char(struct slice *rest)
{
    uint32_t c;
    size_t n = utf8_parse(*rest, &c);
    *rest = slice_sub(*rest, MS_MAX(n, (size_t)1), rest->len);
    return n ? c : 0xfffd;
}

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
}

static void put_char(FILE *to, uint32_t c)
{
    struct str s;
    str_init(&s, 0);
    utf8_add(&s, c);
    fputs(str_cstr(&s), to);
    str_fini(&s);
}

void app_print_text(FILE *to, struct slice text)
{
    while (text.len) {
        uint32_t c = next_char(&text);
        if (c < 0x80)
            fputc(is_control(c) ? '?' : (int)c, to);
        else if (is_control(c))
            fputc('?', to);
        else
            put_char(to, c);
    }
}

void app_print_json(struct slice text)
{
    putchar('"');
    while (text.len) {
        uint32_t c = next_char(&text);
        if (c == '"' || c == '\\')
            printf("\\%c", (int)c);
        else if (is_control(c))
            printf("\\u%04x", c);
        else if (c < 0x80)
            putchar((int)c);
        else
            put_char(stdout, c);
    }
    putchar('"');
}

const char *app_span(uint64_t us, char out[APP_SPAN_MAX])
{
    uint64_t s = us / 1000000;
    if (s < 120)
        snprintf(out, APP_SPAN_MAX, "%us", (unsigned)s);
    else if (s < 7200)
        snprintf(out, APP_SPAN_MAX, "%um", (unsigned)(s / 60));
    else if (s < 2 * 86400)
        snprintf(out, APP_SPAN_MAX, "%uh", (unsigned)(s / 3600));
    else
        snprintf(out, APP_SPAN_MAX, "%ud", (unsigned)MS_MIN(s / 86400, (uint64_t)99999));
    return out;
}

const char *app_time(uint64_t us, char out[APP_TIME_MAX])
{
    clock_emit_rfc3339(us, out);
    memcpy(out + sizeof "2026-11-22T18:40:00" - 1, "Z", 2);
    return out;
}

/* -- rows */
static void json_list(const struct slice *items, size_t count)
{
    putchar('[');
    for (size_t i = 0; i < count; i++) {
        if (i)
            putchar(',');
        app_print_json(items[i]);
    }
    putchar(']');
}

static void plain_value(const struct app_field *f)
{
    if (f->text)
        app_print_text(stdout, slice_cstr(f->text));
    for (size_t i = 0; !f->text && i < f->count; i++) {
        fputs(i ? "," : "", stdout);
        app_print_text(stdout, f->items[i]);
    }
}

static void json_field(const struct app_field *f)
{
    app_print_json(slice_cstr(f->name));
    putchar(':');
    if (f->text)
        app_print_json(slice_cstr(f->text));
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
