/*
 * scripted_main.c - mailserverd with the driver `scripted` beside its own.
 *
 *   MAILSERVERD_SCRIPT      the script (script.h); needed by `serve`
 *   MAILSERVERD_SCRIPT_LOG  what it did is added here; without it there is no log
 *
 * Both are opened before the server is, since the sandbox has neither.
 */
#include "script.h"

#include <stdlib.h>

#include "../../src/app/app.h"

const struct app_driver app_drivers[] = {{&chan_store_driver, NULL}, {&scripted_driver, NULL}};
const size_t app_driver_count = MS_ARRAY_LEN(app_drivers);

static int prepare(void)
{
    const char *text = getenv("MAILSERVERD_SCRIPT"), *log = getenv("MAILSERVERD_SCRIPT_LOG");
    if (!text)
        return app_fail(EX_USAGE, "MAILSERVERD_SCRIPT names no script");
    if (script_load(text, &script))
        return EX_CONFIG;
    return log && script_log_open(log) ? EX_CANTCREAT : EX_OK;
}

int main(int argc, char **argv)
{
    int rc = argc > 1 && strcmp(argv[1], "serve") == 0 ? prepare() : EX_OK;
    if (rc == EX_OK)
        rc = app_main(argc, argv);
    script_free(&script);
    return rc;
}
