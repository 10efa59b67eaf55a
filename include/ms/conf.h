/*
 * conf.h - the configuration: option tables in, one immutable counted snapshot of filled structs out.
 * Layer 2 (conf).   Uses: base, obs.
 *
 * A module describes its options once:
 *
 *   struct smtpd_conf { uint64_t command_ms; uint64_t size_max; const char *banner; int tls; };
 *   static const char *const smtpd_tls_names[] = {"off", "starttls", "implicit", NULL};
 *   static const struct conf_opt smtpd_opts[] = {
 *       {.key = "command_timeout", .type = CONF_DURATION, CONF_AT(struct smtpd_conf, command_ms),
 *        .dflt = "5m", .min = "1s", .max = "1h", .flags = CONF_RELOAD,
 *        .help = "Longest wait for the next command (RFC 5321 4.5.3.2.7)."},
 *       {.key = "tls", .type = CONF_ENUM, CONF_AT(struct smtpd_conf, tls), .dflt = "off", .names = smtpd_tls_names,
 *        .help = "How TLS begins."},
 *   };
 *   const struct conf_table smtpd_table = {.path = "smtp", CONF_OPTS(smtpd_opts), CONF_STRUCT(struct smtpd_conf),
 *                                          .help = "The SMTP server."};
 *
 * `app` collects the tables of all modules, calls conf_load at start and on SIGHUP, and hands the snapshot out:
 *
 *   const struct smtpd_conf *c = conf_section(conf, "smtp");
 *   for (size_t i = 0; i < conf_map_count(conf, "channels.*"); i++)
 *       const struct channel_conf *ch = conf_map_entry(conf, "channels.*", i, &name);
 *
 * Parser, checks, sample file, manual page and `config show` all come from the same rows.
 *
 * File format: one YAML document, no anchors, aliases, merge keys or tags except `!file PATH` (secrets). Scalars are
 * text and get their type from the row alone: `no` and `010` have no meaning of their own. `conf.d/<any>.yaml` beside
 * the file are merged over it in name order: maps merge, lists and scalars of a later file win. Relative paths are
 * relative to the folder of the main file, in every file. `key:` with nothing behind it is an empty section or list,
 * but an error for a plain option.
 *
 * Errors:   every independent mistake is reported at once, with file, line and column (both from 1), up to
 *           CONF_ERRORS_MAX. A YAML syntax error ends that file; what came before it is still checked.
 * Threads:  conf_load and everything with a report: any one thread. A snapshot is immutable and may be read, ref'd and
 *           unref'd from any thread.
 * Memory:   everything a snapshot hands out lives until its last unref.
 */
#ifndef MS_CONF_H
#define MS_CONF_H

#include "ms/base/slice.h"
#include "ms/base/str.h"

#define CONF_ERRORS_MAX       1000               /* reported; the rest is counted */
#define CONF_DEPTH_MAX        32                 /* nesting of one file */
#define CONF_FILE_BYTES_MAX   ((size_t)8 << 20)  /* one file */
#define CONF_FILES_MAX        256                /* main file and conf.d */
#define CONF_NODES_MAX        500000             /* values and keys of one file */
#define CONF_SECRET_BYTES_MAX 65536              /* a file named by !file */
#define CONF_NAME_MAX         128                /* bytes of the name of a map entry */
#define CONF_PATH_MAX         384                /* "channels.tcp_local.maxjobs" */

enum conf_type {
    CONF_BOOL,     /* bool: true false yes no on off */
    CONF_INT,      /* int64_t: decimal */
    CONF_SIZE,     /* uint64_t bytes: 25 MiB, 64KiB, 1 GB; a bare number is bytes (blocks with CONF_BLOCKS) */
    CONF_DURATION, /* uint64_t ms: 90s 5m 2h 1h30m 2d 250ms, or ISO 8601: PT30M, p1d;
                    * a bare number only with CONF_BARE_SECONDS (0 always) */
    CONF_AFTER,    /* struct conf_after: +SECONDS or +DURATION is a delta, a bare number is seconds since the epoch */
    CONF_STRING,   /* const char *, UTF-8 without NUL; NULL when unset without default */
    CONF_PATH,     /* const char *, absolute */
    CONF_ENUM,     /* int: index into .names */
    CONF_STRLIST,  /* struct conf_strlist; a single scalar is a list of one */
    CONF_NUMLIST,  /* struct conf_numlist of integers >= 0; a scalar may hold several, split at blanks and commas */
    CONF_DURLIST,  /* struct conf_numlist of ms; a scalar may hold several, split at blanks and commas */
    CONF_SECRET,   /* const char *: contents of the file named by `!file PATH`, without its last line end; nothing else */
};

