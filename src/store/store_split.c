/*
 * store_split.c - cutting a set of UIDs into pieces that one op may carry.
 */
#include "store_priv.h"

struct split {
    struct store_cursor *cur;
    size_t max, found; /* messages in this piece */
    struct store_run *out;
    size_t out_max, out_count;
    uint64_t next; /* UID the next piece begins with */
};

/* One run from s->next on: the part that fits goes out. False: the piece is full, s->next is set. */
static bool split_run(struct split *s, struct store_run run)
{
    struct store_message m;
    struct store_run got = {0, 0};
    enum ms_err err = store_cursor_seek(s->cur, run.first, &m);
    bool full = false;

    for (; !err && m.uid <= run.last && !full; err = store_cursor_next(s->cur, &m)) {
        if (got.first == 0)
            got.first = m.uid;
        got.last = m.uid;
        full = ++s->found == s->max;
    }
    if (got.first)
        s->out[s->out_count++] = got;
    s->next = full ? (uint64_t)got.last + 1 : (uint64_t)run.last + 1;
    return !full && s->out_count < s->out_max;
}

size_t store_split(struct part_snap *snap, uint64_t mailbox, const struct store_run *runs, size_t n,
                   uint64_t *cursor, size_t max, struct store_run *out, size_t out_max)
{
    struct split s = {.max = max, .out = out, .out_max = out_max, .next = *cursor};

    MS_ASSERT(max > 0 && out_max > 0);
    if (store_cursor_open(snap, mailbox, &s.cur))
        return 0;
    for (size_t i = 0; i < n; i++) {
        struct store_run run = runs[i];

        if (run.last < s.next)
            continue;
        run.first = (uint32_t)MS_MAX(s.next, (uint64_t)run.first);
        if (!split_run(&s, run))
            break;
    }
    store_cursor_close(&s.cur);
    *cursor = s.next;
    return s.out_count;
}
