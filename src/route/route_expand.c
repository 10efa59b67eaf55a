/*
 * route_expand.c - one recipient and everything it leads to: a worklist of addresses.
 *
 *   address -> look-up (the caller's) -> status -> user:  mailbox, and forwards onto the list
 *                                                  alias: targets onto the list
 *
 * Invariants
 *   1. An address is put on the list once and an entry is expanded once, so the work ends. One that is met
 *      again is a loop only when it stands above itself; otherwise it is another way to the same place.
 *   2. A failure on the way counts only when nothing is found: then the first one is the answer, a temporary
 * one before a permanent one, a loop when there is no other. The directory being in trouble is the answer
 * always: who is behind the name that could not be read is not known, and nothing has been taken from the
 * sender yet.
 *      Nor is a mailbox below an alias forgotten because it takes no mail just now: when there are others it is a
 *      target like them, and the channel tries it again and again.
 *   3. What a name on hold leads to is held, unless there is a way that is not.
 *
 * Texts are in the scratch arena (answers of the directory are there too) until they are emitted.
 */
#include "route_priv.h"

#define DETAIL_SEPARATOR '+'

static const struct {
    enum ms_err err;
    struct smtp_reply reply;
} fails[ROUTE__FAIL_COUNT] = {
    [ROUTE__FAIL_NONE] = {MS_OK, {250, "2.1.5", "OK"}},
    [ROUTE__FAIL_NO_USER] = {MS_ENOTFOUND, {550, "5.1.1", "No such user here"}},
    [ROUTE__FAIL_RELAY] = {MS_EDENIED, {550, "5.7.1", "Relaying denied"}},
    [ROUTE__FAIL_OUTSIDE] = {MS_EDENIED,
                             {550, "5.7.1", "Address leads outside, where this server does not send"}},
    [ROUTE__FAIL_DISABLED] = {MS_EDENIED, {550, "5.2.1", "Mailbox disabled, not accepting mail"}},
    [ROUTE__FAIL_DELETED] = {MS_EDENIED, {550, "5.1.6", "Mailbox has been deleted"}},
    [ROUTE__FAIL_INACTIVE] = {MS_EBUSY, {450, "4.2.1", "Mailbox inactive for now"}},
    [ROUTE__FAIL_DEFER] = {MS_EBUSY, {450, "4.2.1", "Mailbox does not take mail now, try again later"}},
    [ROUTE__FAIL_OVERQUOTA] = {MS_EQUOTA, {452, "4.2.2", "Mailbox over quota"}},
    [ROUTE__FAIL_LOOP] = {MS_EINVAL, {550, "5.4.6", "Address leads back to itself"}},
    [ROUTE__FAIL_DEEP] = {MS_EINVAL, {550, "5.4.6", "Address leads through too many others"}},
    [ROUTE__FAIL_MANY] = {MS_ELIMIT, {452, "4.5.3", "Address leads to too many mailboxes"}},
    [ROUTE__FAIL_TROUBLE] = {MS_EIO, {451, "4.3.0", "User directory not available, try again later"}},
};

/* semantics 10.4: the status decides first. NONE: go on. */
static const enum route__fail status_fails[ACCOUNT_STATUS_COUNT] = {
    [ACCOUNT_ACTIVE] = ROUTE__FAIL_NONE,         [ACCOUNT_INACTIVE] = ROUTE__FAIL_INACTIVE,
    [ACCOUNT_DISABLED] = ROUTE__FAIL_DISABLED,   [ACCOUNT_DELETED] = ROUTE__FAIL_DELETED,
    [ACCOUNT_REMOVED] = ROUTE__FAIL_NO_USER,     [ACCOUNT_HOLD] = ROUTE__FAIL_NONE,
    [ACCOUNT_OVERQUOTA] = ROUTE__FAIL_OVERQUOTA, [ACCOUNT_UNUSED] = ROUTE__FAIL_NO_USER,
    [ACCOUNT_DEFER] = ROUTE__FAIL_DEFER,
};

struct route__seen {
    bool listed;   /* as an address */
    bool expanded; /* as an entry */
};

bool route__fail_is_temp(enum route__fail fail)
{
    return fails[fail].reply.code / 100 == 4;
}

struct smtp_reply route__fail_reply(enum route__fail fail)
{
    return fails[fail].reply;
}

enum ms_err route__fail_err(enum route__fail fail)
{
    return fails[fail].err;
}

static bool is_worse(enum route__fail fail, enum route__fail than)
{
    if (than == ROUTE__FAIL_NONE || than == ROUTE__FAIL_LOOP)
        return true;
    return route__fail_is_temp(fail) && !route__fail_is_temp(than);
}

static void fail_add(struct route__expand *e, enum route__fail fail, struct slice address)
{
    if (fail == ROUTE__FAIL_LOOP && e->fail != ROUTE__FAIL_NONE)
        return;
    if (is_worse(fail, e->fail)) {
        e->fail = fail;
        e->fail_address = address;
    }
}

