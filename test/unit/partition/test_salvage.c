/* Logs with holes: what is there is saved, what is not is named, and nothing that was refused appears. */
#include "part_live.h"

static void segment_of(struct fixture *f, uint64_t position, char out[160])
{
    struct journal_seg_info segs[64];
    size_t n = journal_segments(f->p->journal, segs, 64);
    for (size_t i = 0; i < n; i++)
        if (position >= segs[i].start && (position < segs[i].end || segs[i].current))
            snprintf(out, 160, "journal/%016llx.seg", (unsigned long long)segs[i].number);
}

static void recover_without_index(struct fixture *f)
{
    fixture_sh(f, "rm -rf index.mdb checkpoints/*");
    fixture_open(f);
    fixture_recover(f, PART_RECOVER_NORMAL);
}

static void reported(struct fixture *f, const char *text)
{
    if (!strstr(str_cstr(&f->report.text), text))
        fail_msg("no \"%s\" in:\n%s", text, str_cstr(&f->report.text));
}

static void fill(struct live *l, uint64_t from, uint64_t to, size_t len)
{
    struct str bytes;
    struct answer a;
    str_init(&bytes, 0);
    for (uint64_t slot = from; slot < to; slot++) {
        pattern(&bytes, len, slot);
        live_put(l, slot % LIVE_LOOPS, slot, str_slice(&bytes), SLICE_LIT("cache"), 1 << 20, &a);
        OK(a.err);
    }
    str_fini(&bytes);
}

static void check(struct fixture *f, uint64_t from, uint64_t to, size_t len)
{
    struct str bytes, got;
    str_init(&bytes, 0);
    str_init(&got, 0);
    for (uint64_t slot = from; slot < to; slot++) {
        pattern(&bytes, len, slot);
        assert_int_not_equal(slot_get(f->p, slot), 0);
        slot_bytes(f->p, slot, &got);
        assert_true(slice_eq(str_slice(&got), str_slice(&bytes)));
    }
    str_fini(&bytes);
    str_fini(&got);
}

/* Bytes and references are right, whatever else is missing. */
static void verify_index(struct fixture *f)
{
    struct str out;
    str_init(&out, 0);
    (void)!verify(f->p, &out);
    assert_null(strstr(str_cstr(&out), "blob"));
    assert_null(strstr(str_cstr(&out), "row"));
    str_fini(&out);
}

static void first_segment_is_gone(void **state)
{
    struct fixture f;
    struct live l;
    struct part_rec rec;
    char first[160];
    fixture_start(&f);
    live_start(&l, &f);
    part_rec_init(&rec);
    op_make(&rec, 5);
    OK(live_one(&l, 0, &rec).err);
    fill(&l, 1, 9, 1000000); /* two segments */
    op_add(&rec, 5, 3);
    OK(live_one(&l, 0, &rec).err);
    op_drop(&rec, 1);
    OK(live_one(&l, 0, &rec).err);
    op_add(&rec, 6, 3);
    assert_int_equal(live_one(&l, 0, &rec).err, MS_ENOTFOUND);
    segment_of(&f, 0, first);
    live_stop(&l);
    fixture_sh(&f, "rm %s", first);
    recover_without_index(&f);
    assert_true(f.report.salvaged);
    assert_true(f.report.lost > 0);
    reported(&f, "SALVAGE");
    reported(&f, "counter 5 was made in the hole");
    assert_int_equal(counter_get(f.p, 5), 3);
    assert_int_equal(slot_get(f.p, 1), 0);
    check(&f, 6, 9, 1000000);
    verify_index(&f);
    /* What follows is ordinary again. */
    op_add(&rec, 77, 1);
    assert_int_equal(apply_now(&f, &rec, NULL).err, MS_ENOTFOUND);
    fixture_restart(&f);
    assert_false(f.report.salvaged);
    check(&f, 6, 9, 1000000);
    part_rec_fini(&rec);
    fixture_stop(&f);
}

/* The segment with the op is gone, the parts are there: the message is found. */
struct late {
    struct part_body *body;
    struct part_rec rec;
    struct str bytes;
    struct answer *a;
    bool ready;
};

static void late_change(void *owner)
{
    struct late *x = owner;
    x->ready = part_body_finish(x->body, SLICE_LIT(""), false) == MS_OK;
}

