/* queue_fixture.h - a partition in a temporary folder, ops applied on the calling thread. */
#ifndef TEST_QUEUE_FIXTURE_H
#define TEST_QUEUE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "ms/obs.h"

#include "../../../src/queue/queue_priv.h"

#define OK(expr)      assert_int_equal((expr), MS_OK)
#define IS(expr, err) assert_int_equal((expr), (err))

struct fixture {
    char dir[64];
    struct partition *p;
    struct loop *loop;
    struct part_client *c;
    struct part_rec rec;
    struct str result;
    struct rd results;
    struct part_snap snap;
    struct queue_ids ids;
};

/* Stands for the store's deliver op: u32 recipient, u16 error, again and again. */
#define OP_SETTLE 10

static inline enum ms_err settle_apply(struct part_tx *tx, struct slice op)
{
    struct rd r = rd_make(op);

    while (rd_left(&r)) {
        uint32_t number = rd_u32(&r);

        part_tx_settle(tx, number, (enum ms_err)rd_u16(&r));
    }
    return MS_OK;
}

static inline void settle_dump(struct slice op, struct str *out)
{
    str_add_cstr(out, "settle");
}

static const struct part_op settle_ops[] = {
    {.kind = OP_SETTLE, .version = 1, .name = "settle", .apply = settle_apply, .dump = settle_dump}};

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
    queue_register(f->p);
    partition_register(f->p, settle_ops, 1, NULL, 0);
    str_init(&report.text, 0);
    if (partition_recover(f->p, mode, &report, &why))
        fail_msg("partition_recover: %s", why.text);
    str_fini(&report.text);
    f->c = part_client_create(f->p, f->loop);
}

static inline void fixture_start(struct fixture *f)
{
    *f = (struct fixture){.dir = "/tmp/test_queue.XXXXXX", .ids = {.epoch = 1, .loop = 2, .next = 1}};
    obs_set_level(OBS_WARNING, OBS_LOGFMT);
    assert_non_null(mkdtemp(f->dir));
    f->loop = loop_create_virtual(0, "test", 0);
    part_rec_init(&f->rec);
    str_init(&f->result, 0);
    fixture_open(f, PART_RECOVER_NORMAL);
}

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
    snprintf(cmd, sizeof(cmd), "rm -rf %s", f->dir);
    assert_int_equal(system(cmd), 0);
}

static inline void apply(struct fixture *f)
{
    struct ms_errinfo why = {{0}};

    str_reset(&f->result);
    if (partition_apply_sync(f->p, &f->rec, &f->result, NULL, &why))
        fail_msg("apply: %s", why.text);
    f->results = rd_make(str_slice(&f->result));
}

static inline enum ms_err next(struct fixture *f)
{
    enum ms_err err;

    OK(queue_result_next(&f->results, &err));
    return err;
}

static inline enum ms_err apply_one(struct fixture *f)
{
    enum ms_err err;

    apply(f);
    err = next(f);
    assert_int_equal(rd_left(&f->results), 0);
    return err;
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

static inline struct part_body *body_of(struct fixture *f, size_t bytes)
{
    struct part_body *b = part_body_create(f->c, (size_t)1 << 20, NULL, NULL);
    uint8_t *text = ms_alloc(bytes + 1);

    memset(text, 'q', bytes);
    OK(part_body_add(b, slice_make(text, bytes)));
    OK(part_body_finish(b, SLICE_LIT("cache"), false));
    ms_free(text);
    return b;
}

#endif
