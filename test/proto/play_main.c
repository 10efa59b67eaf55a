#include "play_main.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "ms/base/err.h"

static void (*play_one)(const char *path, bool by_bytes);

static void in_lines(void **state)
{
    play_one(*state, false);
}

static void in_bytes(void **state)
{
    play_one(*state, true);
}

int play_main(int argc, char **argv, const char *group, void (*play)(const char *path, bool by_bytes))
{
    glob_t found = {0};

    play_one = play;
    for (int i = 1; i < argc; i++) {
        char pattern[512];
        bool is_file = strstr(argv[i], ".script") != NULL;

        snprintf(pattern, sizeof pattern, "%s%s", argv[i], is_file ? "" : "/*.script");
        if (glob(pattern, i > 1 ? GLOB_APPEND : 0, NULL, &found) != 0)
            return 1;
    }
    if (found.gl_pathc == 0)
        return 1;
    struct CMUnitTest *tests = ms_alloc_array(2 * found.gl_pathc, sizeof *tests);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *path = found.gl_pathv[i];

        tests[2 * i] = (struct CMUnitTest){path, in_lines, NULL, NULL, path};
        tests[2 * i + 1] = (struct CMUnitTest){path, in_bytes, NULL, NULL, path};
    }
    int failed = _cmocka_run_group_tests(group, tests, 2 * found.gl_pathc, NULL, NULL);
    ms_free(tests);
    globfree(&found);
    return failed;
}
