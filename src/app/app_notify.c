/*
 * app_notify.c - datagrams to the service manager.
 *
 * The socket is not connected: a manager that makes its socket anew is found again. An address that begins with '@' is
 * in the abstract namespace.
 */
#include "app_notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ms/obs.h"

/* A whole number in the environment, 0 when there is none; the variable goes. */
static uint64_t take_number(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    errno = 0;
    unsigned long long value = text && text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    bool is_whole = end && !*end && errno == 0;
    unsetenv(name);
    return is_whole ? value : 0;
}

static bool take_address(struct app_notify *n)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t len = path ? strlen(path) : 0;
    /* An address of one byte names nothing; a path has its NUL counted, an abstract name has not. */
    bool ok = len > 1 && len < sizeof n->to.sun_path && (path[0] == '/' || path[0] == '@');
    if (ok) {
        n->to.sun_family = AF_UNIX;
        memcpy(n->to.sun_path, path, len + 1);
        n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (path[0] == '/'));
        if (path[0] == '@')
            n->to.sun_path[0] = '\0';
    }
    unsetenv("NOTIFY_SOCKET");
    return ok;
}

void app_notify_open(struct app_notify *n)
{
    const struct timeval wait = {.tv_sec = APP_NOTIFY_WAIT_MS / 1000,
                                 .tv_usec = APP_NOTIFY_WAIT_MS % 1000 * 1000};
    *n = (struct app_notify){.fd = -1};
    bool has_address = take_address(n);
    uint64_t usec = take_number("WATCHDOG_USEC");
    const char *has_pid = getenv("WATCHDOG_PID");
    uint64_t pid = take_number("WATCHDOG_PID");
    if (!has_address)
        return;
    if (!has_pid || pid == (uint64_t)getpid())
        n->watchdog_ms = usec / 1000;
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (n->fd >= 0)
        setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
}

void app_notify_close(struct app_notify *n)
{
    if (n->fd >= 0)
        close(n->fd);
    n->fd = -1;
}

bool app_notify_is_on(const struct app_notify *n)
{
    return n->fd >= 0;
}

/* fd: goes along, -1 = none */
static bool send_text(struct app_notify *n, const char *text, int fd, int flags)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr msg = {.msg_name = &n->to, .msg_namelen = n->to_len, .msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        msg.msg_control = &control;
        msg.msg_controllen = sizeof control;
        struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(head), &fd, sizeof fd);
    }
    return sendmsg(n->fd, &msg, flags | MSG_NOSIGNAL) >= 0;
}

static bool send_or_log(struct app_notify *n, const char *text, int fd)
{
    if (send_text(n, text, fd, 0))
        return true;
    OBS_EVENT(OBS_APP_NOTIFY_FAILED, 0, OBS_C("error", strerror(errno)));
    return false;
}

bool app_notify_send(struct app_notify *n, const char *fmt, ...)
{
    char text[APP_NOTIFY_TEXT_MAX];
    va_list ap;
    if (n->fd < 0)
        return false;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    MS_ASSERT(len > 0 && (size_t)len < sizeof text);
    return send_or_log(n, text, -1);
}

bool app_notify_try(struct app_notify *n, const char *text)
{
    return n->fd >= 0 && send_text(n, text, -1, MSG_DONTWAIT);
}

static void emit_with_name(char *text, size_t text_max, const char *verb, const char *name)
{
    int at = snprintf(text, text_max, "%s\nFDNAME=", verb);
    size_t len = 0;
    for (; name[len] && len < APP_NOTIFY_NAME_MAX; len++)
        text[(size_t)at + len] = name[len] > ' ' && name[len] < 0x7f && name[len] != ':' ? name[len] : '_';
    text[(size_t)at + len] = '\0';
}

bool app_notify_store(struct app_notify *n, const char *name, int fd)
{
    char text[APP_NOTIFY_TEXT_MAX];
    if (n->fd < 0)
        return false;
    emit_with_name(text, sizeof text, "FDSTORE=1", name);
    return send_or_log(n, text, fd);
}

bool app_notify_forget(struct app_notify *n, const char *name)
{
    char text[APP_NOTIFY_TEXT_MAX];
    if (n->fd < 0)
        return false;
    emit_with_name(text, sizeof text, "FDSTOREREMOVE=1", name);
    return send_or_log(n, text, -1);
}
