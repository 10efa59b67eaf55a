/*
 * partition.h - one log, one index, and the state machines between them.
 * Layer 5 (partition).   Uses: base, obs, conf, crypt, loop, bus, journal, db.
 *
 * A session builds a record of one or more ops with part_op_*, gives it the message bytes (part_body), and posts it.
 * The lane appends and flushes, the applier applies in order in one index transaction per commit, and the submitter's
 * callback runs on its loop with the result. Reading is a snapshot per callback (part_snap) plus part_reader for bytes.
 *
 *   store and queue register their op tables at wiring:  partition_register(p, STORE_OPS, n)
 *   a loop gets its client:                              part_client_create(p, loop)
 *
 * Folder of a partition (flock'ed while open):
 *   journal/%016x.seg   index.mdb (+ -lock)   index.new while rebuilding   checkpoints/%016x.mdb   ballast   crashmark
 * A checkpoint is named by its position; behind the LMDB file stand 32 bytes: "MSCKPT01", u64 bytes of the file before them,
 * u64 lo, u64 hi of its XXH3-128.
 *
 * Record payload (kind JOURNAL_REC_USER, version 1), little-endian:
 *   u32 meta_bytes   this header and the ops; what follows in the payload is message bytes
 *   u16 op_count     >= 1
 *   u16 flags        0
 *   ops              u16 kind, u16 version, u32 length, payload; one behind the other
 * Op 1 (partition's own, "hole"): (u64 from, u64 to)*: what of the log could not be read when it was replayed up to here.
 * A blob is named in an op by the blob source form (part_blob_source_*):
 *   u8 how           1 = existing: u64 blob id
 *                    2 = inline: u32 offset of its bytes behind meta_bytes, then the description
 *                    3 = parts: u16 count, count * (u64 position, u32 length), then the description
 *   description      u64 size, u64 hash lo, u64 hash hi, u8 flags (1: enter into the digest index), u32 cache bytes,
 *                    cache (<= PART_CACHE_ROW_MAX). Longer caches: u32 cache bytes with bit 31 set, then u32 offset of the
 *                    cache behind meta_bytes in the same record (inline: behind the message bytes; parts: alone there).
 *
 * Index, named databases (keys big-endian, values little-endian; each row begins with its version byte):
 *   meta        text key -> u8 version 1, value: "format" u32; "applied" u64 position, u64 epoch, u32 crc (mark);
 *               "partition" 16 bytes; "timeline" u64; "hole" only while a recovery is behind damage: u8 state,
 *               u64 until, (u64 from, u64 to)*; others belong to store and queue
 *   blob        be64 id -> u8 version 1, u8 flags (1: in the digest index, 2: moved, the bytes at id are dead), u16 number of
 *               extents, u32 references, u64 size, u64 hash lo, u64 hash hi, u64 cache position, u32 cache length (0: in the
 *               row), then per extent u64 position, u32 length, then the cache. A blob of many parts makes a long row, which
 *               LMDB keeps on overflow pages.
 *   blobext     be64 position of an extent that is not at the id, or of a cache in a record of its own -> u8 version 1, u64 id
 *   digest      u64 hash lo, u64 hash hi, be64 id -> u8 version 1
 * The id of a blob is the position of its first byte when it came (first extent; an empty one: where it would be); it is
 * kept when compaction moves the bytes.
 *   the rest belongs to store and queue (their headers); the list of names is fixed here: enum part_db.
 *
 * Threads:  open/recover/start/stop: control thread. Clients and readers: their loop. Apply functions: the applier thread
 *           (or the recovering one).
 * Rules:    apply is a pure function of index and op (storage rules 2.1-2.5): no clock, randomness, configuration or parsing.
 *           A refusal writes nothing: an apply function checks everything before its first write, or returns an error from
 *           part_apply_fn ONLY for resource trouble (MS_ENOSPC, MS_EIO, MS_EDAMAGED of the index), which makes the applier
 *           keep the batch, close admission and retry the whole transaction.
 */
#ifndef MS_PARTITION_H
#define MS_PARTITION_H

#include "ms/base/mbuf.h"
#include "ms/base/str.h"
#include "ms/base/sum.h"
#include "ms/bus.h"
#include "ms/conf.h"
#include "ms/db.h"
#include "ms/journal.h"
#include "ms/loop.h"

