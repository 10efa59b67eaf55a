/*
 * mime.h - RFC 5322 and MIME: headers, addresses, dates, content fields, message structure, its cache
 * record. Layer 1 (mime).   Uses: base. Threads:  pure functions; a message or parser belongs to one
 * thread at a time. Memory:   struct mime_message owns its arrays; results of accessors lie in the arena
 * the caller gives or
 *           point into the message (and, for a message read from a record, into the record).
 * Limits:   everything a sender can size has a MIME_..._MAX below; past it the result is cut or opaque and
 *           says so. Time is linear in the input.
 *
 * A typical use. The submitter feeds the bytes as they arrive and stores the record with the blob:
 *
 *     mime_message_init(&m);
 *     parser = mime_parser_create(&m);
 *     mime_parser_add(parser, bytes);               any number of times, cut anywhere
 *     mime_parser_finish(parser);
 *     mime_parser_destroy(&parser);
 *     mime_cache_emit(&m, &record);                 commonly well below MIME_CACHE_ROW_BYTES
 *     mime_message_fini(&m);
 *
 * Later a session reads the record and never opens the message for ENVELOPE, BODYSTRUCTURE, section offsets
 * or the header fields of MIME_FIELD_MAP:
 *
 *     mime_message_init(&m);
 *     mime_cache_parse(record, &m);                 MS_EVERSION, MS_EDAMAGED: parse the message itself
 *     mime_envelope_get(&m, mime_message_root(&m), &arena, &envelope);
 *     mime_body_get(&m, part, &arena, &body);
 *     mime_message_section(&m, path, 2, MIME_SECT_BODY, &range);
 *     mime_message_fini(&m);
 *
 * Both ways give the same struct mime_message, so a formatter is written once. The record keeps header
 * fields as they stand in the message and no interpretation of them; a mended address parser serves old
 * records too. Offsets are those of the blob; a mailbox entry's prefix (storage) lies in front of it and
 * is added by the caller.
 */
#ifndef MS_MIME_H
#define MS_MIME_H

#include "ms/base/arena.h"
#include "ms/base/slice.h"
#include "ms/base/str.h"

#define MIME_DEPTH_MAX         32    /* containers inside each other; deeper is one opaque part */
#define MIME_PARTS_MAX         10000 /* the last one is opaque and holds the remainder */
#define MIME_BOUNDARY_MAX      512   /* RFC 2046 allows 70; a longer value is no boundary */
#define MIME_LINE_HEAD_MAX     1024  /* a delimiter line or a field name with its colon fits in this */
#define MIME_NAME_MAX          255   /* field name */
#define MIME_HEADER_FIELDS_MAX 200   /* kept fields of one header; more: MIME_MSG_FIELDS_CUT */
#define MIME_FIELDS_MAX        50000 /* kept fields of a message, likewise */
#define MIME_FIELD_BYTES_MAX   ((size_t)256 << 10) /* longer fields are known by place only */
#define MIME_KEPT_BYTES_MAX    ((size_t)768 << 10) /* sum of kept field bytes, as above past it */
#define MIME_ADDRESSES_MAX     5000                /* per address list */
#define MIME_PARAMS_MAX        64                  /* per content field */
#define MIME_CACHE_ROW_BYTES   1900 /* what an index row takes; a larger record is stored beside the blob */
#define MIME_CACHE_BYTES_MAX   ((size_t)1 << 20) /* of any record */

/* ---- Header fields ---- */

/* Fields whose values the record holds. The ids are part of the record format: never reuse, never
 * renumber, only append, at most 63. The first ten make the ENVELOPE and are kept of every message (also
 * those inside), the next eight BODYSTRUCTURE and are kept of every part, the others are kept of the
 * top-level header. */
