/* Dates: RFC 5322, its obsolete forms, ctime(3), and what no calendar has. */
#include "mime_check.h"

static void test_good(void **state)
{
    static const struct {
        const char *in;
        long long seconds;
        int zone;
    } rows[] = {
        {"Fri, 21 Nov 1997 09:55:06 -0600", 880127706, -360},
        {"21 Nov 1997 09:55:06 -0600", 880127706, -360},
        {"Fri,21 Nov 1997 09:55:06 -0600", 880127706, -360},
        {" Fri,\r\n 21\r\n Nov 1997 09:55:06 -0600 (CST)", 880127706, -360},
        {"Fri, 21 Nov 97 09(comment):   55  :  06 -0600", 880127706, -360},
        {"Fri, 21 Nov 097 09:55:06 -0600", 880127706, -360},
        {"Mon, 21 Nov 1997 09:55:06 -0600", 880127706, -360}, /* the wrong weekday does no harm */
        {"fri, 21 nov 1997 09:55:06 cst", 880127706, -360},
        {"Friday, 21 November 1997 09:55:06 CST", 880127706, -360},
        {"Fri Nov 21 09:55:06 1997", 880106106, 0},
        {"Fri Nov 21 09:55:06 CST 1997", 880127706, -360},
        {"Fri Nov 21 09:55:06 -0600 1997", 880127706, -360},
        {"21-Nov-1997 09:55:06 -0600", 880127706, -360},
        {"21 Nov 1997 09:55 -0600", 880127700, -360},
        {"1 Jan 1970 00:00:00 +0000", 0, 0},
        {"1 Jan 1970 00:00:00 GMT", 0, 0},
        {"1 Jan 1970 00:00:00 UT", 0, 0},
        {"1 Jan 1970 00:00:00 Z", 0, 0},
        {"1 Jan 1970 00:00:00", 0, 0},
        {"1 Jan 1970 00:00:00 -0000", 0, 0},
        {"1 Jan 1970 00:00:00 XYZ", 0, 0},
        {"1 Jan 1970 00:00:00 GMT+0200", -7200, 120},
        {"1 Jan 1970 00:00:00 +02:00", -7200, 120},
        {"1 Jan 1970 00:00:00 +2", -7200, 120},
        {"1 Jan 1970 00:00:00 +530", -19800, 330},
        {"1 Jan 1970 00:00:00 -2359", 86340, -1439},
        {"1 Jan 70 00:00 EST", 18000, -300},
        {"31 Dec 49 23:59:59 +0000", 2524607999, 0},
        {"1 Jan 50 00:00:00 +0000", -631152000, 0},
        {"29 Feb 2000 12:00:00 +0000", 951825600, 0},
        {"30 Jun 1997 23:59:60 +0000", 867715200, 0},
        {"31 Dec 9999 23:59:59 +0000", 253402300799, 0},
        {"1 Jan 1900 00:00:00 +0000", -2208988800, 0},
        {"Tue, 3 Sept 2019 10:00:00 PDT", 1567530000, -420},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        int64_t us;
        int zone;
        enum ms_err err = mime_date_parse(slice_cstr(rows[i].in), &us, &zone);
        CHECK_ROW(err == MS_OK && us == (int64_t)rows[i].seconds * 1000000 && zone == rows[i].zone, i);
    }
}

static void test_bad(void **state)
{
    static const struct slice rows[] = {
        S(""),
        S("   "),
        S("yesterday"),
        S("Fri,"),
        S("21"),
        S("21 Nov"),
        S("21 Nov 1997"),
        S("21 Nov 1997 09"),
        S("21 Nov 1997 09:"),
        S("21 Nov 1997 09:55:"),
        S("32 Jan 1997 00:00:00 +0000"),
        S("0 Jan 1997 00:00:00 +0000"),
        S("29 Feb 1900 00:00:00 +0000"),
        S("29 Feb 1997 00:00:00 +0000"),
        S("31 Apr 1997 00:00:00 +0000"),
        S("21 Nov 1997 24:00:00 +0000"),
        S("21 Nov 1997 00:60:00 +0000"),
        S("21 Nov 1997 00:00:61 +0000"),
        S("21 Foo 1997 00:00:00 +0000"),
        S("21 No 1997 00:00:00 +0000"),
        S("21 Novx 1997 00:00:00 +0000"),
        S("21 Nov 1 00:00:00 +0000"),
        S("21 Nov 19977 00:00:00 +0000"),
        S("21 Nov 1899 00:00:00 +0000"),
        S("21 Nov 1997 00:00:00 +2400"),
        S("21 Nov 1997 00:00:00 +0060"),
        S("21 Nov 1997 00:00:00 +"),
        S("21 Nov 1997 00:00:00 +00000"),
        S("21 Nov 1997 00:00:00 +0200:00"),
        S("121 Nov 1997 00:00:00 +0000"),
        S("99999999999999999999 Nov 1997 00:00:00"),
        S("(21 Nov 1997 00:00:00 +0000"),
        S("21 Nov 1997 009:00:00 +0000"),
        S("\xff\xfe\0"),
        S("Fri Nov 21 09:55:06"),
        S("Fri Fri 21 09:55:06 1997"),
        S("-21 Nov 1997 00:00:00"),
        S("2026-11-22T18:40:00Z"),
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        int64_t us = 1;
        int zone = 1;
        enum ms_err err = mime_date_parse(rows[i], &us, &zone);
        CHECK_ROW(err == MS_ESYNTAX && us == 0 && zone == 0, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
