/*
 * smtp_path_parse.c - reverse and forward paths, mailboxes, domains, address literals. RFC 5321 4.1.2
 * and 4.1.3, with the additions of RFC 6531 3.3 when the caller allows UTF-8.
 *
 * Scanners move p over one production and return false where it ends early; nothing is allocated before the
 * whole path was found good.
 */
#include <arpa/inet.h>

#include "ms/base/codec.h"
#include "smtp_priv.h"

struct path_rd {
    const uint8_t *p;
    const uint8_t *end;
    bool utf8;
    bool has_high; /* a byte above 0x7f was met */
};

static bool is_let_dig(uint8_t c)
{
    return ms_ascii_is_alpha(c) || ms_ascii_is_digit(c);
}

/* RFC 5322 3.2.3 */
static bool is_atext(uint8_t c)
{
    return is_let_dig(c) || (c > ' ' && c < 0x7f && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool rd_is(const struct path_rd *rd, uint8_t c)
{
    return rd->p < rd->end && *rd->p == c;
}

/* UTF8-non-ascii of RFC 6531 3.3; that the bytes are valid UTF-8 is checked once over the whole address. */
static bool rd_take_high(struct path_rd *rd)
{
    if (rd->p == rd->end || *rd->p < 0x80)
        return false;
    rd->has_high = true;
    if (!rd->utf8)
        return false;
    rd->p++;
    return true;
}

static bool scan_atom(struct path_rd *rd)
{
    const uint8_t *start = rd->p;

    while (rd->p < rd->end && (is_atext(*rd->p) ? (rd->p++, true) : rd_take_high(rd)))
        ;
    return rd->p > start;
}

static bool scan_dot_string(struct path_rd *rd)
{
    do {
        if (!scan_atom(rd))
            return false;
    } while (rd_is(rd, '.') && (rd->p++, true));
    return true;
}

/* Quoted-string; *decoded_len_out is its length without quotes and backslashes. */
static bool scan_quoted(struct path_rd *rd, size_t *decoded_len_out)
{
    size_t len = 0;

    rd->p++;
    for (; rd->p < rd->end && *rd->p != '"'; len++) {
        if (*rd->p == '\\') {
            rd->p++;
            if (rd->p == rd->end || *rd->p < ' ' || *rd->p > '~')
                return false;
            rd->p++;
        } else if (*rd->p >= ' ' && *rd->p <= '~') {
            rd->p++;
        } else if (!rd_take_high(rd)) {
            return false;
        }
    }
    if (rd->p == rd->end)
        return false;
    rd->p++;
    *decoded_len_out = len;
    return true;
}

/* sub-domain = Let-dig [Ldh-str] */
static bool scan_label(struct path_rd *rd)
{
    const uint8_t *start = rd->p;
    bool high = false;

    while (rd->p < rd->end) {
        if (is_let_dig(*rd->p) || (*rd->p == '-' && rd->p > start))
            rd->p++;
        else if (rd_take_high(rd))
            high = true;
        else
            break;
    }
    if (rd->p == start || rd->p[-1] == '-')
        return false;
    /* The limit counts the encoded form of a U-label, which route knows; here only the ASCII form is bounded.
     */
    return high || (size_t)(rd->p - start) <= SMTP_LABEL_MAX;
}

static bool scan_domain(struct path_rd *rd)
{
    do {
        if (!scan_label(rd))
            return false;
    } while (rd_is(rd, '.') && (rd->p++, true));
    return true;
}

bool smtp_domain_is_valid(struct slice name, bool utf8)
{
    struct path_rd rd = {.p = name.ptr, .end = name.ptr + name.len, .utf8 = utf8};

    if (!name.len || name.len > SMTP_DOMAIN_MAX)
        return false;
    return scan_domain(&rd) && rd.p == rd.end && (!rd.has_high || utf8_is_valid(name));
}

static bool literal_is_ip(int family, struct slice text)
{
    char buf[INET6_ADDRSTRLEN + 1];
    uint8_t addr[16];

    if (text.len >= sizeof buf || slice_find_byte(text, 0) >= 0)
        return false;
    memcpy(buf, text.ptr, text.len);
    buf[text.len] = 0;
    return inet_pton(family, buf, addr) == 1;
}

/* General-address-literal = Standardized-tag ":" 1*dcontent */
static bool literal_is_general(struct slice tag, struct slice content)
{
    if (!tag.len || !content.len || tag.ptr[tag.len - 1] == '-')
        return false;
    for (size_t i = 0; i < tag.len; i++)
        if (!is_let_dig(tag.ptr[i]) && tag.ptr[i] != '-')
            return false;
    for (size_t i = 0; i < content.len; i++)
        if (content.ptr[i] <= ' ' || content.ptr[i] > '~' || strchr("[\\]", content.ptr[i]))
            return false;
    return true;
}

bool smtp_literal_is_valid(struct slice text)
{
    struct slice tag;

    if (text.len < 3 || text.len > SMTP_DOMAIN_MAX || text.ptr[0] != '[' || text.ptr[text.len - 1] != ']')
        return false;
    text = slice_sub(text, 1, text.len - 2);
    if (!slice_cut(&text, ':', &tag))
        return literal_is_ip(AF_INET, text);
    if (slice_ieq_cstr(tag, "IPv6"))
        return text.len > 0 && literal_is_ip(AF_INET6, text);
    return literal_is_general(tag, text);
}

static bool scan_literal(struct path_rd *rd)
{
    const uint8_t *close = memchr(rd->p, ']', (size_t)(rd->end - rd->p));

    if (!close || !smtp_literal_is_valid(slice_make(rd->p, (size_t)(close + 1 - rd->p))))
        return false;
    rd->p = close + 1;
    return true;
}

/* What a scan found: slices of the line. */
struct path_parts {
    struct slice local; /* as written */
    struct slice domain;
    size_t local_len; /* quoting undone */
    bool is_quoted;
    bool is_literal;
};

static enum smtp_fault scan_mailbox(struct path_rd *rd, bool postmaster, enum smtp_fault bad,
                                    struct path_parts *parts)
{
    const uint8_t *start = rd->p;

    *parts = (struct path_parts){.is_quoted = rd_is(rd, '"')};
    if (parts->is_quoted ? !scan_quoted(rd, &parts->local_len) : !scan_dot_string(rd))
        return bad;
    parts->local = slice_make(start, (size_t)(rd->p - start));
    if (!parts->is_quoted)
        parts->local_len = parts->local.len;
    if (parts->local_len > SMTP_LOCAL_MAX)
        return SMTP_FAULT_LOCAL_LONG;
    if (!rd_is(rd, '@')) /* RFC 5321 4.5.1: postmaster without a domain */
        return postmaster && slice_ieq_cstr(parts->local, "postmaster") ? SMTP_FAULT_NONE : bad;
    rd->p++;
    start = rd->p;
    parts->is_literal = rd_is(rd, '[');
    if (parts->is_literal ? !scan_literal(rd) : !scan_domain(rd))
        return bad;
    parts->domain = slice_make(start, (size_t)(rd->p - start));
    return parts->domain.len > SMTP_DOMAIN_MAX ? SMTP_FAULT_DOMAIN_LONG : SMTP_FAULT_NONE;
}

/* RFC 5321 C: source routes are accepted and ignored. A-d-l ":" in front of the mailbox. */
static bool scan_route(struct path_rd *rd)
{
    while (rd_is(rd, '@')) {
        rd->p++;
        if (!scan_domain(rd))
            return false;
        if (rd_is(rd, ':')) {
            rd->p++;
            return true;
        }
        if (!rd_is(rd, ','))
            return false;
        rd->p++;
    }
    return false;
}

static void local_unquote(struct slice written, uint8_t *out)
{
    for (size_t i = 1; i + 1 < written.len; i++) {
        if (written.ptr[i] == '\\')
            i++;
        *out++ = written.ptr[i];
    }
}

static bool local_is_dot_string(struct slice local)
{
    struct path_rd rd = {.p = local.ptr, .end = local.ptr + local.len, .utf8 = true};

    return local.len && scan_dot_string(&rd) && rd.p == rd.end;
}

void smtp_mailbox_emit(struct str *out, struct slice local, struct slice domain)
{
    if (local_is_dot_string(local)) {
        str_add_slice(out, local);
    } else {
        str_add_byte(out, '"');
        for (size_t i = 0; i < local.len; i++) {
            if (local.ptr[i] == '"' || local.ptr[i] == '\\')
                str_add_byte(out, '\\');
            str_add_byte(out, local.ptr[i]);
        }
        str_add_byte(out, '"');
    }
    if (domain.len) {
        str_add_byte(out, '@');
        str_add_slice(out, domain);
    }
}

/* Copies to the arena. RFC 5321 4.1.2: the quoted form is used only where it is needed. */
static enum ms_err path_fill(const struct path_parts *parts, struct arena *arena, struct smtp_path *out)
{
    uint8_t bytes[SMTP_LOCAL_MAX];
    struct slice local = parts->local;
    struct str text;
    enum ms_err err;

    if (parts->is_quoted) {
        local_unquote(parts->local, bytes);
        local = slice_make(bytes, parts->local_len);
    }
    str_init(&text, 0);
    smtp_mailbox_emit(&text, local, parts->domain);
    err = smtp__dup(arena, str_slice(&text), &out->address);
    str_fini(&text);
    MS_TRY(err);
    out->domain = slice_sub(out->address, out->address.len - parts->domain.len, SIZE_MAX);
    if (out->address.ptr[0] == '"')
        return smtp__dup(arena, local, &out->local);
    out->local = slice_sub(out->address, 0, local.len);
    return MS_OK;
}

static enum smtp_fault path_finish(const struct path_rd *rd, const struct path_parts *parts,
                                   struct arena *arena, struct smtp_path *out)
{
    *out = (struct smtp_path){.is_literal = parts->is_literal, .is_utf8 = rd->has_high};
    if (rd->has_high && (!utf8_is_valid(parts->local) || !utf8_is_valid(parts->domain)))
        return SMTP_FAULT_PATH_ENCODING;
    return path_fill(parts, arena, out) ? SMTP_FAULT_MEMORY : SMTP_FAULT_NONE;
}

/* Between the brackets. */
static enum smtp_fault path_scan(struct path_rd *rd, enum smtp_path_kind kind, struct path_parts *parts)
{
    enum smtp_fault bad = kind == SMTP_PATH_REVERSE ? SMTP_FAULT_FROM_PATH : SMTP_FAULT_TO_PATH;
    enum smtp_fault fault;

    if (rd_is(rd, '@') && !scan_route(rd))
        fault = bad;
    else
        fault = scan_mailbox(rd, kind == SMTP_PATH_FORWARD, bad, parts);
    if (!fault && !rd_is(rd, '>'))
        fault = bad;
    /* The byte that stopped the scan was not ASCII: say that instead, it is what the client can mend. */
    if (fault && rd->has_high && !rd->utf8)
        fault = SMTP_FAULT_PATH_UTF8;
    return fault;
}

enum ms_err smtp_path_parse(struct slice *rest, enum smtp_path_kind kind, bool utf8, struct arena *arena,
                            struct smtp_path *path_out, enum smtp_fault *fault_out)
{
    struct path_rd rd = {.p = rest->ptr, .end = rest->len ? rest->ptr + rest->len : rest->ptr, .utf8 = utf8};
    struct path_parts parts;
    enum smtp_fault fault = SMTP_FAULT_NONE;

    *path_out = (struct smtp_path){.is_null = false};
    if (!rd_is(&rd, '<')) {
        fault = kind == SMTP_PATH_REVERSE ? SMTP_FAULT_FROM_PATH : SMTP_FAULT_TO_PATH;
        goto out;
    }
    rd.p++;
    if (kind == SMTP_PATH_REVERSE && rd_is(&rd, '>')) { /* RFC 5321 4.5.5 */
        path_out->is_null = true;
        *rest = slice_sub(*rest, 2, SIZE_MAX);
        goto out;
    }
    fault = path_scan(&rd, kind, &parts);
    if (fault)
        goto out;
    rd.p++;
    if ((size_t)(rd.p - rest->ptr) > SMTP_PATH_MAX)
        fault = SMTP_FAULT_PATH_LONG;
    else
        fault = path_finish(&rd, &parts, arena, path_out);
    if (!fault)
        *rest = slice_sub(*rest, (size_t)(rd.p - rest->ptr), SIZE_MAX);
out:
    *fault_out = fault;
    return smtp__fault_err(fault);
}

enum ms_err smtp_mailbox_parse(struct slice text, bool utf8, struct arena *arena, struct smtp_path *path_out,
                               enum smtp_fault *fault_out)
{
    struct path_rd rd = {.p = text.ptr, .end = text.len ? text.ptr + text.len : text.ptr, .utf8 = utf8};
    struct path_parts parts;
    enum smtp_fault fault;

    *path_out = (struct smtp_path){.is_null = false};
    fault = scan_mailbox(&rd, false, SMTP_FAULT_TO_PATH, &parts);
    if (!fault && rd.p != rd.end)
        fault = SMTP_FAULT_TO_PATH;
    if (fault && rd.has_high && !utf8)
        fault = SMTP_FAULT_PATH_UTF8;
    if (!fault && text.len > SMTP_PATH_MAX - 2)
        fault = SMTP_FAULT_PATH_LONG;
    if (!fault)
        fault = path_finish(&rd, &parts, arena, path_out);
    *fault_out = fault;
    return smtp__fault_err(fault);
}
