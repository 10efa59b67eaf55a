/*
 * test_model.c - random ops against a model that knows nothing of rows.
 *
 * Every seed is printed; MS_SEED=n runs one. After some ops everything readable is compared, and a session
 * that knew each mailbox at an earlier modseq catches up by the change log alone. In between the partition is
 * closed and opened; at the end the index is made again from the log and compared as text.
 */
#include "store_fixture.h"

#define SEEDS    4
#define OPS      400
#define ACCOUNTS 2
#define BOXES    12 /* ever made, per account; deleted ones stay in the model */
#define KEYWORDS 5
#define MESSAGES 3000

struct message {
    uint32_t uid, size;
    uint16_t flags, keywords;
    uint64_t modseq;
};
struct seen { /* what a session knows of a message */
    uint32_t uid;
    uint16_t flags, keywords;
};
struct box {
    bool live;
    uint64_t id;
    unsigned account;
    char name[24];
    uint32_t uidnext;
    uint64_t modseq, floor;
    struct message m[MESSAGES];
    unsigned count;
    struct seen session[MESSAGES];
    unsigned session_count;
    uint64_t session_modseq;
    uint32_t session_uidnext;
};
struct model {
    struct box box[ACCOUNTS * BOXES + 2]; /* two for the account that is made anew */
    unsigned boxes;
    unsigned names; /* for new ones */
};

static struct fixture fx;
static struct model *md;
static uint64_t rng;

static uint32_t rnd(uint32_t below)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)((rng >> 11) % below);
}

static struct slice keyword_name(unsigned i)
{
    static const char *const names[KEYWORDS] = {"$Forwarded", "red", "green", "blue", "NonJunk"};

    return slice_cstr(names[i]);
}

static unsigned keyword_list(uint16_t set, struct slice out[KEYWORDS])
{
    unsigned n = 0;

    for (unsigned i = 0; i < KEYWORDS; i++)
        if (set & (1u << i))
            out[n++] = keyword_name(i);
    return n;
}

static struct box *any_box(void)
{
    struct box *b;

    do {
        b = &md->box[rnd(md->boxes)];
    } while (!b->live);
    return b;
}

static void account_sum(unsigned account, uint64_t *bytes, uint64_t *messages)
{
    *bytes = *messages = 0;
    for (unsigned i = 0; i < md->boxes; i++) {
        const struct box *b = &md->box[i];

        if (!b->live || b->account != account)
            continue;
        *messages += b->count;
        for (unsigned k = 0; k < b->count; k++)
            *bytes += b->m[k].size;
    }
}

/* A limit that is sometimes none, sometimes just enough, sometimes not; tells whether it holds. */
static uint64_t some_limit(unsigned account, uint64_t bytes, bool *refused)
{
    uint64_t used, messages;

    account_sum(account, &used, &messages);
    *refused = false;
    switch (rnd(5)) {
    case 0:
        return MS_MAX(used + bytes, (uint64_t)1);
    case 1:
        *refused = bytes > 0 && used + bytes > 1;
        return *refused ? used + bytes - 1 : 0;
    default:
        return 0;
    }
}

static struct message *put(struct box *b, uint32_t size, uint16_t flags, uint16_t keywords)
{
    struct message *m = &b->m[b->count++];

    assert_true(b->count < MESSAGES);
    *m = (struct message){
        .uid = b->uidnext++, .size = size, .flags = flags, .keywords = keywords, .modseq = b->modseq};
    return m;
}

/* Up to three ascending runs around what there is. */
static size_t some_runs(const struct box *b, struct store_run out[3])
{
    uint32_t at = 1 + rnd(b->uidnext);
    size_t n = 0;

    if (rnd(4) == 0) {
        out[0] = (struct store_run){1, UINT32_MAX};
        return 1;
    }
    for (size_t want = 1 + rnd(3); n < want; n++) {
        out[n].first = at;
        out[n].last = at + rnd(6);
        at = out[n].last + 1 + rnd(5);
    }
    return n;
}

static bool in_runs(const struct store_run *runs, size_t n, uint32_t uid)
{
    for (size_t i = 0; i < n; i++)
        if (uid >= runs[i].first && uid <= runs[i].last)
            return true;
    return false;
}

