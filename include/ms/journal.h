/*
 * journal.h - the log of a partition: segments, records, the writer lane, recovery.
 * Layer 4 (journal).   Uses: base, obs, conf, loop, bus.
 *
 * A journal is a folder of segment files. A record has a 64-bit position in the whole log that never changes; an extent
 * names positions, never file offsets. What is in a payload is the business of the layer above (partition), but for the
 * record kinds below JOURNAL_REC_USER.
 *
 * Typical use, by partition, in this order:
 *   journal_open      reads segment headers, sorts out interrupted recoveries; writes nothing
 *   journal_has_end   does the log hold exactly the record the index was applied to?
 *   journal_recover   finds the end of the log, rewrites the surviving tail into a new segment of a higher epoch, flushes
 *   journal_replay    every record from a position, in order, to a visitor (the applier)
 *   journal_start     the lane thread: from here on requests arrive as bus messages
 *   journal_stop, journal_close
 *
 * On disk (all integers little-endian; man/mailserverd-formats.5 is the public description):
 *   file name   %016x.seg of the segment number. A prepared file is all zeros (its header area too) and unused.
 *   header      JOURNAL_HEADER_BYTES; two equal copies at offsets 0 and 4096: magic "MSEG", format version, flags
 *               (JOURNAL_SEG_RECOVERY: opened by recovery), partition id (16), timeline id, epoch, number, salt (8 random),
 *               start position; of the predecessor: number, end position, and epoch, CRC and time of the record that
 *               ends there; creation time, branch position, CRC-32C of the copy.
 *   record      8-byte aligned, from file offset JOURNAL_DATA_OFFSET: struct below, payload, zeros up to alignment.
 *               hdr_crc = CRC-32C over epoch(8) salt(8) and the 48 header bytes with hdr_crc = 0.
 *               payload_crc = plain CRC-32C of the payload, made by the submitter. prev_crc = hdr_crc of the record before
 *               (across segments and recoveries; 0 for the very first).
 *
 * Batches: one pwritev, one fdatasync; never across two segments; at most JOURNAL_BATCH_BYTES or JOURNAL_BATCH_OPS (one
 * larger record alone). Only one batch is in flight, so every batch but the last is durable.
 *
 * Threads:  open/recover/replay/close on one thread before start / after stop. The lane thread belongs to the journal; a
 *           second thread of its own zeroes segments ahead. journal_seg_* and journal_*_pos from any thread.
 * Errors:   a failed write or fdatasync is final: state JOURNAL_FAILED; what was written is answered MS_EUNKNOWN, what
 *           is new MS_EOFFLINE, until restart.
 */
#ifndef MS_JOURNAL_H
#define MS_JOURNAL_H

#include "ms/base/mbuf.h"
#include "ms/bus.h"

#define JOURNAL_HEADER_BYTES     512
#define JOURNAL_DATA_OFFSET      8192
#define JOURNAL_RECORD_BYTES     48
#define JOURNAL_ALIGN            8
#define JOURNAL_SEGMENT_BYTES    ((uint64_t)64 << 20)  /* file size, default */
#define JOURNAL_SEGMENT_MIN      ((uint64_t)4 << 20)   /* for tests */
#define JOURNAL_BATCH_BYTES      ((size_t)1 << 20)
#define JOURNAL_BATCH_OPS        512
#define JOURNAL_PAYLOAD_MAX      ((size_t)3 << 20)     /* one record; larger messages travel as parts */
#define JOURNAL_PART_BYTES       ((size_t)128 << 10)
#define JOURNAL_LAG_BYTES        ((uint64_t)32 << 20)  /* the lane admits nothing while the applier is further behind */
#define JOURNAL_LAG_OPS          20000
#define JOURNAL_BATCHES          64                    /* handed over and not yet returned */
#define JOURNAL_STREAMS_MAX      4096                  /* streams with parts written and no end yet */
#define JOURNAL_PIECES_MAX       1024                  /* pieces of one body */
#define JOURNAL_PREPARED         2                     /* segments zeroed ahead */

struct journal;

struct journal_record_header {
    uint32_t magic; /* JOURNAL_RECORD_MAGIC */
    uint32_t bytes; /* header + payload, without the padding */
    uint16_t kind;
    uint16_t version;
    uint32_t hdr_crc;
    uint64_t position; /* of this header */
    uint64_t batch; /* position where its batch begins: tells damage of an older batch from a torn last one */
    uint32_t prev_crc;
    uint32_t payload_crc;
    uint64_t time_us; /* stamped by the lane, never decreasing in the log */
};
_Static_assert(sizeof(struct journal_record_header) == JOURNAL_RECORD_BYTES, "on-disk form");
#define JOURNAL_RECORD_MAGIC 0x4C4A534Du /* "MSJL" */

