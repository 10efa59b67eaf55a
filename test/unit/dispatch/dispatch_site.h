/*
 * dispatch_site.h - a dispatcher with real loops and sockets, and a protocol that does what a test needs: it
 * greets with "hi", answers "echo" with its peer's address, holds its loop up at "sleep" until the test lets
 * go, ends at "quit".
 */
#ifndef DISPATCH_SITE_H
#define DISPATCH_SITE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../../src/dispatch/dispatch_priv.h"

#define SITE_LOOPS 2

struct site {
    struct bus *bus;
    struct loop *control, *loops[SITE_LOOPS];
    struct dispatch *dispatch;
    struct conf *conf;
};

extern atomic_bool site_asleep;                /* a session holds its loop up */
extern atomic_bool site_release;               /* let it go on */
extern atomic_int site_workers, site_sessions; /* open now */

/* yaml: lines of the service "svc", which listens on 127.0.0.1. */
void site_start(struct site *s, const char *yaml);
void site_stop(struct site *s);
uint16_t site_port(struct site *s);

/* Turns the control loop until it is so; fails after a long time. */
typedef bool site_cond(struct site *s, uint64_t arg);
void site_until(struct site *s, site_cond *cond, uint64_t arg, const char *what);
void site_pump(struct site *s, uint64_t ms);
/* A client, from a local address; what it hears next, up to a newline, "" at the end of the connection. */
int site_connect(struct site *s, const char *from);
const char *site_line(struct site *s, int fd);
void site_send(int fd, const char *text);
#define site_hears(s, fd, text) assert_string_equal(site_line(s, fd), text)

/* Of the service "svc": workers in a state, sessions. */
unsigned site_count(struct site *s, enum dispatch_wstate state);

#endif
