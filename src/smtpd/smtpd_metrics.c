/*
 * smtpd_metrics.c - what is counted with labels: sessions, commands, refusals, messages.
 *
 * Series are looked up once and kept: those of a service by its worker, the others for all of them.
 */
#include "smtpd_priv.h"

#include <stdio.h>

void smtpd__metric_closed(struct smtpd_session *s, enum net_close_why why)
{
    struct smtpd_worker *w = s->worker;
    MS_ASSERT((size_t)why < MS_ARRAY_LEN(w->closed_series));
    if (!w->closed_series[why])
        w->closed_series[why] = obs_series(FAM_SMTP_SESSIONS, w->service, net_close_why_name(why), NULL);
    obs_series_add(w->closed_series[why], 1);
}

void smtpd__metric_reply(struct smtpd_session *s, unsigned code)
{
    static _Atomic unsigned series[SMTP_VERB_COUNT][6];
    unsigned class = code / 100 % 6;
    char text[8];
    if (!s->asked)
        return;
    enum smtp_verb verb = (enum smtp_verb)(s->asked - 1);
    s->asked = 0;
    snprintf(text, sizeof text, "%uxx", class);
    obs_series_add(obs_series_keep(&series[verb][class], FAM_SMTP_COMMANDS,
                                   verb == SMTP_VERB_UNKNOWN ? "unknown" : smtp_verb_name(verb), text, NULL),
                   1);
}

/* "5.1.1" counts as "5.1": class and subject (RFC 3463 2). */
void smtpd__metric_refused(const char *stage, struct smtp_reply reply)
{
    char reason[8];
    if (reply.enhanced)
        snprintf(reason, sizeof reason, "%.3s", reply.enhanced);
    else
        snprintf(reason, sizeof reason, "%u.0", reply.code / 100u);
    obs_series_add(obs_series(FAM_SMTP_REJECTIONS, stage, reason, NULL), 1);
}

void smtpd__metric_received(struct smtpd_session *s, uint64_t bytes)
{
    static _Atomic unsigned size;
    struct smtpd_worker *w = s->worker;
    if (!w->received_series)
        w->received_series = obs_series(FAM_MESSAGES_RECEIVED, w->service, NULL, NULL);
    obs_series_add(w->received_series, 1);
    obs_series_observe(obs_series_keep(&size, FAM_MESSAGE_SIZE, NULL, NULL, NULL), bytes);
}
