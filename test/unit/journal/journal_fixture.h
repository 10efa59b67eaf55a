/*
 * journal_fixture.h - a scratch folder, batches written without the lane, and the log as a list.
 */
#ifndef JOURNAL_FIXTURE_H
#define JOURNAL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../src/journal/journal_priv.h"
#include "ms/base/sum.h"

#define FX_RECORDS_MAX 20000
#define FX_SECTOR      512

static const uint8_t fx_id[16] = "partition-number";

struct fx_rng {
    uint64_t state;
};

static inline uint64_t fx_next(struct fx_rng *r)
{
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return r->state * 0x2545F4914F6CDD1Du;
}

static inline uint64_t fx_below(struct fx_rng *r, uint64_t n)
{
    return (fx_next(r) >> 11) % n;
}

/* TMPDIR or the system's folder; the name is the caller's to fx_remove. */
static inline char *fx_dir(void)
{
    const char *base = getenv("TMPDIR");
    char path[256];
    snprintf(path, sizeof(path), "%s/journal-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
    return ms_strdup(path);
}

static inline void fx_remove(char **dir)
{
    char command[320];
    snprintf(command, sizeof(command), "rm -rf '%s'", *dir);
    assert_int_equal(system(command), 0);
    ms_free(*dir);
    *dir = NULL;
}

static inline struct journal_conf fx_conf(const char *dir)
{
    return (struct journal_conf){
        .dir = dir, .segment_bytes = JOURNAL_SEGMENT_MIN, .prepared = 2, .flush = true};
}

static inline struct journal *fx_open(const char *dir)
{
    struct journal_conf conf = fx_conf(dir);
    struct ms_errinfo why;
    struct journal *j;
    if (journal_open(&conf, fx_id, &j, &why) != MS_OK)
        fail_msg("open: %s", why.text);
    return j;
}

static inline struct journal *fx_recovered(const char *dir, uint64_t known_durable)
{
    struct ms_errinfo why;
    struct journal *j = fx_open(dir);
    if (journal_recover(j, known_durable, NULL, NULL, &why) != MS_OK)
        fail_msg("recover: %s", why.text);
    return j;
}

/* Payload of a record: its id, then bytes that follow from it. */
static inline void fx_payload(uint8_t *into, size_t len, uint64_t id)
{
    struct fx_rng r = {id * 0x9E3779B97F4A7C15u + 1};
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = i == 0 ? id : fx_next(&r);
        memcpy(into + i, &word, MS_MIN(len - i, (size_t)8));
    }
}

static inline struct mbuf *fx_body(size_t len, uint64_t id, uint32_t *crc_out)
{
    struct mbuf *body = mbuf_create(len + 1, 0);
    fx_payload(mbuf_data(body), len, id);
    body->len = (uint32_t)len;
    *crc_out = crc32c_add(0, mbuf_data(body), len);
    return body;
}

struct fx_record {
    uint64_t position;
    uint64_t end;
    uint64_t id;
    uint64_t time_us;
    uint64_t epoch;
    uint64_t batch;
    size_t bytes;
    uint32_t crc;
    uint16_t kind;
    uint16_t version;
    bool sound; /* the payload is what its id says */
};

struct fx_log {
    struct fx_record records[FX_RECORDS_MAX];
    size_t count;
    uint64_t damage[64][2];
    size_t damage_count;
};

