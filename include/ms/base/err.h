/*
 * err.h - error codes, assertions and the attributes every contract uses.
 * Layer 0 (base).
 * A function that can fail returns enum ms_err and is MS_MUST_USE; detail for the operator goes to an
 * optional last argument struct ms_errinfo, which is logged and never sent to a peer.
 */
#ifndef MS_BASE_ERR_H
#define MS_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MS_MUST_USE                        __attribute__((warn_unused_result))
#define MS_PRINTF(fmt, arg)                __attribute__((format(printf, fmt, arg)))
#define MS_NORETURN                        __attribute__((noreturn))
#define MS_UNUSED                          __attribute__((unused))
#define MS_ALIGNED(n)                      __attribute__((aligned(n)))
#define MS_LIKELY(x)                       __builtin_expect(!!(x), 1)
#define MS_UNLIKELY(x)                     __builtin_expect(!!(x), 0)
#define MS_ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
#define MS_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define MS_MIN(a, b)                       ((a) < (b) ? (a) : (b))
#define MS_MAX(a, b)                       ((a) > (b) ? (a) : (b))

/* code, class, text for logs. The class tells what a caller may do: WAIT try later in this process,
 * PROTO the peer's syntax, PERM will not work however often repeated, TEMP may work later. */
#define MS_ERR_MAP(X)                                                                                        \
    X(MS_OK, OK, "ok")                                                                                       \
    X(MS_EMORE, WAIT, "more input needed")                                                                   \
    X(MS_EFULL, WAIT, "queue full")                                                                          \
    X(MS_ESYNTAX, PROTO, "syntax")                                                                           \
    X(MS_EUNSUPPORTED, PROTO, "not supported")                                                               \
    X(MS_EINVAL, PERM, "invalid value")                                                                      \
    X(MS_ELIMIT, PERM, "limit exceeded")                                                                     \
    X(MS_EQUOTA, PERM, "over quota")                                                                         \
    X(MS_ENOTFOUND, PERM, "not found")                                                                       \
    X(MS_EEXIST, PERM, "exists already")                                                                     \
    X(MS_EDENIED, PERM, "denied")                                                                            \
    X(MS_EDAMAGED, PERM, "damaged data")                                                                     \
    X(MS_EVERSION, PERM, "unknown format version")                                                           \
    X(MS_EGONE, TEMP, "referenced data is gone, send it again")                                              \
    X(MS_EIO, TEMP, "storage failure")                                                                       \
    X(MS_ENOSPC, TEMP, "no space")                                                                           \
    X(MS_ENOMEM, TEMP, "out of memory")                                                                      \
    X(MS_EBUSY, TEMP, "busy")                                                                                \
    X(MS_ETIMEOUT, TEMP, "timed out")                                                                        \
    X(MS_ECLOSED, TEMP, "closed")                                                                            \
    X(MS_EOFFLINE, TEMP, "offline")                                                                          \
    X(MS_EUNKNOWN, TEMP, "outcome unknown")

enum ms_err {
#define X(code, class, text) code,
    MS_ERR_MAP(X)
#undef X
        MS_ERR_COUNT
};

enum ms_errclass { MS_CLASS_OK, MS_CLASS_WAIT, MS_CLASS_PROTO, MS_CLASS_PERM, MS_CLASS_TEMP };

/* Never fails; static text. */
const char *ms_err_name(enum ms_err err); /* "MS_EIO" */
const char *ms_err_text(enum ms_err err); /* "storage failure" */
enum ms_errclass ms_err_class(enum ms_err err);
/* ENOSPC/EDQUOT -> MS_ENOSPC, ENOENT -> MS_ENOTFOUND, EEXIST, EACCES/EPERM -> MS_EDENIED, ENOMEM, else
 * MS_EIO. */
enum ms_err ms_err_from_errno(int err);

#define MS_ERRINFO_TEXT_MAX 512

struct ms_errinfo {
    char text[MS_ERRINFO_TEXT_MAX];
};

/* Formats into why->text (cut to fit); why may be NULL. Returns err, so: return ms_fail(why, MS_EIO, "...").
 */
enum ms_err ms_fail(struct ms_errinfo *why, enum ms_err err, const char *fmt, ...) MS_PRINTF(3, 4);
/* As ms_fail, with ": strerror(errno_value)" behind the text and the code from ms_err_from_errno. */
enum ms_err ms_fail_errno(struct ms_errinfo *why, int errno_value, const char *fmt, ...) MS_PRINTF(3, 4);

#define MS_TRY(expr)                                                                                         \
    do {                                                                                                     \
        enum ms_err ms_try_err_ = (expr);                                                                    \
        if (MS_UNLIKELY(ms_try_err_))                                                                        \
            return ms_try_err_;                                                                              \
    } while (0)

/* On in release builds; for our mistakes, never for input. Prints place and stops the process. */
#define MS_ASSERT(cond)                                                                                      \
    do {                                                                                                     \
        if (MS_UNLIKELY(!(cond)))                                                                            \
            ms_assert_fail(#cond, __FILE__, __LINE__, __func__);                                             \
    } while (0)
#define MS_UNREACHABLE() ms_assert_fail("unreachable", __FILE__, __LINE__, __func__)

MS_NORETURN void ms_assert_fail(const char *cond, const char *file, int line, const char *func);

/* Small allocations cannot fail: the process stops with a message. Anything sized by a peer has a named
 * maximum before it comes here. Zeroed. */
void *ms_alloc(size_t bytes);
void *ms_alloc_array(size_t count, size_t bytes_each);              /* stops the process on overflow */
void *ms_realloc_array(void *ptr, size_t count, size_t bytes_each); /* new part is NOT zeroed */
void *ms_memdup(const void *ptr, size_t bytes);
char *ms_strdup(const char *cstr);
void ms_free(void *ptr);
#define ms_new(type) ((type *)ms_alloc(sizeof(type)))

#endif
