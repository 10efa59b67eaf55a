/*
 * app_sockets.h - descriptors that the service manager passed to us (sd_listen_fds(3), by hand): of .socket units, and
 * those of its store.
 *
 * Threads:  the main thread, before there are others.
 */
#ifndef APP_SOCKETS_H
#define APP_SOCKETS_H

#include <stddef.h>

#define APP_SOCKETS_FIRST 3    /* the descriptors are 3, 4, ... */
#define APP_SOCKETS_MAX   1024 /* more are left alone */

struct app_sockets {
    int *fds;
    char **names; /* as the manager knows each */
    size_t count;
};

/* Takes LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES out of the environment. Nothing there, or meant for another process: none.
 * The descriptors are closed on exec from now on. */
void app_sockets_open(struct app_sockets *s);
void app_sockets_add(struct app_sockets *s, int fd, const char *name);
void app_sockets_fini(struct app_sockets *s); /* closes nothing: they were given on */

#endif
