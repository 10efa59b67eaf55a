/*
 * journal_replay.c - the records of the log in order, and the question whether a place exists in it.
 */
#include "journal_priv.h"

struct replay {
    uint64_t from;
    bool want_parts;
    journal_visit_fn *visit;
    journal_damage_fn *on_damage;
    void *owner;
};

static void on_hole(const struct replay *r, uint64_t from, uint64_t to, const char *what)
{
    from = MS_MAX(from, r->from);
    if (r->on_damage != NULL && from < to)
        r->on_damage(r->owner, from, to, what);
}

static enum ms_err replay_segment(struct journal *j, struct journal_seg *seg, const struct replay *r,
                                  struct ms_errinfo *why_out)
{
    struct journal_src src;
    struct journal_scan s;
    struct journal_record rec;
    enum journal_found found;
    enum ms_err err = MS_OK;
    MS_TRY(journal__seg_open(j, seg, &src, why_out));
    journal__scan_init(&s, &seg->head, src, atomic_load(&seg->end), 0);
    /* Usually a mark that was found in the log before; anything else is reached by scanning from the start.
     */
    if (r->from > seg->head.start)
        (void)journal__scan_seek(&s, r->from);
    while (err == MS_OK && (found = journal__scan_next(&s, &rec)) != JOURNAL_FOUND_END) {
        if (found == JOURNAL_FOUND_DAMAGE)
            on_hole(r, s.damage_from, s.damage_to, s.damage_what);
        else if (rec.position >= r->from && (rec.kind != JOURNAL_REC_PART || r->want_parts))
            err = r->visit(r->owner, &rec);
    }
    journal__scan_fini(&s);
    return err;
}

enum ms_err journal_replay(struct journal *j, uint64_t from, bool want_parts, journal_visit_fn *visit,
                           journal_damage_fn *on_damage, void *owner, struct ms_errinfo *why_out)
{
    struct replay r = {from, want_parts, visit, on_damage, owner};
    uint64_t expected = 0;
    for (size_t i = 0; i < j->seg_count; i++) {
        struct journal_seg *seg = j->segs[i];
        on_hole(&r, expected, seg->head.start, "a segment is missing");
        expected = atomic_load(&seg->end);
        if (expected > from)
            MS_TRY(replay_segment(j, seg, &r, why_out));
    }
    return MS_OK;
}

/* The record that ends at the mark, by scanning the segment that holds it. */
static bool find_in_segment(struct journal *j, struct journal_seg *seg, bool is_last,
                            const struct journal_mark *mark)
{
    struct journal_src src;
    struct journal_scan s;
    struct journal_record rec;
    enum journal_found found;
    bool is_there = false;
    /* Before recovery the end of the newest segment is a guess that does not know what was durable. */
    bool is_open = is_last && j->epoch == 0;
    if (mark->epoch != seg->head.epoch || journal__seg_open(j, seg, &src, NULL) != MS_OK)
        return false;
    journal__scan_init(&s, &seg->head, src, is_open ? UINT64_MAX : atomic_load(&seg->end), mark->position);
    while ((found = journal__scan_next(&s, &rec)) != JOURNAL_FOUND_END) {
        if (found == JOURNAL_FOUND_RECORD && rec.end == mark->position)
            is_there = rec.crc == mark->crc;
        if (s.at >= mark->position)
            break;
    }
    journal__scan_fini(&s);
    return is_there;
}

bool journal_has_mark(struct journal *j, const struct journal_mark *mark)
{
    if (mark->position == 0)
        return j->seg_count == 0 || j->segs[0]->head.start == 0;
    for (size_t i = 0; i < j->seg_count; i++) {
        struct journal_seg *seg = j->segs[i];
        const struct journal_head *h = &seg->head;
        bool is_last = i + 1 == j->seg_count;
        /* The record itself may be gone with its segment: the header of the next one vouches for it. */
        if (h->start == mark->position && h->prev_end == mark->position)
            return h->prev_epoch == mark->epoch && h->prev_crc == mark->crc;
        bool may_hold = h->start < mark->position && (is_last || mark->position <= atomic_load(&seg->end));
        if (may_hold && find_in_segment(j, seg, is_last, mark))
            return true;
    }
    return false;
}
