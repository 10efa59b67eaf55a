#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "../../../src/app/import.h"
#include "ms/base/str.h"

/* A row as text: "login=anna;forwards=[a|b]", fields in the order of the enum. */
static void emit_row(const struct import_row *row, struct str *out)
{
    for (unsigned i = 0; i < IMPORT_FIELD_COUNT; i++) {
        const struct import_value *v = &row->value[i];
        if (!(row->given & IMPORT_BIT(i)))
            continue;
        bool list = import_field_is_list((enum import_field)i);
        str_addf(out, "%s%s=%s", out->len ? ";" : "", import_field_name((enum import_field)i),
                 list ? "[" : "");
        for (size_t n = 0; n < v->count; n++)
            str_addf(out, "%s" SLICE_FMT, n ? "|" : "", SLICE_ARG(v->items[n]));
        str_add_cstr(out, list ? "]" : "");
    }
}

struct row {
    const char *text;
    size_t len;
    enum ms_err want;
    const char *is; /* the row, or a part of the reason */
};
#define ROW(text, want, is)                                                                                  \
    {                                                                                                        \
        text, sizeof(text) - 1, want, is                                                                     \
    }

static const struct row json_rows[] = {
    ROW("{\"login\":\"anna\"}", MS_OK, "login=anna"),
    ROW(" { \"login\" : \"anna\" , \"quota\" : 1024 } ", MS_OK, "login=anna;quota=1024"),
    ROW("{\"login\":\"a\",\"quota\":\"1 GiB\",\"keep\":true}", MS_OK, "login=a;quota=1 GiB;keep=yes"),
    ROW("{\"keep\":false,\"login\":\"a\",\"name\":null}", MS_OK, "login=a;keep=no"),
    ROW("{\"login\":\"a\",\"forwards\":[\"b@x\",\"c@x\"],\"aliases\":[]}", MS_OK,
        "login=a;forwards=[b@x|c@x];aliases=[]"),
    ROW("{\"login\":\"a\",\"forwards\":\"b@x\",\"send_as\":[ \"@y\" ]}", MS_OK,
        "login=a;forwards=[b@x];send_as=[@y]"),
    ROW("{\"login\":\"a\",\"name\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", MS_OK, "login=a;name=\"\\/\b\f\n\r\t"),
    ROW("{\"login\":\"a\",\"name\":\"Gr\\u00fc\\u00DF \\ud83d\\ude00\"}", MS_OK,
        "login=a;name=Gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"),
    ROW("{\"login\":\"a\",\"quota\":-0.5e+10}", MS_OK, "login=a;quota=-0.5e+10"),
    ROW("{\"login\":\"a\",\"quota\":0}", MS_OK, "login=a;quota=0"),
    ROW("", MS_ESYNTAX, "no JSON object"),
    ROW("anna", MS_ESYNTAX, "no JSON object"),
    ROW("[\"login\"]", MS_ESYNTAX, "no JSON object"),
    ROW("{}", MS_EINVAL, "no field login"),
    ROW("{\"login\":null}", MS_EINVAL, "no field login"),
    ROW("{\"quota\":1}", MS_EINVAL, "no field login"),
    ROW("{\"login\":\"a\"", MS_ESYNTAX, "not closed"),
    ROW("{\"login\":\"a\",}", MS_ESYNTAX, "string is missing"),
    ROW("{\"login\":\"a\"} x", MS_ESYNTAX, "behind the object"),
    ROW("{\"login\":\"a\"}{\"login\":\"b\"}", MS_ESYNTAX, "behind the object"),
    ROW("{\"login\" \"a\"}", MS_ESYNTAX, "\":\" is missing"),
    ROW("{login:\"a\"}", MS_ESYNTAX, "string is missing"),
    ROW("{'login':'a'}", MS_ESYNTAX, "string is missing"),
    ROW("{\"login\":\"a\",\"shell\":\"/bin/sh\"}", MS_EINVAL, "no field \"shell\""),
    ROW("{\"Login\":\"a\"}", MS_EINVAL, "no field \"Login\""),
    ROW("{\"login\":\"a\",\"login\":\"b\"}", MS_EINVAL, "login stands there twice"),
    ROW("{\"login\":\"a\",\"name\":null,\"name\":\"b\"}", MS_EINVAL, "name stands there twice"),
    ROW("{\"login\":\"a}", MS_ESYNTAX, "string is not closed"),
    ROW("{\"login\":\"a\\\"}", MS_ESYNTAX, "string is not closed"),
    ROW("{\"login\":\"a\\x\"}", MS_ESYNTAX, "unknown escape"),
    ROW("{\"login\":\"a\\", MS_ESYNTAX, "unknown escape"),
    ROW("{\"login\":\"a\tb\"}", MS_ESYNTAX, "control character"),
    ROW("{\"login\":\"a\0b\"}", MS_ESYNTAX, "control character"),
    ROW("{\"login\":\"a\\u0000b\"}", MS_ESYNTAX, "NUL"),
    ROW("{\"login\":\"a\\u00g0\"}", MS_ESYNTAX, "hex"),
    ROW("{\"login\":\"a\\u00", MS_ESYNTAX, "hex"),
    ROW("{\"login\":\"\\ud83d\"}", MS_ESYNTAX, "surrogate"),
    ROW("{\"login\":\"\\ud83dx\"}", MS_ESYNTAX, "surrogate"),
    ROW("{\"login\":\"\\ud83d\\u0041\"}", MS_ESYNTAX, "surrogate"),
    ROW("{\"login\":\"\\ude00\"}", MS_ESYNTAX, "surrogate"),
    ROW("{\"login\":\"\xff\"}", MS_ESYNTAX, "UTF-8"),
    ROW("{\"login\":\"\xc0\xaf\"}", MS_ESYNTAX, "UTF-8"),
    ROW("{\"login\":\"a\",\"quota\":01}", MS_ESYNTAX, "no JSON value"),
    ROW("{\"login\":\"a\",\"quota\":1.}", MS_ESYNTAX, "behind its point"),
    ROW("{\"login\":\"a\",\"quota\":1e}", MS_ESYNTAX, "exponent"),
    ROW("{\"login\":\"a\",\"quota\":+1}", MS_ESYNTAX, "no JSON value"),
    ROW("{\"login\":\"a\",\"quota\":NaN}", MS_ESYNTAX, "no JSON value"),
    ROW("{\"login\":\"a\",\"keep\":TRUE}", MS_ESYNTAX, "no JSON value"),
    ROW("{\"login\":\"a\",\"quota\":}", MS_ESYNTAX, "no JSON value"),
    ROW("{\"login\":{\"a\":1}}", MS_ESYNTAX, "value inside a value"),
    ROW("{\"login\":[\"a\"]}", MS_ESYNTAX, "value inside a value"),
    ROW("{\"login\":\"a\",\"forwards\":[[\"b\"]]}", MS_ESYNTAX, "string is missing"),
    ROW("{\"login\":\"a\",\"forwards\":[1]}", MS_ESYNTAX, "string is missing"),
    ROW("{\"login\":\"a\",\"forwards\":[\"b\",]}", MS_ESYNTAX, "string is missing"),
    ROW("{\"login\":\"a\",\"forwards\":[\"b\"}", MS_ESYNTAX, "array is not closed"),
};

