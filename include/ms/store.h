/*
 * store.h - mailboxes and messages as ops on a partition, and as rows for sessions to read.
 * Layer 6 (store).   Uses: base, obs, conf, crypt, mime, loop, bus, partition.
 *
 * Writing: a session builds a part_rec with store_op_*, posts it, and reads the result with store_result_*.
 * Reading: store_* read functions take an open part_snap; row slices die with it. A scan is bounded by the caller (rows per
 * call): positions are keys, so it goes on in the next turn with a new snapshot.
 *
 * Rows (keys big-endian, values little-endian, first byte version = 1; byte by byte in src/store/store_rows.c); account and
 * mailbox are 64-bit ids, an account's id comes from the directory, a mailbox's is the position of the record that created
 * it + 8 * op index + 1 (+ its number in the op: account_create makes several); never 0:
 *   account    be64 account                 -> counters, limits, login name
 *   mboxlist   be64 account + name          -> u64 mailbox, u32 uidvalidity, u16 attributes (store_attr), u8 subscribed
 *              name: UTF-8, '/' between levels, "INBOX" in capitals; <= STORE_NAME_MAX. mailbox 0: subscribed, but gone
 *   mailbox    be64 mailbox                 -> account, counters, name, keyword names
 *   message    be64 mailbox + be32 uid      -> 88 bytes + prefix
 *   expunged   be64 mailbox + be32 uid      -> message row as it was (prefix and blob reference included), but for modseq:
 *              that of the expunge. UIDs are never used twice, so this key is as unique as the message's.
 *   change     be64 mailbox + be64 modseq   -> u8 what (store_change_what), u32 time s, runs of UIDs (u32 first, u32 last)*
 *   delivered  16 bytes partition id + 16 bytes queue entry + be32 recipient -> u64 mailbox, u32 uid
 * Flags and keywords are bits; the system flags are those of store_flag, keyword bit n means the n-th name of the mailbox.
 *
 * Modification sequences: one per op per mailbox, assigned in apply. UIDs only grow. UIDVALIDITY: seconds of the batch, made
 * greater than the last one given in the partition (meta "uidvalidity").
 */
#ifndef MS_STORE_H
#define MS_STORE_H

#include "ms/mime.h"
#include "ms/partition.h"

#define STORE_NAME_MAX      480  /* octets of a mailbox name: a key holds it behind 8 bytes */
#define STORE_LEVELS_MAX    32
#define STORE_OWNER_MAX     255
#define STORE_KEYWORDS_MAX  128  /* per mailbox; more: MS_ELIMIT */
#define STORE_KEYWORD_MAX   64   /* octets of one */
#define STORE_PREFIX_MAX    1024 /* Return-Path and Delivered-To of an entry */
#define STORE_TARGETS_MAX   1000 /* of one deliver op */
#define STORE_UIDS_MAX      1000 /* messages one op may touch: 4 rows each stay below PART_ROWS_MAX */
#define STORE_NAMES_MAX     1000 /* names one op may take away: 3 rows each, the account's besides */
#define STORE_RUNS_MAX      512  /* UID runs in one op */
#define STORE_COPY_RUNS_MAX 1048576 /* UID runs of one copy of several steps: MS_ELIMIT */
#define STORE_BEGIN_RUNS_MAX 8192   /* of one copy_begin op */
#define STORE_MAILBOXES_MAX 10000 /* per account */
#define STORE_APPEND_MAX    PART_BODIES_MAX /* messages of one append op: blob, message and digest row each */
#define STORE_UIDVALIDITY_MAX 0xEFFFFFFFu /* that a caller may ask for: leaves room for those that follow */

#define STORE_RECOVERED     UINT64_MAX /* account (owner "recovered") and mailbox ("Recovered") of bodies without an op */

