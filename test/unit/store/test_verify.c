/* test_verify.c - verify names what does not fit, row by row. */
#include "store_fixture.h"

static struct fixture fx;
static uint64_t box;

static int setup(void **state)
{
    fixture_start(&fx);
    box = make_account(&fx, 7);
    for (unsigned i = 0; i < 3; i++)
        OK(append(&fx, 7, box, 10, 0).err);
    store_op_expunge(&fx.rec, box, true, &(struct store_run){2, 2}, 1);
    OK(apply_one(&fx).err);
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(&fx);
    return 0;
}

static void on_ref(void *owner, uint64_t blob)
{
    (*(unsigned *)owner)++;
}

static void on_problem(void *owner, const char *line)
{
    struct str *out = owner;

    str_add_cstr(out, line);
    str_add_byte(out, '\n');
}

/* Writes this row into the index behind everybody's back; value NULL removes it. */
static void put(unsigned dbi, struct slice key, const void *value, size_t len)
{
    struct db_txn *txn;

    db_writer_claim(partition_db(fx.p));
    OK(db_write_begin(partition_db(fx.p), &txn, NULL));
    OK(value ? db_put(txn, dbi, key, slice_make(value, len)) : db_del(txn, dbi, key));
    OK(db_write_commit(&txn, NULL));
}

/* Verify's lines contain this; want NULL: there is none. */
static void lines_have(const char *want)
{
    struct str out;
    unsigned refs = 0;

    str_init(&out, 0);
    OK(store__verify(look(&fx), on_ref, &refs, on_problem, &out));
    done(&fx);
    if (!want)
        assert_string_equal(str_cstr(&out), "");
    else if (!strstr(str_cstr(&out), want))
        fail_msg("no \"%s\" in: %s", want, str_cstr(&out));
    str_fini(&out);
}

static void change_mailbox(void (*change)(struct store_mailbox *))
{
    uint8_t key[8], row[STORE__MAILBOX_ROW_MAX];
    struct store_mailbox m;
    size_t len;

    OK(store_mailbox_get(look(&fx), box, &m));
    change(&m);
    len = store__mailbox_emit(&m, row);
    done(&fx);
    put(PART_DB_MAILBOX, store__key_u64(key, box), row, len);
}

static void one_more(struct store_mailbox *m)
{
    m->exists++;
}

static void unseen_less(struct store_mailbox *m)
{
    m->unseen--;
}

static void bytes_more(struct store_mailbox *m)
{
    m->bytes += 5;
}

static void deleted_more(struct store_mailbox *m)
{
    m->deleted++;
}

static void uidnext_back(struct store_mailbox *m)
{
    m->uidnext = 3;
}

static void modseq_back(struct store_mailbox *m)
{
    m->highestmodseq = 2;
}

static void renamed(struct store_mailbox *m)
{
    m->name = SLICE_LIT("Trash");
}

static void test_mailbox(void **state)
{
    static const struct {
        void (*change)(struct store_mailbox *);
        const char *want;
    } rows[] = {
        {one_more, "exists is 3 in its row, 2"},
        {unseen_less, "unseen is 1 in its row, 2"},
        {bytes_more, "bytes is 25 in its row, 20"},
        {deleted_more, "deleted is 1 in its row, 0"},
        {uidnext_back, "UID 3 is not below UIDNEXT 3"},
        {modseq_back, "a message has modseq 4 above 2"},
        {renamed, "its name leads to"},
    };

    lines_have(NULL);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        change_mailbox(rows[i].change);
        lines_have(rows[i].want);
        fixture_reopen(&fx, PART_REBUILD);
        lines_have(NULL);
    }
}

static void test_account(void **state)
{
    uint8_t key[8], row[STORE__ACCOUNT_ROW_MAX];
    struct store_account a = {.id = 7, .names = 6, .bytes = 21, .messages = 2};

    put(PART_DB_ACCOUNT, store__key_u64(key, 7), row, store__account_emit(&a, row));
    lines_have("names, bytes, messages are 6, 21, 2 in its row, 6, 20, 2 by its mailboxes");
}

static void test_strays(void **state)
{
    static const uint8_t noise[3] = {1, 2, 3};
    uint8_t key[STORE__LIST_KEY_MAX], row[STORE__MESSAGE_ROW_MAX];
    struct store_message m = {.size = 1, .blob = 5};
    struct store__list_row list = {.mailbox = 999};
    struct store__change_row change = {.what = STORE_CHANGE_GONE};
    size_t len = store__message_emit(&m, row);

    put(PART_DB_MESSAGE, store__key_message(key, 999, 1), row, len);
    lines_have("message row of mailbox 00000000000003e7, which does not exist");
    put(PART_DB_EXPUNGED, store__key_message(key, 998, 1), row, len);
    lines_have("expunged row of mailbox 00000000000003e6");
    put(PART_DB_CHANGE, store__key_change(key, 997, 1), row, store__change_emit(&change, row));
    lines_have("change row of mailbox 00000000000003e5");
    put(PART_DB_MBOXLIST, store__key_list(key, 7, SLICE_LIT("Stray")), row, store__list_emit(&list, row));
    lines_have("\"Stray\" does not fit mailbox 00000000000003e7");
    put(PART_DB_DELIVERED, slice_make("x", 1), noise, sizeof(noise));
    lines_have("delivered: a row cannot be read");
    put(PART_DB_MESSAGE, store__key_message(key, box, 9), noise, sizeof(noise));
    lines_have("message: a row cannot be read");
    put(PART_DB_ACCOUNT, store__key_u64(key, 8), noise, sizeof(noise));
    lines_have("account: a row cannot be read");
    put(PART_DB_MAILBOX, store__key_u64(key, 8), noise, sizeof(noise));
    lines_have("mailbox: a row cannot be read");
    put(PART_DB_CHANGE, store__key_change(key, box, 9999), noise, sizeof(noise));
    lines_have("change: a row cannot be read");
    put(PART_DB_MBOXLIST, store__key_list(key, 7, SLICE_LIT("Noise")), noise, sizeof(noise));
    lines_have("mboxlist: a row cannot be read");
}

static void test_keyword(void **state)
{
    uint8_t key[12], row[STORE__MESSAGE_ROW_MAX];
    struct store_message m;
    size_t len;

    OK(store_message_find(look(&fx), box, 1, &m));
    m.keywords.bits[1] = 1;
    len = store__message_emit(&m, row);
    done(&fx);
    put(PART_DB_MESSAGE, store__key_message(key, box, 1), row, len);
    lines_have("message 1 has keyword 64 of 0");
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {T(test_mailbox), T(test_account), T(test_strays), T(test_keyword)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
