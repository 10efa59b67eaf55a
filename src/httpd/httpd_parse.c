/*
 * httpd_parse.c - the head of a request (RFC 9112), strictly: bytes to struct, nothing kept between calls.
 *
 * The head is read line by line each time more of it is there, so that a mistake is answered at once and not
 * after the empty line. It is at most HTTPD_HEAD_MAX bytes: reading it again costs little.
 */
#include "httpd_priv.h"

#include <string.h>

#define REQUEST_LINE_MAX (HTTPD_TARGET_MAX + 64)

struct head {
    struct httpd_request *request;
    bool is_absolute;
    unsigned hosts, fields;
    bool has_length, has_coding, is_chunked;
    uint64_t length;
    bool wants_close, wants_keep;
};

static enum ms_err refuse(struct head *h, int status, const char *detail)
{
    h->request->status = status;
    h->request->detail = detail;
    h->request->keep_alive = false;
    return MS_ESYNTAX;
}

/* -- characters */
static bool is_tchar(uint8_t c) /* RFC 9110 5.6.2 */
{
    return ms_ascii_is_alpha(c) || ms_ascii_is_digit(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_hex(uint8_t c)
{
    return ms_ascii_is_digit(c) || (ms_ascii_lower(c) >= 'a' && ms_ascii_lower(c) <= 'f');
}

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_tchar(s.ptr[i]))
            return false;
    return s.len > 0;
}

/* RFC 3986 3.3 and 3.4: pchar, "/" and "?" of paths and queries. */
static bool is_uri_text(struct slice s, const char *more)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.ptr[i];
        if (c == '%') {
            if (i + 2 >= s.len || !is_hex(s.ptr[i + 1]) || !is_hex(s.ptr[i + 2]))
                return false;
            i += 2;
        } else if (!ms_ascii_is_alpha(c) && !ms_ascii_is_digit(c) &&
                   !(c && (strchr("-._~!$&'()*+,;=:@", c) || strchr(more, c)))) {
            return false;
        }
    }
    return true;
}

