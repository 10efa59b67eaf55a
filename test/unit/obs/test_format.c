/* Lines as they are written: fields, quoting, escapes, cutting; random values stay well formed. */
#include "obs_check.h"

#include "ms/base/codec.h"

#define STAMP_US 1795372800123456 /* 2026-11-22T18:40:00.123456Z */
#define TEXT(t)  OBS_S("k", SLICE_LIT(t))

static void test_rows(void **state)
{
    const struct {
        struct obs_kv kv;
        const char *logfmt, *json; /* of this field alone */
    } rows[] = {
        {TEXT("plain"), "k=plain", "\"k\":\"plain\""},
        {TEXT("a@b.example"), "k=a@b.example", "\"k\":\"a@b.example\""},
        {TEXT("two words"), "k=\"two words\"", "\"k\":\"two words\""},
        {TEXT(""), "k=\"\"", "\"k\":\"\""},
        {{.key = "k", .type = OBS_KV_SLICE}, "k=\"\"", "\"k\":\"\""},
        {TEXT("a=b"), "k=\"a=b\"", "\"k\":\"a=b\""},
        {TEXT("say \"x\""), "k=\"say \\\"x\\\"\"", "\"k\":\"say \\\"x\\\"\""},
        {TEXT("c:\\d"), "k=\"c:\\\\d\"", "\"k\":\"c:\\\\d\""},
        {TEXT("gr\xc3\xbc\xc3\x9f"
              "e \xf0\x9f\x98\x80"),
         "k=\"gr\xc3\xbc\xc3\x9f"
         "e \xf0\x9f\x98\x80\"",
         "\"k\":\"gr\xc3\xbc\xc3\x9f"
         "e \xf0\x9f\x98\x80\""},
        {TEXT("\xc3\xbc"), "k=\xc3\xbc", "\"k\":\"\xc3\xbc\""},
        /* what would forge a line, or move the cursor of a terminal */
        {TEXT("a\nlevel=error"), "k=\"a\\x0alevel=error\"", "\"k\":\"a\\u000alevel=error\""},
        {TEXT("\r\n\t\0"), "k=\"\\x0d\\x0a\\x09\\x00\"", "\"k\":\"\\u000d\\u000a\\u0009\\u0000\""},
        {TEXT("\x1b[31m"), "k=\"\\x1b[31m\"", "\"k\":\"\\u001b[31m\""},
        {TEXT("\x7f"), "k=\"\\x7f\"", "\"k\":\"\\u007f\""},
        {TEXT("\xc2\x9b"
              "31m"),
         "k=\"\\xc2\\x9b31m\"", "\"k\":\"\\u009b31m\""},
        /* no UTF-8 */
        {TEXT("caf\xe9"), "k=\"caf\\xe9\"", "\"k\":\"caf\xef\xbf\xbd\""},
        {TEXT("\xff\xfe"), "k=\"\\xff\\xfe\"", "\"k\":\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {TEXT("\xe2\x82"), "k=\"\\xe2\\x82\"", "\"k\":\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {TEXT("\xed\xa0\x80"), "k=\"\\xed\\xa0\\x80\"", "\"k\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {TEXT("\xc0\x80"), "k=\"\\xc0\\x80\"", "\"k\":\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {OBS_U("k", 0), "k=0", "\"k\":0"},
        {OBS_U("k", UINT64_MAX), "k=18446744073709551615", "\"k\":18446744073709551615"},
        {OBS_I("k", -5), "k=-5", "\"k\":-5"},
        {OBS_I("k", INT64_MIN), "k=-9223372036854775808", "\"k\":-9223372036854775808"},
        {OBS_X("k", 0xdeadbeef), "k=deadbeef", "\"k\":\"deadbeef\""},
        {OBS_E("k", MS_EIO), "k=\"storage failure\"", "\"k\":\"storage failure\""},
        {OBS_E("k", MS_OK), "k=ok", "\"k\":\"ok\""},
    };
    struct str got, want;

    str_init(&got, 0);
    str_init(&want, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        str_reset(&got);
        str_reset(&want);
        obs_event_format(&got, OBS_LOGFMT, STAMP_US, OBS_LOG_DROPPED, 0, &rows[i].kv, 1);
        str_addf(&want, "ts=2026-11-22T18:40:00.123456Z level=warning event=log.dropped %s\n",
                 rows[i].logfmt);
        assert_string_equal(str_cstr(&got), str_cstr(&want));
        str_reset(&got);
        str_reset(&want);
        obs_event_format(&got, OBS_JSON, STAMP_US, OBS_LOG_DROPPED, 0, &rows[i].kv, 1);
        str_addf(
            &want,
            "{\"ts\":\"2026-11-22T18:40:00.123456Z\",\"level\":\"warning\",\"event\":\"log.dropped\",%s}\n",
            rows[i].json);
        assert_string_equal(str_cstr(&got), str_cstr(&want));
    }
    str_fini(&got);
    str_fini(&want);
}

