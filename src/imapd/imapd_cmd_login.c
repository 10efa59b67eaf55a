/*
 * imapd_cmd_login.c - LOGIN. RFC 3501 6.2.3
 */
#include "imapd_cmds.h"

enum imapd_step imapd_login_run(struct imapd_session *s)
{
    struct imapd_login *l = s->cmd.priv;

    if (!l) {
        s->cmd.priv = l = arena_new(&s->arena, struct imapd_login);
        l->method = "LOGIN";
        l->user = s->cmd.args->login.user;
        l->password = s->cmd.args->login.password;
    }
    return imapd__login_step(s, l);
}
