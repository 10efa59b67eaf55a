/*
 * account_app.c - app passwords: secrets for one program of a user, with a name and the services it is for.
 *
 * The secret is ours: seven groups of four from a-z and 2-7, 140 bits of chance. Nobody can try 2^139 of them, however
 * fast the hash, so it is kept as HMAC-SHA-256 under a salt of its own and costs a login microseconds, not the 50 ms
 * that protect what people choose. Removing one works at once: nothing remembers a secret that was proven.
 *
 * Whether a login has app passwords cannot be told by time: a secret of that form costs ACCOUNT_APPS_MAX HMACs always.
 */
#include "account_priv.h"

#include "ms/base/clock.h"
#include "ms/base/unicode.h"

#define GROUPS      7
#define GROUP_LEN   4
#define SERVICE_MAX 32
#define KEY_MAX     (8 + ACCOUNT_APP_NAME_MAX)

static const char letters[33] = "abcdefghijklmnopqrstuvwxyz234567";
_Static_assert(GROUPS *(GROUP_LEN + 1) - 1 == ACCOUNT_APP_SECRET_LEN, "length of a secret");
_Static_assert(GROUPS *GROUP_LEN * 5 == ACCOUNT_APP_SECRET_BITS, "chance of a secret");

bool account__app_is_secret(struct slice password)
{
    if (password.len != ACCOUNT_APP_SECRET_LEN)
        return false;
    for (size_t i = 0; i < password.len; i++) {
        uint8_t c = password.ptr[i];
        bool is_end = i % (GROUP_LEN + 1) == GROUP_LEN;
        if (is_end ? c != '-' : !((c >= 'a' && c <= 'z') || (c >= '2' && c <= '7')))
            return false;
    }
    return true;
}

static void secret_make(char out[ACCOUNT_APP_SECRET_LEN + 1])
{
    uint8_t chance[GROUPS * GROUP_LEN];
    char *at = out;
    crypt_random(chance, sizeof chance);
    for (size_t i = 0; i < sizeof chance; i++) {
        if (i && i % GROUP_LEN == 0)
            *at++ = '-';
        *at++ = letters[chance[i] & 31];
    }
    *at = '\0';
    crypt_wipe(chance, sizeof chance);
}

static void secret_hash(const struct account_app *app, struct slice secret, uint8_t out[CRYPT_SHA256_BYTES])
{
    crypt_hmac_sha256(slice_make(app->salt, sizeof app->salt), secret, out);
}

static struct slice app_key(uint64_t id, struct slice name, uint8_t out[KEY_MAX])
{
    ms_put_be64(out, id);
    if (name.len)
        memcpy(out + 8, name.ptr, name.len);
    return slice_make(out, 8 + name.len);
}

/* The next of a user's behind where the cursor stands; first: the first one at or behind `key`. MS_ENOTFOUND: no
 * more. */
static enum ms_err app_walk(struct db_cur *cur, bool first, struct slice key, uint64_t id,
                            struct account_app *out)
{
    uint8_t prefix[8];
    struct slice found, row;
    ms_put_be64(prefix, id);
    MS_TRY(first ? db_cur_seek(cur, key, &found, &row) : db_cur_next(cur, &found, &row));
    return slice_has_prefix(found, slice_make(prefix, 8)) ? account__app_parse(found, row, out)
                                                          : MS_ENOTFOUND;
}

static bool in_scope(const struct account_app *app, struct slice service)
{
    return app->scope.count == 0 || service.len == 0 || account__list_has(&app->scope, service);
}

enum ms_err account__app_match(struct db_txn *txn, uint64_t id, struct slice secret, struct slice service,
                               struct account_app *out)
{
    uint8_t key[KEY_MAX], hash[CRYPT_SHA256_BYTES];
    struct account_app app = {0};
    struct db_cur *cur;
    bool found = false;
    unsigned tried = 0;
    MS_TRY(db_cur_open(txn, ACCOUNT_DB_APP, &cur));
    enum ms_err err = app_walk(cur, true, app_key(id, (struct slice){0}, key), id, &app);
    for (; !err; err = app_walk(cur, false, (struct slice){0}, id, &app)) {
        secret_hash(&app, secret, hash);
        tried++;
        if (crypt_equal(hash, app.hash, sizeof hash) && in_scope(&app, service)) {
            *out = app;
            found = true;
        }
    }
    db_cur_close(&cur);
    for (app = (struct account_app){0}; tried < ACCOUNT_APPS_MAX; tried++)
        secret_hash(&app, secret, hash);
    if (err != MS_ENOTFOUND)
        return err;
    return found ? MS_OK : MS_ENOTFOUND;
}

static enum ms_err app_put(struct db_txn *txn, uint64_t id, const struct account_app *app)
{
    uint8_t key[KEY_MAX];
    struct str row;
    str_init(&row, ACCOUNT_ROW_MAX);
    account__app_emit(&row, app_key(id, app->name, key), app);
    enum ms_err err = db_put(txn, ACCOUNT_DB_APP, slice_make(key, 8 + app->name.len), str_slice(&row));
    str_fini(&row);
    return err;
}

