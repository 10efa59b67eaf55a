/*
 * imapd_cmd_misc.c - commands that are a line: CAPABILITY, NOOP and CHECK, LOGOUT, ID, NAMESPACE.
 */
#include "imapd_cmds.h"

enum imapd_step imapd_capability_run(struct imapd_session *s)
{
    struct str *out = imapd__out(s);

    str_add_cstr(out, "* CAPABILITY ");
    imapd__emit_capability(s, out);
    str_add_cstr(out, "\r\n");
    return imapd__ok(s, NULL, "CAPABILITY completed");
}

/* What NOOP is for, and all there is to check: the news that every command ends with. */
enum imapd_step imapd_noop_run(struct imapd_session *s)
{
    return imapd__ok(s, NULL, "Completed");
}

enum imapd_step imapd_logout_run(struct imapd_session *s)
{
    str_add_cstr(imapd__out(s), "* BYE Logging out\r\n"); /* RFC 3501 6.1.3: before the OK */
    s->cmd.close_after = true;
    imapd__box_destroy(&s->box);
    imapd_enter(s, IMAPD_ST_LOGOUT);
    return imapd__ok(s, NULL, "LOGOUT completed");
}

/* RFC 2971: what the client says is not acted upon. */
enum imapd_step imapd_id_run(struct imapd_session *s)
{
    str_add_cstr(imapd__out(s), "* ID (\"name\" \"mailserverd\")\r\n");
    return imapd__ok(s, NULL, "ID completed");
}

/* RFC 2342 5: personal mailboxes have no prefix; there are no others. */
enum imapd_step imapd_namespace_run(struct imapd_session *s)
{
    str_add_cstr(imapd__out(s), "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
    return imapd__ok(s, NULL, "NAMESPACE completed");
}