/* -- ops: each posts, and does the same to the model */
static void op_append(void)
{
    struct box *b = any_box();
    struct slice names[KEYWORDS];
    uint32_t size = 1 + rnd(300);
    uint16_t flags = (uint16_t)rnd(32), keywords = (uint16_t)(rnd(3) ? 0 : rnd(1 << KEYWORDS));
    struct part_body *body = body_of(&fx, size, 'a');
    struct store_append a = {.account = b->account, .mailbox = b->id, .flags = flags, .keywords = names};
    struct store_result res;
    bool refused;

    a.keyword_count = keyword_list(keywords, names);
    a.bytes_max = some_limit(b->account, size, &refused);
    store_op_append(&fx.rec, body, 0, &a);
    part_body_destroy(&body);
    res = apply_one(&fx);
    IS(res.err, refused ? MS_EQUOTA : MS_OK);
    if (refused)
        return;
    b->modseq++;
    assert_int_equal(put(b, size, flags, keywords)->uid, res.uid);
    assert_int_equal(res.modseq, b->modseq);
}

/* Several, with wishes for UIDs that sometimes cannot be. */
static void op_append_all(void)
{
    struct box *b = any_box();
    unsigned n = 1 + rnd(5), bad = rnd(5) ? n : rnd(n);
    struct store_place to = {.account = b->account, .mailbox = b->id};
    struct store_incoming m[5];
    struct part_body *body[5];
    uint32_t uid[5], at = b->uidnext;
    uint64_t bytes = 0;
    struct store_result res;
    bool refused;

    for (unsigned i = 0; i < n; i++) {
        body[i] = body_of(&fx, 1 + rnd(300), (uint8_t)('A' + i));
        m[i] = (struct store_incoming){.body = body[i], .flags = (uint16_t)rnd(32)};
        if (rnd(4) == 0)
            m[i].uid = at + rnd(10);
        if (i == bad && at > 1)
            m[i].uid = 1 + rnd(at - 1);
        uid[i] = MS_MAX(at, m[i].uid);
        at = uid[i] + 1;
        bytes += part_body_bytes(body[i]);
    }
    to.bytes_max = some_limit(b->account, bytes, &refused);
    store_op_append_all(&fx.rec, &to, m, n);
    res = apply_one(&fx);
    if (bad < n && m[bad].uid && m[bad].uid < uid[bad]) {
        IS(res.err, MS_EINVAL);
    } else if (refused) {
        IS(res.err, MS_EQUOTA);
    } else {
        OK(res.err);
        assert_int_equal(res.count, n);
        assert_int_equal(res.modseq, ++b->modseq);
        for (unsigned i = 0; i < n; i++) {
            b->uidnext = uid[i];
            (void)put(b, (uint32_t)part_body_bytes(body[i]), m[i].flags, 0);
        }
    }
    for (unsigned i = 0; i < n; i++)
        part_body_destroy(&body[i]);
}

static void op_deliver(void)
{
    struct store_target t[4];
    struct box *box[4];
    struct store_delivery d = {.internaldate_us = 1};
    unsigned n = 1 + rnd(4);
    uint32_t size = 1 + rnd(300);
    struct part_body *body = body_of(&fx, size, 'd');
    bool bumped[4];

    for (unsigned i = 0; i < n; i++) {
        box[i] = any_box();
        t[i] = (struct store_target){
            .account = box[i]->account, .mailbox = box[i]->id, .prefix = SLICE_LIT("P: q\r\n")};
        if (rnd(6) == 0)
            t[i].messages_max = 1;
    }
    OK(store_op_deliver(&fx.rec, body, 0, &d, t, n));
    part_body_destroy(&body);
    apply(&fx);
    for (unsigned i = 0; i < n; i++) {
        uint64_t bytes, messages;
        struct store_result res = next(&fx);

        account_sum(box[i]->account, &bytes, &messages);
        bumped[i] = false;
        if (t[i].messages_max && messages >= 1) {
            IS(res.err, MS_EQUOTA);
            continue;
        }
        OK(res.err);
        bumped[i] = true;
        for (unsigned k = 0; k < i; k++)
            if (bumped[k] && box[k] == box[i])
                bumped[i] = false;
        box[i]->modseq += bumped[i];
        bumped[i] = true;
        assert_int_equal(put(box[i], size + 6, 0, 0)->uid, res.uid);
        assert_int_equal(res.modseq, box[i]->modseq);
    }
}

