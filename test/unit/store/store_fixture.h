/* store_fixture.h - a partition in a temporary folder, ops applied on the calling thread. */
#ifndef TEST_STORE_FIXTURE_H
#define TEST_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "ms/base/map.h"
#include "ms/obs.h"

#include "../../../src/store/store_priv.h"

#define OK(expr)      assert_int_equal((expr), MS_OK)
#define IS(expr, err) assert_int_equal((expr), (err))

struct fixture {
    char dir[64];
    struct partition *p;
    struct loop *loop;
    struct part_client *c;
    struct part_rec rec;
    struct str result;
    struct rd results; /* of the last apply */
    uint64_t position; /* of the last apply */
    struct part_snap snap;
    struct str report; /* of the last recovery */
    bool salvaged;
};

static inline void fixture_open(struct fixture *f, enum part_recover_mode mode)
{
    struct partition_conf conf = {
        .name = "test",
        .dir = f->dir,
        .segment_bytes = (uint64_t)4 << 20,
        .map_bytes = (uint64_t)256 << 20,
        .checkpoint_bytes = (uint64_t)1 << 40,
        .checkpoint_ms = 1000000000,
    };
    struct ms_errinfo why = {{0}};
    struct part_report report = {.replayed = 0};

    if (partition_open(&conf, true, &f->p, &why))
        fail_msg("partition_open: %s", why.text);
    store_register(f->p);
    str_init(&report.text, 0);
    if (partition_recover(f->p, mode, &report, &why))
        fail_msg("partition_recover: %s", why.text);
    str_fini(&f->report);
    f->report = report.text;
    f->salvaged = report.salvaged;
    f->c = part_client_create(f->p, f->loop);
}

static inline void fixture_start(struct fixture *f)
{
    *f = (struct fixture){.dir = "/tmp/test_store.XXXXXX"};
    obs_set_level(OBS_WARNING, OBS_LOGFMT);
    assert_non_null(mkdtemp(f->dir));
    f->loop = loop_create_virtual(0, "test", 0);
    part_rec_init(&f->rec);
    str_init(&f->result, 0);
    fixture_open(f, PART_RECOVER_NORMAL);
}

/* As after a stop; PART_REBUILD makes the index from the log. */
static inline void fixture_reopen(struct fixture *f, enum part_recover_mode mode)
{
    partition_close(&f->p);
    fixture_open(f, mode);
}

static inline void fixture_stop(struct fixture *f)
{
    char cmd[128];

    partition_close(&f->p);
    loop_destroy(&f->loop);
    part_rec_fini(&f->rec);
    str_fini(&f->result);
    str_fini(&f->report);
    snprintf(cmd, sizeof(cmd), "rm -rf %s", f->dir);
    assert_int_equal(system(cmd), 0);
}

/* Applies f->rec; its results are read with `next`. */
static inline void apply(struct fixture *f)
{
    struct ms_errinfo why = {{0}};

    str_reset(&f->result);
    if (partition_apply_sync(f->p, &f->rec, &f->result, &f->position, &why))
        fail_msg("apply: %s", why.text);
    f->results = rd_make(str_slice(&f->result));
}

static inline struct store_result next(struct fixture *f)
{
    struct store_result res;

    OK(store_result_next(&f->results, &res));
    return res;
}

/* Applies a record of one op with one result. */
static inline struct store_result apply_one(struct fixture *f)
{
    struct store_result res;

    apply(f);
    res = next(f);
    assert_int_equal(rd_left(&f->results), 0);
    return res;
}

static inline struct part_snap *look(struct fixture *f)
{
    OK(part_snap_begin(f->p, &f->snap));
    return &f->snap;
}

static inline void done(struct fixture *f)
{
    part_snap_end(&f->snap);
}

/* A message of this many bytes. */
static inline struct part_body *body_of(struct fixture *f, size_t bytes, uint8_t fill)
{
    struct part_body *b = part_body_create(f->c, (size_t)1 << 20, NULL, NULL);
    uint8_t *text = ms_alloc(bytes + 1);

    memset(text, fill, bytes);
    OK(part_body_add(b, slice_make(text, bytes)));
    OK(part_body_finish(b, SLICE_LIT("cache"), false));
    ms_free(text);
    return b;
}

static inline uint64_t make_account(struct fixture *f, uint64_t account)
{
    struct store_result res;

    store_op_account_create(&f->rec, account, SLICE_LIT("user@example.org"));
    res = apply_one(f);
    OK(res.err);
    return res.mailbox;
}

static inline uint64_t make_mailbox(struct fixture *f, uint64_t account, const char *name)
{
    struct store_result res;

    store_op_mailbox_create(&f->rec, account, slice_cstr(name), 0);
    res = apply_one(f);
    OK(res.err);
    return res.mailbox;
}

