/*
 * store_priv.h - what the files of store share: row sizes and forms, parsed ops, the tools of apply
 * functions. Layouts are described in store_rows.c and store_ops.c.
 */
#ifndef MS_STORE_PRIV_H
#define MS_STORE_PRIV_H

#include "ms/store.h"

#define STORE__VERSION       1 /* of every row and every op */
#define STORE__ACCOUNT_ROW   40
#define STORE__LIST_ROW      16
#define STORE__MAILBOX_ROW   72
#define STORE__MESSAGE_ROW   88
#define STORE__CHANGE_ROW    8
#define STORE__DELIVERED_ROW 16
#define STORE__COPY_ROW      36

#define STORE__KEYWORDS_BYTES  (STORE_KEYWORDS_MAX * (1 + STORE_KEYWORD_MAX))
#define STORE__ACCOUNT_ROW_MAX (STORE__ACCOUNT_ROW + STORE_OWNER_MAX)
#define STORE__MAILBOX_ROW_MAX (STORE__MAILBOX_ROW + STORE_NAME_MAX + STORE__KEYWORDS_BYTES)
#define STORE__MESSAGE_ROW_MAX (STORE__MESSAGE_ROW + STORE_PREFIX_MAX)
#define STORE__CHANGE_ROW_MAX  (STORE__CHANGE_ROW + 8 * STORE_UIDS_MAX)
#define STORE__COPY_ROW_MAX    (STORE__COPY_ROW + 8 * STORE_RUNS_MAX)
#define STORE__LIST_KEY_MAX    (8 + STORE_NAME_MAX)
#define STORE__DELIVERED_KEY   36
#define STORE__COPY_KEY        21 /* "copy " and 16 hex digits, in PART_DB_META */
#define STORE__PLAN_KEY        21 /* "plan " and 16 hex digits, in PART_DB_META */
#define STORE__CHUNK_KEY       30 /* the same, a blank and 8 hex digits */
#define STORE__PLAN_ROW        44
#define STORE__CHUNK_ROW       4
#define STORE__CHUNK_BYTES     ((size_t)8 * STORE_RUNS_MAX)
#define STORE__CHUNK_ROW_MAX   (STORE__CHUNK_ROW + STORE__CHUNK_BYTES)
#define STORE__CHUNKS_MAX      2048 /* of a plan: STORE_COPY_RUNS_MAX runs */
#define STORE__CHUNKS_STEP     16   /* that one step may use up: what was expunged meanwhile costs a look too */
#define STORE__FOLDERS_MAX     7  /* mailboxes one account_create op may make: ids of an op are 8 apart */
#define STORE__RESULT_BYTES    35 /* without runs */

_Static_assert(STORE__CHUNKS_MAX * STORE_RUNS_MAX == STORE_COPY_RUNS_MAX, "a plan");
_Static_assert(STORE__LIST_KEY_MAX <= DB_KEY_MAX, "a mailbox name fits a key");

/* -- rows */
struct store__delivered {
    uint64_t mailbox;
    uint32_t uid;
};
struct store__list_row {
    uint64_t mailbox;
    uint32_t uidvalidity;
    uint16_t attrs;
    bool subscribed;
};
struct store__change_row {
    enum store_change_what what;
    uint32_t time_s;
    struct slice runs;
};
struct store__copy_row { /* an unfinished COPY */
    uint64_t from_mailbox, to_mailbox, to_account;
    bool move;
    struct slice left;
};

struct store__plan_row { /* a COPY of several steps */
    uint64_t from_mailbox, to_mailbox, to_account;
    uint32_t begin, end; /* chunks there are */
    uint32_t time_s;     /* of the last op that changed it */
    bool move, is_complete;
};

/* Keys: written into the buffer given, returned as a slice of it. */
struct slice store__key_u64(uint8_t out[8], uint64_t id);
struct slice store__key_message(uint8_t out[12], uint64_t mailbox, uint32_t uid);
struct slice store__key_change(uint8_t out[16], uint64_t mailbox, uint64_t modseq);
struct slice store__key_list(uint8_t out[STORE__LIST_KEY_MAX], uint64_t account, struct slice name);
struct slice store__key_delivered(uint8_t out[STORE__DELIVERED_KEY], const uint8_t partition_id[16],
                                  const uint8_t entry[16], uint32_t recipient);
