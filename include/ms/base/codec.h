/*
 * codec.h - text encodings without policy.
 * Layer 0 (base).   Threads: pure.
 * Decoders are strict unless the name says lax; output goes to a str whose max bounds it.
 */
#ifndef MS_BASE_CODEC_H
#define MS_BASE_CODEC_H

#include "ms/base/str.h"

/* RFC 4648 4. No line breaks. */
void base64_emit(struct str *out, struct slice in);
/* Padding required, no blanks: MS_ESYNTAX otherwise. */
MS_MUST_USE enum ms_err base64_parse(struct slice in, struct str *out);
/* RFC 2045 6.8: skips what is not in the alphabet, stops at padding, never fails. */
void base64_parse_lax(struct slice in, struct str *out);
/* RFC 2045 6.7; malformed escapes are copied as they stand. */
void qp_parse_lax(struct slice in, struct str *out);
/* RFC 3501 5.1.3 mailbox names <-> UTF-8. Parse is strict: the canonical encoding only. */
MS_MUST_USE enum ms_err utf7imap_parse(struct slice in, struct str *out);
MS_MUST_USE enum ms_err utf7imap_emit(struct slice utf8, struct str *out);
/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool utf8_is_valid(struct slice in);
void utf8_add(struct str *out, uint32_t code_point);
/* Lower-case hex. */
void hex_emit(struct str *out, struct slice in);
MS_MUST_USE enum ms_err hex_parse(struct slice in, struct str *out);

#endif
