/*
 * load_text.c - growing text, and the few forms that a client writes.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static char *room(struct load_text *t, size_t len)
{
    if (t->len + len + 1 > t->size) {
        t->size = (t->len + len + 1) * 2;
        t->p = realloc(t->p, t->size);
        if (!t->p) {
            perror("load");
            exit(71);
        }
    }
    return t->p + t->len;
}

void load_text_add(struct load_text *t, const void *bytes, size_t len)
{
    memcpy(room(t, len), bytes, len);
    t->len += len;
}

void load_text_addf(struct load_text *t, const char *fmt, ...)
{
    char line[2048];
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(line)) {
        fprintf(stderr, "load: a command would be too long\n");
        exit(64);
    }
    load_text_add(t, line, (size_t)len);
}

void load_text_format(struct load_text *t, const char *format, uint64_t number)
{
    const char *mark = strstr(format, "%d");

    if (!mark) {
        load_text_add(t, format, strlen(format));
        return;
    }
    load_text_add(t, format, (size_t)(mark - format));
    load_text_addf(t, "%llu", (unsigned long long)number);
    load_text_add(t, mark + 2, strlen(mark + 2));
}

void load_text_free(struct load_text *t)
{
    free(t->p);
    *t = (struct load_text){0};
}

void load_text_base64(struct load_text *t, const void *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = bytes;

    for (size_t i = 0; i < len; i += 3) {
        unsigned group = p[i] << 16 | (i + 1 < len ? p[i + 1] : 0u) << 8 | (i + 2 < len ? p[i + 2] : 0u);
        char quad[4] = {digits[group >> 18], digits[group >> 12 & 63], digits[group >> 6 & 63],
                        digits[group & 63]};

        if (i + 2 >= len)
            quad[3] = '=';
        if (i + 1 >= len)
            quad[2] = '=';
        load_text_add(t, quad, 4);
    }
}
