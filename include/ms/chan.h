/*
 * chan.h - delivery drivers, and what they share: reports to the sender, the operator's return.
 * Layer 9 (chan).   Uses: what is below it (src/README.md).
 *
 * chan_store_driver delivers to local mailboxes: an entry's recipients become references to the message's one blob, in one
 * record with the queue's result, so that delivery and the end of the queue entry are one transaction (storage rule 3.5). The
 * report about recipients that failed for good, or are late, is enqueued by an op of that same record: a crash makes neither
 * two reports nor none.
 *
 * Threads: the job's loop.   Limits: QUEUE_RECIPIENTS_MAX recipients an entry.
 */
#ifndef MS_CHAN_H
#define MS_CHAN_H

#include "ms/account.h"
#include "ms/channel.h"
#include "ms/route.h"
#include "ms/store.h"

#define CHAN_RETURN_WAIT_MS 10000 /* a return waits so long for a delivery of the entry that is under way */

/* Entries that somebody works on now, all loops: a return and a delivery never do so at the same time. */
struct chan_claims;
struct chan_claims *chan_claims_create(void);
void chan_claims_destroy(struct chan_claims **c);

struct chan_env_loop { /* what deliveries on one loop use */
    struct account_client *accounts;
    struct part_client *queue; /* client of the partition that holds the queue */
    struct route *route;
    /* What a configuration says. app may exchange it on that loop and then raises version: deliveries that begin take the newest,
     * reports under way keep what they began with. */
    const struct conf *conf;
    const char *hostname; /* of this server, in reports; lives in conf */
    bool detail_mailbox;  /* user+detail goes to mailbox "detail" when there is one */
    unsigned version;
};
struct chan_env { /* filled by app; borrowed for as long as jobs and returns run */
    struct chan_env_loop loops[LOOP_WORKERS_MAX + 1]; /* by loop_index; 0 is the control loop */
    const char *partition;                            /* name of the queue's partition */
    struct chan_claims *claims;
};

extern const struct channel_driver chan_store_driver; /* env: struct chan_env */

/* The operator's return: every recipient of an entry that is still pending, held or not, fails with the reason, and the
 * sender gets a report as after any failure (none for a null sender, none where NOTIFY does not want one). One record.
 * reason   copied; "5.x.x text", or text alone (5.0.0 is put in front); empty: "5.0.0 returned by the operator"
 * done     runs once on the loop, later than this call, unless cancelled; then the handle is gone
 *          MS_OK: that many recipients have failed, and whether the sender is told
 *          MS_ENOTFOUND: no such entry, or nobody pending in it   MS_EBUSY: it was being delivered all the time   else: try again */
struct chan_return;
typedef void chan_return_fn(void *owner, enum ms_err err, uint32_t returned, bool reported);
struct chan_return *chan_return_start(const struct chan_env *env, struct loop *loop, const struct queue_id *id,
                                      struct slice reason, chan_return_fn *done, void *owner);
void chan_return_cancel(struct chan_return **r); /* done does not run; what was posted still happens */

#endif
