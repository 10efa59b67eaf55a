/*
 * The log on a real folder: round trips over several segments, marks, damage, missing and foreign segments,
 * recoveries, removal, readers.
 */
#include "journal_fixture.h"

#include <dirent.h>

static struct fx_log wrote;
static struct fx_log seen;

static unsigned count_files(const char *dir, const char *suffix)
{
    unsigned count = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        count += slice_has_suffix(slice_cstr(e->d_name), slice_cstr(suffix));
    closedir(d);
    return count;
}

static void put_file(const char *dir, uint64_t number, uint64_t at, const void *bytes, size_t len)
{
    char path[320];
    snprintf(path, sizeof(path), "%s/%016llx.seg", dir, (unsigned long long)number);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, (off_t)at), (ssize_t)len);
    close(fd);
}

static void write_some(struct journal *j, unsigned batches, uint64_t seed)
{
    struct fx_rng rng = {seed};
    static uint64_t id = 1;
    for (unsigned i = 0; i < batches; i++) {
        size_t lens[16];
        size_t count = 1 + fx_below(&rng, 16);
        for (size_t k = 0; k < count; k++)
            lens[k] = 8 + fx_below(&rng, i % 3 ? 500 : 60000);
        assert_true(fx_batch(j, lens, count, id, &wrote));
        id += count;
    }
}

/* All that was written is there, in order, and nothing else of the upper layer. */
static void check_same(const struct fx_log *want)
{
    size_t n = 0;
    uint64_t at = 0;
    assert_int_equal(seen.damage_count, 0);
    for (size_t i = 0; i < seen.count; i++) {
        assert_int_equal(seen.records[i].position, at);
        at = seen.records[i].end;
        if (seen.records[i].kind < JOURNAL_REC_USER)
            continue;
        assert_true(n < want->count);
        assert_true(seen.records[i].sound);
        assert_int_equal(seen.records[i].id, want->records[n].id);
        assert_int_equal(seen.records[i].position, want->records[n].position);
        n++;
    }
    assert_int_equal(n, want->count);
}

static void round_trip(void **state)
{
    char *dir = fx_dir();
    struct journal_info info;
    uint64_t epoch = 0;
    wrote.count = 0;
    for (unsigned start = 0; start < 4; start++) {
        struct journal *j = fx_recovered(dir, 0);
        journal_info(j, &info);
        assert_true(info.epoch > epoch);
        assert_true(info.complete && info.torn_bytes == 0 && info.damaged == 0 && info.first == 0);
        assert_memory_equal(info.partition_id, fx_id, 16);
        epoch = info.epoch;
        write_some(j, 90, start + 1);
        fx_replay(j, 0, &seen);
        check_same(&wrote);
        for (size_t i = 0; i < seen.count; i += 151) { /* from any record on */
            static struct fx_log part;
            fx_replay(j, seen.records[i].position, &part);
            assert_int_equal(part.count, seen.count - i);
            assert_int_equal(part.records[0].crc, seen.records[i].crc);
        }
        journal_close(&j);
    }
    struct journal *j = fx_open(dir); /* read only, before any recovery */
    struct journal_seg_info segs[64];
    size_t count = journal_segments(j, segs, 64);
    assert_true(count > 4);
    for (size_t i = 0; i + 1 < count; i++) {
        assert_int_equal(segs[i].end, segs[i + 1].start);
        assert_int_equal(segs[i].file_bytes,
                         JOURNAL_DATA_OFFSET + segs[i].end - segs[i].start); /* zeros cut off */
    }
    fx_replay(j, 0, &seen);
    check_same(&wrote);
    assert_int_equal(journal_state(j), JOURNAL_CLOSED);
    journal_close(&j);
    fx_remove(&dir);
}

static struct journal_mark mark_of(const struct fx_record *r)
{
    return (struct journal_mark){r->end, r->epoch, r->crc};
}