static enum ms_err app_get(struct db_txn *txn, uint64_t id, struct slice name, uint8_t key[KEY_MAX],
                           struct account_app *out)
{
    struct slice row;
    if (name.len == 0 || name.len > ACCOUNT_APP_NAME_MAX)
        return MS_ENOTFOUND;
    MS_TRY(db_get(txn, ACCOUNT_DB_APP, app_key(id, name, key), &row));
    return account__app_parse(slice_make(key, 8 + name.len), row, out);
}

/* MS_EEXIST: somebody else wrote a time that is young enough. */
static enum ms_err use_write(struct db_txn *txn, uint64_t id, struct slice name, uint64_t now_us)
{
    uint8_t key[KEY_MAX];
    struct account_app app;
    MS_TRY(app_get(txn, id, name, key, &app));
    if (app.used_us + ACCOUNT_APP_USE_MS * 1000ull > now_us)
        return MS_EEXIST;
    app.used_us = now_us;
    return app_put(txn, id, &app);
}

enum ms_err account__app_used(struct account *a, uint64_t id, struct slice name, uint64_t now_us)
{
    struct db_txn *txn;
    MS_TRY(account__write_begin(a, &txn, NULL));
    enum ms_err err = account__write_end(a, &txn, use_write(txn, id, name, now_us), NULL);
    return err == MS_EEXIST || err == MS_ENOTFOUND ? MS_OK : err;
}

