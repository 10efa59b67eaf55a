/*
 * auth_external.c - EXTERNAL (RFC 4422 appendix A): the connection has shown who it is, by a verified
 * client certificate, or by being one of the machine's own socket, whose processes may act as anybody.
 */
#include "auth_priv.h"

static enum auth_state on_certificate(struct auth_exchange *x, enum ms_err err,
                                      const struct account_entry *entry)
{
    if (err && !auth__is_denial(err))
        return auth__temporary(x, err);
    if (err)
        return auth__denied(x);
    x->entry = *entry;
    auth__guess_key(x);
    return auth__proven(x);
}

static void certificate_found(void *owner, uint64_t request, enum ms_err err,
                              const struct account_entry *entry)
{
    struct auth_exchange *x = owner;
    x->request = 0;
    auth__resume(x, on_certificate(x, err, entry));
}

enum auth_state auth__have_external(struct auth_exchange *x)
{
    struct account_entry entry;
    x->act_as = str_slice(&x->sasl.authzid);
    if (x->peer
            ->is_local) { /* A.1: a process of the machine has no mailboxes of its own, so it must name a user */
        x->name = x->act_as;
        return x->act_as.len ? auth__find_target(x) : auth__not_permitted(x, "no_name");
    }
    x->name = slice_cstr(x->peer->certificate);
    enum ms_err err =
        account_login_find(x->client->accounts, x->name, true, &entry, certificate_found, x, &x->request);
    return err == MS_EMORE ? AUTH_WAIT : on_certificate(x, err, &entry);
}
