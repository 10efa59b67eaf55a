/*
 * imapd_seqmap.h - message sequence numbers of one session, as runs of consecutive UIDs.
 * A mailbox without holes is one run of 12 bytes, whatever its size. Sequence numbers are from 1, 0 means
 * none.
 */
#ifndef IMAPD_SEQMAP_H
#define IMAPD_SEQMAP_H

#include "ms/store.h"

struct imapd_run {
    uint32_t uid;   /* first */
    uint32_t count; /* never 0 */
    uint32_t seq;   /* number of the first */
};

struct imapd_seqmap {
    struct imapd_run *runs; /* ascending, never touching */
    uint32_t run_count;
    uint32_t run_cap;
};

void imapd__seqmap_init(struct imapd_seqmap *m);
void imapd__seqmap_fini(struct imapd_seqmap *m);
uint32_t imapd__seqmap_count(const struct imapd_seqmap *m);
uint32_t imapd__seqmap_last_uid(const struct imapd_seqmap *m);
uint32_t imapd__seqmap_uid(const struct imapd_seqmap *m, uint32_t seq);
uint32_t imapd__seqmap_seq(const struct imapd_seqmap *m, uint32_t uid);
/* The messages with UIDs in [first, last]: the first run of them. false: none. */
bool imapd__seqmap_piece(const struct imapd_seqmap *m, uint32_t first, uint32_t last, struct store_run *out);
/* New messages: first is above every UID so far. */
void imapd__seqmap_add(struct imapd_seqmap *m, uint32_t first, uint32_t count);
/* They go, in one pass. runs as in a change record: ascending, disjoint; UIDs that are not in the map are
 * passed over. gone (may be NULL) hears of each piece: `count` messages that follow each other, the first of
 * them numbered seq at the moment when all pieces before it have gone. */
typedef void imapd_gone_fn(void *owner, uint32_t seq, uint32_t count);
void imapd__seqmap_remove(struct imapd_seqmap *m, struct slice runs, imapd_gone_fn *gone, void *owner);

#endif
