/*
 * The lane with its threads: several producers, an applier that answers what the lane does not, every request
 * answered once, FIFO per producer, the lag bound, streams, admission, stop.
 */
#include "journal_fixture.h"

#include <pthread.h>

#include "ms/base/clock.h"

#define PRODUCERS 3
#define SLOTS     64

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define REQUESTS 3000
#else
#define REQUESTS 12000
#endif

struct rig;

struct producer {
    struct rig *rig;
    struct bus_ep *ep;
    pthread_t thread;
    unsigned number;
    unsigned requests;
    unsigned sent, answered;
    uint8_t *got; /* answers per request */
    uint64_t *position;
    unsigned errors[MS_ERR_COUNT];
    uint64_t last_durable;
};

struct rig {
    char *dir;
    struct journal *j;
    struct bus *bus;
    struct bus_ep *lane;
    struct bus_ep *applier;
    struct producer producers[PRODUCERS];
    pthread_t applier_thread;
    /* lane -> applier */
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct journal_batch *queue[JOURNAL_BATCHES];
    unsigned head, tail;
    bool hold; /* the applier returns nothing */
    bool end;
    uint64_t out_bytes, out_ops, out_bytes_max, out_ops_max;
    unsigned batches_max;
    /* the applier's view */
    uint64_t next_position;
    uint64_t next_of[PRODUCERS];
    uint64_t order_errors;
    uint64_t seen;
};

/* -- applier ---------------------------------------------------------------------------------- */

static void on_batch(void *owner, struct journal_batch *batch)
{
    struct rig *rig = owner;
    pthread_mutex_lock(&rig->lock);
    rig->queue[rig->tail++ % JOURNAL_BATCHES] = batch;
    rig->out_bytes += batch->bytes;
    rig->out_ops += batch->count;
    rig->out_bytes_max = MS_MAX(rig->out_bytes_max, rig->out_bytes);
    rig->out_ops_max = MS_MAX(rig->out_ops_max, rig->out_ops);
    rig->batches_max = MS_MAX(rig->batches_max, rig->tail - rig->head);
    pthread_cond_signal(&rig->more);
    pthread_mutex_unlock(&rig->lock);
}

static void apply_entry(struct rig *rig, struct journal_batch_entry *e)
{
    unsigned who = (unsigned)(e->request >> 32);
    uint64_t n = (uint32_t)e->request;
    if (e->rec.position != rig->next_position && rig->next_position != 0)
        rig->order_errors++;
    rig->next_position = e->rec.end;
    if (who >= PRODUCERS || n < rig->next_of[who])
        rig->order_errors++; /* FIFO per producer */
    else
        rig->next_of[who] = n + 1;
    if (e->answered != ((e->flags & (JOURNAL_F_ACK_DURABLE | JOURNAL_F_PART)) != 0))
        rig->order_errors++;
    if (!e->answered) {
        struct bus_msg reply = {
            .kind = JOURNAL_MSG_APPENDED, .id = e->request, .a = {MS_OK, e->rec.position}};
        bus_reply(rig->applier, rig->lane, e->from, &reply);
    }
    rig->seen++;
}

static void *applier_main(void *arg)
{
    struct rig *rig = arg;
    pthread_mutex_lock(&rig->lock);
    for (;;) {
        while (rig->head == rig->tail || rig->hold) {
            if (rig->end && rig->head == rig->tail) {
                pthread_mutex_unlock(&rig->lock);
                return NULL;
            }
            pthread_cond_wait(&rig->more, &rig->lock);
        }
        struct journal_batch *batch = rig->queue[rig->head++ % JOURNAL_BATCHES];
        rig->out_bytes -= batch->bytes;
        rig->out_ops -= batch->count;
        pthread_mutex_unlock(&rig->lock);
        for (unsigned i = 0; i < batch->count; i++)
            apply_entry(rig, &batch->entries[i]);
        if (journal_end_pos(rig->j) < batch->mark.position)
            rig->order_errors++; /* handed over before it was durable */
        journal_batch_done(rig->j, batch);
        pthread_mutex_lock(&rig->lock);
    }
}

static void set_hold(struct rig *rig, bool hold)
{
    pthread_mutex_lock(&rig->lock);
    rig->hold = hold;
    pthread_cond_signal(&rig->more);
    pthread_mutex_unlock(&rig->lock);
}

