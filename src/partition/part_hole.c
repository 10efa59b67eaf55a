/*
 * part_hole.c - damage in the log: for how long ops are applied as a salvage, and how the log remembers it.
 *
 * Behind damage an op may find its parents missing: the record that made the mailbox was in the hole. Apply
 * functions are told (part_tx_is_salvage) and make them from hints. This must end exactly where the server
 * went on, or a later replay would carry out what the server refused:
 *
 *   TAIL    A filler stands in a tail that recovery has rewritten; every server that applied what follows
 * that tail's "recovered" record had replayed the filler. The salvage ends at that record. DAMAGE  Damage at
 * rest is noticed by the recovery that has to replay it. When it is through it appends a hole op with the
 * ranges. A replay that meets a damaged range salvages until the hole op that names it; without one until the
 *           end, and then appends one.
 *
 * Where a salvage ends, bodies without an op are given to the owner of messages (part_salvage.c): at the same
 * place of the log in every replay. The "hole" row carries the state over a crash in between: u8 version 1,
 * u8 state, u64 until, (u64 from, u64 to)*
 */
#include "part_priv.h"

static bool covers(struct part__hole_range r, uint64_t from, uint64_t to)
{
    return r.from <= from && to <= r.to;
}

void part__holes_add(struct part__holes *h, uint64_t from, uint64_t to, uint64_t until)
{
    h->until = h->state == PART_HOLE_DAMAGE ? MS_MAX(h->until, until) : until;
    h->state = PART_HOLE_DAMAGE;
    for (unsigned i = 0; i < h->count; i++)
        if (covers(h->ranges[i], from, to))
            return;
    if (h->count < PART_HOLES_MAX)
        h->ranges[h->count++] = (struct part__hole_range){from, to};
    else /* they come in order: the last range takes the rest in */
        h->ranges[PART_HOLES_MAX - 1].to = to;
}

static void emit_ranges(const struct part__holes *h, struct str *out)
{
    for (unsigned i = 0; i < h->count; i++) {
        str_add_le64(out, h->ranges[i].from);
        str_add_le64(out, h->ranges[i].to);
    }
}

void part__holes_emit(const struct part__holes *h, struct str *out)
{
    str_add_byte(out, PART_ROW_VERSION);
    str_add_byte(out, h->state);
    str_add_le64(out, h->until);
    emit_ranges(h, out);
}

enum ms_err part__holes_parse(struct slice value, struct part__holes *out)
{
    struct rd r = rd_make(value);
    *out = (struct part__holes){0};
    if (rd_u8(&r) != PART_ROW_VERSION)
        return MS_EVERSION;
    out->state = rd_u8(&r);
    out->until = rd_u64(&r);
    while (rd_left(&r) && out->count < PART_HOLES_MAX) {
        out->ranges[out->count].from = rd_u64(&r);
        out->ranges[out->count++].to = rd_u64(&r);
    }
    return r.bad || rd_left(&r) || out->state > PART_HOLE_DAMAGE ? MS_EDAMAGED : MS_OK;
}

/* -- the op --------------------------------------------------------------------------------------- */

static enum ms_err apply_hole(struct part_tx *tx, struct slice op)
{
    tx->hole_noted = true;
    return MS_OK;
}

static void dump_hole(struct slice op, struct str *out)
{
    struct rd r = rd_make(op);
    while (rd_left(&r)) {
        uint64_t from = rd_u64(&r);
        str_addf(out, "%016llx-%016llx ", (unsigned long long)from, (unsigned long long)rd_u64(&r));
    }
    if (r.bad)
        str_add_cstr(out, "damaged: not ranges");
}

const struct part_op part__hole_op = {
    .kind = PART_OP_HOLE, .version = 1, .name = "hole", .apply = apply_hole, .dump = dump_hole};

enum ms_err part__hole_append(struct partition *p, const struct part__holes *h, struct ms_errinfo *why)
{
    struct part_rec rec;
    part_rec_init(&rec);
    emit_ranges(h, part_rec_op_begin(&rec, PART_OP_HOLE, 1));
    part_rec_op_end(&rec);
    part__rec_finish(&rec);
    enum ms_err err = journal_append_sync(p->journal, JOURNAL_REC_USER, 1, str_slice(&rec.meta), NULL, why);
    part_rec_fini(&rec);
    return err;
}

void part__hole_notes_collect(struct part__hole_notes *n, const struct journal_record *rec)
{
    struct part__record parsed;
    struct part__op_view view;
    if (part__record_parse(rec->payload, rec->payload_bytes, &parsed) || part__record_next(&parsed, &view) ||
        view.kind != PART_OP_HOLE)
        return;
    struct rd r = rd_make(view.payload);
    while (rd_left(&r) >= sizeof(struct part__hole_range)) {
        part__grow((void **)&n->list, &n->cap, n->count, sizeof(n->list[0]));
        struct part__hole_note *note = &n->list[n->count++];
        note->range.from = rd_u64(&r);
        note->range.to = rd_u64(&r);
        note->at = rec->position;
    }
}

uint64_t part__hole_notes_until(const struct part__hole_notes *n, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->list[i].at >= to && covers(n->list[i].range, from, to))
            return n->list[i].at;
    return UINT64_MAX;
}