enum store_op_kind {
    STORE_OP_ACCOUNT_CREATE = 16, /* row, INBOX and the special-use folders, all absent ones; idempotent */
    STORE_OP_MAILBOX_CREATE = 17,
    STORE_OP_MAILBOX_DELETE = 18, /* name, visibility, quota at once; its rows go by MAILBOX_PURGE */
    STORE_OP_MAILBOX_RENAME = 19,
    STORE_OP_MAILBOX_ATTR = 20,   /* subscribe, special use */
    STORE_OP_MAILBOX_PURGE = 21,  /* rows of a deleted mailbox, at most STORE_UIDS_MAX a time */
    STORE_OP_DELIVER = 22,
    STORE_OP_APPEND = 23,
    STORE_OP_FLAGS = 24,
    STORE_OP_EXPUNGE = 25,
    STORE_OP_COPY = 26,
    STORE_OP_PURGE = 27,          /* expunged rows and change rows up to a modseq, at most STORE_UIDS_MAX */
    STORE_OP_QUOTA_SET = 28,
    STORE_OP_FORGET_DELIVERED = 29,
    STORE_OP_ACCOUNT_DELETE = 30, /* at most STORE_NAMES_MAX names a time, INBOX too; the last one takes the account row */
    STORE_OP_COPY_BEGIN = 31,
    STORE_OP_COPY_STEP = 32,
};

enum store_flag { /* bits of flags */
    STORE_SEEN = 1, STORE_ANSWERED = 2, STORE_FLAGGED = 4, STORE_DELETED = 8, STORE_DRAFT = 16,
};
#define STORE_FLAGS_ALL 31u
enum store_attr { /* RFC 6154 */
    STORE_ATTR_ALL = 1, STORE_ATTR_ARCHIVE = 2, STORE_ATTR_DRAFTS = 4, STORE_ATTR_FLAGGED = 8, STORE_ATTR_JUNK = 16,
    STORE_ATTR_SENT = 32, STORE_ATTR_TRASH = 64, STORE_ATTR_IMPORTANT = 128,
};

struct store_keywords { uint64_t bits[2]; };

/* 88 bytes on disk */
struct store_message {
    uint64_t mailbox;
    uint32_t uid;
    uint16_t flags;
    uint64_t blob;
    uint64_t size;             /* prefix + blob */
    uint64_t modseq;           /* of the last change */
    uint64_t modseq_created;
    uint64_t internaldate_us;
    int16_t internaldate_zone; /* minutes east, for a faithful INTERNALDATE */
    uint64_t savedate_us;
    uint64_t email_id;         /* blob id at creation: OBJECTID; equal for copies */
    uint64_t thread_id;        /* RFC 8474 THREADID; 0: none given */
    struct store_keywords keywords;
    struct slice prefix;
};

struct store_mailbox {
    uint64_t id;
    uint64_t account;
    uint32_t uidvalidity;
    uint32_t uidnext;
    uint64_t highestmodseq;
    uint32_t exists;
    uint32_t unseen;
    uint32_t deleted;      /* with \Deleted */
    uint64_t bytes;
    uint64_t change_floor; /* changes at or below this modseq are no longer in the change log */
    bool gone;             /* deleted, waiting for its purge */
    bool traced;           /* a salvage has seen its create op: the UIDs that ops name are those it gives */
    uint64_t gone_us;      /* when */
    uint32_t created_s;
    struct slice name;
    struct slice keywords; /* raw; store_keyword_name */
    uint16_t keyword_count;
};

struct store_account {
    uint64_t id;
    uint64_t bytes, messages;
    uint32_t names;                   /* rows in mboxlist; <= STORE_MAILBOXES_MAX */
    uint64_t bytes_max, messages_max; /* as last set; 0 = none; limits in force travel in ops */
    struct slice owner;               /* login name as last seen; for salvage and people */
};

void store_register(struct partition *p); /* op tables, rows, verify, salvage hook */

/* -- building ops. Names are checked by the caller with store_name_check. */
MS_MUST_USE enum ms_err store_name_check(struct slice name);           /* MS_EINVAL, MS_ELIMIT */
/* What a name given by people becomes: NFC, INBOX in capitals; controls and the like of RFC 5198 refused; then as check. */
MS_MUST_USE enum ms_err store_name_canonical(struct slice name, struct str *out);
void store_op_account_create(struct part_rec *rec, uint64_t account, struct slice owner);
/* The account and everything of its is to go: each mailbox as by mailbox_delete, names without one too. Posted again until
 * store_result.uid says 0 (or err MS_ENOTFOUND: it is gone); a crash between two of them leaves an account with fewer names.
 * Nobody may log in or deliver any more: that would make it anew. */
