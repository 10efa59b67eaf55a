/*
 * base_check.h - what the unit tests of base share. Include before cmocka's users.
 */
#ifndef MS_TEST_BASE_CHECK_H
#define MS_TEST_BASE_CHECK_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ms/base/slice.h"

/* Bytes with NULs inside: X("a\0b"). */
#define X(text) SLICE_LIT(text)

#define assert_slice_equal(got, want)                                                                        \
    do {                                                                                                     \
        struct slice got_ = (got), want_ = (want);                                                           \
        if (!slice_eq(got_, want_))                                                                          \
            fail_msg("got \"" SLICE_FMT "\" (%zu bytes), want \"" SLICE_FMT "\"", SLICE_ARG(got_), got_.len, \
                     SLICE_ARG(want_));                                                                      \
    } while (0)

/* Repeatable numbers: a failure is found again by running the test again. */
static inline uint64_t check_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* true when fn ends its process by an assertion. */
static inline bool check_aborts(void (*fn)(void))
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);

        signal(SIGABRT, SIG_DFL);
        dup2(null, STDERR_FILENO);
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
