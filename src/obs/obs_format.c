/*
 * obs_format.c - one event to one line, logfmt or JSON.
 *
 * The text is built from units that go in whole or not at all (a character, an escape, a number), so a line
 * that is cut is still well formed: LINE_TAIL bytes are kept for the closing quote, the mark that says so,
 * and the line end.
 */
#include <stdio.h>
#include <string.h>

#include "ms/base/clock.h"
#include "ms/base/codec.h"
#include "obs_priv.h"

#define LINE_TAIL 32 /* "\",\"cut\":true}\n" and some */

_Static_assert(OBS_LINE_MAX >= 256 && OBS_LINE_MAX <= UINT16_MAX, "ring records have 16-bit lengths");

static bool line_put(struct obs_line *l, const void *ptr, size_t len)
{
    /* len may be in the tail already: a closing quote went there. */
    if (l->cut || l->len + len > OBS_LINE_MAX - LINE_TAIL) {
        l->cut = true;
        return false;
    }
    memcpy(l->bytes + l->len, ptr, len);
    l->len += len;
    return true;
}

static bool line_put_cstr(struct obs_line *l, const char *text)
{
    return line_put(l, text, strlen(text));
}

static size_t line_room(const struct obs_line *l)
{
    return l->cut || l->len > OBS_LINE_MAX - LINE_TAIL ? 0 : OBS_LINE_MAX - LINE_TAIL - l->len;
}

/* Into the reserved tail. */
static void line_close(struct obs_line *l, const char *text)
{
    size_t len = strlen(text);

    MS_ASSERT(len <= OBS_LINE_MAX - l->len);
    memcpy(l->bytes + l->len, text, len);
    l->len += len;
}

/* One character of a value. Control characters are escaped in both forms, C1 (U+0080 to U+009F) too: a
 * terminal obeys them. */
struct value_char {
    size_t len;  /* bytes taken */
    bool plain;  /* may be copied */
    bool broken; /* no UTF-8: one byte taken */
    uint32_t code;
};

static struct value_char value_next(struct slice s)
{
    struct value_char c = {0};

    c.len = utf8_parse(s, &c.code);
    if (c.len == 0) {
        c.len = 1;
        c.broken = true;
        c.code = s.ptr[0];
    } else {
        c.plain = c.code >= 0x20 && !(c.code >= 0x7f && c.code <= 0x9f) && c.code != '"' && c.code != '\\';
    }
    return c;
}

/* Octets of ASCII at the front of s that are copied as they are: nearly all there are. bare: and need no quotes in
 * logfmt. */
static size_t plain_run(struct slice s, bool bare)
{
    size_t n = 0;

    while (n < s.len && s.ptr[n] >= 0x20 && s.ptr[n] < 0x7f && s.ptr[n] != '"' && s.ptr[n] != '\\' &&
           !(bare && (s.ptr[n] == ' ' || s.ptr[n] == '=')))
        n++;
    return n;
}

static bool logfmt_needs_quotes(struct slice s)
{
    for (size_t i = plain_run(s, true); i < s.len;) {
        struct value_char c = value_next(slice_sub(s, i, SIZE_MAX));

        if (!c.plain || c.code == ' ' || c.code == '=')
            return true;
        i += c.len;
    }
    return s.len == 0;
}

static bool logfmt_put_char(struct obs_line *l, struct slice at, struct value_char c)
{
    char text[4 * 4 + 1];
    size_t used = 0;

    if (c.plain)
        return line_put(l, at.ptr, c.len);
    if (c.code == '"' || c.code == '\\') {
        text[0] = '\\';
        text[1] = (char)c.code;
        return line_put(l, text, 2);
    }
    for (size_t i = 0; i < c.len; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "\\x%02x", at.ptr[i]);
    return line_put(l, text, used);
}

static bool json_put_char(struct obs_line *l, struct slice at, struct value_char c)
{
    char text[8];

    if (c.broken)
        return line_put(l, "\xef\xbf\xbd", 3); /* U+FFFD */
    if (c.plain)
        return line_put(l, at.ptr, c.len);
    if (c.code == '"' || c.code == '\\') {
        text[0] = '\\';
        text[1] = (char)c.code;
        return line_put(l, text, 2);
    }
    (void)snprintf(text, sizeof(text), "\\u%04x", (unsigned)c.code & 0xffff);
    return line_put(l, text, 6);
}

