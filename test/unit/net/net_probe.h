/* A session for tests: records what a stream tells it, and does what the test says. */
#ifndef NET_PROBE_H
#define NET_PROBE_H

#include "ms/net.h"

struct probe {
    struct net_stream *stream;
    struct str got;                                   /* everything consumed */
    size_t (*take)(struct probe *p, struct slice in); /* NULL: everything */
    void (*drained)(struct probe *p);
    unsigned data_calls;
    unsigned drains;
    size_t seen_max; /* longest slice given */
    unsigned tls_calls;
    enum ms_err tls_result;
    unsigned closes;
    enum net_close_why why;
    bool echo;
    void *arg;
};

extern const struct net_callbacks probe_callbacks;

void probe_init(struct probe *p);
void probe_fini(struct probe *p);
/* take: whole lines (LF) only. */
size_t probe_take_lines(struct probe *p, struct slice in);
/* take: one line, and reading stops behind it. */
size_t probe_take_line_and_stop(struct probe *p, struct slice in);
size_t probe_take_nothing(struct probe *p, struct slice in);

/* A connected pair: one end is p's stream on the loop, the other is returned, non-blocking. */
int probe_open_pair(struct probe *p, struct loop *loop, size_t in_max);
/* Turns until the stream has closed; fails the test after 10 s. */
void probe_run_until_closed(struct probe *p, struct loop *loop);
/* A few turns: what is on its way arrives. */
void probe_settle(struct loop *loop);

/* Reads what is there now; returns what read returned last (0 = end, -1 = nothing more now). */
ssize_t peer_read(int fd, struct str *out, size_t max);
void peer_write(int fd, const char *text);

#endif
