/*
 * app_memory.h - how much memory the process may use, how much it uses, and what follows from that.
 *
 * Counted is what cannot be taken back by the kernel: memory without a file behind it. The page cache of log and index does
 * not count.
 *
 *   FINE --80 %--> CACHES --90 %--> REFUSE --95 %--> CLOSE        each also when the one before has not helped
 *        <--75 %--        <--85 %--        <--90 %--
 *
 * Threads:  any; nothing is kept.
 */
#ifndef APP_MEMORY_H
#define APP_MEMORY_H

#include <stdint.h>

#include "ms/base/slice.h"

enum app_memory_level {
    APP_MEMORY_FINE,
    APP_MEMORY_CACHES, /* caches are emptied, then free memory goes back to the system */
    APP_MEMORY_REFUSE, /* new connections are refused, for now */
    APP_MEMORY_CLOSE,  /* sessions that are idle and nobody's are closed */
};
const char *app_memory_level_name(enum app_memory_level level);

/* One step up or down at most, so that the order is kept. limit > 0. */
enum app_memory_level app_memory_next(enum app_memory_level level, uint64_t used, uint64_t limit);

uint64_t app_memory_used(void); /* bytes; 0: cannot be known */
uint64_t app_memory_limit_auto(
    void); /* 80 % of the machine's memory, or of the control group's limit when that is less */

/* "4096 1000 200 ..." of /proc/self/statm: resident pages that no file backs. */
uint64_t app_memory_parse_statm(struct slice text);
/* A limit of a control group: "max" and nonsense are UINT64_MAX. */
uint64_t app_memory_parse_limit(struct slice text);

#endif