void store_op_account_delete(struct part_rec *rec, uint64_t account);
void store_op_mailbox_create(struct part_rec *rec, uint64_t account, struct slice name, uint16_t attrs);
/* With this UIDVALIDITY (import), at most STORE_UIDVALIDITY_MAX; 0: the next one. Later mailboxes get greater ones. A mailbox of
 * that name which never had a message, INBOX too, is deleted for it, and the new one has its attributes. */
void store_op_mailbox_create_as(struct part_rec *rec, uint64_t account, struct slice name, uint16_t attrs,
                                uint32_t uidvalidity);
void store_op_mailbox_delete(struct part_rec *rec, uint64_t account, struct slice name);
void store_op_mailbox_rename(struct part_rec *rec, uint64_t account, struct slice from, struct slice to);
void store_op_mailbox_attr(struct part_rec *rec, uint64_t account, struct slice name, bool set_attrs, uint16_t attrs,
                           bool set_subscribed, bool subscribed);
void store_op_mailbox_purge(struct part_rec *rec, uint64_t mailbox);

struct store_target {
    uint64_t account;
    uint64_t mailbox;
    struct slice owner, name;  /* hint (rule 4.4): login and mailbox name */
    uint16_t flags;
    struct slice prefix;       /* "Return-Path: <..>\r\n" [+ "Delivered-To: ..\r\n"] */
    uint64_t bytes_max, messages_max; /* limits in force; 0 = none */
    uint32_t recipient;        /* queue recipient number, for the delivered row */
};
struct store_delivery {
    uint64_t internaldate_us;
    int16_t zone;
    const uint8_t *queue_partition; /* 16 bytes, or NULL: delivery inside the queue's partition or by LMTP: no row */
    const uint8_t *queue_entry;     /* 16 bytes */
};
/* body: either body != NULL (new message) or blob id. MS_EINVAL: more than STORE_TARGETS_MAX. */
MS_MUST_USE enum ms_err store_op_deliver(struct part_rec *rec, struct part_body *body, uint64_t blob,
                                         const struct store_delivery *d, const struct store_target *targets, size_t n);
struct store_append {
    uint64_t account, mailbox;
    struct slice owner, name;
    uint16_t flags;
    const struct slice *keywords; /* names */
    size_t keyword_count;
    uint64_t internaldate_us;
    int16_t zone;
    uint64_t bytes_max, messages_max;
};
void store_op_append(struct part_rec *rec, struct part_body *body, uint64_t blob, const struct store_append *a);
/* Several messages into one mailbox, all or none (RFC 3502): one modseq, and one check of the limits for the sum. */
struct store_place {
    uint64_t account, mailbox;
    struct slice owner, name;         /* hint (rule 4.4) */
    uint64_t bytes_max, messages_max; /* limits in force; 0 = none */
};
struct store_incoming {
    struct part_body *body; /* or NULL and the id of a blob */
    uint64_t blob;
    uint16_t flags;
    const struct slice *keywords; /* names */
    size_t keyword_count;
    uint64_t internaldate_us;
    int16_t zone;
    uint64_t savedate_us; /* 0: the time of the op */
    uint32_t uid;         /* 0: the next one; else at least the mailbox's next: MS_EINVAL for all when it is not */
};
/* n: 1 to STORE_APPEND_MAX (asserted). */
void store_op_append_all(struct part_rec *rec, const struct store_place *to, const struct store_incoming *messages, size_t n);

/* UIDs, both included, from 1; the runs of an op are ascending and disjoint, at most STORE_RUNS_MAX (asserted). */
struct store_run { uint32_t first, last; };
enum store_flags_how { STORE_FLAGS_SET, STORE_FLAGS_ADD, STORE_FLAGS_REMOVE };
/* unchangedsince: 0 = no condition; else messages with a greater modseq are left alone and reported (RFC 7162 3.1.3). The
 * runs must hold at most STORE_UIDS_MAX existing messages: the session splits with store_split. */
void store_op_flags(struct part_rec *rec, uint64_t mailbox, enum store_flags_how how, uint16_t flags,
                    const struct slice *keywords, size_t keyword_count, uint64_t unchangedsince,
                    const struct store_run *runs, size_t n);
