/*
 * imap.h - wire syntax of IMAP4rev1 (RFC 3501, with an eye on RFC 9051): command splitter, argument parsers,
 * emitters. Layer 2 (imap).   Uses: base, mime.
 *
 * One typical use, by a session that owns an input buffer:
 *
 *   for (;;) switch (imap_feed(&feed, slice_sub(input, used, SIZE_MAX), &n)), used += n:
 *     IMAP_FEED_MORE      read on
 *     IMAP_FEED_CONTINUE  send "+ OK" and go on
 *     IMAP_FEED_COMMAND   imap_cmd_parse(feed.text, &arena, &cmd) -> the session's table row, which names a
 * parser: imap_rd_init(&rd, cmd.args, &arena, utf8); row->parse(&rd, &args)   fails: BAD with rd.reason
 *     IMAP_FEED_LITERAL   the message of an APPEND begins: parse feed.text (imap_parse_append), then
 *                         imap_feed_accept (and send "+ OK" when feed.literal_sync) or imap_feed_refuse and
 * answer NO IMAP_FEED_DATA      feed.run holds message bytes IMAP_FEED_END       the APPEND command is
 * complete IMAP_FEED_BAD       answer BAD (imap_fault_text(feed.fault)); the rest of the command is thrown
 * away by the feed
 *
 * Threads:  pure functions; a value belongs to its caller.
 * Memory:   the feed holds the unfinished command only (a command that is whole in the input is not copied).
 * Parsed arguments live in the arena given; nothing points into the text. Limits:   named below and in struct
 * imap_limits; passing one is MS_ELIMIT or IMAP_FEED_BAD, nothing is ever cut.
 */
#ifndef MS_IMAP_H
#define MS_IMAP_H

#include "ms/base/arena.h"
#include "ms/base/slice.h"
#include "ms/base/str.h"

struct mime_message;
struct mime_envelope;

#define IMAP_LINE_MAX          65536 /* line part of a command, RFC 2683 3.2.1.5 asks for 8000 at least */
#define IMAP_LITERAL_MINUS_MAX 4096  /* RFC 7888 5 */
#define IMAP_TAG_MAX           128
#define IMAP_NAME_MAX          32  /* command name */
#define IMAP_FLAGS_MAX         128 /* keywords of one command */
#define IMAP_FLAG_BYTES_MAX    255
#define IMAP_MAILBOX_MAX       1024  /* bytes of a mailbox name in UTF-8 */
#define IMAP_RANGES_MAX        16384 /* ranges of one sequence set */
#define IMAP_SECTIONS_MAX      64    /* BODY[...] items of one FETCH */
#define IMAP_PARTS_MAX         64    /* numbers of one section part */
#define IMAP_FIELDS_MAX        256   /* names of one HEADER.FIELDS */
#define IMAP_SEARCH_DEPTH_MAX  32    /* nesting of NOT, OR and parentheses */
#define IMAP_SEARCH_KEYS_MAX   2048  /* keys of one SEARCH */
#define IMAP_LIST_PATTERNS_MAX 32
#define IMAP_OBJECTID_MAX      255 /* RFC 8474 7 */
#define IMAP_ID_PAIRS_MAX      30 /* RFC 2971 3.3 */
#define IMAP_ENABLE_MAX        32
#define IMAP_STRING_LITERAL_AT 1024 /* imap_emit_string: longer strings go as literals */

/* ---- splitting the stream into commands
 * ----------------------------------------------------------------------- */

/* May be exchanged between commands (before login small, afterwards larger). */
struct imap_limits {
    size_t line_bytes_max;      /* one line part of a command, with CRLF */
    size_t literal_bytes_max;   /* one collected literal */
    size_t command_bytes_max;   /* a whole collected command */
    uint64_t append_bytes_max;  /* message literal of APPEND: told by the session, which refuses larger ones; 0: APPEND literals
                                   are not streamed */
    uint64_t nonsync_bytes_max; /* {n+}: IMAP_LITERAL_MINUS_MAX when LITERAL- is offered; 0: as the others */
};

enum imap_feed_event {
    IMAP_FEED_MORE,
    IMAP_FEED_CONTINUE,
    IMAP_FEED_COMMAND,
    IMAP_FEED_LITERAL,
    IMAP_FEED_DATA,
    IMAP_FEED_END,
    IMAP_FEED_BAD,
};