/* -- producers -------------------------------------------------------------------------------- */

static void on_answer(void *owner, const struct bus_msg *msg)
{
    struct producer *p = owner;
    uint32_t n = (uint32_t)msg->id;
    MS_ASSERT(msg->id >> 32 == p->number && n < p->requests && msg->body == NULL);
    p->got[n]++;
    p->answered++;
    p->errors[msg->a[0]]++;
    p->position[n] = msg->a[1];
}

static struct bus_msg request(struct producer *p, size_t len, uint16_t flags)
{
    uint32_t crc;
    struct bus_msg msg = {
        .kind = JOURNAL_MSG_APPEND, .flags = flags, .id = (uint64_t)p->number << 32 | p->sent};
    msg.body = fx_body(len, msg.id + 1, &crc);
    if (len > 64 && p->sent % 3 == 0) { /* two pieces */
        struct mbuf *second = mbuf_from(slice_sub(mbuf_slice(msg.body), 32, len));
        msg.body->len = 32;
        msg.body->next = second;
    }
    msg.a[0] = JOURNAL_REC_USER | 1u << 16;
    msg.a[1] = crc;
    msg.a[2] = len;
    return msg;
}

static bool send_request(struct producer *p, struct bus_msg *msg)
{
    if (bus_call(p->ep, p->rig->lane, msg) != MS_OK) {
        mbuf_unref_chain(&msg->body);
        return false;
    }
    p->sent++;
    return true;
}

static void wait_answers(struct producer *p, unsigned count)
{
    uint64_t until = clock_mono_ms() + 20000;
    while (p->answered < count && clock_mono_ms() < until) {
        if (bus_poll(p->ep) == 0)
            bus_wait(p->ep, 100);
    }
    MS_ASSERT(p->answered >= count);
}

static void *producer_main(void *arg)
{
    struct producer *p = arg;
    struct fx_rng rng = {p->number + 11};
    while (p->sent < p->requests) {
        size_t len = 8 + fx_below(&rng, p->sent % 50 ? 900 : 40000);
        struct bus_msg msg = request(p, len, p->sent % 2 ? JOURNAL_F_ACK_DURABLE : 0);
        while (bus_call_room(p->ep, p->rig->lane) == 0) {
            if (bus_poll(p->ep) == 0)
                bus_wait(p->ep, 1000);
        }
        MS_ASSERT(send_request(p, &msg));
    }
    wait_answers(p, p->requests);
    return NULL;
}

static void on_overflow(void *owner)
{
    MS_UNREACHABLE();
}

static void rig_start(struct rig *rig, unsigned requests)
{
    struct ms_errinfo why;
    memset(rig, 0, sizeof(*rig));
    rig->dir = fx_dir();
    rig->j = fx_recovered(rig->dir, 0);
    rig->bus = bus_create();
    rig->lane = bus_ep_create(rig->bus, "lane", NULL);
    rig->applier = bus_ep_create(rig->bus, "applier", NULL);
    pthread_mutex_init(&rig->lock, NULL);
    pthread_cond_init(&rig->more, NULL);
    for (unsigned i = 0; i < PRODUCERS; i++) {
        struct producer *p = &rig->producers[i];
        p->rig = rig;
        p->number = i;
        p->requests = requests;
        p->got = ms_alloc(requests);
        p->position = ms_alloc_array(requests, 8);
        p->ep = bus_ep_create(rig->bus, "producer", NULL);
        bus_link(rig->bus, p->ep, rig->lane, SLOTS);
        bus_link_reply(rig->bus, p->ep, rig->applier, rig->lane);
        bus_note_link(rig->bus, p->ep, rig->lane, SLOTS, on_overflow, rig);
        bus_on(p->ep, JOURNAL_MSG_APPENDED, on_answer, p);
    }
    if (journal_start(rig->j, rig->bus, rig->lane, on_batch, rig, &why) != MS_OK)
        fail_msg("start: %s", why.text);
    assert_int_equal(pthread_create(&rig->applier_thread, NULL, applier_main, rig), 0);
    assert_int_equal(journal_state(rig->j), JOURNAL_SERVING);
}

static void rig_stop(struct rig *rig)
{
    journal_stop(rig->j);
    pthread_mutex_lock(&rig->lock);
    rig->end = true;
    pthread_cond_signal(&rig->more);
    pthread_mutex_unlock(&rig->lock);
    pthread_join(rig->applier_thread, NULL);
}