#define MIME_FIELD_MAP(X)                                                                                    \
    X(1, DATE, "Date")                                                                                       \
    X(2, SUBJECT, "Subject")                                                                                 \
    X(3, FROM, "From")                                                                                       \
    X(4, SENDER, "Sender")                                                                                   \
    X(5, REPLY_TO, "Reply-To")                                                                               \
    X(6, TO, "To")                                                                                           \
    X(7, CC, "Cc")                                                                                           \
    X(8, BCC, "Bcc")                                                                                         \
    X(9, IN_REPLY_TO, "In-Reply-To")                                                                         \
    X(10, MESSAGE_ID, "Message-ID")                                                                          \
    X(11, CONTENT_TYPE, "Content-Type")                                                                      \
    X(12, CONTENT_TRANSFER_ENCODING, "Content-Transfer-Encoding")                                            \
    X(13, CONTENT_ID, "Content-ID")                                                                          \
    X(14, CONTENT_DESCRIPTION, "Content-Description")                                                        \
    X(15, CONTENT_DISPOSITION, "Content-Disposition")                                                        \
    X(16, CONTENT_LANGUAGE, "Content-Language")                                                              \
    X(17, CONTENT_LOCATION, "Content-Location")                                                              \
    X(18, CONTENT_MD5, "Content-MD5")                                                                        \
    X(19, REFERENCES, "References")                                                                          \
    X(20, MIME_VERSION, "MIME-Version")                                                                      \
    X(21, LIST_ID, "List-Id")                                                                                \
    X(22, LIST_POST, "List-Post")                                                                            \
    X(23, LIST_SUBSCRIBE, "List-Subscribe")                                                                  \
    X(24, LIST_UNSUBSCRIBE, "List-Unsubscribe")                                                              \
    X(25, LIST_UNSUBSCRIBE_POST, "List-Unsubscribe-Post")                                                    \
    X(26, LIST_ARCHIVE, "List-Archive")                                                                      \
    X(27, LIST_HELP, "List-Help")                                                                            \
    X(28, LIST_OWNER, "List-Owner")                                                                          \
    X(29, PRIORITY, "Priority")                                                                              \
    X(30, X_PRIORITY, "X-Priority")                                                                          \
    X(31, X_MSMAIL_PRIORITY, "X-MSMail-Priority")                                                            \
    X(32, IMPORTANCE, "Importance")                                                                          \
    X(33, PRECEDENCE, "Precedence")                                                                          \
    X(34, AUTO_SUBMITTED, "Auto-Submitted")                                                                  \
    X(35, DISPOSITION_NOTIFICATION_TO, "Disposition-Notification-To")                                        \
    X(36, RETURN_RECEIPT_TO, "Return-Receipt-To")                                                            \
    X(37, RETURN_PATH, "Return-Path")                                                                        \
    X(38, DELIVERED_TO, "Delivered-To")                                                                      \
    X(39, X_ORIGINAL_TO, "X-Original-To")                                                                    \
    X(40, MAIL_FOLLOWUP_TO, "Mail-Followup-To")                                                              \
    X(41, MAIL_REPLY_TO, "Mail-Reply-To")                                                                    \
    X(42, NEWSGROUPS, "Newsgroups")                                                                          \
    X(43, FOLLOWUP_TO, "Followup-To")                                                                        \
    X(44, ORGANIZATION, "Organization")                                                                      \
    X(45, USER_AGENT, "User-Agent")                                                                          \
    X(46, X_MAILER, "X-Mailer")                                                                              \
    X(47, KEYWORDS, "Keywords")                                                                              \
    X(48, COMMENTS, "Comments")                                                                              \
    X(49, X_SPAM_FLAG, "X-Spam-Flag")                                                                        \
    X(50, X_SPAM_STATUS, "X-Spam-Status")                                                                    \
    X(51, X_LABEL, "X-Label")                                                                                \
    X(52, RESENT_DATE, "Resent-Date")                                                                        \
    X(53, RESENT_FROM, "Resent-From")                                                                        \
    X(54, RESENT_TO, "Resent-To")                                                                            \
    X(55, RESENT_MESSAGE_ID, "Resent-Message-ID")                                                            \
    X(56, LINES, "Lines")                                                                                    \
    X(57, X_DRAFT_INFO, "X-Draft-Info")                                                                      \
    X(58, X_UNIFORM_TYPE_IDENTIFIER, "X-Uniform-Type-Identifier")                                            \
    X(59, X_UUID, "X-Universally-Unique-Identifier")

