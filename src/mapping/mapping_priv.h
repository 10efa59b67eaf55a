/*
 * mapping_priv.h - what the files of this module share: compiled patterns and templates.
 */
#ifndef MS_MAPPING_PRIV_H
#define MS_MAPPING_PRIV_H

#include "ms/base/arena.h"
#include "ms/mapping.h"

/* -- patterns: a row of atoms */

struct mapping__set { /* octets that a class takes */
    uint8_t bits[32];
};

struct mapping__net {
    bool is_v6;
    unsigned bits;
    uint8_t bytes[16];
};

enum mapping__kind {
    MAPPING__LITERAL,
    MAPPING__ONE,  /* % and classes: one octet of `set` */
    MAPPING__MANY, /* * and classes: any number of them */
    MAPPING__NET,  /* $<address/bits>: the longest run that looks like an address */
};

struct mapping__atom {
    enum mapping__kind kind;
    bool is_lazy;                   /* MANY: as few as possible first */
    bool is_saved;                  /* gives the next $n */
    unsigned star;                  /* MANY: its number in the pattern */
    struct slice literal;           /* lower case */
    const struct mapping__set *set; /* NULL: any octet */
    const struct mapping__net *net;
};

struct mapping__pattern {
    struct slice text; /* as written */
    struct mapping__atom *atoms;
    size_t count;
    unsigned stars;
    unsigned saved; /* captures it gives */
};

/* -- templates: a row of ops */

enum mapping__opkind {
    MAPPING__TEXT,
    MAPPING__CAPTURE, /* $n: value */
    MAPPING__FLAG,    /* $Y: letter */
    MAPPING__CONTROL, /* $C $E $L $R: letter */
    MAPPING__TEST,    /* $:X (value 1), $;X (value 0): letter */
    MAPPING__CASE,    /* $\ $^ $_: letter */
    MAPPING__MAP,     /* $|text; up to its END */
    MAPPING__END,
};

struct mapping__op {
    enum mapping__opkind kind;
    char letter;
    unsigned value; /* MAP: index of its END */
    struct slice text;
};

struct mapping__template {
    struct mapping__op *ops;
    size_t count;
};

struct mapping__entry {
    struct mapping__pattern pattern;
    struct mapping__template output;
};

struct mapping__table {
    char *name;
    struct mapping__entry *entries;
    size_t count;
};

struct mapping_set {
    struct arena arena;
    struct mapping__table tables[MAPPING_TABLES_MAX];
    size_t count;
};

bool mapping__name_is_valid(struct slice name);
const struct mapping__table *mapping__find(const struct mapping_set *set, struct slice name);
/* Takes the pattern off the front of *rest, up to the first blank that is not quoted. MS_ESYNTAX and why. */
MS_MUST_USE enum ms_err mapping__pattern_parse(struct arena *a, struct slice *rest,
                                               struct mapping__pattern *out, struct ms_errinfo *why);
/* The rest of the entry. captures: how many $n there are. */
MS_MUST_USE enum ms_err mapping__template_parse(struct arena *a, struct slice text, unsigned captures,
                                                struct mapping__template *out, struct ms_errinfo *why);

/* -- matching */
/* Takes the cost of looking at so many octets; false: there are not so many steps left. */
bool mapping__step(uint32_t *steps, size_t octets);
struct mapping__match {
    struct slice captures[MAPPING_CAPTURES_MAX];
    unsigned count;
};
/* MS_OK and *matched_out; MS_ELIMIT: *steps reached 0. */
MS_MUST_USE enum ms_err mapping__match(const struct mapping__pattern *pattern, struct slice probe,
                                       uint32_t *steps, struct mapping__match *out, bool *matched_out);

#endif
