/*
 * Headers and records of one segment in memory: what is accepted, what is damage, what is a torn tail.
 */
#include "journal_fixture.h"

static const struct journal_head sample = {
    .version = JOURNAL_HEAD_VERSION,
    .flags = JOURNAL_SEG_RECOVERY,
    .partition_id = "0123456789abcde",
    .timeline = 3,
    .epoch = 7,
    .number = 9,
    .salt = {1, 2, 3, 4, 5, 6, 7, 8},
    .start = 4096,
    .prev_number = 8,
    .prev_end = 4096,
    .prev_epoch = 7,
    .prev_crc = 0xABCD1234,
    .prev_time_us = 1000,
    .created_us = 2000,
    .branch = 64,
};

static void head_round_trip(void **state)
{
    uint8_t bytes[JOURNAL_HEADER_BYTES], again[JOURNAL_HEADER_BYTES];
    struct journal_head back;
    journal__head_emit(&sample, bytes);
    assert_int_equal(journal__head_parse(bytes, &back), MS_OK);
    journal__head_emit(&back, again); /* not the structs: they have padding */
    assert_memory_equal(again, bytes, sizeof(bytes));
    assert_int_equal(back.epoch, sample.epoch);
    assert_int_equal(back.prev_crc, sample.prev_crc);
    assert_int_equal(back.branch, sample.branch);
    for (unsigned bit = 0; bit < JOURNAL_HEADER_BYTES * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(journal__head_parse(bytes, &back), MS_EDAMAGED);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void head_nonsense(void **state)
{
    static const struct {
        const char *name;
        size_t at;
        uint64_t value;
        enum ms_err want;
    } rows[] = {
        {"version 2", 4, 2 | JOURNAL_SEG_RECOVERY << 16, MS_EVERSION}, /* 8 bytes: id is overwritten too */
        {"number 0", 40, 0, MS_EDAMAGED},
        {"number too great", 40, (uint64_t)1 << 62, MS_EDAMAGED},
        {"epoch above number", 32, 10, MS_EDAMAGED},
        {"its own predecessor", 64, 9, MS_EDAMAGED},
        {"predecessor ends behind the start", 72, 4104, MS_EDAMAGED},
        {"start not aligned", 56, 4100, MS_EDAMAGED},
        {"start too great", 56, (uint64_t)1 << 62, MS_EDAMAGED},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        uint8_t bytes[JOURNAL_HEADER_BYTES];
        struct journal_head back;
        journal__head_emit(&sample, bytes);
        ms_put_le64(bytes + rows[i].at, rows[i].value);
        ms_put_le32(bytes + 508, crc32c_add(0, bytes, 508));
        if (journal__head_parse(bytes, &back) != rows[i].want)
            fail_msg("%s", rows[i].name);
    }
}

static void head_copies(void **state)
{
    static uint8_t area[JOURNAL_DATA_OFFSET];
    struct journal_head back;
    assert_int_equal(journal__head_find(area, &back), MS_ENOTFOUND);
    journal__head_emit(&sample, area + JOURNAL_HEAD_COPY_OFFSET);
    assert_int_equal(journal__head_find(area, &back), MS_OK);
    area[3] = 1;
    assert_int_equal(journal__head_find(area, &back), MS_OK);
    assert_int_equal(back.number, 9);
    area[JOURNAL_HEAD_COPY_OFFSET] ^= 1;
    assert_int_equal(journal__head_find(area, &back), MS_EDAMAGED);
    journal__head_emit(&sample, area);
    assert_int_equal(journal__head_find(area, &back), MS_OK);
}

static void names(void **state)
{
    static const struct {
        const char *name;
        uint64_t number;
    } rows[] = {
        {"0000000000000001.seg", 1},  {"00000000000000ff.seg", 255},
        {"0000000000000000.seg", 0},  {"1.seg", 0},
        {"00000000000000FF.seg", 0},  {"0000000000000001.sek", 0},
        {"0000000000000001", 0},      {"", 0},
        {"00000000000000001.seg", 0}, {"0000000000000001.seg~", 0},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        uint64_t number = 0;
        bool ok = journal__name_parse(rows[i].name, &number);
        if (ok != (rows[i].number != 0) || (ok && number != rows[i].number))
            fail_msg("%s", rows[i].name);
    }
}

/* -- a segment in memory ---------------------------------------------------------------------- */

#define RECORDS 9

static struct image {
    struct journal_head head;
    uint8_t bytes[JOURNAL_DATA_OFFSET + 16384];
    uint64_t at[RECORDS + 1]; /* positions; the last is the end */
} img;

static size_t record_offset(unsigned i)
{
    return (size_t)(JOURNAL_DATA_OFFSET + img.at[i] - img.head.start);
}

/* Three batches of three records: 0 1 2 | 3 4 5 | 6 7 8 */
static void build(void)
{
    uint64_t at = sample.start;
    uint64_t batch = at;
    uint32_t crc = sample.prev_crc;
    memset(&img, 0, sizeof(img));
    img.head = sample;
    journal__head_emit(&img.head, img.bytes);
    for (unsigned i = 0; i < RECORDS; i++) {
        uint8_t *p = img.bytes + JOURNAL_DATA_OFFSET + (at - sample.start);
        size_t len = 8 + 131 * i;
        fx_payload(p + JOURNAL_RECORD_BYTES, len, i + 1);
        if (i % 3 == 0)
            batch = at;
        struct journal_record_header h = {.bytes = (uint32_t)(JOURNAL_RECORD_BYTES + len),
                                          .kind = JOURNAL_REC_USER,
                                          .position = at,
                                          .batch = batch,
                                          .prev_crc = crc,
                                          .time_us = 5000 + i,
                                          .payload_crc = crc32c_add(0, p + JOURNAL_RECORD_BYTES, len)};
        journal__record_seal(&h, journal__head_seed(&img.head));
        memcpy(p, &h, sizeof(h));
        crc = h.hdr_crc;
        img.at[i] = at;
        at += journal__space(h.bytes);
    }
    img.at[RECORDS] = at;
}

static void reseal(unsigned i, struct journal_record_header h)
{
    journal__record_seal(&h, journal__head_seed(&img.head));
    memcpy(img.bytes + record_offset(i), &h, sizeof(h));
}

static struct journal_record_header header(unsigned i)
{
    struct journal_record_header h;
    memcpy(&h, img.bytes + record_offset(i), sizeof(h));
    return h;
}

struct result {
    unsigned good; /* bit per record found */
    unsigned damages;
    uint64_t from, to; /* of the first damage */
    uint64_t end;
};

static struct result scan(uint64_t end, uint64_t durable)
{
    struct result r = {0};
    struct journal_scan s;
    struct journal_record rec;
    enum journal_found found;
    journal__scan_init(&s, &img.head,
                       (struct journal_src){.fd = -1, .mem = img.bytes, .bytes = sizeof(img.bytes)}, end,
                       durable);
    while ((found = journal__scan_next(&s, &rec)) != JOURNAL_FOUND_END) {
        if (found == JOURNAL_FOUND_DAMAGE) {
            if (r.damages++ == 0) {
                r.from = s.damage_from;
                r.to = s.damage_to;
            }
            continue;
        }
        for (unsigned i = 0; i < RECORDS; i++) {
            if (img.at[i] == rec.position)
                r.good |= 1u << i;
        }
    }
    r.end = s.at;
    journal__scan_fini(&s);
    return r;
}

/* What is broken in which record. */
enum hurt { H_NONE, H_HEADER, H_PAYLOAD, H_ZERO };

static void hurt(unsigned i, enum hurt how)
{
    if (how == H_HEADER)
        img.bytes[record_offset(i) + 9] ^= 0x40;
    else if (how == H_PAYLOAD)
        img.bytes[record_offset(i) + JOURNAL_RECORD_BYTES + 2] ^= 0x40;
    else if (how == H_ZERO)
        memset(img.bytes + record_offset(i), 0, (size_t)(img.at[i + 1] - img.at[i]));
}

static void damage_or_torn(void **state)
{
    static const struct {
        const char *name;
        struct {
            unsigned record;
            enum hurt how;
        } hurts[4];
        unsigned good; /* octal: one digit a batch, the last batch first; bit 0 is a batch's first record */
        unsigned damages;
        unsigned end; /* index into at[] */
        bool durable; /* the last batch is known to be */
    } rows[] = {
        {"whole", {{0, H_NONE}}, 0777, 0, 9, false},
        {"payload in the first batch", {{1, H_PAYLOAD}}, 0775, 1, 9, false},
        {"header in the first batch", {{1, H_HEADER}}, 0775, 1, 9, false},
        {"last of a batch, then a later batch", {{5, H_HEADER}}, 0737, 1, 9, false},
        {"first of a batch, then the same and a later batch", {{3, H_ZERO}}, 0767, 1, 9, false},
        {"a whole batch in the middle", {{3, H_ZERO}, {4, H_ZERO}, {5, H_HEADER}}, 0707, 1, 9, false},
        {"two places", {{0, H_HEADER}, {4, H_PAYLOAD}}, 0756, 2, 9, false},
        {"last record", {{8, H_PAYLOAD}}, 0377, 0, 8, false},
        {"last record, header", {{8, H_HEADER}}, 0377, 0, 8, false},
        {"middle of the last batch: what follows is dropped", {{7, H_HEADER}}, 0177, 0, 7, false},
        {"payload in the middle of the last batch", {{7, H_PAYLOAD}}, 0177, 0, 7, false},
        {"first of the last batch", {{6, H_ZERO}}, 0077, 0, 6, false},
        {"first of the last batch, payload", {{6, H_PAYLOAD}}, 0077, 0, 6, false},
        {"all of the last batch", {{6, H_ZERO}, {7, H_ZERO}, {8, H_ZERO}}, 0077, 0, 6, false},
        {"a hole across the edge of the last batch", {{5, H_ZERO}, {6, H_ZERO}}, 0037, 1, 6, false},
        {"the same, payload first", {{5, H_PAYLOAD}, {6, H_ZERO}}, 0037, 1, 6, false},
        {"damage and a torn tail", {{1, H_ZERO}, {7, H_PAYLOAD}}, 0175, 1, 7, false},
        {"durable: middle of the last batch is damage", {{7, H_HEADER}}, 0577, 1, 9, true},
        {"durable: payload of the last record", {{8, H_PAYLOAD}}, 0377, 1, 9, true},
        {"durable: nothing readable behind", {{7, H_ZERO}, {8, H_ZERO}}, 0177, 0, 7, true},
        {"durable: a hole across the edge", {{5, H_ZERO}, {6, H_ZERO}}, 0637, 1, 9, true},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        build();
        for (unsigned k = 0; k < 4; k++)
            hurt(rows[i].hurts[k].record, rows[i].hurts[k].how);
        struct result r = scan(UINT64_MAX, rows[i].durable ? img.at[7] : 0);
        if (r.good != rows[i].good || r.damages != rows[i].damages || r.end != img.at[rows[i].end])
            fail_msg("%s: good %03o damages %u end %llu", rows[i].name, r.good, r.damages,
                     (unsigned long long)r.end);
        /* With the end named by a successor all of it is damage. */
        build();
        for (unsigned k = 0; k < 4; k++)
            hurt(rows[i].hurts[k].record, rows[i].hurts[k].how);
        r = scan(img.at[9], 0);
        unsigned want = 0777;
        for (unsigned k = 0; k < 4; k++)
            want &= rows[i].hurts[k].how ? ~(1u << rows[i].hurts[k].record) : 0777;
        if (r.good != want || r.end != img.at[9] || (r.damages > 0) != (want != 0777))
            fail_msg("%s, sealed: good %03o damages %u", rows[i].name, r.good, r.damages);
    }
}

/* Bytes past the end that a successor names exist for no scan. */
static void end_is_named(void **state)
{
    for (unsigned end = 0; end <= RECORDS; end++) {
        build();
        struct result r = scan(img.at[end], 0);
        assert_int_equal(r.good, (1u << end) - 1);
        assert_int_equal(r.damages, 0);
        assert_int_equal(r.end, img.at[end]);
    }
}

/* A record sealed for another epoch, salt, place or chain is not part of this segment. */
static void not_ours(void **state)
{
    struct journal_record_header h;
    struct result r;
    for (unsigned what = 0; what < 9; what++) {
        build();
        h = header(4);
        if (what == 0)
            img.head.epoch--;
        else if (what == 1)
            img.head.salt[7] ^= 1;
        if (what < 2) {
            journal__record_seal(&h, journal__head_seed(&img.head));
            img.head = sample;
            memcpy(img.bytes + record_offset(4), &h, sizeof(h));
        }
        if (what == 2)
            h.position += 8;
        else if (what == 3)
            h.prev_crc ^= 1;
        else if (what == 4)
            h.batch = h.position + 8;
        else if (what == 5)
            h.batch = sample.start - 8;
        else if (what == 6)
            h.bytes = JOURNAL_RECORD_BYTES - 1;
        else if (what == 7)
            h.bytes = (uint32_t)(JOURNAL_RECORD_BYTES + JOURNAL_PAYLOAD_MAX + 1);
        else if (what == 8)
            h.kind = 0;
        if (what >= 2)
            reseal(4, h);
        r = scan(UINT64_MAX, 0);
        /* record 5 names record 4's seal as written at first; with that unreadable its chain is not checked
         */
        unsigned want = what == 3 ? 0717 : 0757;
        if (r.good != want || r.damages == 0 || r.end != img.at[9])
            fail_msg("%u: good %03o damages %u", what, r.good, r.damages);
        assert_int_equal(r.from, img.at[4]);
    }
}

/* A payload that looks like records of this segment at the right places is not entered while its record is
 * good, and skipped as a whole when only its payload is bad. */
static void records_inside_payload(void **state)
{
    build();
    struct journal_record_header big = header(1);
    big.bytes = (uint32_t)(img.at[6] - img.at[1]);
    big.payload_crc =
        crc32c_add(0, img.bytes + record_offset(1) + JOURNAL_RECORD_BYTES, big.bytes - JOURNAL_RECORD_BYTES);
    reseal(1, big);
    struct journal_record_header after = header(6);
    after.prev_crc = header(1).hdr_crc;
    reseal(6, after);
    struct journal_record_header next = header(7);
    next.prev_crc = header(6).hdr_crc;
    reseal(7, next);
    next = header(8);
    next.prev_crc = header(7).hdr_crc;
    reseal(8, next);
    struct result r = scan(UINT64_MAX, 0);
    assert_int_equal(r.good, 0703);
    assert_int_equal(r.damages, 0);
    img.bytes[record_offset(3) + 60] ^= 1;
    r = scan(UINT64_MAX, 0);
    assert_int_equal(r.good, 0701);
    assert_int_equal(r.damages, 1);
    assert_int_equal(r.to, img.at[6]);
}

/* Any single bit flipped: no wrong record, and never more lost than the record hit (or the last batch's
 * rest). */
static void any_bit(void **state)
{
    build();
    size_t end = record_offset(RECORDS);
    for (size_t bit = JOURNAL_DATA_OFFSET * 8; bit < end * 8; bit++) {
        img.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        unsigned hit = 0;
        while (bit / 8 >= record_offset(hit + 1))
            hit++;
        struct result r = scan(UINT64_MAX, 0);
        bool padding = bit / 8 >= record_offset(hit) + header(hit).bytes;
        unsigned others = hit >= 6 ? (1u << hit) - 1 : 0777 & ~(1u << hit);
        if (r.good != others && !(padding && r.good == 0777))
            fail_msg("bit %zu of record %u: %03o", bit, hit, r.good);
        img.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_round_trip), cmocka_unit_test(head_nonsense),
        cmocka_unit_test(head_copies),     cmocka_unit_test(names),
        cmocka_unit_test(damage_or_torn),  cmocka_unit_test(end_is_named),
        cmocka_unit_test(not_ours),        cmocka_unit_test(records_inside_payload),
        cmocka_unit_test(any_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
