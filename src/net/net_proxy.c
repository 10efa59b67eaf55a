/*
 * net_proxy.c - the PROXY protocol, versions 1 and 2: bytes to addresses, pure.
 *
 * MS_EMORE is only said when every byte so far belongs to the header, so that a reader may take them off the
 * socket and never takes one that is the session's.
 */
#include <netinet/in.h>
#include <arpa/inet.h>
#include <sys/un.h>

#include "net_priv.h"

#include "ms/base/sum.h"

#define V1_LINE_MAX 107 /* with its end */
#define V2_HEAD     16

enum { V2_LOCAL = 0, V2_PROXY = 1 };
enum { V2_UNSPEC = 0x00, V2_TCP4 = 0x11, V2_TCP6 = 0x21, V2_UNIX = 0x31 };
enum { V2_TLV_CRC32C = 0x03, V2_TLV_SSL = 0x20, V2_SSL_CLIENT = 0x01 };

static const uint8_t v2_signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                         0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

/* -- version 1: one line of words */
static bool v1_addr(struct slice host, struct slice port, bool is_v6, struct net_addr *out)
{
    struct sockaddr_storage sa = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&sa;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&sa;
    char text[INET6_ADDRSTRLEN];
    uint64_t number;

    if (host.len >= sizeof(text) || slice_to_u64(port, 65535, &number) != MS_OK)
        return false;
    if (port.len > 1 && port.ptr[0] == '0')
        return false;
    memcpy(text, host.ptr, host.len);
    text[host.len] = 0;
    if (strlen(text) != host.len)
        return false;
    sa.ss_family = is_v6 ? AF_INET6 : AF_INET;
    if (inet_pton(sa.ss_family, text, is_v6 ? (void *)&in6->sin6_addr : (void *)&in->sin_addr) != 1)
        return false;
    if (is_v6)
        in6->sin6_port = htons((uint16_t)number);
    else
        in->sin_port = htons((uint16_t)number);
    net__addr_from_sockaddr(&sa, out);
    return true;
}

/* line: behind "PROXY ", without its end. */
static enum ms_err v1_line(struct slice line, struct net_proxy *out)
{
    struct slice word[4];
    struct slice family = line;

    if (!slice_cut(&line, ' ', &family)) {
        out->is_local = slice_eq_cstr(line, "UNKNOWN");
        return out->is_local ? MS_OK : MS_ESYNTAX;
    }
    if (slice_eq_cstr(family, "UNKNOWN")) { /* what follows is to be ignored */
        out->is_local = true;
        return MS_OK;
    }
    bool is_v6 = slice_eq_cstr(family, "TCP6");
    if (!is_v6 && !slice_eq_cstr(family, "TCP4"))
        return MS_ESYNTAX;
    for (int i = 0; i < 3; i++)
        if (!slice_cut(&line, ' ', &word[i]))
            return MS_ESYNTAX;
    word[3] = line;
    return v1_addr(word[0], word[2], is_v6, &out->peer) && v1_addr(word[1], word[3], is_v6, &out->local)
               ? MS_OK
               : MS_ESYNTAX;
}

static enum ms_err v1_parse(struct slice in, struct net_proxy *out, size_t *used_out)
{
    static const struct slice word = SLICE_LIT("PROXY ");
    size_t known = MS_MIN(in.len, word.len);

    if (memcmp(in.ptr, word.ptr, known) != 0)
        return MS_ESYNTAX;
    ssize_t end = slice_find_byte(in, '\n');
    if (end < 0)
        return in.len < V1_LINE_MAX ? MS_EMORE : MS_ESYNTAX;
    if (end + 1 > V1_LINE_MAX || end < (ssize_t)word.len + 1 || in.ptr[end - 1] != '\r')
        return MS_ESYNTAX;
    *used_out = (size_t)end + 1;
    return v1_line(slice_sub(in, word.len, (size_t)end - 1 - word.len), out);
}

/* -- version 2: binary */
static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void v2_addr_v4(const uint8_t *host, const uint8_t *port, struct net_addr *out)
{
    struct sockaddr_storage sa = {.ss_family = AF_INET};
    struct sockaddr_in *in = (struct sockaddr_in *)&sa;

    memcpy(&in->sin_addr, host, 4);
    in->sin_port = htons(get16(port));
    net__addr_from_sockaddr(&sa, out);
}

static void v2_addr_v6(const uint8_t *host, const uint8_t *port, struct net_addr *out)
{
    struct sockaddr_storage sa = {.ss_family = AF_INET6};
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&sa;

    memcpy(&in6->sin6_addr, host, 16);
    in6->sin6_port = htons(get16(port));
    net__addr_from_sockaddr(&sa, out);
}

