/*
 * imap_seqset.c - sequence sets (RFC 3501 9 sequence-set): parse, bring to order, ask, emit.
 * A resolved set is ascending, without overlap or touching ranges; contains and next are binary searches on
 * that.
 */
#include <stdlib.h>

#include "imap_priv.h"

static bool is_set_char(uint8_t c)
{
    return ms_ascii_is_digit(c) || c == ':' || c == ',' || c == '*';
}

/* seq-number = nz-number / "*" */
static enum ms_err rd_seq_number(struct imap_rd *rd, struct imap_seqset *set, uint32_t *out)
{
    if (imap_rd_skip(rd, '*')) {
        set->has_star = true;
        *out = IMAP_SEQ_STAR;
        return MS_OK;
    }
    MS_TRY(imap_rd_nz_number(rd, out));
    return *out < IMAP_SEQ_STAR ? MS_OK : imap_rd_fail(rd, MS_ESYNTAX, "Number too large");
}

static size_t set_count(const struct imap_rd *rd)
{
    size_t count = 1;

    for (const uint8_t *p = rd->ptr; p < rd->end && is_set_char(*p); p++)
        count += *p == ',';
    return count;
}

enum ms_err imap_rd_seqset(struct imap_rd *rd, struct imap_seqset *out)
{
    size_t count = set_count(rd);

    *out = (struct imap_seqset){.count = 0};
    out->is_saved = imap_rd_skip(rd, '$'); /* RFC 5182 2.1: alone */
    if (out->is_saved)
        return MS_OK;
    if (count > IMAP_RANGES_MAX)
        return imap_rd_fail(rd, MS_ELIMIT, "Sequence set has too many ranges");
    out->ranges = imap__alloc(rd, count * sizeof *out->ranges);
    if (!out->ranges)
        return MS_ELIMIT;
    do {
        struct imap_range *range = &out->ranges[out->count++];

        MS_ASSERT(out->count <= count);
        MS_TRY(rd_seq_number(rd, out, &range->lo));
        range->hi = range->lo;
        if (imap_rd_skip(rd, ':'))
            MS_TRY(rd_seq_number(rd, out, &range->hi));
    } while (imap_rd_skip(rd, ','));
    return MS_OK;
}

enum ms_err imap_seqset_parse(struct slice text, struct arena *arena, struct imap_seqset *out)
{
    struct imap_rd rd;

    imap_rd_init(&rd, text, arena, false);
    MS_TRY(imap_rd_seqset(&rd, out));
    return imap_rd_end(&rd);
}

static int range_cmp(const void *a, const void *b)
{
    uint32_t x = ((const struct imap_range *)a)->lo;
    uint32_t y = ((const struct imap_range *)b)->lo;

    return x < y ? -1 : x > y;
}

/* "*" becomes max; the order of the two ends is free (RFC 3501 9: 2:4 and 4:2 are the same). */
static bool range_resolve(struct imap_range *r, uint32_t max)
{
    uint32_t lo = r->lo == IMAP_SEQ_STAR ? max : r->lo;
    uint32_t hi = r->hi == IMAP_SEQ_STAR ? max : r->hi;

    r->lo = MS_MIN(lo, hi);
    r->hi = MS_MAX(lo, hi);
    return r->lo > 0;
}

void imap_seqset_resolve(struct imap_seqset *set, uint32_t max)
{
    uint32_t kept = 0;
    uint32_t merged = 0;

    for (uint32_t i = 0; i < set->count; i++) {
        struct imap_range r = set->ranges[i];
        if (range_resolve(&r, max))
            set->ranges[kept++] = r;
    }
    if (kept > 1)
        qsort(set->ranges, kept, sizeof *set->ranges, range_cmp);
    for (uint32_t i = 0; i < kept; i++) {
        struct imap_range r = set->ranges[i];
        struct imap_range *last = merged ? &set->ranges[merged - 1] : NULL;
        if (last && r.lo - 1 <= last->hi)
            last->hi = MS_MAX(last->hi, r.hi);
        else
            set->ranges[merged++] = r;
    }
    set->count = merged;
    set->has_star = false;
}

/* The first range whose end is >= n, or count. */
static uint32_t set_lower(const struct imap_seqset *set, uint32_t n)
{
    uint32_t lo = 0;
    uint32_t hi = set->count;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (set->ranges[mid].hi < n)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool imap_seqset_contains(const struct imap_seqset *set, uint32_t n)
{
    uint32_t i = set_lower(set, n);

    return n > 0 && i < set->count && set->ranges[i].lo <= n;
}

uint32_t imap_seqset_next(const struct imap_seqset *set, uint32_t from)
{
    uint32_t i = set_lower(set, from);

    return i < set->count ? MS_MAX(set->ranges[i].lo, from) : 0;
}

uint32_t imap_seqset_max(const struct imap_seqset *set)
{
    return set->count ? set->ranges[set->count - 1].hi : 0;
}

uint64_t imap_seqset_size(const struct imap_seqset *set)
{
    uint64_t size = 0;

    for (uint32_t i = 0; i < set->count; i++)
        size += (uint64_t)set->ranges[i].hi - set->ranges[i].lo + 1;
    return size;
}

static void seq_number_emit(struct str *out, uint32_t n)
{
    if (n == IMAP_SEQ_STAR)
        str_add_byte(out, '*');
    else
        str_add_u64(out, n);
}

void imap_seqset_emit(struct str *out, const struct imap_range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i)
            str_add_byte(out, ',');
        seq_number_emit(out, ranges[i].lo);
        if (ranges[i].hi != ranges[i].lo) {
            str_add_byte(out, ':');
            seq_number_emit(out, ranges[i].hi);
        }
    }
}

void imap_seqset_emit_numbers(struct str *out, const uint32_t *sorted, size_t count)
{
    for (size_t i = 0; i < count;) {
        struct imap_range r = {.lo = sorted[i], .hi = sorted[i]};
        bool first = i == 0;

        while (++i < count && sorted[i] - r.hi <= 1)
            r.hi = sorted[i];
        if (!first)
            str_add_byte(out, ',');
        imap_seqset_emit(out, &r, 1);
    }
}
