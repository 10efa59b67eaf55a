/*
 * sasl.c - the table of mechanisms and the state they share.
 */
#include "sasl_priv.h"

#include "ms/crypt.h"

static const struct sasl_mech *const mechs[] = {&sasl__scram_sha256, &sasl__scram_sha1,  &sasl__plain,
                                                &sasl__login,        &sasl__oauthbearer, &sasl__xoauth2};

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
    s->is_refused = false;
    s->priv = NULL;
}

enum ms_err sasl_step(struct sasl *s, struct slice client_message)
{
    str_reset(&s->challenge);
    if (s->state != SASL_WANT_CLIENT)
        return sasl__fail(s, MS_EINVAL);
    if (s->is_refused) /* RFC 7628 3.2.3: the dummy response */
        return sasl__fail(s, MS_EDENIED);
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

void sasl_give_keys(struct sasl *s, const struct sasl_keys *keys)
{
    MS_ASSERT(s->state == SASL_WANT_KEYS);
    str_reset(&s->challenge);
    s->mech->give_keys(s, keys);
    s->state = SASL_WANT_CLIENT;
}

/* The status is one of ours, a word of the registry (RFC 6749 11.4): nothing in it needs a backslash. */
void sasl_refuse_token(struct sasl *s, const char *status)
{
    MS_ASSERT(s->state == SASL_HAVE_TOKEN);
    str_reset(&s->challenge);
    if (s->mech->refusal)
        str_add_cstr(&s->challenge, s->mech->refusal);
    else
        str_addf(&s->challenge, "{\"status\":\"%s\"}", status);
    s->is_refused = true;
    s->state = SASL_WANT_CLIENT;
}

void sasl_fini(struct sasl *s)
{
    if (s->mech->fini)
        s->mech->fini(s);
    if (s->password.ptr)
        crypt_wipe(s->password.ptr, s->password.cap);
    str_fini(&s->authzid);
    str_fini(&s->authcid);
    str_fini(&s->password);
    str_fini(&s->challenge);
}