#define HEAD "login,name,forwards,quota\r\n"
static const struct row csv_rows[] = {
    ROW("anna,Anna,,", MS_OK, "login=anna;name=Anna"),
    ROW(",,,", MS_OK, ""), /* no login: the business of the fields */
    ROW("anna,\"A, \"\"B\"\" C\",\"x@y; z@y,v@w  u@w\",1 GiB", MS_OK,
        "login=anna;name=A, \"B\" C;quota=1 GiB;forwards=[x@y|z@y|v@w|u@w]"),
    ROW("anna,\"two\r\nlines\",,", MS_OK, "login=anna;name=two\r\nlines"),
    ROW("\"\",\"\",\"\",\"\"", MS_OK, ""),
    ROW("\"\"\"\",,,", MS_OK, "login=\""),
    ROW("anna,,none,0", MS_OK, "login=anna;quota=0;forwards=[none]"),
    ROW("anna,,\" ; , \",", MS_OK, "login=anna"),
    ROW("anna,Gr\xc3\xbc\xc3\x9f,,", MS_OK, "login=anna;name=Gr\xc3\xbc\xc3\x9f"),
    ROW("anna", MS_EINVAL, "1 fields, the header line has 4"),
    ROW("anna,,,,", MS_EINVAL, "5 fields, the header line has 4"),
    ROW("anna,\"x,,", MS_ESYNTAX, "quote is not closed"),
    ROW("anna,\"x\"\",,", MS_ESYNTAX, "quote is not closed"),
    ROW("anna,\"", MS_ESYNTAX, "quote is not closed"),
    ROW("anna,\"x\"y,,", MS_ESYNTAX, "behind a closing quote"),
    ROW("anna,\"x\" ,,", MS_ESYNTAX, "behind a closing quote"),
    ROW("anna,x\"y,,", MS_ESYNTAX, "does not begin with one"),
    ROW("anna, \"x\",,", MS_ESYNTAX, "does not begin with one"),
    ROW("an\rna,,,", MS_ESYNTAX, "CR"),
    ROW("anna,a\0b,,", MS_ESYNTAX, "NUL"),
    ROW("anna,\xff,,", MS_ESYNTAX, "UTF-8"),
    ROW(",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,", MS_ELIMIT,
        "more than 64 fields"),
};

