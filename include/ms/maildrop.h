/*
 * maildrop.h - mail of local programs: a folder of files that `sendmail` writes and the server picks up.
 * Layer 9 (maildrop).   Uses: base, obs, crypt, mime, smtp, conf, loop, bus, partition, account, queue, channel, route.
 *
 * The command writes, with or without a running server:
 *
 *     maildrop_out_open(dir, &mail, &out, &why)           a temporary name
 *     maildrop_text_feed(&text, bytes, &lines)            the program's lines, now with CRLF
 *     maildrop_out_add(out, lines)
 *     maildrop_out_commit(&out, &why)                     flushed, renamed, flushed: from here on it is ours to deliver
 *
 * The server has one struct maildrop on one of its loops. It watches the folder, reads each file on a thread of its own,
 * resolves the recipients (route) and enqueues the message; the file goes when the entry is durable. A crash between these
 * two is seen at the next start (maildrop_remove_taken). At least once, never lost; twice only when the crash came after the
 * delivery and before the file was removed, or a power cut undid the file's renaming.
 *
 * Names in the folder: "m." and 32 hexadecimal digits: a message; with "." and its trace behind it: it may be in the queue.
 * "tmp.*": being written; removed when a day old.
 * "*.bad": put aside by the server, for people. "refused": folder of messages that nobody could take. Everything else is
 * renamed to NAME.bad.
 *
 * Format version 1, little-endian; "text" is u16 length and bytes:
 *   head:  0 "MSDROP"  6 u16 version  8 u32 head_bytes  12 u32 CRC-32C over bytes 0-11 and 16-head_bytes
 *          16 u64 time (us)  24 u32 uid  28 u8 body type  29 u8 RET  30 u8 flags (1: SMTPUTF8)  31 u8 zero
 *          32 text sender  text login  text full name  text ENVID  u32 count, then each recipient:
 *          text address  text ORCPT  u8 NOTIFY
 *   message bytes (RFC 5322, lines end with CRLF; BINARYMIME as they are)
 *   tail:  u64 bytes of the whole file  "DEND"  u32 CRC-32C over everything before it
 *
 * Threads:  format, text and header functions are pure; maildrop_out blocks (commands only); struct maildrop belongs to its
 *           loop, but for maildrop_stop and maildrop_is_idle.
 * Limits:   MAILDROP_*_MAX.
 */
#ifndef MS_MAILDROP_H
#define MS_MAILDROP_H

#include "ms/base/arena.h"
#include "ms/base/str.h"
#include "ms/conf.h"
#include "ms/queue.h"
#include "ms/smtp.h"

struct loop;
struct route;
struct part_client;

#define MAILDROP_VERSION      1
#define MAILDROP_HEAD_MIN     ((size_t)44)
#define MAILDROP_HEAD_MAX     ((size_t)2 << 20)
#define MAILDROP_TAIL_BYTES   ((size_t)16)
#define MAILDROP_RCPTS_MAX    5000
#define MAILDROP_ADDRESS_MAX  QUEUE_ADDRESS_MAX
#define MAILDROP_NAME_MAX     256               /* login and full name */
#define MAILDROP_HEADER_MAX   ((size_t)1 << 20) /* header that is looked at as a whole */
#define MAILDROP_FOLDER       "/var/spool/mailserverd/maildrop"
#define MAILDROP_FOLDER_MODE  03733 /* everybody may put in, nobody but the server may look */

