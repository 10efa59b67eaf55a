/*
 * mime_priv.h - what the files of mime share.
 */
#ifndef MIME_PRIV_H
#define MIME_PRIV_H

#include "ms/mime.h"

static inline bool mime__is_wsp(uint8_t c)
{
    return c == ' ' || c == '\t';
}
static inline bool mime__is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* mime_header_parse.c */
enum mime__line { MIME__LINE_BLANK, MIME__LINE_FOLD, MIME__LINE_FIELD, MIME__LINE_OTHER };
/* head is a whole line with its end, or the first MIME_LINE_HEAD_MAX bytes of it. name_len_out for
 * LINE_FIELD. */
enum mime__line mime__line_class(struct slice head, size_t *name_len_out);
/* A first line that does not stop the header although it is no field. */
bool mime__line_may_open(struct slice head, enum mime__line line);
/* Without one CRLF or LF at the end. */
struct slice mime__strip_eol(struct slice line);
bool mime__name_listed(struct slice name, const struct slice *names, size_t count);
/* "name:" found at the start of raw: the value behind it, without the last line end. */
struct slice mime__raw_value(struct slice raw);

/* mime_fields.c */
unsigned mime__name_bit(struct slice name);
/* Form and bytes of a field that is in memory whole; the bytes are copied to the message's arena. */
void mime__field_store(struct mime_message *m, struct mime_field *field, struct slice raw);

/* mime_message.c: they grow the arrays; the pointer is valid until the next call. */
struct mime_part *mime__part_add(struct mime_message *m, uint32_t parent, uint32_t prev_sibling);
struct mime_field *mime__field_add(struct mime_message *m);
/* Room for so many more, not filled in; field_count stays. */
struct mime_field *mime__fields_reserve(struct mime_message *m, size_t count);
/* Is this part a message of its own: the root, or the one inside a MIME_PART_MESSAGE? */
bool mime__part_is_message(const struct mime_message *m, const struct mime_part *part);

/* mime_address_parse.c: all forms. The end of a group is always added, so that every group has one. */
void mime__addresses_parse(struct slice value, struct arena *a, struct mime_addresses *list);
bool mime__address_add(struct mime_addresses *list, struct arena *a, const struct mime_address *address);
/* mime_address_plain.c: entries in plain forms, from the first one on; how many bytes of the value they took. */
size_t mime__addresses_plain(struct slice value, struct arena *a, struct mime_addresses *list);

/* mime_param.c: the pieces "name*0", "name*1*", ... become one parameter, "name" or "name*". RFC 2231 6 */
void mime__params_unite(struct mime_content *content, struct arena *a);

/* mime_body.c: what a Content-Type (and encoding) makes of a part, before its body is seen. */
enum mime_part_kind mime__kind_of(const struct mime_message *m, const struct mime_part *part, struct arena *a,
                                  struct slice *boundary_out, bool *is_digest_out);

#endif
