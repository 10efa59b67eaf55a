/* test_mailbox.c - accounts and names through a real partition: create, delete, rename, subscribe, purge. */
#include "store_fixture.h"

#define ACC 7

static struct fixture fx;

static int setup(void **state)
{
    fixture_start(&fx);
    return 0;
}

static int teardown(void **state)
{
    assert_int_equal(check_all(&fx), 0);
    fixture_stop(&fx);
    return 0;
}

static enum ms_err create(const char *name)
{
    store_op_mailbox_create(&fx.rec, ACC, slice_cstr(name), 0);
    return apply_one(&fx).err;
}

static enum ms_err remove_mailbox(const char *name)
{
    store_op_mailbox_delete(&fx.rec, ACC, slice_cstr(name));
    return apply_one(&fx).err;
}

static struct store_result rename_mailbox(const char *from, const char *to)
{
    store_op_mailbox_rename(&fx.rec, ACC, slice_cstr(from), slice_cstr(to));
    return apply_one(&fx);
}

/* As logs of earlier versions have it. */
static enum ms_err rename_version_1(const char *from, const char *to)
{
    struct str *op = part_rec_op_begin(&fx.rec, STORE_OP_MAILBOX_RENAME, 1);

    str_add_le64(op, ACC);
    str_add_bytes16(op, slice_cstr(from));
    str_add_bytes16(op, slice_cstr(to));
    part_rec_op_end(&fx.rec);
    return apply_one(&fx).err;
}

static enum ms_err subscribe(const char *name, bool yes)
{
    store_op_mailbox_attr(&fx.rec, ACC, slice_cstr(name), false, 0, true, yes);
    return apply_one(&fx).err;
}

typedef enum ms_err next_fn(struct part_snap *, uint64_t, struct slice, struct store_list_entry *);

/* All names, with "-" before those without a mailbox. */
static void list_is(next_fn *fn, const char *want)
{
    struct part_snap *snap = look(&fx);
    struct store_list_entry entry = {.mailbox = 0};
    struct str got;
    enum ms_err err;

    str_init(&got, 0);
    while ((err = fn(snap, ACC, entry.name, &entry)) == MS_OK)
        str_addf(&got, "%s%s" SLICE_FMT, got.len ? " " : "", entry.mailbox ? "" : "-", SLICE_ARG(entry.name));
    IS(err, MS_ENOTFOUND);
    assert_string_equal(str_cstr(&got), want);
    str_fini(&got);
    done(&fx);
}

static void names_are(const char *want)
{
    list_is(store_list_next, want);
}

static void subscribed_are(const char *want)
{
    list_is(store_subscribed_next, want);
}

static uint64_t id_of(const char *name)
{
    uint64_t id;
    enum ms_err err = store_mailbox_find(look(&fx), ACC, slice_cstr(name), &id);

    done(&fx);
    return err ? 0 : id;
}

static void test_account(void **state)
{
    uint64_t inbox = make_account(&fx, ACC);
    struct store_account a;

    assert_int_equal(inbox, id_of("INBOX"));
    names_are("Archive Drafts INBOX Junk Sent Trash");
    subscribed_are("Archive Drafts INBOX Junk Sent Trash");
    OK(remove_mailbox("Junk"));
    assert_int_equal(make_account(&fx, ACC), inbox); /* again: what is missing, nothing twice */
    names_are("Archive Drafts INBOX Junk Sent Trash");
    OK(store_account_find(look(&fx), ACC, &a));
    assert_true(slice_eq_cstr(a.owner, "user@example.org"));
    assert_int_equal(a.names, 6);
    done(&fx);
    IS(store_account_find(look(&fx), ACC + 1, &a), MS_ENOTFOUND);
    done(&fx);
    store_op_account_create(&fx.rec, ACC, SLICE_LIT("renamed@example.org"));
    OK(apply_one(&fx).err);
    OK(store_account_find(look(&fx), ACC, &a));
    assert_true(slice_eq_cstr(a.owner, "renamed@example.org"));
    done(&fx);
}

