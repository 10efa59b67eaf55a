/*
 * chan_judge.c - what the directory and the store say about a recipient, as a verdict with its reason.
 *
 * The message was accepted when the account was fine; since then it may have changed (semantics 10.4).
 * What may pass is tried again, what cannot pass goes back. An error of the machine never fails a
 * recipient.
 */
#include "chan_priv.h"

#define VERDICT(v, text)                                                                                     \
    (struct chan_judgement)                                                                                  \
    {                                                                                                        \
        .verdict = (v), .reason = SLICE_LIT(text)                                                            \
    }

static struct chan_judgement judge_status(enum account_status status)
{
    switch (status) {
    case ACCOUNT_ACTIVE:
        break;
    case ACCOUNT_INACTIVE:
        return VERDICT(CHAN_DEFERRED, "4.2.1 the mailbox is not active now");
    case ACCOUNT_DEFER:
        return VERDICT(CHAN_DEFERRED, "4.2.1 delivery to this mailbox is deferred");
    case ACCOUNT_OVERQUOTA:
        return VERDICT(CHAN_DEFERRED, "4.2.2 the mailbox is full");
    case ACCOUNT_HOLD:
        return VERDICT(CHAN_HELD, "4.2.1 mail for this mailbox is held");
    case ACCOUNT_DISABLED:
        return VERDICT(CHAN_FAILED, "5.2.1 the mailbox is disabled");
    case ACCOUNT_DELETED:
        return VERDICT(CHAN_FAILED, "5.1.6 the mailbox has been deleted");
    case ACCOUNT_REMOVED:
    case ACCOUNT_UNUSED:
    case ACCOUNT_STATUS_COUNT:
        return VERDICT(CHAN_FAILED, "5.1.1 there is no such user");
    }
    return VERDICT(CHAN_SENT, "2.0.0 delivered");
}

struct chan_judgement chan__judge_account(enum ms_err err, const struct account_entry *account,
                                          uint64_t bytes, const char *partition)
{
    if (err == MS_ENOTFOUND)
        return VERDICT(CHAN_FAILED, "5.1.1 there is no such user");
    if (err == MS_EDENIED)
        return VERDICT(CHAN_FAILED, "5.1.2 the domain is not served here");
    if (err)
        return VERDICT(CHAN_DEFERRED, "4.3.0 the directory cannot answer now");
    struct chan_judgement status = judge_status(account->status);
    if (status.verdict != CHAN_SENT)
        return status;
    if (account->message_max && bytes > account->message_max)
        return VERDICT(CHAN_FAILED, "5.2.3 the message is larger than this mailbox takes");
    if (account->quota_bytes && bytes > account->quota_bytes) /* not even into the empty mailbox */
        return VERDICT(CHAN_FAILED, "5.2.2 the message is larger than the quota of this mailbox");
    if (account->partition[0] && strcmp(account->partition, partition) != 0)
        return VERDICT(CHAN_DEFERRED, "4.3.5 the mailbox is in another partition");
    return status;
}

struct chan_judgement chan__judge_store(enum ms_err err)
{
    switch (err) {
    case MS_OK:
        return VERDICT(CHAN_SENT, "2.0.0 delivered");
    case MS_EQUOTA:
        return VERDICT(CHAN_DEFERRED, "4.2.2 the mailbox is full");
    default: /* the mailbox went away between look-up and delivery, or the store is in trouble */
        return VERDICT(CHAN_DEFERRED, "4.3.0 the store cannot take it now");
    }
}
