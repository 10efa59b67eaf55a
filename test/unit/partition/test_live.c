/* A running partition: posts from several loops, bodies, readers, feed, removal of segments. */
#include "part_live.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>

/* -- posts ---------------------------------------------------------------------------------------- */

enum { PIPE_POSTS = 3000, PIPE_DEPTH = 32 };

struct pipeline {
    struct live *l;
    unsigned loop;
    struct part_rec rec;
    unsigned posted, answered;
    uint64_t sum; /* of results */
    uint64_t last_position;
    sem_t done;
};

static void pipe_fill(struct pipeline *p);

static void on_pipe(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct pipeline *p = owner;
    MS_ASSERT(reply->err == MS_OK);
    MS_ASSERT(reply->position > p->last_position); /* answers of one loop come in order */
    p->last_position = reply->position;
    struct rd r = rd_make(reply->result);
    MS_ASSERT(rd_u8(&r) == MS_OK);
    p->sum += rd_u64(&r);
    p->answered++;
    if (p->answered == PIPE_POSTS)
        sem_post(&p->done);
    else
        pipe_fill(p);
}

static void pipe_fill(struct pipeline *p)
{
    while (p->posted < PIPE_POSTS && p->posted - p->answered < PIPE_DEPTH) {
        uint64_t request;
        op_add(&p->rec, 7, 1);
        if (p->posted % 4 == 0)
            op_put(&p->rec, p->loop * 100000 + p->posted, SLICE_LIT("a message"), SLICE_LIT("its cache"),
                   false);
        MS_ASSERT(part_post(p->l->clients[p->loop], &p->rec, on_pipe, p, &request) == MS_OK);
        p->posted++;
    }
}

static void pipe_begin(struct live *l, unsigned loop, void *arg)
{
    pipe_fill(arg);
}

static void many_posts(void **state)
{
    struct fixture f;
    struct live l;
    struct part_rec rec;
    static struct pipeline pipes[LIVE_LOOPS];
    fixture_start(&f);
    live_start(&l, &f);
    part_rec_init(&rec);
    op_make(&rec, 7);
    OK(live_one(&l, 0, &rec).err);
    for (unsigned i = 0; i < LIVE_LOOPS; i++) {
        pipes[i] = (struct pipeline){.l = &l, .loop = i};
        part_rec_init(&pipes[i].rec);
        sem_init(&pipes[i].done, 0, 0);
        live_send(&l, i, pipe_begin, &pipes[i]);
    }
    uint64_t sum = 0;
    for (unsigned i = 0; i < LIVE_LOOPS; i++) {
        while (sem_wait(&pipes[i].done))
            ;
        sum += pipes[i].sum;
        part_rec_fini(&pipes[i].rec);
    }
    const uint64_t n = PIPE_POSTS * LIVE_LOOPS;
    assert_int_equal(sum, n * (n + 1) / 2); /* every value was given out once */
    assert_int_equal(counter_get(f.p, 7), n);
    struct part_stats st;
    partition_stats(f.p, &st);
    assert_int_equal(st.inflight_bytes, 0);
    assert_int_equal(st.lag_bytes, 0);
    assert_int_equal(st.blobs, n / 4);
    assert_true(st.commits < n / 2); /* what has piled up goes together */
    live_stop(&l);
    fixture_open(&f);
    fixture_recover(&f, PART_RECOVER_NORMAL);
    assert_int_equal(counter_get(f.p, 7), n);
    part_rec_fini(&rec);
    fixture_stop(&f);
}

static void durable_or_visible(void **state)
{
    struct fixture f;
    struct live l;
    struct part_rec rec;
    struct answer a;
    fixture_start(&f);
    live_start(&l, &f);
    part_rec_init(&rec);
    op_make(&rec, 1);
    rec.ack_durable = true;
    live_post(&l, 0, &rec, &a);
    OK(a.err);
    assert_int_equal(a.result_len, 0);
    assert_true(a.position > 0);
    op_add(&rec, 1, 1);
    live_post(&l, 1, &rec, &a);
    OK(a.err);
    assert_int_equal(a.result_len, 9);
    /* Larger than what fits a message. */
    for (unsigned i = 0; i < 5; i++)
        op_add(&rec, 1, 1);
    live_post(&l, 1, &rec, &a);
    assert_int_equal(a.result_len, 45);
    assert_int_equal(a.result[1], 2);
    assert_int_equal(a.result[37], 6);
    /* Too long to post at all: the record stays the caller's. */
    struct str *op = part_rec_op_begin(&rec, T_ADD, 1);
    static uint8_t big[PART_META_MAX];
    str_add(op, big, sizeof(big));
    part_rec_op_end(&rec);
    live_post(&l, 0, &rec, &a);
    assert_int_equal(a.err, MS_ELIMIT);
    part_rec_fini(&rec);
    live_stop(&l);
    fixture_stop(&f);
}

