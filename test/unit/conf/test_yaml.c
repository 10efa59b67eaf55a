/*
 * test_yaml.c - bounds of the reader: depth, size, number of values, cost of hostile input; every cut of a
 * good file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>

#include "conf_fixture.h"

static double cpu_seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* All errors as "line:col text|", as far as buf reaches; "" when the text is fine. */
static void errors_of(struct slice text, char *buf, size_t size)
{
    size_t used = 0;
    struct conf_report report;
    struct conf *conf;

    conf_report_init(&report);
    buf[0] = '\0';
    if (conf_parse_bytes(FX_TABLES, text, "f", &report, &conf))
        assert_true(report.count > 0);
    for (size_t i = 0; i < report.count && used < size; i++)
        used += (size_t)snprintf(buf + used, size - used, "%u:%u %s|", report.errors[i].line,
                                 report.errors[i].col, report.errors[i].text);
    conf_report_fini(&report);
    conf_unref(&conf);
}

static void add_repeated(struct str *s, const char *part, size_t count)
{
    for (size_t i = 0; i < count; i++)
        str_add_cstr(s, part);
}

/* libyaml alone needs a minute for the first of these. */
static void test_hostile(void **state)
{
    static const struct {
        const char *head, *part;
        size_t count;
        const char *error;
    } cases[] = {
        {"", "[", 100000, "1:33 nested deeper than 32 levels|"},
        {"", "{", 100000, "1:33 nested deeper than 32 levels|"},
        {"", "- ", 50000, "1:65 nested deeper than 32 levels|"},
        {"", "? ", 50000, "1:65 nested deeper than 32 levels|"},
        {"", "{a: ", 30000, "1:129 nested deeper than 32 levels|"},
        {"a: ", "[", 29, "did not find expected node content, while parsing a flow node|"},
        {FX_SERVER "rewrite: [", "a,", 400000, ""},
        {FX_SERVER "rewrite: [", "a,", 600000, "more than 500000 values in one file|"},
    };
    struct str text;

    str_init(&text, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(cases); i++) {
        char error[4000];
        double start = cpu_seconds();

        str_reset(&text);
        str_add_cstr(&text, cases[i].head);
        add_repeated(&text, cases[i].part, cases[i].count);
        if (i == 6)
            str_add_cstr(&text, "]\n");
        errors_of(str_slice(&text), error, sizeof(error));
        print_message("# case %zu: %.100s\n", i, error);
        assert_non_null(strstr(error, cases[i].error));
        assert_int_equal(error[0] == '\0', cases[i].error[0] == '\0');
        assert_true(cpu_seconds() - start < 10);
    }
    str_fini(&text);
}

static void test_depth_exact(void **state)
{
    struct str text;
    char error[4000];

    str_init(&text, 0);
    str_add_cstr(&text, FX_SERVER "rewrite: ");
    add_repeated(&text, "[", CONF_DEPTH_MAX - 1);
    add_repeated(&text, "]", CONF_DEPTH_MAX - 1);
    errors_of(str_slice(&text), error, sizeof(error));
    assert_non_null(strstr(error, "2:11 an item of this list must be a single value"));
    str_reset(&text);
    str_add_cstr(&text, FX_SERVER "rewrite: ");
    add_repeated(&text, "[", CONF_DEPTH_MAX);
    add_repeated(&text, "]", CONF_DEPTH_MAX);
    errors_of(str_slice(&text), error, sizeof(error));
    assert_non_null(strstr(error, "2:41 nested deeper than 32 levels"));
    str_fini(&text);
}

static void test_size(void **state)
{
    struct str text;
    char error[4000];

    str_init(&text, 0);
    str_add_cstr(&text, FX_SERVER);
    while (text.len < CONF_FILE_BYTES_MAX)
        str_add_byte(&text, text.len % 80 == 0 ? '\n' : '#');
    for (size_t i = sizeof(FX_SERVER) - 1; i < text.len; i++) {
        if (text.ptr[i - 1] == '\n')
            text.ptr[i] = '#';
    }
    errors_of(str_slice(&text), error, sizeof(error));
    assert_string_equal(error, "");
    str_add_byte(&text, '\n');
    errors_of(str_slice(&text), error, sizeof(error));
    assert_string_equal(error, "0:0 larger than 8 MiB|");
    str_fini(&text);
}

/* One mapping with very many keys, and the same with each key twice. */
static void test_many_keys(void **state)
{
    struct conf_report report;
    struct conf *conf;
    struct str text;

    str_init(&text, 0);
    str_add_cstr(&text, FX_SERVER "channels:\n");
    for (unsigned i = 0; i < 50000; i++)
        str_addf(&text, "  c%u: {maxjobs: 2}\n", i);
    conf_report_init(&report);
    assert_int_equal(conf_parse_bytes(FX_TABLES, str_slice(&text), "f", &report, &conf), MS_OK);
    assert_int_equal(conf_map_count(conf, "channels.*"), 50000);
    assert_non_null(conf_map_find(conf, "channels.*", "c49999"));
    conf_unref(&conf);
    for (unsigned i = 0; i < 50000; i++)
        str_addf(&text, "  c%u: {maxjobs: 2}\n", i);
    assert_int_equal(conf_parse_bytes(FX_TABLES, str_slice(&text), "f", &report, &conf), MS_EINVAL);
    assert_int_equal(report.total, 50000);
    assert_string_equal(report.errors[0].text,
                        "this key is set twice, first on line 3 and again on line 50003");
    conf_report_fini(&report);
    str_fini(&text);
}

/* Text of a file, cut anywhere, is fine or an error, never anything else; and each byte replaced likewise. */
static void test_cuts(void **state)
{
    static const char text[] =
        "\xef\xbb\xbf" FX_SERVER "smtp:\n  banner: \"a\\tb\"\n  hosts: [a, 'b b',\n c]\n"
        "rewrite: |\n  one\n  two\nchannels: {defaults: {maxjobs: 3}, \xc3\xa4: {}}\n...\n";
    static const uint8_t bytes[] = {0, '\t', '\n', '"', '*', '&', '{', ']', ':', 0xff, 0xc3};
    uint8_t copy[sizeof(text)];
    char error[4000];

    errors_of(slice_cstr(text), error, sizeof(error));
    assert_string_equal(error, "");
    for (size_t len = 0; len < sizeof(text) - 1; len++)
        errors_of(slice_make(text, len), error, sizeof(error));
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        for (size_t k = 0; k < sizeof(bytes); k++) {
            memcpy(copy, text, sizeof(text));
            copy[i] = bytes[k];
            errors_of(slice_make(copy, sizeof(text) - 1), error, sizeof(error));
            if (bytes[k] == 0 || bytes[k] == 0xff)
                assert_non_null(strstr(error, "here is not text in UTF-8"));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile),   cmocka_unit_test(test_depth_exact), cmocka_unit_test(test_size),
        cmocka_unit_test(test_many_keys), cmocka_unit_test(test_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
