/*
 * sasl.h - authentication mechanisms as step functions.
 * Layer 2 (sasl).   Uses: base, crypt.
 * A mechanism turns client messages into an identity and a proof; it never looks at a directory. The session decodes base64,
 * steps, and gives the outcome to account.
 * Threads: the session's loop.   Memory: secrets live in struct sasl and are wiped by sasl_fini.
 */
#ifndef MS_SASL_H
#define MS_SASL_H

#include "ms/base/str.h"

#define SASL_MESSAGE_MAX 4096 /* one decoded client message */
#define SASL_NAME_MAX    255

enum sasl_state { SASL_WANT_CLIENT, SASL_HAVE_PASSWORD, SASL_HAVE_EXTERNAL, SASL_FAILED };

struct sasl_mech;
struct sasl {
    const struct sasl_mech *mech;
    enum sasl_state state;
    struct str authzid, authcid, password; /* valid in SASL_HAVE_PASSWORD; in SASL_HAVE_EXTERNAL: authzid alone */
    struct str challenge;                  /* to send (before base64) in SASL_WANT_CLIENT, also before the first step to a client
                                            * without an initial response; may be empty */
    unsigned steps;                        /* taken */
};

/* name: "PLAIN" or "LOGIN", case-insensitive. NULL: unknown. */
const struct sasl_mech *sasl_mech_find(struct slice name);
/* EXTERNAL (RFC 4422 appendix A): whom the peer wants to be; who it is, the connection has shown. Never among the names of
 * sasl_mech_find: a session that knows its peer asks for it. */
const struct sasl_mech *sasl_mech_external(void);
const char *sasl_mech_name(const struct sasl_mech *mech);
/* Blank-separated names for capability lines. */
const char *sasl_mech_names(void);
void sasl_init(struct sasl *s, const struct sasl_mech *mech);
/* One client message (an initial response counts). PLAIN, RFC 4616 2: authzid NUL authcid NUL passwd. LOGIN: the name, then the
 * password. EXTERNAL: the authzid, may be empty. MS_ESYNTAX, MS_ELIMIT -> SASL_FAILED. */
MS_MUST_USE enum ms_err sasl_step(struct sasl *s, struct slice client_message);
void sasl_fini(struct sasl *s);

#endif
