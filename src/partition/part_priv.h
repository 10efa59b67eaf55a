/* part_priv.h - shared inside partition. */
#ifndef MS_PART_PRIV_H
#define MS_PART_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "ms/base/map.h"
#include "ms/obs.h"
#include "ms/partition.h"

#define PART_ROW_VERSION      1
#define PART_OP_VERSIONS_MAX  8
#define PART_REC_HEADER_BYTES 8
#define PART_OP_HEADER_BYTES  8
#define PART_NEW_BLOBS_MAX    PART_BODIES_MAX /* of one record */
#define PART_COMMIT_PAGES     4096 /* estimate at which a commit is split */
#define PART_COMMIT_RECORDS   8192
#define PART_TARGETS_MAX      (PART_LOOPS_MAX + PART_PORTS_MAX)
#define PART_VERIFIERS_MAX    4
#define PART_PATH_MAX         4096

/* -- record form (part_record.c) ------------------------------------------------------------------ */
struct part__record {
    uint32_t meta_bytes;
    uint16_t op_count;
    struct rd ops;
};
struct part__op_view {
    uint16_t kind;
    uint16_t version;
    struct slice payload;
};
/* meta: the first piece; payload_bytes: of the whole record. MS_EDAMAGED. */
enum ms_err part__record_parse(struct slice meta, size_t payload_bytes, struct part__record *out);
enum ms_err part__record_next(struct part__record *rec,
                              struct part__op_view *out); /* MS_ENOTFOUND at the end */
void part__rec_finish(struct part_rec *rec);              /* fills in the header */
void part__rec_reset(struct part_rec *rec);               /* after its content was moved */

/* -- source form (part_source.c) */
void part__source_emit(const struct part_blob_source *src, struct str *op);

/* -- crash mark (part_crash.c) -------------------------------------------------------------------- */
#define PART_CRASHES_MAX 2
struct part__crash {
    struct part__crash_page *page; /* mapped */
    int fd;
};
enum ms_err part__crash_open(struct part__crash *c, const char *path, struct ms_errinfo *why);
void part__crash_close(struct part__crash *c);
void part__crash_enter(struct part__crash *c, uint64_t position);
void part__crash_leave(struct part__crash *c, uint64_t position);
/* At start: a mark left standing is one more crash at its position. */
void part__crash_count(struct part__crash *c);
bool part__crash_is_fatal(const struct part__crash *c, uint64_t *position_out);
void part__crash_blame(struct part__crash *c, uint64_t position); /* an op that can never be applied */
void part__crash_clear(struct part__crash *c);
/* The index was found damaged while serving: the next recovery makes it anew. */
void part__crash_set_rebuild(struct part__crash *c, bool rebuild);
bool part__crash_is_rebuild(const struct part__crash *c);

/* -- applying (part_tx.c, part_blob.c) ------------------------------------------------------------ */
struct part__change {
    uint64_t mailbox, modseq;
};
struct part__note {
    unsigned port;
    uint32_t kind;
    uint64_t a[3];
};
struct part__ref {
    uint64_t id;
    int64_t delta;
};
struct part__new_blob {
    uint64_t id;
    struct part_blob_source src;
};
struct part__settled {
    uint32_t number;
    enum ms_err err;
};

struct part_tx {
    struct partition *p;
    struct db_txn *txn;
    bool salvage;
    /* The record. */
    uint64_t position, time_us;
    uint64_t bytes_at; /* position of what lies behind its meta */
    uint64_t bytes_end;
    unsigned op_index;
    struct part__settled *settled;
    size_t settled_count, settled_cap;
    uint64_t record_blobs[PART_NEW_BLOBS_MAX]; /* brought by earlier ops of the record */
    unsigned record_blob_count;
    /* The op. */
    struct part__new_blob fresh[PART_NEW_BLOBS_MAX];
    unsigned fresh_count;
    struct part__ref *refs;
    size_t ref_count, ref_cap;
    struct str scratch;
    /* The commit: what to tell when it is done. */
    struct str results;
    struct part__change *changes;
    size_t change_count, change_cap;
    struct part__note *notes;
    size_t note_count, note_cap;
    /* Recovery. */
    struct part_report *report;
    bool hole_noted;   /* a hole op was applied */
    struct map *named; /* replay: first positions of streams that ops named */
};