enum mime_field_id {
    MIME_FIELD_NONE = 0,
#define X(id, sym, name) MIME_FIELD_##sym = id,
    MIME_FIELD_MAP(X)
#undef X
        MIME_FIELD_COUNT
};
#define MIME_FIELD_ENVELOPE_LAST MIME_FIELD_MESSAGE_ID
#define MIME_FIELD_CONTENT_LAST  MIME_FIELD_CONTENT_MD5

/* MIME_FIELD_NONE when the name is not in the map. Case does not matter. */
enum mime_field_id mime_field_id_find(struct slice name);
/* The usual spelling; "" for MIME_FIELD_NONE. */
struct slice mime_field_name(enum mime_field_id id);

/* One field of raw header bytes. */
struct mime_header_field {
    struct slice raw;   /* as it stands, with all its lines and their ends */
    struct slice name;  /* empty: the line is no field (no colon, or no valid name) */
    struct slice value; /* behind the colon, folds and blanks as they stand, without the last line end */
    size_t off;         /* of raw, from the start of the bytes given */
};

/* Walks the fields of bytes that begin with a header. Lines end with LF or CRLF; the header ends behind
 * the first empty line, or at the end of the bytes. A first line that can be no field (and is no "From "
 * line of an mbox) means that there is no header at all. */
struct mime_header_iter {
    struct slice bytes;
    size_t at; /* after the last field: length of the header, with the empty line */
    bool done;
    bool has_blank; /* valid when done: an empty line ended the header */
};

void mime_header_iter_init(struct mime_header_iter *it, struct slice bytes);
bool mime_header_next(struct mime_header_iter *it, struct mime_header_field *field_out);
/* Length of the header with its empty line. */
size_t mime_header_bytes(struct slice bytes);
/* First field of that name; false: none. */
bool mime_header_find(struct slice bytes, const char *name, struct mime_header_field *field_out);
/* RFC 9051 6.4.5.1 HEADER.FIELDS, or HEADER.FIELDS.NOT: the fields (not) named, in order, and the empty
 * line.
 */
void mime_header_emit_subset(struct slice bytes, const struct slice *names, size_t count, bool not_named,
                             struct str *out);

/* RFC 5322 2.2.3: line ends go, blanks at both ends go, NUL becomes '?'. Points into raw when nothing is to
 * be changed, else into the arena; empty when the arena's bound is passed. */
struct slice mime_unfold(struct slice raw, struct arena *a);

/* ---- Addresses ---- */

enum mime_address_kind { MIME_ADDR_MAILBOX, MIME_ADDR_GROUP, MIME_ADDR_GROUP_END };

/* As the IMAP envelope wants them (RFC 9051 7.5.2): ptr == NULL is NIL. Quoting is removed, encoded words
 * stay raw. GROUP: mailbox is the group's name, host NIL. GROUP_END: all NIL. MAILBOX: mailbox and host are
 * never NIL but empty where the text had none. */
struct mime_address {
    struct mime_address *next;
    enum mime_address_kind kind;
    struct slice name;
    struct slice route; /* RFC 5322 obs-route "@a,@b", without the colon */
    struct slice mailbox;
    struct slice host; /* domain literals with their brackets */
};

struct mime_addresses {
    struct mime_address *first;
    struct mime_address *last;
    size_t count;
    bool is_cut; /* MIME_ADDRESSES_MAX or the arena's bound: the rest is missing */
};

/* Appends the addresses of one field value (folded as it stands). Never fails: garbage gives what can be
 * read of it. Start with a zeroed list; a group that is still open at the end is closed. Texts point into the
 * arena or into value. */
void mime_address_parse(struct slice value, struct arena *a, struct mime_addresses *list);

/* ---- Dates ---- */

/* RFC 5322 3.3 with the obsolete forms of 4.3. wall_us is UTC, zone_min the minutes east of it that the
 * text names (0 for "-0000" and unknown zone names). errors   MS_ESYNTAX: no date, or one that no
 * calendar has */
