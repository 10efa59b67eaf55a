/*
 * codec.h - text encodings without policy.
 * Layer 0 (base).   Threads: pure.
 * Decoders are strict unless the name says lax; output is appended to a str whose max bounds it. A strict
 * decoder gives MS_ELIMIT when the bound is passed and leaves the str as long as it was on every error; a lax
 * one stops, and the str is_over.
 */
#ifndef MS_BASE_CODEC_H
#define MS_BASE_CODEC_H

#include "ms/base/str.h"

/* RFC 4648 4. No line breaks. */
void base64_emit(struct str *out, struct slice in);
/* Padding required, no blanks, unused bits zero: MS_ESYNTAX otherwise. */
MS_MUST_USE enum ms_err base64_parse(struct slice in, struct str *out);
/* RFC 4648 5, as RFC 7515 2 has it: "-" and "_" for "+" and "/", no padding; unused bits zero: MS_ESYNTAX otherwise. */
MS_MUST_USE enum ms_err base64url_parse(struct slice in, struct str *out);
/* RFC 2045 6.8: skips what is not in the alphabet, stops at padding, never fails. */
void base64_parse_lax(struct slice in, struct str *out);
/* RFC 2045 6.7; malformed escapes are copied as they stand, blanks at line ends are dropped. */
void qp_parse_lax(struct slice in, struct str *out);
/* RFC 3501 5.1.3 mailbox names <-> UTF-8. Parse is strict: the canonical encoding only.
 * Emit gives MS_EINVAL when its input is not UTF-8. */
MS_MUST_USE enum ms_err utf7imap_parse(struct slice in, struct str *out);
MS_MUST_USE enum ms_err utf7imap_emit(struct slice utf8, struct str *out);
/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool utf8_is_valid(struct slice in);
/* Decodes the character at the start of `in`; gives its length in bytes, 0 when it is malformed or cut off.
 */
size_t utf8_parse(struct slice in, uint32_t *code_point_out);
/* What is no Unicode scalar value becomes U+FFFD. */
void utf8_add(struct str *out, uint32_t code_point);
/* Lower-case hex; parse takes both cases. */
void hex_emit(struct str *out, struct slice in);
MS_MUST_USE enum ms_err hex_parse(struct slice in, struct str *out);

#endif
