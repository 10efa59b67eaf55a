/* CRC-32C against published values and a bitwise form; XXH3-128 whole and in parts. */
#include "base_check.h"

#include "ms/base/sum.h"

/* Straight from the definition: one bit at a time. */
static uint32_t crc_bitwise(const uint8_t *ptr, size_t len)
{
    uint32_t crc = 0xffffffff;

    while (len--) {
        crc ^= *ptr++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

/* RFC 3720 B.4, and the check value of the catalogues. */
static void test_crc_vectors(void **state)
{
    uint8_t zeros[32] = {0}, ones[32], up[32], down[32];

    memset(ones, 0xff, sizeof(ones));
    for (uint8_t i = 0; i < 32; i++) {
        up[i] = i;
        down[i] = (uint8_t)(31 - i);
    }
    const struct {
        struct slice in;
        uint32_t crc;
    } rows[] = {
        {X("123456789"), 0xE3069283},
        {X(""), 0},
        {X("a"), 0xC1D04330},
        {slice_make(zeros, 32), 0x8A9136AA},
        {slice_make(ones, 32), 0x62A8AB43},
        {slice_make(up, 32), 0x46DD794E},
        {slice_make(down, 32), 0x113FDB5C},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        assert_true(crc32c_add(0, rows[i].in.ptr, rows[i].in.len) == rows[i].crc);
        assert_true(crc32c_add_table(0, rows[i].in.ptr, rows[i].in.len) == rows[i].crc);
    }
    assert_true(crc32c_add(0, NULL, 0) == 0);
}

#define BYTES 40000

static uint8_t *random_bytes(size_t len)
{
    uint8_t *bytes = ms_alloc(len);
    uint64_t rnd = 8;

    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(check_random(&rnd) >> 24);
    return bytes;
}

/* Both forms, all alignments, lengths around the borders of the lanes. */
static void test_crc_forms(void **state)
{
    uint8_t *bytes = random_bytes(BYTES);
    static const size_t around[] = {
        0, 8, 64, 3 * 128, 6 * 128, 3 * 2048, 3 * 2048 + 3 * 128, 6 * 2048, 9 * 2048 + 77};

    for (size_t a = 0; a < MS_ARRAY_LEN(around); a++)
        for (size_t n = around[a] > 9 ? around[a] - 9 : 0; n < around[a] + 10; n++)
            for (size_t off = 0; off < 8; off += 3) {
                uint32_t want = crc_bitwise(bytes + off, n);

                assert_true(crc32c_add(0, bytes + off, n) == want);
                assert_true(crc32c_add_table(0, bytes + off, n) == want);
            }
    ms_free(bytes);
}

static void test_crc_in_parts(void **state)
{
    uint8_t *bytes = random_bytes(BYTES);
    uint32_t whole = crc32c_add(0, bytes, BYTES);
    uint64_t rnd = 9;

    for (int turn = 0; turn < 50; turn++) {
        uint32_t crc = 0;

        for (size_t at = 0; at < BYTES;) {
            size_t n = check_random(&rnd) % 9000;

            n = MS_MIN(n, BYTES - at);
            crc = turn % 2 ? crc32c_add(crc, bytes + at, n) : crc32c_add_table(crc, bytes + at, n);
            at += n;
        }
        assert_true(crc == whole);
    }
    bytes[BYTES / 2] ^= 1;
    assert_true(crc32c_add(0, bytes, BYTES) != whole);
    ms_free(bytes);
}

static void test_sum128(void **state)
{
    uint8_t *bytes = random_bytes(BYTES);
    struct slice all = slice_make(bytes, BYTES);
    struct sum128_state *st = sum128_create();
    struct sum128 whole = sum128_of(all), empty = sum128_of((struct slice){NULL, 0});

    assert_true(sum128_eq(sum128_get(st), empty));
    assert_true(sum128_eq(empty, sum128_of(X(""))));
    assert_true(empty.hi == 0x99aa06d3014798d8u &&
                empty.lo == 0x6001c324468d497fu); /* published for XXH3-128 */
    for (size_t at = 0; at < BYTES; at += 777) {
        sum128_add(st, slice_sub(all, at, 777));
        sum128_add(st, (struct slice){NULL, 0});
    }
    assert_true(sum128_eq(sum128_get(st), whole));
    assert_true(sum128_eq(sum128_get(st), whole)); /* asking changes nothing */
    bytes[3] ^= 1;
    assert_false(sum128_eq(sum128_of(all), whole));
    sum128_destroy(&st);
    assert_null(st);
    sum128_destroy(&st);
    ms_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc_vectors),
        cmocka_unit_test(test_crc_forms),
        cmocka_unit_test(test_crc_in_parts),
        cmocka_unit_test(test_sum128),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
