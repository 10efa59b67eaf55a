/*
 * smtp.h - wire syntax of SMTP and LMTP, receiving side: lines, commands, paths, DATA, replies.
 * Layer 1 (smtp).   Uses: base.
 *
 * One typical use, by a session that owns an input buffer:
 *
 *   smtp_line_find(&lines, input, &line, &used)        MS_EMORE: read on
 *   smtp_verb_parse(line, &args) -> verb               the session's table row, which names a parser
 *   row->parse(args, &opts, &cmd)                      fails: smtp_reply_emit(out,
 * smtp_reply_for_fault(cmd.fault))
 *   ... cmd.mail.from, cmd.mail.size ...
 *   smtp_data_init(&data, line_bytes_max); loop: smtp_data_feed(&data, input, runs, n, &count) until data.end
 *   smtp_reply_emit(out, smtp_reply_for_err(err, SMTP_AT_END))
 *
 * Threads:  pure functions; a value belongs to its caller.
 * Memory:   results of a command parser live in opts->arena, nothing points into the line. Data runs point
 * into the input (or at constant bytes), so they are valid as long as the input is. Limits:   named below;
 * what passes one is refused with a fault, never cut.
 */
#ifndef MS_SMTP_H
#define MS_SMTP_H

#include "ms/base/arena.h"
#include "ms/base/slice.h"
#include "ms/base/str.h"

#define SMTP_LINE_MAX        512   /* RFC 5321 4.5.3.1.4: command line with CRLF */
#define SMTP_LINE_EXT_MAX    2048  /* the same with the growth of SIZE, DSN, AUTH and SMTPUTF8 parameters */
#define SMTP_LINE_AUTH_MAX   12288 /* RFC 4954 4: base64 lines of an AUTH exchange */
#define SMTP_LOCAL_MAX       64    /* RFC 5321 4.5.3.1.1 */
#define SMTP_DOMAIN_MAX      255   /* RFC 5321 4.5.3.1.2 */
#define SMTP_LABEL_MAX       63    /* RFC 1035 2.3.4 */
#define SMTP_PATH_MAX        256   /* RFC 5321 4.5.3.1.3: with the angle brackets */
#define SMTP_REPLY_LINE_MAX  512   /* RFC 5321 4.5.3.1.5: with code and CRLF */
#define SMTP_DATA_LINE_MAX   1000  /* RFC 5321 4.5.3.1.6: with CRLF, without the stuffed dot */
#define SMTP_ENVID_MAX       100   /* RFC 3461 5.4 */
#define SMTP_ORCPT_MAX       500   /* RFC 3461 5.4 */
#define SMTP_AUTH_PARAM_MAX  500   /* RFC 4954 5 */
#define SMTP_PARAMS_MAX      16    /* parameters of one command */
#define SMTP_SIZE_DIGITS_MAX 20    /* RFC 1870 3; a value above UINT64_MAX is taken as UINT64_MAX */

/* ---- lines
 * ---------------------------------------------------------------------------------------------------- */

/* Finds command lines in a buffer. Only CRLF ends a line (RFC 5321 2.3.8). What is too long or holds a bare
 * LF is reported at once, then dropped up to its CRLF, so nothing of it is ever taken for a command. */
struct smtp_line {
    size_t bytes_max; /* with CRLF; the session may change it between lines */
    size_t scanned;   /* bytes of the unfinished line that hold no LF */
    bool skipping;    /* inside a line that was refused */
    bool ends_cr;     /* while skipping: the last byte dropped was CR */
};

void smtp_line_init(struct smtp_line *l, size_t bytes_max);
/* in        everything not used up yet, from the start of the unfinished line
 * line_out  the line without CRLF, points into in (empty unless MS_OK)
 * used_out  bytes to drop from the front of in
 * MS_EMORE: no end of line yet, call again with more behind what is left. MS_ELIMIT: a line is longer than
 * bytes_max. MS_ESYNTAX: a bare LF. After both call again at once: the rest of that line is dropped silently.
 */
