/* Command lines in a stream: RFC 5321 2.3.8, 4.5.3.1.4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "ms/smtp.h"

/* What a stream gives: lines as "[text]", refusals as "L" (limit) and "S" (syntax). */
static void run(struct slice in, size_t chunk, struct str *log)
{
    struct smtp_line l;
    size_t start = 0;
    size_t have = 0;

    smtp_line_init(&l, 10);
    while (have < in.len) {
        enum ms_err err;

        have = MS_MIN(in.len, have + chunk);
        do {
            struct slice line;
            size_t used;
            uint8_t *copy = ms_memdup(in.ptr + start, have - start);

            err = smtp_line_find(&l, slice_make(copy, have - start), &line, &used);
            assert_true(used <= have - start);
            start += used;
            if (err == MS_OK)
                str_addf(log, "[" SLICE_FMT "]", SLICE_ARG(line));
            else if (err != MS_EMORE)
                str_add_byte(log, err == MS_ELIMIT ? 'L' : 'S');
            ms_free(copy);
        } while (err != MS_EMORE && start < have);
    }
    str_addf(log, "+%zu", l.skipping ? (size_t)0 : have - start);
}

static void test_lines(void **state)
{
    static const struct {
        struct slice in;
        const char *want;
    } rows[] = {
        {SLICE_LIT("QUIT\r\n"), "[QUIT]+0"},
        {SLICE_LIT("\r\n"), "[]+0"},
        {SLICE_LIT("A\r\nB\r\nC"), "[A][B]+1"},
        {SLICE_LIT("12345678\r\n"), "[12345678]+0"},
        {SLICE_LIT("A\rB\r\n"), "[A\rB]+0"},
        {SLICE_LIT("A\r"), "+2"},
        {SLICE_LIT("123456789\r\nB\r\n"), "L[B]+0"},
        {SLICE_LIT("1234567890123456789012345678901234567890\r\nB\r\n"), "L[B]+0"},
        {SLICE_LIT("123456789\r"), "L+0"},
        {SLICE_LIT("A\nB\r\nC\r\n"), "S[C]+0"}, /* B must not run */
        {SLICE_LIT("\nB\r\nC\r\n"), "S[C]+0"},
        {SLICE_LIT("A\nB\nC\r\nD\r\n"), "S[D]+0"},
        {SLICE_LIT("123456789012\nB\r\nC\r\n"), "L[C]+0"},
        {SLICE_LIT("1234567890\r\r\n\r\n"), "L[]+0"},
        {SLICE_LIT("A\n\r\nC\r\n"), "S[C]+0"},
        {SLICE_LIT("A\nB\rC\n\rD\r\nE\r\n"), "S[E]+0"},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        for (size_t chunk = 1; chunk <= rows[i].in.len; chunk++) {
            struct str log;
            str_init(&log, 0);
            run(rows[i].in, chunk, &log);
            if (!slice_eq_cstr(str_slice(&log), rows[i].want))
                fail_msg("row %zu chunk %zu: %s", i, chunk, str_cstr(&log));
            str_fini(&log);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