static void rig_fini(struct rig *rig)
{
    journal_close(&rig->j);
    bus_destroy(&rig->bus);
    for (unsigned i = 0; i < PRODUCERS; i++) {
        ms_free(rig->producers[i].got);
        ms_free(rig->producers[i].position);
    }
    pthread_cond_destroy(&rig->more);
    pthread_mutex_destroy(&rig->lock);
    fx_remove(&rig->dir);
}

static struct rig rig;
static struct fx_log seen;

/* -- cases ------------------------------------------------------------------------------------ */

static enum ms_err count_record(void *owner, const struct journal_record *rec)
{
    uint64_t *count = owner;
    *count += rec->kind == JOURNAL_REC_USER;
    return MS_OK;
}

static void all_answered_once(void **state)
{
    struct ms_errinfo why;
    struct journal_stats stats;
    rig_start(&rig, REQUESTS);
    for (unsigned i = 0; i < PRODUCERS; i++)
        assert_int_equal(pthread_create(&rig.producers[i].thread, NULL, producer_main, &rig.producers[i]), 0);
    for (unsigned i = 0; i < PRODUCERS; i++)
        pthread_join(rig.producers[i].thread, NULL);
    rig_stop(&rig);
    assert_int_equal(rig.order_errors, 0);
    assert_int_equal(rig.seen, PRODUCERS * REQUESTS);
    for (unsigned i = 0; i < PRODUCERS; i++) {
        const struct producer *p = &rig.producers[i];
        assert_int_equal(p->errors[MS_OK], REQUESTS);
        for (unsigned k = 0; k < REQUESTS; k++) {
            assert_int_equal(p->got[k], 1);
            assert_true(k == 0 || p->position[k] > p->position[k - 1]);
        }
    }
    journal_stats(rig.j, &stats);
    assert_int_equal(stats.records, PRODUCERS * REQUESTS);
    assert_true(stats.batches < stats.records);
    static struct journal_seg_info segs[256]; /* no batch goes over the end of its segment */
    size_t segments = journal_segments(rig.j, segs, MS_ARRAY_LEN(segs));
    assert_true(segments > 2 && segments <= MS_ARRAY_LEN(segs));
    for (size_t i = 0; i < segments; i++)
        assert_true(segs[i].file_bytes <= JOURNAL_SEGMENT_MIN);
    journal_close(&rig.j);
    rig.j = fx_recovered(rig.dir, 0);
    uint64_t count = 0;
    assert_int_equal(journal_replay(rig.j, 0, true, count_record, NULL, &count, &why), MS_OK);
    assert_int_equal(count, PRODUCERS * REQUESTS);
    rig_fini(&rig);
}

/* Nothing more is taken while the applier holds more than the bound; then all goes on. */
static void lag_is_bounded(void **state)
{
    struct journal_stats stats;
    struct producer *p = &rig.producers[0];
    rig_start(&rig, 100);
    set_hold(&rig, true);
    for (unsigned i = 0; i < SLOTS; i++) { /* 64 MB in all */
        struct bus_msg msg = request(p, 1000000, JOURNAL_F_ACK_DURABLE);
        assert_true(send_request(p, &msg));
    }
    uint64_t until = clock_mono_ms() + 20000;
    do {
        usleep(20000);
        journal_stats(rig.j, &stats);
    } while (stats.lag_waits == 0 && clock_mono_ms() < until);
    assert_true(stats.lag_waits > 0);
    uint64_t end = journal_end_pos(rig.j);
    usleep(100000);
    assert_int_equal(journal_end_pos(rig.j), end);
    pthread_mutex_lock(&rig.lock);
    assert_true(rig.out_bytes > JOURNAL_LAG_BYTES);
    assert_true(rig.out_bytes_max <= JOURNAL_LAG_BYTES + JOURNAL_BATCH_BYTES + JOURNAL_PAYLOAD_MAX);
    pthread_mutex_unlock(&rig.lock);
    set_hold(&rig, false);
    wait_answers(p, SLOTS);
    assert_int_equal(p->errors[MS_OK], SLOTS);
    rig_stop(&rig);
    assert_int_equal(rig.order_errors, 0);
    rig_fini(&rig);
}

