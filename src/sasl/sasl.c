/*
 * sasl.c - the table of mechanisms and the state they share.
 */
#include "sasl_priv.h"

#include "ms/crypt.h"

static const struct sasl_mech *const mechs[] = {&sasl__plain};

const struct sasl_mech *sasl_mech_find(struct slice name)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(mechs); i++)
        if (slice_ieq_cstr(name, mechs[i]->name))
            return mechs[i];
    return NULL;
}

const char *sasl_mech_names(void)
{
    return "PLAIN";
}

void sasl_init(struct sasl *s, const struct sasl_mech *mech)
{
    s->mech = mech;
    s->state = SASL_WANT_CLIENT;
    str_init(&s->authzid, SASL_NAME_MAX);
    str_init(&s->authcid, SASL_NAME_MAX);
    str_init(&s->password, SASL_MESSAGE_MAX);
    str_init(&s->challenge, SASL_MESSAGE_MAX);
}

enum ms_err sasl_step(struct sasl *s, struct slice client_message)
{
    MS_ASSERT(s->state == SASL_WANT_CLIENT);
    if (client_message.len > SASL_MESSAGE_MAX) {
        s->state = SASL_FAILED;
        return MS_ELIMIT;
    }
    return s->mech->step(s, client_message);
}

void sasl_fini(struct sasl *s)
{
    if (s->password.ptr)
        crypt_wipe(s->password.ptr, s->password.cap);
    str_fini(&s->authzid);
    str_fini(&s->authcid);
    str_fini(&s->password);
    str_fini(&s->challenge);
}
