/*
 * smtpd_tx.c - a transaction: from MAIL to the answer, RSET, or the end of the session.
 */
#include "smtpd_priv.h"

struct smtpd_tx *smtpd__tx_create(struct smtpd_session *s, struct slice sender)
{
    struct smtpd_tx *tx = ms_new(struct smtpd_tx);
    MS_ASSERT(!s->tx);
    arena_init(&tx->arena, SMTPD_TX_BYTES);
    tx->sender = arena_dup(&tx->arena, sender);
    s->tx = tx;
    s->tx_number++;
    return tx;
}

void smtpd__tx_end(struct smtpd_session *s)
{
    struct smtpd_tx *tx = s->tx;
    if (!tx)
        return;
    s->tx = NULL;
    if (tx->is_posted) /* whether it was taken the log of the partition knows, the client does not */
        OBS_EVENT(OBS_SMTPD_UNKNOWN, s->id, OBS_C("trace", tx->id), OBS_S("rip", smtpd__rip(s)));
    for (unsigned i = 0; i < tx->sink_count; i++)
        smtpd__sink_fini(&tx->sinks[i]);
    if (tx->parser) {
        mime_parser_destroy(&tx->parser);
        mime_message_fini(tx->message);
        ms_free(tx->message);
    }
    ms_free(tx->sinks);
    ms_free(tx->routes);
    ms_free(tx->originals);
    ms_free(tx->rcpts);
    arena_fini(&tx->arena);
    ms_free(tx);
}

static size_t grown(size_t cap)
{
    return cap ? cap * 2 : 1;
}

void smtpd__tx_add_route(struct smtpd_tx *tx, const struct route_result *route)
{
    if (tx->rcpt_count == tx->rcpt_cap) {
        tx->rcpt_cap = grown(tx->rcpt_cap);
        tx->routes = ms_realloc_array(tx->routes, tx->rcpt_cap, sizeof *tx->routes);
        tx->originals = ms_realloc_array(tx->originals, tx->rcpt_cap, sizeof *tx->originals);
    }
    tx->routes[tx->rcpt_count] = *route;
    tx->originals[tx->rcpt_count++] = arena_dup(&tx->arena, slice_cstr(tx->asked));
}

/* One mailbox named twice (in another case, with a detail) gets the message once and each name its answer. */
static size_t same_before(const struct smtpd_tx *tx, const struct smtpd_rcpt *rcpt)
{
    for (size_t i = 0; i < tx->rcpt_count; i++)
        if (tx->rcpts[i].sink == rcpt->sink && tx->rcpts[i].mailbox == rcpt->mailbox)
            return i;
    return tx->rcpt_count;
}

void smtpd__tx_add_rcpt(struct smtpd_tx *tx, const struct smtpd_rcpt *rcpt)
{
    if (tx->rcpt_count == tx->rcpt_cap) {
        tx->rcpt_cap = grown(tx->rcpt_cap);
        tx->rcpts = ms_realloc_array(tx->rcpts, tx->rcpt_cap, sizeof *tx->rcpts);
    }
    size_t same = same_before(tx, rcpt);
    struct smtpd_rcpt *added = &tx->rcpts[tx->rcpt_count++];
    *added = *rcpt;
    added->same = same;
    added->address = arena_dup(&tx->arena, slice_cstr(tx->asked));
    added->owner = arena_dup(&tx->arena, slice_cstr(tx->asked_login));
}

int smtpd__tx_sink(struct smtpd_session *s, struct part_client *client)
{
    struct smtpd_tx *tx = s->tx;
    MS_ASSERT(s->state < SMTPD_ST_DATA);
    for (unsigned i = 0; i < tx->sink_count; i++)
        if (tx->sinks[i].client == client)
            return (int)i;
    if (tx->sink_count == SMTPD_SINKS_MAX)
        return -1;
    tx->sinks = ms_realloc_array(tx->sinks, tx->sink_count + 1, sizeof *tx->sinks);
    tx->sinks[tx->sink_count] = (struct smtpd_sink){.session = s, .client = client};
    return (int)tx->sink_count++;
}
