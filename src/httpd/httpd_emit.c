/*
 * httpd_emit.c - the head of an answer.
 */
#include "httpd_priv.h"

#include "ms/base/clock.h"

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {400, "Bad Request"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

const char *httpd__reason(int status)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown"; /* RFC 9112 4: for people only */
}

/* RFC 9110 5.6.7: that of RFC 5322 with two digits for the day and GMT for the zone. */
static void emit_date(struct str *out, uint64_t wall_us)
{
    char stamp[CLOCK_RFC5322_MAX];
    size_t len = clock_emit_rfc5322(wall_us, stamp);
    bool one_digit = stamp[6] == ' '; /* "Sun, 6 Nov" */
    str_add_cstr(out, "Date: ");
    str_add(out, stamp, 5);
    str_add_cstr(out, one_digit ? "0" : "");
    str_add(out, stamp + 5, len - 10); /* without "+0000" */
    str_add_cstr(out, "GMT\r\n");
}

void httpd__head_emit(struct str *out, const struct httpd_answer *a, uint64_t wall_us)
{
    str_addf(out, "HTTP/1.1 %d %s\r\n", a->status, httpd__reason(a->status));
    emit_date(out, wall_us);
    str_addf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", a->content_type, a->length);
    str_add_cstr(out, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
    if (a->status == 405)
        str_add_cstr(out, "Allow: GET, HEAD\r\n"); /* RFC 9110 15.5.6 */
    if (!a->keep_alive)
        str_add_cstr(out, "Connection: close\r\n");
    else if (a->is_old)
        str_add_cstr(out, "Connection: keep-alive\r\n");
    str_add_cstr(out, "\r\n");
}
