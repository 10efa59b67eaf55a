/*
 * conf_priv.h - what the files of conf share: node tree, report writer, converter, snapshot layout.
 * Layer 2 (conf).
 */
#ifndef MS_CONF_PRIV_H
#define MS_CONF_PRIV_H

#include <stdarg.h>

#include "ms/base/arena.h"
#include "ms/base/map.h"
#include "ms/conf.h"

/* -- node tree (conf_yaml.c, conf_tree.c) */

struct conf__file {
    const char *name; /* as shown in messages */
    unsigned no;      /* order of reading; errors are sorted by it */
};

struct conf__place {
    const struct conf__file *file; /* NULL: text that comes from no file (a default) */
    unsigned line, col;
};

enum conf__kind { CONF__SCALAR, CONF__LIST, CONF__MAP };

struct conf__node {
    enum conf__kind kind;
    bool plain;                      /* scalar without quotes */
    bool file_tag;                   /* !file */
    bool broken;                     /* reported already: no further complaints about the value */
    struct slice text;               /* scalar */
    struct conf__place at;           /* of the value */
    struct slice key;                /* in its mapping; empty for list items and the root */
    struct conf__place key_at;       /* list items and the root: as at */
    struct conf__node *first, *last; /* children in file order */
    struct conf__node *next;
    unsigned count;
};

struct conf__node *conf__node_new(struct arena *a, enum conf__kind kind, struct conf__place at);
void conf__node_add(struct conf__node *parent, struct conf__node *child);
struct conf__node *conf__node_find(const struct conf__node *map, struct slice key);
/* `name:` with nothing behind it. */
bool conf__node_is_empty(const struct conf__node *node);
/* Lays `over` over `base`: maps merge, anything else is replaced. Both from arena a; over must not be used
 * afterwards. */
void conf__node_merge(struct conf__node *base, struct conf__node *over);

/* Bytes -> tree. *root_out is never NULL (an empty mapping for an empty file). false: the file was not read
 * to its end; the reason is in the report and the tree holds what came before. */
bool conf__yaml_parse(struct arena *a, const struct conf__file *file, struct slice bytes,
                      struct conf_report *report, struct conf__node **root_out);

/* -- report (conf_report.c) */

/* key: dotted path or ""; hint may be NULL. Exact repeats at one place are dropped. */
void conf__err(struct conf_report *report, struct conf__place at, const char *key, const char *hint,
               const char *fmt, ...) MS_PRINTF(5, 6);
void conf__verr(struct conf_report *report, struct conf__place at, const char *key, const char *hint,
                const char *fmt, va_list ap) MS_PRINTF(5, 0);
bool conf__report_is_full(const struct conf_report *report);
/* Sorts and publishes the errors. */
void conf__report_finish(struct conf_report *report);
/* Quoted for a message: cut, control bytes escaped. buf holds CONF__QUOTE_BYTES. */
#define CONF__QUOTE_BYTES 320
const char *conf__quote(struct slice text, char *buf);

/* -- values (conf_value.c, conf_emit_value.c) */

struct conf__conv {
    struct arena *arena;
    struct conf_report *report;
    const char *dir;    /* for relative paths */
    const char *path;   /* of the section or entry, for messages */
    bool without_files; /* do not open what !file names */
};

/* Writes node's value to entry_struct + opt->offset. false: reported, field untouched. */
bool conf__convert(const struct conf__conv *cv, const struct conf_opt *opt, const struct conf__node *node,
                   void *data);
/* A node for the text of a default or example. */
struct conf__node *conf__node_of_text(struct arena *a, const struct conf_opt *opt, const char *text);
bool conf__type_is_list(enum conf_type type);
/* A scalar for YAML, quoted when it needs to be. */
void conf__emit_scalar(struct str *out, struct slice text);
/* The value in the notation of the file. node: where a secret came from, may be NULL. */
void conf__emit_value(struct str *out, const struct conf_opt *opt, const void *data,
                      const struct conf__node *node);
