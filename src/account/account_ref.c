/*
 * account_ref.c - what names refer to, and who refers to them.
 *
 * Two indexes stand beside the entries and change with them in one transaction:
 *   target   who has a name among his targets or forwards: for rename, purge and the look upwards below
 *   address  which aliases lead to an account alone; the alias keeps the same id in its own row
 *
 * "Leads to alone" goes over exact names and, to a user only, over a detail; never over a catch-all. So it
 * changes only when a name on the way changes, and can be carried upwards from there. Aliases cannot make a
 * circle of exact names (account__loop_check), so that walk ends.
 */
#include "account_priv.h"

#include "ms/base/unicode.h"

#define WALK_NAMES_MAX 100000 /* of one loop check: aliases and their targets */

enum ms_err account__domain_get(struct db_txn *txn, struct slice domain,
                                char name_out[ACCOUNT_DOMAIN_MAX + 1], struct account_domain *out,
                                struct ms_errinfo *why_out)
{
    enum ms_err err = unicode_domain_to_ascii(domain, name_out);
    if (err)
        return ms_fail(why_out, err, "\"" SLICE_FMT "\" is not a usable domain name", SLICE_ARG(domain));
    err = account__get_domain(txn, slice_cstr(name_out), out);
    if (err == MS_ENOTFOUND)
        return ms_fail(why_out, err, "%s is not a local domain", name_out);
    return err ? ms_fail(why_out, err, "%s: %s", name_out, ms_err_text(err)) : MS_OK;
}

enum ms_err account__home_name(struct account *a, struct db_txn *txn, struct slice address, bool pattern,
                               char out[ACCOUNT_LOGIN_MAX + 1], struct ms_errinfo *why_out)
{
    struct account_address parts;
    struct account_domain domain;
    char name[ACCOUNT_DOMAIN_MAX + 1];
    enum ms_err err =
        pattern ? account__pattern_parse(a, address, &parts) : account__address_parse(a, address, &parts);
    if (err)
        return ms_fail(why_out, err, "\"" SLICE_FMT "\" is not a usable address", SLICE_ARG(address));
    MS_TRY(account__domain_get(txn, slice_make(parts.domain, parts.domain_len), name, &domain, why_out));
    if (domain.canonical.len)
        return ms_fail(why_out, MS_EINVAL, "%s is only another name of " SLICE_FMT ": use that", name,
                       SLICE_ARG(domain.canonical));
    account__join(slice_make(parts.local, parts.local_len), slice_cstr(name),
                  out); /* fits: parse has checked it */
    return MS_OK;
}

/* -- lists */

struct list_maker {
    struct map seen;
    struct str *text;
    size_t count;
};

static void list_add(struct list_maker *m, struct slice name)
{
    if (map_find(&m->seen, name))
        return;
    map_put(&m->seen, name, m);
    str_add_bytes16(m->text, name);
    m->count++;
}

static enum ms_err add_target(struct account *a, struct db_txn *txn, struct slice owner, struct slice item,
                              struct list_maker *m, struct ms_errinfo *why_out)
{
    struct account_address parts;
    struct account_domain domain;
    char name[ACCOUNT_LOGIN_MAX + 1], bare[ACCOUNT_LOGIN_MAX + 1];
    enum ms_err err = account__address_parse(a, item, &parts);
    if (err)
        return ms_fail(why_out, err, "\"" SLICE_FMT "\" is not a usable address", SLICE_ARG(item));
    struct slice host = slice_make(parts.domain, parts.domain_len);
    err = account__get_domain(txn, host, &domain);
    if (err == MS_ENOTFOUND)
        return ms_fail(why_out, MS_EUNSUPPORTED,
                       SLICE_FMT ": %s is not a local domain, and mail cannot leave this server yet",
                       SLICE_ARG(item), parts.domain);
    if (err)
        return ms_fail(why_out, err, "%s: %s", parts.domain, ms_err_text(err));
    if (!account__join(slice_make(parts.local, parts.local_len),
                       domain.canonical.len ? domain.canonical : host, name))
        return ms_fail(why_out, MS_ELIMIT, "\"" SLICE_FMT "\" is too long", SLICE_ARG(item));
    if (slice_eq_cstr(owner, name) || (account__bare(slice_cstr(name), bare) && slice_eq_cstr(owner, bare)))
        return ms_fail(why_out, MS_EINVAL, "%s would lead to itself", name);
    list_add(m, slice_cstr(name));
    return MS_OK;
}