static void late_begin(struct live *l, unsigned loop, void *arg)
{
    struct late *x = arg;
    part_rec_init(&x->rec);
    x->body = part_body_create(l->clients[loop], 1 << 30, late_change, x);
    OK(part_body_add(x->body, str_slice(&x->bytes)));
    assert_int_equal(part_body_finish(x->body, SLICE_LIT(""), false), MS_EMORE);
}

static void on_late(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct late *x = owner;
    x->a->err = reply->err;
    x->a->position = reply->position;
    sem_post(&x->a->done);
}

static void late_post(struct live *l, unsigned loop, void *arg)
{
    struct late *x = arg;
    uint64_t request;
    assert_true(x->ready);
    struct str *op = part_rec_op_begin(&x->rec, T_PUT, 1);
    str_add_le64(op, 1000);
    part_body_emit(x->body, &x->rec, op);
    part_rec_op_end(&x->rec);
    OK(part_post(l->clients[loop], &x->rec, on_late, x, &request));
}

static void late_end(struct live *l, unsigned loop, void *arg)
{
    struct late *x = arg;
    part_body_destroy(&x->body);
    part_rec_fini(&x->rec);
}

static void body_without_op(void **state)
{
    struct fixture f;
    struct live l;
    struct answer a = {0};
    struct late x = {.a = &a};
    struct str got;
    char name[160];
    fixture_start(&f);
    live_start(&l, &f);
    str_init(&x.bytes, 0);
    str_init(&got, 0);
    sem_init(&a.done, 0, 0);
    pattern(&x.bytes, 500000, 99);
    live_run(&l, 0, late_begin, &x);
    fill(&l, 1, 10, 1000000);
    live_run(&l, 0, late_post, &x);
    while (sem_wait(&a.done))
        ;
    OK(a.err);
    uint64_t id = slot_get(f.p, 1000);
    fill(&l, 10, 19, 1000000);
    segment_of(&f, a.position, name);
    live_run(&l, 0, late_end, &x);
    live_stop(&l);
    fixture_sh(&f, "rm %s", name);
    recover_without_index(&f);
    assert_true(f.report.salvaged);
    reported(&f, "without an op, recovered");
    assert_int_equal(slot_get(f.p, 1000), 0);
    assert_int_equal(slot_get(f.p, 0xFFFF000000000000u | id), id);
    slot_bytes(f.p, 0xFFFF000000000000u | id, &got);
    assert_true(slice_eq(str_slice(&got), str_slice(&x.bytes)));
    check(&f, 1, 3, 1000000);
    check(&f, 17, 19, 1000000);
    verify_index(&f);
    str_fini(&x.bytes);
    str_fini(&got);
    fixture_stop(&f);
}

/* A record in the middle is damaged. An index behind it does not mind; one made again passes over it, makes
 * what was in it from hints, and goes back to refusing afterwards. */
static void damage_in_the_middle(void **state)
{
    struct fixture f;
    struct part_rec rec;
    fixture_start(&f);
    part_rec_init(&rec);
    for (unsigned i = 1; i < 10; i++) {
        op_make(&rec, i);
        if (i == 5)
            op_put(&rec, 1, SLICE_LIT("damage-this-record"), SLICE_LIT(""), false);
        OK(partition_apply_sync(f.p, &rec, NULL, NULL, NULL));
    }
    for (unsigned i = 1; i < 10; i++) {
        op_add(&rec, i, i);
        OK(apply_now(&f, &rec, NULL).err);
    }
    fixture_close(&f);
    assert_int_equal(fixture_damage(&f, "damage-this-record"), 1);
    fixture_open(&f);
    fixture_recover(&f, PART_RECOVER_NORMAL);
    assert_int_equal(counter_get(f.p, 5), 5);
    assert_int_equal(f.report.lost, 0);
    fixture_close(&f);
    for (unsigned round = 0; round < 2; round++) {
        recover_without_index(&f);
        assert_true(f.report.damaged > 0);
        assert_int_equal(counter_get(f.p, 50), INT64_MIN); /* refused by the server of the first round */
        reported(&f, "counter 5 was made in the hole");
        for (unsigned i = 1; i < 10; i++)
            assert_int_equal(counter_get(f.p, i), i);
        assert_int_equal(slot_get(f.p, 1), 0);
        op_add(&rec, 50, 1);
        assert_int_equal(apply_now(&f, &rec, NULL).err, MS_ENOTFOUND);
        fixture_close(&f);
    }
    fixture_open(&f);
    fixture_recover(&f, PART_RECOVER_NORMAL);
    assert_int_equal(f.report.damaged, 0); /* behind the damage: not even looked at */
    part_rec_fini(&rec);
    fixture_stop(&f);
}

