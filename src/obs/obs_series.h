/*
 * obs_series.h - the rows of obs_series.c, for the text format.
 */
#ifndef MS_OBS_SERIES_H
#define MS_OBS_SERIES_H

#include "obs_priv.h"

struct obs_series {
    enum obs_family family;
    unsigned cell;
    char values[OBS_LABELS_MAX][OBS_LABEL_MAX];
};

/* 0 <= i < obs__series_count(): in the order they were made. */
size_t obs__series_count(void);
const struct obs_series *obs__series_at(size_t i);
double obs__bound(enum obs_family_kind kind, unsigned i); /* i < OBS_BOUNDS; seconds or bytes */

#endif