static void check_row(const char *what, const struct row *want, enum ms_err err, const struct import_row *row,
                      const struct ms_errinfo *why)
{
    struct str text;
    str_init(&text, 0);
    if (!err)
        emit_row(row, &text);
    if (err != want->want ||
        (err ? strstr(why->text, want->is) == NULL : strcmp(str_cstr(&text), want->is) != 0))
        fail_msg("%s %s: %s, \"%s\"", what, want->text, ms_err_name(err), err ? why->text : str_cstr(&text));
    str_fini(&text);
}

static void test_json(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(json_rows); i++) {
        struct ms_errinfo why = {""};
        struct import_row row;
        struct arena a;
        arena_init(&a, 0);
        enum ms_err err = import_json_parse(slice_make(json_rows[i].text, json_rows[i].len), &a, &row, &why);
        check_row("json", &json_rows[i], err, &row, &why);
        arena_fini(&a);
    }
}

static void test_json_list_limit(void **state)
{
    struct str text;
    struct arena a;
    struct import_row row;
    arena_init(&a, 0);
    str_init(&text, 0);
    str_add_cstr(&text, "{\"login\":\"a\",\"aliases\":[\"x\"");
    for (int i = 1; i < IMPORT_ITEMS_MAX; i++)
        str_add_cstr(&text, ",\"x\"");
    size_t len = text.len;
    str_add_cstr(&text, "]}");
    assert_int_equal(import_json_parse(str_slice(&text), &a, &row, NULL), MS_OK);
    assert_int_equal(row.value[IMPORT_ALIASES].count, IMPORT_ITEMS_MAX);
    str_cut(&text, len);
    str_add_cstr(&text, ",\"x\"]}");
    assert_int_equal(import_json_parse(str_slice(&text), &a, &row, NULL), MS_ELIMIT);
    str_fini(&text);
    arena_fini(&a);
}

static void test_csv(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(csv_rows); i++) {
        struct slice text = slice_make(csv_rows[i].text, csv_rows[i].len);
        struct ms_errinfo why = {""};
        struct import_row row;
        struct import_csv csv;
        struct arena a;
        arena_init(&a, 0);
        assert_int_equal(import_csv_header(SLICE_LIT("login,name,forwards,quota"), &a, &csv, &why), MS_OK);
        check_row("csv", &csv_rows[i], import_csv_parse(&csv, text, &a, &row, &why), &row, &why);
        arena_fini(&a);
    }
}

static const struct row header_rows[] = {
    ROW("login", MS_OK, ""),
    ROW(" quota , \"login\"", MS_ESYNTAX, "quote"),
    ROW("quota, login ", MS_OK, ""),
    ROW("login,password,password_hash,name,quota,quota_messages,message_max,recipients_max,partition,status,"
        "mail_status,forwards,keep,aliases,send_as",
        MS_OK, ""),
    ROW("", MS_EINVAL, "no field \"\""),
    ROW("name", MS_EINVAL, "no field login"),
    ROW("login,", MS_EINVAL, "no field \"\""),
    ROW("login,uid", MS_EINVAL, "no field \"uid\""),
    ROW("login;name", MS_EINVAL, "no field \"login;name\""),
    ROW("login,name,login", MS_EINVAL, "login stands there twice"),
    ROW("login,\"name", MS_ESYNTAX, "not closed"),
};

