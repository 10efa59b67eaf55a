/*
 * imap_list_match.c - names against patterns with "*" and "%". RFC 3501 6.3.8, RFC 9051 6.3.9
 *
 * Bit j of a state says: the first j characters of the pattern are used up. All places that the name can have
 * reached move on at once with each of its octets, so a match costs name x pattern / 64, whatever they are.
 * Wildcards that follow each other are one, therefore what is in front of a wildcard reaches behind it by one
 * shift.
 */
#include "imap_priv.h"

#define PATTERN_WORDS_MAX (IMAP_MAILBOX_MAX / 64 + 1)

struct imap_pattern {
    size_t len, words;
    uint8_t sep;
    bool ends_in_star;
    uint8_t row_of[256];              /* of eq, by octet; row 0: octets that are not in the pattern */
    uint64_t wild[PATTERN_WORDS_MAX]; /* "*" and "%" */
    uint64_t star[PATTERN_WORDS_MAX]; /* "*" */
    uint64_t *eq;                     /* rows of `words`: where the octet stands */
};

static bool is_wild(uint8_t c)
{
    return c == '*' || c == '%';
}

/* Runs of wildcards become one: "*" when there is one in it. */
static size_t collapse(struct slice in, uint8_t *out)
{
    size_t n = 0;

    for (size_t i = 0; i < in.len; i++) {
        if (n && is_wild(out[n - 1]) && is_wild(in.ptr[i]))
            out[n - 1] = out[n - 1] == '*' ? '*' : in.ptr[i];
        else
            out[n++] = in.ptr[i];
    }
    return n;
}

static void set_bit(uint64_t *bits, size_t i)
{
    bits[i / 64] |= (uint64_t)1 << (i % 64);
}

enum ms_err imap_pattern_create(struct arena *arena, struct slice text, char sep, struct imap_pattern **out)
{
    uint8_t chars[IMAP_MAILBOX_MAX];
    struct imap_pattern *p = arena_try_alloc(arena, sizeof(*p));
    size_t rows = 1;

    if (!p || text.len > sizeof(chars))
        return MS_ELIMIT;
    *p = (struct imap_pattern){.len = collapse(text, chars), .sep = (uint8_t)sep};
    p->words = p->len / 64 + 1;
    for (size_t i = 0; i < p->len; i++)
        if (!is_wild(chars[i]) && !p->row_of[chars[i]])
            p->row_of[chars[i]] = (uint8_t)rows++; /* at most 254 octets are no wildcard */
    p->eq = arena_try_alloc(arena, rows * p->words * sizeof(*p->eq));
    if (!p->eq)
        return MS_ELIMIT;
    memset(p->eq, 0, rows * p->words * sizeof(*p->eq));
    for (size_t i = 0; i < p->len; i++) {
        if (is_wild(chars[i]))
            set_bit(p->wild, i);
        else
            set_bit(p->eq + p->row_of[chars[i]] * p->words, i);
        if (chars[i] == '*')
            set_bit(p->star, i);
    }
    p->ends_in_star = p->len && chars[p->len - 1] == '*';
    *out = p;
    return MS_OK;
}

bool imap_pattern_ends_in_star(const struct imap_pattern *p)
{
    return p->ends_in_star;
}

/* One octet, which may be written in two ways (INBOX); false: nothing is reached any more. */
static bool match_step(const struct imap_pattern *p, uint64_t *at, uint8_t c, uint8_t other)
{
    const uint64_t *eq = p->eq + p->row_of[c] * p->words, *eq2 = p->eq + p->row_of[other] * p->words;
    const uint64_t *stay = c == p->sep ? p->star : p->wild;
    uint64_t moved_in = 0, wild_in = 0, any = 0;

    for (size_t w = 0; w < p->words; w++) {
        uint64_t moved = at[w] & (eq[w] | eq2[w]), next = (at[w] & stay[w]) | moved << 1 | moved_in, behind;

        moved_in = moved >> 63;
        behind = next & p->wild[w]; /* wildcards may match nothing */
        at[w] = next | behind << 1 | wild_in;
        wild_in = behind >> 63;
        any |= at[w];
    }
    return any != 0;
}

bool imap_pattern_match(const struct imap_pattern *p, struct slice name)
{
    uint64_t at[PATTERN_WORDS_MAX] = {1};
    /* RFC 3501 5.1: INBOX in any case, alone and as the first level */
    bool is_inbox = slice_has_iprefix(name, SLICE_LIT("INBOX")) && (name.len == 5 || name.ptr[5] == p->sep);

    at[0] |= (p->wild[0] & 1) << 1;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i], other = c;

        if (is_inbox && i < 5) {
            c = ms_ascii_lower(c);
            other = c & (uint8_t)~0x20u;
        }
        if (!match_step(p, at, c, other))
            return false;
    }
    return at[p->len / 64] >> (p->len % 64) & 1;
}

bool imap_list_match(struct slice pattern, struct slice name, char sep)
{
    struct imap_pattern *p;
    struct arena arena;
    bool matches;

    arena_init(&arena, 0);
    matches = imap_pattern_create(&arena, pattern, sep, &p) == MS_OK && imap_pattern_match(p, name);
    arena_fini(&arena);
    return matches;
}
