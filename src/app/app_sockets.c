/*
 * app_sockets.c - descriptors from the service manager.
 */
#include "app_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ms/base/err.h"

static long take_number(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    errno = 0;
    long value = text && text[0] >= '0' && text[0] <= '9' ? strtol(text, &end, 10) : -1;
    bool is_whole = end && !*end && errno == 0;
    unsetenv(name);
    return is_whole ? value : -1;
}

void app_sockets_add(struct app_sockets *s, int fd, const char *name)
{
    s->fds = ms_realloc_array(s->fds, s->count + 1, sizeof *s->fds);
    s->names = ms_realloc_array(s->names, s->count + 1, sizeof *s->names);
    s->fds[s->count] = fd;
    s->names[s->count++] = ms_strdup(name);
}

void app_sockets_open(struct app_sockets *s)
{
    const char *env = getenv("LISTEN_FDNAMES");
    char *names = ms_strdup(env ? env : ""), *rest = names;
    long pid = take_number("LISTEN_PID"), count = take_number("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    *s = (struct app_sockets){0};
    if (pid != (long)getpid() || count > APP_SOCKETS_MAX)
        count = 0;
    for (int fd = APP_SOCKETS_FIRST; fd < APP_SOCKETS_FIRST + count; fd++) {
        const char *name = strsep(&rest, ":");
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) /* else there is none of that number */
            app_sockets_add(s, fd, name && name[0] ? name : "unknown");
    }
    ms_free(names);
}

void app_sockets_fini(struct app_sockets *s)
{
    for (size_t i = 0; i < s->count; i++)
        ms_free(s->names[i]);
    ms_free(s->names);
    ms_free(s->fds);
    *s = (struct app_sockets){0};
}
