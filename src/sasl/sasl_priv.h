/* sasl_priv.h - a mechanism, inside the module. */
#ifndef SASL_PRIV_H
#define SASL_PRIV_H

#include "ms/sasl.h"

struct sasl_mech {
    const char *name;
    const char *first; /* challenge to a client that does not begin */
    enum ms_err (*step)(struct sasl *s, struct slice client_message);
};

extern const struct sasl_mech sasl__plain, sasl__login, sasl__external;
/* -> SASL_FAILED */
enum ms_err sasl__fail(struct sasl *s, enum ms_err err);

#endif