MS_MUST_USE enum ms_err smtp_line_find(struct smtp_line *l, struct slice in, struct slice *line_out,
                                       size_t *used_out);

/* ---- commands
 * ------------------------------------------------------------------------------------------------- */

#define SMTP_VERB_MAP(X)                                                                                     \
    X(HELO)                                                                                                  \
    X(EHLO)                                                                                                  \
    X(LHLO)                                                                                                  \
    X(MAIL) X(RCPT) X(DATA) X(BDAT) X(RSET) X(NOOP) X(QUIT) X(VRFY) X(EXPN) X(HELP) X(STARTTLS) X(AUTH)

enum smtp_verb {
    SMTP_VERB_UNKNOWN,
#define X(name) SMTP_VERB_##name,
    SMTP_VERB_MAP(X)
#undef X
        SMTP_VERB_COUNT
};

/* "MAIL"; "?" for UNKNOWN. */
const char *smtp_verb_name(enum smtp_verb verb);
/* Splits at the first blank. args_out: what follows, without blanks at both ends. Case-insensitive (RFC
 * 5321 2.4). */
enum smtp_verb smtp_verb_parse(struct slice line, struct slice *args_out);

/* Why a command was refused, with the reply it gets: X(fault, code, enhanced code, text). */
#define SMTP_FAULT_MAP(X)                                                                                    \
    X(NONE, 250, "2.0.0", "OK")                                                                              \
    X(LINE_LONG, 500, "5.5.2", "Line too long")                                                              \
    X(LINE_END, 500, "5.5.2", "Lines end with CR LF")                                                        \
    X(VERB, 500, "5.5.1", "Command not recognized")                                                          \
    X(NO_ARGS, 501, "5.5.4", "No arguments allowed")                                                         \
    X(NEED_ARGS, 501, "5.5.4", "Argument missing")                                                           \
    X(HELO_NAME, 501, "5.5.4", "Domain name or address literal expected")                                    \
    X(MAIL_SYNTAX, 501, "5.5.2", "Syntax: MAIL FROM:<address> [parameters]")                                 \
    X(RCPT_SYNTAX, 501, "5.5.2", "Syntax: RCPT TO:<address> [parameters]")                                   \
    X(FROM_PATH, 501, "5.1.7", "Bad sender address syntax")                                                  \
    X(TO_PATH, 501, "5.1.3", "Bad recipient address syntax")                                                 \
    X(LOCAL_LONG, 501, "5.1.3", "Local part too long")                                                       \
    X(DOMAIN_LONG, 501, "5.1.3", "Domain too long")                                                          \
    X(PATH_LONG, 501, "5.1.3", "Path too long")                                                              \
    X(PATH_UTF8, 553, "5.6.7", "Non-ASCII addresses need the SMTPUTF8 parameter")                            \
    X(PATH_ENCODING, 553, "5.6.7", "Address is not valid UTF-8")                                             \
    X(PARAM_SYNTAX, 501, "5.5.4", "Bad parameter syntax")                                                    \
    X(PARAM_UNKNOWN, 555, "5.5.4", "Parameter not recognized or not implemented")                            \
    X(PARAM_TWICE, 501, "5.5.4", "Parameter given twice")                                                    \
    X(PARAM_VALUE, 501, "5.5.4", "Bad parameter value")                                                      \
    X(PARAM_MANY, 501, "5.5.4", "Too many parameters")                                                       \
    X(BDAT_SYNTAX, 501, "5.5.4", "Syntax: BDAT size [LAST]")                                                 \
    X(AUTH_SYNTAX, 501, "5.5.4", "Syntax: AUTH mechanism [initial-response]")                                \
    X(MEMORY, 452, "4.3.1", "Insufficient resources")

enum smtp_fault {
#define X(name, code, enh, text) SMTP_FAULT_##name,
    SMTP_FAULT_MAP(X)
#undef X
        SMTP_FAULT_COUNT
};

