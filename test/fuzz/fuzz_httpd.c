/*
 * fuzz_httpd.c - what a client of the HTTP server can send: heads, one behind the other. The same bytes whole
 * and cut off anywhere: what is decided about a beginning stays decided when more comes.
 */
#include <stdlib.h>

#include "../../src/httpd/httpd_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static bool inside(struct slice part, struct slice whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void check_prefixes(struct slice in, enum ms_err err, const struct httpd_request *r, size_t used)
{
    struct httpd_request part;
    size_t part_used;
    for (size_t n = 0; n < in.len; n += 1 + n / 16) {
        enum ms_err part_err = httpd__request_parse(slice_make(in.ptr, n), &part, &part_used);
        if (part_err == MS_EMORE)
            continue;
        check(part_err == err && part_used == used && part.status == r->status);
        check(err || part.method == r->method);
        check(part.keep_alive == r->keep_alive);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_make(data, size);
    for (unsigned i = 0; i < 16 && rest.len; i++) {
        struct httpd_request r;
        size_t used;
        enum ms_err err = httpd__request_parse(rest, &r, &used);
        check_prefixes(rest, err, &r, used);
        if (err == MS_EMORE) {
            check(rest.len < HTTPD_HEAD_MAX);
            break;
        }
        if (err) {
            check(err == MS_ESYNTAX && r.status >= 400 && r.detail && !r.keep_alive);
            break;
        }
        check(used > 0 && used <= rest.len && used <= HTTPD_HEAD_MAX);
        check((r.status == 0) == (r.method != HTTPD_OTHER));
        check(r.status || (r.path.len && r.path.ptr[0] == '/' && r.path.len <= HTTPD_TARGET_MAX));
        check(r.path.len == 1 || inside(r.path, rest));
        check(inside(r.query, rest));
        rest = slice_sub(rest, used, SIZE_MAX);
    }
    return 0;
}