enum ms_err account__targets_make(struct account *a, struct db_txn *txn, struct slice owner,
                                  const struct slice *items, size_t count, size_t count_max, struct str *text,
                                  struct account_list *out, struct ms_errinfo *why_out)
{
    struct list_maker m = {.text = text};
    enum ms_err err = MS_OK;
    if (count > count_max)
        return ms_fail(why_out, MS_ELIMIT, "more than %zu targets", count_max);
    map_init(&m.seen);
    for (size_t i = 0; i < count && !err; i++)
        err = add_target(a, txn, owner, items[i], &m, why_out);
    map_fini(&m.seen);
    *out = (struct account_list){str_slice(text), m.count};
    return err;
}

static enum ms_err add_grant(struct account *a, struct slice item, struct list_maker *m,
                             struct ms_errinfo *why_out)
{
    struct account_address parts;
    char name[ACCOUNT_LOGIN_MAX + 1];
    enum ms_err err = account__pattern_parse(a, item, &parts);
    if (err)
        return ms_fail(why_out, err, "\"" SLICE_FMT "\" is neither an address nor \"@domain\"",
                       SLICE_ARG(item));
    account__join(slice_make(parts.local, parts.local_len), slice_make(parts.domain, parts.domain_len), name);
    list_add(m, slice_cstr(name));
    return MS_OK;
}

enum ms_err account__grants_make(struct account *a, const struct slice *items, size_t count, struct str *text,
                                 struct account_list *out, struct ms_errinfo *why_out)
{
    struct list_maker m = {.text = text};
    enum ms_err err = MS_OK;
    if (count > ACCOUNT_GRANTS_MAX)
        return ms_fail(why_out, MS_ELIMIT, "more than %d granted addresses", ACCOUNT_GRANTS_MAX);
    map_init(&m.seen);
    for (size_t i = 0; i < count && !err; i++)
        err = add_grant(a, items[i], &m, why_out);
    map_fini(&m.seen);
    *out = (struct account_list){str_slice(text), m.count};
    return err;
}

void account__list_replace(const struct account_list *list, struct slice from, struct slice to,
                           struct str *text, struct account_list *out)
{
    struct rd r = rd_make(list->raw);
    bool has = to.len == 0 || account__list_has(list, to); /* then it is not put in a second time */
    struct slice it;
    size_t count = 0;
    str_reset(text);
    while (account__list_next(&r, &it)) {
        if (slice_eq(it, from) && has)
            continue;
        str_add_bytes16(text, slice_eq(it, from) ? to : it);
        count++;
    }
    *out = (struct account_list){str_slice(text), count};
}

/* -- loops */

struct walk {
    struct db_txn *txn;
    struct slice name; /* the alias being written: an entry, though it may not be in the directory yet */
    struct map seen;
    struct arena arena;
    struct slice *todo; /* aliases whose targets are still to be looked at */
    size_t todo_count, todo_cap;
};

static void walk_push(struct walk *w, struct slice alias)
{
    if (map_find(&w->seen, alias))
        return;
    map_put(&w->seen, alias, w);
    if (w->todo_count == w->todo_cap) {
        w->todo_cap = w->todo_cap ? w->todo_cap * 2 : 16;
        w->todo = ms_realloc_array(w->todo, w->todo_cap, sizeof *w->todo);
    }
    w->todo[w->todo_count++] = arena_dup(&w->arena, alias);
}

/* One candidate for what a target means: MS_OK: it is an entry (an alias is pushed). MS_EINVAL: the circle is
 * closed. */
static enum ms_err walk_candidate(struct walk *w, struct slice name)
{
    struct account_name row;
    if (slice_eq(name, w->name))
        return MS_EINVAL;
    MS_TRY(account__get_name(w->txn, name, &row));
    if (row.kind == ACCOUNT_ALIAS)
        walk_push(w, name);
    return MS_OK;
}

/* As account_resolve: the name, it without detail, the catch-all. */
static enum ms_err walk_target(struct walk *w, struct slice target)
{
    char name[ACCOUNT_LOGIN_MAX + 1];
    enum ms_err err = walk_candidate(w, target);
    if (err == MS_ENOTFOUND && account__bare(target, name))
        err = walk_candidate(w, slice_cstr(name));
    if (err == MS_ENOTFOUND)
        err = walk_candidate(w, slice_sub(target, (size_t)slice_rfind_byte(target, '@'), SIZE_MAX));
    return err == MS_ENOTFOUND ? MS_OK : err;
}