static void forget_fn(struct live *l, unsigned loop, void *arg)
{
    struct part_rec *rec = arg;
    uint64_t request;
    op_add(rec, 1, 1);
    OK(part_post(l->clients[loop], rec, NULL, NULL, &request));
    op_add(rec, 1, 1);
    OK(part_post(l->clients[loop], rec, on_pipe, NULL, &request)); /* would crash */
    part_forget(l->clients[loop], request);
}

static void forgotten(void **state)
{
    struct fixture f;
    struct live l;
    struct part_rec rec;
    fixture_start(&f);
    live_start(&l, &f);
    part_rec_init(&rec);
    op_make(&rec, 1);
    OK(live_one(&l, 0, &rec).err);
    live_run(&l, 0, forget_fn, &rec);
    op_add(&rec, 1, 1);
    assert_int_equal(live_one(&l, 0, &rec).value, 3); /* both happened */
    part_rec_fini(&rec);
    live_stop(&l);
    fixture_stop(&f);
}

/* -- bodies --------------------------------------------------------------------------------------- */

static void bodies(void **state)
{
    static const size_t sizes[] = {0,
                                   1,
                                   8192,
                                   8193,
                                   PART_INLINE_MAX - 1,
                                   PART_INLINE_MAX,
                                   PART_INLINE_MAX + 1,
                                   2 * PART_INLINE_MAX,
                                   700001,
                                   3 << 20};
    static const size_t chunks[] = {1 << 20, 4096, 1000};
    static const size_t caches[] = {0, 100, 5000};
    struct fixture f;
    struct live l;
    struct str bytes, cache, got;
    struct answer a;
    fixture_start(&f);
    live_start(&l, &f);
    str_init(&bytes, 0);
    str_init(&cache, 0);
    str_init(&got, 0);
    uint64_t slot = 1;
    for (unsigned i = 0; i < MS_ARRAY_LEN(sizes); i++) {
        for (unsigned c = 0; c < 3; c++, slot++) {
            pattern(&bytes, sizes[i], slot);
            pattern(&cache, caches[c], slot);
            live_put(&l, c % 2, slot, str_slice(&bytes), str_slice(&cache), chunks[c], &a);
            OK(a.err);
            slot_bytes(f.p, slot, &got);
            assert_true(slice_eq(str_slice(&got), str_slice(&bytes)));
            struct part_snap snap;
            struct part_blob b;
            OK(part_snap_begin(f.p, &snap));
            OK(part_blob_find(&snap, slot_get(f.p, slot), &b));
            str_reset(&got);
            OK(part_cache_read_sync(f.p, &b, &got));
            assert_true(slice_eq(str_slice(&got), str_slice(&cache)));
            uint64_t found;
            OK(part_digest_find(&snap, b.hash, b.size, &found));
            part_snap_end(&snap);
        }
    }
    assert_true(rows_in(f.p, PART_DB_BLOBEXT) > 30);
    if (verify(f.p, &got))
        fail_msg("%s", str_cstr(&got));
    struct part_rec rec;
    part_rec_init(&rec);
    while (--slot > 0) {
        op_drop(&rec, slot);
        OK(live_one(&l, 0, &rec).err);
    }
    assert_int_equal(rows_in(f.p, PART_DB_BLOB), 0);
    assert_int_equal(rows_in(f.p, PART_DB_BLOBEXT), 0);
    assert_int_equal(rows_in(f.p, PART_DB_DIGEST), 0);
    part_rec_fini(&rec);
    str_fini(&bytes);
    str_fini(&cache);
    str_fini(&got);
    live_stop(&l);
    fixture_stop(&f);
}

static void body_given_up(struct live *l, unsigned loop, void *arg)
{
    struct part_body *b = part_body_create(l->clients[loop], 1 << 30, NULL, NULL);
    static uint8_t bytes[300000];
    OK(part_body_add(b, slice_make(bytes, sizeof(bytes))));
    part_body_destroy(&b);
    b = part_body_create(l->clients[loop], 1000, NULL, NULL);
    OK(part_body_add(b, slice_make(bytes, 1000)));
    struct slice piece;
    assert_true(part_body_piece(b, 0, &piece));
    assert_int_equal(piece.len, 1000);
    assert_false(part_body_piece(b, 1, &piece));
    assert_int_equal(part_body_add(b, slice_make(bytes, 1)), MS_ELIMIT);
    assert_int_equal(part_body_finish(b, SLICE_LIT(""), false), MS_ELIMIT);
    part_body_destroy(&b);
}

