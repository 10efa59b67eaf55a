/*
 * test_history.c - what is kept, which lines belong to an id, turning files over, damage, lines as JSON.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ms/obs.h"
#include "obs_check.h"

static char dir[64];

static int setup(void **state)
{
    (void)snprintf(dir, sizeof(dir), "history-test-%ld", (long)getpid());
    return 0;
}

static int teardown(void **state)
{
    DIR *d = opendir(dir);
    const struct dirent *e;

    while (d && (e = readdir(d)) != NULL)
        if (e->d_name[0] != '.')
            (void)unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    (void)rmdir(dir);
    return 0;
}

static void collect(void *owner, struct slice line)
{
    str_add_slice(owner, line);
}

/* Lines of the text that hold the word. */
static size_t count_of(struct slice text, const char *word)
{
    size_t n = 0;
    ssize_t at;

    while ((at = slice_find(text, slice_cstr(word))) >= 0) {
        n++;
        text = slice_sub(text, (size_t)at + strlen(word), SIZE_MAX);
    }
    return n;
}

static size_t found(const char *id, const char *word)
{
    struct str out;

    str_init(&out, 0);
    assert_int_equal(obs_history_find(dir, slice_cstr(id), collect, &out), MS_OK);
    size_t n = count_of(str_slice(&out), word);
    str_fini(&out);
    return n;
}

static void start(enum obs_level level, enum obs_format format, uint64_t bytes)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    assert_int_equal(obs_history_open(dir, bytes, NULL), MS_OK);
    assert_int_equal(obs_start(null, level, format), MS_OK);
}

/* Info and above with a trace, whatever the log's own level is. */
static void test_what_is_kept(void **state)
{
    static const enum obs_format formats[] = {OBS_LOGFMT, OBS_JSON};

    for (size_t i = 0; i < MS_ARRAY_LEN(formats); i++) {
        obs_set_epoch(7);
        start(OBS_ERROR, formats[i], 1 << 20);
        OBS_EVENT(OBS_AUTH_LOGIN, 0x1f, OBS_C("user", "u"));                                 /* session */
        OBS_EVENT(OBS_SMTPD_TX_FINISHED, 0x1f, OBS_C("trace", "7-1f.1"), OBS_C("from", "a")); /* message */
        OBS_EVENT(OBS_SMTPD_TX_FINISHED, 0x1f, OBS_C("trace", "7-1f.2"), OBS_C("from", "b"));
        OBS_EVENT(OBS_SMTPD_TX_FINISHED, 0x1f, OBS_C("trace", "7-1f.11"), OBS_C("from", "c"));
        OBS_EVENT(OBS_DELIVERY_SENT, 0, OBS_C("trace", "7-1f.1"), OBS_C("qid", "7-2-9"));
        OBS_EVENT(OBS_DELIVERY_SENT, 0, OBS_C("trace", "7-1f.1.r1"), OBS_C("qid", "7-2-a"));
        OBS_EVENT(OBS_SMTPD_STATE, 0x1f, OBS_C("from", "debug"));        /* below info */
        OBS_EVENT(OBS_APP_CTL_MODE, 0, OBS_C("path", "trace=7-1f.1 x")); /* no trace of its own */
        OBS_EVENT(OBS_AUTH_LOGIN, 0x1f0, OBS_C("user", "other"));
        obs_stop();
        size_t times = i + 1;
        assert_int_equal(found("7-1f", "trace"), 6 * times);
        assert_int_equal(found("7-1f.1", "tx_finished"), times);
        assert_int_equal(found("7-1f.1", "auth.login"), times);
        assert_int_equal(found("7-1f.1", "delivery.sent"), 2 * times);
        assert_int_equal(found("7-1f.11", "tx_finished"), times);
        assert_int_equal(found("7-2-9", "delivery.sent"), times);
        assert_int_equal(found("7-2-9", "tx_finished"), 0);
        assert_int_equal(found("7-1f", "debug"), 0);
        assert_int_equal(found("7-1f0", "other"), times);
        assert_int_equal(found("7-1", "event"), 0);
    }
}

