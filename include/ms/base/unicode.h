/*
 * unicode.h - names beyond ASCII: case folding of local parts, IDNA of domains.
 * Layer 0 (base).   Owns utf8proc and libidn2.
 * Threads:  pure.
 * Limits:   UNICODE_NAME_MAX octets of input; longer is MS_ELIMIT before a library sees it.
 *
 * ASCII never needs these: callers ask unicode_is_ascii first and lower the case themselves.
 */
#ifndef MS_BASE_UNICODE_H
#define MS_BASE_UNICODE_H

#include "ms/base/str.h"

#define UNICODE_NAME_MAX   1024
#define UNICODE_DOMAIN_MAX 255 /* RFC 1035 2.3.4, as text without the final dot: 253 and a little */
#define UNICODE_LABEL_MAX  63

bool unicode_is_ascii(struct slice in);
/* Nothing in it is a control, a space or separator beyond ASCII's space, or turns the direction of writing:
 * fit for a name that people read. False when it is not UTF-8. */
bool unicode_is_plain(struct slice in);
/* NFC (Unicode D120), appended to out. MS_EINVAL: not UTF-8. MS_ELIMIT. */
MS_MUST_USE enum ms_err unicode_nfc(struct slice in, struct str *out);
/* NFC and full case folding (Unicode D145 with composition), so that two spellings of one name become the
 * same bytes. Appended to out. MS_EINVAL: not UTF-8. MS_ELIMIT. Folding again changes nothing. */
MS_MUST_USE enum ms_err unicode_fold(struct slice in, struct str *out);
/* For comparing texts (RFC 5051 i;unicode-casemap, with full case folding): case is folded and characters are
 * decomposed, also compatible ones, each on its own: the map of two texts behind each other is their maps behind
 * each other. Marks are not put in order. What is no UTF-8 becomes U+FFFD. Appended to out, of any length; the map
 * of one byte has 12 at most. */
void unicode_casemap(struct slice in, struct str *out);
/* SASLprep (RFC 4013): the form in which passwords are compared by SCRAM. Appended to out. MS_EINVAL: not UTF-8, has what is forbidden
 * (controls, private use, mixed directions, ...), or nothing is left. MS_ELIMIT. */
MS_MUST_USE enum ms_err unicode_saslprep(struct slice in, struct str *out);
/* Lower-case A-labels (RFC 5891, UTS 46 non-transitional); NUL-terminated. Letters, digits, hyphens and dots
 * only; no empty label and no final dot, labels <= UNICODE_LABEL_MAX. MS_EINVAL, MS_ELIMIT. */
MS_MUST_USE enum ms_err unicode_domain_to_ascii(struct slice in, char out[UNICODE_DOMAIN_MAX + 1]);
/* For people: A-labels as letters where they are proper, else as they stand. Appended to out. */
void unicode_domain_to_display(struct slice in, struct str *out);

#endif