/* X(fault, response code or NULL, text) */
#define IMAP_FAULT_MAP(X)                                                                                    \
    X(NONE, NULL, "ok")                                                                                      \
    X(LINE_LONG, "TOOBIG", "Command line too long")                                                          \
    X(LINE_END, NULL, "Lines end with CR LF")                                                                \
    X(LITERAL_SYNTAX, NULL, "Bad literal size")                                                              \
    X(LITERAL_BIG, "TOOBIG", "Literal too large")                                                            \
    X(COMMAND_BIG, "TOOBIG", "Command too large")                                                            \
    X(NUL, NULL, "NUL is not allowed")                                                                       \
    X(APPEND_SYNTAX, NULL, "Bad APPEND arguments")                                                           \
    X(APPEND_TRAIL, NULL, "Unexpected text behind the message")

enum imap_fault {
#define X(name, code, text) IMAP_FAULT_##name,
    IMAP_FAULT_MAP(X)
#undef X
        IMAP_FAULT_COUNT
};
const char *imap_fault_text(enum imap_fault fault);
const char *imap_fault_code(enum imap_fault fault); /* NULL: none */

struct imap_feed {
    const struct imap_limits *limits; /* borrowed; replaceable between commands */
    /* results of the last call */
    struct slice text;      /* COMMAND: the command without the last CRLF, literals inline as they came;
                               LITERAL: up to the "{"; BAD: what there is (for the tag). Valid until the next call
                               and      as long as the input is */
    struct slice run;       /* DATA: points into the input */
    uint64_t literal_bytes; /* LITERAL: announced size */
    uint32_t literal_index; /* LITERAL: 0 for the first message of an APPEND, then 1, 2 ... (MULTIAPPEND, RFC 3502): text
                               is then what stands behind the message before, which is complete, up to the "{" or "~{" */
    uint64_t discard_bytes; /* BAD, after refuse: announced bytes that will be thrown away; a large number is
                               a reason to say BYE instead */
    enum imap_fault fault;  /* BAD */
    bool literal_sync;      /* LITERAL: the client waits for "+" */
    bool literal_binary;    /* LITERAL: literal8 "~{n}" (RFC 3516 4.4, RFC 9051 9): NUL is allowed in it */
    bool has_nul; /* DATA, END: the message so far holds NUL bytes, which RFC 3501 4.3 forbids unless it is binary; what to do
                     is policy */
    /* private */
    uint8_t state;
    bool line_only;
    uint8_t tail_len;
    uint8_t tail[32];
    uint64_t left;
    size_t line_start;
    size_t scanned;
    struct str buf;
};

void imap_feed_init(struct imap_feed *f, const struct imap_limits *limits);
void imap_feed_fini(struct imap_feed *f);
/* Takes from in, stops at the first event. *used_out bytes are consumed (also with MORE: then all of in). A
 * line without literals that is whole in `in` is not copied. */
enum imap_feed_event imap_feed(struct imap_feed *f, struct slice in, size_t *used_out);
/* After IMAP_FEED_LITERAL, exactly one of both. Refused: the feed throws the literal away (non-synchronizing)
 * or knows that it will not come (synchronizing), and goes on with the next command; no END event follows. */
void imap_feed_accept(struct imap_feed *f);
void imap_feed_refuse(struct imap_feed *f);
/* The next line comes as IMAP_FEED_COMMAND without a look at literals: AUTHENTICATE exchanges, DONE. */
void imap_feed_expect_line(struct imap_feed *f);
/* true: between commands, nothing is held. */
bool imap_feed_is_idle(const struct imap_feed *f);
/* Releases the collected command's memory when idle. imap_feed keeps up to 1 KiB by itself. */
void imap_feed_shrink(struct imap_feed *f);

/* ---- tokens
 * --------------------------------------------------------------------------------------------------- */

/* Reader over one collected command. The first failure sets reason (static text for BAD) and is returned. */
struct imap_rd {
    const uint8_t *ptr;
    const uint8_t *end;
    struct arena *arena;
    const char *reason;
    bool utf8; /* mailbox names are UTF-8 (UTF8=ACCEPT, IMAP4rev2), not modified UTF-7 */
};