static void test_csv_header(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(header_rows); i++) {
        struct ms_errinfo why = {""};
        struct import_csv csv;
        struct arena a;
        arena_init(&a, 0);
        enum ms_err err =
            import_csv_header(slice_make(header_rows[i].text, header_rows[i].len), &a, &csv, &why);
        if (err != header_rows[i].want || (err && !strstr(why.text, header_rows[i].is)))
            fail_msg("header %s: %s, \"%s\"", header_rows[i].text, ms_err_name(err), why.text);
        arena_fini(&a);
    }
}

static const struct {
    const char *text;
    bool at_end;
    enum ms_err want;
    size_t len;
} cut_rows[] = {
    {"a,b\nc", false, MS_OK, 4},
    {"a,b\r\nc", false, MS_OK, 5},
    {"\n", false, MS_OK, 1},
    {"a,\"b\nc\"\nd", false, MS_OK, 8},
    {"a,\"b\"\"\nc\"\nd", false, MS_OK, 10},
    {"a,b\"\nc", false, MS_OK, 5}, /* no field in quotes */
    {"\"a\"x\"\nb", false, MS_OK, 6},
    {"a,b", false, MS_EMORE, 0},
    {"a,b", true, MS_OK, 3},
    {"a,\"b\n", false, MS_EMORE, 0},
    {"a,\"b\n", true, MS_ESYNTAX, 0},
    {"a,\"b\"", true, MS_OK, 5},
    {"", false, MS_EMORE, 0},
};

static void test_csv_cut(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(cut_rows); i++) {
        size_t len = 0;
        enum ms_err err = import_csv_cut(slice_cstr(cut_rows[i].text), cut_rows[i].at_end, &len);
        if (err != cut_rows[i].want || (!err && len != cut_rows[i].len))
            fail_msg("cut %zu: %s, %zu", i, ms_err_name(err), len);
    }
}

/* Every record of a stream as "line:row" or "line!code", a line each. */
static void read_all(struct slice text, enum import_format format, struct str *out)
{
    FILE *stream = text.len ? fmemopen((void *)(uintptr_t)text.ptr, text.len, "r") : fopen("/dev/null", "r");
    struct import_reader r;
    struct import_row row;
    struct ms_errinfo why;
    struct arena a;
    enum ms_err err;
    arena_init(&a, 0);
    import_reader_init(&r, stream, format);
    while ((err = import_next(&r, &a, &row, &why)) != MS_ENOTFOUND) {
        struct str one;
        str_init(&one, 0);
        if (!err)
            emit_row(&row, &one);
        str_addf(out, "%lu%s%s\n", r.line, err ? "!" : ":", err ? ms_err_name(err) : str_cstr(&one));
        str_fini(&one);
        arena_reset(&a);
        if (err == MS_EUNSUPPORTED || err == MS_EIO)
            break;
    }
    import_reader_fini(&r);
    arena_fini(&a);
    fclose(stream);
}