static void marks(void **state)
{
    char *dir = fx_dir();
    struct journal_mark m;
    wrote.count = 0;
    struct journal *j = fx_recovered(dir, 0);
    write_some(j, 100, 5);
    journal_close(&j);
    j = fx_open(dir);
    for (size_t i = 0; i < wrote.count; i += 67) {
        m = mark_of(&wrote.records[i]);
        assert_true(journal_has_mark(j, &m));
        m.crc ^= 1;
        assert_false(journal_has_mark(j, &m));
        m = mark_of(&wrote.records[i]);
        m.epoch++;
        assert_false(journal_has_mark(j, &m));
        m = mark_of(&wrote.records[i]);
        m.position += 8;
        assert_false(journal_has_mark(j, &m));
    }
    assert_true(journal_has_mark(j, &(struct journal_mark){0}));
    assert_false(journal_has_mark(j, &(struct journal_mark){.position = journal_end_pos(j) + 80}));
    /* The tail is rewritten, the record at the applied place keeps its epoch and seal (rule 4.3). */
    const struct fx_record *last = &wrote.records[wrote.count - 1];
    m = mark_of(last);
    struct ms_errinfo why;
    assert_int_equal(journal_recover(j, last->end, NULL, NULL, &why), MS_OK);
    assert_true(journal_has_mark(j, &m));
    journal_close(&j);
    j = fx_recovered(dir, 0); /* not said to be durable: rewritten, so no longer exactly that record */
    fx_replay(j, 0, &seen);
    check_same(&wrote);
    journal_close(&j);
    fx_remove(&dir);
}

/* known_durable inside the last batch: that batch had been flushed, so a bad record in it is damage and not
 * the end. */
static void known_inside_last_batch(void **state)
{
    for (unsigned known = 0; known < 5; known++) {
        char *dir = fx_dir();
        static const size_t lens[5] = {100, 2000, 300, 40, 5000};
        wrote.count = 0;
        struct journal *j = fx_recovered(dir, 0);
        assert_true(fx_batch(j, lens, 5, 1, &wrote));
        fx_poke(dir, j, wrote.records[3].position + 5, "x", 1);
        journal_close(&j);
        j = fx_open(dir);
        struct ms_errinfo why;
        static struct fx_log damage;
        damage.damage_count = 0;
        uint64_t durable = known == 0 ? wrote.records[0].position : wrote.records[known - 1].end;
        assert_int_equal(journal_recover(j, durable, fx_on_damage, &damage, &why), MS_OK);
        fx_replay(j, 0, &seen);
        assert_int_equal(damage.damage_count, known == 0 ? 0 : 1);
        for (unsigned i = 0; i < 5; i++) {
            const struct fx_record *r = fx_find(&seen, i + 1);
            bool kept = known == 0 ? i < 3 : i != 3;
            assert_int_equal(r != NULL, kept);
            assert_true(!kept || r->position == wrote.records[i].position);
        }
        if (known > 0 && known < 4) { /* stands for the record that was lost */
            bool filler = false;
            for (size_t i = 0; i < seen.count; i++)
                filler =
                    filler || (seen.records[i].kind == JOURNAL_REC_FILLER && seen.records[i].version == 0 &&
                               seen.records[i].position == wrote.records[3].position &&
                               seen.records[i].end == wrote.records[3].end);
            assert_true(filler);
        }
        journal_close(&j);
        fx_remove(&dir);
    }
}

/* The log is shorter than what is known to have been durable: those positions are never given again. */
static void log_is_short(void **state)
{
    char *dir = fx_dir();
    static struct fx_log damage;
    struct journal_info info, again;
    struct ms_errinfo why;
    wrote.count = damage.damage_count = 0;
    struct journal *j = fx_recovered(dir, 0);
    write_some(j, 5, 9);
    uint64_t end = journal_end_pos(j);
    journal_info(j, &info);
    journal_close(&j);
    j = fx_open(dir);
    assert_int_equal(journal_recover(j, end + 100000, fx_on_damage, &damage, &why), MS_OK);
    journal_info(j, &again);
    assert_int_equal(damage.damage_count, 1);
    assert_int_equal(damage.damage[0][0], end);
    assert_int_equal(damage.damage[0][1], end + 100000);
    assert_false(again.complete);
    assert_true(again.epoch > info.epoch + 1000); /* so are the epochs of lost segments */
    assert_true(fx_one(j, 50, 77777, &wrote));
    assert_true(wrote.records[wrote.count - 1].position >= end + 100000);
    journal_close(&j);
    j = fx_recovered(dir, 0);
    fx_replay(j, 0, &seen);
    assert_int_equal(seen.damage_count, 1);
    for (size_t i = 0; i < wrote.count; i++)
        assert_non_null(fx_find(&seen, wrote.records[i].id));
    journal_close(&j);
    fx_remove(&dir);
}

