/*
 * arena.c - memory released together.
 *
 * Chunks are chained newest first; objects are cut from the newest only. An object that does not fit a chunk
 * of normal size gets one of its own, linked behind the newest so that the newest keeps serving small
 * objects. Memory is zeroed when it is handed out, not when the chunk is made, because a reset chunk is used
 * again. Under AddressSanitizer the part that is not handed out is poisoned: a pointer kept over a reset is
 * reported at its use.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ms/base/arena.h"
#include "ms/base/mbuf.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONS 1
#endif
#endif
#if defined(ARENA_POISONS)
#include <sanitizer/asan_interface.h>
#define ARENA_POISON(ptr, len)   ASAN_POISON_MEMORY_REGION(ptr, len)
#define ARENA_UNPOISON(ptr, len) ASAN_UNPOISON_MEMORY_REGION(ptr, len)
#else
#define ARENA_POISON(ptr, len)   ((void)(ptr), (void)(len))
#define ARENA_UNPOISON(ptr, len) ((void)(ptr), (void)(len))
#endif

#define ARENA_ALIGN     16
#define ARENA_HOLDS_SET 14

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* whole allocation */
    size_t used; /* of room[] */
    size_t pad;
    uint8_t room[];
};
_Static_assert(sizeof(struct arena_chunk) % ARENA_ALIGN == 0, "room[] is aligned");

/* Not in the arena itself: bytes_max is about what the owner stores, and holding must not be able to fail. */
struct arena_hold {
    struct arena_hold *next;
    size_t count;
    struct mbuf *bufs[ARENA_HOLDS_SET];
};

static size_t chunk_room(const struct arena_chunk *chunk)
{
    return chunk->size - sizeof(*chunk);
}

static void chunk_free(struct arena *a, struct arena_chunk *chunk)
{
    a->bytes -= chunk->size;
    ms_free(chunk);
}

static void holds_drop(struct arena *a)
{
    while (a->holds) {
        struct arena_hold *set = a->holds;

        a->holds = set->next;
        for (size_t i = 0; i < set->count; i++)
            mbuf_unref(&set->bufs[i]);
        ms_free(set);
    }
}

void arena_init(struct arena *a, size_t bytes_max)
{
    *a = (struct arena){.bytes_max = bytes_max};
}

void arena_fini(struct arena *a)
{
    holds_drop(a);
    while (a->chunks) {
        struct arena_chunk *chunk = a->chunks;

        a->chunks = chunk->next;
        chunk_free(a, chunk);
    }
}

void arena_reset(struct arena *a)
{
    struct arena_chunk *kept = NULL;

    holds_drop(a);
    while (a->chunks) {
        struct arena_chunk *chunk = a->chunks, *loser = chunk;

        a->chunks = chunk->next;
        if (chunk->size <= ARENA_CHUNK_KEPT && (!kept || chunk->size < kept->size)) {
            loser = kept;
            kept = chunk;
        }
        if (loser)
            chunk_free(a, loser);
    }
    if (kept) {
        kept->used = 0;
        kept->next = NULL;
        ARENA_POISON(kept->room, chunk_room(kept));
    }
    a->chunks = kept;
}

/* Size of the next chunk for an object of `bytes`, 0 when the bound forbids it. */
static size_t chunk_pick_size(const struct arena *a, size_t bytes)
{
    size_t need = sizeof(struct arena_chunk) + bytes;
    size_t size = ARENA_CHUNK_MIN;
    size_t left = a->bytes_max ? a->bytes_max - MS_MIN(a->bytes, a->bytes_max) : SIZE_MAX;

    if (a->chunks)
        size = MS_MIN(MS_MAX(a->chunks->size * 2, (size_t)ARENA_CHUNK_MIN), (size_t)ARENA_CHUNK_MAX);
    if (need > left)
        return 0;
    return MS_MAX(MS_MIN(size, left), need);
}

static struct arena_chunk *chunk_add(struct arena *a, size_t bytes)
{
    size_t size = chunk_pick_size(a, bytes);
    struct arena_chunk *chunk;

    if (size == 0)
        return NULL;
    chunk = ms_realloc_array(NULL, size, 1);
    *chunk = (struct arena_chunk){.size = size};
    ARENA_POISON(chunk->room, chunk_room(chunk));
    a->bytes += size;
    if (a->chunks && chunk_room(chunk) == bytes) {
        chunk->next = a->chunks->next;
        a->chunks->next = chunk;
    } else {
        chunk->next = a->chunks;
        a->chunks = chunk;
    }
    return chunk;
}

void *arena_try_alloc(struct arena *a, size_t bytes)
{
    struct arena_chunk *chunk = a->chunks;
    uint8_t *at;

    if (MS_UNLIKELY(bytes > SIZE_MAX / 2))
        return NULL;
    bytes = (MS_MAX(bytes, (size_t)1) + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (!chunk || chunk_room(chunk) - chunk->used < bytes) {
        chunk = chunk_add(a, bytes);
        if (!chunk)
            return NULL;
    }
    at = chunk->room + chunk->used;
    chunk->used += bytes;
    ARENA_UNPOISON(at, bytes);
    memset(at, 0, bytes);
    return at;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    void *ptr = arena_try_alloc(a, bytes);

    MS_ASSERT(ptr != NULL);
    return ptr;
}

void *arena__alloc_array(struct arena *a, size_t count, size_t bytes_each)
{
    size_t bytes;

    MS_ASSERT(!__builtin_mul_overflow(count, bytes_each, &bytes));
    return arena_alloc(a, bytes);
}

char *arena_dup_cstr(struct arena *a, struct slice s)
{
    char *copy = arena_alloc(a, s.len + 1);

    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return copy;
}

struct slice arena_dup(struct arena *a, struct slice s)
{
    return slice_make(arena_dup_cstr(a, s), s.len);
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    char *text;
    int len;

    MS_ASSERT(fmt != NULL); /* gcc's sanitizer build takes a null format for possible and warns */
    va_start(ap, fmt);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    MS_ASSERT(len >= 0);
    text = arena_alloc(a, (size_t)len + 1);
    va_start(ap, fmt);
    (void)vsnprintf(text, (size_t)len + 1, fmt, ap);
    va_end(ap);
    return text;
}

void arena_hold(struct arena *a, struct mbuf *buf)
{
    struct arena_hold *set = a->holds;

    if (!set || set->count == ARENA_HOLDS_SET) {
        set = ms_new(struct arena_hold);
        set->next = a->holds;
        a->holds = set;
    }
    set->bufs[set->count++] = mbuf_ref(buf);
}