enum journal_rec {
    JOURNAL_REC_RECOVERED = 1, /* ends the batch written by recovery; payload: u64 segment it came from, tail start,
                                * torn bytes, damaged records */
    JOURNAL_REC_FILLER = 2,    /* stands for damaged records, or an older RECOVERED; payload: zeros, same length */
    JOURNAL_REC_PART = 3,      /* u64 stream, u32 part number from 0, then message bytes */
    JOURNAL_REC_SKIP = 4,      /* u64 position: the op there is not applied, by an operator's order */
    JOURNAL_REC_USER = 16,     /* the layer above */
};
#define JOURNAL_FILLER_OLD_END 1 /* version of a FILLER: stands for a RECOVERED record, nothing is missing */
#define JOURNAL_PART_PREFIX 12 /* bytes before the message bytes in a part's payload */

/* A record as visitors and the applier see it. */
struct journal_record {
    uint64_t position;
    uint64_t end; /* position behind the padding = position of the next record */
    uint64_t batch;
    uint64_t time_us;
    uint64_t epoch;
    uint32_t crc; /* hdr_crc: with epoch and end the identity of a place in the log */
    uint16_t kind;
    uint16_t version;
    size_t payload_bytes;
    struct slice payload; /* replay: the whole payload. Applier: the FIRST piece of the chain only (metadata). */
};

/* The place behind a record: what an index names as applied. position 0 = nothing applied. */
struct journal_mark {
    uint64_t position;
    uint64_t epoch;
    uint32_t crc;
};

/* -- requests (bus) ------------------------------------------------------------------------------------------- */
#define JOURNAL_MSG_APPEND BUS_KIND(4, 1, 1)
/* flags: */
#define JOURNAL_F_ACK_DURABLE 0x0001 /* the lane answers after the flush; else the applier does (visible) */
#define JOURNAL_F_RELIEF      0x0002 /* frees space or drains: may use the reserve */
#define JOURNAL_F_PART        0x0004 /* a part of stream a[3]; the lane answers after the write */
#define JOURNAL_F_ENDS_STREAM 0x0008 /* introduces the message of stream a[3]; pins it until applied */
/* id = caller's; a[0] = kind | version << 16; a[1] = payload_crc; a[2] = payload bytes; a[3] = stream id or 0;
 * body = chain of pieces, the first piece holds all metadata that apply reads.
 * Answer of the lane (kind JOURNAL_MSG_APPENDED): id; a[0] = enum ms_err; a[1] = position of the record. Refusals
 * before the append (MS_ENOSPC, MS_EOFFLINE, MS_ELIMIT, MS_EINVAL) are always the lane's. MS_EGONE: the stream was given
 * up or its first part never taken: without it nothing pins the parts, so neither a part nor its op is written. */
#define JOURNAL_MSG_APPENDED BUS_KIND(4, 1, 2)
/* Note: stream a[0] was given up. It may overtake parts; a stream id is never used twice. */
#define JOURNAL_MSG_STREAM_ABORT BUS_KIND(4, 1, 3)

/* A flushed batch, handed to the applier and returned by it. Immutable meanwhile. */
struct journal_batch_entry {
    struct journal_record rec;
    struct mbuf *body;     /* the chain; released when the batch is returned */
    uint64_t request;      /* id of the bus message */
    uint64_t stream;       /* with JOURNAL_F_ENDS_STREAM */
    uint16_t from;         /* endpoint to answer */
    uint16_t flags;
    bool answered;         /* the lane has answered already */
};
struct journal_batch {
    unsigned index; /* 0..JOURNAL_BATCHES-1 */
    unsigned count;
    size_t bytes;
    struct journal_mark mark; /* behind the last record */
    struct journal_batch_entry entries[JOURNAL_BATCH_OPS];
};

struct journal_conf {
    const char *dir; /* exists */
    uint64_t segment_bytes;
    unsigned prepared; /* 1..5, besides the reserve; 0 = JOURNAL_PREPARED */
    unsigned flush_series; /* of obs: how long flushes take; 0 = nobody wants to know */
    bool flush; /* false only by the test that shows what is lost without fdatasync */
};

/* Called on the lane thread, in order. Must not block and must not fail: at most JOURNAL_BATCHES are out. */
typedef void journal_batch_fn(void *owner, struct journal_batch *batch);

struct journal_info {
    uint8_t partition_id[16];
    uint64_t timeline;
    uint64_t epoch;       /* of this start; 0 before journal_recover */
    uint64_t first;       /* oldest position on disk */
    uint64_t end;         /* next position */
    uint64_t damaged;     /* records skipped as damage by recovery */
    uint64_t torn_bytes;  /* cut off at the end */
    bool complete;        /* the log begins at position 0 with no segment missing */
};