static void op_flags(void)
{
    struct box *b = any_box();
    struct slice names[KEYWORDS];
    struct store_run runs[3];
    size_t n = some_runs(b, runs);
    uint16_t flags = (uint16_t)rnd(32), keywords = (uint16_t)(rnd(3) ? 0 : rnd(1 << KEYWORDS));
    enum store_flags_how how = (enum store_flags_how)rnd(3);
    uint64_t since = rnd(4) ? 0 : 1 + rnd((uint32_t)b->modseq);
    unsigned changed = 0, refused = 0, named = 0;
    struct store_result res;

    store_op_flags(&fx.rec, b->id, how, flags, names, keyword_list(keywords, names), since, runs, n);
    res = apply_one(&fx);
    OK(res.err);
    for (unsigned i = 0; i < b->count; i++) {
        struct message *m = &b->m[i], old = *m;

        if (!in_runs(runs, n, m->uid))
            continue;
        if (since && m->modseq > since) {
            refused++;
            continue;
        }
        m->flags = how == STORE_FLAGS_SET   ? flags
                   : how == STORE_FLAGS_ADD ? m->flags | flags
                                            : m->flags & ~flags;
        m->keywords = how == STORE_FLAGS_SET   ? keywords
                      : how == STORE_FLAGS_ADD ? m->keywords | keywords
                                               : m->keywords & ~keywords;
        if (m->flags == old.flags && m->keywords == old.keywords)
            continue;
        m->modseq = b->modseq + 1;
        changed++;
    }
    b->modseq += changed > 0;
    assert_int_equal(res.count, changed);
    for (size_t i = 0; i < res.runs.len / 8; i++)
        named += store_run_at(res.runs, i).last - store_run_at(res.runs, i).first + 1;
    assert_int_equal(named, refused);
}

static void take_out(struct box *b, unsigned i)
{
    memmove(&b->m[i], &b->m[i + 1], (b->count - i - 1) * sizeof(b->m[0]));
    b->count--;
}

static void op_expunge(void)
{
    struct box *b = any_box();
    struct store_run runs[3];
    size_t n = some_runs(b, runs);
    bool any = rnd(6) == 0;
    unsigned gone = 0;
    struct store_result res;

    store_op_expunge(&fx.rec, b->id, any, runs, n);
    res = apply_one(&fx);
    OK(res.err);
    for (unsigned i = 0; i < b->count;) {
        if (in_runs(runs, n, b->m[i].uid) && (any || (b->m[i].flags & STORE_DELETED))) {
            take_out(b, i);
            gone++;
        } else {
            i++;
        }
    }
    b->modseq += gone > 0;
    assert_int_equal(res.count, gone);
}

/* What a copy of these messages makes of the model. */
static void copy_model(struct box *from, struct box *to, const uint32_t *uids, unsigned n, bool move)
{
    uint64_t to_modseq = to->modseq + 1, from_modseq = from == to ? to_modseq : from->modseq + 1;

    to->modseq = to_modseq;
    for (unsigned k = 0; k < n; k++)
        for (unsigned i = 0; i < from->count; i++) {
            if (from->m[i].uid != uids[k])
                continue;
            put(to, from->m[i].size, from->m[i].flags, from->m[i].keywords);
            if (move)
                take_out(from, i);
            break;
        }
    if (move)
        from->modseq = from_modseq;
}

static unsigned picked_uids(const struct box *b, const struct store_run *runs, size_t n, uint32_t *out,
                            uint64_t *bytes)
{
    unsigned picked = 0;

    *bytes = 0;
    for (unsigned i = 0; i < b->count; i++)
        if (in_runs(runs, n, b->m[i].uid)) {
            *bytes += b->m[i].size;
            out[picked++] = b->m[i].uid;
        }
    return picked;
}

static void op_copy(void)
{
    struct box *from = any_box(), *to = any_box();
    struct store_run runs[3];
    size_t n = some_runs(from, runs);
    bool move = rnd(2), refused;
    uint32_t uids[MESSAGES];
    uint64_t bytes, limit;
    struct store_result res;
    unsigned picked;

    if (from->count > 200 || to->count > 400)
        return;
    picked = picked_uids(from, runs, n, uids, &bytes);
    limit = some_limit(to->account, bytes, &refused);
    refused = refused && !(move && from->account == to->account);
    store_op_copy(&fx.rec, from->id, to->id, to->account, move, limit, 0, runs, n);
    res = apply_one(&fx);
    IS(res.err, refused ? MS_EQUOTA : MS_OK);
    if (refused)
        return;
    assert_int_equal(res.count, picked);
    if (picked == 0)
        return;
    assert_int_equal(res.uid, to->uidnext);
    copy_model(from, to, uids, picked, move);
}

