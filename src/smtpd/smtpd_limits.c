/*
 * smtpd_limits.c - what may come in: limits of the service, of the user who sends, of the mailbox it is for.
 *
 * A mailbox is judged before the data only where the answer is certain: the recipient leads to this mailbox
 * and no other, and the message cannot fit whatever else happens. Everything else is decided by the op.
 */
#include "smtpd_priv.h"

static uint64_t lower(uint64_t limit, uint64_t user_limit)
{
    return user_limit ? MS_MIN(limit, user_limit) : limit;
}

/* account is set in submission sessions only. */
uint64_t smtpd__message_max(const struct smtpd_session *s)
{
    return s->account ? lower(s->conf->message_size_max, s->account->message_max) : s->conf->message_size_max;
}

uint64_t smtpd__recipients_max(const struct smtpd_session *s)
{
    uint64_t limit = (uint64_t)s->conf->recipients_max;
    return s->account ? lower(limit, s->account->recipients_max) : limit;
}

struct part_client *smtpd__partition_find(struct smtpd_session *s, struct slice name)
{
    const struct smtpd_env *env = s->worker->env;
    char text[ACCOUNT_PARTITION_MAX + 1];
    MS_ASSERT(name.len <= ACCOUNT_PARTITION_MAX);
    if (name.len)
        memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    struct part_client *client = env->partition_of(env->ctx, s->worker->loop, text);
    return client && partition_is_serving(part_client_partition(client)) ? client : NULL;
}

static bool usage_read(struct smtpd_session *s, const struct route_target *target, struct store_account *out)
{
    struct part_client *client = smtpd__partition_find(s, target->partition);
    struct part_snap snap;
    if (!client || part_snap_begin(part_client_partition(client), &snap) != MS_OK)
        return false;
    enum ms_err err = store_account_find(&snap, target->account, out); /* not there yet: nothing is used */
    part_snap_end(&snap);
    return err == MS_OK;
}

struct smtp_reply smtpd__room_check(struct smtpd_session *s, const struct route_target *target)
{
    uint64_t size = s->tx->size, bytes_max = target->quota_bytes;
    struct store_account used;
    if (target->account == 0 || target->hold.len > 0)
        return SMTPD_GO_ON;
    if (target->message_max && size > target->message_max)
        return SMTPD_REPLY(552, "5.3.4", "Message too big for this recipient");
    if (bytes_max && size > bytes_max)
        return SMTPD_REPLY(552, "5.2.2", "Message is bigger than the mailbox may be");
    if ((!bytes_max && !target->quota_messages) || !usage_read(s, target, &used))
        return SMTPD_GO_ON;
    if ((bytes_max && (used.bytes >= bytes_max || size > bytes_max - used.bytes)) ||
        (target->quota_messages && used.messages >= target->quota_messages))
        return SMTPD_REPLY(452, "4.2.2", "Mailbox full");
    return SMTPD_GO_ON;
}

enum ms_err smtpd__end_check(const struct smtpd_session *s)
{
    const struct smtpd_tx *tx = s->tx;
    if (smtpd__is_lmtp(s)) /* each recipient has an answer of its own */
        return MS_OK;
    for (size_t i = 0; i < tx->rcpt_count; i++) {
        uint64_t limit = tx->rcpts[i].way.target.message_max;
        if (limit == 0 || tx->data.bytes <= limit)
            return MS_OK;
    }
    return MS_ELIMIT;
}
