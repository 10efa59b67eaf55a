/*
 * queue_ops.c - building the queue's ops. Final formats; version 1 unless a line says otherwise.
 *
 * The payload of an op behind its header (partition.h): little-endian, not aligned, nothing behind the last
 * field. "text" is u16 length, bytes; "source" the blob source form of partition.h; "id" the 16 bytes of a
 * queue_id.
 *
 * 64 enqueue   source, id, u64 arrival us, u64 due us, u8 class, u8 flags (1 held, 2 SMTPUTF8), u8 RET,
 *              u8 body type, text hold reason, text channel, text host, text sender, text ENVID, text trace,
 *              u16 count (1..1000), per recipient, numbers ascending: u32 number, u8 NOTIFY, text address,
 *              text original, text ORCPT
 *              Further enqueue ops of one record name the same blob, in short: in line without the cache, of
 *              parts by its id. The first makes it, all refer to it.
 * 65 result    version 2: id, u64 due us, u64 tried us, u8 notices, u8 flags (1 counts as an attempt),
 *              u16 count (<= 1000), per recipient: u32 number, u8 state (0 retry, 1 done, 2 failed),
 *              u8 flags (1 recorded, 2 only if a deliver op of this record took it), text reason
 *              version 1 (read, not written any more): id, u64 due us, then from count on the same; counts
 *              as an attempt, leaves tried and notices as they are
 * 66 forget    id
 * 67 hold      id, u8 hold (0: release), text reason
 * 68 delete    id
 * 69 stop      u8 stop (0: started again), u64 us: since when, text channel (1..64 octets, none of them 0)
 */
#include "queue_priv.h"

/* Head of the op; source in line without a cache; numbers of the entry; six lengths; the count. */
#define OP_AGAIN_BYTES (8 + 38 + 36 + 12 + 2)

static struct str *op_begin(struct part_rec *rec, enum queue_op_kind kind)
{
    return part_rec_op_begin(rec, (uint16_t)kind,
                             kind == QUEUE_OP_RESULT ? QUEUE__RESULT_VERSION : QUEUE__VERSION);
}

static bool entry_fits(const struct queue_entry *e)
{
    return e->hold_reason.len <= QUEUE_REASON_MAX && e->channel.len <= QUEUE_NAME_MAX && e->channel.len > 0 &&
           e->host.len <= QUEUE_HOST_MAX && e->sender.len <= QUEUE__SENDER_MAX &&
           e->envid.len <= QUEUE__ENVID_MAX && e->trace.len <= QUEUE_TRACE_MAX &&
           e->class_ < QUEUE_CLASS_COUNT && e->ret <= 2 && e->body_type <= 2;
}