void imap_rd_init(struct imap_rd *rd, struct slice text, struct arena *arena, bool utf8);
/* Sets reason unless one is set; returns err. */
enum ms_err imap_rd_fail(struct imap_rd *rd, enum ms_err err, const char *reason);
static inline bool imap_rd_at_end(const struct imap_rd *rd)
{
    return rd->ptr == rd->end;
}
static inline int imap_rd_peek(const struct imap_rd *rd) /* -1 at the end */
{
    return rd->ptr < rd->end ? *rd->ptr : -1;
}
MS_MUST_USE enum ms_err imap_rd_end(struct imap_rd *rd); /* nothing may follow */
MS_MUST_USE enum ms_err imap_rd_sp(struct imap_rd *rd);
MS_MUST_USE enum ms_err imap_rd_byte(struct imap_rd *rd, uint8_t byte);
bool imap_rd_skip(struct imap_rd *rd, uint8_t byte);          /* takes it when it is there */
bool imap_rd_skip_word(struct imap_rd *rd, const char *word); /* case-insensitive, only as a whole atom */
MS_MUST_USE enum ms_err imap_rd_atom(struct imap_rd *rd, struct slice *out);
MS_MUST_USE enum ms_err imap_rd_string(struct imap_rd *rd, struct slice *out); /* quoted or literal */
MS_MUST_USE enum ms_err imap_rd_astring(struct imap_rd *rd, struct slice *out);
MS_MUST_USE enum ms_err imap_rd_nstring(struct imap_rd *rd, struct slice *out, bool *nil_out);
MS_MUST_USE enum ms_err imap_rd_number(struct imap_rd *rd, uint32_t *out);
MS_MUST_USE enum ms_err imap_rd_nz_number(struct imap_rd *rd, uint32_t *out);
MS_MUST_USE enum ms_err imap_rd_number64(struct imap_rd *rd, uint64_t *out); /* RFC 9051 9: 63 bits */
/* Mailbox name as UTF-8, INBOX in any case as "INBOX". MS_EINVAL: well-formed token, but no valid encoding
 * (say NO). */
MS_MUST_USE enum ms_err imap_rd_mailbox(struct imap_rd *rd, struct slice *out);
/* list-mailbox: as imap_rd_mailbox, with "%" and "*"; may be empty. */
MS_MUST_USE enum ms_err imap_rd_list_mailbox(struct imap_rd *rd, struct slice *out);
/* "1-Feb-2026", quoted or not: days since 1970-01-01. */
MS_MUST_USE enum ms_err imap_rd_date(struct imap_rd *rd, int32_t *days_out);

struct imap_date_time {
    int64_t unix_s; /* UTC */
    int16_t zone_minutes;
};
MS_MUST_USE enum ms_err imap_rd_date_time(struct imap_rd *rd, struct imap_date_time *out);

/* ---- flags
 * ---------------------------------------------------------------------------------------------------- */

enum imap_flag_bit {
    IMAP_FLAG_ANSWERED = 1 << 0,
    IMAP_FLAG_FLAGGED = 1 << 1,
    IMAP_FLAG_DELETED = 1 << 2,
    IMAP_FLAG_SEEN = 1 << 3,
    IMAP_FLAG_DRAFT = 1 << 4,
    IMAP_FLAG_RECENT = 1 << 5, /* emitted only: no client may set it */
};

struct imap_flags {
    unsigned system; /* IMAP_FLAG_* */
    uint32_t count;
    struct slice *keywords; /* as written, no doubles (case-insensitive) */
};

MS_MUST_USE enum ms_err imap_rd_flag_list(struct imap_rd *rd, struct imap_flags *out); /* with parentheses */

/* ---- sequence sets
 * -------------------------------------------------------------------------------------------- */

#define IMAP_SEQ_STAR                                                                                        \
    UINT32_MAX /* "*" until resolved; 4294967295 itself is no valid UID here (RFC 3501 9 nz-number) */

struct imap_range {
    uint32_t lo;
    uint32_t hi; /* inclusive; parsed as written, may be below lo until resolved */
};

struct imap_seqset {
    struct imap_range *ranges;
    uint32_t count;
    bool has_star;
    bool is_saved; /* "$" (RFC 5182, RFC 9051 6.4.4.1): no ranges, the session puts the saved UIDs in */
};

/* "$" alone: is_saved. */
MS_MUST_USE enum ms_err imap_rd_seqset(struct imap_rd *rd, struct imap_seqset *out);
MS_MUST_USE enum ms_err imap_seqset_parse(struct slice text, struct arena *arena, struct imap_seqset *out);
/* In place: "*" becomes max, ranges ascending, merged. max == 0 (empty mailbox): ranges that hold "*" go
 * away. Needed once before contains and next. */