static void fail_stop(struct route__expand *e, enum route__fail fail, struct slice address)
{
    e->fail = fail;
    e->fail_address = address;
    e->stop = true;
}

/* -- the worklist */
static struct route__seen *seen_get(struct route__expand *e, struct slice name)
{
    struct route__seen *seen = map_find(&e->seen, name);
    if (!seen) {
        seen = arena_new(e->scratch, struct route__seen);
        map_put(&e->seen, name, seen);
    }
    return seen;
}

static bool is_above(const struct route__item *item, struct slice name)
{
    for (; item; item = item->above)
        if (slice_eq(item->name, name) || slice_eq(item->address, name))
            return true;
    return false;
}

static void item_add(struct route__expand *e, struct route__item *above, struct slice address)
{
    struct route__item *item = arena_new(e->scratch, struct route__item);
    item->address = address;
    item->above = above;
    if (above) {
        item->depth = above->depth + 1;
        item->held = above->held;
    }
    *e->todo_end = item;
    e->todo_end = &item->next;
}

static void item_expand(struct route__expand *e, struct route__item *item,
                        const struct account_answer *answer)
{
    struct route__seen *seen = seen_get(e, answer->name);
    if (seen->expanded) {
        if (is_above(item->above, answer->name))
            fail_add(e, ROUTE__FAIL_LOOP, item->address);
        return;
    }
    seen->expanded = seen->listed = true;
    item->name = answer->name;
    if (item->depth == ROUTE_NESTING_MAX) {
        fail_add(e, ROUTE__FAIL_DEEP, item->address);
        return;
    }
    for (size_t i = 0; i < answer->target_count; i++) {
        struct slice target = answer->targets[i];
        seen = seen_get(e, target);
        if (!seen->listed)
            item_add(e, item, target);
        else if (is_above(item, target))
            fail_add(e, ROUTE__FAIL_LOOP, target);
        seen->listed = true;
    }
}

/* -- targets */
static void place_add(struct route__expand *e, struct route__place *place)
{
    if (e->place_count == ROUTE_TARGETS_MAX) {
        fail_stop(e, ROUTE__FAIL_MANY, place->target.address);
        return;
    }
    *e->places_end = place;
    e->places_end = &place->next;
    e->place_count++;
}

/* login with the detail in it: mail to it finds the same account, and the detail is kept. */
static struct slice detailed(struct arena *arena, struct slice login, struct slice detail)
{
    ssize_t at = slice_rfind_byte(login, '@');
    if (detail.len == 0 || at < 0)
        return login;
    return slice_cstr(arena_printf(arena, SLICE_FMT "%c" SLICE_FMT SLICE_FMT, (int)at,
                                   (const char *)login.ptr, DETAIL_SEPARATOR, SLICE_ARG(detail),
                                   SLICE_ARG(slice_sub(login, (size_t)at, SIZE_MAX))));
}

static void mailbox_add(struct route__expand *e, const struct route__item *item,
                        const struct account_answer *answer, enum route__fail later)
{
    const struct account_entry *entry = &answer->entry;
    struct route__place *place = e->place_count ? map_find_u64(&e->seen, entry->id) : NULL;
    if (place) { /* each mailbox once */
        if (!item->held)
            place->target.hold = (struct slice){NULL, 0};
        return;
    }
    place = arena_new(e->scratch, struct route__place);
    struct route_target *t = &place->target;
    t->account = entry->id;
    t->login = arena_dup(e->scratch, slice_cstr(entry->login));
    t->detail = answer->detail;
    t->address = detailed(e->scratch, t->login, t->detail);
    t->partition = arena_dup(e->scratch, slice_cstr(entry->partition));
    t->quota_bytes = entry->quota_bytes;
    t->quota_messages = entry->quota_messages;
    t->message_max = entry->message_max;
    t->channel = slice_cstr(e->conf->local_channel);
    t->hold = item->held ? SLICE_LIT("account is on hold") : (struct slice){NULL, 0};
    place_add(e, place);
    if (later == ROUTE__FAIL_NONE)
        e->ready_count++;
    else if (e->later == ROUTE__FAIL_NONE)
        e->later = later;
    if (item->depth || answer->target_count) /* else nothing can come after it */
        map_put_u64(&e->seen, entry->id, place);
}

/* A report goes to whoever sent the mail: where it has no way out yet it waits, to be seen. */
static void remote_add(struct route__expand *e, const struct route__item *item)
{
    ssize_t at = slice_rfind_byte(item->address, '@');
    struct slice domain = slice_sub(item->address, (size_t)at + 1, SIZE_MAX);
    if (at < 0 || domain.len == 0 || domain.len > QUEUE_HOST_MAX) {
        fail_add(e, ROUTE__FAIL_NO_USER, item->address);
        return;
    }
    struct route__place *place = arena_new(e->scratch, struct route__place);
    place->target.address = item->address;
    place->target.channel = slice_cstr(e->conf->remote_channel);
    place->target.host = domain;
    place->target.hold = slice_cstr(arena_printf(
        e->scratch, "no channel for mail to " SLICE_FMT " yet: outgoing mail comes with a later version",
        SLICE_ARG(domain)));
    place_add(e, place);
    e->ready_count++;
}

