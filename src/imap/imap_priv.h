/* imap_priv.h - shared inside the imap module. */
#ifndef MS_IMAP_PRIV_H
#define MS_IMAP_PRIV_H

#include "ms/imap.h"

bool imap__is_atom_char(uint8_t c);    /* RFC 3501 9 ATOM-CHAR */
bool imap__is_astring_char(uint8_t c); /* RFC 3501 9 ASTRING-CHAR */
/* A literal announced at the end of a line (without CRLF): "{" 1*20DIGIT ["+"] "}". head_out: offset of the
 * brace. A value above 63 bits is UINT64_MAX. */
bool imap__literal_at_end(struct slice line, size_t *head_out, uint64_t *bytes_out, bool *sync_out);
/* Zeroed; NULL when the arena's bound is reached, reason is set then. */
void *imap__alloc(struct imap_rd *rd, size_t bytes);
MS_MUST_USE enum ms_err imap__dup(struct imap_rd *rd, struct slice s, struct slice *out);
/* A run of atom characters, not copied. */
MS_MUST_USE enum ms_err imap__rd_word(struct imap_rd *rd, struct slice *out);
/* "(" att *(SP att) ")" of STATUS. */
MS_MUST_USE enum ms_err imap__rd_status_items(struct imap_rd *rd, unsigned *items_out);
/* Mailbox that may be empty: the reference of LIST. */
MS_MUST_USE enum ms_err imap__rd_reference(struct imap_rd *rd, struct slice *out);

/* flag *(SP flag) of STORE, without parentheses. */
MS_MUST_USE enum ms_err imap__rd_bare_flags(struct imap_rd *rd, struct imap_flags *out);

/* A byte, then a string; the second form: NIL where ptr is NULL. */
void imap__emit_after(struct str *out, uint8_t before, struct slice s);
void imap__emit_nil_after(struct str *out, uint8_t before, struct slice s);

/* Names to bits, ends with a NULL name. */
struct imap__word {
    const char *name;
    unsigned bit;
};
/* 0: not in the list. */
unsigned imap__word_bit(const struct imap__word *words, struct slice name);

#endif
