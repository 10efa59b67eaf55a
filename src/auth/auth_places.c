/*
 * auth_places.c - the table of auth_places.h: sets of AUTH_PLACES_WAYS words.
 *
 *   63 ........ 32   31 ...... 20   19 ....... 0
 *   last taken, s    count          tag
 *
 * Invariants: (1) a word changes only from what was read; (2) word 0 is an empty one, a tag is never 0, a
 * count neither; (3) two words may carry one tag for a while when two threads began it at once: their counts
 * are added up, after one's own was written, so of two who take the last place at once none can miss the
 * other. All is sequentially consistent: rare enough beside a password's hash.
 */
#include "auth_places.h"

#include <stdatomic.h>

#include "ms/base/heap.h"

#define PLACES_TAG_MASK 0xfffffu

void auth__places_init(struct auth_places *p, unsigned sets)
{
    p->sets = sets;
    p->words = ms_alloc_array((size_t)sets * AUTH_PLACES_WAYS, sizeof(uint64_t));
}

void auth__places_fini(struct auth_places *p)
{
    ms_free((void *)p->words);
    p->words = NULL;
}

size_t auth__places_bytes(const struct auth_places *p)
{
    return (size_t)p->sets * AUTH_PLACES_WAYS * sizeof(uint64_t);
}

static uint64_t tag_of(uint64_t hash)
{
    uint64_t tag = (hash >> 40) & PLACES_TAG_MASK;
    return tag ? tag : 1;
}

static _Atomic uint64_t *set_of(const struct auth_places *p, uint64_t hash)
{
    return p->words + (hash % p->sets) * AUTH_PLACES_WAYS;
}

static uint64_t word_make(uint64_t stamp_s, unsigned count, uint64_t tag)
{
    return count ? stamp_s << 32 | (uint64_t)count << 20 | tag : 0;
}

static unsigned count_of(uint64_t word)
{
    return (unsigned)(word >> 20) & AUTH_PLACES_MOST;
}

static bool is_over(uint64_t word, uint64_t now_ms)
{
    return word == 0 || now_ms >= (word >> 32) * 1000 + AUTH_PLACES_MS;
}

static unsigned taken(const _Atomic uint64_t *set, uint64_t tag, uint64_t now_ms)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < AUTH_PLACES_WAYS; i++) {
        uint64_t word = atomic_load(&set[i]);
        if (!is_over(word, now_ms) && (word & PLACES_TAG_MASK) == tag)
            sum += count_of(word);
    }
    return sum;
}

/* The word of the tag that counts; else one that is free. AUTH_PLACES_WAYS: neither. */
static unsigned word_for(const _Atomic uint64_t *set, uint64_t tag, uint64_t now_ms, uint64_t *word_out)
{
    unsigned found = AUTH_PLACES_WAYS;
    for (unsigned i = 0; i < AUTH_PLACES_WAYS; i++) {
        uint64_t word = atomic_load(&set[i]);
        if (is_over(word, now_ms)) {
            if (found == AUTH_PLACES_WAYS) {
                found = i;
                *word_out = word;
            }
        } else if ((word & PLACES_TAG_MASK) == tag) {
            *word_out = word;
            return i;
        }
    }
    return found;
}

unsigned auth__places_take(struct auth_places *p, uint64_t hash, uint64_t most, uint64_t now_ms)
{
    _Atomic uint64_t *set = set_of(p, hash);
    uint64_t tag = tag_of(hash), word = 0, next;
    unsigned at;
    do {
        at = word_for(set, tag, now_ms, &word);
        if (at == AUTH_PLACES_WAYS)
            return 0;
        unsigned count = is_over(word, now_ms) ? 0 : count_of(word);
        if (count >= most || count >= AUTH_PLACES_MOST)
            return 0;
        next = word_make(now_ms / 1000, count + 1, tag);
    } while (!atomic_compare_exchange_weak(&set[at], &word, next));
    unsigned sum = taken(set, tag, now_ms);
    if (sum > most) {
        auth__places_give(p, hash, now_ms);
        return 0;
    }
    return MS_MAX(sum, 1); /* over already, when its clock is far behind */
}

void auth__places_give(struct auth_places *p, uint64_t hash, uint64_t now_ms)
{
    _Atomic uint64_t *set = set_of(p, hash);
    uint64_t tag = tag_of(hash), word = 0, next;
    unsigned at;
    do {
        at = word_for(set, tag, now_ms, &word);
        if (at == AUTH_PLACES_WAYS || is_over(word, now_ms))
            return; /* it has ended by itself */
        next = word_make(word >> 32, count_of(word) - 1, tag);
    } while (!atomic_compare_exchange_weak(&set[at], &word, next));
}