static const struct {
    const char *text;
    enum import_format format;
    const char *want;
} stream_rows[] = {
    {"login\nanna\nbert\n", IMPORT_DETECT, "2:login=anna\n3:login=bert\n"},
    {"\xef\xbb\xbflogin\r\nanna\r\n\r\nbert", IMPORT_DETECT, "2:login=anna\n4:login=bert\n"},
    {"\n\nlogin,name\na,\"x\ny\"\nb,z\n", IMPORT_DETECT, "4:login=a;name=x\ny\n6:login=b;name=z\n"},
    {"login,name\na\nb,x\n", IMPORT_DETECT, "2!MS_EINVAL\n3:login=b;name=x\n"},
    /* a quote that is not closed costs its own line */
    {"login,name\na,\"x\nb,y\nc,z\n", IMPORT_DETECT, "2!MS_ESYNTAX\n3:login=b;name=y\n4:login=c;name=z\n"},
    {"login,name\na,\"x\nb,\"y\"\nc,z\n", IMPORT_DETECT,
     "2!MS_ESYNTAX\n3:login=b;name=y\n4:login=c;name=z\n"},
    {"{\"login\":\"a\"}\n\n{\"login\":1x}\n{\"login\":\"c\"}", IMPORT_DETECT,
     "1:login=a\n3!MS_ESYNTAX\n4:login=c\n"},
    {"  {\"login\":\"a\"}\nlogin\n", IMPORT_DETECT, "1:login=a\n2!MS_ESYNTAX\n"},
    {"login\n", IMPORT_DETECT, ""},
    {"login\n", IMPORT_JSON, "1!MS_ESYNTAX\n"},
    {"{\"login\":\"a\"}\n", IMPORT_CSV, "1!MS_EUNSUPPORTED\n"},
    {"", IMPORT_DETECT, "0!MS_EUNSUPPORTED\n"},
    {"\n \n", IMPORT_DETECT, "0!MS_EUNSUPPORTED\n"},
    {"", IMPORT_JSON, "0!MS_EUNSUPPORTED\n"},
    {"[{\"login\":\"a\"}]", IMPORT_DETECT, "0!MS_EUNSUPPORTED\n"},
    {"user,pass\na,b\n", IMPORT_DETECT, "1!MS_EUNSUPPORTED\n"},
};

static void test_streams(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(stream_rows); i++) {
        struct str out;
        str_init(&out, 0);
        read_all(slice_cstr(stream_rows[i].text), stream_rows[i].format, &out);
        if (strcmp(str_cstr(&out), stream_rows[i].want) != 0)
            fail_msg("stream %zu: %s", i, str_cstr(&out));
        str_fini(&out);
    }
}

/* Records of every length around the limit and the buffer: none is cut, a long one costs itself alone. */
static void test_long_records(void **state)
{
    static const struct {
        size_t name;
        bool good;
    } lengths[] = {{1, true},       {40000, true},   {65533, true}, {65534, false}, {70000, false},
                   {131072, false}, {400000, false}, {65000, true}, {2, true}};
    for (int quoted = 0; quoted < 2; quoted++) {
        struct str text, out, want;
        str_init(&text, 0);
        str_init(&out, 0);
        str_init(&want, 0);
        str_add_cstr(&text, "login,name\n");
        for (size_t i = 0; i < MS_ARRAY_LEN(lengths); i++) {
            size_t len = lengths[i].name - 2u * (quoted && lengths[i].name > 2);
            str_add_cstr(&text, quoted ? "a,\"" : "a,");
            for (size_t n = 0; n < len; n++)
                str_add_byte(&text, 'x');
            str_add_cstr(&text, quoted ? "\"\n" : "\n");
            str_addf(&want, lengths[i].good ? "%zu:login=a;name=" : "%zu!MS_ELIMIT", i + 2);
            for (size_t n = 0; lengths[i].good && n < len; n++)
                str_add_byte(&want, 'x');
            str_add_byte(&want, '\n');
        }
        read_all(str_slice(&text), IMPORT_DETECT, &out);
        assert_string_equal(str_cstr(&out), str_cstr(&want));
        str_fini(&text);
        str_fini(&out);
        str_fini(&want);
    }
}

/* Any octets: it ends, and lines never go back. */
static void test_noise(void **state)
{
    static const char alphabet[] = "login,name\"\"\n\n\r{}[]:\\u00dd,, a\xc3\xbc\xff\t";
    unsigned seed = 11;
    for (int round = 0; round < 3000; round++) {
        struct str text, out;
        str_init(&text, 0);
        str_init(&out, 0);
        str_add_cstr(&text, round % 2 ? "login,name\n" : "");
        for (int i = rand_r(&seed) % 200; i > 0; i--)
            str_add_byte(&text, (uint8_t)alphabet[(size_t)rand_r(&seed) % (sizeof alphabet - 1)]);
        read_all(str_slice(&text), round % 3 ? IMPORT_DETECT : IMPORT_JSON, &out);
        str_fini(&text);
        str_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),         cmocka_unit_test(test_json_list_limit),
        cmocka_unit_test(test_csv),          cmocka_unit_test(test_csv_header),
        cmocka_unit_test(test_csv_cut),      cmocka_unit_test(test_streams),
        cmocka_unit_test(test_long_records), cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
