/*
 * mime_cache.h - constants that the writer and the reader of the cache record share; the format is in
 * mime_cache.c.
 */
#ifndef MIME_CACHE_H
#define MIME_CACHE_H

#include "mime_priv.h"

#define MIME_CACHE_VERSION    1
#define MIME_CACHE_CRC_OFF    4
#define MIME_CACHE_NAMES_OFF  8
#define MIME_CACHE_BYTES_MIN  (MIME_CACHE_NAMES_OFF + MIME_NAMES_BYTES)
#define MIME_CACHE_FORM_SHIFT 6
#define MIME_CACHE_ID_MASK    0x3f

/* Of a record of MIME_CACHE_BYTES_MIN bytes at least; its own place is left out. */
uint32_t mime__cache_crc(struct slice record);

#endif