static void damage_in_the_middle(void **state)
{
    char *dir = fx_dir();
    static struct fx_log damage;
    struct ms_errinfo why;
    struct journal_info info;
    wrote.count = damage.damage_count = 0;
    struct journal *j = fx_recovered(dir, 0);
    write_some(j, 30, 3);
    size_t hurt = wrote.count / 2;
    fx_poke(dir, j, wrote.records[hurt].position + JOURNAL_RECORD_BYTES + 1, "\xff\xfe", 2);
    journal_close(&j);
    j = fx_open(dir);
    assert_int_equal(journal_recover(j, 0, fx_on_damage, &damage, &why), MS_OK);
    journal_info(j, &info);
    fx_replay(j, 0, &seen);
    assert_int_equal(seen.damage_count, 1);
    assert_int_equal(seen.damage[0][0], wrote.records[hurt].position);
    assert_int_equal(seen.damage[0][1], wrote.records[hurt].end);
    for (size_t i = 0; i < wrote.count; i++)
        assert_int_equal(fx_find(&seen, wrote.records[i].id) != NULL, i != hurt);
    assert_int_equal(info.damaged, damage.damage_count);
    journal_close(&j);
    fx_remove(&dir);
}

/* A recovery segment whose RECOVERED record went bad later is not an interrupted recovery: batches follow it.
 */
static void damaged_recovered_record(void **state)
{
    char *dir = fx_dir();
    wrote.count = 0;
    struct journal *j = fx_recovered(dir, 0);
    write_some(j, 3, 8);
    fx_poke(dir, j, 8, "damage", 6); /* the first record of the log is the RECOVERED one */
    journal_close(&j);
    j = fx_recovered(dir, 0);
    fx_replay(j, 0, &seen);
    assert_int_equal(seen.damage_count, 1);
    for (size_t i = 0; i < wrote.count; i++)
        assert_non_null(fx_find(&seen, wrote.records[i].id));
    journal_close(&j);
    fx_remove(&dir);
}

/* A valid old RECOVERED record inside the rewritten tail must not make half a recovery look whole. */
static void interrupted_with_old_recovered_inside(void **state)
{
    char *dir = fx_dir();
    wrote.count = 0;
    struct journal *j = fx_recovered(dir, 0);
    journal_close(&j);
    j = fx_recovered(dir, 0);
    journal_close(&j);
    j = fx_recovered(dir, 0); /* its batch: what the two before left, then its own end */
    fx_replay(j, 0, &seen);
    unsigned ends = 0;
    for (size_t i = 0; i < seen.count; i++) {
        ends += seen.records[i].kind == JOURNAL_REC_RECOVERED;
        if (seen.records[i].kind == JOURNAL_REC_FILLER) /* not a sign of damage, also when copied again */
            assert_int_equal(seen.records[i].version, JOURNAL_FILLER_OLD_END);
    }
    assert_int_equal(seen.count, 3);
    assert_int_equal(ends, 1);
    assert_int_equal(seen.records[2].kind, JOURNAL_REC_RECOVERED);
    journal_close(&j);
    fx_remove(&dir);
}

static void missing_segment(void **state)
{
    char *dir = fx_dir();
    char path[320];
    struct journal_seg_info segs[64];
    struct journal_info info;
    wrote.count = 0;
    struct journal *j = fx_recovered(dir, 0);
    write_some(j, 160, 4);
    size_t count = journal_segments(j, segs, 64);
    assert_true(count >= 4);
    journal_close(&j);
    snprintf(path, sizeof(path), "%s/%016llx.seg", dir, (unsigned long long)segs[1].number);
    assert_int_equal(unlink(path), 0);
    j = fx_recovered(dir, 0);
    journal_info(j, &info);
    assert_false(info.complete);
    fx_replay(j, 0, &seen);
    assert_int_equal(seen.damage_count, 1);
    assert_int_equal(seen.damage[0][0], segs[1].start);
    assert_int_equal(seen.damage[0][1], segs[1].end);
    for (size_t i = 0; i < wrote.count; i++) {
        bool gone = wrote.records[i].position >= segs[1].start && wrote.records[i].position < segs[1].end;
        assert_int_equal(fx_find(&seen, wrote.records[i].id) == NULL, gone);
    }
    assert_null(journal_seg_ref(j, segs[1].start));
    journal_close(&j);
    /* A header gone bad in the middle is the same, and the file stays for salvage. */
    uint8_t junk[JOURNAL_DATA_OFFSET];
    memset(junk, 0x5A, sizeof(junk));
    put_file(dir, segs[2].number, 0, junk, sizeof(junk));
    j = fx_recovered(dir, 0);
    snprintf(path, sizeof(path), "%s/%016llx.seg", dir, (unsigned long long)segs[2].number);
    assert_int_equal(access(path, F_OK), 0);
    fx_replay(j, 0, &seen);
    assert_int_equal(seen.damage[0][1], segs[2].end);
    journal_close(&j);
    fx_remove(&dir);
}

