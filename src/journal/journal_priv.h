/*
 * journal_priv.h - what the files of the journal share. Only for them, their tests and the fuzz target.
 */
#ifndef MS_JOURNAL_PRIV_H
#define MS_JOURNAL_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "ms/journal.h"

/* -- the system calls that change a disk, in one table: tests fail the n-th or play power loss ---- */
struct journal_io {
    ssize_t (*pwritev)(int fd, const struct iovec *iov, int count, off_t offset);
    int (*fdatasync)(int fd);
    int (*fsync)(int fd);
    int (*fallocate)(int fd, int mode, off_t offset, off_t len);
    int (*ftruncate)(int fd, off_t len);
    int (*create)(int dirfd, const char *name); /* O_CREAT | O_EXCL | O_RDWR */
    int (*unlink)(int dirfd, const char *name);
    int (*rename)(int dirfd, const char *from, const char *to);
};
extern const struct journal_io journal__io_real;
extern const struct journal_io *journal__io;

/* Writes all of iov (which it changes), short writes continued. errno value or 0. */
int journal__write_all(int fd, struct iovec *iov, unsigned count, uint64_t offset);
extern const uint8_t journal__zeros[4096];

#define JOURNAL_NAME_MAX 32 /* "%016x.seg" and NUL */
void journal__name(char out[JOURNAL_NAME_MAX], uint64_t number);
bool journal__name_parse(const char *name, uint64_t *number_out);

/* -- header ----------------------------------------------------------------------------------- */
#define JOURNAL_HEAD_VERSION     1
#define JOURNAL_HEAD_COPY_OFFSET 4096
#define JOURNAL_SEG_RECOVERY     0x0001
#define JOURNAL_NUMBER_MAX       ((uint64_t)1 << 62)

struct journal_head {
    uint16_t version;
    uint16_t flags;
    uint8_t partition_id[16];
    uint64_t timeline;
    uint64_t epoch;
    uint64_t number;
    uint8_t salt[8];
    uint64_t start;
    uint64_t prev_number; /* 0: none */
    uint64_t prev_end;    /* bytes of the predecessor behind it exist for no scan */
    uint64_t prev_epoch;  /* of the record that ends at prev_end */
    uint32_t prev_crc;    /* its hdr_crc; 0 before the first record of the log */
    uint64_t prev_time_us;
    uint64_t created_us;
    uint64_t branch;
};

void journal__head_emit(const struct journal_head *head, uint8_t out[JOURNAL_HEADER_BYTES]);
/* MS_ENOTFOUND: all zeros. MS_EDAMAGED. MS_EVERSION: intact, of a version that this program does not know. */
MS_MUST_USE enum ms_err journal__head_parse(const uint8_t in[JOURNAL_HEADER_BYTES], struct journal_head *out);
/* Either copy. area: the first JOURNAL_DATA_OFFSET bytes of the file. */
MS_MUST_USE enum ms_err journal__head_find(const uint8_t *area, struct journal_head *out);
/* The seed of every hdr_crc in the segment. */
uint32_t journal__head_seed(const struct journal_head *head);

/* -- records ---------------------------------------------------------------------------------- */
static inline uint64_t journal__space(uint64_t record_bytes)
{
    return (record_bytes + JOURNAL_ALIGN - 1) & ~(uint64_t)(JOURNAL_ALIGN - 1);
}
/* Sets magic and hdr_crc. */
void journal__record_seal(struct journal_record_header *h, uint32_t seed);

#define JOURNAL_RECOVERED_BYTES 32
struct journal_recovered {
    uint64_t from_number; /* segment whose tail was rewritten; 0: none */
    uint64_t tail_start;
    uint64_t torn_bytes;
    uint64_t damaged;
};
void journal__recovered_emit(const struct journal_recovered *r, uint8_t out[JOURNAL_RECOVERED_BYTES]);

/* Where bytes of a segment come from: a file, or memory (fuzz target, tests). */
struct journal_src {
    int fd;
    const uint8_t *mem;
    uint64_t bytes;
};

enum journal_found { JOURNAL_FOUND_RECORD, JOURNAL_FOUND_DAMAGE, JOURNAL_FOUND_END };

struct journal_scan {
    const struct journal_head *head;
    struct journal_src src;
    uint32_t seed;
    bool sealed;    /* the end is known: everything before `limit` was durable */
    uint64_t limit; /* no record ends behind it */
    uint64_t
        durable; /* unsealed: known durable from outside the log; a batch that begins before it is durable */
    uint64_t at; /* next position to look at; at the end: the end of the log */
    uint64_t last_batch; /* greatest batch of any record with a good header */
    bool has_batch;
    bool looked;        /* look-ahead over the rest of the file was done */
    uint64_t dirty_end; /* behind the last non-zero word that the look-ahead saw */
    bool prev_known;
    uint32_t prev_crc;
    uint64_t time_us; /* greatest of the good records, or the predecessor's last */
    uint64_t damage_from;
    uint64_t damage_to;
    const char *damage_what;
    uint8_t *window;
    uint64_t window_at; /* file offset */
    size_t window_len;
};

