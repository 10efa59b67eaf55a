/*
 * text.h - the text of messages as people see it, for searching: charsets, encoded words, HTML, matching.
 * Layer 1 (mime).   Uses: base.
 *
 *     mime_needles_init(&needles, keys, count);             keys in any case, UTF-8
 *     mime_matcher_init(&m, &needles);
 *     mime_text_init(&text, &m);
 *     mime_text_begin(&text, &kind);                        one part: encoding, charset, is it HTML
 *     mime_text_add(&text, bytes);                          any number of times, cut anywhere
 *     mime_text_end(&text);                                 mime_matcher_has(&m, i): the i-th key was found
 *
 * Text is compared in the form of unicode_casemap. A key is found wherever the bytes were cut, but not across
 * the end of a field or part.
 *
 * Threads:  an object belongs to one thread at a time, and may wander. Descriptors of iconv that are not in use
 *           are kept for all threads behind a lock. Looking up a charset may read files: not on a loop, but for
 *           those of which mime_charset_is_builtin says so.
 * Memory:   grows with the pieces given, not with the text; the window holds a piece and the longest key.
 * Limits:   a piece is cut to MIME_TEXT_PIECE_MAX inside.
 */
#ifndef MS_MIME_TEXT_H
#define MS_MIME_TEXT_H

#include "ms/mime.h"

/* ---- Charsets ---- */

#define MIME_CHARSET_NAME_MAX 63
#define MIME_CHARSET_HELD_MAX 16 /* bytes of a character that is not complete yet */

/* Bytes of some charset in, UTF-8 out, cut anywhere. UTF-8, US-ASCII and names that nobody knows: what is valid
 * UTF-8, other bytes as those of ISO-8859-1. Else bytes that mean nothing become U+FFFD each. */
struct mime_charset {
    uint8_t kind;  /* private but bad */
    uint8_t held_len;
    uint8_t held[MIME_CHARSET_HELD_MAX];
    void *iconv;
    uint64_t bad; /* bytes so far that are no text of this charset */
    char name[MIME_CHARSET_NAME_MAX + 1]; /* as iconv knows it */
};
/* Needs no look-up: UTF-8, US-ASCII, ISO-8859-1 and their other names. */
bool mime_charset_is_builtin(struct slice name);
/* false: nobody knows that name; it is read as said above. */
bool mime_charset_init(struct mime_charset *c, struct slice name);
void mime_charset_add(struct mime_charset *c, struct slice in, struct str *out);
void mime_charset_finish(struct mime_charset *c, struct str *out); /* as after init again */
void mime_charset_fini(struct mime_charset *c);
/* All of it; MS_EINVAL: some byte is no text of this charset, MS_EUNSUPPORTED: nobody knows it. */
MS_MUST_USE enum ms_err mime_charset_to_utf8(struct slice charset, struct slice in, struct str *out);

/* RFC 2047: the text of a field value that is not folded any more, as UTF-8. Words that follow each other in one
 * charset are decoded as one, a word that is malformed stays as it stands; bytes outside of words are UTF-8 or
 * ISO-8859-1. */
void mime_words_decode(struct slice in, struct str *out);

/* ---- HTML ---- */

#define MIME_HTML_NAME_MAX 15

/* UTF-8 in, the text without tags, comments, scripts and style sheets out, cut between characters anywhere. Blanks
 * are one blank as a browser shows them, so are tags that begin or end a block; character references are
 * characters. */
struct mime_html {
    uint8_t state; /* private */
    uint8_t quote;
    uint8_t dashes;
    uint8_t name_len;
    uint8_t skip_len;
    bool blank, is_end_tag;
    char name[MIME_HTML_NAME_MAX + 1];
    char skip[MIME_HTML_NAME_MAX + 1]; /* element whose content is no text */
};
void mime_html_init(struct mime_html *h);
void mime_html_add(struct mime_html *h, struct slice in, struct str *out);
void mime_html_finish(struct mime_html *h, struct str *out);

/* ---- Matching ---- */

/* Keys in the form in which texts are compared. Empty ones are found in any text. */
struct mime_needles {
    struct slice *items; /* own memory */
    size_t count;
    size_t longest;
    struct str bytes;
};
void mime_needles_init(struct mime_needles *n, const struct slice *keys, size_t count);
void mime_needles_fini(struct mime_needles *n);

/* Which of them were found so far, and those that are looked for now. */
struct mime_matcher {
    const struct mime_needles *needles;
    bool *found;        /* one each; own memory */
    const bool *wanted; /* one each; NULL: all */
};
void mime_matcher_init(struct mime_matcher *m, const struct mime_needles *needles);
void mime_matcher_fini(struct mime_matcher *m);
void mime_matcher_reset(struct mime_matcher *m); /* nothing is found, all are wanted */
/* One text that comes in pieces, already mapped. */
struct mime_window {
    struct str bytes;
    size_t kept; /* of them were looked at already */
};
void mime_window_init(struct mime_window *w);
void mime_window_fini(struct mime_window *w);
void mime_window_begin(struct mime_window *w); /* another text */
void mime_window_add(struct mime_window *w, struct mime_matcher *m, struct slice mapped);
static inline bool mime_matcher_has(const struct mime_matcher *m, size_t i)
{
    return m->found[i];
}

/* ---- Parts and fields ---- */

#define MIME_TEXT_PIECE_MAX ((size_t)32 << 10)

struct mime_text_kind {
    enum mime_encoding encoding;
    struct slice charset; /* empty: none is named */
    bool is_html;         /* is looked at as it stands and as a browser shows it */
};
/* What a part is, by its header. false: it has no text of its own: a container, or another kind of media (RFC 9051
 * 6.4.4 lets those out). Slices point into the message or the arena. */
bool mime_text_kind_find(const struct mime_message *m, const struct mime_part *part, struct arena *a,
                         struct mime_text_kind *out);

struct mime_text {
    struct mime_matcher *matcher;
    struct mime_window window, html_window;
    struct mime_decoder decoder;
    struct mime_charset charset;
    struct mime_html html;
    bool is_html, is_open;
    struct str decoded, utf8, plain, mapped; /* scratch */
};
void mime_text_init(struct mime_text *t, struct mime_matcher *matcher);
void mime_text_fini(struct mime_text *t);
void mime_text_begin(struct mime_text *t, const struct mime_text_kind *kind);
void mime_text_add(struct mime_text *t, struct slice bytes);
void mime_text_end(struct mime_text *t);
/* One header field as it stands, with its name: decoded, unfolded; parameters of content fields also as RFC 2231
 * says. Not between begin and end. */
void mime_text_field(struct mime_text *t, const struct mime_header_field *field, struct arena *a);
/* The value of a field of that name, folded as it stands: what mime_text_field looks at, without the name. Mapped,
 * appended to out; NUL stands before each parameter. */
void mime_text_value(struct slice name, struct slice value, struct arena *a, struct str *out);

#endif
