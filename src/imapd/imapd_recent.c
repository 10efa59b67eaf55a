/*
 * imapd_recent.c - \Recent: which messages some session of this process was told of.
 *
 * RFC 3501 2.3.2: a message is recent to the first session that was notified of it; where that cannot be
 * known it should be taken as recent. One mark per mailbox, kept for the life of the process: UIDs below it
 * have been told. Marks are in a table of slots that are taken once and never given back, so all loops share
 * it with two atomic words a slot. When the table is full, further mailboxes have no mark: their messages are
 * always recent.
 */
#include <stdatomic.h>

#include "imapd_priv.h"

struct recent_slot {
    _Atomic uint64_t key; /* 0: free */
    _Atomic uint32_t mark;
};

struct imapd_recent {
    struct recent_slot slots[IMAPD_RECENT_SLOTS];
};

#define PROBES_MAX 64

struct imapd_recent *imapd__recent_create(void)
{
    return ms_new(struct imapd_recent);
}

void imapd__recent_destroy(struct imapd_recent **r)
{
    ms_free(*r);
    *r = NULL;
}

/* Mailbox ids are unique in a partition only. */
static uint64_t recent_key(const struct partition *p, uint64_t mailbox)
{
    uint64_t words[3] = {mailbox};
    uint64_t key;

    memcpy(&words[1], partition_id(p), 16);
    key = slice_hash(slice_make(words, sizeof(words)), 0);
    return key ? key : 1;
}

/* NULL: not there, and (take) no room for it. */
static struct recent_slot *recent_slot(struct imapd_recent *r, uint64_t key, bool take)
{
    for (unsigned i = 0; i < PROBES_MAX; i++) {
        struct recent_slot *slot = &r->slots[(key + i) % IMAPD_RECENT_SLOTS];
        uint64_t there = atomic_load(&slot->key);

        if (there == 0 && !take)
            return NULL;
        if (there == key || (there == 0 && atomic_compare_exchange_strong(&slot->key, &there, key)) ||
            there == key)
            return slot;
    }
    return NULL;
}

uint32_t imapd__recent_get(struct imapd_recent *r, const struct partition *p, uint64_t mailbox)
{
    struct recent_slot *slot = recent_slot(r, recent_key(p, mailbox), false);

    return slot ? atomic_load(&slot->mark) : 0;
}

uint32_t imapd__recent_claim(struct imapd_recent *r, const struct partition *p, uint64_t mailbox,
                             uint32_t uidnext)
{
    struct recent_slot *slot = recent_slot(r, recent_key(p, mailbox), true);
    uint32_t was = slot ? atomic_load(&slot->mark) : 0;

    while (slot && was < uidnext && !atomic_compare_exchange_weak(&slot->mark, &was, uidnext))
        ;
    return was;
}