MS_MUST_USE enum ms_err mime_date_parse(struct slice value, int64_t *wall_us_out, int *zone_min_out);

/* ---- Content fields ---- */

struct mime_param {
    struct slice name;  /* as it stands: "name", "filename*0*" */
    struct slice value; /* without quoting; RFC 2231 percent signs and charset stay */
};

/* Content-Type ("type", "subtype") and Content-Disposition ("type" only). */
struct mime_content {
    struct slice type;
    struct slice subtype;
    struct mime_param *params;
    size_t param_count;
    bool is_cut; /* more than MIME_PARAMS_MAX parameters, or the arena's bound */
};

/* errors   MS_ESYNTAX: no type and subtype to be read; out is then text/plain without parameters (RFC
 * 2045 5.2) */
MS_MUST_USE enum ms_err mime_content_type_parse(struct slice value, struct arena *a,
                                                struct mime_content *out);
/* errors   MS_ESYNTAX: no token; out is zeroed */
MS_MUST_USE enum ms_err mime_disposition_parse(struct slice value, struct arena *a, struct mime_content *out);
/* Value of a parameter, RFC 2231 continuations joined and percent signs decoded; the charset is given apart
 * (empty: none named). false: no such parameter. Plain values are not copied. */
bool mime_param_find(const struct mime_content *content, const char *name, struct arena *a,
                     struct slice *value_out, struct slice *charset_out);

/* ---- Transfer decoding (RFC 2045 6) ---- */

enum mime_encoding {
    MIME_ENCODING_IDENTITY, /* 7bit, 8bit, binary; no field at all */
    MIME_ENCODING_BASE64,
    MIME_ENCODING_QP
};
/* Value of Content-Transfer-Encoding, comments and blanks around the token allowed; empty is 7bit.
 * errors   MS_EUNSUPPORTED: another one (RFC 2045 6.4: nobody can tell what the body means) */
MS_MUST_USE enum ms_err mime_encoding_find(struct slice name, enum mime_encoding *out);

#define MIME_DECODER_HELD_MAX 1000 /* blanks in a row of which it is not yet known whether they end a line */

/* Bytes of a body in, decoded bytes out, cut anywhere. Never fails: base64 skips what is not in its alphabet
 * and stops at padding (RFC 2045 6.8); malformed escapes of quoted-printable are copied as they stand, blanks
 * at line ends are dropped (RFC 2045 6.7). One call appends at most MIME_DECODER_HELD_MAX + 3 bytes more than
 * it was given. */
struct mime_decoder {
    enum mime_encoding encoding;
    uint8_t state; /* private from here on */
    bool is_ended;
    uint8_t digit;
    unsigned bit_count;
    uint32_t bits;
    size_t held;
    uint8_t blanks[MIME_DECODER_HELD_MAX];
};
void mime_decoder_init(struct mime_decoder *d, enum mime_encoding encoding);
void mime_decoder_add(struct mime_decoder *d, struct slice in, struct str *out);
void mime_decoder_finish(struct mime_decoder *d, struct str *out);

/* ---- Structure ---- */

enum mime_part_kind {
    MIME_PART_LEAF = 0,
    MIME_PART_MULTIPART = 1, /* has one child at least */
    MIME_PART_MESSAGE = 2    /* message/rfc822 or message/global: one child, the message inside */
};

#define MIME_PART_OPAQUE   0x04 /* a container past a limit: not looked into */
#define MIME_PART_NO_BLANK 0x08 /* its header has no empty line behind it */
#define MIME_PART_DIGEST   0x10 /* RFC 2046 5.1.5: without Content-Type it is message/rfc822 */

#define MIME_PART_NONE UINT32_MAX

/* A message or body part: header, then body. Parts stand in the order of the message, parents first. */
struct mime_part {
    uint64_t header_off;   /* from the first byte of the message */
    uint64_t header_bytes; /* with its empty line */
    uint64_t body_bytes;   /* from header_off + header_bytes */
    uint64_t body_lines;   /* a last line without an end counts */
    uint32_t parent;       /* index in parts, or MIME_PART_NONE */
    uint32_t next;         /* sibling */
    uint32_t first_child;
    uint32_t child_count;
    uint32_t field_first; /* index in fields */
    uint32_t field_count;
    uint8_t kind; /* enum mime_part_kind */
    uint8_t flags;
};

