/*
 * account_get.c - single entries of the embedded directory, and the embedded back end made of them.
 * A row that fails its checksum is damage of that one entry: MS_EDAMAGED, never "unknown user".
 */
#include "account_priv.h"

#include "ms/base/unicode.h"

enum ms_err account__get_user(struct db_txn *txn, uint64_t id, struct account_user *out)
{
    uint8_t key[8];
    struct slice row;
    ms_put_be64(key, id);
    MS_TRY(db_get(txn, ACCOUNT_DB_USER, slice_make(key, 8), &row));
    return account__user_parse(slice_make(key, 8), row, out);
}

enum ms_err account__get_name(struct db_txn *txn, struct slice name, struct account_name *out)
{
    struct slice row;
    MS_TRY(db_get(txn, ACCOUNT_DB_NAME, name, &row));
    return account__name_parse(name, row, out);
}

enum ms_err account__get_domain(struct db_txn *txn, struct slice domain, struct account_domain *out)
{
    struct slice row;
    MS_TRY(db_get(txn, ACCOUNT_DB_DOMAIN, domain, &row));
    return account__domain_parse(domain, row, out);
}

/* A name must lead to its user: else it is damage. */
static enum ms_err named_user(struct db_txn *txn, uint64_t id, struct account_user *out)
{
    enum ms_err err = account__get_user(txn, id, out);
    return err == MS_ENOTFOUND ? MS_EDAMAGED : err;
}

enum ms_err account__get_login(struct db_txn *txn, struct slice login, struct account_user *out)
{
    struct account_name name;
    MS_TRY(account__get_name(txn, login, &name));
    return name.kind == ACCOUNT_USER ? named_user(txn, name.id, out) : MS_ENOTFOUND;
}

static enum ms_err domain_status(struct db_txn *txn, struct slice name, enum account_status *out)
{
    struct account_domain domain;
    enum ms_err err = account__get_domain(txn, account__domain_of(name), &domain);
    if (!err)
        *out = account__first_inactive(domain.status, domain.mail_status);
    return err == MS_ENOTFOUND ? MS_EDAMAGED : err;
}

enum ms_err account__entry_status(struct db_txn *txn, struct account_user *user)
{
    enum account_status status;
    MS_TRY(domain_status(txn, slice_cstr(user->entry.login), &status));
    user->entry.status = account__first_inactive(status, user->entry.status);
    return MS_OK;
}

static enum ms_err find_login(struct db_txn *txn, const struct account_address *parts,
                              struct account_user *out)
{
    struct account_domain domain;
    char name[ACCOUNT_LOGIN_MAX + 1];
    struct slice host = slice_make(parts->domain, parts->domain_len);
    MS_TRY(account__get_domain(txn, host, &domain));
    if (!account__join(slice_make(parts->local, parts->local_len),
                       domain.canonical.len ? domain.canonical : host, name))
        return MS_ENOTFOUND;
    MS_TRY(account__get_login(txn, slice_cstr(name), out));
    return account__entry_status(txn, out);
}

enum ms_err account__find_login(struct account *a, struct slice login, struct account_user *out)
{
    struct account_address parts;
    struct db_txn *txn;
    MS_TRY(account__address_parse(a, login, &parts));
    MS_TRY(account__read_begin(a, &txn));
    enum ms_err err = find_login(txn, &parts, out);
    account__read_end(a, &txn);
    out->display = (struct slice){0}; /* the row is gone */
    out->forwards = out->grants = (struct account_list){0};
    return err;
}

/* -- the embedded back end */

static enum ms_err answer_user(struct db_txn *txn, uint64_t id, struct arena *arena,
                               struct account_answer *out)
{
    struct account_user user;
    MS_TRY(named_user(txn, id, &user));
    MS_TRY(account__entry_status(txn, &user));
    out->entry = user.entry;
    out->status = user.entry.status;
    out->targets = account__list_copy(&user.forwards, arena);
    out->target_count = user.forwards.count;
    out->keep = user.keep || user.forwards.count == 0;
    return MS_OK;
}

static enum ms_err answer_alias(struct db_txn *txn, struct slice name, const struct account_name *row,
                                struct arena *arena, struct account_answer *out)
{
    enum account_status status;
    MS_TRY(domain_status(txn, name, &status));
    out->status = account__first_inactive(status, row->status);
    out->targets = account__list_copy(&row->targets, arena);
    out->target_count = row->targets.count;
    return MS_OK;
}

static enum ms_err lookup_in(struct db_txn *txn, struct slice name, struct arena *arena,
                             struct account_answer *out)
{
    struct account_name row;
    MS_TRY(account__get_name(txn, name, &row));
    *out = (struct account_answer){.kind = row.kind, .name = arena_dup(arena, name)};
    return row.kind == ACCOUNT_USER ? answer_user(txn, row.id, arena, out)
                                    : answer_alias(txn, name, &row, arena, out);
}

static enum ms_err embedded_lookup(void *self, struct loop *loop, struct slice name, struct arena *arena,
                                   struct account_answer *out, account_answer_fn *done, void *owner,
                                   uint64_t *request_out)
{
    struct account_reader *reader = self;
    struct db_txn *txn = reader->txn;
    if (!txn)
        MS_TRY(db_read_begin(reader->account->db, &txn));
    enum ms_err err = lookup_in(txn, name, arena, out);
    if (!reader->txn)
        db_read_end(&txn);
    return err;
}

static enum ms_err embedded_domain(void *self, struct loop *loop, struct slice domain, struct arena *arena,
                                   struct slice *canonical_out, account_answer_fn *done, void *owner,
                                   uint64_t *request_out)
{
    struct account_reader *reader = self;
    struct db_txn *txn = reader->txn;
    struct account_domain row;
    if (!txn)
        MS_TRY(db_read_begin(reader->account->db, &txn));
    enum ms_err err = account__get_domain(txn, domain, &row);
    if (!err)
        *canonical_out = arena_dup(arena, row.canonical.len ? row.canonical : domain);
    if (!reader->txn)
        db_read_end(&txn);
    return err;
}

static void embedded_cancel(void *self, struct loop *loop, uint64_t request)
{
    MS_UNREACHABLE(); /* every answer was given at once */
}

const struct account_backend account__embedded = {
    .name = "embedded", .lookup = embedded_lookup, .domain = embedded_domain, .cancel = embedded_cancel};
