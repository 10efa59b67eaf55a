/* sasl_priv.h - a mechanism, inside the module. */
#ifndef SASL_PRIV_H
#define SASL_PRIV_H

#include "ms/sasl.h"

struct sasl_mech {
    const char *name;
    const char *first; /* challenge to a client that does not begin */
    enum ms_err (*step)(struct sasl *s, struct slice client_message);
    void (*give_keys)(struct sasl *s, const struct sasl_keys *keys); /* of those that ask for them */
    void (*fini)(struct sasl *s);                                    /* frees s->priv; may be NULL */
    enum sasl_hash hash;                                             /* of SCRAM */
    const char *refusal; /* JSON of a refused token; NULL: {"status": what sasl_refuse_token is given} */
};

extern const struct sasl_mech sasl__plain, sasl__login, sasl__external, sasl__scram_sha1, sasl__scram_sha256,
    sasl__oauthbearer, sasl__xoauth2;
/* -> SASL_FAILED */
enum ms_err sasl__fail(struct sasl *s, enum ms_err err);

/* -- sasl_gs2.c: what GS2 mechanisms begin with (RFC 5801 4) */
/* Cuts "n," or "y," and ["a=" authzid] "," from *rest; the decoded authzid is appended. MS_EUNSUPPORTED: "p=", channel binding is
 * asked for, which is not offered. MS_ESYNTAX, MS_ELIMIT. */
MS_MUST_USE enum ms_err sasl__gs2_parse(struct slice *rest, struct str *authzid);
/* saslname (RFC 5801 4): UTF-8, "=2C" and "=3D"; appended. MS_ESYNTAX, also when empty; MS_ELIMIT. */
MS_MUST_USE enum ms_err sasl__name_parse(struct slice text, struct str *out);

/* -- sasl_scram.c: server-first-message with this nonce of ours */
void sasl__scram_first(struct sasl *s, const struct sasl_keys *keys, struct slice nonce);

#endif
