/*
 * imapd_fetch.h - FETCH in its files: which messages (imapd_cmd_fetch.c), what of a message stands in the
 * index (imapd_fetch_items.c), sections with bytes (imapd_fetch_section.c), decoded ones
 * (imapd_fetch_binary.c), and the short way of a message that needs no waiting (imapd_fetch_quick.c).
 */
#ifndef IMAPD_FETCH_H
#define IMAPD_FETCH_H

#include "imapd_cmds.h"

#define FETCH_BINARY_KEPT_MAX ((size_t)256 << 10) /* decoded bytes up to which a part is decoded only once */

enum fetch_stage {
    FETCH_VANISHED, /* what has gone is told: RFC 7162 3.2.6 */
    FETCH_NEXT,     /* look for the next message */
    FETCH_LOAD,     /* its structure is being read */
    FETCH_HEADER,   /* its header is being read, for an ENVELOPE that the record does not hold completely */
    FETCH_ITEMS,    /* write what needs no bytes */
    FETCH_SECTIONS, /* sections, one after another */
    FETCH_SEEN,     /* \Seen is being stored */
};

struct fetch_section { /* the section that is being written */
    uint32_t index;
    bool is_open;  /* range and name are known; the head may be written */
    bool has_head; /* literal head is written: all of its bytes must follow */
    uint64_t off, end;
    struct str text; /* header fields: what is sent */
    struct str header;
};

enum fetch_binary_stage { FETCH_BINARY_FIND, FETCH_BINARY_COUNT, FETCH_BINARY_SEND };
struct fetch_binary { /* the decoded section that is being written */
    enum fetch_binary_stage stage;
    enum mime_encoding encoding;
    uint64_t off, end;    /* encoded bytes of the message */
    uint64_t at;          /* of them, read so far in this pass */
    uint64_t done;        /* decoded so far in this pass */
    uint64_t from, until; /* decoded bytes that are asked for; cut to what there is behind COUNT */
    bool has_nul;         /* among those */
    bool is_kept;         /* text holds all that is decoded */
    struct str text;
    struct mime_decoder decoder;
};

struct fetch_piece {   /* messages that follow each other by number and by UID */
    uint32_t uid, seq; /* of the next one */
    uint32_t left;
};

struct fetch {
    enum fetch_stage stage;
    const struct imap_fetch *args;
    unsigned items;
    unsigned needs; /* IMAPD_NEED_* */
    bool sets_seen;
    bool is_quick;        /* the short way is tried */
    struct slice *labels; /* name of each section as it stands in the answer, with the blank behind it */
    struct mime_wanted *wanted;      /* of each section: its header fields */
    struct mime_range *ranges;       /* short way: of each section, in the message in work */
    struct part_window *window;      /* short way: bytes of the log; NULL until needed */
    const struct store_message *row; /* of the message in work */
    struct fetch_piece piece;
    uint32_t range;   /* of the set: where it stands */
    uint32_t at;      /* next number of that range; 0: its first */
    uint32_t seq;     /* of the message in work */
    bool marks_seen;  /* it gets \Seen */
    bool is_hollow;   /* its bytes cannot be found: sections are NIL, what needs its structure is left out */
    bool in_response; /* "* n FETCH (" is written */
    bool some_missing, some_damaged, some_unknown;
    struct slice flags; /* FLAGS of the message as text, taken while the snapshot was open; in flag_text */
    struct str flag_text;
    struct imapd_msg msg;
    struct fetch_section section;
    struct fetch_binary binary;
    struct mime_envelope env;
    struct arena scratch;   /* of one message */
    struct imapd_runs seen; /* waiting for \Seen */
    uint32_t seen_count;
    struct imapd_vanished vanished;
    bool at_end; /* no more messages */
};

/* Begins the message in work: what is to be told of its flags, and whether it becomes \Seen. */
void imapd__fetch_begin_message(struct imapd_view *v, struct fetch *f, const struct store_message *row);
/* Everything but sections. */
void imapd__fetch_emit_items(struct imapd_session *s, struct fetch *f);
/* The first item of a response has no blank in front of it. */
void imapd__fetch_emit_name(struct imapd_session *s, struct fetch *f, struct slice name);
/* Sections from f->section.index on. IMAPD_GO: all are written. */
enum imapd_step imapd__fetch_sections(struct imapd_session *s, struct fetch *f);
void imapd__fetch_section_reset(struct fetch_section *sec);
/* A section is bytes of the message: needs its structure, needs a reader. */
unsigned imapd__fetch_section_needs(const struct imap_section *sec);
bool imapd__fetch_needs_header(struct fetch *f); /* for ENVELOPE */
/* The name of the section that is being written, and a blank. */
void imapd__fetch_emit_label(struct imapd_session *s, struct fetch *f);
/* RFC 3501 6.4.5 partial: what lies behind the end is cut off. */
void imapd__fetch_cut(const struct imap_section *sec, uint64_t *off, uint64_t *end);
/* Bytes of a section that cannot be read: NIL, or the end of the connection when its literal has begun. */
void imapd__fetch_damaged(struct imapd_session *s, struct fetch *f);

/* Header fields of the mailbox entry, which the record of the blob does not know. */
void imapd__fetch_add_prefix_fields(const struct store_message *row, const struct imap_section *sec,
                                    struct str *out);

/* imapd_fetch_quick.c: the whole response inside the snapshot. MS_EUNSUPPORTED: nothing was written, the long way it is.
 * MS_EMORE: say IMAPD_WAIT and ask the same again. */
bool imapd__fetch_may_be_quick(const struct fetch *f);
MS_MUST_USE enum ms_err imapd__fetch_quick(struct imapd_view *v, struct fetch *f,
                                           const struct store_message *row);

/* imapd_fetch_binary.c */
enum imapd_step imapd__fetch_binary(struct imapd_session *s, struct fetch *f, const struct imap_section *sec);
void imapd__fetch_binary_init(struct fetch_binary *b);
void imapd__fetch_binary_reset(struct fetch_binary *b);
void imapd__fetch_binary_fini(struct fetch_binary *b);

#endif