/* Damage in what the index has not got yet: recovery rewrites the tail with a filler. Every later replay does
 * the same, and refuses what was refused behind it. */
static void damage_not_yet_applied(void **state)
{
    struct fixture f;
    struct part_rec rec;
    struct str first, again;
    fixture_start(&f);
    part_rec_init(&rec);
    str_init(&first, 0);
    str_init(&again, 0);
    for (unsigned i = 1; i < 10; i++) {
        op_make(&rec, i);
        if (i == 5)
            op_put(&rec, 1, SLICE_LIT("damage-this-record"), SLICE_LIT(""), false);
        OK(partition_apply_sync(f.p, &rec, NULL, NULL, NULL));
        if (i == 3)
            fixture_sh(&f, "cp index.mdb old.mdb"); /* flushed, and nobody writes */
    }
    op_add(&rec, 5, 7);
    OK(apply_now(&f, &rec, NULL).err);
    op_make(&rec, 10);
    OK(apply_now(&f, &rec, NULL).err);
    fixture_close(&f);
    assert_int_equal(fixture_damage(&f, "damage-this-record"), 1);
    fixture_sh(&f, "mv old.mdb index.mdb");
    fixture_open(&f);
    fixture_recover(&f, PART_RECOVER_NORMAL);
    reported(&f, "counter 5 was made in the hole");
    assert_int_equal(counter_get(f.p, 5), 7);
    assert_int_equal(counter_get(f.p, 10), 0);
    op_add(&rec, 50, 1);
    assert_int_equal(apply_now(&f, &rec, NULL).err, MS_ENOTFOUND);
    fixture_restart(&f);
    dump_index(f.p, &first);
    fixture_close(&f);
    fixture_sh(&f, "rm index.mdb");
    fixture_open(&f);
    fixture_recover(&f, PART_REBUILD);
    assert_int_equal(counter_get(f.p, 50), INT64_MIN);
    assert_int_equal(counter_get(f.p, 5), 7);
    dump_index(f.p, &again);
    assert_string_equal(strstr(str_cstr(&first), "meta format"), strstr(str_cstr(&again), "meta format"));
    str_fini(&first);
    str_fini(&again);
    part_rec_fini(&rec);
    fixture_stop(&f);
}

/* Killed while it replays behind a hole: the next start knows that there is one. */
static void hole_is_remembered(void **state)
{
    struct fixture f;
    struct db_txn *t;
    struct part__meta meta;
    struct part_rec rec;
    fixture_start(&f);
    part_rec_init(&rec);
    op_make(&rec, 1);
    OK(apply_now(&f, &rec, NULL).err);
    fixture_close(&f);
    fixture_sh(&f, "cp index.mdb old.mdb");
    fixture_open(&f);
    fixture_recover(&f, PART_RECOVER_NORMAL);
    op_add(&rec, 9, 4);
    assert_int_equal(apply_now(&f, &rec, NULL).err, MS_ENOTFOUND);
    fixture_close(&f);
    for (uint8_t state_ = PART_HOLE_NONE; state_ <= PART_HOLE_DAMAGE; state_++) {
        const struct part__holes holes = {
            .state = state_, .until = UINT64_MAX, .count = 1, .ranges = {{1, 2}}};
        char path[128];
        fixture_sh(&f, "cp old.mdb index.mdb");
        fixture_open(&f);
        snprintf(path, sizeof(path), "%s/index.mdb", f.dir);
        OK(part__index_open(f.p, path, false, false, &f.p->db, NULL));
        db_writer_claim(f.p->db);
        OK(db_write_begin(f.p->db, &t, NULL));
        OK(part__meta_put_holes(t, &holes));
        OK(db_write_commit(&t, NULL));
        fixture_close(&f);
        fixture_open(&f);
        fixture_recover(&f, PART_RECOVER_NORMAL);
        /* A tail ends with its "recovered" record, which stands right behind here. */
        assert_int_equal(counter_get(f.p, 9), state_ == PART_HOLE_DAMAGE ? 4 : INT64_MIN);
        OK(part__meta_read(f.p->db, &meta, NULL));
        assert_int_equal(meta.holes.state, PART_HOLE_NONE);
        fixture_close(&f);
    }
    part_rec_fini(&rec);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_segment_is_gone), cmocka_unit_test(body_without_op),
        cmocka_unit_test(damage_in_the_middle),  cmocka_unit_test(damage_not_yet_applied),
        cmocka_unit_test(hole_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
