/*
 * account_ask.c - look-ups by address: a small machine that puts one question after the other to the back
 * end.
 *
 *   DOMAIN -> EXACT -> BARE (without detail) -> CATCH_ALL -> done
 *                 any that finds something ------------------^
 *   done of account_find: an alias with one target begins again at DOMAIN with that target.
 *
 * A look-up runs on the caller's stack and is moved to the heap only when an answer comes later. The embedded
 * directory answers all questions of one look-up from one snapshot.
 */
#include "account_priv.h"

#include "ms/base/unicode.h"

enum ask_step { ASK_DOMAIN, ASK_EXACT, ASK_BARE, ASK_CATCH_ALL };
enum ask_mode { ASK_RESOLVE, ASK_FIND, ASK_MAY_SEND, ASK_DOMAIN_ONLY };

struct account_ask {
    struct account_request request;
    struct account_waiter waiter;
    struct account_client *client;
    uint64_t id; /* 0: still on the caller's stack */
    enum ask_mode mode;
    enum ask_step step;
    unsigned hops;
    uint64_t sender;        /* MAY_SEND */
    struct slice canonical; /* domain */
    struct arena *arena;    /* the caller's, the client's scratch, or own */
    struct arena own;
    struct account_answer answer;
    struct account_answer *out;
    bool bare; /* FIND: the address as given was found without its detail */
    account_answer_fn *answered;
    account_done_fn *done;
    void *owner;
    struct account_address parts,
        given; /* given: of MAY_SEND, for the grants. The zeroed part ends before them */
};

struct account_ask *account__waiter_ask(struct account_waiter *waiter)
{
    return MS_CONTAINER_OF(waiter, struct account_ask, waiter);
}

/* The name of this step; empty: the step has none. */
static struct slice step_name(const struct account_ask *ask, char buffer[ACCOUNT_LOGIN_MAX + 1])
{
    size_t local_len = ask->step == ASK_EXACT  ? ask->parts.local_len
                       : ask->step == ASK_BARE ? ask->parts.bare_len
                                               : 0;
    if (ask->step == ASK_BARE && ask->parts.bare_len == ask->parts.local_len)
        return (struct slice){0};
    return account__join(slice_make(ask->parts.local, local_len), ask->canonical, buffer) ? slice_cstr(buffer)
                                                                                          : (struct slice){0};
}

static enum ms_err question(struct account_ask *ask)
{
    char buffer[ACCOUNT_LOGIN_MAX + 1];
    if (ask->step == ASK_DOMAIN)
        return account__question_domain(ask->client, slice_make(ask->parts.domain, ask->parts.domain_len),
                                        &ask->waiter, ask->arena, &ask->canonical);
    struct slice name = step_name(ask, buffer);
    return name.len ? account__question_name(ask->client, name, &ask->waiter, ask->arena, &ask->answer)
                    : MS_ENOTFOUND;
}

/* What the answer of this step means. MS_EMORE: go on with ask->step. */
static enum ms_err step_after(struct account_ask *ask, enum ms_err err)
{
    if (ask->step == ASK_DOMAIN) {
        if (err == MS_ENOTFOUND)
            return ask->mode == ASK_DOMAIN_ONLY ? MS_ENOTFOUND : MS_EDENIED;
        if (err || ask->mode == ASK_DOMAIN_ONLY)
            return err;
        ask->step = ASK_EXACT;
        return MS_EMORE;
    }
    if (err == MS_ENOTFOUND && ask->step != ASK_CATCH_ALL) {
        ask->step++;
        return MS_EMORE;
    }
    if (!err)
        ask->answer.detail = ask->step == ASK_BARE ? ask->parts.detail : (struct slice){0};
    return err;
}

/* account_find: the one account behind what was found. MS_EMORE: one target to follow. */
static enum ms_err follow(struct account_ask *ask)
{
    const struct account_answer *found = &ask->answer;
    if (found->kind == ACCOUNT_USER)
        return found->status == ACCOUNT_REMOVED || found->status == ACCOUNT_UNUSED ? MS_ENOTFOUND : MS_OK;
    if (found->target_count != 1 || ++ask->hops > ACCOUNT_FOLLOW_MAX ||
        account__address_parse(ask->client->account, found->targets[0], &ask->parts) != MS_OK)
        return MS_ENOTFOUND;
    ask->step = ASK_DOMAIN;
    return MS_EMORE;
}

/* Called for what was found by the address itself, before an alias is followed. */
static void note_detail(struct account_ask *ask)
{
    if (ask->hops == 0)
        ask->bare = ask->step == ASK_BARE;
}

