/*
 * err.c - error names, operator detail, assertions, and the only allocator calls of the project.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ms/base/err.h"

struct err_row {
    const char *name;
    const char *text;
    enum ms_errclass class;
};

static const struct err_row err_rows[MS_ERR_COUNT] = {
#define X(code, cls, txt) [code] = {.name = #code, .text = txt, .class = MS_CLASS_##cls},
    MS_ERR_MAP(X)
#undef X
};

/* A value outside the enum is our mistake, but the functions promise never to fail: they are used while
 * logging. */
static const struct err_row *err_row_of(enum ms_err err)
{
    static const struct err_row odd = {.name = "MS_E?", .text = "unknown error", .class = MS_CLASS_TEMP};

    return (unsigned)err < MS_ERR_COUNT ? &err_rows[err] : &odd;
}

const char *ms_err_name(enum ms_err err)
{
    return err_row_of(err)->name;
}

const char *ms_err_text(enum ms_err err)
{
    return err_row_of(err)->text;
}

enum ms_errclass ms_err_class(enum ms_err err)
{
    return err_row_of(err)->class;
}

enum ms_err ms_err_from_errno(int err)
{
    switch (err) {
    case ENOSPC:
    case EDQUOT:
        return MS_ENOSPC;
    case ENOENT:
        return MS_ENOTFOUND;
    case EEXIST:
        return MS_EEXIST;
    case EACCES:
    case EPERM:
        return MS_EDENIED;
    case ENOMEM:
        return MS_ENOMEM;
    default:
        return MS_EIO;
    }
}

enum ms_err ms_fail(struct ms_errinfo *why, enum ms_err err, const char *fmt, ...)
{
    if (why) {
        va_list ap;

        va_start(ap, fmt);
        (void)vsnprintf(why->text, sizeof(why->text), fmt, ap);
        va_end(ap);
    }
    return err;
}

enum ms_err ms_fail_errno(struct ms_errinfo *why, int errno_value, const char *fmt, ...)
{
    if (why) {
        char buf[128];
        va_list ap;
        size_t used;

        va_start(ap, fmt);
        (void)vsnprintf(why->text, sizeof(why->text), fmt, ap);
        va_end(ap);
        used = strlen(why->text);
        /* The GNU form: gives a pointer, which need not be into buf. */
        (void)snprintf(why->text + used, sizeof(why->text) - used, ": %s",
                       strerror_r(errno_value, buf, sizeof(buf)));
    }
    return ms_err_from_errno(errno_value);
}

void ms_assert_fail(const char *cond, const char *file, int line, const char *func)
{
    fprintf(stderr, "%s:%d: %s: assertion failed: %s\n", file, line, func, cond);
    fflush(stderr);
    abort();
}

static MS_NORETURN void err_no_memory(size_t bytes)
{
    fprintf(stderr, "out of memory: %zu bytes\n", bytes);
    fflush(stderr);
    abort();
}

void *ms_alloc(size_t bytes)
{
    void *ptr = calloc(1, MS_MAX(bytes, (size_t)1));

    if (MS_UNLIKELY(!ptr))
        err_no_memory(bytes);
    return ptr;
}

void *ms_alloc_array(size_t count, size_t bytes_each)
{
    size_t bytes;

    if (MS_UNLIKELY(__builtin_mul_overflow(count, bytes_each, &bytes)))
        err_no_memory(SIZE_MAX);
    return ms_alloc(bytes);
}

void *ms_realloc_array(void *ptr, size_t count, size_t bytes_each)
{
    size_t bytes;
    void *bigger;

    if (MS_UNLIKELY(__builtin_mul_overflow(count, bytes_each, &bytes)))
        err_no_memory(SIZE_MAX);
    bigger = realloc(ptr, MS_MAX(bytes, (size_t)1));
    if (MS_UNLIKELY(!bigger))
        err_no_memory(bytes);
    return bigger;
}

void *ms_memdup(const void *ptr, size_t bytes)
{
    void *copy = ms_realloc_array(NULL, bytes, 1);

    if (bytes)
        memcpy(copy, ptr, bytes);
    return copy;
}

char *ms_strdup(const char *cstr)
{
    return ms_memdup(cstr, strlen(cstr) + 1);
}

void ms_free(void *ptr)
{
    free(ptr);
}