/* The same by a plan, in steps of a few messages, with a restart in the middle now and then. */
static void op_copy_plan(void)
{
    struct box *from = any_box(), *to = any_box();
    struct store_run runs[3];
    struct store_copy c = {
        .from_mailbox = from->id, .to_mailbox = to->id, .to_account = to->account, .runs = runs};
    uint32_t uids[MESSAGES];
    unsigned done = 0, step = 1 + rnd(7);
    struct store_result res;
    uint64_t plan;
    bool refused;

    if (from->count > 200 || to->count > 400)
        return;
    c.run_count = some_runs(from, runs);
    if (runs[0].last == UINT32_MAX)
        runs[0].last = from->uidnext;
    if (from == to && runs[c.run_count - 1].last >= from->uidnext)
        return; /* a session names messages that are there */
    c.move = rnd(2);
    c.whole_messages = picked_uids(from, runs, c.run_count, uids, &c.whole_bytes);
    c.bytes_max = some_limit(to->account, c.whole_bytes, &refused);
    store_op_copy_begin(&fx.rec, 0, &c, true, true);
    res = apply_one(&fx);
    refused = refused && !(c.move && from->account == to->account);
    IS(res.err, refused ? MS_EQUOTA : MS_OK);
    plan = fx.position;
    for (bool more = !refused; more; more = res.more) {
        unsigned want = MS_MIN(step, c.whole_messages - done);

        if (rnd(20) == 0)
            fixture_reopen(&fx, PART_RECOVER_NORMAL);
        store_op_copy_step(&fx.rec, plan, step);
        res = apply_one(&fx);
        OK(res.err);
        assert_int_equal(res.count, want);
        if (want)
            copy_model(from, to, uids + done, want, c.move);
        done += want;
    }
    assert_int_equal(done, refused ? 0 : c.whole_messages);
}

static void op_create(void)
{
    struct box *b = &md->box[md->boxes];
    struct store_result res;

    if (md->boxes >= ACCOUNTS * BOXES)
        return;
    memset(b, 0, sizeof(*b));
    b->account = 1 + rnd(ACCOUNTS);
    snprintf(b->name, sizeof(b->name), "n%u", md->names++);
    store_op_mailbox_create(&fx.rec, b->account, slice_cstr(b->name), 0);
    res = apply_one(&fx);
    OK(res.err);
    b->id = res.mailbox;
    b->uidnext = b->session_uidnext = 1;
    b->modseq = b->session_modseq = 1;
    b->live = true;
    md->boxes++;
}

static void op_delete(void)
{
    struct box *b = any_box();

    store_op_mailbox_delete(&fx.rec, b->account, slice_cstr(b->name));
    if (strcmp(b->name, "INBOX") == 0) {
        IS(apply_one(&fx).err, MS_EINVAL);
        return;
    }
    OK(apply_one(&fx).err);
    b->live = false;
}

static void op_rename(void)
{
    struct box *b = any_box();
    char name[24];

    if (strcmp(b->name, "INBOX") == 0)
        return;
    snprintf(name, sizeof(name), "n%u", md->names++);
    store_op_mailbox_rename(&fx.rec, b->account, slice_cstr(b->name), slice_cstr(name));
    OK(apply_one(&fx).err);
    memcpy(b->name, name, sizeof(name));
}

static void op_purge(void)
{
    struct box *b = any_box();
    uint64_t modseq = rnd((uint32_t)b->modseq + 3);
    struct store_result res;

    store_op_purge(&fx.rec, b->id, modseq);
    res = apply_one(&fx);
    OK(res.err);
    if (res.modseq)
        b->floor = res.modseq;
}

static void op_mailbox_purge(void)
{
    struct box *b = &md->box[rnd(md->boxes)];
    enum ms_err err;

    store_op_mailbox_purge(&fx.rec, b->id);
    err = apply_one(&fx).err;
    assert_true(b->live ? err == MS_EINVAL : !err || err == MS_ENOTFOUND);
}

/* -- comparing */
static uint16_t keywords_of(const struct store_mailbox *mb, const struct store_message *m)
{
    uint16_t set = 0;

    for (unsigned i = 0; i < KEYWORDS; i++) {
        int bit = store_keyword_find(mb, keyword_name(i));

        if (bit >= 0 && ((m->keywords.bits[0] >> bit) & 1))
            set |= (uint16_t)(1u << i);
    }
    return set;
}