struct slice store__key_copy(uint8_t out[STORE__COPY_KEY], uint64_t first);
struct slice store__key_plan(uint8_t out[STORE__PLAN_KEY], uint64_t plan);
struct slice store__key_chunk(uint8_t out[STORE__CHUNK_KEY], uint64_t plan, uint32_t number);

/* Emitters return the length; parsers give MS_EDAMAGED or MS_EVERSION, slices point into the row. */
size_t store__account_emit(const struct store_account *a, uint8_t *out);
size_t store__list_emit(const struct store__list_row *l, uint8_t *out);
size_t store__mailbox_emit(const struct store_mailbox *m, uint8_t *out);
void store__mailbox_emit_fixed(const struct store_mailbox *m,
                               uint8_t *out); /* the first STORE__MAILBOX_ROW bytes */
size_t store__message_emit(const struct store_message *m, uint8_t *out);
void store__message_emit_fixed(const struct store_message *m, uint8_t *out);
size_t store__delivered_emit(const struct store__delivered *d, uint8_t *out);
size_t store__change_emit(const struct store__change_row *c, uint8_t *out);
size_t store__copy_emit(const struct store__copy_row *c, uint8_t *out);
size_t store__plan_emit(const struct store__plan_row *row, uint8_t *out);
size_t store__chunk_emit(struct slice runs, uint8_t *out);
MS_MUST_USE enum ms_err store__account_parse(uint64_t id, struct slice row, struct store_account *out);
MS_MUST_USE enum ms_err store__list_parse(struct slice row, struct store__list_row *out);
MS_MUST_USE enum ms_err store__mailbox_parse(uint64_t id, struct slice row, struct store_mailbox *out);
MS_MUST_USE enum ms_err store__delivered_parse(struct slice row, struct store__delivered *out);
MS_MUST_USE enum ms_err store__change_parse(struct slice row, struct store__change_row *out);
MS_MUST_USE enum ms_err store__copy_parse(struct slice row, struct store__copy_row *out);
MS_MUST_USE enum ms_err store__plan_parse(struct slice row, struct store__plan_row *out);
MS_MUST_USE enum ms_err store__chunk_parse(struct slice row, struct slice *runs_out);
/* Are these runs (u32 first, u32 last)* ascending, disjoint and without UID 0? */
bool store__runs_are_good(struct slice runs);

/* -- ops */
struct store__op_name { /* create, delete, rename, attr */
    uint64_t account;
    uint16_t attrs;
    uint8_t mask; /* attr: 1 attributes, 2 subscribed */
    bool subscribed;
    uint32_t uidvalidity; /* create, version 2: wanted */
    struct slice name, to;
};
struct store__op_account {
    uint64_t account;
    struct slice owner;
    unsigned folder_count;
    struct slice folders; /* u16 attributes, u8 subscribed, u16 length + name */
};
struct store__op_deliver {
    struct part_blob_source source;
    struct store_delivery d;
    unsigned target_count;
    struct slice targets; /* raw: store__target_parse */
};
struct store__append_item {
    struct part_blob_source source;
    struct store_incoming m; /* keywords NULL: */
    struct slice keywords;   /* u16 length + bytes, keyword_count of them */
    uint64_t size;           /* found by apply */
    struct store_keywords bits;
};
struct store__op_append {
    struct store_place to;
    unsigned count;
    struct store__append_item item[STORE_APPEND_MAX]; /* those behind count are not set */
};
struct store__op_flags {
    uint64_t mailbox;
    enum store_flags_how how;
    uint16_t flags;
    uint64_t unchangedsince;
    unsigned keyword_count;
    struct slice keywords;
    struct slice runs;
};
struct store__op_expunge {
    uint64_t mailbox;
    bool any;
    struct slice runs;
};
struct store__op_copy {
    struct store_copy c; /* pointers NULL: */
    struct slice runs, left;
};
struct store__op_begin {
    uint64_t plan; /* 0: of this record */
    bool is_first, is_last;
    struct store_copy c; /* pointers NULL: */
    struct slice runs;
};
struct store__op_step {
    uint64_t plan;     /* 0: of this record */
    uint16_t messages; /* 0: give it up */
};
struct store__op_purge {
    uint64_t mailbox;
    uint64_t modseq;
};
struct store__op_quota {
    uint64_t account;
    uint64_t bytes_max, messages_max;
};