/* -- the request line */
static enum ms_err parse_method(struct head *h, struct slice word)
{
    static const char *const known[] = {"POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    struct httpd_request *r = h->request;
    if (!is_token(word))
        return refuse(h, 400, "the method is no token");
    r->method = HTTPD_OTHER;
    if (slice_eq_cstr(word, "GET"))
        r->method = HTTPD_GET;
    else if (slice_eq_cstr(word, "HEAD"))
        r->method = HTTPD_HEAD;
    if (r->method != HTTPD_OTHER)
        return MS_OK;
    r->status = 501; /* RFC 9110 9.1: not known; 405: known, not allowed */
    r->detail = "unknown method";
    for (size_t i = 0; i < MS_ARRAY_LEN(known); i++)
        if (slice_eq_cstr(word, known[i])) {
            r->status = 405;
            r->detail = "GET and HEAD only";
        }
    return MS_OK;
}

/* RFC 9112 3.2.2: "http://host/path" means the same as the path alone. */
static bool cut_authority(struct head *h, struct slice *target)
{
    struct slice rest;
    size_t n = 0;
    if (!slice_has_iprefix(*target, SLICE_LIT("http://")))
        return false;
    rest = slice_sub(*target, 7, SIZE_MAX);
    while (n < rest.len && rest.ptr[n] != '/' && rest.ptr[n] != '?')
        n++;
    if (n == 0 || !is_uri_text(slice_sub(rest, 0, n), "[]"))
        return false;
    *target = slice_sub(rest, n, SIZE_MAX);
    h->is_absolute = true;
    return true;
}

static enum ms_err parse_target(struct head *h, struct slice target)
{
    struct httpd_request *r = h->request;
    if (target.len > HTTPD_TARGET_MAX)
        return refuse(h, 414, "the target is too long");
    if (r->method == HTTPD_OTHER) { /* "*" and "host:port" are for other methods */
        r->path = target;
        return MS_OK;
    }
    if (target.len == 0 || (target.ptr[0] != '/' && !cut_authority(h, &target)))
        return refuse(h, 400, "the target is no path");
    r->query = slice_make(NULL, 0);
    if (slice_cut(&target, '?', &r->path))
        r->query = target;
    else
        r->path = target;
    if (r->path.len == 0)
        r->path = SLICE_LIT("/");
    if (!is_uri_text(r->path, "/") || !is_uri_text(r->query, "/?"))
        return refuse(h, 400, "the target has characters that must be escaped");
    return MS_OK;
}

static enum ms_err parse_version(struct head *h, struct slice v)
{
    if (v.len != 8 || memcmp(v.ptr, "HTTP/", 5) != 0 || !ms_ascii_is_digit(v.ptr[5]) || v.ptr[6] != '.' ||
        !ms_ascii_is_digit(v.ptr[7])) /* RFC 9112 2.3: case-sensitive */
        return refuse(h, 400, "the version is malformed");
    if (v.ptr[5] != '1')
        return refuse(h, 505, "HTTP/1.1 only");
    h->request->is_old = v.ptr[7] == '0';
    return MS_OK;
}

static enum ms_err parse_request_line(struct head *h, struct slice line)
{
    struct slice method, target;
    if (!slice_cut(&line, ' ', &method) || !slice_cut(&line, ' ', &target))
        return refuse(h, 400, "the request line is malformed"); /* RFC 9112 3: single blanks, a version */
    MS_TRY(parse_method(h, method));
    MS_TRY(parse_target(h, target));
    return parse_version(h, line);
}

/* -- fields */
static void parse_connection(struct head *h, struct slice list)
{
    struct slice item;
    for (bool more = true; more;) {
        more = slice_cut(&list, ',', &item);
        item = slice_trim(more ? item : list);
        h->wants_close |= slice_ieq_cstr(item, "close");
        h->wants_keep |= slice_ieq_cstr(item, "keep-alive");
    }
}

static enum ms_err parse_length(struct head *h, struct slice value)
{
    uint64_t length;
    if (slice_to_u64(value, INT64_MAX, &length))
        return refuse(h, 400, "Content-Length is no number");
    if (h->has_length && h->length != length)
        return refuse(h, 400, "two lengths"); /* RFC 9112 6.3: smuggling */
    h->has_length = true;
    h->length = length;
    return MS_OK;
}

static enum ms_err parse_value(struct head *h, struct slice name, struct slice value)
{
    if (slice_ieq_cstr(name, "host")) {
        h->hosts++;
        if (!is_uri_text(value, "[]"))
            return refuse(h, 400, "Host is malformed");
    } else if (slice_ieq_cstr(name, "connection")) {
        parse_connection(h, value);
    } else if (slice_ieq_cstr(name, "content-length")) {
        return parse_length(h, value);
    } else if (slice_ieq_cstr(name, "transfer-encoding")) {
        h->is_chunked = !h->has_coding && slice_ieq_cstr(value, "chunked");
        h->has_coding = true;
    }
    return MS_OK;
}

static enum ms_err parse_field(struct head *h, struct slice line)
{
    struct slice name;
    if (++h->fields > HTTPD_FIELDS_MAX)
        return refuse(h, 431, "too many fields");
    if (line.ptr[0] == ' ' ||
        line.ptr[0] == '\t') /* RFC 9112 5.2: obs-fold, and 2.2 before the first field */
        return refuse(h, 400, "folded fields are not taken");
    if (!slice_cut(&line, ':', &name) || !is_token(name)) /* RFC 9112 5.1: no blank before the colon */
        return refuse(h, 400, "a field is malformed");
    for (size_t i = 0; i < line.len; i++)
        if ((line.ptr[i] < 0x20 && line.ptr[i] != '\t') || line.ptr[i] == 0x7f)
            return refuse(h, 400, "a control character in a field");
    return parse_value(h, name, slice_trim(line));
}

/* -- the whole */
static enum ms_err finish(struct head *h)
{
    struct httpd_request *r = h->request;
    if (h->hosts > 1 || (h->hosts == 0 && !r->is_old)) /* RFC 9112 3.2 */
        return refuse(h, 400, "one Host, please");
    if (h->has_coding && (h->has_length || r->is_old)) /* RFC 9112 6.1 */
        return refuse(h, 400, "the length of the body is not clear");
    if (h->has_coding && !h->is_chunked)
        return refuse(h, 501, "unknown transfer coding");
    if (h->has_coding || h->length > 0)
        return refuse(h, r->status ? r->status : 413, r->status ? r->detail : "requests have no body here");
    r->keep_alive = !h->wants_close && (!r->is_old || h->wants_keep); /* RFC 9112 9.3 */
    return MS_OK;
}

/* The next line, without its end. MS_ESYNTAX: a CR or LF alone (RFC 9112 2.2). */
static enum ms_err cut_line(struct slice *rest, struct slice *line_out)
{
    ssize_t at = slice_find_byte(*rest, '\n');
    size_t end = at < 0 ? rest->len : (size_t)at;
    ssize_t cr = slice_find_byte(slice_sub(*rest, 0, end), '\r');
    if (cr >= 0 && (size_t)cr + 1 < end)
        return MS_ESYNTAX;
    if (at < 0)
        return MS_EMORE;
    if (cr < 0)
        return MS_ESYNTAX;
    *line_out = slice_sub(*rest, 0, (size_t)cr);
    *rest = slice_sub(*rest, end + 1, SIZE_MAX);
    return MS_OK;
}

/* The request line cannot end in time. Said of a whole head as of its beginning: so much is looked at and no more. */
static bool is_overlong(struct slice rest)
{
    struct slice look = slice_sub(rest, 0, REQUEST_LINE_MAX + 2);
    return look.len == REQUEST_LINE_MAX + 2 && slice_find_byte(look, '\n') < 0 &&
           slice_find_byte(slice_sub(look, 0, REQUEST_LINE_MAX + 1), '\r') < 0;
}

enum ms_err httpd__request_parse(struct slice in, struct httpd_request *out, size_t *used_out)
{
    struct slice rest = slice_sub(in, 0, HTTPD_HEAD_MAX), line;
    struct head h = {.request = out};
    bool begun = false;
    *out = (struct httpd_request){.method = HTTPD_OTHER};
    *used_out = 0;
    for (;;) {
        if (!begun && is_overlong(rest))
            return refuse(&h, 414, "the request line is too long");
        enum ms_err err = cut_line(&rest, &line);
        if (err == MS_EMORE)
            return in.len < HTTPD_HEAD_MAX ? MS_EMORE : refuse(&h, 431, "the head is too long");
        if (err)
            return refuse(&h, 400, "a line does not end with CR LF");
        if (line.len == 0 && begun)
            break;
        if (line.len == 0) /* RFC 9112 2.2: empty lines in front are passed over */
            continue;
        MS_TRY(begun ? parse_field(&h, line) : parse_request_line(&h, line));
        begun = true;
    }
    *used_out = (size_t)(rest.ptr - in.ptr);
    return finish(&h);
}