void imap_seqset_resolve(struct imap_seqset *set, uint32_t max);
bool imap_seqset_contains(const struct imap_seqset *set, uint32_t n);
/* Smallest member >= from; 0 when there is none. */
uint32_t imap_seqset_next(const struct imap_seqset *set, uint32_t from);
uint32_t imap_seqset_max(const struct imap_seqset *set);  /* 0 when empty; resolved sets */
uint64_t imap_seqset_size(const struct imap_seqset *set); /* members; resolved sets */
void imap_seqset_emit(struct str *out, const struct imap_range *ranges, size_t count);
void imap_seqset_emit_numbers(struct str *out, const uint32_t *sorted, size_t count); /* ascending */

/* ---- FETCH
 * ---------------------------------------------------------------------------------------------------- */

enum imap_fetch_bit {
    IMAP_FETCH_FLAGS = 1 << 0,
    IMAP_FETCH_UID = 1 << 1,
    IMAP_FETCH_INTERNALDATE = 1 << 2,
    IMAP_FETCH_SIZE = 1 << 3, /* RFC822.SIZE */
    IMAP_FETCH_ENVELOPE = 1 << 4,
    IMAP_FETCH_BODY = 1 << 5, /* BODY without extension data */
    IMAP_FETCH_BODYSTRUCTURE = 1 << 6,
    IMAP_FETCH_MODSEQ = 1 << 7,
    IMAP_FETCH_EMAILID = 1 << 8,   /* RFC 8474 5.1 */
    IMAP_FETCH_THREADID = 1 << 9,  /* RFC 8474 5.2 */
    IMAP_FETCH_SAVEDATE = 1 << 10, /* RFC 8514 4.2 */
};

enum imap_section_name { /* how the item is named in the answer */
                         IMAP_NAME_BODY,
                         IMAP_NAME_RFC822,
                         IMAP_NAME_RFC822_HEADER,
                         IMAP_NAME_RFC822_TEXT,
                         IMAP_NAME_BINARY,
                         IMAP_NAME_BINARY_SIZE,
};
enum imap_section_text {
    IMAP_TEXT_ALL, /* nothing behind the part number: BODY[], BODY[1.2] */
    IMAP_TEXT_HEADER,
    IMAP_TEXT_HEADER_FIELDS,
    IMAP_TEXT_HEADER_FIELDS_NOT,
    IMAP_TEXT_TEXT,
    IMAP_TEXT_MIME,
};

struct imap_section {
    enum imap_section_name name;
    enum imap_section_text text;
    bool peek; /* does not set \Seen */
    bool has_partial;
    uint32_t part_count;
    uint32_t field_count;
    uint32_t *parts;      /* 1-based */
    struct slice *fields; /* as written */
    uint64_t partial_off;
    uint64_t partial_len;
};

struct imap_fetch {
    struct imap_seqset set;
    unsigned items; /* IMAP_FETCH_* */
    uint32_t section_count;
    struct imap_section *sections;
    bool has_changedsince; /* RFC 7162 3.1.4 */
    bool vanished;         /* RFC 7162 3.2.6 */
    uint64_t changedsince;
};

/* ---- SEARCH
 * --------------------------------------------------------------------------------------------------- */

