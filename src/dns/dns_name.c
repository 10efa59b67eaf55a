/*
 * dns_name.c - names between text and wire, and the names of addresses.
 */
#include "dns_priv.h"

#include <arpa/inet.h>
#include <stdio.h>

#define LABEL_MAX 63

static bool is_name_octet(uint8_t c)
{
    return c > ' ' && c < 0x7f && c != '.' && c != '\\';
}

enum ms_err dns__name_parse(const char *text, char out[DNS_NAME_MAX + 1])
{
    size_t len = strlen(text), label = 0;

    if (len > 0 && text[len - 1] == '.')
        len--;
    if (len == 0 || len > DNS_NAME_MAX - 2) /* RFC 1035 2.3.4: 255 octets of wire form */
        return MS_EINVAL;
    for (size_t i = 0; i < len; i++) {
        bool is_dot = text[i] == '.';
        if (is_dot ? label == 0 : !is_name_octet((uint8_t)text[i]))
            return MS_EINVAL;
        label = is_dot ? 0 : label + 1;
        if (label > LABEL_MAX)
            return MS_EINVAL;
        out[i] = (char)ms_ascii_lower((uint8_t)text[i]);
    }
    out[len] = '\0';
    return label > 0 ? MS_OK : MS_EINVAL;
}

size_t dns__name_to_wire(const char *name, uint8_t out[DNS_NAME_MAX])
{
    struct slice rest = slice_cstr(name), label;
    size_t len = 0;

    while (rest.len > 0) {
        if (!slice_cut(&rest, '.', &label)) {
            label = rest;
            rest.len = 0;
        }
        MS_ASSERT(len + 2 + label.len <= DNS_NAME_MAX);
        out[len++] = (uint8_t)label.len;
        memcpy(out + len, label.ptr, label.len);
        len += label.len;
    }
    out[len++] = 0;
    return len;
}

bool dns__name_from_wire(struct slice wire, char out[DNS_NAME_MAX + 1])
{
    size_t at = 0, len = 0;

    while (at < wire.len && wire.ptr[at] != 0) {
        size_t label = wire.ptr[at++];
        if (label > LABEL_MAX || label > wire.len - at || len + label + 1 > DNS_NAME_MAX)
            return false;
        if (len > 0)
            out[len++] = '.';
        for (size_t i = 0; i < label; i++, at++) {
            if (!is_name_octet(wire.ptr[at]))
                return false;
            out[len++] = (char)ms_ascii_lower(wire.ptr[at]);
        }
    }
    out[len] = '\0';
    return at < wire.len;
}

enum ms_err dns_reverse_name(const char *host, const char *zone, char out[DNS_NAME_MAX + 1])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char text[DNS_NAME_MAX * 2], name[DNS_NAME_MAX + 1];
    uint8_t address[16];
    size_t len = 0;

    bool is_v6 = inet_pton(AF_INET6, host, address) == 1;
    if (!is_v6 && inet_pton(AF_INET, host, address) != 1)
        return MS_EINVAL;
    if (is_v6 && memcmp(address, mapped, sizeof(mapped)) == 0) { /* IPv4 in IPv6 clothes */
        memmove(address, address + 12, 4);
        is_v6 = false;
    }
    MS_TRY(dns__name_parse(zone, name));
    for (int i = 3; !is_v6 && i >= 0; i--)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%u.", address[i]);
    for (int i = 15; is_v6 && i >= 0; i--) /* RFC 5782 2.4 */
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%x.%x.", address[i] & 15, address[i] >> 4);
    snprintf(text + len, sizeof(text) - len, "%s", name);
    return dns__name_parse(text, out) ? MS_ELIMIT : MS_OK;
}
