/*
 * obs_check.h - what the unit tests of obs share.
 */
#ifndef MS_TEST_OBS_CHECK_H
#define MS_TEST_OBS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "ms/obs.h"

static inline uint64_t check_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* All that a file holds. */
static inline void check_read_all(int fd, struct str *out)
{
    uint8_t block[4096];
    ssize_t n;
    off_t at = 0;

    while ((n = pread(fd, block, sizeof(block), at)) > 0) {
        str_add(out, block, (size_t)n);
        at += n;
    }
    assert_int_equal(n, 0);
}

/* The number behind `key` (for example " n="); fails the test when there is none. */
static inline uint64_t check_number(struct slice line, const char *key)
{
    ssize_t at = slice_find(line, slice_cstr(key));
    uint64_t value = 0;
    size_t len = 0;

    if (at < 0)
        fail_msg("no \"%s\" in " SLICE_FMT, key, SLICE_ARG(line));
    line = slice_sub(line, (size_t)at + strlen(key), SIZE_MAX);
    while (len < line.len && ms_ascii_is_digit(line.ptr[len]))
        len++;
    assert_int_equal(slice_to_u64(slice_sub(line, 0, len), UINT64_MAX, &value), MS_OK);
    return value;
}

#endif