static void test_create(void **state)
{
    struct store_mailbox a, b;

    IS(create("A"), MS_ENOTFOUND); /* no account */
    make_account(&fx, ACC);
    OK(create("A"));
    IS(create("A"), MS_EEXIST);
    IS(create("INBOX"), MS_EEXIST);
    OK(create("B"));
    a = mailbox_now(&fx, id_of("A"));
    b = mailbox_now(&fx, id_of("B"));
    assert_true(b.uidvalidity > a.uidvalidity);
    assert_int_equal(a.uidnext, 1);
    assert_int_equal(a.account, ACC);
    /* Two in one record. */
    store_op_mailbox_create(&fx.rec, ACC, SLICE_LIT("C"), STORE_ATTR_SENT);
    store_op_mailbox_create(&fx.rec, ACC, SLICE_LIT("C/D"), 0);
    apply(&fx);
    OK(next(&fx).err);
    OK(next(&fx).err);
    assert_true(id_of("C") && id_of("C/D") && id_of("C") != id_of("C/D"));
}

static void test_name_again(void **state)
{
    uint64_t old, new;
    uint32_t old_validity;

    make_account(&fx, ACC);
    OK(create("A"));
    old = id_of("A");
    old_validity = mailbox_now(&fx, old).uidvalidity;
    OK(remove_mailbox("A"));
    assert_int_equal(id_of("A"), 0);
    OK(create("A"));
    new = id_of("A");
    assert_true(new != old);
    assert_true(mailbox_now(&fx, new).uidvalidity > old_validity);
    assert_true(mailbox_now(&fx, old).gone);
}

static void test_delete(void **state)
{
    uint64_t id;

    make_account(&fx, ACC);
    IS(remove_mailbox("A"), MS_ENOTFOUND);
    IS(remove_mailbox("INBOX"), MS_EINVAL);
    OK(create("A"));
    OK(create("A/B"));
    id = id_of("A");
    OK(append(&fx, ACC, id, 100, 0).err);
    OK(append(&fx, ACC, id, 200, 0).err);
    assert_int_equal(account_now(&fx, ACC).bytes, 300);
    OK(remove_mailbox("A"));
    assert_int_equal(account_now(&fx, ACC).bytes, 0);
    assert_int_equal(account_now(&fx, ACC).messages, 0);
    assert_int_equal(account_now(&fx, ACC).names, 7);
    assert_true(id_of("A/B") != 0);
    IS(append(&fx, ACC, id, 100, 0).err, MS_ENOTFOUND);
    IS(remove_mailbox("A"), MS_ENOTFOUND);
    assert_int_equal(check_all(&fx), 0);
}

static void test_purge_mailbox(void **state)
{
    struct store_mailbox m;
    struct store_result res;
    uint64_t id;

    make_account(&fx, ACC);
    id = make_mailbox(&fx, ACC, "A");
    for (unsigned i = 0; i < 5; i++)
        OK(append(&fx, ACC, id, 10, STORE_DELETED).err);
    store_op_expunge(&fx.rec, id, false, &(struct store_run){1, 2}, 1);
    assert_int_equal(apply_one(&fx).count, 2);
    store_op_mailbox_purge(&fx.rec, id);
    IS(apply_one(&fx).err, MS_EINVAL); /* not deleted */
    OK(remove_mailbox("A"));
    store_op_mailbox_purge(&fx.rec, id);
    res = apply_one(&fx);
    OK(res.err);
    assert_int_equal(res.count, 5 + 2 + 1); /* 3 messages, 2 expunged, 2 changes, the mailbox */
    IS(store_mailbox_get(look(&fx), id, &m), MS_ENOTFOUND);
    assert_int_equal(db_count(fx.snap.txn, PART_DB_BLOB), 0);
    assert_int_equal(db_count(fx.snap.txn, PART_DB_CHANGE), 0);
    assert_int_equal(db_count(fx.snap.txn, PART_DB_EXPUNGED), 0);
    assert_int_equal(db_count(fx.snap.txn, PART_DB_MESSAGE), 0);
    done(&fx);
    store_op_mailbox_purge(&fx.rec, id);
    IS(apply_one(&fx).err, MS_ENOTFOUND);
}

static struct store_result remove_account(uint64_t account)
{
    store_op_account_delete(&fx.rec, account);
    return apply_one(&fx);
}