static void leftovers(void **state)
{
    char *dir = fx_dir();
    uint8_t zeros[4096] = {0};
    uint8_t junk[JOURNAL_DATA_OFFSET + 100];
    memset(junk, 0x33, sizeof(junk));
    wrote.count = 0;
    struct journal *j = fx_recovered(dir, 0);
    write_some(j, 3, 6);
    journal_close(&j);
    put_file(dir, 50, JOURNAL_SEGMENT_MIN - 4096, zeros, sizeof(zeros));     /* prepared */
    put_file(dir, 51, 0, junk, sizeof(junk));                                /* torn activation */
    put_file(dir, 52, JOURNAL_DATA_OFFSET + ((uint64_t)4 << 20), junk, 100); /* no header, but held data */
    put_file(dir, 53, 0, junk, 10);
    j = fx_recovered(dir, 0);
    assert_int_equal(count_files(dir, ".seg"), 2);
    assert_int_equal(count_files(dir, ".bad"), 1);
    struct journal_seg_info segs[8];
    assert_int_equal(journal_segments(j, segs, 8), 2);
    assert_true(segs[1].number > 53); /* no number twice */
    fx_replay(j, 0, &seen);
    check_same(&wrote);
    journal_close(&j);
    fx_remove(&dir);
}

static void refused_at_open(void **state)
{
    char *dir = fx_dir();
    struct ms_errinfo why;
    struct journal_head head = {.version = JOURNAL_HEAD_VERSION, .timeline = 1, .epoch = 1, .number = 90};
    uint8_t bytes[JOURNAL_HEADER_BYTES];
    wrote.count = 0;
    struct journal *j = fx_recovered(dir, 0);
    write_some(j, 3, 6);
    journal_close(&j);
    struct journal_conf conf = fx_conf(dir);
    journal__head_emit(&head, bytes);
    put_file(dir, 91, 0, bytes, sizeof(bytes));
    assert_int_equal(journal_open(&conf, fx_id, &j, &why), MS_EDAMAGED); /* renamed */
    assert_null(j);
    head.version = 2;
    head.number = 91;
    journal__head_emit(&head, bytes);
    put_file(dir, 91, 0, bytes, sizeof(bytes));
    assert_int_equal(journal_open(&conf, fx_id, &j, &why), MS_EVERSION);
    head.version = JOURNAL_HEAD_VERSION;
    head.prev_number = 1;
    head.start = head.prev_end = 40;
    journal__head_emit(&head, bytes);
    put_file(dir, 91, 0, bytes, sizeof(bytes));
    assert_int_equal(journal_open(&conf, fx_id, &j, &why), MS_EDAMAGED); /* another partition */
    conf.segment_bytes = 4096;
    assert_int_equal(journal_open(&conf, fx_id, &j, &why), MS_EINVAL);
    conf = fx_conf("/nonexistent/journal");
    assert_int_equal(journal_open(&conf, fx_id, &j, &why), MS_ENOTFOUND);
    fx_remove(&dir);
}

static void readers_and_removal(void **state)
{
    char *dir = fx_dir();
    struct journal_seg_info segs[64];
    struct ms_errinfo why;
    unsigned removed;
    uint8_t *got = ms_alloc(70000), *want = ms_alloc(70000);
    wrote.count = 0;
    struct journal *j = fx_recovered(dir, 0);
    write_some(j, 160, 12);
    size_t count = journal_segments(j, segs, 64);
    for (size_t i = 0; i < wrote.count; i++) {
        const struct fx_record *r = &wrote.records[i];
        struct journal_seg *seg = journal_seg_ref(j, r->position);
        uint64_t payload = r->position + JOURNAL_RECORD_BYTES;
        assert_non_null(seg);
        assert_true(journal_seg_holds(seg, payload, r->bytes));
        assert_int_equal(journal_seg_read(seg, payload, got, r->bytes, false), MS_OK);
        fx_payload(want, r->bytes, r->id);
        assert_memory_equal(got, want, r->bytes);
        enum ms_err err = journal_seg_read(seg, payload, got, r->bytes, true);
        assert_true(err == MS_OK || err == MS_EMORE);
        journal_seg_unref(&seg);
        assert_null(seg);
    }
    struct journal_seg *first = journal_seg_ref(j, 0);
    assert_false(journal_seg_holds(first, segs[0].end - 8, 16));
    assert_int_equal(journal_seg_read(first, segs[0].end - 8, got, 16, false), MS_EDAMAGED);
    assert_null(journal_seg_ref(j, journal_end_pos(j)));

    struct journal_mark edge = {0};
    for (size_t i = 0; i < wrote.count; i++) {
        if (wrote.records[i].end == segs[1].end)
            edge = mark_of(&wrote.records[i]);
    }
    assert_int_equal(journal_remove_before(j, segs[1].end - 8, &removed, &why), MS_OK);
    assert_int_equal(removed, 1);
    assert_int_equal(journal_seg_read(first, 64, got, 8, false), MS_OK); /* still readable */
    journal_seg_unref(&first);
    assert_null(journal_seg_ref(j, 0));
    assert_int_equal(journal_remove_before(j, segs[1].end, &removed, &why), MS_OK);
    assert_int_equal(removed, 1);
    assert_true(journal_has_mark(j, &edge)); /* its record is gone, the header behind it knows */
    edge.crc++;
    assert_false(journal_has_mark(j, &edge));
    assert_int_equal(journal_remove_before(j, UINT64_MAX, &removed, &why), MS_OK);
    assert_int_equal(removed, count - 3);
    assert_int_equal(journal_segments(j, segs, 64), 1);
    assert_true(segs[0].current);
    journal_close(&j);

    j = fx_recovered(dir, 0);
    struct journal_info info;
    journal_info(j, &info);
    assert_false(info.complete);
    assert_int_equal(info.first, segs[0].start);
    assert_false(journal_has_mark(j, &(struct journal_mark){0}));
    fx_replay(j, segs[0].start, &seen);
    assert_int_equal(seen.damage_count, 0);
    journal_close(&j);
    ms_free(got);
    ms_free(want);
    fx_remove(&dir);
}