/* Only messages with \Deleted unless `any`. relief op: sets rec->relief. */
void store_op_expunge(struct part_rec *rec, uint64_t mailbox, bool any, const struct store_run *runs, size_t n);
void store_op_copy(struct part_rec *rec, uint64_t from_mailbox, uint64_t to_mailbox, uint64_t to_account, bool move,
                   uint64_t bytes_max, uint64_t messages_max, const struct store_run *runs, size_t n);
/* A COPY or MOVE of more than STORE_UIDS_MAX messages or STORE_RUNS_MAX runs (storage rule 2.4): its runs go into the index as a
 * plan, by one copy_begin op or several, of at most STORE_BEGIN_RUNS_MAX runs each; the first one checks the limits for whole_*,
 * the last one makes it complete. Then each copy_step copies the next messages, while store_result.more. plan: 0 in the record
 * that holds the first op, then the position of its reply. A plan that is complete is carried out: the janitor finishes one that
 * nobody works at any more; a step then says MS_EGONE. A step with 0 messages gives it up.
 * store_op_copy_part, with `first` and `left`, is how that was done before: for tests and for rows of that time. */
struct store_copy {
    uint64_t from_mailbox, to_mailbox, to_account;
    bool move;
    uint64_t bytes_max, messages_max;
    uint64_t whole_bytes;    /* of all parts together; 0 = this op is all */
    uint32_t whole_messages;
    uint64_t first;          /* part_reply.position of the first part; 0 in the first (or only) one */
    const struct store_run *runs, *left;
    size_t run_count, left_count;
};
void store_op_copy_part(struct part_rec *rec, const struct store_copy *c);
void store_op_copy_begin(struct part_rec *rec, uint64_t plan, const struct store_copy *c, bool first, bool last);
void store_op_copy_step(struct part_rec *rec, uint64_t plan, size_t messages);
void store_op_purge(struct part_rec *rec, uint64_t mailbox, uint64_t modseq);
void store_op_quota_set(struct part_rec *rec, uint64_t account, uint64_t bytes_max, uint64_t messages_max);
void store_op_forget(struct part_rec *rec, const uint8_t partition_id[16], const uint8_t entry[16], uint32_t recipient);

/* -- results: each op appends its own form to part_reply.result, in op order. */
struct store_result {
    enum ms_err err;
    uint64_t mailbox;      /* create, deliver, append; account_create: INBOX */
    uint32_t uidvalidity;  /* create, deliver, append, copy: of the mailbox written to */
    uint32_t uid;          /* append, deliver: the (first) UID; copy: first of the new ones, which follow each other;
                            * account_delete: names that are left */
    uint32_t count;        /* messages changed, appended, expunged, copied; rows purged; names taken away */
    uint64_t modseq;       /* of the mailbox written to; 0: nothing changed */
    bool more;             /* copy_step: the plan has more to do */
    struct slice runs;     /* append: UIDs given; copy, expunge: source UIDs; flags: UIDs not changed (unchangedsince).
                            * store_run_at */
};
/* Reads the next one; deliver gives one per target, every other op one. MS_EDAMAGED at the end or on nonsense.
 * err: MS_ENOTFOUND account, mailbox or name is not there (any more); MS_EEXIST; MS_EQUOTA; MS_ELIMIT a named maximum of
 * this header; MS_EGONE the existing blob is gone: post again with bytes; MS_EUNSUPPORTED rename of an INBOX with messages;
 * MS_EINVAL what the caller should not have posted. */
MS_MUST_USE enum ms_err store_result_next(struct rd *r, struct store_result *out);

/* -- reading ---------------------------------------------------------------------------------------------------- */
MS_MUST_USE enum ms_err store_account_find(struct part_snap *snap, uint64_t account, struct store_account *out);
MS_MUST_USE enum ms_err store_mailbox_find(struct part_snap *snap, uint64_t account, struct slice name, uint64_t *id_out);
MS_MUST_USE enum ms_err store_mailbox_get(struct part_snap *snap, uint64_t mailbox, struct store_mailbox *out);
struct store_list_entry {
    struct slice name;
    uint64_t mailbox;
    uint32_t uidvalidity;
    uint16_t attrs;
    bool subscribed;
};
/* Mailboxes of an account in key order, starting behind `after` (empty: the first). MS_ENOTFOUND: no more. */
MS_MUST_USE enum ms_err store_list_next(struct part_snap *snap, uint64_t account, struct slice after,
                                        struct store_list_entry *out);