#define PART_FORMAT         1
#define PART_META_MAX       ((size_t)1 << 20) /* ops of one record */
#define PART_INLINE_MAX     ((size_t)128 << 10)
#define PART_CACHE_ROW_MAX  1900
#define PART_CACHE_MAX      ((size_t)1 << 20)
#define PART_EXTENTS_MAX    8192
#define PART_BODIES_MAX     256               /* new messages of one record */
#define PART_ROWS_MAX       4096              /* rows one op may touch */
#define PART_CALLS          1024              /* requests of one loop outstanding */
#define PART_NOTES          8192
#define PART_INFLIGHT_BYTES ((uint64_t)64 << 20) /* bytes posted and not yet flushed, all loops together */
#define PART_OPS_MAX        128               /* registered op kinds */
#define PART_LOOPS_MAX      64

enum part_db {
    PART_DB_META,
    PART_DB_BLOB,
    PART_DB_BLOBEXT,
    PART_DB_DIGEST,
    PART_DB_MBOXLIST,  /* store */
    PART_DB_MAILBOX,   /* store */
    PART_DB_MESSAGE,   /* store */
    PART_DB_CHANGE,    /* store: change and vanished log by modseq */
    PART_DB_EXPUNGED,  /* store: rows still readable by sessions behind */
    PART_DB_ACCOUNT,   /* store: owner, quota, counters */
    PART_DB_DELIVERED, /* store */
    PART_DB_QUEUE,     /* queue */
    PART_DB_COUNT
};

struct partition;
struct part_client;
struct part_rec;
struct part_tx;

/* -- op tables ------------------------------------------------------------------------------------------------- */
/* op: the op's payload. Results for the submitter: part_tx_result. */
typedef enum ms_err part_apply_fn(struct part_tx *tx, struct slice op);
/* One readable line per op or row, no newline; damaged input gives "damaged: ..." and never fails. */
typedef void part_dump_fn(struct slice op, struct str *out);
typedef void part_row_dump_fn(struct slice key, struct slice value, struct str *out);

struct part_op {
    uint16_t kind; /* 1..: partition 1-15, store 16-63, queue 64-95 */
    uint16_t version;
    const char *name; /* "deliver" */
    part_apply_fn *apply;
    part_dump_fn *dump;
};
struct part_row {
    enum part_db db;
    const char *name; /* "message" */
    part_row_dump_fn *dump;
};

/* For apply functions. */
struct db_txn *part_tx_db(struct part_tx *tx);
uint64_t part_tx_time_us(const struct part_tx *tx);  /* of the batch */
uint64_t part_tx_position(const struct part_tx *tx); /* of the record: unique, good as an id */
unsigned part_tx_op_index(const struct part_tx *tx); /* of this op in the record */
bool part_tx_is_salvage(const struct part_tx *tx);   /* replaying behind a hole: make missing parents from hints */
/* Appends to the record's result; the submitter gets all of it in part_reply.result. */
void part_tx_result(struct part_tx *tx, const void *bytes, size_t len);
/* After the commit: note PART_NOTE_CHANGED to loops that watch this mailbox. */
void part_tx_changed(struct part_tx *tx, uint64_t mailbox, uint64_t modseq);
/* After the commit: note of the given kind to the endpoint set with partition_set_port(port). */
#define PART_PORTS_MAX 4
void part_tx_note(struct part_tx *tx, unsigned port, uint32_t kind, uint64_t a0, uint64_t a1, uint64_t a2);
/* Ops of one record may hang together: deliver settles each recipient (MS_OK: taken), the queue's result op behind it in the
 * same record asks. Forgotten at the end of the record. settled: false when nobody settled this number. */
void part_tx_settle(struct part_tx *tx, uint32_t number, enum ms_err err);
bool part_tx_settled(const struct part_tx *tx, uint32_t number, enum ms_err *err_out);
/* Something that could not be known; one line in the report of the recovery, for people. */
void part_tx_lost(struct part_tx *tx, const char *fmt, ...) MS_PRINTF(2, 3);