/* The addresses; their length in *len_out. */
static enum ms_err v2_addrs(struct slice body, uint8_t family, struct net_proxy *out, size_t *len_out)
{
    static const struct sockaddr_storage local = {.ss_family = AF_UNIX};
    const uint8_t *p = body.ptr;

    switch (family) {
    case V2_UNSPEC:
        out->is_local = true;
        *len_out = body.len;
        return MS_OK;
    case V2_TCP4:
        *len_out = 12;
        if (body.len < *len_out)
            return MS_ESYNTAX;
        v2_addr_v4(p, p + 8, &out->peer);
        v2_addr_v4(p + 4, p + 10, &out->local);
        return MS_OK;
    case V2_TCP6:
        *len_out = 36;
        if (body.len < *len_out)
            return MS_ESYNTAX;
        v2_addr_v6(p, p + 32, &out->peer);
        v2_addr_v6(p + 16, p + 34, &out->local);
        return MS_OK;
    case V2_UNIX:
        *len_out = 216;
        if (body.len < *len_out)
            return MS_ESYNTAX;
        net__addr_from_sockaddr(&local, &out->peer);
        net__addr_from_sockaddr(&local, &out->local);
        return MS_OK;
    default: /* datagrams, and what was never defined */
        return MS_ESYNTAX;
    }
}

/* The sum over the whole header, its own four bytes being zero. */
static bool v2_sum_is_good(struct slice header, struct slice value)
{
    static const uint8_t zero[4];

    if (value.len != 4)
        return false;
    size_t at = (size_t)(value.ptr - header.ptr);
    uint32_t sum = crc32c_add(0, header.ptr, at);
    sum = crc32c_add(sum, zero, 4);
    sum = crc32c_add(sum, header.ptr + at + 4, header.len - at - 4);
    return sum == ((uint32_t)get16(value.ptr) << 16 | get16(value.ptr + 2));
}

static enum ms_err v2_tlvs(struct slice header, struct slice tlvs, struct net_proxy *out)
{
    while (tlvs.len) {
        if (tlvs.len < 3)
            return MS_ESYNTAX;
        uint8_t type = tlvs.ptr[0];
        size_t len = get16(tlvs.ptr + 1);
        if (tlvs.len - 3 < len)
            return MS_ESYNTAX;
        struct slice value = slice_sub(tlvs, 3, len);
        if (type == V2_TLV_CRC32C && !v2_sum_is_good(header, value))
            return MS_ESYNTAX;
        if (type == V2_TLV_SSL) {
            if (len < 5) /* flags and the result of the verification */
                return MS_ESYNTAX;
            out->is_tls = value.ptr[0] & V2_SSL_CLIENT;
        }
        tlvs = slice_sub(tlvs, 3 + len, tlvs.len);
    }
    return MS_OK;
}

static enum ms_err v2_parse(struct slice in, struct net_proxy *out, size_t *used_out)
{
    size_t known = MS_MIN(in.len, sizeof(v2_signature)), addrs;

    if (memcmp(in.ptr, v2_signature, known) != 0)
        return MS_ESYNTAX;
    if (in.len > 12 && in.ptr[12] >> 4 != 2)
        return MS_ESYNTAX;
    if (in.len < V2_HEAD)
        return MS_EMORE;
    size_t whole = V2_HEAD + (size_t)get16(in.ptr + 14);
    if (whole > NET_PROXY_MAX)
        return MS_ELIMIT;
    uint8_t command = in.ptr[12] & 15;
    if (command != V2_LOCAL && command != V2_PROXY)
        return MS_ESYNTAX;
    if (in.len < whole)
        return MS_EMORE;
    *used_out = whole;
    struct slice header = slice_sub(in, 0, whole), body = slice_sub(in, V2_HEAD, whole - V2_HEAD);
    if (command == V2_LOCAL) { /* a health check of the proxy itself: the rest is to be ignored */
        out->is_local = true;
        return MS_OK;
    }
    MS_TRY(v2_addrs(body, in.ptr[13], out, &addrs));
    return v2_tlvs(header, slice_sub(body, addrs, body.len), out);
}

enum ms_err net_proxy_parse(struct slice in, struct net_proxy *out, size_t *used_out)
{
    *out = (struct net_proxy){0};
    *used_out = 0;
    if (in.len == 0)
        return MS_EMORE;
    return in.ptr[0] == v2_signature[0] ? v2_parse(in, out, used_out) : v1_parse(in, out, used_out);
}
