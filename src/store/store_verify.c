/*
 * store_verify.c - are the store's rows true to each other? Counters are made again from the rows they
 * count; every reference to a blob is told to the partition, which compares them with the blobs' own
 * counts.
 */
#include "store_priv.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_MAX_BYTES 512

/* What the messages of a mailbox add up to. */
struct sums {
    uint64_t bytes, modseq;
    uint32_t exists, unseen, deleted, uid;
    unsigned keyword_count; /* names the mailbox has */
};

struct verify {
    struct part_snap *snap;
    void (*ref)(void *, uint64_t);
    void *ref_owner;
    void (*problem)(void *, const char *);
    void *owner;
    struct sums sums;
    struct store_account account; /* what its mailboxes add up to */
};

/* The index could be read; the row is named elsewhere. */
static bool is_row_error(enum ms_err err)
{
    return err == MS_ENOTFOUND || err == MS_EDAMAGED || err == MS_EVERSION;
}

MS_PRINTF(2, 3) static void say(struct verify *v, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;

    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    v->problem(v->owner, line);
}

typedef enum ms_err row_fn(struct verify *v, struct slice key, struct slice value);

/* Every row of a database whose key begins with prefix. */
static enum ms_err walk(struct verify *v, unsigned dbi, struct slice prefix, row_fn *fn)
{
    struct slice key, value;
    struct db_cur *cur;
    enum ms_err err;

    MS_TRY(db_cur_open(v->snap->txn, dbi, &cur));
    err = db_cur_seek(cur, prefix, &key, &value);
    while (!err && slice_has_prefix(key, prefix)) {
        err = fn(v, key, value);
        if (!err)
            err = db_cur_next(cur, &key, &value);
    }
    db_cur_close(&cur);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

static enum ms_err sum_message(struct verify *v, struct slice key, struct slice value)
{
    struct sums *sums = &v->sums;
    struct store_message m;

    if (store_message_parse(key, value, &m))
        return MS_OK; /* named by message_row */
    sums->exists++;
    sums->bytes += m.size;
    sums->unseen += !(m.flags & STORE_SEEN);
    sums->deleted += (m.flags & STORE_DELETED) != 0;
    sums->uid = m.uid;
    sums->modseq = MS_MAX(sums->modseq, m.modseq);
    for (unsigned bit = sums->keyword_count; bit < STORE_KEYWORDS_MAX; bit++)
        if ((m.keywords.bits[bit / 64] >> (bit % 64)) & 1)
            say(v, "mailbox %016llx: message %u has keyword %u of %u", (unsigned long long)m.mailbox, m.uid,
                bit, sums->keyword_count);
    return MS_OK;
}

static void compare(struct verify *v, const struct store_mailbox *m, const char *what, uint64_t row,
                    uint64_t counted)
{
    if (row != counted)
        say(v, "mailbox %016llx: %s is %llu in its row, %llu by its messages", (unsigned long long)m->id,
            what, (unsigned long long)row, (unsigned long long)counted);
}

static enum ms_err mailbox_name(struct verify *v, const struct store_mailbox *m)
{
    uint64_t by_name = 0;
    enum ms_err err = store_mailbox_find(v->snap, m->account, m->name, &by_name);

    if (err && !is_row_error(err))
        return err;
    if (by_name != m->id)
        say(v, "mailbox %016llx: its name leads to %016llx", (unsigned long long)m->id,
            (unsigned long long)by_name);
    return MS_OK;
}

static enum ms_err mailbox_row(struct verify *v, struct slice key, struct slice value)
{
    struct store_mailbox m;
    const struct sums *sums = &v->sums;

    if (key.len != 8 || store__mailbox_parse(ms_get_be64(key.ptr), value, &m)) {
        say(v, "mailbox: a row cannot be read");
        return MS_OK;
    }
    if (m.gone)
        return MS_OK; /* counters are as they were when it was deleted */
    v->sums = (struct sums){.keyword_count = m.keyword_count};
    MS_TRY(walk(v, PART_DB_MESSAGE, key, sum_message));
    compare(v, &m, "exists", m.exists, sums->exists);
    compare(v, &m, "unseen", m.unseen, sums->unseen);
    compare(v, &m, "deleted", m.deleted, sums->deleted);
    compare(v, &m, "bytes", m.bytes, sums->bytes);
    if (sums->uid >= m.uidnext)
        say(v, "mailbox %016llx: UID %u is not below UIDNEXT %u", (unsigned long long)m.id, sums->uid,
            m.uidnext);
    if (sums->modseq > m.highestmodseq)
        say(v, "mailbox %016llx: a message has modseq %llu above %llu", (unsigned long long)m.id,
            (unsigned long long)sums->modseq, (unsigned long long)m.highestmodseq);
    return mailbox_name(v, &m);
}

static enum ms_err is_there(struct verify *v, uint64_t mailbox, const char *what)
{
    uint8_t key[8];
    struct slice row;
    enum ms_err err = db_get(v->snap->txn, PART_DB_MAILBOX, store__key_u64(key, mailbox), &row);