static void streams_given_up(void **state)
{
    struct fixture f;
    struct live l;
    fixture_start(&f);
    live_start(&l, &f);
    live_run(&l, 0, body_given_up, NULL);
    for (unsigned i = 0; i < 2000 && journal_stream_floor(f.p->journal) != UINT64_MAX; i++)
        usleep(1000);
    assert_int_equal(journal_stream_floor(f.p->journal), UINT64_MAX);
    live_stop(&l);
    fixture_stop(&f);
}

/* More than may be in flight, from both loops: some wait, all arrive, the bound holds. */
enum { FLOOD_BODIES = 24, FLOOD_BYTES = 3 << 20 };
static struct {
    struct part_body *body;
    struct part_rec rec;
    size_t at;
    bool posted;
    struct live *l;
    unsigned loop;
} flood[LIVE_LOOPS][FLOOD_BODIES];
static sem_t flood_done;
static atomic_uint flood_waits;
static uint8_t flood_bytes[FLOOD_BYTES];

static void on_flooded(void *owner, uint64_t request, const struct part_reply *reply)
{
    MS_ASSERT(reply->err == MS_OK);
    sem_post(&flood_done);
}

static void flood_step(void *owner)
{
    __typeof__(&flood[0][0]) x = owner;
    MS_ASSERT(atomic_load(&x->l->f->p->inflight) <= PART_INFLIGHT_BYTES);
    while (x->at < FLOOD_BYTES) {
        size_t n = MS_MIN((size_t)1 << 20, FLOOD_BYTES - x->at);
        enum ms_err err = part_body_add(x->body, slice_make(flood_bytes + x->at, n));
        if (err == MS_EFULL) {
            atomic_fetch_add(&flood_waits, 1);
            return;
        }
        MS_ASSERT(err == MS_OK);
        x->at += n;
    }
    if (x->posted || part_body_finish(x->body, SLICE_LIT(""), false) == MS_EMORE)
        return;
    x->posted = true;
    struct str *op = part_rec_op_begin(&x->rec, T_PUT, 1);
    str_add_le64(op, (uint64_t)(x - &flood[0][0]) + 1);
    part_body_emit(x->body, &x->rec, op);
    part_rec_op_end(&x->rec);
    uint64_t request;
    MS_ASSERT(part_post(x->l->clients[x->loop], &x->rec, on_flooded, x, &request) == MS_OK);
}

static void flood_begin(struct live *l, unsigned loop, void *arg)
{
    for (unsigned i = 0; i < FLOOD_BODIES; i++) {
        flood[loop][i].l = l;
        flood[loop][i].loop = loop;
        part_rec_init(&flood[loop][i].rec);
        flood[loop][i].body = part_body_create(l->clients[loop], FLOOD_BYTES, flood_step, &flood[loop][i]);
        flood_step(&flood[loop][i]);
    }
}

static void flood_end(struct live *l, unsigned loop, void *arg)
{
    for (unsigned i = 0; i < FLOOD_BODIES; i++) {
        part_body_destroy(&flood[loop][i].body);
        part_rec_fini(&flood[loop][i].rec);
    }
}

static void in_flight_is_bounded(void **state)
{
    struct fixture f;
    struct live l;
    fixture_start(&f);
    f.conf.segment_bytes = (uint64_t)64 << 20;
    fixture_restart(&f);
    live_start(&l, &f);
    sem_init(&flood_done, 0, 0);
    for (unsigned i = 0; i < LIVE_LOOPS; i++)
        live_send(&l, i, flood_begin, NULL);
    for (unsigned i = 0; i < LIVE_LOOPS * FLOOD_BODIES; i++)
        while (sem_wait(&flood_done))
            ;
    assert_true(atomic_load(&flood_waits) > 0);
    for (unsigned i = 0; i < LIVE_LOOPS; i++)
        live_run(&l, i, flood_end, NULL);
    assert_int_equal(rows_in(f.p, PART_DB_BLOB), LIVE_LOOPS * FLOOD_BODIES);
    assert_int_equal(atomic_load(&f.p->inflight), 0);
    live_stop(&l);
    fixture_stop(&f);
}

/* -- readers -------------------------------------------------------------------------------------- */

struct reading {
    struct part_reader *r;
    uint64_t slot;
    struct slice prefix;
    size_t step;
    bool from_middle;
    struct str got;
    enum ms_err err;
    bool cold;
    sem_t done;
};

static void read_on(struct reading *x);

static void on_read(void *owner, enum ms_err err, struct mbuf *buf)
{
    struct reading *x = owner;
    x->cold = true;
    x->err = err;
    if (!err) {
        str_add_slice(&x->got, mbuf_slice(buf));
        mbuf_unref(&buf);
        read_on(x);
    } else {
        sem_post(&x->done);
    }
}

