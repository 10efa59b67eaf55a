/*
 * net_network.c - networks: a prefix of an address and its length.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "ms/net.h"

static bool host_parse(struct slice text, struct net_network *out)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    char host[INET6_ADDRSTRLEN];

    *out = (struct net_network){0};
    if (text.len == 0 || text.len >= sizeof(host))
        return false;
    memcpy(host, text.ptr, text.len);
    host[text.len] = 0;
    if (strlen(host) != text.len)
        return false;
    if (inet_pton(AF_INET, host, out->bytes) == 1) {
        out->bits = 32;
        return true;
    }
    if (inet_pton(AF_INET6, host, out->bytes) != 1)
        return false;
    if (memcmp(out->bytes, mapped, sizeof(mapped)) == 0) { /* RFC 4291 2.5.5.2 */
        memmove(out->bytes, out->bytes + 12, 4);
        memset(out->bytes + 4, 0, 12);
        out->bits = 32;
        return true;
    }
    out->is_v6 = true;
    out->bits = 128;
    return true;
}

/* The part behind `bits` becomes zero; true when it was already. */
static bool cut_bits(uint8_t bytes[16], unsigned bits)
{
    bool was_zero = true;

    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = bits > 8 * i ? MS_MIN(bits - 8 * i, 8u) : 0;
        uint8_t mask = (uint8_t)(0xff00 >> keep);
        was_zero = was_zero && (bytes[i] & (uint8_t)~mask) == 0;
        bytes[i] &= mask;
    }
    return was_zero;
}

enum ms_err net_network_parse(struct slice text, struct net_network *out)
{
    struct slice host = text, rest = text;
    uint64_t bits;

    bool has_bits = slice_cut(&rest, '/', &host);
    if (!host_parse(host, out))
        return MS_ESYNTAX;
    if (!has_bits)
        return MS_OK;
    if (slice_to_u64(rest, 128, &bits) != MS_OK)
        return MS_ESYNTAX;
    if (!out->is_v6 && slice_find_byte(host, ':') >= 0) { /* ::ffff:192.0.2.0/120 */
        if (bits < 96)
            return MS_EINVAL;
        bits -= 96;
    }
    if (bits > out->bits)
        return MS_EINVAL;
    out->bits = (unsigned)bits;
    return cut_bits(out->bytes, out->bits) ? MS_OK : MS_EINVAL;
}

bool net_network_has(const struct net_network *n, const char *host)
{
    struct net_network h;

    if (!host_parse(slice_cstr(host), &h) || h.is_v6 != n->is_v6)
        return false;
    cut_bits(h.bytes, n->bits);
    return memcmp(h.bytes, n->bytes, sizeof(h.bytes)) == 0;
}

bool net_network_of(const char *host, unsigned v4_bits, unsigned v6_bits, struct net_network *out)
{
    if (!host_parse(slice_cstr(host), out))
        return false;
    out->bits = out->is_v6 ? MS_MIN(v6_bits, 128u) : MS_MIN(v4_bits, 32u);
    cut_bits(out->bytes, out->bits);
    return true;
}
