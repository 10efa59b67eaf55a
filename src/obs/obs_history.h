/*
 * obs_history.h - names of the history's files, for writing and reading.
 */
#ifndef OBS_HISTORY_H
#define OBS_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OBS__HISTORY_NAME 24

void obs__history_name(uint32_t number, char out[OBS__HISTORY_NAME]);
bool obs__history_name_parse(const char *name, uint32_t *out);
/* Numbers of the files there are, ascending, at most max. */
size_t obs__history_list(int dir, uint32_t *numbers, size_t max);

#endif
