/*
 * chan_priv.h - what the files of this module share.
 */
#ifndef MS_CHAN_PRIV_H
#define MS_CHAN_PRIV_H

#include "ms/base/list.h"
#include "ms/chan.h"

/* -- chan_claim.c */
struct chan_claim {
    struct list node;
    struct queue_id id;
    bool held;
};
/* Any loop. false: somebody else works on this entry. */
bool chan__claim(struct chan_claims *c, struct chan_claim *claim, const struct queue_id *id);
void chan__claim_end(struct chan_claims *c, struct chan_claim *claim); /* nothing when it is not held */

#endif