/* The clock goes back: stamps do not, over segments and starts. */
static void time_never_goes_back(void **state)
{
    char *dir = fx_dir();
    wrote.count = 0;
    struct journal *j = fx_recovered(dir, 0);
    j->last.time_us += (uint64_t)86400 * 1000000;
    uint64_t floor = j->last.time_us;
    assert_true(fx_one(j, 100, 1, &wrote));
    journal_close(&j);
    j = fx_recovered(dir, wrote.records[0].end);
    assert_true(fx_one(j, 100, 2, &wrote));
    journal_close(&j);
    j = fx_recovered(dir, 0);
    assert_true(fx_one(j, 100, 3, &wrote));
    fx_replay(j, 0, &seen);
    uint64_t before = 0;
    for (size_t i = 0; i < seen.count; i++) {
        assert_true(seen.records[i].time_us >= before);
        before = seen.records[i].time_us;
    }
    assert_true(before >= floor);
    journal_close(&j);
    fx_remove(&dir);
}

static void append_sync(void **state)
{
    char *dir = fx_dir();
    struct journal_mark mark;
    struct ms_errinfo why;
    struct journal *j = fx_open(dir);
    assert_int_equal(journal_append_sync(j, JOURNAL_REC_SKIP, 1, SLICE_LIT("12345678"), &mark, &why),
                     MS_EOFFLINE);
    assert_int_equal(journal_recover(j, 0, NULL, NULL, &why), MS_OK);
    assert_int_equal(journal_append_sync(j, JOURNAL_REC_SKIP, 1, SLICE_LIT("12345678"), &mark, &why), MS_OK);
    assert_true(journal_has_mark(j, &mark));
    static uint8_t big[JOURNAL_PAYLOAD_MAX + 1];
    for (unsigned i = 0; i < 3; i++) /* each fills a segment */
        assert_int_equal(journal_append_sync(j, 16, 1, slice_make(big, JOURNAL_PAYLOAD_MAX), NULL, &why),
                         MS_OK);
    assert_int_equal(journal_append_sync(j, 16, 1, slice_make(big, sizeof(big)), NULL, &why), MS_ELIMIT);
    journal_close(&j);
    j = fx_recovered(dir, 0); /* the last batch is one record of the greatest size */
    fx_replay(j, 0, &seen);
    assert_int_equal(seen.count, 6);
    assert_true(journal_has_mark(j, &mark));
    journal_close(&j);
    fx_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(marks),
        cmocka_unit_test(known_inside_last_batch),
        cmocka_unit_test(log_is_short),
        cmocka_unit_test(damage_in_the_middle),
        cmocka_unit_test(damaged_recovered_record),
        cmocka_unit_test(interrupted_with_old_recovered_inside),
        cmocka_unit_test(missing_segment),
        cmocka_unit_test(leftovers),
        cmocka_unit_test(refused_at_open),
        cmocka_unit_test(readers_and_removal),
        cmocka_unit_test(time_never_goes_back),
        cmocka_unit_test(append_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