/* A cut value keeps what fitted; the closing quote has its place in the tail. */
static void put_text(struct obs_line *l, enum obs_format format, struct slice s)
{
    bool quoted = format == OBS_JSON || logfmt_needs_quotes(s);

    if (quoted && !line_put(l, "\"", 1))
        return;
    for (size_t i = 0; i < s.len;) {
        struct slice at = slice_sub(s, i, SIZE_MAX);
        size_t run = plain_run(slice_sub(at, 0, line_room(l)), false);
        struct value_char c;

        if (run > 0) {
            (void)line_put(l, at.ptr, run);
            i += run;
            continue;
        }
        c = value_next(at);
        if (!(format == OBS_JSON ? json_put_char(l, at, c) : logfmt_put_char(l, at, c)))
            break;
        i += c.len;
    }
    if (quoted)
        line_close(l, "\"");
}

static bool put_key(struct obs_line *l, enum obs_format format, const char *key)
{
    if (format == OBS_LOGFMT)
        return line_put_cstr(l, " ") && line_put_cstr(l, key) && line_put_cstr(l, "=");
    return line_put_cstr(l, ",\"") && line_put_cstr(l, key) && line_put_cstr(l, "\":");
}

static bool put_number(struct obs_line *l, enum obs_format format, const struct obs_kv *kv)
{
    const char *fmt_quote = format == OBS_JSON && kv->type == OBS_KV_HEX ? "\"" : "";
    char text[32];
    int len;

    if (kv->type == OBS_KV_I64)
        len = snprintf(text, sizeof(text), "%lld", (long long)kv->u);
    else if (kv->type == OBS_KV_HEX)
        len = snprintf(text, sizeof(text), "%s%llx%s", fmt_quote, (unsigned long long)kv->u, fmt_quote);
    else
        len = snprintf(text, sizeof(text), "%llu", (unsigned long long)kv->u);
    return line_put(l, text, (size_t)len);
}

static void put_kv(struct obs_line *l, enum obs_format format, const struct obs_kv *kv)
{
    size_t before = l->len;
    bool whole = put_key(l, format, kv->key);

    if (whole)
        switch (kv->type) {
        case OBS_KV_SLICE:
        case OBS_KV_ERR: {
            struct slice text = kv->type == OBS_KV_ERR ? slice_cstr(ms_err_text((enum ms_err)kv->u)) : kv->s;

            /* At least the opening quote, or one character. */
            whole = l->len + 8 <= OBS_LINE_MAX - LINE_TAIL;
            if (whole)
                put_text(l, format, text);
            break;
        }
        case OBS_KV_U64:
        case OBS_KV_I64:
        case OBS_KV_HEX:
            whole = put_number(l, format, kv);
            break;
        }
    if (!whole) {
        l->len = before;
        l->cut = true;
    }
}

static uint64_t epoch;

void obs_set_epoch(uint64_t value)
{
    epoch = value;
}

static void put_trace(struct obs_line *l, enum obs_format format, uint64_t session)
{
    char text[OBS_TRACE_MAX];
    int len =
        snprintf(text, sizeof(text), "%llx-%llx", (unsigned long long)epoch, (unsigned long long)session);
    struct obs_kv kv = OBS_S("trace", slice_make(text, (size_t)len));

    put_kv(l, format, &kv);
}

void obs__line_format(struct obs_line *line, enum obs_format format, uint64_t wall_us, enum obs_event ev,
                      uint64_t session, const struct obs_kv *kv, size_t count)
{
    bool json = format == OBS_JSON;
    char stamp[CLOCK_RFC3339_MAX];
    bool has_trace = count > 0 && strcmp(kv[0].key, "trace") == 0;

    line->len = 0;
    line->cut = false;
    line->traced = has_trace || session != 0;
    (void)clock_emit_rfc3339(wall_us, stamp);
    (void)(line_put_cstr(line, json ? "{\"ts\":\"" : "ts=") && line_put_cstr(line, stamp) &&
           line_put_cstr(line, json ? "\",\"level\":\"" : " level=") &&
           line_put_cstr(line, obs_level_name(obs_event_level(ev))) &&
           line_put_cstr(line, json ? "\",\"event\":\"" : " event=") &&
           line_put_cstr(line, obs_event_name(ev)) && line_put_cstr(line, json ? "\"" : ""));
    if (session && !has_trace)
        put_trace(line, format, session);
    for (size_t i = 0; i < count && !line->cut; i++)
        put_kv(line, format, &kv[i]);
    if (line->cut)
        line_close(line, json ? ",\"cut\":true" : " cut=true");
    line_close(line, json ? "}\n" : "\n");
}

void obs_event_format(struct str *out, enum obs_format format, uint64_t wall_us, enum obs_event ev,
                      uint64_t session, const struct obs_kv *kv, size_t count)
{
    struct obs_line line;

    obs__line_format(&line, format, wall_us, ev, session, kv, count);
    str_add(out, line.bytes, line.len);
}