/* All give MS_EINVAL on nonsense: an op is refused, never "damaged", for its record had a good checksum. */
MS_MUST_USE enum ms_err store__op_account_parse(struct slice op, struct store__op_account *out);
MS_MUST_USE enum ms_err store__op_name_parse(uint16_t kind, struct slice op, struct store__op_name *out);
MS_MUST_USE enum ms_err store__op_deliver_parse(struct slice op, struct store__op_deliver *out);
MS_MUST_USE enum ms_err store__target_parse(struct rd *r, struct store_target *out);
MS_MUST_USE enum ms_err store__op_create_2_parse(struct slice op, struct store__op_name *out);
MS_MUST_USE enum ms_err store__op_append_parse(struct slice op, struct store__op_append *out);
MS_MUST_USE enum ms_err store__op_append_2_parse(struct slice op, struct store__op_append *out);
MS_MUST_USE enum ms_err store__op_flags_parse(struct slice op, struct store__op_flags *out);
MS_MUST_USE enum ms_err store__op_expunge_parse(struct slice op, struct store__op_expunge *out);
MS_MUST_USE enum ms_err store__op_copy_parse(struct slice op, struct store__op_copy *out);
MS_MUST_USE enum ms_err store__op_begin_parse(struct slice op, struct store__op_begin *out);
MS_MUST_USE enum ms_err store__op_step_parse(struct slice op, struct store__op_step *out);
MS_MUST_USE enum ms_err store__op_purge_parse(struct slice op, struct store__op_purge *out);
MS_MUST_USE enum ms_err store__op_quota_parse(struct slice op, struct store__op_quota *out);

enum ms_err store__apply_account_create(struct part_tx *tx, struct slice op);
enum ms_err store__apply_account_delete(struct part_tx *tx, struct slice op);
enum ms_err store__apply_mailbox_create(struct part_tx *tx, struct slice op);
enum ms_err store__apply_mailbox_create_2(struct part_tx *tx, struct slice op);
enum ms_err store__apply_mailbox_delete(struct part_tx *tx, struct slice op);
enum ms_err store__apply_mailbox_rename(struct part_tx *tx, struct slice op);
enum ms_err store__apply_mailbox_rename_2(struct part_tx *tx, struct slice op);
enum ms_err store__apply_mailbox_attr(struct part_tx *tx, struct slice op);
enum ms_err store__apply_mailbox_purge(struct part_tx *tx, struct slice op);
enum ms_err store__apply_deliver(struct part_tx *tx, struct slice op);
enum ms_err store__apply_append(struct part_tx *tx, struct slice op);
enum ms_err store__apply_append_2(struct part_tx *tx, struct slice op);
enum ms_err store__apply_flags(struct part_tx *tx, struct slice op);
enum ms_err store__apply_expunge(struct part_tx *tx, struct slice op);
enum ms_err store__apply_copy(struct part_tx *tx, struct slice op);
enum ms_err store__apply_copy_begin(struct part_tx *tx, struct slice op);
enum ms_err store__apply_copy_step(struct part_tx *tx, struct slice op);
enum ms_err store__apply_purge(struct part_tx *tx, struct slice op);
enum ms_err store__apply_quota_set(struct part_tx *tx, struct slice op);
enum ms_err store__apply_forget(struct part_tx *tx, struct slice op);

/* -- results */
void store__result_emit(struct part_tx *tx, const struct store_result *res);
/* Ends an apply function: a refusal becomes the result and MS_OK; resource trouble is returned as it is. */
enum ms_err store__finish(struct part_tx *tx, enum ms_err err, struct store_result *res);
bool store__is_refusal(enum ms_err err);

/* -- tools of apply (store_apply.c) */
struct store__mbox { /* a mailbox row in memory; m's slices point into row */
    struct store_mailbox m;
    size_t len;
    uint8_t row[STORE__MAILBOX_ROW_MAX];
};
struct store__acct {
    struct store_account a;
    size_t len;
    uint8_t row[STORE__ACCOUNT_ROW_MAX];
};
MS_MUST_USE enum ms_err store__mbox_load(struct part_tx *tx, uint64_t mailbox, struct store__mbox *out);
/* As load, for ops that name UIDs: MS_ENOTFOUND for a deleted mailbox, and in a salvage for one whose UIDs
 * are not sure. */