/* Bits: parameters of MAIL and RCPT. */
enum smtp_param_bit {
    SMTP_PARAM_SIZE = 1 << 0,     /* MAIL, RFC 1870 */
    SMTP_PARAM_BODY = 1 << 1,     /* MAIL, RFC 6152, RFC 3030 */
    SMTP_PARAM_SMTPUTF8 = 1 << 2, /* MAIL, RFC 6531 */
    SMTP_PARAM_RET = 1 << 3,      /* MAIL, RFC 3461 */
    SMTP_PARAM_ENVID = 1 << 4,    /* MAIL, RFC 3461 */
    SMTP_PARAM_AUTH = 1 << 5,     /* MAIL, RFC 4954 */
    SMTP_PARAM_NOTIFY = 1 << 6,   /* RCPT, RFC 3461 */
    SMTP_PARAM_ORCPT = 1 << 7,    /* RCPT, RFC 3461 */
    SMTP_PARAM_DSN = SMTP_PARAM_RET | SMTP_PARAM_ENVID | SMTP_PARAM_NOTIFY | SMTP_PARAM_ORCPT,
};

struct smtp_parse_opts {
    struct arena *arena;
    unsigned params; /* SMTP_PARAM_* the session offered; another one is SMTP_FAULT_PARAM_UNKNOWN */
    bool binary;     /* BODY=BINARYMIME was offered (CHUNKING and BINARYMIME) */
    bool utf8; /* RCPT, VRFY, EXPN: the transaction is SMTPUTF8. MAIL looks at its own parameter instead */
};

/* An address. The null reverse path has is_null and empty slices; "postmaster" alone (RFC 5321 4.5.1) has
 * local "postmaster" as written and no domain. */
struct smtp_path {
    struct slice
        address; /* as it goes on the wire without brackets and source route; quoted only where needed */
    struct slice local;  /* quoting undone */
    struct slice domain; /* as written; an address literal with its brackets */
    bool is_null;
    bool is_literal; /* domain is [1.2.3.4], [IPv6:...] or [tag:...] */
    bool is_utf8;    /* has bytes above 0x7f */
};

enum smtp_body { SMTP_BODY_7BIT, SMTP_BODY_8BITMIME, SMTP_BODY_BINARYMIME };
enum smtp_ret { SMTP_RET_NONE, SMTP_RET_FULL, SMTP_RET_HDRS };
enum smtp_notify {
    SMTP_NOTIFY_NEVER = 1 << 0,
    SMTP_NOTIFY_SUCCESS = 1 << 1,
    SMTP_NOTIFY_FAILURE = 1 << 2,
    SMTP_NOTIFY_DELAY = 1 << 3,
};

struct smtp_cmd {
    enum smtp_fault fault; /* NONE when the parser gave MS_OK */
    union {
        struct {
            struct slice name; /* as written; an address literal with brackets */
            bool is_literal;
            bool is_valid; /* false: not a host name by RFC 5321 4.1.2, but harmless; refusing it is policy */
        } helo;            /* HELO EHLO LHLO */
        struct {
            struct smtp_path from;
            unsigned params; /* SMTP_PARAM_* that were given */
            uint64_t size;   /* declared; 0 when not given */
            enum smtp_body body;
            enum smtp_ret ret;
            struct slice envid; /* xtext undone */
            struct slice auth;  /* xtext undone; "<>" for the empty identity */
        } mail;
        struct {
            struct smtp_path to;
            unsigned params;
            unsigned notify;         /* SMTP_NOTIFY_*; 0 when not given */
            struct slice orcpt_type; /* "rfc822", as written */
            struct slice orcpt;      /* xtext undone */
        } rcpt;
        struct {
            uint64_t size;
            bool last;
        } bdat;
        struct {
            struct slice mech;
            struct slice initial; /* base64 text; "=" means an empty one (RFC 4954 4) */
            bool has_initial;
        } auth;
        struct {
            struct slice text;
        } text; /* VRFY EXPN HELP NOOP */
    };
};

/* One per verb, for the rows of a command table. args as from smtp_verb_parse. MS_ESYNTAX, MS_EUNSUPPORTED
 * (unknown parameter), MS_EINVAL (bad value), MS_ELIMIT (a length or arena bound): cmd->fault says which. */
