/*
 * Random ops and random deaths against a model. Seeds are printed; TEST_PART_SEED runs one, TEST_PART_ROUNDS
 * that many.
 *
 * One thread: a child applies random records and dies inside an op, between append and apply, or by exit;
 * what it was told is in shared memory. The state found afterwards is that of the model after all answered
 * records, or after one more. Running: a child posts from two loops and is killed. Every answered record is
 * there once, every other at most once.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "part_live.h"

enum { KEYS = 8, SLOTS = 12, STEPS = 60, VALUES = 5 };

struct model {
    int64_t counters[KEYS]; /* INT64_MIN: none */
    int slots[SLOTS];       /* number of the message, -1: none */
};

static void model_init(struct model *m)
{
    for (unsigned i = 0; i < KEYS; i++)
        m->counters[i] = INT64_MIN;
    for (unsigned i = 0; i < SLOTS; i++)
        m->slots[i] = -1;
}

static void message(struct str *out, int number)
{
    pattern(out, (size_t)(number * 977 % 6000), (uint64_t)number);
}

/* The step of a seed is always the same: builds the record and moves the model. */
static void step(unsigned seed, unsigned n, struct model *m, struct part_rec *rec, struct partition *p)
{
    unsigned s = seed * 7919 + n * 104729;
    unsigned ops = (unsigned)rand_r(&s) % 4 + 1;
    bool has_body = false;
    for (unsigned i = 0; i < ops; i++) {
        unsigned key = (unsigned)rand_r(&s) % KEYS, slot = (unsigned)rand_r(&s) % SLOTS;
        int64_t delta = rand_r(&s) % 7 - 3;
        switch (rand_r(&s) % 5) {
        case 0:
            if (rec)
                op_make(rec, key);
            m->counters[key] = 0;
            break;
        case 1:
        case 2:
            if (rec)
                op_add(rec, key, delta);
            if (m->counters[key] != INT64_MIN && m->counters[key] + delta >= 0)
                m->counters[key] += delta;
            break;
        case 3:
            if (has_body)
                break;
            has_body = true;
            if (rec) {
                struct str bytes;
                str_init(&bytes, 0);
                message(&bytes, (int)n);
                op_put(rec, slot, str_slice(&bytes), slice_sub(str_slice(&bytes), 0, n % 3 * 1000), n % 2);
                str_fini(&bytes);
            }
            m->slots[slot] = (int)n;
            break;
        default:
            if (rec)
                op_drop(rec, slot);
            m->slots[slot] = -1;
        }
    }
    if (rec && rec->count == 0)
        op_broken(rec);
}

static bool state_is(struct partition *p, const struct model *m)
{
    struct str want, got;
    bool same = true;
    str_init(&want, 0);
    str_init(&got, 0);
    for (unsigned i = 0; i < KEYS; i++)
        same &= counter_get(p, i) == m->counters[i];
    for (unsigned i = 0; i < SLOTS && same; i++) {
        same = (slot_get(p, i) != 0) == (m->slots[i] >= 0);
        if (same && m->slots[i] >= 0) {
            message(&want, m->slots[i]);
            slot_bytes(p, i, &got);
            same = slice_eq(str_slice(&want), str_slice(&got));
        }
    }
    str_fini(&want);
    str_fini(&got);
    return same;
}

static void model_at(unsigned seed, unsigned steps, struct model *m)
{
    model_init(m);
    for (unsigned n = 0; n < steps; n++)
        step(seed, n, m, NULL, NULL);
}

/* -- one thread ----------------------------------------------------------------------------------- */

static atomic_uint *answered;

