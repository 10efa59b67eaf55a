/*
 * sasl.c - the table of mechanisms and the state they share.
 */
#include "sasl_priv.h"

#include "ms/crypt.h"

static const struct sasl_mech *const mechs[] = {&sasl__plain, &sasl__login};

const struct sasl_mech *sasl_mech_find(struct slice name)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(mechs); i++)
        if (slice_ieq_cstr(name, mechs[i]->name))
            return mechs[i];
    return NULL;
}

const struct sasl_mech *sasl_mech_external(void)
{
    return &sasl__external;
}

const char *sasl_mech_name(const struct sasl_mech *mech)
{
    return mech->name;
}

const char *sasl_mech_names(void)
{
    return "PLAIN LOGIN";
}

void sasl_init(struct sasl *s, const struct sasl_mech *mech)
{
    s->mech = mech;
    s->state = SASL_WANT_CLIENT;
    str_init(&s->authzid, SASL_NAME_MAX);
    str_init(&s->authcid, SASL_NAME_MAX);
    str_init(&s->password, SASL_MESSAGE_MAX);
    str_init(&s->challenge, SASL_MESSAGE_MAX);
    str_add_cstr(&s->challenge, mech->first);
    s->steps = 0;
}

enum ms_err sasl_step(struct sasl *s, struct slice client_message)
{
    MS_ASSERT(s->state == SASL_WANT_CLIENT);
    str_reset(&s->challenge);
    if (client_message.len > SASL_MESSAGE_MAX)
        return sasl__fail(s, MS_ELIMIT);
    enum ms_err err = s->mech->step(s, client_message);
    s->steps++;
    return err;
}

enum ms_err sasl__fail(struct sasl *s, enum ms_err err)
{
    s->state = SASL_FAILED;
    return err;
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