/* Blobs inside apply. A source of kind "existing" whose blob is gone gives MS_EGONE and changes nothing: the op refuses. So
 * does, behind a hole, one whose parts went with the hole.
 * References are added by the caller: add gives the id with 0 references; a blob still at 0 when the op ends is removed.
 * All changes of one op are written together when it ends, so its rows are not to be read before. */
struct part_blob_source { /* parsed form, borrowed from the op */
    uint8_t how;
    uint64_t id;
    uint64_t size;
    struct sum128 hash;
    uint8_t flags; /* 1: digest index */
    struct slice cache;    /* empty when the cache is behind the meta */
    bool cache_behind;
    uint32_t cache_bytes;  /* wherever it is */
    uint32_t cache_offset; /* behind meta_bytes */
    uint32_t offset;       /* inline: of the message bytes, behind meta_bytes */
    unsigned part_count;
    struct slice parts;    /* (u64 position, u32 length) * part_count */
    struct slice raw;      /* the whole source form */
};
#define PART_SOURCE_EXISTING 1
#define PART_SOURCE_INLINE   2
#define PART_SOURCE_PARTS    3
MS_MUST_USE enum ms_err part_blob_source_parse(struct rd *r, struct part_blob_source *out); /* MS_EDAMAGED */
void part_blob_source_dump(const struct part_blob_source *src, struct str *out); /* for part_dump_fn */
MS_MUST_USE enum ms_err part_blob_check(struct part_tx *tx, const struct part_blob_source *src, uint64_t *size_out);
MS_MUST_USE enum ms_err part_blob_add(struct part_tx *tx, const struct part_blob_source *src, uint64_t *id_out);
MS_MUST_USE enum ms_err part_blob_ref(struct part_tx *tx, uint64_t id, int64_t delta); /* 0 left: row, extents, digest go */

/* Salvage: a finished body that no op names; the owner of messages gives it a place (or not: then it is counted as lost). */
typedef enum ms_err part_salvage_fn(struct part_tx *tx, uint64_t stream, const struct part_blob_source *src);
/* -- life ------------------------------------------------------------------------------------------------------ */
struct partition_conf { /* as in the configuration, but for name */
    const char *name; /* set by the caller: the key of the entry */
    const char *dir;
    uint64_t segment_bytes;
    uint64_t map_bytes;
    uint64_t checkpoint_bytes;  /* of log between checkpoints */
    uint64_t checkpoint_ms;
    uint64_t ballast_bytes;     /* real blocks kept for the index (rule 1.6) */
    uint64_t min_free_bytes;    /* below: only relief ops */
    bool flush;
};
extern const struct conf_table partition_table; /* "store.partitions.*" -> struct partition_conf */

/* Creates the folder when it is missing (create). Does not recover. */
MS_MUST_USE enum ms_err partition_open(const struct partition_conf *conf, bool create, struct partition **out,
                                       struct ms_errinfo *why_out);
void partition_register(struct partition *p, const struct part_op *ops, size_t op_count, const struct part_row *rows,
                        size_t row_count);
void partition_register_salvage(struct partition *p, part_salvage_fn *fn);
/* Report: text is str_init'ed by the caller. */
enum part_recover_mode { PART_RECOVER_NORMAL, PART_REBUILD /* throw the index away first */ };
struct part_report { /* lines for the operator: damage, salvage, what was lost */
    struct str text;
    uint64_t replayed, damaged, lost;
    bool salvaged;
};
/* Recovery of the log, then of the index: apply what is missing; rebuild from the newest good checkpoint when the mark does
 * not fit, salvage when the log has a hole before it (rules 4.1-4.4). Two crashes at one op: MS_EOFFLINE. */
MS_MUST_USE enum ms_err partition_recover(struct partition *p, enum part_recover_mode mode, struct part_report *report,
                                          struct ms_errinfo *why_out);
/* The op at position is never applied: needs a partition that is not running. position 0: the one that crashed it twice. */
MS_MUST_USE enum ms_err partition_skip_op(struct partition *p, uint64_t position, struct ms_errinfo *why_out);
/* After recover, before start: one record, durable and applied, on the calling thread. For tools and tests. result may be
 * NULL; rec is emptied on MS_OK. A body of parts is not possible here. */
MS_MUST_USE enum ms_err partition_apply_sync(struct partition *p, struct part_rec *rec, struct str *result,
                                             uint64_t *position_out, struct ms_errinfo *why_out);
