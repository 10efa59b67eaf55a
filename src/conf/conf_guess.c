/*
 * conf_guess.c - which known name an unknown one was meant to be.
 * Layer 2 (conf).
 */
#include "conf_priv.h"

#define GUESS_LEN_MAX    48
#define GUESS_PREFIX_MIN 3
#define GUESS_NONE       UINT32_MAX

/* Insertions, deletions, replacements and swaps of neighbours (optimal string alignment), three rows at a
 * time. */
static unsigned guess_distance(struct slice a, struct slice b)
{
    unsigned rows[3][GUESS_LEN_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2], *swap;

    for (size_t j = 0; j <= b.len; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned cost = ms_ascii_lower(a.ptr[i - 1]) != ms_ascii_lower(b.ptr[j - 1]);

            row[j] = MS_MIN(MS_MIN(last[j] + 1, row[j - 1] + 1), last[j - 1] + cost);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1])
                row[j] = MS_MIN(row[j], before[j - 2] + 1);
        }
        swap = before;
        before = last;
        last = row;
        row = swap;
    }
    return last[b.len];
}

static unsigned guess_rank(struct slice word, struct slice candidate)
{
    size_t shorter = MS_MIN(word.len, candidate.len);
    unsigned distance, limit = (unsigned)MS_MIN(shorter / 2, 2);

    if (word.len > GUESS_LEN_MAX || candidate.len > GUESS_LEN_MAX)
        return GUESS_NONE;
    distance = guess_distance(word, candidate);
    if (distance <= limit)
        return distance;
    if (shorter >= GUESS_PREFIX_MIN &&
        slice_ieq(slice_sub(word, 0, shorter), slice_sub(candidate, 0, shorter)))
        return limit + 1;
    return GUESS_NONE;
}

void conf__guess_offer(struct conf__guess *guess, const char *candidate, size_t len_max, struct arena *a)
{
    struct slice name = slice_cstr(candidate);
    unsigned rank;

    name = slice_sub(name, 0, len_max);
    rank = guess_rank(guess->word, name);
    if (rank == GUESS_NONE || (guess->best && rank >= guess->best_rank))
        return;
    guess->best = arena_dup_cstr(a, name);
    guess->best_rank = rank;
}
