/* play_text.c - \r \n \t \0 \xHH and \R<count>{text} of the protocol scripts. */
#include "play_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static unsigned hex_digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 32) - 'a' + 10);
}

/* \R<count>{text} */
static size_t repeat(const char *in, struct str *out)
{
    char *open;
    unsigned long n = strtoul(in, &open, 10);
    const char *end = strchr(open, '}');
    assert_true(*open == '{' && end);
    while (n-- > 0)
        play_unescape(open + 1, (size_t)(end - open - 1), out);
    return (size_t)(end + 1 - in);
}

void play_unescape(const char *in, size_t len, struct str *out)
{
    for (size_t i = 0; i < len; i++) {
        if (in[i] != '\\') {
            str_add_byte(out, (uint8_t)in[i]);
            continue;
        }
        switch (in[++i]) {
        case 'r':
            str_add_byte(out, '\r');
            break;
        case 'n':
            str_add_byte(out, '\n');
            break;
        case 't':
            str_add_byte(out, '\t');
            break;
        case '0':
            str_add_byte(out, 0);
            break;
        case 'x':
            str_add_byte(out, (uint8_t)(hex_digit(in[i + 1]) << 4 | hex_digit(in[i + 2])));
            i += 2;
            break;
        case 'R':
            i += repeat(in + i + 1, out);
            break;
        default:
            str_add_byte(out, (uint8_t)in[i]);
        }
    }
}
