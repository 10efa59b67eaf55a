/*
 * smtpd_sink.c - one partition's copy of a message on its way in.
 *
 * A body that has no room takes nothing (MS_EFULL). What one read brought is kept in `held` then, the session
 * stops reading, and on_change gives it another try; so a sink holds at most one read beside what its body
 * holds.
 */
#include "smtpd_priv.h"

static void on_change(void *owner)
{
    struct smtpd_sink *sink = owner;
    smtpd__step(sink->session);
}

void smtpd__sink_open(struct smtpd_sink *sink, size_t bytes_max)
{
    sink->body = part_body_create(sink->client, bytes_max, on_change, sink);
    str_init(&sink->held, SMTPD_HELD_MAX);
    part_rec_init(&sink->rec);
    list_init(&sink->waiter.node);
}

void smtpd__sink_fini(struct smtpd_sink *sink)
{
    if (sink->state == SMTPD_SINK_POSTED)
        part_forget(sink->client, sink->request);
    if (sink->state == SMTPD_SINK_ROOM)
        bus_waiter_cancel(&sink->waiter);
    part_body_destroy(&sink->body);
    part_rec_fini(&sink->rec);
    str_fini(&sink->held);
}

void smtpd__sink_end(struct smtpd_sink *sink, enum ms_err err)
{
    sink->state = SMTPD_SINK_DONE;
    sink->err = err;
    str_fini(&sink->held);
    str_init(&sink->held, SMTPD_HELD_MAX);
    part_body_destroy(&sink->body); /* gives an unfinished stream up */
}

void smtpd__sink_add(struct smtpd_sink *sink, struct slice bytes)
{
    enum ms_err err = MS_EFULL;
    if (sink->state != SMTPD_SINK_OPEN)
        return;
    if (sink->held.len == 0)
        err = part_body_add(sink->body, bytes);
    if (err == MS_EFULL)
        str_add_slice(&sink->held, bytes);
    else if (err)
        smtpd__sink_end(sink, err == MS_EUNKNOWN ? MS_EIO : err); /* no op was posted: it is known */
    MS_ASSERT(!str_is_over(&sink->held));
}

bool smtpd__sinks_are_holding(const struct smtpd_tx *tx)
{
    for (unsigned i = 0; i < tx->sink_count; i++)
        if (tx->sinks[i].held.len > 0)
            return true;
    return false;
}

bool smtpd__sinks_all(const struct smtpd_tx *tx, enum smtpd_sink_state state)
{
    for (unsigned i = 0; i < tx->sink_count; i++)
        if (tx->sinks[i].state != state)
            return false;
    return true;
}