enum mime_field_form {
    MIME_FORM_CANON = 0, /* bytes = value; usual spelling of the name before it, CRLF behind it */
    MIME_FORM_RAW = 1,   /* bytes = the whole field as it stands */
    MIME_FORM_OUT = 2    /* no bytes: open the message at off */
};

struct mime_field {
    uint8_t id;   /* enum mime_field_id */
    uint8_t form; /* enum mime_field_form */
    struct slice bytes;
    uint64_t off;        /* from the start of this header */
    uint64_t full_bytes; /* of the field there; 0: off is not known (field of a record, not FORM_OUT) */
};

#define MIME_MSG_8BIT_HEADER 0x0001 /* some header holds bytes above 127 */
#define MIME_MSG_8BIT_BODY   0x0002
#define MIME_MSG_NUL         0x0004
#define MIME_MSG_BARE_LF     0x0008 /* some line ends without CR */
#define MIME_MSG_LONG_LINE   0x0010 /* RFC 5322 2.1.1: a line of more than 998 bytes */
#define MIME_MSG_LIMIT       0x0020 /* some part is opaque because of a limit */
#define MIME_MSG_FIELDS_CUT  0x0040 /* there were more fields to keep than the maxima allow */
#define MIME_MSG_HAS_DATE    0x0080 /* sent_us and sent_zone_min are valid */
#define MIME_MSG_FLAGS_ALL   0x00ff

#define MIME_NAMES_BYTES 16

struct mime_message {
    uint64_t bytes; /* RFC822.SIZE of the blob */
    uint32_t flags;
    int sent_zone_min;
    int64_t sent_us;
    uint8_t field_ids;               /* ids above this were not known to the writer of the record */
    uint8_t names[MIME_NAMES_BYTES]; /* one bit per name in the top-level header; see mime_message_may_have */
    struct mime_part *parts;
    size_t part_count;
    struct mime_field *fields;
    size_t field_count;
    /* private */
    size_t part_cap;
    size_t field_cap;
    struct arena arena;
};

void mime_message_init(struct mime_message *m);
void mime_message_fini(struct mime_message *m);
void mime_message_reset(struct mime_message *m); /* as after init, keeps some memory for the next one */

/* The push parser. The message must be fresh and stay in place until finish; the bytes given are not
 * kept. */
struct mime_parser;
struct mime_parser *mime_parser_create(struct mime_message *m);
void mime_parser_add(struct mime_parser *p, struct slice bytes);
void mime_parser_finish(struct mime_parser *p);
void mime_parser_destroy(struct mime_parser **p); /* before finish: the message is to be reset */
/* All of the above for bytes that are in memory. The result does not depend on where they are cut. */
void mime_message_parse(const struct slice *chunks, size_t count, struct mime_message *m);

/* Valid after finish or a successful mime_cache_parse. */
static inline const struct mime_part *mime_message_root(const struct mime_message *m)
{
    return &m->parts[0];
}
static inline uint64_t mime_part_body_off(const struct mime_part *part)
{
    return part->header_off + part->header_bytes;
}
/* NULL at the end. */
const struct mime_part *mime_part_first_child(const struct mime_message *m, const struct mime_part *part);
const struct mime_part *mime_part_next(const struct mime_message *m, const struct mime_part *part);

/* RFC 9051 6.4.5.1 section numbers: {4, 2} is part 4.2; no numbers is the message itself. NULL: no such
 * part.
 */
const struct mime_part *mime_message_find_part(const struct mime_message *m, const uint32_t *path,
                                               size_t count);

enum mime_sect {
    MIME_SECT_BODY,   /* BODY[1.2]; BODY[] without numbers */
    MIME_SECT_HEADER, /* BODY[HEADER], BODY[4.HEADER]: of a message only */
    MIME_SECT_TEXT,   /* BODY[TEXT], BODY[4.TEXT] */
    MIME_SECT_MIME    /* BODY[4.MIME]: needs numbers */
};