/* Wiring: endpoints of lane and applier are made, links to the loops of all clients declared; then threads start. Clients
 * and ports are made before. A bus serves one start of a partition. cold_reads may be NULL: readers then block. */
MS_MUST_USE enum ms_err partition_start(struct partition *p, struct bus *bus, struct loop_pool *cold_reads,
                                        struct ms_errinfo *why_out);
/* Before start. */
void partition_set_port(struct partition *p, unsigned port, struct bus_ep *to, bus_event_fn *on_overflow, void *owner);
void partition_stop(struct partition *p); /* drains, writes a checkpoint when due, joins */
void partition_close(struct partition **p);
const char *partition_name(const struct partition *p);
const uint8_t *partition_id(const struct partition *p); /* 16 bytes */
struct db *partition_db(struct partition *p);
struct journal *partition_journal(struct partition *p);
bool partition_is_serving(const struct partition *p); /* any thread */
uint64_t partition_epoch(const struct partition *p);
/* Control thread, from a timer (seconds): checkpoints when due, removal of segments, index ballast, all on a thread of the
 * partition's own. Never blocks. */
void partition_housekeep(struct partition *p);
MS_MUST_USE enum ms_err partition_checkpoint_now(struct partition *p, struct ms_errinfo *why_out); /* waits; tools, tests */

/* -- posting (loop) -------------------------------------------------------------------------------------------- */
/* Before partition_start, one per loop; the loop has a bus endpoint by then. Lives as long as the partition is open, and
 * the loop as long as that: close partitions before loops are destroyed. */
struct part_client *part_client_create(struct partition *p, struct loop *loop);
struct part_client *part_client_of(struct partition *p, const struct loop *loop);
struct partition *part_client_partition(struct part_client *c);

struct part_reply {
    enum ms_err err;      /* transport and journal: MS_OK means durable (and visible unless ack_durable) */
    struct slice result;  /* what the ops gave; borrowed for the callback */
    uint64_t position;
};
/* MS_EUNKNOWN: the outcome is not known: close the session without an answer (rule 1.6). */
typedef void part_done_fn(void *owner, uint64_t request, const struct part_reply *reply);

/* A record being built. After a post it is empty again and keeps its memory. */
struct part_rec {
    struct str meta;
    uint16_t count;
    size_t op_at;
    struct mbuf *body; /* chain, moved in */
    struct mbuf *body_last;
    size_t body_bytes;
    bool relief;
    bool ack_durable;
    uint64_t stream;                   /* of the first body that came in parts; 0 = none */
    uint64_t *more_streams;            /* of further ones */
    size_t more_stream_count, more_stream_cap;
    struct part_client *stream_client; /* part_rec_fini gives the streams up there */
};
void part_rec_init(struct part_rec *rec);
void part_rec_fini(struct part_rec *rec);
struct str *part_rec_op_begin(struct part_rec *rec, uint16_t kind, uint16_t version); /* append the payload to it */
void part_rec_op_end(struct part_rec *rec);
/* Moves the content on MS_OK (rec is empty again). MS_EFULL: ring or in-flight bytes full, nothing changed: wait with
 * part_wait_room. MS_EOFFLINE, MS_ENOSPC, MS_ELIMIT (meta too long). */
MS_MUST_USE enum ms_err part_post(struct part_client *c, struct part_rec *rec, part_done_fn *done, void *owner,
                                  uint64_t *request_out);
void part_forget(struct part_client *c, uint64_t request); /* the callback will not run; the op still happens */
void part_wait_room(struct part_client *c, struct bus_waiter *waiter);

/* Message bytes on their way in: small ones stay in memory (inline), larger ones go to the log as parts while they arrive. */
struct part_body;
typedef void part_body_fn(void *owner);
struct part_body *part_body_create(struct part_client *c, size_t bytes_max, part_body_fn *on_change, void *owner);
/* MS_EFULL: took nothing; stop reading, on_change tells when to go on. MS_ELIMIT past bytes_max. MS_EOFFLINE ... */
MS_MUST_USE enum ms_err part_body_add(struct part_body *b, struct slice bytes);
/* Everything is in; MS_EMORE until all parts are written (on_change runs), then MS_OK. cache: the parsed record. */
MS_MUST_USE enum ms_err part_body_finish(struct part_body *b, struct slice cache, bool digest);
/* Before finish: what is held goes to the log as a part, however little it is. For a body that does not fit into the record
 * beside others. */
