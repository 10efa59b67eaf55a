/*
 * auth_places.h - how many tries of one counter are being looked at: places that are taken before a look
 * and given back after it. A fixed table of 64-bit words, any thread, without a lock.
 *
 * What is taken is never pushed out: where a set has no room, the answer is that there is no place. Should
 * a place ever not be given back, the count of its key ends AUTH_PLACES_MS after a place was last taken.
 */
#ifndef AUTH_PLACES_H
#define AUTH_PLACES_H

#include "ms/base/err.h"

#define AUTH_PLACES_MS   60000
#define AUTH_PLACES_MOST 4095 /* of one key */
#define AUTH_PLACES_SETS 2048
#define AUTH_PLACES_WAYS 8

struct auth_places {
    _Atomic uint64_t *words;
    unsigned sets;
};

void auth__places_init(struct auth_places *p, unsigned sets);
void auth__places_fini(struct auth_places *p);
size_t auth__places_bytes(const struct auth_places *p);
/* Takes one of at most `most`. How many are taken now, with this one; 0: there is none. What another thread
 * has written before it gave a place back is visible when that place is not among them. */
unsigned auth__places_take(struct auth_places *p, uint64_t hash, uint64_t most, uint64_t now_ms);
void auth__places_give(struct auth_places *p, uint64_t hash, uint64_t now_ms);

#endif