static inline struct store_result append(struct fixture *f, uint64_t account, uint64_t mailbox, size_t bytes,
                                         uint16_t flags)
{
    struct part_body *b = body_of(f, bytes, 'x');
    struct store_append a = {
        .account = account, .mailbox = mailbox, .flags = flags, .internaldate_us = 5000000};

    store_op_append(&f->rec, b, 0, &a);
    part_body_destroy(&b);
    return apply_one(f);
}

static inline struct store_mailbox mailbox_now(struct fixture *f, uint64_t mailbox)
{
    struct store_mailbox m;

    OK(store_mailbox_get(look(f), mailbox, &m));
    done(f);
    m.name = m.keywords = (struct slice){0}; /* died with the snapshot */
    return m;
}

static inline struct store_account account_now(struct fixture *f, uint64_t account)
{
    struct store_account a;

    OK(store_account_find(look(f), account, &a));
    done(f);
    a.owner = (struct slice){0};
    return a;
}

static inline enum ms_err message_now(struct fixture *f, uint64_t mailbox, uint32_t uid,
                                      struct store_message *out)
{
    enum ms_err err = store_message_find(look(f), mailbox, uid, out);

    out->prefix.ptr = NULL;
    done(f);
    return err;
}

/* -- the whole index as text */
static inline void dump_db(struct part_snap *snap, unsigned dbi, part_row_dump_fn *fn, struct str *out)
{
    struct slice key, value;
    struct db_cur *cur;

    OK(db_cur_open(snap->txn, dbi, &cur));
    for (enum ms_err err = db_cur_seek(cur, (struct slice){0}, &key, &value); !err;
         err = db_cur_next(cur, &key, &value)) {
        fn(key, value, out);
        str_add_byte(out, '\n');
    }
    db_cur_close(&cur);
}

static inline void dump_blob(struct slice key, struct slice value, struct str *out)
{
    struct part_blob blob;

    OK(part_blob_parse(ms_get_be64(key.ptr), value, &blob));
    str_addf(out, "blob %016llx size=%llu refs=%u", (unsigned long long)blob.id,
             (unsigned long long)blob.size, blob.refs);
}

static inline void dump_all(struct fixture *f, struct str *out)
{
    struct part_snap *snap = look(f);

    dump_db(snap, PART_DB_ACCOUNT, store__dump_row_account, out);
    dump_db(snap, PART_DB_MBOXLIST, store__dump_row_list, out);
    dump_db(snap, PART_DB_MAILBOX, store__dump_row_mailbox, out);
    dump_db(snap, PART_DB_MESSAGE, store__dump_row_message, out);
    dump_db(snap, PART_DB_EXPUNGED, store__dump_row_expunged, out);
    dump_db(snap, PART_DB_CHANGE, store__dump_row_change, out);
    dump_db(snap, PART_DB_DELIVERED, store__dump_row_delivered, out);
    dump_db(snap, PART_DB_BLOB, dump_blob, out);
    done(f);
    assert_null(strstr(str_cstr(out), "damaged"));
}

/* -- the store's own verify, and references counted by us */
struct checker {
    struct map refs; /* blob id -> count + 1 as pointer */
    unsigned problems;
};

static inline void checker_ref(void *owner, uint64_t blob)
{
    struct checker *ck = owner;
    uintptr_t old = (uintptr_t)map_find_u64(&ck->refs, blob);

    map_put_u64(&ck->refs, blob, (void *)(old ? old + 1 : 2));
}

static inline void checker_problem(void *owner, const char *line)
{
    struct checker *ck = owner;

    print_message("# problem: %s\n", line);
    ck->problems++;
}

/* Number of problems. */
static inline unsigned check_all(struct fixture *f)
{
    struct checker ck = {.problems = 0};
    struct part_snap *snap = look(f);
    struct slice key, value;
    struct db_cur *cur;
    size_t blobs = 0;

    map_init(&ck.refs);
    OK(store__verify(snap, checker_ref, &ck, checker_problem, &ck));
    OK(db_cur_open(snap->txn, PART_DB_BLOB, &cur));
    for (enum ms_err err = db_cur_seek(cur, (struct slice){0}, &key, &value); !err;
         err = db_cur_next(cur, &key, &value)) {
        struct part_blob blob;

        OK(part_blob_parse(ms_get_be64(key.ptr), value, &blob));
        assert_int_equal((uintptr_t)map_find_u64(&ck.refs, blob.id), blob.refs + 1);
        blobs++;
    }
    assert_int_equal(blobs, ck.refs.count);
    db_cur_close(&cur);
    done(f);
    map_fini(&ck.refs);
    return ck.problems;
}

#endif
