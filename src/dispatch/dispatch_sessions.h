/*
 * dispatch_sessions.h - what the halves of a walk over sessions say to each other.
 */
#ifndef DISPATCH_SESSIONS_H
#define DISPATCH_SESSIONS_H

#include "ms/dispatch.h"

#define SESSIONS_CHUNK       256 /* looked at in one message */
#define SESSIONS_CHUNK_BYTES 49152

/* Body of a question: whose sessions ("": everybody's), and what the log is told of a kick. */
struct mbuf *dispatch__sessions_ask(const char *user, const char *why);
/* Body of an answer: rows one behind the other; false: that was the last. Texts live in it. */
bool dispatch__session_read(struct rd *rd, struct dispatch_session_view *out);

#endif
