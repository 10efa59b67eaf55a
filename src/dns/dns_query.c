/*
 * dns_query.c - a query as bytes: header, one question, EDNS. All of it that can be hard to guess is random.
 */
#include "dns_priv.h"

#include <sys/random.h>

#define HEADER_BYTES 12
#define FLAG_RD      0x0100
#define FLAG_AD      0x0020 /* RFC 6840 5.7: tell us whether the answer is authentic */
#define TYPE_OPT     41
#define CLASS_IN     1

void dns__random(void *out, size_t len)
{
    static _Thread_local uint8_t pool[256];
    static _Thread_local size_t left;

    MS_ASSERT(len <= sizeof(pool));
    if (left < len) {
        ssize_t got =
            getrandom(pool, sizeof(pool), 0); /* up to 256 octets come whole, once the kernel has its seed */
        MS_ASSERT(got == sizeof(pool));
        left = sizeof(pool);
    }
    left -= len;
    memcpy(out, pool + left, len);
    memset(pool + left, 0, len);
}

uint32_t dns__random_below(uint32_t bound)
{
    uint32_t value;

    dns__random(&value, sizeof(value));
    return (uint32_t)(((uint64_t)value * bound) >> 32);
}

/* Returns how many letters there are. */
static unsigned letters_randomise(uint8_t *wire, size_t len)
{
    unsigned letters = 0;
    uint8_t coins[(DNS_NAME_MAX + 7) / 8];

    dns__random(coins, sizeof(coins));
    for (size_t i = 0; i < len; i++) /* lengths of labels are below 64: no letters */
        if (ms_ascii_is_alpha(wire[i])) {
            letters++;
            wire[i] ^= (uint8_t)((coins[i / 8] >> i % 8 & 1) << 5);
        }
    return letters;
}

void dns__query_build(struct dns__query *q, const char *name, enum dns_type type, bool edns)
{
    uint8_t *at = q->wire + HEADER_BYTES;

    q->type = (uint16_t)type;
    q->edns = edns;
    memset(q->wire, 0, HEADER_BYTES);
    dns__random(q->wire, 2);
    ms_put_be16(q->wire + 2, FLAG_RD | FLAG_AD);
    ms_put_be16(q->wire + 4, 1);
    ms_put_be16(q->wire + 10, edns);
    size_t len = dns__name_to_wire(name, at);
    q->letters = letters_randomise(at, len);
    ms_put_be16(at + len, (uint16_t)type);
    ms_put_be16(at + len + 2, CLASS_IN);
    q->question_len = len + 4;
    q->len = HEADER_BYTES + q->question_len;
    if (!edns)
        return;
    uint8_t *opt =
        q->wire + q->len; /* RFC 6891 6.1.2: root, type, size of our buffer, no flags, no options */
    memset(opt, 0, 11);
    ms_put_be16(opt + 1, TYPE_OPT);
    ms_put_be16(opt + 3, DNS__EDNS_BYTES);
    q->len += 11;
}