/* end: of a sealed segment; UINT64_MAX = find it. */
void journal__scan_init(struct journal_scan *s, const struct journal_head *head, struct journal_src src,
                        uint64_t end, uint64_t durable);
void journal__scan_fini(struct journal_scan *s);
/* Moves to a record that is known to begin there; false (nothing changed) when no good header is at the
 * position. */
bool journal__scan_seek(struct journal_scan *s, uint64_t position);
/* rec->payload is valid until the next call. */
enum journal_found journal__scan_next(struct journal_scan *s, struct journal_record *rec);
/* Header flag RECOVERY: is the batch at its start whole up to its RECOVERED record, or followed by a later
 * batch? */
bool journal__scan_is_complete(const struct journal_head *head, struct journal_src src);

/* -- files and segments ----------------------------------------------------------------------- */
enum journal_file_kind {
    JOURNAL_FILE_SEGMENT,
    JOURNAL_FILE_ZERO,        /* header area is zero: prepared, or its activation never reached the disk */
    JOURNAL_FILE_GARBAGE,     /* both copies of the header are bad */
    JOURNAL_FILE_INTERRUPTED, /* opened by a recovery that did not finish */
};

enum journal_fate { JOURNAL_FATE_STAYS, JOURNAL_FATE_UNLINK, JOURNAL_FATE_UNLINK_LATER, JOURNAL_FATE_ASIDE };

struct journal_file {
    uint64_t number;
    uint64_t bytes;
    enum journal_file_kind kind;
    bool in_chain;
    enum journal_fate fate;
    struct journal_head head;
};

struct journal_seg {
    atomic_uint refs; /* one is the table's; more are taken under seg_lock only */
    int fd;           /* read only; -1 until first used */
    struct journal_head head;
    _Atomic uint64_t end;
    bool gap_before; /* positions between the segment before and this one are missing */
};

/* A file that is zeros so far. */
struct journal_spare {
    int fd; /* -1: none */
    uint64_t number;
    uint64_t bytes;
    uint64_t zeroed;
    bool extended; /* blocks reserved but not written */
};

#define JOURNAL_SPARES_MAX  8
#define JOURNAL_CUTS_MAX    8
#define JOURNAL_PIECE_BYTES ((size_t)256 << 10)
#define JOURNAL_SYNC_BYTES  ((uint64_t)1 << 20)
#define JOURNAL_FDS_MAX     512 /* read descriptors kept open for segments that nobody reads just now */

struct journal_cut {
    int fd;
    uint64_t bytes;
};

struct journal_pool { /* everything under `lock` but `ready_count` */
    pthread_mutex_t lock;
    pthread_cond_t work; /* keeper sleeps */
    pthread_cond_t idle; /* keeper has finished a flush of `partial` */
    pthread_t thread;
    bool running;
    bool stop;
    bool syncing; /* keeper flushes partial.fd without the lock */
    bool no_space;
    struct journal_spare ready[JOURNAL_SPARES_MAX]; /* numbers ascend */
    atomic_uint ready_count;
    struct journal_spare partial;
    struct journal_cut cuts[JOURNAL_CUTS_MAX];
    unsigned cut_count;
    uint64_t number_max; /* greatest ever seen or given */
};

/* -- batch under construction ----------------------------------------------------------------- */
#define JOURNAL_IOVS (4 + 2 * JOURNAL_BATCH_OPS + 1 + JOURNAL_PIECES_MAX)

struct journal_slot {
    uint8_t pad[JOURNAL_ALIGN]; /* zeros: the end of it pads the record before */
    struct journal_record_header head;
};

struct journal_out {
    struct journal_slot slots[JOURNAL_BATCH_OPS];
    struct iovec iov[JOURNAL_IOVS];
    uint8_t head[JOURNAL_HEADER_BYTES];
    unsigned iovs;
    unsigned count;
    uint64_t start;
    uint64_t bytes; /* without the padding of the last record */
    uint64_t offset;
    uint32_t seed;
    uint32_t prev_crc;
    uint64_t time_us;
    bool begun;
};

/* -- streams ---------------------------------------------------------------------------------- */
#define JOURNAL_STREAM_BUCKETS 8192
#define JOURNAL_TOMBS          256

struct journal_stream {
    struct list node; /* by first position, or the free list */
    struct journal_stream *next_in_bucket;
    uint64_t id;
    uint64_t first;
    bool ending;
};

struct journal_streams {
    struct journal_stream nodes[JOURNAL_STREAMS_MAX];
    struct journal_stream *buckets[JOURNAL_STREAM_BUCKETS];
    struct list order;
    struct list free;
    uint64_t tombs[JOURNAL_TOMBS]; /* given up before their first part arrived here */
    unsigned tomb_next;
    _Atomic uint64_t floor;
};

void journal__streams_init(struct journal_streams *t);
/* May this part be written? MS_ELIMIT: too many streams. MS_EGONE: given up, or its first part was never
 * taken. */