/* Whose status says no for now, below an alias, is not left out: a mailbox is tried later, and for a list whose
 * members cannot be asked after now the sender tries again. */
static void entry_refuse(struct route__expand *e, const struct route__item *item,
                         const struct account_answer *answer, enum route__fail fail)
{
    if (item->depth == 0 || !route__fail_is_temp(fail))
        fail_add(e, fail, item->address);
    else if (answer->kind == ACCOUNT_USER && answer->target_count == 0)
        mailbox_add(e, item, answer, fail);
    else
        fail_stop(e, fail, item->address);
}

static void entry_take(struct route__expand *e, struct route__item *item, const struct account_answer *answer)
{
    enum account_status status = answer->kind == ACCOUNT_USER ? answer->entry.status : answer->status;
    enum route__fail fail = status_fails[status];
    bool is_catch_all = answer->name.len && answer->name.ptr[0] == '@';
    if (is_catch_all && item->depth == 0 && !e->any_catch_all)
        fail = ROUTE__FAIL_NO_USER;
    if (fail == ROUTE__FAIL_NONE && answer->kind == ACCOUNT_ALIAS && answer->target_count == 0)
        fail = ROUTE__FAIL_NO_USER;
    if (fail != ROUTE__FAIL_NONE) {
        entry_refuse(e, item, answer, fail);
        return;
    }
    if (status == ACCOUNT_HOLD)
        item->held = true;
    if (answer->kind == ACCOUNT_USER && (answer->keep || answer->target_count == 0))
        mailbox_add(e, item, answer, ROUTE__FAIL_NONE);
    if (answer->target_count)
        item_expand(e, item, answer);
}

/* -- for the caller */
void route__expand_init(struct route__expand *e, const struct route_conf *conf, unsigned flags,
                        struct arena *scratch, struct slice address)
{
    *e = (struct route__expand){.conf = conf, .flags = flags, .any_catch_all = true, .scratch = scratch};
    e->todo_end = &e->todo;
    e->places_end = &e->places;
    map_init(&e->seen);
    item_add(e, NULL, address);
}

void route__expand_fini(struct route__expand *e)
{
    map_fini(&e->seen);
}

struct route__item *route__expand_next(struct route__expand *e)
{
    struct route__item *item = e->todo;
    if (!item || e->stop)
        return NULL;
    if (e->lookups == ROUTE_NAMES_MAX || e->scratch->bytes > ROUTE_SCRATCH_MAX) {
        fail_stop(e, ROUTE__FAIL_MANY, item->address);
        return NULL;
    }
    e->lookups++;
    e->todo = item->next;
    if (!e->todo)
        e->todo_end = &e->todo;
    return item;
}

void route__expand_take(struct route__expand *e, struct route__item *item, enum ms_err err,
                        const struct account_answer *answer)
{
    switch (err) {
    case MS_OK:
        entry_take(e, item, answer);
        return;
    case MS_ENOTFOUND:
    case MS_EINVAL: /* what cannot be a name is nobody's name */
    case MS_ELIMIT:
        fail_add(e, ROUTE__FAIL_NO_USER, item->address);
        return;
    case MS_EDENIED:
        if (e->flags & ROUTE_REPORT)
            remote_add(e, item);
        else
            fail_add(e, item->depth ? ROUTE__FAIL_OUTSIDE : ROUTE__FAIL_RELAY, item->address);
        return;
    default: /* temporary, whatever it is: never "no such user" */
        e->trouble = err;
        fail_stop(e, ROUTE__FAIL_TROUBLE, item->address);
        return;
    }
}

static struct slice put(uint8_t **at, struct slice text)
{
    struct slice copy = slice_make(*at, text.len);
    if (text.len)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

static size_t texts_bytes(const struct route_target *t)
{
    return t->address.len + t->login.len + t->detail.len + t->partition.len + t->channel.len + t->host.len +
           t->hold.len;
}

enum ms_err route__expand_emit(const struct route__expand *e, struct arena *arena, struct route_answer *out)
{
    size_t bytes = 0;
    for (const struct route__place *p = e->places; p; p = p->next)
        bytes += texts_bytes(&p->target);
    struct route_target *targets = arena_try_alloc(arena, e->place_count * sizeof *targets + bytes);
    if (!targets)
        return MS_ELIMIT;
    uint8_t *at = (uint8_t *)&targets[e->place_count];
    out->targets = targets;
    for (const struct route__place *p = e->places; p; p = p->next, targets++) {
        *targets = p->target;
        targets->address = put(&at, p->target.address);
        targets->login = put(&at, p->target.login);
        targets->detail = put(&at, p->target.detail);
        targets->partition = put(&at, p->target.partition);
        targets->channel = put(&at, p->target.channel);
        targets->host = put(&at, p->target.host);
        targets->hold = put(&at, p->target.hold);
    }
    out->count = e->place_count;
    return MS_OK;
}