/* The text of a default or example in the notation of the file. */
void conf__emit_text(struct str *out, const struct conf_opt *opt, const char *text);

/* -- files (conf_load.c) */

/* The whole of a file of at most max bytes (MS_ELIMIT). regular_only: refuse what could block. */
MS_MUST_USE enum ms_err conf__read_file(const char *path, size_t max, bool regular_only, struct str *out,
                                        struct ms_errinfo *why);
/* dir + "/" + path, or path when it is absolute; "./" in front is dropped. */
const char *conf__path_join(struct arena *a, const char *dir, struct slice path);

/* -- snapshot (conf_apply.c makes it, conf_snapshot.c reads it) */

struct conf__tab;

struct conf__slot {
    const struct conf__node *node; /* where the value came from; NULL: the default */
    unsigned order;                /* position in its mapping, from 1 */
    bool inherited;
    bool bad; /* a mistake at this option was reported */
};

struct conf__entry {
    const struct conf__tab *tab;
    const char *name; /* NULL for a section */
    const char *path; /* "smtp", "channels.tcp_local" */
    struct conf__place at;
    struct conf__slot *slots; /* one per option */
    _Alignas(16) uint8_t data[];
};

struct conf__tab {
    const struct conf_table *table;
    bool is_map;        /* path ends in ".*" */
    bool is_defaults;   /* some map takes unset options from here */
    struct slice place; /* path without ".*" */
    struct conf__tab *defaults;
    struct conf__entry **entries; /* a section has exactly one */
    size_t count, cap;
    struct map by_name; /* maps only */
};

struct conf {
    unsigned refs; /* atomic */
    struct arena arena;
    struct conf__tab *tabs; /* all tables, then sections that only a defaults_path names */
    size_t tab_count;
    const char *file;
    const char *dir;
};

/* Snapshot without files: tabs are laid out, nothing is filled. */
struct conf *conf__create(const struct conf_table *const *tables, size_t count, const char *file);
struct conf__tab *conf__tab_find(const struct conf *conf, const char *path);
/* The table whose sections or entries lie at `place` ("channels"), of the kind asked for. */
struct conf__tab *conf__tab_at(const struct conf *conf, struct slice place, bool is_map);
/* true when a table lies at path or deeper: path may be a mapping. */
bool conf__path_is_known(const struct conf *conf, struct slice path);
/* Index of the option, or -1. */
int conf__opt_find(const struct conf_table *table, struct slice key);
static inline const struct conf__entry *conf__entry_of(const void *data)
{
    return MS_CONTAINER_OF(data, struct conf__entry, data);
}

enum conf__apply_flags {
    CONF__PARTIAL = 1,      /* nothing is missing, no cross checks: the tree is not whole */
    CONF__WITHOUT_FILES = 2 /* secrets are not opened */
};
/* Fills the snapshot from the tree; every mistake goes to the report. */
void conf__apply(struct conf *conf, struct conf__node *root, const struct conf__file *file, unsigned flags,
                 struct conf_report *report);

/* -- walk (conf_walk.c) */

struct conf__visitor {
    void (*open)(void *ctx, struct slice part, unsigned depth); /* "smtp:" at depth 0 */
    void (*section)(void *ctx, const struct conf__tab *tab, unsigned depth);
    void (*map)(void *ctx, const struct conf__tab *tab, unsigned depth);
};
/* Next part of a table's place below path; empty when it is not below. */
struct slice conf__part_below(struct slice place, struct slice path);
/* Is it a part below path of one of the first `end` tables? */
bool conf__part_was_before(const struct conf *conf, size_t end, struct slice path, struct slice part);
void conf__walk(const struct conf *conf, const struct conf__visitor *visitor, void *ctx);

/* -- guess (conf_guess.c) */

/* Nearest of the words offered so far to `word`: edit distance <= 2, or one begins with the other. */
struct conf__guess {
    struct slice word;
    const char *best;
    unsigned best_rank;
};
void conf__guess_offer(struct conf__guess *guess, const char *candidate, size_t len_max, struct arena *a);

#endif