static bool recipients_fit(const struct queue_recipient *rcpts, size_t n)
{
    if (n == 0 || n > QUEUE_RECIPIENTS_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if (rcpts[i].address.len > QUEUE_ADDRESS_MAX || rcpts[i].original.len > QUEUE_ADDRESS_MAX ||
            rcpts[i].orcpt.len > QUEUE_ADDRESS_MAX || rcpts[i].notify > 15 || rcpts[i].number == UINT32_MAX ||
            (i && rcpts[i].number <= rcpts[i - 1].number))
            return false;
    return true;
}

static void emit_entry(struct str *op, const struct queue_entry *e)
{
    str_add(op, e->id.b, 16);
    str_add_le64(op, e->arrival_us);
    str_add_le64(op, e->due_us);
    str_add_byte(op, (uint8_t)e->class_);
    str_add_byte(op, (uint8_t)((e->held ? 1 : 0) | (e->smtputf8 ? 2 : 0)));
    str_add_byte(op, e->ret);
    str_add_byte(op, e->body_type);
    str_add_bytes16(op, e->hold_reason);
    str_add_bytes16(op, e->channel);
    str_add_bytes16(op, e->host);
    str_add_bytes16(op, e->sender);
    str_add_bytes16(op, e->envid);
    str_add_bytes16(op, e->trace);
}

static void emit_envelope(struct str *op, const struct queue_entry *entry,
                          const struct queue_recipient *rcpts, size_t n)
{
    emit_entry(op, entry);
    str_add_le16(op, (uint16_t)n);
    for (size_t i = 0; i < n; i++) {
        str_add_le32(op, rcpts[i].number);
        str_add_byte(op, rcpts[i].notify);
        str_add_bytes16(op, rcpts[i].address);
        str_add_bytes16(op, rcpts[i].original);
        str_add_bytes16(op, rcpts[i].orcpt);
    }
}

enum ms_err queue_op_enqueue(struct part_rec *rec, struct part_body *body, uint64_t blob,
                             const struct queue_entry *entry, const struct queue_recipient *rcpts, size_t n)
{
    struct str *op;

    if (!entry_fits(entry) || !recipients_fit(rcpts, n))
        return MS_EINVAL;
    op = op_begin(rec, QUEUE_OP_ENQUEUE);
    if (body)
        part_body_emit(body, rec, op);
    else
        part_blob_source_emit_existing(op, blob);
    emit_envelope(op, entry, rcpts, n);
    part_rec_op_end(rec);
    return MS_OK;
}

enum ms_err queue_op_enqueue_again(struct part_rec *rec, const struct part_body *body, uint64_t blob,
                                   const struct queue_entry *entry, const struct queue_recipient *rcpts,
                                   size_t n)
{
    struct str *op;

    if (!entry_fits(entry) || !recipients_fit(rcpts, n))
        return MS_EINVAL;
    op = op_begin(rec, QUEUE_OP_ENQUEUE);
    if (body)
        part_body_emit_again(body, op);
    else
        part_blob_source_emit_existing(op, blob);
    emit_envelope(op, entry, rcpts, n);
    part_rec_op_end(rec);
    return MS_OK;
}

size_t queue_op_enqueue_bytes(const struct queue_entry *e)
{
    return OP_AGAIN_BYTES + e->hold_reason.len + e->channel.len + e->host.len + e->sender.len + e->envid.len +
           e->trace.len;
}

void queue_op_result(struct part_rec *rec, const struct queue_id *id, const struct queue_attempt *attempt,
                     const struct queue_outcome *outcomes, size_t n)
{
    struct str *op = op_begin(rec, QUEUE_OP_RESULT);

    MS_ASSERT(n <= QUEUE_RECIPIENTS_MAX);
    str_add(op, id->b, 16);
    str_add_le64(op, attempt->due_us);
    str_add_le64(op, attempt->tried_us);
    str_add_byte(op, attempt->notices);
    str_add_byte(op, attempt->count);
    str_add_le16(op, (uint16_t)n);
    for (size_t i = 0; i < n; i++) {
        str_add_le32(op, outcomes[i].number);
        str_add_byte(op, (uint8_t)outcomes[i].state);
        str_add_byte(op, (uint8_t)((outcomes[i].recorded ? 1 : 0) | (outcomes[i].if_delivered ? 2 : 0)));
        /* A reason is for people: what is too long is cut. */
        str_add_bytes16(op, slice_sub(outcomes[i].reason, 0, QUEUE_REASON_MAX));
    }
    part_rec_op_end(rec);
    rec->relief = true;
}

static void op_id(struct part_rec *rec, enum queue_op_kind kind, const struct queue_id *id)
{
    str_add(op_begin(rec, kind), id->b, 16);
    part_rec_op_end(rec);
    rec->relief = true;
}

void queue_op_forget(struct part_rec *rec, const struct queue_id *id)
{
    op_id(rec, QUEUE_OP_FORGET, id);
}

void queue_op_delete(struct part_rec *rec, const struct queue_id *id)
{
    op_id(rec, QUEUE_OP_DELETE, id);
}

void queue_op_hold(struct part_rec *rec, const struct queue_id *id, bool hold, struct slice reason)
{
    struct str *op = op_begin(rec, QUEUE_OP_HOLD);

    str_add(op, id->b, 16);
    str_add_byte(op, hold);
    str_add_bytes16(op, slice_sub(reason, 0, QUEUE_REASON_MAX));
    part_rec_op_end(rec);
}

void queue_op_stop(struct part_rec *rec, struct slice channel, bool stop, uint64_t at_us)
{
    struct str *op = op_begin(rec, QUEUE_OP_STOP);

    MS_ASSERT(channel.len > 0 && channel.len <= QUEUE_NAME_MAX);
    str_add_byte(op, stop);
    str_add_le64(op, at_us);
    str_add_bytes16(op, channel);
    part_rec_op_end(rec);
    rec->relief = true; /* an operator's means against a full disk, too */
}