MS_MUST_USE enum ms_err store__mbox_load_uids(struct part_tx *tx, uint64_t mailbox, struct store__mbox *out);
MS_MUST_USE enum ms_err store__mbox_save(struct part_tx *tx, struct store__mbox *mb);
MS_MUST_USE enum ms_err store__acct_load(struct part_tx *tx, uint64_t account, struct store__acct *out);
MS_MUST_USE enum ms_err store__acct_save(struct part_tx *tx, struct store__acct *acct);
void store__acct_set_owner(struct store__acct *acct, struct slice owner);
/* Takes messages and bytes off an account; a salvage may know of fewer than it takes. */
void store__acct_give_back(struct store__acct *acct, uint64_t messages, uint64_t bytes);
/* Bit of a keyword in mb, added (in memory) when it is new: MS_ELIMIT when the mailbox is full of them. */
MS_MUST_USE enum ms_err store__mbox_keyword(struct store__mbox *mb, struct slice name, bool add,
                                            int *bit_out);
MS_MUST_USE enum ms_err store__mbox_keywords(struct store__mbox *mb, struct slice names, unsigned count,
                                             bool add, struct store_keywords *bits_out);
/* Account and mailbox of a message that is to come in, in a salvage made from the hint; MS_ENOTFOUND when they do not fit each
 * other, MS_ELIMIT when the mailbox has no UID left. */
MS_MUST_USE enum ms_err store__place_find(struct part_tx *tx, const struct store_place *to, struct store__acct *acct,
                                          struct store__mbox *mb);
/* Adds m to mb under the next UID with this modseq, saved now unless m says when (counters in memory, message row written). */
MS_MUST_USE enum ms_err store__mbox_add(struct part_tx *tx, struct store__mbox *mb, struct store_message *m,
                                        uint64_t modseq);
/* The row of a message that is there. near: the cursor stands on a lower one, likely the one before. */
MS_MUST_USE enum ms_err store__cur_to(struct db_cur *cur, uint64_t mailbox, uint32_t uid, bool near,
                                      struct slice *key_out, struct slice *row_out);
/* Cursors of an op that works on many messages: rows that follow each other are not looked for from the top. */
struct store__rows {
    struct db_cur *source, *target; /* of messages */
    struct db_cur *expunged;
    bool near; /* the source stands on a message, likely the one before the next that is asked for */
};
MS_MUST_USE enum ms_err store__rows_open(struct part_tx *tx, struct store__rows *out); /* close it in any case */
void store__rows_close(struct store__rows *rows);
/* The source stands on the message, which is there; *out is a copy of its row in copy. */
MS_MUST_USE enum ms_err store__rows_read(struct store__rows *rows, struct slice key,
                                         uint8_t copy[STORE__MESSAGE_ROW_MAX], struct slice *out);
/* As store__mbox_add, through a cursor. */
MS_MUST_USE enum ms_err store__mbox_put(struct part_tx *tx, struct db_cur *target, struct store__mbox *mb,
                                        struct store_message *m, uint64_t modseq);
/* Message row -> expunged row; counters of mb in memory. The source stands on m. */
MS_MUST_USE enum ms_err store__mbox_remove(struct store__rows *rows, struct store__mbox *mb,
                                           const struct store_message *m, uint64_t modseq);
/* Writes the change row of mb at its highest modseq. uids ascend. */
MS_MUST_USE enum ms_err store__change_add(struct part_tx *tx, const struct store__mbox *mb,
                                          enum store_change_what what, const uint32_t *uids, size_t count);
/* MS_EQUOTA when account + these passes a limit (0 = none); a salvage never refuses. */
MS_MUST_USE enum ms_err store__quota_check(struct part_tx *tx, const struct store_account *a, uint64_t bytes,
                                           uint64_t messages, uint64_t bytes_max, uint64_t messages_max);
/* Next UIDVALIDITY of the partition, or the one wanted (not 0); the greatest ever given is in its meta row. */
MS_MUST_USE enum ms_err store__uidvalidity_next(struct part_tx *tx, uint32_t wanted, uint32_t *out);
/* Makes mailbox and name rows; the account's count of names grows in memory. The name is free, or subscribed
 * only: then old is its row. */
struct store__new_mailbox {
    uint64_t id;
    struct slice name;
    uint16_t attrs;
    bool subscribed;
    bool traced;
    bool name_is_there;   /* a row of the name exists and is replaced */
    uint32_t uidvalidity; /* wanted; 0: the next one */
};
MS_MUST_USE enum ms_err store__mailbox_make(struct part_tx *tx, struct store__acct *acct,
                                            const struct store__new_mailbox *n, uint32_t *uidvalidity_out);