static size_t file_count(void)
{
    DIR *d = opendir(dir);
    const struct dirent *e;
    size_t n = 0;

    while (d && (e = readdir(d)) != NULL)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static void test_turns_over(void **state)
{
    char id[32];

    for (unsigned run = 0; run < 3; run++) { /* each start goes on with the newest file */
        start(OBS_ERROR, OBS_LOGFMT, 64 << 10);
        for (unsigned i = 0; i < 2000; i++) {
            (void)snprintf(id, sizeof(id), "9-%x.%u", run, i);
            OBS_EVENT(OBS_SMTPD_TX_FINISHED, 1, OBS_C("trace", id), OBS_C("from", "somebody@example.net"));
            if (i % 100 == 99)
                usleep(2000); /* the ring is small */
        }
        obs_stop();
        assert_in_range(file_count(), 1, OBS_HISTORY_FILES);
        (void)snprintf(id, sizeof(id), "9-%x.1999", run);
        assert_int_equal(found(id, "tx_finished"), 1);
        (void)snprintf(id, sizeof(id), "9-%x.0", run);
        assert_int_equal(found(id, "tx_finished"), 0); /* the oldest went */
    }
    assert_int_equal(file_count(), OBS_HISTORY_FILES);
}

static void write_file(const char *name, const char *text)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_damaged(void **state)
{
    char *big = malloc((3u << 20) + 1);

    assert_int_equal(mkdir(dir, 0700), 0);
    write_file("00000001.log", "no line end trace=1-1");
    write_file("00000002.log", "ts=x event=y trace=1-1 a=b\n\n\ntrace=\n{\"trace\":\n trace=1-1");
    write_file("notes.txt", " trace=1-1 z\n");
    memset(big, 'x', 3u << 20);
    big[3u << 20] = '\0';
    write_file("00000003.log", big);
    free(big);
    assert_int_equal(found("1-1", "a=b"), 1);
    assert_int_equal(found("1-1", "trace"), 1);
}

static void test_bad_ids(void **state)
{
    static const char *const bad[] = {
        "",
        "a b",
        "../x",
        "1-1\n",
        "*",
        "\"",
        "0123456789012345678901234567890123456789012345678901234567890123456789"};
    struct str out;

    assert_true(mkdir(dir, 0700) == 0);
    str_init(&out, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++)
        assert_int_equal(obs_history_find(dir, slice_cstr(bad[i]), collect, &out), MS_EINVAL);
    assert_int_equal(obs_history_find("no-such-folder", SLICE_LIT("1-1"), collect, &out), MS_ENOTFOUND);
    assert_int_equal(out.len, 0);
    str_fini(&out);
}

static void test_cannot_write(void **state)
{
    struct ms_errinfo why;
    uint64_t before = obs_counter_get(MET_HISTORY_DROPPED);
    char path[128];

    assert_int_equal(obs_history_open("/proc/self/none/history", 1 << 20, &why), MS_ENOTFOUND);
    assert_non_null(strstr(why.text, "/proc/self/none/history"));
    /* a folder where the file should be: lines are lost, counted, and the server goes on */
    assert_int_equal(mkdir(dir, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/00000001.log", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    start(OBS_ERROR, OBS_LOGFMT, 1 << 20);
    OBS_EVENT(OBS_AUTH_LOGIN, 1, OBS_C("user", "u"));
    obs_stop();
    assert_int_equal(obs_counter_get(MET_HISTORY_DROPPED), before + 1);
    assert_int_equal(rmdir(path), 0);
}

static void test_json(void **state)
{
    static const struct {
        const char *line, *json; /* NULL: refused */
    } rows[] = {
        {"a=b\n", "{\"a\":\"b\"}"},
        {"a=b c=\"d e\" f=1", "{\"a\":\"b\",\"c\":\"d e\",\"f\":\"1\"}"},
        {"a=\"q\\\"\\\\\\x01\\xff\"", "{\"a\":\"q\\\"\\\\\\u0001\xef\xbf\xbd\"}"},
        {"a=\"\"", "{\"a\":\"\"}"},
        {"{\"a\":1}\n", "{\"a\":1}"},
        {"", "{}"},
        {"a", NULL},
        {"=b", NULL},
        {"a=\"b", NULL},
        {"a=\"b\"c", NULL},
        {"a=\"\\", NULL},
        {"a=\"\\x0g\"", NULL},
        {"a=b  c=d", NULL},
        {"a b=c", NULL},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct str out;
        str_init(&out, 0);
        enum ms_err err = obs_line_to_json(slice_cstr(rows[i].line), &out);
        assert_int_equal(err, rows[i].json ? MS_OK : MS_ESYNTAX);
        if (rows[i].json)
            assert_string_equal(str_cstr(&out), rows[i].json);
        str_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_turns_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cannot_write, setup, teardown),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