static enum ms_err walk_list(struct walk *w, const struct account_list *targets, size_t *names)
{
    struct rd r = rd_make(targets->raw);
    struct slice it;
    if ((*names += targets->count) > WALK_NAMES_MAX)
        return MS_ELIMIT;
    while (account__list_next(&r, &it))
        MS_TRY(walk_target(w, it));
    return MS_OK;
}

enum ms_err account__loop_check(struct db_txn *txn, struct slice name, const struct account_list *targets,
                                struct ms_errinfo *why_out)
{
    struct walk w = {.txn = txn, .name = name};
    size_t names = 0;
    map_init(&w.seen);
    arena_init(&w.arena, 0);
    enum ms_err err = walk_list(&w, targets, &names);
    while (!err && w.todo_count) {
        struct account_name row;
        err = account__get_name(txn, w.todo[--w.todo_count], &row);
        if (!err)
            err = walk_list(&w, &row.targets, &names);
    }
    map_fini(&w.seen);
    arena_fini(&w.arena);
    ms_free(w.todo);
    if (err == MS_EINVAL)
        return ms_fail(why_out, err, "the targets of " SLICE_FMT " lead back to it", SLICE_ARG(name));
    if (err == MS_ELIMIT)
        return ms_fail(why_out, err, "more than %d names behind " SLICE_FMT, WALK_NAMES_MAX, SLICE_ARG(name));
    return err ? ms_fail(why_out, err, SLICE_FMT ": %s", SLICE_ARG(name), ms_err_text(err)) : MS_OK;
}

/* -- the indexes */

static enum ms_err write_missing(struct db_txn *txn, struct slice owner, const struct account_list *list,
                                 const struct account_list *in, bool put)
{
    uint8_t key[ACCOUNT_PAIR_MAX];
    struct rd r = rd_make(list->raw);
    struct slice it;
    while (account__list_next(&r, &it)) {
        if (account__list_has(in, it))
            continue;
        struct slice k = account__key_target(it, owner, key);
        MS_TRY(put ? account__put_mark(txn, ACCOUNT_DB_TARGET, k) : account__del(txn, ACCOUNT_DB_TARGET, k));
    }
    return MS_OK;
}

enum ms_err account__targets_write(struct db_txn *txn, struct slice owner, const struct account_list *from,
                                   const struct account_list *to)
{
    MS_TRY(write_missing(txn, owner, from, to, false));
    return write_missing(txn, owner, to, from, true);
}

enum ms_err account__sole(struct db_txn *txn, const struct account_list *targets, uint64_t *id_out)
{
    struct account_name row;
    char bare[ACCOUNT_LOGIN_MAX + 1];
    struct rd r = rd_make(targets->raw);
    struct slice target;
    *id_out = 0;
    if (targets->count != 1 || !account__list_next(&r, &target))
        return MS_OK;
    enum ms_err err = account__get_name(txn, target, &row);
    if (err == MS_ENOTFOUND && account__bare(target, bare)) {
        err = account__get_name(txn, slice_cstr(bare), &row);
        if (!err && row.kind != ACCOUNT_USER)
            return MS_OK;
    }
    if (!err)
        *id_out = row.id;
    return err == MS_ENOTFOUND ? MS_OK : err;
}

enum ms_err account__alias_write(struct db_txn *txn, struct slice name, struct account_name *row,
                                 const struct account_name *old)
{
    static const struct account_list none;
    uint8_t key[ACCOUNT_PAIR_MAX];
    uint64_t old_id = old ? old->id : 0;
    MS_TRY(account__targets_write(txn, name, old ? &old->targets : &none, &row->targets));
    MS_TRY(account__sole(txn, &row->targets, &row->id));
    if (old_id && old_id != row->id)
        MS_TRY(account__del(txn, ACCOUNT_DB_ADDRESS, account__key_address(old_id, name, key)));
    if (row->id && old_id != row->id)
        MS_TRY(account__put_mark(txn, ACCOUNT_DB_ADDRESS, account__key_address(row->id, name, key)));
    return account__put_name(txn, name, row);
}

enum ms_err account__alias_delete(struct db_txn *txn, struct slice name, const struct account_name *old)
{
    static const struct account_list none;
    uint8_t key[ACCOUNT_PAIR_MAX];
    MS_TRY(account__targets_write(txn, name, &old->targets, &none));
    if (old->id)
        MS_TRY(account__del(txn, ACCOUNT_DB_ADDRESS, account__key_address(old->id, name, key)));
    return account__del(txn, ACCOUNT_DB_NAME, name);
}

struct gather {
    struct arena *arena;
    struct account_referrer *list;
    size_t count, cap;
};