/* INBOX, folders, names that are only subscribed, the account; another account keeps what it has. */
static void test_account_delete(void **state)
{
    uint64_t inbox = make_account(&fx, ACC), other = make_account(&fx, ACC + 1), box;
    struct store_account a;
    struct store_change change;
    struct store_result res;

    IS(remove_account(99).err, MS_ENOTFOUND);
    OK(create("A"));
    OK(create("A/B"));
    box = id_of("A/B");
    OK(subscribe("ghost", true));
    OK(subscribe("A", true));
    OK(append(&fx, ACC, inbox, 100, 0).err);
    OK(append(&fx, ACC, box, 100, 0).err);
    OK(append(&fx, ACC + 1, other, 100, 0).err);
    res = remove_account(ACC);
    OK(res.err);
    assert_int_equal(res.count, 9); /* six folders, A, A/B, ghost */
    assert_int_equal(res.uid, 0);
    IS(store_account_find(look(&fx), ACC, &a), MS_ENOTFOUND);
    IS(store_mailbox_find(&fx.snap, ACC, SLICE_LIT("INBOX"), &box), MS_ENOTFOUND);
    OK(store_change_next(&fx.snap, inbox, 1, &change)); /* what an open session is told */
    assert_int_equal(change.what, STORE_CHANGE_GONE);
    done(&fx);
    assert_true(mailbox_now(&fx, inbox).gone);
    IS(append(&fx, ACC, inbox, 100, 0).err, MS_ENOTFOUND);
    IS(create("C"), MS_ENOTFOUND);
    IS(remove_account(ACC).err, MS_ENOTFOUND); /* once more changes nothing */
    assert_int_equal(check_all(&fx), 0);
    store_op_mailbox_purge(&fx.rec, inbox);
    OK(apply_one(&fx).err);
    assert_int_equal(account_now(&fx, ACC + 1).messages, 1);
    assert_int_equal(check_all(&fx), 0);
    inbox = make_account(&fx, ACC); /* the number can be used again */
    OK(append(&fx, ACC, inbox, 100, 0).err);
    assert_int_equal(account_now(&fx, ACC).messages, 1);
}

/* More names than one op takes: it is posted again, also after a restart and with the index made anew. */
static void test_account_delete_parts(void **state)
{
    struct store_result res;
    struct store_account a;
    char name[16];

    make_account(&fx, ACC); /* six names */
    for (unsigned i = 0; i < 2 * STORE_NAMES_MAX; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        OK(create(name));
    }
    OK(append(&fx, ACC, id_of("n1999"), 10, 0).err);
    res = remove_account(ACC);
    OK(res.err);
    assert_int_equal(res.count, STORE_NAMES_MAX);
    assert_int_equal(res.uid, STORE_NAMES_MAX + 6);
    assert_int_equal(account_now(&fx, ACC).names, STORE_NAMES_MAX + 6);
    assert_int_equal(check_all(&fx), 0);
    fixture_reopen(&fx, PART_REBUILD);
    assert_int_equal(account_now(&fx, ACC).names, STORE_NAMES_MAX + 6);
    assert_int_equal(remove_account(ACC).uid, 6);
    fixture_reopen(&fx, PART_RECOVER_NORMAL);
    res = remove_account(ACC);
    assert_int_equal(res.count, 6);
    assert_int_equal(res.uid, 0);
    IS(store_account_find(look(&fx), ACC, &a), MS_ENOTFOUND);
    assert_int_equal(db_count(fx.snap.txn, PART_DB_MBOXLIST), 0);
    done(&fx);
    assert_int_equal(check_all(&fx), 0);
}

static void test_rename(void **state)
{
    struct store_result res;
    struct store_mailbox m;
    uint64_t a;

    make_account(&fx, ACC);
    OK(create("A"));
    OK(create("A/B"));
    OK(create("A/B/C"));
    OK(create("A-B")); /* sorts between A and A/B, and is no child */
    OK(create("AB"));
    a = id_of("A");
    IS(rename_mailbox("X", "Y").err, MS_ENOTFOUND);
    IS(rename_mailbox("A", "AB").err, MS_EEXIST);
    IS(rename_mailbox("A", "A").err, MS_EEXIST);
    IS(rename_mailbox("A", "A/B/D").err, MS_EINVAL);
    IS(rename_mailbox("A", "INBOX").err, MS_EEXIST);
    names_are("A A-B A/B A/B/C AB Archive Drafts INBOX Junk Sent Trash");
    res = rename_mailbox("A", "Z/Y");
    OK(res.err);
    assert_int_equal(res.count, 3);
    assert_int_equal(res.mailbox, a);
    names_are("A-B AB Archive Drafts INBOX Junk Sent Trash Z/Y Z/Y/B Z/Y/B/C");
    OK(store_mailbox_get(look(&fx), a, &m));
    assert_true(slice_eq_cstr(m.name, "Z/Y"));
    done(&fx);
    /* A level that is only above others can be renamed too; a taken child name stops all of it. */
    OK(create("Q/Y"));
    IS(rename_mailbox("Z", "Q").err, MS_EEXIST);
    OK(rename_mailbox("Z", "P").err);
    names_are("A-B AB Archive Drafts INBOX Junk P/Y P/Y/B P/Y/B/C Q/Y Sent Trash");
}

