/*
 * imapd_cmd_starttls.c - STARTTLS. RFC 3501 6.2.1
 *
 * The OK goes out in clear; the handshake begins behind it (command_end). What the client sent behind the
 * command in clear is an attempt at injection, which net refuses.
 */
#include "imapd_cmds.h"

enum imapd_step imapd_starttls_run(struct imapd_session *s)
{
    s->cmd.tls_after = true;
    return imapd__ok(s, NULL, "Begin TLS negotiation now");
}
