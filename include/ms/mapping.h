/*
 * mapping.h - the mapping-table engine: named tables of pattern -> template, probed with one string.
 * Layer 1 (mapping).   Uses: base.   Pure: no clock, no I/O.
 *
 *   mappings:                                   probe "TCP|192.0.2.1|25|10.1.2.3|40001"
 *     PORT_ACCESS:                              -> flags Y
 *       - "TCP|*|25|$<10.0.0.0/8>|*   $Y"
 *       - "TCP|*|*|*|*                $N421$ try$ later"
 *
 * An entry is a pattern, blanks, and a template. The entries are tried from the first; the first whose pattern matches and
 * whose template does not fail gives the output, unless its template goes on ($C, $L, $R). man/mailserverd-mappings.5 has the
 * whole notation.
 *
 *   struct mapping_result r;
 *   mapping_result_init(&r);
 *   if (mapping_probe(set, "PORT_ACCESS", probe, 0, &r, NULL) == MS_OK && r.matched && r.flags & MAPPING_FLAG('N'))
 *       refuse(mapping_argument(&r, 0, &text) ? text : ...);
 *
 * Threads:  a set is immutable after mapping_set_add of the last table; any thread may probe it.
 * Limits:   MAPPING_* below; a probe takes at most MAPPING_STEPS_MAX steps (a few milliseconds), also for patterns that go back
 *           and tables that restart, then MS_ELIMIT. Work grows with entries x wildcards x length of the probe, never faster.
 * Errors:   in a table: all of them, each with the number of its entry. In a probe: MS_ELIMIT, and MS_ENOTFOUND for the table.
 */
#ifndef MS_MAPPING_H
#define MS_MAPPING_H

#include "ms/base/str.h"

#define MAPPING_TABLES_MAX   64
#define MAPPING_NAME_MAX     64    /* letters, digits, '_', '-' */
#define MAPPING_ENTRIES_MAX  10000 /* of one table */
#define MAPPING_ENTRY_MAX    1024  /* octets of one entry */
#define MAPPING_STARS_MAX    32    /* wildcards of any length in one pattern */
#define MAPPING_PROBE_MAX    2048
#define MAPPING_OUTPUT_MAX   2048
#define MAPPING_CAPTURES_MAX 10    /* $0 ... $9 */
#define MAPPING_STEPS_MAX    1000000
#define MAPPING_DEPTH_MAX    10    /* $|table;argument| inside one another */

struct mapping_set;
struct mapping_set *mapping_set_create(void);
void mapping_set_destroy(struct mapping_set **set);
/* One table; entries: "pattern  template", as in the file. error() is called for each mistake with the entry's index; MS_ESYNTAX
 * then, and the table is not added. MS_EEXIST, MS_ELIMIT (MAPPING_TABLES_MAX), MS_EINVAL (the name): entry is `count` in error().
 * A nested table may be added later; mapping_set_check reports those that never were. */
typedef void mapping_error_fn(void *owner, size_t entry, const char *text);
MS_MUST_USE enum ms_err mapping_set_add(struct mapping_set *set, const char *name, const char *const *entries, size_t count,
                                        mapping_error_fn *error, void *owner);
/* Every $|missing;...| whose table is not in the set; MS_ENOTFOUND if there is one. */
typedef void mapping_missing_fn(void *owner, const char *table, size_t entry, const char *missing);
MS_MUST_USE enum ms_err mapping_set_check(const struct mapping_set *set, mapping_missing_fn *error, void *owner);
bool mapping_has(const struct mapping_set *set, const char *table);

/* Flags are letters (and '!', '<', '>') that the template set by $Y, $N, ...; the output is what is left: arguments, "|" between. */
struct mapping_result {
    bool matched;
    uint64_t flags;    /* MAPPING_FLAG(letter) */
    struct str output; /* mapping_result_init, _fini by the caller */
};
#define MAPPING_FLAG(c) ((uint64_t)1 << ((c) == '!' ? 26 : (c) == '<' ? 27 : (c) == '>' ? 28 : (c) - 'A'))
void mapping_result_init(struct mapping_result *r);
void mapping_result_fini(struct mapping_result *r);
/* inputs: flags that $:X tests (MAPPING_FLAG). trace (may be NULL): a line for each entry that matched, "table TAB number from 1
 * TAB pattern TAB flags TAB output TAB what came next", for `mapping test`. */
MS_MUST_USE enum ms_err mapping_probe(const struct mapping_set *set, const char *table, struct slice probe, uint64_t inputs,
                                      struct mapping_result *out, struct str *trace);
/* The i-th argument of the output, without its "|"; false: there are fewer. */
bool mapping_argument(const struct mapping_result *r, unsigned i, struct slice *out);
/* The letters of flags in order: "NU", "" for none. */
#define MAPPING_FLAGS_TEXT_MAX 32
void mapping_flags_emit(uint64_t flags, char out[MAPPING_FLAGS_TEXT_MAX]);

#endif