static void child_one_thread(struct fixture *f, unsigned seed, unsigned from, unsigned s)
{
    struct part_rec rec;
    struct model m;
    part_rec_init(&rec);
    model_at(seed, from, &m);
    fixture_open(f);
    fixture_recover(f, rand_r(&s) % 8 ? PART_RECOVER_NORMAL : PART_REBUILD);
    unsigned until = from + (unsigned)rand_r(&s) % 12;
    int die = rand_r(&s) % 3;
    for (unsigned n = from; n < STEPS; n++) {
        if (rand_r(&s) % 10 == 0 && partition_checkpoint_now(f->p, NULL))
            _exit(2);
        step(seed, n, &m, &rec, f->p);
        if (n == until && die == 0) {
            op_crash(&rec, 1000);
            test_crash = true;               /* inside, behind the ops of the record */
        } else if (n == until && die == 1) { /* in the log, not in the index */
            struct str all;
            str_init(&all, 0);
            part__rec_finish(&rec);
            str_add_slice(&all, str_slice(&rec.meta));
            for (const struct mbuf *b = rec.body; b; b = b->next)
                str_add_slice(&all, mbuf_slice(b));
            _exit(journal_append_sync(f->p->journal, JOURNAL_REC_USER, 1, str_slice(&all), NULL, NULL) ? 2
                                                                                                       : 0);
        } else if (n == until) {
            _exit(0);
        }
        if (partition_apply_sync(f->p, &rec, NULL, NULL, NULL))
            _exit(2);
        atomic_store(answered, n + 1);
    }
    _exit(0);
}

static void hurt(struct fixture *f, unsigned *s)
{
    switch (rand_r(s) % 6) {
    case 0:
        fixture_sh(f, "rm -f index.mdb");
        break;
    case 1:
        fixture_sh(f, "rm -f checkpoints/*");
        break;
    case 2:
        fixture_sh(f, "rm -f index.mdb checkpoints/*");
        break;
    case 3:
        fixture_sh(
            f, "touch index.mdb; dd if=/dev/urandom of=index.mdb bs=4096 count=2 conv=notrunc 2>/dev/null");
        break;
    default:
        break;
    }
}

static void one_thread(unsigned seed)
{
    struct fixture f;
    struct str out;
    unsigned s = seed, at = 0;
    str_init(&out, 0);
    fixture_start(&f);
    fixture_close(&f);
    while (at < STEPS) {
        atomic_store(answered, at);
        pid_t pid = fork();
        if (pid == 0)
            child_one_thread(&f, seed, at, (unsigned)rand_r(&s));
        (void)rand_r(&s);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 99))
            fail_msg("seed %u: child ended with %x", seed, status);
        hurt(&f, &s);
        fixture_open(&f);
        fixture_recover(&f, PART_RECOVER_NORMAL);
        struct model m;
        model_at(seed, at = atomic_load(answered), &m);
        if (!state_is(f.p, &m)) {
            step(seed, at++, &m, NULL, NULL);
            if (!state_is(f.p, &m))
                fail_msg("seed %u: after %u or %u records the index is neither", seed, at - 1, at);
        }
        if (verify(f.p, &out))
            fail_msg("seed %u: %s", seed, str_cstr(&out));
        fixture_close(&f);
    }
    str_fini(&out);
    fixture_stop(&f);
}

/* -- running -------------------------------------------------------------------------------------- */

enum { LIVE_KEYS = 20000 };
static atomic_uchar *acked; /* one per key */
static atomic_uint *acked_count;

struct stream {
    struct live *l;
    unsigned loop;
    struct part_rec rec;
    unsigned next, out;
};

static void stream_fill(struct stream *x);

static void on_stream(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct stream *x = owner;
    struct rd r = rd_make(reply->result);
    if (reply->err)
        _exit(3);
    (void)rd_u8(&r);
    (void)rd_u64(&r);
    (void)rd_u8(&r);
    (void)rd_u64(&r);
    if (rd_u8(&r) != MS_OK)
        _exit(4);
    atomic_store(&acked[rd_u64(&r)], 1); /* third op: value is the key */
    atomic_fetch_add(acked_count, 1);
    x->out--;
    stream_fill(x);
}

static void stream_fill(struct stream *x)
{
    while (x->out < 16 && x->next < LIVE_KEYS) {
        uint64_t request, key = x->next;
        op_make(&x->rec, key);
        op_add(&x->rec, key, 1);
        op_add(&x->rec, key + LIVE_KEYS, (int64_t)key); /* its counter was made with 0 before */
        if (key % 5 == 0)
            op_put(&x->rec, key, SLICE_LIT("message"), SLICE_LIT(""), true);
        if (part_post(x->l->clients[x->loop], &x->rec, on_stream, x, &request))
            _exit(5);
        x->next += LIVE_LOOPS;
        x->out++;
    }
}

