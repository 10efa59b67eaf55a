/*
 * queue.h - the mail queue as ops on a partition: envelopes, per-recipient state, holds.
 * Layer 6 (queue).   Uses: base, obs, conf, loop, bus, partition.
 *
 * enqueue is unconditional and answered at durable (storage rule 2.3): every check comes before the post. An entry is one
 * envelope for one channel (and one host when the channel says single_sys): route splits before it posts; all entries of one
 * message are ops of one record and share one blob.
 *
 * Rows (entries version 2, recipients version 1; byte by byte in src/queue/queue_rows.c), database queue:
 *   entry id (16)                    -> envelope row: queue_entry without recipients
 *   entry id (16) + be32 recipient   -> recipient row
 *   20 x 0xff + name                 -> a channel that is stopped
 * A finished recipient's row says so; the entry goes away with its last recipient - at once when nobody else must remember
 * it, else by QUEUE_OP_FORGET after the other partition's `delivered` rows may be forgotten (rule 3.5).
 *
 * The applier tells the job controller through port QUEUE_PORT: notes QUEUE_NOTE_READY (new or changed) and QUEUE_NOTE_GONE;
 * an overflow means: scan again.
 */
#ifndef MS_QUEUE_H
#define MS_QUEUE_H

#include "ms/partition.h"

#define QUEUE_PORT            0
#define QUEUE_ADDRESS_MAX     512  /* local 64 + @ + domain 255 with room for UTF-8 and quoting */
#define QUEUE_RECIPIENTS_MAX  1000 /* of one entry */
#define QUEUE_REASON_MAX      512
#define QUEUE_NAME_MAX        64   /* channel */
#define QUEUE_HOST_MAX        255
#define QUEUE_TRACE_MAX       64   /* octets of the one id of a message */

enum queue_op_kind {
    QUEUE_OP_ENQUEUE = 64,
    QUEUE_OP_RESULT = 65, /* per recipient: done / failed / retry; of the entry: struct queue_attempt */
    QUEUE_OP_FORGET = 66,
    QUEUE_OP_HOLD = 67,   /* hold or release, with a reason */
    QUEUE_OP_DELETE = 68,
    QUEUE_OP_STOP = 69,   /* a channel is stopped, or started again */
};

/* epoch(8, be) loop(2, be) counter(6, be): unique for ever in a partition's timeline; text form: 32 hex digits, or the short
 * form shown to people (queue_id_emit). */
struct queue_id { uint8_t b[16]; };
#define QUEUE_ID_TEXT_MAX 40
size_t queue_id_emit(const struct queue_id *id, char out[QUEUE_ID_TEXT_MAX]);
MS_MUST_USE enum ms_err queue_id_parse(struct slice text, struct queue_id *out);
/* Ids of one loop: counter starts at 1 each start. */
struct queue_ids { uint64_t epoch; uint16_t loop; uint64_t next; };
struct queue_id queue_id_next(struct queue_ids *ids);

enum queue_class { QUEUE_URGENT, QUEUE_NORMAL, QUEUE_NONURGENT, QUEUE_SECONDCLASS, QUEUE_THIRDCLASS, QUEUE_CLASS_COUNT };
enum queue_rcpt_state { QUEUE_RCPT_PENDING, QUEUE_RCPT_DONE, QUEUE_RCPT_FAILED };

struct queue_recipient {
    uint32_t number;
    enum queue_rcpt_state state;
    struct slice address;   /* where it goes now */
    struct slice original;  /* as the sender wrote it (ORCPT form later); may equal address */
    struct slice reason;    /* last failure: "4.2.0 text" */
    uint8_t notify;         /* RFC 3461 NOTIFY bits: 1 never 2 success 4 failure 8 delay; 0 = not given */
    struct slice orcpt;     /* RFC 3461, as given; empty */
    bool recorded;          /* another partition holds a delivered row for it */
};
struct queue_entry {
    struct queue_id id;
    uint64_t blob;
    uint64_t blob_bytes;
    uint64_t arrival_us;
    uint64_t due_us;        /* next attempt; 0 = at once */
    uint32_t attempts;
    uint64_t tried_us;      /* last attempt; 0 = none yet, or not recorded by version 1 */
    uint8_t notices;        /* delay notices sent so far */
    enum queue_class class_;
    bool held;
    struct slice hold_reason;
    struct slice channel, host;
    struct slice sender;    /* "" = null reverse path */
    struct slice envid;     /* RFC 3461 ENVID; empty */
    uint8_t ret;            /* RFC 3461 RET: 0 none 1 FULL 2 HDRS */
    uint8_t body_type;      /* 0 7BIT 1 8BITMIME 2 BINARYMIME */
    bool smtputf8;
    struct slice trace;     /* id of the session for logs */
    uint32_t recipient_count; /* rows there are */
    uint32_t pending;
};

