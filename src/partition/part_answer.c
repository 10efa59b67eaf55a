/* part_answer.c - after a commit: who waits is answered, who watches is told, the lane gets its batches back.
 */
#include "part_priv.h"

static void reply(struct partition *p, const struct journal_batch_entry *e, enum ms_err err,
                  struct slice result)
{
    struct bus_msg msg = {.kind = PART_MSG_DONE, .id = e->request, .a = {err, e->rec.position}};
    if (result.len && result.len <= PART_RESULT_INLINE) {
        memcpy(&msg.a[2], result.ptr, result.len); /* most results: no memory of their own */
        msg.flags = (uint16_t)result.len;
    } else if (result.len) {
        msg.body = mbuf_from(result);
    }
    bus_reply(p->applier.ep, p->applier.lane_ep, e->from, &msg);
}

static void replies(struct partition *p, size_t n, enum ms_err err)
{
    struct part__applier *a = &p->applier;
    unsigned b = 0, entry = a->entry;
    for (size_t i = 0; i < n; i++) {
        const struct journal_batch *batch = a->waiting[(a->head + b) % JOURNAL_BATCHES];
        const struct journal_batch_entry *e = &batch->entries[entry];
        if (!e->answered) {
            size_t from = i ? a->result_ends[i - 1] : 0;
            struct slice none = {NULL, 0};
            reply(p, e, err,
                  err ? none : slice_sub(str_slice(&a->tx.results), from, a->result_ends[i] - from));
        }
        if (++entry == batch->count) {
            entry = 0;
            b++;
        }
    }
}

static void notes(struct partition *p)
{
    struct part__applier *a = &p->applier;
    for (size_t i = 0; i < a->tx.change_count; i++) {
        const struct part__change *c = &a->tx.changes[i];
        uint64_t mask = atomic_load(&p->watch[part__watch_bucket(c->mailbox)]);
        for (; mask; mask &= mask - 1) {
            struct bus_msg msg = {.kind = PART_NOTE_CHANGED, .a = {c->mailbox, c->modseq}};
            (void)bus_note(a->ep, p->clients[__builtin_ctzll(mask)]->ep, &msg);
        }
    }
    for (size_t i = 0; i < a->tx.note_count; i++) {
        const struct part__note *t = &a->tx.notes[i];
        struct bus_msg msg = {.kind = t->kind, .a = {t->a[0], t->a[1], t->a[2]}};
        (void)bus_note(a->ep, p->ports[t->port].to, &msg);
    }
}

static void give_back(struct partition *p, size_t n)
{
    struct part__applier *a = &p->applier;
    while (n) {
        struct journal_batch *batch = a->waiting[a->head];
        size_t left = batch->count - a->entry;
        if (n < left) {
            a->entry += (unsigned)n;
            return;
        }
        n -= left;
        a->entry = 0;
        a->head = (a->head + 1) % JOURNAL_BATCHES;
        a->count--;
        journal_batch_done(p->journal, batch);
    }
}

void part__answer(struct partition *p, size_t n, enum ms_err err)
{
    replies(p, n, err);
    if (!err)
        notes(p);
    give_back(p, n);
}
