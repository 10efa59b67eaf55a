/*
 * imapd_cmd_idle.c - IDLE. RFC 2177
 *
 *   NEWS --up to date--> LINE --the feed tells of a change--> NEWS ...
 *                             --"DONE"--> end (with the news that every command ends with)
 *
 * The mailbox is watched before the first look, so no change falls between.
 */
#include "imapd_cmds.h"

enum imapd_step imapd_idle_run(struct imapd_session *s)
{
    enum imapd_step step;

    if (!s->cmd.priv) {
        s->cmd.priv = s;
        str_add_cstr(imapd__out(s), "+ idling\r\n");
        if (s->box && !s->box->gone)
            imapd__feed_watch(s);
    }
    if (s->cmd.line.ptr) {
        imapd__feed_unwatch(s);
        return slice_ieq_cstr(s->cmd.line, "DONE") ? imapd__ok(s, NULL, "IDLE completed")
                                                   : imapd__bad(s, "DONE expected");
    }
    if (!s->cmd.sync)
        s->noted = false;
    if (s->box) {
        step = imapd__sync(
            s, true); /* RFC 3501 7.4.1: a command is in progress, and it is not FETCH, STORE or SEARCH */
        if (step != IMAPD_DONE)
            return step;
    }
    return s->noted ? IMAPD_GO : IMAPD_LINE; /* noted: something came while a long look was under way */
}
