/*
 * auth_guard.c - the tables of auth_guard.h: sets of AUTH_GUARD_WAYS words, each word one counter, changed
 * by compare-and-swap alone.
 *
 *   63 ........ 32   31 ...... 20   19 ....... 0
 *   last change, s   level          tag
 *
 * A level has AUTH_UNIT steps for a failure. The index of the set and the tag come from a keyed hash, so
 * nobody can choose whom he meets in a set. A new counter takes the place of the one in its set with the
 * least level, the oldest of those: a flood of names or addresses with one failure each pushes out others
 * like them, not the account that is being guessed at.
 *
 * Invariants: (1) a word changes only from what was read; (2) word 0 is an empty place, a tag is never 0;
 * (3) two places may carry one tag for a while when two threads began it at once: reading takes the greater
 * level.
 */
#include "auth_guard.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <string.h>

#include "auth_places.h"
#include "ms/auth.h"
#include "ms/base/str.h"
#include "ms/crypt.h"

#define AUTH_UNIT      4u
#define AUTH_LEVEL_MAX 4095u
#define AUTH_TAG_MASK  0xfffffu
#define AUTH_CAS_TRIES 64

struct auth_table {
    _Atomic uint64_t *words;
    unsigned sets;
};

enum auth_counter { AUTH_BY_PAIR, AUTH_BY_ADDRESS, AUTH_BY_ACCOUNT, AUTH_KNOWN, AUTH_COUNTERS };
#define AUTH_JUDGES AUTH_KNOWN /* those before it */

struct auth_guard {
    struct auth_table tables[AUTH_COUNTERS];
    struct auth_places places[AUTH_JUDGES];
    uint8_t key[CRYPT_SHA256_BYTES];
};

/* -- words */

static unsigned level_of(uint64_t word)
{
    return (unsigned)(word >> 20) & AUTH_LEVEL_MAX;
}

static uint64_t word_make(uint32_t stamp_s, unsigned level, uint64_t tag)
{
    return (uint64_t)stamp_s << 32 | (uint64_t)level << 20 | tag;
}

/* What is left of it now, when one step leaks in unit_ms. The stamp moves by whole steps, else looking
 * often would stop the leak. */
static uint64_t leak(uint64_t word, uint64_t unit_ms, uint64_t now_ms)
{
    uint64_t stamp_ms = (word >> 32) * 1000;
    uint64_t passed = now_ms > stamp_ms ? now_ms - stamp_ms : 0; /* loops do not have quite the same time */
    uint64_t steps = passed / unit_ms;
    if (word == 0 || steps == 0)
        return word;
    if (steps >= level_of(word))
        return 0;
    /* Rounded up: never twice for the same second. */
    uint32_t stamp_s = (uint32_t)((stamp_ms + steps * unit_ms + 999) / 1000);
    return word_make(stamp_s, level_of(word) - (unsigned)steps, word & AUTH_TAG_MASK);
}

/* -- tables */

static uint64_t tag_of(uint64_t hash)
{
    uint64_t tag = (hash >> 40) & AUTH_TAG_MASK;
    return tag ? tag : 1;
}

static _Atomic uint64_t *set_of(const struct auth_table *t, uint64_t hash)
{
    return t->words + (hash % t->sets) * AUTH_GUARD_WAYS;
}

static unsigned table_level(const struct auth_table *t, uint64_t hash, uint64_t unit_ms, uint64_t now_ms)
{
    _Atomic uint64_t *set = set_of(t, hash);
    unsigned level = 0;
    for (unsigned i = 0; i < AUTH_GUARD_WAYS; i++) {
        uint64_t word = atomic_load_explicit(&set[i], memory_order_relaxed);
        if (word && (word & AUTH_TAG_MASK) == tag_of(hash))
            level = MS_MAX(level, level_of(leak(word, unit_ms, now_ms)));
    }
    return level;
}

/* The place of the tag; else the one to take. word_out: what stands there. */
static unsigned table_place(_Atomic uint64_t *set, uint64_t tag, uint64_t unit_ms, uint64_t now_ms,
                            uint64_t *word_out)
{
    unsigned best = 0;
    uint64_t best_rank = UINT64_MAX;
    for (unsigned i = 0; i < AUTH_GUARD_WAYS; i++) {
        uint64_t word = atomic_load_explicit(&set[i], memory_order_relaxed);
        uint64_t left = leak(word, unit_ms, now_ms);
        uint64_t rank = (uint64_t)level_of(left) << 32 | left >> 32; /* least level, then oldest */
        if (word && (word & AUTH_TAG_MASK) == tag) {
            *word_out = word;
            return i;
        }
        if (rank < best_rank) {
            best_rank = rank;
            best = i;
            *word_out = word;
        }
    }
    return best;
}

