/*
 * auth_mech.c - which mechanisms there are, and which of them a peer may use now.
 */
#include "auth_priv.h"

static const struct {
    const char *name;
    unsigned flags;
} mechs[] = {
    {"PLAIN", AUTH_SHOWS_PASSWORD}, {"LOGIN", AUTH_SHOWS_PASSWORD}, {"SCRAM-SHA-256", AUTH_IS_SCRAM},
    {"SCRAM-SHA-1", AUTH_IS_SCRAM}, {"EXTERNAL", AUTH_IS_EXTERNAL}, {"OAUTHBEARER", AUTH_IS_TOKEN},
    {"XOAUTH2", AUTH_IS_TOKEN},
};

int auth__mech_find(struct slice name)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(mechs); i++)
        if (slice_ieq_cstr(name, mechs[i].name))
            return (int)i;
    return -1;
}

unsigned auth__mech_flags(int mech)
{
    return mechs[mech].flags;
}

/* RFC 4954 4, RFC 9051 6.2.2, 11: what shows a secret, or could be tried off-line, goes where nobody
 * can read it. */
static bool is_private(const struct auth_client *c, const struct auth_peer *peer)
{
    return peer->is_local || peer->tls[0] || c->options->allow_plaintext;
}

enum ms_err auth__mech_permitted(const struct auth_client *c, const struct auth_peer *peer, int mech)
{
    if (mechs[mech].flags & AUTH_IS_EXTERNAL) {
        if (peer->is_local) /* the file system has let him in: no option takes that away */
            return MS_OK;
        if (!peer->certificate)
            return MS_EUNSUPPORTED;
    }
    if (mechs[mech].flags & AUTH_IS_TOKEN && !c->keys)
        return MS_EUNSUPPORTED;
    if (!(c->mechanisms & 1u << mech))
        return MS_EUNSUPPORTED;
    return is_private(c, peer) ? MS_OK : MS_EDENIED;
}

void auth_mechanisms(const struct auth_client *c, const struct auth_peer *peer, struct str *out)
{
    const char *blank = "";
    for (int i = 0; i < (int)MS_ARRAY_LEN(mechs); i++) {
        if (auth__mech_permitted(c, peer, i) != MS_OK)
            continue;
        str_addf(out, "%s%s", blank, mechs[i].name);
        blank = " ";
    }
}

bool auth_password_is_permitted(const struct auth_client *c, const struct auth_peer *peer)
{
    return auth__mech_permitted(c, peer, auth__mech_find(SLICE_LIT("PLAIN"))) == MS_OK;
}
