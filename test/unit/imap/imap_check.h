/* imap_check.h - tables of commands against the text of imap_describe.h. Behind cmocka.h. */
#ifndef TEST_IMAP_CHECK_H
#define TEST_IMAP_CHECK_H

#include "imap_describe.h"

/* One command as a line of text. */
static inline void describe(struct str *out, const char *text)
{
    struct arena arena;

    arena_init(&arena, 0);
    str_reset(out);
    describe_command(out, slice_cstr(text), false, &arena);
    arena_fini(&arena);
}

struct described {
    const char *text, *want;
};

static inline void check_described(const struct described *rows, size_t count)
{
    struct str out;

    str_init(&out, 0);
    for (size_t i = 0; i < count; i++) {
        describe(&out, rows[i].text);
        if (!slice_eq_cstr(str_slice(&out), rows[i].want))
            fail_msg("%s\n  gives %s\n  not   %s", rows[i].text, str_cstr(&out), rows[i].want);
    }
    str_fini(&out);
}

static inline void check_syntax_refused(const char *const *rows, size_t count)
{
    struct str out;

    str_init(&out, 0);
    for (size_t i = 0; i < count; i++) {
        describe(&out, rows[i]);
        if (!slice_has_prefix(str_slice(&out), SLICE_LIT("!MS_ESYNTAX")))
            fail_msg("%s\n  gives %s", rows[i], str_cstr(&out));
    }
    str_fini(&out);
}

#endif
