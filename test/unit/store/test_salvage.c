/* test_salvage.c - a record is destroyed in the log and the index made again: no message whose bytes are
 * there is lost, and no flags or expunges are applied to the wrong one. */
#include <dirent.h>
#include <fcntl.h>

#include "store_fixture.h"

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

/* Flips a byte of the text in the segment that holds it. */
static void destroy_record_with(const char *text)
{
    char path[192];
    unsigned hits = 0;
    struct dirent *e;
    DIR *d;

    partition_close(&fx.p);
    snprintf(path, sizeof(path), "%s/journal", fx.dir);
    assert_non_null(d = opendir(path));
    while ((e = readdir(d))) {
        static uint8_t bytes[4 << 20];
        uint8_t *at;
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "%s/journal/%.100s", fx.dir, e->d_name);
        fd = open(path, O_RDWR);
        if (fd < 0)
            continue;
        n = pread(fd, bytes, sizeof(bytes), 0);
        at = n > 0 ? memmem(bytes, (size_t)n, text, strlen(text)) : NULL;
        if (at) {
            *at ^= 0x80;
            assert_int_equal(pwrite(fd, at, 1, at - bytes), 1);
            hits++;
        }
        close(fd);
    }
    closedir(d);
    assert_int_equal(hits, 1);
    fixture_open(&fx, PART_REBUILD);
}

static struct store_result deliver(uint64_t account, uint64_t mailbox, const char *owner, const char *name,
                                   uint64_t limit)
{
    struct store_target t = {.account = account,
                             .mailbox = mailbox,
                             .owner = slice_cstr(owner),
                             .name = slice_cstr(name),
                             .flags = STORE_FLAGGED,
                             .bytes_max = limit};
    struct store_delivery d = {.internaldate_us = 9};
    struct part_body *b = body_of(&fx, 100, 'd');

    OK(store_op_deliver(&fx.rec, b, 0, &d, &t, 1));
    part_body_destroy(&b);
    return apply_one(&fx);
}

/* The account's record is gone: its mailboxes come from hints, the messages are all there. */
static void test_parents(void **state)
{
    uint64_t inbox, other, found;
    struct store_account a;
    struct store_mailbox m;

    store_op_account_create(&fx.rec, 7, SLICE_LIT("lost-owner-in-record"));
    inbox = apply_one(&fx).mailbox;
    other = make_mailbox(&fx, 7, "Other");
    OK(deliver(7, inbox, "alice", "INBOX", 0).err);
    OK(deliver(7, other, "alice", "Other", 0).err);
    OK(deliver(7, inbox, "alice", "INBOX", 0).err);
    store_op_expunge(&fx.rec, inbox, true, &(struct store_run){1, 1}, 1);
    assert_int_equal(apply_one(&fx).count, 1);

    destroy_record_with("lost-owner-in-record");
    OK(store_account_find(look(&fx), 7, &a));
    assert_true(slice_eq_cstr(a.owner, "alice"));
    assert_int_equal(a.messages, 3);
    OK(store_mailbox_find(&fx.snap, 7, SLICE_LIT("INBOX"), &found));
    assert_int_equal(found, inbox);
    OK(store_mailbox_get(&fx.snap, inbox, &m));
    assert_int_equal(m.exists, 2); /* the expunge named a UID that is not known to be the same one */
    assert_false(m.traced);
    OK(store_mailbox_get(&fx.snap, other, &m));
    assert_true(m.traced);
    assert_int_equal(m.exists, 1);
    done(&fx);
    assert_non_null(strstr(str_cstr(&fx.report), "made from a hint"));
    assert_non_null(strstr(str_cstr(&fx.report), "not known for certain"));
    /* Afterwards everything works again. */
    store_op_expunge(&fx.rec, inbox, true, &(struct store_run){1, 2}, 1);
    assert_int_equal(apply_one(&fx).count, 2);
}

/* What made room for a message is lost: it is kept all the same. */
static void test_quota(void **state)
{
    uint64_t inbox;

    store_op_account_create(&fx.rec, 7, SLICE_LIT("lost-owner-in-record"));
    inbox = apply_one(&fx).mailbox;
    OK(deliver(7, inbox, "alice", "INBOX", 100).err);
    store_op_expunge(&fx.rec, inbox, true, &(struct store_run){1, 1}, 1);
    OK(apply_one(&fx).err);
    OK(deliver(7, inbox, "alice", "INBOX", 100).err);
    destroy_record_with("lost-owner-in-record");
    assert_int_equal(mailbox_now(&fx, inbox).exists, 2);
}

/* The name of the hint belongs to another mailbox by then. */
static void test_name_taken(void **state)
{
    uint64_t first, second, id;
    char name[64];

    make_account(&fx, 7);
    store_op_mailbox_create(&fx.rec, 7, SLICE_LIT("Box"), 0);
    store_op_mailbox_attr(&fx.rec, 7, SLICE_LIT("lost-name-in-record"), false, 0, true, false);
    apply(&fx);
    first = next(&fx).mailbox;
    OK(deliver(7, first, "alice", "Box", 0).err);
    store_op_mailbox_delete(&fx.rec, 7, SLICE_LIT("Box"));
    OK(apply_one(&fx).err);
    store_op_mailbox_create(&fx.rec, 7, SLICE_LIT("Box"), 0);
    second = apply_one(&fx).mailbox;
    OK(deliver(7, second, "alice", "Box", 0).err);
    destroy_record_with("lost-name-in-record");
    /* The delete took the one that was made from the hint, as it took the real one. */
    assert_true(mailbox_now(&fx, first).gone);
    OK(store_mailbox_find(look(&fx), 7, SLICE_LIT("Box"), &id));
    assert_int_equal(id, second);
    done(&fx);
    snprintf(name, sizeof(name), "Recovered/%016llx", (unsigned long long)first);
    IS(store_mailbox_find(look(&fx), 7, slice_cstr(name), &id), MS_ENOTFOUND);
    done(&fx);
}

/* The rename is lost: the new name of the hint is free, the old one keeps its mailbox; and the other way
 * round. */
static void test_rename_lost(void **state)
{
    uint64_t a, b, id;
    char name[64];

    make_account(&fx, 7);
    a = make_mailbox(&fx, 7, "A");
    store_op_mailbox_rename(&fx.rec, 7, SLICE_LIT("A"), SLICE_LIT("lost-name-in-record"));
    store_op_mailbox_create(&fx.rec, 7, SLICE_LIT("A"), 0);
    apply(&fx);
    OK(next(&fx).err);
    b = next(&fx).mailbox;
    OK(deliver(7, a, "alice", "A", 0).err);
    OK(deliver(7, b, "alice", "A", 0).err);
    destroy_record_with("lost-name-in-record");
    assert_int_equal(mailbox_now(&fx, a).exists, 1);
    assert_int_equal(mailbox_now(&fx, b).exists, 1);
    snprintf(name, sizeof(name), "Recovered/%016llx", (unsigned long long)b);
    OK(store_mailbox_find(look(&fx), 7, slice_cstr(name), &id));
    assert_int_equal(id, b);
    done(&fx);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {T(test_parents), T(test_quota), T(test_name_taken),
                                       T(test_rename_lost)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