void part__tx_init(struct part_tx *tx, struct partition *p);
void part__tx_fini(struct part_tx *tx);
void part__tx_begin(struct part_tx *tx, struct db_txn *txn); /* forgets what was collected */
/* One record of any kind. Error: the transaction must be aborted. MS_EVERSION: unknown op. */
enum ms_err part__tx_apply(struct part_tx *tx, const struct journal_record *rec, struct ms_errinfo *why);
enum ms_err part__blob_end_op(struct part_tx *tx);
/* Room for one more element of an array of the transaction. */
void part__grow(void **array, size_t *cap, size_t count, size_t bytes_each);

/* -- holes (part_hole.c) -------------------------------------------------------------------------- */
#define PART_HOLES_MAX 64
#define PART_OP_HOLE   1 /* (u64 from, u64 to)*: this damage was known here */
enum part__hole_state {
    PART_HOLE_NONE,
    PART_HOLE_TAIL,  /* behind a filler, until the "recovered" record that ends its tail */
    PART_HOLE_DAMAGE /* behind what cannot be read, until the hole op that names it */
};
struct part__hole_range {
    uint64_t from, to;
};
struct part__holes {
    uint8_t state;
    uint64_t until; /* DAMAGE: position of that op; UINT64_MAX: none yet */
    unsigned count;
    struct part__hole_range ranges[PART_HOLES_MAX];
};
void part__holes_add(struct part__holes *h, uint64_t from, uint64_t to, uint64_t until);
void part__holes_emit(const struct part__holes *h, struct str *out); /* value of the "hole" row */
enum ms_err part__holes_parse(struct slice value, struct part__holes *out);
extern const struct part_op part__hole_op;
/* Hole ops of the log, found by a first pass. */
struct part__hole_notes {
    struct part__hole_note {
        struct part__hole_range range;
        uint64_t at;
    } * list;
    size_t count, cap;
};
void part__hole_notes_collect(struct part__hole_notes *n, const struct journal_record *rec);
uint64_t part__hole_notes_until(const struct part__hole_notes *n, uint64_t from, uint64_t to);
enum ms_err part__hole_append(struct partition *p, const struct part__holes *h, struct ms_errinfo *why);

/* -- meta rows (part_meta.c) ---------------------------------------------------------------------- */
struct part__meta {
    bool fresh; /* no rows: a new index */
    struct journal_mark applied;
    uint8_t id[16];
    uint64_t timeline;
    struct part__holes holes;
};
/* MS_EDAMAGED, MS_EVERSION. */
enum ms_err part__meta_read(struct db *db, struct part__meta *out, struct ms_errinfo *why);
enum ms_err part__meta_put_applied(struct db_txn *txn, const struct journal_mark *mark);
enum ms_err part__meta_put_holes(struct db_txn *txn, const struct part__holes *holes);
enum ms_err part__meta_put_first(struct db_txn *txn, const struct partition *p);
enum ms_err part__index_open(const struct partition *p, const char *path, bool read_only, bool no_lock,
                             struct db **out, struct ms_errinfo *why);
extern const char *const part__db_names[PART_DB_COUNT];

/* -- replay (part_replay.c, part_salvage.c) ------------------------------------------------------- */
struct part__replay {
    struct partition *p;
    struct db *db;
    struct part_report *report; /* may be NULL */
    struct str *last_result;    /* filled with the result of the last record; may be NULL */
};
/* Applies everything behind `from` in bounded commits; ends with a sync. MS_EOFFLINE: comes to an op that
 * crashed twice. */
enum ms_err part__replay_run(const struct part__replay *r, const struct part__meta *from,
                             struct ms_errinfo *why);
void part__report_line(struct part_report *report, const char *fmt, ...) MS_PRINTF(2, 3);

/* Streams seen in a replay, to find bodies that no op names. */
struct part__streams {
    struct map by_id;
    struct map named; /* first positions */
};
void part__streams_init(struct part__streams *s);
void part__streams_fini(struct part__streams *s);
void part__streams_part(struct part__streams *s, const struct journal_record *rec);
/* Gives every orphan to the salvage function, in order of position; all in this transaction. */
enum ms_err part__streams_orphans(struct part__streams *s, struct part_tx *tx, struct ms_errinfo *why);