struct conf_strlist {
    const char *const *items;
    size_t count;
};

struct conf_numlist {
    const uint64_t *items;
    size_t count;
};

struct conf_after {
    bool absolute; /* value is ms since the epoch, else ms to wait */
    uint64_t ms;
};

enum conf_flag {
    CONF_RELOAD = 1,       /* a reload applies it; without: a restart */
    CONF_REQUIRED = 2,     /* no default, must be set (not asked of the table named by defaults_path) */
    CONF_CAN_BE_AUTO = 4,  /* "auto" is accepted and stored as 0 (INT, SIZE, DURATION) */
    CONF_CAN_BE_NONE = 8,  /* "none" is accepted and stored as 0: no limit (INT, SIZE, DURATION) */
    CONF_BLOCKS = 16,      /* SIZE: a bare number counts blocks of 1024 bytes */
    CONF_BARE_SECONDS = 32 /* DURATION, DURLIST: a bare number counts seconds */
};

struct conf_opt {
    const char *key; /* last part only: "command_timeout" */
    enum conf_type type;
    size_t offset;
    const char *dflt;      /* as written in the file; lists: blank-separated items; NULL = 0, NULL, false, empty */
    const char *min, *max; /* INT, SIZE, DURATION and each item of NUMLIST, DURLIST; same notation; both needed */
    const char *const *names; /* ENUM: NULL-terminated */
    uint32_t list_max;        /* items of a list, 0 = no bound but the file's */
    unsigned flags;           /* enum conf_flag */
    const char *example;      /* for the sample and the manual when there is no default */
    const char *help;         /* whole sentences */
};
#define CONF_AT(type, member) .offset = offsetof(type, member)

/* A name that other programs have for an option, in any case of letters; the hint at such an unknown key says what became of it. */
struct conf_old_name {
    const char *name;
    const char *hint;
};

struct conf_check;

/* One table is one section ("smtp"), or one kind of map entry ("channels.*": each entry has a name of its own). */
struct conf_table {
    const char *path;
    const struct conf_opt *opts;
    size_t opt_count;
    size_t struct_bytes;
    const char *help;
    /* For "x.*": options an entry does not set are taken from this section when it sets them ("channels.defaults").
     * The section has the same options; it may have a table of its own (with fewer), else it is read by this one. Inside
     * the map its last part is reserved and no entry. */
    const char *defaults_path;
    /* An entry or section written as a scalar or list instead of a mapping is read as this option: rewrite: [...] */
    const char *short_key;
    /* Cross-option checks, after all sections are filled (also with defaults for what was wrong): conf_check_error for
     * each mistake. A result other than MS_OK without a report becomes a general error of the entry. name: NULL for a
     * plain section. May be NULL. */
    enum ms_err (*check)(const void *entry, const char *name, struct conf_check *check);
    const struct conf_old_name *old_names;
    size_t old_name_count;
};
#define CONF_OPTS(rows)   .opts = (rows), .opt_count = MS_ARRAY_LEN(rows)
#define CONF_OLD(rows)    .old_names = (rows), .old_name_count = MS_ARRAY_LEN(rows)
#define CONF_STRUCT(type) .struct_bytes = sizeof(type)

/* -- report ---------------------------------------------------------------------------------------------------- */

struct conf_error {
    const char *file;   /* "" when no file is meant */
    unsigned line, col; /* from 1; 0 = the file as a whole */
    const char *text;
    const char *key;  /* dotted path or "" */
    const char *hint; /* or "" */
};