static void test_rename_limits(void **state)
{
    struct str name;

    make_account(&fx, ACC);
    str_init(&name, 0);
    str_add_cstr(&name, "A/");
    for (unsigned i = 0; i < STORE_NAME_MAX - 2; i++)
        str_add_byte(&name, 'x');
    OK(create("A"));
    OK(create(str_cstr(&name)));
    IS(rename_mailbox("A", "BB").err, MS_ELIMIT);
    OK(rename_mailbox("A", "B").err);
    str_reset(&name);
    for (unsigned i = 0; i < STORE_LEVELS_MAX - 1; i++)
        str_add_cstr(&name, i ? "/y" : "y");
    OK(create("C"));
    OK(create("C/D"));
    OK(create("C/D/E"));
    IS(rename_mailbox("C", str_cstr(&name)).err, MS_ELIMIT);
    assert_true(id_of("C") != 0);
    str_fini(&name);
}

static void test_rename_inbox(void **state)
{
    uint64_t inbox = make_account(&fx, ACC);

    OK(create("INBOX/Sub"));
    OK(rename_mailbox("INBOX", "Old").err);
    assert_int_equal(id_of("INBOX"), inbox);
    assert_true(id_of("Old") && id_of("INBOX/Sub"));
    OK(append(&fx, ACC, inbox, 10, 0).err);
    IS(rename_mailbox("INBOX", "Older").err, MS_EUNSUPPORTED);
}

static void test_subscribe(void **state)
{
    make_account(&fx, ACC);
    OK(create("A"));
    OK(subscribe("A", true));
    OK(subscribe("Trash", false));
    OK(subscribe("Nowhere", true)); /* RFC 9051 6.3.7 */
    OK(subscribe("Nowhere", true));
    OK(subscribe("Nothing", false));
    subscribed_are("A Archive Drafts INBOX Junk -Nowhere Sent");
    names_are("A Archive Drafts INBOX Junk Sent Trash");
    IS(remove_mailbox("Nowhere"), MS_ENOTFOUND);
    OK(remove_mailbox("A")); /* RFC 9051 6.3.9.7 */
    subscribed_are("-A Archive Drafts INBOX Junk -Nowhere Sent");
    names_are("Archive Drafts INBOX Junk Sent Trash");
    assert_int_equal(account_now(&fx, ACC).names, 8);
    OK(create("A"));
    subscribed_are("A Archive Drafts INBOX Junk -Nowhere Sent");
    OK(rename_version_1("A", "Nowhere"));
    subscribed_are("Archive Drafts INBOX Junk Nowhere Sent");
    assert_int_equal(account_now(&fx, ACC).names, 7);
    OK(remove_mailbox("Nowhere"));
    OK(subscribe("Nowhere", false));
    assert_int_equal(account_now(&fx, ACC).names, 6);
    store_op_mailbox_attr(&fx.rec, ACC, SLICE_LIT("Nowhere"), true, 1, false, false);
    IS(apply_one(&fx).err, MS_ENOTFOUND);
    store_op_mailbox_attr(&fx.rec, ACC, SLICE_LIT("Sent"), true, STORE_ATTR_ARCHIVE, false, false);
    OK(apply_one(&fx).err);
    subscribed_are("Archive Drafts INBOX Junk Sent");
}

