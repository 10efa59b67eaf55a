/*
 * load_banner.c - connections alone (mode banner): connect, hear the greeting, close, each time anew. Closing resets,
 * or the ports of this side would be used up in seconds.
 */
#include <string.h>
#include <sys/socket.h>

#include "load.h"

static void hang_up(struct load_conn *c)
{
    struct linger now = {.l_onoff = 1};

    if (c->fd >= 0)
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    load_conn_close(c);
}

static void banner_reset(struct load_conn *c)
{
}

static void banner_begin(struct load_conn *c)
{
    hang_up(c); /* of the first operation: the connection of the setup */
    c->began_ns = load_now_ns();
    load_conn_open(c);
}

static void banner_line(struct load_conn *c, const char *line, size_t len)
{
    bool ok = len >= 4 && (memcmp(line, "220 ", 4) == 0 || memcmp(line, "* OK", 4) == 0);

    if (!ok)
        load_error(c, "greeting", line, len);
    if (c->load->phase == LOAD_SETUP) {
        load_next(c);
        return;
    }
    hang_up(c);
    c->sent_ns = c->began_ns;
    load_done(c, ok);
}

static void banner_quit(struct load_conn *c)
{
    hang_up(c);
    c->gone = true;
    c->load->alive--;
}

static void banner_wake(struct load_conn *c)
{
}

const struct load_proto load_banner = {.reset = banner_reset,
                                       .line = banner_line,
                                       .begin = banner_begin,
                                       .quit = banner_quit,
                                       .wake = banner_wake};
