/*
 * sum.h - checksums of stored bytes.
 * Layer 0 (base).   Threads: pure.
 */
#ifndef MS_BASE_SUM_H
#define MS_BASE_SUM_H

#include "ms/base/slice.h"

/* CRC-32C (Castagnoli, RFC 3720 B.4), reflected, initial value and final xor 0xFFFFFFFF handled inside, so
 * that crc32c_add(crc32c_add(0, a), b) == crc32c_add(0, ab). SSE4.2 where the machine has it, else a table.
 */
uint32_t crc32c_add(uint32_t crc, const void *ptr, size_t len);
/* The table form on every machine: for tests and measurements. */
uint32_t crc32c_add_table(uint32_t crc, const void *ptr, size_t len);

struct sum128 {
    uint64_t lo;
    uint64_t hi;
};

/* XXH3-128 of message bytes. A hit is a hint, to be confirmed by comparing bytes. */
struct sum128 sum128_of(struct slice s);
struct sum128_state; /* streaming form for messages that arrive in parts */
struct sum128_state *sum128_create(void);
void sum128_add(struct sum128_state *st, struct slice s);
struct sum128 sum128_get(const struct sum128_state *st);
void sum128_destroy(struct sum128_state **st);
static inline bool sum128_eq(struct sum128 a, struct sum128 b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

#endif