enum imap_search_op {
    IMAP_SEARCH_ALL,
    IMAP_SEARCH_AND,     /* child list, >= 1 */
    IMAP_SEARCH_OR,      /* exactly two children */
    IMAP_SEARCH_NOT,     /* one child */
    IMAP_SEARCH_SEQ,     /* set */
    IMAP_SEARCH_UID,     /* set */
    IMAP_SEARCH_FLAG,    /* flag is set. NEW is AND(FLAG recent, NOT FLAG seen), OLD is NOT FLAG recent */
    IMAP_SEARCH_KEYWORD, /* text */
    IMAP_SEARCH_BEFORE,  /* INTERNALDATE: days */
    IMAP_SEARCH_ON,
    IMAP_SEARCH_SINCE,
    IMAP_SEARCH_SENTBEFORE, /* Date: field: days */
    IMAP_SEARCH_SENTON,
    IMAP_SEARCH_SENTSINCE,
    IMAP_SEARCH_LARGER, /* number */
    IMAP_SEARCH_SMALLER,
    IMAP_SEARCH_OLDER, /* RFC 5032: number of seconds */
    IMAP_SEARCH_YOUNGER,
    IMAP_SEARCH_MODSEQ, /* RFC 7162 3.1.5: number; an entry name and type are checked and have no effect */
    IMAP_SEARCH_BCC,    /* text */
    IMAP_SEARCH_CC,
    IMAP_SEARCH_FROM,
    IMAP_SEARCH_TO,
    IMAP_SEARCH_SUBJECT,
    IMAP_SEARCH_HEADER, /* field, text */
    IMAP_SEARCH_BODY,
    IMAP_SEARCH_TEXT,
    IMAP_SEARCH_SAVEDBEFORE, /* RFC 8514 4.3: days */
    IMAP_SEARCH_SAVEDON,
    IMAP_SEARCH_SAVEDSINCE,
    IMAP_SEARCH_SAVEDATESUPPORTED,
    IMAP_SEARCH_EMAILID, /* RFC 8474 6: text */
    IMAP_SEARCH_THREADID,
};

struct imap_search_key {
    enum imap_search_op op;
    unsigned flag; /* IMAP_FLAG_*, one bit */
    int32_t days;
    uint64_t number;
    struct slice text; /* in the charset of the command */
    struct slice field;
    struct imap_seqset set; /* not resolved */
    struct imap_search_key *child;
    struct imap_search_key *next;
};

enum imap_search_return {
    IMAP_RETURN_MIN = 1 << 0,
    IMAP_RETURN_MAX = 1 << 1,
    IMAP_RETURN_ALL = 1 << 2,
    IMAP_RETURN_COUNT = 1 << 3,
    IMAP_RETURN_SAVE = 1 << 4,
};

struct imap_search {
    bool has_return;              /* RETURN (...) was given: answer with ESEARCH (RFC 4731, RFC 9051 6.4.4) */
    unsigned ret;                 /* IMAP_RETURN_*; RETURN () is ALL */
    struct slice charset;         /* empty: not given */
    struct imap_search_key *root; /* AND of the top-level keys */
    uint32_t key_count;
    bool has_text; /* some key needs strings compared */
    bool has_modseq; /* some key is MODSEQ: the answer names the highest one (RFC 7162 3.1.5) */
};

/* ---- other commands
 * ------------------------------------------------------------------------------------------- */

enum imap_status_bit {
    IMAP_STATUS_MESSAGES = 1 << 0,
    IMAP_STATUS_RECENT = 1 << 1,
    IMAP_STATUS_UIDNEXT = 1 << 2,
    IMAP_STATUS_UIDVALIDITY = 1 << 3,
    IMAP_STATUS_UNSEEN = 1 << 4,
    IMAP_STATUS_DELETED = 1 << 5,       /* RFC 9051 */
    IMAP_STATUS_SIZE = 1 << 6,          /* RFC 8438, RFC 9051 */
    IMAP_STATUS_HIGHESTMODSEQ = 1 << 7, /* RFC 7162 */
    IMAP_STATUS_MAILBOXID = 1 << 8,     /* RFC 8474 4.3 */
    IMAP_STATUS_APPENDLIMIT = 1 << 9,   /* RFC 7889 3.1 */
};

enum imap_list_bit {
    IMAP_LIST_SEL_SUBSCRIBED = 1 << 0, /* RFC 5258 3.1 selection options */
    IMAP_LIST_SEL_REMOTE = 1 << 1,
    IMAP_LIST_SEL_RECURSIVEMATCH = 1 << 2,
    IMAP_LIST_SEL_SPECIAL_USE = 1 << 3, /* RFC 6154 */
    IMAP_LIST_RET_SUBSCRIBED = 1 << 4,  /* RFC 5258 3.2 return options */
    IMAP_LIST_RET_CHILDREN = 1 << 5,
    IMAP_LIST_RET_SPECIAL_USE = 1 << 6,
    IMAP_LIST_RET_STATUS = 1 << 7, /* RFC 5819, with status_items */
    IMAP_LIST_EXTENDED = 1 << 8,   /* selection options, several patterns or RETURN were used */
};

struct imap_pair {
    struct slice key;
    struct slice value;
    bool value_nil;
};

