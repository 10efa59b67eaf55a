/*
 * app_output.c - one row of a command's output: people, JSON lines, tab-separated.
 */
#include "app.h"

static void json_string(const char *text)
{
    putchar('"');
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

void app_emit_row(const struct app_args *args, const char *const *names, const char *const *values, size_t n)
{
    if (args->output == APP_JSON)
        putchar('{');
    for (size_t i = 0; i < n; i++) {
        if (args->output == APP_JSON) {
            if (i)
                putchar(',');
            json_string(names[i]);
            putchar(':');
            json_string(values[i]);
        } else if (args->output == APP_TSV) {
            printf("%s%s", i ? "\t" : "", values[i]);
        } else {
            printf("%s%s=%s", i ? "  " : "", names[i], values[i]);
        }
    }
    puts(args->output == APP_JSON ? "}" : "");
}