    if (err == MS_ENOTFOUND)
        say(v, "%s row of mailbox %016llx, which does not exist", what, (unsigned long long)mailbox);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

static enum ms_err message_like(struct verify *v, const char *what, struct slice key, struct slice value)
{
    struct store_message m;

    if (store_message_parse(key, value, &m)) {
        say(v, "%s: a row cannot be read", what);
        return MS_OK;
    }
    v->ref(v->ref_owner, m.blob);
    return is_there(v, m.mailbox, what);
}

static enum ms_err message_row(struct verify *v, struct slice key, struct slice value)
{
    return message_like(v, "message", key, value);
}

static enum ms_err expunged_row(struct verify *v, struct slice key, struct slice value)
{
    return message_like(v, "expunged", key, value);
}

static enum ms_err change_row(struct verify *v, struct slice key, struct slice value)
{
    struct store__change_row change;

    if (key.len != 16 || store__change_parse(value, &change)) {
        say(v, "change: a row cannot be read");
        return MS_OK;
    }
    return is_there(v, ms_get_be64(key.ptr), "change");
}

static enum ms_err delivered_row(struct verify *v, struct slice key, struct slice value)
{
    struct store__delivered d;

    if (key.len != STORE__DELIVERED_KEY || store__delivered_parse(value, &d))
        say(v, "delivered: a row cannot be read");
    return MS_OK;
}

static enum ms_err list_row(struct verify *v, struct slice key, struct slice value)
{
    struct store__list_row list;
    struct store_mailbox m;
    enum ms_err err;

    if (key.len < 9 || store__list_parse(value, &list)) {
        say(v, "mboxlist: a row cannot be read");
        return MS_OK;
    }
    if (list.mailbox == 0)
        return MS_OK;
    err = store_mailbox_get(v->snap, list.mailbox, &m);
    if (err && !is_row_error(err))
        return err;
    if (err || m.gone || m.account != ms_get_be64(key.ptr) || m.uidvalidity != list.uidvalidity ||
        !slice_eq(m.name, slice_sub(key, 8, SIZE_MAX)))
        say(v, "mboxlist: account %016llx \"" SLICE_FMT "\" does not fit mailbox %016llx",
            (unsigned long long)ms_get_be64(key.ptr), SLICE_ARG(slice_sub(key, 8, SIZE_MAX)),
            (unsigned long long)list.mailbox);
    return MS_OK;
}

/* One name of the account whose sums are made. */
static enum ms_err sum_name(struct verify *v, struct slice key, struct slice value)
{
    struct store__list_row list;
    struct store_mailbox m;

    v->account.names++;
    if (store__list_parse(value, &list) || list.mailbox == 0)
        return MS_OK;
    if (store_mailbox_get(v->snap, list.mailbox, &m) == MS_OK) {
        v->account.bytes += m.bytes;
        v->account.messages += m.exists;
    }
    return MS_OK;
}

static enum ms_err account_row(struct verify *v, struct slice key, struct slice value)
{
    const struct store_account *sum = &v->account;
    struct store_account a;

    if (key.len != 8 || store__account_parse(ms_get_be64(key.ptr), value, &a)) {
        say(v, "account: a row cannot be read");
        return MS_OK;
    }
    v->account = (struct store_account){0};
    MS_TRY(walk(v, PART_DB_MBOXLIST, key, sum_name));
    if (a.names != sum->names || a.bytes != sum->bytes || a.messages != sum->messages)
        say(v,
            "account %016llx: names, bytes, messages are %u, %llu, %llu in its row, %u, %llu, %llu by its "
            "mailboxes",
            (unsigned long long)a.id, a.names, (unsigned long long)a.bytes, (unsigned long long)a.messages,
            sum->names, (unsigned long long)sum->bytes, (unsigned long long)sum->messages);
    return MS_OK;
}

enum ms_err store__verify(struct part_snap *snap, void (*ref)(void *, uint64_t), void *ref_owner,
                          void (*problem)(void *, const char *), void *owner)
{
    struct verify v = {.snap = snap, .ref = ref, .ref_owner = ref_owner, .problem = problem, .owner = owner};
    struct slice all = {0};

    MS_TRY(walk(&v, PART_DB_MESSAGE, all, message_row));
    MS_TRY(walk(&v, PART_DB_EXPUNGED, all, expunged_row));
    MS_TRY(walk(&v, PART_DB_MAILBOX, all, mailbox_row));
    MS_TRY(walk(&v, PART_DB_MBOXLIST, all, list_row));
    MS_TRY(walk(&v, PART_DB_ACCOUNT, all, account_row));
    MS_TRY(walk(&v, PART_DB_CHANGE, all, change_row));
    return walk(&v, PART_DB_DELIVERED, all, delivered_row);
}