/* What a parser fills; which member, the parser's name says. */
union imap_args {
    struct {
        struct slice user;
        struct slice password;
    } login;
    struct {
        struct slice mech;
        struct slice initial; /* base64 text; "=": empty (RFC 4959 3) */
        bool has_initial;
    } authenticate;
    struct {
        struct slice mailbox;
        bool condstore;   /* RFC 7162 3.1.8 */
        bool has_qresync; /* RFC 7162 3.2.5; known UIDs and match data are parsed and checked */
        uint32_t uidvalidity;
        uint64_t modseq;
        struct imap_seqset known_uids;  /* empty: not given, all UIDs */
        struct imap_seqset match_seqs, match_uids; /* RFC 7162 3.2.5.2, equally many of both; empty: not given */
    } select; /* SELECT EXAMINE */
    struct {
        struct slice mailbox;
        struct slice use; /* RFC 6154 3: CREATE x (USE (\Sent ...)): attributes as written, blank-separated */
        uint32_t uidvalidity; /* X-UIDVALIDITY n: as append.uid */
    } mailbox;            /* CREATE DELETE SUBSCRIBE UNSUBSCRIBE */
    struct {
        struct slice from;
        struct slice to;
    } rename;
    struct {
        struct slice reference;
        struct slice *patterns;
        uint32_t pattern_count;
        unsigned opts;         /* IMAP_LIST_* */
        unsigned status_items; /* IMAP_STATUS_* */
    } list;                    /* LIST LSUB */
    struct {
        struct slice mailbox;
        unsigned items; /* IMAP_STATUS_* */
    } status;
    struct {
        struct slice mailbox;
        struct imap_flags flags;
        bool has_date;
        struct imap_date_time date;
        uint32_t uid; /* X-UID n: ours, for import; the session allows it on the local socket only. 0: not given */
    } append;
    struct imap_fetch fetch;
    struct {
        struct imap_seqset set;
        int8_t op; /* '+', '-', or '=' for FLAGS */
        bool silent;
        struct imap_flags flags;
        bool has_unchangedsince; /* RFC 7162 3.1.3 */
        uint64_t unchangedsince;
    } store;
    struct imap_search search;
    struct {
        struct imap_seqset set;
        struct slice mailbox;
    } copy; /* COPY MOVE */
    struct {
        struct imap_seqset set;
    } uid_expunge; /* RFC 4315 2.1 */
    struct {
        bool nil;
        uint32_t count;
        struct imap_pair *pairs;
    } id;
    struct {
        uint32_t count;
        struct slice *names;
    } enable;
};

struct imap_cmd {
    struct slice tag;  /* empty when even the tag is bad: answer with "*" */
    struct slice name; /* as written; without the UID prefix */
    bool uid;          /* UID FETCH, UID STORE, ... */
    bool has_args;
    struct slice args; /* points into the text: behind the blank after the name */
};

/* tag and name are copied to the arena. MS_ESYNTAX: *reason_out says why; cmd->tag is set when it could be
 * read. */
MS_MUST_USE enum ms_err imap_cmd_parse(struct slice text, struct arena *arena, struct imap_cmd *cmd,
                                       const char **reason_out);

/* One per command, for the rows of a command table. rd is at cmd.args; each checks that nothing follows.
 * MS_ESYNTAX: BAD with rd->reason; MS_EUNSUPPORTED, MS_EINVAL, MS_ELIMIT: NO or BAD by imap_code_for_err,
 * with rd->reason as text. */
typedef enum ms_err (*imap_parse_fn)(struct imap_rd *rd, union imap_args *args);
MS_MUST_USE enum ms_err imap_parse_none(struct imap_rd *rd, union imap_args *args);
MS_MUST_USE enum ms_err imap_parse_login(struct imap_rd *rd, union imap_args *args);
MS_MUST_USE enum ms_err imap_parse_authenticate(struct imap_rd *rd, union imap_args *args);
MS_MUST_USE enum ms_err imap_parse_select(struct imap_rd *rd, union imap_args *args);
MS_MUST_USE enum ms_err imap_parse_create(struct imap_rd *rd, union imap_args *args);
MS_MUST_USE enum ms_err imap_parse_mailbox(struct imap_rd *rd,
                                           union imap_args *args); /* DELETE (UN)SUBSCRIBE */
