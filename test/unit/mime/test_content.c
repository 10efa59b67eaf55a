/* Content-Type, Content-Disposition, their parameters, RFC 2231. */
#include "mime_check.h"

static void test_types(void **state)
{
    static const struct {
        struct slice in;
        enum ms_err err;
        const char *want;
    } rows[] = {
        {S("text/plain"), MS_OK, "text/plain"},
        {S(" Text/HTML ; Charset=UTF-8 "), MS_OK, "Text/HTML [Charset=UTF-8]"},
        {S("text/plain;charset=us-ascii (Plain text)"), MS_OK, "text/plain [charset=us-ascii]"},
        {S("text (x) / (y) plain (z); (a) b (c) = (d) e"), MS_OK, "text/plain [b=e]"},
        {S("a/b; n=\"x; y\\\"z\\\\\""), MS_OK, "a/b [n=x; y\"z\\]"},
        {S("a/b; n=\"\""), MS_OK, "a/b [n=]"},
        {S("a/b; n="), MS_OK, "a/b [n=]"},
        {S("a/b; n=my file (1).bin; m=2"), MS_OK, "a/b [n=my file] [m=2]"},
        {S("a/b; n=file(1).bin"), MS_OK, "a/b [n=file(1).bin]"},
        {S("multipart/mixed; boundary=----=_x/y:z?"), MS_OK, "multipart/mixed [boundary=----=_x/y:z?]"},
        {S("a/b;\r\n\tn=1;\r\n\tm=\"2\r\n 3\""), MS_OK, "a/b [n=1] [m=2 3]"},
        {S("a/b; n=\"x\0y\""), MS_OK, "a/b [n=x?y]"},
        {S("a/b;;; n=1;;"), MS_OK, "a/b [n=1]"},
        {S("a/b; junk; =x; n=1"), MS_OK, "a/b [n=1]"},
        {S("a/b; n=\"open"), MS_OK, "a/b [n=open]"},
        {S("a/b; n=\"x\" junk; m=2"), MS_OK, "a/b [n=x] [m=2]"},
        {S("a/b; n=1; N=2"), MS_OK, "a/b [n=1] [N=2]"},
        {S("a/b; n*0=x; n*1*=%41"), MS_OK, "a/b [n*0=x] [n*1*=%41]"},
        {S("a/b; n=r\xc3\xa9.txt"), MS_OK, "a/b [n=r\xc3\xa9.txt]"},
        {S("a/b c/d; n=1"), MS_OK, "a/b [n=1]"},
        {S("application/vnd.x+json"), MS_OK, "application/vnd.x+json"},
        {S(""), MS_ESYNTAX, "text/plain"},
        {S("text"), MS_ESYNTAX, "text/plain"},
        {S("text/"), MS_ESYNTAX, "text/plain"},
        {S("/plain"), MS_ESYNTAX, "text/plain"},
        {S("text plain; charset=x"), MS_ESYNTAX, "text/plain"},
        {S("\"text/plain\""), MS_ESYNTAX, "text/plain"},
        {S("(text/plain"), MS_ESYNTAX, "text/plain"},
        {S("t\xc3\xa9xt/plain"), MS_ESYNTAX, "text/plain"},
        {S("text/;n=1"), MS_ESYNTAX, "text/plain"},
    };
    struct str got;

    str_init(&got, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct mime_content c;
        struct arena a;

        arena_init(&a, 0);
        str_reset(&got);
        CHECK_ROW(mime_content_type_parse(rows[i].in, &a, &c) == rows[i].err, i);
        add_content(&got, &c);
        check_text(&got, rows[i].want, i);
        arena_fini(&a);
    }
    str_fini(&got);
}

static void test_dispositions(void **state)
{
    static const struct {
        const char *in;
        enum ms_err err;
        const char *want;
    } rows[] = {
        {"inline", MS_OK, "inline"},
        {"attachment; filename=\"a;b.txt\"; size=12", MS_OK, "attachment [filename=a;b.txt] [size=12]"},
        {"(x) Attachment (y);filename=f", MS_OK, "Attachment [filename=f]"},
        {"", MS_ESYNTAX, ""},
        {"; filename=f", MS_ESYNTAX, ""},
        {"\"inline\"", MS_ESYNTAX, ""},
    };
    struct str got;

    str_init(&got, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct mime_content c;
        struct arena a;

        arena_init(&a, 0);
        str_reset(&got);
        CHECK_ROW(mime_disposition_parse(slice_cstr(rows[i].in), &a, &c) == rows[i].err, i);
        CHECK_ROW((c.type.ptr != NULL) == (rows[i].err == MS_OK), i);
        add_content(&got, &c);
        check_text(&got, rows[i].want, i);
        arena_fini(&a);
    }
    str_fini(&got);
}