/* As many batches as there are: each request waits for the one before. */
static void batches_are_bounded(void **state)
{
    struct producer *p = &rig.producers[0];
    struct journal_stats stats;
    rig_start(&rig, 200);
    set_hold(&rig, true);
    for (unsigned i = 0; i < JOURNAL_BATCHES; i++) {
        struct bus_msg msg = request(p, 16, JOURNAL_F_ACK_DURABLE);
        assert_true(send_request(p, &msg));
        wait_answers(p, i + 1);
    }
    struct bus_msg msg = request(p, 16, JOURNAL_F_ACK_DURABLE);
    assert_true(send_request(p, &msg));
    usleep(100000);
    bus_poll(p->ep);
    assert_int_equal(p->answered, JOURNAL_BATCHES);
    journal_stats(rig.j, &stats);
    assert_int_equal(stats.batches, JOURNAL_BATCHES);
    assert_true(stats.lag_waits > 0 && stats.lag_waits < 10); /* asleep, not spinning */
    set_hold(&rig, false);
    wait_answers(p, JOURNAL_BATCHES + 1);
    rig_stop(&rig);
    rig_fini(&rig);
}

/* What was sent before stop is written and answered. */
static void stop_drains(void **state)
{
    struct producer *p = &rig.producers[0];
    rig_start(&rig, 200);
    for (unsigned i = 0; i < SLOTS; i++) {
        struct bus_msg msg = request(p, 3000, i % 2 ? JOURNAL_F_ACK_DURABLE : 0);
        assert_true(send_request(p, &msg));
    }
    rig_stop(&rig);
    while (bus_poll(p->ep) > 0)
        continue;
    assert_int_equal(p->errors[MS_OK], SLOTS);
    assert_int_equal(journal_state(rig.j), JOURNAL_CLOSED);
    rig_fini(&rig);
}

static void admission(void **state)
{
    struct producer *p = &rig.producers[0];
    struct bus_msg msg;
    rig_start(&rig, 200);
    set_hold(&rig, true);
    journal_set_admission(rig.j, false, MS_EOFFLINE);
    for (unsigned i = 0; i < 10; i++) {
        msg = request(p, 100, 0);
        assert_true(send_request(p, &msg));
    }
    wait_answers(p, 10);
    assert_int_equal(p->errors[MS_EOFFLINE], 10);
    journal_set_admission(rig.j, true, MS_OK);
    set_hold(&rig, false);
    msg = request(p, 100, 0);
    assert_true(send_request(p, &msg));
    wait_answers(p, 11);
    assert_int_equal(p->errors[MS_OK], 1);
    rig_stop(&rig);
    rig_fini(&rig);
}

