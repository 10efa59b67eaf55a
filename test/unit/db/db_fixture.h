/* db_fixture.h - a temporary folder with an environment in it. */
#ifndef TEST_DB_FIXTURE_H
#define TEST_DB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ms/db.h"

#define OK(expr) assert_int_equal((expr), MS_OK)

enum { A, B, NAMES };
static const char *const fixture_names[] = {"a", "b"};

struct fixture {
    char dir[64];
    char path[96];
    struct db *db;
};

static inline void fixture_open(struct fixture *f, uint64_t map_bytes, enum db_sync sync)
{
    struct db_conf conf = {
        .path = f->path, .map_bytes = map_bytes, .sync = sync, .names = fixture_names, .name_count = NAMES};
    struct ms_errinfo why = {0};
    enum ms_err err = db_open(&conf, &f->db, &why);
    if (err)
        fail_msg("db_open: %s", why.text);
    db_writer_claim(f->db);
}

static inline void fixture_start(struct fixture *f, uint64_t map_bytes)
{
    snprintf(f->dir, sizeof(f->dir), "/tmp/test_db.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/x.mdb", f->dir);
    fixture_open(f, map_bytes, DB_SYNC_NO_META);
}

static inline void fixture_stop(struct fixture *f)
{
    char cmd[256];
    db_close(&f->db);
    snprintf(cmd, sizeof(cmd), "rm -rf %s %s-lock", f->dir, f->dir);
    assert_int_equal(system(cmd), 0);
}

static inline struct db_txn *fixture_write(struct fixture *f)
{
    struct db_txn *t;
    OK(db_write_begin(f->db, &t, NULL));
    return t;
}

static inline struct db_txn *fixture_read(struct fixture *f)
{
    struct db_txn *t;
    OK(db_read_begin(f->db, &t));
    return t;
}

static inline void assert_slice(struct slice s, const char *text)
{
    assert_int_equal(s.len, strlen(text));
    assert_memory_equal(s.ptr, text, s.len);
}

#endif