struct conf_report_mem;
struct conf_report {
    const struct conf_error *errors; /* ordered by file, line, column */
    size_t count;                    /* <= CONF_ERRORS_MAX */
    size_t total;                    /* with those not kept */
    struct conf_report_mem *mem;
};

void conf_report_init(struct conf_report *report);
void conf_report_fini(struct conf_report *report);
/* One line each: `file:line:col: error: text (key; hint)`; a last line tells how many were not kept. */
void conf_report_emit(const struct conf_report *report, struct str *out);

/* For table checks. key: an option of this table; its place is where it was set, else where the entry begins. NULL: the
 * entry as a whole. An error at an option whose own value was wrong already is dropped. hint may be NULL. */
void conf_check_error(struct conf_check *check, const char *key, const char *hint, const char *fmt, ...) MS_PRINTF(4, 5);
/* The same for one item of a list, from 0: its own place when it has one. */
void conf_check_item_error(struct conf_check *check, const char *key, size_t item, const char *hint, const char *fmt, ...) MS_PRINTF(5, 6);
struct conf;
/* The snapshot being made: all sections and maps can be read. */
const struct conf *conf_check_conf(const struct conf_check *check);

/* -- load ------------------------------------------------------------------------------------------------------ */

/* tables: borrowed for the life of the snapshot, as a rule static. report: filled, sorted.
 * MS_OK and *out (one reference), or MS_EINVAL and at least one error in the report (an unreadable file is one too). */
MS_MUST_USE enum ms_err conf_load(const struct conf_table *const *tables, size_t table_count, const char *file,
                                  struct conf_report *report, struct conf **out);
/* The same with values that win over all files, as if the last of them had them; their mistakes are in file "--set". */
struct conf_kv;
MS_MUST_USE enum ms_err conf_load_with(const struct conf_table *const *tables, size_t table_count, const char *file,
                                       const struct conf_kv *kv, size_t kv_count, struct conf_report *report,
                                       struct conf **out);
/* The same for bytes in memory, without conf.d. file_name: for messages, its folder for relative paths. */
MS_MUST_USE enum ms_err conf_parse_bytes(const struct conf_table *const *tables, size_t table_count,
                                         struct slice bytes, const char *file_name, struct conf_report *report,
                                         struct conf **out);
/* A look for programs that need a few values and may not read everything: mistakes are passed over (the option has its default
 * then), secrets are not opened and NULL. whole_out: every file was read to its end. MS_ENOTFOUND, MS_EDENIED, MS_EIO: the file
 * cannot be opened. */
MS_MUST_USE enum ms_err conf_peek(const struct conf_table *const *tables, size_t table_count, const char *file,
                                  bool *whole_out, struct conf **out, struct ms_errinfo *why);

struct conf *conf_ref(struct conf *conf);
void conf_unref(struct conf **conf); /* sets *conf to NULL; NULL inside is fine */

/* -- read ------------------------------------------------------------------------------------------------------ */

/* Never NULL for the path of a table without '*' or of a defaults_path; an unknown path is our mistake (asserted). */
const void *conf_section(const struct conf *conf, const char *path);
size_t conf_map_count(const struct conf *conf, const char *path); /* "channels.*" */
/* In the order of the file. name_out may be NULL. */
const void *conf_map_entry(const struct conf *conf, const char *path, size_t i, const char **name_out);
const void *conf_map_find(const struct conf *conf, const char *path, const char *name); /* NULL: none */

struct conf_place {
    const char *file;   /* NULL: not set in any file */
    unsigned line, col; /* of the key */
    unsigned order;     /* position among the keys of its mapping: later ones are greater */
    bool inherited;     /* comes from the defaults section */
};
/* entry: what conf_section or a conf_map function gave. true when the option is set by a file (maybe by inheritance).
 * out may be NULL. */
bool conf_is_set(const void *entry, const char *key, struct conf_place *out);
/* Folder of the main file, absolute, without a slash at its end (but "/"). */
const char *conf_dir(const struct conf *conf);
/* Absolute path of the main file. */
const char *conf_file(const struct conf *conf);

