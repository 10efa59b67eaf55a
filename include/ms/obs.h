/*
 * obs.h - what the operator sees: structured events, counters, histograms.
 * Layer 1 (obs).   Uses: base.
 *
 * One event is one line: time, level, session id, dotted name, key=value... Names, levels and keys are
 * declared once in obs_events.def, counters in obs_counters.def; manual pages are made from the same rows.
 *
 *   OBS_EVENT(OBS_SMTPD_TX_FINISHED, session_id, OBS_S("from", from), OBS_U("size", bytes));
 *   obs_count(MET_SMTPD_MESSAGES, 1);
 *
 * Threads:  any. Lines go through a bounded ring of the calling thread (OBS_RING_BYTES) to the log thread; a
 * full ring drops the line and counts it (log.dropped names the number). Before obs_start and after obs_stop
 * lines are written directly to standard error. Counters are per thread (relaxed, own cache line), summed
 * when read. Memory:   a line is cut at OBS_LINE_MAX (whole characters, still well formed, cut=true at its
 * end). Control bytes in values are escaped (\xNN, JSON \u00NN), values with blanks are quoted; what is not
 * UTF-8 is \xNN, in JSON U+FFFD. Sessions and OBS_X values are hexadecimal, in JSON strings; OBS_E gives
 * ms_err_text. Never:    secrets. There is no verb for "dump this buffer".
 */
#ifndef MS_OBS_H
#define MS_OBS_H

#include "ms/base/err.h"
#include "ms/base/slice.h"
#include "ms/base/str.h"

#define OBS_LINE_MAX    2048
#define OBS_RING_BYTES  65536
#define OBS_THREADS_MAX 128

enum obs_level { OBS_DEBUG, OBS_INFO, OBS_NOTICE, OBS_WARNING, OBS_ERROR };
enum obs_format { OBS_LOGFMT, OBS_JSON };

enum obs_event {
#define X(id, name, level, keys, help) id,
#include "ms/obs_events.def"
#undef X
    OBS_EVENT_COUNT
};

enum obs_counter {
#define X(id, name, help) id,
#include "ms/obs_counters.def"
#undef X
    MET_COUNT
};

enum obs_family {
#define X(id, name, kind, labels, help) id,
#include "ms/obs_families.def"
#undef X
    FAM_COUNT
};

enum obs_kv_type { OBS_KV_SLICE, OBS_KV_U64, OBS_KV_I64, OBS_KV_ERR, OBS_KV_HEX };

struct obs_kv {
    const char *key;
    enum obs_kv_type type;
    struct slice s;
    uint64_t u;
};

#define OBS_S(k, v) ((struct obs_kv){.key = (k), .type = OBS_KV_SLICE, .s = (v)})
#define OBS_C(k, v) ((struct obs_kv){.key = (k), .type = OBS_KV_SLICE, .s = slice_cstr(v)})
#define OBS_U(k, v) ((struct obs_kv){.key = (k), .type = OBS_KV_U64, .u = (uint64_t)(v)})
#define OBS_I(k, v) ((struct obs_kv){.key = (k), .type = OBS_KV_I64, .u = (uint64_t)(int64_t)(v)})
#define OBS_X(k, v) ((struct obs_kv){.key = (k), .type = OBS_KV_HEX, .u = (uint64_t)(v)})
#define OBS_E(k, v) ((struct obs_kv){.key = (k), .type = OBS_KV_ERR, .u = (uint64_t)(v)})

/* session: 0 = none. The kv array is borrowed. Every line that belongs to a session or a message names it as its first key:
 * trace=EPOCH-SESSION (hexadecimal) from the session number, or, when the first kv has the key "trace", that one instead (a
 * message's own: EPOCH-SESSION.N). */
#define OBS_EVENT(ev, session, ...)                                                                          \
    obs_event_emit((ev), (session), (const struct obs_kv[]){__VA_ARGS__},                                    \
                   sizeof((const struct obs_kv[]){__VA_ARGS__}) / sizeof(struct obs_kv))
#define OBS_EVENT0(ev, session) obs_event_emit((ev), (session), NULL, 0)
void obs_event_emit(enum obs_event ev, uint64_t session, const struct obs_kv *kv, size_t count);

const char *obs_event_name(enum obs_event ev);
/* Formats without sending: what obs_event_emit would write, line end included, for tests and `trace`. */
void obs_event_format(struct str *out, enum obs_format format, uint64_t wall_us, enum obs_event ev,
                      uint64_t session, const struct obs_kv *kv, size_t count);

/* Control thread. fd is borrowed (standard error). level: lines below it are not made at all. */
MS_MUST_USE enum ms_err obs_start(int fd, enum obs_level level, enum obs_format format);
void obs_set_level(enum obs_level level, enum obs_format format);
bool obs_level_parse(struct slice s, enum obs_level *level_out); /* debug info notice warning error */
/* Writes what is in the rings, joins the log thread. */
void obs_stop(void);