/* One batch; ids go up from first_id. false: refused or failed. The records are appended to `log`. */
static inline bool fx_batch(struct journal *j, const size_t *lens, size_t count, uint64_t first_id,
                            struct fx_log *log)
{
    struct mbuf *bodies[JOURNAL_BATCH_OPS];
    size_t total = 0;
    size_t before = log->count;
    for (size_t i = 0; i < count; i++)
        total += (size_t)journal__space(JOURNAL_RECORD_BYTES + lens[i]);
    if (journal__out_prepare(j, total - JOURNAL_RECORD_BYTES, false, NULL) != MS_OK)
        return false;
    journal__out_begin(j);
    for (size_t i = 0; i < count; i++) {
        uint32_t crc;
        struct journal_record rec;
        bodies[i] = fx_body(lens[i], first_id + i, &crc);
        struct journal_record_header h = {.kind = JOURNAL_REC_USER, .version = 1, .payload_crc = crc};
        assert_true(journal__out_fits(j, lens[i], 1));
        journal__out_add(j, h, lens[i], bodies[i], &rec);
        log->records[log->count++] =
            (struct fx_record){rec.position, rec.end, first_id + i, rec.time_us, rec.epoch,
                               rec.batch,    lens[i], rec.crc,      rec.kind,    true};
    }
    bool ok = journal__out_write(j) == MS_OK && journal__out_flush(j) == MS_OK;
    for (size_t i = 0; i < count; i++)
        mbuf_unref(&bodies[i]);
    if (!ok)
        log->count = before;
    return ok;
}

static inline bool fx_one(struct journal *j, size_t len, uint64_t id, struct fx_log *log)
{
    return fx_batch(j, &len, 1, id, log);
}

static inline enum ms_err fx_on_record(void *owner, const struct journal_record *rec)
{
    struct fx_log *log = owner;
    struct fx_record *r = &log->records[log->count++];
    assert_true(log->count < FX_RECORDS_MAX);
    *r = (struct fx_record){.position = rec->position,
                            .end = rec->end,
                            .time_us = rec->time_us,
                            .epoch = rec->epoch,
                            .batch = rec->batch,
                            .bytes = rec->payload_bytes,
                            .crc = rec->crc,
                            .kind = rec->kind,
                            .version = rec->version};
    if (rec->kind >= JOURNAL_REC_USER) {
        uint8_t *expect = ms_alloc(rec->payload_bytes + 1);
        r->id = rec->payload_bytes >= 8 ? ms_get_le64(rec->payload.ptr) : 0;
        fx_payload(expect, rec->payload_bytes, r->id);
        r->sound = memcmp(expect, rec->payload.ptr, rec->payload_bytes) == 0;
        ms_free(expect);
    }
    return MS_OK;
}

static inline void fx_on_damage(void *owner, uint64_t from, uint64_t to, const char *what)
{
    struct fx_log *log = owner;
    assert_non_null(what);
    assert_true(log->damage_count < MS_ARRAY_LEN(log->damage));
    log->damage[log->damage_count][0] = from;
    log->damage[log->damage_count++][1] = to;
}

static inline void fx_replay(struct journal *j, uint64_t from, struct fx_log *log)
{
    struct ms_errinfo why;
    log->count = log->damage_count = 0;
    if (journal_replay(j, from, true, fx_on_record, fx_on_damage, log, &why) != MS_OK)
        fail_msg("replay: %s", why.text);
}

static inline const struct fx_record *fx_find(const struct fx_log *log, uint64_t id)
{
    for (size_t i = 0; i < log->count; i++) {
        if (log->records[i].kind >= JOURNAL_REC_USER && log->records[i].id == id && log->records[i].sound)
            return &log->records[i];
    }
    return NULL;
}

/* File and offset of a position, in the newest state of the folder as the journal sees it. */
static inline void fx_poke(const char *dir, struct journal *j, uint64_t position, const void *bytes,
                           size_t len)
{
    struct journal_seg_info segs[64];
    size_t count = journal_segments(j, segs, 64);
    for (size_t i = count; i-- > 0;) {
        if (position < segs[i].start)
            continue;
        char path[320];
        snprintf(path, sizeof(path), "%s/%016llx.seg", dir, (unsigned long long)segs[i].number);
        int fd = open(path, O_RDWR);
        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, bytes, len, (off_t)(JOURNAL_DATA_OFFSET + position - segs[i].start)),
                         (ssize_t)len);
        close(fd);
        return;
    }
    fail_msg("no segment for %llu", (unsigned long long)position);
}

#endif
