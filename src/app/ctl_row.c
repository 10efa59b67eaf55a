/*
 * ctl_row.c - rows of the admin socket: a line of name, value, name, value ...
 */
#include "ctl.h"

#include <stdarg.h>

#include "ms/base/clock.h"

void ctl_row_begin(struct ctl_row *r, struct ctl_session *s, const char *kind)
{
    r->session = s;
    r->words[0] = SLICE_LIT("row");
    r->words[1] = slice_cstr(kind);
    r->count = 2;
    arena_init(&r->arena, 0);
}

void ctl_row_text(struct ctl_row *r, const char *name, struct slice value)
{
    MS_ASSERT(r->count + 2 <= CTL_WORDS_MAX);
    r->words[r->count++] = slice_cstr(name);
    r->words[r->count++] = arena_dup(&r->arena, value);
}

void ctl_row_add(struct ctl_row *r, const char *name, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ctl_row_text(r, name, slice_cstr(text));
}

void ctl_row_number(struct ctl_row *r, const char *name, uint64_t value)
{
    ctl_row_add(r, name, "%llu", (unsigned long long)value);
}

void ctl_row_time(struct ctl_row *r, const char *name, uint64_t us)
{
    char text[CLOCK_RFC3339_MAX] = "-";
    if (us && us != UINT64_MAX)
        clock_emit_rfc3339(us, text);
    ctl_row_text(r, name, slice_cstr(text));
}

void ctl_row_end(struct ctl_row *r)
{
    ctl_words(r->session, r->words, r->count);
    arena_fini(&r->arena);
}