static void test_order(void **state)
{
    const struct obs_kv kv[] = {OBS_C("b", "x y"), OBS_U("a", 2)};
    struct str out;

    str_init(&out, 0);
    obs_set_epoch(5);
    obs_event_format(&out, OBS_LOGFMT, 0, OBS_LOG_DROPPED, 0xabc, kv, 2);
    obs_event_format(&out, OBS_JSON, 0, OBS_LOG_DROPPED, 0xabc, kv, 2);
    obs_event_format(&out, OBS_LOGFMT, 0, OBS_LOG_DROPPED, 0, NULL, 0);
    assert_string_equal(
        str_cstr(&out),
        "ts=1970-01-01T00:00:00.000000Z level=warning event=log.dropped trace=5-abc b=\"x y\" a=2\n"
        "{\"ts\":\"1970-01-01T00:00:00.000000Z\",\"level\":\"warning\",\"event\":\"log.dropped\","
        "\"trace\":\"5-abc\",\"b\":\"x y\",\"a\":2}\n"
        "ts=1970-01-01T00:00:00.000000Z level=warning event=log.dropped\n");
    str_fini(&out);
}

/* -- a reader of JSON, as strict as RFC 8259, for flat objects of strings, integers and true -- */

static bool json_take(struct slice *s, const char *text)
{
    if (!slice_has_prefix(*s, slice_cstr(text)))
        return false;
    *s = slice_sub(*s, strlen(text), SIZE_MAX);
    return true;
}

static bool json_string(struct slice *s)
{
    if (!json_take(s, "\""))
        return false;
    while (s->len && s->ptr[0] != '"') {
        if (s->ptr[0] < 0x20)
            return false;
        if (s->ptr[0] != '\\') {
            *s = slice_sub(*s, 1, SIZE_MAX);
        } else if (s->len > 1 && (s->ptr[1] == '"' || s->ptr[1] == '\\')) {
            *s = slice_sub(*s, 2, SIZE_MAX);
        } else {
            if (!json_take(s, "\\u") || s->len < 4)
                return false;
            for (int i = 0; i < 4; i++)
                if (!strchr("0123456789abcdef", s->ptr[i]))
                    return false;
            *s = slice_sub(*s, 4, SIZE_MAX);
        }
    }
    return json_take(s, "\"");
}

static bool json_value(struct slice *s)
{
    size_t digits = 0;

    if (s->len && s->ptr[0] == '"')
        return json_string(s);
    if (json_take(s, "true"))
        return true;
    (void)json_take(s, "-");
    while (digits < s->len && ms_ascii_is_digit(s->ptr[digits]))
        digits++;
    *s = slice_sub(*s, digits, SIZE_MAX);
    return digits > 0;
}

static bool json_object_line(struct slice s)
{
    if (!utf8_is_valid(s) || !json_take(&s, "{"))
        return false;
    do {
        if (!json_string(&s) || !json_take(&s, ":") || !json_value(&s))
            return false;
    } while (json_take(&s, ","));
    return json_take(&s, "}\n") && s.len == 0;
}

static void test_reader_of_this_test(void **state)
{
    assert_true(json_object_line(SLICE_LIT("{\"a\":\"b\\u000a\",\"c\":-1,\"d\":true}\n")));
    assert_false(json_object_line(SLICE_LIT("{\"a\":\"b\"}")));
    assert_false(json_object_line(SLICE_LIT("{\"a\":\"b\n\"}\n")));
    assert_false(json_object_line(SLICE_LIT("{\"a\":\"b\\x0a\"}\n")));
    assert_false(json_object_line(SLICE_LIT("{\"a\":\"b}\n")));
    assert_false(json_object_line(SLICE_LIT("{\"a\":}\n")));
    assert_false(json_object_line(SLICE_LIT("{\"a\":\"\xff\"}\n")));
}