/* A subscription belongs to the name. */
static void test_rename_subscribed(void **state)
{
    make_account(&fx, ACC);
    OK(create("A"));
    OK(create("A/B"));
    OK(create("A/C"));
    OK(subscribe("A", true));
    OK(subscribe("A/B", true));
    OK(subscribe("Z/C", true));
    assert_int_equal(account_now(&fx, ACC).names, 10);
    OK(rename_mailbox("A", "Z").err);
    names_are("Archive Drafts INBOX Junk Sent Trash Z Z/B Z/C");
    subscribed_are("-A -A/B Archive Drafts INBOX Junk Sent Trash Z/C");
    assert_int_equal(account_now(&fx, ACC).names, 11);
    /* and back: the names that are only subscribed are filled again */
    OK(rename_mailbox("Z", "A").err);
    names_are("A A/B A/C Archive Drafts INBOX Junk Sent Trash");
    subscribed_are("A A/B Archive Drafts INBOX Junk Sent Trash -Z/C");
    assert_int_equal(account_now(&fx, ACC).names, 10);
    /* special uses go along */
    OK(rename_mailbox("Sent", "Gesendet").err);
    subscribed_are("A A/B Archive Drafts INBOX Junk -Sent Trash -Z/C");
}

/* The walk that shows every row, also from between two of them. */
static void test_names_walk(void **state)
{
    struct store_list_entry e;
    struct store_names *names;

    make_account(&fx, ACC);
    make_account(&fx, ACC + 1);
    OK(subscribe("Nowhere", true));
    OK(store_names_open(look(&fx), ACC, &names));
    OK(store_names_seek(names, SLICE_LIT("K"), &e));
    assert_true(slice_eq_cstr(e.name, "Nowhere") && e.mailbox == 0 && e.subscribed);
    OK(store_names_next(names, &e));
    assert_true(slice_eq_cstr(e.name, "Sent") && e.mailbox && e.attrs == STORE_ATTR_SENT);
    OK(store_names_seek(names, SLICE_LIT("Trash"), &e));
    IS(store_names_next(names, &e), MS_ENOTFOUND); /* the next account begins */
    IS(store_names_seek(names, SLICE_LIT("Trash!"), &e), MS_ENOTFOUND);
    OK(store_names_seek(names, SLICE_LIT(""), &e));
    assert_true(slice_eq_cstr(e.name, "Archive"));
    store_names_close(&names);
    store_names_close(&names);
    done(&fx);
}

static void test_names_limit(void **state)
{
    char name[32];

    make_account(&fx, ACC);
    for (unsigned i = 6; i < STORE_MAILBOXES_MAX;) {
        unsigned n = 0;

        for (; n < 500 && i < STORE_MAILBOXES_MAX; n++, i++) {
            snprintf(name, sizeof(name), "box%u", i);
            store_op_mailbox_create(&fx.rec, ACC, slice_cstr(name), 0);
        }
        apply(&fx);
        while (n--)
            OK(next(&fx).err);
    }
    IS(create("one more"), MS_ELIMIT);
    IS(subscribe("one more", true), MS_ELIMIT);
    OK(subscribe("box7", true));
    IS(rename_mailbox("box7", "box07").err, MS_ELIMIT); /* two names, for the old one stays subscribed */
    OK(rename_mailbox("box8", "box08").err);
    OK(remove_mailbox("box6"));
    OK(create("one more"));
}

/* 1,365 children are more than one op may touch. */
static void test_rename_rows(void **state)
{
    char name[32];

    make_account(&fx, ACC);
    for (unsigned i = 0; i < PART_ROWS_MAX / 3; i++) {
        snprintf(name, sizeof(name), "A/%u", i);
        store_op_mailbox_create(&fx.rec, ACC, slice_cstr(name), 0);
    }
    apply(&fx);
    IS(rename_mailbox("A", "B").err, MS_ELIMIT);
    OK(remove_mailbox("A/0"));
    OK(rename_mailbox("A", "B").err);
    assert_true(id_of("B/1") != 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_account),
        T(test_create),
        T(test_name_again),
        T(test_delete),
        T(test_purge_mailbox),
        T(test_account_delete),
        T(test_account_delete_parts),
        T(test_rename),
        T(test_rename_limits),
        T(test_rename_inbox),
        T(test_subscribe),
        T(test_rename_subscribed),
        T(test_names_walk),
        T(test_names_limit),
        T(test_rename_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
