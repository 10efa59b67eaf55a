/*
 * net_listen.c - the listening socket itself: made for an address, or recognised as one for an address.
 */
#include "net_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A socket file that nobody listens on is left over from a server that was killed. */
static enum ms_err unix_make_room(const struct sockaddr_storage *sa, socklen_t len,
                                  struct ms_errinfo *why_out)
{
    const char *path = ((const struct sockaddr_un *)sa)->sun_path;
    struct stat st;

    if (lstat(path, &st) < 0)
        return MS_OK; /* bind will tell if that is bad */
    if (!S_ISSOCK(st.st_mode))
        return ms_fail(why_out, MS_EEXIST, "%s exists and is not a socket", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return ms_fail_errno(why_out, errno, "socket");
    int rc = connect(fd, (const struct sockaddr *)sa, len);
    int err = errno;
    close(fd);
    if (rc == 0 || err != ECONNREFUSED)
        return ms_fail(why_out, MS_EEXIST, "another process listens on %s", path);
    if (unlink(path) < 0)
        return ms_fail_errno(why_out, errno, "unlink %s", path);
    return MS_OK;
}

static enum ms_err socket_listen(int fd, const char *where, const struct sockaddr_storage *sa, socklen_t len,
                                 int backlog, struct ms_errinfo *why_out)
{
    int one = 1;

    if (sa->ss_family != AF_UNIX && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
        return ms_fail_errno(why_out, errno, "SO_REUSEADDR for %s", where);
    if (sa->ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0)
        return ms_fail_errno(why_out, errno, "IPV6_V6ONLY for %s", where);
    if (bind(fd, (const struct sockaddr *)sa, len) < 0)
        return ms_fail_errno(why_out, errno, "bind %s", where);
    if (listen(fd, backlog) < 0)
        return ms_fail_errno(why_out, errno, "listen on %s", where);
    return MS_OK;
}

enum ms_err net_listen(const char *where, int backlog, int *fd_out, struct ms_errinfo *why_out)
{
    struct sockaddr_storage sa;
    socklen_t len;

    MS_TRY(net__addr_parse(where, &sa, &len, why_out));
    if (sa.ss_family == AF_UNIX)
        MS_TRY(unix_make_room(&sa, len, why_out));
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return ms_fail_errno(why_out, errno, "socket for %s", where);
    enum ms_err err = socket_listen(fd, where, &sa, len, backlog, why_out);
    if (err) {
        close(fd);
        return err;
    }
    *fd_out = fd;
    return MS_OK;
}

static bool is_stream_listener(int fd)
{
    int type = 0, accepts = 0;
    socklen_t len = sizeof(type);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM)
        return false;
    len = sizeof(accepts);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &len) == 0 && accepts;
}

/* A socket whose path is gone cannot be reached any more. */
static bool same_unix(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    const char *path = ((const struct sockaddr_un *)b)->sun_path;
    struct stat st;

    return strcmp(((const struct sockaddr_un *)a)->sun_path, path) == 0 && lstat(path, &st) == 0 &&
           S_ISSOCK(st.st_mode);
}

bool net_listens_at(int fd, const char *where)
{
    struct sockaddr_storage have = {0}, want;
    socklen_t have_len = sizeof(have) - 1, want_len; /* a path of full length keeps its NUL */
    struct net_addr a, b;

    if (net__addr_parse(where, &want, &want_len, NULL) != MS_OK || !is_stream_listener(fd) ||
        getsockname(fd, (struct sockaddr *)&have, &have_len) < 0 || have.ss_family != want.ss_family)
        return false;
    if (have.ss_family == AF_UNIX)
        return same_unix(&have, &want);
    net__addr_from_sockaddr(&have, &a);
    net__addr_from_sockaddr(&want, &b);
    return strcmp(a.text, b.text) == 0;
}

bool net_addr_of_socket(int fd, struct net_addr *out)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa) - 1;

    if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
        return false;
    net__addr_from_sockaddr(&sa, out);
    if (out->is_unix)
        snprintf(out->text, sizeof(out->text), "unix:%.58s", ((struct sockaddr_un *)&sa)->sun_path);
    return true;
}