static void test_find(void **state)
{
    static const struct {
        const char *params; /* of a/b, asked for "n" */
        const char *want;   /* NULL: not found */
        const char *charset;
    } rows[] = {
        {"n=x", "x", ""},
        {"N=\"x y\"", "x y", ""},
        {"n=1; n=2", "1", ""},
        {"n*=utf-8''%e2%82%AC", "\xe2\x82\xac", "utf-8"},
        {"n*=us-ascii'en-us'This%20is", "This is", "us-ascii"},
        {"n*=''x", "x", ""},
        {"n*=no quotes%21", "no quotes!", ""},
        {"n*=one'quote", "one'quote", ""},
        {"n*0=a; n*1=b; n*2=c", "abc", ""},
        {"n*2=c; n*0=a; n*1=b", "abc", ""},
        {"n*0*=us-ascii'en'%61%2; n*1=%62; n*2*=%63", "a%2%62c", "us-ascii"},
        {"n*0=a; n*2=c", "a", ""},
        {"n*1=b; n=plain", "plain", ""},
        {"n=plain; n*=utf-8''better", "better", "utf-8"},
        {"n*0=a; n*0=b", "a", ""},
        {"n*01=a", NULL, ""},
        {"n*x=a", NULL, ""},
        {"n*-1=a", NULL, ""},
        {"n*64=a", NULL, ""},
        {"n*99999999999999999999=a", NULL, ""},
        {"nn=a", NULL, ""},
        {"m=a", NULL, ""},
        {"", NULL, ""},
        {"n*=utf-8''%", "%", "utf-8"},
        {"n*=utf-8''%4", "%4", "utf-8"},
        {"n*=utf-8''%zz%4g", "%zz%4g", "utf-8"},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct slice value, charset;
        struct mime_content c;
        struct arena a;
        bool found;

        arena_init(&a, 0);
        assert_int_equal(
            mime_content_type_parse(slice_cstr(arena_printf(&a, "a/b; %s", rows[i].params)), &a, &c), MS_OK);
        found = mime_param_find(&c, "n", &a, &value, &charset);
        CHECK_ROW(found == (rows[i].want != NULL), i);
        CHECK_ROW(slice_eq_cstr(value, found ? rows[i].want : ""), i);
        CHECK_ROW(slice_eq_cstr(charset, rows[i].charset), i);
        arena_fini(&a);
    }
}

static void test_limits(void **state)
{
    struct mime_content c;
    struct slice value, charset;
    struct arena a;
    struct str in;

    str_init(&in, 0);
    arena_init(&a, 0);
    str_add_cstr(&in, "a/b");
    for (unsigned i = 0; i < MIME_PARAMS_MAX; i++)
        str_addf(&in, "; n*%u=%u", i, i % 10);
    assert_int_equal(mime_content_type_parse(str_slice(&in), &a, &c), MS_OK);
    assert_int_equal(c.param_count, MIME_PARAMS_MAX);
    assert_false(c.is_cut);
    assert_true(mime_param_find(&c, "n", &a, &value, &charset));
    assert_int_equal(value.len, MIME_PARAMS_MAX);
    str_add_cstr(&in, "; m=1");
    assert_int_equal(mime_content_type_parse(str_slice(&in), &a, &c), MS_OK);
    assert_int_equal(c.param_count, MIME_PARAMS_MAX);
    assert_true(c.is_cut);
    arena_fini(&a);
    arena_init(&a, 1); /* no room at all: cut, not a crash */
    assert_int_equal(mime_content_type_parse(S("a/b; n=\"x\\y\"; m=2"), &a, &c), MS_OK);
    assert_true(c.is_cut && c.param_count == 0);
    arena_fini(&a);
    str_fini(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_dispositions),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
