/*
 * test_unit.c - sizes, durations, delays and booleans: what is taken, what is refused, and the way back to
 * text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "ms/conf.h"

#define KI 1024ull
#define MI (KI * KI)
#define H  3600000ull
#define D  (24 * H)

struct unit_case {
    const char *text;
    uint64_t bare; /* unit of a bare number */
    enum ms_err err;
    uint64_t value;
};

static void test_size(void **state)
{
    static const struct unit_case cases[] = {
        {"0", 1, MS_OK, 0},
        {"4096", 1, MS_OK, 4096},
        {"20", 1024, MS_OK, 20480},
        {"20B", 1024, MS_OK, 20},
        {"25 MiB", 1, MS_OK, 25 * MI},
        {"64KiB", 1, MS_OK, 64 * KI},
        {"64kib", 1, MS_OK, 64 * KI},
        {"1 GB", 1, MS_OK, 1000000000},
        {"3kB", 1, MS_OK, 3000},
        {"2MB", 1, MS_OK, 2000000},
        {"1TB", 1, MS_OK, 1000000000000},
        {"2GiB", 1, MS_OK, 2048 * MI},
        {"1TiB", 1, MS_OK, MI * MI},
        {" 1KiB ", 1, MS_OK, KI},
        {"007", 1, MS_OK, 7},
        {"9223372036854775807", 1, MS_OK, INT64_MAX},
        {"9223372036854775808", 1, MS_ELIMIT, 0},
        {"99999999999999999999999999", 1, MS_ELIMIT, 0},
        {"8388608TiB", 1, MS_ELIMIT, 0},
        {"8388607TiB", 1, MS_OK, 8388607 * MI * MI},
        {"", 1, MS_ESYNTAX, 0},
        {" ", 1, MS_ESYNTAX, 0},
        {"MiB", 1, MS_ESYNTAX, 0},
        {"-1", 1, MS_ESYNTAX, 0},
        {"+1", 1, MS_ESYNTAX, 0},
        {"1.5GiB", 1, MS_ESYNTAX, 0},
        {"1K", 1, MS_ESYNTAX, 0},
        {"1 M", 1, MS_ESYNTAX, 0},
        {"10s", 1, MS_ESYNTAX, 0},
        {"0x10", 1, MS_ESYNTAX, 0},
        {"1 KiB 2", 1, MS_ESYNTAX, 0},
        {"1KiB2B", 1, MS_ESYNTAX, 0},
        {"1,000", 1, MS_ESYNTAX, 0},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(cases); i++) {
        uint64_t value = 0;

        print_message("# size \"%s\"\n", cases[i].text);
        assert_int_equal(conf_parse_size(slice_cstr(cases[i].text), cases[i].bare, &value), cases[i].err);
        assert_true(value == cases[i].value);
    }
}

static void test_duration(void **state)
{
    static const struct unit_case cases[] = {
        {"90s", 0, MS_OK, 90000},
        {"5m", 0, MS_OK, 300000},
        {"2h", 0, MS_OK, 2 * H},
        {"2d", 0, MS_OK, 2 * D},
        {"1w", 0, MS_OK, 7 * D},
        {"250ms", 0, MS_OK, 250},
        {"90 s", 0, MS_OK, 90000},
        {"1h30m", 0, MS_OK, H * 3 / 2},
        {"1 d 2 h", 0, MS_OK, 26 * H},
        {"1s500ms", 0, MS_OK, 1500},
        {"5M", 0, MS_OK, 300000},
        {"0", 0, MS_OK, 0},
        {"0s", 0, MS_OK, 0},
        {"60", 1000, MS_OK, 60000},
        {"PT30M", 0, MS_OK, H / 2},
        {"pt30m", 0, MS_OK, H / 2},
        {"p1d", 0, MS_OK, D},
        {"pt36h", 0, MS_OK, 36 * H},
        {"p1w", 0, MS_OK, 7 * D},
        {"P1M", 0, MS_OK, 30 * D},
        {"P1Y", 0, MS_OK, 365 * D},
        {"P1Y2M3W4DT5H6M7S", 0, MS_OK, (365 + 60 + 21 + 4) * D + 5 * H + 6 * 60000 + 7000},
        {"PT0S", 0, MS_OK, 0},
        {"9223372036854775s", 0, MS_OK, 9223372036854775000},
        {"9223372036854776s", 0, MS_ELIMIT, 0},
        {"P99999999999Y", 0, MS_ELIMIT, 0},
        {"60", 0, MS_ESYNTAX, 0},
        {"", 0, MS_ESYNTAX, 0},
        {"m", 0, MS_ESYNTAX, 0},
        {"30m1h", 0, MS_ESYNTAX, 0},
        {"1h1h", 0, MS_ESYNTAX, 0},
        {"1h30", 0, MS_ESYNTAX, 0},
        {"1h30", 1000, MS_ESYNTAX, 0},
        {"-5m", 0, MS_ESYNTAX, 0},
        {"1.5h", 0, MS_ESYNTAX, 0},
        {"5min", 0, MS_ESYNTAX, 0},
        {"5KiB", 0, MS_ESYNTAX, 0},
        {"P", 0, MS_ESYNTAX, 0},
        {"PT", 0, MS_ESYNTAX, 0},
        {"P1", 0, MS_ESYNTAX, 0},
        {"P1DT", 0, MS_ESYNTAX, 0},
        {"P1H", 0, MS_ESYNTAX, 0},
        {"PT1D", 0, MS_ESYNTAX, 0},
        {"P1D1Y", 0, MS_ESYNTAX, 0},
        {"PT1HT1M", 0, MS_ESYNTAX, 0},
        {"P 1D", 0, MS_ESYNTAX, 0},
        {"P1.5D", 0, MS_ESYNTAX, 0},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(cases); i++) {
        uint64_t value = 0;

        print_message("# duration \"%s\"\n", cases[i].text);
        assert_int_equal(conf_parse_duration(slice_cstr(cases[i].text), cases[i].bare, &value), cases[i].err);
        assert_true(value == cases[i].value);
    }
}