void part_body_spill(struct part_body *b);
/* Bytes that emit puts behind the ops of the record. Behind finish. */
size_t part_body_record_bytes(const struct part_body *b);
uint64_t part_body_bytes(const struct part_body *b);
/* Bytes so far while still inline, in pieces: *piece from 0; false at the end or when it went to parts. */
bool part_body_piece(const struct part_body *b, unsigned piece, struct slice *out);
/* Appends the source form to the op under construction and hands bytes and stream over to rec. Up to PART_BODIES_MAX bodies a
 * record; further ops of the same record emit a body again and name the same bytes. Several bodies: not with ack_durable. */
void part_body_emit(struct part_body *b, struct part_rec *rec, struct str *op);
/* For a further op of the record, behind one that names the body in full and cannot be refused: a short form, however long the body. */
void part_body_emit_again(const struct part_body *b, struct str *op);
/* Undoes the hand-over of the only body after a post that took nothing (MS_EFULL); what else is in rec is of no use without the
 * bytes. */
void part_body_take_back(struct part_body *b, struct part_rec *rec);
/* For the digest look-up: the op will name an existing blob instead; bytes stay with the body, for a second post. */
struct sum128 part_body_hash(const struct part_body *b);
void part_body_destroy(struct part_body **b); /* an unfinished stream is given up */
void part_blob_source_emit_existing(struct str *op, uint64_t id);

/* -- reading --------------------------------------------------------------------------------------------------- */
struct part_snap {
    struct db_txn *txn;
    struct partition *p;
};
MS_MUST_USE enum ms_err part_snap_begin(struct partition *p, struct part_snap *out);
void part_snap_end(struct part_snap *snap);
#define PART_SNAP_DB(snap) ((snap)->txn)

struct part_extent {
    uint64_t position;
    uint32_t len;
};
struct part_blob { /* parsed blob row; slices die with the snapshot */
    uint64_t id;
    uint64_t size;
    uint32_t refs;
    struct sum128 hash;
    uint8_t flags;
    struct slice cache;            /* empty when the cache is not in the row */
    struct part_extent cache_at;   /* len 0: in the row */
    unsigned extent_count;
    struct slice extents;          /* raw; part_blob_extent */
};
MS_MUST_USE enum ms_err part_blob_find(struct part_snap *snap, uint64_t id, struct part_blob *out);
/* The same where ids mostly ascend and lie next to each other, as those of a mailbox do. Zeroed at the beginning; closed
 * before the snapshot ends. */
struct part_blob_cursor {
    struct db_cur *cur;
    uint64_t at; /* id of the row it stands on; 0: nowhere */
    unsigned misses;
};
MS_MUST_USE enum ms_err part_blob_seek(struct part_snap *snap, struct part_blob_cursor *c, uint64_t id,
                                       struct part_blob *out);
void part_blob_cursor_close(struct part_blob_cursor *c);
MS_MUST_USE enum ms_err part_blob_parse(uint64_t id, struct slice row, struct part_blob *out); /* MS_EDAMAGED, MS_EVERSION */
struct part_extent part_blob_extent(const struct part_blob *b, unsigned i);
/* A blob with this hash and size, or MS_ENOTFOUND; bytes are still to be compared by the caller. */
MS_MUST_USE enum ms_err part_digest_find(struct part_snap *snap, struct sum128 hash, uint64_t size, uint64_t *id_out);

/* Bytes of a blob for a session: prefix (entry's own, copied) + blob; offsets are those of the concatenation. Holds the
 * segments it needs, so it may outlive the snapshot and any unlink. */
struct part_reader;
MS_MUST_USE enum ms_err part_reader_open(struct part_snap *snap, struct loop *loop, const struct part_blob *blob,
                                         struct slice prefix, struct part_reader **out);
/* The same for a cache that is not in the row (cache_at.len > 0). */
MS_MUST_USE enum ms_err part_reader_open_cache(struct part_snap *snap, struct loop *loop, const struct part_blob *blob,
                                               struct part_reader **out);
