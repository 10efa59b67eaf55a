/*
 * sum.c - CRC-32C and XXH3-128.
 *
 * CRC-32C comes in two forms with one result. The table form takes eight bytes a step through eight tables.
 * The SSE4.2 form uses the crc32 instruction, which has a latency of three cycles but can start one each
 * cycle: three neighbouring lanes run at once and are joined by shifting a lane's register over the length of
 * the lanes behind it. The shift is linear in the 32 bits, so it is four table look-ups; those tables are
 * made by feeding zero bytes to the table form.
 *
 * Registers here are "raw": without the first and last inversion, which crc32c_add does.
 */
#include <pthread.h>
#include <string.h>

#include <xxhash.h>

#include "ms/base/sum.h"

#define CRC_POLY        0x82F63B78u /* 0x1EDC6F41 reflected */
#define CRC_LANE_LONG   2048
#define CRC_LANE_SHORT  128
#define CRC_SLICE_BYTES 8

static pthread_once_t crc_once = PTHREAD_ONCE_INIT;
static uint32_t crc_table[CRC_SLICE_BYTES][256];

static void crc_table_make(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;

        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ CRC_POLY : crc >> 1;
        crc_table[0][i] = crc;
    }
    /* table[k][i]: byte i with k zero bytes behind it. */
    for (int k = 1; k < CRC_SLICE_BYTES; k++)
        for (uint32_t i = 0; i < 256; i++)
            crc_table[k][i] = crc_table[k - 1][i] >> 8 ^ crc_table[0][crc_table[k - 1][i] & 0xff];
}

static uint32_t crc_raw_table(uint32_t crc, const uint8_t *ptr, size_t len)
{
    for (; len >= 8; ptr += 8, len -= 8) {
        uint64_t word = ms_get_le64(ptr) ^ crc;

        crc = 0;
        for (int k = 0; k < 8; k++)
            crc ^= crc_table[7 - k][word >> (8 * k) & 0xff];
    }
    for (; len; ptr++, len--)
        crc = crc >> 8 ^ crc_table[0][(crc ^ *ptr) & 0xff];
    return crc;
}

#if defined(__x86_64__)

static bool crc_has_sse42;
static uint32_t crc_shift_long[4][256];
static uint32_t crc_shift_short[4][256];

static uint32_t crc_zeros(uint32_t crc, size_t len)
{
    while (len--)
        crc = crc >> 8 ^ crc_table[0][crc & 0xff];
    return crc;
}

static void crc_shift_make(uint32_t table[4][256], size_t len)
{
    uint32_t of_bit[32];

    for (int bit = 0; bit < 32; bit++)
        of_bit[bit] = crc_zeros((uint32_t)1 << bit, len);
    for (int byte = 0; byte < 4; byte++)
        for (uint32_t i = 0; i < 256; i++) {
            table[byte][i] = 0;
            for (int bit = 0; bit < 8; bit++)
                if (i >> bit & 1)
                    table[byte][i] ^= of_bit[8 * byte + bit];
        }
}

static uint32_t crc_shift(const uint32_t table[4][256], uint32_t crc)
{
    return table[0][crc & 0xff] ^ table[1][crc >> 8 & 0xff] ^ table[2][crc >> 16 & 0xff] ^
           table[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t crc_three_lanes(uint32_t crc, const uint8_t *ptr,
                                                                  size_t lane, const uint32_t shift[4][256])
{
    uint64_t a = crc, b = 0, c = 0;

    for (size_t i = 0; i < lane; i += 8) {
        a = __builtin_ia32_crc32di(a, ms_get_le64(ptr + i));
        b = __builtin_ia32_crc32di(b, ms_get_le64(ptr + lane + i));
        c = __builtin_ia32_crc32di(c, ms_get_le64(ptr + 2 * lane + i));
    }
    b ^= crc_shift(shift, (uint32_t)a);
    return (uint32_t)c ^ crc_shift(shift, (uint32_t)b);
}

__attribute__((target("sse4.2"))) static uint32_t crc_raw_sse42(uint32_t crc, const uint8_t *ptr, size_t len)
{
    uint64_t wide;

    for (; len >= 3 * CRC_LANE_LONG; ptr += 3 * CRC_LANE_LONG, len -= 3 * CRC_LANE_LONG)
        crc = crc_three_lanes(crc, ptr, CRC_LANE_LONG, crc_shift_long);
    for (; len >= 3 * CRC_LANE_SHORT; ptr += 3 * CRC_LANE_SHORT, len -= 3 * CRC_LANE_SHORT)
        crc = crc_three_lanes(crc, ptr, CRC_LANE_SHORT, crc_shift_short);
    wide = crc;
    for (; len >= 8; ptr += 8, len -= 8)
        wide = __builtin_ia32_crc32di(wide, ms_get_le64(ptr));
    crc = (uint32_t)wide;
    for (; len; ptr++, len--)
        crc = __builtin_ia32_crc32qi(crc, *ptr);
    return crc;
}

static void crc_init(void)
{
    crc_table_make();
    crc_shift_make(crc_shift_long, CRC_LANE_LONG);
    crc_shift_make(crc_shift_short, CRC_LANE_SHORT);
    crc_has_sse42 = __builtin_cpu_supports("sse4.2");
}

uint32_t crc32c_add(uint32_t crc, const void *ptr, size_t len)
{
    pthread_once(&crc_once, crc_init);
    return ~(crc_has_sse42 ? crc_raw_sse42(~crc, ptr, len) : crc_raw_table(~crc, ptr, len));
}

#else

static void crc_init(void)
{
    crc_table_make();
}

uint32_t crc32c_add(uint32_t crc, const void *ptr, size_t len)
{
    return crc32c_add_table(crc, ptr, len);
}

#endif

uint32_t crc32c_add_table(uint32_t crc, const void *ptr, size_t len)
{
    pthread_once(&crc_once, crc_init);
    return ~crc_raw_table(~crc, ptr, len);
}

struct sum128_state {
    XXH3_state_t *xxh;
};

static struct sum128 sum128_from(XXH128_hash_t h)
{
    return (struct sum128){.lo = h.low64, .hi = h.high64};
}

struct sum128 sum128_of(struct slice s)
{
    return sum128_from(XXH3_128bits(s.len ? (const void *)s.ptr : "", s.len));
}

struct sum128_state *sum128_create(void)
{
    struct sum128_state *st = ms_new(struct sum128_state);

    st->xxh = XXH3_createState();
    MS_ASSERT(st->xxh != NULL);
    MS_ASSERT(XXH3_128bits_reset(st->xxh) == XXH_OK);
    return st;
}

void sum128_add(struct sum128_state *st, struct slice s)
{
    if (s.len)
        MS_ASSERT(XXH3_128bits_update(st->xxh, s.ptr, s.len) == XXH_OK);
}

struct sum128 sum128_get(const struct sum128_state *st)
{
    return sum128_from(XXH3_128bits_digest(st->xxh));
}

void sum128_destroy(struct sum128_state **st)
{
    if (!*st)
        return;
    XXH3_freeState((*st)->xxh);
    ms_free(*st);
    *st = NULL;
}
