/*
 * smtpd_tx.c - a transaction: from MAIL to the answer, RSET, or the end of the session.
 */
#include "smtpd_priv.h"

#include <stdio.h>

/* The one id of a message. Session numbers begin again at each start; the epoch never repeats. */
static void make_id(struct smtpd_session *s)
{
    uint64_t epoch = partition_epoch(part_client_partition(s->worker->mine->queue_client));
    snprintf(s->tx->id, sizeof s->tx->id, "%llx-%llx.%u", (unsigned long long)epoch,
             (unsigned long long)s->member.id, ++s->tx_number);
}

struct smtpd_tx *smtpd__tx_create(struct smtpd_session *s, struct slice sender)
{
    struct smtpd_tx *tx = ms_new(struct smtpd_tx);
    MS_ASSERT(!s->tx);
    arena_init(&tx->arena, SMTPD_TX_BYTES);
    arena_init(&tx->asked_arena, SMTPD_ASKED_BYTES);
    map_init(&tx->queued_by);
    tx->sender = arena_dup(&tx->arena, sender);
    s->tx = tx;
    make_id(s);
    return tx;
}

void smtpd__tx_end(struct smtpd_session *s)
{
    struct smtpd_tx *tx = s->tx;
    if (!tx)
        return;
    s->tx = NULL;
    if (tx->is_posted) /* whether it was taken the log of the partition knows, the client does not */
        OBS_EVENT(OBS_SMTPD_UNKNOWN, s->member.id, OBS_C("trace", tx->id), OBS_S("rip", smtpd__rip(s)));
    for (unsigned i = 0; i < tx->sink_count; i++)
        smtpd__sink_fini(&tx->sinks[i]);
    if (tx->parser) {
        mime_parser_destroy(&tx->parser);
        mime_message_fini(tx->message);
        ms_free(tx->message);
    }
    ms_free(tx->sinks);
    ms_free(tx->rcpts);
    ms_free(tx->queued);
    map_fini(&tx->queued_by);
    arena_fini(&tx->asked_arena);
    arena_fini(&tx->arena);
    ms_free(tx);
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
