/* Watching a folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ms/loop.h"

#define TURNS_MAX 2000

static char folder[64];
static unsigned seen_new;

static int make_folder(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/loop-watch-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    return rmdir(folder);
}

static void on_name(void *owner, const char *name)
{
    struct loop *loop = owner;
    assert_ptr_equal(loop_current() ? loop_current() : loop, loop);
    seen_new += name && strcmp(name, "new") == 0;
}

static void touch(const char *from, const char *to)
{
    char a[128], b[128];
    snprintf(a, sizeof a, "%s/%s", folder, from);
    snprintf(b, sizeof b, "%s/%s", folder, to);
    int fd = open(a, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(rename(a, b), 0);
}

static void forget(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
}

static void test_names(void **state)
{
    struct loop *loop = loop_create(1, "watch");
    struct loop_watch *watch;
    struct ms_errinfo why;
    seen_new = 0;
    assert_int_equal(loop_watch_open(loop, folder, on_name, loop, &watch, &why), MS_OK);
    loop_turn(loop);
    assert_int_equal(seen_new, 0);
    touch("old", "new");
    for (unsigned i = 0; i < TURNS_MAX && !seen_new; i++, usleep(1000))
        loop_turn(loop);
    assert_true(seen_new > 0);
    loop_watch_close(&watch); /* from here on nothing is told */
    assert_null(watch);
    unsigned before = seen_new;
    forget("new");
    for (unsigned i = 0; i < 20; i++, usleep(1000))
        loop_turn(loop);
    assert_int_equal(seen_new, before);
    loop_destroy(&loop);
}

static void test_open_at_the_end(void **state)
{
    struct loop *loop = loop_create(1, "watch");
    struct loop_watch *watch, *none = NULL;
    struct ms_errinfo why;
    assert_int_equal(loop_watch_open(loop, folder, on_name, loop, &watch, &why), MS_OK);
    loop_watch_close(&watch); /* its handle is still closing */
    loop_watch_close(&none);
    loop_destroy(&loop);
}

static void test_refused(void **state)
{
    struct loop *loop = loop_create(1, "watch"), *fake = loop_create_virtual(1, "fake", 0);
    struct loop_watch *watch;
    struct ms_errinfo why;
    assert_int_equal(loop_watch_open(loop, "/nowhere/at/all", on_name, loop, &watch, &why), MS_ENOTFOUND);
    assert_null(watch);
    assert_non_null(strstr(why.text, "/nowhere/at/all"));
    assert_int_equal(loop_watch_open(fake, folder, on_name, fake, &watch, &why), MS_EUNSUPPORTED);
    loop_destroy(&loop);
    loop_destroy(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_open_at_the_end),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