/* The same for subscribed names; mailbox 0 when there is no such mailbox (RFC 9051 6.3.9.7: the name stays subscribed). */
MS_MUST_USE enum ms_err store_subscribed_next(struct part_snap *snap, uint64_t account, struct slice after,
                                              struct store_list_entry *out);
/* All names of an account in the order of their bytes, those that are only subscribed (mailbox 0) too; opened and closed
 * inside one snapshot. Seek: the first name that is not below `from` (at most STORE_NAME_MAX octets). MS_ENOTFOUND: none. */
struct store_names;
MS_MUST_USE enum ms_err store_names_open(struct part_snap *snap, uint64_t account, struct store_names **out);
void store_names_close(struct store_names **n);
MS_MUST_USE enum ms_err store_names_seek(struct store_names *n, struct slice from, struct store_list_entry *out);
MS_MUST_USE enum ms_err store_names_next(struct store_names *n, struct store_list_entry *out);
struct slice store_keyword_name(const struct store_mailbox *m, unsigned bit); /* empty when unused */
int store_keyword_find(const struct store_mailbox *m, struct slice name);    /* case-insensitive; -1 */

MS_MUST_USE enum ms_err store_message_find(struct part_snap *snap, uint64_t mailbox, uint32_t uid, struct store_message *out);
/* Cursor over messages of a mailbox by UID; opened and closed inside one snapshot. */
struct store_cursor;
MS_MUST_USE enum ms_err store_cursor_open(struct part_snap *snap, uint64_t mailbox, struct store_cursor **out);
void store_cursor_close(struct store_cursor **c);
MS_MUST_USE enum ms_err store_cursor_seek(struct store_cursor *c, uint32_t uid, struct store_message *out); /* uid or next */
MS_MUST_USE enum ms_err store_cursor_next(struct store_cursor *c, struct store_message *out);
/* UIDs alone, from `from` up to but not `below`, as runs: at most `rows` rows are looked at and out_max runs written. *next_out
 * is where to go on; below: that was all. */
MS_MUST_USE enum ms_err store_cursor_uids(struct store_cursor *c, uint32_t from, uint32_t below, size_t rows,
                                          struct store_run *out, size_t out_max, size_t *count_out, uint32_t *next_out);
MS_MUST_USE enum ms_err store_message_parse(struct slice key, struct slice row, struct store_message *out);
/* An expunged message, still readable by sessions that have not seen it go (rule 6.2). */
MS_MUST_USE enum ms_err store_expunged_find(struct part_snap *snap, uint64_t mailbox, uint32_t uid, struct store_message *out);

/* The change log behind `since`, in modseq order: runs of UIDs whose flags changed or that vanished. New messages are not
 * in it: they are those with uid >= the uidnext the session knew. MS_ELIMIT: since is below the floor: compare everything. */
enum store_change_what {
    STORE_CHANGE_FLAGS = 1,
    STORE_CHANGE_VANISHED = 2,
    STORE_CHANGE_GONE = 3, /* the mailbox was deleted: no runs, always the last */
};
struct store_change {
    uint64_t modseq;
    enum store_change_what what;
    struct slice runs; /* u32 first, u32 last */
};
MS_MUST_USE enum ms_err store_change_next(struct part_snap *snap, uint64_t mailbox, uint64_t since, struct store_change *out);
struct store_run store_run_at(struct slice runs, size_t i); /* i < runs.len / 8 */

/* Splits runs (ascending) into pieces that hold at most max existing messages: fills out[] from *cursor (first 0) on;
 * 0 = finished. */
size_t store_split(struct part_snap *snap, uint64_t mailbox, const struct store_run *runs, size_t n, uint64_t *cursor,
                   size_t max, struct store_run *out, size_t out_max);

/* Control thread, from a timer: posts purges of expunged rows older than the window and of deleted mailboxes; first of all
 * what is left of unfinished copies: created before sessions may post, so that those are of the last run. c is the client
 * of loop. */
struct store_janitor;
struct store_janitor *store_janitor_create(struct part_client *c, struct loop *loop, uint64_t keep_ms,
                                           uint64_t interval_ms);
void store_janitor_set(struct store_janitor *j, uint64_t keep_ms, uint64_t interval_ms); /* from now on; its loop */
void store_janitor_destroy(struct store_janitor **j);

#endif
