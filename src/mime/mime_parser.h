/*
 * mime_parser.h - the state of the structure parser, shared by its two halves:
 * mime_parser.c cuts the input into lines, mime_tree.c makes parts of them.
 */
#ifndef MIME_PARSER_H
#define MIME_PARSER_H

#include "mime_priv.h"

/* One open part; frames[0] is the root, the last one the part the current line belongs to. */
struct mime__frame {
    uint32_t part;
    uint32_t last_child;
    uint64_t lf_at_body;   /* line ends before the body */
    struct slice boundary; /* heap; len 0: not an open multipart */
    bool is_digest;
};

/* The header field that is being collected. */
struct mime__current {
    enum mime_field_id id; /* MIME_FIELD_NONE: not kept */
    uint64_t off;          /* in its header */
    uint64_t bytes;
    struct str text;
};

struct mime_parser {
    struct mime_message *m;
    struct mime__frame frames[MIME_DEPTH_MAX + 1];
    unsigned depth;      /* frames in use */
    unsigned boundaries; /* of them with a boundary */
    bool in_header;      /* of the last frame's part */
    bool header_first;   /* its first line is still to come */
    bool sealed;         /* MIME_PARTS_MAX reached: no boundary counts any more */
    uint64_t kept_bytes;
    struct mime__current field;
    struct arena scratch; /* for one content field */

    /* Lines. `line_off` is where the current one begins. */
    uint64_t at;
    uint64_t line_off;
    uint64_t lf_before;  /* line ends before line_off */
    uint64_t prev_bytes; /* the line before, without its end */
    unsigned prev_eol;   /* length of its end: 0, 1, 2 */
    uint64_t line_bytes; /* of the current line so far */
    unsigned eol;        /* of the current line, once seen */
    uint8_t last_byte;
    bool in_rest;    /* the head of the current line is dealt with */
    struct str head; /* of a line that is not complete yet */
};

/* mime_tree.c */
void mime__tree_begin(struct mime_parser *p);
/* head: the line with its end, or its first MIME_LINE_HEAD_MAX bytes; complete: it is all of the line. */
void mime__tree_line(struct mime_parser *p, struct slice head, bool complete);
void mime__tree_rest(struct mime_parser *p, struct slice piece);
void mime__tree_end(struct mime_parser *p);

/* mime_keep.c */
void mime__keep_begin(struct mime_parser *p, struct slice head, size_t name_len);
void mime__keep_add(struct mime_parser *p, struct slice piece);
void mime__keep_end(struct mime_parser *p);

#endif