/* Changes the level by so many steps (never below 0) or, with to_level, sets it. Returns the level before. */
static unsigned table_change(struct auth_table *t, uint64_t hash, int steps, bool to_level, uint64_t unit_ms,
                             uint64_t now_ms)
{
    _Atomic uint64_t *set = set_of(t, hash);
    uint64_t tag = tag_of(hash), word = 0, next;
    unsigned before = 0;
    for (unsigned tries = 0; tries < AUTH_CAS_TRIES; tries++) {
        unsigned at = table_place(set, tag, unit_ms, now_ms, &word);
        bool is_ours = word && (word & AUTH_TAG_MASK) == tag;
        uint64_t left = is_ours ? leak(word, unit_ms, now_ms) : 0;
        before = level_of(left);
        if (!is_ours && steps <= 0)
            return 0;
        int level = MS_MIN(to_level ? steps : (int)before + steps, (int)AUTH_LEVEL_MAX);
        uint32_t stamp = before && !to_level ? (uint32_t)(left >> 32) : (uint32_t)(now_ms / 1000);
        next = level > 0 ? word_make(stamp, (unsigned)level, tag) : 0;
        if (atomic_compare_exchange_weak_explicit(&set[at], &word, next, memory_order_relaxed,
                                                  memory_order_relaxed))
            break;
    }
    return before; /* after so many lost races the others have counted enough */
}

/* -- the guard */

struct auth_guard *auth__guard_create(unsigned sets)
{
    struct auth_guard *g = ms_new(struct auth_guard);
    for (unsigned i = 0; i < AUTH_COUNTERS; i++) {
        g->tables[i].sets = sets;
        g->tables[i].words = ms_alloc_array((size_t)sets * AUTH_GUARD_WAYS, sizeof(uint64_t));
    }
    for (unsigned i = 0; i < AUTH_JUDGES; i++)
        auth__places_init(&g->places[i], MS_MAX(sets * AUTH_PLACES_SETS / AUTH_GUARD_SETS, 1));
    crypt_random(g->key, sizeof g->key);
    return g;
}

struct auth_guard *auth_guard_create(void)
{
    return auth__guard_create(AUTH_GUARD_SETS);
}

void auth_guard_destroy(struct auth_guard **gp)
{
    struct auth_guard *g = *gp;
    if (!g)
        return;
    for (unsigned i = 0; i < AUTH_COUNTERS; i++)
        ms_free((void *)g->tables[i].words);
    for (unsigned i = 0; i < AUTH_JUDGES; i++)
        auth__places_fini(&g->places[i]);
    crypt_wipe(g->key, sizeof g->key);
    ms_free(g);
    *gp = NULL;
}

size_t auth__guard_bytes(const struct auth_guard *g)
{
    return AUTH_COUNTERS * (size_t)g->tables[0].sets * AUTH_GUARD_WAYS * sizeof(uint64_t) +
           AUTH_JUDGES * auth__places_bytes(&g->places[0]) + sizeof *g;
}

/* What counts as one address: an IPv4 address, also one mapped into IPv6, or the /64 of an IPv6 address;
 * else the text. */
static struct slice network_of(const char *rip, uint8_t out[16])
{
    struct in_addr v4;
    if (inet_pton(AF_INET, rip, &v4) == 1) {
        memcpy(out, &v4, 4);
        return slice_make(out, 4);
    }
    if (inet_pton(AF_INET6, rip, out) != 1)
        return slice_cstr(rip);
    if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)out))
        return slice_make(out + 12, 4);
    return slice_make(out, 8);
}

static uint64_t keyed_hash(const struct auth_guard *g, struct slice a, struct slice b)
{
    uint8_t mac[CRYPT_SHA256_BYTES];
    uint64_t hash;
    struct str text;
    str_init(&text, 0);
    str_add_bytes16(&text, a);
    str_add_bytes16(&text, b);
    crypt_hmac_sha256(slice_make(g->key, sizeof g->key), str_slice(&text), mac);
    str_fini(&text);
    memcpy(&hash, mac, sizeof hash);
    return hash;
}

void auth__guard_key(const struct auth_guard *g, const char *rip, struct slice login, bool is_trusted,
                     struct auth_guard_try *out)
{
    _Alignas(8) uint8_t bytes[16];
    struct slice network = network_of(rip, bytes);
    *out = (struct auth_guard_try){.is_trusted = is_trusted};
    out->address = keyed_hash(g, network, slice_make(NULL, 0));
    if (login.len == 0)
        return;
    out->account = keyed_hash(g, slice_make(NULL, 0), login);
    out->pair = keyed_hash(g, network, login);
}

static uint64_t unit_of(const struct auth_guard_limits *l)
{
    return l->max ? MS_MAX(l->window_ms / (l->max * AUTH_UNIT), 1) : MS_MAX(l->window_ms, 1);
}

static bool counts(const struct auth_guard_try *t, enum auth_counter c, uint64_t *hash_out)
{
    const uint64_t hashes[AUTH_COUNTERS] = {t->pair, t->address, t->account, t->pair};
    *hash_out = hashes[c];
    if (hashes[c] == 0)
        return false;
    return !t->is_trusted || (c != AUTH_BY_ADDRESS && c != AUTH_KNOWN);
}

static uint64_t failures_of(const struct auth_guard *g, const struct auth_guard_limits *l,
                            const struct auth_guard_try *t, enum auth_counter c, uint64_t now_ms)
{
    uint64_t hash;
    if (!counts(t, c, &hash))
        return 0;
    return (table_level(&g->tables[c], hash, unit_of(l), now_ms) + AUTH_UNIT - 1) / AUTH_UNIT;
}