/* -- checkpoints (part_checkpoint.c) -------------------------------------------------------------- */
struct part__checkpoint {
    uint64_t position;
    char name[32];
};
/* Its bytes without the trailer, flushed; MS_EDAMAGED when the checksum in the trailer is another. */
enum ms_err part__copy_checkpoint(const struct partition *p, const struct part__checkpoint *c, const char *to,
                                  struct ms_errinfo *why);

/* -- applier (part_applier.c, part_answer.c) ------------------------------------------------------ */
#define PART_MSG_BATCH BUS_KIND(5, 1, 2) /* lane to applier: a[0] = index of the batch */
#define PART_MSG_DONE                                                                                        \
    BUS_KIND(5, 1, 3) /* a[0] err, a[1] position; result: `flags` bytes in a[2..4], else the body */
#define PART_RESULT_INLINE 24

struct part__target { /* an endpoint that gets notes of the applier */
    struct bus_ep *ep;
    struct partition *p;
    struct part_client *client; /* feed */
    unsigned ports;             /* bits */
};

struct part__applier {
    struct bus_ep *ep;
    struct bus_ep *lane_ep;
    pthread_t thread;
    bool started;
    atomic_bool stopping;
    struct journal_batch *by_index[JOURNAL_BATCHES]; /* written by the lane before it tells the index */
    struct journal_batch *waiting[JOURNAL_BATCHES];  /* ring, oldest at head */
    unsigned head, count;
    unsigned entry; /* of the head batch: the first that is not committed */
    struct part_tx tx;
    size_t *result_ends; /* one per record of the commit */
    size_t result_cap;
    bool refusing; /* admission is closed because the index cannot be written */
    bool dead;     /* the index is damaged: what comes is answered MS_EUNKNOWN */
};
enum ms_err part__applier_start(struct partition *p, struct bus *bus, struct ms_errinfo *why);
void part__applier_stop(struct partition *p);
void part__applier_free(struct part__applier *a);
/* The next n entries are committed (err MS_OK) or given up: replies, notes, batches back to the lane. */
void part__answer(struct partition *p, size_t n, enum ms_err err);
enum ms_err part__thread_start(pthread_t *thread, void *(*main)(void *), void *arg, const char *name);

/* -- keeping (part_keep.c, part_checkpoint.c) ----------------------------------------------------- */
#define PART_CHECKPOINTS_MAX 64
/* Newest first; returns the number there are (at most max). */
size_t part__checkpoint_list(const struct partition *p, struct part__checkpoint *out, size_t max);
enum ms_err part__checkpoint_make(struct partition *p, struct ms_errinfo *why);
enum ms_err part__checkpoint_prune(struct partition *p, struct ms_errinfo *why);
/* Meta of a checkpoint file; MS_EDAMAGED. */
enum ms_err part__checkpoint_meta(const struct partition *p, const struct part__checkpoint *c,
                                  struct part__meta *out, struct ms_errinfo *why);

struct part__keep {
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_bool stopping;
    bool poked;
    pthread_mutex_t checkpoint_lock; /* one at a time */
    uint64_t checkpoint_ms;          /* when the newest was tried, monotonic */
    atomic_uint_fast64_t newest, older;
};
enum ms_err part__keep_start(struct partition *p, struct ms_errinfo *why);
void part__keep_stop(struct partition *p);
void part__keep_init(struct part__keep *k);
void part__keep_fini(struct part__keep *k);
bool part__checkpoint_is_due(const struct partition *p);
void part__ballast_release(struct partition *p);
void part__keep_space(struct partition *p); /* looks at the free space; makes the ballast */
/* Whole segments that nothing needs any more; waits for the loops (rule 3.2). */
enum ms_err part__segments_remove(struct partition *p, unsigned *removed_out, struct ms_errinfo *why);

/* -- clients (part_client.c, part_hub.c, part_feed.c) --------------------------------------------- */
#define PART_WATCH_BUCKETS 65536
struct part__call {
    part_done_fn *done; /* NULL: forgotten */
    void *owner;
    uint64_t stream; /* given up when the record is refused */
    uint64_t *more_streams; /* further ones, given up when it was applied or refused: the lane knows of the first only */
    size_t more_stream_count;
    uint64_t generation;
    uint32_t bytes; /* in flight */
    uint32_t next_free;
    bool used;
};
struct part_client {
    struct partition *p;
    struct loop *loop;
    struct bus_ep *ep;
    struct part__hub *hub;
    unsigned number; /* bit in watch masks */
    struct part__call calls[PART_CALLS];
    uint32_t free_call;  /* PART_CALLS: none */
    struct list waiters; /* bus_waiter */
    struct list bodies;
    struct loop_timer retry;
    uint64_t streams; /* counter */
    uint64_t *aborts; /* streams whose note found no room */
    size_t abort_count, abort_cap;
    part_feed_fn *feed;
    void *feed_owner;
    uint32_t *watched; /* PART_WATCH_BUCKETS counts */
};
/* msg->body is moved on MS_OK. */
enum ms_err part__client_send(struct part_client *c, struct bus_msg *msg, size_t bytes, part_done_fn *done,
                              void *owner, uint64_t *request_out);