struct mime_range {
    uint64_t off;
    uint64_t bytes;
};

/* errors   MS_ENOTFOUND: no such section */
MS_MUST_USE enum ms_err mime_message_section(const struct mime_message *m, const uint32_t *path, size_t count,
                                             enum mime_sect sect, struct mime_range *range_out);

/* First kept field of that id in the part's header, or NULL. Start a walk over all of them with after =
 * NULL.
 */
const struct mime_field *mime_part_field(const struct mime_message *m, const struct mime_part *part,
                                         enum mime_field_id id, const struct mime_field *after);
/* Value behind the colon, folded as it stands; empty for MIME_FORM_OUT. */
struct slice mime_field_value(const struct mime_field *field);
/* The field as it stands in the message; form must not be MIME_FORM_OUT. */
void mime_field_emit(const struct mime_field *field, struct str *out);
/* false: the top-level header surely has no field of that name. */
bool mime_message_may_have(const struct mime_message *m, struct slice name);
/* RFC 9051 6.4.5.1 HEADER.FIELDS of the top-level header, from what is kept. false: out is as before, the
 * message must be opened (mime_header_emit_subset does the rest). */
bool mime_message_emit_fields(const struct mime_message *m, const struct slice *names, size_t count,
                              struct str *out);

/* The same for one list of names and many messages. names are borrowed. */
struct mime_wanted {
    const struct slice *names;
    size_t count;
    uint64_t ids;                    /* fields that a record may hold */
    uint8_t others[MIME_NAMES_BYTES]; /* bits of the names it never holds */
};
void mime_wanted_init(struct mime_wanted *w, const struct slice *names, size_t count);
bool mime_wanted_has(const struct mime_wanted *w, enum mime_field_id id);
/* As mime_message_emit_fields. */
bool mime_wanted_emit(const struct mime_wanted *w, const struct mime_message *m, struct str *out);

/* RFC 9051 7.5.2. Texts are unfolded; ptr == NULL is NIL. Sender and reply-to are from where they are
 * missing or empty. part is the root or the child of a MIME_PART_MESSAGE. */
struct mime_envelope {
    struct slice date;
    struct slice subject;
    struct mime_addresses from;
    struct mime_addresses sender;
    struct mime_addresses reply_to;
    struct mime_addresses to;
    struct mime_addresses cc;
    struct mime_addresses bcc;
    struct slice in_reply_to;
    struct slice message_id;
    bool is_incomplete; /* a field is only known by place, or was cut: open the message for all of it */
};
void mime_envelope_get(const struct mime_message *m, const struct mime_part *part, struct arena *a,
                       struct mime_envelope *out);
/* The same from raw header bytes, when is_incomplete. */
void mime_envelope_parse(struct slice header, struct arena *a, struct mime_envelope *out);

/* How the body of a part is encoded. A container is never encoded (RFC 2045 6.4).
 * errors   MS_EUNSUPPORTED: in a way that is not known */
MS_MUST_USE enum ms_err mime_part_encoding(const struct mime_message *m, const struct mime_part *part,
                                           enum mime_encoding *out);

#define MIME_LANGUAGES_MAX 16

/* What BODYSTRUCTURE says of one part. type and subtype always agree with part->kind, so that the answer
 * is in the grammar: a container that was not looked into is application/octet-stream, a multipart
 * without parts text/plain. */
struct mime_body {
    struct mime_content content;     /* text/plain gets charset us-ascii when it names none */
    struct mime_content disposition; /* type.ptr == NULL: none */
    struct slice encoding;           /* "7bit" when there is no such field */
    struct slice id;                 /* NIL as ptr == NULL, like the rest */
    struct slice description;
    struct slice md5;
    struct slice location;
    struct slice languages[MIME_LANGUAGES_MAX];
    size_t language_count;
};
void mime_body_get(const struct mime_message *m, const struct mime_part *part, struct arena *a,
                   struct mime_body *out);

/* ---- The cache record (bytes: top of mime_cache.c and README.md) ---- */

