/* test_html.c - the text of HTML, cut anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ms/mime/text.h"

static const struct {
    const char *in, *want;
} rows[] = {
    {"", ""},
    {"plain", "plain"},
    {"a  b\r\n\tc", "a b c"},
    {"<b>bo</b>ld", "bold"},
    {"<B CLASS=x>bo</B>ld", "bold"},
    {"a<br>b<BR/>c", "a b c"},
    {"<p>one</p><p>two</p>", " one two "},
    {"<td>1</td><td>2</td>", " 1 2 "},
    {"<a href=\"x>y\">z</a>", "z"},
    {"<a href='\"'>z</a>", "z"},
    {"x<!-- no <b> -- > -->y", "xy"},
    {"x<!---->y", "xy"},
    {"x<!-->y-->z", "xy-->z"}, /* that comment ends at once */
    {"<!DOCTYPE html>x", "x"},
    {"<?php x ?>y", "y"},
    {"a<script>if (a < b) \"</b>\"</script>b", "a b"},
    {"a<STYLE type=x>p { }</style >b", "a b"},
    {"a<script>x</scriptx></script>b", "a b"},
    {"a<script/>b</script>c", "a c"},
    {"<scripty>x", " x"},
    {"1 < 2 and 3<4", "1 < 2 and 3<4"},
    {"a<", "a<"},
    {"a<b", "a"},
    {"a<!", "a"},
    {"&lt;b&gt;", "<b>"},
    {"a&amp;b&AMP;", "a&b&AMP;"},
    {"&eacute;&Eacute;&szlig;", "\xc3\xa9\xc3\x89\xc3\x9f"},
    {"&euro;&#8364;&#x20AC;&#X20ac", "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"},
    {"a&nbsp;&nbsp;b", "a b"},
    {"a&#160;b&#32;c", "a b c"},
    {"AT&T &unheard; &;", "AT&T &unheard; &;"},
    {"&amp", "&"},
    {"&amp x", "& x"},
    {"&#xd800;&#1114112;&#99999999999;", "\xef\xbf\xbd&#1114112;&#99999999999;"},
    {"&#0;", "\xef\xbf\xbd"},
    {"&averyveryverylongname;", "&averyveryverylongname;"},
    {"&&lt;<i>&</i>amp;", "&<&amp;"},
    {"caf\xc3\xa9<br>\xe2\x82\xac", "caf\xc3\xa9 \xe2\x82\xac"},
};

static void every_cut(void **state)
{
    struct str got;

    str_init(&got, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        for (size_t step = 1; step < 9; step++) {
            struct slice in = slice_cstr(rows[i].in);
            struct mime_html h;

            str_reset(&got);
            mime_html_init(&h);
            for (size_t at = 0; at < in.len; at += step)
                mime_html_add(&h, slice_sub(in, at, step), &got);
            mime_html_finish(&h, &got);
            if (!slice_eq_cstr(str_slice(&got), rows[i].want))
                fail_msg("%s in steps of %zu\n  gives %s\n  not   %s", rows[i].in, step, str_cstr(&got),
                         rows[i].want);
        }
    str_fini(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_cut)};

    return cmocka_run_group_tests_name("mime html", tests, NULL, NULL);
}