static void gather_add(struct gather *g, struct slice target, struct slice owner)
{
    if (g->count == g->cap) {
        size_t cap = g->cap ? g->cap * 2 : 16;
        struct account_referrer *list = arena_new_array(g->arena, struct account_referrer, cap);
        if (g->count)
            memcpy(list, g->list, g->count * sizeof *list);
        g->list = list;
        g->cap = cap;
    }
    g->list[g->count++] = (struct account_referrer){arena_dup(g->arena, target), arena_dup(g->arena, owner)};
}

/* Targets that begin with prefix. name: only those that are it with a detail and have no entry of their own.
 */
static enum ms_err gather_prefix(struct db_txn *txn, struct slice prefix, const char *name, struct gather *g)
{
    struct db_cur *cur;
    struct slice key, value, target;
    MS_TRY(db_cur_open(txn, ACCOUNT_DB_TARGET, &cur));
    enum ms_err err = db_cur_seek(cur, prefix, &key, &value);
    for (; !err && slice_has_prefix(key, prefix); err = db_cur_next(cur, &key, &value)) {
        struct slice owner = key;
        char bare[ACCOUNT_LOGIN_MAX + 1];
        struct slice row;
        if (!slice_cut(&owner, 0, &target)) {
            err = MS_EDAMAGED;
            break;
        }
        if (name && (!account__bare(target, bare) || strcmp(bare, name) != 0 ||
                     db_get(txn, ACCOUNT_DB_NAME, target, &row) != MS_ENOTFOUND))
            continue;
        gather_add(g, target, owner);
    }
    db_cur_close(&cur);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

enum ms_err account__referrers(struct db_txn *txn, struct slice name, struct arena *arena,
                               struct account_referrer **out, size_t *count_out)
{
    struct gather g = {.arena = arena};
    uint8_t key[ACCOUNT_PAIR_MAX];
    char text[ACCOUNT_LOGIN_MAX + 1], prefix[ACCOUNT_LOGIN_MAX + 2];
    *out = NULL;
    *count_out = 0;
    if (db_count(txn, ACCOUNT_DB_TARGET) == 0) /* an import of users only */
        return MS_OK;
    MS_TRY(gather_prefix(txn, account__key_target(name, (struct slice){0}, key), NULL, &g));
    size_t local = (size_t)slice_rfind_byte(name, '@');
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    if (local && name.ptr[0] != '"' && slice_find_byte(slice_sub(name, 0, local), ACCOUNT_SEPARATOR) < 0) {
        memcpy(prefix, text, local);
        prefix[local] = ACCOUNT_SEPARATOR;
        MS_TRY(gather_prefix(txn, slice_make(prefix, local + 1), text, &g));
    }
    *out = g.list;
    *count_out = g.count;
    return MS_OK;
}

/* One alias above a name that changed. *changed_out: it leads to another account alone now. */
static enum ms_err refresh(struct db_txn *txn, struct slice owner, struct arena *arena, bool *changed_out)
{
    struct account_name old, row;
    uint64_t id;
    *changed_out = false;
    MS_TRY(account__get_name(txn, owner, &old));
    if (old.kind != ACCOUNT_ALIAS)
        return MS_OK;
    MS_TRY(account__sole(txn, &old.targets, &id));
    if (id == old.id)
        return MS_OK;
    *changed_out = true;
    account__list_hold(&old.targets, arena);
    row = old;
    return account__alias_write(txn, owner, &row, &old);
}

enum ms_err account__name_changed(struct db_txn *txn, struct slice name)
{
    struct arena arena;
    struct slice *todo;
    size_t todo_count = 1, todo_cap = 16;
    enum ms_err err = MS_OK;
    if (db_count(txn, ACCOUNT_DB_TARGET) == 0)
        return MS_OK;
    arena_init(&arena, 0);
    todo = ms_alloc_array(todo_cap, sizeof *todo);
    todo[0] = arena_dup(&arena, name);
    while (!err && todo_count) {
        struct account_referrer *list;
        size_t count = 0;
        bool changed;
        err = account__referrers(txn, todo[--todo_count], &arena, &list, &count);
        for (size_t i = 0; i < count && !err; i++) {
            err = refresh(txn, list[i].owner, &arena, &changed);
            if (err || !changed)
                continue;
            if (todo_count == todo_cap)
                todo = ms_realloc_array(todo, todo_cap *= 2, sizeof *todo);
            todo[todo_count++] = list[i].owner;
        }
    }
    ms_free(todo);
    arena_fini(&arena);
    return err;
}