/* In a logfmt line quotes are closed and nothing but printable text stands in it. */
static bool logfmt_line(struct slice s)
{
    bool quoted = false;

    if (s.len == 0 || s.ptr[s.len - 1] != '\n' || !utf8_is_valid(s))
        return false;
    for (size_t i = 0; i + 1 < s.len; i++) {
        if (s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return false;
        if (quoted && s.ptr[i] == '\\')
            i++;
        else if (s.ptr[i] == '"')
            quoted = !quoted;
    }
    return !quoted;
}

static void assert_well_formed(const struct obs_kv *kv, size_t count)
{
    struct str out;

    str_init(&out, 0);
    obs_event_format(&out, OBS_JSON, STAMP_US, OBS_LOG_DROPPED, 1, kv, count);
    assert_true(out.len <= OBS_LINE_MAX);
    if (!json_object_line(str_slice(&out)))
        fail_msg("%s", str_cstr(&out));
    str_reset(&out);
    obs_event_format(&out, OBS_LOGFMT, STAMP_US, OBS_LOG_DROPPED, 1, kv, count);
    assert_true(out.len <= OBS_LINE_MAX);
    if (!logfmt_line(str_slice(&out)))
        fail_msg("%s", str_cstr(&out));
    str_fini(&out);
}

/* A character is one to six bytes of output. Is the line short, or near its limit by one of these, or one of a few others? */
static bool is_length_to_try(size_t len)
{
    if (len < 30 || len % 97 == 0)
        return true;
    for (size_t each = 1; each <= 6; each++)
        if (len * each + 200 > OBS_LINE_MAX && len * each < OBS_LINE_MAX + 60)
            return true;
    return false;
}

/* Every length around the limit, with characters of one to six bytes of output. */
static void test_cut(void **state)
{
    static const char *const units[] = {"x", "\xc3\xbc", "\xf0\x9f\x98\x80", "\n", "\"", " ", "\xff"};
    struct str value, out;

    str_init(&value, 0);
    str_init(&out, 0);
    for (size_t u = 0; u < MS_ARRAY_LEN(units); u++)
        for (size_t lead = 0; lead < 8; lead++) {
            str_reset(&value);
            for (size_t i = 0; i < lead; i++)
                str_add_byte(&value, 'y');
            for (; value.len < 2 * OBS_LINE_MAX; str_add_cstr(&value, units[u])) {
                const struct obs_kv kv[] = {OBS_S("k", str_slice(&value)), OBS_U("n", 7), TEXT("v")};

                if (is_length_to_try(value.len))
                    assert_well_formed(kv, 3);
            }
        }
    /* what was cut says so, and what was not does not */
    const struct obs_kv big = OBS_S("k", str_slice(&value)), small = TEXT("v");
    obs_event_format(&out, OBS_LOGFMT, 0, OBS_LOG_DROPPED, 0, &big, 1);
    assert_true(slice_has_suffix(str_slice(&out), SLICE_LIT("\" cut=true\n")));
    assert_true(out.len > OBS_LINE_MAX - 64);
    str_reset(&out);
    obs_event_format(&out, OBS_JSON, 0, OBS_LOG_DROPPED, 0, &big, 1);
    assert_true(slice_has_suffix(str_slice(&out), SLICE_LIT("\",\"cut\":true}\n")));
    str_reset(&out);
    obs_event_format(&out, OBS_JSON, 0, OBS_LOG_DROPPED, 0, &small, 1);
    assert_int_equal(slice_find(str_slice(&out), SLICE_LIT("cut")), -1);
    str_fini(&value);
    str_fini(&out);
}

static void test_many_fields(void **state)
{
    struct obs_kv kv[400];

    for (size_t i = 0; i < MS_ARRAY_LEN(kv); i++)
        kv[i] = i % 3 ? OBS_U("number", i * 1000) : OBS_C("text", "some words");
    for (size_t n = 0; n < MS_ARRAY_LEN(kv); n++)
        assert_well_formed(kv, n);
}

static void test_random_bytes(void **state)
{
    uint64_t rnd = 2048;

    for (int turn = 0; turn < 5000; turn++) {
        uint8_t bytes[3 * OBS_LINE_MAX / 2];
        size_t n = check_random(&rnd) % (turn % 10 ? 60 : sizeof(bytes));
        const struct obs_kv kv[] = {OBS_S("first", slice_make(bytes, n / 2)),
                                    OBS_S("second", slice_make(bytes + n / 2, n - n / 2)), OBS_X("x", n)};

        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)(check_random(&rnd) >> 20);
        assert_well_formed(kv, 3);
    }
}

static void test_bounded_output(void **state)
{
    struct str out;

    str_init(&out, 10);
    obs_event_format(&out, OBS_LOGFMT, 0, OBS_LOG_DROPPED, 0, NULL, 0);
    assert_true(str_is_over(&out));
    assert_int_equal(out.len, 0);
    str_fini(&out);
}

static void test_tables(void **state)
{
    enum obs_level level = OBS_NOTICE;

    assert_string_equal(obs_event_name(OBS_LOG_DROPPED), "log.dropped");
    assert_string_equal(obs_counter_name(MET_LOG_DROPPED), "log_dropped_total");
    for (int i = 0; i < OBS_EVENT_COUNT; i++) {
        assert_true(strlen(obs_event_name((enum obs_event)i)) > 2);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(obs_event_name((enum obs_event)i), obs_event_name((enum obs_event)k));
    }
    for (int i = 0; i < MET_COUNT; i++) {
        assert_true(strlen(obs_counter_name((enum obs_counter)i)) > 2);
        assert_true(strlen(obs_counter_help((enum obs_counter)i)) > 2);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(obs_counter_name((enum obs_counter)i),
                                    obs_counter_name((enum obs_counter)k));
    }
    assert_true(obs_level_parse(SLICE_LIT("debug"), &level) && level == OBS_DEBUG);
    assert_true(obs_level_parse(SLICE_LIT("error"), &level) && level == OBS_ERROR);
    assert_false(obs_level_parse(SLICE_LIT("Error"), &level));
    assert_false(obs_level_parse(SLICE_LIT("err"), &level));
    assert_false(obs_level_parse(SLICE_LIT("errors"), &level));
    assert_false(obs_level_parse((struct slice){NULL, 0}, &level));
    assert_int_equal(level, OBS_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_reader_of_this_test),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_many_fields),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_bounded_output),
        cmocka_unit_test(test_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
