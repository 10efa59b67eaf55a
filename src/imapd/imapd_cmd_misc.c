/*
 * imapd_cmd_misc.c - commands that are a line: CAPABILITY, ENABLE, NOOP and CHECK, LOGOUT, ID, NAMESPACE.
 */
#include "imapd_cmds.h"

#define ID_LOG_MAX   512 /* of what a client says of itself, in the log */
#define ID_FIELD_MAX 30  /* RFC 2971 3.3 */
#define ID_VALUE_MAX 128

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

/* RFC 5161: unknown names are passed over. What is on already is named again: a client that asks wants to
 * know. */
enum imapd_step imapd_enable_run(struct imapd_session *s)
{
    struct str *out = imapd__out(s);
    unsigned bits = 0;

    str_add_cstr(out, "* ENABLED");
    for (uint32_t i = 0; i < s->cmd.args->enable.count; i++) {
        struct slice name = s->cmd.args->enable.names[i];
        unsigned bit = imapd__enable_bits(name);

        if (!bit || (bits & bit))
            continue;
        bits |= bit;
        str_add_byte(out, ' ');
        str_add_cstr(out, imapd__enable_name(bit));
    }
    str_add_cstr(out, "\r\n");
    imapd__enable(s, bits);
    return imapd__ok(s, NULL, "ENABLE completed");
}

/* What the client says of itself is for the log alone. "name=value", cut short; OBS makes it harmless. */
static void id_log(struct imapd_session *s)
{
    struct str text;

    str_init(&text, 0);
    for (uint32_t i = 0; i < s->cmd.args->id.count && text.len < ID_LOG_MAX; i++) {
        const struct imap_pair *p = &s->cmd.args->id.pairs[i];

        if (p->value_nil)
            continue;
        if (text.len)
            str_add_byte(&text, ' ');
        str_add_slice(&text, slice_sub(p->key, 0, ID_FIELD_MAX));
        str_add_byte(&text, '=');
        str_add_slice(&text, slice_sub(p->value, 0, ID_VALUE_MAX));
    }
    OBS_EVENT(OBS_IMAPD_CLIENT_ID, s->member.id, OBS_C("user", s->user ? s->user->login : ""),
              OBS_S("client", slice_sub(str_slice(&text), 0, ID_LOG_MAX)));
    str_fini(&text);
}

/* RFC 2971 3.3: nothing is acted upon. Host, arguments and environment of the machine are nobody's
 * business. */
enum imapd_step imapd_id_run(struct imapd_session *s)
{
    const struct imapd_env *env = s->w->env;
    struct str *out = imapd__out(s);

    if (s->cmd.args->id.count)
        id_log(s);
    str_add_cstr(out, "* ID (\"name\" \"mailserverd\"");
    if (env->version)
        str_addf(out, " \"version\" \"%s\"", env->version);
    str_add_cstr(out, " \"vendor\" \"mailserverd\"");
    if (s->rules->hostname)
        str_addf(out, " \"support-url\" \"mailto:postmaster@%s\"", s->rules->hostname);
    str_add_cstr(out, ")\r\n");
    return imapd__ok(s, NULL, "ID completed");
}

/* RFC 2342 5: personal mailboxes have no prefix; there are no others. */
enum imapd_step imapd_namespace_run(struct imapd_session *s)
{
    str_add_cstr(imapd__out(s), "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
    return imapd__ok(s, NULL, "NAMESPACE completed");
}
