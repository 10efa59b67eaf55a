/*
 * queue.c - the tables that tie the queue to a partition.
 */
#include "queue_priv.h"

#define OP(kind_, version_, name_, fn)                                                                       \
    {                                                                                                        \
        .kind = (kind_), .version = (version_), .name = (name_), .apply = queue__apply_##fn,                 \
        .dump = queue__dump_##fn                                                                             \
    }

static const struct part_op ops[] = {
    OP(QUEUE_OP_ENQUEUE, 1, "enqueue", enqueue),
    OP(QUEUE_OP_RESULT, 1, "queue_result", result_v1), /* before delay notices; logs hold it for ever */
    OP(QUEUE_OP_RESULT, 2, "queue_result", result),
    OP(QUEUE_OP_FORGET, 1, "queue_forget", forget),
    OP(QUEUE_OP_HOLD, 1, "queue_hold", hold),
    OP(QUEUE_OP_DELETE, 1, "queue_delete", delete),
    OP(QUEUE_OP_STOP, 1, "queue_stop", stop),
};

static const struct part_row rows[] = {
    {.db = PART_DB_QUEUE, .name = "queue", .dump = queue__dump_row},
};

void queue_register(struct partition *p)
{
    partition_register(p, ops, MS_ARRAY_LEN(ops), rows, MS_ARRAY_LEN(rows));
    partition_register_verify(p, queue__verify);
}