/* A mailbox from now on deleted: told to sessions, off the account's usage (in memory). Its name is the caller's. */
MS_MUST_USE enum ms_err store__mailbox_gone(struct part_tx *tx, struct store__acct *acct, uint64_t mailbox,
                                            struct store_result *res);
/* MS_EEXIST: there is a mailbox. Else *there tells whether the name has a row (subscribed); without one it is zero. */
MS_MUST_USE enum ms_err store__name_is_free(struct part_tx *tx, uint64_t account, struct slice name,
                                            struct store__list_row *row, bool *there);
/* A new mailbox under a name that is free; the account is saved. */
MS_MUST_USE enum ms_err store__make_named(struct part_tx *tx, struct store__acct *acct, struct slice name,
                                          uint16_t attrs, uint32_t uidvalidity, struct store_result *res);
uint64_t store__new_id(const struct part_tx *tx, unsigned number);
MS_MUST_USE enum ms_err store__list_get(struct part_tx *tx, uint64_t account, struct slice name,
                                        struct store__list_row *out);
MS_MUST_USE enum ms_err store__list_put(struct part_tx *tx, uint64_t account, struct slice name,
                                        const struct store__list_row *row);

/* UIDs of existing messages in runs that `take` wants (NULL: all). MS_ELIMIT: more than STORE_UIDS_MAX
 * messages exist there. */
struct store__uids {
    size_t count;
    uint32_t uid[STORE_UIDS_MAX];
};
typedef bool store__take_fn(void *owner, const struct store_message *m);
MS_MUST_USE enum ms_err store__pick(struct part_tx *tx, uint64_t mailbox, struct slice runs,
                                    store__take_fn *take, void *owner, struct store__uids *out);
/* (u32 first, u32 last)* of ascending uids; returns the bytes, at most 8 * count. */
size_t store__runs_of(const uint32_t *uids, size_t count, uint8_t *out);

/* -- copying: load, check the room, put UIDs in, run */
struct store__copying {
    struct store_copy c; /* pointers NULL */
    struct store__mbox from_row, to_row;
    struct store__mbox *from, *to; /* within a mailbox both are the same */
    struct store__acct from_acct_row, to_acct_row;
    struct store__acct *from_acct, *to_acct;
    struct store__uids uids;
    uint64_t bytes;             /* of the messages taken */
    struct store_keywords used; /* that any of them has */
    bool same_bits;
    int8_t bit[STORE_KEYWORDS_MAX]; /* keyword bit of the source -> of the target */
    uint64_t from_modseq, to_modseq;
};
MS_MUST_USE enum ms_err store__copy_load(struct part_tx *tx, struct store__copying *cp);
store__take_fn store__copy_take; /* owner: the copying */
MS_MUST_USE enum ms_err store__copy_room(struct part_tx *tx, const struct store__copying *cp, uint64_t bytes,
                                         uint64_t messages);
MS_MUST_USE enum ms_err store__copy_run(struct part_tx *tx, struct store__copying *cp, struct store_result *res);
enum ms_err store__copy_finish(struct part_tx *tx, const struct store__copying *cp, enum ms_err err,
                               struct store_result *res);

/* -- salvage, verify, dump */
MS_MUST_USE enum ms_err store__salvage_parents(struct part_tx *tx, uint64_t account, struct slice owner,
                                               uint64_t mailbox, struct slice name);
enum ms_err store__salvage_orphan(struct part_tx *tx, uint64_t stream, const struct part_blob_source *src);
enum ms_err store__verify(struct part_snap *snap, void (*ref)(void *, uint64_t), void *ref_owner,
                          void (*problem)(void *, const char *), void *owner);
part_dump_fn store__dump_account_create, store__dump_mailbox_create, store__dump_mailbox_delete,
    store__dump_mailbox_rename, store__dump_mailbox_attr, store__dump_mailbox_purge, store__dump_deliver,
    store__dump_append, store__dump_append_2, store__dump_mailbox_create_2, store__dump_mailbox_rename_2, store__dump_flags, store__dump_expunge, store__dump_copy, store__dump_copy_begin,
    store__dump_copy_step, store__dump_purge,
    store__dump_quota_set, store__dump_forget, store__dump_account_delete;
part_row_dump_fn store__dump_row_account, store__dump_row_list, store__dump_row_mailbox,
    store__dump_row_message, store__dump_row_change, store__dump_row_expunged, store__dump_row_delivered;

#endif
