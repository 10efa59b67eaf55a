/*
 * play_session.h - a session of any protocol over the memory transport on a virtual loop, and what a site needs for it.
 */
#ifndef TEST_PLAY_SESSION_H
#define TEST_PLAY_SESSION_H

#include "ms/dispatch.h"

#define PLAY_TURNS 20000 /* of half a millisecond: what a loaded machine may need */

struct play_session {
    struct loop *loop;
    const struct service_proto *proto;
    void *worker;
    struct net_stream *stream;
    struct net_mem_sink sink;
    size_t seen; /* output matched so far */
};
/* All but sink and seen are set; the stream has said nothing yet. */
void play_session_begin(struct play_session *s);
void play_session_close(struct play_session *s); /* if it is not closed yet; then the worker */
void play_session_feed(struct play_session *s, struct slice bytes, bool by_bytes);
/* Waits for a line that is not yet seen, without CRLF. false: closed, or none came. */
bool play_session_line(struct play_session *s, struct slice *line_out);
bool play_session_wait_closed(struct play_session *s);

void play_turn(struct loop *loop);  /* and a moment for the threads */
void play_quiet(struct loop *loop); /* turns until nothing more can come */

/* oauth.pem in the folder: what the configuration may name by "!file oauth.pem". */
void play_write_keys(const char *dir);
/* Of mx.example.org, made in the folder. */
struct net_tls *play_load_tls(const char *dir);

#endif