bool part__client_has_room(const struct part_client *c, size_t bytes);
void part__client_abort_stream(struct part_client *c, uint64_t stream);
void part__client_on_reply(struct part_client *c, const struct bus_msg *msg);
void part__client_on_changed(struct part_client *c, const struct bus_msg *msg);
void part__client_overflow(struct part_client *c);
void part__client_destroy(struct part_client *c);
void part__bodies_free(struct part_client *c);
unsigned part__watch_bucket(uint64_t mailbox);
/* Several partitions may have clients on one loop, whose endpoint has one handler for a kind: the hub tells
 * them apart. */
void part__hub_join(struct part_client *c, unsigned lane_index, unsigned applier_index);
void part__hub_leave(struct part_client *c);

/* -- the partition -------------------------------------------------------------------------------- */
enum part__state {
    PART_ST_OPEN,      /* folder and log opened; nothing written */
    PART_ST_LOG_READY, /* journal recovered; index not, or offline */
    PART_ST_RECOVERED, /* index is where the log ends */
    PART_ST_SERVING,   /* threads run */
    PART_ST_FAILED,    /* the index is damaged: reads only, until restart */
    PART_ST_STOPPED
};

struct part__port {
    struct bus_ep *to;
    bus_event_fn *on_overflow;
    void *owner;
};

struct partition {
    struct partition_conf conf; /* name and dir are our copies */
    uint8_t id[16];
    int dir_fd;
    atomic_int state;
    uint64_t epoch;
    uint64_t failed_at; /* record whose op gave an error last; the applying thread's */
    struct journal *journal;
    struct db *db;
    struct part__crash crash;
    const struct part_op *ops[PART_OPS_MAX][PART_OP_VERSIONS_MAX];
    const struct part_row *rows[PART_DB_COUNT];
    part_verify_fn *verifiers[PART_VERIFIERS_MAX];
    unsigned verifier_count;
    part_salvage_fn *salvage;
    struct bus *bus;
    struct loop_pool *cold_reads;
    struct part__applier applier;
    struct part__keep keep;
    struct part_client *clients[PART_LOOPS_MAX];
    unsigned client_count;
    struct part__port ports[PART_PORTS_MAX];
    struct part__target targets[PART_TARGETS_MAX];
    unsigned target_count;
    atomic_uint_fast64_t *watch; /* PART_WATCH_BUCKETS masks of clients */
    atomic_uint_fast64_t inflight;
    atomic_bool low_space;
    atomic_bool ballast_gone;
    /* Figures, relaxed. */
    atomic_uint_fast64_t applied, commits, op_total, commit_ns;
    unsigned commit_series; /* of obs */
};

enum part__state part__state(const struct partition *p);
void part__enter(struct partition *p, enum part__state next);
void part__path(const struct partition *p, const char *name, char out[PART_PATH_MAX]);
const struct part_op *part__op_find(const struct partition *p, uint16_t kind, uint16_t version);
enum ms_err part__sync_dir(const char *path, struct ms_errinfo *why);
/* Journal recovered, not more. Idempotent. */
enum ms_err part__recover_log(struct partition *p, struct part_report *report, struct ms_errinfo *why);

/* -- blob rows ------------------------------------------------------------------------------------ */
#define PART_BLOB_HEADER_BYTES 44
#define PART_BLOB_DIGEST       1
#define PART_BLOB_MOVED        2
#define PART_EXTENT_BYTES      12
void part__blob_key(uint64_t id, uint8_t out[8]);
void part__digest_key(struct sum128 hash, uint64_t id, uint8_t out[24]);
enum ms_err part__blob_get(struct db_txn *txn, uint64_t id, struct part_blob *out);

#endif
