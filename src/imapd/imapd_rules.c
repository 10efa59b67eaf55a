/*
 * imapd_rules.c - what a configuration says, worked out once for the sessions of a loop.
 *
 * A session keeps the rules that it began with, and they keep their snapshot: the last session of an old
 * snapshot on this loop lets go of it.
 */
#include "imapd_priv.h"

static struct imapd_rules *rules_make(const struct imapd_loop_env *le)
{
    struct imapd_rules *r = ms_new(struct imapd_rules);

    r->users = 1; /* the loop */
    r->conf_ref = conf_ref((struct conf *)(uintptr_t)le->conf);
    r->conf = conf_section(r->conf_ref, "imap");
    r->hostname = le->hostname;
    r->limits_login = (struct imap_limits){
        .line_bytes_max = MS_MIN(r->conf->line_bytes_max, IMAPD_LOGIN_LINE_MAX),
        .literal_bytes_max = IMAPD_LOGIN_LINE_MAX,
        .command_bytes_max = 2 * IMAPD_LOGIN_LINE_MAX,
    };
    r->limits = (struct imap_limits){
        .line_bytes_max = r->conf->line_bytes_max,
        .literal_bytes_max = IMAPD_LITERAL_BYTES_MAX,
        .command_bytes_max = IMAPD_COMMAND_BYTES_MAX,
        .append_bytes_max = r->conf->append_bytes_max,
    };
    return r;
}

struct imapd_rules *imapd__rules_take(struct imapd_loop_env *le)
{
    if (!le->rules)
        le->rules = rules_make(le);
    le->rules->users++;
    return le->rules;
}

void imapd__rules_drop(struct imapd_rules **rp)
{
    struct imapd_rules *r = *rp;

    *rp = NULL;
    if (!r || --r->users > 0)
        return;
    conf_unref(&r->conf_ref);
    ms_free(r);
}

void imapd_loop_reload(struct imapd_loop_env *le)
{
    imapd__rules_drop(&le->rules); /* the next session makes them of what is there now */
}