/* Appends the record. Past MIME_CACHE_ROW_BYTES long fields that neither ENVELOPE nor BODYSTRUCTURE
 * needs become MIME_FORM_OUT if that makes the record fit into the row; past MIME_CACHE_BYTES_MAX all
 * long fields, then the structure becomes one opaque part. errors   MS_ELIMIT: out->max is too small,
 * nothing appended */
MS_MUST_USE enum ms_err mime_cache_emit(const struct mime_message *m, struct str *out);
/* Fills a fresh (or reset) message that points into the record.
 * errors   MS_EVERSION, MS_EDAMAGED: m is as after reset */
MS_MUST_USE enum ms_err mime_cache_parse(struct slice record, struct mime_message *m);

/* ---- Emitters ---- */

#define MIME_FOLD_COLUMN 78 /* RFC 5322 2.1.1 */

/* "Name: value" CRLF, folded at blanks before column 78 where there are any. CR, LF and NUL of the value
 * become blanks, so that no value can add a field. */
void mime_header_emit(struct str *out, const char *name, struct slice value);
/* Return-Path: <reverse path> (RFC 5321 4.4); empty path for the null sender. */
void mime_return_path_emit(struct str *out, struct slice reverse_path);

/* RFC 5321 4.4 trace field. Empty slices leave their clause out. */
struct mime_received {
    struct slice helo;      /* what the client called itself */
    struct slice peer_name; /* verified name, if any */
    struct slice peer_addr; /* "192.0.2.1" or "2001:db8::1"; written as an address literal */
    struct slice by;        /* this host */
    struct slice with;      /* "ESMTPSA", "LMTP" (RFC 3848) */
    struct slice tls;       /* "TLSv1.3 cipher", as a comment */
    struct slice id;
    struct slice for_path; /* one recipient, without angle brackets */
    uint64_t wall_us;
};
void mime_received_emit(struct str *out, const struct mime_received *r);

/* ---- Delivery status notifications (RFC 3464, 6522, 6533) ---- */

enum mime_dsn_action { MIME_DSN_FAILED, MIME_DSN_DELAYED };
enum mime_dsn_returned { MIME_DSN_NOTHING, MIME_DSN_HEADERS, MIME_DSN_FULL };

#define MIME_DSN_TEXT_MAX 900 /* bytes of one text that are written */

struct mime_dsn_rcpt {
    enum mime_dsn_action action;
    struct slice address;  /* where it was to go */
    struct slice original; /* as the sender wrote it; empty: as address */
    struct slice orcpt;    /* RFC 3461 ORCPT "type;address", xtext undone; empty: none */
    struct slice reason;   /* "5.1.1 no such user": RFC 3463 code and text, or text alone */
};
struct mime_dsn {
    struct slice hostname; /* of this server: reporting MTA, domain of From and Message-ID */
    struct slice to;       /* the sender of the message */
    struct slice unique;   /* letters, digits, dots: left part of the Message-ID, and in the boundary: nobody must
                            * be able to guess it */
    struct slice envid;    /* RFC 3461 ENVID, xtext undone; empty: none */
    struct slice trace;    /* id of the message, for people who ask */
    uint64_t now_us, arrival_us;
    uint64_t until_us; /* delayed: when it is given up; 0: not told */
    uint64_t tried_us; /* last attempt; 0: not told */
    bool utf8;         /* addresses or header of the message are not ASCII: message/global-* (RFC 6533) */
    bool has_8bit;     /* the returned part may hold bytes above 127 */
    bool is_binary;    /* it may hold anything (RFC 3030) */
    enum mime_dsn_returned returned;
    const struct mime_dsn_rcpt *rcpts;
    size_t rcpt_count;
};
/* The whole report up to the empty line behind which the returned part's bytes stand; then those; then the tail. Whatever
 * the texts hold, no line and no field can be added by them. Lines stay below 998 bytes. */
void mime_dsn_emit_head(const struct mime_dsn *d, struct str *out);
void mime_dsn_emit_tail(const struct mime_dsn *d, struct str *out);

#endif
