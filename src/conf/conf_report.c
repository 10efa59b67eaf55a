/*
 * conf_report.c - collects mistakes, up to a named number, and prints them.
 * Layer 2 (conf).
 * Errors arrive in the order of the work (YAML of all files, then tables, then cross checks) and are shown in
 * the order of the text, so they are sorted once at the end. All strings are copies: a report outlives the
 * snapshot that failed.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf_priv.h"

struct report_item {
    struct conf_error e;
    unsigned file_no;
    size_t seq;
};

struct conf_report_mem {
    struct arena arena;
    struct report_item *items;
    size_t count, cap;
};

void conf_report_init(struct conf_report *report)
{
    *report = (struct conf_report){.mem = ms_new(struct conf_report_mem)};
    arena_init(&report->mem->arena, 0);
}

void conf_report_fini(struct conf_report *report)
{
    if (report->mem) {
        arena_fini(&report->mem->arena);
        ms_free(report->mem->items);
        ms_free(report->mem);
    }
    *report = (struct conf_report){0};
}

bool conf__report_is_full(const struct conf_report *report)
{
    return report->mem->count >= CONF_ERRORS_MAX;
}

static bool report_has(const struct conf_report_mem *mem, const struct report_item *item)
{
    for (size_t i = mem->count; i-- > 0;) {
        const struct report_item *it = &mem->items[i];

        if (it->e.line == item->e.line && it->e.col == item->e.col && it->file_no == item->file_no &&
            strcmp(it->e.text, item->e.text) == 0)
            return true;
    }
    return false;
}

static char *report_vprintf(struct arena *a, const char *fmt, va_list ap) MS_PRINTF(2, 0);
static char *report_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    char text[1024];
    int len = vsnprintf(text, sizeof(text), fmt, ap);

    MS_ASSERT(len >= 0);
    return arena_dup_cstr(a, slice_make(text, MS_MIN((size_t)len, sizeof(text) - 1)));
}

void conf__verr(struct conf_report *report, struct conf__place at, const char *key, const char *hint,
                const char *fmt, va_list ap)
{
    struct conf_report_mem *mem = report->mem;
    struct report_item item = {.seq = mem->count};

    if (conf__report_is_full(report)) {
        report->total++;
        return;
    }
    item.file_no = at.file ? at.file->no : 0;
    item.e.line = at.line;
    item.e.col = at.col;
    item.e.text = report_vprintf(&mem->arena, fmt, ap);
    if (report_has(mem, &item))
        return;
    item.e.file = at.file ? arena_dup_cstr(&mem->arena, slice_cstr(at.file->name)) : "";
    item.e.key = arena_dup_cstr(&mem->arena, slice_cstr(key));
    item.e.hint = hint ? arena_dup_cstr(&mem->arena, slice_cstr(hint)) : "";
    if (mem->count == mem->cap) {
        mem->cap = mem->cap ? mem->cap * 2 : 16;
        mem->items = ms_realloc_array(mem->items, mem->cap, sizeof(*mem->items));
    }
    mem->items[mem->count++] = item;
    report->total++;
}

void conf__err(struct conf_report *report, struct conf__place at, const char *key, const char *hint,
               const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    conf__verr(report, at, key, hint, fmt, ap);
    va_end(ap);
}

static int item_cmp(const void *left, const void *right)
{
    const struct report_item *a = left, *b = right;

    if (a->file_no != b->file_no)
        return a->file_no < b->file_no ? -1 : 1;
    if (a->e.line != b->e.line)
        return a->e.line < b->e.line ? -1 : 1;
    if (a->e.col != b->e.col)
        return a->e.col < b->e.col ? -1 : 1;
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

void conf__report_finish(struct conf_report *report)
{
    struct conf_report_mem *mem = report->mem;
    struct conf_error *errors;

    if (mem->count == 0)
        return;
    qsort(mem->items, mem->count, sizeof(*mem->items), item_cmp);
    errors = arena_new_array(&mem->arena, struct conf_error, mem->count);
    for (size_t i = 0; i < mem->count; i++)
        errors[i] = mem->items[i].e;
    report->errors = errors;
    report->count = mem->count;
}

void conf_report_emit(const struct conf_report *report, struct str *out)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct conf_error *e = &report->errors[i];

        if (e->file[0] && e->line)
            str_addf(out, "%s:%u:%u: ", e->file, e->line, e->col);
        else if (e->file[0])
            str_addf(out, "%s: ", e->file);
        str_addf(out, "error: %s", e->text);
        if (e->key[0] || e->hint[0])
            str_addf(out, " (%s%s%s)", e->key, e->key[0] && e->hint[0] ? "; " : "", e->hint);
        str_add_byte(out, '\n');
    }
    if (report->total > report->count)
        str_addf(out, "error: %zu more errors are not shown\n", report->total - report->count);
}

/* Bytes of the longest prefix of at most max bytes that does not end inside a character. */
static size_t quote_cut(struct slice text, size_t max)
{
    size_t len = max;

    while (len > 0 && (text.ptr[len] & 0xc0) == 0x80)
        len--;
    return len;
}

const char *conf__quote(struct slice text, char *buf)
{
    const size_t text_max = CONF__QUOTE_BYTES / 4 - 4; /* each byte may become \xNN */
    bool cut = text.len > text_max;
    size_t used = 0;

    if (cut)
        text.len = quote_cut(text, text_max);
    buf[used++] = '"';
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            used += (size_t)snprintf(buf + used, 5, "\\x%02x", text.ptr[i]);
        else
            buf[used++] = (char)text.ptr[i];
    }
    memcpy(buf + used, cut ? "...\"" : "\"", cut ? 5 : 2);
    return buf;
}
