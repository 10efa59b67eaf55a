/*
 * imapd_list.h - LIST and LSUB: which names are shown (imapd_list.c) and how (imapd_cmd_list.c).
 */
#ifndef IMAPD_LIST_H
#define IMAPD_LIST_H

#include "imapd_priv.h"

struct imapd_list { /* one command, over all its slices */
    unsigned opts;  /* IMAP_LIST_* */
    unsigned status_items;
    bool lsub;
    uint32_t pattern_count;
    struct imap_pattern **patterns;
    struct slice prefix;                /* every name that can match begins with it */
    uint8_t last_bytes[STORE_NAME_MAX]; /* the name before */
    size_t last_len;
    struct imapd_recent_count recent; /* of the name that comes now */
};

struct imapd_list_name { /* one that is shown */
    const struct store_list_entry *entry;
    bool meets;     /* the selection; else only what is below it does */
    bool childinfo; /* RFC 5258 3.5 */
    bool children;  /* known when one of the two below says so */
    bool wants_children;
    struct store_mailbox *status; /* NULL: no STATUS response */
};

struct imapd_look { /* one slice */
    struct imapd_session *s;
    struct imapd_list *l;
    struct part_snap *snap;
    struct store_names *probe;
};

/* The levels above e->name that are no rows, then itself. *step_out other than IMAPD_GO: the same again in the next
 * slice. */
MS_MUST_USE enum ms_err imapd__list_entry(struct imapd_look *k, const struct store_list_entry *e,
                                          enum imapd_step *step_out);
void imapd__list_emit(struct imapd_look *k, const struct imapd_list_name *n);

#endif