/* -- format ---------------------------------------------------------------------------------------------------- */
struct maildrop_rcpt {
    struct slice address; /* wire form; without a domain: the server's default domain */
    struct slice orcpt;   /* RFC 3461, "type;address" with xtext undone; empty */
    uint8_t notify;       /* enum smtp_notify; 0 = not given */
};
struct maildrop_mail {
    uint64_t time_us;
    uint32_t uid;           /* who wrote it; the file's owner must be the same */
    struct slice sender;    /* wire form, may lack the domain; "" = null reverse path */
    struct slice login;     /* name of the user who wrote it */
    struct slice full_name; /* for a missing From field; UTF-8; may be empty */
    struct slice envid;     /* RFC 3461, xtext undone */
    uint8_t ret;            /* enum smtp_ret */
    uint8_t body_type;      /* enum smtp_body */
    bool smtputf8;
    struct maildrop_rcpt *rcpts;
    size_t rcpt_count;
};
/* MS_ELIMIT: more than a maximum; MS_EINVAL: no recipient. Nothing is appended then. */
MS_MUST_USE enum ms_err maildrop_head_emit(const struct maildrop_mail *mail, struct str *out);
/* bytes: from the beginning of the file. MS_EMORE: *need_out bytes are needed. MS_OK: *need_out is the length of the head,
 * out points into arena. MS_EDAMAGED, MS_EVERSION, MS_ELIMIT. */
MS_MUST_USE enum ms_err maildrop_head_parse(struct slice bytes, struct arena *a, struct maildrop_mail *out, size_t *need_out);
void maildrop_tail_emit(uint64_t file_bytes, uint32_t crc_before, uint8_t out[MAILDROP_TAIL_BYTES]);
/* tail: the last bytes of a file of file_bytes. MS_EDAMAGED: torn. crc_before: over what stands before the tail; checked only
 * when crc_known. */
MS_MUST_USE enum ms_err maildrop_tail_parse(struct slice tail, uint64_t file_bytes, bool crc_known, uint32_t crc_before);
#define MAILDROP_FILE_NAME_BYTES 34
#define MAILDROP_FILE_NAME_MAX   (MAILDROP_FILE_NAME_BYTES + 1 + QUEUE_TRACE_MAX)
bool maildrop_name_is_message(struct slice name);
/* Of a message's name; empty when it has none. */
struct slice maildrop_name_trace(struct slice name);
void maildrop_name_emit(uint64_t time_us, const uint8_t random[8], char out[MAILDROP_FILE_NAME_BYTES + 1]);

/* -- what a program writes -> message bytes ------------------------------------------------------------------------ */
/* Line ends LF, CRLF, CR..CRLF and a CR alone become CRLF. A line of one dot ends the message unless dots_are_text. binary: the
 * body (behind the first empty line) is left as it is, and no dot ends it. */
struct maildrop_text {
    bool dots_are_text, binary;
    bool ended;      /* by a dot */
    bool has_nul;    /* anywhere but in a binary body */
    bool has_8bit;
    bool in_body;
    bool dot;        /* the line so far is one dot */
    bool mid_line;   /* something was given out since the last line end */
    uint64_t crs;    /* CR seen, not decided */
};
void maildrop_text_feed(struct maildrop_text *t, struct slice in, struct str *out);
/* The input is at its end: a last line without an end gets one (not in a binary body). */
void maildrop_text_end(struct maildrop_text *t, struct str *out);

/* -- header of a message ------------------------------------------------------------------------------------------- */
/* Length of the header with its empty line in bytes that hold a message from its beginning. MS_EMORE: not all of it is there
 * yet. A message whose first line can be no field has a header of 0 bytes. at_end: no more bytes will come. */
MS_MUST_USE enum ms_err maildrop_header_end(struct slice bytes, bool at_end, size_t *bytes_out);
/* sendmail -t: recipients of To, Cc and Bcc (of the Resent- fields when there are any) are added to list, their texts in the
 * arena; out gets the header without Bcc fields and without an mbox "From " line. MS_ESYNTAX: an address is none (*bad_out);
 * MS_ELIMIT: too many. */
struct maildrop_rcpts {
    struct maildrop_rcpt *items;
    size_t count, cap;
};
MS_MUST_USE enum ms_err maildrop_header_recipients(struct slice header, struct arena *a, struct maildrop_rcpts *list,
                                                   struct str *out, struct slice *bad_out);
