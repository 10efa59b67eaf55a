/*
 * clock.h - time, in two kinds that are never mixed.
 * Layer 0 (base).   Threads: any.
 */
#ifndef MS_BASE_CLOCK_H
#define MS_BASE_CLOCK_H

#include "ms/base/err.h"

/* Monotonic, for waits: milliseconds and nanoseconds since an arbitrary start. */
uint64_t clock_mono_ms(void);
uint64_t clock_mono_ns(void);
/* Wall clock, for stamps: microseconds since 1970-01-01 UTC. */
uint64_t clock_wall_us(void);

#define CLOCK_RFC3339_MAX 40 /* "2026-11-22T18:40:00.123456Z" and NUL */
#define CLOCK_RFC5322_MAX 40 /* "Sun, 22 Nov 2026 18:40:00 +0000" and NUL */

/* Both in UTC; return the length. */
size_t clock_emit_rfc3339(uint64_t wall_us, char out[CLOCK_RFC3339_MAX]);
size_t clock_emit_rfc5322(uint64_t wall_us, char out[CLOCK_RFC5322_MAX]);

/* Proleptic Gregorian calendar, no time zone data base. */
int64_t clock_days_from_civil(int64_t year, unsigned month, unsigned day);
void clock_civil_from_days(int64_t days, int64_t *year_out, unsigned *month_out, unsigned *day_out);

#endif