typedef enum ms_err (*smtp_parse_fn)(struct slice args, const struct smtp_parse_opts *opts,
                                     struct smtp_cmd *cmd);
MS_MUST_USE enum ms_err smtp_parse_none(struct slice args, const struct smtp_parse_opts *opts,
                                        struct smtp_cmd *cmd);
MS_MUST_USE enum ms_err smtp_parse_text(struct slice args, const struct smtp_parse_opts *opts,
                                        struct smtp_cmd *cmd);
/* as smtp_parse_text, but an argument is required (VRFY, EXPN) */
MS_MUST_USE enum ms_err smtp_parse_text1(struct slice args, const struct smtp_parse_opts *opts,
                                         struct smtp_cmd *cmd);
MS_MUST_USE enum ms_err smtp_parse_helo(struct slice args, const struct smtp_parse_opts *opts,
                                        struct smtp_cmd *cmd);
MS_MUST_USE enum ms_err smtp_parse_mail(struct slice args, const struct smtp_parse_opts *opts,
                                        struct smtp_cmd *cmd);
MS_MUST_USE enum ms_err smtp_parse_rcpt(struct slice args, const struct smtp_parse_opts *opts,
                                        struct smtp_cmd *cmd);
MS_MUST_USE enum ms_err smtp_parse_bdat(struct slice args, const struct smtp_parse_opts *opts,
                                        struct smtp_cmd *cmd);
MS_MUST_USE enum ms_err smtp_parse_auth(struct slice args, const struct smtp_parse_opts *opts,
                                        struct smtp_cmd *cmd);
/* The parser of a verb: smtp_parse_none for DATA, RSET, QUIT, STARTTLS. NULL for UNKNOWN. */
smtp_parse_fn smtp_parser_get(enum smtp_verb verb);

/* ---- paths
 * ---------------------------------------------------------------------------------------------------- */

enum smtp_path_kind {
    SMTP_PATH_REVERSE, /* "<>" allowed */
    SMTP_PATH_FORWARD, /* "<postmaster>" allowed */
};

/* "<" [source route] mailbox ">" at the front of *rest, which is moved behind it. *fault_out on failure. */
MS_MUST_USE enum ms_err smtp_path_parse(struct slice *rest, enum smtp_path_kind kind, bool utf8,
                                        struct arena *arena, struct smtp_path *path_out,
                                        enum smtp_fault *fault_out);
/* A bare mailbox (no brackets, the whole slice), as from configuration or a command line. */
MS_MUST_USE enum ms_err smtp_mailbox_parse(struct slice text, bool utf8, struct arena *arena,
                                           struct smtp_path *path_out, enum smtp_fault *fault_out);
/* local@domain in wire form: local quoted only when it is no dot-string. domain may be empty. */
void smtp_mailbox_emit(struct str *out, struct slice local, struct slice domain);
bool smtp_domain_is_valid(struct slice name,
                          bool utf8);          /* RFC 5321 4.1.2 Domain, with the lengths of RFC 1035 */
bool smtp_literal_is_valid(struct slice text); /* RFC 5321 4.1.3, with brackets */
/* RFC 3461 4. */
MS_MUST_USE enum ms_err smtp_xtext_parse(struct slice in, struct str *out);
void smtp_xtext_emit(struct str *out, struct slice in);

/* ---- message data
 * --------------------------------------------------------------------------------------------- */

enum smtp_data_flag {
    SMTP_DATA_BARE_CR = 1 << 0,
    SMTP_DATA_BARE_LF = 1 << 1,
    SMTP_DATA_NUL = 1 << 2,
    SMTP_DATA_LINE_LONG = 1 << 3, /* a line longer than line_bytes_max */
};

/* Reader of DATA: undoes dot stuffing, finds the end. Only CRLF "." CRLF ends (RFC 5321 4.1.1.4); bare CR,
 * bare LF and NUL are data, are flagged, and neither end nor hide the end. The session reads to the end and
 * then decides. */
