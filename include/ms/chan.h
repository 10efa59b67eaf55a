/*
 * chan.h - delivery drivers.
 * Layer 9 (chan).   Uses: what is below it (src/README.md).
 *
 * chan_store_driver delivers to local mailboxes: an entry's recipients become references to the message's one blob, in one
 * record with the queue's result, so that delivery and the end of the queue entry are one transaction (storage rule 3.5).
 *
 * Threads: the job's loop.   Limits: QUEUE_RECIPIENTS_MAX recipients an entry.
 */
#ifndef MS_CHAN_H
#define MS_CHAN_H

#include "ms/account.h"
#include "ms/channel.h"
#include "ms/store.h"

struct chan_store_loop { /* one per loop index, filled by app */
    struct account_client *accounts;
    struct part_client *queue; /* client of the partition that holds the queue */
};
struct chan_store_env {
    struct chan_store_loop loops[LOOP_WORKERS_MAX + 1]; /* by loop_index */
    const char *partition;                              /* name of the queue's partition */
};

extern const struct channel_driver chan_store_driver; /* env: struct chan_store_env */

#endif
