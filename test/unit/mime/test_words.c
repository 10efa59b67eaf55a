/* test_words.c - encoded words of RFC 2047. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ms/mime/text.h"

static const struct {
    const char *in, *want;
} rows[] = {
    {"plain", "plain"},
    {"=?utf-8?q?a_b=20c?=", "a b c"},
    {"=?UTF-8?B?w6k=?=", "\xc3\xa9"},
    {"=?iso-8859-1?Q?caf=E9?= x", "caf\xc3\xa9 x"},
    {"=?us-ascii*en?Q?x?=", "x"},
    {"x =?utf-8?q?y?= z", "x y z"},
    {"=?utf-8?q?a?= \r\n =?utf-8?q?b?=", "ab"},
    {"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"},
    {"=?utf-8?q?a?=  ", "a  "},
    {"=?utf-8?q?a_?= =?utf-8?q?b?=", "a b"},
    {"=?utf-8?q?a?==?utf-8?q?b?=", "ab"},
    {"\"=?utf-8?q?a?=\" <x@y>", "\"a\" <x@y>"},
    {"=?koi8-r?B?8NI=?=", "\xd0\x9f\xd1\x80"},
    {"=?utf-8?q?a?= =?koi8-r?B?8A==?=", "a\xd0\x9f"},
    {"=?gb2312?B?xOO6ww==?=", "\xe4\xbd\xa0\xe5\xa5\xbd"},
    {"=?iso-2022-jp?B?GyRCJEYbKEI=?=", "\xe3\x81\xa6"},
    /* a character cut by its sender between two words */
    {"=?utf-8?b?w4==?= =?utf-8?q?=A9?=", "\xc3\xa9"},
    {"=?UTF-8?q?=E2=82?=\r\n\t=?utf-8?b?rA==?=", "\xe2\x82\xac"},
    {"=?big5?q?=a7?= =?big5?q?A?=", "\xe4\xbd\xa0"},
    {"=?utf-8?q?=c3?= =?iso-8859-1?q?=a9?=", "\xc3\x83\xc2\xa9"}, /* two charsets: two texts */
    {"=?utf-8?q?=c3?= x", "\xc3\x83 x"},
    /* 8-bit bytes outside of words */
    {"caf\xc3\xa9", "caf\xc3\xa9"},
    {"caf\xe9", "caf\xc3\xa9"},
    /* charsets nobody knows, bytes that are none of their charset */
    {"=?x-unheard?q?caf=e9?=", "caf\xc3\xa9"},
    {"=?utf-8?q?=ff?=", "\xc3\xbf"},
    /* no words */
    {"=?utf-8?x?a?=", "=?utf-8?x?a?="},
    {"=?utf-8?q?a b?=", "=?utf-8?q?a b?="},
    {"=?utf-8?q?open", "=?utf-8?q?open"},
    {"=?utf-8?q?a?x", "=?utf-8?q?a?x"},
    {"=?utf-8?qq?a?=", "=?utf-8?qq?a?="},
    {"=??q?a?=", "=??q?a?="},
    {"=?utf-8?q?"
     "?=",
     ""},
    {"=?utf-8?q?=4?=", "=4"},
    {"=?utf-8?q?=zz=?=", "=zz="},
    {"=?utf-8?b?!?=", ""},
    {"=?", "=?"},
    {"=", "="},
    {"", ""},
    {"=?=?utf-8?q?a?=", "=?a"},
};

static void words(void **state)
{
    struct str got;

    str_init(&got, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        str_reset(&got);
        mime_words_decode(slice_cstr(rows[i].in), &got);
        if (!slice_eq_cstr(str_slice(&got), rows[i].want))
            fail_msg("%s\n  gives %s\n  not   %s", rows[i].in, str_cstr(&got), rows[i].want);
    }
    str_fini(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words)};

    return cmocka_run_group_tests_name("mime words", tests, NULL, NULL);
}
