/*
 * smtpd_inbox.c - from an account to its INBOX (LMTP).
 *
 *   cache ──miss──▶ snapshot ──no INBOX──▶ post account_create ──visible──▶ its mailbox id
 *                                            └─ no room: wait, post again
 *
 * The cache is never wrong in a way that matters: a mailbox id is never used twice, so a stale one makes the
 * deliver op say "not found", which takes it out of the cache and asks the client to come back.
 */
#include "smtpd_priv.h"

static struct smtpd_inbox *slot_of(struct smtpd_worker *w, uint64_t account)
{
    return &w->inboxes[(account * 0x9E3779B97F4A7C15u) >> 32 & (SMTPD_INBOXES - 1)];
}

void smtpd__inbox_forget(struct smtpd_worker *w, uint64_t account)
{
    struct smtpd_inbox *slot = slot_of(w, account);
    if (slot->account == account)
        *slot = (struct smtpd_inbox){0};
}

static void found(struct smtpd_session *s, uint64_t mailbox)
{
    struct smtpd_rcpt *rcpt = &s->tx->pending;
    struct smtpd_sink *sink = &s->tx->sinks[rcpt->sink];
    rcpt->mailbox = mailbox;
    *slot_of(s->worker, rcpt->account) =
        (struct smtpd_inbox){.client = sink->client, .account = rcpt->account, .mailbox = mailbox};
    smtpd__tx_add_rcpt(s->tx, rcpt);
    smtpd__rcpt_done(s, MS_OK);
}

static void on_created(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct smtpd_session *s = owner;
    struct store_result result = {.err = MS_EIO};
    struct rd r = rd_make(reply->result);
    MS_ASSERT(s->wait == SMTPD_WAIT_INBOX && s->wait_request == request);
    s->wait = SMTPD_WAIT_NONE;
    enum ms_err err = reply->err;
    if (!err && store_result_next(&r, &result) == MS_OK)
        err = result.err;
    if (!err && result.mailbox)
        found(s, result.mailbox);
    else
        smtpd__rcpt_done(s, err ? err : MS_EIO); /* unknown: harmless, the op may be repeated */
    smtpd__settle(s);
}

static void post_create(struct smtpd_session *s);

static void on_room(void *owner)
{
    struct smtpd_session *s = owner;
    MS_ASSERT(s->wait == SMTPD_WAIT_ROOM);
    s->wait = SMTPD_WAIT_NONE;
    post_create(s);
    smtpd__settle(s);
}

static void post_create(struct smtpd_session *s)
{
    const struct smtpd_tx *tx = s->tx;
    struct part_client *client = tx->sinks[tx->pending.sink].client;
    struct part_rec rec;
    part_rec_init(&rec);
    store_op_account_create(&rec, tx->pending.account, slice_cstr(tx->asked_login));
    enum ms_err err = part_post(client, &rec, on_created, s, &s->wait_request);
    part_rec_fini(&rec);
    if (err && err != MS_EFULL) {
        smtpd__rcpt_done(s, err);
        return;
    }
    s->wait = err ? SMTPD_WAIT_ROOM : SMTPD_WAIT_INBOX;
    s->wait_client = client;
    if (err) {
        s->waiter.fn = on_room;
        s->waiter.owner = s;
        part_wait_room(client, &s->waiter);
    }
    if (s->state != SMTPD_ST_LOOKUP)
        smtpd_enter(s, SMTPD_ST_LOOKUP);
}

static enum ms_err read_inbox(struct part_client *client, uint64_t account, uint64_t *mailbox_out)
{
    struct part_snap snap;
    MS_TRY(part_snap_begin(part_client_partition(client), &snap));
    enum ms_err err = store_mailbox_find(&snap, account, SLICE_LIT("INBOX"), mailbox_out);
    part_snap_end(&snap);
    return err;
}

void smtpd__inbox_find(struct smtpd_session *s, const struct route_result *route)
{
    struct smtpd_worker *w = s->worker;
    const struct account_entry *entry = &route->account;
    struct part_client *client = w->env->partition_of(w->env->ctx, w->loop, entry->partition);
    const struct smtpd_inbox *slot = slot_of(w, entry->id);
    uint64_t mailbox;
    if (!client || !partition_is_serving(part_client_partition(client))) {
        smtpd__rcpt_done(s, MS_EOFFLINE);
        return;
    }
    int sink = smtpd__tx_sink(s, client);
    if (sink < 0) { /* the client sends the others in another transaction, as for too many recipients */
        smtpd__rcpt_done(s, MS_ELIMIT);
        return;
    }
    memcpy(s->tx->asked_login, entry->login, sizeof s->tx->asked_login);
    s->tx->pending = (struct smtpd_rcpt){.account = entry->id,
                                         .bytes_max = entry->quota_bytes,
                                         .messages_max = entry->quota_messages,
                                         .sink = (unsigned)sink};
    if (slot->account == entry->id && slot->client == client) {
        found(s, slot->mailbox);
        return;
    }
    enum ms_err err = read_inbox(client, entry->id, &mailbox);
    if (err == MS_ENOTFOUND)
        post_create(s);
    else if (err)
        smtpd__rcpt_done(s, err);
    else
        found(s, mailbox);
}
