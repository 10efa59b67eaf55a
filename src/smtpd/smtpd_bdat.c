/*
 * smtpd_bdat.c - BDAT: the message in chunks of stated size (RFC 3030).
 *
 *   MAIL, RCPT ──BDAT n──▶ CHUNK ──n bytes──▶ BDAT ──BDAT n──▶ CHUNK ... ──BDAT n LAST──▶ CHUNK ──▶ DRAIN
 *   any state  ──BDAT that is refused──▶ SWALLOW ──n bytes──▶ that state
 *
 * Each chunk has one answer, the last one of LMTP one a recipient. A client that sends without waiting has
 * the next chunk on its way already: what is refused is swallowed to its last byte, so that nothing of a
 * message is ever taken for a command. A message that was refused in a chunk stays so until LAST or RSET.
 */
#include "smtpd_priv.h"

/* What is said behind a chunk that cannot be one; code 0: it can. */
static struct smtp_reply refusal(struct smtpd_session *s)
{
    switch (s->state) {
    case SMTPD_ST_GREET:
        return SMTPD_REPLY(503, "5.5.1", smtpd__is_lmtp(s) ? "Send LHLO first" : "Send EHLO first");
    case SMTPD_ST_READY:
        return SMTPD_REPLY(503, "5.5.1", "Need MAIL command first");
    case SMTPD_ST_BDAT:
        return SMTPD_GO_ON;
    default:
        return smtpd__data_check(s, NULL);
    }
}

/* -- behind the last byte of a chunk */

static void swallow_end(struct smtpd_session *s)
{
    smtpd_enter(s, s->chunk_back);
    smtpd__reply(s, s->chunk_reply);
}

static void chunk_end(struct smtpd_session *s)
{
    smtpd__content_check(s); /* hops, of what came last */
    smtpd_enter(s, SMTPD_ST_BDAT);
    if (s->tx->refused)
        smtpd__reply(s, smtpd__end_reply(s, s->tx->refused));
    else
        smtpd__reply(s, SMTPD_REPLY(250, "2.0.0", "Chunk received"));
}

static void message_end(struct smtpd_session *s)
{
    struct smtpd_tx *tx = s->tx;
    if (tx->body_type != SMTP_BODY_BINARYMIME)
        smtp_data_scan_end(&tx->data);
    smtpd__content_end(s);
}

/* -- its bytes */

/* NUL is carried; bare line ends are what the content's type and the option make of them. */
static void take(struct smtpd_session *s, struct slice run)
{
    struct smtpd_tx *tx = s->tx;
    if (tx->refused)
        return;
    if (tx->body_type == SMTP_BODY_BINARYMIME)
        tx->data.bytes += run.len;
    else
        smtp_data_scan(&tx->data, run);
    smtpd__content_check(s);
    if (!tx->refused)
        smtpd__content_add(s, run);
}

size_t smtpd__chunk_input(struct smtpd_session *s, struct slice in)
{
    struct slice run = smtp_bdat_feed(&s->chunk, in);
    if (s->state == SMTPD_ST_CHUNK && run.len > 0)
        take(s, run);
    if (s->chunk.left > 0)
        return run.len;
    if (s->state == SMTPD_ST_SWALLOW)
        swallow_end(s);
    else if (s->chunk.last)
        message_end(s);
    else
        chunk_end(s);
    return run.len;
}

void smtpd__bdat_run(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    struct smtp_reply reply = refusal(s);
    uint64_t size = cmd->bdat.size;
    smtp_bdat_init(&s->chunk, size, cmd->bdat.last);
    if (reply.code) {
        s->chunk_back = s->state;
        s->chunk_reply = reply;
        smtpd_enter(s, SMTPD_ST_SWALLOW);
    } else {
        struct smtpd_tx *tx = s->tx;
        if (s->state != SMTPD_ST_BDAT)
            smtpd__content_begin(s);
        smtpd_enter(s, SMTPD_ST_CHUNK);
        /* No byte of what will be too big in the end is kept. */
        if (!tx->refused && size > smtpd__message_max(s) - tx->data.bytes)
            smtpd__content_refuse(tx, MS_ELIMIT);
    }
    if (size == 0)
        (void)smtpd__chunk_input(s, slice_make(NULL, 0));
}
