/*
 * imapd_fixture.h - what the unit tests of imapd share.
 */
#ifndef TEST_IMAPD_FIXTURE_H
#define TEST_IMAPD_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../../src/imapd/imapd_priv.h"

static inline uint32_t test_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

static inline void put_run(struct str *runs, uint32_t first, uint32_t last)
{
    str_add_le32(runs, first);
    str_add_le32(runs, last);
}

#endif