static uint64_t most_of(const struct auth_guard_limits *l, enum auth_counter c)
{
    return l->max * (c == AUTH_BY_ACCOUNT ? AUTH_ACCOUNT_FACTOR : 1);
}

static bool is_known(const struct auth_guard *g, const struct auth_guard_try *t, uint64_t now_ms)
{
    uint64_t hash;
    return counts(t, AUTH_KNOWN, &hash) &&
           table_level(&g->tables[AUTH_KNOWN], hash, AUTH_KNOWN_MS / AUTH_UNIT, now_ms) > 0;
}

/* judges: the counters that have a say, from the first. */
static struct auth_guard_verdict judge(const struct auth_guard *g, const struct auth_guard_limits *l,
                                       const struct auth_guard_try *t, unsigned judges, uint64_t now_ms)
{
    struct auth_guard_verdict v = {.answer = AUTH_GUARD_GO};
    uint64_t worst = 0;
    for (enum auth_counter c = AUTH_BY_PAIR; c < judges; c++) {
        uint64_t failures = failures_of(g, l, t, c, now_ms);
        worst = MS_MAX(worst, failures);
        if (l->max && failures >= most_of(l, c))
            v.answer = AUTH_GUARD_REFUSED;
    }
    if (worst >= l->free)
        v.delay_ms = MS_MIN((uint64_t)AUTH_DELAY_FIRST_MS << MS_MIN(worst - l->free, 20), l->delay_max_ms);
    return v;
}

static void give_places(struct auth_guard *g, struct auth_guard_try *t, uint64_t now_ms)
{
    uint64_t hash;
    for (enum auth_counter c = AUTH_BY_PAIR; c < AUTH_JUDGES; c++)
        if (t->places & 1u << c && counts(t, c, &hash))
            auth__places_give(&g->places[c], hash, now_ms);
    t->places = 0;
}

/* A failure is counted before its place is given back, so who does not see the place sees the failure: the
 * levels are read again when the places are taken. */
static bool take_places(struct auth_guard *g, const struct auth_guard_limits *l, struct auth_guard_try *t,
                        unsigned judges, uint64_t now_ms)
{
    uint64_t hash;
    for (enum auth_counter c = AUTH_BY_PAIR; l->max && c < judges; c++) {
        if (!counts(t, c, &hash))
            continue;
        uint64_t failures = failures_of(g, l, t, c, now_ms), most = most_of(l, c);
        unsigned taken =
            failures < most ? auth__places_take(&g->places[c], hash, most - failures, now_ms) : 0;
        if (taken)
            t->places |= 1u << c;
        if (!taken || failures_of(g, l, t, c, now_ms) + taken > most) {
            give_places(g, t, now_ms);
            return false;
        }
    }
    return true;
}

struct auth_guard_verdict auth__guard_begin(struct auth_guard *g, const struct auth_guard_limits *l,
                                            struct auth_guard_try *t, uint64_t waited_ms, bool is_behind,
                                            uint64_t now_ms)
{
    bool known = is_known(g, t, now_ms);
    unsigned judges = known ? AUTH_BY_PAIR + 1 : AUTH_JUDGES;
    struct auth_guard_verdict v = judge(g, l, t, judges, now_ms);
    v.delay_ms -= MS_MIN(v.delay_ms, waited_ms);
    if (v.answer == AUTH_GUARD_REFUSED)
        return v;
    if (v.delay_ms > 0)
        v.answer = AUTH_GUARD_DELAY;
    else if ((is_behind && !known) || !take_places(g, l, t, judges, now_ms))
        v.answer = AUTH_GUARD_QUEUE;
    t->is_open = v.answer == AUTH_GUARD_GO;
    return v;
}

void auth__guard_failure(struct auth_guard *g, const struct auth_guard_limits *l, struct auth_guard_try *t,
                         uint64_t now_ms)
{
    uint64_t hash;
    for (enum auth_counter c = AUTH_BY_PAIR; t->is_open && c < AUTH_JUDGES; c++)
        if (counts(t, c, &hash))
            table_change(&g->tables[c], hash, AUTH_UNIT, false, unit_of(l), now_ms);
    auth__guard_refund(g, t, now_ms);
}

void auth__guard_refund(struct auth_guard *g, struct auth_guard_try *t, uint64_t now_ms)
{
    give_places(g, t, now_ms);
    t->is_open = false;
}

void auth__guard_success(struct auth_guard *g, const struct auth_guard_limits *l, struct auth_guard_try *t,
                         uint64_t now_ms)
{
    uint64_t hash;
    if (counts(t, AUTH_BY_PAIR, &hash))
        table_change(&g->tables[AUTH_BY_PAIR], hash, 0, true, unit_of(l), now_ms);
    if (counts(t, AUTH_KNOWN, &hash))
        table_change(&g->tables[AUTH_KNOWN], hash, AUTH_UNIT, true, AUTH_KNOWN_MS / AUTH_UNIT, now_ms);
    auth__guard_refund(g, t, now_ms);
}
