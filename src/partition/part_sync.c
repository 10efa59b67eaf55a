/* part_sync.c - one record on the calling thread, without loops and lanes: for tools and tests. */
#include "part_priv.h"

static void flatten(const struct part_rec *rec, struct str *out)
{
    str_init(out, 0);
    str_add_slice(out, str_slice(&rec->meta));
    for (const struct mbuf *b = rec->body; b; b = b->next)
        str_add_slice(out, mbuf_slice(b));
}

enum ms_err partition_apply_sync(struct partition *p, struct part_rec *rec, struct str *result,
                                 uint64_t *position_out, struct ms_errinfo *why_out)
{
    MS_ASSERT(part__state(p) == PART_ST_RECOVERED && rec->stream == 0);
    if (str_is_over(&rec->meta))
        return ms_fail(why_out, MS_ELIMIT, "record of more than %zu bytes", PART_META_MAX);
    struct part__meta before, after;
    struct str payload;
    struct journal_mark mark;
    MS_TRY(part__meta_read(p->db, &before, why_out));
    part__rec_finish(rec);
    flatten(rec, &payload);
    size_t bytes = payload.len;
    enum ms_err err =
        journal_append_sync(p->journal, JOURNAL_REC_USER, 1, str_slice(&payload), &mark, why_out);
    str_fini(&payload);
    if (err)
        return err;
    const struct part__replay r = {.p = p, .db = p->db, .last_result = result};
    MS_TRY(part__replay_run(&r, &before, why_out));
    MS_TRY(part__meta_read(p->db, &after, why_out));
    MS_ASSERT(after.applied.position == mark.position);
    uint64_t padded = (JOURNAL_RECORD_BYTES + bytes + JOURNAL_ALIGN - 1) / JOURNAL_ALIGN * JOURNAL_ALIGN;
    if (position_out)
        *position_out = mark.position - padded;
    mbuf_unref_chain(&rec->body);
    part__rec_reset(rec);
    return MS_OK;
}