MS_MUST_USE enum ms_err imap_parse_rename(struct imap_rd *rd, union imap_args *args);
MS_MUST_USE enum ms_err imap_parse_list(struct imap_rd *rd, union imap_args *args);
MS_MUST_USE enum ms_err imap_parse_lsub(struct imap_rd *rd, union imap_args *args);
MS_MUST_USE enum ms_err imap_parse_status(struct imap_rd *rd, union imap_args *args);
/* The text of IMAP_FEED_LITERAL: up to and with the blank before the literal. */
MS_MUST_USE enum ms_err imap_parse_append(struct imap_rd *rd, union imap_args *args);
/* The same of a further message: from the blank behind the message before (RFC 3502); append.mailbox is left alone. */
MS_MUST_USE enum ms_err imap_parse_append_next(struct imap_rd *rd, union imap_args *args);
MS_MUST_USE enum ms_err imap_parse_fetch(struct imap_rd *rd, union imap_args *args);
MS_MUST_USE enum ms_err imap_parse_store(struct imap_rd *rd, union imap_args *args);
MS_MUST_USE enum ms_err imap_parse_search(struct imap_rd *rd, union imap_args *args);
MS_MUST_USE enum ms_err imap_parse_copy(struct imap_rd *rd, union imap_args *args); /* COPY MOVE */
MS_MUST_USE enum ms_err imap_parse_uid_expunge(struct imap_rd *rd, union imap_args *args);
MS_MUST_USE enum ms_err imap_parse_id(struct imap_rd *rd, union imap_args *args);
MS_MUST_USE enum ms_err imap_parse_enable(struct imap_rd *rd, union imap_args *args);

/* ---- LIST wildcards
 * ------------------------------------------------------------------------------------------- */

/* "*" matches anything, "%" anything without sep. INBOX is compared case-insensitively (RFC 3501 5.1). A match costs
 * name x pattern / 64 steps at most, whatever they are. */
struct imap_pattern;
/* In the arena. MS_ELIMIT: longer than IMAP_MAILBOX_MAX, or the arena is full. */
MS_MUST_USE enum ms_err imap_pattern_create(struct arena *arena, struct slice text, char sep,
                                            struct imap_pattern **out);
bool imap_pattern_match(const struct imap_pattern *p, struct slice name);
/* What is below a name that it matches, it matches too. */
bool imap_pattern_ends_in_star(const struct imap_pattern *p);
/* Once, without a pattern kept. */
bool imap_list_match(struct slice pattern, struct slice name, char sep);

/* ---- emitting
 * ------------------------------------------------------------------------------------------------- */

/* Quoted when possible, else a literal: 8-bit, CR, LF, NUL (dropped) or longer than IMAP_STRING_LITERAL_AT.
 */
void imap_emit_string(struct str *out, struct slice s);
void imap_emit_nstring(struct str *out, struct slice s, bool nil);
void imap_emit_astring(struct str *out, struct slice s);
void imap_emit_literal_head(struct str *out, uint64_t bytes); /* "{n}\r\n" */
/* utf8: the client speaks UTF-8 names; else modified UTF-7. */
void imap_emit_mailbox(struct str *out, struct slice utf8_name, bool utf8);
/* "(\Seen kw)" */
void imap_emit_flags(struct str *out, unsigned system, const struct slice *keywords, size_t count);
/* "\"17-Jul-1996 02:44:25 -0700\"" with the quotes */
void imap_emit_date_time(struct str *out, int64_t unix_s, int zone_minutes);
/* The item name of an answer: BODY[1.HEADER.FIELDS (A B)]<0>, RFC822.TEXT, ... */
void imap_emit_section(struct str *out, const struct imap_section *section);

/* RFC 3501 7.4.2: ENVELOPE, and BODYSTRUCTURE (extended) or BODY, from what mime has parsed. */
void imap_envelope_emit(struct str *out, const struct mime_envelope *env);
/* scratch is reset for every part. */
void imap_bodystructure_emit(struct str *out, const struct mime_message *m, bool extended, struct arena *scratch);

struct imap_status {
    const char *status; /* "OK", "NO", "BAD", "BYE", "PREAUTH" */
    const char *code;   /* response code without brackets, or NULL */
    const char *text;
};
/* "tag NO [CODE] text CRLF"; an empty tag is "*". Control bytes of the text become '?'. */
void imap_emit_status(struct str *out, struct slice tag, struct imap_status status);
/* Total: what a client is told about an internal result (RFC 5530 codes). */
struct imap_status imap_code_for_err(enum ms_err err);

#endif
