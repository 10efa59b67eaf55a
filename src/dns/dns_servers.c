/*
 * dns_servers.c - which servers are asked: those of the configuration, else those of resolv.conf(5).
 */
#include "dns_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#define RESOLV_BYTES_MAX 65536

static bool address_parse(struct slice host, uint16_t port, struct dns__server *out)
{
    char text[INET6_ADDRSTRLEN] = "";
    struct sockaddr_in *in = (struct sockaddr_in *)&out->sa;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->sa;

    *out = (struct dns__server){0};
    if (host.len == 0 || host.len >= sizeof(text))
        return false;
    memcpy(text, host.ptr, host.len);
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        out->sa_len = sizeof(*in);
        return true;
    }
    if (inet_pton(AF_INET6, text, &in6->sin6_addr) != 1)
        return false;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    out->sa_len = sizeof(*in6);
    return true;
}

enum ms_err dns__server_parse(const char *text, struct dns__server *out)
{
    struct slice host = slice_cstr(text), port = {0};
    uint64_t number = DNS__PORT;
    ssize_t colon = slice_rfind_byte(host, ':'), bracket = slice_rfind_byte(host, ']');
    bool has_port = colon >= 0 && (slice_find_byte(host, ':') == colon || (bracket >= 0 && bracket < colon));

    if (has_port) {
        port = slice_sub(host, (size_t)colon + 1, host.len);
        host = slice_sub(host, 0, (size_t)colon);
    }
    if (has_port && (slice_to_u64(port, 65535, &number) != MS_OK || number == 0))
        return MS_EINVAL;
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = slice_sub(host, 1, host.len - 2);
    else if (bracket >= 0)
        return MS_EINVAL;
    return address_parse(host, (uint16_t)number, out) ? MS_OK : MS_EINVAL;
}

static bool server_is_local(const struct dns__server *s)
{
    if (s->sa.ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)&s->sa)->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&s->sa)->sin6_addr);
}

static bool word_next(struct slice *rest, struct slice *word)
{
    size_t len = 0;

    *rest = slice_trim(*rest);
    while (len < rest->len && rest->ptr[len] != ' ' && rest->ptr[len] != '\t')
        len++;
    *word = slice_sub(*rest, 0, len);
    *rest = slice_sub(*rest, len, rest->len);
    return len > 0;
}

void dns__resolv_parse(struct slice text, struct dns__servers *out)
{
    struct slice line, word;

    *out = (struct dns__servers){0};
    while (text.len > 0) {
        if (!slice_cut(&text, '\n', &line)) {
            line = text;
            text.len = 0;
        }
        if (!word_next(&line, &word))
            continue;
        bool is_options = slice_eq_cstr(word, "options");
        if (slice_eq_cstr(word, "nameserver") && word_next(&line, &word) && out->count < DNS_SERVERS_MAX &&
            address_parse(word, DNS__PORT, &out->list[out->count]))
            out->count++;
        while (is_options && word_next(&line, &word))
            out->trust_ad = out->trust_ad || slice_eq_cstr(word, "trust-ad");
    }
}

/* What does not exist is empty; only a file that is there and cannot be read is a mistake. */
static enum ms_err resolv_load(const char *path, struct dns__servers *out, struct ms_errinfo *why)
{
    struct str text;
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 && errno == ENOENT)
        return MS_OK;
    if (fd < 0)
        return ms_fail_errno(why, errno, "open %s", path);
    str_init(&text, RESOLV_BYTES_MAX);
    do {
        uint8_t *at = str_reserve(&text, 4096);
        got = at ? read(fd, at, 4096) : 0;
        if (got > 0)
            str_advance(&text, (size_t)got);
    } while (got > 0);
    int err = errno;
    close(fd);
    dns__resolv_parse(str_slice(&text), out);
    str_fini(&text);
    return got < 0 ? ms_fail_errno(why, err, "read %s", path) : MS_OK;
}

enum ms_err dns__servers_load(const struct dns_conf *conf, struct dns__servers *out, struct ms_errinfo *why)
{
    *out = (struct dns__servers){0};
    if (conf->servers.count > DNS_SERVERS_MAX)
        return ms_fail(why, MS_EINVAL, "more than %d DNS servers", DNS_SERVERS_MAX);
    for (size_t i = 0; i < conf->servers.count; i++)
        if (dns__server_parse(conf->servers.items[i], &out->list[out->count++]))
            return ms_fail(why, MS_EINVAL, "not the address of a DNS server: \"%s\"", conf->servers.items[i]);
    if (out->count == 0 && conf->resolv_conf)
        MS_TRY(resolv_load(conf->resolv_conf, out, why));
    if (out->count == 0) /* as resolv.conf(5) says */
        MS_TRY(dns__server_parse("127.0.0.1", &out->list[out->count++]));
    out->all_local = true;
    for (unsigned i = 0; i < out->count; i++)
        out->all_local = out->all_local && server_is_local(&out->list[i]);
    return MS_OK;
}