static void compare_box(struct part_snap *snap, const struct box *b)
{
    struct store_mailbox mb;
    struct store_cursor *cur;
    struct store_message m;
    uint64_t id, bytes = 0;
    unsigned unseen = 0, deleted = 0;

    OK(store_mailbox_find(snap, b->account, slice_cstr(b->name), &id));
    assert_int_equal(id, b->id);
    OK(store_mailbox_get(snap, id, &mb));
    OK(store_cursor_open(snap, id, &cur));
    for (unsigned i = 0; i < b->count; i++) {
        OK(i ? store_cursor_next(cur, &m) : store_cursor_seek(cur, 1, &m));
        assert_int_equal(m.uid, b->m[i].uid);
        assert_int_equal(m.flags, b->m[i].flags);
        assert_int_equal(m.size, b->m[i].size);
        assert_int_equal(m.modseq, b->m[i].modseq);
        assert_int_equal(keywords_of(&mb, &m), b->m[i].keywords);
        bytes += m.size;
        unseen += !(m.flags & STORE_SEEN);
        deleted += (m.flags & STORE_DELETED) != 0;
    }
    IS(b->count ? store_cursor_next(cur, &m) : store_cursor_seek(cur, 1, &m), MS_ENOTFOUND);
    store_cursor_close(&cur);
    assert_int_equal(mb.exists, b->count);
    assert_int_equal(mb.bytes, bytes);
    assert_int_equal(mb.unseen, unseen);
    assert_int_equal(mb.deleted, deleted);
    assert_int_equal(mb.uidnext, b->uidnext);
    assert_int_equal(mb.highestmodseq, b->modseq);
    assert_int_equal(mb.change_floor, b->floor);
}

static void session_drop(struct box *b, uint32_t uid)
{
    for (unsigned i = 0; i < b->session_count; i++)
        if (b->session[i].uid == uid) {
            memmove(&b->session[i], &b->session[i + 1], (b->session_count - i - 1) * sizeof(b->session[0]));
            b->session_count--;
            return;
        }
}

static void session_flags(struct part_snap *snap, struct box *b, const struct store_mailbox *mb, uint32_t uid)
{
    struct store_message m;
    enum ms_err err = store_message_find(snap, b->id, uid, &m);

    for (unsigned i = 0; !err && i < b->session_count; i++)
        if (b->session[i].uid == uid)
            b->session[i] = (struct seen){uid, m.flags, keywords_of(mb, &m)};
}

static void session_new(struct part_snap *snap, struct box *b, const struct store_mailbox *mb)
{
    struct store_cursor *cur;
    struct store_message m;

    OK(store_cursor_open(snap, b->id, &cur));
    for (enum ms_err err = store_cursor_seek(cur, b->session_uidnext, &m); !err;
         err = store_cursor_next(cur, &m))
        b->session[b->session_count++] = (struct seen){m.uid, m.flags, keywords_of(mb, &m)};
    store_cursor_close(&cur);
}

/* Storage rule 6.1: with the change log and the new UIDs alone a session is where the mailbox is. */
static void session_sync(struct part_snap *snap, struct box *b)
{
    struct store_mailbox mb;
    struct store_change c;
    enum ms_err err;

    OK(store_mailbox_get(snap, b->id, &mb));
    while ((err = store_change_next(snap, b->id, b->session_modseq, &c)) == MS_OK) {
        for (size_t i = 0; i < c.runs.len / 8; i++)
            for (uint32_t uid = store_run_at(c.runs, i).first; uid <= store_run_at(c.runs, i).last; uid++) {
                if (c.what == STORE_CHANGE_VANISHED)
                    session_drop(b, uid);
                else
                    session_flags(snap, b, &mb, uid);
            }
        b->session_modseq = c.modseq;
    }
    if (err == MS_ELIMIT) {
        b->session_count = 0;
        b->session_uidnext = 1;
        assert_true(b->session_modseq < b->floor);
    } else {
        IS(err, MS_ENOTFOUND);
    }
    session_new(snap, b, &mb);
    b->session_modseq = mb.highestmodseq;
    b->session_uidnext = mb.uidnext;
    assert_int_equal(b->session_count, b->count);
    for (unsigned i = 0; i < b->count; i++) {
        assert_int_equal(b->session[i].uid, b->m[i].uid);
        assert_int_equal(b->session[i].flags, b->m[i].flags);
        assert_int_equal(b->session[i].keywords, b->m[i].keywords);
    }
}