/* The first part of trace=: the epoch of the queue's partition, which no restart repeats. Before the first session. */
void obs_set_epoch(uint64_t epoch);

/* The history: lines of level info and above that carry a trace are kept in files of a folder too, whatever obs_start's level
 * says; `trace ID` reads them. FOLDER/%08u.log, a new one past bytes / OBS_HISTORY_FILES, the oldest goes when there are more. Made
 * when missing. Before obs_start; ends with obs_stop. What cannot be written is counted (history_dropped_total). */
#define OBS_HISTORY_FILES 8
MS_MUST_USE enum ms_err obs_history_open(const char *dir, uint64_t bytes, struct ms_errinfo *why_out);
/* Lines of the history that belong to id, oldest first, line end included: the trace itself, what descends from it ("id.N",
 * "id.r1"), and of a message the lines of its session; or lines that name it as qid. Any thread, also while the server writes.
 * MS_ENOTFOUND: no such folder. MS_EINVAL: id cannot be one. */
#define OBS_TRACE_MAX 64
typedef void obs_history_fn(void *owner, struct slice line);
MS_MUST_USE enum ms_err obs_history_find(const char *dir, struct slice id, obs_history_fn *fn, void *owner);
/* One line, as obs writes it, to a JSON object without line end; a JSON line is copied. MS_ESYNTAX. */
MS_MUST_USE enum ms_err obs_line_to_json(struct slice line, struct str *out);

void obs_count(enum obs_counter c, uint64_t n);
uint64_t obs_counter_get(enum obs_counter c); /* sum over threads */
const char *obs_counter_name(enum obs_counter c);
const char *obs_counter_help(enum obs_counter c);

/* -- metrics with labels: rows of obs_families.def. A series is one set of label values; it is looked up once (a lock) and
 * kept where it is used, then counting costs what obs_count costs. Values are copied; NULL ends them. What no longer
 * fits (OBS_CELLS_MAX) is counted in the series 0, which nobody sees, and once in metric_series_lost_total. */
#define OBS_LABELS_MAX 3
#define OBS_LABEL_MAX  64 /* longer values are cut */
#define OBS_CELLS_MAX  4096 /* a series has one, a histogram OBS_BOUNDS + 2 */
#define OBS_BOUNDS     12
enum obs_family_kind { OBS_COUNTER, OBS_GAUGE, OBS_SECONDS, OBS_BYTES, OBS_AT_SCRAPE, OBS_AT_SCRAPE_SUM };
/* Any thread. Kinds COUNTER, GAUGE, SECONDS, BYTES. */
unsigned obs_series(enum obs_family f, const char *a, const char *b, const char *c);
/* The same, kept in *at, which begins as 0: for static tables of series. */
unsigned obs_series_keep(_Atomic unsigned *at, enum obs_family f, const char *a, const char *b, const char *c);
void obs_series_add(unsigned series, int64_t n); /* counters: n >= 0; gauges up and down, on any thread */
/* Histograms. value: microseconds, bytes. Bounds are powers of four: 16 us .. 67 s, 1 KiB .. 4 GiB. */
void obs_series_observe(unsigned series, uint64_t value);
int64_t obs_series_get(unsigned series);         /* sum over threads; of a histogram: the sum of its values */
uint64_t obs_series_count(unsigned series);      /* of a histogram: how many */
const char *obs_family_name(enum obs_family f);
enum obs_family_kind obs_family_kind(enum obs_family f);
const char *obs_family_labels(enum obs_family f); /* "service result" */
const char *obs_family_help(enum obs_family f);
enum obs_level obs_event_level(enum obs_event ev);
const char *obs_level_name(enum obs_level level);
const char *obs_event_keys(enum obs_event ev);
const char *obs_event_help(enum obs_event ev);

/* -- Prometheus text format 0.0.4 */
#define OBS_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
void obs_metrics_emit(struct str *out); /* every counter and every family that has series; any thread */
/* What is known at scrape only: once its head, then its samples. Label names are the row's, in its order. */
void obs_metric_begin(struct str *out, enum obs_family f);
void obs_metric_sample(struct str *out, enum obs_family f, const char *a, const char *b, const char *c, double value);

/* Power-of-two histogram; per thread inside, like counters. Values in the unit that the name states. */
#define OBS_HIST_BUCKETS 40
struct obs_hist {
    _Alignas(64) uint64_t buckets[OBS_HIST_BUCKETS];
    uint64_t sum;
    uint64_t count;
};
void obs_hist_add(struct obs_hist *h, uint64_t value);          /* owner thread only */
uint64_t obs_hist_quantile(const struct obs_hist *h, double q); /* upper bound of the bucket */

/* Token bucket for repeated lines: true = log it; *suppressed_out = lines swallowed since the last true. */
struct obs_limit {
    uint64_t next_ms;
    uint64_t suppressed;
};
bool obs_limit_pass(struct obs_limit *l, uint64_t now_ms, uint64_t interval_ms, uint64_t *suppressed_out);

#endif