static void bad_requests(void **state)
{
    static const struct {
        const char *name;
        uint64_t kind, bytes;
        size_t len;
        uint16_t flags;
        enum ms_err want;
    } rows[] = {
        {"no body", JOURNAL_REC_USER, 0, 0, 0, MS_OK},
        {"length says less", JOURNAL_REC_USER, 99, 100, 0, MS_EINVAL},
        {"length says more", JOURNAL_REC_USER, 101, 100, 0, MS_EINVAL},
        {"kind 0", 1u << 16, 100, 100, 0, MS_EINVAL},
        {"RECOVERED is the journal's own", JOURNAL_REC_RECOVERED, 100, 100, 0, MS_EINVAL},
        {"part without its flag", JOURNAL_REC_PART, 100, 100, 0, MS_EINVAL},
        {"flag without part", JOURNAL_REC_USER, 100, 100, JOURNAL_F_PART, MS_EINVAL},
        {"unknown flag", JOURNAL_REC_USER, 100, 100, 0x4000, MS_EINVAL},
        {"too large", JOURNAL_REC_USER, JOURNAL_PAYLOAD_MAX + 1, JOURNAL_PAYLOAD_MAX + 1, 0, MS_ELIMIT},
        {"largest", JOURNAL_REC_USER, JOURNAL_PAYLOAD_MAX, JOURNAL_PAYLOAD_MAX, 0, MS_OK},
        {"ends an unknown stream", JOURNAL_REC_USER, 100, 100, JOURNAL_F_ENDS_STREAM, MS_EGONE},
        {"skip", JOURNAL_REC_SKIP, 8, 8, JOURNAL_F_ACK_DURABLE, MS_OK},
    };
    struct producer *p = &rig.producers[0];
    rig_start(&rig, 200);
    for (unsigned i = 0; i < MS_ARRAY_LEN(rows); i++) {
        unsigned before = p->errors[rows[i].want];
        struct bus_msg msg = request(p, rows[i].len, rows[i].flags);
        msg.a[0] = rows[i].kind;
        msg.a[2] = rows[i].bytes;
        msg.a[3] = rows[i].flags & JOURNAL_F_ENDS_STREAM ? 5 : 0;
        if (rows[i].len == 0)
            mbuf_unref_chain(&msg.body);
        assert_true(send_request(p, &msg));
        wait_answers(p, i + 1);
        if (p->errors[rows[i].want] != before + 1)
            fail_msg("%s", rows[i].name);
    }
    struct bus_msg msg = request(p, 10, 0); /* too many pieces */
    for (unsigned i = 0; i < JOURNAL_PIECES_MAX; i++) {
        struct mbuf *piece = mbuf_from(SLICE_LIT("x"));
        piece->next = msg.body;
        msg.body = piece;
    }
    msg.a[2] = 10 + JOURNAL_PIECES_MAX;
    assert_true(send_request(p, &msg));
    wait_answers(p, p->sent);
    assert_int_equal(p->errors[MS_ELIMIT], 2);
    msg = request(p, 10, 0); /* as many as are allowed */
    struct mbuf *first = msg.body;
    uint8_t all[10 + JOURNAL_PIECES_MAX];
    memset(all, 'x', sizeof(all));
    memcpy(all + JOURNAL_PIECES_MAX - 1, mbuf_data(first), 10);
    for (unsigned i = 0; i + 1 < JOURNAL_PIECES_MAX; i++) {
        struct mbuf *piece = mbuf_from(SLICE_LIT("x"));
        piece->next = msg.body;
        msg.body = piece;
    }
    msg.a[1] = crc32c_add(0, all, JOURNAL_PIECES_MAX + 9);
    msg.a[2] = JOURNAL_PIECES_MAX + 9;
    assert_true(send_request(p, &msg));
    wait_answers(p, p->sent);
    assert_int_equal(p->errors[MS_ELIMIT], 2);
    rig_stop(&rig);
    journal_close(&rig.j);
    rig.j = fx_recovered(rig.dir, 0);
    fx_replay(rig.j, 0, &seen);
    assert_int_equal(seen.damage_count, 0);
    assert_int_equal(seen.records[seen.count - 2].bytes, JOURNAL_PIECES_MAX + 9);
    rig_fini(&rig);
}

static void send_part(struct producer *p, uint64_t stream, uint32_t number, enum ms_err want)
{
    uint8_t payload[JOURNAL_PART_PREFIX + 50] = {0};
    unsigned before = p->errors[want];
    ms_put_le64(payload, stream);
    ms_put_le32(payload + 8, number);
    struct bus_msg msg = {.kind = JOURNAL_MSG_APPEND, .flags = JOURNAL_F_PART, .id = p->sent};
    msg.a[0] = JOURNAL_REC_PART | 1u << 16;
    msg.a[1] = crc32c_add(0, payload, sizeof(payload));
    msg.a[2] = sizeof(payload);
    msg.a[3] = stream;
    msg.body = mbuf_from(slice_make(payload, sizeof(payload)));
    assert_true(send_request(p, &msg));
    wait_answers(p, p->sent);
    assert_int_equal(p->errors[want], before + 1);
}

static void wait_floor(uint64_t want)
{
    uint64_t until = clock_mono_ms() + 10000;
    while (journal_stream_floor(rig.j) != want && clock_mono_ms() < until)
        usleep(1000);
    assert_int_equal(journal_stream_floor(rig.j), want);
}

static void abort_stream(struct producer *p, uint64_t stream)
{
    struct bus_msg note = {.kind = JOURNAL_MSG_STREAM_ABORT, .a = {stream}};
    assert_true(bus_note(p->ep, rig.lane, &note));
}

