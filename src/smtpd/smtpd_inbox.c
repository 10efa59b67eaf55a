/*
 * smtpd_inbox.c - from an account to its INBOX, or to the mailbox its detail names (LMTP).
 *
 *   cache ──miss──▶ snapshot ──no INBOX──▶ post account_create ──visible──▶ its mailbox id
 *                                            └─ no room: wait, post again
 *
 * store.detail_mailbox: user+detail goes to the mailbox "detail" of that user if there is one; only INBOXes
 * are in the cache.
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

static struct part_client *client_of(const struct smtpd_tx *tx)
{
    return tx->sinks[tx->asked.sink].client;
}

static void found(struct smtpd_session *s, uint64_t mailbox, struct slice folder)
{
    s->tx->asked.mailbox = mailbox;
    s->tx->asked.folder = folder;
    smtpd__rcpts_add_direct(s);
    smtpd__rcpt_done(s, smtp_reply_for_err(MS_OK, SMTP_AT_RCPT));
}

static void found_inbox(struct smtpd_session *s, uint64_t mailbox)
{
    uint64_t account = s->tx->asked.way.target.account;
    *slot_of(s->worker, account) =
        (struct smtpd_inbox){.client = client_of(s->tx), .account = account, .mailbox = mailbox};
    found(s, mailbox, SLICE_LIT("INBOX"));
}

static bool wants_folder(const struct smtpd_session *s)
{
    return s->detail_mailbox && s->tx->asked.way.target.detail.len > 0;
}

static void created(struct smtpd_session *s, uint64_t inbox);

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
        created(s, result.mailbox);
    else
        smtpd__rcpt_failed(s, err ? err : MS_EIO); /* unknown: harmless, the op may be repeated */
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
    const struct route_target *target = &s->tx->asked.way.target;
    struct part_client *client = client_of(s->tx);
    struct part_rec rec;
    part_rec_init(&rec);
    store_op_account_create(&rec, target->account, target->login);
    enum ms_err err = part_post(client, &rec, on_created, s, &s->wait_request);
    part_rec_fini(&rec);
    if (err && err != MS_EFULL) {
        smtpd__rcpt_failed(s, err);
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

/* The mailbox named as the detail, or the INBOX; *folder_out lives in asked_arena. */
static enum ms_err read_mailbox(struct smtpd_session *s, uint64_t *mailbox_out, struct slice *folder_out)
{
    struct smtpd_tx *tx = s->tx;
    const struct route_target *target = &tx->asked.way.target;
    struct str *name = &s->worker->out;
    struct part_snap snap;
    enum ms_err err = MS_ENOTFOUND;
    str_reset(name);
    MS_TRY(part_snap_begin(part_client_partition(client_of(tx)), &snap));
    if (wants_folder(s) && store_name_canonical(target->detail, name) == MS_OK) /* else it names nothing */
        err = store_mailbox_find(&snap, target->account, str_slice(name), mailbox_out);
    if (err == MS_ENOTFOUND) {
        str_reset(name);
        str_add_cstr(name, "INBOX");
        err = store_mailbox_find(&snap, target->account, str_slice(name), mailbox_out);
    }
    part_snap_end(&snap);
    *folder_out = arena_dup(&tx->asked_arena, str_slice(name));
    return err;
}

static void look_up(struct smtpd_session *s, bool may_create)
{
    struct slice folder;
    uint64_t mailbox;
    enum ms_err err = read_mailbox(s, &mailbox, &folder);
    if (err == MS_ENOTFOUND && may_create)
        post_create(s);
    else if (err)
        smtpd__rcpt_failed(s, err);
    else if (slice_eq(folder, SLICE_LIT("INBOX")))
        found_inbox(s, mailbox);
    else
        found(s, mailbox, folder);
}

/* Special-use folders came with the account. */
static void created(struct smtpd_session *s, uint64_t inbox)
{
    if (wants_folder(s))
        look_up(s, false);
    else
        found_inbox(s, inbox);
}

void smtpd__inbox_find(struct smtpd_session *s)
{
    const struct route_target *target = &s->tx->asked.way.target;
    struct part_client *client = smtpd__partition_find(s, target->partition);
    const struct smtpd_inbox *slot = slot_of(s->worker, target->account);
    if (!client) {
        smtpd__rcpt_failed(s, MS_EOFFLINE);
        return;
    }
    int sink = smtpd__tx_sink(s, client);
    if (sink < 0) { /* the client sends the others in another transaction, as for too many recipients */
        smtpd__rcpt_failed(s, MS_ELIMIT);
        return;
    }
    s->tx->asked.sink = (unsigned)sink;
    if (slot->account == target->account && slot->client == client && !wants_folder(s))
        found(s, slot->mailbox, SLICE_LIT("INBOX"));
    else
        look_up(s, true);
}
