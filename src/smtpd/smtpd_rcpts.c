/*
 * smtpd_rcpts.c - the accepted recipients of a transaction and the places they lead to.
 *
 * In the queue a mailbox is one recipient row a message, however many recipients lead to it: rows are found
 * by account (and detail, where details are mailboxes). Reports are not lost by that: a row asks for what any
 * of its recipients asked for. A mailbox that is delivered to at once and is in the queue, too, is left to
 * the queue, so that it has the message once; this is known when the last RCPT was answered (settle).
 *
 * Growth of the two arrays doubles; texts of a recipient are one block of the arena.
 */
#include "smtpd_priv.h"

#include "ms/base/sum.h"

#define ROW_BYTES    16 /* of a recipient in an enqueue op, beside its texts */
#define TARGET_BYTES 80 /* of a target in a deliver op, the same */

static size_t text_bytes(const struct route_rcpt *way)
{
    const struct route_target *t = &way->target;
    return way->original.len + way->orcpt.len + t->address.len + t->login.len + t->detail.len +
           t->partition.len + t->channel.len + t->host.len + t->hold.len;
}

/* Of the ops: a row in the queue and its part of an entry each, or one target of a deliver op (with a Return-Path). */
static size_t answer_bytes(const struct smtpd_session *s, const struct route_answer *answer)
{
    const struct route *route = s->worker->mine->route;
    const struct route_rcpt *way = &s->tx->asked.way;
    size_t bytes = 0, envelope = s->tx->sender.len + s->tx->envid.len;
    for (size_t i = 0; i < answer->count; i++)
        bytes += ROW_BYTES + way->original.len + way->orcpt.len + answer->targets[i].address.len +
                 route_target_bytes(route, &answer->targets[i], envelope);
    if (answer->count == 1 && smtpd__is_lmtp(s))
        bytes +=
            TARGET_BYTES + answer->targets[0].login.len + answer->targets[0].detail.len + s->tx->sender.len;
    return bytes;
}

bool smtpd__rcpts_have_room(const struct smtpd_session *s, const struct route_answer *answer)
{
    const struct smtpd_tx *tx = s->tx;
    return tx->target_count + answer->count <= SMTPD_TARGETS_MAX &&
           tx->target_bytes + answer_bytes(s, answer) <= SMTPD_TARGET_BYTES;
}

