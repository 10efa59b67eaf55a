/*
 * imapd_fetch.h - FETCH in three files: which messages (imapd_cmd_fetch.c), what of a message stands in the
 * index (imapd_fetch_items.c), and sections with bytes (imapd_fetch_section.c).
 */
#ifndef IMAPD_FETCH_H
#define IMAPD_FETCH_H

#include "imapd_cmds.h"

enum fetch_stage {
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

struct fetch {
    enum fetch_stage stage;
    const struct imap_fetch *args;
    unsigned items;
    unsigned needs; /* IMAPD_NEED_* */
    bool sets_seen;
    uint32_t range;   /* of the set: where it stands */
    uint32_t at;      /* next number of that range; 0: its first */
    uint32_t seq;     /* of the message in work */
    bool marks_seen;  /* it gets \Seen */
    bool in_response; /* "* n FETCH (" is written */
    bool some_missing, some_damaged;
    struct slice flags; /* FLAGS of the message as text, taken while the snapshot was open; in flag_text */
    struct str flag_text;
    struct imapd_msg msg;
    struct fetch_section section;
    struct mime_envelope env;
    struct arena scratch;   /* of one message */
    struct imapd_runs seen; /* waiting for \Seen */
    uint32_t seen_count;
    bool at_end; /* no more messages */
};

/* Everything but sections. */
void imapd__fetch_emit_items(struct imapd_session *s, struct fetch *f);
/* The first item of a response has no blank in front of it. */
void imapd__fetch_emit_name(struct imapd_session *s, struct fetch *f, const char *name);
/* Sections from f->section.index on. IMAPD_GO: all are written. */
enum imapd_step imapd__fetch_sections(struct imapd_session *s, struct fetch *f);
void imapd__fetch_section_reset(struct fetch_section *sec);
/* A section is bytes of the message: needs its structure, needs a reader. */
unsigned imapd__fetch_section_needs(const struct imap_section *sec);
bool imapd__fetch_needs_header(struct fetch *f); /* for ENVELOPE */

#endif