static void test_after(void **state)
{
    static const struct {
        const char *text;
        enum ms_err err;
        bool absolute;
        uint64_t ms;
    } cases[] = {
        {"+2", MS_OK, false, 2000},
        {"+5m", MS_OK, false, 300000},
        {"+PT1H", MS_OK, false, H},
        {"0", MS_OK, true, 0},
        {"4000", MS_OK, true, 4000000},
        {"5m", MS_ESYNTAX, false, 0},
        {"+", MS_ESYNTAX, false, 0},
        {"", MS_ESYNTAX, false, 0},
        {"++1", MS_ESYNTAX, false, 0},
        {"-1", MS_ESYNTAX, false, 0},
        {"9223372036854775807", MS_ELIMIT, false, 0},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(cases); i++) {
        struct conf_after after = {0};

        print_message("# after \"%s\"\n", cases[i].text);
        assert_int_equal(conf_parse_after(slice_cstr(cases[i].text), &after), cases[i].err);
        assert_int_equal(after.absolute, cases[i].absolute);
        assert_true(after.ms == cases[i].ms);
    }
}

static void test_bool(void **state)
{
    static const char *const yes[] = {"true", "yes", "on", "TRUE", "On", " yes "};
    static const char *const no[] = {"false", "no", "off", "FALSE", "No"};
    static const char *const bad[] = {"", "1", "0", "y", "n", "truee", "yes no", "~"};
    bool value;

    for (size_t i = 0; i < MS_ARRAY_LEN(yes); i++) {
        value = false;
        assert_int_equal(conf_parse_bool(slice_cstr(yes[i]), &value), MS_OK);
        assert_true(value);
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(no); i++) {
        value = true;
        assert_int_equal(conf_parse_bool(slice_cstr(no[i]), &value), MS_OK);
        assert_false(value);
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++)
        assert_int_equal(conf_parse_bool(slice_cstr(bad[i]), &value), MS_ESYNTAX);
}

static void test_emit(void **state)
{
    static const struct {
        uint64_t value;
        const char *size, *duration;
    } cases[] = {
        {0, "0B", "0s"},
        {1, "1B", "1ms"},
        {1000, "1000B", "1s"},
        {1024, "1KiB", "1s24ms"},
        {64 * MI, "64MiB", "18h38m28s864ms"},
        {D, "84375KiB", "1d"},
        {10 * D, "843750KiB", "10d"},
        {14 * D, "1181250KiB", "2w"},
        {H * 3 / 2, "5400000B", "1h30m"},
        {INT64_MAX, "9223372036854775807B", "106751991167d7h12m55s807ms"},
    };
    struct str out;

    str_init(&out, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(cases); i++) {
        uint64_t back;

        str_reset(&out);
        conf_emit_size(&out, cases[i].value);
        assert_string_equal(str_cstr(&out), cases[i].size);
        assert_int_equal(conf_parse_size(str_slice(&out), 1024, &back), MS_OK);
        assert_true(back == cases[i].value);
        str_reset(&out);
        conf_emit_duration(&out, cases[i].value);
        assert_string_equal(str_cstr(&out), cases[i].duration);
        assert_int_equal(conf_parse_duration(str_slice(&out), 0, &back), MS_OK);
        assert_true(back == cases[i].value);
    }
    str_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size), cmocka_unit_test(test_duration), cmocka_unit_test(test_after),
        cmocka_unit_test(test_bool), cmocka_unit_test(test_emit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