struct smtp_data {
    uint8_t state;
    bool end;                /* CRLF "." CRLF was seen */
    unsigned flags;          /* SMTP_DATA_*, seen so far */
    uint32_t line_bytes_max; /* 0: no check */
    uint64_t line_bytes;     /* of the unfinished line */
    uint64_t bytes;          /* given out so far */
};

void smtp_data_init(struct smtp_data *d, uint32_t line_bytes_max);
/* Takes in, gives runs whose concatenation is the message. runs_max >= 2. Returns the bytes used, which is
 * less than in.len only when the end was seen or runs is full. The last CRLF before the dot belongs to the
 * message. */
size_t smtp_data_feed(struct smtp_data *d, struct slice in, struct slice *runs, size_t runs_max,
                      size_t *count_out);

/* The content of BDAT chunks, which has neither dots nor an end of its own: notes bare CR and LF and counts.
 * NUL is not noted: BDAT may carry it. */
void smtp_data_scan(struct smtp_data *d, struct slice in);
void smtp_data_scan_end(struct smtp_data *d); /* behind the last chunk: a CR there is bare */

/* Makes each bare CR and LF of a message's content CRLF. A zeroed struct begins. */
struct smtp_eol {
    bool ends_cr; /* the last byte given out was CR */
};
/* runs_max >= 3. Returns the bytes used, less than in.len only when runs is full. Runs point into in or at
 * constant bytes; at most twice as many bytes as in come out. */
size_t smtp_eol_feed(struct smtp_eol *e, struct slice in, struct slice *runs, size_t runs_max,
                     size_t *count_out);
struct slice smtp_eol_end(struct smtp_eol *e); /* what is still missing behind the last byte; may be empty */

/* Reader of one BDAT chunk (RFC 3030 2): bytes as they are. */
struct smtp_bdat {
    uint64_t left;
    bool last;
};
static inline void smtp_bdat_init(struct smtp_bdat *b, uint64_t size, bool last)
{
    *b = (struct smtp_bdat){.left = size, .last = last};
}
/* The part of in that belongs to the chunk; done when left == 0. */
static inline struct slice smtp_bdat_feed(struct smtp_bdat *b, struct slice in)
{
    struct slice run = slice_sub(in, 0, b->left < in.len ? (size_t)b->left : in.len);
    b->left -= run.len;
    return run;
}

/* ---- replies
 * -------------------------------------------------------------------------------------------------- */

struct smtp_reply {
    uint16_t code;        /* 200..599 */
    const char *enhanced; /* "2.1.5"; NULL: none (greeting, EHLO, 3xx) */
    const char *text;     /* lines separated by \n */
};

/* Appends the reply. Control bytes of the text become '?', lines are cut at SMTP_REPLY_LINE_MAX. */
void smtp_reply_emit(struct str *out, struct smtp_reply reply);
void smtp_reply_emitf(struct str *out, unsigned code, const char *enhanced, const char *fmt, ...)
    MS_PRINTF(4, 5);
/* One line of a multi-line reply, for lists whose text is not at hand as one string: "250-" or, when last,
 * "250 ". */
void smtp_reply_emit_line(struct str *out, unsigned code, bool last, const char *enhanced, struct slice text);

/* Where in a session an error happened. */
enum smtp_stage {
    SMTP_AT_CONNECT,
    SMTP_AT_COMMAND, /* anything without a row of its own: HELO, NOOP, VRFY... */
    SMTP_AT_AUTH,
    SMTP_AT_TLS,
    SMTP_AT_MAIL,
    SMTP_AT_RCPT,
    SMTP_AT_DATA, /* before 354, between BDAT chunks */
    SMTP_AT_END,  /* the end of the data; in LMTP once per recipient */
    SMTP_STAGE_COUNT
};

/* Total: what a peer is told about an internal result. MS_OK gives the 2xx of the stage. */
struct smtp_reply smtp_reply_for_err(enum ms_err err, enum smtp_stage stage);
struct smtp_reply smtp_reply_for_fault(enum smtp_fault fault);
/* What the end of data is answered for flags that policy refuses; code 0: nothing wrong. */
struct smtp_reply smtp_reply_for_data_flags(unsigned flags);

#endif