static void compare(void)
{
    struct part_snap *snap = look(&fx);

    for (unsigned i = 0; i < md->boxes; i++) {
        if (!md->box[i].live)
            continue;
        compare_box(snap, &md->box[i]);
        if (rnd(3) == 0)
            session_sync(snap, &md->box[i]);
    }
    for (unsigned a = 1; a <= ACCOUNTS; a++) {
        struct store_account acct;
        uint64_t bytes, messages;

        account_sum(a, &bytes, &messages);
        OK(store_account_find(snap, a, &acct));
        assert_int_equal(acct.bytes, bytes);
        assert_int_equal(acct.messages, messages);
    }
    done(&fx);
}

static void one_op(void)
{
    static void (*const ops[])(void) = {
        op_append,    op_append,  op_append_all, op_append_all, op_deliver, op_deliver,
        op_deliver,   op_flags,   op_flags,      op_flags,      op_flags,   op_flags,
        op_expunge,   op_expunge, op_copy,       op_copy,       op_copy,    op_copy_plan,
        op_copy_plan, op_create,  op_delete,     op_rename,     op_purge,   op_mailbox_purge,
    };

    ops[rnd(MS_ARRAY_LEN(ops))]();
}

static void account_start(unsigned a)
{
    static const char *const folders[] = {"INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"};

    make_account(&fx, a);
    for (unsigned i = 0; i < MS_ARRAY_LEN(folders); i++) {
        struct box *b = &md->box[md->boxes];

        if (i > 1) { /* two are enough to begin with */
            store_op_mailbox_delete(&fx.rec, a, slice_cstr(folders[i]));
            OK(apply_one(&fx).err);
            continue;
        }
        memset(b, 0, sizeof(*b));
        b->live = true;
        b->account = a;
        b->uidnext = b->modseq = b->session_modseq = b->session_uidnext = 1;
        snprintf(b->name, sizeof(b->name), "%s", folders[i]);
        OK(store_mailbox_find(look(&fx), a, slice_cstr(folders[i]), &b->id));
        done(&fx);
        md->boxes++;
    }
}

static void model_start(void)
{
    memset(md, 0, sizeof(*md));
    for (unsigned a = 1; a <= ACCOUNTS; a++)
        account_start(a);
}

/* Everything of the last account goes, and it begins again. */
static void account_again(void)
{
    uint32_t names = account_now(&fx, ACCOUNTS).names;
    struct store_result res;

    for (unsigned i = 0; i < md->boxes; i++)
        if (md->box[i].account == ACCOUNTS)
            md->box[i].live = false;
    store_op_account_delete(&fx.rec, ACCOUNTS);
    res = apply_one(&fx);
    OK(res.err);
    assert_int_equal(res.count, names);
    assert_int_equal(res.uid, 0);
    account_start(ACCOUNTS);
}

static void on_problem(void *owner, const char *line)
{
    print_message("# problem: %s\n", line);
}

static void rebuild_is_equal(void)
{
    struct str before, after;

    str_init(&before, 0);
    str_init(&after, 0);
    dump_all(&fx, &before);
    fixture_reopen(&fx, PART_REBUILD);
    assert_false(fx.salvaged);
    dump_all(&fx, &after);
    assert_true(before.len > 1000);
    assert_string_equal(str_cstr(&before), str_cstr(&after));
    OK(partition_verify(fx.p, on_problem, NULL, NULL)); /* hashes and reference counts of the blobs too */
    str_fini(&before);
    str_fini(&after);
}

static void run_seed(uint64_t s)
{
    rng = s * 0x9e3779b97f4a7c15u | 1;
    print_message("# MS_SEED=%llu\n", (unsigned long long)s);
    fixture_start(&fx);
    model_start();
    for (unsigned i = 1; i <= OPS; i++) {
        one_op();
        if (i == OPS / 2)
            account_again();
        if (i % 10 == 0)
            compare();
        if (i % 100 == 0)
            fixture_reopen(&fx, PART_RECOVER_NORMAL);
    }
    compare();
    assert_int_equal(check_all(&fx), 0);
    rebuild_is_equal();
    compare();
    assert_int_equal(check_all(&fx), 0);
    fixture_stop(&fx);
}

static void test_model(void **state)
{
    const char *one = getenv("MS_SEED");

    md = ms_new(struct model);
    if (one)
        run_seed(strtoull(one, NULL, 10));
    for (uint64_t s = 1; !one && s <= SEEDS; s++)
        run_seed(s);
    ms_free(md);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_model)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
