/*
 * imapd_resync.h - SELECT (QRESYNC ...): what a client has missed since it was here. RFC 7162 3.2.5
 */
#ifndef IMAPD_RESYNC_H
#define IMAPD_RESYNC_H

#include "imapd_priv.h"

enum imapd_resync_stage { IMAPD_RESYNC_VANISHED, IMAPD_RESYNC_FIRST, IMAPD_RESYNC_LOG, IMAPD_RESYNC_SCAN };
struct imapd_resync {
    enum imapd_resync_stage stage;
    struct imapd_vanished gone; /* its `asked` is what the client wants to hear of */
    uint64_t since, until;      /* modseqs: of the client, and the one that SELECT names */
    uint64_t at;                /* LOG: read up to here */
    uint32_t scan_from;         /* rows from here on are looked at one by one */
    uint32_t uid;               /* SCAN: next */
};

/* Takes the client's parameters against the map of s->box, which is complete. */
void imapd__resync_begin(struct imapd_session *s, struct imapd_resync *r, uint64_t until);
/* IMAPD_GO: all is told, or *err_out. Else: say it. */
enum imapd_step imapd__resync_step(struct imapd_session *s, struct imapd_resync *r, enum ms_err *err_out);
void imapd__resync_fini(struct imapd_resync *r);
/* The greatest UID of the match data that still has the number it had for the client: it knows of
 * everything that went below. 0: none. Both sets ascend and are of one size. */
uint32_t imapd__resync_match(const struct imapd_seqmap *map, const struct imap_seqset *seqs,
                             const struct imap_seqset *uids);

#endif
