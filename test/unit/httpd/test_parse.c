/* Heads of requests, good and bad (RFC 9112), whole and byte by byte; heads of answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <stdio.h>

#include "../../../src/httpd/httpd_priv.h"

#define HOST "Host: h\r\n"

struct good {
    const char *in;
    enum httpd_method method;
    const char *path, *query;
    bool keep_alive;
    int status; /* served with this instead */
};

static const struct good goods[] = {
    {"GET / HTTP/1.1\r\n" HOST "\r\n", HTTPD_GET, "/", "", true, 0},
    {"HEAD /metrics HTTP/1.1\r\nhost:h:9470\r\n\r\n", HTTPD_HEAD, "/metrics", "", true, 0},
    {"GET /a?b=c&d=%20/? HTTP/1.1\r\nHOST:\r\n\r\n", HTTPD_GET, "/a", "b=c&d=%20/?", true, 0},
    {"GET /? HTTP/1.1\r\n" HOST "\r\n", HTTPD_GET, "/", "", true, 0},
    {"\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", HTTPD_GET, "/", "", true, 0},
    {"GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", HTTPD_GET, "/", "", false, 0},
    {"GET / HTTP/1.1\r\n" HOST "Connection: x, ClosE ,y\r\n\r\n", HTTPD_GET, "/", "", false, 0},
    {"GET / HTTP/1.1\r\n" HOST "Connection: keep-alive, close\r\n\r\n", HTTPD_GET, "/", "", false, 0},
    {"GET / HTTP/1.0\r\n\r\n", HTTPD_GET, "/", "", false, 0},
    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", HTTPD_GET, "/", "", true, 0},
    {"GET / HTTP/1.9\r\n" HOST "\r\n", HTTPD_GET, "/", "", true, 0},
    {"GET http://h:1/m?q HTTP/1.1\r\n" HOST "\r\n", HTTPD_GET, "/m", "q", true, 0},
    {"GET HTTP://[::1]:9470 HTTP/1.1\r\nHost: [::1]:9470\r\n\r\n", HTTPD_GET, "/", "", true, 0},
    {"GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", HTTPD_GET, "/", "", true, 0},
    {"GET / HTTP/1.1\r\n" HOST "X:\r\nY: \t a\xc3\xa4 b \r\n\r\n", HTTPD_GET, "/", "", true, 0},
    {"POST / HTTP/1.1\r\n" HOST "\r\n", HTTPD_OTHER, "/", "", true, 405},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", HTTPD_OTHER, "*", "", true, 405},
    {"DELETE /x HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", HTTPD_OTHER, "/x", "", false, 405},
    {"BREW /pot HTTP/1.1\r\n" HOST "\r\n", HTTPD_OTHER, "/pot", "", true, 501},
    {"get / HTTP/1.1\r\n" HOST "\r\n", HTTPD_OTHER, "/", "", true, 501}, /* methods are case-sensitive */
};

struct bad {
    const char *in;
    int status;
};

static const struct bad bads[] = {
    {"GET / HTTP/1.1\n" HOST "\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: h\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "\n", 400},
    {"\nGET / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /\rHTTP/1.1\r\n", 400},
    {"GET / HTTP/1.1\r\nHo\rst: h\r\n", 400},
    {"GET /\r\n", 400},
    {"GET\r\n", 400},
    {" GET / HTTP/1.1\r\n", 400},
    {"GET  / HTTP/1.1\r\n", 400},
    {"GET /  HTTP/1.1\r\n", 400},
    {"GET / HTTP/1.1 \r\n", 400},
    {"GET / http/1.1\r\n", 400},
    {"GET / HTTP/11\r\n", 400},
    {"GET / HTTP/1.\r\n", 400},
    {"GET / HTTP/1.10\r\n", 400},
    {"GET / HTTP/2.0\r\n", 505},
    {"GET / HTTP/0.9\r\n", 505},
    {"G(T / HTTP/1.1\r\n", 400},
    {"GET metrics HTTP/1.1\r\n", 400},
    {"GET * HTTP/1.1\r\n", 400},
    {"GET h:80 HTTP/1.1\r\n", 400},
    {"GET https://h/ HTTP/1.1\r\n", 400},
    {"GET http:///x HTTP/1.1\r\n", 400},
    {"GET /a#b HTTP/1.1\r\n", 400},
    {"GET /a%2 HTTP/1.1\r\n", 400},
    {"GET /a%zz HTTP/1.1\r\n", 400},
    {"GET /\xc3\xa4 HTTP/1.1\r\n", 400},
    {"GET /\" HTTP/1.1\r\n", 400},
    {"GET / HTTP/1.1\r\n\r\n", 400},              /* no Host */
    {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400}, /* two */
    {"GET / HTTP/1.0\r\n" HOST HOST "\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a b\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: h/x\r\n", 400},
    {"GET / HTTP/1.1\r\n Host: h\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST " folded\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "\tfolded\r\n", 400},
    {"GET / HTTP/1.1\r\nHost : h\r\n", 400},
    {"GET / HTTP/1.1\r\n: h\r\n", 400},
    {"GET / HTTP/1.1\r\nHost\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "A: b\x01\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "A: b\x7f\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n", 413},
    {"GET / HTTP/1.1\r\n" HOST "Content-Length: +0\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "Content-Length: 0x0\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "Content-Length:\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "Content-Length: 0, 0\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\nContent-Length: 4\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 413},
    {"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", 501},
    {"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", 405},
    {"\x16\x03\x01\x02\n", 400}, /* TLS */
};

/* Whole and with one byte more each time: the same outcome, and not before it is certain. */
static enum ms_err parse(const char *text, struct httpd_request *r, size_t *used)
{
    struct slice in = slice_cstr(text);
    enum ms_err err = httpd__request_parse(in, r, used), part = MS_EMORE;
    struct httpd_request by_byte;
    size_t n = 0, part_used;
    while (n < in.len && part == MS_EMORE)
        part = httpd__request_parse(slice_make(in.ptr, ++n), &by_byte, &part_used);
    assert_int_equal(part, err);
    assert_int_equal(by_byte.status, r->status);
    if (!err)
        assert_int_equal(n, *used);
    return err;
}

static void check_slice(struct slice s, const char *text)
{
    if (!slice_eq_cstr(s, text))
        fail_msg("got \"%.*s\", expected \"%s\"", SLICE_ARG(s), text);
}

static void test_good(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(goods); i++) {
        const struct good *g = &goods[i];
        struct httpd_request r;
        size_t used;
        if (parse(g->in, &r, &used) != MS_OK || used != strlen(g->in))
            fail_msg("\"%s\" is good", g->in);
        assert_int_equal(r.method, g->method);
        assert_int_equal(r.status, g->status);
        assert_int_equal(r.keep_alive, g->keep_alive);
        check_slice(r.path, g->path);
        check_slice(r.query, g->query);
    }
}