static void streams(void **state)
{
    struct producer *p = &rig.producers[0];
    rig_start(&rig, 200);
    assert_true(journal_stream_floor(rig.j) == UINT64_MAX);
    send_part(p, 7, 0, MS_OK);
    uint64_t first = p->position[0];
    send_part(p, 8, 0, MS_OK);
    uint64_t second = p->position[1];
    send_part(p, 7, 1, MS_OK);
    assert_int_equal(journal_stream_floor(rig.j), first);
    send_part(p, 9, 1, MS_EGONE); /* its first part was never taken */
    /* The op of stream 7 pins it until it was applied. */
    set_hold(&rig, true);
    struct bus_msg msg = request(p, 64, JOURNAL_F_ENDS_STREAM | JOURNAL_F_ACK_DURABLE);
    msg.a[3] = 7;
    assert_true(send_request(p, &msg));
    wait_answers(p, p->sent);
    assert_int_equal(journal_stream_floor(rig.j), first);
    send_part(p, 7, 2, MS_EINVAL);
    abort_stream(p, 7); /* too late */
    set_hold(&rig, false);
    wait_floor(second);
    abort_stream(p, 8);
    wait_floor(UINT64_MAX);
    send_part(p, 8, 1, MS_EGONE);
    /* An abort that overtakes the first part. */
    abort_stream(p, 12);
    usleep(20000);
    send_part(p, 12, 0, MS_EGONE);
    assert_true(journal_stream_floor(rig.j) == UINT64_MAX);
    rig_stop(&rig);
    rig_fini(&rig);
}

static void stream_table_is_bounded(void **state)
{
    struct journal_streams *t = ms_new(struct journal_streams);
    journal__streams_init(t);
    for (uint64_t i = 1; i <= JOURNAL_STREAMS_MAX; i++) {
        assert_int_equal(journal__stream_check_part(t, i << 33, 0), MS_OK);
        journal__stream_add_part(t, i << 33, i * 8);
    }
    assert_int_equal(journal__stream_check_part(t, 5, 0), MS_ELIMIT);
    assert_int_equal(journal__stream_check_part(t, 0, 0), MS_EINVAL);
    assert_int_equal(journal__stream_check_part(t, (uint64_t)3 << 33, 9), MS_OK);
    assert_int_equal(atomic_load(&t->floor), 8);
    for (uint64_t i = 1; i <= JOURNAL_STREAMS_MAX; i += 2)
        journal__stream_abort(t, i << 33);
    assert_int_equal(atomic_load(&t->floor), 16);
    for (uint64_t i = 2; i <= JOURNAL_STREAMS_MAX; i += 2) {
        assert_int_equal(journal__stream_check_end(t, i << 33), MS_OK);
        journal__stream_set_ending(t, i << 33);
        assert_int_equal(journal__stream_check_end(t, i << 33), MS_EGONE); /* once */
        journal__stream_applied(t, i << 33);
    }
    assert_true(atomic_load(&t->floor) == UINT64_MAX);
    assert_int_equal(journal__stream_check_part(t, 5, 0), MS_OK);
    ms_free(t);
}

/* The keeper's spares are used, are zeros, and the first segment after recovery gives way to a written one.
 */
static void spares_are_used(void **state)
{
    struct producer *p = &rig.producers[0];
    struct journal_stats stats;
    rig_start(&rig, 200);
    uint64_t until = clock_mono_ms() + 30000;
    do {
        usleep(10000);
        journal_stats(rig.j, &stats);
    } while (stats.prepared_ready < 3 && clock_mono_ms() < until);
    assert_int_equal(stats.prepared_ready, 3); /* two ahead and the reserve */
    for (unsigned i = 0; i < 12; i++) {
        struct bus_msg msg = request(p, 1000000, JOURNAL_F_ACK_DURABLE);
        assert_true(send_request(p, &msg));
        wait_answers(p, i + 1);
    }
    struct journal_seg_info segs[16];
    size_t count = journal_segments(rig.j, segs, 16);
    assert_true(count >= 4);
    assert_true(segs[0].end - segs[0].start < 1000); /* left at the first occasion */
    rig_stop(&rig);
    count = journal_segments(rig.j, segs, 16);
    for (size_t i = 0; i + 1 < count; i++)
        assert_int_equal(segs[i].file_bytes, JOURNAL_DATA_OFFSET + segs[i].end - segs[i].start);
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_answered_once),
        cmocka_unit_test(lag_is_bounded),
        cmocka_unit_test(batches_are_bounded),
        cmocka_unit_test(stop_drains),
        cmocka_unit_test(admission),
        cmocka_unit_test(bad_requests),
        cmocka_unit_test(streams),
        cmocka_unit_test(stream_table_is_bounded),
        cmocka_unit_test(spares_are_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
