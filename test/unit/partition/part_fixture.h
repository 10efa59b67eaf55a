/*
 * part_fixture.h - a partition in a temporary folder with a small op table of the tests' own.
 *
 *   make(key)            a counter with value 0
 *   add(key, delta)      refuses: MS_ENOTFOUND no counter, MS_EQUOTA it would become negative; behind a hole
 * it makes one put(slot, source)    a slot refers to a blob; what it referred to is let go. MS_EGONE:
 * existing blob is gone drop(slot)           MS_ENOTFOUND crash(key)           kills the process while
 * test_crash is set, else add(key, 1) tell(mailbox, n)     change note, and a note to port 1 broken() returns
 * MS_EDAMAGED while test_broken is set Every op's result: u8 error, u64 value or blob id.
 */
#ifndef TEST_PART_FIXTURE_H
#define TEST_PART_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "ms/partition.h"

#include "../../../src/partition/part_priv.h"

#define OK(expr) assert_int_equal((expr), MS_OK)

enum { T_MAKE = 100, T_ADD, T_PUT, T_DROP, T_CRASH, T_TELL, T_BROKEN };
#define T_PORT 1
#define T_NOTE BUS_KIND(5, 9, 1)

extern bool test_crash, test_broken;

struct fixture {
    char dir[64];
    struct partition_conf conf;
    struct partition *p;
    struct part_report report;
};

void fixture_start(struct fixture *f); /* folder, opened, recovered */
void fixture_open(struct fixture *f);  /* opened, ops registered */
void fixture_recover(struct fixture *f, enum part_recover_mode mode);
void fixture_restart(struct fixture *f); /* close, open, recover */
void fixture_close(struct fixture *f);
void fixture_stop(struct fixture *f);                                     /* close, remove the folder */
void fixture_sh(struct fixture *f, const char *fmt, ...) MS_PRINTF(2, 3); /* in the folder */

/* Overwrites the first byte of every place in the log where needle stands, in the files as they are. Returns
 * the number. */
unsigned fixture_damage(struct fixture *f, const char *needle);

/* ops under construction */
void op_make(struct part_rec *rec, uint64_t key);
void op_add(struct part_rec *rec, uint64_t key, int64_t delta);
void op_drop(struct part_rec *rec, uint64_t slot);
void op_crash(struct part_rec *rec, uint64_t key);
void op_tell(struct part_rec *rec, uint64_t mailbox, uint64_t n);
void op_broken(struct part_rec *rec);
void op_put_existing(struct part_rec *rec, uint64_t slot, uint64_t id);
/* Inline, with cache and digest flag; bytes go into rec->body. */
void op_put(struct part_rec *rec, uint64_t slot, struct slice bytes, struct slice cache, bool digest);

struct outcome {
    enum ms_err err;
    uint64_t value;
};
struct outcome outcome_next(struct rd *r);
/* One record with one op, applied at once. */
struct outcome apply_now(struct fixture *f, struct part_rec *rec, uint64_t *position_out);

int64_t counter_get(struct partition *p, uint64_t key); /* INT64_MIN: none */
uint64_t slot_get(struct partition *p, uint64_t slot);  /* blob id; 0: none */
void slot_bytes(struct partition *p, uint64_t slot, struct str *out);
uint64_t rows_in(struct partition *p, enum part_db db);
void dump_index(struct partition *p, struct str *out);
void dump_log(struct partition *p, struct str *out);
/* MS_OK or MS_EDAMAGED; problems as lines. */
enum ms_err verify(struct partition *p, struct str *out);
void pattern(struct str *out, size_t len, uint64_t seed);

#endif
