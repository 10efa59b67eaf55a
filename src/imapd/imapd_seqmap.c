/*
 * imapd_seqmap.c - sequence numbers by runs: binary search by number and by UID, removal by merging.
 *
 * Invariants: (1) runs[i].uid + runs[i].count < runs[i + 1].uid; (2) runs[0].seq == 1 and
 * runs[i].seq + runs[i].count == runs[i + 1].seq.
 */
#include "imapd_seqmap.h"

void imapd__seqmap_init(struct imapd_seqmap *m)
{
    *m = (struct imapd_seqmap){.runs = NULL};
}

void imapd__seqmap_fini(struct imapd_seqmap *m)
{
    ms_free(m->runs);
    imapd__seqmap_init(m);
}

static uint32_t run_last(const struct imapd_run *r)
{
    return r->uid + r->count - 1;
}

uint32_t imapd__seqmap_count(const struct imapd_seqmap *m)
{
    const struct imapd_run *last = m->run_count ? &m->runs[m->run_count - 1] : NULL;

    return last ? last->seq + last->count - 1 : 0;
}

uint32_t imapd__seqmap_last_uid(const struct imapd_seqmap *m)
{
    return m->run_count ? run_last(&m->runs[m->run_count - 1]) : 0;
}

/* The first run that ends at uid or behind it; run_count when there is none. */
static uint32_t lower_uid(const struct imapd_seqmap *m, uint32_t uid)
{
    uint32_t lo = 0, hi = m->run_count;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (run_last(&m->runs[mid]) < uid)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

uint32_t imapd__seqmap_uid(const struct imapd_seqmap *m, uint32_t seq)
{
    uint32_t lo = 0, hi = m->run_count;

    if (seq == 0 || seq > imapd__seqmap_count(m))
        return 0;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (m->runs[mid].seq <= seq)
            lo = mid;
        else
            hi = mid;
    }
    return m->runs[lo].uid + (seq - m->runs[lo].seq);
}

uint32_t imapd__seqmap_seq(const struct imapd_seqmap *m, uint32_t uid)
{
    uint32_t i = lower_uid(m, uid);

    if (i == m->run_count || m->runs[i].uid > uid)
        return 0;
    return m->runs[i].seq + (uid - m->runs[i].uid);
}

bool imapd__seqmap_piece(const struct imapd_seqmap *m, uint32_t first, uint32_t last, struct store_run *out)
{
    uint32_t i = lower_uid(m, first);

    if (i == m->run_count || m->runs[i].uid > last || first > last)
        return false;
    *out = (struct store_run){MS_MAX(first, m->runs[i].uid), MS_MIN(last, run_last(&m->runs[i]))};
    return true;
}

static void push_run(struct imapd_seqmap *m, uint32_t uid, uint32_t count)
{
    uint32_t seq = imapd__seqmap_count(m) + 1;

    if (m->run_count == m->run_cap) {
        m->run_cap = m->run_cap ? m->run_cap * 2 : 2;
        m->runs = ms_realloc_array(m->runs, m->run_cap, sizeof(*m->runs));
    }
    m->runs[m->run_count++] = (struct imapd_run){.uid = uid, .count = count, .seq = seq};
}

void imapd__seqmap_add(struct imapd_seqmap *m, uint32_t first, uint32_t count)
{
    MS_ASSERT(first > imapd__seqmap_last_uid(m));
    if (m->run_count && imapd__seqmap_last_uid(m) + 1 == first)
        m->runs[m->run_count - 1].count += count;
    else
        push_run(m, first, count);
}

struct removal {
    struct imapd_seqmap *m; /* what stays, so far */
    struct slice runs;
    size_t at; /* next run to remove */
    imapd_gone_fn *gone;
    void *owner;
};

/* Old run `old` against the runs to remove: what stays goes to r->m. */
static void remove_from(struct removal *r, struct imapd_run old)
{
    uint32_t uid = old.uid, last = run_last(&old);

    for (; r->at < r->runs.len / 8 && uid <= last; r->at++) {
        struct store_run cut = store_run_at(r->runs, r->at);
        uint32_t from = MS_MAX(cut.first, uid), to = MS_MIN(cut.last, last);

        if (cut.first > last)
            break;
        if (cut.last < uid)
            continue;
        if (from > uid)
            imapd__seqmap_add(r->m, uid, from - uid);
        if (r->gone)
            r->gone(r->owner, imapd__seqmap_count(r->m) + 1, to - from + 1);
        uid = to + 1;
        if (cut.last > last)
            break; /* it goes on in the next run */
    }
    if (uid <= last)
        imapd__seqmap_add(r->m, uid, last - uid + 1);
}

void imapd__seqmap_remove(struct imapd_seqmap *m, struct slice runs, imapd_gone_fn *gone, void *owner)
{
    struct removal r = {.m = m, .runs = runs, .gone = gone, .owner = owner};
    uint32_t from, tail_count;
    struct imapd_run *tail;

    if (runs.len < 8)
        return;
    from = lower_uid(m, store_run_at(runs, 0).first);
    tail_count = m->run_count - from;
    if (tail_count == 0)
        return;
    tail = ms_memdup(&m->runs[from], tail_count * sizeof(*tail));
    m->run_count = from;
    for (uint32_t i = 0; i < tail_count; i++)
        remove_from(&r, tail[i]);
    ms_free(tail);
    if (m->run_count == 0)
        imapd__seqmap_fini(m);
}