uint64_t part_reader_size(const struct part_reader *r);
/* Up to max bytes from off as one counted buffer. MS_OK: *out is the caller's. MS_EMORE: not in memory; done runs later on
 * the loop with the buffer (moved) or an error; one request at a time. MS_EDAMAGED: this message is damaged; the hash of a
 * message that is read from its beginning on without gaps is compared before its last bytes are given out. */
#define PART_READ_MAX ((size_t)256 << 10)
typedef void part_read_fn(void *owner, enum ms_err err, struct mbuf *buf);
MS_MUST_USE enum ms_err part_reader_read(struct part_reader *r, uint64_t off, size_t max, struct mbuf **out,
                                         part_read_fn *done, void *owner);
void part_reader_close(struct part_reader **r); /* a pending done does not run */
/* Bytes of many messages, mostly those that lie next to each other in the log: one read serves several of them, and how
 * far it reads ahead follows from how much of it was used. Nothing is compared with the hash here. Home loop only. */
#define PART_WINDOW_BYTES ((size_t)256 << 10)
struct part_window;
typedef void part_window_fn(void *owner);
/* done runs on the loop when what was asked for last is there. */
struct part_window *part_window_create(struct partition *p, struct loop *loop, part_window_fn *done, void *owner);
/* Bytes [off, off + len) of the blob, valid until the next call. MS_EMORE: not in memory; ask again when done has run.
 * MS_EUNSUPPORTED: use a reader (several extents, too long, or it could not be read). */
MS_MUST_USE enum ms_err part_window_get(struct part_window *w, const struct part_blob *blob, uint64_t off, size_t len,
                                        struct slice *out);
void part_window_destroy(struct part_window **w); /* a pending done does not run */
/* Blocking form for tools and work threads. */
MS_MUST_USE enum ms_err part_blob_read_sync(struct partition *p, const struct part_blob *blob, struct str *out);
MS_MUST_USE enum ms_err part_cache_read_sync(struct partition *p, const struct part_blob *blob, struct str *out);

/* -- feed ------------------------------------------------------------------------------------------------------ */
#define PART_NOTE_CHANGED BUS_KIND(5, 1, 1) /* a[0] = mailbox, a[1] = modseq */
/* Loop: on_change(owner, mailbox, modseq) for watched mailboxes; mailbox 0 = "look at everything" (overflow). */
typedef void part_feed_fn(void *owner, uint64_t mailbox, uint64_t modseq);
void part_feed_set(struct part_client *c, part_feed_fn *fn, void *owner); /* once, wiring */
void part_watch(struct part_client *c, uint64_t mailbox);   /* counted per loop; collisions only cost a spare note */
void part_unwatch(struct part_client *c, uint64_t mailbox);

/* -- tools ----------------------------------------------------------------------------------------------------- */
/* Every record (log) and row (index) as text; the same log gives the same text on every machine. */
MS_MUST_USE enum ms_err partition_dump_log(struct partition *p, uint64_t from, void (*line)(void *, const char *), void *owner);
MS_MUST_USE enum ms_err partition_dump_index(struct partition *p, void (*line)(void *, const char *), void *owner);
/* Reads every blob, compares sizes, hashes, reference counts (counted by ref_count callbacks of the owners), extents and
 * checksums of all segments; problems to line. MS_EDAMAGED when there are any. */
typedef enum ms_err part_verify_fn(struct part_snap *snap, void (*ref)(void *, uint64_t blob), void *ref_owner,
                                   void (*problem)(void *, const char *), void *owner);
void partition_register_verify(struct partition *p, part_verify_fn *fn);
MS_MUST_USE enum ms_err partition_verify(struct partition *p, void (*problem)(void *, const char *), void *owner,
                                         struct ms_errinfo *why_out);

struct part_stats {
    struct journal_stats journal;
    struct journal_info info;
    struct db_stats index;
    uint64_t applied_position, commits, ops, commit_ns, lag_bytes, inflight_bytes;
    uint64_t checkpoint_newest, checkpoint_older; /* positions; 0 none */
    uint64_t blobs;
    uint64_t segments, segment_bytes;
};
void partition_stats(struct partition *p, struct part_stats *out);

#endif
