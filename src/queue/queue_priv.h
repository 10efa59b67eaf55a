/*
 * queue_priv.h - what the files of queue share. Layouts are described in queue_rows.c and queue_ops.c.
 */
#ifndef MS_QUEUE_PRIV_H
#define MS_QUEUE_PRIV_H

#include "ms/queue.h"

#define QUEUE__VERSION        1 /* of rows and ops but for the two below */
#define QUEUE__ENTRY_VERSION  2
#define QUEUE__RESULT_VERSION 2
#define QUEUE__ENTRY_ROW_V1   56
#define QUEUE__ENTRY_ROW      64
#define QUEUE__RECIPIENT_ROW  4
#define QUEUE__ENTRY_KEY      16
#define QUEUE__RECIPIENT_KEY  20
#define QUEUE__STOP_KEY       20 /* and the name behind it: longer than every other key */
#define QUEUE__STOP_KEY_MAX   (QUEUE__STOP_KEY + QUEUE_NAME_MAX)
#define QUEUE__STOP_ROW       9
#define QUEUE__SENDER_MAX     QUEUE_ADDRESS_MAX
#define QUEUE__ENVID_MAX      QUEUE_ADDRESS_MAX /* RFC 3461 4.4: 100, before xtext; senders differ */
/* 6 and 4 texts with their lengths */
#define QUEUE__ENTRY_ROW_MAX                                                                                 \
    (QUEUE__ENTRY_ROW + 12 + QUEUE_REASON_MAX + QUEUE_NAME_MAX + QUEUE_HOST_MAX + QUEUE__SENDER_MAX +        \
     QUEUE__ENVID_MAX + QUEUE_TRACE_MAX)
#define QUEUE__RECIPIENT_ROW_MAX (QUEUE__RECIPIENT_ROW + 8 + 3 * QUEUE_ADDRESS_MAX + QUEUE_REASON_MAX)
#define QUEUE__RESULT_BYTES      2

/* -- rows */
struct slice queue__key_recipient(uint8_t out[QUEUE__RECIPIENT_KEY], const struct queue_id *id,
                                  uint32_t number);
static inline struct slice queue__key_entry(const struct queue_id *id)
{
    return slice_make(id->b, QUEUE__ENTRY_KEY);
}
size_t queue__entry_emit(const struct queue_entry *e, uint8_t *out); /* always QUEUE__ENTRY_VERSION */
size_t queue__recipient_emit(const struct queue_recipient *r, uint8_t *out);
/* Of a channel that is stopped. name: 1 to QUEUE_NAME_MAX octets. */
struct slice queue__key_stop(uint8_t out[QUEUE__STOP_KEY_MAX], struct slice name);
bool queue__key_is_stop(struct slice key); /* by its length: keys of entries and recipients are shorter */
struct slice queue__stop_emit(const struct queue_stop *stop, uint8_t out[QUEUE__STOP_ROW]);
/* Of every version. MS_EDAMAGED, MS_EVERSION. Slices point into the row. */
MS_MUST_USE enum ms_err queue__entry_parse(struct slice key, struct slice row, struct queue_entry *out);
MS_MUST_USE enum ms_err queue__recipient_parse(struct slice key, struct slice row,
                                               struct queue_recipient *out);
MS_MUST_USE enum ms_err queue__stop_parse(struct slice key, struct slice row, struct queue_stop *out);

/* -- ops */
struct queue__op_enqueue {
    struct part_blob_source source;
    struct queue_entry entry;
    unsigned recipient_count;
    struct slice recipients; /* raw: queue__op_recipient_parse */
};
struct queue__op_result {
    struct queue_id id;
    unsigned version; /* 1 says nothing of tried_us and notices */
    struct queue_attempt attempt;
    unsigned outcome_count;
    struct slice outcomes; /* raw: queue__op_outcome_parse */
};
struct queue__op_hold {
    struct queue_id id;
    bool hold;
    struct slice reason;
};
struct queue__op_stop {
    bool stop;
    struct queue_stop row;
};
/* All give MS_EINVAL on nonsense. */
MS_MUST_USE enum ms_err queue__op_enqueue_parse(struct slice op, struct queue__op_enqueue *out);
MS_MUST_USE enum ms_err queue__op_recipient_parse(struct rd *r, struct queue_recipient *out);
MS_MUST_USE enum ms_err queue__op_result_parse(struct slice op, unsigned version,
                                               struct queue__op_result *out);
MS_MUST_USE enum ms_err queue__op_outcome_parse(struct rd *r, struct queue_outcome *out);
MS_MUST_USE enum ms_err queue__op_id_parse(struct slice op, struct queue_id *out);
MS_MUST_USE enum ms_err queue__op_hold_parse(struct slice op, struct queue__op_hold *out);
MS_MUST_USE enum ms_err queue__op_stop_parse(struct slice op, struct queue__op_stop *out);

part_apply_fn queue__apply_enqueue, queue__apply_result_v1, queue__apply_result, queue__apply_forget,
    queue__apply_hold, queue__apply_delete, queue__apply_stop;
part_dump_fn queue__dump_enqueue, queue__dump_result_v1, queue__dump_result, queue__dump_forget,
    queue__dump_hold, queue__dump_delete, queue__dump_stop;
part_row_dump_fn queue__dump_row;
enum ms_err queue__verify(struct part_snap *snap, void (*ref)(void *, uint64_t), void *ref_owner,
                          void (*problem)(void *, const char *), void *owner);

#endif
