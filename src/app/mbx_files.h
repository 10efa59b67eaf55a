/*
 * mbx_files.h - Maildir and mbox as they lie in files: lines, message bytes, names, flags, UID lists.
 *
 * A file is a struct mbx_input. mbx_lines cuts it, mbx_mbox finds the messages of an mbox, mbx_bytes gives
 * the bytes of one message as they go to the server: CRLF, without what the format has added.
 *
 * Threads:  pure but for reading.
 * Memory:   one buffer of MBX_BUFFER for each reader; lines may be longer.
 * Bad input: is refused or passed over, never trusted: lengths are checked against what lies there.
 */
#ifndef APP_MBX_FILES_H
#define APP_MBX_FILES_H

#include "ms/base/arena.h"
#include "ms/base/slice.h"
#include "ms/base/str.h"
#include "ms/imap.h"

#define MBX_BUFFER       ((size_t)64 << 10)
#define MBX_KEYWORDS_MAX 128 /* of one message, or in one file of names */
#define MBX_NAME_MAX     480 /* octets of a mailbox name; equal to STORE_NAME_MAX */
#define MBX_FILE_MAX     255 /* octets of one name in a directory */

struct mbx_input {
    int fd; /* -1: memory */
    struct slice memory;
    uint64_t size;
};
/* Fewer bytes than asked for only at the end. MS_EIO. */
MS_MUST_USE enum ms_err mbx_input_read(const struct mbx_input *in, uint64_t off, void *buf, size_t len,
                                       size_t *got_out);

/* -- lines (mbx_lines.c) */
struct mbx_lines {
    const struct mbx_input *in;
    uint64_t off, end; /* of what is not yet in the buffer */
    uint8_t *buf;
    size_t at, len;
    bool inside; /* the next piece goes on with a line */
};
struct mbx_line {
    struct slice text; /* with its LF; MBX_BUFFER bytes at most, then the line goes on */
    uint64_t at;       /* where it is in the input */
    bool is_begin;
};
void mbx_lines_init(struct mbx_lines *l, const struct mbx_input *in, uint64_t off, uint64_t end);
void mbx_lines_fini(struct mbx_lines *l);
void mbx_lines_seek(struct mbx_lines *l, uint64_t off);
/* MS_ENOTFOUND: the end. Good until the next call. */
MS_MUST_USE enum ms_err mbx_lines_next(struct mbx_lines *l, struct mbx_line *out);

/* -- what is known of a message besides its bytes */
struct mbx_meta {
    unsigned flags; /* IMAP_FLAG_* */
    struct slice keywords[MBX_KEYWORDS_MAX];
    size_t keyword_count;
    int64_t date;
    uint32_t uid; /* 0: none */
};
/* A keyword that IMAP can carry (RFC 9051 9: flag-keyword) and that is not there yet is added; false: it
 * is none. */
bool mbx_meta_add(struct mbx_meta *m, struct slice keyword);

/* -- message bytes (mbx_bytes.c) */
enum mbx_form {
    MBX_AS_IS,
    MBX_TEXT, /* each LF becomes CRLF unless it is one */
    MBX_MBOX, /* TEXT, without the fields that tell of flags */
};
struct mbx_bytes {
    struct mbx_lines lines;
    enum mbx_form form;
    uint64_t body; /* MBX_MBOX: where the header ends */
    bool unquote;  /* MBX_MBOX: ">From " */
    bool drop_length;
    bool dropping;
    uint8_t last;
};
void mbx_bytes_init(struct mbx_bytes *b, const struct mbx_input *in, uint64_t off, uint64_t end,
                    enum mbx_form form);
void mbx_bytes_fini(struct mbx_bytes *b);
/* From the beginning again. */
void mbx_bytes_rewind(struct mbx_bytes *b, uint64_t off);
/* Adds some more. MS_ENOTFOUND: that was all. */
MS_MUST_USE enum ms_err mbx_bytes_next(struct mbx_bytes *b, struct str *out);

/* -- mbox (mbx_mbox.c) */
struct mbx_mbox {
    const struct mbx_input *in;
    struct mbx_lines lines;
    struct arena arena; /* keywords of one message */
    uint64_t at;        /* the next From_ line */
    bool begun;
    uint32_t uidvalidity, uidlast; /* X-IMAPbase; 0: none */
};
struct mbx_mbox_message {
    struct mbx_meta meta; /* date: the From_ line's */
    uint64_t at, head, body, end;
    bool is_pseudo;      /* c-client's notes to itself */
    bool length_is_true; /* Content-Length leads to the next message: nothing is quoted */
};
void mbx_mbox_init(struct mbx_mbox *m, const struct mbx_input *in);
void mbx_mbox_fini(struct mbx_mbox *m);
/* MS_ENOTFOUND: the end. MS_ESYNTAX: no mbox. MS_EIO. */
MS_MUST_USE enum ms_err mbx_mbox_next(struct mbx_mbox *m, struct mbx_mbox_message *out);
/* "From sender Thu Jan  1 00:00:00 1970", with or without its line end; the date is taken as UTC unless it
 * has a zone. */
bool mbx_from_line(struct slice line, int64_t *date_out);
/* ">From ", ">>From ": what a writer puts a ">" in front of, and a reader takes it from (mboxrd). */
bool mbx_is_quotable(struct slice line); /* "From ", ">From ", ... */
/* X-IMAPbase: "uidvalidity lastuid". */
bool mbx_imapbase_parse(struct slice value, uint32_t *uidvalidity_out, uint32_t *uidlast_out);

/* -- Maildir (mbx_maildir_name.c) */
/* "name:2,FRS" -> flags and keywords. letters: names of a to z. */
void mbx_maildir_flags(struct slice file, const struct slice letters[26], struct mbx_meta *out);
struct slice mbx_maildir_base(struct slice file); /* without ":2,..." */
/* ",S=123,W=130" in the base name. false: not there. */
bool mbx_maildir_size(struct slice file, char which, uint64_t *size_out);
/* "0 $Forwarded" */
bool mbx_keyword_line(struct slice line, unsigned *index_out, struct slice *name_out);
/* One level of a mailbox name as part of a file's name, and back. The dot, which divides levels in Maildir++,
 * is "&AC4-", a form of modified UTF-7 that names have nowhere else. parse: MS_EINVAL for what no mailbox can
 * be called. */
MS_MUST_USE enum ms_err mbx_level_emit(struct slice level, struct str *out);
MS_MUST_USE enum ms_err mbx_level_parse(struct slice text, struct str *out);
/* All levels: "a/b" <-> ".a.b" (sep '.', lead) or "a/b" (sep '/'). */
MS_MUST_USE enum ms_err mbx_name_emit(struct slice name, char sep, struct str *out);
MS_MUST_USE enum ms_err mbx_name_parse(struct slice text, char sep, struct str *out);

/* -- dovecot-uidlist (mbx_uidlist.c), versions 1 and 3 */
struct mbx_uidlist {
    uint32_t uidvalidity, uidnext;
    uint64_t ignored; /* lines that made no sense */
};
typedef void mbx_uidlist_fn(void *owner, uint32_t uid, struct slice base);
/* MS_EVERSION: another version; MS_ESYNTAX: no header. */
MS_MUST_USE enum ms_err mbx_uidlist_parse(const struct mbx_input *in, mbx_uidlist_fn *fn, void *owner,
                                          struct mbx_uidlist *out);

#endif
