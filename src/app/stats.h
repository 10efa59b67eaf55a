/*
 * stats.h - the view `stats` on a terminal: two pages of metrics, what happened between them, a screen of text.
 */
#ifndef APP_STATS_H
#define APP_STATS_H

#include "ms/base/str.h"

#define STATS_SAMPLES_MAX 8192

/* A page of metrics as the server gives it. */
struct stats_sample {
    struct slice name, labels; /* "imap_sessions", "state=\"auth\"" */
    double value;
};
struct stats_page {
    struct str text; /* what the slices point into */
    uint64_t mono_ns;
    struct stats_sample *samples; /* of this memory */
    size_t count;
};
void stats_page_init(struct stats_page *p);
void stats_page_fini(struct stats_page *p);
/* Reads p->text, which stays. What is no sample is passed over. */
void stats_page_parse(struct stats_page *p);
/* The sum of all samples of that name whose labels hold this text ("" = all). */
double stats_sum(const struct stats_page *p, const char *name, const char *labels);
/* Value of a label; empty when there is none. */
struct slice stats_label(const struct stats_sample *s, const char *label);

/* One frame, at most lines x columns, line ends included. now may be old for the first frame: rates are 0. */
struct stats_frame {
    const struct stats_page *old, *now;
    const char *host, *clock; /* who and when, as text */
    unsigned lines, columns;  /* 0: as it comes */
};
void stats_frame_emit(struct str *out, const struct stats_frame *f);

#endif
