/*
 * app_table.c - tables for people: columns as wide as what is in them.
 */
#include "app.h"

#include <stdarg.h>

void app_table_init(struct app_table *t, const struct app_column *columns, size_t column_count)
{
    *t = (struct app_table){.columns = columns, .column_count = column_count};
}

void app_table_add(struct app_table *t, struct slice cell)
{
    if (t->count == t->room) {
        t->room = MS_MAX(2 * t->room, (size_t)64);
        t->cells = ms_realloc_array(t->cells, t->room, sizeof *t->cells);
    }
    t->cells[t->count++] = slice_dup_cstr(cell);
}

void app_table_addf(struct app_table *t, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    app_table_add(t, slice_cstr(text));
}

/* Characters, not octets: continuations of UTF-8 take no room. */
static size_t width_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((uint8_t)*text & 0xc0) != 0x80;
    return n;
}

static void print_line(const struct app_table *t, const size_t *widths, char *const *cells)
{
    for (size_t i = 0; i < t->column_count; i++) {
        const char *text = cells ? cells[i] : t->columns[i].title;
        size_t blanks = widths[i] - width_of(text);
        if (t->columns[i].is_number)
            printf("%*s", (int)blanks, "");
        app_print_text(stdout, slice_cstr(text));
        if (i + 1 == t->column_count)
            break;
        printf("%*s", (int)(t->columns[i].is_number ? 2 : blanks + 2), "");
    }
    putchar('\n');
}

void app_table_print(const struct app_table *t)
{
    size_t *widths = ms_alloc_array(t->column_count, sizeof *widths);
    for (size_t i = 0; i < t->column_count; i++)
        widths[i] = width_of(t->columns[i].title);
    for (size_t i = 0; i < t->count; i++)
        widths[i % t->column_count] = MS_MAX(widths[i % t->column_count], width_of(t->cells[i]));
    if (t->count)
        print_line(t, widths, NULL);
    for (size_t i = 0; i < t->count; i += t->column_count)
        print_line(t, widths, t->cells + i);
    ms_free(widths);
}

void app_table_fini(struct app_table *t)
{
    for (size_t i = 0; i < t->count; i++)
        ms_free(t->cells[i]);
    ms_free(t->cells);
    *t = (struct app_table){0};
}
