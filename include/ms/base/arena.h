/*
 * arena.h - memory that is released together: a session's, a command's.
 * Layer 0 (base).
 * Threads:  one thread at a time; asserted nowhere, the owner's home loop is.
 * Memory:   chunks grow from ARENA_CHUNK_MIN to ARENA_CHUNK_MAX; a larger object gets a chunk of its own.
 *           arena_hold keeps a counted reference until reset.
 * Limits:   `bytes_max` given at init bounds the sum of chunks; 0 = none. arena_alloc stops the process when
 * an object passes the bound; code that takes peer-sized data uses arena_try_alloc.
 */
#ifndef MS_BASE_ARENA_H
#define MS_BASE_ARENA_H

#include "ms/base/slice.h"

#define ARENA_CHUNK_MIN  512
#define ARENA_CHUNK_MAX  65536
#define ARENA_CHUNK_KEPT 4096 /* many sessions idle with an empty arena */

struct mbuf;
struct arena_chunk;
struct arena_hold;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    struct arena_hold *holds;
    size_t bytes; /* sum of chunk sizes */
    size_t bytes_max;
};

void arena_init(struct arena *a, size_t bytes_max);
void arena_fini(struct arena *a);
/* Drops held references and all memory but the smallest chunk, which is kept when it is at most
 * ARENA_CHUNK_KEPT. */
void arena_reset(struct arena *a);
/* 16-byte aligned, zeroed, never NULL. */
void *arena_alloc(struct arena *a, size_t bytes);
/* NULL when bytes_max would be passed. */
void *arena_try_alloc(struct arena *a, size_t bytes);
void *arena__alloc_array(struct arena *a, size_t count, size_t bytes_each); /* stops on overflow */
#define arena_new(a, type)          ((type *)arena_alloc((a), sizeof(type)))
#define arena_new_array(a, type, n) ((type *)arena__alloc_array((a), (n), sizeof(type)))
struct slice arena_dup(struct arena *a, struct slice s); /* NUL behind it */
char *arena_dup_cstr(struct arena *a, struct slice s);
char *arena_printf(struct arena *a, const char *fmt, ...) MS_PRINTF(2, 3);
/* Takes a reference of its own. */
void arena_hold(struct arena *a, struct mbuf *buf);

#endif
