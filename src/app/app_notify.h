/*
 * app_notify.h - telling the service manager how the server is (sd_notify(3), by hand): one datagram of lines to the
 * socket that NOTIFY_SOCKET names.
 *
 * Threads: any; a datagram is one system call.
 * Blocking: at most APP_NOTIFY_WAIT_MS when the manager does not read; app_notify_try never.
 */
#ifndef APP_NOTIFY_H
#define APP_NOTIFY_H

#include <sys/socket.h>
#include <sys/un.h>

#include "ms/base/err.h"

#define APP_NOTIFY_WAIT_MS  1000
#define APP_NOTIFY_TEXT_MAX 1024
#define APP_NOTIFY_NAME_MAX 255 /* of a stored descriptor (systemd's own limit) */

struct app_notify {
    int fd; /* -1: nobody listens */
    struct sockaddr_un to;
    socklen_t to_len;
    uint64_t watchdog_ms; /* a sign of life is wanted this often; 0 = none */
};

/* Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment. What is malformed there is as not set. */
void app_notify_open(struct app_notify *n);
void app_notify_close(struct app_notify *n);
bool app_notify_is_on(const struct app_notify *n);

/* One or several lines "NAME=value", without the last line end. False: the manager does not take it (logged), or there is none. */
bool app_notify_send(struct app_notify *n, const char *fmt, ...) MS_PRINTF(2, 3);
bool app_notify_try(struct app_notify *n, const char *text); /* does not wait, does not log */
/* Puts a copy of fd into the manager's store; app_notify_forget removes every one of that name. A name is printable
 * ASCII without a colon; other bytes become '_'. */
bool app_notify_store(struct app_notify *n, const char *name, int fd);
bool app_notify_forget(struct app_notify *n, const char *name);

#endif
