/*
 * part_tx.c - applying records to the index.
 *
 * One struct part_tx lives as long as its thread; part__tx_begin ties it to a write transaction. What is to
 * be told after the commit (results, changes, notes) is collected in it and thrown away when the transaction
 * is aborted, so a commit that is tried again tells everything once.
 *
 * Invariants: 1. nothing here looks at a clock, at configuration or at anything but the record and the
 * index. 2. An op's blob changes are written when the op ends, merged and in order of ids.
 */
#include "part_priv.h"

#include <stdarg.h>
#include <stdio.h>

void part__tx_init(struct part_tx *tx, struct partition *p)
{
    *tx = (struct part_tx){.p = p};
    str_init(&tx->results, 0);
    str_init(&tx->scratch, 0);
}

void part__tx_fini(struct part_tx *tx)
{
    str_fini(&tx->results);
    str_fini(&tx->scratch);
    ms_free(tx->settled);
    ms_free(tx->refs);
    ms_free(tx->changes);
    ms_free(tx->notes);
    *tx = (struct part_tx){0};
}

void part__tx_begin(struct part_tx *tx, struct db_txn *txn)
{
    tx->txn = txn;
    str_reset(&tx->results);
    tx->change_count = tx->note_count = 0;
    tx->ref_count = tx->fresh_count = tx->settled_count = 0;
}

void part__grow(void **array, size_t *cap, size_t count, size_t bytes_each)
{
    if (count < *cap)
        return;
    *cap = MS_MAX((size_t)64, *cap * 2);
    *array = ms_realloc_array(*array, *cap, bytes_each);
}

static enum ms_err apply_op(struct part_tx *tx, const struct part__op_view *view, struct ms_errinfo *why)
{
    const struct part_op *op = part__op_find(tx->p, view->kind, view->version);
    if (!op)
        return ms_fail(why, MS_EVERSION, "record %016llx: op %u version %u is not known to this program",
                       (unsigned long long)tx->position, view->kind, view->version);
    tx->fresh_count = 0;
    tx->ref_count = 0;
    enum ms_err err = op->apply(tx, view->payload);
    if (!err)
        err = part__blob_end_op(tx);
    if (err)
        return ms_fail(why, err, "record %016llx: op %u (%s): %s", (unsigned long long)tx->position,
                       tx->op_index, op->name, ms_err_text(err));
    return MS_OK;
}

static enum ms_err apply_ops(struct part_tx *tx, const struct journal_record *rec, struct ms_errinfo *why)
{
    struct part__record parsed;
    if (part__record_parse(rec->payload, rec->payload_bytes, &parsed))
        return ms_fail(why, MS_EDAMAGED, "record %016llx: its ops cannot be read",
                       (unsigned long long)rec->position);
    tx->position = rec->position;
    tx->time_us = rec->time_us;
    tx->bytes_at = rec->position + JOURNAL_RECORD_BYTES + parsed.meta_bytes;
    tx->bytes_end = rec->position + JOURNAL_RECORD_BYTES + rec->payload_bytes;
    tx->settled_count = 0;
    tx->record_blob_count = 0;
    struct part__op_view view;
    for (tx->op_index = 0; part__record_next(&parsed, &view) == MS_OK; tx->op_index++)
        MS_TRY(apply_op(tx, &view, why));
    atomic_fetch_add_explicit(&tx->p->op_total, tx->op_index, memory_order_relaxed);
    return MS_OK;
}

enum ms_err part__tx_apply(struct part_tx *tx, const struct journal_record *rec, struct ms_errinfo *why)
{
    if (rec->kind < JOURNAL_REC_USER)
        return MS_OK; /* parts, fillers and the like change nothing in the index */
    if (rec->kind > JOURNAL_REC_USER || rec->version != 1)
        return ms_fail(why, MS_EVERSION, "record %016llx: kind %u version %u is not known to this program",
                       (unsigned long long)rec->position, rec->kind, rec->version);
    part__crash_enter(&tx->p->crash, rec->position);
    enum ms_err err = apply_ops(tx, rec, why);
    part__crash_leave(&tx->p->crash, rec->position);
    if (err)
        tx->p->failed_at = rec->position;
    return err;
}

/* -- for apply functions -------------------------------------------------------------------------- */

struct db_txn *part_tx_db(struct part_tx *tx)
{
    return tx->txn;
}

uint64_t part_tx_time_us(const struct part_tx *tx)
{
    return tx->time_us;
}

uint64_t part_tx_position(const struct part_tx *tx)
{
    return tx->position;
}

unsigned part_tx_op_index(const struct part_tx *tx)
{
    return tx->op_index;
}

bool part_tx_is_salvage(const struct part_tx *tx)
{
    return tx->salvage;
}

void part_tx_result(struct part_tx *tx, const void *bytes, size_t len)
{
    str_add(&tx->results, bytes, len);
}

/* Many messages for one mailbox in a commit make one note. */
void part_tx_changed(struct part_tx *tx, uint64_t mailbox, uint64_t modseq)
{
    size_t look = MS_MIN(tx->change_count, 16);
    for (size_t i = tx->change_count - look; i < tx->change_count; i++) {
        if (tx->changes[i].mailbox != mailbox)
            continue;
        tx->changes[i].modseq = MS_MAX(tx->changes[i].modseq, modseq);
        return;
    }
    part__grow((void **)&tx->changes, &tx->change_cap, tx->change_count, sizeof(tx->changes[0]));
    tx->changes[tx->change_count++] = (struct part__change){mailbox, modseq};
}

void part_tx_note(struct part_tx *tx, unsigned port, uint32_t kind, uint64_t a0, uint64_t a1, uint64_t a2)
{
    MS_ASSERT(port < PART_PORTS_MAX);
    if (!tx->p->ports[port].to)
        return;
    part__grow((void **)&tx->notes, &tx->note_cap, tx->note_count, sizeof(tx->notes[0]));
    tx->notes[tx->note_count++] = (struct part__note){port, kind, {a0, a1, a2}};
}

void part_tx_settle(struct part_tx *tx, uint32_t number, enum ms_err err)
{
    part__grow((void **)&tx->settled, &tx->settled_cap, tx->settled_count, sizeof(tx->settled[0]));
    tx->settled[tx->settled_count++] = (struct part__settled){number, err};
}

/* The last word counts. */
bool part_tx_settled(const struct part_tx *tx, uint32_t number, enum ms_err *err_out)
{
    for (size_t i = tx->settled_count; i-- > 0;) {
        if (tx->settled[i].number != number)
            continue;
        *err_out = tx->settled[i].err;
        return true;
    }
    return false;
}

void part__report_line(struct part_report *report, const char *fmt, ...)
{
    if (!report)
        return;
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    str_add_cstr(&report->text, line);
    str_add_byte(&report->text, '\n');
}

void part_tx_lost(struct part_tx *tx, const char *fmt, ...)
{
    char line[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (tx->report) {
        tx->report->lost++;
        part__report_line(tx->report, "record %016llx: %s", (unsigned long long)tx->position, line);
    } else {
        OBS_EVENT(OBS_PART_LOST, 0, OBS_C("partition", tx->p->conf.name), OBS_X("position", tx->position),
                  OBS_C("what", line));
    }
}
