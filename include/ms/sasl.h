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

#define SASL_MESSAGE_MAX 9216 /* one decoded client message: 12,288 characters of base64 (RFC 4954 4) */
#define SASL_NAME_MAX    255
#define SASL_NONCE_MAX   1024 /* a client's, in SCRAM */

enum sasl_state {
    SASL_WANT_CLIENT,
    SASL_HAVE_PASSWORD, /* authcid, authzid, password: for the directory */
    SASL_HAVE_EXTERNAL, /* authzid alone */
    SASL_WANT_KEYS,     /* SCRAM: look up the keys of authcid (authzid is known too), then sasl_give_keys */
    SASL_HAVE_TOKEN,    /* OAUTHBEARER, XOAUTH2: `password` is the token, authzid whom the client wants to be (a=, user=), authcid empty:
                         * the token says it. Check it; when bad, or empty (a client that asks what is wanted): sasl_refuse_token */
    SASL_HAVE_PROOF,    /* SCRAM: authcid is proven, and has answered the server's last message */
    SASL_FAILED,
};

/* SCRAM (RFC 5802, 7677): what the directory keeps of a password. */
enum sasl_hash { SASL_SHA1, SASL_SHA256 };
#define SASL_SALT_BYTES 16 /* of new keys, and the most */
#define SASL_KEY_MAX    32
struct sasl_keys {
    enum sasl_hash hash;
    uint32_t iterations;
    uint8_t salt_len, salt[SASL_SALT_BYTES];
    uint8_t stored[SASL_KEY_MAX], server[SASL_KEY_MAX]; /* 20 or 32 octets */
};
#define SASL_ITERATIONS     10000 /* of new keys */
#define SASL_ITERATIONS_MAX 1000000
/* 3-10 ms of CPU: work threads only. password: UTF-8, prepared here as SASLprep asks (RFC 4013; unicode_saslprep; what it forbids:
 * MS_EINVAL). */
MS_MUST_USE enum ms_err sasl_keys_make(enum sasl_hash hash, struct slice password, struct sasl_keys *out);
/* The same with a given salt and count. MS_ELIMIT: 0 or above SASL_ITERATIONS_MAX, a salt that is empty or too long. */
MS_MUST_USE enum ms_err sasl_keys_from(enum sasl_hash hash, struct slice password, uint32_t iterations, struct slice salt,
                                       struct sasl_keys *out);
/* Keys for a name that has none, shaped as real ones: the same for the same name and secret (empty: one of this process), so that names
 * cannot be told apart. No proof fits them. */
void sasl_keys_fake(enum sasl_hash hash, struct slice secret, struct slice name, struct sasl_keys *out);

struct sasl_mech;
struct sasl {
    const struct sasl_mech *mech;
    enum sasl_state state;
    struct str authzid, authcid, password; /* valid in SASL_HAVE_PASSWORD; in SASL_HAVE_EXTERNAL: authzid alone */
    struct str challenge;                  /* to send (before base64) in SASL_WANT_CLIENT, also before the first step to a client
                                            * without an initial response; may be empty */
    unsigned steps;                        /* taken */
    bool is_refused;                       /* the token: the next message ends it */
    void *priv;                            /* the mechanism's own */
};

/* name: PLAIN, LOGIN, SCRAM-SHA-1, SCRAM-SHA-256, OAUTHBEARER, XOAUTH2, case-insensitive. NULL: unknown. */
const struct sasl_mech *sasl_mech_find(struct slice name);
/* EXTERNAL (RFC 4422 appendix A): whom the peer wants to be; who it is, the connection has shown. Never among the names of
 * sasl_mech_find: a session that knows its peer asks for it. */
const struct sasl_mech *sasl_mech_external(void);
const char *sasl_mech_name(const struct sasl_mech *mech);
void sasl_init(struct sasl *s, const struct sasl_mech *mech);
/* One client message (an initial response counts). PLAIN, RFC 4616 2: authzid NUL authcid NUL passwd. LOGIN: the name, then the
 * password. EXTERNAL: the authzid, may be empty. SCRAM: client-first, client-final, then an empty one. All errors -> SASL_FAILED:
 * MS_ESYNTAX, MS_ELIMIT; MS_EUNSUPPORTED: SCRAM or OAUTHBEARER with channel binding or a mandatory extension; MS_EDENIED: the proof is
 * wrong, the message was changed on the way, or the answer to a refused token; MS_EINVAL: a message in a state that wants none. */
MS_MUST_USE enum ms_err sasl_step(struct sasl *s, struct slice client_message);
/* In SASL_WANT_KEYS: goes on to SASL_WANT_CLIENT with the server-first-message. */
void sasl_give_keys(struct sasl *s, const struct sasl_keys *keys);
/* In SASL_HAVE_TOKEN: SASL_WANT_CLIENT with the error as challenge (RFC 7628 3.2.2); the client's next message ends in SASL_FAILED. */
void sasl_refuse_token(struct sasl *s, const char *status);
void sasl_fini(struct sasl *s);

#endif