/* Goes on from the answer of the current question until another has to wait, or to the end. */
static enum ms_err run(struct account_ask *ask, enum ms_err err)
{
    for (;;) {
        err = step_after(ask, err);
        if (!err && (ask->mode == ASK_FIND || ask->mode == ASK_MAY_SEND)) {
            note_detail(ask);
            err = follow(ask);
        }
        if (err != MS_EMORE)
            return err;
        err = question(ask);
        if (err == MS_EMORE)
            return err;
    }
}

/* "a@d", with or without a detail; "@d": the whole domain. Under the domain as written or as what it is a
 * name of. */
static bool granted(const struct account_ask *ask, const struct account_list *grants)
{
    struct slice domains[2] = {slice_make(ask->given.domain, ask->given.domain_len), ask->canonical};
    struct rd r = rd_make(grants->raw);
    struct slice grant;
    while (account__list_next(&r, &grant)) {
        for (size_t i = 0; i < MS_ARRAY_LEN(domains); i++) {
            char name[ACCOUNT_LOGIN_MAX + 1];
            size_t lens[2] = {ask->given.local_len, ask->given.bare_len};
            if (domains[i].len && grant.ptr[0] == '@' && slice_eq(slice_sub(grant, 1, SIZE_MAX), domains[i]))
                return true;
            for (size_t k = 0; domains[i].len && k < 2; k++)
                if (account__join(slice_make(ask->given.local, lens[k]), domains[i], name) &&
                    slice_eq_cstr(grant, name))
                    return true;
        }
    }
    return false;
}

static enum ms_err check_grants(struct account_ask *ask)
{
    struct account_user user;
    struct db_txn *txn;
    MS_TRY(db_read_begin(ask->client->account->db, &txn));
    enum ms_err err = account__get_user(txn, ask->sender, &user);
    if (!err)
        err = granted(ask, &user.grants) ? MS_OK : MS_EDENIED;
    db_read_end(&txn);
    return err == MS_ENOTFOUND ? MS_EDENIED : err;
}

/* The end of may_send. A list or a stranger's address is not his own: then the grants decide. */
static enum ms_err may_send_result(struct account_ask *ask, enum ms_err err)
{
    if (!err && ask->answer.entry.id == ask->sender)
        return MS_OK;
    if (err && err != MS_ENOTFOUND && err != MS_EDENIED)
        return err;
    return check_grants(ask);
}

static enum ms_err result_of(struct account_ask *ask, enum ms_err err)
{
    if (ask->mode == ASK_MAY_SEND)
        return may_send_result(ask, err);
    return err == MS_EDENIED && ask->hops ? MS_ENOTFOUND : err; /* an alias that leads outside: nobody here */
}

static void ask_free(struct account_ask *ask)
{
    arena_fini(&ask->own);
    ms_free(ask);
}

/* A later answer of the back end; answer.* or canonical live in ask->arena. */
void account__ask_on_answer(struct account_ask *ask, enum ms_err err, const struct account_answer *answer)
{
    if (!err && ask->step == ASK_DOMAIN)
        ask->canonical = arena_dup(ask->arena, answer->name);
    else if (!err)
        account__answer_copy(ask->arena, answer, &ask->answer);
    err = run(ask, err);
    if (err == MS_EMORE)
        return;
    err = result_of(ask, err);
    idtab_remove(&ask->client->requests, ask->id);
    if (ask->mode == ASK_RESOLVE) {
        *ask->out = ask->answer;
        ask->answered(ask->owner, ask->id, err, err ? NULL : ask->out);
    } else {
        bool found = !err && ask->mode == ASK_FIND;
        ask->done(ask->owner, ask->id, err, found ? &ask->answer.entry : NULL);
    }
    ask_free(ask);
}

void account__ask_drop(struct account_ask *ask)
{
    account__cache_leave(ask->client, &ask->waiter);
    ask_free(ask);
}

/* Runs a look-up that was prepared on the stack. */
static enum ms_err ask_begin(struct account_ask *on_stack, uint64_t *request_out)
{
    struct account_client *c = on_stack->client;
    struct account_ask *ask = on_stack;
    bool later = c->backend->answers_later;
    if (later) { /* the waiter needs an address that stays */
        ask = ms_memdup(on_stack, sizeof *ask);
        list_init(&ask->waiter.node);
        arena_init(&ask->own, 0);
        if (!ask->arena)
            ask->arena = &ask->own;
        ask->parts.detail = arena_dup(ask->arena, ask->parts.detail); /* the caller's text may go */
        ask->request.kind = ACCOUNT_REQUEST_ASK;
        ask->id = idtab_add(&c->requests, ask);
        if (!ask->id) {
            ask_free(ask);
            return MS_EBUSY;
        }
    } else {
        if (!ask->arena)
            ask->arena = &c->scratch;
        MS_TRY(db_read_begin(c->account->db, &c->reader.txn));
    }
    enum ms_err err = question(ask);
    if (err != MS_EMORE)
        err = run(ask, err);
    if (!later)
        db_read_end(&c->reader.txn);
    if (err == MS_EMORE) {
        *request_out = ask->id;
        return err;
    }
    err = result_of(ask, err);
    *on_stack = *ask;
    if (later) {
        idtab_remove(&c->requests, ask->id);
        on_stack->id = 0;
        ask_free(ask);
    }
    return err;
}