/* -- write ----------------------------------------------------------------------------------------------------- */

/* A complete file: each option with its help, at its default (or example); options with neither are commented out,
 * entries of maps too. Loads back to the defaults without an error. */
void conf_emit_sample(const struct conf_table *const *tables, size_t table_count, struct str *out);
/* mdoc: one .Ss per table, one item per option with type, range, default, reload or restart, help. */
void conf_emit_man(const struct conf_table *const *tables, size_t table_count, struct str *out);
/* JSON Schema (draft 2020-12) of the file: keys, types, words, numbers of items; each option with its help, its default and
 * "x-reload". Secrets are strings there, since JSON knows no !file. */
void conf_emit_schema(const struct conf_table *const *tables, size_t table_count, struct str *out);
/* Effective values as YAML that can be loaded again; secrets only as the !file they came from.
 * origin: `# file:line` or `# default` behind each value. */
void conf_emit_show(const struct conf *conf, struct str *out, bool origin);
/* One line per option that differs: `key: old -> new` and ` (restart)` when a reload does not apply it. which: bits of
 * enum conf_diff. Returns the number of lines. Both from the same tables. */
enum conf_diff {
    CONF_DIFF_RELOAD = 1,  /* what a reload applies */
    CONF_DIFF_RESTART = 2, /* what it does not */
    CONF_DIFF_ALL = 3
};
size_t conf_emit_diff(const struct conf *old_conf, const struct conf *new_conf, unsigned which, struct str *out);

/* KEY=VALUE lists, as of `init --set`. key is the dotted path of an option ("smtp.command_timeout",
 * "channels.tcp_local.maxjobs") or of a table with a short_key ("rewrite"). value is the text of a scalar, or YAML when
 * it begins with '[', '"', '\'' or "!file ". */
struct conf_kv {
    const char *key;
    const char *value;
};
/* MS_EINVAL and the reason in why. Secrets and paths are not opened. */
MS_MUST_USE enum ms_err conf_kv_check(const struct conf_table *const *tables, size_t table_count,
                                      const struct conf_kv *kv, struct ms_errinfo *why);
/* All of them as one YAML tree in the order of first mention; a later value of the same key wins. help: each option's
 * help as a comment above it. MS_EINVAL as conf_kv_check. */
MS_MUST_USE enum ms_err conf_kv_emit(const struct conf_table *const *tables, size_t table_count,
                                     const struct conf_kv *kv, size_t count, bool help, struct str *out,
                                     struct ms_errinfo *why);

/* Our own mistakes in tables: missing help or range, a default outside its range, two tables with one path, ... One line
 * each; true when there is none. For a test over all tables. */
bool conf_tables_check(const struct conf_table *const *tables, size_t table_count, struct str *problems);

/* -- units (also for other notations, like channel keywords and command-line options) --------------------------- */

/* Text -> value. MS_ESYNTAX: not this notation; MS_ELIMIT: does not fit 63 bits. Blanks at both ends are ignored. */
MS_MUST_USE enum ms_err conf_parse_bool(struct slice s, bool *out);
/* bare_unit: bytes of a bare number, 1 or 1024. KiB MiB GiB TiB binary, kB MB GB TB decimal, B; case-insensitive. */
MS_MUST_USE enum ms_err conf_parse_size(struct slice s, uint64_t bare_unit, uint64_t *bytes_out);
/* bare_unit_ms: ms of a bare number, 0 = refused. Parts descend: 2d 12h; w d h m s ms. Or ISO 8601
 * P[nY][nM][nW][nD][T[nH][nM][nS]] in any case, month = 30 d, year = 365 d. */
MS_MUST_USE enum ms_err conf_parse_duration(struct slice s, uint64_t bare_unit_ms, uint64_t *ms_out);
MS_MUST_USE enum ms_err conf_parse_after(struct slice s, struct conf_after *out);
/* Shortest exact form: "5m", "1h30m", "64MiB"; parses back to the same value. */
void conf_emit_size(struct str *out, uint64_t bytes);
void conf_emit_duration(struct str *out, uint64_t ms);

#endif
