/*
 * imapd_cmd_login.c - LOGIN. RFC 3501 6.2.3
 */
#include "ms/crypt.h"

#include "imapd_cmds.h"

enum imapd_step imapd_login_run(struct imapd_session *s)
{
    struct imapd_login *l = s->cmd.priv;

    if (!l) {
        struct slice user = s->cmd.args->login.user, password = s->cmd.args->login.password;

        l = imapd__login_begin(s);
        l->state =
            auth_begin_password(s->w->auth, &l->peer, user, password, imapd__login_on_auth, s, &l->exchange);
        if (password.len) /* auth has its own copy until it is done */
            crypt_wipe((void *)(uintptr_t)password.ptr, password.len);
    }
    return imapd__login_step(s, l);
}