MS_MUST_USE enum ms_err journal__stream_check_part(struct journal_streams *t, uint64_t id, uint32_t number);
MS_MUST_USE enum ms_err journal__stream_check_end(struct journal_streams *t, uint64_t id);
void journal__stream_add_part(struct journal_streams *t, uint64_t id, uint64_t position);
void journal__stream_set_ending(struct journal_streams *t, uint64_t id);
void journal__stream_applied(struct journal_streams *t, uint64_t id);
void journal__stream_abort(struct journal_streams *t, uint64_t id);

/* -- the journal ------------------------------------------------------------------------------ */
struct journal_last { /* the last record of the log */
    uint64_t end;
    uint64_t epoch;
    uint32_t crc;
    uint64_t time_us;
};

struct journal_counts {
    _Atomic uint64_t batches, records, bytes, flush_ns, write_ns, extended, lag_waits, refused;
};

struct journal_lane;

struct journal {
    char *dir;
    int dirfd;
    struct journal_conf conf;
    uint8_t partition_id[16];
    uint64_t timeline;
    uint64_t branch;
    uint64_t epoch;
    _Atomic int state;
    _Atomic uint64_t end;
    bool complete;
    uint64_t damaged;
    uint64_t torn_bytes;

    struct journal_file *files; /* as found by open */
    size_t file_count;

    pthread_mutex_t seg_lock; /* segs, seg_count, fds_open, fd of each */
    struct journal_seg **segs;
    size_t seg_count;
    size_t seg_cap;
    unsigned fds_open;

    /* write side: the caller's thread until journal_start, then the lane's */
    struct journal_last last;
    struct journal_seg *current;
    int write_fd;
    uint64_t current_bytes; /* of the file */
    bool current_extended;
    bool current_reserve;
    struct journal_spare next; /* segment that the batch under construction will open; fd -1: none */
    bool next_reserve;
    struct journal_out *out;

    struct journal_pool pool;
    struct journal_streams *streams;
    struct journal_lane *lane;
    struct journal_counts counts;
};

void journal__fail(struct journal *j, const char *what, int errno_value);

/* journal_segment.c */
struct journal_seg *journal__seg_create(const struct journal_head *head, uint64_t end);
void journal__seg_append(struct journal *j, struct journal_seg *seg); /* takes over the reference */
MS_MUST_USE enum ms_err journal__seg_open(struct journal *j, struct journal_seg *seg,
                                          struct journal_src *src_out, struct ms_errinfo *why_out);
void journal__segs_fini(struct journal *j);

/* journal_open.c */
bool journal__read_area(int fd, uint64_t offset, uint8_t *into,
                        size_t len); /* what cannot be read is zeros */

/* journal_leftover.c: before the recovery writes; after it has flushed */
void journal__leftovers_discard(struct journal *j);
void journal__leftovers_discard_superseded(struct journal *j);

/* journal_spare.c */
void journal__pool_init(struct journal_pool *p);
void journal__pool_fini(struct journal *j); /* unlinks what was not used */
/* relief: the last spare may be taken. MS_ENOSPC. */
MS_MUST_USE enum ms_err journal__spare_take(struct journal *j, bool relief, struct journal_spare *out,
                                            bool *reserve_out, struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err journal__spare_create(struct journal *j, uint64_t bytes, struct journal_spare *out,
                                              struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err journal__spare_extend(struct journal *j, struct journal_spare *spare,
                                              struct ms_errinfo *why_out);
void journal__spare_discard(struct journal *j, struct journal_spare *spare);
void journal__cut_later(struct journal *j, int fd, uint64_t bytes); /* takes over fd */
void journal__cut_now(int fd, uint64_t bytes);

/* journal_keeper.c */
MS_MUST_USE enum ms_err journal__keeper_start(struct journal *j, struct ms_errinfo *why_out);
void journal__keeper_stop(struct journal *j);

/* journal_write.c: begin; fits/add...; write; flush. A failed write or flush is final. */
uint64_t journal__out_room(const struct journal *j);
/* Room for one record of that payload with no batch begun: opens the next segment when needed. MS_ENOSPC,
 * MS_EIO. */
MS_MUST_USE enum ms_err journal__out_prepare(struct journal *j, size_t payload_bytes, bool relief,
                                             struct ms_errinfo *why_out);
bool journal__on_reserve(struct journal *j); /* the batch would go into the last spare */
void journal__out_begin(struct journal *j);
bool journal__out_fits(const struct journal *j, size_t payload_bytes, size_t pieces);
void journal__out_add(struct journal *j, struct journal_record_header h, size_t payload_bytes,
                      struct mbuf *chain, struct journal_record *rec_out);
MS_MUST_USE enum ms_err journal__out_write(struct journal *j);
MS_MUST_USE enum ms_err journal__out_flush(struct journal *j);

/* journal_lane.c */
MS_MUST_USE enum ms_err journal__lane_start(struct journal *j, struct bus_ep *ep, journal_batch_fn *on_batch,
                                            void *owner, struct ms_errinfo *why_out);
void journal__lane_stop(struct journal *j);
void journal__lane_fini(struct journal *j);

#endif
