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
             (unsigned long long)s->id, ++s->tx_number);
}

struct smtpd_tx *smtpd__tx_create(struct smtpd_session *s, struct slice sender)
{
    struct smtpd_tx *tx = ms_new(struct smtpd_tx);
    MS_ASSERT(!s->tx);
    arena_init(&tx->arena, SMTPD_TX_BYTES);
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
    ms_free(tx->dsns);
    arena_fini(&tx->arena);
    ms_free(tx);
}

static size_t grown(size_t cap)
{
    return cap ? cap * 2 : 1;
}

void smtpd__rcpt_keep_dsn(struct smtpd_tx *tx, const struct smtp_cmd *cmd)
{
    struct slice type = cmd->rcpt.orcpt_type, address = cmd->rcpt.orcpt;
    tx->asked_dsn = (struct smtpd_dsn){.notify = (uint8_t)cmd->rcpt.notify};
    if (type.len == 0)
        return;
    MS_ASSERT(type.len + 1 + address.len <= sizeof tx->asked_orcpt); /* the parser's bound */
    memcpy(tx->asked_orcpt, type.ptr, type.len);
    tx->asked_orcpt[type.len] = ';';
    memcpy(tx->asked_orcpt + type.len + 1, address.ptr, address.len);
    tx->asked_dsn.orcpt = slice_make(tx->asked_orcpt, type.len + 1 + address.len);
}

void smtpd__tx_add_route(struct smtpd_tx *tx, const struct route_result *route)
{
    if (tx->rcpt_count == tx->rcpt_cap) {
        tx->rcpt_cap = grown(tx->rcpt_cap);
        tx->routes = ms_realloc_array(tx->routes, tx->rcpt_cap, sizeof *tx->routes);
        tx->originals = ms_realloc_array(tx->originals, tx->rcpt_cap, sizeof *tx->originals);
        tx->dsns = ms_realloc_array(tx->dsns, tx->rcpt_cap, sizeof *tx->dsns);
    }
    tx->routes[tx->rcpt_count] = *route;
    tx->dsns[tx->rcpt_count] = tx->asked_dsn;
    if (tx->asked_dsn.orcpt.len > 0)
        tx->dsns[tx->rcpt_count].orcpt = arena_dup(&tx->arena, tx->asked_dsn.orcpt);
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
