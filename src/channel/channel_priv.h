/*
 * channel_priv.h - what the files of this module share.
 */
#ifndef MS_CHANNEL_PRIV_H
#define MS_CHANNEL_PRIV_H

#include "ms/channel.h"

#define CHANNEL__NOTICE_MS_MAX (3650ull * 86400000)

/* Ages in ascending order; one item may hold several words. MS_ESYNTAX; MS_ELIMIT: more than
 * CHANNEL_NOTICES_MAX; MS_EINVAL: none, 0, more than ten years, or not ascending. */
MS_MUST_USE enum ms_err channel__notices_parse(const struct conf_strlist *list, enum channel_units units,
                                               struct channel_list *out);

bool channel__driver_is_known(const char *name);

#endif