static void read_on(struct reading *x)
{
    while (x->got.len < part_reader_size(x->r)) {
        struct mbuf *buf;
        x->err = part_reader_read(x->r, x->got.len, x->step, &buf, on_read, x);
        if (x->err == MS_EMORE)
            return;
        if (x->err)
            break;
        str_add_slice(&x->got, mbuf_slice(buf));
        mbuf_unref(&buf);
    }
    sem_post(&x->done);
}

static void read_open(struct live *l, unsigned loop, void *arg)
{
    struct reading *x = arg;
    struct part_snap snap;
    struct part_blob b;
    OK(part_snap_begin(l->f->p, &snap));
    OK(part_blob_find(&snap, slot_get(l->f->p, x->slot), &b));
    x->err = part_reader_open(&snap, l->loops[loop], &b, x->prefix, &x->r);
    part_snap_end(&snap);
    str_init(&x->got, 0);
    sem_init(&x->done, 0, 0);
}

static void read_begin(struct live *l, unsigned loop, void *arg)
{
    read_on(arg);
}

static void read_close(struct live *l, unsigned loop, void *arg)
{
    struct reading *x = arg;
    part_reader_close(&x->r);
    str_fini(&x->got);
}

static void read_all(struct live *l, struct reading *x)
{
    live_run(l, 0, read_begin, x);
    while (sem_wait(&x->done))
        ;
}