static void test_bad(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(bads); i++) {
        struct httpd_request r;
        size_t used;
        if (parse(bads[i].in, &r, &used) != MS_ESYNTAX || r.status != bads[i].status)
            fail_msg("\"%s\": %d, not %d", bads[i].in, r.status, bads[i].status);
        assert_non_null(r.detail);
        assert_false(r.keep_alive);
    }
}

static void test_nul(void **state)
{
    static const char nul[] = "GET / HTTP/1.1\r\nHost: h\r\nA: \0\r\n\r\n";
    struct httpd_request r;
    size_t used;
    assert_int_equal(httpd__request_parse(slice_make(nul, sizeof nul - 1), &r, &used), MS_ESYNTAX);
    assert_int_equal(r.status, 400);
}

/* n bytes: the request line, then one field that fills the rest. */
static enum ms_err parse_long(size_t target, size_t fields, size_t field_bytes, bool ended, int *status)
{
    struct str in;
    struct httpd_request r;
    size_t used;
    str_init(&in, 0);
    str_add_cstr(&in, "GET /");
    for (size_t i = 1; i < target; i++)
        str_add_byte(&in, 'a');
    if (ended || fields) {
        str_add_cstr(&in, " HTTP/1.1\r\nHost: h\r\n");
        for (size_t i = 1; i < fields; i++) {
            str_add_cstr(&in, "A: ");
            for (size_t k = 0; k < field_bytes; k++)
                str_add_byte(&in, 'b');
            str_add_cstr(&in, "\r\n");
        }
    }
    if (ended)
        str_add_cstr(&in, "\r\n");
    enum ms_err err = httpd__request_parse(str_slice(&in), &r, &used);
    *status = r.status;
    str_fini(&in);
    return err;
}

static void test_limits(void **state)
{
    int status;
    assert_int_equal(parse_long(HTTPD_TARGET_MAX, 1, 0, true, &status), MS_OK);
    assert_int_equal(parse_long(HTTPD_TARGET_MAX + 1, 1, 0, true, &status), MS_ESYNTAX);
    assert_int_equal(status, 414);
    assert_int_equal(parse_long(HTTPD_TARGET_MAX + 100, 0, 0, false, &status), MS_ESYNTAX);
    assert_int_equal(status, 414);
    assert_int_equal(parse_long(HTTPD_TARGET_MAX, 0, 0, false, &status), MS_EMORE);
    assert_int_equal(parse_long(1, HTTPD_FIELDS_MAX, 1, true, &status), MS_OK);
    assert_int_equal(parse_long(1, HTTPD_FIELDS_MAX + 1, 1, true, &status), MS_ESYNTAX);
    assert_int_equal(status, 431);
    assert_int_equal(parse_long(1, 2, HTTPD_HEAD_MAX - 60, true, &status), MS_OK);
    assert_int_equal(parse_long(1, 2, HTTPD_HEAD_MAX, true, &status), MS_ESYNTAX);
    assert_int_equal(status, 431);
    assert_int_equal(parse_long(1, 3, HTTPD_HEAD_MAX / 2, false, &status), MS_ESYNTAX);
    assert_int_equal(status, 431);
}

static void test_pipelined(void **state)
{
    static const char two[] = "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n";
    struct slice in = slice_cstr(two);
    struct httpd_request r;
    size_t used;
    assert_int_equal(httpd__request_parse(in, &r, &used), MS_OK);
    check_slice(r.path, "/a");
    in = slice_sub(in, used, SIZE_MAX);
    assert_int_equal(httpd__request_parse(in, &r, &used), MS_OK);
    check_slice(r.path, "/b");
    assert_int_equal(used, in.len);
}

static void test_answer(void **state)
{
    struct str out;
    str_init(&out, 0);
    const struct httpd_answer a = {
        .status = 405, .content_type = "text/plain", .length = 7, .keep_alive = true};
    httpd__head_emit(&out, &a, 784111777000000); /* the date of RFC 9110 5.6.7 */
    assert_string_equal(str_cstr(&out), "HTTP/1.1 405 Method Not Allowed\r\n"
                                        "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                        "Content-Type: text/plain\r\nContent-Length: 7\r\n"
                                        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                                        "Allow: GET, HEAD\r\n\r\n");
    str_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),   cmocka_unit_test(test_bad),       cmocka_unit_test(test_nul),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_pipelined), cmocka_unit_test(test_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