static void ask_prepare(struct account_ask *ask, struct account_client *c, enum ask_mode mode, void *owner)
{
    memset(ask, 0, offsetof(struct account_ask, parts));
    ask->client = c;
    ask->mode = mode;
    ask->owner = owner;
}

enum ms_err account_resolve(struct account_client *c, struct slice address, struct arena *arena,
                            struct account_answer *out, account_answer_fn *done, void *owner,
                            uint64_t *request_out)
{
    struct account_ask ask;
    ask_prepare(&ask, c, ASK_RESOLVE, owner);
    ask.arena = arena;
    ask.out = out;
    ask.answered = done;
    /* What cannot be an address is none of ours. */
    if (account__address_parse(c->account, address, &ask.parts))
        return slice_rfind_byte(address, '@') < 0 ? MS_ENOTFOUND : MS_EDENIED;
    MS_TRY(ask_begin(&ask, request_out));
    *out = ask.answer;
    out->detail = arena_dup(arena, out->detail);
    return MS_OK;
}

enum ms_err account_find(struct account_client *c, struct slice address, struct account_entry *out,
                         struct slice *detail_out, account_done_fn *done, void *owner, uint64_t *request_out)
{
    struct account_ask ask;
    ask_prepare(&ask, c, ASK_FIND, owner);
    ask.done = done;
    if (account__address_parse(c->account, address, &ask.parts))
        return slice_rfind_byte(address, '@') < 0 ? MS_ENOTFOUND : MS_EDENIED;
    struct slice detail = ask.parts.detail;
    enum ms_err err = ask_begin(&ask, request_out);
    arena_reset(&c->scratch);
    if (!err) {
        *out = ask.answer.entry;
        if (detail_out)
            *detail_out = ask.bare ? detail : (struct slice){0};
    }
    return err;
}

enum ms_err account_may_send(struct account_client *c, uint64_t id, struct slice address,
                             account_done_fn *done, void *owner, uint64_t *request_out)
{
    struct account_ask ask;
    ask_prepare(&ask, c, ASK_MAY_SEND, owner);
    ask.done = done;
    ask.sender = id;
    if (account__address_parse(c->account, address, &ask.parts))
        return MS_EDENIED;
    ask.given = ask.parts;
    enum ms_err err = ask_begin(&ask, request_out);
    arena_reset(&c->scratch);
    return err;
}

enum ms_err account_domain_ask(struct account_client *c, struct slice domain, account_done_fn *done,
                               void *owner, uint64_t *request_out)
{
    struct account_ask ask;
    ask_prepare(&ask, c, ASK_DOMAIN_ONLY, owner);
    ask.done = done;
    if (unicode_domain_to_ascii(domain, ask.parts.domain))
        return MS_ENOTFOUND;
    ask.parts.domain_len = strlen(ask.parts.domain);
    ask.parts.detail = (struct slice){0};
    enum ms_err err = ask_begin(&ask, request_out);
    arena_reset(&c->scratch);
    return err;
}

static void ignore_domain(void *owner, uint64_t request, enum ms_err err, const struct account_entry *entry)
{
}

enum ms_err account_domain_find(struct account_client *c, struct slice domain)
{
    uint64_t request;
    enum ms_err err = account_domain_ask(c, domain, ignore_domain, NULL, &request);
    return err == MS_EMORE ? MS_EBUSY : err; /* the answer will be in the cache when it is asked again */
}

enum ms_err account_find_id(struct account_client *c, uint64_t id, struct account_entry *out,
                            account_done_fn *done, void *owner, uint64_t *request_out)
{
    struct account_user user;
    struct db_txn *txn;
    MS_TRY(db_read_begin(c->account->db, &txn));
    enum ms_err err = account__get_user(txn, id, &user);
    if (!err)
        err = account__entry_status(txn, &user);
    db_read_end(&txn);
    if (!err)
        *out = user.entry;
    return err;
}