static void drop_page_cache(struct fixture *f)
{
    char name[128];
    glob_t g;
    snprintf(name, sizeof(name), "%s/journal/*.seg", f->dir);
    assert_int_equal(glob(name, 0, NULL, &g), 0);
    for (size_t i = 0; i < g.gl_pathc; i++) {
        int fd = open(g.gl_pathv[i], O_RDONLY);
        fdatasync(fd);
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
    globfree(&g);
}

static void readers(void **state)
{
    struct fixture f;
    struct live l;
    struct str bytes, whole;
    struct answer a;
    static const size_t steps[] = {1000, 65536, PART_READ_MAX};
    static const size_t sizes[] = {0, 100, 4096, 131072, 1000000};
    static const char *const prefixes[] = {"", "Return-Path: <a@example.org>\r\n"};
    fixture_start(&f);
    live_start(&l, &f);
    str_init(&bytes, 0);
    str_init(&whole, 0);
    unsigned cold = 0;
    for (unsigned i = 0; i < MS_ARRAY_LEN(sizes); i++) {
        pattern(&bytes, sizes[i], i);
        live_put(&l, 0, 1, str_slice(&bytes), SLICE_LIT(""), 100000, &a);
        OK(a.err);
        for (unsigned n = 0; n < 6; n++) {
            struct reading x = {.slot = 1, .step = steps[n / 2], .prefix = slice_cstr(prefixes[n % 2])};
            str_reset(&whole);
            str_add_cstr(&whole, prefixes[n % 2]);
            str_add_slice(&whole, str_slice(&bytes));
            live_run(&l, 0, read_open, &x);
            OK(x.err);
            assert_int_equal(part_reader_size(x.r), whole.len);
            if (n == 0)
                drop_page_cache(&f);
            read_all(&l, &x);
            OK(x.err);
            cold += x.cold;
            assert_true(slice_eq(str_slice(&x.got), str_slice(&whole)));
            live_run(&l, 0, read_close, &x);
        }
    }
    print_message("# %u cold reads\n", cold);
    str_fini(&bytes);
    str_fini(&whole);
    live_stop(&l);
    fixture_stop(&f);
}

/* -- windows: bytes of messages that lie one behind another */

struct looking {
    struct part_window *w;
    uint64_t slot, off;
    size_t len;
    struct str got;
    enum ms_err err;
    sem_t ready;
};

static void window_ready(void *owner)
{
    struct looking *x = owner;
    sem_post(&x->ready);
}

static void window_open(struct live *l, unsigned loop, void *arg)
{
    struct looking *x = arg;
    x->w = part_window_create(l->f->p, l->loops[loop], window_ready, x);
    str_init(&x->got, 0);
    sem_init(&x->ready, 0, 0);
}

static void window_close(struct live *l, unsigned loop, void *arg)
{
    struct looking *x = arg;
    part_window_destroy(&x->w);
    str_fini(&x->got);
}

/* Both ways to a blob row agree, also where the cursor does not go forward. */
static void window_look(struct live *l, unsigned loop, void *arg)
{
    struct looking *x = arg;
    struct part_blob_cursor c = {.cur = NULL};
    struct part_snap snap;
    struct part_blob b, same;
    struct slice bytes;
    OK(part_snap_begin(l->f->p, &snap));
    OK(part_blob_find(&snap, slot_get(l->f->p, x->slot), &b));
    OK(part_blob_seek(&snap, &c, slot_get(l->f->p, x->slot > 1 ? x->slot - 1 : x->slot), &same));
    OK(part_blob_seek(&snap, &c, b.id, &same));
    assert_true(same.id == b.id && same.size == b.size && sum128_eq(same.hash, b.hash));
    assert_int_equal(part_blob_seek(&snap, &c, b.id + 1, &same), MS_ENOTFOUND);
    OK(part_blob_seek(&snap, &c, b.id, &same));
    x->err = part_window_get(x->w, &b, x->off, x->len, &bytes);
    str_reset(&x->got);
    if (!x->err)
        str_add_slice(&x->got, bytes);
    part_blob_cursor_close(&c);
    part_snap_end(&snap);
}

static bool look(struct live *l, struct looking *x, uint64_t slot, uint64_t off, size_t len)
{
    bool cold = false;
    x->slot = slot;
    x->off = off;
    x->len = len;
    live_run(l, 0, window_look, x);
    for (; x->err == MS_EMORE; cold = true) {
        while (sem_wait(&x->ready))
            ;
        live_run(l, 0, window_look, x);
    }
    return cold;
}

static void windows(void **state)
{
    enum { COUNT = 40, SIZE = 4096 };
    struct fixture f;
    struct live l;
    struct str bytes;
    struct answer a;
    struct looking x;
    unsigned cold = 0;
    fixture_start(&f);
    live_start(&l, &f);
    str_init(&bytes, 0);
    for (unsigned i = 1; i <= COUNT; i++) {
        pattern(&bytes, SIZE, i);
        live_put(&l, 0, i, str_slice(&bytes), SLICE_LIT(""), 100000, &a);
        OK(a.err);
    }
    live_run(&l, 0, window_open, &x);
    for (unsigned round = 0; round < 4; round++) {
        if (round % 2 == 0)
            drop_page_cache(&f);
        for (unsigned i = 1; i <= COUNT; i++) {
            unsigned slot = round < 2 ? i : COUNT + 1 - i; /* forwards, backwards */
            uint64_t off = i % 3 * 100;
            size_t len = i % 4 ? SIZE - off : 10;
            cold += look(&l, &x, slot, off, len);
            OK(x.err);
            pattern(&bytes, SIZE, slot);
            assert_true(slice_eq(str_slice(&x.got), slice_sub(str_slice(&bytes), off, len)));
        }
    }
    print_message("# %u cold reads\n", cold);
    look(&l, &x, 1, 0, SIZE + 1);
    assert_int_equal(x.err, MS_EUNSUPPORTED);
    look(&l, &x, 1, SIZE + 1, 0);
    assert_int_equal(x.err, MS_EUNSUPPORTED);
    look(&l, &x, 1, SIZE, 0);
    OK(x.err);
    live_run(&l, 0, window_close, &x);
    /* closed while a read is under way */
    live_run(&l, 0, window_open, &x);
    drop_page_cache(&f);
    x.slot = 1, x.off = 0, x.len = SIZE;
    live_run(&l, 0, window_look, &x);
    live_run(&l, 0, window_close, &x);
    str_fini(&bytes);
    live_stop(&l);
    fixture_stop(&f);
}

/* Damage is found before the last bytes are given out, read whole or in pieces, in one extent or several. */
static void damaged_messages(void **state)
{
    struct fixture f;
    struct live l;
    struct str bytes;
    struct answer a;
    static const size_t sizes[] = {5000, 300000};
    static const size_t steps[] = {1000, PART_READ_MAX};
    str_init(&bytes, 0);
    for (unsigned i = 0; i < 4; i++) {
        fixture_start(&f);
        live_start(&l, &f);
        pattern(&bytes, sizes[i / 2], i);
        memcpy(bytes.ptr + 2000, "here-be-dragons", 15);
        live_put(&l, 0, 1, str_slice(&bytes), SLICE_LIT(""), 100000, &a);
        OK(a.err);
        struct reading x = {.slot = 1, .step = steps[i % 2]};
        live_run(&l, 0, read_open, &x);
        OK(x.err);
        assert_int_equal(fixture_damage(&f, "here-be-dragons"), 1);
        read_all(&l, &x);
        assert_int_equal(x.err, MS_EDAMAGED);
        assert_true(x.got.len < bytes.len);
        live_run(&l, 0, read_close, &x);
        live_stop(&l);
        fixture_stop(&f);
    }
    str_fini(&bytes);
}

/* -- feed ----------------------------------------------------------------------------------------- */

static void watch_fn(struct live *l, unsigned loop, void *arg)
{
    part_watch(l->clients[loop], *(uint64_t *)arg);
}

static void unwatch_fn(struct live *l, unsigned loop, void *arg)
{
    part_unwatch(l->clients[loop], *(uint64_t *)arg);
}

static void wait_count(atomic_uint *counter, unsigned want)
{
    for (unsigned i = 0; i < 5000 && atomic_load(counter) < want; i++)
        usleep(1000);
    assert_int_equal(atomic_load(counter), want);
}

static void feed(void **state)
{
    struct fixture f;
    struct live l;
    struct part_rec rec;
    uint64_t mailbox = 42;
    fixture_start(&f);
    live_start(&l, &f);
    part_rec_init(&rec);
    live_run(&l, 0, watch_fn, &mailbox);
    live_run(&l, 0, watch_fn, &mailbox); /* two sessions of one loop */
    op_tell(&rec, 42, 7);
    (void)live_one(&l, 1, &rec);
    wait_count(&l.feed_calls[0], 1);
    assert_int_equal(atomic_load(&l.feed_last[0]), (uint64_t)42 << 32 | 7);
    assert_int_equal(atomic_load(&l.feed_calls[1]), 0); /* nobody watches there */
    wait_count(&l.notes, 1);
    /* Many changes of one mailbox in a commit are one note with the last number. */
    for (unsigned i = 8; i < 20; i++)
        op_tell(&rec, 42, i);
    struct answer a;
    live_post(&l, 1, &rec, &a);
    OK(a.err);
    wait_count(&l.feed_calls[0], 2);
    assert_int_equal(atomic_load(&l.feed_last[0]), (uint64_t)42 << 32 | 19);
    wait_count(&l.notes, 13);
    live_run(&l, 0, unwatch_fn, &mailbox);
    op_tell(&rec, 42, 30);
    (void)live_one(&l, 0, &rec);
    wait_count(&l.feed_calls[0], 3);
    live_run(&l, 0, unwatch_fn, &mailbox);
    op_tell(&rec, 42, 31);
    (void)live_one(&l, 0, &rec);
    wait_count(&l.notes, 15);
    assert_int_equal(atomic_load(&l.feed_calls[0]), 3);
    part_rec_fini(&rec);
    live_stop(&l);
    fixture_stop(&f);
}

static void block_fn(struct live *l, unsigned loop, void *arg)
{
    while (sem_wait(arg))
        ;
}

/* A loop that does not listen for a while is told to look at everything. */
static void feed_overflow(void **state)
{
    struct fixture f;
    struct live l;
    struct part_rec rec;
    struct answer a;
    sem_t go;
    uint64_t mailbox = 0;
    fixture_start(&f);
    live_start(&l, &f);
    part_rec_init(&rec);
    sem_init(&go, 0, 0);
    for (unsigned i = 1; i <= 100; i++) {
        mailbox = i;
        live_run(&l, 0, watch_fn, &mailbox);
    }
    live_send(&l, 0, block_fn, &go);
    for (unsigned n = 0; n < 100; n++) {
        for (unsigned i = 1; i <= 100; i++)
            op_tell(&rec, i, n + 1);
        live_post(&l, 1, &rec, &a);
        OK(a.err);
    }
    sem_post(&go);
    wait_count(&l.feed_overflows[0], 1);
    assert_true(atomic_load(&l.note_overflows) >= 1); /* the port is the same endpoint */
    part_rec_fini(&rec);
    live_stop(&l);
    fixture_stop(&f);
}

/* -- segments ------------------------------------------------------------------------------------- */

static unsigned segment_files(struct fixture *f)
{
    char name[128];
    glob_t g;
    snprintf(name, sizeof(name), "%s/journal/*.seg", f->dir);
    unsigned n = glob(name, 0, NULL, &g) ? 0 : (unsigned)g.gl_pathc;
    globfree(&g);
    return n;
}

static uint64_t first_position(struct fixture *f)
{
    struct journal_info info;
    journal_info(f->p->journal, &info);
    return info.first;
}

static void keep_and_wait(struct fixture *f, uint64_t until)
{
    for (unsigned i = 0; i < 200 && first_position(f) < until; i++) {
        partition_housekeep(f->p);
        usleep(10000);
    }
}

static void segments_go(void **state)
{
    struct fixture f;
    struct live l;
    struct part_rec rec;
    struct str bytes;
    struct answer a;
    fixture_start(&f);
    live_start(&l, &f);
    part_rec_init(&rec);
    str_init(&bytes, 0);
    for (uint64_t slot = 1; slot <= 20; slot++) {
        pattern(&bytes, 1 << 20, slot);
        live_put(&l, 0, slot, str_slice(&bytes), SLICE_LIT(""), 1 << 20, &a);
        OK(a.err);
    }
    struct reading x = {.slot = 3, .step = 65536};
    live_run(&l, 0, read_open, &x);
    OK(x.err);
    for (uint64_t slot = 1; slot <= 15; slot++) {
        op_drop(&rec, slot);
        OK(live_one(&l, 0, &rec).err);
    }
    /* No checkpoints: nothing may go. One: neither. */
    keep_and_wait(&f, 1);
    assert_int_equal(first_position(&f), 0);
    OK(partition_checkpoint_now(f.p, NULL));
    for (unsigned i = 0; i < 5; i++) {
        partition_housekeep(f.p);
        usleep(20000);
    }
    assert_int_equal(first_position(&f), 0);
    op_drop(&rec, 15);
    (void)live_one(&l, 0, &rec);
    OK(partition_checkpoint_now(f.p, NULL));
    unsigned before = segment_files(&f);
    uint64_t live_at = slot_get(f.p, 16);
    keep_and_wait(&f, live_at - (8 << 20));
    assert_in_range(first_position(&f), live_at - (8 << 20), live_at);
    assert_true(segment_files(&f) < before);
    /* Who had it open reads on. */
    read_all(&l, &x);
    OK(x.err);
    pattern(&bytes, 1 << 20, 3);
    assert_true(slice_eq(str_slice(&x.got), str_slice(&bytes)));
    live_run(&l, 0, read_close, &x);
    struct str out;
    str_init(&out, 0);
    if (verify(f.p, &out))
        fail_msg("%s", str_cstr(&out));
    live_stop(&l);
    /* The rest is enough to come back, and to make the index again. */
    fixture_sh(&f, "rm index.mdb");
    fixture_open(&f);
    fixture_recover(&f, PART_RECOVER_NORMAL);
    assert_false(f.report.salvaged);
    for (uint64_t slot = 16; slot <= 20; slot++) {
        pattern(&bytes, 1 << 20, slot);
        slot_bytes(f.p, slot, &out);
        assert_true(slice_eq(str_slice(&out), str_slice(&bytes)));
    }
    OK(verify(f.p, &out));
    str_fini(&out);
    str_fini(&bytes);
    part_rec_fini(&rec);
    fixture_stop(&f);
}

static void pin_begin(struct live *l, unsigned loop, void *arg)
{
    struct part_body **b = arg;
    static uint8_t bytes[300000];
    *b = part_body_create(l->clients[loop], 1 << 30, NULL, NULL);
    OK(part_body_add(*b, slice_make(bytes, sizeof(bytes))));
}

static void pin_end(struct live *l, unsigned loop, void *arg)
{
    part_body_destroy(arg);
}

static void keep_some_times(struct fixture *f)
{
    for (unsigned i = 0; i < 10; i++) {
        partition_housekeep(f->p);
        usleep(10000);
    }
}

/* Checkpoints by themselves: after so much log, or after a time when anything changed. */
static void checkpoints_when_due(void **state)
{
    static const struct {
        uint64_t bytes, ms;
        bool change, made;
    } rows[] = {{1 << 20, 0, true, true},
                {1 << 20, 0, false, false},
                {0, 1, true, true},
                {0, 1, false, false},
                {(uint64_t)1 << 40, 3600000, true, false}};
    for (unsigned i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct fixture f;
        struct live l;
        struct str bytes;
        struct answer a;
        struct part_stats st;
        fixture_start(&f);
        OK(partition_checkpoint_now(f.p, NULL));
        partition_stats(f.p, &st);
        uint64_t first = st.checkpoint_newest;
        f.p->conf.checkpoint_bytes = rows[i].bytes;
        f.p->conf.checkpoint_ms = rows[i].ms;
        live_start(&l, &f);
        str_init(&bytes, 0);
        pattern(&bytes, 2 << 20, 1);
        if (rows[i].change) {
            live_put(&l, 0, 1, str_slice(&bytes), SLICE_LIT(""), 1 << 20, &a);
            OK(a.err);
        }
        keep_some_times(&f);
        for (unsigned n = 0; n < (rows[i].made ? 300 : 3); n++) {
            partition_stats(f.p, &st);
            if (st.checkpoint_newest != first)
                break;
            usleep(10000);
        }
        assert_int_equal(st.checkpoint_newest != first, rows[i].made);
        str_fini(&bytes);
        live_stop(&l);
        fixture_stop(&f);
    }
}

/* An unfinished message keeps the log from its first part on; a loop that does not turn keeps all of it. */
static void segments_stay(void **state)
{
    struct fixture f;
    struct live l;
    struct part_rec rec;
    struct part_body *b;
    struct str bytes;
    struct answer a;
    sem_t go;
    fixture_start(&f);
    live_start(&l, &f);
    part_rec_init(&rec);
    str_init(&bytes, 0);
    sem_init(&go, 0, 0);
    live_run(&l, 0, pin_begin, &b);
    pattern(&bytes, 1 << 20, 1);
    for (unsigned i = 0; i < 10; i++) { /* the same slot: what it held is let go */
        live_put(&l, 1, 1, str_slice(&bytes), SLICE_LIT(""), 1 << 20, &a);
        OK(a.err);
    }
    for (unsigned i = 0; i < 2; i++) {
        OK(partition_checkpoint_now(f.p, NULL));
        op_make(&rec, i);
        OK(live_one(&l, 0, &rec).err);
    }
    keep_some_times(&f);
    assert_int_equal(first_position(&f), 0);
    live_run(&l, 0, pin_end, &b);
    live_send(&l, 0, block_fn, &go);
    for (unsigned i = 0; i < 1000 && journal_stream_floor(f.p->journal) != UINT64_MAX; i++)
        usleep(1000);
    assert_int_equal(journal_stream_floor(f.p->journal), UINT64_MAX);
    keep_some_times(&f);
    assert_int_equal(first_position(&f), 0);
    sem_post(&go);
    keep_and_wait(&f, 1);
    assert_true(first_position(&f) > 0);
    str_fini(&bytes);
    part_rec_fini(&rec);
    live_stop(&l);
    fixture_stop(&f);
}

/* Several messages in one record: one inside it, one that was told to leave, one that was too long. */
#define SEVERAL 3
static const size_t several_bytes[SEVERAL] = {1000, 5000, 400000};
struct several {
    struct part_body *body[SEVERAL];
    struct part_rec rec;
    sem_t built;
    bool is_built;
};

static void several_step(void *owner)
{
    struct several *x = owner;
    for (unsigned i = 0; i < SEVERAL; i++) {
        enum ms_err err = part_body_finish(x->body[i], SLICE_LIT("cache"), true);
        if (err == MS_EMORE)
            return;
        OK(err);
    }
    if (x->is_built)
        return;
    x->is_built = true;
    for (unsigned i = 0; i < SEVERAL; i++) {
        struct str *op = part_rec_op_begin(&x->rec, T_PUT, 1);
        str_add_le64(op, i);
        part_body_emit(x->body[i], &x->rec, op);
        part_rec_op_end(&x->rec);
    }
    assert_int_equal(x->rec.body_bytes, several_bytes[0]);
    assert_int_equal(x->rec.more_stream_count, 1);
    sem_post(&x->built);
}

static void several_begin(struct live *l, unsigned loop, void *arg)
{
    struct several *x = arg;
    struct str bytes;
    part_rec_init(&x->rec);
    str_init(&bytes, 0);
    for (unsigned i = 0; i < SEVERAL; i++) {
        x->body[i] = part_body_create(l->clients[loop], 1 << 30, several_step, x);
        str_reset(&bytes);
        pattern(&bytes, several_bytes[i], i);
        OK(part_body_add(x->body[i], str_slice(&bytes)));
    }
    part_body_spill(x->body[1]);
    str_fini(&bytes);
    several_step(x);
}

static void several_end(struct live *l, unsigned loop, void *arg)
{
    struct several *x = arg;
    part_rec_fini(&x->rec);
    for (unsigned i = 0; i < SEVERAL; i++)
        part_body_destroy(&x->body[i]);
}

static void no_streams_left(struct fixture *f)
{
    for (unsigned i = 0; i < 2000 && journal_stream_floor(f->p->journal) != UINT64_MAX; i++)
        usleep(1000);
    assert_int_equal(journal_stream_floor(f->p->journal), UINT64_MAX);
}

static void several_bodies(void **state)
{
    struct fixture f;
    struct live l;
    struct str bytes, got;
    fixture_start(&f);
    live_start(&l, &f);
    str_init(&bytes, 0);
    str_init(&got, 0);
    for (unsigned give_up = 0; give_up < 2; give_up++) {
        struct several x = {.is_built = false};
        struct answer a = {0};
        sem_init(&x.built, 0, 0);
        live_run(&l, 0, several_begin, &x);
        sem_wait(&x.built);
        if (!give_up)
            live_post(&l, 0, &x.rec, &a);
        OK(a.err);
        live_run(&l, 0, several_end, &x);
        no_streams_left(&f);
    }
    for (unsigned i = 0; i < SEVERAL; i++) {
        str_reset(&bytes);
        pattern(&bytes, several_bytes[i], i);
        slot_bytes(f.p, i, &got);
        assert_true(slice_eq(str_slice(&got), str_slice(&bytes)));
    }
    str_fini(&bytes);
    str_fini(&got);
    live_stop(&l);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_bodies),
        cmocka_unit_test(many_posts),
        cmocka_unit_test(durable_or_visible),
        cmocka_unit_test(forgotten),
        cmocka_unit_test(bodies),
        cmocka_unit_test(streams_given_up),
        cmocka_unit_test(in_flight_is_bounded),
        cmocka_unit_test(readers),
        cmocka_unit_test(windows),
        cmocka_unit_test(damaged_messages),
        cmocka_unit_test(feed),
        cmocka_unit_test(feed_overflow),
        cmocka_unit_test(segments_go),
        cmocka_unit_test(segments_stay),
        cmocka_unit_test(checkpoints_when_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