static struct slice put(uint8_t **at, struct slice text)
{
    struct slice copy = slice_make(*at, text.len);
    if (text.len)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

static void way_copy(struct arena *arena, const struct route_rcpt *from, struct route_rcpt *out)
{
    uint8_t *at = arena_alloc(arena, text_bytes(from));
    *out = *from;
    out->original = put(&at, from->original);
    out->orcpt = put(&at, from->orcpt);
    out->target.address = put(&at, from->target.address);
    out->target.login = put(&at, from->target.login);
    out->target.detail = put(&at, from->target.detail);
    out->target.partition = put(&at, from->target.partition);
    out->target.channel = put(&at, from->target.channel);
    out->target.host = put(&at, from->target.host);
    out->target.hold = put(&at, from->target.hold);
}

/* -- what goes through the queue */

static struct slice detail_of(const struct smtpd_session *s, const struct route_target *target)
{
    return s->detail_mailbox ? target->detail : slice_make(NULL, 0);
}

/* A number for a mailbox. Two that have the same by chance: the message only comes twice. */
static uint64_t key_of(const struct smtpd_session *s, const struct route_target *target)
{
    struct slice detail = detail_of(s, target);
    return detail.len ? target->account ^ sum128_of(detail).lo : target->account;
}

/* RFC 3461 4.1: without NOTIFY failures are reported. NEVER stands only alone. */
static uint8_t notify_merge(uint8_t a, uint8_t b)
{
    const uint8_t dflt = SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY;
    if (a == b)
        return a;
    uint8_t both = (uint8_t)((a ? a : dflt) | (b ? b : dflt));
    return (uint8_t)(both & ~SMTP_NOTIFY_NEVER);
}

static struct route_rcpt *queued_at(const struct smtpd_tx *tx, uint64_t key, uint64_t account)
{
    uintptr_t at = (uintptr_t)map_find_u64(&tx->queued_by, key);
    return at && account && tx->queued[at - 1].target.account == account ? &tx->queued[at - 1] : NULL;
}

static struct route_rcpt *queued_find(const struct smtpd_session *s, const struct route_target *target)
{
    struct route_rcpt *found = queued_at(s->tx, key_of(s, target), target->account);
    return found && slice_eq(detail_of(s, &found->target), detail_of(s, target)) ? found : NULL;
}

/* Any of its mailboxes. */
static bool account_is_queued(const struct smtpd_tx *tx, uint64_t account)
{
    return queued_at(tx, ~account, account) != NULL;
}

static void queued_add(struct smtpd_session *s, const struct route_rcpt *way)
{
    struct smtpd_tx *tx = s->tx;
    struct route_rcpt *same = queued_find(s, &way->target);
    if (same) {
        same->notify = notify_merge(same->notify, way->notify);
        if (way->target.hold.len == 0) /* one way to it is not held */
            same->target.hold = slice_make(NULL, 0);
        return;
    }
    if (tx->queued_count == tx->queued_cap) {
        tx->queued_cap = tx->queued_cap ? tx->queued_cap * 2 : 1;
        tx->queued = ms_realloc_array(tx->queued, tx->queued_cap, sizeof *tx->queued);
    }
    way_copy(&tx->arena, way, &tx->queued[tx->queued_count++]);
    void *at = (void *)(uintptr_t)tx->queued_count;
    map_put_u64(&tx->queued_by, key_of(s, &way->target), at);
    if (smtpd__is_lmtp(s))
        map_put_u64(&tx->queued_by, ~way->target.account, at);
}

/* -- recipients */

static struct smtpd_rcpt *rcpt_add(struct smtpd_tx *tx)
{
    MS_ASSERT(tx->rcpt_count < QUEUE_RECIPIENTS_MAX && tx->rcpt_count < STORE_TARGETS_MAX);
    if (tx->rcpt_count == tx->rcpt_cap) {
        tx->rcpt_cap = tx->rcpt_cap ? tx->rcpt_cap * 2 : 1;
        tx->rcpts = ms_realloc_array(tx->rcpts, tx->rcpt_cap, sizeof *tx->rcpts);
    }
    struct smtpd_rcpt *added = &tx->rcpts[tx->rcpt_count++];
    *added = tx->asked;
    way_copy(&tx->arena, &tx->asked.way, &added->way);
    return added;
}

void smtpd__rcpts_add_queued(struct smtpd_session *s, const struct route_answer *answer, unsigned sink)
{
    struct smtpd_tx *tx = s->tx;
    struct route_rcpt way = tx->asked.way;
    tx->target_count += answer->count;
    tx->target_bytes += answer_bytes(s, answer);
    for (size_t i = 0; i < answer->count; i++) {
        way.target = answer->targets[i];
        queued_add(s, &way);
    }
    tx->asked.way = (struct route_rcpt){.original = way.original};
    if (answer->count == 1)
        tx->asked.way.target.message_max = answer->targets[0].message_max;
    tx->asked.is_queued = true;
    tx->asked.sink = sink;
    rcpt_add(tx);
}

/* One mailbox named twice (in another case, with a detail) gets the message once and each name its answer. */
static size_t same_before(const struct smtpd_tx *tx, const struct smtpd_rcpt *rcpt)
{
    for (size_t i = 0; i < tx->rcpt_count; i++)
        if (!tx->rcpts[i].is_queued && tx->rcpts[i].sink == rcpt->sink &&
            tx->rcpts[i].mailbox == rcpt->mailbox)
            return i;
    return tx->rcpt_count;
}

void smtpd__rcpts_add_direct(struct smtpd_session *s)
{
    struct smtpd_tx *tx = s->tx;
    const struct route_answer answer = {.targets = &tx->asked.way.target, .count = 1};
    tx->target_count++;
    tx->target_bytes += answer_bytes(s, &answer);
    tx->asked.same = same_before(tx, &tx->asked);
    struct smtpd_rcpt *added = rcpt_add(tx);
    added->folder = arena_dup(&tx->arena, added->folder);
}

void smtpd__rcpts_settle(struct smtpd_session *s)
{
    struct smtpd_tx *tx = s->tx;
    if (tx->queued_count == 0 || !smtpd__is_lmtp(s))
        return;
    int sink = smtpd__tx_sink(s, s->worker->mine->queue_client);
    MS_ASSERT(sink >= 0); /* there since the first one that goes through the queue */
    for (size_t i = 0; i < tx->rcpt_count; i++) {
        struct smtpd_rcpt *rcpt = &tx->rcpts[i];
        if (rcpt->is_queued || !account_is_queued(tx, rcpt->way.target.account))
            continue;
        queued_add(s, &rcpt->way); /* all recipients of this account: `same` stays among those left */
        rcpt->is_queued = true;
        rcpt->sink = (unsigned)sink;
    }
}

bool smtpd__rcpts_use(const struct smtpd_tx *tx, unsigned sink)
{
    for (size_t i = 0; i < tx->rcpt_count; i++)
        if (tx->rcpts[i].sink == sink)
            return true;
    return false;
}