enum ms_err account__apps_delete(struct db_txn *txn, uint64_t id)
{
    uint8_t prefix[8];
    struct slice key, row;
    struct db_cur *cur;
    ms_put_be64(prefix, id);
    MS_TRY(db_cur_open(txn, ACCOUNT_DB_APP, &cur));
    enum ms_err err = db_cur_seek(cur, slice_make(prefix, 8), &key, &row);
    while (!err && slice_has_prefix(key, slice_make(prefix, 8))) {
        err = db_cur_del(cur);
        if (!err)
            err = db_cur_seek(cur, slice_make(prefix, 8), &key, &row);
    }
    db_cur_close(&cur);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

/* -- changed and listed by commands */

static enum ms_err check_name(struct slice name, struct ms_errinfo *why)
{
    if (name.len == 0 || !slice_eq(slice_trim(name), name))
        return ms_fail(why, MS_EINVAL,
                       "the name of an app password is empty, or begins or ends with a blank");
    if (name.len > ACCOUNT_APP_NAME_MAX)
        return ms_fail(why, MS_ELIMIT, "the name of an app password is longer than %d octets",
                       ACCOUNT_APP_NAME_MAX);
    if (!unicode_is_plain(name))
        return ms_fail(why, MS_EINVAL, "the name of an app password has characters that cannot be shown");
    return MS_OK;
}

static bool is_service(struct slice word)
{
    for (size_t i = 0; i < word.len; i++)
        if (!(word.ptr[i] >= 'a' && word.ptr[i] <= 'z') && !ms_ascii_is_digit(word.ptr[i]) &&
            word.ptr[i] != '-')
            return false;
    return word.len > 0 && word.len <= SERVICE_MAX;
}

/* Each once, in the order given. */
static enum ms_err scope_make(const struct slice *items, size_t count, struct str *text,
                              struct account_list *out, struct ms_errinfo *why)
{
    *out = (struct account_list){0};
    for (size_t i = 0; i < count; i++) {
        if (!is_service(items[i]))
            return ms_fail(why, MS_EINVAL, "\"" SLICE_FMT "\" is not the name of a service",
                           (int)MS_MIN(items[i].len, 100u), (const char *)items[i].ptr);
        if (account__list_has(out, items[i]))
            continue;
        if (out->count == ACCOUNT_APP_SCOPE_MAX)
            return ms_fail(why, MS_ELIMIT, "more than %d services", ACCOUNT_APP_SCOPE_MAX);
        str_add_bytes16(text, items[i]);
        *out = (struct account_list){str_slice(text), out->count + 1};
    }
    return MS_OK;
}

static enum ms_err check_room(struct db_txn *txn, const struct account_user *user, struct slice name,
                              struct ms_errinfo *why)
{
    uint8_t key[KEY_MAX];
    struct account_app app;
    struct db_cur *cur;
    unsigned count = 0;
    bool exists = false;
    MS_TRY(db_cur_open(txn, ACCOUNT_DB_APP, &cur));
    enum ms_err err =
        app_walk(cur, true, app_key(user->entry.id, (struct slice){0}, key), user->entry.id, &app);
    for (; !err; err = app_walk(cur, false, (struct slice){0}, user->entry.id, &app)) {
        count++;
        exists = exists || slice_eq(app.name, name);
    }
    db_cur_close(&cur);
    if (err != MS_ENOTFOUND)
        return ms_fail(why, err, "%s: %s", user->entry.login, ms_err_text(err));
    if (exists)
        return ms_fail(why, MS_EEXIST, "%s has an app password of this name already", user->entry.login);
    if (count >= ACCOUNT_APPS_MAX)
        return ms_fail(why, MS_ELIMIT, "%s has %d app passwords, which is the most", user->entry.login,
                       ACCOUNT_APPS_MAX);
    return MS_OK;
}

/* account__login_load, without its secrets. */
static enum ms_err load(struct account *a, struct db_txn *txn, struct slice login, struct account_user *out,
                        struct ms_errinfo *why)
{
    enum ms_err err = account__login_load(a, txn, login, out, why);
    account__user_wipe(out);
    return err;
}

static enum ms_err add(struct account *a, struct db_txn *txn, struct slice login, struct account_app *app,
                       struct ms_errinfo *why)
{
    struct account_user user = {0};
    MS_TRY(load(a, txn, login, &user, why));
    if (user.removed_us)
        return ms_fail(why, MS_EINVAL, "%s is removed: restore it first", user.entry.login);
    MS_TRY(check_room(txn, &user, app->name, why));
    enum ms_err err = app_put(txn, user.entry.id, app);
    return err ? ms_fail(why, err, "%s: %s", user.entry.login, ms_err_text(err)) : MS_OK;
}

enum ms_err account_dir_app_add(struct account *a, struct slice login, struct slice name,
                                const struct slice *scope, size_t scope_count,
                                char secret_out[ACCOUNT_APP_SECRET_LEN + 1], struct ms_errinfo *why_out)
{
    struct account_app app = {.name = name, .created_us = clock_wall_us()};
    struct db_txn *txn;
    struct str text;
    str_init(&text, 0);
    enum ms_err err = check_name(name, why_out);
    if (!err)
        err = scope_make(scope, scope_count, &text, &app.scope, why_out);
    if (!err)
        err = account__write_begin(a, &txn, why_out);
    if (!err) {
        crypt_random(app.salt, sizeof app.salt);
        secret_make(secret_out);
        secret_hash(&app, slice_cstr(secret_out), app.hash);
        err = account__write_end(a, &txn, add(a, txn, login, &app, why_out), why_out);
        if (err)
            crypt_wipe(secret_out, ACCOUNT_APP_SECRET_LEN + 1);
    }
    str_fini(&text);
    return err;
}

static enum ms_err take_away(struct account *a, struct db_txn *txn, struct slice login, struct slice name,
                             struct ms_errinfo *why)
{
    uint8_t key[KEY_MAX];
    struct account_user user = {0};
    struct account_app app;
    MS_TRY(load(a, txn, login, &user, why));
    enum ms_err err = app_get(txn, user.entry.id, name, key, &app);
    if (err == MS_EDAMAGED || err == MS_EVERSION) /* what cannot be read can be taken away */
        err = MS_OK;
    if (!err)
        err = account__del(txn, ACCOUNT_DB_APP, app_key(user.entry.id, name, key));
    if (err == MS_ENOTFOUND)
        return ms_fail(why, err, "%s has no app password of this name", user.entry.login);
    return err ? ms_fail(why, err, "%s: %s", user.entry.login, ms_err_text(err)) : MS_OK;
}

enum ms_err account_dir_app_delete(struct account *a, struct slice login, struct slice name,
                                   struct ms_errinfo *why_out)
{
    struct db_txn *txn;
    MS_TRY(account__write_begin(a, &txn, why_out));
    return account__write_end(a, &txn, take_away(a, txn, login, name, why_out), why_out);
}

static enum ms_err next(struct account *a, struct db_txn *txn, struct slice login, struct slice after,
                        struct account_app *out, struct ms_errinfo *why)
{
    uint8_t key[KEY_MAX];
    struct account_user user = {0};
    struct db_cur *cur;
    MS_TRY(load(a, txn, login, &user, why));
    MS_TRY(db_cur_open(txn, ACCOUNT_DB_APP, &cur));
    enum ms_err err = app_walk(cur, true, app_key(user.entry.id, after, key), user.entry.id, out);
    if (!err && after.len && slice_eq(out->name, after))
        err = app_walk(cur, false, (struct slice){0}, user.entry.id, out);
    db_cur_close(&cur);
    return err;
}

enum ms_err account_dir_app_next(struct account *a, struct slice login, const char *after,
                                 struct arena *arena, struct account_app_info *out,
                                 struct ms_errinfo *why_out)
{
    struct slice behind = slice_cstr(after);
    struct account_app app;
    struct db_txn *txn;
    if (why_out)
        why_out->text[0] = '\0';
    if (behind.len > ACCOUNT_APP_NAME_MAX)
        return MS_ELIMIT;
    MS_TRY(account__read_begin(a, &txn));
    enum ms_err err = next(a, txn, login, behind, &app, why_out);
    if (!err) {
        *out = (struct account_app_info){.created_us = app.created_us,
                                         .used_us = app.used_us,
                                         .scope = account__list_copy(&app.scope, arena),
                                         .scope_count = app.scope.count};
        memcpy(out->name, app.name.ptr, app.name.len);
    }
    account__read_end(a, &txn);
    return err;
}
