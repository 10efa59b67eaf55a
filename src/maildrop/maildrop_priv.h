/*
 * maildrop_priv.h - what the files of the running part share.
 *
 *   maildrop.c         the folder: watch, scans, which file is next, which waits
 *   maildrop_scan.c    work: names of the folder; strangers put aside
 *   maildrop_drop.c    one file on the loop: its states
 *   maildrop_read.c    work: opening, reading, checking, and what the server adds
 *   maildrop_rcpts.c   recipients of one file: resolving them, the record that enqueues them
 *   maildrop_taken.c   at the start: files whose messages are in the queue go
 *   maildrop_held.c    at the start: entries that were to be returned are
 */
#ifndef MAILDROP_PRIV_H
#define MAILDROP_PRIV_H

#include <stdatomic.h>

#include "ms/base/map.h"
#include "ms/loop.h"
#include "ms/maildrop.h"
#include "ms/mime.h"
#include "ms/partition.h"
#include "ms/route.h"

#define MAILDROP_KNOWN_MAX      20000 /* names in memory; the others are found by a later scan */
#define MAILDROP_SCAN_MS        60000
#define MAILDROP_SCAN_GAP_MS    20    /* between scans that names that appear ask for */
#define MAILDROP_BACKOFF_MS     60000 /* first wait of a file; doubles up to MAILDROP_BACKOFF_MAX_MS */
#define MAILDROP_BACKOFF_MAX_MS 3600000
#define MAILDROP_KEEP_US        ((uint64_t)5 * 86400 * 1000000) /* past it a temporary refusal is a final one */
#define MAILDROP_TMP_KEEP_S     86400 /* a file that nobody has written to so long has lost its writer */
#define MAILDROP_READ_BYTES     ((size_t)128 << 10)
#define MAILDROP_PATH_MAX       4096
#define MAILDROP_NAME_ROOM      (MAILDROP_FILE_NAME_MAX + 1)
#define MAILDROP_WHY_MAX        256
#define MAILDROP_HOLD           "maildrop: " /* in front of the reason of a held entry that is to be returned */

/* A file that is known: waits for its turn, is in work, or waits for its time. */
struct maildrop_file {
    struct list node;
    char name[MAILDROP_FILE_NAME_MAX + 1];
    char trace[QUEUE_TRACE_MAX + 1]; /* given once, so that all lines about the file have the same */
    uint64_t due_ms;
    unsigned failures;
    bool taken; /* enqueued, but the file could not be removed */
};

/* -- work of the scan */
struct maildrop_scan {
    struct loop_work work;
    struct maildrop *m;
    const char *folder;
    struct str names; /* MAILDROP_NAME_ROOM each, NUL behind them, in order */
    struct ms_errinfo why;
    enum ms_err err;
};
void maildrop__scan_run(struct loop_work *work);
/* NAME -> NAME.bad (or .2.bad ...). Any work thread; says so in the log. */
void maildrop__put_aside(const char *folder, const char *name, const char *why);

/* -- one file */
enum drop_state { DROP_OPEN, DROP_ROUTE, DROP_SPLIT, DROP_READ, DROP_FEED, DROP_FINISH, DROP_POST, DROP_END };
/* How a file ends. */
enum drop_fate {
    DROP_UNDECIDED,
    DROP_REMOVE,    /* enqueued: the file goes */
    DROP_LATER,     /* trouble of ours: again after a while */
    DROP_PUT_ASIDE, /* damaged or not ours */
    DROP_KEEP,      /* nobody can take it: into the folder "refused" */
    DROP_GONE,      /* there is no such file any more */
};

/* What reading keeps; of the work thread while a work runs. */
struct drop_reader {
    int fd;
    uint64_t file_bytes, at; /* next byte to be read */
    uint32_t crc;
    struct str header; /* until all of it is there */
    bool header_done;
    uint8_t last; /* byte before, for line ends */
    struct mime_message message;
    struct mime_parser *parser;
    struct maildrop_fix fix;
    struct str cache;
    enum queue_class class_;
    bool ended;
};

struct drop_rcpt {
    struct route_answer answer;
    struct slice original; /* with domain */
    bool later;            /* refused for now */
    bool grouped;          /* is in an entry of the record being made */
};

struct maildrop_drop {
    struct list node;
    struct maildrop *m;
    struct maildrop_env env; /* of the time when it was begun; a reference of its conf */
    struct maildrop_file *file;
    enum drop_state state;
    enum drop_fate fate;
    struct loop_work work;
    struct arena arena;
    struct maildrop_mail mail;
    struct drop_rcpt *rcpts;
    size_t rcpt_at;
    size_t later;        /* number of recipients refused for now */
    uint64_t request;    /* of the router, or of the partition */
    struct slice sender; /* with domain */
    struct drop_reader in;
    struct str piece; /* final bytes of one read */
    struct part_body *body;
    struct bus_waiter waiter;
    struct queue_id first, *held;
    struct slice *held_why;
    size_t held_count;
    enum ms_err err; /* of the last work */
    char why[MAILDROP_WHY_MAX];
};

void maildrop__drop_start(struct maildrop *m, struct maildrop_file *file);
void maildrop__drop_free(struct maildrop_drop *d);
void maildrop__step(struct maildrop_drop *d); /* goes on as far as it can */
/* Decides the fate; the step goes on to the end. */
void maildrop__settle(struct maildrop_drop *d, enum drop_fate fate, enum ms_err err, const char *fmt, ...)
    MS_PRINTF(4, 5);

/* -- works (work thread) */
void maildrop__open_run(struct loop_work *work);
void maildrop__read_run(struct loop_work *work);  /* one piece */
void maildrop__split_run(struct loop_work *work); /* a file for the recipients that are refused for now */
void maildrop__end_run(struct loop_work *work);   /* what the fate asks for */
void maildrop__reader_fini(struct drop_reader *r);

/* -- recipients (loop) */
/* MS_EMORE: goes on by itself. MS_OK: every recipient has its answer. */
MS_MUST_USE enum ms_err maildrop__resolve(struct maildrop_drop *d);
/* MS_EFULL: a waiter is set. */
MS_MUST_USE enum ms_err maildrop__post(struct maildrop_drop *d, part_done_fn *done);
/* A word that may lack its domain, with it. */
struct slice maildrop__qualify(struct maildrop_drop *d, struct slice address);

struct maildrop {
    struct maildrop_env env;
    struct loop_pool *pool;
    struct loop_watch *watch;
    struct loop_timer timer, soon, held_timer;
    struct queue_id held_after;
    bool held_begun;
    struct maildrop_scan scan;
    bool scanning, scan_again;
    uint64_t scanned_ms; /* end of the last scan */
    struct map known;    /* name -> struct maildrop_file */
    struct list ready, deferred, drops;
    atomic_uint works;
    uint64_t messages; /* for trace ids */
    bool complained;   /* the log knows that the folder cannot be read */
    bool is_unwatched; /* or not be watched */
    atomic_bool stopping;
};
/* The drop is over: the file's fate decides what is kept of it. */
void maildrop__drop_over(struct maildrop_drop *d);
void maildrop__give_back(struct maildrop_drop *d);
void maildrop__held_start(struct maildrop *m);

#endif
