/*
 * import.h - users from a file: CSV (RFC 4180) or JSON lines into rows of text, one row a user.
 * Pure but for import_read.c, which reads a stdio stream. What a text means is user_field.c's.
 *
 *     import_reader_init(&r, stream, IMPORT_DETECT);
 *     while ((err = import_next(&r, &arena, &row, &why)) != MS_ENOTFOUND) ...      r.line: where the record began
 *
 * Limits:   a record has at most IMPORT_RECORD_MAX octets, a list IMPORT_ITEMS_MAX items.
 * Memory:   texts of a row live in the arena of the call.
 * Errors:   a bad record costs itself alone: the reader goes on behind it; behind its first line when its quotes are what is wrong,
 *           since then nobody knows where it ends.
 */
#ifndef APP_IMPORT_H
#define APP_IMPORT_H

#include <stdio.h>

#include "ms/base/arena.h"

#define IMPORT_RECORD_MAX  65536
#define IMPORT_ITEMS_MAX   1000
#define IMPORT_COLUMNS_MAX 64

enum import_field {
    IMPORT_LOGIN,
    IMPORT_PASSWORD,
    IMPORT_PASSWORD_HASH,
    IMPORT_NAME,
    IMPORT_QUOTA,
    IMPORT_QUOTA_MESSAGES,
    IMPORT_MESSAGE_MAX,
    IMPORT_RECIPIENTS_MAX,
    IMPORT_PARTITION,
    IMPORT_STATUS,
    IMPORT_MAIL_STATUS,
    IMPORT_FORWARDS,
    IMPORT_KEEP,
    IMPORT_ALIASES,
    IMPORT_SEND_AS,
    IMPORT_ADMIN,
    IMPORT_FIELD_COUNT
};
#define IMPORT_BIT(field) (1u << (field))

/* -- import_field.c */
const char *import_field_name(enum import_field f);
bool import_field_is_list(enum import_field f);
bool import_field_find(struct slice name, enum import_field *out);

struct import_value {
    const struct slice *items; /* one for a field that is no list */
    size_t count;
};
struct import_row {
    unsigned
        given; /* IMPORT_BIT of each field that has a value; an empty CSV field and JSON null have none */
    struct import_value value[IMPORT_FIELD_COUNT];
};

/* -- import_csv.c */
struct import_csv {
    enum import_field columns[IMPORT_COLUMNS_MAX];
    size_t count;
};
/* Length of the first record with its line end. MS_EMORE: it goes on behind `in` (only if !at_end); MS_ESYNTAX: a quote is not closed
 * at the end; MS_ELIMIT: longer than IMPORT_RECORD_MAX. */
MS_MUST_USE enum ms_err import_csv_cut(struct slice in, bool at_end, size_t *len_out);
/* The header line: names of fields, each once, login among them. MS_ESYNTAX, MS_EINVAL. */
MS_MUST_USE enum ms_err import_csv_header(struct slice record, struct arena *arena, struct import_csv *out,
                                          struct ms_errinfo *why_out);
/* Without line end. Lists: items between blanks, commas or semicolons. MS_ESYNTAX: quotes or octets that cannot be; MS_EINVAL: another
 * number of fields than the header has; MS_ELIMIT. */
MS_MUST_USE enum ms_err import_csv_parse(const struct import_csv *csv, struct slice record,
                                         struct arena *arena, struct import_row *out,
                                         struct ms_errinfo *why_out);

/* -- import_json.c: one flat object (RFC 8259) with known keys, each once; values: string, number, true, false (as "yes" and "no"), null,
 * and for lists an array of strings or one string. MS_ESYNTAX, MS_EINVAL, MS_ELIMIT. */
MS_MUST_USE enum ms_err import_json_parse(struct slice line, struct arena *arena, struct import_row *out,
                                          struct ms_errinfo *why_out);

/* -- import_read.c */
enum import_format { IMPORT_DETECT, IMPORT_CSV, IMPORT_JSON };
struct import_reader {
    FILE *stream;
    enum import_format format;
    struct import_csv csv;
    bool begun, at_end;
    unsigned long line; /* of the record last given, from 1 */
    unsigned long next; /* line that follows */
    uint8_t *buf;
    size_t at, len;
};
void import_reader_init(struct import_reader *r, FILE *stream, enum import_format format);
void import_reader_fini(struct import_reader *r);
/* MS_OK; MS_ENOTFOUND: no more; MS_ESYNTAX, MS_EINVAL, MS_ELIMIT: a bad record, go on; MS_EIO and MS_EUNSUPPORTED (no header, or a bad
 * one): cannot go on. */
MS_MUST_USE enum ms_err import_next(struct import_reader *r, struct arena *arena, struct import_row *row_out,
                                    struct ms_errinfo *why_out);

#endif