static void stream_begin(struct live *l, unsigned loop, void *arg)
{
    stream_fill(arg);
}

static void child_running(struct fixture *f, unsigned first)
{
    static struct live l;
    static struct stream streams[LIVE_LOOPS];
    fixture_open(f);
    fixture_recover(f, PART_RECOVER_NORMAL);
    live_start(&l, f);
    for (unsigned i = 0; i < LIVE_LOOPS; i++) {
        streams[i] = (struct stream){.l = &l, .loop = i, .next = first + i};
        part_rec_init(&streams[i].rec);
        live_send(&l, i, stream_begin, &streams[i]);
    }
    for (;;) {
        partition_housekeep(f->p);
        (void)!partition_checkpoint_now(f->p, NULL);
        usleep(3000);
    }
}

static void running(unsigned seed)
{
    struct fixture f;
    struct part_rec rec;
    struct str out;
    unsigned s = seed, first = 0;
    str_init(&out, 0);
    fixture_start(&f);
    part_rec_init(&rec);
    memset((void *)acked, 0, LIVE_KEYS);
    for (unsigned i = 0; i < LIVE_KEYS; i++) {
        op_make(&rec, i + LIVE_KEYS);
        if (i % 1000 == 999)
            OK(partition_apply_sync(f.p, &rec, NULL, NULL, NULL));
    }
    fixture_close(&f);
    for (unsigned round = 0; round < 5; round++) {
        pid_t pid = fork();
        if (pid == 0)
            child_running(&f, first);
        unsigned enough = atomic_load(acked_count) + (unsigned)rand_r(&s) % 2000;
        for (unsigned i = 0; i < 10000 && atomic_load(acked_count) < enough; i++)
            usleep(500);
        kill(pid, SIGKILL);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFSIGNALED(status))
            fail_msg("seed %u: child ended with %x", seed, status);
        fixture_open(&f);
        fixture_recover(&f, PART_RECOVER_NORMAL);
        unsigned there = 0;
        for (unsigned key = 0; key < LIVE_KEYS; key++) {
            int64_t v = counter_get(f.p, key), w = counter_get(f.p, key + LIVE_KEYS);
            if (v == INT64_MIN && w == 0 && !atomic_load(&acked[key]))
                continue;
            if (v != 1 || w != key || (key % 5 == 0) != (slot_get(f.p, key) != 0))
                fail_msg("seed %u: key %u: %lld %lld, answered %u", seed, key, (long long)v, (long long)w,
                         atomic_load(&acked[key]));
            there++;
            first = (key + LIVE_LOOPS) / LIVE_LOOPS * LIVE_LOOPS;
        }
        print_message("#   %u records there\n", there);
        if (verify(f.p, &out))
            fail_msg("seed %u: %s", seed, str_cstr(&out));
        fixture_close(&f);
    }
    part_rec_fini(&rec);
    str_fini(&out);
    fixture_stop(&f);
}

static void for_seeds(void (*fn)(unsigned), unsigned rounds)
{
    const char *seed = getenv("TEST_PART_SEED"), *more = getenv("TEST_PART_ROUNDS");
    unsigned base = seed ? (unsigned)strtoul(seed, NULL, 10) : (unsigned)time(NULL);
    if (more)
        rounds = (unsigned)strtoul(more, NULL, 10);
    for (unsigned i = 0; i < (seed ? 1 : rounds); i++) {
        print_message("# seed %u\n", base + i);
        fn(base + i);
    }
}

static void random_one_thread(void **state)
{
    answered = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for_seeds(one_thread, 4);
}

static void random_running(void **state)
{
    acked_count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    acked = mmap(NULL, LIVE_KEYS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for_seeds(running, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_one_thread),
        cmocka_unit_test(random_running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