void queue_register(struct partition *p);

/* The blob is given by body (the record's one new blob; the first enqueue op of a record brings it, further ones of the same
 * record name the same source) or by id. */
MS_MUST_USE enum ms_err queue_op_enqueue(struct part_rec *rec, struct part_body *body, uint64_t blob,
                                         const struct queue_entry *entry, const struct queue_recipient *rcpts, size_t n);
/* A further entry of the same message in the same record, right behind the one before: short, however long the message. */
MS_MUST_USE enum ms_err queue_op_enqueue_again(struct part_rec *rec, const struct part_body *body, uint64_t blob,
                                               const struct queue_entry *entry, const struct queue_recipient *rcpts, size_t n);
/* Octets of such an op, but for its recipients. */
size_t queue_op_enqueue_bytes(const struct queue_entry *entry);
struct queue_outcome {
    uint32_t number;
    enum queue_rcpt_state state; /* PENDING = retry */
    struct slice reason;
    bool recorded;
    /* DONE only when a deliver op before it in the same record took this recipient (store_target.recipient == number), else
     * it stays PENDING with the deliver op's error as its reason: delivery inside the queue's own partition. */
    bool if_delivered;
};
/* What becomes of the entry while recipients stay pending; all of it replaces what the row says. */
struct queue_attempt {
    uint64_t due_us;   /* next attempt; 0 = at once */
    uint64_t tried_us; /* last attempt */
    uint8_t notices;   /* delay notices sent so far */
    bool count;        /* attempts grows by one */
};
/* Outcomes of recipients that are finished already are passed over. */
void queue_op_result(struct part_rec *rec, const struct queue_id *id, const struct queue_attempt *attempt,
                     const struct queue_outcome *outcomes, size_t n);
void queue_op_forget(struct part_rec *rec, const struct queue_id *id);
void queue_op_hold(struct part_rec *rec, const struct queue_id *id, bool hold, struct slice reason);
void queue_op_delete(struct part_rec *rec, const struct queue_id *id);

/* The operator's stop of a channel, or its end: a row of its own, so that it outlives the process. channel: 1 to QUEUE_NAME_MAX
 * octets, none of them 0. at_us: since when. MS_EEXIST: it is stopped already, since then; MS_ENOTFOUND: it is not stopped. */
void queue_op_stop(struct part_rec *rec, struct slice channel, bool stop, uint64_t at_us);

/* Every queue op appends one result to part_reply.result, in op order with those of the store: MS_OK, MS_ENOTFOUND (no such
 * entry), MS_EGONE (enqueue of an existing blob that is gone), MS_EBUSY (forget of an unfinished entry), MS_EEXIST, MS_EINVAL.
 * MS_EDAMAGED from the function: no result there. */
MS_MUST_USE enum ms_err queue_result_next(struct rd *r, enum ms_err *err_out);

#define QUEUE_NOTE_READY BUS_KIND(6, 2, 1) /* a[0], a[1] = id (big-endian halves); a[2] reserved */
#define QUEUE_NOTE_GONE  BUS_KIND(6, 2, 2)

MS_MUST_USE enum ms_err queue_find(struct part_snap *snap, const struct queue_id *id, struct queue_entry *out);
/* Entries in id order, behind `after` (NULL: first). */
MS_MUST_USE enum ms_err queue_next(struct part_snap *snap, const struct queue_id *after, struct queue_entry *out);
/* The same with one cursor, for who reads many: begin, next until MS_ENOTFOUND, end before the snapshot's. Rows that cannot be read are
 * passed over and counted. */
struct queue_reader {
    struct queue_id at; /* of the last entry given, or passed over */
    uint64_t damaged;
    struct db_cur *cur; /* this and the rest: its own */
    struct slice key, row;
    enum ms_err err;
};
MS_MUST_USE enum ms_err queue_reader_begin(struct queue_reader *r, struct part_snap *snap, const struct queue_id *after);
MS_MUST_USE enum ms_err queue_reader_next(struct queue_reader *r, struct queue_entry *out);
void queue_reader_end(struct queue_reader *r);
/* Recipients in number order, behind `after` (UINT32_MAX: first). */
MS_MUST_USE enum ms_err queue_recipient_next(struct part_snap *snap, const struct queue_id *id, uint32_t after,
                                             struct queue_recipient *out);
struct queue_stop {
    char channel[QUEUE_NAME_MAX + 1];
    uint64_t since_us;
};
/* Stopped channels in the order of their names, behind `after` (empty: first). MS_ENOTFOUND: no more. */
MS_MUST_USE enum ms_err queue_stop_next(struct part_snap *snap, struct slice after, struct queue_stop *out);

#endif