/* Addresses of one text ("a@b, Name <c@d>, e"), as above. */
MS_MUST_USE enum ms_err maildrop_recipients_parse(struct slice text, struct arena *a, struct maildrop_rcpts *list,
                                                  struct slice *bad_out);
/* One address, with or without domain, brackets allowed -> wire form in the arena. "" and "<>" give "". MS_ESYNTAX. */
MS_MUST_USE enum ms_err maildrop_address_parse(struct slice text, struct arena *a, struct slice *out);
void maildrop_rcpts_fini(struct maildrop_rcpts *list);

/* What the server puts into the message: Received in front; Date, Message-ID and From where they are missing; mbox "From "
 * line away. */
struct maildrop_fix {
    struct slice hostname, default_domain, trace, sender /* with domain */, login, full_name;
    uint32_t uid;
    uint64_t wall_us;   /* now */
    uint64_t time_us;   /* of the file: Date */
    bool smtputf8;
    uint32_t received;  /* filled: Received fields that were there */
    uint32_t own;       /* filled: of these, written by a host with our name */
};
/* header: as maildrop_header_end told. */
void maildrop_header_fix(struct maildrop_fix *fix, struct slice header, struct str *out);
/* Display name in front of an address, in the form that its bytes need (RFC 5322 3.2.5, RFC 2047). */
void maildrop_phrase_emit(struct str *out, struct slice name, bool utf8);

/* -- writing (blocking; one thread) -------------------------------------------------------------------------------- */
struct maildrop_out;
MS_MUST_USE enum ms_err maildrop_out_open(const char *folder, const struct maildrop_mail *mail, struct maildrop_out **out,
                                          struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err maildrop_out_add(struct maildrop_out *o, struct slice bytes, struct ms_errinfo *why_out);
/* MS_OK: it survives a power cut. Else nothing is left behind. *o is gone either way. name_out: MAILDROP_FILE_NAME_BYTES + 1,
 * may be NULL. */
MS_MUST_USE enum ms_err maildrop_out_commit(struct maildrop_out **o, char *name_out, struct ms_errinfo *why_out);
void maildrop_out_abort(struct maildrop_out **o);
/* For a signal handler: the temporary file of the one open maildrop_out goes away. Async-signal-safe. */
void maildrop_out_on_signal(void);
/* Makes the folder with its parents when it is missing. */
MS_MUST_USE enum ms_err maildrop_folder_make(const char *folder, struct ms_errinfo *why_out);

/* -- the server's side --------------------------------------------------------------------------------------------- */
#define MAILDROP_WORKS_MAX 4 /* files read at a time */
struct maildrop_env { /* texts are borrowed for the life of the maildrop, or live in conf */
    struct loop *loop;
    struct route *route;
    struct part_client *queue_client;
    const char *folder, *hostname, *default_domain, *local_channel;
    uint64_t message_size_max;
    uint64_t hops_max, local_hops_max;
    struct conf *conf; /* NULL, or the snapshot that texts live in: each file in work holds a reference */
    /* On the loop: the held entry is to be returned to its sender with this reason. NULL: entries stay held. */
    void (*give_back)(void *ctx, const struct queue_id *id, struct slice reason);
    void *ctx;
};
struct maildrop;
/* At the start, before anything is delivered: files whose messages are in the queue are removed. Blocks. */
struct partition;
MS_MUST_USE enum ms_err maildrop_remove_taken(const char *folder, struct partition *p);
/* Before the loop runs or on it. Never fails: a folder that cannot be used is named in the log and looked at again. */
struct maildrop *maildrop_create(const struct maildrop_env *env);
/* Any thread: no file is begun any more. */
void maildrop_stop(struct maildrop *m);
/* The loop: files that are begun from now on go by this. Loop, clients, folder and give_back are those of maildrop_create. */
void maildrop_reload(struct maildrop *m, const struct maildrop_env *env);
/* Any thread: true when stopped and nothing is in work. */
bool maildrop_is_idle(const struct maildrop *m);
/* The loop has ended. */
void maildrop_destroy(struct maildrop **m);

#endif
