/*
 * net_addr.c - addresses: text to socket address and back. Numbers only, never a name service.
 */
#include "net_priv.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

#define NET_UNIX_PREFIX "unix:"

static enum ms_err addr_parse_unix(const char *path, struct sockaddr_storage *sa_out, socklen_t *len_out,
                                   struct ms_errinfo *why_out)
{
    struct sockaddr_un *un = (struct sockaddr_un *)sa_out;
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof(un->sun_path))
        return ms_fail(why_out, MS_EINVAL, "path of a unix socket must have 1 to %zu bytes: \"%s\"",
                       sizeof(un->sun_path) - 1, path);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len + 1);
    *len_out = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return MS_OK;
}

/* "127.0.0.1:25" and "[::]:25": the host without brackets, and the rest behind the colon. */
static bool addr_split(struct slice where, struct slice *host_out, struct slice *port_out)
{
    ssize_t colon = slice_rfind_byte(where, ':');

    if (colon <= 0)
        return false;
    *host_out = slice_sub(where, 0, (size_t)colon);
    *port_out = slice_sub(where, (size_t)colon + 1, where.len);
    if (host_out->ptr[0] != '[')
        return slice_find_byte(*host_out, ':') < 0;
    if (host_out->len < 3 || host_out->ptr[host_out->len - 1] != ']')
        return false;
    *host_out = slice_sub(*host_out, 1, host_out->len - 2);
    return true;
}

enum ms_err net__addr_parse(const char *where, struct sockaddr_storage *sa_out, socklen_t *len_out,
                            struct ms_errinfo *why_out)
{
    char text[INET6_ADDRSTRLEN];
    struct slice host, port;
    uint64_t number;

    *sa_out = (struct sockaddr_storage){0};
    if (slice_has_prefix(slice_cstr(where), SLICE_LIT(NET_UNIX_PREFIX)))
        return addr_parse_unix(where + strlen(NET_UNIX_PREFIX), sa_out, len_out, why_out);
    if (!addr_split(slice_cstr(where), &host, &port) || host.len >= sizeof(text) ||
        slice_to_u64(port, 65535, &number) != MS_OK)
        return ms_fail(why_out, MS_EINVAL, "not ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH: \"%s\"", where);
    memcpy(text, host.ptr, host.len);
    text[host.len] = 0;
    struct sockaddr_in *in = (struct sockaddr_in *)sa_out;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)sa_out;
    if (where[0] != '[' && inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)number);
        *len_out = sizeof(*in);
        return MS_OK;
    }
    if (where[0] == '[' && inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)number);
        *len_out = sizeof(*in6);
        return MS_OK;
    }
    return ms_fail(why_out, MS_EINVAL, "not an IP address: \"%s\"", text);
}

void net__addr_from_sockaddr(const struct sockaddr_storage *sa, struct net_addr *out)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

    *out = (struct net_addr){0};
    switch (sa->ss_family) {
    case AF_INET:
        inet_ntop(AF_INET, &in->sin_addr, out->host, INET_ADDRSTRLEN);
        out->port = ntohs(in->sin_port);
        snprintf(out->text, sizeof(out->text), "%.40s:%u", out->host, out->port);
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &in6->sin6_addr, out->host, INET6_ADDRSTRLEN);
        out->port = ntohs(in6->sin6_port);
        snprintf(out->text, sizeof(out->text), "[%.46s]:%u", out->host, out->port);
        break;
    default:
        out->is_unix = true;
        snprintf(out->host, sizeof(out->host), "local");
        snprintf(out->text, sizeof(out->text), "unix:");
    }
}

void net_local_addr(int fd, struct net_addr *out)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);

    if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
        sa.ss_family = AF_UNSPEC;
    net__addr_from_sockaddr(&sa, out);
}
