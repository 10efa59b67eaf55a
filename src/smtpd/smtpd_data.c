/*
 * smtpd_data.c - DATA: the command, and its bytes from the wire (RFC 5321 4.1.1.4).
 */
#include "smtpd_priv.h"

struct smtp_reply smtpd__data_check(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    if (s->tx->rcpt_count > 0)
        return SMTPD_GO_ON;
    if (smtpd__is_lmtp(s)) /* RFC 2033 4.2: MUST be 503 */
        return SMTPD_REPLY(503, "5.5.1", "No valid recipients");
    return SMTPD_REPLY(554, "5.5.1", "No valid recipients"); /* RFC 5321 3.3 */
}

struct smtp_reply smtpd__data_check_text(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    if (s->tx->body_type == SMTP_BODY_BINARYMIME) /* RFC 3030 3 */
        return SMTPD_REPLY(503, "5.5.1", "BODY=BINARYMIME needs BDAT");
    return smtpd__data_check(s, cmd);
}

void smtpd__data_run(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    smtpd__content_begin(s);
    smtpd_enter(s, SMTPD_ST_DATA);
    smtpd__reply(s, smtp_reply_for_err(MS_OK, SMTP_AT_DATA));
}

size_t smtpd__data_input(struct smtpd_session *s, struct slice in)
{
    struct smtpd_tx *tx = s->tx;
    struct slice runs[SMTPD_RUNS];
    size_t count;
    size_t used = smtp_data_feed(&tx->data, in, runs, SMTPD_RUNS, &count);
    smtpd__content_check(s);
    for (size_t i = 0; i < count && !tx->refused; i++)
        smtpd__content_add(s, runs[i]);
    if (tx->data.end)
        smtpd__content_end(s);
    return used;
}