/* Makes the first segment-less journal: writes nothing but remembers the id for the first segment. */
MS_MUST_USE enum ms_err journal_open(const struct journal_conf *conf, const uint8_t new_partition_id[16],
                                     struct journal **out, struct ms_errinfo *why_out);
void journal_info(const struct journal *j, struct journal_info *out);
/* Is there exactly this place? position 0 is always there when the log begins at 0. */
bool journal_has_mark(struct journal *j, const struct journal_mark *mark);

/* Rules 4.1 and 4.2. known_durable: greatest position known durable from outside the log (applied mark, checkpoints).
 * Every damaged record is reported to on_damage (may be NULL). MS_EDAMAGED only when the journal cannot serve at all. */
typedef void journal_damage_fn(void *owner, uint64_t from, uint64_t to, const char *what);
MS_MUST_USE enum ms_err journal_recover(struct journal *j, uint64_t known_durable, journal_damage_fn *on_damage,
                                        void *owner, struct ms_errinfo *why_out);

/* Every good record with position >= from, in order, up to the end; fillers and skips included, parts only when
 * want_parts. The visitor's error stops and is returned. Works before recover too (read-only tools): then up to the last
 * readable record. A gap in the segments is reported to on_damage and jumped over. */
typedef enum ms_err journal_visit_fn(void *owner, const struct journal_record *rec);
MS_MUST_USE enum ms_err journal_replay(struct journal *j, uint64_t from, bool want_parts, journal_visit_fn *visit,
                                       journal_damage_fn *on_damage, void *owner, struct ms_errinfo *why_out);

/* After recover, before start: appends one record durably on the calling thread (skip-op, tools). */
MS_MUST_USE enum ms_err journal_append_sync(struct journal *j, uint16_t kind, uint16_t version, struct slice payload,
                                            struct journal_mark *mark_out, struct ms_errinfo *why_out);

/* ep: the lane's endpoint, handlers not yet set; journal sets them. */
MS_MUST_USE enum ms_err journal_start(struct journal *j, struct bus *bus, struct bus_ep *ep, journal_batch_fn *on_batch,
                                      void *owner, struct ms_errinfo *why_out);
/* Called on the applier thread: the batch may be reused, its bodies are released. Does its own wake-up of the lane. */
void journal_batch_done(struct journal *j, struct journal_batch *batch);
/* Refuse new work with MS_EOFFLINE (index trouble, rule 1.6) / take it again. Any thread. */
void journal_set_admission(struct journal *j, bool open, enum ms_err refusal);
/* Writes out what waits, ends the threads. The applier must go on returning batches until this has returned. */
void journal_stop(struct journal *j);
void journal_close(struct journal **j);

enum journal_state { JOURNAL_CLOSED, JOURNAL_RECOVERING, JOURNAL_SERVING, JOURNAL_FAILED };
enum journal_state journal_state(const struct journal *j); /* any thread */
uint64_t journal_end_pos(const struct journal *j);         /* any thread: behind the last durable record */
uint64_t journal_stream_floor(const struct journal *j);    /* any thread: oldest part of an unfinished stream, or UINT64_MAX */

/* -- reading ------------------------------------------------------------------------------------------------- */
/* A counted descriptor; stays readable after the segment was unlinked. NULL: no segment holds the position. */
struct journal_seg;
struct journal_seg *journal_seg_ref(struct journal *j, uint64_t position);
void journal_seg_unref(struct journal_seg **seg);
bool journal_seg_holds(const struct journal_seg *seg, uint64_t position, size_t len);
/* nowait: MS_EMORE when the bytes are not in the page cache (read again on a work thread without nowait). MS_EDAMAGED:
 * outside the segment or I/O error. An extent never crosses a segment. */
MS_MUST_USE enum ms_err journal_seg_read(struct journal_seg *seg, uint64_t position, void *into, size_t len, bool nowait);

/* -- removal (rule 5.2): the caller has checked that nothing live lies before `position`, that two checkpoints cover it
 * and that every loop passed a turn. Unlinks whole segments that end at or before it, never the current one. */
MS_MUST_USE enum ms_err journal_remove_before(struct journal *j, uint64_t position, unsigned *removed_out,
                                              struct ms_errinfo *why_out);
struct journal_seg_info {
    uint64_t number, epoch, start, end;
    uint64_t file_bytes;
    bool current;
};
size_t journal_segments(struct journal *j, struct journal_seg_info *out, size_t max); /* returns the number there are */

struct journal_stats { /* relaxed snapshot */
    uint64_t batches, records, bytes, flush_ns, write_ns, extended, prepared_ready, lag_waits, refused;
};
void journal_stats(const struct journal *j, struct journal_stats *out);

#endif
